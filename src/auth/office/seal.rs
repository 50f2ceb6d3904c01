//! The answer to a request under a MAC, under one by the same key, and sealed where the request was. The worker says
//! which parts of a closed list there are and their digests; what the MAC is made of is written here. One answer to a
//! request that was vouched for, and the key is gone. The answer to one that a certificate's key signed is sealed for
//! that certificate, where the endpoint says so, with a key that is made here and gone as soon.

use std::time::Instant;

use aws_lc_rs::hmac;
use tracing::warn;
use zeroize::Zeroizing;

use super::super::cipher;
use super::super::derive::derived;
use super::super::exchanges::{Exchange, Exchanges, Manner};
use super::super::reason::Reason;
use super::super::recipient::Recipient;
use super::super::reply::{self, Named};
use super::super::signature::function_of;
use super::Office;
use crate::wire::derivation::Derivation;
use crate::wire::evidence::Refused;
use crate::wire::frame::Violation;
use crate::wire::links::AuthToWorker;
use crate::wire::reply::{DerivedKey, Seal, SealFor, SealedFor, SealedReply, whole};
use crate::wire::{Correlation, List, Octets};

impl Office {
    /// Seals one answer.
    ///
    /// # Errors
    /// A violation when the worker asks for what no answer has.
    pub(in crate::auth) fn seal(&self, exchanges: &Exchanges, seal: &Seal) -> Result<AuthToWorker, Violation> {
        if !whole(&seal.parts) {
            return Err(Violation::Rule("an answer whose MAC does not cover it"));
        }
        let correlation = seal.correlation;
        let sealed = match exchanges.answered(correlation, Instant::now()) {
            None => Err(Reason::NoSession),
            Some((exchange, _)) if exchange.sealing.is_none() && (seal.signature || !seal.contents.is_empty()) => {
                return Err(Violation::Rule("an answer sealed where the request was not"));
            }
            Some((exchange, manner)) => answer(&exchange, manner, seal).ok_or(Reason::NotSealed),
        };
        Ok(self.answered(correlation, sealed.map(AuthToWorker::Sealed)))
    }

    /// Seals one answer for whoever signed the request.
    ///
    /// # Errors
    /// A violation when there is nothing to be sealed.
    pub(in crate::auth) fn seal_for(&self, exchanges: &Exchanges, asked: &SealFor) -> Result<AuthToWorker, Violation> {
        if asked.contents.is_empty() {
            return Err(Violation::Rule("an answer of which nothing is sealed"));
        }
        let recipient = exchanges.answered_for(asked.correlation, Instant::now()).ok_or(Reason::NoSession);
        let sealed = recipient.and_then(|recipient| sealed_for(&recipient, asked).ok_or(Reason::NotSealed));
        Ok(self.answered(asked.correlation, sealed.map(AuthToWorker::SealedFor)))
    }

    /// Counts it, and says what became of it.
    fn answered(&self, correlation: Correlation, sealed: Result<AuthToWorker, Reason>) -> AuthToWorker {
        let outcome = sealed.as_ref().err().map_or("sealed", |reason| reason.word());
        self.gauges.replies.with_label_values(&[outcome]).inc();
        match sealed {
            Ok(sealed) => sealed,
            Err(reason) => {
                // The token is made, and nobody gets it.
                if let Some(left_out) = self.unsealed.pass() {
                    warn!(correlation = %correlation, event = "not-sealed", reason = reason.word(), left_out);
                }
                AuthToWorker::Refused(Refused { correlation, refusal: reason.refusal() })
            }
        }
    }
}

/// Seals with a session key of our generator's, and that for the recipient. None when one of these fails.
fn sealed_for(recipient: &Recipient, asked: &SealFor) -> Option<SealedFor> {
    let mut session = Zeroizing::new(vec![0; asked.cipher.key_length()]);
    getrandom::fill(&mut session).ok()?;
    let key = recipient.seal(asked.transport, &session)?;
    let by = |plain: &[u8]| Octets::new(cipher::seal(asked.cipher, &session, plain)?).ok();
    let contents = asked.contents.iter().map(|content| by(content.expose())).collect::<Option<Vec<_>>>()?;
    let contents = List::new(contents).ok()?;
    Some(SealedFor { correlation: asked.correlation, thumbprint: recipient.thumbprint, key, contents })
}

/// Signs, then seals. None when our generator or a cipher fails.
fn answer(exchange: &Exchange, manner: Manner, seal: &Seal) -> Option<SealedReply> {
    let Exchange { key, sha1, sealing, .. } = exchange;
    let (mac_key, secret) = fresh(key, manner.derived)?;
    let signed_info = reply::signed_info(manner.algorithm, &seal.parts);
    let by = hmac::Key::new(function_of(manner.algorithm), &secret);
    let value = hmac::sign(&by, signed_info.as_bytes());
    let named = if mac_key.is_some() { Named::Derived(seal.conversation) } else { Named::Session(sha1) };
    let signature = reply::signature(&signed_info, value.as_ref(), &named).into_bytes();
    let correlation = seal.correlation;
    let sealed = seal.signature || !seal.contents.is_empty();
    let Some((cipher, derives)) = sealing.filter(|_| sealed) else {
        let (signature, contents) = (Octets::new(signature).ok()?, List::default());
        return Some(SealedReply { correlation, signature, contents, cipher: None, mac_key, sealing_key: None });
    };
    let length = u8::try_from(cipher.key_length()).ok().filter(|_| derives);
    let (sealing_key, secret) = fresh(key, length)?;
    let by = |plain: &[u8]| cipher::seal(cipher, &secret, plain);
    let contents = seal.contents.iter().map(|content| Octets::new(by(content.expose())?).ok());
    let contents = List::new(contents.collect::<Option<Vec<_>>>()?).ok()?;
    let signature = if seal.signature { by(&signature)? } else { signature };
    let signature = Octets::new(signature).ok()?;
    Some(SealedReply { correlation, signature, contents, cipher: Some(cipher), mac_key, sealing_key })
}

/// The session key, or one derived from it by a nonce that nobody else has chosen.
fn fresh(session: &[u8], length: Option<u8>) -> Option<(Option<DerivedKey>, Zeroizing<Vec<u8>>)> {
    let Some(length) = length else { return Some((None, Zeroizing::new(session.to_vec()))) };
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).ok()?;
    let by = Derivation::new(None, nonce, 0, length.into()).ok()?;
    Some((Some(DerivedKey { nonce, length }), derived(session, &by)))
}
