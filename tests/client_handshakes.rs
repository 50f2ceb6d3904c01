//! auth as it is shipped, before TLS handshakes that are said to prove a client: its peers are played, the handshakes
//! are real. What is wrong with each is in the record, and the client is told that authentication failed.

#![cfg(all(feature = "worker", feature = "signer"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    pub(crate) mod handshakes;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
}

use std::net::IpAddr;

use base64ct::{Base64, Encoding};
use chancery::wire::evidence::{ClientHandshake, Evidence, Refusal, Submission, TlsVersion};
use chancery::wire::links::{AuthToAudit, AuthToIssuer, AuthToWorker, Transcript};
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::record::AuthEntry;
use chancery::wire::{Octets, Peer, Text};
use nix::sys::signal::{Signal, kill};
use rustls::version::{TLS12, TLS13};

use support::handshakes::{Identity, Signed, client, known, server, shake};
use support::office::{Office, hash, request};
use support::processes::eventually;

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
policy = '''permit(principal, action, resource) when { context.method == "tls-certificate" };'''
"#;
const ENDPOINT: &str = "/certificate";
const BOTH: [TlsVersion; 2] = [TlsVersion::V13, TlsVersion::V12];

fn pem(identity: &Identity) -> String {
    let base64 = Base64::encode_string(&identity.0.cert[0]);
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

fn p256(name: &str) -> Identity {
    Identity::own(name, &rcgen::PKCS_ECDSA_P256_SHA256)
}

/// auth, the server it knows as ours, and whose certificates are registered.
struct House {
    office: Office,
    server: Identity,
    sam: Identity,
    eve: Identity,
}

impl House {
    fn new() -> Self {
        let [server, sam, eve] = ["localhost", "sam", "eve"].map(p256);
        let auth = format!(
            "server_certificates = [\"server.pem\"]\n[[endpoint]]\npath = \"{ENDPOINT}\"\n\
             credentials = [\"tls-certificate\"]\n[[endpoint]]\npath = \"/password\"\n"
        );
        let users = format!(
            "[users.sam]\ncertificates = [\"sam.pem\"]\n[users.eve]\ncertificates = [\"eve.pem\"]\ndisabled = true\n\
             [users.bob]\npassword = '{}'\n",
            hash("wonderland")
        );
        // The file of a server has its chain behind it.
        let chain = pem(&server) + &pem(&p256("an authority"));
        let files = [("server.pem", chain), ("sam.pem", pem(&sam)), ("eve.pem", pem(&eve))];
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        Self { office: Office::with(&auth, &users, PARTY, &files), server, sam, eve }
    }

    fn good(&self, version: TlsVersion) -> Submission {
        submission(handshake(version, &signed(&self.server, &self.sam, version)))
    }

    /// The worker as the questions of auth name it, and the last handshake it asked about.
    fn asked(&self) -> Vec<(Peer, Transcript)> {
        let said = self.office.issuer.said.lock().unwrap();
        let confirm = |message: &AuthToIssuer| match message {
            AuthToIssuer::Confirm { worker, handshake, .. } => Some((*worker, handshake.transcript.clone())),
            _ => None,
        };
        said.iter().filter_map(confirm).collect()
    }
}

fn signed(us: &Identity, them: &Identity, version: TlsVersion) -> Signed {
    let of_tls = if version == TlsVersion::V13 { &TLS13 } else { &TLS12 };
    let (config, seen) = client(Some(them), &us.0.cert[0], of_tls, |_| {});
    shake(config, &seen, server(known(us), of_tls, rustls::crypto::aws_lc_rs::default_provider()))
}

fn handshake(version: TlsVersion, signed: &Signed) -> ClientHandshake {
    ClientHandshake {
        version,
        messages: Octets::new(signed.messages.clone()).unwrap(),
        scheme: signed.scheme,
        signature: Octets::new(signed.signature.clone()).unwrap(),
    }
}

fn submission(handshake: ClientHandshake) -> Submission {
    let evidence = Evidence::TlsCertificate(handshake);
    Submission { endpoint: Text::new(ENDPOINT).unwrap(), evidence, ..request("", "") }
}

#[test]
fn a_handshake_is_vouched_for_as_what_it_is_and_confirmed_once() {
    let house = House::new();
    let mut worker = house.office.worker();
    for version in BOTH {
        let good = house.good(version);
        let Evidence::TlsCertificate(handshake) = &good.evidence else { panic!("a handshake") };
        let handshake = handshake.clone();
        worker.vouched(good);
        let order = house.office.lodged().order;
        assert_eq!(order.subject.account.as_str(), "sam");
        let by = (order.authentication.method, order.request);
        assert_eq!(by, (Method::TlsCertificate, RequestIntegrity::Transport));
        worker.vouched(submission(handshake.clone()));
        // Over another channel of the same worker too.
        house.office.worker().vouched(submission(handshake));
    }
    let asked = house.asked();
    let me = Peer(std::process::id().cast_signed());
    assert!(asked.iter().all(|(worker, _)| *worker == me), "{asked:?}");
    assert!(matches!(asked[..], [(_, Transcript::Tls13 { .. }), (_, Transcript::Tls12 { .. })]), "{asked:?}");
}

#[test]
fn what_issuer_does_not_confirm_is_refused_and_the_client_told_to_come_back() {
    let house = House::new();
    let mut worker = house.office.worker();
    house.office.confirms(None);
    for version in BOTH {
        assert_eq!(worker.refused(house.good(version)), Refusal::Reconnect);
    }
    // What was confirmed for a moment is asked about again, and no longer confirmed.
    house.office.confirms(Some(300));
    let Evidence::TlsCertificate(handshake) = house.good(TlsVersion::V13).evidence else { panic!("a handshake") };
    worker.vouched(submission(handshake.clone()));
    house.office.confirms(None);
    std::thread::sleep(std::time::Duration::from_millis(350));
    assert_eq!(worker.refused(submission(handshake.clone())), Refusal::Reconnect);
    // Nor does what was confirmed outlive the worker's last channel.
    house.office.confirms(Some(3_600_000));
    worker.vouched(submission(handshake.clone()));
    house.office.confirms(None);
    worker.vouched(submission(handshake.clone()));
    drop(worker);
    eventually("the channel is forgotten", || {
        let mut worker = house.office.worker();
        matches!(worker.ask(submission(handshake.clone())), AuthToWorker::Refused(_)).then_some(())
    });
}

#[test]
fn nobody_is_vouched_for_while_issuer_does_not_answer_but_who_was_confirmed() {
    let mut house = House::new();
    let Evidence::TlsCertificate(handshake) = house.good(TlsVersion::V13).evidence else { panic!("a handshake") };
    let mut worker = house.office.worker();
    worker.vouched(submission(handshake.clone()));
    house.office.issuer.away(true);
    assert_eq!(worker.refused(house.good(TlsVersion::V13)), Refusal::Busy { retry_after_s: 2 });
    house.office.issuer.away(false);
    // A new issuer knows nothing, and what the old one has confirmed stays so.
    house.office.confirms(None);
    eventually("vouched for again", || {
        matches!(worker.ask(submission(handshake.clone())), AuthToWorker::Vouched(_)).then_some(())
    });
    assert_eq!(worker.refused(house.good(TlsVersion::V13)), Refusal::Reconnect);
    // A new auth has to ask, of all of them.
    kill(house.office.auth().pid(), Signal::SIGKILL).unwrap();
    house.office.start();
    let mut worker = house.office.worker();
    assert_eq!(worker.refused(submission(handshake)), Refusal::Reconnect);
}

/// What the record says of a refused stranger.
fn reason(office: &Office, source: IpAddr) -> Option<String> {
    let said = office.audit.said.lock().unwrap();
    said.iter().find_map(|message| match message {
        AuthToAudit::Append { entry: AuthEntry::Refusals { source: of, reason, .. }, .. } if *of == source => {
            Some(reason.to_string())
        }
        AuthToAudit::Append { .. } => None,
    })
}

#[test]
fn what_proves_nobody_is_refused_alike_and_the_record_says_why() {
    let house = House::new();
    let mut worker = house.office.worker();
    let stranger = p256("stranger");
    let mut cases: Vec<(&str, ClientHandshake, &str)> = Vec::new();
    for version in BOTH {
        let other = if version == TlsVersion::V13 { TlsVersion::V12 } else { TlsVersion::V13 };
        let good = signed(&house.server, &house.sam, version);
        let foreign = signed(&p256("localhost"), &house.sam, version);
        let mine = signed(&house.server, &stranger, version);
        // Our certificate, which everybody has, with a key that is not ours.
        let thief = Identity(std::sync::Arc::new(rustls::sign::CertifiedKey::new(
            house.server.0.cert.clone(),
            p256("localhost").0.key.clone(),
        )));
        let dressed = {
            let of_tls = if version == TlsVersion::V13 { &TLS13 } else { &TLS12 };
            let (mut config, seen) = client(Some(&house.sam), &house.server.0.cert[0], of_tls, |_| {});
            config.dangerous().set_certificate_verifier(std::sync::Arc::new(Careless));
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            shake(config, &seen, server(known(&thief), of_tls, provider))
        };
        let replaced = |from: &Identity, to: &Identity, signed: &Signed| Signed {
            messages: swapped(&signed.messages, &from.0.cert[0], &to.0.cert[0]),
            ..signed.clone()
        };
        let mut flipped = good.clone();
        *flipped.messages.last_mut().unwrap() ^= 1;
        let cut = Signed { messages: good.messages[..good.messages.len() - 1].to_vec(), ..good.clone() };
        let resigned = Signed { signature: mine.signature.clone(), ..good.clone() };
        cases.extend([
            ("another server's", handshake(version, &foreign), "foreign-handshake"),
            ("our certificate without its key", handshake(version, &dressed), "foreign-handshake"),
            (
                "another server's, with our certificate put in",
                handshake(version, &{
                    let theirs = &foreign;
                    let of = certificate_in(&theirs.messages, version);
                    Signed { messages: swapped(&theirs.messages, &of, &house.server.0.cert[0]), ..theirs.clone() }
                }),
                "wrong-signature",
            ),
            (
                "somebody else's certificate put in",
                handshake(version, &replaced(&stranger, &house.sam, &mine)),
                "wrong-signature",
            ),
            ("somebody else's signature", handshake(version, &resigned), "wrong-signature"),
            (
                "an octet changed",
                handshake(version, &flipped),
                if version == TlsVersion::V13 { "unreadable-handshake" } else { "wrong-signature" },
            ),
            ("an octet missing", handshake(version, &cut), "unreadable-handshake"),
            (
                "no messages",
                handshake(version, &Signed { messages: Vec::new(), ..good.clone() }),
                "unreadable-handshake",
            ),
            ("said to be of the other version", handshake(other, &good), "unreadable-handshake"),
            ("of nobody we know", handshake(version, &mine), "unknown-certificate"),
            ("of a disabled account", handshake(version, &signed(&house.server, &house.eve, version)), "disabled"),
        ]);
    }
    let mut all = Vec::new();
    for (number, (what, handshake, expected)) in cases.into_iter().enumerate() {
        let source = IpAddr::from([198, 51, 100, u8::try_from(number).unwrap()]);
        let refusal = worker.refused(Submission { source, ..submission(handshake) });
        assert_eq!(refusal, Refusal::FailedAuthentication, "{what}");
        all.push((source, what, expected));
    }
    for (source, what, expected) in all {
        let said = eventually("the refusal is in the record", || reason(&house.office, source));
        assert_eq!(said, expected, "{source}: {what}");
    }
    assert!(house.office.decisions().is_empty());
}

/// The messages with one certificate for another, every length made to fit.
fn swapped(messages: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = messages.windows(from.len()).position(|window| window == from).unwrap();
    let mut swapped = [&messages[..at], to, &messages[at + from.len()..]].concat();
    let difference = to.len() as i64 - from.len() as i64;
    // Of the certificate, of the list and of the message, three octets each. In TLS 1.3 an empty context stands before
    // the list, and the type of the message is one octet further away.
    let list = at - 6;
    let head = if messages[list - 4] == 11 { list - 3 } else { list - 4 };
    for place in [at - 3, list, head] {
        let [high, middle, low] = [swapped[place], swapped[place + 1], swapped[place + 2]];
        let length = i64::from(u32::from_be_bytes([0, high, middle, low])) + difference;
        swapped[place..place + 3].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes()[1..]);
    }
    swapped
}

/// The first certificate in the messages.
fn certificate_in(messages: &[u8], version: TlsVersion) -> Vec<u8> {
    let mut left = messages;
    loop {
        let length = u32::from_be_bytes([0, left[1], left[2], left[3]]) as usize;
        let (message, rest) = left.split_at(4 + length);
        if message[0] == 11 {
            let list = &message[if version == TlsVersion::V13 { 8 } else { 7 }..];
            let length = u32::from_be_bytes([0, list[0], list[1], list[2]]) as usize;
            return list[3..3 + length].to_vec();
        }
        left = rest;
    }
}

/// A client that looks at no server's signature.
#[derive(Debug)]
struct Careless;

impl rustls::client::danger::ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[test]
fn an_endpoint_takes_handshakes_where_it_names_them_and_nothing_else_there() {
    let house = House::new();
    let mut worker = house.office.worker();
    let elsewhere = Submission { endpoint: Text::new("/password").unwrap(), ..house.good(TlsVersion::V13) };
    assert_eq!(worker.refused(elsewhere), Refusal::UnsupportedSecurityToken);
    let password = Submission { endpoint: Text::new(ENDPOINT).unwrap(), ..request("bob", "wonderland") };
    assert_eq!(worker.refused(password), Refusal::UnsupportedSecurityToken);
    // Nobody asked issuer about what could not have been proved there.
    assert!(house.asked().is_empty());
}

#[test]
fn more_octets_than_a_handshake_has_are_no_evidence() {
    let of = |octets: usize| [&[1][..], &u32::try_from(octets).unwrap().to_le_bytes(), &vec![0; octets + 6]].concat();
    assert!(borsh::from_slice::<ClientHandshake>(&of(48 * 1024)).is_ok());
    assert!(borsh::from_slice::<ClientHandshake>(&of(48 * 1024 + 1)).is_err());
}
