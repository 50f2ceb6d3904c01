//! Clients that prove themselves by the certificate of their TLS connection, through every process and a real token:
//! in TLS 1.3 and 1.2, with every kind of key, registered and issued, and those that prove nothing.

#![cfg(all(feature = "worker", feature = "signer", feature = "ctl"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it did not expect")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[path = "support/answers.rs"]
#[expect(dead_code, reason = "shared with tests/issued_requests.rs, which uses all of it")]
mod answers;
#[path = "support/asserted.rs"]
#[expect(dead_code, reason = "shared with tests/saml, which uses all of it")]
mod asserted;
#[path = "demo/service.rs"]
#[expect(dead_code, reason = "shared with tests/demo, which uses all of it")]
mod demo;
#[path = "support/handshakes.rs"]
#[expect(dead_code, reason = "shared with tests/client_handshakes.rs, which uses more of it")]
mod handshakes;
#[path = "support/responder.rs"]
#[expect(dead_code, reason = "shared with tests/issued_requests.rs, which uses all of it")]
mod responder;
#[path = "support/signed.rs"]
#[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
mod signed;

use answers::{Answer as Said, REVOKED};
use asserted::{AUDIENCE, BEARER, ISSUER, Words, at};
use base64ct::{Base64, Encoding};
use demo::Demo;
use handshakes::Identity;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, RevokedCertParams,
};
use responder::Responder;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use time::OffsetDateTime;
use tokio_rustls::client::TlsStream;

const GENERIC: &str = "/certificate";
const ADFS_13: &str = "/adfs/services/trust/13/certificatetransport";
const ADFS_2005: &str = "/adfs/services/trust/2005/certificatetransport";
/// The endpoint for assertions.
const HELD: &str = "/held";
const PARTY: &str = "https://rp.example.com/";
const WST13: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const WST05: &str = "http://schemas.xmlsoap.org/ws/2005/02/trust";
const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

type Kind = &'static rcgen::SignatureAlgorithm;

const KINDS: [(&str, Kind); 5] = [
    ("p256", &rcgen::PKCS_ECDSA_P256_SHA256),
    ("p384", &rcgen::PKCS_ECDSA_P384_SHA384),
    ("p521", &rcgen::PKCS_ECDSA_P521_SHA512),
    ("ed25519", &rcgen::PKCS_ED25519),
    ("rsa", &rcgen::PKCS_RSA_SHA256),
];

fn pem(der: &[u8], label: &str) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der))
}

/// A service with registered clients, one for each kind of key, and an authority.
struct House {
    directory: tempfile::TempDir,
    demo: Demo,
    server: CertificateDer<'static>,
    registered: Vec<(&'static str, Identity)>,
    authority: Issuer<'static, KeyPair>,
    /// Who is asked about its certificates besides.
    responder: Responder,
    /// Whose assertions say whose key is whose.
    agency: signed::Client,
}

impl House {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let demo = Demo::start(root);
        println!("made after {:.1?}: {}", demo.took, demo.ready_file.display());
        assert_eq!(demo.stop().code(), Some(0));
        let etc = root.join("demo/etc");
        let change = |file: &str, how: &dyn Fn(&str) -> String| {
            let text = std::fs::read_to_string(etc.join(file)).unwrap();
            let changed = how(&text);
            assert_ne!(changed, text, "{file} stays as it was");
            std::fs::write(etc.join(file), changed).unwrap();
        };
        std::fs::copy(etc.join("worker.d/tls.pem"), etc.join("auth.d/tls.pem")).unwrap();
        let registered = KINDS.map(|(name, kind)| (name, Identity::own(name, kind))).to_vec();
        let authority = authority(&etc.join("auth.d"));
        let responder = responder(&authority);
        let agency = signed::Client::new();
        std::fs::write(etc.join("auth.d/agency.pem"), &agency.certificate).unwrap();
        let endpoint = |path: &str, profile: &str, trust: &str| {
            format!(
                "\n[[endpoint]]\npath = \"{path}\"\nprofile = \"{profile}\"\ntrust = \"{trust}\"\n\
                 credential = \"tls-certificate\"\n"
            )
        };
        change("worker.d/worker.toml", &|text| {
            let ours = [(GENERIC, "generic", "any"), (ADFS_13, "adfs", "1.3"), (ADFS_2005, "adfs", "2005")];
            let ours = ours.map(|(path, profile, trust)| endpoint(path, profile, trust)).concat();
            let held = format!("\n[[endpoint]]\npath = \"{HELD}\"\ncredential = \"saml\"\n");
            format!("{text}{ours}{held}\n[[listener]]\nname = \"certificates\"\nclient_certificates = \"asked\"\n")
        });
        change("auth.d/auth.toml", &|text| {
            let usual = ["/sts", "/adfs/services/trust/13/usernamemixed", "/adfs/services/trust/2005/usernamemixed"];
            let usual = usual.map(|path| format!("[[endpoint]]\npath = \"{path}\"\n")).concat();
            let ours = [GENERIC, ADFS_13, ADFS_2005].map(|path| {
                let kind = if path == GENERIC { "saml20" } else { "saml11" };
                format!(
                    "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"tls-certificate\"]\ntoken_type = \"{kind}\"\n"
                )
            });
            let authority = format!(
                "[[certificate_authority]]\nname = \"corporate\"\nanchors = [\"root.pem\"]\ncrls = [\"root.crl\"]\n\
                 [[certificate_authority.ocsp]]\nurl = \"http://ocsp.example.com/\"\naddress = \"{}\"\n\
                 [[certificate_authority.subject]]\nfrom = \"cn\"\n",
                responder.address
            );
            let held = format!(
                "[[endpoint]]\npath = \"{HELD}\"\ncredentials = [\"saml\"]\ntoken_type = \"saml20\"\n[[saml_partner]]\n\
                 name = \"agency\"\nissuer = \"{ISSUER}\"\ncertificates = [\"agency.pem\"]\naudiences = [\"{AUDIENCE}\"]\n\
                 holder_proofs = [\"tls-certificate\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\n"
            );
            format!("server_certificates = [\"tls.pem\"]\n{text}{usual}{}{authority}{held}", ours.concat())
        });
        change("auth.d/users.toml", &|text| {
            let mail = |name: &str| format!("attributes = {{ mail = [\"{name}@example.com\"] }}\n");
            let of = |(name, identity): &(&str, Identity)| {
                let file = format!("{name}.pem");
                std::fs::write(etc.join("auth.d").join(&file), pem(&identity.0.cert[0], "CERTIFICATE")).unwrap();
                format!("\n[users.{name}]\ncertificates = [\"{file}\"]\n{}", mail(name))
            };
            let all: String = registered.iter().map(of).collect();
            let sam = format!("[users.sam]\nsaml_partner = \"agency\"\n{}", mail("sam"));
            format!("{text}{all}\n[users.kim]\ncertificate_authority = \"corporate\"\n{}{sam}", mail("kim"))
        });
        change("auth.d/relying-parties/generic.toml", &|text| {
            text.replacen("policy =", "confirmations = [\"bearer\", \"holder-of-key\"]\npolicy =", 1)
        });
        change("issuer.d/relying-parties/generic.toml", &|text| {
            text.replace("[\"bearer\"]", "[\"bearer\", \"holder-of-key\"]")
        });
        let checked = Command::new(demo::CHANCERY).args(["check", "--config"]).arg(&etc).output().unwrap();
        assert!(checked.status.success() && checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
        let demo = Demo::configured(root, |command| _ = command.args(["--listener", "certificates=0"]));
        let server = CertificateDer::from_pem_file(etc.join("worker.d/tls.pem")).unwrap();
        Self { directory, demo, server, registered, authority, responder, agency }
    }

    fn identity(&self, name: &str) -> &Identity {
        &self.registered.iter().find(|(other, _)| *other == name).unwrap().1
    }

    /// A client whose certificate the authority issued.
    fn issued(&self, name: &str, serial: u64) -> Identity {
        let pair = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.serial_number = Some(serial.into());
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&pair, &self.authority).unwrap();
        Identity::of(&pair, vec![certificate.der().clone()])
    }

    fn client(&self, identity: Option<&Identity>, version: &'static SupportedProtocolVersion) -> ClientConfig {
        let (mut config, _) = handshakes::client(identity, &self.server, version, |_| {});
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    /// The listener that asks for certificates.
    fn asking(&self) -> SocketAddr {
        self.demo.ready["listeners"]["certificates"].as_str().unwrap().parse().unwrap()
    }

    fn plain(&self) -> SocketAddr {
        self.demo.fact("address").parse().unwrap()
    }

    /// One request over a connection of its own.
    fn ask(&self, config: ClientConfig, address: SocketAddr, path: &str, body: &str) -> Answer {
        run(async { Connection::open(&Arc::new(config), address).await.unwrap().post(path, body).await })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The log comes to say this.
    fn says(&self, words: &str) {
        let begun = Instant::now();
        while !self.log().contains(words) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{words} is not in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A root that has taken back what has the serial 66.
fn authority(directory: &Path) -> Issuer<'static, KeyPair> {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    std::fs::write(directory.join("root.pem"), parameters.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(parameters, key);
    let now = OffsetDateTime::now_utc();
    let list = CertificateRevocationListParams {
        this_update: now - time::Duration::hours(1),
        next_update: now + time::Duration::hours(1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: 66.into(),
            revocation_time: now - time::Duration::days(1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    std::fs::write(directory.join("root.crl"), list.signed_by(&issuer).unwrap().pem().unwrap()).unwrap();
    issuer
}

/// Who answers for it, and says revoked of what has the serial 67.
fn responder(authority: &Issuer<'static, KeyPair>) -> Responder {
    let name = b"\x30\x21\x31\x1f\x30\x1d\x06\x03\x55\x04\x03\x0c\x16rcgen self signed cert";
    let key = KeyPair::try_from(authority.key().serialize_der()).unwrap();
    Responder::open(move |request| {
        let mut said = Said::good(name);
        if answers::asked(request).0.ends_with(&[2, 1, 67]) {
            said.status = REVOKED.to_vec();
        }
        let octets = said.to(request, &key);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", octets.len());
        [head.into_bytes(), octets].concat()
    })
}

struct Answer {
    status: u16,
    closes: bool,
    retry_after: bool,
    text: String,
}

impl Answer {
    #[track_caller]
    fn token(self, subject: &str) -> String {
        let whole = self.status == 200 && self.text.contains(&format!("{subject}@example.com"));
        assert!(whole, "{} {}", self.status, self.text);
        self.text
    }

    #[track_caller]
    fn fault(&self, code: &str) {
        assert!(self.status != 200 && self.text.contains(code), "{} {}", self.status, self.text);
        assert!(!self.text.contains("Assertion"), "{}", self.text);
    }
}

struct Connection {
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    kind: Option<HandshakeKind>,
    /// Another header.
    more: Option<(&'static str, String)>,
}

impl Connection {
    async fn open(config: &Arc<ClientConfig>, address: SocketAddr) -> Result<Self, String> {
        let tcp = tokio::net::TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(config.clone());
        let name = ServerName::try_from("localhost").unwrap();
        let stream: TlsStream<_> = connector.connect(name, tcp).await.map_err(|error| error.to_string())?;
        let kind = stream.get_ref().1.handshake_kind();
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Self { sender, kind, more: None })
    }

    async fn post(&mut self, path: &str, body: &str) -> Answer {
        self.try_post(path, body).await.unwrap()
    }

    async fn try_post(&mut self, path: &str, body: &str) -> Result<Answer, String> {
        let request = hyper::Request::post(path).header("host", "localhost");
        let mut request = request.header("content-type", "application/soap+xml; charset=utf-8");
        if let Some((name, value)) = &self.more {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        let answer = self.sender.send_request(request).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Answer {
            status: parts.status.as_u16(),
            closes: parts.headers.get("connection").is_some_and(|value| value == "close"),
            retry_after: parts.headers.contains_key("retry-after"),
            text: String::from_utf8(body.to_vec()).unwrap(),
        })
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("no answer in 60 s"))
    })
}

/// A request, as a client of AD FS's certificatetransport words it: nothing in the security header, if there is one.
fn request(trust: &str, security: &str, more: &str) -> String {
    let key_type = if more.contains("KeyType") { String::new() } else { bearer(trust) };
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action s:mustUnderstand=\"1\">{trust}/RST/Issue\
         </a:Action><a:MessageID>urn:uuid:1</a:MessageID><a:To s:mustUnderstand=\"1\">https://localhost/</a:To>{security}\
         </s:Header><s:Body><t:RequestSecurityToken xmlns:t=\"{trust}\"><p:AppliesTo \
         xmlns:p=\"http://schemas.xmlsoap.org/ws/2004/09/policy\"><a:EndpointReference><a:Address>{PARTY}</a:Address>\
         </a:EndpointReference></p:AppliesTo>{key_type}<t:RequestType>{trust}/Issue</t:RequestType>{more}\
         </t:RequestSecurityToken></s:Body></s:Envelope>"
    )
}

fn bearer(trust: &str) -> String {
    match trust {
        WST13 => format!("<t:KeyType>{trust}/Bearer</t:KeyType>"),
        _ => "<t:KeyType>http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey</t:KeyType>".to_owned(),
    }
}

fn plain() -> String {
    request(WST13, "", "")
}

type Case = (&'static str, fn(&House));

const CASES: &[Case] = &[
    ("every kind of key proves its client in TLS 1.3 and 1.2", every_kind_of_key),
    ("clients of AD FS are served at its paths", clients_of_ad_fs),
    ("many requests come over one connection, and by HTTP/2", many_requests_over_one_connection),
    ("a token is bound to the key of the connection", a_token_bound_to_the_key),
    ("an assertion is presented by whoever connects with the certificate that it confirms", holders_of_assertions),
    ("without a certificate the other endpoints are served, and these are not", without_a_certificate),
    ("where nobody is asked a certificate proves nothing", where_nobody_is_asked),
    ("a certificate that means nobody is refused", a_certificate_that_means_nobody),
    ("an authority says whom a certificate means, and whom no more", certificates_of_an_authority),
    ("a page in a browser gets nothing by its user's certificate", a_page),
    ("a second credential is refused", a_second_credential),
    ("a handshake is never resumed", never_resumed),
    ("more certificates than are handed on are refused in the handshake", too_many_certificates),
    ("curl is served", curl),
    ("a connection that has proved its client outlives issuer and auth", outliving),
];

#[test]
fn clients_prove_themselves_by_the_certificate_of_their_connection() {
    if !demo::possible("client-certificates") {
        return;
    }
    let house = House::new();
    for (name, case) in CASES {
        let begun = Instant::now();
        case(&house);
        println!("ok     {name} ({:.1?})", begun.elapsed());
    }
    assert!(!house.log().contains("panicked"), "{}", house.log());
    let House { demo, directory, .. } = house;
    let verified =
        Command::new(demo::CHANCERY).args(["audit", "--directory", demo.fact("record"), "verify"]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    assert_eq!(demo.stop().code(), Some(0));
    drop(directory);
}

fn every_kind_of_key(house: &House) {
    for version in VERSIONS {
        for (name, identity) in &house.registered {
            let answer = house.ask(house.client(Some(identity), version), house.asking(), GENERIC, &plain());
            let token = answer.token(name);
            assert!(token.contains("urn:oasis:names:tc:SAML:2.0:ac:classes:TLSClient"), "{token}");
            assert!(token.contains("SAML:2.0:cm:bearer"), "{token}");
        }
    }
}

fn clients_of_ad_fs(house: &House) {
    let client = || house.client(Some(house.identity("rsa")), &TLS12);
    for (path, trust) in [(ADFS_13, WST13), (ADFS_2005, WST05)] {
        let token = house.ask(client(), house.asking(), path, &request(trust, "", "")).token("rsa");
        assert!(token.contains("AuthenticationMethod=\"urn:ietf:rfc:2246\""), "{token}");
        let stamp = chancery::trust::instant::format(chancery::wire::Millis::now());
        let timestamp = format!(
            "<o:Security s:mustUnderstand=\"1\" xmlns:o=\"{WSSE}\"><u:Timestamp u:Id=\"_0\" xmlns:u=\"http://docs.\
             oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\"><u:Created>{stamp}</u:Created>\
             </u:Timestamp></o:Security>"
        );
        house.ask(client(), house.asking(), path, &request(trust, &timestamp, "")).token("rsa");
        let old = timestamp.replace(&stamp, "2026-01-02T03:04:05.000Z");
        house.ask(client(), house.asking(), path, &request(trust, &old, "")).fault("MessageExpired");
    }
}

type Http2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

/// A connection by HTTP/2, and the task that ends with it.
async fn http2(house: &House, name: &str) -> (Http2, tokio::task::JoinHandle<Result<(), hyper::Error>>) {
    let mut config = house.client(Some(house.identity(name)), &TLS13);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = tokio::net::TcpStream::connect(house.asking()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

async fn post_http2(sender: &mut Http2) -> (u16, String) {
    let request = hyper::Request::post(format!("https://localhost{GENERIC}"));
    let request = request.header("content-type", "application/soap+xml; charset=utf-8");
    let answer = sender.send_request(request.body(Full::new(Bytes::from(plain()))).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn many_requests_over_one_connection(house: &House) {
    run(async {
        let config = Arc::new(house.client(Some(house.identity("p256")), &TLS13));
        let mut connection = Connection::open(&config, house.asking()).await.unwrap();
        for _ in 0..10 {
            let answer = connection.post(GENERIC, &plain()).await;
            assert!(!answer.closes);
            answer.token("p256");
        }
        let (mut sender, _driving) = http2(house, "ed25519").await;
        for _ in 0..2 {
            let (status, text) = post_http2(&mut sender).await;
            assert!(status == 200 && text.contains("ed25519@example.com"), "{text}");
        }
    });
}

fn a_token_bound_to_the_key(house: &House) {
    let public = format!("<t:KeyType>{WST13}/PublicKey</t:KeyType>");
    let ask = |more: &str| {
        let client = house.client(Some(house.identity("p384")), &TLS13);
        house.ask(client, house.asking(), GENERIC, &request(WST13, "", more))
    };
    let token = ask(&public).token("p384");
    let certificate = Base64::encode_string(&house.identity("p384").0.cert[0]);
    assert!(token.contains("SAML:2.0:cm:holder-of-key") && token.contains(&certificate), "{token}");
    // A key that is brought along is not the one proven, and there is no signature to name.
    let other = Base64::encode_string(&house.identity("p256").0.cert[0]);
    for key in [
        "<t:UseKey Sig=\"_1\"/>".to_owned(),
        format!(
            "<t:UseKey><d:KeyInfo xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\"><d:X509Data><d:X509Certificate>{other}\
             </d:X509Certificate></d:X509Data></d:KeyInfo></t:UseKey>"
        ),
    ] {
        ask(&format!("{public}{key}")).fault("InvalidRequest");
    }
}

fn holders_of_assertions(house: &House) {
    let [holder, stranger] = ["holder", "stranger"].map(|name| Identity::own(name, &rcgen::PKCS_ECDSA_P256_SHA256));
    let presented = |of: &Identity, more: &str| {
        let data = "</saml:SubjectConfirmationData>";
        let key_info = format!(
            "<ds:KeyInfo xmlns:ds=\"{}\"><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>\
             </ds:KeyInfo>{data}",
            signed::DS,
            Base64::encode_string(&of.0.cert[0])
        );
        let method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";
        let assertion = Words::saml20("sam").but(BEARER, method).but(data, &key_info).xml(&house.agency);
        let stamp = format!("<u:Timestamp><u:Created>{}</u:Created></u:Timestamp>", at(0));
        let security =
            format!("<o:Security xmlns:o=\"{WSSE}\" xmlns:u=\"{}\">{stamp}{assertion}</o:Security>", signed::WSU);
        request(WST13, &security, more)
    };
    let public = format!("<t:KeyType>{WST13}/PublicKey</t:KeyType>");
    for version in VERSIONS {
        let ask = |client: Option<&Identity>, of: &Identity, more: &str| {
            house.ask(house.client(client, version), house.asking(), HELD, &presented(of, more))
        };
        ask(Some(&holder), &holder, "").token("sam");
        let bound = ask(Some(&holder), &holder, &public).token("sam");
        assert!(bound.contains(&Base64::encode_string(&holder.0.cert[0])), "{bound}");
        ask(Some(&stranger), &holder, "").fault("FailedAuthentication");
        ask(Some(&holder), &stranger, "").fault("FailedAuthentication");
        ask(None, &holder, "").fault("FailedAuthentication");
        let plain = house.ask(house.client(Some(&holder), version), house.plain(), HELD, &presented(&holder, ""));
        plain.fault("FailedAuthentication");
    }
    house.says("proof=\"tls-certificate\"");
}

fn password(house: &House) -> String {
    let password = std::fs::read_to_string(house.directory.path().join("demo/alice.password")).unwrap();
    let security = format!(
        "<o:Security s:mustUnderstand=\"1\" xmlns:o=\"{WSSE}\"><o:UsernameToken><o:Username>alice</o:Username>\
         <o:Password>{}</o:Password></o:UsernameToken></o:Security>",
        password.trim()
    );
    request(WST13, &security, "")
}

const USERNAME: &str = "/adfs/services/trust/13/usernamemixed";

fn without_a_certificate(house: &House) {
    for version in VERSIONS {
        let client = || house.client(None, version);
        house.ask(client(), house.asking(), USERNAME, &password(house)).token("alice");
        for path in [GENERIC, ADFS_13] {
            house.ask(client(), house.asking(), path, &plain()).fault("FailedAuthentication");
        }
        // What a proxy might say of a certificate is nobody's.
        let said = pem(&house.identity("p256").0.cert[0], "CERTIFICATE").replace('\n', "%0A");
        run(async {
            let mut connection = Connection::open(&Arc::new(client()), house.asking()).await.unwrap();
            for name in
                ["x-ssl-client-cert", "x-client-cert", "x-forwarded-client-cert", "ssl_client_cert", "client-cert"]
            {
                connection.more = Some((name, said.clone()));
                connection.post(GENERIC, &plain()).await.fault("FailedAuthentication");
            }
        });
        // And whoever has one may still say a password where that is what counts.
        let with = house.client(Some(house.identity("p256")), version);
        house.ask(with, house.asking(), USERNAME, &password(house)).token("alice");
    }
}

fn where_nobody_is_asked(house: &House) {
    for version in VERSIONS {
        let client = house.client(Some(house.identity("p256")), version);
        house.ask(client, house.plain(), GENERIC, &plain()).fault("FailedAuthentication");
    }
}

fn a_certificate_that_means_nobody(house: &House) {
    for version in VERSIONS {
        let stranger = Identity::own("stranger", &rcgen::PKCS_ECDSA_P256_SHA256);
        let answer = house.ask(house.client(Some(&stranger), version), house.asking(), GENERIC, &plain());
        answer.fault("FailedAuthentication");
        // Another try is another handshake.
        assert!(answer.closes);
        house.says("untrusted-issuer");
        // The certificate of somebody else, with a key of one's own: rustls does not let that pass.
        let mut chain = house.identity("p256").0.cert.clone();
        chain.extend(stranger.0.cert.clone());
        let pair = KeyPair::generate().unwrap();
        let thief = Identity::of(&pair, chain);
        let config = Arc::new(house.client(Some(&thief), version));
        let refused = run(async {
            let mut connection = Connection::open(&config, house.asking()).await?;
            connection.try_post(GENERIC, &plain()).await.map(|answer| answer.text)
        });
        assert!(refused.is_err(), "{refused:?}");
    }
}

fn certificates_of_an_authority(house: &House) {
    for version in VERSIONS {
        let ask =
            |identity: &Identity| house.ask(house.client(Some(identity), version), house.asking(), GENERIC, &plain());
        ask(&house.issued("kim", 7)).token("kim");
        ask(&house.issued("kim", 66)).fault("FailedAuthentication");
        house.says("reason=\"revoked\"");
        let before = house.responder.asked();
        ask(&house.issued("kim", 67)).fault("FailedAuthentication");
        // The same number in both rounds: what was taken back is not asked about again.
        assert_eq!(house.responder.asked() - before, usize::from(version == VERSIONS[0]));
        ask(&house.issued("p256", 8)).fault("FailedAuthentication");
        house.says("is not for this authority");
    }
}

fn a_page(house: &House) {
    let config = Arc::new(house.client(Some(house.identity("p256")), VERSIONS[0]));
    run(async {
        let mut connection = Connection::open(&config, house.asking()).await.unwrap();
        connection.more = Some(("origin", "https://elsewhere.example".to_owned()));
        let answer = connection.post(GENERIC, &plain()).await;
        assert_eq!((answer.status, answer.text.as_str()), (403, "not for web pages\n"));
        connection.more = None;
        connection.post(GENERIC, &plain()).await.token("p256");
    });
}

fn a_second_credential(house: &House) {
    let client = house.client(Some(house.identity("p256")), &TLS13);
    house.ask(client, house.asking(), GENERIC, &password(house)).fault("UnsupportedSecurityToken");
}

fn never_resumed(house: &House) {
    for version in VERSIONS {
        for identity in [Some(house.identity("p256")), None] {
            let config = Arc::new(house.client(identity, version));
            for _ in 0..3 {
                let kind = run(async {
                    let mut connection = Connection::open(&config, house.asking()).await.unwrap();
                    connection.post(GENERIC, &plain()).await;
                    connection.kind
                });
                assert_eq!(kind, Some(HandshakeKind::Full), "{version:?}");
            }
        }
        // A ticket from where nobody is asked opens nothing here, and there it does.
        let config = Arc::new(house.client(Some(house.identity("p256")), version));
        let (again, here) = run(async {
            for _ in 0..2 {
                Connection::open(&config, house.plain()).await.unwrap().post("/", "").await;
            }
            let again = Connection::open(&config, house.plain()).await.unwrap().kind;
            let mut here = Connection::open(&config, house.asking()).await.unwrap();
            here.post(GENERIC, &plain()).await.token("p256");
            (again, here.kind)
        });
        assert_eq!((again, here), (Some(HandshakeKind::Resumed), Some(HandshakeKind::Full)), "{version:?}");
    }
}

fn too_many_certificates(house: &House) {
    for version in VERSIONS {
        let own = house.identity("p256");
        let long = |count: usize| {
            let pair = KeyPair::generate().unwrap();
            let mut parameters = CertificateParams::new(Vec::new()).unwrap();
            parameters.distinguished_name.push(DnType::OrganizationName, "x".repeat(4000));
            let filler = parameters.self_signed(&pair).unwrap().der().clone();
            let chain = [own.0.cert.clone(), vec![filler; count]].concat();
            Identity(Arc::new(rustls::sign::CertifiedKey::new(chain, own.0.key.clone())))
        };
        house.ask(house.client(Some(&long(1)), version), house.asking(), GENERIC, &plain()).token("p256");
        let config = Arc::new(house.client(Some(&long(4)), version));
        let refused = run(async {
            let mut connection = Connection::open(&config, house.asking()).await?;
            connection.try_post(GENERIC, &plain()).await.map(|answer| answer.text)
        });
        assert!(refused.is_err(), "{refused:?}");
    }
}

/// A client that is not rustls.
fn curl(house: &House) {
    let present = Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success());
    if !present {
        println!("SKIPPED client-certificates-curl: curl is not installed");
        return;
    }
    let directory = house.directory.path();
    std::fs::write(directory.join("request.xml"), plain()).unwrap();
    for (index, kind) in [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384].into_iter().enumerate() {
        let pair = KeyPair::generate_for(kind).unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "kim");
        parameters.serial_number = Some((100 + index as u64).into());
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&pair, &house.authority).unwrap();
        std::fs::write(directory.join("kim.pem"), certificate.pem() + &pair.serialize_pem()).unwrap();
        for version in ["1.2", "1.3"] {
            let url = format!("https://localhost:{}{GENERIC}", house.asking().port());
            let output = Command::new("curl")
                .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--resolve"])
                .arg(format!("localhost:{}:127.0.0.1", house.asking().port()))
                .arg(format!("--tlsv{version}"))
                .args(["--tls-max", version, "--cacert", house.directory.path().join("demo/ca.pem").to_str().unwrap()])
                .arg("--cert")
                .arg(directory.join("kim.pem"))
                .args(["-H", "Content-Type: application/soap+xml; charset=utf-8", "--data-binary"])
                .arg(format!("@{}", directory.join("request.xml").display()))
                .arg(&url)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("kim@example.com"), "TLS {version}: {said}");
        }
    }
}

fn restarted(house: &House, process: &str) {
    let of = format!("process=\"{process}\"");
    let starts = house.log().lines().filter(|line| line.contains("event=\"ready\"")).count();
    kill(Pid::from_raw(house.demo.pid(process)), Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    while house.log().lines().filter(|line| line.contains("event=\"ready\"")).count() == starts {
        assert!(begun.elapsed() < Duration::from_secs(30), "{of} does not come back\n{}", house.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn outliving(house: &House) {
    run(async {
        let config = Arc::new(house.client(Some(house.identity("p256")), &TLS13));
        let mut used = Connection::open(&config, house.asking()).await.unwrap();
        used.post(GENERIC, &plain()).await.token("p256");
        let mut unused = Connection::open(&config, house.asking()).await.unwrap();
        let (mut sender, driving) = http2(house, "p384").await;
        restarted(house, "issuer");
        // auth has heard of the one, and its successor knows of neither.
        let begun = Instant::now();
        loop {
            let answer = used.post(GENERIC, &plain()).await;
            if answer.status == 200 {
                break;
            }
            assert!(
                answer.retry_after && !answer.closes && begun.elapsed() < Duration::from_secs(20),
                "{}",
                answer.text
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let answer = unused.post(GENERIC, &plain()).await;
        answer.fault("RequestFailed");
        assert!(answer.retry_after && answer.closes, "{}", answer.text);
        let (status, text) = post_http2(&mut sender).await;
        assert!(status != 200 && text.contains("RequestFailed"), "{text}");
        // The server says that it takes no more, and the connection ends though nobody hangs up here.
        driving.await.unwrap().unwrap();
        let mut again = Connection::open(&config, house.asking()).await.unwrap();
        again.post(GENERIC, &plain()).await.token("p256");
        restarted(house, "auth");
        again.post(GENERIC, &plain()).await.token("p256");
        // What was confirmed by the issuer before is not known any more by anybody.
        let answer = used.post(GENERIC, &plain()).await;
        answer.fault("RequestFailed");
        assert!(answer.closes);
    });
}
