//! Assertions that an intermediary vouches for: presented by whoever may, for whom he may, and by everybody else.

use chancery::wire::evidence::{Evidence, KeyType, Refusal, SignedAssertion, SignedMessage, Submission, Timestamp};
use chancery::wire::links::AuthToAudit;
use chancery::wire::order::{Confirmation, Method, RequestIntegrity};
use chancery::wire::record::AuthEntry;
use chancery::wire::unwrap::SessionKey;
use chancery::wire::{Correlation, Millis, Text};

use crate::house::{ADDRESS, SUBJECTS, all_refused};
use crate::sealed;
use crate::support::asserted::{AUDIENCE, BEARER, ISSUER, Words};
use crate::support::office::{Office, request};
use crate::support::opening::opened_first;
use crate::support::processes::eventually;
use crate::support::sha1;
use crate::support::signed::{Client, EXCLUSIVE, Part, TRUST, dereferenced};

const VOUCHES: &str = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches";
const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
confirmations = ["bearer", "holder-of-key"]
policy = '''permit(principal, action, resource)
when { context.method == "saml" && ["portal", "gate", ""].contains(context.intermediary) };
forbid(principal == Account::"otto", action, resource) when { context.intermediary == "portal" };'''
"#;

/// Two partners, each with an intermediary of its own, and a third that has none.
struct House {
    agency: Client,
    bank: Client,
    /// May vouch for sam, and for the group of nina, with assertions of the agency; for otto with the bank's.
    portal: Client,
    /// May vouch for otto with assertions of the bank.
    gate: Client,
    /// Is sam's own.
    sam: Client,
    /// Is an intermediary, and disabled.
    closed: Client,
    office: Office,
}

impl House {
    fn new() -> Self {
        Self::with("")
    }

    /// With more in `auth.toml`.
    fn with(more: &str) -> Self {
        Self::by(Client::new(), more)
    }

    /// With this intermediary, too.
    fn by(portal: Client, more: &str) -> Self {
        let [agency, bank, gate, sam, closed] = std::array::from_fn(|_| Client::new());
        let may =
            |account: &str, whom: &str| format!("[[saml_partner.intermediary]]\naccount = \"{account}\"\n{whom}\n");
        let auth = format!(
            "[store]\ndirectory = \"../../state\"\n\
             [[endpoint]]\npath = \"/vouched\"\ncredentials = [\"sender-vouches\"]\naddresses = [\"{ADDRESS}\"]\n\
             [[endpoint]]\npath = \"/both\"\ncredentials = [\"saml\", \"signature\", \"sender-vouches\"]\n\
             addresses = [\"{ADDRESS}\"]\nleniencies = [\"to-absent\"]\n\
             [[endpoint]]\npath = \"/saml\"\ncredentials = [\"saml\", \"signature\"]\naddresses = [\"{ADDRESS}\"]\n\
             [[saml_partner]]\nname = \"agency\"\nissuer = \"{ISSUER}\"\ncertificates = [\"agency.pem\"]\n\
             audiences = [\"{AUDIENCE}\"]\n{SUBJECTS}{}{}\
             [[saml_partner]]\nname = \"bank\"\nissuer = \"urn:bank\"\ncertificates = [\"bank.pem\"]\n\
             audiences = [\"{AUDIENCE}\"]\n{SUBJECTS}{}{}{more}",
            may("portal", "subjects = [\"sam\", \"kim\"]\ngroups = [\"field\"]"),
            may("closed", "subjects = [\"sam\"]"),
            may("gate", "subjects = [\"otto\"]"),
            may("portal", "subjects = [\"otto\"]"),
        );
        let users = "[users.sam]\nsaml_partner = \"agency\"\ncertificates = [\"sam.pem\"]\n\
                     [users.nina]\nsaml_partner = \"agency\"\ngroups = [\"field\"]\n\
                     [users.lea]\nsaml_partner = \"agency\"\ngroups = [\"desk\"]\n\
                     [users.kim]\nsaml_partner = \"agency\"\ndisabled = true\n\
                     [users.otto]\nsaml_partner = \"bank\"\ngroups = [\"field\"]\n\
                     [users.portal]\ncertificates = [\"portal.pem\"]\n\
                     [users.gate]\ncertificates = [\"gate.pem\"]\n\
                     [users.closed]\ncertificates = [\"closed.pem\"]\ndisabled = true\n";
        let files = [
            ("agency.pem", &agency),
            ("bank.pem", &bank),
            ("portal.pem", &portal),
            ("gate.pem", &gate),
            ("sam.pem", &sam),
            ("closed.pem", &closed),
        ];
        let files = files.map(|(file, client)| (file, client.certificate.as_str()));
        let office = Office::with(&auth, users, PARTY, &files);
        Self { agency, bank, portal, gate, sam, closed, office }
    }

    /// An assertion of the agency's, presented by whoever signs the message and the assertion in it.
    fn presented(&self, words: &Words, by: &Client) -> Submission {
        Sent::new(words, &self.agency, by).submission()
    }

    /// Decisions by account and intermediary.
    fn recorded(&self) -> Vec<(String, String, bool)> {
        let said = self.office.audit.said.lock().unwrap();
        let vouched = said.iter().filter_map(|message| match message {
            AuthToAudit::Append { entry: AuthEntry::Vouched(decision, private), .. } => {
                assert_eq!(decision.method, Method::Saml);
                Some((private.account.to_string(), private.intermediary.to_string(), decision.allowed))
            }
            AuthToAudit::Append { .. } => None,
        });
        vouched.collect()
    }
}

/// How a message covers the assertion.
#[derive(Clone, Copy)]
enum By {
    Reference,
    Id,
    Nothing,
}

/// A message of an intermediary, whole but for what a test changes.
struct Sent<'c> {
    signed: SignedAssertion,
    whole: String,
    id: &'static str,
    by: By,
    parts: Vec<Part>,
    client: &'c Client,
    created: Millis,
}

impl<'c> Sent<'c> {
    fn new(words: &Words, maker: &Client, client: &'c Client) -> Self {
        let created = Millis::now();
        let parts =
            vec![Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
        let id = words.id.clone().leak();
        Self { signed: words.signed(maker), whole: words.xml(maker), id, by: By::Reference, parts, client, created }
    }

    fn message(&self) -> SignedMessage {
        let (info, parts) = self.covering();
        self.client.over(&info, &parts)
    }

    /// `SignedInfo`, and what it digests.
    fn covering(&self) -> (String, Vec<Part>) {
        let covered = match self.by {
            By::Reference => {
                let octets = self.whole.replacen("<saml:Assertion ", "<saml:Assertion xmlns=\"\" ", 1);
                Some(Part { id: "str", octets })
            }
            By::Id => Some(Part { id: self.id, octets: self.whole.clone() }),
            By::Nothing => None,
        };
        let parts: Vec<Part> = self.parts.iter().cloned().chain(covered).collect();
        let info = self.client.signed_info(&parts);
        let info = if matches!(self.by, By::Reference) { dereferenced(&info, "str") } else { info };
        (info, parts)
    }

    fn submission(self) -> Submission {
        let message = self.message();
        Submission {
            timestamp: Some(Timestamp { created: self.created, expires: None }),
            endpoint: Text::new("/vouched").unwrap(),
            evidence: Evidence::Attested(self.signed, message),
            ..request("", "")
        }
    }
}

fn of(name: &str) -> Words {
    Words::saml20(&format!("{name}@agency.example")).but(BEARER, VOUCHES)
}

fn old_of(name: &str) -> Words {
    Words::saml11(&format!("{name}@agency.example")).but("cm:bearer", "cm:sender-vouches")
}

fn at(path: &str, submission: Submission) -> Submission {
    Submission { endpoint: Text::new(path).unwrap(), ..submission }
}

#[test]
fn an_intermediary_gets_tokens_for_those_it_may_vouch_for_and_the_record_has_both_r_w061() {
    let house = House::new();
    let mut worker = house.office.worker();
    for (words, who) in [(of("sam"), "sam"), (old_of("sam"), "sam"), (of("nina"), "nina")] {
        for by in [By::Reference, By::Id] {
            for path in ["/vouched", "/both"] {
                let sent = Sent { by, ..Sent::new(&words, &house.agency, &house.portal) };
                worker.vouched(at(path, sent.submission()));
                let order = house.office.lodged().order;
                assert_eq!((order.subject.account.as_str(), order.request), (who, RequestIntegrity::Signed));
                assert_eq!((order.authentication.method, order.confirmation), (Method::Saml, Confirmation::Bearer));
            }
        }
    }
    let recorded = house.recorded();
    assert_eq!(recorded.len(), 12);
    assert!(recorded.iter().all(|(_, intermediary, allowed)| intermediary == "portal" && *allowed), "{recorded:?}");
    assert_eq!(recorded.iter().filter(|(account, ..)| account == "sam").count(), 8);
}

#[test]
fn who_vouches_is_for_policies_to_see() {
    let house = House::new();
    let mut worker = house.office.worker();
    let words = || Words::saml20("otto@agency.example").but(BEARER, VOUCHES).but(ISSUER, "urn:bank");
    let sent = |by: &Client| {
        let mut sent = Sent::new(&words(), &house.bank, by).submission();
        let Evidence::Attested(signed, _) = &mut sent.evidence else { panic!("an assertion") };
        signed.issuer = Text::new("urn:bank").unwrap();
        sent
    };
    worker.vouched(sent(&house.gate));
    assert_eq!(worker.refused(sent(&house.portal)), Refusal::RequestFailed);
    let recorded = [("otto".to_owned(), "gate".to_owned(), true), ("otto".to_owned(), "portal".to_owned(), false)];
    assert_eq!(house.recorded(), recorded);
}

#[test]
fn nobody_else_vouches_and_for_nobody_else_a_26() {
    let (house, stranger) = (House::new(), Client::new());
    let presented = |words: &Words| house.presented(words, &house.portal);
    let by = |client: &Client| house.presented(&of("sam"), client);
    let with_key = of("sam").but(
        "</saml:SubjectConfirmationData>",
        "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>AAEC\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></saml:SubjectConfirmationData>",
    );
    let sent = || Sent::new(&of("sam"), &house.agency, &house.portal);
    let of_bank = |mut submission: Submission| {
        let Evidence::Attested(signed, _) = &mut submission.evidence else { panic!("an assertion") };
        signed.issuer = Text::new("urn:bank").unwrap();
        submission
    };
    let otto = Words::saml20("sam@agency.example").but(BEARER, VOUCHES).but(ISSUER, "urn:bank");
    let key_of_assertion = |mut submission: Submission| {
        let Evidence::Attested(_, message) = &mut submission.evidence else { panic!("an assertion") };
        message.key = chancery::wire::evidence::KeyReference::Assertion;
        submission
    };
    all_refused(
        &house.office,
        vec![
            ("a stranger", by(&stranger), "unknown-certificate"),
            ("the partner itself", by(&house.agency), "unknown-certificate"),
            ("one who is disabled", by(&house.closed), "disabled"),
            ("for himself", presented(&of("portal")), "no-account"),
            ("for somebody who is disabled", presented(&of("kim")), "disabled"),
            ("for somebody of another partner's", presented(&of("otto")), "no-account"),
            (
                "with another partner's assertion of his subject",
                of_bank(Sent::new(&otto, &house.bank, &house.portal).submission()),
                "no-account",
            ),
            (
                "an assertion nobody made",
                Sent::new(&of("sam"), &stranger, &house.portal).submission(),
                "wrong-signature",
            ),
            (
                "one that he made himself",
                Sent::new(&of("sam"), &house.portal, &house.portal).submission(),
                "wrong-signature",
            ),
            ("for whoever holds it", presented(&of("sam").but(VOUCHES, BEARER)), "confirmation"),
            (
                "for the holder of a key",
                presented(&with_key.clone().but(VOUCHES, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")),
                "confirmation",
            ),
            ("with a key in it", presented(&with_key), "confirmation"),
            ("whose key is said to be in it", key_of_assertion(sent().submission()), "confirmation"),
            ("where nobody vouches", at("/saml", sent().submission()), "confirmation"),
            ("alone", at("/both", crate::house::submission(of("sam").signed(&house.agency))), "confirmation"),
            ("for somebody else's audience", presented(&of("sam").but(AUDIENCE, "urn:elsewhere")), "audience"),
        ],
    );
    // These are known, both of them, and the record says so.
    let mut worker = house.office.worker();
    let known =
        [("sam", "sam", by(&house.sam)), ("sam", "gate", by(&house.gate)), ("lea", "portal", presented(&of("lea")))];
    let mut expected = Vec::new();
    for (subject, intermediary, submission) in known {
        assert_eq!(worker.refused(submission), Refusal::FailedAuthentication, "{intermediary} for {subject}");
        expected.push((subject.to_owned(), intermediary.to_owned(), false));
    }
    assert_eq!(house.recorded(), expected);
    assert!(house.office.decisions().iter().all(|(_, why)| why == "intermediary"));
    let alone = at("/vouched", crate::house::submission(of("sam").signed(&house.agency)));
    assert_eq!(worker.refused(alone), Refusal::UnsupportedSecurityToken);
}

#[test]
fn an_assertion_is_the_same_where_it_is_covered_without_a_prefix_that_its_maker_kept() {
    let house = House::new();
    let declared = " xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"";
    let value = "<saml:AttributeValue xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"xs:string\">";
    let words = of("sam").but(" ID=", &format!("{declared} ID=")).but("<saml:AttributeValue>", value);
    let keeps = format!(
        "<ds:Transform Algorithm=\"{EXCLUSIVE}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"xs\">\
         </ec:InclusiveNamespaces></ds:Transform>"
    );
    let info = words.signed_info(&house.agency);
    let info = info.replacen(&format!("<ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform>"), &keeps, 1);
    let sent = |by, whole: &str| Sent {
        signed: words.signed_as(&house.agency, &info),
        whole: whole.replacen(declared, "", 1),
        by,
        ..Sent::new(&words, &house.agency, &house.portal)
    };
    let mut worker = house.office.worker();
    for by in [By::Reference, By::Id] {
        worker.vouched(sent(by, &words.xml(&house.agency)).submission());
        let other = words.clone().but(">sam@agency", ">nina@agency").xml(&house.agency);
        assert_eq!(worker.refused(sent(by, &other).submission()), Refusal::InvalidSecurity);
        assert_eq!(house.office.decisions().pop(), Some((false, "uncovered".to_owned())));
    }
}

#[test]
fn one_signature_covers_the_assertion_the_body_and_the_rest() {
    let house = House::new();
    let sent = || Sent::new(&of("sam"), &house.agency, &house.portal);
    let without = |at: usize| {
        let mut sent = sent();
        sent.parts.remove(at);
        sent.submission()
    };
    let other = |words: Words| Sent { whole: words.xml(&house.agency), ..sent() }.submission();
    let twice = {
        let mut sent = sent();
        sent.parts.push(Part { id: sent.id, octets: sent.whole.clone() });
        sent.submission()
    };
    let unsigned = Sent { whole: of("sam").octets, ..sent() }.submission();
    let mut stale = sent();
    stale.created = Millis::now().plus(-400_000);
    stale.parts[0] = Part::timestamp(stale.created, None);
    let stale =
        Submission { timestamp: Some(Timestamp { created: Millis::now(), expires: None }), ..stale.submission() };
    let mut elsewhere = sent();
    elsewhere.parts[1] = Part::to("https://other.example/");
    // Whatever is wrong with what he signed, it is known who vouched for whom: these are decisions, and no strangers.
    let mut worker = house.office.worker();
    let mut expected = Vec::new();
    for (what, submission, word, refusal) in [
        ("not the assertion", Sent { by: By::Nothing, ..sent() }.submission(), "uncovered", Refusal::InvalidSecurity),
        ("another of the same", other(of("sam")), "uncovered", Refusal::InvalidSecurity),
        ("somebody else's", other(of("nina")), "uncovered", Refusal::InvalidSecurity),
        ("the assertion without its signature", unsigned, "uncovered", Refusal::InvalidSecurity),
        ("it twice", twice, "unreadable-signature", Refusal::InvalidSecurity),
        ("not the body", at("/both", without(2)), "misaddressed", Refusal::InvalidSecurity),
        ("not the timestamp", without(0), "unsigned-timestamp", Refusal::InvalidSecurity),
        ("not the address", without(1), "misaddressed", Refusal::InvalidSecurity),
        ("what was made a while ago", stale, "stale-timestamp", Refusal::MessageExpired),
        ("what is for somebody else", elsewhere.submission(), "misaddressed", Refusal::InvalidSecurity),
    ] {
        assert_eq!(worker.refused(submission), refusal, "{what}");
        expected.push((false, word.to_owned()));
    }
    let unasked = without(2);
    assert_eq!(worker.refused(unasked), Refusal::InvalidSecurity, "not the body");
    expected[5].1 = "uncovered".to_owned();
    expected.push((false, "uncovered".to_owned()));
    assert_eq!(house.office.decisions(), expected);
    assert!(house.recorded().iter().all(|(account, by, allowed)| account == "sam" && by == "portal" && !allowed));
    assert_eq!(house.recorded().len(), expected.len());
}

#[test]
fn a_message_of_an_intermediary_is_good_once_and_so_may_an_assertion_be() {
    let house = House::new();
    let mut worker = house.office.worker();
    let once = of("sam").but("</saml:Conditions>", "<saml:OneTimeUse></saml:OneTimeUse></saml:Conditions>");
    worker.vouched(house.presented(&once, &house.portal));
    assert_eq!(worker.refused(house.presented(&once, &house.portal)), Refusal::InvalidSecurity);
    let words = of("sam");
    let sent = Sent::new(&words, &house.agency, &house.portal);
    let message = || {
        let Sent { by, id, client, created, .. } = sent;
        let (signed, whole, parts) = (words.signed(&house.agency), sent.whole.clone(), sent.parts.clone());
        Sent { signed, whole, id, by, parts, client, created }.submission()
    };
    worker.vouched(message());
    assert_eq!(worker.refused(message()), Refusal::InvalidSecurity);
    // The assertion itself he may use again, in a message of its own.
    worker.vouched(house.presented(&words, &house.portal));
    // A replay is nobody's message, and who signed it is not asked to account for it.
    let decisions = house.office.decisions();
    assert_eq!(decisions.iter().map(|(allowed, _)| *allowed).collect::<Vec<_>>(), [true, false, true, true]);
}

#[test]
fn what_an_intermediary_asks_is_at_its_own_pace_and_uses_up_nobody_elses() {
    let house = House::with("[throttle]\naccount_burst = 3\naccount_per_minute = 1\n");
    let mut worker = house.office.worker();
    for _ in 0..3 {
        worker.vouched(house.presented(&of("sam"), &house.portal));
    }
    assert!(matches!(worker.refused(house.presented(&of("sam"), &house.portal)), Refusal::Busy { .. }));
    eventually("the record says who asked in excess", || {
        let said = house.office.audit.said.lock().unwrap();
        said.iter().find_map(|message| match message {
            AuthToAudit::Append { entry: AuthEntry::Excessive(_, private), .. } => {
                assert_eq!(private.account.as_str(), "portal");
                Some(())
            }
            AuthToAudit::Append { .. } => None,
        })
    });
    let himself = Words::saml20("sam@agency.example").signed(&house.agency);
    worker.vouched(at("/saml", crate::house::submission(himself)));
}

#[test]
fn no_token_is_bound_to_the_key_of_whoever_vouches() {
    let house = House::new();
    let mut sent = Sent::new(&of("sam"), &house.agency, &house.portal);
    sent.parts[2] = Part::body("urn:office", &format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>"));
    let mut submission = sent.submission();
    submission.wish.key_type = Some(KeyType::Public);
    assert_eq!(house.office.worker().refused(submission), Refusal::InvalidRequest);
    assert_eq!(house.recorded(), [("sam".to_owned(), "portal".to_owned(), false)]);
}

#[test]
fn a_worker_that_says_something_else_than_an_intermediary_signed_loses_its_channel() {
    let house = House::new();
    let mut sent = house.presented(&of("sam"), &house.portal);
    sent.wish.applies_to = Some(Text::new("urn:elsewhere").unwrap());
    let mut worker = house.office.worker();
    worker.submit(sent);
    eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
}

/// Left out, the assertion would make the intermediary the one who asks.
#[test]
fn a_worker_that_leaves_out_the_assertion_that_was_signed_loses_its_channel() {
    let house = House::new();
    for endpoint in ["/both", "/saml"] {
        let sent = house.presented(&of("sam"), &house.portal);
        let Evidence::Attested(_, message) = sent.evidence else { unreachable!("it is attested") };
        let evidence = Evidence::Signature(message);
        let mut worker = house.office.worker();
        worker.submit(Submission { evidence, endpoint: Text::new(endpoint).unwrap(), ..sent });
        eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
    }
    assert_eq!(house.office.decisions(), vec![(false, "contradicted".to_owned()); 2]);
}

/// Who vouches signs the message: how, is his endpoint's to take, whatever is taken of the partner.
#[test]
fn an_intermediary_signs_by_sha1_where_the_endpoint_takes_it() {
    let lenient = format!(
        "[[endpoint]]\npath = \"/lenient\"\ncredentials = [\"sender-vouches\"]\naddresses = [\"{ADDRESS}\"]\n\
         leniencies = [\"rsa-sha1\", \"reference-sha1\"]\n"
    );
    let house = House::by(Client::rsa(false), &lenient);
    let sent = || {
        let sent = Sent::new(&of("sam"), &house.agency, &house.portal);
        let (info, parts) = sent.covering();
        // The assertion that stands for the reference, too.
        let info = parts.iter().fold(info, |info, part| sha1::digesting(&info, &part.octets));
        let message = sha1::over(&house.portal, &sha1::by_rsa(&info), &parts);
        let mut submission = sent.submission();
        let Evidence::Attested(_, plain) = &mut submission.evidence else { panic!("an assertion") };
        *plain = message;
        submission
    };
    let mut worker = house.office.worker();
    worker.vouched(at("/lenient", sent()));
    assert_eq!(house.office.lodged().order.request, RequestIntegrity::Signed);
    for path in ["/vouched", "/both"] {
        assert_eq!(worker.refused(at(path, sent())), Refusal::UnsupportedAlgorithm, "{path}");
    }
}

#[test]
fn an_intermediary_who_seals_first_vouches_for_what_was_in_what_he_signed_r_w061() {
    let house = House::with(&format!(
        "[[endpoint]]\npath = \"/sealed\"\ncredentials = [\"sender-vouches\"]\naddresses = [\"{ADDRESS}\"]\n\
         encryption = true\n"
    ));
    house.office.opens(Ok(SessionKey::new(sealed::KEY.to_vec()).unwrap()));
    let mut worker = house.office.worker();
    let (octets, body) = sealed::body();
    let sent = |correlation| {
        let mut sent = Sent::new(&of("sam"), &house.agency, &house.portal);
        sent.parts[2] = body.clone();
        Submission { correlation, endpoint: Text::new("/sealed").unwrap(), ..sent.submission() }
    };
    let correlation = opened_first(&mut worker, "/sealed", std::slice::from_ref(&octets));
    worker.vouched(sent(correlation));
    let order = house.office.lodged().order;
    assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
    let correlation = opened_first(&mut worker, "/sealed", &[octets]);
    let mut lie = sent(correlation);
    lie.wish.applies_to = Some(Text::new("urn:another").unwrap());
    assert_eq!(worker.refused(lie), Refusal::InvalidRequest);
    let refusal = worker.refused(sent(Correlation::random()));
    assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal:?}");
}
