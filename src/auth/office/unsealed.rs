//! Opening what was sealed before it was signed. The signature, whose it is, the digests, the instant and the address
//! are judged first, while nothing is open; then the session key is opened, and by it what was found in the octets that
//! were signed, and nothing that stood beside them. So nobody learns what is in a ciphertext by changing it, which CBC
//! would tell him (R-W051, A-21): whoever has one opened has signed it as it is. Somebody with an account could sign
//! one that he made of another's, beside that one's session key, which he cannot read. So a session key is used up
//! before anything is opened by it, whatever becomes of that: he has one try and no second, and where it comes to
//! nothing the record has it under his name.

use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::super::cipher::{self, Tried};
use super::super::confirmed::Confirmed;
use super::super::exchanges::{Exchange, Exchanges, NotKept};
use super::super::reason::Reason;
use super::super::sealed::{self, Sealed, Whole};
use super::super::signature::{Admitted, Content, Unproven, Verified};
use super::super::store::Kind;
use super::super::timestamp;
use super::open::Found;
use super::proof::{Asked, Beside, Signer};
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::sys::failpoint::failpoint;
use crate::wire::evidence::Refused;
use crate::wire::frame::Violation;
use crate::wire::ids::Peer;
use crate::wire::links::AuthToWorker;
use crate::wire::order::Method;
use crate::wire::unwrap::{MOST_PART_OCTETS, NotUnwrapped, OpenSigned, Opened, Unwrap};
use crate::wire::{List, Millis, Secret, Text};

/// The account that signed a message, and the authority that named it, where one did.
type Whose<'a> = (&'a Account, Option<&'a Text<64>>);

impl Office {
    /// Opens what is sealed of a message that is signed as it is.
    ///
    /// # Errors
    /// A violation when the worker contradicts what its client has signed, or one of this request was opened before and
    /// has not been submitted yet.
    pub(in crate::auth) async fn open_signed(
        &self,
        (worker, confirmed): (Peer, &Confirmed),
        exchanges: &Exchanges,
        open: OpenSigned,
    ) -> Result<AuthToWorker, Violation> {
        let (config, directories) = self.rules();
        let (correlation, source, endpoint) = (open.correlation, open.source, open.endpoint.clone());
        let (directories, exchange, timestamp, wish) = (&*directories, None, None, None);
        let asked = Asked { directories, worker, confirmed, exchange, source, correlation, timestamp, wish };
        let ended = match self.unsealed(&config, open, &asked).await {
            Ok((within, exchange, (account, authority))) => match exchanges.keep(correlation, exchange, Instant::now())
            {
                Ok(()) => {
                    self.gauges.opened.inc();
                    let parts = List::new(vec![within]).expect("one is not too many");
                    return Ok(AuthToWorker::Opened(Opened { correlation, parts }));
                }
                Err(NotKept::Full) => Ended::Stranger(Reason::TooManyKeys).of(account, Method::X509, authority),
                Err(NotKept::Twice) => return Err(Violation::Rule("a second message opened for one request")),
            },
            Err(ended) => ended,
        };
        let reason = match self.settled(&config, (correlation, endpoint, source), ended).await {
            Ended::Breach(rule) => return Err(Violation::Rule(rule)),
            Ended::Known(reason) => reason,
            Ended::Named(named) => named.reason,
            Ended::Stranger(reason) => {
                self.strangers.note(source, reason, correlation, None);
                reason
            }
        };
        self.count("signature", Some(reason));
        self.gauges.decisions.with_label_values(&[reason.word()]).inc();
        Ok(AuthToWorker::Refused(Refused { correlation, refusal: reason.refusal() }))
    }

    async fn unsealed<'a>(
        &self,
        config: &'a Auth,
        open: OpenSigned,
        asked: &Asked<'_>,
    ) -> Result<(Secret<MOST_PART_OCTETS>, Exchange, Whose<'a>), Ended> {
        let OpenSigned { endpoint, recipient, transport, sealed: key, message, .. } = open;
        let stranger = Ended::Stranger;
        let rules = config.endpoints.get(endpoint.as_str()).ok_or(stranger(Reason::Endpoint))?;
        if !rules.encryption || !rules.signature {
            return Err(stranger(Reason::Credential));
        }
        let message = Admitted::at(rules, &message).map_err(stranger)?;
        let now = Millis::now();
        let Signer { account, authority, verified, .. } =
            self.signer(config, rules, message, asked, now).await.map_err(stranger)?;
        // Before a key is opened and the store is asked, as for a message that is not sealed.
        let _room = self.has_room(config, account, asked).map_err(Ended::Known)?;
        // Whoever keeps a copy would have each charged to him, and in the record as his.
        self.first_seen(Kind::OpenedMessage, verified.once(), timestamp::until(now)).await.map_err(stranger)?;
        // Whatever becomes of it, it is his, and has a place in the store; what is submitted of it then is not paid for
        // again.
        self.pace(config, account, asked)?;
        let authority = authority.map(|authority| &authority.name);
        let his = |ended: Ended| ended.of(account, Method::X509, authority);
        let sealed = self.found(config, rules, &verified, asked, now).map_err(his)?;
        let is_key = sealed::is_key(&verified, transport, &key);
        if !is_key.map_err(|why| his(stranger(self.not_proven(asked.correlation, &why))))? {
            return Err(his(Ended::Breach("a session key that is not the one signed")));
        }
        // His signature held: nobody else's keys are in his way.
        let from = (asked.worker, Found::Message, &account.name);
        if !self.proven_unwraps.admit_proven(&config.throttle, from, Instant::now()) {
            return Err(his(stranger(Reason::TooManyKeys)));
        }
        let mut once = [0; 32];
        once.copy_from_slice(digest(&SHA256, &key).as_ref());
        let unwrap = Unwrap { serial: 0, worker: asked.worker, proven: true, recipient, transport, sealed: key };
        let session = match self.vouchers.unwrap(unwrap, config.limits.issuer_deadline).await {
            Ok(session) => Some(session),
            Err(NotUnwrapped::Unopened) => None,
            Err(NotUnwrapped::Rate) => return Err(his(stranger(Reason::TooManyKeys))),
            Err(NotUnwrapped::Unavailable | NotUnwrapped::NotYet) => return Err(his(stranger(Reason::NotUnwrapped))),
        };
        // Before anything is opened by it: what becomes of that is told once.
        self.first_seen(Kind::CipherValue, &once, timestamp::until(Millis::now())).await.map_err(|reason| {
            let replayed = reason == Reason::Replayed;
            his(stranger(if replayed { Reason::ReplayedKey } else { reason }))
        })?;
        let session = session.as_ref().map(|session| session.expose());
        let opened = opened(&sealed, session).map_err(stranger);
        let (within, _) = opened.map_err(his)?;
        let within = Secret::new(within.as_slice()).map_err(|_| his(stranger(Reason::Unopened)))?;
        if sealed.cipher.gcm().is_none() {
            self.gauges.leniencies.with_label_values(&["aes-cbc"]).inc();
        }
        failpoint("unsealed");
        let key = Zeroizing::new(session.unwrap_or_default().to_vec());
        let verified = Some(*verified.once());
        let (sha1, sealing, opened, unseen) = ([0; 20], None, Vec::new(), None);
        let exchange = Exchange { endpoint, key, sha1, sealing, opened, unseen, verified };
        Ok((within, exchange, (account, authority)))
    }

    /// What is to be opened of a message that is fresh and for us, as far as that shows while it is sealed.
    fn found<'m>(
        &self,
        config: &Auth,
        rules: &Endpoint,
        verified: &Verified<'m>,
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Sealed<'m>, Ended> {
        let refused = |why| Ended::Stranger(self.not_proven(asked.correlation, &why));
        let proof = verified.read_with(rules, Content::Sealed).map_err(refused)?;
        if !Beside::Nothing.is_all_of(&proof) {
            return Err(Ended::Breach("a signed token that was left out"));
        }
        timestamp::judge_once(&config.timestamp, proof.timestamp, now).map_err(Ended::Stranger)?;
        let sealed = Sealed::find(verified).map_err(refused)?;
        // An honest worker asks here for what a signature covers, and in another way for what none does.
        let mut sealed = sealed.into_iter();
        let one = sealed.next().ok_or(Ended::Breach("a message to be opened in which nothing is sealed"))?;
        let sealed = if one.in_body && sealed.next().is_none() {
            one
        } else {
            return Err(refused(Unproven::by(Reason::UnreadableSignature, "more is sealed than what the body holds")));
        };
        if sealed.cipher.gcm().is_none() && !rules.aes_cbc {
            return Err(Ended::Stranger(Reason::Cipher));
        }
        Ok(sealed)
    }

    /// What was sealed of this message when it was signed, where that was opened for this request; none where nothing
    /// was. Where it was opened before the message was verified, because the signature was sealed, too, it is opened
    /// once more in what was signed: that is what counts, and what a worker has made of it is not.
    pub(super) fn content(
        &self,
        rules: &Endpoint,
        verified: &Verified<'_>,
        asked: &Asked<'_>,
    ) -> Result<Option<Whole>, Ended> {
        let verified_before = asked.exchange.and_then(|exchange| exchange.verified);
        if verified_before.is_some_and(|of| of != *verified.once()) {
            return Err(Ended::Breach("another message than was opened for this request"));
        }
        if !rules.encryption {
            return Ok(None);
        }
        let sealed = Sealed::find(verified);
        let sealed = sealed.map_err(|why| Ended::Stranger(self.not_proven(asked.correlation, &why)))?;
        if sealed.is_empty() {
            return Ok(None);
        }
        let exchange = asked.exchange.ok_or(Ended::Stranger(Reason::NoSession))?;
        let mut whole = Whole::default();
        for sealed in &sealed {
            let key = match verified_before {
                Some(_) => exchange.key.clone(),
                None if sealed.cipher.gcm().is_none() => return Err(Ended::Stranger(Reason::Cipher)),
                None => exchange.opens(&sealed.octets).map_err(Ended::Stranger)?,
            };
            let (_, opened) = opened(sealed, Some(&key)).map_err(Ended::Stranger)?;
            whole.join(opened);
        }
        Ok(Some(whole))
    }
}

/// What was sealed, and the body that it belongs in. Without a key, or by one of another length, a random one is tried,
/// and what does not open is read all the same: all that is wrong takes as long.
fn opened(sealed: &Sealed<'_>, key: Option<&[u8]>) -> Result<(Zeroizing<Vec<u8>>, Whole), Reason> {
    let mut other = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *other).map_err(|_| Reason::NotUnwrapped)?;
    let length = cipher::key_length(sealed.cipher);
    let key = key.filter(|key| key.len() == length).unwrap_or(&other[..length]);
    let Tried { octets, opened } = cipher::open_signed(sealed.cipher, key, &sealed.octets);
    let whole = sealed.with(&octets);
    whole.filter(|_| opened).map(|whole| (octets, whole)).ok_or(Reason::Unopened)
}
