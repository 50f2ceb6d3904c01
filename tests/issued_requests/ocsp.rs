//! Responders that say of one certificate whether it was taken back: auth asks them, believes what the issuer has
//! signed or whom he certified for it, and waits for nobody without end.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chancery::wire::Text;
use chancery::wire::evidence::{Refusal, Submission};
use chancery::wire::links::AuthToWorker;
use nix::sys::signal::{Signal, kill};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::support::answers::{Answer, GOOD, HELD, REVOKED, UNKNOWN, asked, status, value};
use super::support::office::{HOME, Office, hash, request};
use super::support::processes::eventually;
use super::support::publisher::found;
use super::support::responder::Responder;
use super::{Ca, ENDPOINT, PARTY, SUBJECTS, auth, der, good, numbered, reasons};

const USERS: &str = "[users.sam]\ncertificate_authority = \"corporate\"\n";

/// What a responder does with a question.
type Says = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// The name of who has this certificate, whole.
fn name(pem: &str) -> Vec<u8> {
    let der = der(pem);
    let (_, read) = X509Certificate::from_der(&der).unwrap();
    read.subject().as_raw().to_vec()
}

/// A key that answers for an authority, or would like to.
struct Signer {
    pem: String,
    key: KeyPair,
}

impl Signer {
    fn of(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "responder");
        parameters.serial_number = Some(900.into());
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        parameters.custom_extensions = vec![nocheck()];
        change(&mut parameters);
        let pem = parameters.signed_by(&key, &ca.issuer).unwrap().pem();
        Self { pem, key }
    }

    /// An honest answer of his, with his certificate.
    fn answer(&self) -> Answer {
        Answer { certificates: vec![der(&self.pem)], ..Answer::good(&name(&self.pem)) }
    }
}

fn nocheck() -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0])
}

fn copy(key: &KeyPair) -> KeyPair {
    KeyPair::try_from(key.serialize_der()).unwrap()
}

/// What answers that.
fn saying(answer: Answer, key: &KeyPair) -> impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static {
    let key = copy(key);
    move |request| found(answer.to(request, &key))
}

/// What answers that, of the authority itself.
fn itself(ca: &Ca, change: impl FnOnce(&mut Answer)) -> impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static {
    let mut answer = Answer::good(&name(&ca.pem));
    change(&mut answer);
    saying(answer, ca.issuer.key())
}

/// An authority with a responder, and auth that trusts it.
struct Town {
    root: Ca,
    responder: Responder,
    office: Office,
}

fn ocsp(responder: &Responder, more: &str) -> String {
    format!(
        "[[certificate_authority.ocsp]]\nurl = \"http://ocsp.example.com/ask\"\naddress = \"{}\"\n{more}\n",
        responder.address
    )
}

fn authority(rules: &str, responders: &str) -> String {
    auth(&format!(
        "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.crt\"]\n{rules}\n{responders}{SUBJECTS}"
    ))
}

impl Town {
    fn new(rules: &str, more: &str) -> Self {
        let root = Ca::root("root");
        let responder = Responder::open(itself(&root, |_| {}));
        let list = root.list(&[88], (-60, 60));
        let toml = authority(rules, &ocsp(&responder, more));
        let office = Office::with(&toml, USERS, PARTY, &[("root.crt", &root.pem), ("root.crl", &list)]);
        Self { root, responder, office }
    }

    /// What becomes of sam with a certificate of this number.
    fn takes(&self, serial: u64) -> Result<(), &'static str> {
        outcome(&self.office, &self.root, serial)
    }

    /// The last reason in the record.
    fn because(&self, reason: &str) {
        eventually(&format!("the record says {reason}"), || {
            let all = reasons(&self.office);
            (all.get(&HOME)? == reason).then_some(())
        });
        self.office.audit.said.lock().unwrap().clear();
    }
}

fn outcome(office: &Office, by: &Ca, serial: u64) -> Result<(), &'static str> {
    match office.worker().ask(good(&by.client(numbered(serial)))) {
        AuthToWorker::Vouched(_) => Ok(()),
        AuthToWorker::Refused(refused) => Err(match refused.refusal {
            Refusal::FailedAuthentication => "refused",
            Refusal::Busy { .. } => "busy",
            other => panic!("{other:?}"),
        }),
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn a_responder_is_asked_once_about_a_certificate_and_believed_when_it_says_revoked() {
    let town = Town::new("", "nonce = \"required\"\nhash = \"sha256\"");
    assert_eq!(town.takes(5), Ok(()));
    let head = town.responder.heads().remove(0);
    assert!(head.starts_with("post /ask http/1.1\r\n") && head.contains("\r\nhost: ocsp.example.com\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/ocsp-request\r\n"), "{head}");
    assert_eq!((town.takes(5), town.takes(5), town.responder.asked()), (Ok(()), Ok(()), 1));
    town.responder.answers(itself(&town.root, |answer| answer.status = REVOKED.to_vec()));
    assert_eq!(town.takes(6), Err("refused"));
    town.because("revoked");
    // It stays so, whatever is said later.
    town.responder.answers(itself(&town.root, |_| {}));
    assert_eq!((town.takes(6), town.responder.asked()), (Err("refused"), 2));
    town.responder.answers(itself(&town.root, |answer| answer.status = UNKNOWN.to_vec()));
    assert_eq!(town.takes(7), Err("refused"));
    town.because("revocation-unknown");
    assert_eq!(town.takes(5), Ok(()), "who is known to be good is asked about no more");
}

#[test]
fn no_answer_is_believed_but_one_of_the_issuer_about_this_certificate_and_of_now() {
    let town = Town::new("", "nonce = \"required\"\ndeadline_ms = 1000");
    let (root, other) = (&town.root, Ca::root("root"));
    let same_key = |change: fn(&mut Answer)| -> Says { Box::new(itself(root, change)) };
    let by = |signer: &Signer| -> Says { Box::new(saying(signer.answer(), &signer.key)) };
    let delegated = |change: fn(&mut CertificateParams)| by(&Signer::of(root, change));
    let says = |octets: Vec<u8>| -> Says { Box::new(move |_| octets.clone()) };
    let five = {
        let signer = Signer::of(root, |_| {});
        let certificates = vec![der(&signer.pem); 5];
        saying(Answer { certificates, ..signer.answer() }, &signer.key)
    };
    let below = root.below("below", 30, |_| {});
    let stranger = Signer::of(&other, |_| {});
    let honest = Signer::of(root, |_| {});
    let damaged = {
        let (answer, key) = (Answer::good(&name(&root.pem)), copy(root.issuer.key()));
        move |request: &[u8]| {
            let mut octets = answer.to(request, &key);
            let last = octets.len() - 1;
            octets[last] ^= 1;
            found(octets)
        }
    };
    let mut huge = b"HTTP/1.1 200 OK\r\nContent-Length: 40000000\r\n\r\n".to_vec();
    huge.extend(vec![0x30; 4 << 20]);
    let nulls = [&[0x30, 0x82, 0x3f, 0x00][..], &[5, 0].repeat(0x1f80)].concat();
    let (mut serial, mut wrong) = (100, Vec::new());
    for (what, answers) in [
        ("another root's of the same name", Box::new(itself(&other, |_| {})) as Says),
        ("damaged", Box::new(damaged)),
        ("past", same_key(|answer| (answer.from, answer.until) = (-120, Some(-1)))),
        ("past, and it does not say when", same_key(|answer| (answer.from, answer.until) = (-6, None))),
        ("until before it begins", same_key(|answer| (answer.from, answer.until) = (1, Some(0)))),
        ("of tomorrow", same_key(|answer| (answer.from, answer.until) = (5, Some(60)))),
        ("made tomorrow", same_key(|answer| answer.produced = 5)),
        ("about another number", same_key(|answer| answer.about = |id| changed(&id, 1))),
        ("about another issuer's key", same_key(|answer| answer.about = |id| changed(&id, 5))),
        ("about another issuer", same_key(|answer| answer.about = |id| changed(&id, 30))),
        ("about nobody", same_key(|answer| answer.about = |_| vec![0x30, 0])),
        ("with something unread beside it", same_key(|answer| answer.more = vec![0x30, 0x03, 0x02, 0x05, 0x01])),
        ("without a nonce", same_key(|answer| answer.nonce = |_| None)),
        ("with another nonce", same_key(|answer| answer.nonce = |sent| sent.map(|sent| changed(&sent, 1)))),
        (
            "with a critical extension",
            same_key(|answer| {
                answer.extension = value(0x30, &[&[6, 3, 1, 2, 3], &[1, 1, 0xff], &[4, 0]]);
            }),
        ),
        ("of another name", same_key(|answer| answer.responder = value(0xa1, &[&[0x30, 0]]))),
        ("of another key", same_key(|answer| answer.responder = value(0xa2, &[&value(4, &[&[7; 20]])]))),
        ("of no status", same_key(|answer| answer.status = vec![0x83, 0])),
        ("of a good status with something in it", same_key(|answer| answer.status = vec![0x80, 1, 0])),
        ("of a responder that another root certified", by(&stranger)),
        ("of one below an authority below it", by(&Signer::of(&below, |_| {}))),
        (
            "of one that is not for answering",
            delegated(|its| its.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        ),
        ("of one for any use", delegated(|its| its.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any])),
        ("of one for nothing in particular", delegated(|its| its.extended_key_usages.clear())),
        (
            "of one whose key is for no signatures",
            delegated(|its| its.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
        ),
        ("of one that is past", delegated(|its| its.not_after = rcgen::date_time_ymd(2020, 1, 1))),
        ("of one that is to come", delegated(|its| its.not_before = rcgen::date_time_ymd(2999, 1, 1))),
        ("of one of whom nobody knows whether it was taken back", delegated(|its| its.custom_extensions.clear())),
        (
            "of one with a critical extension",
            delegated(|its| {
                let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                critical.set_criticality(true);
                its.custom_extensions.push(critical);
            }),
        ),
        ("of one that does not show its certificate", {
            Box::new(saying(Answer { certificates: Vec::new(), ..honest.answer() }, &honest.key))
        }),
        ("of one that shows somebody else's", {
            Box::new(saying(Answer { certificates: vec![der(&honest.pem)], ..honest.answer() }, &stranger.key))
        }),
        ("of one that says that it is the authority", {
            Box::new(saying(Answer { responder: value(0xa1, &[&name(&root.pem)]), ..honest.answer() }, &honest.key))
        }),
        ("with five certificates", Box::new(five)),
        ("malformedRequest", says(found(status(1)))),
        ("unauthorized", says(found(status(6)))),
        ("success without anything", says(found(status(0)))),
        ("nothing", says(found(""))),
        ("a page", says(found("<html>Your session has expired</html>"))),
        ("many values", says(found(nulls))),
        (
            "elsewhere",
            says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ),
        ("huge", says(huge)),
        ("no HTTP", says(b"220 ready\r\n".to_vec())),
    ] {
        serial += 1;
        town.responder.answers(answers);
        if town.takes(serial) == Err("busy") {
            town.because("no-responder");
        } else {
            wrong.push(what);
        }
        // Good ones in between, by both who may give them, so that the responder is not left alone.
        match serial % 2 {
            0 => town.responder.answers(saying(honest.answer(), &honest.key)),
            _ => town.responder.answers(itself(root, |_| {})),
        }
        assert_eq!(town.takes(serial + 1000), Ok(()), "after {what}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// With the octet that is so many from the end changed.
fn changed(octets: &[u8], from_the_end: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    let at = octets.len() - from_the_end;
    octets[at] ^= 1;
    octets
}

#[test]
fn a_nonce_counts_where_there_is_one_unless_its_absence_is_a_fault() {
    let town = Town::new("", "");
    town.responder.answers(itself(&town.root, |answer| answer.nonce = |_| None));
    assert_eq!(town.takes(5), Ok(()));
    town.responder.answers(itself(&town.root, |answer| answer.nonce = |sent| sent.map(|sent| changed(&sent, 1))));
    assert_eq!(town.takes(6), Err("busy"));
    let town = Town::new("", "nonce = \"never\"");
    let answers = itself(&town.root, |_| {});
    town.responder.answers(move |request| {
        assert_eq!(asked(request).1, None);
        answers(request)
    });
    assert_eq!(town.takes(5), Ok(()));
}

#[test]
fn an_older_answer_never_takes_the_place_of_a_newer_one_and_what_is_on_hold_may_come_back() {
    let town = Town::new("", "");
    town.responder.answers(itself(&town.root, |answer| answer.status = HELD.to_vec()));
    assert_eq!(town.takes(5), Err("refused"));
    town.because("revoked");
    assert_eq!((town.takes(5), town.responder.asked()), (Err("refused"), 1), "as long as the answer counts");
}

#[test]
fn a_responder_that_is_slow_or_down_keeps_nobody_waiting_for_long_and_nobody_else_at_all() {
    let (root, other) = (Ca::root("root"), Ca::root("other root"));
    let slow = Responder::open(|_| {
        std::thread::sleep(Duration::from_secs(8));
        Vec::new()
    });
    let quick = Responder::open(itself(&other, |_| {}));
    let of = |name: &str, file: &str, responder: &Responder| {
        let more = "deadline_ms = 500";
        format!(
            "[[certificate_authority]]\nname = \"{name}\"\nanchors = [\"{file}\"]\n{}{SUBJECTS}",
            ocsp(responder, more)
        )
    };
    let toml = auth(&(of("corporate", "root.crt", &slow) + &of("other", "other.crt", &quick)));
    let users = format!("{USERS}[users.otto]\ncertificate_authority = \"other\"\n");
    let office = Office::with(&toml, &users, PARTY, &[("root.crt", &root.pem), ("other.crt", &other.pem)]);
    let begun = Instant::now();
    assert_eq!(outcome(&office, &root, 5), Err("busy"));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    for serial in 6..8 {
        assert_eq!(outcome(&office, &root, serial), Err("busy"));
    }
    // It is left alone now: nobody waits for it.
    let before = slow.asked();
    let begun = Instant::now();
    assert_eq!(outcome(&office, &root, 9), Err("busy"));
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    assert_eq!(slow.asked(), before);
    std::thread::scope(|scope| {
        scope.spawn(|| outcome(&office, &root, 10));
        let otto = other.client(|leaf| {
            super::common("otto")(leaf);
            leaf.serial_number = Some(5.into());
        });
        let begun = Instant::now();
        office.worker().vouched(good(&otto));
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    });
    // And it is asked again by itself when it is back.
    slow.answers(itself(&root, |_| {}));
    eventually("it is asked again", || outcome(&office, &root, 11).ok());
}

/// One who answers that, after so long.
fn after(milliseconds: u64, octets: Vec<u8>) -> Responder {
    Responder::open(move |_| {
        std::thread::sleep(Duration::from_millis(milliseconds));
        octets.clone()
    })
}

#[test]
fn those_who_wait_for_a_responder_leave_their_worker_to_others() {
    let (root, hung) = (Ca::root("root"), after(8000, Vec::new()));
    let toml =
        authority("", &ocsp(&hung, "deadline_ms = 5000")).replace("[\"signature\"]", "[\"signature\", \"password\"]");
    let toml = format!("{toml}[limits]\nin_flight_per_worker = 64\n");
    let users = format!("{USERS}[users.bob]\npassword = '{}'\n", hash("wonderland"));
    let office = Office::with(&toml, &users, PARTY, &[("root.crt", &root.pem)]);
    let (client, mut worker, begun) = (root.client(numbered(5)), office.worker(), Instant::now());
    let waiting: Vec<_> = (0..100).map(|_| good(&client)).collect();
    let correlations: Vec<_> = waiting.iter().map(|submission| submission.correlation).collect();
    waiting.into_iter().for_each(|submission| worker.submit(submission));
    let endpoint = Text::new(ENDPOINT).unwrap();
    worker.vouched(Submission { endpoint, ..request("bob", "wonderland") });
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    // All but a few are told at once to come back, and those no later than they would have been.
    let mut late = 0;
    for correlation in correlations {
        assert!(matches!(worker.answer(correlation), AuthToWorker::Refused(refused)
            if matches!(refused.refusal, Refusal::Busy { .. })));
        late += usize::from(begun.elapsed() > Duration::from_millis(3500));
    }
    assert!(late > 0 && begun.elapsed() < Duration::from_secs(8), "{late}, {:?}", begun.elapsed());
    assert_eq!(hung.asked(), 1);
}

/// Or whoever holds a certificate that was taken back a moment ago would ask so often that a list decides, which does
/// not say so yet.
#[test]
fn where_no_more_may_wait_no_list_is_enough() {
    let (root, hung) = (Ca::root("root"), after(8000, Vec::new()));
    let rules = "crls = [\"root.crl\"]\nrevocation = \"either\"";
    let toml = authority(rules, &ocsp(&hung, "deadline_ms = 5000")) + "[limits]\nin_flight_per_worker = 16\n";
    let list = root.list(&[88], (-60, 60));
    let office = Office::with(&toml, USERS, PARTY, &[("root.crt", &root.pem), ("root.crl", &list)]);
    let (mut worker, begun) = (office.worker(), Instant::now());
    worker.submit(good(&root.client(numbered(5))));
    eventually("one waits", || (hung.asked() == 1).then_some(()));
    assert!(matches!(worker.refused(good(&root.client(numbered(6)))), Refusal::Busy { .. }));
    assert!(matches!(worker.refused(good(&root.client(numbered(88)))), Refusal::FailedAuthentication));
    assert!(begun.elapsed() < Duration::from_secs(4) && hung.asked() == 1, "{:?}", begun.elapsed());
}

/// However long one may take by its rules, and however many there are: it is known that they are silent before the
/// request ends.
#[test]
fn where_all_are_silent_for_as_long_as_they_may_be_a_list_is_enough() {
    let (root, hung) = (Ca::root("root"), after(9000, Vec::new()));
    let rules = "crls = [\"root.crl\"]\nrevocation = \"either\"";
    let responder = ocsp(&hung, "deadline_ms = 5000");
    let office = |responders: &str| {
        let list = root.list(&[88], (-60, 60));
        Office::with(&authority(rules, responders), USERS, PARTY, &[("root.crt", &root.pem), ("root.crl", &list)])
    };
    let (one, three) =
        (office(&responder), office(&["/1", "/2", "/3"].map(|path| responder.replace("/ask", path)).concat()));
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(outcome(&three, &root, 5), Ok(())));
        assert_eq!(outcome(&one, &root, 5), Ok(()));
    });
    assert_eq!(hung.asked(), 4);
}

/// Or a crowd could see to it that another authority has the word.
#[test]
fn where_a_responder_has_no_turn_no_other_authority_has_the_word() {
    let root = Ca::root("root");
    let issuing = root.below("issuing", 2, |_| {});
    let (slow, of_root) = (after(1700, found(status(6))), Responder::open(itself(&root, |_| {})));
    let of = |name: &str, rules: &str| format!("[[certificate_authority]]\nname = \"{name}\"\n{rules}{SUBJECTS}");
    let watched = format!(
        "anchors = [\"root.crt\"]\nintermediates = [\"issuing.crt\"]\n{}{}",
        ocsp(&of_root, "issuer = \"root.crt\""),
        ocsp(&slow, "issuer = \"issuing.crt\"\ndeadline_ms = 5000"),
    );
    let corporate = of("corporate", "anchors = [\"issuing.crt\"]\nrevocation = \"none\"\n");
    let toml = auth(&format!("{}{corporate}", of("watched", &watched)));
    let files = [("root.crt", &*root.pem), ("issuing.crt", &*issuing.pem)];
    let office = Office::with(&toml, USERS, PARTY, &files);
    // Whom it has no answer for another authority may vouch for: it was asked.
    assert_eq!(outcome(&office, &issuing, 5), Ok(()));
    let mut worker = office.worker();
    let crowd = (100..162).map(|serial| {
        let source = if serial % 2 == 0 { HOME } else { [198, 51, 100, 7].into() };
        Submission { source, ..good(&issuing.client(numbered(serial))) }
    });
    let crowd: Vec<_> = crowd.collect();
    crowd.into_iter().for_each(|submission| worker.submit(submission));
    assert!(matches!(worker.refused(good(&issuing.client(numbered(6)))), Refusal::Busy { .. }));
}

#[test]
fn a_responder_whose_answers_count_for_nothing_is_left_alone_where_it_is_slow() {
    let root = Ca::root("root");
    let office = |responder: &Responder| {
        let toml = authority("", &ocsp(responder, "deadline_ms = 1000"));
        Office::with(&toml, USERS, PARTY, &[("root.crt", &root.pem)])
    };
    let http = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_vec();
    let said = [found(status(6)), found(status(2)), found(status(3)), http, found(vec![0x30; 20_000])];
    for (said, (milliseconds, most)) in
        said.into_iter().flat_map(|said| [(0, 14), (700, 3)].map(|of| (said.clone(), of)))
    {
        let responder = after(milliseconds, said);
        let office = office(&responder);
        for serial in 0..14 {
            assert_eq!(outcome(&office, &root, 5 + serial), Err("busy"));
        }
        assert_eq!(responder.asked() as u64, most, "after {milliseconds} ms each");
        // It is asked again by itself, and one good answer is enough.
        responder.answers(itself(&root, |_| {}));
        eventually("it is asked again", || outcome(&office, &root, 50).ok());
    }
}

#[test]
fn where_there_are_lists_too_both_must_say_so_or_either_as_it_is_written() {
    let crl = "crls = [\"root.crl\"]\nrevocation = ";
    let down = |_: &[u8]| b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec();
    for (word, without) in [("\"both\"", Err("busy")), ("\"either\"", Ok(()))] {
        let town = Town::new(&format!("{crl}{word}"), "");
        assert_eq!(town.takes(5), Ok(()));
        let before = town.responder.asked();
        assert_eq!((town.takes(88), town.responder.asked()), (Err("refused"), before), "{word}: it stands on the list");
        town.because("revoked");
        town.responder.answers(itself(&town.root, |answer| answer.status = REVOKED.to_vec()));
        assert_eq!(town.takes(6), Err("refused"), "{word}: the responder says so");
        town.because("revoked");
        town.responder.answers(itself(&town.root, |answer| answer.status = UNKNOWN.to_vec()));
        assert_eq!(town.takes(7), Err("refused"), "{word}: it is not known");
        town.because("revocation-unknown");
        town.responder.answers(down);
        assert_eq!(town.takes(8), without, "{word}: nobody answers");
        // A list that is past says nothing of who was not taken back.
        town.responder.answers(itself(&town.root, |_| {}));
        town.office.write("root.crl", &town.root.list(&[88], (-60, -1)));
        kill(town.office.auth().pid(), Signal::SIGHUP).unwrap();
        let past = if word == "\"both\"" { Err("refused") } else { Ok(()) };
        eventually("the list is read", || (town.takes(5) == past).then_some(()));
        assert_eq!(town.takes(88), Err("refused"));
    }
    // A responder that does not say of itself that nobody is to ask is looked for on the list.
    let town = Town::new(&format!("{crl}\"both\""), "");
    let signer = |serial: u64| {
        Signer::of(&town.root, |its| {
            its.custom_extensions.clear();
            its.serial_number = Some(serial.into());
        })
    };
    let (listed, unlisted) = (signer(88), signer(900));
    town.responder.answers(saying(listed.answer(), &listed.key));
    assert_eq!(town.takes(5), Err("busy"));
    town.responder.answers(saying(unlisted.answer(), &unlisted.key));
    assert_eq!(town.takes(6), Ok(()));
    let anyhow = Signer::of(&town.root, |its| its.serial_number = Some(88.into()));
    town.responder.answers(saying(anyhow.answer(), &anyhow.key));
    assert_eq!(town.takes(7), Err("busy"), "it stands on the list, whatever it says of itself");
}

#[test]
fn what_lies_between_is_asked_about_too_and_each_at_the_responder_of_its_issuer() {
    let root = Ca::root("root");
    let (issuing, revoked) = (root.below("issuing", 2, |_| {}), root.below("revoked", 66, |_| {}));
    let (of_root, of_issuing) = (Responder::open(|_| Vec::new()), Responder::open(itself(&issuing, |_| {})));
    let (good_one, bad_one) = (itself(&root, |_| {}), itself(&root, |answer| answer.status = REVOKED.to_vec()));
    of_root.answers(move |request| {
        let (id, _) = asked(request);
        if id.ends_with(&[2, 1, 66]) { bad_one(request) } else { good_one(request) }
    });
    let revoked_answers = Responder::open(itself(&revoked, |_| {}));
    let responders = ocsp(&of_root, "issuer = \"root.crt\"")
        + &ocsp(&of_issuing, "issuer = \"issuing.crt\"")
        + &ocsp(&revoked_answers, "issuer = \"revoked.crt\"");
    let rules = "intermediates = [\"issuing.crt\", \"revoked.crt\"]";
    let files = [("root.crt", &*root.pem), ("issuing.crt", &*issuing.pem), ("revoked.crt", &*revoked.pem)];
    let office = Office::with(&authority(rules, &responders), USERS, PARTY, &files);
    assert_eq!(outcome(&office, &issuing, 5), Ok(()));
    assert_eq!((of_root.asked(), of_issuing.asked()), (1, 1));
    assert_eq!(outcome(&office, &issuing, 6), Ok(()));
    assert_eq!((of_root.asked(), of_issuing.asked()), (1, 2));
    assert_eq!(outcome(&office, &revoked, 5), Err("refused"));
    eventually("the record says why", || (reasons(&office).get(&HOME)? == "revoked").then_some(()));
    // Nobody answers for one that messages bring.
    let new = root.below("new", 7, |_| {});
    let client = new.client(numbered(5));
    let path = super::pki_path(&[&new.pem, &client.certificate]);
    match office.worker().ask(super::bringing(&client, path)) {
        AuthToWorker::Refused(refused) => assert!(matches!(refused.refusal, Refusal::Busy { .. })),
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn what_a_responder_of_one_authority_took_back_no_other_authority_brings_back() {
    let root = Ca::root("root");
    let issuing = root.below("issuing", 2, |_| {});
    let (honest, bad) = (itself(&issuing, |_| {}), itself(&issuing, |answer| answer.status = REVOKED.to_vec()));
    let of_issuing = Responder::open(move |request| {
        let (id, _) = asked(request);
        if id.ends_with(&[2, 1, 77]) { bad(request) } else { honest(request) }
    });
    let of_root = Responder::open(itself(&root, |_| {}));
    let whole = format!(
        "[[certificate_authority]]\nname = \"whole\"\nanchors = [\"root.crt\"]\nintermediates = [\"issuing.crt\"]\n{}{}{SUBJECTS}",
        ocsp(&of_root, "issuer = \"root.crt\""),
        ocsp(&of_issuing, "issuer = \"issuing.crt\""),
    );
    let part = format!(
        "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"issuing.crt\"]\nrevocation = \"none\"\n{SUBJECTS}"
    );
    let files = [("root.crt", &*root.pem), ("issuing.crt", &*issuing.pem)];
    for order in [format!("{whole}{part}"), format!("{part}{whole}")] {
        let office = Office::with(&auth(&order), USERS, PARTY, &files);
        assert_eq!(outcome(&office, &issuing, 77), Err("refused"));
        eventually("the record says why", || (reasons(&office).get(&HOME)? == "revoked").then_some(()));
    }
    let office = Office::with(&auth(&format!("{part}{whole}")), USERS, PARTY, &files);
    assert_eq!(outcome(&office, &issuing, 5), Ok(()));
    // Nobody is kept out by a responder that is down, of an authority that is not his.
    of_issuing.answers(|_| Vec::new());
    assert_eq!(outcome(&office, &issuing, 6), Ok(()));
}

#[test]
fn the_next_responder_is_asked_where_one_has_no_answer_and_a_reload_keeps_what_was_answered() {
    let root = Ca::root("root");
    let (first, second) = (Responder::open(|_| found(status(3))), Responder::open(itself(&root, |_| {})));
    let toml = |more: &str| authority("", &(ocsp(&first, "") + &ocsp(&second, more)));
    let office = Office::with(&toml(""), USERS, PARTY, &[("root.crt", &root.pem)]);
    assert_eq!((outcome(&office, &root, 5), first.asked(), second.asked()), (Ok(()), 1, 1));
    second.answers(itself(&root, |answer| answer.status = REVOKED.to_vec()));
    assert_eq!(outcome(&office, &root, 6), Err("refused"));
    let reloads = || kill(office.auth().pid(), Signal::SIGHUP).unwrap();
    reloads();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!((outcome(&office, &root, 5), second.asked()), (Ok(()), 2), "the same responders have answered");
    // Under other rules what was good is asked about anew, and what was taken back is not.
    second.answers(itself(&root, |answer| answer.status = GOOD.to_vec()));
    office.write("auth.toml", &toml("nonce = \"required\""));
    reloads();
    eventually("it is asked anew", || {
        assert_eq!(outcome(&office, &root, 5), Ok(()));
        (second.asked() == 3).then_some(())
    });
    assert_eq!((outcome(&office, &root, 6), second.asked()), (Err("refused"), 3));
    // Nor where nobody is asked any more, of that issuer or at all; what is on hold, as long as others are asked.
    second.answers(itself(&root, |answer| answer.status = HELD.to_vec()));
    assert_eq!(outcome(&office, &root, 8), Err("refused"));
    second.answers(itself(&root, |_| {}));
    let below = root.below("below", 30, |_| {});
    office.write("below.crt", &below.pem);
    office.write("auth.toml", &authority("", &ocsp(&second, "issuer = \"below.crt\"")));
    reloads();
    eventually("nobody is asked", || {
        assert_ne!(outcome(&office, &root, 6), Ok(()));
        (outcome(&office, &root, 70) == Err("busy")).then_some(())
    });
    assert_eq!((outcome(&office, &root, 6), outcome(&office, &root, 8)), (Err("refused"), Err("refused")));
    office.write("auth.toml", &authority("revocation = \"none\"", ""));
    reloads();
    eventually("nobody is asked at all", || outcome(&office, &root, 70).ok());
    assert_eq!(outcome(&office, &root, 6), Err("refused"));
    // And where somebody is again.
    office.write("auth.toml", &toml(""));
    reloads();
    let before = second.asked();
    eventually("somebody is asked", || {
        assert_eq!(outcome(&office, &root, 6), Err("refused"));
        (outcome(&office, &root, 71) == Ok(()) && second.asked() > before).then_some(())
    });
    assert_eq!(outcome(&office, &root, 6), Err("refused"));
}

/// `openssl ocsp`, which answers from an index.
struct OpenSsl(Child, u16);

impl OpenSsl {
    fn start(place: &std::path::Path, more: &[&str]) -> Self {
        let said = std::fs::File::create(place.join("said")).unwrap();
        let child = Command::new("openssl")
            .args(["ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "signer.pem", "-rkey", "signer.key"])
            .args(["-port", "0", "-nmin", "10"])
            .args(more)
            .current_dir(place)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        // It serves one after the other, and waits for ever for who says nothing: so nobody tries whether it listens.
        let port = eventually("openssl listens", || {
            let said = std::fs::read_to_string(place.join("said")).ok()?;
            said.contains("waiting for OCSP client connections").then_some(())?;
            let accept = said.lines().find_map(|line| line.strip_prefix("ACCEPT "))?;
            accept.split_whitespace().next()?.rsplit(':').next()?.parse().ok()
        });
        Self(child, port)
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _waited = self.0.wait();
    }
}

#[test]
fn the_responder_of_openssl_is_understood_and_understands_us() {
    if Command::new("openssl").arg("version").output().is_err() {
        println!("SKIPPED ocsp-openssl: openssl is not installed");
        return;
    }
    let root = Ca::root("root");
    let delegate = Signer::of(&root, |_| {});
    let place = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(place.path().join(file), text).unwrap();
    write("ca.pem", &root.pem);
    write(
        "index.txt",
        "V\t491231235959Z\t\t05\tunknown\t/CN=sam\nR\t491231235959Z\t260101000000Z\t06\tunknown\t/CN=sam\n",
    );
    let own = Signer { pem: root.pem.clone(), key: copy(root.issuer.key()) };
    for (signer, more, rules) in [
        (&own, &[][..], "nonce = \"required\""),
        (&delegate, &[][..], "hash = \"sha256\"\nnonce = \"required\""),
        (&delegate, &["-resp_key_id"][..], "nonce = \"never\""),
    ] {
        write("signer.pem", &signer.pem);
        write("signer.key", &signer.key.serialize_pem());
        let openssl = OpenSsl::start(place.path(), more);
        let responder = format!(
            "[[certificate_authority.ocsp]]\nurl = \"http://127.0.0.1/\"\naddress = \"127.0.0.1:{}\"\n{rules}\n",
            openssl.1
        );
        let office = Office::with(&authority("", &responder), USERS, PARTY, &[("root.crt", &root.pem)]);
        let because = |reason: &str| {
            eventually(&format!("the record says {reason}"), || (reasons(&office).get(&HOME)? == reason).then_some(()));
            office.audit.said.lock().unwrap().clear();
        };
        assert_eq!(outcome(&office, &root, 5), Ok(()), "{rules}");
        assert_eq!(outcome(&office, &root, 6), Err("refused"), "{rules}");
        because("revoked");
        assert_eq!(outcome(&office, &root, 7), Err("refused"), "{rules}");
        because("revocation-unknown");
    }
}
