//! Messages whose body was sealed before they were signed, by the holder of a key or by an intermediary, with the
//! assertion sealed after that: what is asked for is what was in the octets that were signed.

use chancery::wire::evidence::{KeyReference, Refusal, SignedMessage, Submission, Wish};
use chancery::wire::order::RequestIntegrity;
use chancery::wire::unwrap::SessionKey;
use chancery::wire::{Correlation, Millis, Text};

use crate::holder::{beside, held_by, whole};
use crate::house::{ADDRESS, House};
use crate::support::asserted::Words;
use crate::support::opening::opened_first;
use crate::support::sealing::{self, By};
use crate::support::signed::{Client, Part, dereferenced};

pub(crate) const KEY: [u8; 32] = [0x5A; 32];
const BY: By = By::Gcm(32);

/// What is sealed, and the body that holds it.
pub(crate) fn body() -> (Vec<u8>, Part) {
    let plain = Part::body("urn:office", "");
    let octets = BY.seal(&KEY, sealing::inside(&plain).as_bytes());
    let body = sealing::body(&sealing::data(&BY.algorithm(), &octets));
    (octets, body)
}

#[test]
fn a_holder_who_seals_first_asks_for_what_was_in_what_he_signed_r_w060() {
    let house = House::at(Client::new(), "encryption = true", "");
    house.office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
    let holder = Client::new();
    let mut worker = house.office.worker();
    let assertion = BY.seal(&KEY, b"<saml:Assertion/>");
    let now = Millis::now();
    let sent = |correlation: Correlation, body: &Part| {
        let parts = [Part::timestamp(now, None), Part::to(ADDRESS), body.clone(), Part::message_id()];
        let message = SignedMessage { key: KeyReference::Assertion, ..holder.message(&parts) };
        Submission { correlation, ..beside(held_by(&holder).signed(&house.agency), message, now) }
    };
    let (octets, body) = body();
    let correlation = opened_first(&mut worker, "/saml", &[assertion.clone(), octets.clone()]);
    worker.vouched(sent(correlation, &body));
    let order = house.office.lodged().order;
    assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
    // What the worker makes of it has to be that, and it has to be what was opened for this request.
    let correlation = opened_first(&mut worker, "/saml", &[assertion.clone(), octets]);
    let mut lie = sent(correlation, &body);
    lie.wish = Wish { applies_to: Some(Text::new("urn:another").unwrap()), ..lie.wish };
    assert_eq!(worker.refused(lie), Refusal::InvalidRequest);
    let correlation = opened_first(&mut worker, "/saml", &[assertion]);
    let refusal = worker.refused(sent(correlation, &body));
    assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal:?}");
}

#[test]
fn what_an_assertion_has_sealed_itself_is_no_part_that_is_opened_also_where_it_is_signed() {
    let house = House::at(Client::new(), "encryption = true", "");
    house.office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
    let holder = Client::new();
    let mut worker = house.office.worker();
    let now = Millis::now();
    let sent = |words: &Words, correlation: Correlation, body: &Part| {
        let assertion = whole(words, &house.agency);
        let parts = [Part::timestamp(now, None), Part::to(ADDRESS), body.clone(), Part::message_id(), assertion];
        let info = dereferenced(&holder.signed_info(&parts), "str");
        Submission { correlation, ..beside(words.signed(&house.agency), holder.over(&info, &parts), now) }
    };
    // Sealed by the very key of the message, which opens it no more than another would.
    let (octets, body) = body();
    let within = sealing::data(&BY.algorithm(), &BY.seal(&KEY, b"<saml:NameID/>")).replace("\"ed\"", "\"own\"");
    let advised =
        |inside: &str| held_by(&holder).and("</saml:Conditions>", &format!("<saml:Advice>{inside}</saml:Advice>"));
    let words = advised(&within);
    worker.vouched(sent(&words, Correlation::random(), &Part::body("urn:office", "")));
    let correlation = opened_first(&mut worker, "/saml", std::slice::from_ref(&octets));
    worker.vouched(sent(&words, correlation, &body));
    let order = house.office.lodged().order;
    assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
    // In what is asked for it is still something that is not opened.
    let asking = Part::body("urn:office", &within);
    assert_eq!(worker.refused(sent(&words, Correlation::random(), &asking)), Refusal::InvalidSecurity);
    // And what would say who somebody is, or something of him, is refused as before.
    let named = held_by(&holder)
        .and("<saml:AttributeStatement>", &format!("<saml:EncryptedAttribute>{within}</saml:EncryptedAttribute>"));
    let correlation = opened_first(&mut worker, "/saml", &[octets]);
    assert_eq!(worker.refused(sent(&named, correlation, &body)), Refusal::FailedAuthentication);
}
