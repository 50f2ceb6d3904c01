//! `Order → Approved → Prepared → Recorded → Signed → Released`: each step consumes the one before and has
//! one maker, so the compiler keeps the order. `Approved` comes from the ceilings, `Recorded` and `Released`
//! from the journal; the two steps between are here: writing the octets, and sealing them with a signature
//! that has been verified.

use aws_lc_rs::digest::{SHA256, digest};

use super::ceilings::{Above, Approved};
use super::journal::Recorded;
use super::keys::ActiveKey;
use crate::token::{Algorithm, Assertion, Enveloped, TokenId, saml11, saml20};
use crate::wire::links::Mechanism;
use crate::wire::order::{Confirmation, Release, TokenType};
use crate::wire::record::{Intent, IntentPrivate, IssuerEntry, Outcome, OutcomeResult};
use crate::wire::{Correlation, KeyId, Millis, Octets, Text};

/// The largest assertion, octets: with signature and certificate a token stays under the wire's 256 KiB,
/// and so does the intent that records it.
const LARGEST: usize = 192 * 1024;

/// SHA-256 by value.
pub(super) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, octets).as_ref());
    out
}

/// The octets, and the intent that must be durable before anybody signs them.
#[derive(Debug)]
pub(super) struct Prepared {
    ticket: u64,
    enveloped: Enveloped,
    intent: Intent,
    private: IntentPrivate,
}

impl Prepared {
    /// Writes the token. `ticket` is how the caller knows it again.
    pub(super) fn prepare(
        approved: Approved,
        ticket: u64,
        issuer: &str,
        audience: &[String],
        key: &ActiveKey,
        algorithm: Algorithm,
    ) -> Result<Self, Above> {
        let (order, now, not_before, expires) = approved.into_parts();
        let id = TokenId::random();
        let assertion = Assertion {
            id: &id,
            issuer,
            issued: now,
            not_before,
            expires,
            audience,
            subject: &order.subject,
            claims: &order.claims,
            confirmation: &order.confirmation,
            authentication: &order.authentication,
        };
        let written = match order.token_type {
            TokenType::Saml20 => saml20::write(&assertion),
            TokenType::Saml11 => saml11::write(&assertion).ok_or(Above::Claim)?,
        };
        if written.canonical().len() > LARGEST {
            return Err(Above::Size);
        }
        let intent = Intent {
            instant: now,
            correlation: order.correlation,
            token_id: id.text(),
            token_type: order.token_type,
            relying_party: order.relying_party,
            created: not_before,
            expires,
            method: order.authentication.method,
            request: order.request,
            key: key.id.clone(),
            digest: sha256(written.canonical().as_bytes()),
            holder: match &order.confirmation {
                Confirmation::Bearer => None,
                Confirmation::HolderOfKey { certificate } => Some(sha256(certificate)),
            },
        };
        let private = IntentPrivate { subject: order.subject, claims: order.claims };
        Ok(Self { ticket, enveloped: written.envelop(algorithm), intent, private })
    }

    pub(super) fn ticket(&self) -> u64 {
        self.ticket
    }

    /// The entry to make durable.
    pub(super) fn entry(&self) -> IssuerEntry {
        IssuerEntry::Intent(self.intent.clone(), self.private.clone())
    }

    /// The entry that ends it without a token.
    pub(super) fn outcome(&self, result: OutcomeResult, instant: Millis) -> Outcome {
        Outcome { instant, correlation: self.intent.correlation, token_id: self.intent.token_id.clone(), result }
    }

    pub(super) fn correlation(&self) -> Correlation {
        self.intent.correlation
    }

    pub(super) fn token_id(&self) -> &Text<64> {
        &self.intent.token_id
    }

    pub(super) fn key(&self) -> &KeyId {
        &self.intent.key
    }

    pub(super) fn mechanism(&self) -> Mechanism {
        self.enveloped.algorithm().mechanism()
    }

    pub(super) fn digest(&self) -> Vec<u8> {
        self.enveloped.digest()
    }

    /// What the signature will cover, for tests that sign.
    #[cfg(test)]
    pub(super) fn signed_octets(&self) -> &[u8] {
        self.enveloped.signed_octets()
    }

    pub(super) fn relying_party(&self) -> &str {
        &self.intent.relying_party
    }
}

/// A token with a signature that verifies. It leaves only by way of the journal.
#[derive(Debug)]
pub(super) struct Signed {
    ticket: u64,
    release: Release,
    outcome: Outcome,
    relying_party: Text<128>,
}

impl Signed {
    /// Verifies the signature with the public key and puts it in its place. A signature that does not verify
    /// gives back what was recorded, and is gone.
    pub(super) fn seal(
        recorded: Box<Recorded>,
        signature: &[u8],
        key: &ActiveKey,
        now: Millis,
    ) -> Result<Self, Box<Recorded>> {
        let prepared = recorded.prepared();
        if key.id != prepared.intent.key
            || !key.verifies(prepared.mechanism(), prepared.enveloped.signed_octets(), signature)
        {
            return Err(recorded);
        }
        let token = prepared.enveloped.seal(signature, &key.certificate.base64);
        let Ok(token) = Octets::new(token) else { return Err(recorded) };
        let intent = &prepared.intent;
        Ok(Self {
            ticket: prepared.ticket,
            outcome: prepared.outcome(OutcomeResult::Signed { signature: sha256(signature) }, now),
            relying_party: intent.relying_party.clone(),
            release: Release {
                correlation: intent.correlation,
                token,
                token_type: intent.token_type,
                token_id: intent.token_id.clone(),
                created: intent.created,
                expires: intent.expires,
            },
        })
    }

    /// The entry that ends it.
    pub(super) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// For the journal, which alone lets a token go.
    pub(super) fn into_parts(self) -> (u64, Release, Outcome, Text<128>) {
        (self.ticket, self.release, self.outcome, self.relying_party)
    }
}
