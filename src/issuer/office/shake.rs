//! One handshake from question to answer. Nothing of it is recorded: it binds this server and no subject. Where the
//! client is asked for a certificate it is remembered, so that auth can ask about it; for that the key must not sign
//! the same octets in the same way twice, which is tried once for each key.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};

use super::super::handshake;
use super::super::quota::Quota;
use super::super::signers::{Job, Kind, NotSigned, Place, Task};
use super::{Office, Work};
use crate::sys::channel::{Closed, Duplex};
use crate::wire::links::{Handshake, IssuerToAuth, IssuerToWorker, Mechanism, SignedHandshake, Transcript};
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
    /// What is to be remembered besides the signature.
    keep: Option<Keep>,
}

#[derive(Debug)]
struct Keep {
    certificate: [u8; 32],
    transcript: Transcript,
    /// What the key made of these octets the first time, while it is not known whether it signs alike.
    first: Option<Octets<512>>,
}

impl Office {
    pub(super) fn handshake(
        &mut self,
        channel: u64,
        handshake: Handshake,
        remembered: bool,
        now: Instant,
    ) -> Result<(), Closed> {
        let Some(peer) = self.workers.get(&channel).map(Duplex::peer) else { return Ok(()) };
        let Some(to_sign) = handshake::build(&handshake, remembered, &self.keys)? else {
            self.no_handshake((channel, peer), handshake.serial, "certificate", now);
            return Ok(());
        };
        let (key, mechanism, octets) = (to_sign.key.id.clone(), to_sign.mechanism, to_sign.octets);
        let quota = Quota::new(self.config.handshakes_per_second, SECOND);
        let admitted = match self.rates.one_more(&peer, quota, now) {
            None => Err("rate"),
            Some(_) if !self.signers.is_available(&key, now) => Err("unavailable"),
            Some(_) if remembered && self.remembered.knows_alike(&key, now) => Err("key"),
            Some(used) => self.place(Kind::Handshake, peer, &key).map(|place| (place, used)).ok_or("full"),
        };
        let (place, used) = match admitted {
            Ok(admitted) => admitted,
            Err(result) => {
                self.no_handshake((channel, peer), handshake.serial, result, now);
                return Ok(());
            }
        };
        let Handshake { serial, certificate, transcript, .. } = handshake;
        let keep = remembered.then_some(Keep { certificate, transcript, first: None });
        self.rates.note(peer, used);
        self.begin(Kind::Handshake, peer);
        self.have_signed(place, Shake { channel, peer, serial, key, mechanism, octets, keep }, now);
        Ok(())
    }

    fn no_handshake(&mut self, (channel, peer): (u64, Peer), serial: u64, result: &'static str, now: Instant) {
        self.measures.handshakes.with_label_values(&[result]).inc();
        if let Some(left_out) = self.refusals.permit(now) {
            tracing::warn!(event = "handshake-refused", reason = result, peer = peer.0, left_out);
        }
        self.answer(channel, &IssuerToWorker::HandshakeFailed { serial }, now);
    }

    fn have_signed(&mut self, place: Place, shake: Shake, now: Instant) {
        let hash = match shake.mechanism.digest_length() {
            48 => &SHA384,
            64 => &SHA512,
            _ => &SHA256,
        };
        let digest = digest(hash, &shake.octets).as_ref().to_vec();
        let (key, mechanism) = (shake.key.clone(), shake.mechanism);
        let task = Task::Sign { mechanism, digest };
        self.signers.perform(place, Job { key, task, work: Work::Handshake(Box::new(shake)) }, now);
    }

    pub(super) fn handshake_signed(&mut self, mut shake: Shake, result: Result<Octets<512>, NotSigned>, now: Instant) {
        let serial = shake.serial;
        let mut verified = result.ok().filter(|signature| {
            let good =
                self.keys.find(&shake.key).is_some_and(|key| key.verifies(shake.mechanism, &shake.octets, signature));
            if !good {
                self.measures.wrong_signatures.inc();
                tracing::error!(event = "wrong-signature", handshake = serial);
            }
            good
        });
        if let (Some(keep), Some(signature)) = (&mut shake.keep, &verified)
            && !self.remembered.knows_random(&shake.key)
        {
            match &keep.first {
                None => {
                    keep.first = Some(signature.clone());
                    if let Ok(place) = self.signers.place(Kind::Handshake, shake.peer, &shake.key) {
                        self.have_signed(place, shake, now);
                        return;
                    }
                    // Not compared, and so not completed.
                    verified = None;
                }
                Some(first) if first == signature => {
                    // Whoever connects causes one.
                    if let Some(left_out) = self.lines.permit(now) {
                        let why = "it signs the same octets alike twice: no client can prove a certificate by it";
                        tracing::error!(event = "handshake-key", why, left_out);
                    }
                    self.remembered.note_alike(shake.key.clone(), now);
                    verified = None;
                }
                Some(_) => self.remembered.note_random(shake.key.clone()),
            }
        }
        self.end(Kind::Handshake, shake.peer);
        let encoded = verified.and_then(|signature| handshake::encode(shake.mechanism, &signature));
        if let (Some(Keep { certificate, transcript, .. }), Some(signature)) = (shake.keep, &encoded)
            // The number of a process that is gone may be another's by now.
            && self.workers.contains_key(&shake.channel)
        {
            let signed = SignedHandshake { certificate, transcript, signature: signature.clone() };
            self.remembered.note(shake.peer, &signed, now);
        }
        let (result, message) = match encoded {
            Some(signature) => ("signed", IssuerToWorker::HandshakeSigned { serial, signature }),
            None => ("failed", IssuerToWorker::HandshakeFailed { serial }),
        };
        self.measures.handshakes.with_label_values(&[result]).inc();
        self.answer(shake.channel, &message, now);
    }

    /// Says of a handshake whether it was signed for that worker, lately.
    pub(super) fn confirm(
        &mut self,
        channel: u64,
        question: u64,
        (worker, handshake): (Peer, &SignedHandshake),
        now: Instant,
    ) -> Result<(), Closed> {
        let left = self.remembered.left(worker, handshake, now);
        let left_ms = left.map(|left| u32::try_from(left.as_millis()).unwrap_or(u32::MAX));
        let answer = IssuerToAuth::Confirmed { question, left_ms };
        self.auths.get_mut(&channel).map_or(Ok(()), |duplex| duplex.queue(&answer))
    }
}
