//! An assertion for the holder of a key that its partner has made and sealed for us in it, beside a MAC over the
//! message by that key (R-W060). Whose assertion it is, whether it holds and whether he may present it here is judged
//! first: no key is opened that no partner has sealed, so that nobody learns anything by sealing one. Then it is
//! opened, and the MAC judged, over octets; only then is anything parsed that it covers. No worker has the key, so that
//! what the MAC covers is its client's own words; its partner has it. That there is none looks as a MAC does that is
//! wrong.

use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::super::assertion::{self, Refused, SealedKey};
use super::super::reason::Reason;
use super::super::shared_keys::Kept;
use super::super::signature;
use super::asserted::meant;
use super::open::Found;
use super::proof::{Asked, Known};
use super::vouched::Meant;
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::endpoint::Endpoint;
use crate::wire::evidence::{KeyedMessage, MacAlgorithm, SignedAssertion};
use crate::wire::record::{Held, HeldKey, Proof};
use crate::wire::unwrap::{NotUnwrapped, Unwrap};
use crate::wire::{Millis, Text};

/// For how long what did not open is not tried again: a token that fails says nothing else of what is sealed well, and
/// is back in some seconds. How often an account has keys tried is its pace's to say.
const NOT_OPENED_MS: i64 = 5_000;

impl Office {
    /// Whom the holder of the key that an assertion has for him has put this message under a MAC as.
    pub(super) async fn attested_by_mac<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        signed: &SignedAssertion,
        message: &KeyedMessage,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.saml {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let sha1 = message.algorithm == MacAlgorithm::HmacSha1;
        if sha1 && !rules.hmac_sha1 {
            return Err(Ended::Stranger(Reason::MacAlgorithm));
        }
        let now = Millis::now();
        let refused = |refused: Refused<'_>| self.not_asserted(asked.correlation, &refused);
        let (account, verified) = meant(config, signed, now).map_err(refused)?;
        let sealed = sealed_key(&verified, rules, asked, now).map_err(refused)?.clone();
        let key = self
            .shared_key(config, (&sealed, verified.over()), &account.name, asked, now)
            .await
            .map_err(Ended::Stranger)?;
        let covered = covered(&verified, &key, message, rules).map_err(refused)?;
        let proven = Held { proof: Proof::Mac, key: HeldKey::Sealed(hash(&sealed.sealed)) };
        let known =
            self.holds(config, rules, Meant { account, verified, signed }, (proven, covered), asked, now).await?;
        if sha1 {
            self.gauges.leniencies.with_label_values(&["hmac-sha1"]).inc();
        }
        Ok(known)
    }

    /// What was sealed, or a random key in the place of what does not open. An assertion may be presented again and
    /// again while it holds, so it is remembered as long, and opened once; copies that come meanwhile wait for that.
    async fn shared_key(
        &self,
        config: &Auth,
        (sealed, over): (&SealedKey, Millis),
        whose: &Text<256>,
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Zeroizing<Vec<u8>>, Reason> {
        let SealedKey { recipient, transport, sealed } = sealed.clone();
        let name = borsh::to_vec(&(&recipient, transport, &sealed)).map_err(|_| Reason::NotUnwrapped)?;
        let name = hash(&name);
        if let Some(key) = self.shared_keys.find(&name, now) {
            return Ok(key);
        }
        let unwrap = Unwrap { serial: 0, worker: asked.worker, proven: true, recipient, transport, sealed };
        // A refusal may concern the worker, or whom the assertion is about: that is nobody else's answer.
        let question = (name, asked.worker, whose.clone());
        let waiting = self.shared_keys.question(&question);
        let answer = waiting.get_or_init(|| async {
            // Since this was looked for.
            if let Some(key) = self.shared_keys.find(&name, now) {
                return Ok(key);
            }
            let one = self.opened_key(config, unwrap, over, whose).await?;
            let key = one.key.clone();
            self.shared_keys.keep(&question, &waiting, one, Millis::now());
            Ok(key)
        });
        answer.await.clone()
    }

    /// Opens it, at the pace of whom the assertion is about: no stranger can use that up. Until when that counts.
    async fn opened_key(&self, config: &Auth, unwrap: Unwrap, over: Millis, whose: &Text<256>) -> Result<Kept, Reason> {
        let from = (unwrap.worker, Found::Assertion, whose);
        if !self.proven_unwraps.admit_proven(&config.throttle, from, Instant::now()) {
            return Err(Reason::TooManyKeys);
        }
        match self.vouchers.unwrap(unwrap, config.limits.issuer_deadline).await {
            Ok(key) => Ok(Kept { key: Zeroizing::new(key.expose().to_vec()), until: over, opened: true }),
            Err(NotUnwrapped::Unopened) => {
                let mut other = Zeroizing::new(vec![0; 32]);
                getrandom::fill(&mut other).map_err(|_| Reason::NotUnwrapped)?;
                Ok(Kept { key: other, until: over.min(Millis::now().plus(NOT_OPENED_MS)), opened: false })
            }
            Err(NotUnwrapped::Rate) => Err(Reason::TooManyKeys),
            Err(NotUnwrapped::Unavailable | NotUnwrapped::NotYet) => Err(Reason::NotUnwrapped),
        }
    }
}

fn hash(octets: &[u8]) -> [u8; 32] {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, octets).as_ref());
    name
}

/// The key by which a MAC may prove the holder of this assertion, here and now.
fn sealed_key<'v, 'a>(
    verified: &'v assertion::Verified<'a>,
    rules: &Endpoint,
    asked: &Asked<'_>,
    now: Millis,
) -> Result<&'v SealedKey, Refused<'a>> {
    if !verified.partner.proofs.mac {
        return Err(verified.refused(Reason::Confirmation, "its holder may not prove himself by a MAC"));
    }
    let key = verified.sealed_key(rules, asked.source, now);
    key.map_err(|why| verified.refused(Reason::Confirmation, why))
}

/// What a MAC by that key covers.
fn covered<'m, 'a>(
    verified: &assertion::Verified<'a>,
    key: &[u8],
    message: &'m KeyedMessage,
    rules: &Endpoint,
) -> Result<signature::Verified<'m>, Refused<'a>> {
    let signed = signature::authentic(key, message).map_err(|_| {
        let why = "the message is not under a MAC by the key that it has, or no key of ours opens that";
        verified.refused(Reason::WrongEndorsement, why)
    })?;
    signed.covers(rules).map_err(|unproven| {
        let why = format!("a message that is not as it was under a MAC: {}", unproven.why);
        verified.refused(unproven.reason, why)
    })
}
