//! A store in a real database: two of them are one, what was answered outlives the server, and a server that is gone,
//! hangs, is full, forgets or is not ours has no answer and is not waited for.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery::auth::store::Down;
use chancery::config::auth::password::{Password, password};
use chancery::config::auth::store::postgresql::PostgreSql;
use chancery::wire::Millis;
use nix::sched::{CloneFlags, unshare};
use rustls_pki_types::ServerName;

use crate::house::{HOST, House, KIND, in_an_hour, rules, value};
use crate::race::race;
use crate::run;
use crate::support::authority::Authority;
use crate::support::postgres::{Postgres, installed};
use crate::support::processes::eventually;

const ROWS: u64 = 1_000_000;

/// A server with a database of ours.
fn started() -> (Postgres, Authority) {
    let authority = Authority::new();
    (Postgres::start(HOST, &authority), authority)
}

/// Was it seen? Asked until there is an answer.
fn seen(house: &House, number: u32) -> bool {
    eventually("an answer", || house.ask(number, in_an_hour()).ok().map(|new| !new))
}

/// All at once, and each is new.
fn use_up(house: &House, numbers: std::ops::Range<u32>, expires: Millis) {
    let ask = |number| {
        let store = house.store.clone();
        house.runtime.spawn(async move { store.first_seen(KIND, &value(number), expires).await })
    };
    let asked: Vec<_> = numbers.map(ask).collect();
    asked.into_iter().for_each(|asked| assert_eq!(house.runtime.block_on(asked).unwrap(), Ok(true)));
}

#[track_caller]
fn down_at_once(house: &House, number: u32) {
    let begun = Instant::now();
    assert_eq!(house.ask(number, in_an_hour()), Err(Down));
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}

/// It says that it is down, and nobody waits for it.
fn falls(house: &House, first: u32) {
    let mut number = first;
    eventually("the store is down", || {
        number += 1;
        let begun = Instant::now();
        let answer = house.ask(number, in_an_hour());
        assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
        answer.is_err().then_some(())
    });
    eventually("it says so", || (!house.store.up()).then_some(()));
}

fn rises(house: &House) {
    eventually("the store is up", || house.store.up().then_some(()));
}

fn stay_down(houses: &[&House]) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2200) {
        assert!(houses.iter().all(|house| !house.store.up()));
        std::thread::sleep(Duration::from_millis(5));
    }
    houses.iter().for_each(|house| down_at_once(house, 9_999_999));
}

fn stays_down(house: &House) {
    stay_down(&[house]);
}

/// R-W080, over two appliances. What both removed and made is counted once.
#[test]
fn two_nodes_that_race_are_one_store() {
    if !installed("two-nodes") {
        return;
    }
    let (server, authority) = started();
    let open = || House::shared(&[&server], &authority, ROWS);
    let (one, other) = (open(), open());
    server.sql(
        "chancery",
        "INSERT INTO chancery.first_seen SELECT sha256(i::text::bytea), i FROM generate_series(1, 9000) i;
         SELECT chancery.recount()",
    );
    race(&[&one, &other]);
    assert_eq!(one.outcomes("down") + other.outcomes("down"), 0);
    assert_eq!(
        (one.outcomes("new") + other.outcomes("new"), one.outcomes("seen") + other.outcomes("seen")),
        (2000, 30_000)
    );
    eventually("both forget what is over", || {
        let rows = server.sql("chancery", "SELECT count(*) FROM chancery.first_seen");
        (rows == "2000").then_some(())
    });
    let counted = || server.sql("chancery", "SELECT sum(counted) FROM chancery.room");
    assert_eq!(counted(), "2000");
    eventually("both know how many there are", || {
        [&one, &other].iter().all(|house| house.measures.rows.get() == 2000).then_some(())
    });
}

/// Also where they are in one transaction, with room for more and without.
#[test]
fn of_many_who_ask_at_one_node_at_one_time_one_wins() {
    if !installed("one-batch") {
        return;
    }
    let (server, authority) = started();
    for (most, new) in [(ROWS, 200), (1000, 200), (100, 100)] {
        let house = House::shared(&[&server], &authority, most);
        let asked: Vec<_> = (0..2000)
            .map(|number| {
                let store = house.store.clone();
                house.runtime.spawn(async move { store.first_seen(KIND, &value(number % 200), in_an_hour()).await })
            })
            .collect();
        let answers = asked.into_iter().map(|asked| house.runtime.block_on(asked).unwrap());
        assert_eq!(answers.filter(|answer| *answer == Ok(true)).count(), new, "{most}");
        let rows = "SELECT (SELECT count(*) FROM chancery.first_seen), (SELECT sum(counted) FROM chancery.room)";
        assert_eq!(server.sql("chancery", rows), format!("{new}|{new}"));
        server.sql("chancery", "DELETE FROM chancery.first_seen; SELECT chancery.recount()");
    }
}

/// A session that made its plans while there was nothing has to do with them when there is much.
#[test]
fn no_question_reads_the_whole_table() {
    if !installed("plans") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    let some = |numbers: std::ops::Range<u32>| {
        numbers.for_each(|number| assert_eq!(house.ask(number, in_an_hour()), Ok(true)));
    };
    some(0..20);
    server.sql("postgres", "ALTER SYSTEM SET autovacuum = off");
    server.sql("postgres", "SELECT pg_reload_conf()");
    let much = "INSERT INTO chancery.first_seen SELECT sha256(i::text::bytea), 9e15 FROM generate_series(1, 20000) i";
    server.sql("chancery", much);
    let read = || {
        // What a session did is known a second after.
        std::thread::sleep(Duration::from_millis(2500));
        // Nor the whole of an index: few are over, and fewer than would be removed at one go.
        let read =
            "SELECT seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'first_seen')
                    FROM pg_stat_user_tables WHERE relname = 'first_seen'";
        server.sql("chancery", read).parse::<u64>().unwrap()
    };
    let before = read();
    some(20..60);
    assert!(read() - before < 20_000);
}

/// A start refuses nobody: whoever asks before there is a connection waits for it.
#[test]
fn the_first_question_is_answered_where_there_is_a_server() {
    if !installed("first") {
        return;
    }
    let (server, authority) = started();
    for number in 0..10 {
        let house = House::with(rules(&[&server], &authority), ROWS);
        assert_eq!(house.ask(number, in_an_hour()), Ok(true), "{number}");
    }
}

/// How full it is, is how full all of them made it.
#[test]
fn what_one_node_fills_is_full_for_the_other() {
    if !installed("fills") {
        return;
    }
    let (server, authority) = started();
    let open = || House::shared(&[&server], &authority, 1000);
    let (one, other) = (open(), open());
    for number in 0..1000 {
        let house = if number % 3 == 0 { &other } else { &one };
        assert_eq!(house.ask(number, in_an_hour()), Ok(true), "{number}");
    }
    assert_eq!((one.ask(1000, in_an_hour()), other.ask(1001, in_an_hour())), (Err(Down), Err(Down)));
    assert_eq!((one.outcomes("full"), other.outcomes("full")), (1, 1));
    assert_eq!((one.ask(0, in_an_hour()), other.ask(1, in_an_hour())), (Ok(false), Ok(false)));
}

/// Eight clients use up values until the server is gone; what they were told is new.
fn until_killed(house: &House, kill: impl FnOnce()) -> Vec<u32> {
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let store = house.store.clone();
            house.runtime.spawn(async move {
                let mut new = Vec::new();
                for step in 0.. {
                    let number = client + step * 8;
                    match store.first_seen(KIND, &value(number), in_an_hour()).await {
                        Ok(true) => new.push(number),
                        Ok(false) => panic!("{number} was never asked about"),
                        Err(Down) => break,
                    }
                }
                new
            })
        })
        .collect();
    eventually("enough is answered", || (house.outcomes("new") > 1500).then_some(()));
    kill();
    clients.into_iter().flat_map(|client| house.runtime.block_on(client).unwrap()).collect()
}

#[test]
fn what_was_answered_outlives_a_server_that_is_killed() {
    if !installed("killed") {
        return;
    }
    let (mut server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    let new = until_killed(&house, || server.kill());
    falls(&house, 1_000_000);
    down_at_once(&house, 2_000_000);
    server.again();
    rises(&house);
    assert!(new.len() > 1500);
    for number in new {
        assert!(seen(&house, number), "{number}");
    }
    assert_eq!(house.ask(3_000_000, in_an_hour()), Ok(true));
}

/// The standby stands first, and is passed over until it is the primary. What the first primary answered it has.
#[test]
fn a_standby_is_nobody_to_ask_until_it_takes_over_and_then_knows_all_that_was_answered() {
    if !installed("standby") {
        return;
    }
    let (mut primary, authority) = started();
    let standby = Postgres::standby("db2.corp.test", &authority, &primary);
    let careful = House::with(rules(&[&standby, &primary], &authority), ROWS);
    // The primary would answer before the standby has it.
    stays_down(&careful);
    primary.set("synchronous_standby_names = '*'");
    rises(&careful);
    let new = until_killed(&careful, || primary.kill());
    falls(&careful, 1_000_000);
    stays_down(&careful);
    standby.promote();
    let late = House::with(PostgreSql { standbys: false, ..rules(&[&primary, &standby], &authority) }, ROWS);
    rises(&late);
    for number in new {
        assert!(seen(&late, number), "{number}");
    }
    // Alone, the new primary may be the next to be lost.
    stays_down(&careful);
}

#[test]
fn an_answer_that_no_standby_confirms_is_none() {
    if !installed("unconfirmed") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    server.set("synchronous_standby_names = 'nobody'");
    falls(&house, 0);
    stays_down(&house);
    server.set("synchronous_standby_names = ''");
    rises(&house);
    // Each was either answered as new or may have been remembered; none is new to two.
    assert!(seen(&house, 1));
}

/// Its administrator may cancel the wait for a standby: the server says then that it has committed, as it would have.
#[test]
fn an_answer_whose_wait_for_a_standby_is_cancelled_is_none() {
    if !installed("cancelled") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    assert!(!seen(&house, 1));
    server.set("synchronous_standby_names = 'nobody'");
    let waits = "FROM pg_stat_activity WHERE usename = 'chancery' AND wait_event = 'SyncRep'";
    let (mut number, mut cancelled) = (1_000, 0);
    eventually("three waits are cancelled", || {
        number += 1;
        let store = house.store.clone();
        let asked = house.runtime.spawn(async move { store.first_seen(KIND, &value(number), in_an_hour()).await });
        // Before the question is given up, which ends the session.
        let begun = Instant::now();
        while !asked.is_finished() && begun.elapsed() < Duration::from_millis(400) {
            let told = server.sql("postgres", &format!("SELECT count(pg_cancel_backend(pid)) {waits}"));
            cancelled += told.parse::<u32>().expect("a number");
        }
        assert_eq!(house.runtime.block_on(asked).expect("it ends"), Err(Down));
        (cancelled >= 3).then_some(())
    });
    server.set("synchronous_standby_names = ''");
    rises(&house);
}

#[test]
fn a_server_that_hangs_is_given_up_in_time_and_nobody_waits_for_it_after_that() {
    if !installed("hangs") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    assert_eq!(house.ask(1, in_an_hour()), Ok(true));
    server.freeze(true);
    let begun = Instant::now();
    let asked: Vec<_> = (100..3100)
        .map(|number| {
            let store = house.store.clone();
            house.runtime.spawn(async move { store.first_seen(KIND, &value(number), in_an_hour()).await })
        })
        .collect();
    for answer in asked {
        assert_eq!(house.runtime.block_on(answer).unwrap(), Err(Down));
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    stays_down(&house);
    server.freeze(false);
    rises(&house);
    assert!(seen(&house, 1));
    assert_eq!(house.ask(5000, in_an_hour()), Ok(true));
    // To end it takes no longer, whatever the server does.
    server.freeze(true);
    let begun = Instant::now();
    drop(house);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    server.freeze(false);
}

#[test]
fn a_server_that_writes_nothing_or_would_forget_is_none_until_that_is_over() {
    if !installed("unfit") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    assert_eq!(house.ask(1, in_an_hour()), Ok(true));
    let of_database = |what: &str| {
        server.sql("postgres", &format!("ALTER DATABASE chancery {what}"));
        server.hang_up();
    };
    of_database("SET default_transaction_read_only = on");
    falls(&house, 100);
    stays_down(&house);
    of_database("RESET default_transaction_read_only");
    rises(&house);

    // What a role or a database says of it, we say otherwise.
    of_database("SET synchronous_commit = off");
    rises(&house);
    assert!(eventually("an answer", || house.ask(200, in_an_hour()).ok()));

    server.set("fsync = off");
    falls(&house, 300);
    stays_down(&house);
    server.set("fsync = on");
    rises(&house);

    let version = |number: u32| {
        let function = "CREATE OR REPLACE FUNCTION chancery.store_version() RETURNS integer LANGUAGE sql IMMUTABLE AS";
        server.sql("chancery", &format!("{function} 'SELECT {number}'"));
        server.hang_up();
    };
    version(3);
    falls(&house, 400);
    stays_down(&house);
    version(2);
    rises(&house);

    // A backup of it is no store that forgot: it has no schema, until somebody makes one.
    server.sql("chancery", "ALTER SCHEMA chancery RENAME TO elsewhere");
    falls(&house, 500);
    stays_down(&house);
    server.sql("chancery", "ALTER SCHEMA elsewhere RENAME TO chancery");
    rises(&house);
    assert!(seen(&house, 1));
}

/// Whoever rules the database can say what he likes, but not make auth take for an answer what is none.
#[test]
fn an_answer_that_means_nothing_is_none() {
    if !installed("nonsense") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    server.sql("chancery", "ALTER FUNCTION chancery.first_seen RENAME TO real");
    let now = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let answers = [
        ("'{}'", now, false),
        ("'{0,0}'", now, false),
        ("'{7}'", now, false),
        ("'{-1}'", now, false),
        ("'{NULL}'", now, false),
        ("NULL", now, false),
        ("'{0}'", "NULL", false),
        ("'{0}'", "0", false),
        ("'{0}'", "9223372036854775807", false),
        ("'{0}'", "-9223372036854775808", false),
        ("'{0}'", now, true),
    ];
    for (number, (verdicts, now, taken)) in (0..).zip(answers) {
        let function = format!(
            "CREATE OR REPLACE FUNCTION chancery.first_seen(bytea[], bigint[], bigint[], boolean,
                 OUT verdicts smallint[], OUT now_ms bigint, OUT held bigint) LANGUAGE plpgsql AS
             $$ BEGIN verdicts := {verdicts}; now_ms := {now}; held := -5; END $$;
             GRANT EXECUTE ON FUNCTION chancery.first_seen TO chancery"
        );
        server.sql("chancery", &function);
        let expected = if taken { Ok(true) } else { Err(Down) };
        for _ in 0..2 {
            rises(&house);
            assert_eq!(house.ask(number, in_an_hour()), expected, "{verdicts} {now}");
        }
    }
}

#[test]
fn a_database_that_is_full_refuses_until_there_is_room() {
    if !installed("disk") {
        return;
    }
    if !nix::unistd::geteuid().is_root() || unshare(CloneFlags::CLONE_NEWNS).is_err() {
        println!("SKIPPED store-disk: no mount namespace for us");
        return;
    }
    run("mount", &["--make-rprivate", "/"]);
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().to_str().unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", directory]);
    Postgres::lend(root.path());
    let (server, authority) = started();
    server.sql("chancery", &format!("CREATE TABLESPACE small LOCATION '{directory}'"));
    server.sql("chancery", "ALTER TABLE chancery.first_seen SET TABLESPACE small");
    for index in ["first_seen_pkey", "first_seen_by_expiry"] {
        server.sql("chancery", &format!("ALTER INDEX chancery.{index} SET TABLESPACE small"));
    }
    let house = House::shared(&[&server], &authority, ROWS);
    let mut filled = 0;
    while house.ask(filled, in_an_hour()) == Ok(true) {
        filled += 1;
        assert!(filled < 100_000, "nothing ever refused");
    }
    for _ in 0..20 {
        assert_eq!(house.ask(filled, in_an_hour()), Err(Down));
        std::thread::sleep(Duration::from_millis(100));
    }
    run("mount", &["-o", "remount,size=64m", directory]);
    eventually("there is room", || house.ask(filled + 1, in_an_hour()).ok().filter(|new| *new));
    for number in 0..filled {
        assert!(seen(&house, number), "{number}");
    }
    drop((house, server));
    run("umount", &[directory]);
}

/// Who took over auth can make nobody forget.
#[test]
fn the_role_of_auth_can_read_nothing_and_remove_nothing_that_is_valid() {
    if !installed("rights") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    assert_eq!(house.ask(1, in_an_hour()), Ok(true));
    for text in [
        "SELECT * FROM chancery.first_seen",
        "DELETE FROM chancery.first_seen",
        "TRUNCATE chancery.first_seen",
        "INSERT INTO chancery.first_seen VALUES (sha256('x'), 1)",
        "UPDATE chancery.first_seen SET expires = 0",
        "UPDATE chancery.room SET counted = 0",
        "SELECT chancery.recount()",
        "SELECT chancery.durable(false)",
        "DROP FUNCTION chancery.store_version()",
        "ALTER FUNCTION chancery.store_version() RESET ALL",
        "CREATE TABLE chancery.mine ()",
        "CREATE TEMP TABLE first_seen ()",
        "SET ROLE chancery_owner",
    ] {
        let refused = server.as_auth(text).expect_err(text);
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{text}: {refused}");
    }
    for text in [
        "SELECT chancery.forget(true, 1000000, false)",
        "SELECT chancery.forget(true, -1, false)",
        "SELECT chancery.first_seen(array[sha256('x')], array[0], array[1], false)",
        "SET search_path = pg_temp, chancery; SELECT chancery.forget(true, 1000, false)",
    ] {
        server.as_auth(text).expect(text);
    }
    let unsure = "SET synchronous_commit = off; SELECT chancery.forget(false, 1, false)";
    assert!(server.as_auth(unsure).unwrap_err().contains("synchronous_commit is off"));
    assert_eq!(house.ask(1, in_an_hour()), Ok(false));
}

/// Whoever has taken over auth fills it for no longer.
#[test]
fn nothing_is_kept_for_longer_than_a_week_whatever_is_asked() {
    if !installed("a-week") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    let hours = |hours: i64| Millis::now().plus(hours * 3_600_000);
    for (number, until) in [(1, hours(47)), (2, hours(169)), (3, Millis(i64::MAX))] {
        assert_eq!(house.ask(number, until), Ok(true), "{number}");
    }
    let left = "SELECT string_agg(hours::text, ' ' ORDER BY hours) FROM (SELECT
        round((expires - extract(epoch FROM clock_timestamp()) * 1000) / 3600000)::int AS hours FROM chancery.first_seen) x";
    assert_eq!(server.sql("chancery", left), "47 168 168");
}

/// Answers whoever connects so, and is silent then.
fn stranger(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let _asked = stream.read(&mut [0; 8]);
            let _gone = stream.write_all(answer);
            kept.push(stream);
        }
    });
    port
}

#[test]
fn whoever_is_not_the_server_or_does_not_make_us_prove_ourselves_has_no_answer() {
    if !installed("strangers") {
        return;
    }
    let (server, authority) = started();
    let good = || rules(&[&server], &authority);
    let mut others = vec![
        PostgreSql { password: Password::Read(password(b"wrong").unwrap()), ..good() },
        PostgreSql { user: "postgres".to_owned(), ..good() },
        PostgreSql { database: "postgres".to_owned(), ..good() },
        rules(&[&server], &Authority::new()),
    ];
    let mut misnamed = good();
    misnamed.servers[0].name = ServerName::try_from("db2.corp.test").unwrap();
    others.push(misnamed);
    for answer in [&b"N"[..], b"", b"S", b"SR\0\0\0\x08\0\0\0\0", b"E\0\0\0\x0bSFATAL\0\0", &[b'S'; 4096]] {
        let mut strange = good();
        strange.servers[0].address.set_port(stranger(answer));
        others.push(strange);
    }
    let others: Vec<House> = others.into_iter().map(|rules| House::with(rules, ROWS)).collect();
    stay_down(&others.iter().collect::<Vec<_>>());
    let house = House::with(good(), ROWS);
    rises(&house);

    // A server that asks for no proof, or for the password itself, may be anybody who has a certificate.
    for method in ["trust", "password"] {
        server.admit(&format!("local all postgres trust\nhostssl all chancery 127.0.0.1/32 {method}\n"));
        server.hang_up();
        falls(&house, 100);
        stays_down(&house);
    }
    server.admit("local all postgres trust\nhostssl all chancery 127.0.0.1/32 scram-sha-256\n");
    server.hang_up();
    rises(&house);
    assert_eq!(house.ask(1, in_an_hour()), Ok(true));
}

/// What was forgotten by a clock that was ahead could be used again when it is set right.
#[test]
fn a_server_whose_clock_is_behind_what_it_forgot_answers_nobody() {
    if !installed("behind") {
        return;
    }
    let (server, authority) = started();
    let house = House::shared(&[&server], &authority, ROWS);
    assert_eq!(house.ask(1, in_an_hour()), Ok(true));
    assert_eq!(house.ask(2, Millis(5_000)), Ok(true), "it was over in 1970");
    let forgotten = || server.sql("chancery", "SELECT max(forgotten) FROM chancery.room");
    eventually("it is forgotten, and that is remembered", || (forgotten().trim() == "7000").then_some(()));
    let at = |ms: &str| {
        let set = format!("UPDATE chancery.room SET forgotten = {ms} WHERE slot = 3");
        server.sql("chancery", &set);
    };
    at("extract(epoch FROM clock_timestamp()) * 1000 + 600000");
    falls(&house, 3);
    stays_down(&house);
    at("0");
    rises(&house);
    assert_eq!(house.ask(1, in_an_hour()), Ok(false));
}

/// Rows are over by the server's clock, two seconds late; and questions of many at one time about values that are
/// over have one winner each as well.
#[test]
fn of_many_who_ask_again_about_what_is_over_one_wins() {
    if !installed("over-again") {
        return;
    }
    let (server, authority) = started();
    // With room for more, and without.
    for most in [ROWS, 1000] {
        over_again(&server, &authority, most);
        server.sql("chancery", "DELETE FROM chancery.first_seen; SELECT chancery.recount()");
    }
}

fn over_again(server: &Postgres, authority: &Authority, most: u64) {
    let open = || House::shared(&[server], authority, most);
    let houses = [open(), open()];
    let soon = Millis::now().plus(1000);
    use_up(&houses[0], 0..500, soon);
    use_up(&houses[1], 1000..1500, in_an_hour());
    // It is over two seconds late: a node whose clock is behind by less would take it still.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(houses[1].ask(0, in_an_hour()), Ok(false));
    std::thread::sleep(Duration::from_millis(2000));
    let won = Arc::new(std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for client in 0..8_u32 {
            let (house, won) = (&houses[client as usize % 2], won.clone());
            scope.spawn(move || {
                for step in 0..500 {
                    let number = if client % 2 == 0 { step } else { 499 - step };
                    if house.ask(number, in_an_hour()).unwrap() {
                        won.lock().unwrap().push(number);
                    }
                }
            });
        }
    });
    let mut won = won.lock().unwrap().clone();
    won.sort_unstable();
    assert_eq!(won, (0..500).collect::<Vec<u32>>());
}
