//! Sealed messages against the whole service, real processes and a real token: what clients seal for us is opened,
//! each session key once, and whatever is wrong with what was sealed has one answer.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/asserted.rs"]
#[expect(dead_code, reason = "shared with tests/saml, which uses all of it")]
mod asserted;
#[path = "support/caller.rs"]
#[expect(dead_code, reason = "shared with tests/symmetric, which uses all of it")]
mod caller;
#[path = "demo/service.rs"]
#[expect(dead_code, reason = "shared with tests/demo, which uses all of it")]
mod demo;
#[path = "support/signed.rs"]
#[expect(dead_code, reason = "shared with tests/signed_requests.rs, which uses all of it")]
mod signed;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use asserted::{AUDIENCE, BEARER, ISSUER, Words};
use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
    PublicEncryptingKey,
};
use base64ct::{Base64, Encoding};
use caller::Caller;
use chancery::xml::names;
use demo::Demo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use signed::Client;
use x509_parser::prelude::{FromDer, X509Certificate};

const T: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
const WSS: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss";
const THUMBPRINT: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";
const OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const GCM: [(&str, &Algorithm, usize); 3] =
    [("aes128-gcm", &AES_128_GCM, 16), ("aes192-gcm", &AES_192_GCM, 24), ("aes256-gcm", &AES_256_GCM, 32)];

struct House {
    demo: Demo,
    directory: tempfile::TempDir,
    password: String,
    caller: Caller,
    /// What clients seal for, DER.
    certificate: Vec<u8>,
}

fn change(path: &Path, how: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, how(text)).unwrap();
}

impl House {
    fn open() -> Self {
        Self::opening(90)
    }

    /// One address has so many session keys opened in a row.
    fn opening(burst: u32) -> Self {
        Self::start(Self::prepare(burst), |_| {})
    }

    fn prepare(burst: u32) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Demo::start(directory.path()).stop().code(), Some(0));
        let config = directory.path().join("demo/etc");
        let endpoints = "[[endpoint]]\npath = \"/sealed\"\nencryption = true\n[[endpoint]]\npath = \"/sts\"\n";
        let throttle = format!("[throttle]\naccount_burst = 10000\nunwrap_burst = {burst}\n");
        change(&config.join("auth.d/auth.toml"), |text| format!("{text}\n{throttle}{endpoints}"));
        change(&config.join("worker.d/worker.toml"), |text| {
            let kept: Vec<&str> = text.split("[[endpoint]]").filter(|part| !part.contains("usernamemixed\"")).collect();
            let sealed = "[[endpoint]]\npath = \"/sealed\"\ncredential = \"username\"\nencryption = true\n";
            format!("{}\n{sealed}", kept.join("[[endpoint]]"))
        });
        change(&config.join("issuer.d/issuer.toml"), |text| format!("unwraps_per_second = 1000\n{text}"));
        directory
    }

    fn start(directory: tempfile::TempDir, more: impl FnOnce(&mut Command)) -> Self {
        let config = directory.path().join("demo/etc");
        let demo = Demo::configured(directory.path(), more);
        let password = std::fs::read_to_string(directory.path().join("demo/alice.password")).unwrap().trim().to_owned();
        let caller = Caller::trusting(&config.join("worker.d/tls.pem"));
        let certificate = CertificateDer::from_pem_file(config.join("issuer.d/unwrap-1.pem")).unwrap().to_vec();
        Self { demo, directory, password, caller, certificate }
    }

    fn stop(self) -> tempfile::TempDir {
        assert_eq!(self.demo.stop().code(), Some(0));
        self.directory
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn post(&self, path: &str, body: &str) -> (u16, String) {
        let answer = self.caller.post(self.demo.fact("address"), path, "", body);
        (answer.status, answer.whole)
    }

    #[track_caller]
    fn gets_a_token(&self, what: &str, body: &str) {
        let (status, answer) = self.post("/sealed", body);
        assert!(status == 200 && answer.contains("alice@example.com"), "{what}: {answer}\n{}", self.log());
    }

    #[track_caller]
    fn is_refused(&self, what: &str, body: &str, code: &str) {
        let (status, answer) = self.post("/sealed", body);
        assert!(status != 200 && answer.contains(&format!(":{code}<")), "{what}: {answer}\n{}", self.log());
    }

    /// The plain message, whose parts are then sealed.
    fn plain(&self) -> Message {
        let now = time::OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
        let instant = |at: time::OffsetDateTime| at.format(&time::format_description::well_known::Rfc3339).unwrap();
        Message {
            stamp: format!(
                "<u:Timestamp u:Id='t'><u:Created>{}</u:Created><u:Expires>{}</u:Expires></u:Timestamp>",
                instant(now),
                instant(now + time::Duration::minutes(5))
            ),
            token: format!(
                "<o:UsernameToken u:Id='ut'><o:Username>alice</o:Username><o:Password>{}</o:Password></o:UsernameToken>",
                self.password
            ),
            request: format!(
                "<t:RequestSecurityToken xmlns:t='{T}'><t:TokenType>{}</t:TokenType><t:RequestType>{T}/Issue</t:RequestType>\
                 <p:AppliesTo xmlns:p='{}'><a:EndpointReference><a:Address>https://rp.example.com/</a:Address>\
                 </a:EndpointReference></p:AppliesTo></t:RequestSecurityToken>",
                names::SAML20,
                names::WSP04
            ),
            key: String::new(),
        }
    }

    fn sealer(&self, length: usize) -> Sealer<'_> {
        let mut session = vec![0; length];
        getrandom::fill(&mut session).unwrap();
        Sealer { house: self, session }
    }
}

/// The parts of a message.
#[derive(Clone)]
struct Message {
    stamp: String,
    key: String,
    token: String,
    request: String,
}

impl Message {
    fn text(&self) -> String {
        let Self { stamp, key, token, request } = self;
        format!(
            "<s:Envelope xmlns:s='{}' xmlns:a='{}' xmlns:o='{}' xmlns:u='{}'><s:Header><a:Action>{T}/RST/Issue</a:Action>\
             <a:MessageID>urn:uuid:1</a:MessageID><o:Security s:mustUnderstand='1'>{stamp}{key}{token}</o:Security>\
             </s:Header><s:Body>{request}</s:Body></s:Envelope>",
            names::SOAP12,
            names::WSA,
            names::WSSE,
            names::WSU
        )
    }
}

/// A client's session key.
struct Sealer<'a> {
    house: &'a House,
    session: Vec<u8>,
}

impl Sealer<'_> {
    fn public(&self) -> PublicEncryptingKey {
        let (_, certificate) = X509Certificate::from_der(&self.house.certificate).unwrap();
        PublicEncryptingKey::from_der(certificate.public_key().raw).unwrap()
    }

    fn oaep(&self, algorithm: &'static OaepAlgorithm, label: Option<&[u8]>) -> Vec<u8> {
        let key = OaepPublicEncryptingKey::new(self.public()).unwrap();
        let mut sealed = vec![0; key.ciphertext_size()];
        key.encrypt(algorithm, &self.session, &mut sealed, label).unwrap();
        sealed
    }

    fn thumbprint(&self) -> String {
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.house.certificate);
        identifier(THUMBPRINT, sha1.as_ref())
    }

    fn key_of(&self, sealed: &[u8], info: &str, method: &str, list: &[&str]) -> String {
        let list: String = list.iter().map(|id| format!("<x:DataReference URI='#{id}'/>")).collect();
        format!(
            "<x:EncryptedKey Id='ek' xmlns:x='{}' xmlns:ds='{}'><x:EncryptionMethod Algorithm='{method}'/>\
             <ds:KeyInfo>{info}</ds:KeyInfo><x:CipherData><x:CipherValue>{}</x:CipherValue></x:CipherData>\
             <x:ReferenceList>{list}</x:ReferenceList></x:EncryptedKey>",
            names::XENC,
            names::DS,
            Base64::encode_string(sealed)
        )
    }

    fn key(&self, list: &[&str]) -> String {
        self.key_of(&self.oaep(&OAEP_SHA1_MGF1SHA1, None), &self.thumbprint(), OAEP, list)
    }

    fn octets(&self, plain: &str) -> Vec<u8> {
        let (_, algorithm, _) = GCM.into_iter().find(|(.., length)| *length == self.session.len()).unwrap();
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).unwrap();
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &self.session).unwrap());
        let mut octets = plain.as_bytes().to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut octets).unwrap();
        [&nonce[..], &octets].concat()
    }

    fn data_of(&self, id: &str, kind: &str, octets: &[u8]) -> String {
        let (name, ..) = GCM.into_iter().find(|(.., length)| *length == self.session.len()).unwrap();
        format!(
            "<x:EncryptedData Id='{id}' Type='http://www.w3.org/2001/04/xmlenc#{kind}' xmlns:x='{}' xmlns:ds='{}'>\
             <x:EncryptionMethod Algorithm='http://www.w3.org/2009/xmlenc11#{name}'/><ds:KeyInfo>\
             <o:SecurityTokenReference xmlns:o='{}'><o:Reference URI='#ek'/></o:SecurityTokenReference></ds:KeyInfo>\
             <x:CipherData><x:CipherValue>{}</x:CipherValue></x:CipherData></x:EncryptedData>",
            names::XENC,
            names::DS,
            names::WSSE,
            Base64::encode_string(octets)
        )
    }

    fn data(&self, id: &str, kind: &str, plain: &str) -> String {
        self.data_of(id, kind, &self.octets(plain))
    }

    /// By a key of the part's own, which the session key wraps.
    fn data_of_its_own(&self, id: &str, kind: &str, plain: &str, spoil: impl Fn(&mut Vec<u8>)) -> String {
        let own = self.house.sealer(self.session.len());
        let algorithm = if own.session.len() == 16 { &key_wrap::AES_128 } else { &key_wrap::AES_256 };
        let mut wrapped = vec![0; own.session.len() + 8];
        AesKek::new(algorithm, &self.session).unwrap().wrap(&own.session, &mut wrapped).unwrap();
        spoil(&mut wrapped);
        let data = own.data(id, kind, plain);
        let (start, end) =
            (data.find("<ds:KeyInfo>").unwrap() + "<ds:KeyInfo>".len(), data.find("</ds:KeyInfo>").unwrap());
        let (before, by, after) = (&data[..start], &data[start..end], &data[end..]);
        format!(
            "{before}<x:EncryptedKey><x:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#kw-aes{}'/><ds:KeyInfo>{by}\
             </ds:KeyInfo><x:CipherData><x:CipherValue>{}</x:CipherValue></x:CipherData></x:EncryptedKey>{after}",
            own.session.len() * 8,
            Base64::encode_string(&wrapped)
        )
    }

    /// With the user name token sealed.
    fn token(&self) -> Message {
        let plain = self.house.plain();
        Message { key: self.key(&["ed"]), token: self.data("ed", "Element", &plain.token), ..plain }
    }

    /// With something else in the place of the user name token.
    fn instead(&self, token: &str) -> String {
        Message { token: self.data("ed", "Element", token), ..self.token() }.text()
    }
}

fn identifier(kind: &str, octets: &[u8]) -> String {
    format!(
        "<o:SecurityTokenReference><o:KeyIdentifier ValueType='{kind}' \
         EncodingType='{WSS}-soap-message-security-1.0#Base64Binary'>{}</o:KeyIdentifier></o:SecurityTokenReference>",
        Base64::encode_string(octets)
    )
}

#[test]
fn what_clients_seal_is_opened_and_each_session_key_once() {
    if !demo::possible("encryption") {
        return;
    }
    let house = House::open();
    opened(&house);
    refused(&house);
    smuggled(&house);
    limited(&house);
    let log = house.log();
    assert!(!log.contains(&house.password) && !log.contains("violation") && !log.contains("event=\"climb\""), "{log}");
}

fn opened(house: &House) {
    for (name, _, length) in GCM {
        let message = house.sealer(length).token().text();
        house.gets_a_token(name, &message);
        house.is_refused("replayed", &message, "FailedCheck");
    }
    assert!(house.log().contains("replayed-key"), "{}", house.log());
    let plain = house.plain();
    let (_, certificate) = X509Certificate::from_der(&house.certificate).unwrap();
    let serial = certificate.serial.to_string();
    let der = Base64::encode_string(&house.certificate);
    let issuer = "<ds:X509IssuerName>CN=whatever it is called</ds:X509IssuerName>";
    let token = format!(
        "<o:BinarySecurityToken u:Id='bst' ValueType='{WSS}-x509-token-profile-1.0#X509v3'>{der}</o:BinarySecurityToken>"
    );
    for (before, info) in [
        (
            "",
            format!(
                "<o:SecurityTokenReference><ds:X509Data><ds:X509IssuerSerial>{issuer}<ds:X509SerialNumber>{serial}</ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data></o:SecurityTokenReference>"
            ),
        ),
        (
            "",
            format!(
                "<o:SecurityTokenReference><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate></ds:X509Data></o:SecurityTokenReference>"
            ),
        ),
        ("", format!("<ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate></ds:X509Data>")),
    ] {
        let sealer = house.sealer(32);
        let key = sealer.key_of(&sealer.oaep(&OAEP_SHA1_MGF1SHA1, None), &info, OAEP, &["ed"]);
        let message = Message { key: format!("{before}{key}"), ..sealer.token() };
        house.gets_a_token(&info, &message.text());
    }
    // A certificate stands beside a signature, not in a message with a password. That is seen before the key is opened:
    // it is still good afterwards.
    let sealer = house.sealer(32);
    let info = "<o:SecurityTokenReference><o:Reference URI='#bst'/></o:SecurityTokenReference>";
    let sealed = sealer.oaep(&OAEP_SHA1_MGF1SHA1, None);
    for info in [info, &sealer.thumbprint()] {
        let key = sealer.key_of(&sealed, info, OAEP, &["ed"]);
        house.is_refused(
            "a token",
            &Message { key: format!("{token}{key}"), ..sealer.token() }.text(),
            "UnsupportedSecurityToken",
        );
    }
    let key = sealer.key_of(&sealed, &sealer.thumbprint(), OAEP, &["ed"]);
    house.gets_a_token("no token", &Message { key, ..sealer.token() }.text());
    // The list beside the key, and both the token and the body sealed, the body whole or by its content.
    let sealer = house.sealer(32);
    let list = sealer.key(&["ed"]);
    let list = &list[list.find("<x:ReferenceList>").unwrap()..list.find("</x:EncryptedKey>").unwrap()];
    let apart = sealer.key(&["ed"]).replace(list, "")
        + &list.replace("<x:ReferenceList>", &format!("<x:ReferenceList xmlns:x='{}'>", names::XENC));
    house.gets_a_token("a list apart", &Message { key: apart, ..sealer.token() }.text());
    for kind in ["Element", "Content"] {
        let sealer = house.sealer(16);
        let body = sealer.data("body", kind, &plain.request);
        house
            .gets_a_token(kind, &Message { key: sealer.key(&["body"]), request: body.clone(), ..plain.clone() }.text());
        let sealer = house.sealer(16);
        let (body, token) = (sealer.data("body", kind, &plain.request), sealer.data("ed", "Element", &plain.token));
        let both = Message { key: sealer.key(&["ed", "body"]), request: body, token, ..plain.clone() };
        house.gets_a_token(kind, &both.text());
    }
    // A key of the part's own (AES key wrap), beside a part that has none.
    for length in [16, 32] {
        let sealer = house.sealer(length);
        let token = sealer.data_of_its_own("ed", "Element", &plain.token, |_| {});
        let message = Message { token, ..sealer.token() }.text();
        house.gets_a_token("a wrapped key", &message);
        house.is_refused("a wrapped key again", &message, "FailedCheck");
        let sealer = house.sealer(length);
        let token = sealer.data_of_its_own("ed", "Element", &plain.token, |_| {});
        let body = sealer.data("body", "Content", &plain.request);
        let both = Message { key: sealer.key(&["ed", "body"]), request: body, token, ..plain.clone() };
        house.gets_a_token("a wrapped key and none", &both.text());
    }
    house.gets_a_token("nothing sealed", &plain.text());
}

fn refused(house: &House) {
    let plain = house.plain();
    let sealer = house.sealer(32);
    let with = |sealed: &[u8]| {
        let key = sealer.key_of(sealed, &sealer.thumbprint(), OAEP, &["ed"]);
        Message { key, ..sealer.token() }.text()
    };
    let pkcs1 = {
        let key = Pkcs1PublicEncryptingKey::new(sealer.public()).unwrap();
        let mut sealed = vec![0; key.ciphertext_size()];
        key.encrypt(&sealer.session, &mut sealed).unwrap();
        sealed
    };
    let good = sealer.oaep(&OAEP_SHA1_MGF1SHA1, None);
    let octets = sealer.octets(&plain.token);
    let tampered = |at: usize| {
        let mut octets = octets.clone();
        octets[at] ^= 1;
        Message { token: sealer.data_of("ed", "Element", &octets), ..sealer.token() }.text()
    };
    let other_key = Message { key: house.sealer(32).key(&["ed"]), ..sealer.token() }.text();
    let short = Message { key: house.sealer(16).key(&["ed"]), ..sealer.token() }.text();
    let no_key_length = {
        let sealer = Sealer { house, session: vec![7; 20] };
        let key = sealer.key_of(&sealer.oaep(&OAEP_SHA1_MGF1SHA1, None), &sealer.thumbprint(), OAEP, &["ed"]);
        Message { key, ..house.sealer(32).token() }.text()
    };
    let for_nobody = {
        let key = sealer.key_of(&good, &identifier(THUMBPRINT, &[7; 20]), OAEP, &["ed"]);
        Message { key, ..sealer.token() }.text()
    };
    let wrapped = |by: &Sealer<'_>, spoil: &dyn Fn(&mut Vec<u8>)| {
        let key = sealer.key_of(&good, &sealer.thumbprint(), OAEP, &["ed"]);
        let token = by.data_of_its_own("ed", "Element", &plain.token, spoil);
        Message { key, token, ..plain.clone() }.text()
    };
    // What does not open is answered alike, to the octet but for what names the answer.
    let mut answers = std::collections::BTreeSet::new();
    for (what, message) in [
        ("PKCS#1 v1.5 by another name", with(&pkcs1)),
        ("a label", with(&sealer.oaep(&OAEP_SHA1_MGF1SHA1, Some(b"label")))),
        ("another hash", with(&sealer.oaep(&OAEP_SHA256_MGF1SHA256, None))),
        ("another sealed key", with(&[9; 256])),
        ("too short", with(&good[1..])),
        ("too long", with(&[&good[..], &[0; 256]].concat())),
        ("a tag", tampered(octets.len() - 1)),
        ("a nonce", tampered(0)),
        ("a ciphertext", tampered(20)),
        (
            "nothing but a nonce",
            Message { token: sealer.data_of("ed", "Element", &octets[..12]), ..sealer.token() }.text(),
        ),
        ("another session key", other_key),
        ("a shorter session key", short),
        ("no length of a session key", no_key_length),
        ("somebody else", for_nobody),
        ("a wrapped key that is spoilt", wrapped(&sealer, &|octets| octets[39] ^= 1)),
        ("a wrapped key by another session key", wrapped(&house.sealer(32), &|_| {})),
        (
            "a wrapped key by another sealed key",
            wrapped(&sealer, &|_| {}).replace(&Base64::encode_string(&good), &Base64::encode_string(&[9; 256])),
        ),
    ] {
        house.is_refused(what, &message, "FailedCheck");
        let (status, answer) = house.post("/sealed", &message);
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let fault = &body[body.find("Body>").unwrap()..];
        let fault: String = fault.chars().filter(|c| !c.is_ascii_hexdigit()).collect();
        answers.insert((status, fault));
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(house.log().contains("unopened"), "{}", house.log());

    let (token, list) = (sealer.token(), sealer.key(&["ed"]));
    let method = |to: &str| Message { key: list.replace(OAEP, to), ..token.clone() }.text();
    let cbc = Message {
        token: token
            .token
            .replace("http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"),
        ..token.clone()
    };
    for (what, message, code) in [
        ("PKCS#1 v1.5", method("http://www.w3.org/2001/04/xmlenc#rsa-1_5"), "UnsupportedAlgorithm"),
        ("CBC", cbc.text(), "UnsupportedAlgorithm"),
        (
            "a key wrap that is not offered",
            wrapped(&sealer, &|_| {}).replace("kw-aes256", "kw-aes192"),
            "UnsupportedAlgorithm",
        ),
        (
            "a wrapped key of another length",
            wrapped(&sealer, &|_| {}).replace("aes256-gcm", "aes128-gcm"),
            "UnsupportedAlgorithm",
        ),
        ("a key wrapped by another", wrapped(&sealer, &|_| {}).replace("#ek", "#t"), "InvalidSecurity"),
        (
            "many keys",
            Message { key: format!("{list}{}", list.replace("'ek'", "'ek2'")), ..token.clone() }.text(),
            "InvalidSecurity",
        ),
        ("one key twice", Message { key: format!("{list}{list}"), ..token.clone() }.text(), "InvalidSecurity"),
        ("a foreign id", Message { key: sealer.key(&["t"]), ..token.clone() }.text(), "InvalidSecurity"),
        (
            "an id of nothing",
            Message { key: sealer.key(&["ed", "nothing"]), ..token.clone() }.text(),
            "InvalidSecurity",
        ),
        (
            "a part that is not listed",
            Message { key: sealer.key(&["other"]), ..token.clone() }.text(),
            "InvalidSecurity",
        ),
        (
            "a key after its part",
            Message { key: String::new(), token: format!("{}{list}", token.token), ..token.clone() }.text(),
            "InvalidSecurity",
        ),
        ("a part and no key", Message { key: String::new(), ..token.clone() }.text(), "UnsupportedSecurityToken"),
        (
            "a part of another key",
            Message { token: token.token.replace("#ek", "#ek2"), ..token.clone() }.text(),
            "InvalidSecurity",
        ),
        ("a huge key", with(&[7; 513]), "InvalidSecurity"),
        (
            "a huge part",
            Message { token: sealer.data_of("ed", "Element", &[7; 48 * 1024 + 1]), ..token.clone() }.text(),
            "",
        ),
        (
            "a key in the body",
            Message { key: String::new(), request: format!("{list}{}", token.request), ..token.clone() }.text(),
            "InvalidRequest",
        ),
    ] {
        if code.is_empty() {
            assert_eq!(house.post("/sealed", &message).0, 400, "{what}");
        } else {
            house.is_refused(what, &message, code);
        }
    }
    // Where nothing may be sealed nothing is opened.
    let (status, answer) = house.post("/sts", &sealer.token().text());
    assert!(status != 200 && answer.contains(":UnsupportedSecurityToken<"), "{answer}");
}

/// Content that is sealed well by whoever sent the message, and is not what belongs there.
fn smuggled(house: &House) {
    let plain = house.plain();
    let sealer = || house.sealer(32);
    let good = &plain.token;
    let nested = sealer().data("inner", "Element", good);
    for (what, token) in [
        ("nothing", String::new()),
        ("text", "alice".to_owned()),
        ("two tokens", format!("{good}{}", good.replace("'ut'", "'ut2'"))),
        ("a token and text", format!("{good}text")),
        ("a second header", format!("{good}</o:Security><o:Security>{good}")),
        (
            "the end of the header",
            format!("{good}</o:Security></s:Header><s:Body>{}</s:Body></s:Envelope>", plain.request),
        ),
        ("an open element", "<o:UsernameToken>".to_owned()),
        ("a timestamp", plain.stamp.replace("'t'", "'t2'")),
        ("something sealed", nested),
        ("an id that is there", good.replace("'ut'", "'t'")),
        ("an unknown prefix", good.replace("o:", "q:")),
        ("a document type", format!("<!DOCTYPE a>{good}")),
        ("an entity", good.replace("alice", "&x;")),
        ("a declaration", format!("<?xml version='1.0'?>{good}")),
        ("many levels", format!("{}{}", "<o:a>".repeat(100), "</o:a>".repeat(100))),
    ] {
        let message = sealer().instead(&token);
        let (status, answer) = house.post("/sealed", &message);
        assert!(matches!(status, 400 | 500) && !answer.contains("RequestedSecurityToken"), "{what}: {answer}");
    }
    for (what, request) in [
        ("two requests", plain.request.repeat(2)),
        ("a second body", format!("{}</s:Body><s:Body>{}", plain.request, plain.request)),
        ("nothing", String::new()),
    ] {
        let sealer = sealer();
        let message =
            Message { key: sealer.key(&["b"]), request: sealer.data("b", "Content", &request), ..plain.clone() };
        let (status, answer) = house.post("/sealed", &message.text());
        assert!(matches!(status, 400 | 500) && !answer.contains("RequestedSecurityToken"), "{what}: {answer}");
    }
    house.gets_a_token("an honest one", &sealer().token().text());
}

/// One address has so many opened and no more, for a while.
fn limited(house: &House) {
    let busy = (0..100).find_map(|_| {
        let (_, answer) = house.post("/sealed", &house.sealer(32).token().text());
        answer.to_ascii_lowercase().contains("retry-after").then_some(answer)
    });
    assert!(busy.is_some_and(|answer| answer.contains(":RequestFailed<")), "{}", house.log());
}

/// Tells clients to stop when dropped: also when a test fails, which would wait for them for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Auth that takes sealed assertions of this partner.
fn of_partner(agency: &Client) -> House {
    let directory = House::prepare(100);
    let config = directory.path().join("demo/etc");
    std::fs::write(config.join("auth.d/agency.pem"), &agency.certificate).unwrap();
    let endpoint = "[[endpoint]]\npath = \"/asserted\"\nencryption = true\n";
    change(&config.join("worker.d/worker.toml"), |text| format!("{text}\n{endpoint}credential = \"saml\"\n"));
    change(&config.join("auth.d/auth.toml"), |text| {
        format!(
            "{text}\n{endpoint}credentials = [\"saml\"]\n[[saml_partner]]\nname = \"agency\"\nissuer = \"{ISSUER}\"\n\
             certificates = [\"agency.pem\"]\naudiences = [\"{AUDIENCE}\"]\n[[saml_partner.subject]]\nfrom = \"name-id\"\n\
             capture = '([a-z]+)@agency\\.example'\n"
        )
    });
    change(&config.join("auth.d/users.toml"), |text| {
        format!("{text}\n[users.sam]\nsaml_partner = \"agency\"\nattributes = {{ mail = [\"sam@example.com\"] }}\n")
    });
    House::start(directory, |_| {})
}

impl Sealer<'_> {
    /// Something with the key to it, as a partner seals an assertion for us.
    fn carrying(&self, plain: &str) -> String {
        let key = self.key(&["ed"]);
        let list = "<x:ReferenceList><x:DataReference URI='#ed'/></x:ReferenceList>";
        assert!(key.contains(list));
        let data = self.data("ed", "Element", plain);
        let (from, end) = (data.find("<o:SecurityTokenReference").unwrap(), "</o:SecurityTokenReference>");
        let to = data.find(end).unwrap() + end.len();
        format!("{}{}{}", &data[..from], key.replace(list, ""), &data[to..])
    }

    fn enclosed(&self, plain: &str) -> String {
        let carrying = self.carrying(plain);
        format!("<m:EncryptedAssertion xmlns:m='{}'>{carrying}</m:EncryptedAssertion>", names::SAML20)
    }
}

#[test]
fn an_assertion_that_is_sealed_is_judged_like_any_other_a_23() {
    if !demo::possible("encrypted-assertions") {
        return;
    }
    let agency = Client::rsa(false);
    let house = of_partner(&agency);
    let sealer = || house.sealer(32);
    let sent = |token: String| house.post("/asserted", &Message { token, ..house.plain() }.text());
    let sam = || Words::saml20("sam@agency.example");
    let by_client = |plain: &str| {
        let sealer = sealer();
        format!("{}{}", sealer.key(&["ed"]), sealer.data("ed", "Element", plain))
    };
    let old = || Words::saml11("sam@agency.example");
    let mut tokens = 0;
    for (what, token) in [
        ("in the clear", sam().xml(&agency)),
        ("enclosed", sealer().enclosed(&sam().xml(&agency))),
        ("with its key in it", sealer().carrying(&sam().xml(&agency))),
        ("an old one", sealer().carrying(&old().xml(&agency))),
        ("by a key of the message", by_client(&sam().xml(&agency))),
        ("an old one by a key of the message", by_client(&old().xml(&agency))),
    ] {
        let (status, answer) = sent(token);
        assert!(status == 200 && answer.contains("sam@example.com"), "{what}: {answer}\n{}", house.log());
        tokens += 1;
    }
    // What is sealed once is good once, though the assertion in it might be used again.
    let words = sam();
    let again = sealer().enclosed(&words.xml(&agency));
    assert_eq!(sent(again.clone()).0, 200);
    let spoilt = {
        let sealer = sealer();
        let octets = sealer.octets(&sam().xml(&agency));
        let text = Base64::encode_string(&octets);
        let mut other = octets.clone();
        *other.last_mut().unwrap() ^= 1;
        let (whole, other) = (sealer.data_of("ed", "Element", &octets), Base64::encode_string(&other));
        format!("{}{}", sealer.key(&["ed"]), whole.replace(&text, &other))
    };
    let holder = sam().but(BEARER, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key").xml(&agency);
    let vouched = sam().but(BEARER, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches").xml(&agency);
    let changed = words.xml(&agency).replace("sam@", "nina@");
    let twice = format!("{}{}", words.xml(&agency), sealer().enclosed(&sam().xml(&agency)));
    let stranger = Client::new();
    for (what, token, code) in [
        ("the same again", again, "FailedCheck"),
        ("changed after it was sealed", spoilt, "FailedCheck"),
        ("not signed", sealer().enclosed(&sam().octets), "InvalidSecurity"),
        ("signed by nobody we know", sealer().enclosed(&sam().xml(&stranger)), "FailedAuthentication"),
        ("changed before it was sealed", sealer().enclosed(&changed), "FailedAuthentication"),
        ("for somebody else", sealer().enclosed(&sam().but(AUDIENCE, "urn:x").xml(&agency)), "FailedAuthentication"),
        ("for the holder of a key", sealer().enclosed(&holder), "FailedAuthentication"),
        ("for whom somebody vouches", sealer().enclosed(&vouched), "FailedAuthentication"),
        ("beside another", twice, "InvalidSecurity"),
        ("no assertion", sealer().enclosed(&house.plain().token), "InvalidSecurity"),
        ("an old one where a new one is said to be", sealer().enclosed(&old().xml(&agency)), "InvalidSecurity"),
    ] {
        let (status, answer) = sent(token);
        assert!(status != 200 && answer.contains(&format!(":{code}<")), "{what}: {answer}\n{}", house.log());
    }
    // At an endpoint for passwords no key is spent on it.
    let (status, answer) =
        house.post("/sealed", &Message { token: sealer().enclosed(&sam().xml(&agency)), ..house.plain() }.text());
    assert!(status != 200 && answer.contains(":UnsupportedSecurityToken<"), "{answer}");
    assert_eq!(tokens, 6);
    assert!(!house.log().contains("violation"), "{}", house.log());
    house.stop();
}

#[test]
fn a_planned_restart_of_any_process_fails_no_sealed_request() {
    if !demo::possible("encryption-planned") {
        return;
    }
    let house = House::opening(100_000);
    let (stop, tokens, failed) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let (status, answer) = house.post("/sealed", &house.sealer(32).token().text());
                    if status == 200 && answer.contains("alice@example.com") {
                        tokens.fetch_add(1, Ordering::Relaxed);
                    } else {
                        failed.lock().unwrap().push(answer);
                    }
                }
            });
        }
        let more = |count: usize| {
            let (before, began) = (tokens.load(Ordering::Relaxed), Instant::now());
            while tokens.load(Ordering::Relaxed) < before + count {
                assert!(began.elapsed() < Duration::from_secs(30), "{}", house.log());
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        // Signers go with their issuer, so it comes last.
        for name in ["signer@1", "auth", "worker@1", "issuer"] {
            more(20);
            kill(Pid::from_raw(house.demo.pid(name)), Signal::SIGTERM).unwrap();
            more(40);
            let failed = failed.lock().unwrap();
            println!("{name} is restarted: {} of {} failed", failed.len(), tokens.load(Ordering::Relaxed));
            assert!(failed.is_empty(), "{name}: {failed:#?}\n{}", house.log());
        }
    });
    let log = house.log();
    assert!(!log.contains("violation") && !log.contains("panicked"), "{log}");
}

#[test]
fn a_process_that_dies_over_a_session_key_is_back_and_no_key_is_good_twice() {
    if !demo::possible("encryption-deaths") {
        return;
    }
    let mut directory = House::prepare(100_000);
    for (role, name) in [("issuer", "key-sent"), ("signer", "key-sent"), ("signer", "key-opened"), ("auth", "unsealed")]
    {
        let marker = directory.path().join("died");
        std::fs::write(&marker, "").unwrap();
        let house = House::start(directory, |command| {
            command.env(format!("CHANCERY_FAILPOINT_{}", role.to_uppercase()), format!("{name},{}", marker.display()));
        });
        let what = format!("{role} dies at {name}");
        let message = house.sealer(32).token().text();
        let (began, (status, answer)) = (Instant::now(), house.post("/sealed", &message));
        assert_eq!(std::fs::read(&marker).unwrap(), [1], "{what}: nobody died");
        assert!(began.elapsed() < Duration::from_secs(31), "{what}: nobody waits for ever");
        // Another signer does it, or a new issuer; a new auth knows that the key was used, and not by whom.
        let expected = if role == "auth" { answer.contains(":FailedCheck<") } else { status == 200 };
        assert!(expected, "{what}: {answer}\n{}", house.log());
        let began = Instant::now();
        while house.post("/sealed", &house.sealer(32).token().text()).0 != 200 {
            assert!(began.elapsed() < Duration::from_secs(10), "{what}: {}", house.log());
        }
        // Durably used, whether or not anybody heard what was in it.
        house.is_refused(&what, &message, "FailedCheck");
        let log = house.log();
        assert!(log.contains("signal: 9") && !log.contains("violation") && !log.contains("panicked"), "{what}: {log}");
        directory = house.stop();
    }
}
