//! One answer from question to signature. Nothing of it is recorded here: the token in it is, and there is one
//! signature at most for each token that was released. What is signed is written by `token::answer`, over parts of a
//! closed list.

use std::time::Instant;

use super::super::signers::{Job, Kind, NotSigned, Task};
use super::{LATER, Office, SOON, Work};
use crate::sys::channel::{Closed, Duplex};
use crate::token::answer::{self, Unsigned};
use crate::wire::frame::Violation;
use crate::wire::links::IssuerToWorker;
use crate::wire::order::Failure;
use crate::wire::reply::{SignedReply, ToSign, whole};
use crate::wire::{Correlation, KeyId, Octets, Peer};

/// An answer that waits for its signature.
#[derive(Debug)]
pub(in crate::issuer) struct Answering {
    channel: u64,
    peer: Peer,
    correlation: Correlation,
    key: KeyId,
    unsigned: Unsigned,
}

impl Office {
    pub(super) fn sign_reply(&mut self, channel: u64, asked: ToSign, now: Instant) -> Result<(), Closed> {
        let Some(peer) = self.workers.get(&channel).map(Duplex::peer) else { return Ok(()) };
        let ToSign { correlation, parts } = asked;
        if !whole(&parts) {
            return Err(Violation::Rule("an answer whose signature does not cover it").into());
        }
        let key = self.keys.message().map(|key| (key.id.clone(), key.certificate.kind.default_algorithm()));
        // First: whatever becomes of it, it is not asked for again.
        let granted = self.answers.take(peer, correlation, now);
        let (key, algorithm) = match key {
            // It may have been granted by the issuer before this one, and another request will be by this one.
            _ if !granted => return self.not_signed((channel, correlation), "token", SOON, now),
            Some((key, algorithm)) if self.signers.is_available(&key, now) => (key, algorithm),
            _ => return self.not_signed((channel, correlation), "unavailable", LATER, now),
        };
        let Some(place) = self.place(Kind::Answer, peer, &key) else {
            return self.not_signed((channel, correlation), "full", SOON, now);
        };
        let unsigned = Unsigned::of(&parts, algorithm);
        let task = Task::Sign { mechanism: algorithm.mechanism(), digest: unsigned.digest() };
        let answering = Answering { channel, peer, correlation, key: key.clone(), unsigned };
        self.begin(Kind::Answer, peer);
        self.signers.perform(place, Job { key, task, work: Work::Answer(Box::new(answering)) }, now);
        Ok(())
    }

    fn not_signed(
        &mut self,
        (channel, correlation): (u64, Correlation),
        result: &'static str,
        failure: Failure,
        now: Instant,
    ) -> Result<(), Closed> {
        self.measures.replies.with_label_values(&[result]).inc();
        if let Some(left_out) = self.refusals.permit(now) {
            tracing::warn!(correlation = %correlation, event = "reply-not-signed", reason = result, left_out);
        }
        self.answer(channel, &IssuerToWorker::ReplyFailed { correlation, failure }, now);
        Ok(())
    }

    pub(super) fn reply_signed(&mut self, answering: Answering, result: Result<Octets<512>, NotSigned>, now: Instant) {
        let Answering { channel, peer, correlation, key, unsigned } = answering;
        self.end(Kind::Answer, peer);
        let written = result.ok().and_then(|value| {
            let key = self.keys.find(&key)?;
            if !key.verifies(unsigned.algorithm().mechanism(), unsigned.signed_octets(), &value) {
                self.measures.wrong_signatures.inc();
                tracing::error!(correlation = %correlation, event = "wrong-signature", key = key.name);
                return None;
            }
            let certificate = Octets::new(answer::certificate(&key.certificate.base64)).ok()?;
            let signature = Octets::new(unsigned.seal(&value)).ok()?;
            Some(SignedReply { correlation, certificate, signature })
        });
        match written {
            Some(signed) => {
                self.measures.replies.with_label_values(&["signed"]).inc();
                self.answer(channel, &IssuerToWorker::ReplySigned(signed), now);
            }
            None => {
                // The token is recorded, and nobody gets it.
                let _answered = self.not_signed((channel, correlation), "failed", SOON, now);
            }
        }
    }
}
