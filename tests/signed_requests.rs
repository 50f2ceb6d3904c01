//! auth as it is shipped, before messages that a registered certificate signed, and before everything that only
//! looks like one. The test plays the worker: the honest one, and one that somebody has taken over.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
    #[expect(dead_code, reason = "shared with tests/saml, which uses more of it")]
    pub(crate) mod signed;
}

#[path = "signed_requests/addressing.rs"]
mod addressing;
#[path = "signed_requests/named.rs"]
mod named;

use std::time::Duration;

use chancery::trust::binary::X509V3;
use chancery::wire::evidence::{
    Evidence, KeyReference, KeyType, Operation, Refusal, SignatureAlgorithm, SignedMessage, Submission, Timestamp, Wish,
};
use chancery::wire::links::AuthToWorker;
use chancery::wire::order::{Confirmation, Method, RequestIntegrity, TokenType};
use chancery::wire::{Correlation, List, Millis, Octets, Secret, Text};

use nix::sys::signal::{Signal, kill};

use support::office::{HOME, Office, hash, request};
use support::processes::eventually;
use support::signed::{Client, Part, SOAP, TRUST, WSSE, WSU, dereferenced};

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml11", "saml20"]
policy = '''permit(principal, action, resource);'''
"#;
const ENDPOINT: &str = "/signed";
const ADDRESS: &str = "https://sts.example.com/signed";

fn auth(more: &str) -> String {
    format!(
        "[store]\ndirectory = \"../../state\"\n[[endpoint]]\npath = \"{ENDPOINT}\"\ncredentials = [\"signature\"]\n\
         addresses = [\"https://other.example.com/\", \"{ADDRESS}\"]\ntoken_type = \"saml20\"\n{more}\n"
    )
}

/// auth with this client registered for sam, and a user with a password.
fn office(client: &Client, more: &str) -> Office {
    let users =
        format!("[users.sam]\ncertificates = [\"sam.pem\"]\n[users.alice]\npassword = '{}'\n", hash("wonderland"));
    Office::with(&auth(more), &users, PARTY, &[("sam.pem", &client.certificate)])
}

fn wish() -> Wish {
    Wish {
        operation: Operation::Issue,
        applies_to: Some(Text::new("urn:office").unwrap()),
        token_type: None,
        key_type: None,
        key_size: None,
        use_key: None,
        claims: List::default(),
        lifetime: None,
    }
}

fn submission(message: SignedMessage, created: Millis) -> Submission {
    Submission {
        correlation: Correlation::random(),
        endpoint: Text::new(ENDPOINT).unwrap(),
        source: HOME,
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: Evidence::Signature(message),
        wish: wish(),
    }
}

/// The parts of a good message made now.
fn parts(created: Millis) -> [Part; 3] {
    [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", "")]
}

/// A good message of this client.
fn good(client: &Client) -> Submission {
    let now = Millis::now();
    let [timestamp, to, body] = parts(now);
    submission(client.message(&[timestamp, to, body, Part::message_id()]), now)
}

#[test]
fn a_signed_request_is_vouched_for_as_signed() {
    let client = Client::new();
    let office = office(&client, "");
    let mut worker = office.worker();
    worker.vouched(good(&client));
    let order = office.lodged().order;
    assert_eq!(order.subject.account.as_str(), "sam");
    assert_eq!((order.authentication.method, order.request), (Method::X509, RequestIntegrity::Signed));
    assert_eq!(order.token_type, TokenType::Saml20, "the endpoint's default, not the party's first");
    assert_eq!(office.decisions(), [(true, "allowed".to_owned())]);
}

#[test]
fn every_kind_of_key_signs_and_no_key_signs_by_another_kind() {
    for client in [Client::new(), Client::rsa(false), Client::rsa(true), Client::ed25519()] {
        let office = office(&client, "");
        let mut worker = office.worker();
        worker.vouched(good(&client));
        for algorithm in [SignatureAlgorithm::RsaSha512, SignatureAlgorithm::PssSha384, SignatureAlgorithm::EcdsaSha384]
        {
            let mut submission = good(&client);
            let Evidence::Signature(message) = &mut submission.evidence else { panic!("signed") };
            message.algorithm = algorithm;
            assert_eq!(worker.refused(submission), Refusal::FailedAuthentication);
        }
    }
}

#[test]
fn a_certificate_is_found_by_its_thumbprint_too() {
    let client = Client::new();
    let office = office(&client, "");
    let mut worker = office.worker();
    let now = Millis::now();
    let message = SignedMessage { key: client.thumbprint(), ..client.message(&parts(now)) };
    worker.vouched(submission(message, now));
}

#[test]
fn of_certificates_with_one_serial_number_the_one_whose_key_signed_is_meant_r_w031() {
    let seventh = || Client::with(|parameters| parameters.serial_number = Some(0x0107.into()));
    let clients: Vec<_> = std::iter::repeat_with(seventh).take(9).collect();
    let stranger = seventh();
    let files: Vec<_> = (0..clients.len()).map(|at| format!("{at}.pem")).collect();
    let at_office = |most: usize| {
        let account = |at: usize| format!("[users.u{at}]\ncertificates = [\"{at}.pem\"]\n");
        let users: String = (0..most).map(account).collect();
        let files: Vec<_> =
            files.iter().zip(&clients).take(most).map(|(file, by)| (&**file, &*by.certificate)).collect();
        Office::with(&auth(""), &users, PARTY, &files)
    };
    let now = Millis::now();
    let by = |client: &Client, serial: &[u8]| {
        let key = KeyReference::Serial(Octets::new(serial).unwrap());
        submission(SignedMessage { key, ..client.message(&parts(now)) }, now)
    };
    let office = at_office(8);
    let mut worker = office.worker();
    for at in [0, 7, 3] {
        worker.vouched(by(&clients[at], &[1, 7]));
        assert_eq!(office.lodged().order.subject.account.as_str(), format!("u{at}"));
    }
    for (client, serial) in [(&stranger, &[1, 7][..]), (&clients[8], &[1, 7]), (&clients[0], &[7]), (&clients[0], &[])]
    {
        assert_eq!(worker.refused(by(client, serial)), Refusal::FailedAuthentication);
    }
    // So many that a stranger would have a key of each tried.
    let office = at_office(9);
    assert_eq!(office.worker().refused(by(&clients[0], &[1, 7])), Refusal::FailedAuthentication);
}

#[test]
fn a_message_is_good_once_also_when_it_is_signed_again_and_auth_was_restarted() {
    let client = Client::new();
    let mut office = office(&client, "");
    let now = Millis::now();
    let parts = parts(now);
    let submitted = || submission(client.message(&parts), now);
    office.worker().vouched(submitted());
    // ECDSA signs the same octets differently each time.
    assert_eq!(office.worker().refused(submitted()), Refusal::InvalidSecurity);
    kill(office.auth().pid(), Signal::SIGKILL).unwrap();
    office.start();
    assert_eq!(office.worker().refused(submitted()), Refusal::InvalidSecurity);
    office.worker().vouched(good(&client));
}

#[test]
fn one_of_many_who_send_a_message_at_once_is_served_r_w080() {
    let client = Client::new();
    let office = office(&client, "");
    let now = Millis::now();
    let parts = parts(now);
    let answers: Vec<bool> = std::thread::scope(|scope| {
        let ask = || {
            let mut worker = office.worker();
            let submission = submission(client.message(&parts), now);
            scope.spawn(move || matches!(worker.ask(submission), chancery::wire::links::AuthToWorker::Vouched(_)))
        };
        let threads: Vec<_> = (0..8).map(|_| ask()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|vouched| **vouched).count(), 1);
}

#[test]
fn a_worker_that_says_something_else_than_was_signed_loses_its_channel() {
    let client = Client::new();
    let office = office(&client, "");
    let other_wish = Wish { applies_to: Some(Text::new("urn:elsewhere").unwrap()), ..wish() };
    let other_kind = Wish { token_type: Some(TokenType::Saml11), ..wish() };
    let with = |wish| Submission { wish, ..good(&client) };
    let later = Some(Timestamp { created: Millis::now().plus(1_000), expires: None });
    for submission in [with(other_wish), with(other_kind), Submission { timestamp: later, ..good(&client) }] {
        let mut worker = office.worker();
        worker.submit(submission);
        eventually("auth hangs up", || match worker.duplex.receive() {
            Err(_) => Some(()),
            Ok(None) => None,
            Ok(Some(answer)) => panic!("answered: {answer:?}"),
        });
    }
    assert_eq!(office.decisions(), vec![(false, "contradicted".to_owned()); 3]);
    office.worker().vouched(good(&client));
}

#[test]
fn a_message_is_good_once_whichever_certificate_of_its_key_it_names() {
    let client = Client::new();
    let renewed = client.renewed();
    let users = "[users.sam]\ncertificates = [\"sam.pem\", \"renewed.pem\"]\n";
    let files = [("sam.pem", client.certificate.as_str()), ("renewed.pem", renewed.certificate.as_str())];
    let office = Office::with(&auth(""), users, PARTY, &files);
    let now = Millis::now();
    let parts = parts(now);
    office.worker().vouched(submission(client.message(&parts), now));
    let by_the_other = SignedMessage { key: renewed.reference(), ..client.message(&parts) };
    assert_eq!(office.worker().refused(submission(by_the_other, now)), Refusal::InvalidSecurity);
    office.worker().vouched(good(&renewed));
}

#[test]
fn a_message_that_is_about_to_expire_is_good_once_too() {
    let client = Client::new();
    let office = office(&client, "");
    let now = Millis::now();
    let expires = now.plus(1_500);
    let [_, to, body] = parts(now);
    let parts = [Part::timestamp(now, Some(expires)), to, body];
    let submitted = || Submission {
        timestamp: Some(Timestamp { created: now, expires: Some(expires) }),
        ..submission(client.message(&parts), now)
    };
    let mut worker = office.worker();
    worker.vouched(submitted());
    while Millis::now() <= expires.plus(500) {
        let _refusal = worker.refused(submitted());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_body_that_is_not_signed_is_the_workers_word() {
    let client = Client::new();
    let office = office(&client, "");
    let now = Millis::now();
    let [timestamp, to, _] = parts(now);
    office.worker().vouched(submission(client.message(&[timestamp, to]), now));
    assert_eq!(office.lodged().order.request, RequestIntegrity::Transport);
}

#[test]
fn a_message_says_whom_it_is_for_r_w043() {
    let client = Client::new();
    let now = Millis::now();
    let [timestamp, _, body] = parts(now);
    let absent = [timestamp.clone(), body.clone()];
    let strict = office(&client, "");
    let lenient = office(&client, "leniencies = [\"to-absent\"]");
    assert_eq!(strict.worker().refused(submission(client.message(&absent), now)), Refusal::InvalidSecurity);
    lenient.worker().vouched(submission(client.message(&absent), now));
    // A timestamp alone could be passed on by whoever was sent it.
    let alone = client.message(std::slice::from_ref(&timestamp));
    assert_eq!(lenient.worker().refused(submission(alone, now)), Refusal::InvalidSecurity);
    for address in ["https://sts.example.com/signed/", "https://STS.example.com/signed", "https://evil.example.com/"] {
        let parts = [timestamp.clone(), Part::to(address), body.clone()];
        for office in [&strict, &lenient] {
            let refused = office.worker().refused(submission(client.message(&parts), now));
            assert_eq!(refused, Refusal::InvalidSecurity, "{address}");
        }
    }
}

#[test]
fn a_transform_that_leaves_nothing_out_is_a_leniency() {
    let client = Client::new();
    let now = Millis::now();
    let parts = [&parts(now)[..], &[Part::message_id()]].concat();
    let enveloped = "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\">\
                     </ds:Transform>";
    let info = client.signed_info(&parts).replace("<ds:Transforms>", enveloped);
    let message = || client.over(&info, &parts);
    let strict = office(&client, "leniencies = [\"to-absent\"]");
    assert_eq!(strict.worker().refused(submission(message(), now)), Refusal::InvalidSecurity);
    let lenient = office(&client, "leniencies = [\"enveloped-transform\"]");
    // What stands there is still what was digested, and wsa:To is asked for as ever.
    let changed = [parts[0].clone(), parts[1].clone(), Part::body("urn:other", ""), parts[3].clone()];
    let forged = submission(client.over(&info, &changed), now);
    assert_eq!(lenient.worker().refused(forged), Refusal::FailedAuthentication);
    let nowhere = [parts[0].clone(), parts[2].clone()];
    let nowhere = client.over(&client.signed_info(&nowhere).replace("<ds:Transforms>", enveloped), &nowhere);
    assert_eq!(lenient.worker().refused(submission(nowhere, now)), Refusal::InvalidSecurity);
    lenient.worker().vouched(submission(message(), now));
    assert_eq!(lenient.lodged().order.request, RequestIntegrity::Signed);
}

#[test]
fn what_stands_for_a_reference_is_a_token_and_nothing_else_r_w063() {
    let client = Client::new();
    let office = office(&client, "leniencies = [\"to-absent\"]");
    let mut worker = office.worker();
    let now = Millis::now();
    let octets = format!("<o:BinarySecurityToken xmlns=\"\" xmlns:o=\"{WSSE}\">AAEC</o:BinarySecurityToken>");
    let token = Part { id: "str", octets };
    let message = |parts: &[Part], id: &str| client.over(&dereferenced(&client.signed_info(parts), id), parts);
    let [timestamp, to, body] = parts(now);
    // Only a reference that is dereferenced may have an id that is not that of what was digested.
    let whole = [timestamp.clone(), to.clone(), body.clone(), token.clone()];
    assert_eq!(worker.refused(submission(client.message(&whole), now)), Refusal::InvalidSecurity);
    worker.vouched(submission(message(&whole, "str"), now));
    assert_eq!(office.lodged().order.request, RequestIntegrity::Signed);
    let mut changed = message(&whole, "str");
    let other = token.octets.replace("AAEC", "AAED").into_bytes();
    let parts = changed.parts.iter().map(|part| part.expose().to_vec()).take(3).chain([other]);
    changed.parts = List::new(parts.map(|part| Secret::new(part).unwrap()).collect::<Vec<_>>()).unwrap();
    assert_eq!(worker.refused(submission(changed, now)), Refusal::FailedAuthentication);
    // Nobody who signed a reference to something has signed a request, an address or a time.
    for id in ["t", "to", "b"] {
        let message = message(&whole, id);
        assert_eq!(worker.refused(submission(message, now)), Refusal::InvalidSecurity, "{id}");
    }
    let refused = office.decisions().into_iter().filter(|(allowed, _)| !allowed).map(|(_, why)| why);
    assert_eq!(refused.collect::<Vec<_>>(), ["unreadable-signature", "transform", "transform", "transform"]);
}

#[test]
fn a_message_is_fresh_by_what_was_signed() {
    let client = Client::new();
    let office = office(&client, "");
    let mut worker = office.worker();
    let now = Millis::now();
    let [_, to, body] = parts(now);
    let unsigned = client.message(&[to.clone(), body.clone()]);
    assert_eq!(worker.refused(submission(unsigned, now)), Refusal::InvalidSecurity);
    let old = now.plus(-400_000);
    let stale = || client.message(&[Part::timestamp(old, None), to.clone(), body.clone()]);
    assert_eq!(worker.refused(submission(stale(), old)), Refusal::MessageExpired);
    // A worker that says the message of yesterday is of today is told by the signature, and the record whose it is.
    assert_eq!(worker.refused(submission(stale(), now)), Refusal::MessageExpired);
    let decisions = [(false, "unsigned-timestamp".to_owned()), (false, "stale-timestamp".to_owned())];
    assert_eq!(office.decisions(), decisions);
}

#[test]
fn what_was_not_signed_by_a_registered_key_is_refused_alike() {
    let (client, stranger) = (Client::new(), Client::new());
    let office = office(&client, "");
    let mut worker = office.worker();
    let now = Millis::now();
    let changed = |change: &dyn Fn(&mut SignedMessage)| {
        let mut message = client.message(&parts(now));
        change(&mut message);
        message
    };
    let cases: [(&str, SignedMessage); 8] = [
        ("a stranger's", stranger.message(&parts(now))),
        (
            "a stranger's by the name of ours",
            changed(&|message| {
                message.value = stranger.message(&parts(now)).value;
            }),
        ),
        ("ours by the name of a stranger", changed(&|message| message.key = stranger.reference())),
        ("no such thumbprint", changed(&|message| message.key = KeyReference::Thumbprint([0; 20]))),
        ("no signature", changed(&|message| message.value = Octets::default())),
        (
            "another part",
            changed(&|message| {
                let [timestamp, to, _] = parts(now);
                let body = Part::body("urn:elsewhere", "");
                let octets = [timestamp, to, body].map(|part| Secret::new(part.octets).unwrap());
                message.parts = List::new(octets).unwrap();
            }),
        ),
        (
            "a part less",
            changed(&|message| {
                let [timestamp, to, _] = parts(now);
                message.parts = List::new([timestamp, to].map(|part| Secret::new(part.octets).unwrap())).unwrap();
            }),
        ),
        (
            "another SignedInfo",
            changed(&|message| {
                let text = String::from_utf8(message.signed_info.to_vec()).unwrap().replace("#to", "#tu");
                message.signed_info = Octets::new(text).unwrap();
            }),
        ),
    ];
    for (what, message) in cases {
        assert_eq!(worker.refused(submission(message, now)), Refusal::FailedAuthentication, "{what}");
    }
    assert!(office.decisions().is_empty());
    worker.vouched(good(&client));
}

#[test]
fn what_a_registered_key_has_signed_is_still_read_by_the_grammar() {
    let client = Client::new();
    let office = office(&client, "");
    let mut worker = office.worker();
    let now = Millis::now();
    let [timestamp, to, body] = parts(now);
    let part = |id: &'static str, octets: String| Part { id, octets };
    let with = |part: &Part| client.message(&[timestamp.clone(), to.clone(), part.clone()]);
    let info = client.signed_info(&parts(now));
    let over = |info: &str| client.over(info, &parts(now));
    let enveloped = "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\">\
                     </ds:Transform>";
    let cases: [(&str, SignedMessage, Refusal); 13] = [
        ("a part of another id", with(&part("c", body.octets.clone())), Refusal::InvalidSecurity),
        ("an id below the part", with(&part("b", format!("<x>{}</x>", body.octets))), Refusal::InvalidSecurity),
        ("a part that is no XML", with(&part("b", "<b".to_owned())), Refusal::InvalidSecurity),
        (
            "a part with a document type",
            with(&part("b", format!("<!DOCTYPE b>{}", body.octets))),
            Refusal::InvalidSecurity,
        ),
        (
            "two ids of one value",
            with(&part(
                "b",
                body.octets.replace("<t:RequestType>", &format!("<t:RequestType xmlns:u=\"{WSU}\" u:Id=\"b\">")),
            )),
            Refusal::InvalidSecurity,
        ),
        (
            "two bodies",
            {
                let second = part("b2", body.octets.replace("u:Id=\"b\"", "u:Id=\"b2\""));
                client.message(&[timestamp.clone(), to.clone(), body.clone(), second])
            },
            Refusal::InvalidSecurity,
        ),
        (
            "an empty body",
            with(&part("b", format!("<s:Body xmlns:s=\"{SOAP}\" xmlns:u=\"{WSU}\" u:Id=\"b\"></s:Body>"))),
            Refusal::InvalidRequest,
        ),
        (
            "a request on somebody's behalf",
            with(&Part::body("urn:office", "<t:OnBehalfOf><x></x></t:OnBehalfOf>")),
            Refusal::InvalidRequest,
        ),
        (
            "an object",
            over(&info.replace("</ds:SignedInfo>", "<ds:Object></ds:Object></ds:SignedInfo>")),
            Refusal::InvalidSecurity,
        ),
        ("a comment", over(&info.replace("</ds:SignedInfo>", "<!--x--></ds:SignedInfo>")), Refusal::InvalidSecurity),
        ("an envelope", over(&info.replacen("<ds:Transforms>", enveloped, 1)), Refusal::InvalidSecurity),
        (
            "SHA-1",
            over(&info.replace("xmldsig-more#ecdsa-sha256", "xmldsig-more#ecdsa-sha384")),
            Refusal::FailedAuthentication,
        ),
        ("no SignedInfo", over(&body.octets), Refusal::InvalidSecurity),
    ];
    for (what, message, refusal) in cases {
        assert_eq!(worker.refused(submission(message, now)), refusal, "{what}");
    }
    // Those whose parts are what was signed are his, whatever is wrong with them; of the others the record has a sum.
    let unreadable = |(allowed, reason): &(bool, String)| !allowed && reason.starts_with("unreadable-");
    let decisions = office.decisions();
    assert!(decisions.len() == 8 && decisions.iter().all(unreadable), "{decisions:?}");
    worker.vouched(good(&client));
}

#[test]
fn a_certificate_holds_between_its_dates_and_for_an_account_that_is_not_disabled() {
    let expired = Client::with(|parameters| parameters.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let early = Client::with(|parameters| parameters.not_before = rcgen::date_time_ymd(2999, 1, 1));
    for client in [expired, early] {
        assert_eq!(office(&client, "").worker().refused(good(&client)), Refusal::FailedAuthentication);
    }
    let client = Client::new();
    let users = "[users.sam]\ncertificates = [\"sam.pem\"]\ndisabled = true\n";
    let office = Office::with(&auth(""), users, PARTY, &[("sam.pem", &client.certificate)]);
    assert_eq!(office.worker().refused(good(&client)), Refusal::FailedAuthentication);
    // Nothing that he signed is parsed: what cannot be read is answered alike.
    let now = Millis::now();
    let unreadable = client.over("<no SignedInfo", &parts(now));
    assert_eq!(office.worker().refused(submission(unreadable, now)), Refusal::FailedAuthentication);
    assert!(office.decisions().is_empty());
}

#[test]
fn an_endpoint_takes_the_credentials_it_names() {
    let client = Client::new();
    let office = office(&client, "");
    let mut worker = office.worker();
    let password =
        Submission { endpoint: Text::new(ENDPOINT).unwrap(), ..support::office::request("alice", "wonderland") };
    assert_eq!(worker.refused(password), Refusal::UnsupportedSecurityToken);
    let elsewhere =
        Office::with("", "[users.sam]\ncertificates = [\"sam.pem\"]\n", PARTY, &[("sam.pem", &client.certificate)]);
    let submission = Submission { endpoint: Text::new("/sts").unwrap(), ..good(&client) };
    assert_eq!(elsewhere.worker().refused(submission), Refusal::UnsupportedSecurityToken);
}

#[test]
fn an_account_with_certificates_alone_has_no_password() {
    let client = Client::new();
    let users = "[users.sam]\ncertificates = [\"sam.pem\"]\n";
    let office = Office::with("", users, PARTY, &[("sam.pem", &client.certificate)]);
    for password in ["", "x", "wonderland"] {
        assert_eq!(office.worker().refused(support::office::request("sam", password)), Refusal::FailedAuthentication);
    }
}

/// A request for a token bound to the key that signs, which is said to be that of a signature `id`.
fn bound(client: &Client, id: Option<&str>) -> Submission {
    let now = Millis::now();
    let use_key = id.map_or(String::new(), |id| format!("<t:UseKey Sig=\"{id}\"></t:UseKey>"));
    let more = format!("<t:KeyType>{TRUST}/PublicKey</t:KeyType>{use_key}");
    let parts = [Part::timestamp(now, None), Part::to(ADDRESS), Part::body("urn:office", &more), Part::message_id()];
    let use_key = id.map(|id| Text::new(id).unwrap());
    let wish = Wish { key_type: Some(KeyType::Public), use_key, ..wish() };
    Submission { wish, ..submission(client.message(&parts), now) }
}

#[test]
fn a_token_is_bound_to_the_key_that_signed_and_to_no_other_r_t031_r_t032() {
    let client = Client::new();
    let party = format!("confirmations = [\"bearer\", \"holder-of-key\"]{PARTY}");
    let users =
        format!("[users.sam]\ncertificates = [\"sam.pem\"]\n[users.alice]\npassword = '{}'\n", hash("wonderland"));
    let password = "[[endpoint]]\npath = \"/adfs/services/trust/13/usernamemixed\"\n";
    let office = Office::with(&auth(password), &users, &party, &[("sam.pem", &client.certificate)]);
    let KeyReference::Certificate(certificate) = client.reference() else { panic!("a certificate") };
    for id in [Some("s"), None] {
        office.worker().vouched(bound(&client, id));
        let expected = Confirmation::HolderOfKey { certificate: certificate.clone() };
        assert_eq!(office.lodged().order.confirmation, expected, "{id:?}");
    }
    // A password proves no key, whatever the worker says of it.
    for use_key in [None, Some(Text::new("s").unwrap())] {
        let mut password = support::office::request("alice", "wonderland");
        password.wish.key_type = Some(KeyType::Public);
        password.wish.use_key = use_key;
        assert_eq!(office.worker().refused(password), Refusal::InvalidRequest);
    }
    // The same key by another's signature, and another by the same: what was signed decides.
    let other = Submission { wish: bound(&client, Some("x")).wish, ..bound(&client, Some("s")) };
    let mut worker = office.worker();
    worker.submit(other);
    eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
}

#[test]
fn a_party_that_takes_bound_tokens_alone_gets_no_other_by_saying_nothing() {
    let client = Client::new();
    let party = format!("confirmations = [\"holder-of-key\"]{PARTY}");
    let users = "[users.sam]\ncertificates = [\"sam.pem\"]\n";
    let office = Office::with(&auth(""), users, &party, &[("sam.pem", &client.certificate)]);
    assert_eq!(office.worker().refused(good(&client)), Refusal::RequestFailed);
    assert_eq!(office.decisions(), [(false, "key-type".to_owned())]);
    office.worker().vouched(bound(&client, None));
}

#[test]
fn what_an_account_signs_counts_against_its_pace_whatever_is_wrong_with_it() {
    let client = Client::new();
    let office = office(&client, "[throttle]\naccount_burst = 3\naccount_per_minute = 1\n");
    let mut worker = office.worker();
    for _ in 0..3 {
        let now = Millis::now();
        let unsigned = client.message(&[Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()]);
        assert_eq!(worker.refused(submission(unsigned, now)), Refusal::InvalidSecurity);
    }
    assert_eq!(worker.refused(good(&client)), Refusal::Busy { retry_after_s: 2 });
}

#[test]
fn a_party_takes_tokens_bound_to_keys_when_its_file_says_so() {
    let client = Client::new();
    let office = office(&client, "");
    assert_eq!(office.worker().refused(bound(&client, Some("s"))), Refusal::RequestFailed);
    assert_eq!(office.decisions(), [(false, "key-type".to_owned())]);
}

/// Whoever has an answer signed by our key for answers chooses its digests, so it could say what a request says.
#[test]
fn what_is_signed_as_an_answer_of_ours_is_no_request_whoever_signed_it() {
    use chancery::wire::reply::ReplyPart;
    let client = Client::new();
    let office = office(&client, "replies = \"signed\"");
    let now = Millis::now();
    let ids = [ReplyPart::Timestamp, ReplyPart::To, ReplyPart::Body].map(ReplyPart::id);
    for renamed in [&ids[..], &ids[2..], &[]] {
        let mut parts = [Part::timestamp(now, None), Part::to(ADDRESS), Part::body("urn:office", "")];
        for (part, id) in parts.iter_mut().rev().zip(renamed.iter().rev()) {
            part.octets = part.octets.replacen(&format!("u:Id=\"{}\"", part.id), &format!("u:Id=\"{id}\""), 1);
            part.id = *id;
        }
        let [one, two, three] = parts;
        let message = client.message(&[one, two, three, Part::message_id()]);
        let mut worker = office.worker();
        if renamed.is_empty() {
            worker.vouched(submission(message, now));
            assert!(office.lodged().signed_reply);
        } else {
            assert_eq!(worker.refused(submission(message, now)), Refusal::InvalidSecurity, "{renamed:?}");
        }
    }
}

#[test]
fn only_a_request_that_was_signed_is_answered_so_and_only_where_answers_are() {
    let client = Client::new();
    let now = || Millis::now();
    let signed = |office: &Office| {
        let parts = [Part::timestamp(now(), None), Part::to(ADDRESS), Part::body("urn:office", ""), Part::message_id()];
        let created = now();
        let parts = [Part::timestamp(created, None), parts[1].clone(), parts[2].clone(), parts[3].clone()];
        office.worker().vouched(submission(client.message(&parts), created));
        office.lodged().signed_reply
    };
    assert!(!signed(&office(&client, "")));
    let both = auth("replies = \"signed\"").replace("[\"signature\"]", "[\"signature\", \"password\"]");
    let users =
        format!("[users.sam]\ncertificates = [\"sam.pem\"]\n[users.alice]\npassword = '{}'\n", hash("wonderland"));
    let office = Office::with(&both, &users, PARTY, &[("sam.pem", &client.certificate)]);
    assert!(signed(&office));
    let password = Submission { endpoint: Text::new(ENDPOINT).unwrap(), ..request("alice", "wonderland") };
    office.worker().vouched(password);
    assert!(!office.lodged().signed_reply);
}

/// Of one key there may be several certificates, and a worker would choose among them.
#[test]
fn the_certificate_that_was_signed_is_the_one_that_counts() {
    let (old, users) = (Client::new(), "[users.sam]\ncertificates = [\"old.pem\", \"new.pem\"]\n");
    let new = old.renewed();
    let files = [("old.pem", &*old.certificate), ("new.pem", &*new.certificate)];
    let office = Office::with(&auth(""), users, PARTY, &files);
    let der = |client: &Client| {
        let KeyReference::Certificate(der) = client.reference() else { panic!("a certificate") };
        der
    };
    let mut worker = office.worker();
    let mut sent = |shown: &Client, signed: &[&Client]| {
        let created = Millis::now();
        let mut parts = Vec::from(parts(created));
        parts.extend(signed.iter().map(|client| Part::token(X509V3, &der(client))));
        worker.ask(submission(shown.message(&parts), created))
    };
    for client in [&old, &new] {
        assert!(matches!(sent(client, &[client]), AuthToWorker::Vouched(_)));
        assert!(matches!(sent(client, &[]), AuthToWorker::Vouched(_)), "it is not signed");
    }
    // One of another key says something else, as that of the server for whom something is sealed.
    assert!(matches!(sent(&old, &[&Client::new()]), AuthToWorker::Vouched(_)));
    for (shown, signed) in [(&old, &new), (&new, &old)] {
        let AuthToWorker::Refused(refused) = sent(shown, &[signed]) else { panic!("it is vouched for") };
        assert_eq!(refused.refusal, Refusal::FailedAuthentication);
    }
}

/// Whoever covers what says who somebody is means it to count, and an honest worker takes no two.
#[test]
fn a_worker_that_leaves_out_a_signed_user_name_or_ticket_loses_its_channel() {
    let client = Client::new();
    let office = office(&client, "");
    let name = format!(
        "<o:UsernameToken xmlns:o=\"{WSSE}\" xmlns:u=\"{WSU}\" u:Id=\"n\"><o:Username>alice</o:Username></o:UsernameToken>"
    );
    let ticket = "http://docs.oasis-open.org/wss/oasis-wss-kerberos-token-profile-1.1#GSS_Kerberosv5_AP_REQ";
    for part in [Part { id: "n", octets: name }, Part::token(ticket, b"a ticket")] {
        let created = Millis::now();
        let mut parts = Vec::from(parts(created));
        parts.push(part);
        let mut worker = office.worker();
        worker.submit(submission(client.message(&parts), created));
        eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
    }
    assert_eq!(office.decisions(), vec![(false, "contradicted".to_owned()); 2]);
}
