//! Answers: which is believed, bit by bit, and which of two counts.

#[path = "../../../tests/support/answers.rs"]
mod made;

use std::time::Duration;

use rcgen::KeyPair;

use self::made::{Answer as Made, GOOD, HELD, REVOKED, UNKNOWN, asked};
use super::answer::{Answer, Rules, read};
use super::answers::Answers;
use super::*;
use crate::config::auth::responder::{CertIdHash, Issuer, Responder};

/// A name: common name "root".
const NAME: &[u8] = b"\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04root";

fn rules(nonce: Nonce) -> Rules {
    Rules { hash: CertIdHash::Sha1, nonce, kept: Duration::from_secs(3600) }
}

fn question(key: &KeyPair) -> Question {
    use rcgen::PublicKeyData;
    Question { issuer: Issuer { name: NAME[2..].to_vec(), key: key.subject_public_key_info() }, serial: vec![5] }
}

#[test]
fn what_is_asked_is_written_as_openssl_writes_it_and_the_nonce_has_32_octets() {
    let question = Question {
        issuer: Issuer { name: NAME[2..].to_vec(), key: b"\x30\x06\x30\x00\x03\x02\x00\x04".to_vec() },
        serial: vec![5],
    };
    let request = question.written(CertIdHash::Sha1, None).unwrap();
    // SHA-1 of the name with its head, and of the one octet of the key.
    let id = b"\x30\x3a\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";
    assert_eq!(&request[..8], b"\x30\x42\x30\x40\x30\x3e\x30\x3c");
    assert_eq!(&request[8..23], id);
    assert_eq!(&request[43..45], b"\x04\x14");
    assert_eq!(&request[65..], b"\x02\x01\x05");
    let (id, none) = asked(&request);
    assert!(none.is_none() && question.is(&id[2..], CertIdHash::Sha1) && !question.is(&id[2..], CertIdHash::Sha256));
    let (_, nonce) = asked(&question.written(CertIdHash::Sha256, Some(&[7; 32])).unwrap());
    assert_eq!(nonce.unwrap(), [7; 32]);
    assert!(!Question { serial: vec![6], ..question.clone() }.is(&id[2..], CertIdHash::Sha1));
    let keyless = Question { issuer: Issuer { name: Vec::new(), key: vec![0x30, 0] }, serial: vec![5] };
    assert!(keyless.written(CertIdHash::Sha1, None).is_none() && !keyless.is(&id[2..], CertIdHash::Sha1));
}

#[test]
fn no_bit_of_an_answer_may_change_and_nothing_may_be_missing_or_behind_it() {
    let key = KeyPair::generate().unwrap();
    let (question, rules, nonce) = (question(&key), rules(Nonce::Required), [7; 32]);
    let request = question.written(rules.hash, Some(&nonce)).unwrap();
    let octets = Made::good(NAME).to(&request, &key);
    let now = Millis::now();
    let read = |octets: &[u8]| read(octets, &question, (rules, Some(&nonce)), now);
    let answer = read(&octets).unwrap();
    assert_eq!((answer.status, answer.delegate.is_none()), (Status::Good, true));
    for bit in 0..octets.len() * 8 {
        let mut other = octets.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        // What is around the signed octets may be written in another way, and says the same.
        assert!(read(&other).is_err() || read(&other) == Ok(answer.clone()), "bit {bit}");
    }
    for length in 0..octets.len() {
        assert!(read(&octets[..length]).is_err(), "{length}");
    }
    assert!(read(&[&octets[..], &[0]].concat()).is_err());
    for (number, why) in [(2, "internalError"), (3, "tryLater")] {
        assert!(read(&made::status(number)).is_err_and(|said| said.contains(why)));
    }
    assert!(read(&made::status(4)).is_err());
}

#[test]
fn an_answer_counts_until_the_next_and_no_longer_than_it_is_kept() {
    let key = KeyPair::generate().unwrap();
    let (question, rules) = (question(&key), rules(Nonce::WhenAnswered));
    let request = question.written(rules.hash, None).unwrap();
    let now = Millis::now();
    let until = |status: &[u8], until: Option<i64>| {
        let octets = Made { status: status.to_vec(), until, ..Made::good(NAME) }.to(&request, &key);
        let answer = read(&octets, &question, (rules, None), now).unwrap();
        (answer.status, (answer.until.0 - now.0 + 2000) / 60_000)
    };
    assert_eq!(until(GOOD, Some(10)), (Status::Good, 10));
    assert_eq!(until(GOOD, Some(600)), (Status::Good, 60));
    assert_eq!(until(GOOD, None), (Status::Good, 4), "five minutes from a minute ago");
    assert_eq!(until(UNKNOWN, Some(600)), (Status::Unknown, 1));
    assert_eq!(until(HELD, Some(10)), (Status::Revoked { for_good: false }, 10));
    assert_eq!(until(REVOKED, Some(10)), (Status::Revoked { for_good: true }, 10));
}

fn answer(status: Status, from: i64, until: i64) -> Answer {
    let kept = Duration::from_secs(3600);
    Answer { status, this_update: Millis(from), until: Millis(until), kept, delegate: None }
}

#[test]
fn the_newer_answer_counts_and_what_was_taken_back_for_good_stays_so() {
    let key = KeyPair::generate().unwrap();
    let (answers, one) = (Answers::default(), question(&key));
    let now = Millis(1000);
    let take = |status, from, until| answers.take(one.clone(), answer(status, from, until), now).is_ok();
    let held = |at: i64| answers.held(&one, Millis(at));
    let hold = Status::Revoked { for_good: false };
    assert_eq!(held(1000), Held::Nothing);
    assert!(take(Status::Good, 500, 2000));
    assert_eq!((held(1000), held(1999), held(2000)), (Held::Good(None), Held::Good(None), Held::Nothing));
    assert!(take(hold, 600, 2000));
    assert!(!take(Status::Good, 599, 3000), "an older one");
    assert_eq!(held(1000), Held::Revoked);
    assert!(take(Status::Good, 601, 3000) && !take(hold, 600, 4000));
    assert_eq!(held(1000), Held::Good(None));
    // Nobody answers: what is held counts until it ends.
    answers.silent(one.clone(), "down".to_owned(), now);
    assert_eq!((held(1000), held(3000)), (Held::Good(None), Held::Silent("down".to_owned())));
    assert!(take(Status::Revoked { for_good: true }, 602, 3000));
    assert!(!take(Status::Good, 700, 9000));
    assert_eq!((held(1000), held(99_000)), (Held::Revoked, Held::Revoked));
    let kept = answers.revoked();
    assert_eq!(kept.held(&one, now), Held::Revoked);
    // A clock that was put back makes nothing good for longer.
    let short = Answer { kept: Duration::ZERO, ..answer(Status::Good, 500, 2000) };
    let two = Question { serial: vec![6], ..one };
    assert!(answers.take(two.clone(), short, now).is_ok());
    assert_eq!((answers.held(&two, now), answers.revoked().held(&two, now)), (Held::Nothing, Held::Nothing));
}

#[test]
fn what_was_taken_back_for_good_counts_however_new_a_good_answer_is() {
    let key = KeyPair::generate().unwrap();
    let (answers, one) = (Answers::default(), question(&key));
    let now = Millis(1000);
    answers.take(one.clone(), answer(Status::Good, 600, 2000), now).unwrap();
    assert!(answers.take(one.clone(), answer(Status::Revoked { for_good: false }, 500, 2000), now).is_err());
    answers.take(one.clone(), answer(Status::Revoked { for_good: true }, 500, 2000), now).unwrap();
    assert_eq!(answers.held(&one, now), Held::Revoked);
    assert!(answers.take(one.clone(), answer(Status::Good, 700, 3000), now).is_err());
    assert_eq!(answers.held(&one, Millis(99_000)), Held::Revoked);
}

#[test]
fn what_is_remembered_is_bounded_and_what_was_taken_back_is_forgotten_last() {
    let key = KeyPair::generate().unwrap();
    let one = question(&key);
    let of = |number: u32| Question { serial: number.to_be_bytes().to_vec(), ..one.clone() };
    let (answers, now) = (Answers::default(), Millis(1000));
    let revoked = answer(Status::Revoked { for_good: true }, 500, 2000);
    answers.take(of(0), revoked, now).unwrap();
    for number in 1..9000 {
        if number % 2 == 0 {
            answers.silent(of(number), "down".to_owned(), now);
        } else {
            answers.take(of(number), answer(Status::Good, 500, 2000 + i64::from(number)), now).unwrap();
        }
    }
    assert!(answers.count() <= 8192, "{}", answers.count());
    for number in 9000..18_000 {
        answers.take(of(number), answer(Status::Good, 500, 20_000), now).unwrap();
    }
    assert_eq!(answers.count(), 8192);
    assert_eq!((answers.held(&of(0), now), answers.held(&of(17_999), now)), (Held::Revoked, Held::Good(None)));
}

#[test]
fn a_responder_that_hangs_takes_no_places_of_another_of_its_authority() {
    use std::sync::Arc;

    use super::line::Line;
    use crate::config::auth::source::Source;
    use crate::metrics::Metrics;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The kernel takes connections to it, and nobody answers.
        let hung = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let of = |key: &KeyPair| {
            let source = Source {
                url: "http://ocsp.example.com/".to_owned(),
                authority: "ocsp.example.com".to_owned(),
                path: "/".to_owned(),
                address: hung.local_addr().unwrap(),
                tls: None,
                every: Duration::ZERO,
            };
            let (hash, nonce, deadline) = (CertIdHash::Sha1, Nonce::Never, Duration::from_secs(60));
            Line::to(&Responder { source, issuer: Some(question(key).issuer), hash, nonce, deadline, kept: deadline })
        };
        let [one, other, third] = std::array::from_fn(|_| KeyPair::generate().unwrap());
        let answers = Metrics::new("test").counters("answers_total", "-", "outcome", &["failed"]);
        let desk = Arc::new(Desk {
            authority: Text::new("corporate").unwrap(),
            lines: vec![of(&one), of(&other)],
            answers: Answers::default(),
            flights: Mutex::default(),
            means: Arc::new(Means { gone: Gone::default(), gate: LogGate::new(LINES), answers }),
        });
        let put = |key: &KeyPair| {
            let all = (0..1000_u32).map(|number| Question { serial: number.to_be_bytes().to_vec(), ..question(key) });
            all.filter(|one| desk.put(one).is_some()).count()
        };
        assert_eq!((put(&one), put(&one), put(&other), put(&third)), (256, 256, 256, 0));
    });
}

#[test]
fn what_is_hunted_with_is_read_to_its_end() {
    assert!(is_answer(include_bytes!("../../../tests/fuzz/corpus/ocsp/good")));
    assert!(is_answer(include_bytes!("../../../tests/fuzz/corpus/ocsp/revoked")));
    assert!(!is_answer(include_bytes!("../../../tests/fuzz/corpus/ocsp/whole")), "nobody has signed it");
}
