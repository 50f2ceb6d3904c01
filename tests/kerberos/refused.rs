//! What is no ticket, or not one for us, of somebody known, once.

use std::time::Duration;

use chancery::sys::channel::{Channel, Closed, Duplex};
use chancery::sys::places::Place;
use chancery::wire::Octets;
use chancery::wire::evidence::{Evidence, Negotiation, Submission};
use chancery::wire::kerberos::{NotAccepted, Presented};
use chancery::wire::links::{AuthToKerberos, KerberosToAuth};
use chancery::wire::permit::Link;
use nix::sys::signal::Signal;

use crate::house::{House, all_refused, certificate};
use crate::support::kdc::{SERVICE, bound_to, installed};
use crate::support::processes::eventually;

/// The object identifiers of Kerberos and of what Windows calls it, and of NTLM.
const KERBEROS: [u8; 11] = [6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 1, 2, 2];
const OF_WINDOWS: [u8; 11] = [6, 9, 0x2A, 0x86, 0x48, 0x82, 0xF7, 0x12, 1, 2, 2];

/// The same with the first such octets changed to others, as many.
pub(crate) fn changed(token: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = token.windows(from.len()).position(|window| window == from).expect("there");
    let mut token = token.to_vec();
    token[at..at + from.len()].copy_from_slice(to);
    token
}

/// The `AP-REQ` in a token, which ends with it.
pub(crate) fn request_in(token: &[u8]) -> &[u8] {
    let at = token.windows(13).rposition(|window| window[..11] == KERBEROS && window[11..] == [1, 0]);
    &token[at.expect("a token of Kerberos") + 13..]
}

/// The token of Kerberos in one of SPNEGO, which ends with it.
pub(crate) fn unwrapped(token: &[u8]) -> &[u8] {
    // The tag, a length of two octets and how it is written.
    &token[token.len() - request_in(token).len() - 13 - 4..]
}

/// kerberos as auth sees it.
pub(crate) struct Line(Duplex<KerberosToAuth, AuthToKerberos>);

impl Line {
    pub(crate) fn to(house: &House) -> Self {
        let channel = Channel::connect(&house.office.run().join(Place::KerberosAuth.file())).unwrap();
        Self(Duplex::new(channel, Link::KerberosToAuth))
    }

    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<KerberosToAuth, Closed> {
        let (request, bindings) = (Octets::new(request).unwrap(), Octets::default());
        self.0.send(&AuthToKerberos::Accept(Presented {
            question: 7,
            request,
            bindings,
            bare: false,
            keyed: false,
        }))?;
        eventually("an answer", || self.0.receive().transpose())
    }
}

#[test]
fn whatever_is_wrong_with_a_ticket_the_client_hears_the_same_and_the_record_knows_r_w070() {
    if !installed("refused") {
        return;
    }
    let house = House::new();
    let bound = house.bound();
    let begin = |user: &str, service: &str, options: &[&str]| {
        house.brings(&house.kdc.begin(user, service, &[options, &["bind", &bound]].concat()).token)
    };
    let token = || house.token("alice");
    let whole = token();
    let used = token();
    house.office.worker().vouched(house.brings(&used));
    let flipped = {
        let mut token = token();
        *token.last_mut().unwrap() ^= 1;
        token
    };
    let elsewhere = {
        let negotiation = Negotiation { token: chancery::wire::Secret::new(token()).unwrap(), server: [7; 32] };
        Submission { evidence: Evidence::Negotiation(negotiation), ..house.brings(&[]) }
    };
    let renamed = |service: &str, from: &str, to: &str| {
        let token = house.kdc.begin("alice", service, &["bind", &bound]).token.clone();
        house.brings(&changed(&token, from.as_bytes(), to.as_bytes()))
    };
    let spnego_ntlm = changed(&whole, &KERBEROS, &[6, 9, 0x2B, 6, 1, 4, 1, 0x82, 0x37, 2, 2]);
    let strangers = vec![
        ("twice", house.brings(&used), "replayed-ticket"),
        ("twice, in another wrapping", house.brings(&changed(&used, &KERBEROS, &OF_WINDOWS)), "replayed-ticket"),
        ("for another service", begin("alice", "HTTP/other.example.com@EXAMPLE.COM", &[]), "other-service"),
        (
            "for another service, with our name on it",
            renamed("HTTP/locelhost@EXAMPLE.COM", "locelhost", "localhost"),
            "other-service",
        ),
        ("for us, with another name on it", renamed(SERVICE, "localhost", "locelhost"), "other-service"),
        ("by RC4", begin("alice", "HTTP/weak.example.com@EXAMPLE.COM", &[]), "weak-ticket"),
        ("changed", house.brings(&flipped), "other-service"),
        ("of another realm", begin("alice@ELSEWHERE.COM", SERVICE, &[]), "unknown-realm"),
        ("of somebody who is not for this realm", begin("bob", SERVICE, &[]), "no-account"),
        ("of somebody whom no rule knows", begin("alice/admin", SERVICE, &[]), "no-account"),
        ("of somebody disabled", begin("eve", SERVICE, &[]), "disabled"),
        ("bound to nothing", house.brings(&house.kdc.begin("alice", SERVICE, &[]).token), "unbound-ticket"),
        ("bound to another", house.brings(&house.kdc.token("alice", &bound_to(&certificate()))), "channel-binding"),
        ("shown to another", elsewhere, "foreign-server"),
        ("twice, out of its wrapping", house.brings(unwrapped(&used)), "replayed-ticket"),
        (
            "out of its wrapping, with more behind it",
            house.brings(&[unwrapped(&whole), &[0]].concat()),
            "unreadable-ticket",
        ),
        ("of a later round", house.brings(&[0xA1, 0x07, 0x30, 0x05, 0xA0, 3, 0x0A, 1, 1]), "negotiate-mechanism"),
        ("NTLM", house.brings(b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2"), "ntlm"),
        ("of a mechanism that nobody knows", house.brings(&spnego_ntlm), "negotiate-mechanism"),
        ("nothing", house.brings(&[]), "unreadable-ticket"),
        ("as much as may come", house.brings(&vec![0x60; 64 * 1024]), "unreadable-ticket"),
        ("garbage", house.brings(b"GET / HTTP/1.1"), "unreadable-ticket"),
        ("cut", house.brings(&whole[..whole.len() - 1]), "unreadable-ticket"),
        ("with more behind it", house.brings(&[&whole[..], &[0]].concat()), "unreadable-ticket"),
    ];
    all_refused(&house.office, strangers);
    // None of that has used up the one that was only cut.
    house.office.worker().vouched(house.brings(&whole));
}

#[test]
fn what_is_older_than_clocks_may_differ_is_refused() {
    if !installed("dates") {
        return;
    }
    let mut house = House::new();
    drop(house.kerberos().take());
    house.configure(1);
    house.start();
    let (old, new) = (house.token("alice"), || house.token("alice"));
    std::thread::sleep(Duration::from_millis(3100));
    all_refused(&house.office, vec![("old", house.brings(&old), "ticket-dates")]);
    house.office.worker().vouched(house.brings(&new()));
}

#[test]
fn the_library_and_our_store_each_know_a_ticket_that_was_used_without_the_other_a_33() {
    if !installed("replays") {
        return;
    }
    let mut house = House::new();
    let (alone, token) = (house.token("alice"), house.token("alice"));
    let mut line = Line::to(&house);
    assert!(matches!(line.ask(request_in(&alone)), Ok(KerberosToAuth::NotAccepted { why: NotAccepted::Binding, .. })));
    // Whatever came of it, it was used: and that the library says, for auth was not asked.
    match line.ask(request_in(&alone)) {
        Ok(KerberosToAuth::NotAccepted { question: 7, why: NotAccepted::Replayed, said }) => {
            assert_eq!(said.as_str(), "Request is a replay");
        }
        other => panic!("{other:?}"),
    }
    all_refused(&house.office, vec![("used before auth saw it", house.brings(&alone), "replayed-ticket")]);

    house.office.worker().vouched(house.brings(&token));
    let kerberos = house.kerberos().take().unwrap();
    kerberos.end(Signal::SIGTERM);
    std::fs::remove_file(house.state().join("replays")).unwrap();
    house.start();
    let rewrapped = changed(&token, &KERBEROS, &OF_WINDOWS);
    all_refused(
        &house.office,
        vec![("in another wrapping, to a library that has forgotten", house.brings(&rewrapped), "replayed-ticket")],
    );
    // It had forgotten that one, as it has this one: what refused it was the store.
    let answer = Line::to(&house).ask(request_in(&alone));
    assert!(matches!(answer, Ok(KerberosToAuth::NotAccepted { why: NotAccepted::Binding, .. })));
}
