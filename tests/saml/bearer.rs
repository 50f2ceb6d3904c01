//! Assertions that whoever holds them may present: good ones, those that are somebody else's or for somebody else,
//! and those that are none.

use chancery::wire::evidence::{KeyType, Refusal, SignatureAlgorithm, SignedAssertion, Submission};
use chancery::wire::links::{AuthToAudit, AuthToWorker};
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::record::AuthEntry;
use chancery::wire::{Correlation, Millis, Octets, Secret, Text};
use nix::sys::signal::{Signal, kill};

use crate::house::{ADDRESS, House, all_refused, old_sam, reasons, sam, submission};
use crate::support::asserted::{AUDIENCE, BEARER, ISSUER, UPN, Words, at};
use crate::support::office::{HOME, request};
use crate::support::processes::eventually;
use crate::support::signed::Client;

fn unnamed(words: Words, element: &str) -> Words {
    let end = format!("</saml:{element}>");
    let name = words.part(&format!("<saml:{element}"), &end) + &end;
    words.but(&name, "")
}

#[test]
fn an_assertion_of_a_partner_means_the_account_its_name_is_shaped_to() {
    let house = House::new();
    let mut worker = house.office.worker();
    for words in [
        sam(),
        old_sam(),
        Words::saml20("SAM@agency.example"),
        // The second rule, where the first finds nothing.
        Words::saml20("sam@upn.agency.example"),
        Words::saml11("sam@upn.agency.example"),
        // AD FS names by attributes alone.
        unnamed(Words::saml20("sam@upn.agency.example"), "NameID"),
        unnamed(Words::saml11("sam@upn.agency.example"), "NameIdentifier"),
        sam().but(&format!("<saml:Audience>{AUDIENCE}<"), "<saml:Audience> urn:sts\n<"),
        sam().and("<saml:AudienceRestriction>", "<saml:Audience>urn:another</saml:Audience>"),
        sam().and("</saml:Conditions>", "<saml:Advice><saml:Assertion></saml:Assertion></saml:Advice>"),
    ] {
        let signed = words.signed(&house.agency);
        let before = Millis::now();
        worker.vouched(submission(signed));
        let order = house.office.lodged().order;
        assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Transport));
        assert_eq!(order.authentication.method, Method::Saml);
        // When he proved himself to the partner, which was ten minutes ago (R-S010).
        let ago = before.0 - order.authentication.instant.0;
        assert!((590_000..620_000).contains(&ago), "{ago}");
    }
    let said = house.office.audit.said.lock().unwrap();
    let decisions: Vec<_> = (said.iter())
        .filter_map(|AuthToAudit::Append { entry, .. }| match entry {
            AuthEntry::Decision(decision, _) => Some(decision),
            _ => None,
        })
        .collect();
    assert_eq!(decisions.len(), 10);
    for decision in decisions {
        assert_eq!((decision.method, decision.authority.as_deref()), (Method::Saml, Some("agency")));
    }
}

#[test]
fn an_assertion_that_no_key_of_its_partner_signed_proves_nobody() {
    let house = House::new();
    let (agency, bank, stranger) = (&house.agency, &house.bank, Client::new());
    let by = |client: &Client| submission(sam().signed(client));
    let changed = |change: fn(&mut SignedAssertion)| {
        let mut signed = sam().signed(agency);
        change(&mut signed);
        submission(signed)
    };
    // The bank's, but that the worker says so or the assertion does.
    let as_the_banks = |words: Words, by: &Client| {
        submission(SignedAssertion { issuer: Text::new("urn:bank").unwrap(), ..words.signed(by) })
    };
    let of_the_bank = || sam().but(ISSUER, "urn:bank");
    all_refused(
        &house.office,
        vec![
            ("a stranger's", by(&stranger), "wrong-signature"),
            ("one partner's, signed by the other", by(bank), "wrong-signature"),
            ("one partner's, given out for the other's", as_the_banks(sam(), agency), "wrong-signature"),
            ("one that says it is of the other", submission(of_the_bank().signed(agency)), "unknown-partner"),
            ("the other's, about an account of the first", as_the_banks(of_the_bank(), bank), "no-account"),
            (
                "of nobody here",
                changed(|signed| signed.issuer = Text::new("https://idp.agency.example/saml/").unwrap()),
                "unknown-partner",
            ),
            (
                "with another signature",
                changed(|signed| signed.value = Octets::new([7; 64]).unwrap()),
                "wrong-signature",
            ),
            ("with none", changed(|signed| signed.value = Octets::default()), "wrong-signature"),
            (
                "by an algorithm its key has not",
                changed(|signed| signed.algorithm = SignatureAlgorithm::RsaSha256),
                "signature-algorithm",
            ),
            (
                "with another name in it",
                changed(|signed| {
                    let octets = String::from_utf8(signed.octets.expose().to_vec()).unwrap();
                    signed.octets = Secret::new(octets.replace("sam@", "bob@")).unwrap();
                }),
                "wrong-digest",
            ),
            ("with nothing in it", changed(|signed| signed.octets = Secret::new([]).unwrap()), "wrong-digest"),
        ],
    );
}

#[test]
fn what_the_partner_signed_covers_this_assertion_whole_and_nothing_else() {
    let house = House::new();
    let agency = &house.agency;
    let other = Words { id: "_other".to_owned(), ..sam() };
    let as_written = |change: &dyn Fn(&str) -> String| {
        let words = sam();
        submission(words.signed_as(agency, &change(&words.signed_info(agency))))
    };
    let replaced = |from: &'static str, to: &'static str| {
        as_written(&move |text: &str| {
            assert!(text.contains(from));
            text.replace(from, to)
        })
    };
    let enveloped = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>";
    let exclusive =
        "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms>";
    let inclusive =
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"></ds:Transform></ds:Transforms>";
    all_refused(
        &house.office,
        vec![
            ("by another id", submission(other.signed(agency)), "unreadable-assertion"),
            (
                "by an id of something in it",
                submission(
                    Words { id: "_inner".to_owned(), ..sam() }
                        .but("<saml:AuthnContext>", "<saml:AuthnContext ID=\"_inner\">")
                        .signed(agency),
                ),
                "unreadable-assertion",
            ),
            (
                "by another id that it has, too",
                submission(
                    Words { id: "_second".to_owned(), ..sam() }
                        .but(
                            "<saml:Assertion ",
                            "<saml:Assertion xmlns:u=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\" u:Id=\"_second\" ",
                        )
                        .signed(agency),
                ),
                "unreadable-assertion",
            ),
            (
                "an id twice in it",
                {
                    let words = sam();
                    let twice = format!("<saml:AuthnContext ID=\"{}\">", words.id);
                    submission(words.but("<saml:AuthnContext>", &twice).signed(agency))
                },
                "unreadable-assertion",
            ),
            ("with its signature in the digest", replaced(enveloped, ""), "unreadable-assertion"),
            ("in the form of its surroundings", replaced(exclusive, inclusive), "unreadable-assertion"),
            (
                "two references",
                as_written(&|text: &str| {
                    let (head, rest) = text.split_once("<ds:Reference ").unwrap();
                    let reference = format!("<ds:Reference {}", rest.strip_suffix("</ds:SignedInfo>").unwrap());
                    let second = reference.replacen("URI=\"#_", "URI=\"#x", 1);
                    format!("{head}{reference}{second}</ds:SignedInfo>")
                }),
                "unreadable-assertion",
            ),
            (
                "SHA-1",
                replaced("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
                "unreadable-assertion",
            ),
            (
                "by another algorithm than was tried",
                replaced("#ecdsa-sha256", "#ecdsa-sha384"),
                "signature-algorithm",
            ),
            ("no SignedInfo", as_written(&|text: &str| text.replace("ds:SignedInfo", "ds:Object")), "unreadable-assertion"),
            ("no XML", as_written(&|_: &str| "SignedInfo".to_owned()), "unreadable-assertion"),
        ],
    );
}

#[test]
fn an_assertion_holds_from_its_beginning_to_its_end_r_s032() {
    let house = House::with("skew_s = 60\nmax_age_min = 30\nmax_session_min = 60");
    let conditions = |from: i64, to: i64| {
        sam().attribute("Conditions", "NotBefore", &at(from)).attribute("Conditions", "NotOnOrAfter", &at(to))
    };
    let issued = |seconds: i64| sam().attribute("Assertion", "IssueInstant", &at(seconds));
    let authenticated = |seconds: i64| sam().attribute("AuthnStatement", "AuthnInstant", &at(seconds));
    let session =
        |seconds: i64| sam().and("<saml:AuthnStatement", &format!(" SessionNotOnOrAfter=\"{}\"", at(seconds)));
    let mut worker = house.office.worker();
    for (what, words) in [
        ("begins when clocks differ", conditions(50, 300)),
        ("ended when clocks differ", conditions(-300, -50)),
        ("issued when clocks differ", issued(50)),
        ("nearly too old", issued(-30 * 60 - 50)),
        ("authenticated when clocks differ", authenticated(50)),
        ("authenticated nearly too long ago", authenticated(-3590)),
        ("a session that lasts", session(60)),
    ] {
        let AuthToWorker::Vouched(_) = worker.ask(house.presented(&words)) else { panic!("refused: {what}") };
        assert!(house.office.lodged().order.authentication.instant <= Millis::now(), "{what}");
    }
    let house = House::with("skew_s = 60\nmax_age_min = 30\nmax_session_min = 60");
    let presented = |words: Words| house.presented(&words);
    all_refused(
        &house.office,
        vec![
            ("not yet", presented(conditions(70, 300)), "assertion-dates"),
            ("not any more", presented(conditions(-300, -61)), "assertion-dates"),
            ("issued tomorrow", presented(issued(86_400)), "assertion-dates"),
            ("too old", presented(issued(-31 * 60 - 5)), "assertion-dates"),
            ("authenticated tomorrow", presented(authenticated(86_400)), "assertion-dates"),
            ("authenticated before there were clocks", presented(authenticated(-4_000_000_000)), "assertion-dates"),
            ("authenticated too long ago", presented(authenticated(-3601)), "assertion-dates"),
            ("a session that is over", presented(session(-1)), "assertion-dates"),
            (
                "not confirmed yet",
                presented(sam().and("<saml:SubjectConfirmationData", &format!(" NotBefore=\"{}\"", at(70)))),
                "confirmation",
            ),
            (
                "not confirmed any more",
                presented(sam().attribute("SubjectConfirmationData", "NotOnOrAfter", &at(-61))),
                "confirmation",
            ),
        ],
    );
}

#[test]
fn what_is_got_by_an_assertion_ends_with_the_session_at_the_partner() {
    let house = House::with("max_session_min = 12");
    let mut worker = house.office.worker();
    let words = sam();
    let begun = Millis::now();
    worker.vouched(house.presented(&words));
    let left = house.office.lodged().order.latest_expiry.0 - begun.0;
    assert!((100_000..=120_000).contains(&left), "ten minutes of twelve are over: {left}");
    let ends = at(30);
    let session = format!(" SessionNotOnOrAfter=\"{ends}\"");
    worker.vouched(house.presented(&sam().and("<saml:AuthnStatement", &session)));
    assert_eq!(chancery::trust::instant::format(house.office.lodged().order.latest_expiry), ends);
}

#[test]
fn an_assertion_is_for_us_and_for_whoever_holds_it() {
    let house = House::new();
    let audience =
        format!("<saml:AudienceRestriction><saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestriction>");
    let method = |uri: &str| sam().but(BEARER, uri);
    let data =
        |more: &str| sam().but("<saml:SubjectConfirmationData ", &format!("<saml:SubjectConfirmationData {more} "));
    let unconfirmed = || {
        let words = sam();
        let confirmation = words.part("<saml:SubjectConfirmation ", "</saml:Subject>");
        words.but(&confirmation, "")
    };
    let mut worker = house.office.worker();
    for good in [
        data(&format!("Recipient=\"{ADDRESS}\"")),
        data(&format!("Address=\"{HOME}\"")),
        // One of several is enough.
        sam().and("</saml:NameID>", "<saml:SubjectConfirmation Method=\"urn:other\"></saml:SubjectConfirmation>"),
    ] {
        worker.vouched(house.presented(&good));
    }
    let house = House::new();
    let presented = |words: Words| house.presented(&words);
    let key = "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:KeyName>k</ds:KeyName></ds:KeyInfo>";
    all_refused(
        &house.office,
        vec![
            ("for another", presented(sam().but(AUDIENCE, "https://sts.example.com")), "audience"),
            ("for anybody", presented(sam().but(&audience, "")), "audience"),
            (
                "for us and for another",
                presented(sam().and(&audience, &audience.replace(AUDIENCE, "urn:another"))),
                "audience",
            ),
            (
                "for nobody, and for us",
                presented(sam().and(&audience, "<saml:AudienceRestriction></saml:AudienceRestriction>")),
                "audience",
            ),
            ("old, for another", presented(old_sam().but(AUDIENCE, "urn:another")), "audience"),
            (
                "for a holder of a key",
                presented(method("urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")),
                "confirmation",
            ),
            ("for a voucher", presented(method("urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")), "confirmation"),
            (
                "for whoever holds an old one",
                presented(method("urn:oasis:names:tc:SAML:1.0:cm:bearer")),
                "confirmation",
            ),
            ("for nobody", presented(unconfirmed()), "confirmation"),
            (
                "for whoever holds it and a key",
                presented(
                    sam().but("</saml:SubjectConfirmationData>", &format!("{key}</saml:SubjectConfirmationData>")),
                ),
                "confirmation",
            ),
            ("for another endpoint", presented(data("Recipient=\"https://sts.example.com/other\"")), "confirmation"),
            ("for another address", presented(data("Address=\"203.0.113.9\"")), "confirmation"),
            ("for an answer", presented(data("InResponseTo=\"_1\"")), "confirmation"),
            ("old, for a holder of a key", presented(old_sam().but("cm:bearer", "cm:holder-of-key")), "confirmation"),
            (
                "old, for whoever holds it and a key",
                presented(old_sam().but("</saml:ConfirmationMethod>", &format!("</saml:ConfirmationMethod>{key}"))),
                "confirmation",
            ),
        ],
    );
}

/// What the partner signed and we do not read, for it may mean less than it seems to; `auth::assertion` has more.
#[test]
fn what_the_partner_signed_is_read_whole_or_not_at_all() {
    let house = House::new();
    let twice = |words: Words| {
        let statement = words.part("<saml:AuthnStatement ", "<saml:AttributeStatement");
        words.but(&statement, &statement.repeat(2))
    };
    let in_name = |more: &str| sam().but("</saml:NameID>", &format!("{more}</saml:NameID>"));
    let in_conditions = |more: &str| sam().but("</saml:Conditions>", &format!("{more}</saml:Conditions>"));
    let another = "</saml:Issuer><saml:Assertion ID=\"_b\"></saml:Assertion>";
    let cases = vec![
        ("a condition", in_conditions("<saml:Condition></saml:Condition>")),
        ("what may be issued for it", in_conditions("<saml:ProxyRestriction></saml:ProxyRestriction>")),
        ("two authentications", twice(sam())),
        ("a comment in the name", in_name("<!-- -->.evil")),
        ("an element in the name", in_name("<x></x>")),
        ("an encrypted name", sam().but("saml:NameID", "saml:EncryptedID")),
        ("another version", sam().but("Version=\"2.0\"", "Version=\"2.1\"")),
        ("an older version", old_sam().but("MinorVersion=\"1\"", "MinorVersion=\"0\"")),
        ("an assertion in it", sam().but("</saml:Issuer>", another)),
        ("no assertion", sam().but("saml:Assertion", "saml:Response")),
    ];
    let cases = cases.into_iter().map(|(what, words)| (what, house.presented(&words), "unreadable-assertion"));
    all_refused(&house.office, cases.collect());
}

#[test]
fn a_partner_names_only_accounts_that_say_it_may_a_60() {
    let house = House::new();
    let named = |name: &str| house.presented(&Words::saml20(name));
    let upns = |values: &str| {
        let words = Words::saml20("nobody@elsewhere.example");
        house.presented(&words.but("<saml:AttributeValue>nobody@elsewhere.example</saml:AttributeValue>", values))
    };
    all_refused(
        &house.office,
        vec![
            ("an account of the other partner", named("otto@agency.example"), "no-account"),
            ("an account with a password", named("bob@agency.example"), "no-account"),
            ("no account", named("nora@agency.example"), "no-account"),
            ("without a name", house.presented(&unnamed(Words::saml20("sam@agency.example"), "NameID")), "no-account"),
            ("a name of elsewhere", named("sam@agency.example.evil"), "no-account"),
            ("a name of elsewhere before it", named("x sam@agency.example"), "no-account"),
            ("a name with a line end", named("sam@agency.example&#xD;"), "no-account"),
            ("letters that only look so", named("\u{17f}am@agency.example"), "no-account"),
            ("disabled", named("kim@agency.example"), "disabled"),
            (
                "two",
                upns(
                    "<saml:AttributeValue>sam@upn.agency.example</saml:AttributeValue>\
                     <saml:AttributeValue>nina@upn.agency.example</saml:AttributeValue>",
                ),
                "no-account",
            ),
            (
                "a name that is not all text",
                upns("<saml:AttributeValue>sam@upn.agency.example<x></x></saml:AttributeValue>"),
                "no-account",
            ),
            (
                "an attribute of another name",
                house.presented(&Words::saml20("sam@upn.agency.example").but(UPN, "urn:upn")),
                "no-account",
            ),
        ],
    );
}

#[test]
fn what_a_partner_says_of_its_subject_is_for_claims_and_policies_to_use() {
    let rule =
        "[[saml_partner.attribute]]\nfrom = \"urn:roles\"\nto = \"role\"\ncapture = '(.*)@agency'\ncase = \"lower\"";
    let house = House::with(rule);
    let with = |attributes: &str| sam().and("<saml:AttributeStatement>", attributes);
    let values = |values: &[&str]| {
        let values: String =
            values.iter().map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>")).collect();
        format!("<saml:Attribute Name=\"urn:roles\">{values}</saml:Attribute>")
    };
    let mut worker = house.office.worker();
    for (words, roles) in [
        (sam(), &[][..]),
        (with(&values(&["Auditor@agency", "guest@elsewhere", "", "clerk@agency"])), &["auditor", "clerk"]),
        (with(&(values(&["a@agency"]) + &values(&["b@agency"]))), &["a", "b"]),
        // What it says under our own names is not asked for.
        (with(&values(&["a@agency"]).replace("urn:roles", "role")), &[]),
        (with(&values(&["a@agency"]).replace("urn:roles", "floor")), &[]),
    ] {
        worker.vouched(house.presented(&words));
        let claims = house.office.lodged().order.claims;
        let said = |uri: &str| -> Vec<String> {
            let claim = claims.iter().filter(|claim| claim.uri.as_str() == uri);
            claim.flat_map(|claim| claim.values.iter().map(|value| value.to_string())).collect()
        };
        assert_eq!(
            (said("urn:role"), said("urn:floor")),
            (roles.iter().map(|role| (*role).to_owned()).collect(), vec!["3".to_owned()])
        );
    }
    let visitor = house.presented(&with(&values(&["visitor@agency"])));
    assert_eq!(worker.refused(visitor), Refusal::RequestFailed);
    assert_eq!(house.office.decisions().pop().unwrap(), (false, "policy".to_owned()));
    let house = House::with(rule);
    let many: Vec<String> = (0..257).map(|number| format!("{number}@agency")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    all_refused(
        &house.office,
        vec![
            ("not plain text", house.presented(&with(&values(&["a@agency", "<x></x>"]))), "unreadable-assertion"),
            ("too many", house.presented(&with(&values(&many))), "unreadable-assertion"),
            (
                "too long",
                house.presented(&with(&values(&[&format!("{}@agency", "x".repeat(4097))]))),
                "unreadable-assertion",
            ),
        ],
    );
}

#[test]
fn only_algorithms_that_the_partner_is_to_use_are_taken() {
    for (key, good) in [(Client::rsa(true), true), (Client::rsa(false), false), (Client::ed25519(), false)] {
        let house = House::of(key, "algorithms = [\"rsa-pss-sha256\", \"ecdsa-sha256\"]");
        let sent = house.presented(&sam());
        match house.office.worker().ask(sent) {
            AuthToWorker::Vouched(_) => assert!(good),
            AuthToWorker::Refused(refused) => {
                assert_eq!((good, refused.refusal), (false, Refusal::FailedAuthentication));
            }
            AuthToWorker::Opened(_)
            | AuthToWorker::Sealed(_)
            | AuthToWorker::SealedFor(_)
            | AuthToWorker::Negotiated(_) => panic!("opened"),
        }
        if !good {
            let known = eventually("the refusal is in the record", || {
                let known = reasons(&house.office);
                (!known.is_empty()).then_some(known)
            });
            assert!(known.values().all(|reason| reason == "signature-algorithm"), "{known:?}");
        }
    }
}

#[test]
fn the_key_of_a_certificate_that_does_not_hold_proves_nothing() {
    let past = Client::with(|parameters| parameters.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let house = House::of(past, "");
    all_refused(&house.office, vec![("past", house.presented(&sam()), "certificate-dates")]);
}

#[test]
fn an_assertion_is_taken_where_an_endpoint_says_so() {
    let house = House::new();
    let at_password = Submission { endpoint: Text::new("/password").unwrap(), ..house.presented(&sam()) };
    assert_eq!(house.office.worker().refused(at_password), Refusal::UnsupportedSecurityToken);
    let password = Submission { endpoint: Text::new("/saml").unwrap(), ..request("bob", "wonderland") };
    assert_eq!(house.office.worker().refused(password), Refusal::UnsupportedSecurityToken);
}

#[test]
fn whoever_holds_an_assertion_has_no_key_to_bind_a_token_to() {
    let house = House::new();
    let mut sent = house.presented(&sam());
    sent.wish.key_type = Some(KeyType::Public);
    assert_eq!(house.office.worker().refused(sent), Refusal::InvalidRequest);
    assert_eq!(house.office.decisions(), [(false, "unproven-key".to_owned())]);
}

#[test]
fn an_assertion_that_is_good_once_is_good_once_also_when_auth_was_restarted_a_33() {
    let one_time = [
        sam().but("</saml:Conditions>", "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>"),
        old_sam().but("</saml:Conditions>", "<saml:DoNotCacheCondition></saml:DoNotCacheCondition></saml:Conditions>"),
    ];
    let mut house = House::new();
    for words in &one_time {
        house.office.worker().vouched(house.presented(words));
        assert_eq!(house.office.worker().refused(house.presented(words)), Refusal::InvalidSecurity);
    }
    // Any other is good for as long as it holds (R-S039).
    let words = sam();
    house.office.worker().vouched(house.presented(&words));
    house.office.worker().vouched(house.presented(&words));
    kill(house.office.auth().pid(), Signal::SIGKILL).unwrap();
    house.office.start();
    for words in &one_time {
        assert_eq!(house.office.worker().refused(house.presented(words)), Refusal::InvalidSecurity);
    }
}

#[test]
fn every_assertion_of_a_partner_is_good_once_where_its_table_says_so() {
    let house = House::with("replay = \"once\"");
    let words = sam();
    house.office.worker().vouched(house.presented(&words));
    // Signed again, it is the same assertion.
    assert_eq!(house.office.worker().refused(house.presented(&words)), Refusal::InvalidSecurity);
    house.office.worker().vouched(house.presented(&sam()));
    // The same id of another issuer is another assertion, which says of itself that it is good once.
    let once = "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>";
    let octets = words.octets.replace(ISSUER, "urn:bank").replace("sam@", "otto@").replace("</saml:Conditions>", once);
    let other = Words { octets, ..words };
    let of_the_bank = || {
        let issuer = Text::new("urn:bank").unwrap();
        submission(SignedAssertion { issuer, ..other.signed(&house.bank) })
    };
    house.office.worker().vouched(of_the_bank());
    assert_eq!(house.office.worker().refused(of_the_bank()), Refusal::InvalidSecurity);
}

#[test]
fn one_of_many_who_present_an_assertion_at_once_is_served_r_w080() {
    let house = House::with("replay = \"once\"");
    let words = sam();
    let mut worker = house.office.worker();
    let sent: Vec<Correlation> = (0..16)
        .map(|_| {
            let submission = house.presented(&words);
            let correlation = submission.correlation;
            worker.submit(submission);
            correlation
        })
        .collect();
    let served = sent.into_iter().filter(|one| matches!(worker.answer(*one), AuthToWorker::Vouched(_))).count();
    assert_eq!(served, 1);
}
