//! Assertions for the holder of a key: presented by whoever has signed the message with it, and by others.

use base64ct::{Base64, Encoding};
use chancery::auth::store::Store;
use chancery::config::auth::{StorePlace, StoreRules};
use chancery::wire::evidence::{
    Evidence, KeyReference, KeyType, Refusal, SignedAssertion, SignedMessage, Submission, Timestamp,
};
use chancery::wire::order::{Confirmation, Method, RequestIntegrity};
use chancery::wire::{Millis, Octets, Secret, Text};

use crate::house::{ADDRESS, House, all_refused, old_sam, sam, submission};
use crate::support::asserted::{BEARER, Words};
use crate::support::office::request;
use crate::support::processes::eventually;
use crate::support::signed::{Client, Part, TRUST, dereferenced};

pub(crate) const HOLDER: &str = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";

pub(crate) fn der(client: &Client) -> Octets<{ 16 * 1024 }> {
    let KeyReference::Certificate(der) = client.reference() else { panic!("a certificate") };
    der
}

/// `ds:KeyInfo` with its certificate.
pub(crate) fn key_info(client: &Client) -> String {
    let text = Base64::encode_string(&der(client));
    format!(
        "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>{text}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    )
}

pub(crate) fn holding(key_info: &str) -> Words {
    sam()
        .but(BEARER, HOLDER)
        .but("</saml:SubjectConfirmationData>", &format!("{key_info}</saml:SubjectConfirmationData>"))
}

/// For whoever has the key of this client.
pub(crate) fn held_by(client: &Client) -> Words {
    holding(&key_info(client))
}

pub(crate) fn old_held_by(client: &Client) -> Words {
    let method = "</saml:ConfirmationMethod>";
    old_sam().but("cm:bearer", "cm:holder-of-key").but(method, &format!("{method}{}", key_info(client)))
}

/// Presented with a message that this client signed, and that says what else there is in its body.
pub(crate) fn with(signed: SignedAssertion, client: &Client, created: Millis, more: &str) -> Submission {
    let body = Part::body("urn:office", more);
    let parts = [Part::timestamp(created, None), Part::to(ADDRESS), body, Part::message_id()];
    beside(signed, SignedMessage { key: KeyReference::Assertion, ..client.message(&parts) }, created)
}

pub(crate) fn beside(signed: SignedAssertion, message: SignedMessage, created: Millis) -> Submission {
    Submission {
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: Evidence::Attested(signed, message),
        ..submission_at_saml()
    }
}

fn submission_at_saml() -> Submission {
    Submission { endpoint: Text::new("/saml").unwrap(), ..request("", "") }
}

pub(crate) fn now(house: &House, words: &Words, client: &Client) -> Submission {
    with(words.signed(&house.agency), client, Millis::now(), "")
}

#[test]
fn whoever_signs_with_the_key_that_an_assertion_confirms_is_its_subject() {
    let (house, holder, other) = (House::new(), Client::new(), Client::new());
    let two = holding(&(key_info(&other) + &key_info(&holder)));
    let typed = held_by(&holder).but(
        "<saml:SubjectConfirmationData ",
        "<saml:SubjectConfirmationData xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:type=\"saml:KeyInfoConfirmationDataType\" ",
    );
    let mut worker = house.office.worker();
    for words in [held_by(&holder), old_held_by(&holder), two, typed] {
        worker.vouched(now(&house, &words, &holder));
        let order = house.office.lodged().order;
        assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
        assert_eq!((order.authentication.method, order.confirmation), (Method::Saml, Confirmation::Bearer));
    }
    // By the certificate instead of the assertion; the assertion still says which key counts.
    let created = Millis::now();
    let parts = [Part::timestamp(created, None), Part::to(ADDRESS), Part::message_id()];
    worker.vouched(beside(held_by(&holder).signed(&house.agency), holder.message(&parts), created));
    assert_eq!(house.office.lodged().order.request, RequestIntegrity::Transport, "the body is not signed");
}

#[test]
fn a_token_is_bound_to_the_key_that_the_assertion_confirms_and_the_message_proves() {
    let (house, holder) = (House::new(), Client::rsa(false));
    let key_type = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>");
    let mut sent = with(held_by(&holder).signed(&house.agency), &holder, Millis::now(), &key_type);
    sent.wish.key_type = Some(KeyType::Public);
    house.office.worker().vouched(sent);
    let expected = Confirmation::HolderOfKey { certificate: der(&holder) };
    assert_eq!(house.office.lodged().order.confirmation, expected);
}

#[test]
fn an_assertion_for_the_holder_of_a_key_gets_nobody_else_anything_a_27() {
    let (house, holder, stranger) = (House::new(), Client::new(), Client::new());
    let past = Client::with(|parameters| parameters.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let presented = |words: &Words| now(&house, words, &holder);
    let named = |inside: &str| {
        holding(&format!("<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{inside}</ds:KeyInfo>"))
    };
    let kind = |declared: &str, name: &str| {
        held_by(&holder).but(
            "<saml:SubjectConfirmationData ",
            &format!(
                "<saml:SubjectConfirmationData xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" {declared} \
                 xsi:type=\"{name}\" "
            ),
        )
    };
    let changed = |change: &dyn Fn(&mut SignedMessage)| {
        let created = Millis::now();
        let parts =
            [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
        let mut message = holder.message(&parts);
        change(&mut message);
        beside(held_by(&holder).signed(&house.agency), message, created)
    };
    all_refused(
        &house.office,
        vec![
            ("without a signature", submission(held_by(&holder).signed(&house.agency)), "confirmation"),
            ("an old one without a signature", submission(old_held_by(&holder).signed(&house.agency)), "confirmation"),
            (
                "for whoever holds it and a key",
                submission(held_by(&holder).but(HOLDER, BEARER).signed(&house.agency)),
                "confirmation",
            ),
            ("signed by somebody else", now(&house, &held_by(&holder), &stranger), "wrong-signature"),
            ("an old one signed by somebody else", now(&house, &old_held_by(&holder), &stranger), "wrong-signature"),
            ("signed by its issuer", now(&house, &held_by(&holder), &house.agency), "wrong-signature"),
            ("for whoever holds it, and signed by somebody", presented(&sam()), "confirmation"),
            ("for whoever holds it, with a key", presented(&held_by(&holder).but(HOLDER, BEARER)), "confirmation"),
            (
                "for whom somebody vouches",
                presented(&held_by(&holder).but(HOLDER, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")),
                "confirmation",
            ),
            ("without a key", presented(&sam().but(BEARER, HOLDER)), "confirmation"),
            ("with a key by its name", presented(&named("<ds:KeyName>k</ds:KeyName>")), "confirmation"),
            ("with a key itself", presented(&named("<ds:KeyValue></ds:KeyValue>")), "confirmation"),
            ("with no certificate", presented(&named("<ds:X509Data></ds:X509Data>")), "confirmation"),
            (
                "with what is no certificate",
                presented(&named("<ds:X509Data><ds:X509Certificate>AAEC</ds:X509Certificate></ds:X509Data>")),
                "confirmation",
            ),
            ("with a key and more", presented(&holding(&(key_info(&holder) + "<x></x>"))), "confirmation"),
            ("with data of another type", presented(&kind("", "saml:Other")), "confirmation"),
            ("of a type from outside", presented(&kind("", "outside:KeyInfoConfirmationDataType")), "confirmation"),
            (
                "of somebody's type",
                presented(&kind("xmlns:x=\"urn:x\"", "x:KeyInfoConfirmationDataType")),
                "confirmation",
            ),
            (
                "not any more",
                presented(&held_by(&holder).attribute(
                    "SubjectConfirmationData",
                    "NotOnOrAfter",
                    &crate::support::asserted::at(-3600),
                )),
                "confirmation",
            ),
            ("whose certificate is past", now(&house, &held_by(&past), &past), "certificate-dates"),
            (
                "by a partner it is not of",
                with(held_by(&holder).signed(&house.bank), &holder, Millis::now(), ""),
                "wrong-signature",
            ),
            (
                "with another body than was signed",
                changed(&|message| {
                    let mut parts: Vec<_> = message.parts.iter().map(|part| part.expose().to_vec()).collect();
                    parts[2] = Part::body("urn:elsewhere", "").octets.into_bytes();
                    let parts = parts.into_iter().map(|part| Secret::new(part).unwrap()).collect::<Vec<_>>();
                    message.parts = chancery::wire::List::new(parts).unwrap();
                }),
                "wrong-digest",
            ),
            ("with no signature value", changed(&|message| message.value = Octets::default()), "wrong-signature"),
        ],
    );
}

/// The assertion as it stands for a reference to it, with its signature.
pub(crate) fn whole(words: &Words, by: &Client) -> Part {
    let octets = words.xml(by).replacen("<saml:Assertion ", "<saml:Assertion xmlns=\"\" ", 1);
    Part { id: "str", octets }
}

#[test]
fn the_assertion_that_a_message_covers_is_the_one_that_is_presented() {
    let (house, holder) = (House::new(), Client::new());
    let (words, nina) = (held_by(&holder), Words::saml20("nina@agency.example"));
    let created = Millis::now();
    let sent = |part: Part| {
        let body = Part::body("urn:office", "");
        let parts = [Part::timestamp(created, None), Part::to(ADDRESS), body, Part::message_id(), part];
        let info = dereferenced(&holder.signed_info(&parts), "str");
        beside(words.signed(&house.agency), holder.over(&info, &parts), created)
    };
    let mut worker = house.office.worker();
    for assertion in [whole(&nina, &house.agency), whole(&held_by(&holder), &house.agency)] {
        assert_eq!(worker.refused(sent(assertion)), Refusal::InvalidSecurity);
    }
    let changed = words.clone().but("sam@", "nina@");
    assert_eq!(worker.refused(sent(whole(&changed, &house.agency))), Refusal::InvalidSecurity);
    let unsigned = Part { id: "str", octets: words.octets.clone() };
    assert_eq!(worker.refused(sent(unsigned)), Refusal::InvalidSecurity);
    let refused = house.office.decisions();
    assert!(refused.len() == 4 && refused.iter().all(|(_, why)| why == "uncovered"), "{refused:?}");
    // Whoever signed it: an ECDSA signature is another one each time, and what it is over is what counts.
    worker.vouched(sent(whole(&words, &house.agency)));
    assert_eq!(house.office.lodged().order.subject.account.as_str(), "sam");
}

#[test]
fn a_message_of_a_holder_is_fresh_for_us_and_good_once() {
    let (house, holder) = (House::new(), Client::new());
    let mut worker = house.office.worker();
    let words = held_by(&holder).but("</saml:Conditions>", "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>");
    let stale = with(words.signed(&house.agency), &holder, Millis::now().plus(-400_000), "");
    // Only as far as the worker says is it fresh.
    let lying = Submission { timestamp: Some(Timestamp { created: Millis::now(), expires: None }), ..stale };
    assert_eq!(worker.refused(lying), Refusal::MessageExpired);
    let created = Millis::now();
    let elsewhere = [Part::timestamp(created, None), Part::to("https://other.example/"), Part::message_id()];
    let misaddressed = beside(words.signed(&house.agency), holder.message(&elsewhere), created);
    assert_eq!(worker.refused(misaddressed), Refusal::InvalidSecurity);
    let unstamped = [Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
    let unstamped = beside(words.signed(&house.agency), holder.message(&unstamped), created);
    assert_eq!(worker.refused(unstamped), Refusal::InvalidSecurity);
    // None of these used the assertion up. This does.
    worker.vouched(now(&house, &words, &holder));
    assert_eq!(worker.refused(now(&house, &words, &holder)), Refusal::InvalidSecurity);
    // And a message is good once, whatever the assertion is.
    let words = held_by(&holder);
    let parts = [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
    let again = || beside(words.signed(&house.agency), holder.message(&parts), created);
    worker.vouched(again());
    assert_eq!(worker.refused(again()), Refusal::InvalidSecurity);
}

#[test]
fn a_key_that_is_registered_for_one_account_presents_no_assertion_of_anothers() {
    let house = House::new();
    let now = |client: &Client| now(&house, &held_by(client), client);
    let nina = Words::saml20("nina@agency.example");
    let nina = nina
        .but(BEARER, HOLDER)
        .but("</saml:SubjectConfirmationData>", &format!("{}</saml:SubjectConfirmationData>", key_info(&house.sam)));
    let body = Part::body("urn:office", "");
    let created = Millis::now();
    let parts = [Part::timestamp(created, None), Part::to(ADDRESS), body, Part::message_id()];
    let of_sam = beside(nina.signed(&house.agency), house.sam.message(&parts), created);
    all_refused(
        &house.office,
        vec![
            ("sam's message beside nina's assertion", of_sam, "no-account"),
            ("with the key of somebody who is disabled", now(&house.eve), "no-account"),
        ],
    );
    house.office.worker().vouched(now(&house.sam));
}

#[test]
fn what_a_partner_certifies_and_says_leaves_room_in_the_store() {
    let (mut house, holder) = (House::new(), Client::new());
    let store = tempfile::tempdir().unwrap();
    drop(
        Store::open(&StoreRules { place: StorePlace::Sqlite(store.path().to_owned()), most_rows: 1_000 }, None)
            .unwrap(),
    );
    let file = rusqlite::Connection::open(store.path().join("auth.sqlite")).unwrap();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 749)
        INSERT INTO first_seen SELECT randomblob(32), 1 << 62 FROM n";
    file.execute(rows, []).unwrap();
    drop(file);
    let toml = house.office.run().parent().unwrap().join("etc/auth.d/auth.toml");
    let toml = std::fs::read_to_string(toml).unwrap();
    let own = format!("directory = \"{}\"\nmost_rows = 1_000", store.path().display());
    assert!(toml.contains("directory = \"../../state\""));
    house.office.write("auth.toml", &toml.replace("directory = \"../../state\"", &own));
    house.office.start();
    let mut worker = house.office.worker();
    let once =
        house.presented(&sam().but("</saml:Conditions>", "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>"));
    assert!(matches!(worker.refused(once), Refusal::Busy { .. }));
    let held = |number: u8| {
        let words = held_by(&holder);
        with(words.signed(&house.agency), &holder, Millis::now(), &format!("<!-- {number} -->"))
    };
    worker.vouched(held(1));
    assert!(matches!(worker.refused(held(2)), Refusal::Busy { .. }));
}

#[test]
fn a_worker_that_says_something_else_than_a_holder_signed_loses_its_channel() {
    let (house, holder) = (House::new(), Client::new());
    let mut sent = now(&house, &held_by(&holder), &holder);
    sent.wish.applies_to = Some(Text::new("urn:elsewhere").unwrap());
    let mut worker = house.office.worker();
    worker.submit(sent);
    eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
}

#[test]
fn an_endpoint_for_signatures_takes_no_assertion_beside_one() {
    let (house, holder) = (House::new(), Client::new());
    let sent = now(&house, &held_by(&holder), &holder);
    let elsewhere = Submission { endpoint: Text::new("/password").unwrap(), ..sent };
    assert_eq!(house.office.worker().refused(elsewhere), Refusal::UnsupportedSecurityToken);
}
