//! What he makes of TLS handshakes in which a client proved its certificate: those he has seen, those of others, and
//! those he shakes with himself. He can have any handshake completed; the client's key he has not.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use chancery::sys::channel::{Channel, Duplex};
use chancery::sys::places::Place;
use chancery::wire::evidence::{ClientHandshake, Evidence, Refusal, Submission, TlsVersion};
use chancery::wire::links::{
    AuthToWorker, Handshake, IssuerToWorker, Scheme, Transcript, WorkerToAuth, WorkerToIssuer,
};
use chancery::wire::permit::Link;
use chancery::wire::{Octets, Text};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{SignatureAlgorithm, SignatureScheme};

use super::PATIENCE;
use super::asserted::{BEARER, Words};
use super::assertions::{ASSERTED, USER};
use super::evidence::refused;
use super::made::{Identity, Signed, client, known, server, shake};
use super::peer::Peer;
use super::stack::{Stack, Verdict, must, vouched};
use super::vouchers::redeemed;

/// The endpoint that takes TLS certificates.
pub(super) const CONNECTED: &str = "/certificate";
const BOTH: [TlsVersion; 2] = [TlsVersion::V13, TlsVersion::V12];

pub(super) fn pem(identity: &Identity) -> String {
    let base64 = Base64::encode_string(&identity.0.cert[0]);
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

type ToIssuer = Peer<IssuerToWorker, WorkerToIssuer>;

/// The server's key, as a worker has it: he asks issuer.
#[derive(Clone)]
struct Asked {
    issuer: Arc<Mutex<ToIssuer>>,
    certificate: [u8; 32],
    remembered: bool,
    /// What he had signed last.
    last: Arc<Mutex<Option<Transcript>>>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("issuer's key")
    }
}

impl SigningKey for Asked {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(self.clone()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Asked {
    fn signature(&self, transcript: Transcript) -> Result<Vec<u8>, String> {
        let (certificate, scheme) = (self.certificate, Scheme::EcdsaP256Sha256);
        let handshake = Handshake { serial: 7, certificate, scheme, transcript };
        let mut issuer = self.issuer.lock().unwrap();
        issuer.send(match self.remembered {
            true => WorkerToIssuer::RememberedHandshake(handshake),
            false => WorkerToIssuer::Handshake(handshake),
        })?;
        match issuer.answer()? {
            IssuerToWorker::HandshakeSigned { signature, .. } => Ok(signature.to_vec()),
            other => Err(format!("{other:?}")),
        }
    }
}

impl Signer for Asked {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let transcript = match message.strip_prefix(&[b' '; 64]) {
            Some(rest) => Transcript::Tls13 { hash: Octets::new(&rest[34..]).unwrap() },
            None => Transcript::Tls12 {
                client_random: message[..32].try_into().unwrap(),
                server_random: message[32..64].try_into().unwrap(),
                curve: u16::from_be_bytes([message[65], message[66]]),
                point: Octets::new(&message[68..]).unwrap(),
            },
        };
        *self.last.lock().unwrap() = Some(transcript.clone());
        self.signature(transcript).map_err(rustls::Error::General)
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

fn asked(stack: &Stack, remembered: bool) -> Asked {
    let (issuer, last) = (Arc::new(Mutex::new(stack.issuer())), Arc::default());
    Asked { issuer, certificate: stack.server(), remembered, last }
}

/// A handshake of that client with this server, whose key is issuer's.
fn shaken(key: &Asked, ours: &CertificateDer<'static>, them: &Identity, version: TlsVersion) -> Signed {
    let of_tls = if version == TlsVersion::V13 { &TLS13 } else { &TLS12 };
    let (config, seen) = client(Some(them), ours, of_tls, |_| {});
    let certified = CertifiedKey::new(vec![ours.clone()], Arc::new(key.clone()));
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    shake(config, &seen, server(resolver, of_tls, rustls::crypto::aws_lc_rs::default_provider()))
}

fn ours(stack: &Stack) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(stack.demo.fact("ca")).unwrap()
}

fn evidence(version: TlsVersion, signed: &Signed) -> ClientHandshake {
    ClientHandshake {
        version,
        messages: Octets::new(signed.messages.clone()).unwrap(),
        scheme: signed.scheme,
        signature: Octets::new(signed.signature.clone()).unwrap(),
    }
}

fn submission(stack: &Stack, handshake: ClientHandshake) -> Submission {
    let endpoint = Text::new(CONNECTED).unwrap();
    Submission { endpoint, evidence: Evidence::TlsCertificate(handshake), ..stack.submission() }
}

/// What gate proved through him.
fn proven(stack: &Stack, key: &Asked, version: TlsVersion) -> ClientHandshake {
    evidence(version, &shaken(key, &ours(stack), &stack.gate, version))
}

fn unproven(stack: &Stack, handshake: ClientHandshake) -> Verdict {
    refused(stack, submission(stack, handshake), Refusal::FailedAuthentication)
}

fn unconfirmed(stack: &Stack, handshake: ClientHandshake) -> Verdict {
    refused(stack, submission(stack, handshake), Refusal::Reconnect)
}

pub(super) fn an_honest_handshake_is_served(stack: &Stack) -> Verdict {
    for version in BOTH {
        let key = asked(stack, true);
        let proven = proven(stack, &key, version);
        let mut auth = stack.auth();
        let redemption = vouched(&mut auth, submission(stack, proven))?;
        let release = redeemed(&mut stack.issuer(), redemption)?;
        let token = String::from_utf8_lossy(&release.token).into_owned();
        must(token.contains("gate@example.com") && token.contains("ac:classes:TLSClient"), token)?;
    }
    Ok(())
}

/// The messages with one certificate for another of the same length.
fn swapped(messages: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = messages.windows(from.len()).position(|window| window == from).unwrap();
    let mut messages = messages.to_vec();
    messages.splice(at..at + from.len(), to.iter().copied());
    messages
}

/// A certificate as long as that one, with a key of one's own.
fn as_long_as(other: &Identity) -> Identity {
    let alike = |_| Identity::own("gate", &rcgen::PKCS_ECDSA_P256_SHA256);
    (0..1000).map(alike).find(|made| made.0.cert[0].len() == other.0.cert[0].len()).unwrap()
}

pub(super) fn a_certificate_without_its_key(stack: &Stack) -> Verdict {
    let key = asked(stack, true);
    let mallory = as_long_as(&stack.gate);
    let (hers, gates) = (&mallory.0.cert[0], &stack.gate.0.cert[0]);
    for version in BOTH {
        let own = shaken(&key, &ours(stack), &mallory, version);
        unproven(stack, evidence(version, &own))?;
        // Her handshake, said to be gate's; and gate's certificate shown, signed for by a key of hers.
        unproven(stack, evidence(version, &Signed { messages: swapped(&own.messages, hers, gates), ..own }))?;
        let thief = Identity(Arc::new(CertifiedKey::new(stack.gate.0.cert.clone(), mallory.0.key.clone())));
        unproven(stack, evidence(version, &shaken(&key, &ours(stack), &thief, version)))?;
    }
    Ok(())
}

pub(super) fn a_handshake_with_another_server(stack: &Stack) -> Verdict {
    for version in BOTH {
        let theirs = Identity::own("localhost", &rcgen::PKCS_ECDSA_P256_SHA256);
        let of_tls = if version == TlsVersion::V13 { &TLS13 } else { &TLS12 };
        let (config, seen) = client(Some(&stack.gate), &theirs.0.cert[0], of_tls, |_| {});
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        unproven(stack, evidence(version, &shake(config, &seen, server(known(&theirs), of_tls, provider))))?;
    }
    Ok(())
}

pub(super) fn a_handshake_altered(stack: &Stack) -> Verdict {
    let key = asked(stack, true);
    for version in BOTH {
        let good = shaken(&key, &ours(stack), &stack.gate, version);
        for at in [0, 6, 40, good.messages.len() / 2, good.messages.len() - 1] {
            let mut altered = good.clone();
            altered.messages[at] ^= 1;
            unproven(stack, evidence(version, &altered))?;
            let cut = Signed { messages: good.messages[..at].to_vec(), ..good.clone() };
            unproven(stack, evidence(version, &cut))?;
        }
        let longer = Signed { messages: [&good.messages[..], &[0]].concat(), ..good.clone() };
        unproven(stack, evidence(version, &longer))?;
    }
    Ok(())
}

pub(super) fn a_handshake_of_the_other_version(stack: &Stack) -> Verdict {
    let key = asked(stack, true);
    let [newer, older] = BOTH.map(|version| shaken(&key, &ours(stack), &stack.gate, version));
    unproven(stack, evidence(TlsVersion::V12, &newer))?;
    unproven(stack, evidence(TlsVersion::V13, &older))?;
    let mixed = |messages: &Signed, by: &Signed| Signed { messages: messages.messages.clone(), ..by.clone() };
    unproven(stack, evidence(TlsVersion::V13, &mixed(&newer, &older)))?;
    unproven(stack, evidence(TlsVersion::V12, &mixed(&older, &newer)))
}

/// One that issuer completed and does not remember, as none of yesterday: he has it signed again, today.
pub(super) fn an_old_handshake_signed_again(stack: &Stack) -> Verdict {
    for version in BOTH {
        let old = asked(stack, false);
        let yesterdays = proven(stack, &old, version);
        unconfirmed(stack, yesterdays.clone())?;
        let again = Asked { remembered: true, ..old.clone() };
        let transcript = old.last.lock().unwrap().clone().unwrap();
        again.signature(transcript)?;
        unconfirmed(stack, yesterdays)?;
    }
    Ok(())
}

/// This program again, in which gate proves itself.
pub(super) fn a_handshake_of_another_process(stack: &Stack) -> Verdict {
    let mut other = Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", "connections::another_process", "--ignored", "--nocapture"]);
    other.env("HOSTILE_ISSUER", stack.place(Place::IssuerWorker)).env("HOSTILE_CA", stack.demo.fact("ca"));
    other.env("HOSTILE_SERVER", Base64::encode_string(&stack.server()));
    other.env("HOSTILE_CLIENT", Base64::encode_string(&stack.gate.0.cert[0]));
    other.env("HOSTILE_CLIENT_KEY", Base64::encode_string(&stack.gate_key));
    let mut other = other.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines().map_while(Result::ok);
    let proved = lines.find_map(|line| line.strip_prefix("proved ").map(str::to_owned));
    let proved = proved.map(|proved| Base64::decode_vec(&proved).unwrap());
    let proved = proved.and_then(|octets| borsh::from_slice::<ClientHandshake>(&octets).ok());
    let while_it_lives = proved.clone().map(|proved| unconfirmed(stack, proved));
    other.kill().unwrap();
    other.wait().unwrap();
    while_it_lives.ok_or("the other process has proved nothing")??;
    unconfirmed(stack, proved.ok_or("no handshake")?)
}

#[test]
#[ignore = "not a test: another process, in which a client proves itself, and which waits to be killed"]
fn another_process() {
    let octets = |name| Base64::decode_vec(&std::env::var(name).unwrap()).unwrap();
    let channel = Channel::connect(Path::new(&std::env::var("HOSTILE_ISSUER").unwrap())).unwrap();
    let issuer = Arc::new(Mutex::new(Peer(Duplex::new(channel, Link::IssuerToWorker))));
    let certificate = octets("HOSTILE_SERVER").try_into().unwrap();
    let key = Asked { issuer, certificate, remembered: true, last: Arc::default() };
    let ours = CertificateDer::from_pem_file(std::env::var("HOSTILE_CA").unwrap()).unwrap();
    let gate = Identity::from_parts(&octets("HOSTILE_CLIENT_KEY"), vec![octets("HOSTILE_CLIENT").into()]);
    let proved = evidence(TlsVersion::V13, &shaken(&key, &ours, &gate, TlsVersion::V13));
    println!("proved {}", Base64::encode_string(&borsh::to_vec(&proved).unwrap()));
    // Not for ever, should nobody come to kill it.
    std::thread::sleep(PATIENCE);
}

pub(super) fn a_handshake_after_its_channels(stack: &Stack) -> Verdict {
    let key = asked(stack, true);
    let proven = proven(stack, &key, TlsVersion::V13);
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, submission(stack, proven.clone()))?;
    redeemed(&mut stack.issuer(), redemption)?;
    drop((auth, key));
    // auth and issuer see the channels end.
    let begun = Instant::now();
    loop {
        let mut auth: Peer<AuthToWorker, WorkerToAuth> = stack.auth();
        auth.send(WorkerToAuth::Submit(submission(stack, proven.clone())))?;
        match auth.answer()? {
            AuthToWorker::Refused(refused) if refused.refusal == Refusal::Reconnect => return Ok(()),
            other => must(begun.elapsed() < PATIENCE, format!("{other:?}"))?,
        }
        drop(auth);
        std::thread::sleep(Duration::from_millis(300));
    }
}

pub(super) fn a_handshake_at_another_endpoint(stack: &Stack) -> Verdict {
    let proven = proven(stack, &asked(stack, true), TlsVersion::V13);
    let elsewhere = Submission { endpoint: stack.submission().endpoint, ..submission(stack, proven) };
    refused(stack, elsewhere, Refusal::UnsupportedSecurityToken)?;
    let password = Submission { endpoint: Text::new(CONNECTED).unwrap(), ..stack.submission() };
    refused(stack, password, Refusal::UnsupportedSecurityToken)
}

/// An assertion for the holder of this certificate's key.
fn held_by(identity: &Identity) -> Words {
    let text = Base64::encode_string(&identity.0.cert[0]);
    let data = "</saml:SubjectConfirmationData>";
    let key_info = format!(
        "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>{text}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo>{data}"
    );
    Words::saml20(USER).but(BEARER, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key").but(data, &key_info)
}

/// He has everybody's assertions, and connections of some.
pub(super) fn an_assertion_beside_a_handshake(stack: &Stack) -> Verdict {
    let key = asked(stack, true);
    let [holder, other] = ["holder", "other"].map(|name| Identity::own(name, &rcgen::PKCS_ECDSA_P256_SHA256));
    let [his, of_gate] = [&holder, &stack.gate]
        .map(|client| evidence(TlsVersion::V13, &shaken(&key, &ours(stack), client, TlsVersion::V13)));
    let beside = |words: &Words, handshake: &ClientHandshake| {
        let evidence = Evidence::Connected(words.signed(&stack.agency), handshake.clone());
        Submission { endpoint: Text::new(ASSERTED).unwrap(), evidence, ..stack.submission() }
    };
    let failed = |words: &Words, handshake: &ClientHandshake| {
        refused(stack, beside(words, handshake), Refusal::FailedAuthentication)
    };
    failed(&held_by(&other), &his)?;
    failed(&held_by(&holder), &of_gate)?;
    // Gate's key is gate's alone; and gate may vouch for him, but has not: its connection says nothing of an assertion.
    failed(&held_by(&stack.gate), &of_gate)?;
    failed(&Words::saml20(USER).but(BEARER, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"), &of_gate)?;
    let swap = |from: &Identity, to: &Identity| ClientHandshake {
        messages: Octets::new(swapped(&his.messages, &from.0.cert[0], &to.0.cert[0])).unwrap(),
        ..his.clone()
    };
    failed(&held_by(&other), &swap(&holder, &other))?;
    let unremembered = evidence(TlsVersion::V13, &shaken(&asked(stack, false), &ours(stack), &holder, TlsVersion::V13));
    refused(stack, beside(&held_by(&holder), &unremembered), Refusal::Reconnect)?;
    // His own he can use as long as it and the connection are good, for whatever policy allows its subject.
    let mut auth = stack.auth();
    let redemption = vouched(&mut auth, beside(&held_by(&holder), &his))?;
    let release = redeemed(&mut stack.issuer(), redemption)?;
    let token = String::from_utf8_lossy(&release.token).into_owned();
    must(token.contains("inspector@example.com"), token)
}
