//! auth as it is shipped, before messages that were sealed first and signed then (EncryptBeforeSigning). The test plays
//! issuer, the clients, those among them who would like to know what another has sealed, and the worker: the honest
//! one, and one that somebody has taken over.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod opening;
    pub(crate) mod processes;
    pub(crate) mod sealing;
    pub(crate) mod sha1;
    #[expect(dead_code, reason = "shared with tests/saml, which uses more of it")]
    pub(crate) mod signed;
}

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use base64ct::{Base64, Encoding};
use chancery::wire::evidence::{Evidence, Operation, Refusal, SignedMessage, Submission, Timestamp, Wish};
use chancery::wire::links::{AuthToIssuer, AuthToWorker, WorkerToAuth};
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::unwrap::{KeyTransport, NotUnwrapped, OpenSigned, Recipient, SessionKey};
use chancery::wire::{Correlation, List, Millis, Octets, Text};

use support::office::{HOME, Office, Worker};
use support::opening::{self, fresh};
use support::processes::eventually;
use support::sealing::{self, By, XENC};
use support::sha1;
use support::signed::{Client, DS, Part, SOAP, TRUST, WSU, dereferenced};

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
policy = '''permit(principal, action, resource);'''
"#;
/// CBC is taken here, and at no other.
const ENDPOINT: &str = "/sealed";
const STRICT: &str = "/strict";
const ADDRESS: &str = "https://sts.example.com/sealed";
const KEY: [u8; 32] = [0x5A; 32];

struct House {
    office: Office,
    sam: Client,
    /// Has an account, too.
    mallory: Client,
}

impl House {
    fn open() -> Self {
        Self::with("unwrap_burst = 1000\naccount_burst = 1000\n")
    }

    fn with(throttle: &str) -> Self {
        let endpoint = |path: &str, more: &str| {
            format!(
                "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"signature\"]\naddresses = [\"{ADDRESS}\"]\n{more}\n"
            )
        };
        let auth = [
            "[store]\ndirectory = \"../../state\"\n[throttle]\n",
            throttle,
            &endpoint(ENDPOINT, "encryption = true\nleniencies = [\"aes-cbc\"]"),
            &endpoint(STRICT, "encryption = true"),
            &endpoint("/twin", "encryption = true\nleniencies = [\"aes-cbc\"]"),
            &endpoint("/old", "encryption = true\nleniencies = [\"reference-sha1\"]"),
            &endpoint("/open", ""),
        ]
        .concat();
        let (sam, mallory) = (Client::new(), Client::new());
        let users = "[users.sam]\ncertificates = [\"sam.pem\"]\n[users.mallory]\ncertificates = [\"mallory.pem\"]\n\
                     [users.gone]\ncertificates = [\"gone.pem\"]\ndisabled = true\n";
        let gone = Client::new();
        let files =
            [("sam.pem", &*sam.certificate), ("mallory.pem", &*mallory.certificate), ("gone.pem", &*gone.certificate)];
        let office = Office::with(&auth, users, PARTY, &files);
        office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
        Self { office, sam, mallory }
    }

    /// How many session keys issuer was asked for.
    fn unwraps(&self) -> usize {
        let said = self.office.issuer.said.lock().unwrap();
        said.iter().filter(|message| matches!(message, AuthToIssuer::Unwrap(_))).count()
    }

    /// The last decision in the record that was refused, or what is there in its place.
    fn refused_for(&self) -> String {
        self.office.decisions().last().map(|(allowed, reason)| format!("{allowed}: {reason}")).unwrap_or_default()
    }
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

/// What a good body holds.
fn plain() -> String {
    sealing::inside(&Part::body("urn:office", "")).to_owned()
}

/// A body in which this is sealed by the session key.
fn sealed(by: By, plain: &str) -> Part {
    let octets = by.seal(&KEY[..by.length()], plain.as_bytes());
    sealing::body(&sealing::data(&by.algorithm(), &octets))
}

/// The parts of a message around this body.
fn around(body: Part, created: Millis) -> Vec<Part> {
    vec![Part::timestamp(created, None), Part::to(ADDRESS), body, Part::message_id()]
}

fn opening(message: SignedMessage) -> OpenSigned {
    OpenSigned {
        correlation: Correlation::random(),
        endpoint: Text::new(ENDPOINT).unwrap(),
        source: HOME,
        recipient: Recipient::Thumbprint([7; 20]),
        transport: KeyTransport::OaepSha1,
        sealed: Octets::new(fresh()).unwrap(),
        message,
    }
}

fn submission(correlation: Correlation, message: SignedMessage, created: Millis) -> Submission {
    Submission {
        correlation,
        endpoint: Text::new(ENDPOINT).unwrap(),
        source: HOME,
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: Evidence::Signature(message),
        wish: wish(),
    }
}

fn asked(worker: &mut Worker, opening: OpenSigned) -> AuthToWorker {
    let correlation = opening.correlation;
    worker.duplex.send(&WorkerToAuth::OpenSigned(opening)).unwrap();
    worker.answer(correlation)
}

/// What was sealed.
#[track_caller]
fn opened(worker: &mut Worker, opening: OpenSigned) -> String {
    match asked(worker, opening) {
        AuthToWorker::Opened(opened) => String::from_utf8(opened.parts[0].expose().to_vec()).unwrap(),
        answer => panic!("{answer:?}"),
    }
}

#[track_caller]
fn refused(worker: &mut Worker, opening: OpenSigned) -> Refusal {
    match asked(worker, opening) {
        AuthToWorker::Refused(refused) => refused.refusal,
        answer => panic!("{answer:?}"),
    }
}

/// The worker loses its channel, and no answer came.
#[track_caller]
fn is_hung_up_on(worker: &mut Worker, message: &WorkerToAuth) {
    worker.duplex.send(message).unwrap();
    eventually("auth hangs up", || match worker.duplex.receive() {
        Err(_) => Some(()),
        Ok(None) => None,
        Ok(Some(answer)) => panic!("answered: {answer:?}"),
    });
}

#[test]
fn what_was_sealed_and_then_signed_is_opened_and_asks_for_what_was_in_it_r_w051() {
    let house = House::open();
    let mut worker = house.office.worker();
    for by in By::ALL {
        house.office.opens(Ok(SessionKey::new(KEY[..by.length()].to_vec()).unwrap()));
        let now = Millis::now();
        let message = house.sam.message(&around(sealed(by, &plain()), now));
        let opening = opening(message.clone());
        let correlation = opening.correlation;
        assert_eq!(opened(&mut worker, opening), plain(), "{by:?}");
        worker.vouched(submission(correlation, message, now));
        let order = house.office.lodged().order;
        assert_eq!(order.subject.account.as_str(), "sam", "{by:?}");
        assert_eq!((order.authentication.method, order.request), (Method::X509, RequestIntegrity::Signed), "{by:?}");
    }
    // What is in it may be an element whole, and stand between spaces.
    let now = Millis::now();
    house.office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
    let body = sealed(By::Cbc(32), &format!("\n {}\n", plain()));
    let body = Part { octets: body.octets.replace("#Content", "#Element"), ..body };
    let message = house.sam.message(&around(body, now));
    let opening = opening(message.clone());
    let correlation = opening.correlation;
    assert_eq!(opened(&mut worker, opening).trim(), plain());
    worker.vouched(submission(correlation, message, now));
    assert!(house.office.decisions().iter().all(|(allowed, _)| *allowed), "{:?}", house.office.decisions());
}

#[test]
fn cbc_is_opened_where_auth_is_told_to_and_no_key_is_for_it_elsewhere_a_21() {
    let house = House::open();
    let mut worker = house.office.worker();
    let message = |by| house.sam.message(&around(sealed(by, &plain()), Millis::now()));
    let at = |path: &str, by| OpenSigned { endpoint: Text::new(path).unwrap(), ..opening(message(by)) };
    for by in [By::Cbc(16), By::Cbc(32)] {
        assert_eq!(refused(&mut worker, at(STRICT, by)), Refusal::FailedCheck, "{by:?}");
        assert_eq!(house.refused_for(), "false: cipher");
    }
    assert_eq!(refused(&mut worker, at("/open", By::Gcm(32))), Refusal::UnsupportedSecurityToken);
    assert_eq!(refused(&mut worker, at("/nowhere", By::Gcm(32))), Refusal::RequestFailed);
    assert_eq!(house.unwraps(), 0);
    assert_eq!(opened(&mut worker, at(STRICT, By::Gcm(32))), plain());
    // Neither a cipher that is no AES of ours, nor one that the key is not for.
    for name in ["tripledes-cbc", "aes192-cbc", "kw-aes256"] {
        let body = sealing::body(&sealing::data(&format!("{XENC}{name}"), &[7; 48]));
        let message = house.sam.message(&around(body, Millis::now()));
        assert_eq!(refused(&mut worker, opening(message)), Refusal::InvalidSecurity, "{name}");
    }
    assert_eq!(house.unwraps(), 1);
    for by in [By::Cbc(16), By::Gcm(16), By::Gcm(24)] {
        assert_eq!(refused(&mut worker, opening(message(by))), Refusal::FailedCheck, "{by:?}");
        assert_eq!(house.refused_for(), "false: unopened");
    }
}

/// What nobody has signed who may be believed costs no key, whatever is sealed in it: CBC or GCM.
#[test]
fn nothing_is_opened_before_the_signature_over_it_and_all_that_shows_while_it_is_sealed_a_21() {
    let house = House::open();
    let mut worker = house.office.worker();
    let stranger = Client::new();
    let now = Millis::now();
    for by in [By::Cbc(32), By::Gcm(32)] {
        let body = || sealed(by, &plain());
        let good = || house.sam.message(&around(body(), now));
        let spoilt = |spoil: &dyn Fn(&mut SignedMessage)| {
            let mut message = good();
            spoil(&mut message);
            message
        };
        // What is handed on in the place of the body that was signed.
        let instead = |of: &dyn Fn(String) -> String| {
            let parts = around(body(), now);
            let info = house.sam.signed_info(&parts);
            let changed = parts.into_iter().map(|part| match part.id {
                "b" => Part { octets: of(part.octets), ..part },
                _ => part,
            });
            house.sam.over(&info, &changed.collect::<Vec<_>>())
        };
        let flipped = |text: String, at: usize| {
            let start = text.find("CipherValue>").unwrap() + "CipherValue>".len();
            let end = text.find("</x:CipherValue>").unwrap();
            let mut octets = Base64::decode_vec(&text[start..end]).unwrap();
            let at = at.min(octets.len() - 1);
            octets[at] ^= 1;
            [&text[..start], &Base64::encode_string(&octets), &text[end..]].concat()
        };
        let known = Refusal::FailedAuthentication;
        for (what, message, refusal) in [
            ("by a stranger", stranger.message(&around(body(), now)), known),
            (
                "by a stranger under sam's name",
                {
                    let key = house.sam.reference();
                    SignedMessage { key, ..stranger.message(&around(body(), now)) }
                },
                known,
            ),
            (
                "a signature that is wrong",
                spoilt(&|message| {
                    let mut value = message.value.clone().into_vec();
                    value[5] ^= 1;
                    message.value = Octets::new(value).unwrap();
                }),
                known,
            ),
            (
                "another SignedInfo",
                spoilt(&|message| {
                    message.signed_info = Octets::new([&message.signed_info[..], b" "].concat()).unwrap();
                }),
                known,
            ),
            ("the vector is another", instead(&|text| flipped(text, 0)), known),
            ("a block is another", instead(&|text| flipped(text, 40)), known),
            ("the last octet is another", instead(&|text| flipped(text, usize::MAX)), known),
            (
                "another cipher",
                instead(&|text| text.replace("256-cbc", "128-cbc").replace("256-gcm", "128-gcm")),
                known,
            ),
            (
                "GCM for CBC, and the other way",
                instead(&|text| {
                    if text.contains("-cbc") {
                        text.replace(&By::Cbc(32).algorithm(), &By::Gcm(32).algorithm())
                    } else {
                        text.replace(&By::Gcm(32).algorithm(), &By::Cbc(32).algorithm())
                    }
                }),
                known,
            ),
            ("stale", house.sam.message(&around(body(), now.plus(-3_600_000))), Refusal::MessageExpired),
            ("of the future", house.sam.message(&around(body(), now.plus(3_600_000))), Refusal::MessageExpired),
            ("without an instant", house.sam.message(&around(body(), now)[1..]), Refusal::InvalidSecurity),
            (
                "for nobody",
                {
                    let mut parts = around(body(), now);
                    parts.remove(1);
                    house.sam.message(&parts)
                },
                Refusal::InvalidSecurity,
            ),
            (
                "for somebody else",
                {
                    let mut parts = around(body(), now);
                    parts[1] = Part::to("https://another.example.com/");
                    house.sam.message(&parts)
                },
                Refusal::InvalidSecurity,
            ),
        ] {
            assert_eq!(refused(&mut worker, opening(message)), refusal, "{by:?}: {what}");
            assert_eq!(house.unwraps(), 0, "{by:?}: {what}");
        }
    }
}

/// Wrapping: what a good signature covers is the only thing that is opened, and it is what the body holds.
#[test]
fn what_is_sealed_at_another_place_than_the_signed_body_is_not_opened() {
    let house = House::open();
    let mut worker = house.office.worker();
    let now = Millis::now();
    let algorithm = By::Cbc(32).algorithm();
    let data = |id: &str| {
        let octets = By::Cbc(32).seal(&KEY, plain().as_bytes());
        sealing::data(&algorithm, &octets).replace("\"ed\"", &format!("\"{id}\""))
    };
    let with = |parts: Vec<Part>| house.sam.message(&parts);
    let and = |more: Part| {
        let mut parts = around(sealed(By::Cbc(32), &plain()), now);
        parts.push(more);
        parts
    };
    let other = |id: &'static str, inside: &str| Part {
        id,
        octets: format!("<n:other xmlns:n=\"urn:n\" xmlns:u=\"{WSU}\" u:Id=\"{id}\">{inside}</n:other>"),
    };
    let alone = |id: &'static str| Part { id, octets: data(id) };
    let soap11 = "http://schemas.xmlsoap.org/soap/envelope/";
    let twin = || {
        let octets = sealing::body(&data("e2")).octets.replace("u:Id=\"b\"", "u:Id=\"b2\"");
        Part { id: "b2", octets: octets.replace(SOAP, soap11) }
    };
    for (what, message) in [
        ("two in the body", with(around(sealing::body(&[data("e1"), data("e2")].concat()), now))),
        ("beside the request", with(around(sealing::body(&[plain(), data("e1")].concat()), now))),
        ("before the request", with(around(sealing::body(&[data("e1"), plain()].concat()), now))),
        ("beside text", with(around(sealing::body(&format!("text{}", data("e1"))), now))),
        (
            "within the request",
            with(around(
                sealing::body(
                    &plain().replace("</t:RequestSecurityToken>", &format!("{}</t:RequestSecurityToken>", data("e1"))),
                ),
                now,
            )),
        ),
        (
            "within an element",
            with(around(sealing::body(&format!("<n:a xmlns:n=\"urn:n\">{}</n:a>", data("e1"))), now)),
        ),
        (
            "within one that is sealed",
            with(around(
                sealing::body(&data("e1").replace("</x:CipherValue>", &format!("</x:CipherValue>{}", data("e2")))),
                now,
            )),
        ),
        ("in another element, too", with(and(other("n", &data("e2"))))),
        ("alone in the header, too", with(and(alone("e2")))),
        ("in two bodies", with(and(twin()))),
        (
            "in another element alone",
            with({
                let mut parts = around(Part::body("urn:office", ""), now);
                parts.push(other("n", &data("e2")));
                parts
            }),
        ),
        (
            "in the header alone",
            with({
                let mut parts = around(Part::body("urn:office", ""), now);
                parts.push(alone("e2"));
                parts
            }),
        ),
        (
            "in a body whose id is another's",
            with({
                let mut parts = around(sealed(By::Cbc(32), &plain()), now);
                parts[2].octets = parts[2].octets.replace("u:Id=\"b\"", "u:Id=\"c\"");
                parts
            }),
        ),
        (
            "in a header that is called Body",
            with({
                let mut parts = around(Part::body("urn:office", ""), now);
                parts.push(Part { id: "n", octets: other("n", &data("e2")).octets.replace("n:other", "n:Body") });
                parts
            }),
        ),
        (
            "of nothing that is said",
            with({
                let mut parts = around(sealed(By::Cbc(32), &plain()), now);
                parts[2].octets = parts[2].octets.replace(&format!(" Type=\"{XENC}Content\""), "");
                parts
            }),
        ),
        (
            "of another type",
            with({
                let mut parts = around(sealed(By::Cbc(32), &plain()), now);
                parts[2].octets = parts[2].octets.replace("#Content", "#EncryptedKey");
                parts
            }),
        ),
        (
            "that is somewhere else",
            with({
                let mut parts = around(sealed(By::Cbc(32), &plain()), now);
                let (start, end) = (
                    parts[2].octets.find("<x:CipherValue>").unwrap(),
                    parts[2].octets.find("</x:CipherData>").unwrap(),
                );
                parts[2].octets.replace_range(start..end, "<x:CipherReference URI=\"#t\"></x:CipherReference>");
                parts
            }),
        ),
        ("in what a reference stands for", {
            let parts = around(sealed(By::Cbc(32), &plain()), now);
            house.sam.over(&dereferenced(&house.sam.signed_info(&parts), "b"), &parts)
        }),
    ] {
        assert_eq!(refused(&mut worker, opening(message)), Refusal::InvalidSecurity, "{what}");
        assert_eq!(house.unwraps(), 0, "{what}");
        assert!(house.refused_for().starts_with("false: "), "{what}");
    }
    assert_eq!(house.unwraps(), 0);
    // An honest worker asks for no such thing.
    let message = house.sam.message(&around(Part::body("urn:office", ""), now));
    is_hung_up_on(&mut worker, &WorkerToAuth::OpenSigned(opening(message)));
    assert_eq!(house.unwraps(), 0);
}

/// Padding, tag, key, grammar: all of it is one answer and one reason, by whomever it was signed.
#[test]
fn what_does_not_open_under_a_good_signature_has_one_answer_and_no_second_try_r_w051_r_w052() {
    let house = House::open();
    let mut worker = house.office.worker();
    let now = Millis::now();
    let gcm = |plain: &str| By::Gcm(32).seal(&KEY, plain.as_bytes());
    let cbc = |plain: &str| By::Cbc(32).seal(&KEY, plain.as_bytes());
    let padded = |last: u8| {
        let mut blocks = plain().into_bytes();
        blocks.resize(blocks.len().next_multiple_of(16) + 15, b' ');
        blocks.push(last);
        sealing::chained(&KEY, &blocks)
    };
    let spoilt = |mut octets: Vec<u8>, at: usize| {
        let at = at.min(octets.len() - 1);
        octets[at] ^= 1;
        octets
    };
    let request = plain();
    let within =
        |more: &str| request.replacen("</t:RequestSecurityToken>", &format!("{more}</t:RequestSecurityToken>"), 1);
    let mut cases: Vec<(String, By, Vec<u8>)> = vec![
        ("a tag that is wrong".to_owned(), By::Gcm(32), spoilt(gcm(&request), usize::MAX)),
        ("a nonce that is wrong".to_owned(), By::Gcm(32), spoilt(gcm(&request), 0)),
        ("no tag".to_owned(), By::Gcm(32), gcm("")[..20].to_vec()),
        ("no block".to_owned(), By::Cbc(32), vec![7; 16]),
        ("part of a block".to_owned(), By::Cbc(32), cbc(&request)[..40].to_vec()),
        ("the first octet is another".to_owned(), By::Cbc(32), spoilt(cbc(&request), 0)),
        ("a block that is another".to_owned(), By::Cbc(32), spoilt(cbc(&request), 16)),
    ];
    for last in [0, 17, 128, 255] {
        cases.push((format!("padding of {last}"), By::Cbc(32), padded(last)));
    }
    let doctype = format!("<!DOCTYPE a [<!ENTITY e \"e\">]>{request}");
    let data = sealing::data(&By::Cbc(32).algorithm(), &cbc(&request));
    let closing = format!("{request}</s:Body><s:Body xmlns:s=\"{SOAP}\">{request}");
    let deep = [within(&"<n:a xmlns:n=\"urn:n\">".repeat(200)), "</n:a>".repeat(200)].concat();
    for (what, plain) in [
        ("nothing", ""),
        ("no text", "\u{1}\u{2}"),
        ("text", "text"),
        ("text beside the request", &format!("text{request}")),
        ("two requests", &request.repeat(2)),
        ("a comment that swallows what follows", &format!("{request}<!--")),
        ("an instruction that does", &format!("{request}<?a ")),
        ("a section that does", &format!("{request}<![CDATA[")),
        ("an end of the body", &format!("{request}</s:Body>")),
        ("an end of the body and a new one", &closing),
        ("an end and an instruction", &format!("{request}</s:Body><?a ")),
        ("a tag that is open", "<t:RequestSecurityToken"),
        ("a document type", &doctype),
        ("an entity", &within("&e;")),
        (
            "a prefix that is declared outside of what is signed",
            &request.replacen(&format!(" xmlns:t=\"{TRUST}\""), "", 1),
        ),
        ("the id of the body", &within(&format!("<n:a xmlns:n=\"urn:n\" xmlns:v=\"{WSU}\" v:Id=\"b\"></n:a>"))),
        ("something that is sealed", &data),
        ("something that is sealed within the request", &within(&data)),
        ("a key", &within(&format!("<x:EncryptedKey xmlns:x=\"{XENC}\"></x:EncryptedKey>"))),
        ("deeper than anything", &deep),
    ] {
        cases.push((format!("{what} by GCM"), By::Gcm(32), gcm(plain)));
        cases.push((format!("{what} by CBC"), By::Cbc(32), cbc(plain)));
    }
    for (what, by, octets) in cases {
        let body = sealing::body(&sealing::data(&by.algorithm(), &octets));
        let message = house.mallory.message(&around(body, now));
        let first = opening(message.clone());
        let key = first.sealed.clone();
        let (correlation, unwraps) = (first.correlation, house.unwraps());
        assert_eq!(refused(&mut worker, first), Refusal::FailedCheck, "{what}");
        assert_eq!((house.refused_for().as_str(), house.unwraps()), ("false: unopened", unwraps + 1), "{what}");
        // Whatever he learned, he learns no more of that key: not with the same ciphertext, nor with another.
        for by in [By::Cbc(32), By::Gcm(32)] {
            let again = house.mallory.message(&around(sealed(by, &plain()), now));
            let again = OpenSigned { sealed: key.clone(), ..opening(again) };
            assert_eq!(refused(&mut worker, again), Refusal::FailedCheck, "{what}");
            assert_eq!(house.refused_for(), "false: replayed-key", "{what}");
        }
        // Nor is anything kept of it.
        let refusal = worker.refused(submission(correlation, message, now));
        assert!(matches!(refusal, Refusal::Busy { .. }), "{what}: {refusal:?}");
    }
    // A key that does not open, or is no key of that length, is the same.
    for session in [Err(NotUnwrapped::Unopened), Ok([6; 32].to_vec()), Ok(KEY[..16].to_vec())] {
        house.office.opens(session.map(|key: Vec<u8>| SessionKey::new(key).unwrap()));
        for by in [By::Cbc(32), By::Gcm(32)] {
            let opening = opening(house.sam.message(&around(sealed(by, &plain()), now)));
            let again = OpenSigned {
                correlation: Correlation::random(),
                sealed: opening.sealed.clone(),
                ..self::opening(house.sam.message(&around(sealed(by, &plain()), now)))
            };
            assert_eq!(refused(&mut worker, opening), Refusal::FailedCheck);
            assert_eq!(house.refused_for(), "false: unopened");
            assert_eq!(refused(&mut worker, again), Refusal::FailedCheck);
            assert_eq!(house.refused_for(), "false: replayed-key");
        }
    }
    // That nobody could open it is nobody's fault: the same key is good the next time.
    house.office.opens(Err(NotUnwrapped::Unavailable));
    let late = opening(house.sam.message(&around(sealed(By::Cbc(32), &plain()), now)));
    let again = house.sam.message(&around(sealed(By::Cbc(32), &plain()), now));
    let again = OpenSigned { sealed: late.sealed.clone(), ..opening(again) };
    assert!(matches!(refused(&mut worker, late), Refusal::Busy { .. }));
    house.office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
    assert_eq!(opened(&mut worker, again), plain());
}

#[test]
fn a_message_and_its_session_key_are_good_once_also_when_auth_was_restarted() {
    let mut house = House::open();
    let mut worker = house.office.worker();
    let now = Millis::now();
    let message = house.sam.message(&around(sealed(By::Cbc(32), &plain()), now));
    let first = opening(message.clone());
    let (correlation, key) = (first.correlation, first.sealed.clone());
    opened(&mut worker, first);
    worker.vouched(submission(correlation, message.clone(), now));
    let same = |message: &SignedMessage| OpenSigned { sealed: key.clone(), ..opening(message.clone()) };
    // As it was, by another session key, which would open it all the same here, and by somebody else.
    for restarted in [false, true] {
        if restarted {
            nix::sys::signal::kill(house.office.auth().pid(), nix::sys::signal::Signal::SIGKILL).unwrap();
            house.office.start();
            worker = house.office.worker();
        }
        // A copy is nobody's: it is neither charged to him nor in the record as his.
        let before = house.office.decisions();
        for copy in [same(&message), opening(message.clone())] {
            assert_eq!(refused(&mut worker, copy), Refusal::InvalidSecurity);
        }
        assert_eq!(house.office.decisions(), before);
        let mallorys = house.mallory.message(&around(sealed(By::Cbc(32), &plain()), Millis::now()));
        assert_eq!(refused(&mut worker, same(&mallorys)), Refusal::FailedCheck);
        assert_eq!(house.refused_for(), "false: replayed-key");
    }
}

#[test]
fn a_worker_that_makes_something_else_of_what_was_opened_gets_no_token() {
    let house = House::open();
    let now = Millis::now();
    let message = || house.sam.message(&around(sealed(By::Cbc(32), &plain()), now));
    let another = Wish { applies_to: Some(Text::new("urn:another").unwrap()), ..wish() };
    // Another wish, another instant, another message that is as good, one that is not sealed.
    for lie in ["wish", "timestamp", "message", "plain"] {
        let mut worker = house.office.worker();
        let good = message();
        let opening = opening(good.clone());
        let correlation = opening.correlation;
        opened(&mut worker, opening);
        let mut submission = submission(correlation, good, now);
        match lie {
            "wish" => submission.wish = another.clone(),
            "timestamp" => submission.timestamp = Some(Timestamp { created: now.plus(1000), expires: None }),
            "message" => submission.evidence = Evidence::Signature(message()),
            _ => {
                let plain = house.sam.message(&around(Part::body("urn:office", ""), now));
                submission.evidence = Evidence::Signature(plain);
            }
        }
        // What is declared around the body an honest worker reads in what was sealed, so another wish says nothing of
        // it.
        if lie == "wish" {
            assert_eq!(worker.refused(submission), Refusal::InvalidRequest);
            continue;
        }
        is_hung_up_on(&mut worker, &WorkerToAuth::Submit(submission));
    }
    // A second opening for one request.
    let mut worker = house.office.worker();
    let first = opening(message());
    let second = OpenSigned { correlation: first.correlation, ..opening(message()) };
    opened(&mut worker, first);
    is_hung_up_on(&mut worker, &WorkerToAuth::OpenSigned(second));
    let decided = house.office.decisions();
    let allowed = decided.iter().filter(|(allowed, _)| *allowed).count();
    assert_eq!((allowed, house.refused_for().as_str()), (0, "false: contradicted"), "{decided:?}");
}

fn opened_first(worker: &mut Worker, parts: &[Vec<u8>]) -> Correlation {
    opening::opened_first(worker, ENDPOINT, parts)
}

#[test]
fn nothing_is_opened_that_is_digested_by_sha_1_as_it_is_sealed() {
    let house = House::open();
    let mut worker = house.office.worker();
    let now = Millis::now();
    let by = By::Gcm(32);
    let octets = by.seal(&KEY, plain().as_bytes());
    let parts = around(sealing::body(&sealing::data(&by.algorithm(), &octets)), now);
    let old = || Text::new("/old").unwrap();
    // Timestamp and To, or the body besides.
    for (references, taken) in [(2, true), (3, false)] {
        let correlation = opening::opened_first(&mut worker, "/old", std::slice::from_ref(&octets));
        let message = sha1::message(&house.sam, &parts, sha1::By { rsa: false, references });
        let sent = Submission { endpoint: old(), ..submission(correlation, message, now) };
        if taken {
            worker.vouched(sent);
        } else {
            worker.refused(sent);
            assert_eq!(house.refused_for(), "false: unreadable-signature");
        }
    }
}

#[test]
fn what_was_opened_with_its_signature_asks_for_what_is_in_the_octets_that_were_signed_and_nothing_else_r_w051() {
    let house = House::open();
    let mut worker = house.office.worker();
    let now = Millis::now();
    let by = By::Gcm(32);
    let octets = |plain: &str| by.seal(&KEY, plain.as_bytes());
    let body = |octets: &[u8]| sealing::body(&sealing::data(&by.algorithm(), octets));
    let signature = by.seal(&KEY, b"<ds:Signature/>");
    let of = |octets: &[u8]| house.sam.message(&around(body(octets), now));
    let good = octets(&plain());
    let correlation = opened_first(&mut worker, &[signature.clone(), good.clone()]);
    worker.vouched(submission(correlation, of(&good), now));
    let order = house.office.lodged().order;
    assert_eq!((order.subject.account.as_str(), order.request), ("sam", RequestIntegrity::Signed));
    let decisions = house.office.decisions().len();
    // Another wish: what is declared around the body could make one of the same octets, so nobody is hung up on.
    let correlation = opened_first(&mut worker, &[signature.clone(), good.clone()]);
    let another = Wish { applies_to: Some(Text::new("urn:another").unwrap()), ..wish() };
    let lie = Submission { wish: another, ..submission(correlation, of(&good), now) };
    assert_eq!(worker.refused(lie), Refusal::InvalidRequest);
    let busy = |refusal: Refusal, what: &str| assert!(matches!(refusal, Refusal::Busy { .. }), "{what}: {refusal:?}");
    // What was opened is not what was signed, or was not for this request, or its path, or this channel.
    let other = octets(&plain().replace("urn:office", "urn:other"));
    for (what, parts) in [
        ("another body", vec![signature.clone(), other.clone()]),
        ("the signature alone", vec![signature.clone()]),
        ("the body without its last octet", vec![signature.clone(), octets(&format!("{} ", plain()))]),
    ] {
        let correlation = opened_first(&mut worker, &parts);
        busy(worker.refused(submission(correlation, of(&good), now)), what);
        assert_eq!(house.refused_for(), "false: no-session", "{what}");
    }
    let correlation = opened_first(&mut worker, &[signature.clone(), good.clone()]);
    busy(house.office.worker().refused(submission(correlation, of(&good), now)), "another channel");
    let twin = Text::new("/twin").unwrap();
    let correlation = opened_first(&mut worker, &[signature.clone(), good.clone()]);
    busy(worker.refused(Submission { endpoint: twin, ..submission(correlation, of(&good), now) }), "another path");
    let correlation = opened_first(&mut worker, &[signature.clone(), good.clone()]);
    let (once, again) = (of(&good), of(&good));
    worker.vouched(submission(correlation, once, now));
    busy(worker.refused(submission(correlation, again, now)), "a second time");
    // The same octets under the name of CBC: nobody verified anything before they were opened.
    let correlation = opened_first(&mut worker, &[signature.clone(), good.clone()]);
    let cbc = sealing::body(&sealing::data(&By::Cbc(32).algorithm(), &good));
    let message = house.sam.message(&around(cbc, now));
    assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedCheck);
    assert_eq!(house.refused_for(), "false: cipher");
    // By a key of its own, which is not kept.
    let mut wrapped = [0; 40];
    AesKek::new(&AES_256, &KEY).unwrap().wrap(&[9; 32], &mut wrapped).unwrap();
    let own = by.seal(&[9; 32], plain().as_bytes());
    let correlation = opening::opened_by(&mut worker, ENDPOINT, std::slice::from_ref(&own), Some(&wrapped));
    assert_eq!(worker.refused(submission(correlation, of(&own), now)), Refusal::FailedCheck);
    assert_eq!(house.refused_for(), "false: cipher");
    // Two that are sealed in what is signed, or one elsewhere.
    let header = format!(
        "<n:w xmlns:n=\"urn:n\" xmlns:u=\"{WSU}\" u:Id=\"w\">{}</n:w>",
        sealing::data(&by.algorithm(), &good).replace("\"ed\"", "\"e2\"")
    );
    let header = Part { id: "w", octets: header };
    let plain_body = Part::body("urn:office", "");
    for parts in [
        [&around(body(&good), now)[..], std::slice::from_ref(&header)].concat(),
        [&around(plain_body, now)[..], &[header]].concat(),
    ] {
        let correlation = opened_first(&mut worker, &[signature.clone(), good.clone()]);
        assert_eq!(worker.refused(submission(correlation, house.sam.message(&parts), now)), Refusal::InvalidSecurity);
    }
    // A stranger's is nobody's, whatever was opened.
    let correlation = opened_first(&mut worker, &[signature.clone(), good.clone()]);
    let message = Client::new().message(&around(body(&good), now));
    assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedAuthentication);
    let allowed = house.office.decisions()[decisions..].iter().filter(|(allowed, _)| *allowed).count();
    assert_eq!(allowed, 1, "the one that was taken once");
    // Another instant than is signed contradicts it.
    let correlation = opened_first(&mut worker, &[signature, good.clone()]);
    let mut lie = submission(correlation, of(&good), now);
    lie.timestamp = Some(Timestamp { created: now.plus(1000), expires: None });
    is_hung_up_on(&mut worker, &WorkerToAuth::Submit(lie));
}

#[test]
fn keys_that_are_kept_for_a_signature_which_never_comes_keep_nobody_from_having_his_opened() {
    let house = House::with("unwrap_burst = 5000\naccount_burst = 1000\n");
    let mut worker = house.office.worker();
    let part = By::Gcm(32).seal(&KEY, plain().as_bytes());
    for _ in 0..1025 {
        opened_first(&mut worker, std::slice::from_ref(&part));
    }
    // What was signed before it was sealed needs none.
    let correlation = opened_first(&mut worker, &[part]);
    let now = Millis::now();
    let message = house.sam.message(&around(Part::body("urn:office", ""), now));
    worker.vouched(submission(correlation, message, now));
}

#[test]
fn what_was_opened_is_for_its_request_its_path_its_channel_and_for_once() {
    let house = House::open();
    let mut worker = house.office.worker();
    let now = Millis::now();
    let new = |worker: &mut Worker| {
        let message = house.sam.message(&around(sealed(By::Gcm(32), &plain()), now));
        let opening = opening(message.clone());
        let correlation = opening.correlation;
        opened(worker, opening);
        submission(correlation, message, now)
    };
    let busy = |refusal: Refusal| assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal:?}");
    // Under another name, at another path, over another channel, and a second time.
    let other = Submission { correlation: Correlation::random(), ..new(&mut worker) };
    busy(worker.refused(other));
    let other = Submission { endpoint: Text::new("/twin").unwrap(), ..new(&mut worker) };
    busy(worker.refused(other));
    let good = new(&mut worker);
    busy(house.office.worker().refused(good));
    let good = new(&mut worker);
    let Evidence::Signature(message) = &good.evidence else { panic!("signed") };
    let again = submission(good.correlation, message.clone(), now);
    worker.vouched(good);
    let refusal = worker.refused(again);
    assert_eq!(refusal, Refusal::InvalidSecurity, "it was here before");
    // And never opened at all.
    let message = house.sam.message(&around(sealed(By::Gcm(32), &plain()), now));
    busy(worker.refused(submission(Correlation::random(), message, now)));
}

#[test]
fn a_session_key_that_is_signed_is_the_one_that_is_opened() {
    let house = House::open();
    let now = Millis::now();
    let method = |name: &str| format!("<x:EncryptionMethod Algorithm=\"{XENC}{name}\"></x:EncryptionMethod>");
    let key = |sealed: &[u8]| Part {
        id: "ek",
        octets: format!(
            "<x:EncryptedKey xmlns:x=\"{XENC}\" Id=\"ek\">{}<ds:KeyInfo xmlns:ds=\"{DS}\"><n:a xmlns:n=\"urn:n\"></n:a>\
             </ds:KeyInfo><x:CipherData><x:CipherValue>{}</x:CipherValue></x:CipherData></x:EncryptedKey>",
            method("rsa-oaep-mgf1p"),
            Base64::encode_string(sealed)
        ),
    };
    let with = |sealed: &[u8]| {
        let mut parts = around(sealed_body(), now);
        parts.push(key(sealed));
        house.sam.message(&parts)
    };
    let mut worker = house.office.worker();
    let sealed = fresh();
    let message = with(&sealed);
    let good = OpenSigned { sealed: Octets::new(sealed).unwrap(), ..opening(message.clone()) };
    let correlation = good.correlation;
    assert_eq!(opened(&mut worker, good), plain());
    worker.vouched(submission(correlation, message, now));
    let unwraps = house.unwraps();
    // Another one, or one that is said to be sealed in another way.
    is_hung_up_on(&mut worker, &WorkerToAuth::OpenSigned(opening(with(&fresh()))));
    assert_eq!((house.unwraps(), house.refused_for().as_str()), (unwraps, "false: contradicted"));
    let mut worker = house.office.worker();
    let sealed = fresh();
    let other = OpenSigned {
        transport: KeyTransport::OaepSha256,
        sealed: Octets::new(sealed.clone()).unwrap(),
        ..opening(with(&sealed))
    };
    is_hung_up_on(&mut worker, &WorkerToAuth::OpenSigned(other));
    assert_eq!(house.unwraps(), unwraps);
}

#[test]
fn an_opening_is_paid_for_whatever_becomes_of_it_and_what_is_submitted_then_is_not_again() {
    let now = Millis::now();
    let bad = sealing::body(&sealing::data(&By::Cbc(32).algorithm(), &[7; 64]));
    let house = House::with("unwrap_burst = 1\nunwrap_per_minute = 1\naccount_burst = 3\naccount_per_minute = 1\n");
    let mut worker = house.office.worker();
    // The second and the third have no place at the token, and are in the record as his.
    let refusals: Vec<_> =
        (0..6).map(|_| refused(&mut worker, opening(house.mallory.message(&around(bad.clone(), now))))).collect();
    assert_eq!(refusals[0], Refusal::FailedCheck);
    assert!(refusals[1..].iter().all(|refusal| matches!(refusal, Refusal::Busy { .. })), "{refusals:?}");
    let recorded: Vec<_> = house.office.decisions().into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(recorded, ["unopened", "too-many-keys", "too-many-keys"]);
    // One that opens, and is not submitted, is had as well.
    let house = House::with("account_burst = 2\naccount_per_minute = 1\n");
    let mut worker = house.office.worker();
    let message = || house.sam.message(&around(sealed_body(), now));
    assert_eq!(opened(&mut worker, opening(message())), plain());
    let (message, last) = (message(), message());
    let good = opening(message.clone());
    let correlation = good.correlation;
    assert_eq!(opened(&mut worker, good), plain());
    worker.vouched(submission(correlation, message, now));
    assert!(matches!(refused(&mut worker, opening(last)), Refusal::Busy { .. }));
}

fn sealed_body() -> Part {
    sealed(By::Cbc(32), &plain())
}

#[test]
fn openings_count_against_the_pace_of_whoever_signed() {
    let now = Millis::now();
    let bad = sealing::body(&sealing::data(&By::Cbc(32).algorithm(), &[7; 64]));
    for (throttle, word) in [
        ("unwrap_burst = 1000\naccount_burst = 3\naccount_per_minute = 1\n", "excess"),
        ("unwrap_burst = 3\nunwrap_per_minute = 1\naccount_burst = 1000\n", "too-many-keys"),
    ] {
        let house = House::with(throttle);
        let mut worker = house.office.worker();
        for _ in 0..3 {
            let message = house.mallory.message(&around(bad.clone(), now));
            assert_eq!(refused(&mut worker, opening(message)), Refusal::FailedCheck, "{word}");
        }
        let message = house.mallory.message(&around(bad.clone(), now));
        let refusal = refused(&mut worker, opening(message));
        assert!(matches!(refusal, Refusal::Busy { .. }), "{word}: {refusal:?}");
        assert_eq!(house.unwraps(), 3, "{word}");
        // The message was never in the way of anybody else's, of the same address.
        let message = house.sam.message(&around(sealed_body(), now));
        assert_eq!(opened(&mut worker, opening(message)), plain(), "{word}");
    }
}

#[test]
fn strangers_who_have_all_opened_that_they_may_keep_nobody_from_what_he_has_signed() {
    let house = House::with("unwrap_burst = 3\nunwrap_per_minute = 1\naccount_burst = 1000\n");
    let mut worker = house.office.worker();
    let part = By::Gcm(32).seal(&KEY, plain().as_bytes());
    for _ in 0..3 {
        opened_first(&mut worker, std::slice::from_ref(&part));
    }
    let message = house.sam.message(&around(sealed_body(), Millis::now()));
    assert_eq!(opened(&mut worker, opening(message)), plain());
}
