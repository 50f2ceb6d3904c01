//! auth as it is shipped, before workers that have session keys opened: its peers are played, the store is real. A new
//! issuer is asked again while somebody waits, and a worker that does not read what was opened has no more opened.

#![cfg(feature = "worker")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
}

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use chancery::wire::derivation::PartKey;
use chancery::wire::evidence::Refusal;
use chancery::wire::links::{AuthToIssuer, AuthToWorker, WorkerToAuth};
use chancery::wire::unwrap::{
    KeyTransport, MOST_PART_OCTETS, MOST_PARTS, NotUnwrapped, Open, PartCipher, Recipient, SealedPart, SessionKey,
    Unwrap,
};
use chancery::wire::{Correlation, List, Octets, Text};

use support::office::{HOME, Office, Worker};
use support::processes::eventually;

const ENDPOINT: &str = "/sealed";
const KEY: [u8; 32] = [0x5A; 32];
const PLAIN: &[u8] = b"what was sealed";

fn office(limits: &str) -> Office {
    let auth = format!(
        "[store]\ndirectory = \"../../state\"\n[throttle]\nunwrap_burst = 1000\n[limits]\n{limits}\n\
         [[endpoint]]\npath = \"{ENDPOINT}\"\nencryption = true\n"
    );
    let party =
        "applies_to = [\"urn:office\"]\ntoken_types = [\"saml20\"]\npolicy = 'permit(principal, action, resource);'\n";
    let office = Office::open(&auth, "", party);
    office.opens(Ok(SessionKey::new(KEY.to_vec()).unwrap()));
    office
}

fn part(plain: &[u8]) -> SealedPart {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap());
    let mut octets = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([7; 12]), Aad::empty(), &mut octets).unwrap();
    SealedPart {
        key: PartKey::Session,
        wrapped: None,
        cipher: PartCipher::Aes256Gcm,
        octets: Octets::new([&[7; 12][..], &octets].concat()).unwrap(),
    }
}

/// A message whose session key is of that number, with these parts.
fn message(number: u8, parts: Vec<SealedPart>) -> Open {
    Open {
        correlation: Correlation::random(),
        endpoint: Text::new(ENDPOINT).unwrap(),
        source: HOME,
        recipient: Recipient::Thumbprint([7; 20]),
        transport: KeyTransport::OaepSha1,
        sealed: Octets::new([number; 256]).unwrap(),
        parts: List::new(parts).unwrap(),
    }
}

fn send(worker: &mut Worker, open: Open) -> Correlation {
    let correlation = open.correlation;
    worker.duplex.send(&WorkerToAuth::Open(open)).unwrap();
    correlation
}

/// What auth asked of issuer so far: serials and the numbers of session keys.
fn asked(office: &Office) -> Vec<(u64, u8)> {
    let said = office.issuer.said.lock().unwrap();
    let unwrap = |message: &AuthToIssuer| match message {
        AuthToIssuer::Unwrap(Unwrap { serial, sealed, .. }) => Some((*serial, sealed[0])),
        _ => None,
    };
    said.iter().filter_map(unwrap).collect()
}

#[track_caller]
fn is_opened(answer: &AuthToWorker) {
    match answer {
        AuthToWorker::Opened(opened) => assert_eq!(opened.parts[0].expose(), PLAIN),
        AuthToWorker::Refused(refused) => panic!("refused: {:?}", refused.refusal),
        AuthToWorker::Vouched(_)
        | AuthToWorker::Sealed(_)
        | AuthToWorker::SealedFor(_)
        | AuthToWorker::Negotiated(_) => panic!("vouched"),
    }
}

#[test]
fn a_session_key_on_its_way_when_issuer_ends_is_asked_for_again_at_the_next() {
    let office = office("issuer_deadline_ms = 10000");
    let mut worker = office.worker();
    // One is under way and one comes while nobody is there.
    office.issuer.silent(true);
    let lost = send(&mut worker, message(1, vec![part(PLAIN)]));
    eventually("issuer is asked", || (!asked(&office).is_empty()).then_some(()));
    office.issuer.away(true);
    let early = send(&mut worker, message(2, vec![part(PLAIN)]));
    std::thread::sleep(Duration::from_millis(100));
    office.issuer.silent(false);
    office.issuer.away(false);
    is_opened(&worker.answer(lost));
    is_opened(&worker.answer(early));
    let asked = asked(&office);
    let of = |number: u8| asked.iter().filter(|(_, sealed)| *sealed == number).count();
    assert_eq!((of(1), of(2)), (2, 1), "{asked:?}");
    // A serial is for one question.
    let questions: HashSet<(u64, u8)> = asked.iter().copied().collect();
    let serials: HashSet<u64> = asked.iter().map(|(serial, _)| *serial).collect();
    assert_eq!((questions.len(), serials.len()), (2, 2), "{asked:?}");
    // Each counts once, however often issuer was asked.
    let again = send(&mut worker, message(1, vec![part(PLAIN)]));
    assert!(matches!(worker.answer(again), AuthToWorker::Refused(refused) if refused.refusal == Refusal::FailedCheck));
}

#[test]
fn nobody_waits_longer_than_the_deadline_for_an_issuer_that_does_not_come() {
    let office = office("issuer_deadline_ms = 300");
    let mut worker = office.worker();
    office.issuer.away(true);
    let began = Instant::now();
    let late = send(&mut worker, message(1, vec![part(PLAIN)]));
    let answer = worker.answer(late);
    assert!(matches!(answer, AuthToWorker::Refused(_)) && began.elapsed() < Duration::from_secs(2));
    // Nor is the next one asked for it.
    office.issuer.away(false);
    let next = send(&mut worker, message(2, vec![part(PLAIN)]));
    is_opened(&worker.answer(next));
    assert!(asked(&office).iter().all(|(_, sealed)| *sealed == 2), "{:?}", asked(&office));
}

#[test]
fn a_new_issuer_that_does_not_know_the_worker_yet_is_asked_again_for_a_while() {
    let office = office("issuer_deadline_ms = 10000");
    let mut worker = office.worker();
    let session = SessionKey::new(KEY.to_vec()).unwrap();
    office.issuer.away(true);
    office.opens(Err(NotUnwrapped::NotYet));
    office.issuer.away(false);
    let first = send(&mut worker, message(1, vec![part(PLAIN)]));
    eventually("issuer is asked again", || (asked(&office).len() > 1).then_some(()));
    office.opens(Ok(session.clone()));
    is_opened(&worker.answer(first));
    // What was tried in vain is not tried again.
    let before = asked(&office).len();
    office.opens(Err(NotUnwrapped::Unavailable));
    let tried = send(&mut worker, message(4, vec![part(PLAIN)]));
    assert!(matches!(worker.answer(tried), AuthToWorker::Refused(_)));
    assert_eq!(asked(&office).len(), before + 1);
    // Not for ever, and not at full speed.
    office.opens(Err(NotUnwrapped::NotYet));
    let never = send(&mut worker, message(2, vec![part(PLAIN)]));
    let refusal = worker.answer(never);
    assert!(matches!(refusal, AuthToWorker::Refused(refused) if matches!(refused.refusal, Refusal::Busy { .. })));
    assert!((2..=60).contains(&asked(&office).len()), "{:?}", asked(&office));
    // One that has been there for long is believed at once.
    let before = asked(&office).len();
    let late = send(&mut worker, message(3, vec![part(PLAIN)]));
    assert!(matches!(worker.answer(late), AuthToWorker::Refused(_)));
    assert_eq!(asked(&office).len(), before + 1);
}

#[test]
fn a_worker_that_does_not_read_what_was_opened_has_no_more_opened() {
    const LIMIT: usize = 3;
    const MESSAGES: u8 = 100;
    let office = office(&format!("in_flight_per_worker = {LIMIT}\nissuer_deadline_ms = 30000"));
    let mut worker = office.worker();
    // As large as any: what is opened of one fills the channel.
    let plain = vec![0x55; MOST_PART_OCTETS - 28];
    let mut waiting = Vec::new();
    for number in 0..MESSAGES {
        let parts = (0..MOST_PARTS).map(|_| part(&plain)).collect();
        waiting.push(send(&mut worker, message(number, parts)));
    }
    // It goes on sending, and reads nothing.
    let mut last = (0, Instant::now());
    while last.1.elapsed() < Duration::from_millis(700) {
        worker.duplex.flush().unwrap();
        std::thread::sleep(Duration::from_millis(2));
        let now = asked(&office).len();
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    // As many as may be under way, the one that the channel is sending, and what the kernel has room for: less than
    // one, and where an operator has given sockets more, a few.
    assert!(last.0 <= LIMIT + 4, "{:?}", asked(&office));
    for correlation in waiting {
        match worker.answer(correlation) {
            AuthToWorker::Opened(opened) => {
                assert!(opened.parts.len() == MOST_PARTS && opened.parts.iter().all(|part| part.expose() == plain));
            }
            AuthToWorker::Refused(refused) => panic!("refused: {:?}", refused.refusal),
            AuthToWorker::Vouched(_)
            | AuthToWorker::Sealed(_)
            | AuthToWorker::SealedFor(_)
            | AuthToWorker::Negotiated(_) => panic!("vouched"),
        }
    }
    assert_eq!(asked(&office).len(), usize::from(MESSAGES));
}
