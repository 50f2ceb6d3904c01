//! auth as it is shipped, before messages with a password under a MAC by their session key. Whoever can seal for us can
//! make a MAC, so most who come here know the key. The test plays the worker, the honest one and one that somebody has
//! taken over, and issuer.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    pub(crate) mod keyed;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod opening;
    pub(crate) mod processes;
    #[expect(dead_code, reason = "shared with tests/sealed_requests.rs, which uses all of it")]
    pub(crate) mod sealing;
    #[expect(dead_code, reason = "shared with tests/sha1.rs, which uses all of it")]
    pub(crate) mod sha1;
    #[expect(dead_code, reason = "shared with tests/saml, which uses more of it")]
    pub(crate) mod signed;
}

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;
use chancery::auth::derive::derived;
use chancery::wire::derivation::{Derivation, PartKey};
use chancery::wire::evidence::{
    AddressingHeader, Evidence, KeyedMessage, MacAlgorithm, Operation, Refusal, Submission, Timestamp, Wish,
};
use chancery::wire::links::{AuthToWorker, WorkerToAuth};
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::reply::{Conversation, Covered, ReplyPart, Seal, SealedReply};
use chancery::wire::unwrap::{KeyTransport, NotUnwrapped, Open, Recipient, SessionKey};
use chancery::wire::{Correlation, List, Millis, Octets, Secret, Text};
use chancery::xml::signature::Signature;
use chancery::xml::{Limits, Tree};
use nix::sys::signal::{Signal, kill};

use support::keyed::{self, username};
use support::office::{HOME, Office, Worker, hash};
use support::opening::opened_first;
use support::processes::eventually;
use support::sealing::{self, By};
use support::sha1;
use support::signed::Part;

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
policy = '''permit(principal, action, resource);'''
"#;
const ENDPOINT: &str = "/symmetric";
const ADDRESS: &str = "https://sts.example.com/symmetric";
const KEY: [u8; 32] = [0x5A; 32];
const SHA256: MacAlgorithm = MacAlgorithm::HmacSha256;

fn office(more: &str) -> Office {
    let auth = format!(
        "[store]\ndirectory = \"../../state\"\n[throttle]\nunwrap_burst = 1000\nuser_burst = 1000\n[[endpoint]]\n\
         path = \"{ENDPOINT}\"\ncredentials = [\"password-symmetric\"]\nencryption = true\naddresses = [\"{ADDRESS}\"]\n\
         {more}\n[[endpoint]]\npath = \"/sealed\"\nencryption = true\n[[endpoint]]\npath = \"/twin\"\n\
         credentials = [\"password-symmetric\"]\nencryption = true\naddresses = [\"{ADDRESS}\"]\n"
    );
    let users = format!("[users.alice]\npassword = '{0}'\n[users.bob]\npassword = '{0}'\n", hash("wonderland"));
    let office = Office::open(&auth, &users, PARTY);
    office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
    office
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

/// What is sealed, as nobody sealed it before.
fn opening(endpoint: &str) -> Open {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Open {
        correlation: Correlation::random(),
        endpoint: Text::new(endpoint).unwrap(),
        source: HOME,
        recipient: Recipient::Thumbprint([7; 20]),
        transport: KeyTransport::OaepSha1,
        sealed: Octets::new([&number[..], &[7; 248]].concat()).unwrap(),
        parts: List::default(),
    }
}

/// Has the key of a message opened.
fn open(worker: &mut Worker, opening: Open) -> Correlation {
    let correlation = opening.correlation;
    worker.duplex.send(&WorkerToAuth::Open(opening)).unwrap();
    let answer = worker.answer(correlation);
    assert!(matches!(&answer, AuthToWorker::Opened(opened) if opened.parts.is_empty()), "{answer:?}");
    correlation
}

/// The parts of a good message made now.
fn parts(created: Millis) -> [Part; 5] {
    let token = username("alice", "wonderland");
    [Part::timestamp(created, None), Part::to(ADDRESS), Part::body("urn:office", ""), token, Part::message_id()]
}

fn submission(correlation: Correlation, message: KeyedMessage, created: Millis) -> Submission {
    Submission {
        correlation,
        endpoint: Text::new(ENDPOINT).unwrap(),
        source: HOME,
        timestamp: Some(Timestamp { created, expires: None }),
        evidence: claimed("alice", "wonderland", message),
        wish: wish(),
    }
}

fn claimed(name: &str, password: &str, message: KeyedMessage) -> Evidence {
    let (username, password) = (Text::new(name).unwrap(), Secret::new(password.as_bytes()).unwrap());
    Evidence::KeyedPassword { username, password, message }
}

/// A good message whose key was opened.
fn good(worker: &mut Worker) -> Submission {
    let now = Millis::now();
    submission(open(worker, opening(ENDPOINT)), keyed::message(&KEY, SHA256, &parts(now)), now)
}

#[track_caller]
fn is_hung_up_on(worker: &mut Worker, submission: Submission) {
    worker.submit(submission);
    eventually("auth hangs up", || match worker.duplex.receive() {
        Err(_) => Some(()),
        Ok(None) => None,
        Ok(Some(answer)) => panic!("answered: {answer:?}"),
    });
}

#[test]
fn a_password_under_a_mac_is_vouched_for_and_the_connection_for_the_request() {
    let office = office("");
    let mut worker = office.worker();
    for algorithm in [SHA256, MacAlgorithm::HmacSha384, MacAlgorithm::HmacSha512] {
        let now = Millis::now();
        let correlation = open(&mut worker, opening(ENDPOINT));
        worker.vouched(submission(correlation, keyed::message(&KEY, algorithm, &parts(now)), now));
        let order = office.lodged().order;
        assert_eq!(order.subject.account.as_str(), "alice");
        assert_eq!((order.authentication.method, order.request), (Method::Password, RequestIntegrity::Transport));
    }
}

#[test]
fn sha_1_is_taken_where_auth_is_told_to_and_nowhere_else() {
    for (leniencies, taken) in [("", false), ("leniencies = [\"hmac-sha1\"]", true)] {
        let office = office(leniencies);
        let mut worker = office.worker();
        let now = Millis::now();
        let correlation = open(&mut worker, opening(ENDPOINT));
        let message = keyed::message(&KEY, MacAlgorithm::HmacSha1, &parts(now));
        if taken {
            worker.vouched(submission(correlation, message, now));
        } else {
            assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedCheck);
        }
        // It is what the worker says of it that is judged, and SignedInfo must say the same.
        let named = keyed::signed_info(MacAlgorithm::HmacSha1, &parts(now));
        let correlation = open(&mut worker, opening(ENDPOINT));
        let message = keyed::over(&KEY, SHA256, &named, &parts(now));
        assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedAuthentication);
    }
}

#[test]
fn what_a_mac_covers_is_digested_by_sha_1_where_auth_is_told_to_take_that_and_nowhere_else() {
    for (leniencies, taken) in
        [("", false), ("leniencies = [\"hmac-sha1\"]", false), ("leniencies = [\"reference-sha1\"]", true)]
    {
        let office = office(leniencies);
        let mut worker = office.worker();
        let now = Millis::now();
        let parts = parts(now);
        let info = keyed::signed_info(SHA256, &parts);
        let by_sha1 = |count: usize| {
            parts.iter().take(count).fold(info.clone(), |info, part| sha1::digesting(&info, &part.octets))
        };
        for count in [1, parts.len()] {
            let correlation = open(&mut worker, opening(ENDPOINT));
            let sent = submission(correlation, keyed::over(&KEY, SHA256, &by_sha1(count), &parts), now);
            if taken {
                worker.vouched(sent);
            } else {
                assert_eq!(worker.refused(sent), Refusal::UnsupportedAlgorithm);
            }
        }
        let used = office.counted("chancery_leniencies_total", ["reference-sha1"]);
        assert_eq!(used, [if taken { "2" } else { "0" }], "{leniencies}");
        if taken {
            // Another part than the one digested is none, and a MAC by SHA-1 is another leniency.
            let mut others = parts.clone();
            let body = others.iter_mut().find(|part| part.octets.contains("urn:office")).unwrap();
            body.octets = body.octets.replace("urn:office", "urn:others");
            let correlation = open(&mut worker, opening(ENDPOINT));
            let message = keyed::over(&KEY, SHA256, &by_sha1(parts.len()), &others);
            worker.refused(submission(correlation, message, now));
            assert_eq!(office.decisions().last().unwrap(), &(false, "wrong-digest".to_owned()));
            let correlation = open(&mut worker, opening(ENDPOINT));
            let message = keyed::message(&KEY, MacAlgorithm::HmacSha1, &parts);
            assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedCheck);
        }
    }
}

#[test]
fn a_mac_that_is_wrong_by_any_octet_and_a_key_that_does_not_open_have_one_answer() {
    let office = office("");
    let mut worker = office.worker();
    let now = Millis::now();
    let spoilt = |spoil: &dyn Fn(&mut KeyedMessage)| {
        let mut message = keyed::message(&KEY, SHA256, &parts(now));
        spoil(&mut message);
        message
    };
    let value = |change: &dyn Fn(&mut Vec<u8>)| {
        spoilt(&|message| {
            let mut octets = message.value.clone().into_vec();
            change(&mut octets);
            message.value = Octets::new(octets).unwrap();
        })
    };
    for (what, message) in [
        ("first octet", value(&|octets| octets[0] ^= 1)),
        ("last octet", value(&|octets| octets[31] ^= 1)),
        ("truncated", value(&|octets| octets.truncate(16))),
        ("nothing", value(&|octets| octets.clear())),
        ("longer", value(&|octets| octets.push(0))),
        ("another key", keyed::message(&[7; 32], SHA256, &parts(now))),
        ("half the key", keyed::message(&KEY[..16], SHA256, &parts(now))),
        ("no key", keyed::message(&[], SHA256, &parts(now))),
        ("another algorithm", spoilt(&|message| message.algorithm = MacAlgorithm::HmacSha512)),
        (
            "another SignedInfo",
            spoilt(&|message| {
                message.signed_info = Octets::new([&message.signed_info[..], b" "].concat()).unwrap();
            }),
        ),
    ] {
        let correlation = open(&mut worker, opening(ENDPOINT));
        assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedCheck, "{what}");
    }
    // What did not open looks like what did, until the MAC.
    office.opens(Err(NotUnwrapped::Unopened));
    assert_eq!(good_is_refused(&mut worker), Refusal::FailedCheck);
    let correlation = open(&mut worker, opening(ENDPOINT));
    let by_zeros = keyed::message(&[0; 32], SHA256, &parts(now));
    assert_eq!(worker.refused(submission(correlation, by_zeros, now)), Refusal::FailedCheck);
    assert!(office.decisions().is_empty());
}

fn good_is_refused(worker: &mut Worker) -> Refusal {
    let good = good(worker);
    worker.refused(good)
}

#[test]
fn nothing_is_parsed_of_whoever_has_no_password() {
    let office = office("");
    let mut worker = office.worker();
    let now = Millis::now();
    // Neither is XML; whoever looks says so.
    let rubbish = keyed::over(&KEY, SHA256, "<", &parts(now));
    let correlation = open(&mut worker, opening(ENDPOINT));
    let mut wrong = submission(correlation, rubbish, now);
    wrong.evidence = match wrong.evidence {
        Evidence::KeyedPassword { message, .. } => claimed("alice", "wrong", message),
        _ => unreachable!(),
    };
    assert_eq!(worker.refused(wrong), Refusal::FailedAuthentication);
    let rubbish = keyed::over(&KEY, SHA256, "<", &parts(now));
    let correlation = open(&mut worker, opening(ENDPOINT));
    assert_eq!(worker.refused(submission(correlation, rubbish, now)), Refusal::InvalidSecurity);
}

#[test]
fn a_mac_without_the_right_password_proves_nobody() {
    let office = office("");
    let mut worker = office.worker();
    for (name, password) in [("alice", "wrong"), ("nobody", "wonderland"), ("alice", "")] {
        let now = Millis::now();
        let [stamp, to, body, _, id] = parts(now);
        let parts = [stamp, to, body, username(name, password), id];
        let correlation = open(&mut worker, opening(ENDPOINT));
        let message = keyed::message(&KEY, SHA256, &parts);
        let evidence = claimed(name, password, message);
        let submission = Submission { evidence, ..good_shape(correlation, now) };
        assert_eq!(worker.refused(submission), Refusal::FailedAuthentication, "{name}");
    }
    assert!(office.decisions().is_empty());
}

/// A submission whose evidence is replaced.
fn good_shape(correlation: Correlation, now: Millis) -> Submission {
    submission(correlation, keyed::message(&KEY, SHA256, &parts(now)), now)
}

#[test]
fn the_mac_covers_token_body_timestamp_and_address_or_the_message_is_refused() {
    let office = office("");
    let mut worker = office.worker();
    let now = Millis::now();
    let all = parts(now);
    for left_out in ["t", "to", "b", "ut"] {
        let parts: Vec<Part> = all.iter().filter(|part| part.id != left_out).cloned().collect();
        let correlation = open(&mut worker, opening(ENDPOINT));
        let message = keyed::message(&KEY, SHA256, &parts);
        assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::InvalidSecurity, "{left_out}");
    }
    let with = |from: &str, to: &str| all.clone().map(|part| Part { octets: part.octets.replace(from, to), ..part });
    let twice = [&all[..], &[Part { id: "ut2", octets: all[3].octets.replace("\"ut\"", "\"ut2\"") }]].concat();
    for (what, parts) in [
        ("elsewhere", with(ADDRESS, "https://elsewhere.example.com/").to_vec()),
        ("a digest", with("<o:Password>", "<o:Password Type=\"urn:digest\">").to_vec()),
        ("no password", with("<o:Password>wonderland</o:Password>", "").to_vec()),
        ("two tokens", twice),
        ("another id", with("u:Id=\"ut\"", "u:Id=\"other\"").to_vec()),
    ] {
        let correlation = open(&mut worker, opening(ENDPOINT));
        let message = keyed::message(&KEY, SHA256, &parts);
        assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::InvalidSecurity, "{what}");
    }
    // A part that is not what was digested.
    let mut message = keyed::message(&KEY, SHA256, &all);
    let mut octets = message.parts.clone().into_vec();
    octets[2] = Secret::new(all[2].octets.replace("urn:office", "urn:orifice").as_bytes()).unwrap();
    message.parts = List::new(octets).unwrap();
    let correlation = open(&mut worker, opening(ENDPOINT));
    assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedAuthentication);
    // He has proved himself, and the record has what became of it.
    let decisions = office.decisions();
    assert!(decisions.iter().all(|(allowed, _)| !allowed), "{decisions:?}");
    assert_eq!(decisions.iter().filter(|(_, reason)| reason == "wrong-digest").count(), 1, "{decisions:?}");
    assert_eq!(decisions.len(), 10);
    let good = good(&mut worker);
    worker.vouched(good);
}

#[test]
fn each_addressing_header_is_under_the_mac_or_let_pass_by_name_r_w042() {
    let strict = office("");
    let lenient = office("leniencies = [\"unsigned-addressing\"]");
    let now = Millis::now();
    for header in AddressingHeader::ALL.into_iter().filter(|header| *header != AddressingHeader::To) {
        for (office, is_let_pass) in [(&strict, false), (&lenient, true)] {
            let mut worker = office.worker();
            let [stamp, to, body, token, _] = parts(now);
            // Another message each time.
            let more = Part::header(AddressingHeader::RelatesTo, header.name());
            let mut covered = vec![stamp, to, body, token];
            if header != AddressingHeader::RelatesTo {
                covered.push(more);
            }
            let message = keyed::message(&KEY, SHA256, &covered);
            let said = [&message.addressing[..], &[header]].concat();
            let message = KeyedMessage { addressing: List::new(said).unwrap(), ..message };
            let correlation = open(&mut worker, opening(ENDPOINT));
            let sent = submission(correlation, message, now);
            if is_let_pass {
                worker.vouched(sent);
            } else {
                assert_eq!(worker.refused(sent), Refusal::InvalidSecurity, "{header:?}");
                assert_eq!(office.decisions().pop().unwrap().1, "unsigned-addressing", "{header:?}");
            }
        }
    }
}

#[test]
fn a_worker_that_says_something_else_than_the_mac_covers_loses_its_channel() {
    let office = office("");
    let other_wish = Wish { applies_to: Some(Text::new("urn:elsewhere").unwrap()), ..wish() };
    let later = Some(Timestamp { created: Millis::now().plus(1_000), expires: None });
    let mut worker = office.worker();
    let submission = Submission { wish: other_wish, ..good(&mut worker) };
    is_hung_up_on(&mut worker, submission);
    let mut worker = office.worker();
    let submission = Submission { timestamp: later, ..good(&mut worker) };
    is_hung_up_on(&mut worker, submission);
    // The password of another, who has not made this message: bob has the same, so that only the name differs.
    let mut worker = office.worker();
    let now = Millis::now();
    let correlation = open(&mut worker, opening(ENDPOINT));
    let evidence = claimed("bob", "wonderland", keyed::message(&KEY, SHA256, &parts(now)));
    is_hung_up_on(&mut worker, Submission { evidence, ..good_shape(correlation, now) });
    // The password was right each time, so a guess at it is told from a wrong one in the record as well.
    assert_eq!(office.decisions(), vec![(false, "contradicted".to_owned()); 3]);
}

#[test]
fn a_key_is_for_the_request_and_the_path_it_was_opened_for_and_once() {
    let office = office("");
    let mut worker = office.worker();
    let now = Millis::now();
    let message = || keyed::message(&KEY, SHA256, &parts(now));
    let busy = |refusal| assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal:?}");
    // None was opened.
    busy(worker.refused(submission(Correlation::random(), message(), now)));
    // Another channel has its own.
    let correlation = open(&mut worker, opening(ENDPOINT));
    busy(office.worker().refused(submission(correlation, message(), now)));
    // It is spent, also by what was refused.
    let wrong = keyed::message(&[7; 32], SHA256, &parts(now));
    assert_eq!(worker.refused(submission(correlation, wrong, now)), Refusal::FailedCheck);
    busy(worker.refused(submission(correlation, message(), now)));
    // What was opened for one path is nothing at another.
    let correlation = open(&mut worker, opening("/twin"));
    busy(worker.refused(submission(correlation, message(), now)));
    // Where no MAC is taken a key without parts is nothing.
    let nothing = opening("/sealed");
    let correlation = nothing.correlation;
    worker.duplex.send(&WorkerToAuth::Open(nothing)).unwrap();
    let answer = worker.answer(correlation);
    assert!(matches!(answer, AuthToWorker::Refused(refused) if refused.refusal == Refusal::FailedCheck));
    let good = good(&mut worker);
    worker.vouched(good);
    // A password alone is no credential there.
    let (username, password) = (Text::new("alice").unwrap(), Secret::new(*b"wonderland").unwrap());
    let correlation = open(&mut worker, opening(ENDPOINT));
    let evidence = Evidence::Password { username, password };
    let alone = Submission { evidence, ..good_shape(correlation, now) };
    assert_eq!(worker.refused(alone), Refusal::UnsupportedSecurityToken);
    // Nor is a MAC one elsewhere.
    let correlation = open(&mut worker, opening(ENDPOINT));
    let elsewhere = Submission { endpoint: Text::new("/sealed").unwrap(), ..good_shape(correlation, now) };
    assert_eq!(worker.refused(elsewhere), Refusal::UnsupportedSecurityToken);
}

#[test]
fn a_second_opening_for_one_request_is_a_violation() {
    let office = office("");
    let mut worker = office.worker();
    let correlation = open(&mut worker, opening(ENDPOINT));
    worker.duplex.send(&WorkerToAuth::Open(Open { correlation, ..opening(ENDPOINT) })).unwrap();
    eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
}

#[test]
fn a_message_is_good_once_by_its_sealed_key_also_when_auth_was_restarted() {
    let mut office = office("");
    let now = Millis::now();
    let sealed = opening(ENDPOINT).sealed;
    let parts = parts(now);
    let submitted = |worker: &mut Worker| {
        let correlation = open(worker, Open { sealed: sealed.clone(), ..opening(ENDPOINT) });
        submission(correlation, keyed::message(&KEY, SHA256, &parts), now)
    };
    // A wrong MAC uses nothing up: a stranger could use up what somebody else has sealed.
    let mut worker = office.worker();
    let mut wrong = submitted(&mut worker);
    wrong.evidence = claimed("alice", "wonderland", keyed::message(&[7; 32], SHA256, &parts));
    assert_eq!(worker.refused(wrong), Refusal::FailedCheck);
    let first = submitted(&mut worker);
    worker.vouched(first);
    let again = submitted(&mut worker);
    assert_eq!(worker.refused(again), Refusal::FailedCheck);
    kill(office.auth().pid(), Signal::SIGKILL).unwrap();
    office.start();
    let mut worker = office.worker();
    let again = submitted(&mut worker);
    assert_eq!(worker.refused(again), Refusal::FailedCheck);
    // The same message by a key that is sealed anew is the same message.
    let correlation = open(&mut worker, opening(ENDPOINT));
    let again = submission(correlation, keyed::message(&KEY, SHA256, &parts), now);
    assert_eq!(worker.refused(again), Refusal::InvalidSecurity);
}

#[test]
fn a_mac_is_made_with_a_derived_key_when_the_message_says_so() {
    let office = office("");
    let mut worker = office.worker();
    let now = Millis::now();
    let by = |nonce: u8, offset, length| Derivation::new(None, [nonce; 16], offset, length).unwrap();
    let made = |made: &Derivation, told: Derivation| {
        let message = keyed::message(&derived(&KEY, made), SHA256, &parts(now));
        KeyedMessage { key: PartKey::Derived(told), ..message }
    };
    for good in [by(1, 0, 24), by(1, 4032, 64), by(2, 32, 16)] {
        let parts = [&parts(now)[..4], &[Part::message_id()]].concat();
        let message = keyed::message(&derived(&KEY, &good), SHA256, &parts);
        let correlation = open(&mut worker, opening(ENDPOINT));
        worker.vouched(submission(correlation, KeyedMessage { key: PartKey::Derived(good), ..message }, now));
    }
    let direct = || keyed::message(&KEY, SHA256, &parts(now));
    for (what, message) in [
        ("another nonce", made(&by(1, 0, 24), by(2, 0, 24))),
        ("another offset", made(&by(1, 0, 24), by(1, 1, 24))),
        ("another length", made(&by(1, 0, 24), by(1, 0, 32))),
        ("the session key", KeyedMessage { key: PartKey::Derived(by(1, 0, 32)), ..direct() }),
        ("a derived key", KeyedMessage { key: PartKey::Session, ..made(&by(1, 0, 32), by(1, 0, 32)) }),
        ("too short to be a key", made(&by(1, 0, 15), by(1, 0, 15))),
    ] {
        let correlation = open(&mut worker, opening(ENDPOINT));
        assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedCheck, "{what}");
    }
    office.opens(Err(NotUnwrapped::Unopened));
    let correlation = open(&mut worker, opening(ENDPOINT));
    let message = made(&by(1, 0, 24), by(1, 0, 24));
    assert_eq!(worker.refused(submission(correlation, message, now)), Refusal::FailedCheck);
}

/// What an honest worker asks for its answer.
fn sealing(correlation: Correlation) -> Seal {
    let covered = |part, first| Covered { part, digest: [first; 32] };
    Seal {
        correlation,
        parts: List::new(vec![covered(ReplyPart::Timestamp, 1), covered(ReplyPart::Body, 2)]).unwrap(),
        conversation: Conversation::V13,
        contents: List::default(),
        signature: false,
    }
}

fn sealed(worker: &mut Worker, seal: Seal) -> Result<SealedReply, Refusal> {
    let correlation = seal.correlation;
    worker.duplex.send(&WorkerToAuth::Seal(seal)).unwrap();
    match worker.answer(correlation) {
        AuthToWorker::Sealed(sealed) => Ok(sealed),
        AuthToWorker::Refused(refused) => Err(refused.refusal),
        other => panic!("{other:?}"),
    }
}

/// A request that was vouched for.
fn vouched(worker: &mut Worker) -> Correlation {
    let good = good(worker);
    let correlation = good.correlation;
    worker.vouched(good);
    correlation
}

#[test]
fn an_answer_is_under_a_mac_by_the_key_of_its_request_once_and_auth_writes_what_it_covers() {
    let office = office("");
    let mut worker = office.worker();
    let correlation = vouched(&mut worker);
    let reply = sealed(&mut worker, sealing(correlation)).unwrap();
    assert_eq!((reply.cipher, &reply.mac_key, &reply.sealing_key, reply.contents.len()), (None, &None, &None, 0));
    let tree = Tree::parse(&reply.signature, &Limits::default()).unwrap();
    let signature = Signature::read(tree.root()).unwrap();
    let octets = signature.signed_octets(65536).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
    hmac::verify(&key, octets.as_bytes(), &signature.value).unwrap();
    let said: Vec<_> = signature.info.references.iter().map(|part| (part.id.as_str(), part.digest[0])).collect();
    assert_eq!(said, [("chancery-answer-timestamp", 1), ("chancery-answer-body", 2)]);
    let busy = |answer| assert!(matches!(answer, Err(Refusal::Busy { .. })), "{answer:?}");
    busy(sealed(&mut worker, sealing(correlation)));
    // Of a request that was not made, not submitted, refused, or made over another channel.
    busy(sealed(&mut worker, sealing(Correlation::random())));
    let opened = open(&mut worker, opening(ENDPOINT));
    busy(sealed(&mut worker, sealing(opened)));
    let now = Millis::now();
    let refused = open(&mut worker, opening(ENDPOINT));
    worker.refused(submission(refused, keyed::message(&[7; 32], SHA256, &parts(now)), now));
    busy(sealed(&mut worker, sealing(refused)));
    let correlation = vouched(&mut worker);
    busy(sealed(&mut office.worker(), sealing(correlation)));
    // What a key has answered it submits no more.
    let again = submission(correlation, keyed::message(&KEY, SHA256, &parts(now)), now);
    assert!(matches!(worker.refused(again), Refusal::Busy { .. }));
}

#[test]
fn an_answer_to_a_derived_key_is_by_one_of_our_own_derivation() {
    let office = office("");
    let mut worker = office.worker();
    let by = Derivation::new(None, [1; 16], 8, 24).unwrap();
    let mut nonces = std::collections::HashSet::new();
    for _ in 0..3 {
        let now = Millis::now();
        let parts = [&parts(now)[..4], &[Part::message_id()]].concat();
        let message = keyed::message(&derived(&KEY, &by), MacAlgorithm::HmacSha384, &parts);
        let correlation = open(&mut worker, opening(ENDPOINT));
        worker.vouched(submission(correlation, KeyedMessage { key: PartKey::Derived(by.clone()), ..message }, now));
        let reply = sealed(&mut worker, sealing(correlation)).unwrap();
        let ours = reply.mac_key.clone().unwrap();
        assert_eq!(ours.length, 24);
        assert!(nonces.insert(ours.nonce));
        let key = derived(&KEY, &Derivation::new(None, ours.nonce, 0, 24).unwrap());
        let tree = Tree::parse(&reply.signature, &Limits::default()).unwrap();
        let signature = Signature::read(tree.root()).unwrap();
        let octets = signature.signed_octets(65536).unwrap();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA384, &key), octets.as_bytes(), &signature.value).unwrap();
    }
}

#[test]
fn a_worker_that_asks_for_what_no_answer_has_loses_its_channel() {
    let office = office("");
    let covered = |part| Covered { part, digest: [0; 32] };
    let of = |parts: &[ReplyPart]| List::new(parts.iter().copied().map(covered).collect::<Vec<_>>()).unwrap();
    use ReplyPart::{Body, Timestamp, To};
    let asks: [fn(Seal) -> Seal; 2] = [
        |seal| Seal { signature: true, ..seal },
        |seal| Seal { contents: List::new(vec![Secret::new(*b"plain").unwrap()]).unwrap(), ..seal },
    ];
    for ask in asks {
        let mut worker = office.worker();
        let seal = sealing(vouched(&mut worker));
        worker.duplex.send(&WorkerToAuth::Seal(ask(seal))).unwrap();
        eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
    }
    for parts in [&[][..], &[Timestamp], &[Body, To], &[Timestamp, Body, Body], &[Timestamp, Body, To, To]] {
        let mut worker = office.worker();
        let seal = Seal { parts: of(parts), ..sealing(vouched(&mut worker)) };
        worker.duplex.send(&WorkerToAuth::Seal(seal)).unwrap();
        eventually("auth hangs up", || worker.duplex.receive().is_err().then_some(()));
    }
}

#[test]
fn a_token_that_was_sealed_under_the_mac_is_read_in_the_octets_that_it_covers_and_is_the_one_that_was_opened() {
    let office = office("");
    let mut worker = office.worker();
    let now = Millis::now();
    let by = By::Gcm(32);
    let seal = |plain: &str| by.seal(&KEY, plain.as_bytes());
    let token = |octets: &[u8]| Part {
        id: "ed",
        octets: sealing::data(&by.algorithm(), octets).replace("xmlenc#Content", "xmlenc#Element"),
    };
    let around = |token: Part| {
        let [stamp, to, body, _, id] = parts(now);
        keyed::message(&KEY, SHA256, &[stamp, to, body, token, id])
    };
    let plain = username("alice", "wonderland").octets;
    let good = seal(&plain);
    let correlation = opened_first(&mut worker, ENDPOINT, std::slice::from_ref(&good));
    worker.vouched(submission(correlation, around(token(&good)), now));
    assert_eq!(office.lodged().order.subject.account.as_str(), "alice");
    // The password of another, who has not made it: bob has the same, so that only the name differs.
    let correlation = opened_first(&mut worker, ENDPOINT, std::slice::from_ref(&good));
    let evidence = claimed("bob", "wonderland", around(token(&good)));
    let lie = Submission { evidence, ..submission(correlation, around(token(&good)), now) };
    assert_eq!(worker.refused(lie), Refusal::InvalidSecurity);
    assert_eq!(office.decisions().pop().unwrap(), (false, "uncovered".to_owned()));
    // What was opened is not what the MAC covers.
    let correlation = opened_first(&mut worker, ENDPOINT, &[seal(&format!("{plain} "))]);
    let refusal = worker.refused(submission(correlation, around(token(&good)), now));
    assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal:?}");
    assert_eq!(office.decisions().pop().unwrap(), (false, "no-session".to_owned()));
    // What is in it is a user name token and nothing else, and what it is called is how it is referred to.
    let body = Part::body("urn:office", "").octets;
    for (what, octets) in [("a body", body), ("two", plain.repeat(2)), ("text", "alice".to_owned())] {
        let octets = seal(&octets);
        let correlation = opened_first(&mut worker, ENDPOINT, std::slice::from_ref(&octets));
        assert_eq!(
            worker.refused(submission(correlation, around(token(&octets)), now)),
            Refusal::FailedCheck,
            "{what}"
        );
        assert_eq!(office.decisions().pop().unwrap(), (false, "unopened".to_owned()), "{what}");
    }
    let content = Part { octets: sealing::data(&by.algorithm(), &good), ..token(&good) };
    let renamed = Part { id: "other", ..token(&good) };
    let cbc = sealing::data(&By::Cbc(32).algorithm(), &good).replace("xmlenc#Content", "xmlenc#Element");
    for (what, part, reason) in [
        ("said to be content", content, "unreadable-signature"),
        ("by another name", renamed, "unreadable-signature"),
        ("said to be CBC", Part { octets: cbc, ..token(&good) }, "cipher"),
    ] {
        let correlation = opened_first(&mut worker, ENDPOINT, std::slice::from_ref(&good));
        worker.refused(submission(correlation, around(part), now));
        assert_eq!(office.decisions().pop().unwrap(), (false, reason.to_owned()), "{what}");
    }
}
