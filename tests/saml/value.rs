//! Assertions for the holder of a key that has no certificate: what proves it, what does not, and what it is not good
//! for.

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64UrlUnpadded, Encoding};
use chancery::wire::evidence::{Evidence, KeyReference, KeyType, Refusal, SignedMessage, Submission, Timestamp};
use chancery::wire::key::{Curve, PublicKey};
use chancery::wire::links::AuthToAudit;
use chancery::wire::order::{Confirmation, Method, RequestIntegrity};
use chancery::wire::record::{AuthEntry, Held, HeldKey, Proof};
use chancery::wire::{Millis, Octets, Text};

use crate::holder::{HOLDER, beside, der, holding, key_info, now, with};
use crate::house::{ADDRESS, House, all_refused, old_sam, sam, submission};
use crate::support::asserted::{BEARER, Words};
use crate::support::signed::{Client, DS, Part, TRUST, point_value, rsa_value};

/// `ds:KeyInfo` with this in it.
fn naming(inside: &str) -> String {
    format!("<ds:KeyInfo xmlns:ds=\"{DS}\">{inside}</ds:KeyInfo>")
}

fn held_by(client: &Client) -> Words {
    holding(&naming(&client.key_value()))
}

fn old_held_by(client: &Client) -> Words {
    let (method, key_info) = ("</saml:ConfirmationMethod>", naming(&client.key_value()));
    old_sam().but("cm:bearer", "cm:holder-of-key").but(method, &format!("{method}{key_info}"))
}

/// The key as a worker hands it on.
fn value(client: &Client) -> KeyReference {
    let octets = client.public_key();
    let point = |curve| PublicKey::Point { curve, octets: Octets::new(octets).unwrap() };
    KeyReference::Value(match octets.len() {
        65 => point(Curve::P256),
        97 => point(Curve::P384),
        133 => point(Curve::P521),
        length => {
            let modulus = Octets::new(&octets[length - 261..length - 5]).unwrap();
            PublicKey::Rsa { modulus, exponent: Octets::new([1, 0, 1]).unwrap() }
        }
    })
}

/// The same, with the key written out in the message.
fn written_out(mut submission: Submission, client: &Client) -> Submission {
    let Evidence::Attested(_, message) = &mut submission.evidence else { panic!("an assertion") };
    message.key = value(client);
    submission
}

/// How the holders of assertions have proved themselves, and whether they were allowed, by the record.
fn held(house: &House) -> Vec<(Held, bool, String)> {
    let said = house.office.audit.said.lock().unwrap();
    let held = said.iter().filter_map(|message| match message {
        AuthToAudit::Append { entry: AuthEntry::Held(decision, held, _), .. } => {
            assert_eq!((decision.method, decision.authority.as_deref()), (Method::Saml, Some("agency")));
            Some((*held, decision.allowed, decision.reason.to_string()))
        }
        AuthToAudit::Append { .. } => None,
    });
    held.collect()
}

#[test]
fn whoever_signs_with_the_key_that_an_assertion_writes_out_is_its_subject_and_the_record_says_how_r_w060() {
    let house = House::new();
    let mut worker = house.office.worker();
    let clients = [Client::new(), Client::rsa(false), Client::rsa(true), Client::p384(), Client::p521()];
    for client in &clients {
        for words in [held_by(client), old_held_by(client)] {
            for sent in [now(&house, &words, client), written_out(now(&house, &words, client), client)] {
                worker.vouched(sent);
                let order = house.office.lodged().order;
                assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
                assert_eq!((order.authentication.method, order.confirmation), (Method::Saml, Confirmation::Bearer));
            }
        }
    }
    let recorded = held(&house);
    assert!(
        recorded.len() == 20 && recorded.iter().all(|(held, allowed, _)| held.proof == Proof::Signature && *allowed)
    );
    let [x, y] = [1..33, 33..65].map(|at| Base64UrlUnpadded::encode_string(&clients[0].public_key()[at]));
    let members = format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{x}\",\"y\":\"{y}\"}}");
    let thumbprint = digest(&SHA256, members.as_bytes()).as_ref().try_into().unwrap();
    assert_eq!(recorded[0].0.key, HeldKey::Thumbprint(thumbprint));
}

#[test]
fn a_key_may_be_one_of_several_or_have_its_certificate_beside_it() {
    let (house, holder, other) = (House::new(), Client::rsa(false), Client::new());
    let mut worker = house.office.worker();
    let both = |certified: &Client| {
        let text = key_info(certified).replace(&format!(" xmlns:ds=\"{DS}\""), "");
        let data = text.replace("<ds:KeyInfo>", "").replace("</ds:KeyInfo>", "");
        [holder.key_value() + &data, data + &holder.key_value()].map(|inside| holding(&naming(&inside)))
    };
    worker.vouched(now(&house, &holding(&(key_info(&other) + &naming(&holder.key_value()))), &holder));
    // With its certificate it is proven as that of the certificate is, and a token may be bound to it.
    let key_type = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>");
    for words in both(&holder) {
        let mut sent = with(words.signed(&house.agency), &holder, Millis::now(), &key_type);
        sent.wish.key_type = Some(KeyType::Public);
        worker.vouched(sent);
        assert_eq!(house.office.lodged().order.confirmation, Confirmation::HolderOfKey { certificate: der(&holder) });
    }
    let certificate = HeldKey::Certificate(digest(&SHA256, &der(&holder)).as_ref().try_into().unwrap());
    let recorded = held(&house);
    assert!(matches!(recorded[0].0.key, HeldKey::Thumbprint(_)));
    assert!(recorded.len() == 3 && recorded[1..].iter().all(|(held, ..)| held.key == certificate), "{recorded:?}");
    // Who has the one is not who has the other, and nobody is both.
    let mut cases = Vec::new();
    for words in both(&other) {
        cases.push(("two keys, by the one", now(&house, &words, &holder), "confirmation"));
        cases.push(("two keys, by the other", now(&house, &words, &other), "confirmation"));
    }
    all_refused(&house.office, cases);
}

#[test]
fn a_key_that_an_assertion_writes_out_gets_nobody_else_anything_a_27() {
    let (house, holder, stranger) = (House::new(), Client::new(), Client::new());
    let presented = |words: &Words| now(&house, words, &holder);
    let with_key = |inside: &str| presented(&holding(&naming(inside)));
    let (value_of_holder, point) = (holder.key_value(), holder.public_key().to_vec());
    let twice = value_of_holder.repeat(2);
    let elsewhere = |words: Words| presented(&words);
    let in_advice = sam()
        .but(BEARER, HOLDER)
        .and("</saml:Conditions>", &format!("<saml:Advice>{}</saml:Advice>", naming(&value_of_holder)));
    let in_attribute = sam().but(BEARER, HOLDER).and(
        "<saml:AttributeValue>",
        &format!("{}</saml:AttributeValue><saml:AttributeValue>", naming(&value_of_holder)),
    );
    let beside_data = sam().but(BEARER, HOLDER).and("</saml:SubjectConfirmationData>", &naming(&value_of_holder));
    let other_method = held_by(&holder).but(HOLDER, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches");
    let altered = {
        let mut signed = held_by(&stranger).signed(&house.agency);
        signed.octets = chancery::wire::Secret::new(held_by(&holder).octets.into_bytes()).unwrap();
        with(signed, &holder, Millis::now(), "")
    };
    all_refused(
        &house.office,
        vec![
            ("without a signature", submission(held_by(&holder).signed(&house.agency)), "confirmation"),
            ("signed by somebody else", now(&house, &held_by(&holder), &stranger), "wrong-signature"),
            ("an old one signed by somebody else", now(&house, &old_held_by(&holder), &stranger), "wrong-signature"),
            ("signed by its issuer", now(&house, &held_by(&holder), &house.agency), "wrong-signature"),
            ("of another kind of key", now(&house, &held_by(&holder), &Client::rsa(false)), "signature-algorithm"),
            (
                "by a key that the message writes out and the assertion does not",
                written_out(now(&house, &held_by(&holder), &stranger), &stranger),
                "confirmation",
            ),
            (
                "by the right key, where the message writes out another",
                written_out(presented(&held_by(&holder)), &stranger),
                "confirmation",
            ),
            (
                "the same for one that confirms a certificate",
                written_out(presented(&holding(&key_info(&holder))), &stranger),
                "confirmation",
            ),
            ("the key outside of the assertion", written_out(presented(&sam()), &holder), "confirmation"),
            (
                "without a key, and it outside",
                written_out(presented(&sam().but(BEARER, HOLDER)), &holder),
                "confirmation",
            ),
            ("the key of another assertion", now(&house, &held_by(&stranger), &holder), "wrong-signature"),
            ("altered to confirm another key", altered, "wrong-digest"),
            (
                "by a partner it is not of",
                with(held_by(&holder).signed(&house.bank), &holder, Millis::now(), ""),
                "wrong-signature",
            ),
            ("in an advice", elsewhere(in_advice), "confirmation"),
            ("in an attribute", elsewhere(in_attribute), "confirmation"),
            ("beside its confirmation", elsewhere(beside_data), "unreadable-assertion"),
            ("for whoever holds it", presented(&held_by(&holder).but(HOLDER, BEARER)), "confirmation"),
            ("for whom somebody vouches", elsewhere(other_method), "confirmation"),
            ("twice in one", with_key(&twice), "confirmation"),
            (
                "with a name beside it",
                with_key(&format!("{value_of_holder}<ds:KeyName>k</ds:KeyName>")),
                "confirmation",
            ),
            ("nothing in it", with_key("<ds:KeyValue></ds:KeyValue>"), "confirmation"),
            (
                "no key of a curve but its parameters",
                with_key(&value_of_holder.replace("k:NamedCurve", "k:ECParameters")),
                "confirmation",
            ),
            ("on a curve nobody names", with_key(&point_value("1.3.132.0.10", &point)), "confirmation"),
            ("on another curve", with_key(&point_value("1.3.132.0.34", &point)), "confirmation"),
            (
                "a point on no curve",
                with_key(&point_value("1.2.840.10045.3.1.7", &{
                    let mut off = point.clone();
                    off[64] ^= 1;
                    off
                })),
                "confirmation",
            ),
            (
                "a point that is not written out",
                with_key(&point_value("1.2.840.10045.3.1.7", &{
                    let sign = 2 + (point[64] & 1);
                    [&[sign], &point[1..33]].concat()
                })),
                "confirmation",
            ),
            ("the point at infinity", with_key(&point_value("1.2.840.10045.3.1.7", &[0])), "confirmation"),
            (
                "base64 that is none",
                with_key(&value_of_holder.replace("</k:PublicKey>", "=</k:PublicKey>")),
                "confirmation",
            ),
        ],
    );
}

#[test]
fn an_rsa_key_that_an_assertion_writes_out_is_as_strong_as_one_of_a_certificate() {
    let (house, holder) = (House::new(), Client::rsa(false));
    let octets = holder.public_key();
    let modulus = octets[octets.len() - 261..octets.len() - 5].to_vec();
    let with_key = |modulus: &[u8], exponent: &[u8]| {
        let words = holding(&naming(&rsa_value(modulus, exponent)));
        now(&house, &words, &holder)
    };
    let even = {
        let mut even = modulus.clone();
        even[255] &= 0xFE;
        even
    };
    let e = [1, 0, 1];
    all_refused(
        &house.office,
        vec![
            ("of 1024 bits", with_key(&modulus[128..], &e), "confirmation"),
            ("of 2047 bits", with_key(&[&[0x7F], &modulus[1..]].concat(), &e), "confirmation"),
            ("of 8193 bits", with_key(&[&[1][..], &[0xFF; 1024]].concat(), &e), "confirmation"),
            ("of more than is read", with_key(&[0xFF; 2049], &e), "confirmation"),
            ("with a zero before it", with_key(&[&[0], &modulus[..]].concat(), &e), "confirmation"),
            ("even", with_key(&even, &e), "confirmation"),
            ("without a modulus", with_key(&[], &e), "confirmation"),
            ("to the power of 1", with_key(&modulus, &[1]), "confirmation"),
            ("to the power of 3", with_key(&modulus, &[3]), "confirmation"),
            ("to the power of 17", with_key(&modulus, &[17]), "confirmation"),
            ("to an even power", with_key(&modulus, &[1, 0, 2]), "confirmation"),
            ("with a zero before its exponent", with_key(&modulus, &[0, 1, 0, 1]), "confirmation"),
            ("to a power of 33 bits", with_key(&modulus, &[1, 0, 0, 0, 1]), "confirmation"),
            ("to another power", with_key(&modulus, &[1, 0, 3]), "wrong-signature"),
        ],
    );
    house.office.worker().vouched(with_key(&modulus, &e));
}

#[test]
fn a_key_without_a_certificate_binds_no_token_and_has_no_answer_sealed() {
    let (house, holder) = (House::new(), Client::rsa(false));
    let mut worker = house.office.worker();
    let key_type = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>");
    let mut sent = with(held_by(&holder).signed(&house.agency), &holder, Millis::now(), &key_type);
    sent.wish.key_type = Some(KeyType::Public);
    assert_eq!(worker.refused(sent), Refusal::InvalidRequest);
    let at = |path: &str, sent: Submission| Submission { endpoint: Text::new(path).unwrap(), ..sent };
    // Nobody would know how to name it in a signed answer either: TLS protects that, as every assertion's.
    worker.vouched(at("/signed", now(&house, &held_by(&holder), &holder)));
    assert!(!house.office.lodged().signed_reply);
    let sealed = at("/sealed", now(&house, &held_by(&holder), &holder));
    assert_eq!(worker.refused(sealed), Refusal::UnsupportedSecurityToken);
    let reasons: Vec<_> =
        held(&house).into_iter().map(|(held, allowed, reason)| (held.proof, allowed, reason)).collect();
    let expected = [(false, "uncertified-key"), (true, "allowed"), (false, "unsealable")];
    assert_eq!(reasons, expected.map(|(allowed, reason)| (Proof::Signature, allowed, reason.to_owned())));
    // And without an assertion a key is nobody's.
    let created = Millis::now();
    let parts = [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
    let alone = |client: &Client| Submission {
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: Evidence::Signature(SignedMessage { key: value(client), ..client.message(&parts) }),
        ..at("/signed", submission(sam().signed(&house.agency)))
    };
    all_refused(
        &house.office,
        vec![
            ("of a stranger", alone(&holder), "unknown-certificate"),
            ("of sam", alone(&house.sam), "unknown-certificate"),
        ],
    );
}

#[test]
fn a_message_by_a_key_is_good_once_however_the_key_is_named() {
    let (house, holder) = (House::new(), Client::new());
    let mut worker = house.office.worker();
    let created = Millis::now();
    let parts = [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
    let sent = |words: &Words, key: KeyReference| {
        let signed = words.signed(&house.agency);
        beside(signed, SignedMessage { key, ..holder.message(&parts) }, created)
    };
    worker.vouched(sent(&held_by(&holder), KeyReference::Assertion));
    for (words, key) in [
        (held_by(&holder), KeyReference::Assertion),
        (held_by(&holder), value(&holder)),
        (old_held_by(&holder), KeyReference::Assertion),
        (holding(&key_info(&holder)), KeyReference::Assertion),
        (holding(&key_info(&holder)), holder.reference()),
    ] {
        assert_eq!(worker.refused(sent(&words, key)), Refusal::InvalidSecurity);
    }
    let once = held_by(&holder).but("</saml:Conditions>", "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>");
    worker.vouched(now(&house, &once, &holder));
    assert_eq!(worker.refused(now(&house, &once, &holder)), Refusal::InvalidSecurity);
    assert_eq!(held(&house).last().map(|(_, allowed, reason)| (*allowed, reason.as_str())), Some((false, "replayed")));
}

#[test]
fn a_key_that_is_registered_for_somebody_is_his_however_it_is_written() {
    let house = House::new();
    let nina = Words::saml20("nina@agency.example").but(BEARER, HOLDER).but(
        "</saml:SubjectConfirmationData>",
        &format!("{}</saml:SubjectConfirmationData>", naming(&house.sam.key_value())),
    );
    all_refused(
        &house.office,
        vec![
            ("sam's message beside nina's assertion", now(&house, &nina, &house.sam), "no-account"),
            ("by the key of somebody who is disabled", now(&house, &held_by(&house.eve), &house.eve), "no-account"),
        ],
    );
    house.office.worker().vouched(now(&house, &held_by(&house.sam), &house.sam));
}
