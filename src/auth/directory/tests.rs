//! A directory whose servers do what they should not: hang, hang up, answer out of turn or with words of their own.
//! `tests/directory.rs` has those that do what they should.

mod scripted;

use std::net::Ipv4Addr;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use self::scripted::{Asked, Authority, Does, Scripted, bound, entry, page, result};
use super::super::password::Counters;
use super::super::pool::Pool;
use super::*;
use crate::metrics::Metrics;

/// Who searches, and the password of everybody else.
const OURS: &str = "cn=chancery,dc=corp";
const RIGHT: &str = "right";
/// How long answers are waited for, where a test does not say.
const PATIENCE: &str = "operation_timeout_ms = 400\n";

/// A directory with these servers, and what it takes to ask it.
struct House {
    config: Auth,
    passwords: Passwords,
    directory: Directory,
    _tree: tempfile::TempDir,
}

impl House {
    /// `more` stands in the directory's table, `after` behind it.
    fn open(authority: &Authority, servers: &[&Scripted], more: &str, after: &str) -> Self {
        let tree = tempfile::tempdir().unwrap();
        let at = |file: &str| tree.path().join("auth.d").join(file);
        std::fs::create_dir_all(at("relying-parties")).unwrap();
        let entry = |server: &&Scripted| {
            format!("{{ host = 'ldap.corp.test', address = '127.0.0.1:{}', tls = 'ldaps' }}", server.port)
        };
        let servers: Vec<_> = servers.iter().map(entry).collect();
        let more = if more.contains("operation_timeout_ms") { more.to_owned() } else { format!("{PATIENCE}{more}") };
        let text = format!(
            "[[directory]]\nname = 'corp'\nnames = ['@corp.test']\nservers = [{}]\nanchors = ['corp.pem']\n\
             bind_dn = '{OURS}'\nbind_password_file = 'corp.password'\nbase_dn = 'dc=corp'\n\
             filter = '(uid={{user}})'\ndecoy_dn = 'cn=decoy,dc=corp'\naccount = '{{uid}}@corp.test'\n\
             refusal_ms = 10\nback_off_s = 1\nconnect_timeout_ms = 2000\n{more}\n\
             [password]\ncache_s = 0\n{after}\n",
            servers.join(", ")
        );
        let party = "applies_to = ['urn:office']\ntoken_types = ['saml20']\n\
                     policy = 'permit(principal, action, resource);'\n";
        for (file, text) in [
            ("auth.toml", text.as_str()),
            ("users.toml", ""),
            ("relying-parties/office.toml", party),
            ("corp.pem", &authority.pem),
            ("corp.password", "ours"),
        ] {
            std::fs::write(at(file), text).unwrap();
        }
        let config = crate::config::auth::check(tree.path()).unwrap();
        let metrics = Metrics::new("auth");
        let pool = Pool::start(1, 1, metrics.gauge("chancery_q", "Q.")).unwrap();
        let counters = Counters {
            cache_hits: metrics.counter("chancery_hits_total", "Hits."),
            throttled: metrics.counters("chancery_throttled_total", "Throttled.", "by", &["user", "address"]),
        };
        let directory = Directory::new(config.directories[0].clone(), Secret::new(b"ours").unwrap());
        Self { config, passwords: Passwords::new(pool, counters), directory, _tree: tree }
    }

    /// What comes of it when `user` tries that password.
    async fn guess(&self, user: &str, password: &str) -> Result<(), Reason> {
        self.guess_by(Peer(1), user, password).await
    }

    /// The same through that worker.
    async fn guess_by(&self, worker: Peer, user: &str, password: &str) -> Result<(), Reason> {
        let username = Text::new(format!("{user}@corp.test")).unwrap();
        let password = Secret::new(password.as_bytes()).unwrap();
        let from = (worker, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let guess = Guess { username: &username, password: &password, from };
        self.directory.verify(&self.config, &self.passwords, user, guess).await.map(drop)
    }
}

/// Everybody but `nobody` is there, as `uid=NAME`, and `al` is `alice`.
fn well(asked: &Asked) -> Does {
    match asked {
        Asked::Bind(dn, password) => bound(if dn == OURS || password == RIGHT { 0 } else { 49 }),
        Asked::Search(text) => {
            let known = ["alice", "al", "bob", "carol", "slow"].into_iter().find(|name| text.contains(name));
            let name = known.map(|name| if name == "al" { "alice" } else { name });
            let found = name.map(|name| entry(&format!("uid={name},dc=corp"), "uid", &[name]));
            Does::Says(found.into_iter().chain([result(0x65, 0)]).collect())
        }
    }
}

/// The same, but that question has no answer.
fn well_but(such: impl Fn(&Asked) -> bool + Send + 'static, does: fn() -> Does) -> impl FnMut(&Asked) -> Does + Send {
    move |asked| if such(asked) { does() } else { well(asked) }
}

fn search_for(name: &'static str) -> impl Fn(&Asked) -> bool + Send + Copy {
    move |asked| matches!(asked, Asked::Search(text) if text.contains(name))
}

fn bind_of(name: &'static str) -> impl Fn(&Asked) -> bool + Send + Copy {
    move |asked| matches!(asked, Asked::Bind(dn, _) if dn.contains(name))
}

#[tokio::test]
async fn one_question_without_an_answer_takes_the_server_from_nobody_else() {
    let authority = Authority::new();
    let no_answers: [fn() -> Does; 4] =
        [|| Does::Hangs, || Does::HangsUp, || Does::Octets(b"\x30\x02\x05\0"), || Does::Says(vec![result(0x65, 51)])];
    for no_answer in no_answers {
        let server = Scripted::start(&authority, well_but(search_for("slow"), no_answer)).await;
        let house = House::open(&authority, &[&server], "", "");
        // Nor are many in a row about one user.
        for _ in 0..4 {
            assert_eq!(house.guess("slow", RIGHT).await, Err(Reason::DirectoryDown));
        }
        assert_eq!(house.guess("alice", RIGHT).await, Ok(()));
        // About as many users in a row, and nobody is asked for a while.
        for user in [" SLOW", "slow ", "\u{ff53}low", "s\u{ff4c}ow slow", "slow.slow"] {
            let _ = house.guess(user, RIGHT).await;
        }
        assert_eq!(house.guess("alice", RIGHT).await, Ok(()));
        for user in ["slow", "slow2", "slow3"] {
            assert_eq!(house.guess(user, RIGHT).await, Err(Reason::DirectoryDown));
        }
        let asked = server.heard(|_| true);
        assert_eq!(house.guess("alice", RIGHT).await, Err(Reason::DirectoryDown));
        assert_eq!(server.heard(|_| true), asked);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(house.guess("alice", RIGHT).await, Ok(()));
    }
}

#[tokio::test]
async fn who_gives_one_question_no_answer_is_asked_no_other_for_that_user() {
    let authority = Authority::new();
    let first = Scripted::start(&authority, well).await;
    let second = Scripted::start(&authority, well).await;
    let house = House::open(&authority, &[&first, &second], "", "");
    assert_eq!(house.guess("alice", RIGHT).await, Ok(()));
    // The connections it has are good for nothing any more.
    first.does(|_| Does::Hangs);
    assert_eq!(house.guess("bob", RIGHT).await, Ok(()));
    assert_eq!((first.heard(search_for("bob")), first.heard(bind_of("bob"))), (1, 0));
    for user in ["carol", "al"] {
        assert_eq!(house.guess(user, RIGHT).await, Ok(()));
    }
    // It is left alone: a second for the first time, and longer on a machine where this takes longer.
    let searches = || first.heard(|asked| matches!(asked, Asked::Search(_)));
    let (before, begun) = (searches(), std::time::Instant::now());
    assert_eq!(house.guess("bob", RIGHT).await, Ok(()));
    assert!(searches() == before || begun.elapsed() > Duration::from_millis(500));
}

#[tokio::test]
async fn a_server_that_finds_users_and_cannot_ask_for_their_passwords_is_asked_for_none() {
    let authority = Authority::new();
    let first = Scripted::start(&authority, well_but(bind_of("uid="), || Does::Hangs)).await;
    let second = Scripted::start(&authority, well).await;
    let house = House::open(&authority, &[&first, &second], "", "");
    for user in ["alice", "bob", "carol"] {
        assert_eq!(house.guess(user, RIGHT).await, Err(Reason::DirectoryDown));
    }
    // It still finds them, and the other one says whether they are right. After a second somebody finds out whether it
    // can do so again.
    let mut found_out = 0;
    for user in ["alice", "bob", "carol"] {
        while house.guess(user, RIGHT).await.is_err() {
            found_out += 1;
            assert!(found_out < 20, "it is asked again and again");
        }
    }
    assert_eq!(first.heard(|asked| matches!(asked, Asked::Search(_))), 6 + found_out);
    assert_eq!((first.heard(bind_of("uid=")), second.heard(bind_of("uid="))), (3 + found_out, 3));
}

#[tokio::test]
async fn who_has_proved_himself_and_is_hard_to_answer_for_takes_the_server_from_nobody() {
    let authority = Authority::new();
    let server = Scripted::start(&authority, well_but(search_for("uid=alice"), || Does::Hangs)).await;
    let groups = "[directory.groups]\nbase_dn = 'dc=corp'\nfilter = '(member={dn})'\nname = 'uid'\n";
    let house = House::open(&authority, &[&server], groups, TWO);
    // He pays nothing, for he was right.
    for _ in 0..5 {
        assert_eq!(house.guess("alice", RIGHT).await, Err(Reason::DirectoryDown));
    }
    assert_eq!(house.guess("bob", RIGHT).await, Ok(()));
    // However he spells himself, a quarter of eight places are his through one worker, and half of them through all.
    let house =
        House::open(&authority, &[&server], &format!("operation_timeout_ms = 2000\ndeadline_ms = 9000\n{groups}"), "");
    let (house, down, full) = (&house, Err(Reason::DirectoryDown), Err(Reason::QueueFull));
    let after = |ms, worker, user| async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        house.guess_by(Peer(worker), user, RIGHT).await
    };
    let first = async { tokio::join!(after(0, 1, "alice-1"), after(0, 1, "alice-2")) };
    // The same guess through two workers is two: the one that has no more turns does not answer for the other.
    let second = async { tokio::join!(after(400, 1, "alice"), after(400, 2, "alice"), after(400, 2, "alice-3")) };
    let (first, second, third) = tokio::join!(first, second, after(800, 3, "alice-4"));
    assert_eq!((first, second, third), ((down, down), (full, down, down), full));
}

#[tokio::test]
async fn a_server_that_knows_no_groups_is_not_asked_for_them_and_still_finds_and_proves() {
    let authority = Authority::new();
    let first = Scripted::start(&authority, well_but(search_for("member"), || Does::Hangs)).await;
    let group =
        |asked: &Asked| search_for("member")(asked).then(|| vec![entry("cn=g,dc=corp", "cn", &["g"]), result(0x65, 0)]);
    let second = Scripted::start(&authority, move |asked| group(asked).map_or_else(|| well(asked), Does::Says)).await;
    let groups = "[directory.groups]\nbase_dn = 'dc=corp'\nfilter = '(member={dn})'\nname = 'cn'\n";
    let house = House::open(&authority, &[&first, &second], groups, "");
    for _ in 0..2 {
        for user in ["alice", "bob", "carol"] {
            assert_eq!(house.guess(user, RIGHT).await, Ok(()));
        }
    }
    // One at least of the second three was not asked about there.
    assert!((3..6).contains(&first.heard(search_for("member"))), "{}", first.heard(search_for("member")));
    assert_eq!((first.heard(bind_of("uid=")), second.heard(bind_of("uid="))), (6, 0));
}

#[tokio::test]
async fn our_own_password_is_tried_by_two_questions_at_a_time() {
    let authority = Authority::new();
    let late = || Does::Later(Duration::from_millis(1000), vec![result(0x61, 49)]);
    let server = Scripted::start(&authority, well_but(bind_of("chancery"), late)).await;
    let house = House::open(&authority, &[&server], "operation_timeout_ms = 2000\ndeadline_ms = 9000\n", "");
    let guess = |user| house.guess(user, RIGHT);
    let guesses = tokio::join!(guess("alice"), guess("bob"), guess("carol"), guess("dave"), guess("erin"));
    let down = || Err(Reason::DirectoryDown);
    assert_eq!(guesses, (down(), down(), down(), down(), down()));
    assert_eq!(server.heard(bind_of("chancery")), 2);
}

#[tokio::test]
async fn each_page_of_a_search_has_its_own_time() {
    let authority = Authority::new();
    let mut left = 3;
    let server = Scripted::start(&authority, move |asked| match asked {
        Asked::Search(text) if text.contains("member") => {
            left -= 1;
            let group = entry(&format!("cn=g{left},dc=corp"), "cn", &[&format!("g{left}")]);
            Does::Later(Duration::from_millis(250), vec![group, page(left == 0)])
        }
        asked => well(asked),
    })
    .await;
    let groups = "[directory.groups]\nbase_dn = 'dc=corp'\nfilter = '(member={dn})'\nname = 'cn'\n";
    let house = House::open(&authority, &[&server], groups, "");
    assert_eq!(house.guess("alice", RIGHT).await, Ok(()));
    assert_eq!(server.heard(search_for("member")), 3);
}

#[tokio::test]
async fn a_server_that_says_good_bye_to_a_connection_that_waits_is_well() {
    let authority = Authority::new();
    let server = Scripted::start(&authority, |asked| match well(asked) {
        Does::Says(says) if !matches!(asked, Asked::Bind(dn, _) if dn == OURS) => Does::Last(says),
        does => does,
    })
    .await;
    let house = House::open(&authority, &[&server], "connections = 1\n", "");
    for _ in 0..5 {
        assert_eq!(house.guess("alice", RIGHT).await, Ok(()));
    }
}

#[tokio::test]
async fn who_refuses_our_own_password_is_left_alone_whatever_else_comes_from_it() {
    let authority = Authority::new();
    // Of a bind that is under way meanwhile: an answer, and none.
    for later in [true, false] {
        let server = Scripted::start(&authority, well).await;
        let house = House::open(&authority, &[&server], "", "");
        assert_eq!(house.guess("bob", RIGHT).await, Ok(()));
        server.does(move |asked| match asked {
            Asked::Bind(dn, _) if dn == OURS => bound(49),
            Asked::Bind(dn, _) if dn.contains("alice") && later => {
                Does::Later(Duration::from_millis(200), vec![result(0x61, 0)])
            }
            Asked::Bind(dn, _) if dn.contains("alice") => Does::Hangs,
            Asked::Search(text) if text.contains("carol") => Does::HangsUp,
            asked => well(asked),
        });
        let refused = async {
            while server.heard(bind_of("alice")) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            house.guess("carol", RIGHT).await
        };
        let (alice, carol) = tokio::join!(house.guess("alice", RIGHT), refused);
        assert_eq!(carol, Err(Reason::DirectoryDown));
        // With her bind she is not done yet.
        assert_eq!(alice, Err(Reason::DirectoryDown));
        let tried = server.heard(bind_of("chancery"));
        assert_eq!(tried, 2);
        server.does(well);
        for _ in 0..2 {
            assert_eq!(house.guess("bob", RIGHT).await, Err(Reason::DirectoryDown));
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        assert_eq!(house.guess("bob", RIGHT).await, Err(Reason::DirectoryDown));
        assert_eq!(server.heard(bind_of("chancery")), tried);
    }
}

/// Two wrong guesses at one user, and no more for a while.
const TWO: &str = "[throttle]\nuser_burst = 2\nuser_per_minute = 1\n";

#[tokio::test]
async fn a_bind_that_is_answered_with_anything_else_is_a_wrong_password_and_is_paid() {
    let authority = Authority::new();
    for code in [80, 1, 2, 10, 13, 14] {
        let server = Scripted::start(&authority, move |asked| match asked {
            Asked::Bind(dn, _) if dn.contains("alice") || dn.contains("decoy") => bound(code),
            asked => well(asked),
        })
        .await;
        let house = House::open(&authority, &[&server], "", TWO);
        for (user, reason) in [("alice", Reason::WrongPassword), ("nobody", Reason::UnknownUser)] {
            for _ in 0..2 {
                assert_eq!(house.guess(user, RIGHT).await, Err(reason), "{code}");
            }
            assert_eq!(house.guess(user, RIGHT).await, Err(Reason::Throttled), "{code}");
        }
        assert_eq!(server.heard(bind_of("alice")), 2);
        // It is well, and everybody else is let in.
        assert_eq!(house.guess("bob", RIGHT).await, Ok(()));
    }
}

#[tokio::test]
async fn a_bind_without_an_answer_is_made_nowhere_else_and_is_paid() {
    let authority = Authority::new();
    let no_answers: [fn() -> Does; 2] = [|| Does::Hangs, || Does::Octets(b"\x30\x02\x05\0")];
    for no_answer in no_answers {
        let first = Scripted::start(&authority, well_but(bind_of("alice"), no_answer)).await;
        let second = Scripted::start(&authority, well).await;
        let house = House::open(&authority, &[&first, &second], "", TWO);
        for _ in 0..2 {
            assert_eq!(house.guess("alice", "wrong").await, Err(Reason::DirectoryDown));
        }
        assert_eq!(house.guess("alice", "wrong").await, Err(Reason::Throttled));
        assert_eq!((first.heard(bind_of("alice")), second.heard(bind_of("alice"))), (2, 0));
    }
}

#[tokio::test]
async fn a_bind_that_the_time_for_all_of_it_cuts_off_is_paid() {
    let authority = Authority::new();
    // An answer may take 400 ms; whoever waits for a place for 2500 of 2800 has less.
    let server = Scripted::start(&authority, well).await;
    let house = House::open(&authority, &[&server], "deadline_ms = 2800\n", TWO);
    for _ in 0..2 {
        // So that there are connections already.
        assert_eq!(house.guess("bob", RIGHT).await, Ok(()));
        let place = house.directory.places.acquire_many(8).await.unwrap();
        let freed = async {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            drop(place);
        };
        let begun = server.heard(bind_of("alice"));
        server.does(well_but(bind_of("alice"), || Does::Hangs));
        let (guessed, ()) = tokio::join!(house.guess("alice", "wrong"), freed);
        assert_eq!(guessed, Err(Reason::DirectoryDown));
        assert_eq!(server.heard(bind_of("alice")), begun + 1);
        server.does(well);
    }
    assert_eq!(house.guess("alice", "wrong").await, Err(Reason::Throttled));
}

#[tokio::test]
async fn a_bind_on_a_connection_that_turns_out_closed_is_made_again() {
    let authority = Authority::new();
    let mut closed = 0;
    let server = Scripted::start(&authority, move |asked| {
        if bind_of("alice")(asked) && closed < 2 {
            closed += 1;
            return if closed == 1 { well(asked) } else { Does::HangsUp };
        }
        well(asked)
    })
    .await;
    let house = House::open(&authority, &[&server], "", TWO);
    for _ in 0..2 {
        assert_eq!(house.guess("alice", RIGHT).await, Ok(()));
    }
    assert_eq!(server.heard(bind_of("alice")), 3);
    // Where it is busy, by its own word, it did not try.
    server.does(well_but(bind_of("alice"), || bound(51)));
    for _ in 0..4 {
        assert_eq!(house.guess("alice", "wrong").await, Err(Reason::DirectoryDown));
    }
}

#[tokio::test]
async fn a_spelling_of_a_name_that_has_nothing_left_stays_paid_itself() {
    let authority = Authority::new();
    let server = Scripted::start(&authority, well).await;
    let house = House::open(&authority, &[&server], "", TWO);
    let searches = || server.heard(|asked| matches!(asked, Asked::Search(_)));
    for spelling in ["alice", "al"] {
        assert_eq!(house.guess(spelling, "wrong").await, Err(Reason::WrongPassword));
    }
    for searched in [3, 4, 4] {
        assert_eq!(house.guess("al", "wrong").await, Err(Reason::Throttled));
        assert_eq!(searches(), searched);
    }
    assert_eq!(server.heard(bind_of("alice")), 2);
}

#[tokio::test]
async fn an_address_that_has_guessed_too_often_is_refused_at_once_and_a_name_when_any_other_is() {
    let authority = Authority::new();
    let server = Scripted::start(&authority, well).await;
    let house = House::open(
        &authority,
        &[&server],
        "",
        "[throttle]\nuser_burst = 1\nuser_per_minute = 1\naddress_burst = 2\naddress_per_minute = 1\n",
    );
    assert_eq!(house.guess("alice", "wrong").await, Err(Reason::WrongPassword));
    let now = |user| {
        let mut guess = Box::pin(house.guess(user, "wrong"));
        guess.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    assert_eq!(now("alice"), Poll::Pending);
    assert_eq!(house.guess("alice", "wrong").await, Err(Reason::Throttled));
    assert_eq!(house.guess("bob", "wrong").await, Err(Reason::WrongPassword));
    for user in ["alice", "bob", "carol", "nobody"] {
        assert_eq!(now(user), Poll::Ready(Err(Reason::Throttled)), "{user}");
    }
    assert_eq!(server.heard(|asked| matches!(asked, Asked::Search(_))), 2);
}

/// Lines of log of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_kind_of_line_has_one_a_second() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let authority = Authority::new();
    let down = |asked: &Asked| if bind_of("chancery")(asked) { Does::HangsUp } else { well(asked) };
    let first = Scripted::start(&authority, down).await;
    let second = Scripted::start(&authority, down).await;
    let third = Scripted::start(&authority, well_but(bind_of("alice"), || bound(80))).await;
    let house = House::open(&authority, &[&first, &second, &third], "", "");
    let count = |event: &str| {
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(&format!("event=\"{event}\""))).count()
    };
    // Two fail, and the third has no good answer.
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(house.guess("alice", RIGHT).await, Err(Reason::WrongPassword));
    }
    // One, but of a machine that took longer.
    let few = |begun: std::time::Instant| 1..=1 + usize::try_from(begun.elapsed().as_secs()).unwrap();
    for event in ["directory-down", "directory-no-answer"] {
        assert!(few(begun).contains(&count(event)), "{event}: {}", count(event));
    }
    assert_eq!(count("directory-up"), 0);
    // Two are back at once: the first finds somebody, and is busy when his password is to be tried.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    first.does(well_but(bind_of("uid="), || bound(51)));
    second.does(well);
    let begun = std::time::Instant::now();
    assert_eq!(house.guess("bob", RIGHT).await, Ok(()));
    assert_eq!((first.heard(search_for("bob")), second.heard(bind_of("bob"))), (1, 1));
    assert!(few(begun).contains(&count("directory-up")), "{}", count("directory-up"));
}
