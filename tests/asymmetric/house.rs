//! A demo with endpoints for a client that signs, each of which answers in another way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use chancery::wire::Millis;
use chancery::wire::evidence::KeyReference;
use chancery::xml::names;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::demo::Demo;
use crate::support::caller::Caller;
use crate::support::signed::{Client, Part};

pub(crate) const SIGNED: &str = "/signed";
pub(crate) const CONFIRMING: &str = "/confirming";
pub(crate) const SEALED: &str = "/sealed";
pub(crate) const PLAIN: &str = "/plain";
/// For messages that are sealed; at the second one by CBC, too, and answers are signed, at the third sealed besides.
pub(crate) const STRICT: &str = "/strict";
pub(crate) const CHAINED: &str = "/chained";
pub(crate) const CHAINED_SEALED: &str = "/chained-sealed";
pub(crate) const ADDRESS: &str = "https://sts.example.com/sts";
pub(crate) const X509: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";

pub(crate) struct House {
    demo: Demo,
    directory: tempfile::TempDir,
    pub(crate) client: Client,
    caller: Caller,
}

fn change(path: &Path, how: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, how(text)).unwrap();
}

impl House {
    pub(crate) fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Demo::start(directory.path()).stop().code(), Some(0));
        let config = directory.path().join("demo/etc");
        let client = Client::rsa(false);
        std::fs::write(config.join("auth.d/machine.pem"), &client.certificate).unwrap();
        change(&config.join("auth.d/users.toml"), |text| {
            format!(
                "{text}\n[users.machine]\ncertificates = [\"machine.pem\"]\nattributes.mail = [\"machine@example.com\"]\n"
            )
        });
        let ways = [
            (SIGNED, "signed", false),
            (CONFIRMING, "signed", true),
            (SEALED, "sealed", false),
            (PLAIN, "plain", false),
            (STRICT, "plain", false),
            (CHAINED, "signed", true),
            (CHAINED_SEALED, "sealed", false),
        ];
        let seals = |path| [STRICT, CHAINED, CHAINED_SEALED].contains(&path);
        let leniencies = |path| if seals(path) && path != STRICT { "\"aes-cbc\"" } else { "" };
        change(&config.join("auth.d/auth.toml"), |text| {
            let endpoints = ways.map(|(path, replies, _)| {
                format!(
                    "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"signature\"]\nreplies = \"{replies}\"\n\
                     addresses = [\"{ADDRESS}\"]\nencryption = {}\nleniencies = [{}]\n",
                    seals(path),
                    leniencies(path)
                )
            });
            format!("{text}\n[throttle]\nunwrap_burst = 1000\naccount_burst = 1000\n{}", endpoints.concat())
        });
        change(&config.join("worker.d/worker.toml"), |text| {
            let endpoints = ways.map(|(path, replies, confirms)| {
                format!(
                    "[[endpoint]]\npath = \"{path}\"\ncredential = \"signature\"\nreplies = \"{replies}\"\n\
                     signature_confirmation = {confirms}\nencryption = {}\n",
                    seals(path)
                )
            });
            format!("{}\n{}", text.split("[[endpoint]]").next().unwrap(), endpoints.concat())
        });
        let demo = Demo::configured(directory.path(), |_| {});
        let caller = Caller::trusting(&config.join("worker.d/tls.pem"));
        Self { demo, directory, client, caller }
    }

    /// The certificate that clients seal for, DER.
    pub(crate) fn opens_with(&self) -> Vec<u8> {
        CertificateDer::from_pem_file(self.directory.path().join("demo/etc/issuer.d/unwrap-1.pem")).unwrap().to_vec()
    }

    /// The certificate of the key for answers, DER.
    pub(crate) fn answers_with(&self) -> Vec<u8> {
        CertificateDer::from_pem_file(self.directory.path().join("demo/etc/issuer.d/message-1.pem")).unwrap().to_vec()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// A request of this client's, and its signature as it is written there.
    pub(crate) fn request(&self, client: &Client) -> (String, String) {
        let now = Millis::now();
        let [at, to, body, id, action] = [
            Part::timestamp(now, Some(now.plus(300_000))),
            Part::to(ADDRESS),
            Part::body("https://rp.example.com/", ""),
            Part::message_id(),
            Part::action(),
        ];
        let info = client.signed_info(&[at.clone(), to.clone(), body.clone(), id.clone(), action.clone()]);
        let value = Base64::encode_string(&client.sign(info.as_bytes()));
        let KeyReference::Certificate(der) = client.reference() else { panic!("a certificate") };
        let text = format!(
            "<s:Envelope xmlns:s='{}' xmlns:a='{}' xmlns:o='{}' xmlns:u='{}'><s:Header>{}{}{}\
             <o:Security s:mustUnderstand='1'>{}<o:BinarySecurityToken u:Id='x' ValueType='{X509}'>{}\
             </o:BinarySecurityToken><ds:Signature xmlns:ds='{}'>{info}<ds:SignatureValue>{value}</ds:SignatureValue>\
             <ds:KeyInfo><o:SecurityTokenReference><o:Reference URI='#x'/></o:SecurityTokenReference></ds:KeyInfo>\
             </ds:Signature></o:Security></s:Header>{}</s:Envelope>",
            names::SOAP12,
            names::WSA,
            names::WSSE,
            names::WSU,
            action.octets,
            to.octets,
            id.octets,
            at.octets,
            Base64::encode_string(&der),
            names::DS,
            body.octets
        );
        (text, value)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        let answer = self.caller.post(self.demo.fact("address"), path, "", body);
        (answer.status, answer.body().to_owned())
    }

    #[track_caller]
    pub(crate) fn gets_a_token(&self, path: &str, message: &str) -> String {
        let (status, answer) = self.post(path, message);
        assert!(status == 200, "{path}: {answer}\n{message}\n{}", self.log());
        answer
    }

    #[track_caller]
    pub(crate) fn is_refused(&self, path: &str, message: &str, code: &str) -> String {
        let (status, answer) = self.post(path, message);
        assert!(status != 200 && answer.contains(&format!(":{code}<")), "{path}: {answer}\n{message}\n{}", self.log());
        answer
    }

    /// A counter comes to say this: snapshots come once a second.
    pub(crate) fn counts(&self, name: &str, number: u64) {
        let address = self.demo.fact("metrics").trim_start_matches("http://").trim_end_matches("/metrics").to_owned();
        let begun = Instant::now();
        loop {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
            let mut page = String::new();
            stream.read_to_string(&mut page).unwrap();
            if page.lines().any(|line| line == format!("{name} {number}")) {
                return;
            }
            let family: Vec<&str> = page
                .lines()
                .filter(|line| ["reply_signatures", "unwraps", "leniencies"].iter().any(|name| line.contains(name)))
                .collect();
            assert!(begun.elapsed() < Duration::from_secs(10), "{name} is not {number}: {family:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
