//! What he asks issuer to sign as a handshake.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use chancery::wire::Octets;
use chancery::wire::links::{Handshake, IssuerToWorker, Scheme, Transcript, WorkerToIssuer};

use super::HANDSHAKES;
use super::stack::{Stack, Verdict, must};

pub(super) fn handshake(certificate: [u8; 32], scheme: Scheme, transcript: Transcript) -> WorkerToIssuer {
    WorkerToIssuer::Handshake(Handshake { serial: 7, certificate, scheme, transcript })
}

pub(super) fn hash(length: usize) -> Transcript {
    Transcript::Tls13 { hash: Octets::new(vec![7; length]).unwrap() }
}

pub(super) fn parameters(curve: u16, point: Vec<u8>) -> Transcript {
    let point = Octets::new(point).unwrap();
    Transcript::Tls12 { client_random: [1; 32], server_random: [2; 32], curve, point }
}

pub(super) fn certificate(path: &str) -> [u8; 32] {
    let (_, pem) = x509_parser::pem::parse_x509_pem(&std::fs::read(path).unwrap()).unwrap();
    digest(&SHA256, &pem.contents).as_ref().try_into().unwrap()
}

impl Stack {
    pub(super) fn server(&self) -> [u8; 32] {
        certificate(self.demo.fact("ca"))
    }

    /// Each on a channel of its own.
    pub(super) fn breaches(&self, messages: Vec<WorkerToIssuer>) -> Verdict {
        for message in messages {
            let mut issuer = self.issuer();
            let named = format!("{message:?}");
            issuer.send(message)?;
            issuer.hung_up_on().map_err(|why| format!("{named}: {why}"))?;
        }
        Ok(())
    }
}

pub(super) fn an_honest_handshake_is_signed(stack: &Stack) -> Verdict {
    let mut issuer = stack.issuer();
    issuer.send(handshake(stack.server(), Scheme::EcdsaP256Sha256, hash(32)))?;
    let answer = issuer.answer()?;
    must(matches!(answer, IssuerToWorker::HandshakeSigned { serial: 7, .. }), format!("{answer:?}"))
}

pub(super) fn a_quota_outlives_its_channel(stack: &Stack) -> Verdict {
    let begun = Instant::now();
    for _ in 0..8 {
        let mut issuer = stack.issuer();
        for _ in 0..HANDSHAKES {
            issuer.send(handshake(stack.server(), Scheme::EcdsaP256Sha256, hash(32)))?;
        }
        for _ in 0..HANDSHAKES {
            match issuer.answer()? {
                IssuerToWorker::HandshakeSigned { .. } => _ = stack.signed.fetch_add(1, Ordering::Relaxed),
                IssuerToWorker::HandshakeFailed { .. } => {}
                other => return Err(format!("{other:?}")),
            }
        }
        drop(issuer);
        // issuer sees the channel end before the next one comes.
        std::thread::sleep(Duration::from_millis(100));
    }
    let (signed, bound) =
        (stack.signed.load(Ordering::Relaxed), f64::from(HANDSHAKES) * (1.0 + begun.elapsed().as_secs_f64()));
    must(signed as f64 <= bound, format!("{signed} signed, of {bound:.0}"))
}

pub(super) fn handshake_with_other_keys(stack: &Stack) -> Verdict {
    let directory = stack.directory.join("demo");
    let mut messages = Vec::new();
    for name in ["assertion-1", "metadata-1", "message-1"] {
        let of = certificate(directory.join(format!("{name}.pem")).to_str().unwrap());
        messages.push(handshake(of, Scheme::RsaPkcs1Sha256, hash(32)));
        messages.push(handshake(of, Scheme::RsaPssSha256, hash(32)));
        messages.push(handshake(of, Scheme::EcdsaP256Sha256, hash(32)));
    }
    stack.breaches(messages)
}

/// Whatever he invents, he learns that it is none, over a line that stays.
pub(super) fn handshake_for_a_certificate_there_is_not(stack: &Stack) -> Verdict {
    let mut issuer = stack.issuer();
    for _ in 0..50 {
        issuer.send(handshake([9; 32], Scheme::EcdsaP256Sha256, hash(32)))?;
        let answer = issuer.answer()?;
        must(matches!(answer, IssuerToWorker::HandshakeFailed { serial: 7 }), format!("{answer:?}"))?;
    }
    Ok(())
}

pub(super) fn handshake_of_no_kind(stack: &Stack) -> Verdict {
    let server = stack.server();
    let p256 = Scheme::EcdsaP256Sha256;
    stack.breaches(vec![
        handshake(server, Scheme::RsaPssSha256, hash(32)),
        handshake(server, Scheme::RsaPssSha384, hash(48)),
        handshake(server, Scheme::RsaPkcs1Sha256, hash(32)),
        handshake(server, Scheme::EcdsaP384Sha384, hash(48)),
        handshake(server, p256, hash(0)),
        handshake(server, p256, hash(31)),
        handshake(server, p256, hash(33)),
        handshake(server, p256, parameters(25, vec![4; 133])),
        handshake(server, p256, parameters(0xFFFF, vec![4; 65])),
        handshake(server, p256, parameters(29, vec![9; 31])),
        handshake(server, p256, parameters(23, vec![3; 65])),
    ])
}
