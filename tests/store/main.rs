//! The store of auth on real files and in a real database, by its answers: who asks at the same time, what a kill
//! leaves, what a full store and a full disk refuse; and the real auth, which has one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support"]
mod support {
    pub(crate) mod authority;
    pub(crate) mod digested;
    #[expect(dead_code, reason = "shared with tests/auth.rs, which uses all of it")]
    pub(crate) mod office;
    pub(crate) mod postgres;
    pub(crate) mod processes;
}

mod database;
mod house;
mod offices;
mod race;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chancery::auth::store::{Down, Store};
use chancery::config::auth::{StorePlace, StoreRules};
use chancery::sys::places::Place;
use chancery::wire::Millis;
use house::{House, KIND, both, in_an_hour, value};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use race::race;
use support::processes::{Daemon, eventually, listener};

/// R-W080.
#[test]
fn of_sixteen_clients_that_race_two_thousand_keys_exactly_one_wins_each() {
    both("race", 1_000_000, |house| {
        race(&[house]);
        assert_eq!((house.outcomes("new"), house.outcomes("seen"), house.outcomes("down")), (2000, 30_000, 0));
    });
}

#[test]
fn questions_asked_together_share_a_transaction_and_one_asked_alone_does_not_wait() {
    both("together", 1_000_000, |house| {
        for number in 0..20 {
            assert_eq!(house.ask(number, in_an_hour()), Ok(true));
            assert_eq!(house.measures.commits.get(), u64::from(number) + 1);
        }
        let store = house.store.clone();
        house.runtime.block_on(async move {
            let asked: Vec<_> = (100..3100)
                .map(|number| {
                    let store = store.clone();
                    tokio::spawn(async move { store.first_seen(KIND, &value(number), in_an_hour()).await })
                })
                .collect();
            for answer in asked {
                assert_eq!(answer.await.unwrap(), Ok(true));
            }
        });
        let commits = house.measures.commits.get() - 20;
        assert!((3000_u64.div_ceil(512)..=600).contains(&commits), "{commits} transactions for 3000 questions");
    });
}

#[test]
fn a_value_is_accepted_again_when_its_time_is_over() {
    both("over", 1_000_000, |house| {
        let soon = Millis::now().plus(700);
        assert_eq!(house.ask(1, soon), Ok(true));
        let mut refused = 0;
        eventually("the value is accepted again", || {
            let again = house.ask(1, in_an_hour()).unwrap();
            refused += u32::from(!again);
            again.then(|| assert!(Millis::now() >= soon))
        });
        assert!(refused > 0);
        assert_eq!(house.ask(1, in_an_hour()), Ok(false));
    });
}

#[test]
fn a_full_store_refuses_what_is_new_until_something_is_over() {
    both("full", 10, |house| {
        let soon = Millis::now().plus(1500);
        for number in 0..10 {
            assert_eq!(house.ask(number, if number == 0 { soon } else { in_an_hour() }), Ok(true));
        }
        assert_eq!(house.ask(10, in_an_hour()), Err(Down));
        assert_eq!(house.outcomes("full"), 1);
        assert_eq!((house.ask(5, in_an_hour()), house.store.up()), (Ok(false), true));
        eventually("room", || house.ask(10, in_an_hour()).ok().map(|new| assert!(new && Millis::now() >= soon)));
        assert_eq!(house.ask(11, in_an_hour()), Err(Down));
        for number in 1..=10 {
            assert_eq!(house.ask(number, in_an_hour()), Ok(false));
        }
    });
}

/// This test again, as a process of its own; there, [`child_directory`] says where.
fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env("CHANCERY_TEST_STORE", directory);
    command
}

fn child_directory() -> Option<PathBuf> {
    std::env::var_os("CHANCERY_TEST_STORE").map(PathBuf::from)
}

#[test]
fn whatever_was_answered_before_a_kill_is_refused_after_it() {
    if let Some(directory) = child_directory() {
        return answer_without_end(&directory);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut answered: Vec<u32> = Vec::new();
    for kill in 1..=3 {
        let mut command = child("whatever_was_answered_before_a_kill_is_refused_after_it", directory.path());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let mut killed = false;
        while lines.read_line(&mut line).unwrap() > 0 {
            // What stands here whole was written after the answer.
            let number: Option<u32> =
                line.strip_suffix('\n').and_then(|line| line.strip_prefix("answered ")?.parse().ok());
            answered.extend(number);
            line.clear();
            if !killed && answered.len() >= kill * 2000 {
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "it ended by itself");
        child.wait().unwrap();
    }
    let house = House::open(directory.path(), 1_000_000);
    for number in &answered {
        assert_eq!(house.ask(*number, in_an_hour()), Ok(false), "{number}");
    }
    assert!(answered.len() >= 6000);
    assert_eq!(house.ask(u32::MAX, in_an_hour()), Ok(true), "it can tell what it never saw");
}

/// Sixteen clients that use up one value after another, and say so.
fn answer_without_end(directory: &Path) {
    let house = House::open(directory, 1_000_000);
    let base: u32 = std::process::id() << 10;
    let clients: Vec<_> = (0..16)
        .map(|client| {
            let store = house.store.clone();
            house.runtime.spawn(async move {
                for step in 0.. {
                    let number = base.wrapping_add(client).wrapping_add(step * 16);
                    // One of an earlier process may be among them.
                    if store.first_seen(KIND, &value(number), in_an_hour()).await.is_ok() {
                        println!("answered {number}");
                    }
                }
            })
        })
        .collect();
    house.runtime.block_on(async {
        for client in clients {
            client.await.unwrap();
        }
    });
}

/// Asks until it is refused, and says how many were new. Meanwhile nothing is new that was answered.
fn fill(house: &House) -> u32 {
    let mut number = 0;
    while house.ask(number, in_an_hour()) == Ok(true) {
        number += 1;
        assert!(number < 1_000_000, "nothing ever refused");
    }
    assert!(!house.store.up());
    assert_eq!(house.ask(number, in_an_hour()), Err(Down));
    number
}

fn recovered(house: &House, filled: u32) {
    // Nobody asks, and it finds out.
    eventually("the store is up", || house.store.up().then_some(()));
    assert!(filled > 10, "{filled}");
    for number in 0..filled {
        assert_eq!(house.ask(number, in_an_hour()), Ok(false), "{number}");
    }
    for number in filled + 1..filled + 2000 {
        assert_eq!(house.ask(number, in_an_hour()), Ok(true), "{number}");
    }
}

#[test]
fn a_file_that_may_not_grow_refuses_until_it_may() {
    if let Some(directory) = child_directory() {
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        let house = House::open(&directory, 1_000_000);
        setrlimit(Resource::RLIMIT_FSIZE, 400_000, hard).unwrap();
        let filled = fill(&house);
        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
        return recovered(&house, filled);
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = child("a_file_that_may_not_grow_refuses_until_it_may", directory.path());
    let status = child.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    if !nix::unistd::geteuid().is_root() || unshare(CloneFlags::CLONE_NEWNS).is_err() {
        println!("SKIPPED a_full_disk_refuses_until_there_is_room: no mount namespace for us");
        return;
    }
    // The namespace is this thread's and its children's alone.
    run("mount", &["--make-rprivate", "/"]);
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().to_str().unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", directory]);
    let house = House::open(root.path(), 1_000_000);
    let filled = fill(&house);
    // Who starts on a full disk waits for room as well.
    drop(house);
    let house = House::open(root.path(), 1_000_000);
    assert_eq!(house.ask(filled, in_an_hour()), Err(Down));
    run("mount", &["-o", "remount,size=64m", directory]);
    recovered(&house, filled);
    drop(house);
    run("umount", &[directory]);
}

fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program} {arguments:?}");
}

const USERS: &str = "[users.alice]\npassword = \
    '$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'\n";

#[test]
fn auth_holds_its_store_alone_forgets_behind_its_walls_and_closes_it() {
    let root = tempfile::tempdir().unwrap();
    let (run, configuration, directory) =
        (root.path().join("run"), root.path().join("etc/auth.d"), root.path().join("store"));
    for made in [&run, &configuration, &directory] {
        std::fs::create_dir_all(made).unwrap();
    }
    std::fs::write(configuration.join("auth.toml"), "[store]\ndirectory = \"../../store\"\n").unwrap();
    std::fs::write(configuration.join("users.toml"), USERS).unwrap();
    let house = House::open(&directory, 1_000_000);
    assert_eq!(house.ask(500, in_an_hour()), Ok(true));
    drop(house);
    let file = || rusqlite::Connection::open(directory.join("auth.sqlite")).unwrap();
    let over = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO first_seen SELECT randomblob(32), i FROM n";
    assert_eq!(file().execute(over, []).unwrap(), 500);

    let worker = listener(&run.join(Place::AuthWorker.file()));
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-auth"));
        Daemon::start(command.arg(root.path().join("etc")), &run, &[("worker", &worker)])
    };
    let auth = start().unwrap();
    let log = || std::fs::metadata(directory.join("auth.sqlite-wal")).unwrap().len();
    let length = log();
    let refused =
        Store::open(&StoreRules { place: StorePlace::Sqlite(directory.clone()), most_rows: 1 }, None).map(drop);
    assert!(refused.unwrap_err().to_string().contains("another process uses it"));
    assert_eq!(start().unwrap_err().code(), Some(1), "a second auth on the same file");
    eventually("rows are removed", || (log() != length).then_some(()));
    let begun = Instant::now();
    assert_eq!(auth.end(Signal::SIGTERM).code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let rows = file().query_row("SELECT count(*) FROM first_seen", [], |row| row.get::<_, u32>(0));
    assert_eq!(rows.unwrap(), 1);
    assert_eq!(House::open(&directory, 1_000_000).ask(500, in_an_hour()), Ok(false));
}
