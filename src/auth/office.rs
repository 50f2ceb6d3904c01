//! What becomes of one submission, step by step: fresh, known endpoint, proven; only then is the wish looked
//! at; decided, recorded, lodged, answered. Each step that fails ends it with a reason; the client learns no
//! more than `reason` lets it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use tracing::{error, info, warn};

use super::excess::Excess;
use super::gauges::Gauges;
use super::issued;
use super::order::{self, Decided, Proven};
use super::password::Passwords;
use super::reason::{ALLOWED, Reason, recorded};
use super::record::Record;
use super::signature::{self, Verified};
use super::store::{Down, Kind, Store};
use super::strangers::Strangers;
use super::vouchers::{ChannelNumber, Vouchers};
use super::{digest, timestamp};
use crate::config::auth::Auth;
use crate::config::auth::authority::Authority;
use crate::config::auth::certificate::Certificate;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::sys::failpoint::failpoint;
use crate::sys::gate::LogGate;
use crate::wire::evidence::{Evidence, PasswordDigest, Refused, SignedMessage, Submission, Timestamp, Vouched, Wish};
use crate::wire::frame::Violation;
use crate::wire::ids::Peer;
use crate::wire::links::AuthToWorker;
use crate::wire::order::{Authentication, Method, Order, RequestIntegrity, Voucher};
use crate::wire::record::{AuthEntry, Decision, DecisionPrivate};
use crate::wire::{Correlation, Millis, VoucherId};

/// Everything a request needs.
#[derive(Debug)]
pub(super) struct Office {
    config: RwLock<Arc<Auth>>,
    passwords: Passwords,
    store: Option<Store>,
    /// Refusals of people not known.
    pub(super) strangers: Strangers,
    /// Requests of accounts that ask too much.
    pub(super) excess: Excess,
    /// The way into the record.
    pub(super) record: Record,
    /// The way to issuer.
    pub(super) vouchers: Vouchers,
    /// Metrics.
    pub(super) gauges: Gauges,
    /// For lines on workers that come and go: one may do nothing else.
    pub(super) comings: LogGate,
    /// For lines on workers that break the protocol; apart, so that coming and going hides none of them.
    pub(super) breaches: LogGate,
    /// For lines on certificates that no authority vouches for.
    certificates: LogGate,
}

/// Lines a second through each gate.
const LINES: u32 = 10;

/// A refusal is for the record in full once its requestor is known, and asks no more than he may.
enum Outcome {
    Order(Box<Order>),
    Stranger(Reason),
    Known(Reason),
    /// The worker says something else than what it passes on.
    Breach(&'static str),
}

/// Who it is, and how that is known.
struct Known<'a> {
    account: &'a Account,
    method: Method,
    request: RequestIntegrity,
    /// The certificate that signed the message.
    certificate: Option<Cow<'a, Certificate>>,
    /// Who issued it, unless it is registered.
    authority: Option<&'a Authority>,
}

/// Whose signature it is, and what it covers.
struct Signer<'a, 'm> {
    account: &'a Account,
    authority: Option<&'a Authority>,
    certificate: Cow<'a, Certificate>,
    verified: Verified<'m>,
}

impl Office {
    /// Puts the parts together.
    #[must_use]
    pub(super) fn new(
        config: Auth,
        passwords: Passwords,
        store: Option<Store>,
        record: Record,
        vouchers: Vouchers,
        gauges: Gauges,
    ) -> Self {
        let config = RwLock::new(Arc::new(config));
        let (strangers, comings, breaches) = (Strangers::default(), LogGate::new(LINES), LogGate::new(LINES));
        let (excess, certificates) = (Excess::default(), LogGate::new(LINES));
        Self { config, passwords, store, strangers, excess, record, vouchers, gauges, comings, breaches, certificates }
    }

    /// The configuration of this moment. A request keeps the one it began with.
    #[must_use]
    pub(super) fn config(&self) -> Arc<Auth> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Can a request be answered with a voucher now, whatever it needs?
    pub(super) fn ready(&self) -> bool {
        self.store.as_ref().is_none_or(Store::up) && self.record.up() && self.vouchers.up()
    }

    /// Puts a new configuration in place.
    pub(super) fn reconfigure(&self, config: Auth) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.passwords.forget();
    }

    /// Decides one submission, from the channel `number` of the worker `peer`.
    ///
    /// # Errors
    /// A violation when the worker contradicts what its client has signed.
    pub(super) async fn answer(
        &self,
        peer: Peer,
        number: ChannelNumber,
        submission: Submission,
    ) -> Result<AuthToWorker, Violation> {
        let timer = self.gauges.seconds.start_timer();
        let correlation = submission.correlation;
        let source = submission.source;
        let config = self.config();
        let lodged = match self.decide(&config, peer, submission).await {
            Outcome::Order(order) => self.lodge(&config, peer, number, *order).await,
            Outcome::Known(reason) => Err(reason),
            Outcome::Stranger(reason) => {
                self.strangers.note(source, reason, correlation);
                Err(reason)
            }
            Outcome::Breach(rule) => return Err(Violation::Rule(rule)),
        };
        timer.observe_duration();
        let word = lodged.as_ref().err().map_or(ALLOWED, |reason| reason.word());
        self.gauges.decisions.with_label_values(&[word]).inc();
        Ok(match lodged {
            Ok(voucher) => AuthToWorker::Vouched(Vouched { correlation, voucher }),
            Err(reason) => AuthToWorker::Refused(Refused { correlation, refusal: reason.refusal() }),
        })
    }

    async fn decide(&self, config: &Auth, worker: Peer, submission: Submission) -> Outcome {
        let Submission { correlation, endpoint, source, timestamp, evidence, wish } = submission;
        if let Err(reason) = timestamp::judge(&config.timestamp, timestamp, Millis::now()) {
            return Outcome::Stranger(reason);
        }
        let Some(rules) = config.endpoints.get(endpoint.as_str()) else {
            return Outcome::Stranger(Reason::Endpoint);
        };
        let known = match evidence {
            Evidence::Password { .. } if !rules.password => Err(Outcome::Stranger(Reason::Credential)),
            Evidence::Password { username, password } => {
                let account = self.passwords.verify(config, &username, password, (worker, source)).await;
                self.count("password", account.as_ref().err());
                let (method, request) = (Method::Password, RequestIntegrity::Transport);
                let known = |account| Known { account, method, request, certificate: None, authority: None };
                account.map_err(Outcome::Stranger).and_then(|account: &Account| {
                    self.pace(config, account, (source, correlation)).map(|()| known(account))
                })
            }
            Evidence::Signature(message) => {
                let known = self.signed(config, rules, &message, (timestamp, &wish), (source, correlation)).await;
                match &known {
                    Ok(_) => self.count("signature", None),
                    Err(Outcome::Stranger(reason) | Outcome::Known(reason)) => self.count("signature", Some(reason)),
                    Err(Outcome::Order(_) | Outcome::Breach(_)) => {}
                }
                known
            }
            Evidence::Digest(digest) => {
                let account = self.digested(config, rules, &digest, (worker, source), correlation).await;
                match &account {
                    Ok(_) => self.count("digest", None),
                    Err(Outcome::Stranger(reason) | Outcome::Known(reason)) => self.count("digest", Some(reason)),
                    Err(Outcome::Order(_) | Outcome::Breach(_)) => {}
                }
                let (method, request) = (Method::Digest, RequestIntegrity::Transport);
                account.map(|account| Known { account, method, request, certificate: None, authority: None })
            }
        };
        let Known { account, method, request, certificate, authority } = match known {
            Ok(known) => known,
            Err(outcome) => return outcome,
        };
        let instant = Millis::now();
        failpoint("verified");
        let proven = Proven {
            correlation,
            endpoint: &endpoint,
            token_type: rules.token_type,
            source,
            account,
            authentication: Authentication { method, instant },
            wish: &wish,
            request,
            key: certificate.as_deref().map(|certificate| certificate.der.as_slice()),
        };
        let Decided { order, relying_party, policies } = order::decide(config, &proven, instant);
        let decision = Decision {
            instant,
            correlation,
            endpoint: endpoint.clone(),
            source,
            method,
            authority: authority.map(|authority| authority.name.clone()),
            relying_party,
            allowed: order.is_ok(),
            reason: recorded(order.as_ref().err().map_or(ALLOWED, |reason| reason.word())),
            policies,
        };
        info!(
            correlation = %correlation,
            event = "decided",
            account = ?account.name,
            authority = decision.authority.as_deref().unwrap_or("-"),
            relying_party = decision.relying_party.as_deref().unwrap_or("-"),
            allowed = decision.allowed,
            reason = decision.reason.as_str(),
        );
        let entry = AuthEntry::Decision(decision, DecisionPrivate { account: account.name.clone() });
        if let Err(reason) = self.record.append(entry, config.limits.audit_deadline).await {
            error!(correlation = %correlation, event = "not-recorded");
            return Outcome::Known(reason);
        }
        failpoint("recorded");
        match order {
            Ok(order) => Outcome::Order(Box::new(order)),
            Err(reason) => Outcome::Known(reason),
        }
    }

    async fn lodge(
        &self,
        config: &Auth,
        worker: Peer,
        number: ChannelNumber,
        order: Order,
    ) -> Result<VoucherId, Reason> {
        let id = VoucherId::random();
        let limits = config.limits;
        let voucher = Voucher { id, worker, order };
        self.vouchers.lodge(voucher, number, limits.voucher_ttl, limits.issuer_deadline).await?;
        failpoint("vouchered");
        Ok(id)
    }

    /// Whose message it is, when its signature holds, it was not seen before, it is fresh and for us. What the worker
    /// made of it must be what was signed: an honest one reads it with the same code.
    async fn signed<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        message: &SignedMessage,
        said: (Option<Timestamp>, &Wish),
        request: (IpAddr, Correlation),
    ) -> Result<Known<'a>, Outcome> {
        let now = Millis::now();
        let signer = self.signer(config, rules, message, request.1, now).map_err(Outcome::Stranger)?;
        let Signer { account, authority, certificate, verified } = signer;
        // Before the store is asked: or one account could fill it.
        self.excess.would_admit(&config.throttle, &account.name, request, Instant::now()).map_err(Outcome::Known)?;
        let until = timestamp::until(now);
        self.first_seen(Kind::SignedMessage, verified.once(), until).await.map_err(Outcome::Stranger)?;
        // Whatever else is wrong with it, it is his, and has a place in the store.
        self.pace(config, account, request)?;
        let proof = verified.read(rules).map_err(Outcome::Stranger)?;
        timestamp::judge_once(&config.timestamp, proof.timestamp, now).map_err(Outcome::Stranger)?;
        let (timestamp, wish) = said;
        if timestamp != Some(proof.timestamp) {
            return Err(Outcome::Breach("a timestamp that is not the one signed"));
        }
        if proof.wish.as_ref().is_some_and(|signed| signed != wish) {
            return Err(Outcome::Breach("a wish that is not the one signed"));
        }
        if proof.to_absent {
            self.gauges.leniencies.with_label_values(&["to-absent"]).inc();
        }
        let request = if proof.wish.is_some() { RequestIntegrity::Signed } else { RequestIntegrity::Transport };
        Ok(Known { account, method: Method::X509, request, certificate: Some(certificate), authority })
    }

    /// A registered certificate is looked for first. Of another one an authority is asked only when the signature
    /// holds, so that nobody has paths built who has no key, and before anything that was signed is parsed.
    fn signer<'a, 'm>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        message: &'m SignedMessage,
        correlation: Correlation,
        now: Millis,
    ) -> Result<Signer<'a, 'm>, Reason> {
        if !rules.signature {
            return Err(Reason::Credential);
        }
        let (key, brought) = issued::apart(&message.key).ok_or(Reason::UnknownCertificate)?;
        let (account, authority, certificate, signed) = match config.users.signer(&key, now) {
            Some((account, certificate)) => {
                let signed = signature::verify(certificate, message, now)?;
                (account, None, Cow::Borrowed(certificate), signed)
            }
            None => {
                let certificate = issued::presented(config, &key).ok_or(Reason::UnknownCertificate)?;
                let signed = signature::verify(&certificate, message, now)?;
                let vouched = issued::account(config, &certificate, &brought, now);
                let (account, authority) = vouched.map_err(|refused| self.not_issued(correlation, &refused))?;
                (account, Some(authority), Cow::Owned(certificate), signed)
            }
        };
        // Whoever was disabled is trusted no more: nothing that he signed is parsed.
        if account.disabled {
            return Err(Reason::Disabled);
        }
        let verified = signed.covers()?;
        Ok(Signer { account, authority, certificate, verified })
    }

    /// Says what was wrong with a certificate: the word alone does not tell an operator which file to look at.
    fn not_issued(&self, correlation: Correlation, refused: &issued::Refused<'_>) -> Reason {
        let issued::Refused { reason, authority, why } = refused;
        if let Some(left_out) = self.certificates.pass() {
            let authority = authority.map_or("-", |authority| authority.name.as_str());
            let reason = reason.word();
            warn!(correlation = %correlation, event = "certificate-refused", authority, reason, why, left_out);
        }
        *reason
    }

    /// May this account be served now? Then it has had that.
    fn pace(&self, config: &Auth, account: &Account, request: (IpAddr, Correlation)) -> Result<(), Outcome> {
        self.excess.admit(&config.throttle, &account.name, request, Instant::now()).map_err(Outcome::Known)
    }

    /// Whose digest it is, when it is fresh and was not here before. Freshness is judged before it is looked whose it
    /// is, so that nobody learns from an old digest whether it was right. A replay stays paid for: it is no proof
    /// that the user is where it comes from.
    async fn digested<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        digest: &PasswordDigest,
        from: (Peer, IpAddr),
        correlation: Correlation,
    ) -> Result<&'a Account, Outcome> {
        if !rules.digest {
            return Err(Outcome::Stranger(Reason::Credential));
        }
        let now = Millis::now();
        let made = digest::made(digest).map_err(Outcome::Stranger)?;
        timestamp::judge_once(&config.timestamp, made, now).map_err(Outcome::Stranger)?;
        let charge = self.passwords.charge(&config.throttle, &digest.username, from).map_err(Outcome::Stranger)?;
        let account = digest::verify(&config.users, digest).map_err(Outcome::Stranger)?;
        let request = (from.1, correlation);
        let room = self.excess.would_admit(&config.throttle, &account.name, request, Instant::now());
        let first = match room {
            Ok(()) => self.first_seen(Kind::PasswordNonce, &digest::once(account, digest), timestamp::until(now)).await,
            Err(reason) => Err(reason),
        };
        match first {
            Ok(()) => self.passwords.right(&config.throttle, charge),
            Err(Reason::NoStore | Reason::Excess) => self.passwords.refund(&config.throttle, charge),
            Err(_) => {}
        }
        match first {
            Ok(()) => self.pace(config, account, request).map(|()| account),
            Err(Reason::Excess) => Err(Outcome::Known(Reason::Excess)),
            Err(reason) => Err(Outcome::Stranger(reason)),
        }
    }

    /// Remembers a value that may be used once.
    async fn first_seen(&self, kind: Kind, value: &[u8; 32], until: Millis) -> Result<(), Reason> {
        let store = self.store.as_ref().ok_or(Reason::NoStore)?;
        match store.first_seen(kind, value, until).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Reason::Replayed),
            Err(Down) => Err(Reason::NoStore),
        }
    }

    /// Counts a credential by what became of it.
    fn count(&self, credential: &'static str, refused: Option<&Reason>) {
        let outcome = match refused {
            None => "accepted",
            Some(Reason::Throttled) => "throttled",
            Some(Reason::QueueFull | Reason::NoStore | Reason::Excess) => "busy",
            Some(_) => "refused",
        };
        self.gauges.authentications.with_label_values(&[&format!("{credential}-{outcome}")]).inc();
    }
}
