//! Bad input through the front door of the whole service: real TLS, real processes, a real token. Each is a
//! bounded answer or a close, a counter that rises by one, and one line of log under the client's own id.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regex::Regex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

#[path = "demo/service.rs"]
#[expect(dead_code, reason = "shared with tests/demo, which uses all of it")]
mod demo;

use demo::Demo;

const PATH: &str = "/adfs/services/trust/13/usernamemixed";
const GENERIC: &str = "/sts";
/// No answer to bad input is longer than this, head and all.
const LONGEST: usize = 4096;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two requests: the log takes ten lines a second.
const PACE: Duration = Duration::from_millis(150);
const REFUSED: &str = "chancery_request_refusals_total";
const CLOSED: &str = "chancery_connections_closed_total";

const ENVELOPE: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:Action>http://docs.oasis-open.org/ws-sx/ws-trust/200512/RST/Issue</a:Action><a:MessageID>urn:uuid:0a3c1f9e-8a53-4c4e-9b5d-0d5a1c7b2f10</a:MessageID><o:Security xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">{timestamp}<o:UsernameToken><o:Username>{user}</o:Username><o:Password>{password}</o:Password></o:UsernameToken></o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t="http://docs.oasis-open.org/ws-sx/ws-trust/200512"><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference><a:Address>{party}</a:Address></a:EndpointReference></p:AppliesTo><t:RequestType>http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>"#;
const STALE: &str = r#"<u:Timestamp xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><u:Created>2020-01-01T00:00:00Z</u:Created><u:Expires>2020-01-01T00:05:00Z</u:Expires></u:Timestamp>"#;

/// What a message may have wrong.
#[derive(Clone, Copy)]
struct Message<'a> {
    user: &'a str,
    password: &'a str,
    party: &'a str,
    timestamp: &'a str,
}

impl Message<'_> {
    fn text(&self) -> String {
        let text = ENVELOPE.replace("{user}", self.user).replace("{password}", self.password);
        text.replace("{party}", self.party).replace("{timestamp}", self.timestamp)
    }
}

/// The service, with limits short enough to be waited for.
struct House {
    demo: Demo,
    directory: tempfile::TempDir,
    password: String,
    tls: Arc<rustls::ClientConfig>,
}

impl House {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Demo::start(directory.path()).stop().code(), Some(0));
        let worker = directory.path().join("demo/etc/worker.d/worker.toml");
        let limits = "[limits]\nbody_kib = 16\nhead_timeout_s = 1\nbody_timeout_s = 5\n\
                      body_octets_per_s = 1000\nidle_timeout_s = 2\nhandshake_timeout_s = 1\n";
        let text = std::fs::read_to_string(&worker).unwrap();
        std::fs::write(&worker, text.replace("[tls]", &format!("{limits}[tls]"))).unwrap();
        let demo = Demo::configured(directory.path(), |_| {});
        let password = std::fs::read_to_string(directory.path().join("demo/alice.password")).unwrap().trim().to_owned();
        let tls = trusting(&worker.with_file_name("tls.pem"));
        Self { demo, directory, password, tls }
    }

    fn good(&self) -> Message<'_> {
        Message { user: "alice", password: &self.password, party: "urn:federation:MicrosoftOnline", timestamp: "" }
    }

    fn tcp(&self, source: Ipv4Addr) -> TcpStream {
        let address: SocketAddr = self.demo.fact("address").parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(IpAddr::V4(source), 0)).unwrap();
            socket.connect(address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Writes these octets inside TLS; gives what comes until the server closes.
    fn inside(&self, source: Ipv4Addr, octets: &[u8]) -> String {
        let name = ServerName::try_from("localhost").unwrap();
        let client = rustls::ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        let mut stream = rustls::StreamOwned::new(client, self.tcp(source));
        let _ = stream.write_all(octets);
        let _ = stream.flush();
        String::from_utf8(all(&mut stream)).unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The worker's counters of those two families, by family and label.
    fn counters(&self) -> BTreeMap<(String, String), u64> {
        let address = self.demo.fact("metrics").trim_start_matches("http://").trim_end_matches("/metrics");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let of_worker = page.lines().filter(|line| line.contains("process=\"worker@1\""));
        let of_ours = of_worker.filter(|line| line.starts_with(REFUSED) || line.starts_with(CLOSED));
        of_ours
            .map(|line| {
                let family = line.split('{').next().unwrap().to_owned();
                let label = line.split("reason=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
                ((family, label), line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64)
            })
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// A request for a token with more header lines.
fn request(path: &str, head: &str, body: &str) -> String {
    let media =
        if head.contains("Content-Type") { "" } else { "Content-Type: application/soap+xml; charset=utf-8\r\n" };
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{media}Content-Length: {length}\r\n{head}\r\n{body}"
    )
}

fn trusting(certificate: &Path) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// What comes until the other side closes, in whatever manner; no more than a little above the bound.
fn all(stream: &mut impl Read) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        octets.extend_from_slice(&buffer[..read]);
        assert!(octets.len() < 2 * LONGEST, "{}", String::from_utf8_lossy(&octets));
    }
    octets
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// An answered request: its name, what it is, the status, a word of the answer, the reason counted and logged.
struct Answered<'a>(&'a str, String, &'a str, u16, &'a str, &'a str);

/// How to begin a connection that gets no answer.
type Opening<'a> = Box<dyn Fn(Ipv4Addr) -> Vec<u8> + 'a>;

#[test]
fn every_bad_input_is_a_bounded_answer_a_counter_and_a_line_under_the_clients_id() {
    if !demo::possible("bad-input") {
        return;
    }
    let house = House::open();
    let good = house.good();
    let text = good.text();
    let deep = format!("{}{}", "<a>".repeat(500), "</a>".repeat(500));
    let entity = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>";
    let (malformed, unauthenticated) = ("could not be read", "a:FailedAuthentication");
    let twice = "Content-Type: application/soap+xml\r\nContent-Type: application/soap+xml\r\n";
    let message = |message: Message<'_>| message.text();
    let answered = [
        Answered("oversized", " ".repeat(17 * 1024), "", 413, "too large", "too-large"),
        Answered("truncated", text[..text.len() / 2].to_owned(), "", 400, malformed, "xml: not well-formed"),
        Answered("empty", String::new(), "", 400, malformed, "xml: not well-formed"),
        Answered("deep", deep, "", 400, malformed, "xml: too large"),
        Answered("DTD", "<!DOCTYPE a><a/>".to_owned(), "", 400, malformed, "xml: document type declaration"),
        Answered("entity", entity.to_owned(), "", 400, malformed, "xml: document type declaration"),
        Answered("unknown reference", text.replace(">alice<", ">&b;<"), "", 400, malformed, "xml: bad reference"),
        Answered(
            "SOAP version",
            text.replace("2003/05/soap", "2099/05/soap"),
            "",
            500,
            "VersionMismatch",
            "soap: unknown version",
        ),
        Answered(
            "WS-Trust version",
            text.replace("ws-trust/200512\"", "ws-trust/209912\""),
            "",
            500,
            "a:BadRequest",
            "trust: unknown version",
        ),
        Answered("duplicate HTTP header", text.clone(), twice, 400, "twice", "duplicate-header"),
        Answered(
            "duplicate SOAP header",
            text.replace("<a:Action>", "<a:Action>x</a:Action><a:Action>"),
            "",
            500,
            "a:InvalidAddressingHeader",
            "addressing: header twice",
        ),
        Answered(
            "unknown relying party",
            message(Message { party: "urn:nobody", ..good }),
            "",
            500,
            "a:InvalidScope",
            "invalid-scope",
        ),
        Answered(
            "wrong password",
            message(Message { password: "wrong", ..good }),
            "",
            500,
            unauthenticated,
            "failed-authentication",
        ),
        Answered(
            "unknown user",
            message(Message { user: "mallory", ..good }),
            "",
            500,
            unauthenticated,
            "failed-authentication",
        ),
        Answered(
            "stale timestamp",
            message(Message { timestamp: STALE, ..good }),
            "",
            500,
            "a:MessageExpired",
            "message-expired",
        ),
    ];
    let before = house.counters();
    let mut expected = before.clone();
    let mut rises =
        |family: &str, reason: &str| *expected.entry((family.to_owned(), reason.to_owned())).or_default() += 1;
    let source = Ipv4Addr::new(127, 0, 1, 1);
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for (index, Answered(name, body, head, status, word, reason)) in answered.iter().enumerate() {
        let id = format!("7c1e5f0a-3b8e-4c52-9d0e-{index:012}");
        let head = format!("client-request-id: {id}\r\n{head}");
        let answer = house.inside(source, request(PATH, &head, body).as_bytes());
        let correct = answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(word);
        if !correct || answer.len() > LONGEST || answer.contains("root:") {
            wrong.push(format!("{name}: {answer}"));
        }
        seen.push((name, id, header(&answer, "x-correlation-id").map(str::to_owned), *reason));
        rises(REFUSED, reason);
        std::thread::sleep(PACE);
    }
    // A body that does not go on: its head has come, so there is an answer and an id.
    let id = "7c1e5f0a-3b8e-4c52-9d0e-999999999999".to_owned();
    let slow = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nclient-request-id: {id}\r\nContent-Length: 1000\r\n\r\n<");
    let answer = house.inside(source, slow.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.len() < LONGEST, "{answer}");
    seen.push((&"slow body", id, header(&answer, "x-correlation-id").map(str::to_owned), "too-slow"));
    rises(REFUSED, "too-slow");

    // What has no request has no id; its line has the address.
    let plain = |octets: &'static [u8]| -> Opening<'_> {
        let house = &house;
        Box::new(move |source| {
            let mut stream = house.tcp(source);
            stream.write_all(octets).unwrap();
            all(&mut stream)
        })
    };
    let inside = |octets: &'static [u8]| -> Opening<'_> {
        let house = &house;
        Box::new(move |source| house.inside(source, octets).into_bytes())
    };
    let closed: [(&str, Opening<'_>, &str); 6] = [
        ("garbage TLS", plain(&[0xFF; 300]), "tls"),
        ("HTTP where TLS is spoken", plain(b"GET / HTTP/1.1\r\n\r\n"), "tls"),
        ("half a ClientHello", plain(b"\x16\x03\x01\x00\x05\x01\x00\x00"), "handshake-timeout"),
        ("a client that says nothing", plain(b""), "handshake-timeout"),
        ("slow head", inside(b"POST / HTTP/1.1\r\nHos"), "slow-head"),
        ("idle connection", inside(b""), "unused"),
    ];
    for (index, (name, opening, reason)) in closed.iter().enumerate() {
        let source = Ipv4Addr::new(127, 0, 2, 1 + u8::try_from(index).unwrap());
        let begun = Instant::now();
        let octets = opening(source);
        // At most an alert.
        if octets.len() > 7 || begun.elapsed() > PATIENCE / 2 {
            wrong.push(format!("{name}: {octets:?} after {:?}", begun.elapsed()));
        }
        rises(CLOSED, reason);
    }

    let begun = Instant::now();
    while house.counters() != expected && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(house.counters(), expected, "{wrong:#?}");
    let log = house.log();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    for (name, id, correlation, reason) in seen {
        let lines = lines(&format!("client_request_id=\"{id}\""));
        let names = |line: &&str| {
            let ours = correlation.as_ref().is_some_and(|ours| line.contains(&format!("correlation={ours} ")));
            ours && line.contains(&format!("event=\"refused\" reason=\"{reason}\" source={source}"))
        };
        if lines.len() != 1 || !lines.iter().all(names) {
            wrong.push(format!("{name}: {correlation:?} {lines:#?}"));
        }
    }
    for (index, (name, _, reason)) in closed.iter().enumerate() {
        let lines = lines(&format!("source=127.0.2.{} ", index + 1));
        if lines.len() != 1 || !lines[0].contains(&format!("event=\"closed\" reason=\"{reason}\"")) {
            wrong.push(format!("{name}: {lines:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    drop(closed);
    // The same client, without a fault.
    let answer = house.inside(source, request(PATH, "", &text).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(house.demo.stop().code(), Some(0));
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_answered_with_the_same_octets() {
    if !demo::possible("equal-answers") {
        return;
    }
    let house = House::open();
    let source = Ipv4Addr::new(127, 0, 1, 2);
    let vary = [
        // Our id, plain and as a UUID; instants; the server's clock.
        Regex::new("[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap(),
        Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap(),
        Regex::new(r"(?i)\bdate: [^\r]+").unwrap(),
    ];
    let masked =
        |answer: &str| vary.iter().fold(answer.to_owned(), |text, vary| vary.replace_all(&text, "*").into_owned());
    let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap();
    let fresh = STALE.replace("2020-01-01T00:00:00Z", &now).replace("2020-01-01T00:05:00Z", "2999-01-01T00:00:00Z");
    for path in [PATH, GENERIC] {
        let ask = |user: &str, password: &str| {
            let message = Message { user, password, timestamp: &fresh, ..house.good() };
            let answer = house.inside(source, request(path, "", &message.text()).as_bytes());
            assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains(":FailedAuthentication"), "{answer}");
            answer
        };
        let wrong = ask("alice", "wrong");
        // Neither the length of a name nor of a password shows, nor which of them was wrong.
        for (user, password) in [("bob", "wrong"), ("nobody-of-that-name", house.password.as_str())] {
            let unknown = ask(user, password);
            assert_ne!(wrong, unknown, "ids differ");
            assert_eq!(masked(&wrong), masked(&unknown), "{path}: {user:?}");
        }
        assert_eq!(masked(&wrong), masked(&ask("alice", "another that is wrong")), "{path}");
    }
    assert_eq!(house.demo.stop().code(), Some(0));
}
