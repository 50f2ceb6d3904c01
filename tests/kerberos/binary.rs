//! Tickets in the header of a message, by the forms of the WSS Kerberos Token Profile, and what is none, or not one for
//! us.

use chancery::wire::evidence::{BinaryTicket, Evidence, MacAlgorithm, Refusal, Submission, TicketForm, Timestamp};
use chancery::wire::links::AuthToWorker;
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::{Millis, Text};
use nix::sys::signal::Signal;

use crate::house::{ADDRESS, House, LENIENT, TOKEN, all_refused, certificate};
use crate::refused::{changed, request_in, unwrapped};
use crate::support::kdc::{SERVICE, bound_to, installed};
use crate::support::keyed;
use crate::support::processes::eventually;
use crate::support::signed::Part;

const FRAMED: TicketForm = TicketForm::Framed;
const BARE: TicketForm = TicketForm::Bare;

/// Another endpoint for the same.
fn at(endpoint: &str, submission: Submission) -> Submission {
    Submission { endpoint: Text::new(endpoint).unwrap(), ..submission }
}

/// A token of Kerberos without SPNEGO, bound to our server.
fn framed(house: &House, user: &str) -> Vec<u8> {
    house.kdc.begin(user, SERVICE, &["raw", "bind", &house.bound()]).token.clone()
}

/// An `AP-REQ` that nobody made for GSS-API.
fn alone(house: &House, options: &[&str]) -> Vec<u8> {
    house.kdc.begin("alice", SERVICE, &[&["ap-req"], options].concat()).token.clone()
}

#[test]
fn a_ticket_in_a_message_proves_its_client_in_either_form_and_is_not_answered_r_w070() {
    if !installed("in-messages") {
        return;
    }
    let house = House::new();
    let mut worker = house.office.worker();
    let token = framed(&house, "alice");
    let vouched = worker.ask(house.holds(FRAMED, &token));
    assert!(matches!(vouched, AuthToWorker::Vouched(_)), "{vouched:?}");
    let order = house.office.lodged().order;
    assert_eq!((order.subject.account.as_str(), order.request), ("alice", RequestIntegrity::Transport));
    assert_eq!(order.authentication.method, Method::Kerberos);
    // Out of its frame it says still what it is bound to.
    worker.vouched(house.holds(BARE, request_in(&framed(&house, "Mixed"))));
    assert_eq!(house.office.lodged().order.subject.account.as_str(), "mixed");
    // What was never in a frame says nothing of that, and neither does a client that cannot.
    for submission in [
        house.holds(BARE, &alone(&house, &[])),
        house.holds(BARE, &alone(&house, &["sub-session"])),
        house.holds(FRAMED, &house.kdc.begin("alice", SERVICE, &["raw"]).token),
        house.holds(FRAMED, &house.kdc.begin("alice", SERVICE, &["raw", "one-way"]).token),
    ] {
        worker.vouched(at(LENIENT, submission));
    }
    assert_eq!(house.office.decisions(), vec![(true, "allowed".to_owned()); 6]);
}

#[test]
fn whatever_is_wrong_with_a_ticket_in_a_message_the_client_hears_the_same_a_33() {
    if !installed("refused-in-messages") {
        return;
    }
    let house = House::new();
    let bound = house.bound();
    let begin = |user: &str, service: &str, options: &[&str]| {
        house.holds(FRAMED, &house.kdc.begin(user, service, &[&["raw", "bind", &bound], options].concat()).token)
    };
    let (whole, negotiated) = (framed(&house, "alice"), house.token("alice"));
    let (used, by_head, by_both) = (framed(&house, "alice"), house.token("alice"), framed(&house, "alice"));
    let mut worker = house.office.worker();
    worker.vouched(house.holds(FRAMED, &used));
    worker.vouched(house.brings(&by_head));
    worker.vouched(house.brings(&by_both));
    let elsewhere = {
        let ticket = BinaryTicket { server: [7; 32], ..house.ticket(FRAMED, &framed(&house, "alice")) };
        Submission { evidence: Evidence::Ticket(ticket), ..house.holds(FRAMED, &[]) }
    };
    let flipped = {
        let mut token = framed(&house, "alice");
        *token.last_mut().unwrap() ^= 1;
        token
    };
    let ntlm = changed(
        &negotiated,
        &[6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 1, 2, 2],
        &[6, 9, 0x2B, 6, 1, 4, 1, 0x82, 0x37, 2, 2],
    );
    let cases = vec![
        ("twice", house.holds(FRAMED, &used), "replayed-ticket"),
        ("twice, in the other form", house.holds(BARE, request_in(&used)), "replayed-ticket"),
        ("twice, to the other endpoint", at(LENIENT, house.holds(FRAMED, &used)), "replayed-ticket"),
        ("twice, by HTTP Negotiate the second time", house.brings(&used), "replayed-ticket"),
        ("twice, by HTTP Negotiate the first time", house.holds(FRAMED, unwrapped(&by_head)), "replayed-ticket"),
        ("the same, and no SPNEGO", house.holds(FRAMED, &by_both), "replayed-ticket"),
        ("for another service", begin("alice", "HTTP/other.example.com@EXAMPLE.COM", &[]), "other-service"),
        ("by RC4", begin("alice", "HTTP/weak.example.com@EXAMPLE.COM", &[]), "weak-ticket"),
        ("changed", house.holds(FRAMED, &flipped), "other-service"),
        ("of another realm", begin("alice@ELSEWHERE.COM", SERVICE, &[]), "unknown-realm"),
        ("of somebody who is not for this realm", begin("bob", SERVICE, &[]), "no-account"),
        ("of somebody disabled", begin("eve", SERVICE, &[]), "disabled"),
        ("bound to nothing", house.holds(FRAMED, &house.kdc.begin("alice", SERVICE, &["raw"]).token), "unbound-ticket"),
        ("that cannot be bound", house.holds(BARE, &alone(&house, &[])), "unbound-ticket"),
        (
            "bound to another, where it need not be bound",
            at(LENIENT, house.holds(FRAMED, unwrapped(&house.kdc.token("alice", &bound_to(&certificate()))))),
            "channel-binding",
        ),
        ("shown to another", elsewhere, "foreign-server"),
        // What is said of its form is what it must be.
        ("alone, and said to be framed", house.holds(FRAMED, request_in(&whole)), "unreadable-ticket"),
        ("framed, and said to be alone", house.holds(BARE, &whole), "unreadable-ticket"),
        (
            "not made for GSS-API, in its frame",
            at(LENIENT, house.holds(FRAMED, &put_into(&whole, &alone(&house, &[])))),
            "refused-ticket",
        ),
        ("made for something else", at(LENIENT, house.holds(BARE, &alone(&house, &["checksum"]))), "refused-ticket"),
        ("SPNEGO around it", house.holds(FRAMED, &negotiated), "negotiate-mechanism"),
        ("SPNEGO, and said to be alone", house.holds(BARE, &negotiated), "unreadable-ticket"),
        ("SPNEGO of another mechanism", house.holds(FRAMED, &ntlm), "negotiate-mechanism"),
        ("NTLM", house.holds(FRAMED, b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2"), "ntlm"),
        ("NTLM, and said to be alone", house.holds(BARE, b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2"), "ntlm"),
        ("a later round", house.holds(FRAMED, &[0xA1, 0x07, 0x30, 0x05, 0xA0, 3, 0x0A, 1, 1]), "negotiate-mechanism"),
        ("nothing", house.holds(FRAMED, &[]), "unreadable-ticket"),
        ("nothing, alone", house.holds(BARE, &[]), "unreadable-ticket"),
        ("as much as may come", house.holds(FRAMED, &vec![0x60; 64 * 1024]), "unreadable-ticket"),
        ("as much as may come, alone", house.holds(BARE, &vec![0x6E; 64 * 1024]), "unreadable-ticket"),
        ("cut", house.holds(FRAMED, &whole[..whole.len() - 1]), "unreadable-ticket"),
        ("with more behind it", house.holds(FRAMED, &[&whole[..], &[0]].concat()), "unreadable-ticket"),
    ];
    all_refused(&house.office, cases);
    // None of that has used it up, and each kind of endpoint takes its own kind.
    assert_eq!(worker.refused(at("/windows", house.holds(FRAMED, &whole))), Refusal::UnsupportedSecurityToken);
    assert_eq!(worker.refused(at("/password", house.holds(FRAMED, &whole))), Refusal::UnsupportedSecurityToken);
    assert_eq!(worker.refused(at(TOKEN, house.brings(&whole))), Refusal::UnsupportedSecurityToken);
    worker.vouched(house.holds(FRAMED, &whole));
}

/// Another `AP-REQ` in the frame of this one.
fn put_into(framed: &[u8], request: &[u8]) -> Vec<u8> {
    let inner = request_in(framed);
    let head = &framed[framed.len() - inner.len() - 13..framed.len() - inner.len()];
    let length = u16::try_from(head.len() + request.len()).unwrap().to_be_bytes();
    [&[0x60, 0x82][..], &length, head, request].concat()
}

#[test]
fn a_ticket_is_good_once_however_many_bring_it_at_the_same_time() {
    if !installed("at-once") {
        return;
    }
    let house = House::new();
    let token = framed(&house, "alice");
    let mut worker = house.office.worker();
    let crowd: Vec<_> =
        (0..8).map(|number| if number % 2 == 0 { house.holds(FRAMED, &token) } else { house.brings(&token) }).collect();
    let correlations: Vec<_> = crowd.iter().map(|one| one.correlation).collect();
    crowd.into_iter().for_each(|one| worker.submit(one));
    let vouched = correlations.into_iter().filter(|correlation| match worker.answer(*correlation) {
        AuthToWorker::Vouched(_) | AuthToWorker::Negotiated(_) => true,
        AuthToWorker::Refused(refused) => {
            assert_eq!(refused.refusal, Refusal::FailedAuthentication);
            false
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(vouched.count(), 1);
}

#[test]
fn while_kerberos_is_dead_tickets_in_messages_wait_for_it() {
    if !installed("dead-in-messages") {
        return;
    }
    let mut house = House::new();
    let mut worker = house.office.worker();
    worker.vouched(house.holds(FRAMED, &framed(&house, "alice")));
    house.kerberos().take().unwrap().end(Signal::SIGKILL);
    let token = framed(&house, "alice");
    assert_eq!(worker.refused(house.holds(FRAMED, &token)), Refusal::Busy { retry_after_s: 2 });
    worker.vouched(house.with_password());
    house.start();
    eventually("kerberos is there again", || {
        let answer = worker.ask(house.holds(FRAMED, &framed(&house, "alice")));
        matches!(answer, AuthToWorker::Vouched(_)).then_some(())
    });
}

#[test]
fn the_store_knows_a_ticket_that_was_used_in_any_way_when_the_library_has_forgotten_it_a_33() {
    if !installed("forgotten") {
        return;
    }
    let mut house = House::new();
    let mut worker = house.office.worker();
    let (by_head, by_message) = (framed(&house, "alice"), framed(&house, "alice"));
    let (endorsed, key) = house.kdc.keyed("alice", &["raw", "one-way", "key"]);
    let now = Millis::now();
    let with_mac = || {
        let parts = [Part::timestamp(now, None), Part::to(ADDRESS)];
        let message = keyed::message(&key, MacAlgorithm::HmacSha256, &parts);
        let evidence = Evidence::EndorsedTicket(house.ticket(FRAMED, &endorsed), message);
        let timestamp = Some(Timestamp { created: now, expires: None });
        Submission { evidence, timestamp, ..house.holds(FRAMED, &[]) }
    };
    worker.vouched(house.brings(&by_head));
    worker.vouched(house.holds(FRAMED, &by_message));
    worker.vouched(with_mac());
    let again = with_mac();
    house.kerberos().take().unwrap().end(Signal::SIGTERM);
    std::fs::remove_file(house.state().join("replays")).unwrap();
    house.start();
    let cases = vec![
        ("by HTTP Negotiate, then in a message", house.holds(FRAMED, &by_head), "replayed-ticket"),
        ("in a message, then by HTTP Negotiate", house.brings(&by_message), "replayed-ticket"),
        ("with a MAC, then without", at(LENIENT, house.holds(FRAMED, &endorsed)), "replayed-ticket"),
    ];
    all_refused(&house.office, cases);
    drop(house.kerberos().take());
    std::fs::remove_file(house.state().join("replays")).unwrap();
    house.start();
    all_refused(&house.office, vec![("with a MAC, twice", again, "replayed-ticket")]);
}
