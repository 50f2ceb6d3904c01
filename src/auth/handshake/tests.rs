//! Handshakes of a real client and server, as they are and with something wrong in them.

use super::*;
use crate::wire::evidence::{MOST_HANDSHAKE_OCTETS, TlsVersion};
use made::{Identity, Signed, client, known, server, shake};

#[path = "../../../tests/support/handshakes.rs"]
mod made;

/// A server, a client, and what the client signed.
struct Scene {
    server: Certificate,
    client: Certificate,
    handshake: ClientHandshake,
}

type Kind = &'static rcgen::SignatureAlgorithm;

fn certificate(identity: &Identity) -> Certificate {
    Certificate::from_der(identity.0.cert[0].to_vec()).unwrap()
}

fn handshake(version: TlsVersion, signed: &Signed) -> ClientHandshake {
    ClientHandshake {
        version,
        messages: Octets::new(signed.messages.clone()).unwrap(),
        scheme: signed.scheme,
        signature: Octets::new(signed.signature.clone()).unwrap(),
    }
}

impl Scene {
    fn of(version: TlsVersion, servers: Kind, clients: Kind) -> Self {
        Self::with(version, servers, clients, |_| {})
    }

    fn with(
        version: TlsVersion,
        servers: Kind,
        clients: Kind,
        change: impl FnOnce(&mut rustls::crypto::CryptoProvider),
    ) -> Self {
        let (us, them) = (Identity::own("localhost", servers), Identity::own("client", clients));
        let of_tls = match version {
            TlsVersion::V13 => &rustls::version::TLS13,
            TlsVersion::V12 => &rustls::version::TLS12,
        };
        let (config, seen) = client(Some(&them), &us.0.cert[0], of_tls, change);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let signed = shake(config, &seen, server(known(&us), of_tls, provider));
        Self { server: certificate(&us), client: certificate(&them), handshake: handshake(version, &signed) }
    }

    /// Is this taken for a handshake of the two?
    fn takes(&self, handshake: &ClientHandshake) -> bool {
        read(handshake).is_some_and(|shown| {
            shown.certificates.first() == Some(&self.client.der.as_slice())
                && shown.completed_by(&self.server).is_ok()
                && shown.proven_by(&self.client).is_ok()
        })
    }
}

const BOTH: [TlsVersion; 2] = [TlsVersion::V13, TlsVersion::V12];

#[test]
fn a_handshake_of_every_kind_of_key_is_read() {
    for version in BOTH {
        for ours in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_RSA_SHA256] {
            for theirs in [
                &rcgen::PKCS_ECDSA_P256_SHA256,
                &rcgen::PKCS_ECDSA_P384_SHA384,
                &rcgen::PKCS_ECDSA_P521_SHA512,
                &rcgen::PKCS_ED25519,
                &rcgen::PKCS_RSA_SHA256,
            ] {
                let scene = Scene::of(version, ours, theirs);
                assert!(scene.takes(&scene.handshake), "{version:?} {ours:?} {theirs:?}");
            }
        }
    }
}

#[test]
fn a_second_client_hello_and_every_suite_are_read() {
    use rustls::crypto::aws_lc_rs::kx_group::{MLKEM768, X25519};
    let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
    let retried = Scene::with(TlsVersion::V13, p256, p256, |provider| provider.kx_groups = vec![MLKEM768, X25519]);
    assert_eq!(retried.handshake.messages.first(), Some(&MESSAGE_HASH));
    assert!(retried.takes(&retried.handshake));
    for suite in rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES {
        let version = if suite.tls13().is_some() { TlsVersion::V13 } else { TlsVersion::V12 };
        let ours = if format!("{suite:?}").contains("_RSA_") { &rcgen::PKCS_RSA_SHA256 } else { p256 };
        let scene = Scene::with(version, ours, p256, |provider| provider.cipher_suites = vec![*suite]);
        assert!(scene.takes(&scene.handshake), "{suite:?}");
    }
}

/// Every octet of the evidence, changed in two ways, and the whole cut off and lengthened at every place.
#[test]
fn no_octet_can_be_changed_left_out_or_added() {
    for version in BOTH {
        let scene = Scene::of(version, &rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256);
        let good = &scene.handshake;
        assert!(scene.takes(good));
        let with = |messages: Vec<u8>, signature: Vec<u8>| ClientHandshake {
            messages: Octets::new(messages).unwrap(),
            signature: Octets::new(signature).unwrap(),
            ..good.clone()
        };
        let (messages, signature) = (good.messages.to_vec(), good.signature.to_vec());
        let refused = |changed: &ClientHandshake, what: &str, at: usize| {
            assert!(!scene.takes(changed), "{version:?}: {what} at {at}");
        };
        let changed = |octets: &[u8], at: usize, how: &dyn Fn(&mut Vec<u8>)| {
            let mut octets = octets.to_vec();
            assert!(at <= octets.len());
            how(&mut octets);
            octets
        };
        for at in 0..messages.len() {
            for bit in [0x01, 0x80] {
                refused(&with(changed(&messages, at, &|m| m[at] ^= bit), signature.clone()), "flipped", at);
            }
            refused(&with(messages[..at].to_vec(), signature.clone()), "cut", at);
            refused(&with(changed(&messages, at, &|m| _ = m.remove(at)), signature.clone()), "removed", at);
            refused(&with(changed(&messages, at, &|m| m.insert(at, 0)), signature.clone()), "inserted", at);
        }
        refused(&with([&messages[..], &[0]].concat(), signature.clone()), "one more", messages.len());
        for at in 0..signature.len() {
            for bit in [0x01, 0x80] {
                refused(&with(messages.clone(), changed(&signature, at, &|s| s[at] ^= bit)), "signature flipped", at);
            }
            refused(&with(messages.clone(), signature[..at].to_vec()), "signature cut", at);
        }
        refused(&with(messages.clone(), [&signature[..], &[0]].concat()), "signature longer", signature.len());
        for scheme in 0..0x0900 {
            let changed = ClientHandshake { scheme, ..good.clone() };
            assert_eq!(scene.takes(&changed), scheme == good.scheme, "{scheme:04x}");
        }
        let other = if version == TlsVersion::V13 { TlsVersion::V12 } else { TlsVersion::V13 };
        refused(&ClientHandshake { version: other, ..good.clone() }, "version", 0);
    }
}

/// Messages of a handshake, one after the other.
fn messages(octets: &[u8]) -> Vec<Vec<u8>> {
    let (mut left, mut messages) = (octets, Vec::new());
    while let [_, high, middle, low, ..] = left {
        let length = 4 + u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        messages.push(left[..length].to_vec());
        left = &left[length..];
    }
    messages
}

#[test]
fn messages_come_in_their_order_each_once_and_all_of_them() {
    for version in BOTH {
        let scene = Scene::of(version, &rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256);
        let whole = messages(&scene.handshake.messages);
        let unread = |messages: Vec<Vec<u8>>, what: &str, at: usize| {
            let messages = Octets::new(messages.concat()).unwrap();
            assert!(read(&ClientHandshake { messages, ..scene.handshake.clone() }).is_none(), "{what} {at}");
        };
        for at in 0..whole.len() {
            let mut without = whole.clone();
            without.remove(at);
            unread(without, "without", at);
            let mut twice = whole.clone();
            twice.insert(at, whole[at].clone());
            unread(twice, "twice", at);
            if at > 0 {
                let mut swapped = whole.clone();
                swapped.swap(at - 1, at);
                unread(swapped, "swapped", at);
            }
        }
        let mut none = whole.clone();
        let (at, empty) = match version {
            // Without a certificate a client sends an empty list, and signs nothing.
            TlsVersion::V13 => (whole.len() - 1, vec![CERTIFICATE, 0, 0, 4, 0, 0, 0, 0]),
            TlsVersion::V12 => (whole.len() - 2, vec![CERTIFICATE, 0, 0, 3, 0, 0, 0]),
        };
        none[at] = empty;
        unread(none, "no certificate", at);
    }
}

/// With another extension in its ServerHello.
fn extended(messages: &[Vec<u8>], extension: &[u8]) -> Octets<MOST_HANDSHAKE_OCTETS> {
    let mut messages = messages.to_vec();
    let hello = &mut messages[1];
    let at = 4 + 2 + 32 + 1 + usize::from(hello[4 + 2 + 32]) + 2 + 1;
    hello.extend_from_slice(extension);
    let extensions = u16::try_from(hello.len() - at - 2).unwrap();
    hello[at..at + 2].copy_from_slice(&extensions.to_be_bytes());
    let length = u16::try_from(hello.len() - 4).unwrap();
    hello[2..4].copy_from_slice(&length.to_be_bytes());
    Octets::new(messages.concat()).unwrap()
}

#[test]
fn a_handshake_within_a_connection_is_not_read() {
    let (kind, version) = (&rcgen::PKCS_ECDSA_P256_SHA256, TlsVersion::V12);
    let scene = Scene::of(version, kind, kind);
    let whole = messages(&scene.handshake.messages);
    let read = |extension: &[u8]| {
        let messages = extended(&whole, extension);
        read(&ClientHandshake { messages, ..scene.handshake.clone() }).is_some()
    };
    assert!(read(&[0xFF, 1, 0, 1, 0]));
    assert!(!read(&[0xFF, 1, 0, 3, 2, 7, 7]));
    assert!(!read(&[0xFF, 1, 0, 0]));
}

#[test]
fn what_was_proved_to_another_server_or_by_another_client_proves_nothing() {
    for version in BOTH {
        let scene = |_| Scene::of(version, &rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256);
        let [ours, theirs] = [0, 1].map(scene);
        let shown = read(&theirs.handshake).unwrap();
        assert_eq!(shown.completed_by(&ours.server), Err(Reason::ForeignHandshake));
        assert_eq!(shown.proven_by(&ours.client), Err(Reason::WrongSignature));
        // Our certificate is shown to anybody: a handshake with it that we did not sign is not ours.
        let claimed = Certificate { key: theirs.server.key.clone(), ..ours.server.clone() };
        assert_eq!(shown.completed_by(&claimed), Err(Reason::ForeignHandshake));
        let forged = Certificate { key: ours.server.key.clone(), ..theirs.server.clone() };
        assert_eq!(shown.completed_by(&forged), Err(Reason::ForeignHandshake));
    }
}

#[test]
fn tls_1_3_has_fewer_schemes_than_1_2_and_neither_has_sha_1() {
    use crate::config::auth::certificate::VerifyingKey;
    let fits = |version, key: &VerifyingKey| {
        (0..=u16::MAX).filter(|scheme| scheme::fitting(version, key, *scheme).is_some()).collect::<Vec<_>>()
    };
    let (rsa, p384) = (VerifyingKey::Rsa(vec![1]), VerifyingKey::P384(vec![4]));
    assert_eq!(fits(TlsVersion::V13, &rsa), [0x0804, 0x0805, 0x0806]);
    assert_eq!(fits(TlsVersion::V12, &rsa), [0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806]);
    assert_eq!(fits(TlsVersion::V13, &p384), [0x0503]);
    assert_eq!(fits(TlsVersion::V12, &p384), [0x0403, 0x0503]);
}

#[test]
fn octets_from_nowhere_are_no_handshake() {
    let mut random = [0; 512];
    for _ in 0..20_000 {
        getrandom::fill(&mut random).unwrap();
        // Framed as the first message of a handshake, so that something is read.
        let length = usize::from(random[0]);
        let framed = [&[random[1] % 24, 0, 0, random[0]][..], &random[2..2 + length], &random[2 + length..]].concat();
        for version in BOTH {
            let messages = Octets::new(framed.clone()).unwrap();
            let made = ClientHandshake { version, messages, scheme: 0x0403, signature: Octets::new([0; 70]).unwrap() };
            assert!(read(&made).is_none());
        }
    }
}
