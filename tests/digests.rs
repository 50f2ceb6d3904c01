//! auth as it is shipped, before digests of a secret: good ones, those that were here before, and those that prove
//! nobody. The test plays the worker, and the client that made the digest.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support"]
mod support {
    pub(crate) mod digested;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod processes;
}

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use chancery::wire::evidence::{Evidence, PasswordDigest, Refusal, Submission};
use chancery::wire::links::{AuthToAudit, AuthToWorker};
use chancery::wire::order::{Method, RequestIntegrity};
use chancery::wire::record::AuthEntry;
use chancery::wire::{Correlation, Millis, Text};
use nix::sys::signal::{Signal, kill};

use support::digested::{made, over};
use support::office::{HOME, Office, hash, request};
use support::processes::eventually;

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
policy = '''permit(principal, action, resource) when { ["digest", "password"].contains(context.method) };'''
"#;
const SECRET: &str = "a secret of some length";
/// Where nobody was right yet.
const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));

fn users() -> String {
    format!(
        "[users.alice]\ndigest_secret = \"{SECRET}\"\n[users.bob]\ndigest_secret = \"{SECRET}s of bob\"\n\
         [users.carol]\ndigest_secret = \"{SECRET} of carol\"\ndisabled = true\n[users.dora]\npassword = '{}'\n",
        hash(SECRET)
    )
}

/// auth with an endpoint for digests alone, one for passwords alone and one for both.
fn office(more: &str) -> Office {
    let endpoint =
        |path: &str, credentials: &str| format!("[[endpoint]]\npath = \"{path}\"\ncredentials = [{credentials}]\n");
    let auth = format!(
        "[store]\ndirectory = \"../../state\"\n{}{}{}{more}\n",
        endpoint("/digest", "\"digest\""),
        endpoint("/password", "\"password\""),
        endpoint("/both", "\"password\", \"digest\"")
    );
    Office::open(&auth, &users(), PARTY)
}

fn at(path: &str, submission: Submission) -> Submission {
    Submission { endpoint: Text::new(path).unwrap(), ..submission }
}

fn submission(digest: PasswordDigest) -> Submission {
    at("/digest", Submission { evidence: Evidence::Digest(digest), ..request("", "") })
}

/// alice's, made now.
fn good() -> Submission {
    submission(made("alice", SECRET, Millis::now()))
}

/// alice's with that nonce and that instant.
fn again(nonce: &[u8], created: &str) -> Submission {
    submission(over("alice", SECRET, nonce, created))
}

fn now() -> String {
    chancery::trust::instant::format(Millis::now())
}

#[test]
fn a_digest_is_vouched_for_as_what_it_is() {
    let office = office("");
    office.worker().vouched(good());
    let order = office.lodged().order;
    assert_eq!(order.subject.account.as_str(), "alice");
    assert_eq!((order.authentication.method, order.request), (Method::Digest, RequestIntegrity::Transport));
    let said = office.audit.said.lock().unwrap();
    let methods = said.iter().map(|AuthToAudit::Append { entry, .. }| match entry {
        AuthEntry::Decision(decision, _) => decision.method,
        entry => panic!("{entry:?}"),
    });
    assert_eq!(methods.collect::<Vec<_>>(), [Method::Digest]);
}

#[test]
fn a_nonce_is_good_once_also_when_auth_was_restarted_a_33() {
    let mut office = office("");
    let created = now();
    office.worker().vouched(again(&[1; 16], &created));
    assert_eq!(office.worker().refused(again(&[1; 16], &created)), Refusal::InvalidSecurity);
    kill(office.auth().pid(), Signal::SIGKILL).unwrap();
    office.start();
    assert_eq!(office.worker().refused(again(&[1; 16], &created)), Refusal::InvalidSecurity);
    // Another nonce is another digest, and so is the same one of somebody else.
    office.worker().vouched(again(&[2; 16], &created));
    let bobs = over("bob", &format!("{SECRET}s of bob"), &[1; 16], &created);
    office.worker().vouched(submission(bobs));
}

/// SHA-1 is over nonce and instant as one: with a nonce that ends in a space there are two ways to part them.
#[test]
fn the_end_of_a_nonce_moved_into_the_instant_is_no_new_digest() {
    let office = office("");
    let created = now();
    let nonce = *b"sixteen octets  \t\n\r ";
    let moved = |octets: usize| {
        let (nonce, end) = nonce.split_at(nonce.len() - octets);
        again(nonce, &format!("{}{created}", std::str::from_utf8(end).unwrap()))
    };
    let (Evidence::Digest(whole), Evidence::Digest(parted)) = (moved(0).evidence, moved(4).evidence) else {
        panic!("digests")
    };
    assert_eq!(whole.digest, parted.digest);
    office.worker().vouched(moved(0));
    for octets in 1..=4 {
        assert_eq!(office.worker().refused(moved(octets)), Refusal::InvalidSecurity, "{octets}");
    }
    // What goes the other way is no instant any more.
    let cut = submission(PasswordDigest {
        created: Text::new(&created[1..]).unwrap(),
        ..over("alice", SECRET, &[&[3; 16], &created.as_bytes()[..1]].concat(), &created[1..])
    });
    assert_eq!(office.worker().refused(cut), Refusal::InvalidSecurity);
}

#[test]
fn one_of_many_who_send_a_digest_at_once_is_served_r_w080() {
    let office = office("");
    let created = now();
    let answers: Vec<bool> = std::thread::scope(|scope| {
        let ask = || {
            let (mut worker, submission) = (office.worker(), again(&[4; 16], &created));
            scope.spawn(move || matches!(worker.ask(submission), AuthToWorker::Vouched(_)))
        };
        let threads: Vec<_> = (0..8).map(|_| ask()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|vouched| **vouched).count(), 1);
}

#[test]
fn unknown_wrong_disabled_and_without_a_secret_are_answered_alike_to_the_octet_a_45() {
    let office = office("");
    let mut worker = office.worker();
    let (correlation, created) = (Correlation::random(), now());
    let mut answers = Vec::new();
    for (what, digest) in [
        ("an unknown user", over("nobody", SECRET, &[5; 16], &created)),
        ("a user by another spelling", over("ALICE", SECRET, &[5; 16], &created)),
        ("another secret", over("alice", "another secret of some length", &[5; 16], &created)),
        ("no secret", over("alice", "", &[5; 16], &created)),
        (
            "somebody else's",
            PasswordDigest { username: Text::new("bob").unwrap(), ..over("alice", SECRET, &[5; 16], &created) },
        ),
        ("no digest", PasswordDigest { digest: [0; 20], ..over("alice", SECRET, &[5; 16], &created) }),
        (
            "another nonce",
            PasswordDigest {
                nonce: made("alice", SECRET, Millis::now()).nonce,
                ..over("alice", SECRET, &[5; 16], &created)
            },
        ),
        (
            "an instant written otherwise",
            PasswordDigest {
                created: Text::new(format!("{created} ")).unwrap(),
                ..over("alice", SECRET, &[5; 16], &created)
            },
        ),
        ("a disabled account", over("carol", &format!("{SECRET} of carol"), &[5; 16], &created)),
        ("a user with a password", over("dora", SECRET, &[5; 16], &created)),
        ("the hash of a password", over("dora", &hash(SECRET), &[5; 16], &created)),
    ] {
        let answer = worker.ask(Submission { correlation, ..submission(digest) });
        let AuthToWorker::Refused(refused) = &answer else { panic!("{what}: {answer:?}") };
        assert_eq!(refused.refusal, Refusal::FailedAuthentication, "{what}");
        answers.push(borsh::to_vec(&answer).unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert!(office.decisions().is_empty());
    // None of them has used the nonce up.
    worker.vouched(again(&[5; 16], &created));
}

#[test]
fn a_digest_is_good_for_five_minutes_and_a_minute_before_r_w022() {
    let office = office("");
    let mut worker = office.worker();
    let now = Millis::now();
    worker.vouched(submission(made("alice", SECRET, now.plus(-290_000))));
    worker.vouched(submission(made("alice", SECRET, now.plus(50_000))));
    for age in [-310_000, 70_000, -86_400_000] {
        // Whether it is right is not said.
        for (user, secret) in [("alice", SECRET), ("alice", "x"), ("nobody", SECRET)] {
            let refused = worker.refused(submission(made(user, secret, now.plus(age))));
            assert_eq!(refused, Refusal::MessageExpired, "{user} {age}");
        }
    }
    for created in ["", "soon", "2026-01-02", "2026-01-02T03:04:05+01:00", "2026-01-02T03:04:60Z"] {
        assert_eq!(worker.refused(again(&[6; 16], created)), Refusal::InvalidSecurity, "{created}");
    }
}

#[test]
fn guesses_are_paid_from_the_budget_of_passwords() {
    let limits = "[throttle]\nuser_burst = 3\nuser_per_minute = 1";
    let wrong = || submission(made("alice", "wrong", Millis::now()));
    let throttled = office(limits);
    let mut worker = throttled.worker();
    for guess in [wrong(), at("/both", request("alice", "wrong")), at("/both", request("alice", SECRET)), good()] {
        assert_eq!(worker.refused(guess), Refusal::FailedAuthentication);
    }
    // What is stale is not tried, and what is right is paid back.
    let office = office(limits);
    let mut worker = office.worker();
    for _ in 0..5 {
        let stale = made("alice", "wrong", Millis::now().plus(-400_000));
        assert_eq!(worker.refused(submission(stale)), Refusal::MessageExpired);
        worker.vouched(good());
    }
}

#[test]
fn a_replay_is_paid_for_and_makes_no_home() {
    let office = office("[throttle]\nuser_burst = 2\nuser_per_minute = 1");
    let mut worker = office.worker();
    let created = now();
    worker.vouched(again(&[7; 16], &created));
    let replayed = || Submission { source: AWAY, ..again(&[7; 16], &created) };
    for refusal in [Refusal::InvalidSecurity, Refusal::InvalidSecurity, Refusal::FailedAuthentication] {
        assert_eq!(worker.refused(replayed()), refusal);
    }
    assert_eq!(worker.refused(Submission { source: AWAY, ..good() }), Refusal::FailedAuthentication);
    // Where alice was right she is let in as before.
    assert_eq!(good().source, HOME);
    worker.vouched(good());
}

#[test]
fn an_endpoint_takes_digests_where_it_names_them_and_no_passwords_for_them() {
    let office = office("");
    let mut worker = office.worker();
    let none = Refusal::UnsupportedSecurityToken;
    assert_eq!(worker.refused(at("/password", good())), none);
    assert_eq!(worker.refused(at("/digest", request("dora", SECRET))), none);
    assert_eq!(worker.refused(at("/both", request("alice", SECRET))), Refusal::FailedAuthentication);
    let doras = submission(made("dora", SECRET, Millis::now()));
    assert_eq!(worker.refused(at("/both", doras)), Refusal::FailedAuthentication);
    worker.vouched(at("/both", good()));
    worker.vouched(at("/both", request("dora", SECRET)));
}

#[test]
fn a_store_that_cannot_be_written_refuses_digests_and_charges_nobody() {
    let office = office("[throttle]\nuser_burst = 1\nuser_per_minute = 1");
    let mut worker = office.worker();
    let pid = office.auth().pid().to_string();
    let may_grow_to = |octets: &str| {
        let soft = format!("--fsize={octets}:");
        assert!(Command::new("prlimit").args(["--pid", &pid, &soft]).status().unwrap().success());
    };
    may_grow_to("1");
    for _ in 0..3 {
        assert_eq!(worker.refused(good()), Refusal::Busy { retry_after_s: 2 });
    }
    may_grow_to("100000000");
    eventually("a digest is taken", || matches!(worker.ask(good()), AuthToWorker::Vouched(_)).then_some(()));
}

#[test]
fn every_digest_is_counted_by_what_became_of_it() {
    let office = office("[throttle]\nuser_burst = 1\nuser_per_minute = 1");
    let mut worker = office.worker();
    worker.vouched(good());
    for _ in 0..3 {
        worker.refused(submission(made("bob", "wrong", Millis::now())));
    }
    let labels = ["accepted", "refused", "throttled", "busy"].map(|outcome| format!("digest-{outcome}"));
    let labels = labels.each_ref().map(String::as_str);
    let found = office.counted("chancery_authentications_total", labels);
    assert_eq!(found, ["1", "1", "2", "0"]);
}
