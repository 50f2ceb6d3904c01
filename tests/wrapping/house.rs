//! The whole service with clients let in that sign, and a connection to its front door. Both relying parties may
//! be asked for by the account that signs, so that a changed request which is believed yields a token.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use chancery::audit::format::Public;
use chancery::audit::reader::Entries;
use chancery::config::worker::{Endpoint, Worker};
use chancery::wire::record::Intent;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::asserted::{AUDIENCE, ISSUER};
use crate::demo::Demo;
use crate::message::Cast;

pub(crate) struct House {
    pub(crate) demo: Demo,
    directory: tempfile::TempDir,
    tls: Arc<rustls::ClientConfig>,
    worker: Worker,
    /// Tokens in the record before anybody signed.
    before: usize,
}

fn intents(record: &Path) -> Vec<Intent> {
    let intents = Entries::open(record).filter_map(|entry| match entry.unwrap().leaf.public {
        Public::Intent(intent) => Some(intent),
        _ => None,
    });
    intents.collect()
}

impl House {
    pub(crate) fn open(cast: &Cast) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = Demo::start(directory.path());
        let record = made.fact("record").to_owned();
        assert_eq!(made.stop().code(), Some(0));
        let service = directory.path().join("demo/etc/issuer.d/unwrap-1.pem");
        cast.service.set(CertificateDer::from_pem_file(service).unwrap().to_vec()).unwrap();
        let before = intents(record.as_ref()).len();
        let config = directory.path().join("demo/etc");
        let_in(&config, cast);
        let us = CertificateDer::from_pem_file(config.join("issuer.d/unwrap-1.pem")).unwrap();
        cast.seal_for(&us);
        let demo = Demo::configured(directory.path(), |_| {});
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(config.join("worker.d/tls.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = Arc::new(tls.with_root_certificates(roots).with_no_client_auth());
        let (worker, _) = chancery::config::worker::load(&config.join("worker.d")).unwrap();
        Self { demo, directory, tls, worker, before }
    }

    /// Stops it, and gives what the record says of every token since it was opened.
    pub(crate) fn close(self) -> Vec<Intent> {
        let record = self.demo.fact("record").to_owned();
        assert_eq!(self.demo.stop().code(), Some(0));
        intents(record.as_ref()).split_off(self.before)
    }

    /// The configuration of an endpoint.
    pub(crate) fn endpoint(&self, path: &str) -> &Endpoint {
        self.worker.endpoints.iter().find(|endpoint| endpoint.path == path).unwrap()
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.demo.fact("address")).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let client = rustls::ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        Connection(rustls::StreamOwned::new(client, stream))
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The counters of a family by process and label, without those that are zero.
    pub(crate) fn counters(&self, family: &str) -> BTreeMap<(String, String), u64> {
        let address = self.demo.fact("metrics").trim_start_matches("http://").trim_end_matches("/metrics");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page.lines()
            .filter_map(|line| line.strip_prefix(family)?.strip_prefix('{'))
            .map(|line| {
                let mut labels: BTreeMap<&str, &str> = line[..line.find('}').unwrap()]
                    .split("\",")
                    .filter_map(|pair| pair.trim_end_matches('"').split_once("=\""))
                    .collect();
                let process = labels.remove("process").unwrap().to_owned();
                let label = labels.into_values().next().unwrap_or_default().to_owned();
                ((process, label), line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64)
            })
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

fn let_in(config: &Path, cast: &Cast) {
    let append = |file: &str, more: &str| {
        let text = std::fs::read_to_string(config.join(file)).unwrap();
        std::fs::write(config.join(file), format!("{text}\n{more}")).unwrap();
    };
    for (name, client) in
        [("ours", &cast.ours), ("ours-rsa", &cast.ours_rsa), ("bob", &cast.bob), ("agency", &cast.agency)]
    {
        std::fs::write(config.join(format!("auth.d/{name}.pem")), &client.certificate).unwrap();
    }
    for (name, certificates) in [("machine", "\"ours.pem\", \"ours-rsa.pem\""), ("bob", "\"bob.pem\"")] {
        let attributes =
            format!("mail = [\"{name}@example.com\"]\nupn = [\"{name}@example.com\"]\nimmutable_id = [\"{name}\"]\n");
        append(
            "auth.d/users.toml",
            &format!(
                "[users.{name}]\nsaml_partner = \"agency\"\ncertificates = [{certificates}]\n[users.{name}.attributes]\n\
                 {attributes}"
            ),
        );
    }
    append("auth.d/auth.toml", "[throttle]\naccount_burst = 100000\nunwrap_burst = 100000\n");
    append(
        "auth.d/auth.toml",
        &format!(
            "[[endpoint]]\npath = \"/held\"\ncredentials = [\"saml\"]\ntoken_type = \"saml20\"\n\
             addresses = [\"https://sts.example.com/held\"]\n[[saml_partner]]\nname = \"agency\"\nissuer = \"{ISSUER}\"\n\
             certificates = [\"agency.pem\"]\naudiences = [\"{AUDIENCE}\"]\n\
             holder_proofs = [\"signature\", \"mac\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\n"
        ),
    );
    let every = chancery::worker::message::Leniency::ALL.map(|leniency| format!("\"{}\"", leniency.name())).join(", ");
    append(
        "auth.d/auth.toml",
        "[[endpoint]]\npath = \"/sealed\"\ncredentials = [\"signature\"]\ntoken_type = \"saml20\"\nencryption = true\n\
         addresses = [\"https://sts.example.com/sealed\"]\nleniencies = [\"unsigned-addressing\", \"aes-cbc\"]\n",
    );
    let issuer = config.join("issuer.d/issuer.toml");
    let text = std::fs::read_to_string(&issuer).unwrap();
    std::fs::write(&issuer, format!("unwraps_per_second = 10000\n{text}")).unwrap();
    let mut worker = "[[endpoint]]\npath = \"/sealed\"\ncredential = \"signature\"\nencryption = true\n[[endpoint]]\npath = \"/held\"\ncredential = \"saml\"\nleniencies = []\n".to_owned();
    // Most shapes are of parts that mean something where the other headers need not be signed, too.
    let lenient = "\"to-absent\", \"enveloped-transform\", \"unsigned-addressing\"";
    for (path, of_auth, leniencies) in
        [("/strict", "", ""), ("/signed", "\"unsigned-addressing\"", ""), ("/lenient", lenient, every.as_str())]
    {
        append(
            "auth.d/auth.toml",
            &format!(
                "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"signature\"]\ntoken_type = \"saml20\"\n\
                 addresses = [\"https://sts.example.com{path}\"]\nleniencies = [{of_auth}]\n"
            ),
        );
        worker +=
            &format!("[[endpoint]]\npath = \"{path}\"\ncredential = \"signature\"\nleniencies = [{leniencies}]\n");
    }
    let file = config.join("worker.d/worker.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // No endpoint for passwords: each must be in auth.toml as soon as one is.
    let rest = text.split("[[endpoint]]").filter(|part| !part.contains("username\"")).collect::<String>();
    std::fs::write(&file, format!("{rest}\n{worker}")).unwrap();
}

/// A connection that is kept.
pub(crate) struct Connection(rustls::StreamOwned<rustls::ClientConnection, TcpStream>);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) correlation: String,
    pub(crate) body: String,
    closes: bool,
}

impl Connection {
    /// Sends a message and reads its answer; connects again where the server said that it would close.
    pub(crate) fn post(&mut self, house: &House, path: &str, media: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.0.write_all(request.as_bytes()).unwrap();
        self.0.flush().unwrap();
        let answer = self.answer();
        if answer.closes {
            *self = house.connect();
        }
        answer
    }

    fn answer(&mut self) -> Answer {
        let mut octets = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = self.0.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "closed after {}", String::from_utf8_lossy(&octets));
            octets.extend_from_slice(&buffer[..read]);
            let Some(at) = octets.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(octets[..at].to_vec()).unwrap().to_ascii_lowercase();
            let field =
                |name: &str| head.lines().filter_map(|line| line.split_once(": ")).find(|(known, _)| *known == name);
            let length: usize = field("content-length").unwrap().1.parse().unwrap();
            if octets.len() < at + 4 + length {
                continue;
            }
            return Answer {
                status: head.split(' ').nth(1).unwrap().parse().unwrap(),
                correlation: field("x-correlation-id").unwrap().1.to_owned(),
                body: String::from_utf8(octets[at + 4..].to_vec()).unwrap(),
                closes: field("connection").is_some_and(|(_, value)| value == "close"),
            };
        }
    }
}
