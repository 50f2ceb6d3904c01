//! Processes that die at the worst moments, and processes that end because somebody wants them to. What left
//! the house is in the record, the record is sound, the service is back within two seconds, and nobody waits
//! for ever; a planned end is not noticed at all.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use chancery::audit::format::Public;
use chancery::audit::reader::Entries;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[path = "demo/service.rs"]
mod demo;
#[path = "support/faulty.rs"]
mod faulty;

use demo::Demo;

/// How soon after a death the service issues again.
const SOON: Duration = Duration::from_secs(2);
/// How long any request may take to end in something: what the client itself waits, and a little.
const LONGEST: Duration = Duration::from_secs(31);
const PATH: &str = "/adfs/services/trust/13/usernamemixed";
const PARTY: &str = "urn:federation:MicrosoftOnline";
/// Exit code of `chancery request` without any answer, and with `RequestFailed`.
const NO_ANSWER: Option<i32> = Some(1);
const REQUEST_FAILED: Option<i32> = Some(11);

/// Where processes die, role by role.
const FAILPOINTS: &[(&str, &[&str])] = &[
    ("worker", &["accepted", "released"]),
    ("auth", &["verified", "recorded", "vouchered"]),
    ("issuer", &["redeemed", "recorded", "digest-sent", "signed", "released"]),
    ("signer", &["digest-sent", "signed"]),
    ("audit", &["recorded"]),
];

/// Over session keys: `tests/encryption.rs` has them die there.
const OVER_KEYS: &[(&str, &[&str])] =
    &[("auth", &["unsealed"]), ("issuer", &["key-sent"]), ("signer", &["key-sent", "key-opened"])];

/// Of the command line: `tests/partner.rs` has its reader die there.
const OF_READERS: &[(&str, &[&str])] = &[("ctl", &["partner-read"])];

/// Who is killed while another process is held. Signers go with their issuer, so it comes last.
const VICTIMS: &[&str] = &["exporter", "signer@1", "audit", "auth", "worker@1", "issuer"];

/// One request, from its start to its end.
#[derive(Debug, Clone)]
struct Asked {
    begun: Instant,
    ended: Instant,
    code: Option<i32>,
    /// The token's id, when there is one.
    token: Option<String>,
    said: String,
}

fn ask(demo: &Demo) -> Asked {
    let begun = Instant::now();
    let output = demo.request(PATH, &["--applies-to", PARTY]);
    let ended = Instant::now();
    let text = String::from_utf8_lossy(&output.stdout);
    let token = text.split("AssertionID=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
    assert_eq!(token.is_some(), output.status.success(), "{text}");
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Asked { begun, ended, code: output.status.code(), token, said }
}

/// Tells clients to stop when dropped: also when a test fails, which would wait for them for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Clients that ask again and again while something happens; gives everything they asked.
fn meanwhile<T>(demo: &Demo, clients: usize, happens: impl FnOnce(&dyn Fn() -> Vec<Asked>) -> T) -> (Vec<Asked>, T) {
    let stop = AtomicBool::new(false);
    let asked = Mutex::new(Vec::new());
    let result = std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..clients {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let one = ask(demo);
                    asked.lock().unwrap().push(one);
                }
            });
        }
        happens(&|| asked.lock().unwrap().clone())
    });
    (asked.into_inner().unwrap(), result)
}

/// Asks until there is a token; gives how long after `death` that was. Not one of the clients: theirs may be
/// among the requests in flight, which are not given up at once.
fn back_after(death: Instant, demo: &Demo) -> Duration {
    loop {
        let one = ask(demo);
        if one.token.is_some() {
            return one.ended - death;
        }
        assert!(death.elapsed() < LONGEST, "no token {:?} after the death: {}", death.elapsed(), one.said);
    }
}

/// Waits until so many tokens came.
fn tokens(count: usize, so_far: &dyn Fn() -> Vec<Asked>) {
    let begun = Instant::now();
    while so_far().iter().filter(|one| one.token.is_some()).count() < count {
        assert!(begun.elapsed() < LONGEST, "{:#?}", so_far());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn audit(demo: &Demo, words: &[&str]) -> Output {
    let mut command = Command::new(demo::CHANCERY);
    command.args(["audit", "--directory", demo.fact("record")]).args(words).output().unwrap()
}

/// The tokens among the answers.
fn given(asked: &[Asked]) -> Vec<String> {
    asked.iter().filter_map(|one| one.token.clone()).collect()
}

/// Everything that left is in the record as an intent, and the record is sound.
fn recorded(demo: &Demo, tokens: &[String]) {
    let record = Path::new(demo.fact("record"));
    let verified = audit(demo, &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let intents: Vec<String> = Entries::open(record)
        .filter_map(|entry| match entry.unwrap().leaf.public {
            Public::Intent(intent) => Some(intent.token_id.to_string()),
            _ => None,
        })
        .collect();
    for token in tokens {
        assert!(intents.contains(token), "{token} left and is not in the record");
    }
    let different: std::collections::HashSet<_> = tokens.iter().collect();
    assert_eq!(different.len(), tokens.len(), "one token was given to two");
}

/// Nobody waited for ever, and who failed was told so in a fault. A client may be left without any answer
/// when the process that died is the one it talks to.
fn ended_in_faults(asked: &[Asked], silence: bool) {
    for one in asked {
        assert!(one.ended - one.begun < LONGEST, "{one:?}");
        let allowed = one.token.is_some() || one.code == REQUEST_FAILED || (silence && one.code == NO_ANSWER);
        assert!(allowed, "{:?}: {}", one.code, one.said);
    }
}

/// A prepared demo of one's own: made once, copied for each test.
fn copy() -> tempfile::TempDir {
    static PREPARED: OnceLock<PathBuf> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash");
        let _none_yet = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        faulty::prepare(&path);
        path
    });
    let directory = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-a").arg(prepared.join("demo")).arg(directory.path()).status().unwrap();
    assert!(copied.success());
    directory
}

/// One death at one failpoint.
fn dies_at(role: &str, name: &str) {
    let directory = copy();
    let marker = directory.path().join("died");
    std::fs::write(&marker, "").unwrap();
    let demo = faulty::start(directory.path(), |command| {
        command.env(format!("CHANCERY_FAILPOINT_{}", role.to_uppercase()), format!("{name},{}", marker.display()));
    });
    let (asked, took) = meanwhile(&demo, 2, |so_far| {
        soon(&format!("{role} dies at {name}"), || std::fs::read(&marker).unwrap().first() == Some(&1));
        let death = Instant::now();
        let took = back_after(death, &demo);
        tokens(so_far().iter().filter(|one| one.token.is_some()).count() + 3, so_far);
        took
    });
    let failed = asked.iter().filter(|one| one.token.is_none()).count();
    let line = format!("{role} dies at {name}: back after {took:.2?}, {failed} of {} requests failed", asked.len());
    println!("{line}");
    ended_in_faults(&asked, role == "worker");
    recorded(&demo, &given(&asked));
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(log.contains("signal: 9"), "nobody was killed:\n{log}");
    assert!(!log.contains("violation") && !log.contains("panicked"), "{log}");
    assert_eq!(demo.stop().code(), Some(0));
    assert!(took < SOON, "{line}");
}

/// The file of a failpoint that holds.
struct Gate(std::fs::File);

impl Gate {
    const SHUT: u8 = 0;
    const REACHED: u8 = 1;
    const OPEN: u8 = 2;

    fn open_at(path: &Path) -> Self {
        std::fs::write(path, [Self::OPEN]).unwrap();
        Self(std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    /// In place: the file is mapped by those who look at it.
    fn set(&self, octet: u8) {
        self.0.write_all_at(&[octet], 0).unwrap();
    }

    fn reached(&self) -> bool {
        let mut octet = [0];
        self.0.read_exact_at(&mut octet, 0).unwrap();
        octet == [Self::REACHED]
    }
}

/// Each other process dies while one is held at this failpoint, which then goes on.
fn others_die_at(role: &str, name: &str) {
    let directory = copy();
    let path = directory.path().join("gate");
    let gate = Gate::open_at(&path);
    let demo = faulty::start(directory.path(), |command| {
        command.env(format!("CHANCERY_FAILPOINT_{}", role.to_uppercase()), format!("{name},{},hold", path.display()));
    });
    let mut slow = Vec::new();
    let mut deaths = Vec::new();
    let (asked, ()) = meanwhile(&demo, 2, |_| {
        for victim in VICTIMS.iter().filter(|victim| victim.split('@').next() != Some(role)) {
            gate.set(Gate::SHUT);
            soon(&format!("{role} reaches {name}"), || gate.reached());
            let pid = Pid::from_raw(demo.pid(victim));
            let death = Instant::now();
            kill(pid, Signal::SIGKILL).unwrap();
            soon(&format!("{victim} is gone"), || kill(pid, None).is_err());
            assert!(gate.reached(), "{role} did not wait at {name}");
            gate.set(Gate::OPEN);
            let gone_on = Instant::now();
            let took = back_after(gone_on, &demo);
            deaths.push((*victim, death, gone_on + took));
            if took >= SOON {
                slow.push((*victim, took));
            }
        }
    });
    let in_flight = |one: &Asked, who: &str| {
        deaths.iter().any(|(victim, from, to)| victim.starts_with(who) && one.begun < *to && one.ended > *from)
    };
    let failed = asked.iter().filter(|one| one.token.is_none()).count();
    println!("{} die while {role} is at {name}: {failed} of {} requests failed", deaths.len(), asked.len());
    let (of_worker, others): (Vec<Asked>, Vec<Asked>) = asked.iter().cloned().partition(|one| in_flight(one, "worker"));
    ended_in_faults(&of_worker, true);
    ended_in_faults(&others, false);
    assert!(others.iter().all(|one| one.token.is_some() || in_flight(one, "")), "{others:#?}");
    recorded(&demo, &given(&asked));
    asked.iter().filter(|one| in_flight(one, "")).filter_map(|one| one.token.as_ref()).for_each(|token| {
        let shown = audit(&demo, &["show", token]);
        assert!(shown.status.success() && String::from_utf8_lossy(&shown.stdout).contains(token), "{token}: {shown:?}");
    });
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(!log.contains("violation") && !log.contains("panicked"), "{log}");
    assert_eq!(demo.stop().code(), Some(0));
    assert!(slow.is_empty(), "{slow:?}");
}

/// Waits until it is so.
fn soon(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < LONGEST, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn every_failpoint_of(roles: &[&str], case: fn(&str, &str)) {
    let cases = FAILPOINTS.iter().filter(|(role, _)| roles.contains(role));
    let wrong: Vec<String> = cases
        .flat_map(|(role, names)| names.iter().map(move |name| (*role, *name)))
        .filter_map(|(role, name)| {
            // Each is looked at, whatever became of the one before.
            let end = std::thread::spawn(move || case(role, name)).join();
            end.err().map(|why| {
                let why = why.downcast_ref::<String>().cloned().unwrap_or_default();
                format!("{role} at {name}: {why}")
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_death_at_any_point_of_worker_auth_or_audit_loses_nothing_that_left() {
    if demo::possible("crash-front") {
        every_failpoint_of(&["worker", "auth", "audit"], dies_at);
    }
}

#[test]
fn a_death_at_any_point_of_issuer_or_signer_loses_nothing_that_left() {
    if demo::possible("crash-back") {
        every_failpoint_of(&["issuer", "signer"], dies_at);
    }
}

#[test]
fn whoever_dies_while_worker_or_auth_is_at_any_point_nothing_that_left_is_lost() {
    if demo::possible("crash-others-front") {
        every_failpoint_of(&["worker", "auth"], others_die_at);
    }
}

#[test]
fn whoever_dies_while_issuer_is_at_any_point_nothing_that_left_is_lost() {
    if demo::possible("crash-others-issuer") {
        every_failpoint_of(&["issuer"], others_die_at);
    }
}

#[test]
fn whoever_dies_while_signer_or_audit_is_at_any_point_nothing_that_left_is_lost() {
    if demo::possible("crash-others-back") {
        every_failpoint_of(&["signer", "audit"], others_die_at);
    }
}

#[test]
fn every_failpoint_in_the_source_is_died_at() {
    let mut found = std::collections::BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let role = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
            let role = role.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            for call in std::fs::read_to_string(&path).unwrap().split("failpoint(\"").skip(1) {
                found.insert((role.clone(), call.split('"').next().unwrap().to_owned()));
            }
        }
    }
    let known = FAILPOINTS
        .iter()
        .chain(OVER_KEYS)
        .chain(OF_READERS)
        .flat_map(|(role, names)| names.iter().map(|name| (role.to_string(), name.to_string())));
    assert_eq!(found, known.collect());
}

#[test]
fn a_process_killed_under_load_fails_only_what_was_in_flight() {
    if !demo::possible("crash-kill") {
        return;
    }
    let directory = copy();
    let demo = faulty::start(directory.path(), |_| {});
    let mut slow = Vec::new();
    let mut all = Vec::new();
    // Signers go with their issuer, so it comes last.
    for name in ["exporter", "signer@2", "signer@1", "audit", "auth", "worker@1", "issuer"] {
        let (asked, took) = meanwhile(&demo, 2, |so_far| {
            tokens(3, so_far);
            kill(Pid::from_raw(demo.pid(name)), Signal::SIGKILL).unwrap();
            let took = back_after(Instant::now(), &demo);
            tokens(so_far().iter().filter(|one| one.token.is_some()).count() + 3, so_far);
            took
        });
        let failed: Vec<&Asked> = asked.iter().filter(|one| one.token.is_none()).collect();
        println!("{name} is killed: back after {took:.2?}, {} of {} requests failed", failed.len(), asked.len());
        ended_in_faults(&asked, name == "worker@1");
        assert!(failed.len() <= 2 || name == "issuer" || name == "worker@1", "{failed:#?}");
        if took >= SOON {
            slow.push((name, took));
        }
        all.extend(asked);
    }
    recorded(&demo, &given(&all));
    assert!(slow.is_empty(), "{slow:?}");
    assert_eq!(demo.stop().code(), Some(0));
}

#[test]
fn a_planned_restart_of_any_process_fails_no_request() {
    if !demo::possible("crash-planned") {
        return;
    }
    let directory = copy();
    let demo = faulty::start(directory.path(), |_| {});
    let mut all = Vec::new();
    let mut failed = Vec::new();
    for name in ["exporter", "signer@2", "signer@1", "audit", "auth", "worker@1", "issuer"] {
        let (asked, took) = meanwhile(&demo, 2, |so_far| {
            tokens(3, so_far);
            kill(Pid::from_raw(demo.pid(name)), Signal::SIGTERM).unwrap();
            let took = back_after(Instant::now(), &demo);
            tokens(so_far().iter().filter(|one| one.token.is_some()).count() + 6, so_far);
            took
        });
        let of_this = asked.iter().filter(|one| one.token.is_none());
        println!(
            "{name} is restarted: a token {took:.2?} later, {} of {} failed",
            of_this.clone().count(),
            asked.len()
        );
        failed.extend(of_this.cloned().map(|one| (name, one)));
        all.extend(asked);
    }
    recorded(&demo, &given(&all));
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(demo.stop().code(), Some(0));
}

#[test]
fn a_wrong_pin_is_tried_once_by_four_signers_under_load_and_in_ten_starts_with_clients_at_the_door() {
    if !demo::possible("crash-pin") {
        return;
    }
    let directory = copy();
    let demo = faulty::start(directory.path(), |command| {
        command.args(["--signers", "4"]);
    });
    let mut kept = Kept::connect(&demo);
    assert_eq!(kept.ask().0, 200);
    let mut logins = 0;
    let (asked, ()) = meanwhile(&demo, 3, |so_far| {
        tokens(3, so_far);
        std::fs::write(directory.path().join("demo/credentials/pin"), "this-is-not-it\n").unwrap();
        logins = faulty::calls(directory.path(), "C_Login");
        let signers: Vec<Pid> = (1..=4).map(|ordinal| Pid::from_raw(demo.pid(&format!("signer@{ordinal}")))).collect();
        signers.iter().for_each(|signer| kill(*signer, Signal::SIGKILL).unwrap());
        let tried = || faulty::calls(directory.path(), "C_Login") > logins;
        soon("the wrong PIN is tried", tried);
        // The others have their turn, and so have the clients: who is connected is told, nobody else gets in.
        let (status, token) = kept.ask();
        assert!(matches!(status, 500 | 503) && token.is_none(), "{status}");
        let before = so_far().len();
        soon("clients go without", || so_far().iter().skip(before).filter(|one| one.token.is_none()).count() >= 3);
    });
    ended_in_faults(&asked, true);
    recorded(&demo, &given(&asked));
    assert_eq!(faulty::calls(directory.path(), "C_Login") - logins, 1, "under load");
    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(demo.stop().code(), Some(0));
    let https = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (stop, came) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    knock(https, &came);
                }
            });
        }
        for start in 1..=10 {
            let before = came.load(Ordering::Relaxed);
            let mut command = Command::new(demo::CHANCERY);
            command.args(["run", "--demo", "--port", &https.port().to_string(), "--signers", "4", "--directory"]);
            command.arg(directory.path().join("demo"));
            faulty::surroundings(directory.path(), &mut command);
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(78), "start {start}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(came.load(Ordering::Relaxed) > before, "nobody came at start {start}");
            assert_eq!(faulty::calls(directory.path(), "C_Login") - logins, 1, "start {start}");
        }
    });
}

/// A client who finds the door open says hello and waits for an answer, or for the end.
fn knock(https: SocketAddr, came: &AtomicUsize) {
    let Ok(mut stream) = TcpStream::connect(https) else {
        std::thread::sleep(Duration::from_millis(5));
        return;
    };
    came.fetch_add(1, Ordering::Relaxed);
    // Not answered: no worker starts before a signer has shown that the PIN is right.
    let _gone = stream.set_read_timeout(Some(Duration::from_millis(100)));
    let _gone = stream.write_all(&[22, 3, 1, 0, 1, 1]);
    let _gone = stream.read(&mut [0]);
}

/// A client that keeps its connection.
struct Kept {
    stream: rustls::StreamOwned<rustls::ClientConnection, TcpStream>,
    request: Vec<u8>,
}

impl Kept {
    fn connect(demo: &Demo) -> Self {
        use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(demo.fact("ca")).unwrap()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        let url = demo.fact("url");
        let authority = url.trim_start_matches("https://");
        let stream = TcpStream::connect(authority.replace("localhost", "127.0.0.1")).unwrap();
        stream.set_read_timeout(Some(LONGEST)).unwrap();
        let password = std::fs::read_to_string(demo.fact("password_file")).unwrap();
        let envelope = ENVELOPE
            .replace("{to}", &format!("{url}{PATH}"))
            .replace("{password}", password.trim())
            .replace("{party}", PARTY);
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/soap+xml; charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n",
            envelope.len()
        );
        Self { stream: rustls::StreamOwned::new(connection, stream), request: (head + &envelope).into_bytes() }
    }

    /// One request and its answer: status, and the token's id when there is one.
    fn ask(&mut self) -> (u16, Option<String>) {
        self.stream.write_all(&self.request).unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "hung up on: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
            if body.len() >= length.trim().parse().unwrap() {
                assert!(!head.contains("connection: close"), "{head}");
                let token = body.split("AssertionID=\"").nth(1).and_then(|rest| rest.split('"').next());
                return (head.split(' ').nth(1).unwrap().parse().unwrap(), token.map(str::to_owned));
            }
        }
    }
}

const ENVELOPE: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:Action>http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue</a:Action><a:To>{to}</a:To><o:Security xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><o:UsernameToken><o:Username>alice</o:Username><o:Password>{password}</o:Password></o:UsernameToken></o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference><a:Address>{party}</a:Address></a:EndpointReference></p:AppliesTo><t:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>"#;

#[test]
fn a_client_keeps_its_connection_through_the_death_of_everybody_but_its_worker() {
    if !demo::possible("crash-connection") {
        return;
    }
    let directory = copy();
    let demo = faulty::start(directory.path(), |_| {});
    let mut kept = Kept::connect(&demo);
    assert_eq!(kept.ask().0, 200);
    // Signers go with their issuer, so it comes last.
    for name in ["exporter", "signer@2", "signer@1", "audit", "auth", "issuer"] {
        kill(Pid::from_raw(demo.pid(name)), Signal::SIGKILL).unwrap();
        let death = Instant::now();
        let mut faults = 0;
        loop {
            let (status, token) = kept.ask();
            match token {
                Some(_) => break,
                None => assert!(matches!(status, 500 | 503), "{status}"),
            }
            faults += 1;
            assert!(death.elapsed() < SOON, "{name}: {faults} faults in {:?}", death.elapsed());
        }
        println!("{name} is killed: a token on the same connection {:.2?} later, {faults} faults", death.elapsed());
        assert!(death.elapsed() < SOON, "{name}");
    }
    assert_eq!(demo.stop().code(), Some(0));
}

/// `/ready`, as whoever balances the load asks for it.
fn is_ready(demo: &Demo) -> bool {
    let address = demo.fact("metrics").trim_start_matches("http://").trim_end_matches("/metrics");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    match answer.split(' ').nth(1) {
        Some("200") => true,
        Some("503") => false,
        _ => panic!("{answer}"),
    }
}

fn becomes(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < LONGEST, "{what}: not in {LONGEST:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn mount(arguments: &[&str]) -> bool {
    Command::new("mount").args(arguments).status().is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_stops_issuing_before_anything_is_signed_until_there_is_room() {
    if !demo::possible("full-disk") {
        return;
    }
    // The namespace is this thread's and its children's alone.
    if !nix::unistd::geteuid().is_root() || unshare(CloneFlags::CLONE_NEWNS).is_err() {
        println!("SKIPPED full-disk: no mount namespace for us");
        return;
    }
    let directory = copy();
    let record = directory.path().join("demo/record");
    let small = ["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", record.to_str().unwrap()];
    if !mount(&["--make-rprivate", "/"]) || !mount(&small) {
        println!("SKIPPED full-disk: nothing can be mounted here");
        return;
    }
    let demo = faulty::start(directory.path(), |_| {});
    // One connection: each handshake is a signature of its own.
    let mut kept = Kept::connect(&demo);
    let mut tokens = vec![kept.ask().1.unwrap()];
    becomes("ready", || is_ready(&demo));
    let ballast = record.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    // What is left of the last page still takes a few.
    let refused = (0..100).find_map(|_| match kept.ask() {
        (200, Some(token)) => {
            tokens.push(token);
            None
        }
        other => Some(other),
    });
    assert_eq!(refused, Some((500, None)), "a fault");
    let signatures = faulty::calls(directory.path(), "C_Sign");
    becomes("not ready", || !is_ready(&demo));
    for _ in 0..5 {
        assert_eq!(kept.ask(), (500, None));
    }
    assert_eq!(faulty::calls(directory.path(), "C_Sign"), signatures, "signed without a record");
    // The command line is told so in words.
    let one = ask(&demo);
    assert_eq!((one.code, one.token), (REQUEST_FAILED, None), "{}", one.said);
    assert!(!is_ready(&demo));

    std::fs::remove_file(&ballast).unwrap();
    becomes("a token", || ask(&demo).token.is_some());
    becomes("ready again", || is_ready(&demo));
    tokens.push(kept.ask().1.unwrap());
    recorded(&demo, &tokens);
    assert_eq!(demo.stop().code(), Some(0));
    assert!(Command::new("umount").arg(&record).status().unwrap().success());
}
