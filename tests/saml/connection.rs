//! Assertions for the holder of a key who has proved it when he connected, where their partner's table says that this
//! is enough: the handshakes are real.

use chancery::wire::evidence::{ClientHandshake, Evidence, KeyType, Refusal, Submission, TlsVersion};
use chancery::wire::links::AuthToAudit;
use chancery::wire::order::{Confirmation, Method, RequestIntegrity};
use chancery::wire::record::{AuthEntry, HeldKey, Proof};
use chancery::wire::{Octets, Text};
use rustls::version::{TLS12, TLS13};

use crate::holder::{HOLDER, holding, now};
use crate::house::{House, all_refused, old_sam, sam, submission};
use crate::support::asserted::{BEARER, Words};
use crate::support::handshakes::{Identity, client, known, server, shake};
use crate::support::signed::{Client, DS};

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};

const BOTH: &str = "holder_proofs = [\"signature\", \"tls-certificate\"]";

fn p256(name: &str) -> Identity {
    Identity::own(name, &rcgen::PKCS_ECDSA_P256_SHA256)
}

fn handshake(us: &Identity, them: &Identity, version: TlsVersion) -> ClientHandshake {
    let of_tls = if version == TlsVersion::V13 { &TLS13 } else { &TLS12 };
    let (config, seen) = client(Some(them), &us.0.cert[0], of_tls, |_| {});
    let signed = shake(config, &seen, server(known(us), of_tls, rustls::crypto::aws_lc_rs::default_provider()));
    ClientHandshake {
        version,
        messages: Octets::new(signed.messages).unwrap(),
        scheme: signed.scheme,
        signature: Octets::new(signed.signature).unwrap(),
    }
}

fn key_info(der: &[u8]) -> String {
    let text = Base64::encode_string(der);
    format!(
        "<ds:KeyInfo xmlns:ds=\"{DS}\"><ds:X509Data><ds:X509Certificate>{text}</ds:X509Certificate></ds:X509Data>\
         </ds:KeyInfo>"
    )
}

/// For whoever has the key of this certificate.
fn held_by(identity: &Identity) -> Words {
    holding(&key_info(&identity.0.cert[0]))
}

fn old_held_by(identity: &Identity) -> Words {
    let (method, key_info) = ("</saml:ConfirmationMethod>", key_info(&identity.0.cert[0]));
    old_sam().but("cm:bearer", "cm:holder-of-key").but(method, &format!("{method}{key_info}"))
}

fn over(house: &House, words: &Words, handshake: ClientHandshake) -> Submission {
    let plain = submission(words.signed(&house.agency));
    Submission { evidence: Evidence::Connected(words.signed(&house.agency), handshake), ..plain }
}

#[test]
fn whoever_connected_with_the_certificate_that_an_assertion_confirms_is_its_subject_where_that_is_enough_r_w060() {
    let (house, holder) = (House::with(BOTH), p256("holder"));
    let good = |version| handshake(&house.server, &holder, version);
    let mut worker = house.office.worker();
    for version in [TlsVersion::V13, TlsVersion::V12] {
        for words in [held_by(&holder), old_held_by(&holder)] {
            worker.vouched(over(&house, &words, good(version)));
            let order = house.office.lodged().order;
            assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Transport));
            assert_eq!((order.authentication.method, order.confirmation), (Method::Saml, Confirmation::Bearer));
        }
    }
    let mut bound = over(&house, &held_by(&holder), good(TlsVersion::V13));
    bound.wish.key_type = Some(KeyType::Public);
    worker.vouched(bound);
    let certificate = Octets::new(holder.0.cert[0].to_vec()).unwrap();
    assert_eq!(house.office.lodged().order.confirmation, Confirmation::HolderOfKey { certificate });
    {
        let said = house.office.audit.said.lock().unwrap();
        let held = said.iter().filter_map(|message| match message {
            AuthToAudit::Append { entry: AuthEntry::Held(decision, held, _), .. } => Some((decision.allowed, *held)),
            AuthToAudit::Append { .. } => None,
        });
        let held: Vec<_> = held.collect();
        let key = HeldKey::Certificate(digest(&SHA256, &holder.0.cert[0]).as_ref().try_into().unwrap());
        assert_eq!(held.len(), 5);
        assert!(held.iter().all(|(allowed, held)| *allowed && held.proof == Proof::TlsCertificate && held.key == key));
    }
    // A signature is as good, and one that is for whoever holds it may come over any connection, which proves nothing
    // of it.
    let signer = Client::new();
    worker.vouched(now(&house, &crate::holder::held_by(&signer), &signer));
    worker.vouched(over(&house, &sam(), handshake(&p256("localhost"), &holder, TlsVersion::V13)));
    let mut borne = over(&house, &sam(), good(TlsVersion::V13));
    borne.wish.key_type = Some(KeyType::Public);
    assert_eq!(worker.refused(borne), Refusal::InvalidRequest);
}

#[test]
fn an_assertion_over_a_connection_that_does_not_prove_its_key_is_refused_a_27() {
    let (house, holder, stranger) = (House::with(BOTH), p256("holder"), p256("stranger"));
    let words = held_by(&holder);
    let good = || handshake(&house.server, &holder, TlsVersion::V13);
    let changed = |change: fn(&mut ClientHandshake)| {
        let mut handshake = good();
        change(&mut handshake);
        over(&house, &words, handshake)
    };
    let pair = rcgen::KeyPair::generate().unwrap();
    let of = |year, serial: u64| {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        parameters.serial_number = Some(serial.into());
        Identity::of(&pair, vec![parameters.self_signed(&pair).unwrap().der().clone()])
    };
    let (past, one, other) = (of(2020, 1), of(2100, 2), of(2100, 3));
    let value = {
        let point = Base64::encode_string(pair.public_key_raw());
        holding(&format!(
            "<ds:KeyInfo xmlns:ds=\"{DS}\"><ds:KeyValue><k:ECKeyValue xmlns:k=\"http://www.w3.org/2009/xmldsig11#\">\
             <k:NamedCurve URI=\"urn:oid:1.2.840.10045.3.1.7\"></k:NamedCurve><k:PublicKey>{point}</k:PublicKey>\
             </k:ECKeyValue></ds:KeyValue></ds:KeyInfo>"
        ))
    };
    let vouches = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches";
    let registered = |client: &Client| {
        let KeyIdentity(identity) = KeyIdentity::of(client);
        over(&house, &held_by(&identity), handshake(&house.server, &identity, TlsVersion::V13))
    };
    all_refused(
        &house.office,
        vec![
            (
                "with another certificate",
                over(&house, &words, handshake(&house.server, &stranger, TlsVersion::V13)),
                "confirmation",
            ),
            (
                "with another certificate of the same key",
                over(&house, &held_by(&one), handshake(&house.server, &other, TlsVersion::V13)),
                "confirmation",
            ),
            (
                "with a certificate for a key that is written out",
                over(&house, &value, handshake(&house.server, &one, TlsVersion::V13)),
                "confirmation",
            ),
            (
                "with another server",
                over(&house, &words, handshake(&p256("localhost"), &holder, TlsVersion::V13)),
                "foreign-handshake",
            ),
            (
                "with a signature of nobody",
                changed(|one| one.signature = Octets::new([7; 70]).unwrap()),
                "wrong-signature",
            ),
            ("with no messages", changed(|one| one.messages = Octets::default()), "unreadable-handshake"),
            (
                "with a certificate that is past",
                over(&house, &held_by(&past), handshake(&house.server, &past, TlsVersion::V13)),
                "certificate-dates",
            ),
            ("without a key", over(&house, &sam().but(BEARER, HOLDER), good()), "confirmation"),
            (
                "for whoever holds it, with a key",
                over(&house, &words.clone().but(HOLDER, BEARER), good()),
                "confirmation",
            ),
            ("for whom somebody vouches", over(&house, &sam().but(BEARER, vouches), good()), "confirmation"),
            ("of a stranger's making", over(&house, &words, good()).by(&house.eve, &words), "wrong-signature"),
            ("altered", over(&house, &words, good()).with(&held_by(&stranger)), "wrong-digest"),
            ("with the key of somebody who is disabled", registered(&house.eve), "no-account"),
        ],
    );
    // Only what issuer remembers of this worker counts; and what was refused did not use the assertion up.
    let once = held_by(&holder).but("</saml:Conditions>", "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>");
    house.office.confirms(None);
    assert_eq!(house.office.worker().refused(over(&house, &once, good())), Refusal::Reconnect);
    house.office.confirms(Some(3_600_000));
    house.office.worker().vouched(over(&house, &once, good()));
    assert_eq!(house.office.worker().refused(over(&house, &once, good())), Refusal::InvalidSecurity);
    let elsewhere = Submission { endpoint: Text::new("/password").unwrap(), ..over(&house, &words, good()) };
    assert_eq!(house.office.worker().refused(elsewhere), Refusal::UnsupportedSecurityToken);
}

#[test]
fn what_proves_a_holder_is_said_in_his_partners_table_and_nothing_else_does() {
    let holder = p256("holder");
    let signer = Client::new();
    let signed = crate::holder::held_by(&signer);
    for (table, connects, signs) in [
        ("", false, true),
        ("holder_proofs = [\"signature\"]", false, true),
        ("holder_proofs = [\"tls-certificate\"]", true, false),
    ] {
        let house = House::with(table);
        let over = over(&house, &held_by(&holder), handshake(&house.server, &holder, TlsVersion::V13));
        let beside = now(&house, &signed, &signer);
        let mut refused = Vec::new();
        for (what, submission, taken) in [("by his connection", over, connects), ("by a signature", beside, signs)] {
            if taken {
                house.office.worker().vouched(submission);
            } else {
                refused.push((what, submission, "confirmation"));
            }
        }
        assert_eq!(refused.len(), 1, "{table}");
        all_refused(&house.office, refused);
    }
}

/// A client as it connects.
struct KeyIdentity(Identity);

impl KeyIdentity {
    fn of(client: &Client) -> Self {
        let chancery::wire::evidence::KeyReference::Certificate(der) = client.reference() else {
            panic!("a certificate")
        };
        Self(Identity::from_parts(client.secret(), vec![der.to_vec().into()]))
    }
}

trait Changed {
    /// The same, signed by somebody else.
    fn by(self, client: &Client, words: &Words) -> Self;
    /// The same, with other octets.
    fn with(self, words: &Words) -> Self;
}

impl Changed for Submission {
    fn by(mut self, client: &Client, words: &Words) -> Self {
        let Evidence::Connected(signed, _) = &mut self.evidence else { panic!("an assertion") };
        *signed = words.signed(client);
        self
    }

    fn with(mut self, words: &Words) -> Self {
        let Evidence::Connected(signed, _) = &mut self.evidence else { panic!("an assertion") };
        signed.octets = chancery::wire::Secret::new(words.octets.as_bytes()).unwrap();
        self
    }
}
