//! Metrics and health, from a real process through the real exporter to whoever scrapes it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use chancery::sys::places::Place;
use chancery::wire::snapshot::{Family, FamilyKind, Label, Sample, Snapshot};
use chancery::wire::{List, Text};
use nix::sys::signal::Signal;
use support::processes::{Daemon, PATIENCE, datagrams, eventually, listener};

struct House {
    root: tempfile::TempDir,
    snapshots: OwnedFd,
    http: OwnedFd,
    address: SocketAddr,
}

impl House {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let snapshots = datagrams(&root.path().join(Place::Metrics.file()));
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = http.local_addr().unwrap();
        Self { root, snapshots, http: http.into(), address }
    }

    fn exporter(&self) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-exporter"));
        Daemon::start(&mut command, self.root.path(), &[("metrics", &self.snapshots), ("http", &self.http)]).unwrap()
    }

    fn audit(&self) -> Daemon {
        let root = self.root.path();
        fs::create_dir(root.join("audit.d")).unwrap();
        fs::write(root.join("audit.d/audit.toml"), "directory = \"../record\"\n").unwrap();
        let issuer = listener(&root.join(Place::AuditIssuer.file()));
        let auth = listener(&root.join(Place::AuditAuth.file()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-audit"));
        command.arg(root);
        Daemon::start(&mut command, root, &[("issuer", &issuer), ("auth", &auth)]).unwrap()
    }

    /// One datagram of a process of that name.
    fn send(&self, process: &str, ready: bool) {
        let label = Label { name: Text::new("why").unwrap(), value: Text::new("a \"quoted\\\n\" word").unwrap() };
        let sample = Sample { suffix: Text::default(), labels: List::new(vec![label]).unwrap(), value: 7.0 };
        let family = Family {
            name: Text::new("chancery_violations_total").unwrap(),
            help: Text::new("Messages from a peer that no honest peer sends.").unwrap(),
            kind: FamilyKind::Counter,
            samples: List::new(vec![sample]).unwrap(),
        };
        let families = List::new(vec![family]).unwrap();
        let snapshot = Snapshot { process: Text::new(process).unwrap(), ready, families };
        self.send_octets(&borsh::to_vec(&snapshot).unwrap());
    }

    fn send_octets(&self, octets: &[u8]) {
        let socket = UnixDatagram::unbound().unwrap();
        socket.send_to(octets, self.root.path().join(Place::Metrics.file())).unwrap();
    }

    /// The status and the body of an answer.
    fn ask(&self, head: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn metrics(&self) -> String {
        let (status, body) = self.ask("GET /metrics HTTP/1.1");
        assert_eq!(status, 200);
        body
    }
}

/// What `promtool check metrics` refuses: samples without HELP and TYPE above them, families twice, names and
/// counters that break the conventions, histograms without their parts.
fn check(exposition: &str) -> HashMap<String, String> {
    let (mut types, mut helped, mut seen) = (HashMap::new(), HashSet::new(), HashSet::new());
    let mut family = String::new();
    for line in exposition.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(helped.insert(name.to_owned()), "{name} twice");
            assert!(!text.is_empty(), "{line}");
            family = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family, "TYPE follows its HELP");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            types.insert(name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap();
            let suffixes: &[&str] = match types.get(&family).map(String::as_str) {
                Some("histogram") => &["_bucket", "_sum", "_count"],
                Some(_) => &[""],
                None => panic!("no TYPE above {line}"),
            };
            assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{line} stands below {family}");
            assert!(name.starts_with("chancery_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert!(labels.starts_with("process=\"") && labels.ends_with("\"}"), "{line}");
            assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(series.to_owned()), "{series} twice");
        }
    }
    types
}

#[test]
fn what_audit_measures_is_scraped_with_help_and_type() {
    let house = House::new();
    let _exporter = house.exporter();
    let _audit = house.audit();
    let exposition = eventually("audit's metrics", || {
        Some(house.metrics()).filter(|text| text.contains("chancery_ready{process=\"audit\"} 1"))
    });
    let types = check(&exposition);
    for (name, kind) in [
        ("chancery_audit_entries_total", "counter"),
        ("chancery_audit_commits_total", "counter"),
        ("chancery_audit_commit_seconds", "histogram"),
        ("chancery_audit_not_durable_total", "counter"),
        ("chancery_audit_record_entries", "gauge"),
        ("chancery_violations_total", "counter"),
        ("chancery_exporter_malformed_total", "counter"),
    ] {
        if name.contains("exporter") {
            eventually("the exporter's own", || house.metrics().contains(name).then_some(()));
        } else {
            assert_eq!(types.get(name).map(String::as_str), Some(kind), "{name}");
        }
    }
    assert!(exposition.contains("chancery_audit_entries_total{process=\"audit\",origin=\"issuer\"} 0\n"));
    assert!(exposition.contains("chancery_audit_commit_seconds_bucket{process=\"audit\",le=\"+Inf\"} 0\n"));
}

#[test]
fn nobody_speaks_for_a_process_that_lives_and_its_successor_does() {
    let house = House::new();
    let _exporter = house.exporter();
    let audit = house.audit();
    let ready = "chancery_ready{process=\"audit\"} 1\n";
    eventually("audit's own word", || house.metrics().contains(ready).then_some(()));
    // Longer than any silence that gives a name away: it is not silent.
    for _ in 0..20 {
        house.send("audit", false);
        let text = house.metrics();
        assert!(text.contains(ready) && !text.contains("process=\"audit\",why="), "{text}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let refused = "chancery_exporter_refused_total{process=\"exporter\"} 20\n";
    eventually("all were counted", || house.metrics().contains(refused).then_some(()));
    audit.end(Signal::SIGKILL);
    eventually("the successor's word", || {
        house.send("audit", false);
        house.metrics().contains("chancery_ready{process=\"audit\"} 0\n").then_some(())
    });
}

#[test]
fn one_family_of_two_processes_stands_once_and_values_are_escaped() {
    let house = House::new();
    let _exporter = house.exporter();
    house.send("auth", true);
    house.send("issuer", true);
    let text = eventually("both", || Some(house.metrics()).filter(|text| text.contains("process=\"issuer\",why")));
    check(&text);
    assert!(text.contains("chancery_violations_total{process=\"auth\",why=\"a \\\"quoted\\\\\\n\\\" word\"} 7\n"));
}

#[test]
fn ready_names_who_is_missing_and_a_silent_process_is_missing_again() {
    let house = House::new();
    let _exporter = house.exporter();
    assert_eq!(house.ask("GET /live HTTP/1.1"), (200, "live\n".to_owned()));
    let nobody = (503, "not ready: worker, auth, issuer, audit, signer\n".to_owned());
    assert_eq!(house.ask("GET /ready HTTP/1.1"), nobody);
    let everybody = || ["worker@1", "auth", "issuer", "audit", "signer@2"].iter().for_each(|one| house.send(one, true));
    eventually("ready", || {
        everybody();
        (house.ask("GET /ready HTTP/1.1") == (200, "ready\n".to_owned())).then_some(())
    });
    eventually("not ready without signer", || {
        everybody();
        house.send("signer@2", false);
        (house.ask("GET /ready HTTP/1.1") == (503, "not ready: signer\n".to_owned())).then_some(())
    });
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(house.ask("GET /ready HTTP/1.1"), nobody);
}

#[test]
fn garbage_is_counted_and_other_requests_are_refused() {
    let house = House::new();
    let exporter = house.exporter();
    house.send_octets(b"no snapshot");
    house.send_octets(&vec![0; 100_000]);
    eventually("both were counted", || {
        house.metrics().contains("chancery_exporter_malformed_total{process=\"exporter\"} 2\n").then_some(())
    });
    assert_eq!(house.ask("GET /metrics/../etc HTTP/1.1").0, 404);
    assert_eq!(house.ask("POST /metrics HTTP/1.1").0, 405);
    assert_eq!(house.ask("HEAD /live HTTP/1.1"), (200, String::new()));
    let wide = format!("GET /live HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    assert_eq!(house.ask(&wide).0, 431);
    assert!(exporter.end(Signal::SIGTERM).success());
    // Its successor inherits the same sockets, and finds what was sent meanwhile.
    house.send("auth", true);
    let _exporter = house.exporter();
    eventually("auth", || house.metrics().contains("process=\"auth\"").then_some(()));
}
