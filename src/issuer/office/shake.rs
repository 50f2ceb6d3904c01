//! One handshake from question to answer. Nothing of it is recorded: it binds this server and no subject.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};

use super::super::handshake;
use super::super::quota::Quota;
use super::super::signers::{Job, NotSigned};
use super::{Office, Work};
use crate::sys::channel::{Closed, Duplex};
use crate::wire::links::{Handshake, IssuerToWorker, Mechanism};
use crate::wire::{KeyId, Octets, Peer};

const SECOND: Duration = Duration::from_secs(1);

/// A handshake waiting for its signature.
#[derive(Debug)]
pub(in crate::issuer) struct Shake {
    channel: u64,
    peer: Peer,
    serial: u64,
    key: KeyId,
    mechanism: Mechanism,
    octets: Vec<u8>,
}

impl Office {
    pub(super) fn handshake(&mut self, channel: u64, handshake: &Handshake, now: Instant) -> Result<(), Closed> {
        let Some(peer) = self.workers.get(&channel).map(Duplex::peer) else { return Ok(()) };
        let to_sign = handshake::build(handshake, &self.keys)?;
        let key = to_sign.key.id.clone();
        let quota = Quota::new(self.config.handshakes_per_second, SECOND);
        let used = self.rates.one_more(&peer, quota, now).filter(|_| self.has_room(peer));
        let refused = match used {
            None => Some("rate"),
            Some(_) if !self.signers.is_available(&key, now) => Some("unavailable"),
            Some(used) => {
                self.rates.note(peer, used);
                None
            }
        };
        if let Some(result) = refused {
            self.measures.handshakes.with_label_values(&[result]).inc();
            if let Some(left_out) = self.refusals.permit(now) {
                tracing::warn!(event = "handshake-refused", reason = result, peer = peer.0, left_out);
            }
            self.answer(channel, &IssuerToWorker::HandshakeFailed { serial: handshake.serial }, now);
            return Ok(());
        }
        let mechanism = to_sign.mechanism;
        let shake =
            Shake { channel, peer, serial: handshake.serial, key: key.clone(), mechanism, octets: to_sign.octets };
        let hash = match mechanism.digest_length() {
            48 => &SHA384,
            64 => &SHA512,
            _ => &SHA256,
        };
        let digest = digest(hash, &shake.octets).as_ref().to_vec();
        self.begin(peer);
        self.shakes += 1;
        self.signers.sign(Job { key, mechanism, digest, work: Work::Handshake(Box::new(shake)) }, now);
        Ok(())
    }

    pub(super) fn handshake_signed(&mut self, shake: &Shake, result: Result<Octets<512>, NotSigned>, now: Instant) {
        self.end(shake.peer);
        let serial = shake.serial;
        let verified = result.ok().filter(|signature| {
            let good =
                self.keys.find(&shake.key).is_some_and(|key| key.verifies(shake.mechanism, &shake.octets, signature));
            if !good {
                self.measures.wrong_signatures.inc();
                tracing::error!(event = "wrong-signature", handshake = serial);
            }
            good
        });
        let encoded = verified.and_then(|signature| handshake::encode(shake.mechanism, &signature));
        let (result, message) = match encoded {
            Some(signature) => ("signed", IssuerToWorker::HandshakeSigned { serial, signature }),
            None => ("failed", IssuerToWorker::HandshakeFailed { serial }),
        };
        self.measures.handshakes.with_label_values(&[result]).inc();
        self.answer(shake.channel, &message, now);
    }
}
