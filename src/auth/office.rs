//! What becomes of one submission, step by step: fresh, known endpoint, proven; only then is the wish looked
//! at; decided, recorded, lodged, answered. Each step that fails ends it with a reason; the client learns no
//! more than `reason` lets it.

mod asserted;
mod connection;
mod jwt;
mod kerberos;
mod keyed;
mod open;
mod proof;
mod seal;
mod shared;
mod ticket;
mod unsealed;
mod vouched;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use self::open::Unwraps;
use self::proof::{Asked, Known};
use super::acceptor::Acceptor;
use super::confirmed::Confirmed;
use super::directory::Directories;
use super::excess::Excess;
use super::exchanges::Exchange;
use super::gauges::Gauges;
use super::known_signatures::KnownSignatures;
use super::ocsp::Desks;
use super::order::{self, Decided, Proven, ProvenKey};
use super::password::Passwords;
use super::reason::{ALLOWED, Reason, recorded};
use super::recipient::Recipient;
use super::record::Record;
use super::shared_keys::SharedKeys;
use super::store::Store;
use super::strangers::Strangers;
use super::timestamp;
use super::vouchers::{ChannelNumber, Vouchers};
use crate::config::auth::Auth;
use crate::config::auth::users::Account;
use crate::sys::failpoint::failpoint;
use crate::sys::gate::LogGate;
use crate::wire::evidence::{MOST_ANSWERED_OCTETS, Negotiated, Refused, Submission, Vouched};
use crate::wire::frame::Violation;
use crate::wire::ids::Peer;
use crate::wire::links::AuthToWorker;
use crate::wire::order::{Authentication, Method, Order, Voucher};
use crate::wire::record::{AuthEntry, Decision, DecisionPrivate, Held, VouchedPrivate};
use crate::wire::{Correlation, List, Millis, Octets, Text, VoucherId};

/// Everything a request needs.
#[derive(Debug)]
pub(super) struct Office {
    /// Replaced together: what a directory remembers was read by its configuration.
    rules: RwLock<(Arc<Auth>, Arc<Directories>)>,
    /// Where it is asked whether certificates were taken back.
    pub(super) desks: Desks,
    /// Which signatures over certificates hold.
    known: KnownSignatures,
    passwords: Passwords,
    store: Option<Store>,
    /// Refusals of people not known.
    pub(super) strangers: Strangers,
    /// Requests of accounts that ask too much.
    pub(super) excess: Excess,
    /// Session keys by where they come from.
    unwraps: Unwraps,
    /// Those that somebody has signed whom we know, by whom they are of.
    proven_unwraps: Unwraps,
    /// Keys that assertions have for their holders, opened.
    shared_keys: SharedKeys,
    /// The way into the record.
    pub(super) record: Record,
    /// The way to issuer.
    pub(super) vouchers: Vouchers,
    /// The way to kerberos.
    acceptor: Acceptor,
    /// Metrics.
    pub(super) gauges: Gauges,
    /// For lines on workers that come and go: one may do nothing else.
    pub(super) comings: LogGate,
    /// For lines on workers that break the protocol; apart, so that coming and going hides none of them.
    pub(super) breaches: LogGate,
    /// For lines on certificates that no authority vouches for, on assertions, JWTs, tickets and signed messages that
    /// prove nothing; apart, for a stranger can have as many of one kind as he likes.
    certificates: LogGate,
    assertions: LogGate,
    jwts: LogGate,
    tickets: LogGate,
    signatures: LogGate,
    /// For lines on decisions that the record did not take.
    unrecorded: LogGate,
    /// For lines on orders that issuer did not take.
    unlodged: LogGate,
    /// For lines on answers that no key is left for.
    unsealed: LogGate,
}

/// For how long requests that began under a configuration are waited for: longer than any takes.
const LET_GO: Duration = Duration::from_secs(120);
/// Lines a second through each gate.
const LINES: u32 = 10;

/// A request that ends without an order. It is for the record in full once its requestor is known, and asks no more
/// than he may.
enum Ended {
    Stranger(Reason),
    /// The record has it, or a sum of those who ask too much will.
    Known(Reason),
    /// It is known whose it is, and the record has nothing of it yet.
    Named(Box<Named>),
    /// The worker says something else than what it passes on.
    Breach(&'static str),
}

/// What a worker is answered, and for whom it will have the answer sealed.
pub(super) struct Answered {
    pub(super) answer: AuthToWorker,
    pub(super) recipient: Option<Recipient>,
}

/// What somebody gets who has proved himself.
struct Granted {
    order: Order,
    /// What he is answered if he negotiated.
    answer: Option<Octets<MOST_ANSWERED_OCTETS>>,
    /// Is the answer with the token signed?
    signed_reply: bool,
    /// For whom it is sealed.
    recipient: Option<Recipient>,
}

/// Somebody who has proved himself by something that is refused all the same.
struct Named {
    reason: Reason,
    account: Text<256>,
    method: Method,
    vouched_by: Option<Text<64>>,
    intermediary: Option<Text<256>>,
    held: Option<Held>,
    /// His worker says something else than what he signed or put under a MAC.
    breach: Option<&'static str>,
}

impl Ended {
    /// The same, of somebody who is no stranger: he has proved himself, and had his pace.
    fn of(self, account: &Account, method: Method, vouched_by: Option<&Text<64>>) -> Self {
        let (reason, breach) = match self {
            Self::Stranger(reason) => (reason, None),
            Self::Breach(rule) => (Reason::Contradicted, Some(rule)),
            ended => return ended,
        };
        let (account, vouched_by) = (account.name.clone(), vouched_by.cloned());
        let (intermediary, held) = (None, None);
        Self::Named(Box::new(Named { reason, account, method, vouched_by, intermediary, held, breach }))
    }

    /// The same of somebody who has proved so that he is the holder of his assertion.
    fn held(mut self, held: Held) -> Self {
        if let Self::Named(named) = &mut self {
            named.held = Some(held);
        }
        self
    }

    /// The same of somebody whom this account has vouched for.
    fn by(mut self, intermediary: &Account) -> Self {
        if let Self::Named(named) = &mut self {
            named.intermediary = Some(intermediary.name.clone());
        }
        self
    }
}

impl Office {
    /// Puts the parts together.
    #[must_use]
    pub(super) fn new(
        (config, directories): (Auth, Directories),
        passwords: Passwords,
        store: Option<Store>,
        record: Record,
        (vouchers, acceptor): (Vouchers, Acceptor),
        gauges: Gauges,
    ) -> Self {
        let desks = Desks::new(&config, gauges.ocsp.clone());
        let known = KnownSignatures::new(gauges.signatures.clone());
        let rules = RwLock::new((Arc::new(config), Arc::new(directories)));
        let (excess, unwraps, gate) = (Excess::default(), Unwraps::default(), || LogGate::new(LINES));
        Self {
            rules,
            desks,
            known,
            passwords,
            store,
            strangers: Strangers::default(),
            excess,
            unwraps,
            proven_unwraps: Unwraps::default(),
            shared_keys: SharedKeys::default(),
            record,
            vouchers,
            acceptor,
            gauges,
            comings: gate(),
            breaches: gate(),
            certificates: gate(),
            assertions: gate(),
            jwts: gate(),
            tickets: gate(),
            signatures: gate(),
            unrecorded: gate(),
            unlodged: gate(),
            unsealed: gate(),
        }
    }

    /// The configuration of this moment. A request keeps the one it began with.
    #[must_use]
    pub(super) fn config(&self) -> Arc<Auth> {
        self.rules().0
    }

    /// The same, with those who know users besides.
    #[must_use]
    fn rules(&self) -> (Arc<Auth>, Arc<Directories>) {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Can a request be answered with a voucher now, whatever it needs?
    pub(super) fn ready(&self) -> bool {
        self.store.as_ref().is_none_or(Store::up) && self.record.up() && self.vouchers.up()
    }

    /// Puts a new configuration in place.
    pub(super) fn reconfigure(&self, (config, directories): (Arc<Auth>, Directories)) {
        self.desks.follow(&config);
        // What the old directories remember goes with them.
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let (config, directories) = std::mem::replace(&mut *rules, (config, Arc::new(directories)));
        drop(rules);
        self.passwords.forget();
        self.known.forget();
        self.shared_keys.forget();
        // Policies of many parties and many users take a while to be let go of, and requests do not wait for it. The
        // last of those that began under it would have to: so somebody else waits for them. Where there is no thread,
        // they do.
        let let_go = move || {
            let patience = Instant::now() + LET_GO;
            while Arc::strong_count(&config) + Arc::strong_count(&directories) > 2 && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        let _no_thread = std::thread::Builder::new().name("old-configuration".to_owned()).spawn(let_go);
    }

    /// Wipes what is over.
    pub(super) fn sweep(&self) {
        self.shared_keys.sweep(Millis::now());
    }

    /// Nothing more comes of that worker, unless it dials again.
    pub(super) fn gone(&self, worker: Peer) {
        self.passwords.gone(worker);
        self.unwraps.gone(worker);
        self.proven_unwraps.gone(worker);
    }

    /// Decides one submission, from the channel `number` of a worker; with the session key of its message, where one
    /// was kept.
    ///
    /// # Errors
    /// A violation when the worker contradicts what its client has signed.
    pub(super) async fn answer(
        &self,
        number: ChannelNumber,
        from: (Peer, &Confirmed, Option<&Exchange>),
        submission: Submission,
    ) -> Result<Answered, Violation> {
        let peer = from.0;
        let timer = self.gauges.seconds.start_timer();
        let correlation = submission.correlation;
        let (source, timestamp) = (submission.source, submission.timestamp);
        let (config, directories) = self.rules();
        let lodged = match self.decide((&config, &directories), from, submission).await {
            Ok(Granted { order, answer, signed_reply, recipient }) => self
                .lodge(&config, (peer, number), order, signed_reply)
                .await
                .inspect_err(|reason| {
                    // The record has it as allowed.
                    if let Some(left_out) = self.unlodged.pass() {
                        warn!(correlation = %correlation, event = "not-lodged", reason = reason.word(), left_out);
                    }
                })
                .map(|voucher| (voucher, answer, recipient)),
            Err(Ended::Known(reason)) => Err(reason),
            // Those are in the record by now.
            Err(Ended::Named(named)) => Err(named.reason),
            Err(Ended::Stranger(reason)) => {
                self.strangers.note(source, reason, correlation, timestamp);
                Err(reason)
            }
            Err(Ended::Breach(rule)) => return Err(Violation::Rule(rule)),
        };
        timer.observe_duration();
        let word = lodged.as_ref().err().map_or(ALLOWED, |reason| reason.word());
        self.gauges.decisions.with_label_values(&[word]).inc();
        let (answer, recipient) = match lodged {
            Ok((voucher, None, recipient)) => (AuthToWorker::Vouched(Vouched { correlation, voucher }), recipient),
            Ok((voucher, Some(answer), _)) => {
                (AuthToWorker::Negotiated(Negotiated { vouched: Vouched { correlation, voucher }, answer }), None)
            }
            Err(reason) => (AuthToWorker::Refused(Refused { correlation, refusal: reason.refusal() }), None),
        };
        Ok(Answered { answer, recipient })
    }

    async fn decide(
        &self,
        (config, directories): (&Auth, &Directories),
        (worker, confirmed, exchange): (Peer, &Confirmed, Option<&Exchange>),
        submission: Submission,
    ) -> Result<Granted, Ended> {
        let Submission { correlation, endpoint, source, timestamp, evidence, wish } = submission;
        timestamp::judge(&config.timestamp, timestamp, Millis::now()).map_err(Ended::Stranger)?;
        let rules = config.endpoints.get(endpoint.as_str()).ok_or(Ended::Stranger(Reason::Endpoint))?;
        let exchange = exchange.filter(|exchange| exchange.endpoint == endpoint);
        let wished = Some(&wish);
        let asked = Asked { directories, worker, confirmed, exchange, source, correlation, timestamp, wish: wished };
        let proven = self.prove(config, rules, evidence, &asked).await;
        let (known, recipient) = match proven.and_then(|known| known.with_recipient(rules)) {
            Ok(known) => known,
            Err(ended) => return Err(self.settled(config, (correlation, endpoint, source), ended).await),
        };
        let Known { account, method, request, certificate, held, vouched_by, intermediary, until, answer, .. } = known;
        let signed_reply = rules.signed_replies && method == Method::X509;
        let instant = Millis::now();
        let authentication = Authentication { method, instant: known.instant.unwrap_or(instant) };
        failpoint("verified");
        let proven = Proven {
            correlation,
            endpoint: &endpoint,
            token_type: rules.token_type,
            source,
            account: &account,
            authentication,
            intermediary: intermediary.as_deref(),
            until,
            wish: &wish,
            request,
            key: match (&certificate, held) {
                (Some(certificate), _) => ProvenKey::Certified(&certificate.der),
                (None, Some(_)) => ProvenKey::Alone,
                (None, None) => ProvenKey::None,
            },
        };
        let Decided { order, relying_party, policies } = order::decide(config, &proven, instant);
        let decision = Decision {
            instant,
            correlation,
            endpoint: endpoint.clone(),
            source,
            method,
            authority: vouched_by.cloned(),
            relying_party,
            allowed: order.is_ok(),
            reason: recorded(order.as_ref().err().map_or(ALLOWED, |reason| reason.word())),
            policies,
        };
        self.decided(config, decision, account.name.clone(), (intermediary, held)).await?;
        failpoint("recorded");
        order.map(|order| Granted { order, answer, signed_reply, recipient }).map_err(Ended::Known)
    }

    /// The same once the record has it, where it is known whose request it was.
    async fn settled(
        &self,
        config: &Auth,
        (correlation, endpoint, source): (Correlation, Text<128>, IpAddr),
        ended: Ended,
    ) -> Ended {
        let Ended::Named(named) = ended else { return ended };
        let Named { reason, account, method, vouched_by, intermediary, held, breach } = *named;
        let decision = Decision {
            instant: Millis::now(),
            correlation,
            endpoint,
            source,
            method,
            authority: vouched_by,
            relying_party: None,
            allowed: false,
            reason: recorded(reason.word()),
            policies: List::default(),
        };
        let noted = self.decided(config, decision, account, (intermediary, held)).await;
        // Hung up on in any case, and counted.
        match breach {
            Some(rule) => Ended::Breach(rule),
            None => noted.err().unwrap_or(Ended::Known(reason)),
        }
    }

    /// Tells the log and the record. Nobody hears of a decision that the record has not.
    async fn decided(
        &self,
        config: &Auth,
        decision: Decision,
        account: Text<256>,
        (intermediary, held): (Option<Text<256>>, Option<Held>),
    ) -> Result<(), Ended> {
        let correlation = decision.correlation;
        info!(
            correlation = %correlation,
            event = "decided",
            account = ?account,
            intermediary = ?intermediary.as_deref().unwrap_or("-"),
            authority = decision.authority.as_deref().unwrap_or("-"),
            proof = held.map_or("-", |held| held.proof.name()),
            relying_party = decision.relying_party.as_deref().unwrap_or("-"),
            allowed = decision.allowed,
            reason = decision.reason.as_str(),
        );
        let entry = match (intermediary, held) {
            (Some(intermediary), _) => AuthEntry::Vouched(decision, VouchedPrivate { account, intermediary }),
            (None, Some(held)) => AuthEntry::Held(decision, held, DecisionPrivate { account }),
            (None, None) => AuthEntry::Decision(decision, DecisionPrivate { account }),
        };
        let appended = self.record.append(entry, config.limits.audit_deadline).await;
        appended.map_err(|reason| {
            if let Some(left_out) = self.unrecorded.pass() {
                error!(correlation = %correlation, event = "not-recorded", reason = reason.word(), left_out);
            }
            Ended::Known(reason)
        })
    }

    async fn lodge(
        &self,
        config: &Auth,
        (worker, number): (Peer, ChannelNumber),
        order: Order,
        signed_reply: bool,
    ) -> Result<VoucherId, Reason> {
        let id = VoucherId::random();
        let limits = config.limits;
        let voucher = Voucher { id, worker, order, signed_reply };
        self.vouchers.lodge(voucher, number, limits.voucher_ttl, limits.issuer_deadline).await?;
        failpoint("vouchered");
        Ok(id)
    }
}
