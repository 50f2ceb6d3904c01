//! Orders, keys and a configuration for the tests of this folder.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::keys::Keys;
use super::steps::sha256;
use crate::config::issuer::{Ceiling, Certificate, Issuer, Key, KeyKind, KeyState, Purpose};
use crate::wire::order::*;
use crate::wire::{Correlation, KeyId, List, Millis, Text};

pub(super) const ASSERTION: &str = "assertion-1";
pub(super) const HANDSHAKE: &str = "handshake-1";

thread_local! {
    static PAIRS: [EcdsaKeyPair; 2] =
        std::array::from_fn(|_| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
}

/// A signature of the assertion key over octets.
pub(super) fn sign(octets: &[u8]) -> Vec<u8> {
    PAIRS.with(|pairs| pairs[0].sign(&SystemRandom::new(), octets).unwrap().as_ref().to_vec())
}

fn key(name: &str, purpose: Purpose, at: usize) -> Key {
    let public_key = PAIRS.with(|pairs| pairs[at].public_key().as_der().unwrap().as_ref().to_vec());
    Key {
        name: name.into(),
        purpose,
        id: KeyId::new([u8::try_from(at).unwrap()]).unwrap(),
        certificate: Some(Certificate {
            base64: "Q0VSVA==".into(),
            sha256: sha256(&public_key),
            thumbprint: [u8::try_from(at).unwrap(); 20],
            key_identifier: None,
            serial: vec![1],
            enciphers: true,
            public_key,
            kind: KeyKind::P256,
            not_before: Millis(0),
            not_after: Millis(i64::MAX),
        }),
        state: KeyState::Active,
    }
}

pub(super) fn configuration() -> Issuer {
    let ceiling = Ceiling {
        audience: vec!["urn:office".into()],
        token_types: [TokenType::Saml20].into(),
        claims: ["http://schemas.xmlsoap.org/claims/UPN".to_owned()].into(),
        confirmations: [ConfirmationKind::Bearer, ConfirmationKind::HolderOfKey].into(),
        lifetime_ms: 3_600_000,
        protected_subjects: ["administrator".to_owned()].into(),
        identifying_claims: ["http://schemas.xmlsoap.org/claims/UPN".to_owned()].into(),
        quota_per_minute: NonZeroU32::new(1000).unwrap(),
        quota_per_account_per_minute: NonZeroU32::new(1000).unwrap(),
        signature_algorithm: None,
    };
    Issuer {
        name: "http://sts.example.com/adfs/services/trust".into(),
        skew_ms: 60_000,
        voucher: Duration::from_secs(5),
        record_deadline: Duration::from_millis(300),
        signature_deadline: Duration::from_millis(300),
        handshakes_per_second: 100,
        unwraps_per_second: 100,
        keys: vec![key(ASSERTION, Purpose::Assertion, 0), key(HANDSHAKE, Purpose::Handshake, 1)],
        ceilings: BTreeMap::from([("office".to_owned(), ceiling)]),
    }
}

pub(super) fn keys() -> Keys {
    Keys::load(&configuration()).unwrap()
}

pub(super) fn claim(uri: &str, value: &str) -> Claim {
    Claim { uri: Text::new(uri).unwrap(), values: List::new(vec![Text::new(value).unwrap()]).unwrap() }
}

pub(super) fn order(relying_party: &str) -> Order {
    let now = Millis::now();
    Order {
        correlation: Correlation::random(),
        relying_party: Text::new(relying_party).unwrap(),
        token_type: TokenType::Saml20,
        subject: Subject {
            account: Text::new("alice").unwrap(),
            name: Text::new("alice@example.com").unwrap(),
            format: NameFormat::EmailAddress,
        },
        claims: List::new(vec![claim("http://schemas.xmlsoap.org/claims/UPN", "alice@example.com")]).unwrap(),
        confirmation: Confirmation::Bearer,
        not_before: None,
        latest_expiry: now.plus(900_000),
        authentication: Authentication { method: Method::Password, instant: now },
        request: RequestIntegrity::Transport,
    }
}
