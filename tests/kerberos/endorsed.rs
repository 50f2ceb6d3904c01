//! A MAC by the key of a ticket over parts of the message: of its client, of a worker that somebody has taken over, and
//! of whoever has seen a ticket and not its key.

use chancery::auth::derive::derived;
use chancery::wire::derivation::{Derivation, PartKey};
use chancery::wire::evidence::{
    AddressingHeader, Evidence, KeyedMessage, MacAlgorithm, Refusal, Submission, TicketForm, Timestamp,
};
use chancery::wire::links::WorkerToAuth;
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::{List, Millis, Octets, Text};

use crate::house::{ABSENT, ADDRESS, House, LENIENT, all_refused};
use crate::support::kdc::installed;
use crate::support::keyed;
use crate::support::processes::eventually;
use crate::support::signed::Part;

const SHA256: MacAlgorithm = MacAlgorithm::HmacSha256;
const FRAMED: TicketForm = TicketForm::Framed;

/// Ways in which a client makes its ticket, each bound to no server.
const WAYS: [(TicketForm, &[&str]); 4] = [
    (FRAMED, &["raw", "one-way", "key"]),
    (FRAMED, &["raw", "one-way", "delegate", "key"]),
    (TicketForm::Bare, &["ap-req"]),
    (TicketForm::Bare, &["ap-req", "sub-session"]),
];

/// What AD FS's clients make a MAC over.
fn usual(now: Millis) -> Vec<Part> {
    vec![Part::timestamp(now, None), Part::to(ADDRESS)]
}

/// A message with such a ticket and a MAC by its key, of a client who may change both.
fn sent(
    house: &House,
    way: (TicketForm, &[&str]),
    parts: &[Part],
    change: impl FnOnce(&[u8], KeyedMessage) -> KeyedMessage,
) -> Submission {
    sent_by(house, "alice", way, parts, change)
}

fn sent_by(
    house: &House,
    user: &str,
    (form, options): (TicketForm, &[&str]),
    parts: &[Part],
    change: impl FnOnce(&[u8], KeyedMessage) -> KeyedMessage,
) -> Submission {
    let (token, key) = house.kdc.keyed(user, options);
    let message = change(&key, keyed::message(&key, SHA256, parts));
    let evidence = Evidence::EndorsedTicket(house.ticket(form, &token), message);
    Submission { evidence, ..house.holds(form, &[]) }
}

fn at(now: Millis, submission: Submission) -> Submission {
    Submission { timestamp: Some(Timestamp { created: now, expires: None }), ..submission }
}

fn unchanged(_: &[u8], message: KeyedMessage) -> KeyedMessage {
    message
}

#[test]
fn a_mac_by_the_key_of_a_ticket_says_for_whom_the_message_is_so_that_it_need_not_be_bound_r_w071() {
    if !installed("endorsed") {
        return;
    }
    let house = House::new();
    let mut worker = house.office.worker();
    let now = Millis::now();
    for way in WAYS {
        worker.vouched(at(now, sent(&house, way, &usual(now), unchanged)));
        let order = house.office.lodged().order;
        assert_eq!((order.subject.account.as_str(), order.request), ("alice", RequestIntegrity::Transport), "{way:?}");
        assert_eq!(order.authentication.method, Method::Kerberos);
    }
    // What is under the MAC, the client has said and nobody else.
    let whole = [usual(now), vec![Part::body("urn:office", "")]].concat();
    worker.vouched(at(now, sent(&house, WAYS[0], &whole, unchanged)));
    assert_eq!(house.office.lodged().order.request, RequestIntegrity::Signed);
    // By a key that is derived from it.
    let by = Derivation::new(None, [7; 16], 0, 24).unwrap();
    let derives = |key: &[u8], _| {
        let message = keyed::message(&derived(key, &by), SHA256, &usual(now));
        KeyedMessage { key: PartKey::Derived(by.clone()), ..message }
    };
    worker.vouched(at(now, sent(&house, WAYS[0], &[], derives)));
    let sha1 = |key: &[u8], _| keyed::message(key, MacAlgorithm::HmacSha1, &usual(now));
    let lenient = |submission| Submission { endpoint: Text::new(LENIENT).unwrap(), ..submission };
    worker.vouched(lenient(at(now, sent(&house, WAYS[0], &[], sha1))));
    assert_eq!(worker.refused(at(now, sent(&house, WAYS[0], &[], sha1))), Refusal::FailedCheck, "only where it may");
}

#[test]
fn without_its_key_a_ticket_that_somebody_has_seen_proves_nobody_and_neither_does_a_message() {
    if !installed("without-its-key") {
        return;
    }
    let house = House::new();
    let now = Millis::now();
    let good =
        |change: &dyn Fn(&[u8], KeyedMessage) -> KeyedMessage| at(now, sent(&house, WAYS[0], &usual(now), change));
    let of_bob = house.kdc.keyed("bob", WAYS[0].1).1;
    let cases = vec![
        ("another key", good(&|_, _| keyed::message(&of_bob, SHA256, &usual(now))), "wrong-endorsement"),
        ("no key", good(&|_, _| keyed::message(&[], SHA256, &usual(now))), "wrong-endorsement"),
        ("zeros", good(&|_, _| keyed::message(&[0; 32], SHA256, &usual(now))), "wrong-endorsement"),
        (
            "half of it",
            good(&|_, message| {
                let value = Octets::new(&message.value[..16]).unwrap();
                KeyedMessage { value, ..message }
            }),
            "wrong-endorsement",
        ),
        (
            "another algorithm than is said",
            good(&|key, _| {
                let said = keyed::signed_info(MacAlgorithm::HmacSha512, &usual(now));
                keyed::over(key, SHA256, &said, &usual(now))
            }),
            "signature-algorithm",
        ),
        (
            "other parts",
            good(&|key, _| {
                let message = keyed::message(key, SHA256, &usual(now));
                KeyedMessage { parts: keyed::message(key, SHA256, &usual(Millis(now.0 - 1000))).parts, ..message }
            }),
            "wrong-digest",
        ),
        (
            "of somebody disabled, before anything of it is looked at",
            at(
                now,
                sent_by(&house, "eve", WAYS[0], &usual(now), |key, _| {
                    let message = keyed::message(key, SHA256, &usual(now));
                    KeyedMessage { parts: keyed::message(key, SHA256, &usual(Millis(now.0 - 1000))).parts, ..message }
                }),
            ),
            "disabled",
        ),
        (
            "derived, and too short",
            good(&|key, _| {
                let by = Derivation::new(None, [7; 16], 0, 8).unwrap();
                let message = keyed::message(&derived(key, &by), SHA256, &usual(now));
                KeyedMessage { key: PartKey::Derived(by), ..message }
            }),
            "wrong-endorsement",
        ),
    ];
    all_refused(&house.office, cases);
}

#[test]
fn a_mac_that_does_not_cover_what_it_has_to_is_refused_and_the_record_knows_whose_it_was() {
    if !installed("uncovered") {
        return;
    }
    let house = House::new();
    let mut worker = house.office.worker();
    let now = Millis::now();
    let old = Millis(now.0 - 3_600_000);
    for (what, submission, refusal, reason) in [
        (
            "no wsa:To",
            at(now, sent(&house, WAYS[0], &[Part::timestamp(now, None)], unchanged)),
            Refusal::InvalidSecurity,
            "misaddressed",
        ),
        (
            "no timestamp",
            at(now, sent(&house, WAYS[0], &[Part::to(ADDRESS)], unchanged)),
            Refusal::InvalidSecurity,
            "unsigned-timestamp",
        ),
        (
            "for somebody else",
            at(
                now,
                sent(&house, WAYS[0], &[Part::timestamp(now, None), Part::to("https://rp.example.com/")], unchanged),
            ),
            Refusal::InvalidSecurity,
            "misaddressed",
        ),
        (
            "an action outside",
            at(
                now,
                sent(&house, WAYS[0], &[&usual(now)[..], &[Part::body("urn:office", "")]].concat(), |_, message| {
                    let addressing = List::new([AddressingHeader::To, AddressingHeader::Action]).unwrap();
                    KeyedMessage { addressing, ..message }
                }),
            ),
            Refusal::InvalidSecurity,
            "unsigned-addressing",
        ),
    ] {
        assert_eq!(worker.refused(submission), refusal, "{what}");
        let (allowed, said) = house.office.decisions().pop().unwrap();
        assert_eq!((allowed, said.as_str()), (false, reason), "{what}");
    }
    // An old one is refused by what the worker says of it, before anybody is asked.
    assert_eq!(worker.refused(at(old, sent(&house, WAYS[0], &usual(old), unchanged))), Refusal::MessageExpired);
    // Where wsa:To may be absent beside a body, the ticket is bound to nobody by that: it must be by itself, or need
    // not be.
    let whole = [Part::timestamp(now, None), Part::body("urn:office", "")];
    let absent = |endpoint: &str, options: &[&str]| {
        let submission = at(now, sent(&house, (FRAMED, options), &whole, unchanged));
        Submission { endpoint: Text::new(endpoint).unwrap(), ..submission }
    };
    assert_eq!(worker.refused(absent(ABSENT, WAYS[0].1)), Refusal::FailedAuthentication);
    assert_eq!(house.office.decisions().pop().unwrap(), (false, "unbound-ticket".to_owned()));
    worker.vouched(absent(ABSENT, &["raw", "one-way", "bind", &house.bound(), "key"]));
    worker.vouched(absent(LENIENT, WAYS[0].1));
}

#[test]
fn a_worker_changes_nothing_that_is_under_the_mac_and_cannot_leave_it_off_a_ticket_that_is_not_bound() {
    if !installed("hijacked") {
        return;
    }
    let house = House::new();
    let now = Millis::now();
    let whole = || [usual(now), vec![Part::body("urn:office", "")]].concat();
    let other_wish = |submission: Submission| {
        let mut submission = submission;
        submission.wish.applies_to = Some(Text::new("urn:elsewhere").unwrap());
        submission
    };
    for lie in [
        other_wish(at(now, sent(&house, WAYS[0], &whole(), unchanged))),
        at(Millis(now.0 - 1000), sent(&house, WAYS[0], &usual(now), unchanged)),
    ] {
        let mut worker = house.office.worker();
        worker.duplex.send(&WorkerToAuth::Submit(lie)).unwrap();
        eventually("the channel is closed", || worker.duplex.receive().is_err().then_some(()));
    }
    assert_eq!(house.office.decisions(), vec![(false, "contradicted".to_owned()); 2]);
    let (token, key) = house.kdc.keyed("alice", WAYS[0].1);
    let beside = |token: &[u8]| {
        let message = keyed::message(&key, SHA256, &usual(now));
        let evidence = Evidence::EndorsedTicket(house.ticket(FRAMED, token), message);
        at(now, Submission { evidence, ..house.holds(FRAMED, &[]) })
    };
    let (other, _) = house.kdc.keyed("Mixed", WAYS[0].1);
    let cases = vec![
        // It is a ticket that is bound to nothing then.
        ("left off", house.holds(FRAMED, &token), "unbound-ticket"),
        ("beside another ticket", beside(&other), "wrong-endorsement"),
        ("after it was left off", beside(&token), "replayed-ticket"),
    ];
    all_refused(&house.office, cases);
}

#[test]
fn a_message_is_good_once_beside_whichever_of_its_clients_tickets() {
    if !installed("once") {
        return;
    }
    let house = House::new();
    let mut worker = house.office.worker();
    let now = Millis::now();
    // Without a key of its own each AP-REQ of a ticket has the same.
    let ((first, key), (second, same)) = (house.kdc.keyed("alice", &["ap-req"]), house.kdc.keyed("alice", &["ap-req"]));
    assert!(first != second && key == same);
    let beside = |token: &[u8]| {
        let message = keyed::message(&key, SHA256, &usual(now));
        let evidence = Evidence::EndorsedTicket(house.ticket(TicketForm::Bare, token), message);
        at(now, Submission { evidence, ..house.holds(TicketForm::Bare, &[]) })
    };
    worker.vouched(beside(&first));
    assert_eq!(worker.refused(beside(&second)), Refusal::InvalidSecurity);
    assert_eq!(house.office.decisions()[1], (false, "replayed".to_owned()));
}
