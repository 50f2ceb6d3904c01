//! The real auth, locked down, with its store in a real database: two of them refuse what one of them took, also after
//! a kill, and a store that is away is told to the client as such.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chancery::wire::evidence::{Evidence, Refusal, Submission};
use chancery::wire::links::{AuthToAudit, AuthToWorker};
use chancery::wire::record::AuthEntry;
use chancery::wire::{Millis, Text};
use nix::sys::signal::{Signal, kill};

use crate::house::HOST;
use crate::support::authority::{Authority, free_port};
use crate::support::digested::{made, over};
use crate::support::office::{Office, Worker, request};
use crate::support::postgres::{PASSWORD, Postgres, installed};
use crate::support::processes::eventually;

const SECRET: &str = "a secret of some length";
const USERS: &str = "[users.alice]\ndigest_secret = \"a secret of some length\"\n";
const PARTY: &str = "applies_to = ['urn:office']\ntoken_types = ['saml20']\n\
                     policy = 'permit(principal, action, resource);'\n";
/// What proves auth to the database.
const FILE: &str = "password_file = 'store.password'";

/// `auth.toml` with the store at that server.
fn auth(server: &str, password: &str) -> String {
    format!(
        "[store.postgresql]\nservers = [{server}]\nanchors = ['corp.pem']\ndatabase = 'chancery'\nuser = 'chancery'\n\
         {password}\n[[endpoint]]\npath = '/digest'\ncredentials = ['digest']\n\
         [throttle]\nuser_burst = 100000\nuser_per_minute = 100000\n\
         address_burst = 100000\naddress_per_minute = 100000\n"
    )
}

fn office(clock_shift: i64, authority: &Authority, auth: &str) -> Office {
    let files = [
        ("corp.pem", authority.pem.as_str()),
        ("store.password", PASSWORD),
        ("../../credentials/store", "keep and tell\n"),
    ];
    Office::at(clock_shift, auth, USERS, PARTY, &files)
}

fn digest(nonce: [u8; 16], created: &str) -> Submission {
    let evidence = Evidence::Digest(over("alice", SECRET, &nonce, created));
    Submission { evidence, endpoint: Text::new("/digest").unwrap(), ..request("", "") }
}

fn fresh() -> Submission {
    let evidence = Evidence::Digest(made("alice", SECRET, Millis::now()));
    Submission { evidence, endpoint: Text::new("/digest").unwrap(), ..request("", "") }
}

fn now() -> String {
    chancery::trust::instant::format(Millis::now())
}

/// Some digest, until the store has an answer: what came of it.
fn answered(worker: &mut Worker, ask: impl Fn() -> Submission) -> AuthToWorker {
    eventually("the store answers", || match worker.ask(ask()) {
        AuthToWorker::Refused(refused) if matches!(refused.refusal, Refusal::Busy { .. }) => {
            std::thread::sleep(Duration::from_millis(20));
            None
        }
        answer => Some(answer),
    })
}

fn vouched(worker: &mut Worker) {
    assert!(matches!(answered(worker, fresh), AuthToWorker::Vouched(_)));
}

#[track_caller]
fn busy(worker: &mut Worker) {
    let refusal = worker.refused(fresh());
    assert!(matches!(refusal, Refusal::Busy { .. }), "{refusal:?}");
}

/// R-W080: of two appliances that hear the same message at one time, one takes it.
#[test]
fn of_two_auths_that_share_a_database_one_takes_each_digest_and_neither_after_a_kill() {
    if !installed("two-auths") {
        return;
    }
    const EACH: u32 = 400;
    let authority = Authority::new();
    let mut server = Postgres::start(HOST, &authority);
    let auth = auth(&server.entry(), FILE);
    let mut offices = [office(0, &authority, &auth), office(0, &authority, &auth)];
    let mut workers = [offices[0].worker(), offices[1].worker()];
    workers.iter_mut().for_each(vouched);
    let (created, nonce) = (now(), |number: u32| {
        let mut nonce = [7; 16];
        nonce[..4].copy_from_slice(&number.to_be_bytes());
        nonce
    });
    let mut asked = Vec::new();
    // One goes up and the other down.
    for step in 0..EACH {
        for (index, number) in [(0, step), (1, EACH - 1 - step)] {
            let submission = digest(nonce(number), &created);
            asked.push((number, index, submission.correlation));
            workers[index].submit(submission);
        }
    }
    let (mut winners, mut wins): (HashMap<u32, u32>, [u32; 2]) = (HashMap::new(), [0; 2]);
    for (number, index, correlation) in asked {
        match workers[index].answer(correlation) {
            AuthToWorker::Vouched(_) => {
                *winners.entry(number).or_default() += 1;
                wins[index] += 1;
            }
            AuthToWorker::Refused(refused) => assert_eq!(refused.refusal, Refusal::InvalidSecurity),
            AuthToWorker::Opened(_)
            | AuthToWorker::Sealed(_)
            | AuthToWorker::SealedFor(_)
            | AuthToWorker::Negotiated(_) => panic!("opened"),
        }
    }
    assert!((0..EACH).all(|number| winners.get(&number) == Some(&1)), "{winners:?}");
    assert!(wins.iter().all(|count| *count > 0), "no race: {wins:?}");

    // All three are killed, and start again.
    server.kill();
    for office in &mut offices {
        kill(office.auth().pid(), Signal::SIGKILL).unwrap();
        office.start();
    }
    server.again();
    for office in &offices {
        let mut worker = office.worker();
        for number in 0..EACH {
            let AuthToWorker::Refused(refused) = answered(&mut worker, || digest(nonce(number), &created)) else {
                panic!("{number} is taken once more");
            };
            assert_eq!(refused.refusal, Refusal::InvalidSecurity, "{number}");
        }
        vouched(&mut worker);
    }
}

#[test]
fn without_its_database_auth_starts_refuses_as_busy_and_comes_back_by_itself() {
    if !installed("away") {
        return;
    }
    let authority = Authority::new();
    let mut server = Postgres::start(HOST, &authority);
    server.kill();
    let office = office(0, &authority, &auth(&server.entry(), "password_credential = 'store'"));
    let mut worker = office.worker();
    busy(&mut worker);
    for pass in 0..2 {
        server.again();
        vouched(&mut worker);
        if pass == 0 {
            server.kill();
        } else {
            server.freeze(true);
        }
        for _ in 0..8 {
            let begun = Instant::now();
            busy(&mut worker);
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        }
    }
    server.freeze(false);
    vouched(&mut worker);
    let said = office.audit.said.lock().unwrap();
    let no_store = |message: &AuthToAudit| match message {
        AuthToAudit::Append { entry: AuthEntry::Refusals { reason, .. }, .. } => reason.to_string() == "no-store",
        AuthToAudit::Append { entry: AuthEntry::Decision(decision, _), .. } => {
            !decision.allowed && decision.reason.to_string() == "no-store"
        }
        AuthToAudit::Append { .. } => false,
    };
    assert!(said.iter().any(no_store));
}

/// Rows are over by the server's clock, and what is asked about them is judged by ours.
#[test]
fn an_auth_whose_clock_is_not_the_servers_takes_no_answer_from_it() {
    if !installed("clock") {
        return;
    }
    let authority = Authority::new();
    let server = Postgres::start(HOST, &authority);
    for (shift, takes) in [(1_000, true), (-1_000, true), (3_500, false), (-3_500, false)] {
        let office = office(shift, &authority, &auth(&server.entry(), FILE));
        let mut worker = office.worker();
        if takes {
            vouched(&mut worker);
        } else {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(3) {
                busy(&mut worker);
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

#[test]
fn a_reload_leaves_the_store_and_gains_no_port() {
    if !installed("reload") {
        return;
    }
    let authority = Authority::new();
    let server = Postgres::start(HOST, &authority);
    let good = auth(&server.entry(), FILE);
    let office = office(0, &authority, &good);
    let mut worker = office.worker();
    vouched(&mut worker);
    let knows_bob = |worker: &mut Worker| {
        let evidence = Evidence::Digest(made("bob", &format!("{SECRET} of bob"), Millis::now()));
        let asked = Submission { evidence, endpoint: Text::new("/digest").unwrap(), ..request("", "") };
        matches!(worker.ask(asked), AuthToWorker::Vouched(_))
    };
    let reload = |auth: &str| {
        office.write("auth.toml", auth);
        kill(office.auth().pid(), Signal::SIGHUP).unwrap();
        std::thread::sleep(Duration::from_secs(1));
    };
    office.write("users.toml", &format!("{USERS}[users.bob]\ndigest_secret = \"{SECRET} of bob\"\n"));
    // Another port is one too many, with all that comes with it.
    let elsewhere = format!("{{ host = '{HOST}', address = '127.0.0.1:{}' }}", free_port());
    reload(&auth(&elsewhere, FILE));
    assert!(!knows_bob(&mut worker));
    vouched(&mut worker);
    // Another database behind the same one is taken note of, and changes nothing before a restart.
    reload(&good.replace("database = 'chancery'", "database = 'other'"));
    assert!(knows_bob(&mut worker));
    vouched(&mut worker);
}
