//! Assertions for the holder of a key that their partner has made and sealed for us: what proves it, what does not, and
//! when it is opened.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};
use chancery::auth::derive::derived;
use chancery::wire::derivation::{Derivation, PartKey};
use chancery::wire::evidence::{
    Evidence, KeyType, KeyedMessage, MacAlgorithm, Refusal, SignedAssertion, Submission, Timestamp,
};
use chancery::wire::links::{AuthToAudit, AuthToIssuer, AuthToWorker, WorkerToAuth};
use chancery::wire::order::{Confirmation, Method, RequestIntegrity};
use chancery::wire::record::{AuthEntry, Held, HeldKey, Proof};
use chancery::wire::unwrap::{KeyTransport, NotUnwrapped, Recipient, SessionKey};
use chancery::wire::{Millis, Octets, Secret, Text};

use crate::holder::{HOLDER, holding, key_info, now as signed_now};
use crate::house::{ADDRESS, House, all_refused, old_sam, sam, submission};
use crate::support::asserted::{BEARER, Words};
use crate::support::keyed;
use crate::support::refusals::all_hear;
use crate::support::signed::{Client, DS, Part, TRUST, WSSE};

const MACS: &str = "holder_proofs = [\"signature\", \"mac\"]";
const BY: MacAlgorithm = MacAlgorithm::HmacSha256;
const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
const PROFILE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0";
const THUMBPRINT: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";
/// What its partner has made for the holder, and what for somebody else.
const KEY: [u8; 32] = [7; 32];
const OTHER: [u8; 32] = [8; 32];
/// What that is sealed.
const SEALED: [u8; 256] = [0xA5; 256];

/// How a certificate is named.
fn identifier(kind: &str, octets: &[u8]) -> String {
    let text = Base64::encode_string(octets);
    format!(
        "<o:SecurityTokenReference xmlns:o=\"{WSSE}\"><o:KeyIdentifier ValueType=\"{kind}\">{text}</o:KeyIdentifier>\
         </o:SecurityTokenReference>"
    )
}

fn usual() -> String {
    identifier(THUMBPRINT, &[1; 20])
}

fn sealed_by(method: &str, named: &str, sealed: &[u8], more: &str) -> String {
    let value = Base64::encode_string(sealed);
    format!(
        "<ds:KeyInfo xmlns:ds=\"{DS}\"><x:EncryptedKey xmlns:x=\"{XENC}\"><x:EncryptionMethod Algorithm=\"{method}\">\
         </x:EncryptionMethod><ds:KeyInfo>{named}</ds:KeyInfo><x:CipherData><x:CipherValue>{value}</x:CipherValue>\
         </x:CipherData>{more}</x:EncryptedKey></ds:KeyInfo>"
    )
}

/// `ds:KeyInfo` with this, sealed.
fn sealed(octets: &[u8]) -> String {
    sealed_by(&format!("{XENC}rsa-oaep-mgf1p"), &usual(), octets, "")
}

fn held() -> Words {
    holding(&sealed(&SEALED))
}

fn old_held() -> Words {
    let method = "</saml:ConfirmationMethod>";
    old_sam().but("cm:bearer", "cm:holder-of-key").but(method, &format!("{method}{}", sealed(&SEALED)))
}

fn house() -> House {
    opening(House::with(MACS))
}

/// Issuer opens whatever is sealed to the key of the holder.
fn opening(house: House) -> House {
    house.office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
    house
}

fn parts(created: Millis) -> Vec<Part> {
    vec![Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()]
}

fn beside(signed: SignedAssertion, message: KeyedMessage, created: Millis) -> Submission {
    Submission {
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: Evidence::EndorsedAssertion(signed, message),
        ..submission(sam().signed(&Client::new()))
    }
}

/// Presented with a message that whoever has this key put under a MAC.
fn by(house: &House, words: &Words, key: &[u8]) -> Submission {
    let created = Millis::now();
    beside(words.signed(&house.agency), keyed::message(key, BY, &parts(created)), created)
}

/// The same, with something else about the message.
fn changed(house: &House, change: impl FnOnce(&mut KeyedMessage)) -> Submission {
    let created = Millis::now();
    let mut message = keyed::message(&KEY, BY, &parts(created));
    change(&mut message);
    beside(held().signed(&house.agency), message, created)
}

/// For whom keys were to be opened so far, and how.
fn opened(house: &House) -> Vec<(Recipient, KeyTransport, Vec<u8>)> {
    let said = house.office.issuer.said.lock().unwrap();
    let unwrap = |message: &AuthToIssuer| match message {
        AuthToIssuer::Unwrap(asked) => Some((asked.recipient.clone(), asked.transport, asked.sealed.to_vec())),
        _ => None,
    };
    said.iter().filter_map(unwrap).collect()
}

/// How holders have proved themselves, by the record.
fn recorded(house: &House) -> Vec<(Held, bool, String)> {
    let said = house.office.audit.said.lock().unwrap();
    let held = said.iter().filter_map(|message| match message {
        AuthToAudit::Append { entry: AuthEntry::Held(decision, held, _), .. } => {
            Some((*held, decision.allowed, decision.reason.to_string()))
        }
        AuthToAudit::Append { .. } => None,
    });
    held.collect()
}

#[test]
fn whoever_makes_a_mac_with_the_key_that_an_assertion_has_is_its_subject_and_the_record_says_how_r_w060() {
    let house = house();
    let mut worker = house.office.worker();
    let typed = held().but(
        "<saml:SubjectConfirmationData ",
        "<saml:SubjectConfirmationData xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:type=\"saml:KeyInfoConfirmationDataType\" ",
    );
    for words in [held(), old_held(), typed] {
        for algorithm in [BY, MacAlgorithm::HmacSha384, MacAlgorithm::HmacSha512] {
            let created = Millis::now();
            let message = keyed::message(&KEY, algorithm, &parts(created));
            worker.vouched(beside(words.signed(&house.agency), message, created));
            let order = house.office.lodged().order;
            assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
            assert_eq!((order.authentication.method, order.confirmation), (Method::Saml, Confirmation::Bearer));
        }
    }
    // What AD FS's clients cover: the request is left to TLS then.
    let created = Millis::now();
    let message = keyed::message(&KEY, BY, &[Part::timestamp(created, None), Part::to(ADDRESS)]);
    worker.vouched(beside(held().signed(&house.agency), message, created));
    assert_eq!(house.office.lodged().order.request, RequestIntegrity::Transport);
    let name = digest(&SHA256, &SEALED).as_ref().try_into().unwrap();
    let expected = (Held { proof: Proof::Mac, key: HeldKey::Sealed(name) }, true, "allowed".to_owned());
    assert_eq!(recorded(&house), vec![expected; 10]);
}

#[test]
fn a_mac_may_be_by_a_key_that_is_derived_from_it() {
    let house = house();
    let by = |length| Derivation::new(None, [3; 16], 0, length).unwrap();
    let sent = |told: Derivation, key: &[u8]| {
        let created = Millis::now();
        let message = KeyedMessage { key: PartKey::Derived(told), ..keyed::message(key, BY, &parts(created)) };
        beside(held().signed(&house.agency), message, created)
    };
    for length in [16, 24, 32] {
        house.office.worker().vouched(sent(by(length), &derived(&KEY, &by(length))));
    }
    all_refused(
        &house.office,
        vec![
            ("by too few octets", sent(by(15), &derived(&KEY, &by(15))), "wrong-endorsement"),
            ("by others", sent(by(24), &derived(&KEY, &by(32))), "wrong-endorsement"),
            ("by the key itself", sent(by(32), &KEY), "wrong-endorsement"),
        ],
    );
}

#[test]
fn a_key_is_opened_for_whom_it_says_and_once_however_often_its_assertion_is_presented() {
    let house = house();
    let mut worker = house.office.worker();
    for words in [held(), held(), old_held()] {
        worker.vouched(by(&house, &words, &KEY));
        worker.vouched(by(&house, &words, &KEY));
    }
    let thumbprint = Recipient::Thumbprint([1; 20]);
    assert_eq!(opened(&house), [(thumbprint.clone(), KeyTransport::OaepSha1, SEALED.to_vec())]);
    let data = |inside: &str| format!("<ds:X509Data>{inside}</ds:X509Data>");
    let serial = data(
        "<ds:X509IssuerSerial><ds:X509IssuerName>CN=us</ds:X509IssuerName><ds:X509SerialNumber>256\
         </ds:X509SerialNumber></ds:X509IssuerSerial>",
    );
    let inside_reference =
        |data: &str| format!("<o:SecurityTokenReference xmlns:o=\"{WSSE}\">{data}</o:SecurityTokenReference>");
    let certificate = data("<ds:X509Certificate>AAEC</ds:X509Certificate>");
    let of_certificate = Recipient::Certificate(digest(&SHA256, &[0, 1, 2]).as_ref().try_into().unwrap());
    let of_key = Recipient::KeyIdentifier(Octets::new([2; 20]).unwrap());
    for (named, recipient) in [
        (identifier(&format!("{PROFILE}#X509SubjectKeyIdentifier"), &[2; 20]), of_key.clone()),
        (data(&format!("<ds:X509SKI>{}</ds:X509SKI>", Base64::encode_string(&[2; 20]))), of_key),
        (inside_reference(&serial), Recipient::Serial(Octets::new([1, 0]).unwrap())),
        (certificate, of_certificate),
    ] {
        let method = format!("{XENC}rsa-oaep-mgf1p");
        // Sealed so or so it is another one.
        let fresh = Base64::encode_string(named.as_bytes()).into_bytes();
        let words = holding(&sealed_by(&method, &named, &fresh[..256.min(fresh.len())], ""));
        worker.vouched(by(&house, &words, &KEY));
        assert_eq!(opened(&house).pop().unwrap().0, recipient, "{named}");
    }
    let sha256 = format!(
        "<x:EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#rsa-oaep\"><ds:DigestMethod \
         xmlns:ds=\"{DS}\" Algorithm=\"{XENC}sha256\"></ds:DigestMethod><m:MGF xmlns:m=\"http://www.w3.org/2009/xmlenc11#\" \
         Algorithm=\"http://www.w3.org/2009/xmlenc11#mgf1sha256\"></m:MGF></x:EncryptionMethod>"
    );
    let plain = format!("<x:EncryptionMethod Algorithm=\"{XENC}rsa-oaep-mgf1p\"></x:EncryptionMethod>");
    worker.vouched(by(&house, &held().but(&plain, &sha256), &KEY));
    assert_eq!(opened(&house).pop().unwrap(), (thumbprint, KeyTransport::OaepSha256, SEALED.to_vec()));
}

#[test]
fn no_key_is_opened_that_no_partner_has_sealed_or_whose_assertion_does_not_count() {
    let house = house();
    let nobody = Client::new();
    let expired = held().attribute("Conditions", "NotOnOrAfter", &crate::support::asserted::at(-3600));
    let altered = {
        let mut signed = holding(&sealed(&[1; 256])).signed(&house.agency);
        signed.octets = Secret::new(held().octets.into_bytes()).unwrap();
        let created = Millis::now();
        beside(signed, keyed::message(&KEY, BY, &parts(created)), created)
    };
    let by_others = |signer: &Client| {
        let created = Millis::now();
        beside(held().signed(signer), keyed::message(&KEY, BY, &parts(created)), created)
    };
    let at = |path: &str| Submission { endpoint: Text::new(path).unwrap(), ..by(&house, &held(), &KEY) };
    let bank = Words::saml20("otto@agency.example").but("https://idp.agency.example/saml", "urn:bank");
    let bank = bank
        .but(BEARER, HOLDER)
        .but("</saml:SubjectConfirmationData>", &format!("{}</saml:SubjectConfirmationData>", sealed(&SEALED)));
    let of_bank = {
        let created = Millis::now();
        let mut signed = bank.signed(&house.bank);
        signed.issuer = Text::new("urn:bank").unwrap();
        beside(signed, keyed::message(&KEY, BY, &parts(created)), created)
    };
    let kim = held().but("sam@", "kim@");
    let here = |words: Words| by(&house, &words, &KEY);
    let vouched = held().but(HOLDER, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches");
    let keys = |more: &str| here(holding(&(sealed(&SEALED) + more)));
    all_refused(
        &house.office,
        vec![
            ("by nobody", by_others(&nobody), "wrong-signature"),
            ("by another partner", by_others(&house.bank), "wrong-signature"),
            ("with another key than its partner signed", altered, "wrong-digest"),
            ("of a partner whose holders make no MACs", of_bank, "confirmation"),
            ("past", here(expired), "assertion-dates"),
            (
                "for somebody else",
                here(held().but("https://sts.example.com/</saml:Audience>", "urn:x</saml:Audience>")),
                "audience",
            ),
            ("about somebody who is disabled", here(kim), "disabled"),
            ("about nobody", here(held().but("sam@agency.example", "x@elsewhere.example")), "no-account"),
            ("for whoever holds it", here(held().but(HOLDER, BEARER)), "confirmation"),
            ("for whom somebody vouches", here(vouched), "confirmation"),
            (
                "not any more",
                here(held().attribute("SubjectConfirmationData", "NotOnOrAfter", &crate::support::asserted::at(-3600))),
                "confirmation",
            ),
            ("without a key", here(sam().but(BEARER, HOLDER)), "confirmation"),
            ("with a certificate", here(holding(&key_info(&nobody))), "confirmation"),
            ("with two", keys(&sealed(&[1; 256])), "confirmation"),
            ("with one and something else", keys("<x></x>"), "confirmation"),
            (
                "in an advice",
                here(
                    sam()
                        .but(BEARER, HOLDER)
                        .and("</saml:Conditions>", &format!("<saml:Advice>{}</saml:Advice>", sealed(&SEALED))),
                ),
                "confirmation",
            ),
            (
                "with a name beside it",
                here(holding(&sealed(&SEALED).replacen(
                    "</x:EncryptedKey>",
                    "</x:EncryptedKey><ds:KeyName>k</ds:KeyName>",
                    1,
                ))),
                "confirmation",
            ),
            (
                "by PKCS#1 v1.5",
                here(holding(&sealed_by(&format!("{XENC}rsa-1_5"), &usual(), &SEALED, ""))),
                "confirmation",
            ),
            (
                "by key wrap",
                here(holding(&sealed_by(&format!("{XENC}kw-aes256"), &usual(), &SEALED, ""))),
                "confirmation",
            ),
            (
                "that seals something",
                here(holding(&sealed_by(
                    &format!("{XENC}rsa-oaep-mgf1p"),
                    &usual(),
                    &SEALED,
                    "<x:ReferenceList><x:DataReference URI=\"#a\"></x:DataReference></x:ReferenceList>",
                ))),
                "confirmation",
            ),
            (
                "for a token of the message",
                here(holding(&sealed_by(
                    &format!("{XENC}rsa-oaep-mgf1p"),
                    &format!(
                        "<o:SecurityTokenReference xmlns:o=\"{WSSE}\"><o:Reference URI=\"#k\"></o:Reference>\
                          </o:SecurityTokenReference>"
                    ),
                    &SEALED,
                    "",
                ))),
                "confirmation",
            ),
            (
                "for a name",
                here(holding(&sealed_by(&format!("{XENC}rsa-oaep-mgf1p"), "<ds:KeyName>us</ds:KeyName>", &SEALED, ""))),
                "confirmation",
            ),
            ("too long", here(holding(&sealed(&[1; 513]))), "confirmation"),
        ],
    );
    all_hear(
        &house.office,
        Refusal::UnsupportedSecurityToken,
        vec![("where no assertions are taken", at("/password"), "credential")],
    );
    assert_eq!(opened(&house), []);
}

#[test]
fn whoever_has_not_the_key_that_an_assertion_has_hears_what_everybody_does_a_27() {
    let house = house();
    let with_key = |inside: &str| by(&house, &holding(inside), &KEY);
    // One that is sealed for somebody else opens to nothing; he knows it all the same.
    house.office.opens(Err(NotUnwrapped::Unopened));
    let elsewhere = with_key(&sealed(&[2; 256]));
    all_refused(&house.office, vec![("sealed for somebody else", elsewhere, "wrong-endorsement")]);
    // He is not tried again, and has no other answer.
    let house = opening(house);
    let count = opened(&house).len();
    let elsewhere = by(&house, &holding(&sealed(&[2; 256])), &KEY);
    all_refused(&house.office, vec![("the same again", elsewhere, "wrong-endorsement")]);
    assert_eq!(opened(&house).len(), count);
    let moved = {
        // Of bob's message, beside sam's assertion.
        let created = Millis::now();
        beside(held().signed(&house.agency), keyed::message(&OTHER, BY, &parts(created)), created)
    };
    let other_body = changed(&house, |message| {
        let mut parts: Vec<_> = message.parts.iter().map(|part| part.expose().to_vec()).collect();
        parts[2] = Part::body("urn:elsewhere", "").octets.into_bytes();
        let parts = parts.into_iter().map(|part| Secret::new(part).unwrap()).collect::<Vec<_>>();
        message.parts = chancery::wire::List::new(parts).unwrap();
    });
    all_refused(
        &house.office,
        vec![
            ("by another's key", moved, "wrong-endorsement"),
            ("by nothing", by(&house, &held(), &[]), "wrong-endorsement"),
            ("by what is sealed", by(&house, &held(), &SEALED), "wrong-endorsement"),
            ("by an octet less", by(&house, &held(), &KEY[..31]), "wrong-endorsement"),
            ("without a MAC", submission(held().signed(&house.agency)), "confirmation"),
            ("an old one without a MAC", submission(old_held().signed(&house.agency)), "confirmation"),
            ("with a signature", signed_now(&house, &held(), &Client::new()), "confirmation"),
            ("with no value", changed(&house, |message| message.value = Octets::default()), "wrong-endorsement"),
            (
                "cut short",
                changed(&house, |message| message.value = Octets::new(&message.value[..16]).unwrap()),
                "wrong-endorsement",
            ),
            (
                "by another algorithm than it says",
                changed(&house, |message| message.algorithm = MacAlgorithm::HmacSha512),
                "wrong-endorsement",
            ),
            ("with another body", other_body, "wrong-digest"),
        ],
    );
}

#[test]
fn a_worker_that_says_something_else_than_what_is_under_the_mac_is_hung_up_on() {
    let house = house();
    let mut sent = by(&house, &held(), &KEY);
    sent.wish.applies_to = Some(Text::new("urn:elsewhere").unwrap());
    let mut worker = house.office.worker();
    worker.duplex.send(&WorkerToAuth::Submit(sent)).unwrap();
    let gone = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        worker.duplex.receive()
    });
    assert!(gone.take(500).any(|received: Result<Option<AuthToWorker>, _>| received.is_err()));
    let name = digest(&SHA256, &SEALED).as_ref().try_into().unwrap();
    let held = Held { proof: Proof::Mac, key: HeldKey::Sealed(name) };
    assert_eq!(recorded(&house), [(held, false, "contradicted".to_owned())]);
}

#[test]
fn a_message_of_a_holder_with_a_mac_is_fresh_for_us_and_good_once() {
    let house = house();
    let mut worker = house.office.worker();
    let once = held().but("</saml:Conditions>", "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>");
    let over =
        |created: Millis, parts: &[Part]| beside(once.signed(&house.agency), keyed::message(&KEY, BY, parts), created);
    let (now, past) = (Millis::now(), Millis::now().plus(-400_000));
    let stale = Submission { timestamp: Some(Timestamp { created: now, expires: None }), ..over(past, &parts(past)) };
    assert_eq!(worker.refused(stale), Refusal::MessageExpired);
    let elsewhere = [Part::timestamp(now, None), Part::to("https://other.example/"), Part::message_id()];
    assert_eq!(worker.refused(over(now, &elsewhere)), Refusal::InvalidSecurity);
    let unstamped = [Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
    assert_eq!(worker.refused(over(now, &unstamped)), Refusal::InvalidSecurity);
    let unaddressed = [Part::timestamp(now, None), Part::body("urn:office", ""), Part::message_id()];
    assert_eq!(worker.refused(over(now, &unaddressed)), Refusal::InvalidSecurity);
    // None of these used the assertion up. This does.
    worker.vouched(by(&house, &once, &KEY));
    assert_eq!(worker.refused(by(&house, &once, &KEY)), Refusal::InvalidSecurity);
    let again = parts(now);
    let sent = || beside(held().signed(&house.agency), keyed::message(&KEY, BY, &again), now);
    worker.vouched(sent());
    assert_eq!(worker.refused(sent()), Refusal::InvalidSecurity);
    let reasons: Vec<_> =
        recorded(&house).into_iter().filter(|(_, allowed, _)| !allowed).map(|(.., why)| why).collect();
    let expected = ["stale-timestamp", "misaddressed", "unsigned-timestamp", "misaddressed", "replayed"];
    assert_eq!(reasons, expected);
}

#[test]
fn the_assertion_that_a_mac_covers_is_the_one_that_is_presented() {
    let house = house();
    let mut worker = house.office.worker();
    let words = held();
    let whole = |words: &Words| {
        let octets = words.xml(&house.agency).replacen("<saml:Assertion ", "<saml:Assertion xmlns=\"\" ", 1);
        Part { id: "str", octets }
    };
    let sent = |covered: &Words| {
        let created = Millis::now();
        let parts = [parts(created), vec![whole(covered)]].concat();
        let info = crate::support::signed::dereferenced(&keyed::signed_info(BY, &parts), "str");
        beside(words.signed(&house.agency), keyed::over(&KEY, BY, &info, &parts), created)
    };
    for other in [held(), held().but("sam@agency", "nina@agency")] {
        assert_eq!(worker.refused(sent(&other)), Refusal::InvalidSecurity);
    }
    worker.vouched(sent(&words));
    let reasons: Vec<_> = recorded(&house).into_iter().map(|(.., why)| why).collect();
    assert_eq!(reasons, ["uncovered", "uncovered", "allowed"]);
}

#[test]
fn a_mac_by_sha1_is_taken_where_it_is_let_pass_by_name() {
    let sha1 = |house: &House| {
        let created = Millis::now();
        let message = keyed::message(&KEY, MacAlgorithm::HmacSha1, &parts(created));
        beside(held().signed(&house.agency), message, created)
    };
    let strict = house();
    all_hear(&strict.office, Refusal::FailedCheck, vec![("by SHA-1", sha1(&strict), "mac-algorithm")]);
    assert_eq!(opened(&strict), []);
    let lenient = opening(House::at(Client::new(), "leniencies = [\"hmac-sha1\"]", MACS));
    lenient.office.worker().vouched(sha1(&lenient));
    assert_eq!(lenient.office.counted("chancery_leniencies_total", ["hmac-sha1"]), ["1"]);
}

#[test]
fn a_partner_says_whether_its_holders_make_macs_and_one_that_has_both_kinds_of_keys_takes_either() {
    let both = |client: &Client| holding(&(key_info(client) + &sealed(&SEALED)));
    let holder = Client::new();
    let macs = house();
    let mut worker = macs.office.worker();
    worker.vouched(by(&macs, &both(&holder), &KEY));
    worker.vouched(signed_now(&macs, &both(&holder), &holder));
    let usual = opening(House::new());
    all_refused(&usual.office, vec![("where nobody said so", by(&usual, &held(), &KEY), "confirmation")]);
    assert_eq!(opened(&usual), []);
    let alone = opening(House::with("holder_proofs = [\"mac\"]"));
    alone.office.worker().vouched(by(&alone, &both(&holder), &KEY));
    let signed = signed_now(&alone, &both(&holder), &holder);
    all_refused(&alone.office, vec![("where nobody signs", signed, "confirmation")]);
}

#[test]
fn a_shared_key_binds_no_token_and_has_no_answer_sealed() {
    let house = house();
    let mut worker = house.office.worker();
    let created = Millis::now();
    let key_type = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>");
    let body = Part::body("urn:office", &key_type);
    let parts = [Part::timestamp(created, None), Part::to(ADDRESS), body, Part::message_id()];
    let mut sent = beside(held().signed(&house.agency), keyed::message(&KEY, BY, &parts), created);
    sent.wish.key_type = Some(KeyType::Public);
    assert_eq!(worker.refused(sent), Refusal::InvalidRequest);
    let at = |path: &str| Submission { endpoint: Text::new(path).unwrap(), ..by(&house, &held(), &KEY) };
    worker.vouched(at("/signed"));
    assert!(!house.office.lodged().signed_reply);
    assert_eq!(worker.refused(at("/sealed")), Refusal::UnsupportedSecurityToken);
    let reasons: Vec<_> = recorded(&house).into_iter().map(|(_, allowed, why)| (allowed, why)).collect();
    assert_eq!(
        reasons,
        [(false, "uncertified-key"), (true, "allowed"), (false, "unsealable")].map(|(ok, why)| (ok, why.to_owned()))
    );
}

#[test]
fn what_did_not_open_is_tried_again_when_a_token_that_failed_may_be_back() {
    let house = House::with(MACS);
    let mut worker = house.office.worker();
    let asked = || opened(&house).len();
    // Of a token that fails nothing else is heard.
    house.office.opens(Err(NotUnwrapped::Unopened));
    let begun = Instant::now();
    assert_eq!(worker.refused(by(&house, &held(), &KEY)), Refusal::FailedAuthentication);
    house.office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
    assert_eq!(worker.refused(by(&house, &held(), &KEY)), Refusal::FailedAuthentication);
    assert_eq!(asked(), 1, "tried again {:?} later", begun.elapsed());
    std::thread::sleep(Duration::from_millis(5_100).saturating_sub(begun.elapsed()));
    worker.vouched(by(&house, &held(), &KEY));
    worker.vouched(by(&house, &held(), &KEY));
    assert_eq!(asked(), 2);
}

#[test]
fn what_nobody_could_open_now_is_asked_for_again_and_an_account_has_so_many_opened() {
    let house = house();
    let mut worker = house.office.worker();
    let busy = |refusal| matches!(refusal, Refusal::Busy { .. });
    for why in [NotUnwrapped::Unavailable, NotUnwrapped::Rate] {
        house.office.opens(Err(why));
        assert!(busy(worker.refused(by(&house, &held(), &KEY))), "{why:?}");
    }
    let house = opening(house);
    // Copies that come while it is opened wait for that.
    let mut asked = opened(&house).len();
    let copies: Vec<_> = (0..20).map(|_| by(&house, &held(), &KEY)).collect();
    let correlations: Vec<_> = copies.iter().map(|copy| copy.correlation).collect();
    copies.into_iter().for_each(|copy| worker.submit(copy));
    for correlation in correlations {
        let answer = worker.answer(correlation);
        assert!(matches!(answer, AuthToWorker::Vouched(_)), "{answer:?}");
    }
    asked += 1;
    assert_eq!(opened(&house).len(), asked);
    // More than any account may have opened at once. What is open already costs nothing.
    let fresh = |number: u16| {
        let mut octets = SEALED;
        octets[..2].copy_from_slice(&number.to_be_bytes());
        by(&house, &holding(&sealed(&octets)), &KEY)
    };
    let answers: Vec<_> = (0..200).map(|number| worker.ask(fresh(number))).collect();
    let refused = answers.iter().position(|answer| !matches!(answer, AuthToWorker::Vouched(_))).unwrap();
    assert!(refused >= 10, "{refused}");
    assert!(
        matches!(&answers[refused], AuthToWorker::Refused(refused) if busy(refused.refusal)),
        "{:?}",
        answers[refused]
    );
    worker.vouched(by(&house, &held(), &KEY));
}
