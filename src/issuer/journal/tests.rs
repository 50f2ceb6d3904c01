//! What becomes of entries when audit comes, goes, acknowledges and lies.

use super::*;
use crate::config::issuer::Purpose;
use crate::issuer::ceilings::Ceilings;
use crate::issuer::examples::{configuration, keys, order, sign};
use crate::token::Algorithm;
use crate::wire::record::OutcomeResult;

type Audit = Duplex<IssuerToAudit, FromAudit>;

/// A journal, and the audit it is connected to.
fn open() -> (Journal, Audit) {
    let (ours, theirs) = Channel::pair().unwrap();
    let mut journal = Journal::new("/nowhere".into(), Duration::from_secs(2), Instant::now());
    journal.state = State::Opening(Duplex::new(ours, Link::AuditToIssuer));
    let mut audit = Duplex::new(theirs, Link::IssuerToAudit);
    audit.send(&FromAudit::Head { entries: 0, last: Some(Millis(7)) }).unwrap();
    journal.ready(Instant::now());
    assert!(matches!(journal.event(), Some(Event::Head(Some(Millis(7))))));
    assert!(matches!(journal.event(), Some(Event::Channel(true))));
    (journal, audit)
}

fn prepared(ticket: u64) -> Prepared {
    let keys = keys();
    let key = keys.iter().find(|key| key.purpose == Purpose::Assertion).unwrap();
    let now = Millis::now();
    let approved = Ceilings::new(&configuration()).approve(order("office"), now, Instant::now()).unwrap();
    Prepared::prepare(approved, ticket, "urn:issuer", &["urn:office".into()], key, Algorithm::EcdsaSha256).unwrap()
}

fn signed(recorded: Box<Recorded>) -> Signed {
    let keys = keys();
    let key = keys.find(recorded.prepared().key()).unwrap();
    let signature = sign(recorded.prepared().signed_octets());
    Signed::seal(recorded, &signature, key, Millis::now()).unwrap()
}

fn appended(audit: &mut Audit) -> (u64, IssuerEntry) {
    let Some(IssuerToAudit::Append { sequence, entry }) = audit.receive().unwrap() else { panic!("an entry") };
    (sequence, entry)
}

#[test]
fn one_acknowledgement_covers_every_entry_before_it_in_order() {
    let (mut journal, mut audit) = open();
    let now = Instant::now();
    for ticket in 1..=3 {
        journal.intend(prepared(ticket), now);
        journal.push(now);
        assert_eq!(appended(&mut audit).0, ticket);
    }
    audit.send(&FromAudit::Durable { sequence: 2 }).unwrap();
    journal.ready(now);
    for ticket in 1..=2 {
        let Some(Event::Recorded(recorded)) = journal.event() else { panic!("recorded") };
        assert_eq!(recorded.prepared().ticket(), ticket);
    }
    assert!(journal.event().is_none());
}

#[test]
fn a_token_comes_back_when_its_outcome_is_sent_and_not_before() {
    let (mut journal, mut audit) = open();
    let now = Instant::now();
    journal.intend(prepared(1), now);
    journal.push(now);
    audit.send(&FromAudit::Durable { sequence: 1 }).unwrap();
    journal.ready(now);
    let Some(Event::Recorded(recorded)) = journal.event() else { panic!("recorded") };
    drop(audit);
    journal.ready(now);
    assert!(matches!(journal.event(), Some(Event::Channel(false))));
    journal.release(signed(recorded), now);
    journal.push(now);
    assert!(journal.event().is_none());
    journal.tick(now + Duration::from_secs(3));
    assert!(matches!(journal.event(), Some(Event::NotReleased(1))));
}

#[test]
fn the_outcome_of_a_released_token_is_before_it_in_the_record() {
    let (mut journal, mut audit) = open();
    let now = Instant::now();
    journal.intend(prepared(1), now);
    journal.push(now);
    appended(&mut audit);
    audit.send(&FromAudit::Durable { sequence: 1 }).unwrap();
    journal.ready(now);
    let Some(Event::Recorded(recorded)) = journal.event() else { panic!("recorded") };
    journal.release(signed(recorded), now);
    journal.push(now);
    let (2, IssuerEntry::Outcome(outcome)) = appended(&mut audit) else { panic!("an outcome") };
    assert!(matches!(outcome.result, OutcomeResult::Signed { .. }));
    let Some(Event::Released(released)) = journal.event() else { panic!("released") };
    assert_eq!((released.ticket, released.release.token_id), (1, outcome.token_id));
}

#[test]
fn what_waits_too_long_is_given_up_and_its_late_acknowledgement_means_nothing() {
    let (mut journal, mut audit) = open();
    let now = Instant::now();
    journal.intend(prepared(1), now);
    journal.push(now);
    journal.tick(now + Duration::from_secs(2));
    assert!(matches!(journal.event(), Some(Event::NotRecorded(prepared)) if prepared.ticket() == 1));
    audit.send(&FromAudit::Durable { sequence: 1 }).unwrap();
    journal.ready(now);
    assert!(journal.event().is_none() && journal.is_idle());
}

#[test]
fn an_audit_that_acknowledges_or_refuses_what_it_was_not_sent_is_left() {
    for lie in [FromAudit::Durable { sequence: 1 }, FromAudit::NotDurable { sequence: 1 }] {
        let (mut journal, mut audit) = open();
        audit.send(&lie).unwrap();
        journal.ready(Instant::now());
        assert!(matches!(journal.event(), Some(Event::Channel(false))));
        assert!(matches!(journal.event(), Some(Event::Violation(_))));
        assert!(!journal.is_open());
    }
}

#[test]
fn a_wrong_signature_seals_nothing() {
    let (mut journal, mut audit) = open();
    let now = Instant::now();
    journal.intend(prepared(1), now);
    journal.push(now);
    audit.send(&FromAudit::Durable { sequence: 1 }).unwrap();
    journal.ready(now);
    let Some(Event::Recorded(recorded)) = journal.event() else { panic!("recorded") };
    let keys = keys();
    let own = keys.find(recorded.prepared().key()).unwrap();
    let other = keys.iter().find(|key| key.purpose == Purpose::Handshake).unwrap();
    let good = sign(recorded.prepared().signed_octets());
    let recorded = Signed::seal(recorded, &sign(b"something else"), own, Millis::now()).unwrap_err();
    let recorded = Signed::seal(recorded, &good, other, Millis::now()).unwrap_err();
    let recorded = Signed::seal(recorded, &good[..63], own, Millis::now()).unwrap_err();
    assert!(Signed::seal(recorded, &good, own, Millis::now()).is_ok());
}

#[test]
fn entries_go_together_and_a_token_whose_outcome_cannot_leave_does_not_either() {
    let (mut journal, mut audit) = open();
    let now = Instant::now();
    journal.intend(prepared(1), now);
    journal.intend(prepared(2), now);
    assert!(journal.push(now) && !journal.push(now));
    assert_eq!(appended(&mut audit).0, 1);
    assert!(audit.holds(), "in the same datagram");
    assert_eq!(appended(&mut audit).0, 2);
    audit.send(&FromAudit::Durable { sequence: 2 }).unwrap();
    journal.ready(now);
    let Some(Event::Recorded(first)) = journal.event() else { panic!("recorded") };
    let Some(Event::Recorded(second)) = journal.event() else { panic!("recorded") };
    journal.release(signed(first), now);
    journal.release(signed(second), now);
    drop(audit);
    assert!(journal.push(now));
    assert!(matches!(journal.event(), Some(Event::Channel(false))));
    assert!(journal.event().is_none(), "nothing is released");
    journal.tick(now + Duration::from_secs(3));
    assert!(matches!(journal.event(), Some(Event::NotReleased(1))));
    assert!(matches!(journal.event(), Some(Event::NotReleased(2))));
}
