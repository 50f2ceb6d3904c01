//! kerberos that ends, hangs or lies, and whoever lies to it: nobody but users with tickets notices.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use chancery::sys::channel::{Channel, Duplex, Listener};
use chancery::sys::places::Place;
use chancery::wire::evidence::Refusal;
use chancery::wire::kerberos::AcceptedTicket;
use chancery::wire::links::{AuthToKerberos, KerberosToAuth};
use chancery::wire::permit::Link;
use chancery::wire::{Millis, Text};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};

use crate::house::{House, all_refused};
use crate::refused::Line;
use crate::support::kdc::installed;
use crate::support::processes::{eventually, listener};

const BUSY: Refusal = Refusal::Busy { retry_after_s: 2 };

#[test]
fn while_kerberos_is_dead_tickets_wait_for_it_and_passwords_do_not() {
    if !installed("dead") {
        return;
    }
    let mut house = House::new();
    let mut worker = house.office.worker();
    worker.vouched(house.brings(&house.token("alice")));
    house.kerberos().take().unwrap().end(Signal::SIGKILL);
    let token = house.token("alice");
    let begun = Instant::now();
    assert_eq!(worker.refused(house.brings(&token)), BUSY);
    assert!(begun.elapsed().as_secs() < 5);
    worker.vouched(house.with_password());
    house.start();
    eventually("kerberos is there again", || {
        let answer = worker.ask(house.brings(&house.token("alice")));
        matches!(answer, chancery::wire::links::AuthToWorker::Negotiated(_)).then_some(())
    });
}

#[test]
fn while_kerberos_stands_still_tickets_are_refused_in_time_and_passwords_are_not() {
    if !installed("still") {
        return;
    }
    let mut house = House::new();
    let mut worker = house.office.worker();
    worker.vouched(house.brings(&house.token("alice")));
    let pid = house.kerberos().as_ref().unwrap().pid();
    kill(pid, Signal::SIGSTOP).unwrap();
    let waiting = house.brings(&house.token("alice"));
    let correlation = waiting.correlation;
    let begun = Instant::now();
    worker.submit(waiting);
    worker.vouched(house.with_password());
    assert!(begun.elapsed().as_millis() < 900, "a password waits for nobody");
    match worker.answer(correlation) {
        chancery::wire::links::AuthToWorker::Refused(refused) => assert_eq!(refused.refusal, BUSY),
        other => panic!("{other:?}"),
    }
    assert!(begun.elapsed().as_secs() < 5);
    // While it does not answer one at a time waits for it, and a crowd takes no places from others.
    let (begun, token) = (Instant::now(), house.token("alice"));
    let crowd: Vec<_> = (0..40).map(|_| house.brings(&token)).collect();
    let correlations: Vec<_> = crowd.iter().map(|one| one.correlation).collect();
    crowd.into_iter().for_each(|one| worker.submit(one));
    let mut at_once = 0;
    for correlation in correlations.into_iter().rev() {
        assert!(matches!(worker.answer(correlation), chancery::wire::links::AuthToWorker::Refused(_)));
        at_once += usize::from(begun.elapsed().as_millis() < 900);
    }
    assert_eq!(at_once, 39);
    kill(pid, Signal::SIGCONT).unwrap();
    worker.vouched(house.brings(&house.token("alice")));
}

#[test]
fn a_library_that_does_not_return_ends_with_its_process() {
    if !installed("hangs") {
        return;
    }
    let mut house = House::new();
    let mut worker = house.office.worker();
    worker.vouched(house.brings(&house.token("alice")));
    // It waits for its replay cache, which somebody has locked.
    let file = std::fs::File::options().write(true).open(house.state().join("replays")).unwrap();
    let lock = nix::libc::flock {
        l_type: i16::try_from(nix::libc::F_WRLCK).unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLKW(&lock)).unwrap();
    assert_eq!(worker.refused(house.brings(&house.token("alice"))), BUSY);
    eventually("kerberos has ended", || house.kerberos().as_mut().unwrap().ended().unwrap());
    drop(file);
    house.start();
    worker.vouched(house.brings(&house.token("alice")));
}

#[test]
fn kerberos_shows_the_library_nothing_that_is_not_an_ap_req_whoever_asks() {
    if !installed("whoever-asks") {
        return;
    }
    let house = House::new();
    for octets in [&b"\x6E\x03\x30\x01"[..], b"NTLMSSP\0", b""] {
        assert!(Line::to(&house).ask(octets).is_err(), "{octets:?}");
    }
    house.office.worker().vouched(house.brings(&house.token("alice")));
}

/// What kerberos would say that somebody has taken over.
fn says(name: &str, realm: &str) -> AcceptedTicket {
    AcceptedTicket {
        name: Text::new(name).unwrap(),
        realm: Text::new(realm).unwrap(),
        authenticated: Millis(Millis::now().0 + 3_600_000),
        expires: Millis(Millis::now().0 + 36_000_000),
        bound: true,
        reply: None,
        key: None,
    }
}

#[test]
fn kerberos_in_foreign_hands_can_be_anybody_of_its_realms_and_nobody_else() {
    if !installed("foreign-hands") {
        return;
    }
    let mut house = House::new();
    drop(house.kerberos().take());
    let place = house.office.run().join(Place::KerberosAuth.file());
    std::fs::remove_file(&place).unwrap();
    let door = Listener::adopt(listener(&place)).unwrap();
    let mut line: Option<Duplex<AuthToKerberos, KerberosToAuth>> = None;
    let mut lie = |house: &House, answer: &dyn Fn(u64) -> KerberosToAuth| {
        let mut worker = house.office.worker();
        let submission = house.brings(&house.token("alice"));
        let correlation = submission.correlation;
        worker.submit(submission);
        let question = eventually("auth asks", || {
            if let Some(channel) = door.accept().unwrap() {
                line = Some(Duplex::new(channel, Link::AuthToKerberos));
            }
            match line.as_mut()?.receive() {
                Ok(Some(AuthToKerberos::Accept(presented))) => Some(presented.question),
                _ => None,
            }
        });
        line.as_mut().unwrap().send(&answer(question)).unwrap();
        worker.answer(correlation)
    };
    let named = |name: &'static str, realm: &'static str| {
        move |question| KerberosToAuth::Accepted { question, ticket: says(name, realm) }
    };
    use chancery::wire::links::AuthToWorker::{Negotiated, Refused};
    assert!(matches!(lie(&house, &named("Mixed", "EXAMPLE.COM")), Negotiated(_)));
    let order = house.office.lodged().order;
    assert_eq!(order.subject.account.as_str(), "mixed");
    assert!(order.authentication.instant <= Millis::now(), "nobody proved himself in the future");
    for (name, realm) in [("bob", "EXAMPLE.COM"), ("eve", "EXAMPLE.COM"), ("alice", "ELSEWHERE.COM"), ("alice", "x")] {
        match lie(&house, &named(name, realm)) {
            Refused(refused) => assert_eq!(refused.refusal, Refusal::FailedAuthentication, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    // An answer to what nobody asked ends the channel, and whoever waits is told that there is none.
    let astray = |question| KerberosToAuth::Accepted { question: question + 1, ticket: says("alice", "EXAMPLE.COM") };
    assert!(matches!(lie(&house, &astray), Refused(refused) if refused.refusal == BUSY));
    house.office.worker().vouched(house.with_password());
}

#[test]
fn kerberos_takes_so_many_channels_and_answers_auth_after_them() {
    if !installed("channels") {
        return;
    }
    let house = House::new();
    let place = house.office.run().join(Place::KerberosAuth.file());
    let crowd: Vec<Channel> = (0..16).map(|_| Channel::connect(&place).unwrap()).collect();
    let hung_up = |channel: &Channel| {
        let mut octet = [0];
        let flags = nix::sys::socket::MsgFlags::MSG_DONTWAIT;
        nix::sys::socket::recv(channel.as_fd().as_raw_fd(), &mut octet, flags) == Ok(0)
    };
    eventually("all but a few are hung up on", || {
        (crowd.iter().filter(|one| hung_up(one)).count() >= 12).then_some(())
    });
    drop(crowd);
    house.office.worker().vouched(house.brings(&house.token("alice")));
    all_refused(&house.office, vec![("nothing", house.brings(&[]), "unreadable-ticket")]);
}
