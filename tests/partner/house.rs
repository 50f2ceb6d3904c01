//! An auth.d with a partner, metadata of that partner, and the command. Metadata is written here in canonical form by
//! hand and signed as it stands, so that nothing of the product's own canonicaliser stands on both sides of a test.

use std::io::Write;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};
use chancery::config::auth::certificate::Certificate;
use chancery::trust::instant;
use chancery::wire::Millis;

use crate::signed::{Client, DS, EXCLUSIVE};

/// What the partner calls itself.
pub(crate) const ENTITY: &str = "https://idp.agency.example/saml";
const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";

/// So many seconds from now.
pub(crate) fn at(seconds: i64) -> String {
    instant::format(Millis(Millis::now().0 / 1000 * 1000).plus(seconds * 1000))
}

/// A document, not yet signed.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    id: &'static str,
    until: String,
    pub(crate) octets: String,
}

pub(crate) fn descriptor(der: &[u8], usage: &str) -> String {
    let usage = if usage.is_empty() { String::new() } else { format!(" use=\"{usage}\"") };
    format!(
        "<md:KeyDescriptor{usage}><ds:KeyInfo xmlns:ds=\"{DS}\"><ds:X509Data><ds:X509Certificate>{}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>",
        Base64::encode_string(der)
    )
}

impl Metadata {
    /// Of an identity provider that signs with these keys.
    pub(crate) fn of(keys: &[&Client]) -> Self {
        Self::of_ders(&keys.iter().map(|key| der(key)).collect::<Vec<_>>())
    }

    pub(crate) fn of_ders(ders: &[Vec<u8>]) -> Self {
        let keys: String = ders.iter().map(|der| descriptor(der, "signing")).collect();
        let until = at(3600);
        let octets = format!(
            "<md:EntityDescriptor xmlns:md=\"{MD}\" ID=\"_m\" entityID=\"{ENTITY}\" validUntil=\"{until}\">\
             <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{keys}\
             <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" \
             Location=\"https://idp.agency.example/post\"></md:SingleSignOnService></md:IDPSSODescriptor>\
             </md:EntityDescriptor>"
        );
        Self { id: "_m", until, octets }
    }

    /// With other words, which must have been there.
    #[track_caller]
    pub(crate) fn but(self, from: &str, to: &str) -> Self {
        assert!(self.octets.contains(from), "{from:?} is not in {}", self.octets);
        Self { octets: self.octets.replace(from, to), ..self }
    }

    /// With more behind the first place where `after` stands.
    #[track_caller]
    pub(crate) fn and(self, after: &str, more: &str) -> Self {
        assert!(self.octets.contains(after), "{after:?} is not in {}", self.octets);
        Self { octets: self.octets.replacen(after, &format!("{after}{more}"), 1), ..self }
    }

    /// With that as what it begins with.
    pub(crate) fn within(self, first: &str) -> Self {
        Self { octets: self.octets.replacen('>', &format!(">{first}"), 1), ..self }
    }

    pub(crate) fn cached(self, duration: &str) -> Self {
        self.but(" entityID=", &format!(" cacheDuration=\"{duration}\" entityID="))
    }

    /// As it stands in a group, without an id.
    pub(crate) fn inside(&self) -> String {
        self.octets.replacen(&format!(" xmlns:md=\"{MD}\" ID=\"_m\""), "", 1)
    }

    /// A group of it alone.
    pub(crate) fn grouped(self, attributes: &str) -> Self {
        let octets = format!(
            "<md:EntitiesDescriptor xmlns:md=\"{MD}\" ID=\"_g\"{attributes}>{}</md:EntitiesDescriptor>",
            self.inside()
        );
        Self { id: "_g", octets, ..self }
    }

    /// `validUntil`.
    pub(crate) fn until(&self) -> &str {
        &self.until
    }

    pub(crate) fn signed_info(&self, by: &Client) -> String {
        format!(
            "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
             </ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>\
             <ds:Reference URI=\"#{}\"><ds:Transforms><ds:Transform Algorithm=\"{DS}enveloped-signature\">\
             </ds:Transform><ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
             <ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
            by.algorithm().1,
            self.id,
            Base64::encode_string(digest(&SHA256, self.octets.as_bytes()).as_ref())
        )
    }

    /// With the signature at its place.
    pub(crate) fn signed(&self, by: &Client) -> String {
        self.signed_as(by, &self.signed_info(by))
    }

    pub(crate) fn signed_as(&self, by: &Client, info: &str) -> String {
        let value = Base64::encode_string(&by.sign(info.as_bytes()));
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"
        );
        self.clone().within(&signature).octets
    }
}

/// A certificate's octets.
pub(crate) fn der(of: &Client) -> Vec<u8> {
    Certificate::from_pem(&of.certificate).unwrap().der
}

/// A certificate's SHA-256.
pub(crate) fn print(of: &Client) -> String {
    sha256(&der(of))
}

pub(crate) fn sha256(octets: &[u8]) -> String {
    digest(&SHA256, octets).as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

pub(crate) fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", Base64::encode_string(der))
}

/// The middle of a certificate's time.
pub(crate) fn middle(der: &[u8]) -> Millis {
    let certificate = Certificate::from_der(der.to_vec()).unwrap();
    Millis(i64::midpoint(certificate.not_before.0, certificate.not_after.0))
}

/// What stands from one word to the next of the other, with both.
#[track_caller]
pub(crate) fn between(text: &str, from: &str, to: &str) -> String {
    let start = text.find(from).unwrap();
    let end = text[start..].find(to).unwrap() + to.len();
    text[start..start + end].to_owned()
}

/// What a command said.
pub(crate) struct Said(Output);

impl Deref for Said {
    type Target = Output;
    fn deref(&self) -> &Output {
        &self.0
    }
}

impl Said {
    fn words(&self) -> (String, String) {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (text(&self.stdout), text(&self.stderr))
    }

    #[track_caller]
    pub(crate) fn fine(&self) -> String {
        let (said, wrong) = self.words();
        assert!(self.status.success() && wrong.is_empty(), "{:?}: {wrong}{said}", self.status);
        said
    }

    #[track_caller]
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let (said, wrong) = self.words();
        assert!(self.status.code() == Some(1) && said.is_empty(), "{:?}: {wrong}{said}", self.status);
        assert!(words.iter().all(|word| wrong.contains(word)), "{words:?} in {wrong}");
        wrong
    }

    /// It is refused for how it is called.
    #[track_caller]
    pub(crate) fn usage(&self, word: &str) {
        let (said, wrong) = self.words();
        assert!(self.status.code() == Some(2) && wrong.contains(word), "{:?}: {wrong}{said}", self.status);
    }
}

/// A configuration root with auth.d alone.
pub(crate) struct House {
    root: tempfile::TempDir,
    key: Client,
    others_key: Client,
}

const PARTNER: &str = r#"# who they are
[[saml_partner]]
name = "bank"
issuer = "https://idp.bank.example/"
certificates = [ "bank.pem" ]
audiences = ["urn:us"]
[[saml_partner.subject]]
from = "name-id"

[[saml_partner]] # the agency
name = "agency"
issuer = "https://idp.agency.example/saml"   # as it says
certificates = ["first.pem"]
audiences = ["urn:us"]
max_age_min = 5
replay = "once"
[[saml_partner.subject]]
from = "name-id"
capture = '([a-z]+)@agency\.example'

[timestamp]
ttl_s = 300
"#;

impl House {
    pub(crate) fn with_partner() -> Self {
        Self::with(PARTNER)
    }

    pub(crate) fn without_partner() -> Self {
        Self::with("# nobody yet")
    }

    fn with(auth: &str) -> Self {
        let house = Self { root: tempfile::tempdir().unwrap(), key: Client::new(), others_key: Client::new() };
        std::fs::create_dir(house.path("auth.d")).unwrap();
        std::fs::write(house.path("auth.d/auth.toml"), auth).unwrap();
        std::fs::write(house.path("auth.d/users.toml"), "").unwrap();
        std::fs::write(house.path("auth.d/first.pem"), &house.key.certificate).unwrap();
        std::fs::write(house.path("auth.d/bank.pem"), &house.others_key.certificate).unwrap();
        house
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// The key of the partner, and that of the other one.
    pub(crate) fn key(&self) -> &Client {
        &self.key
    }

    pub(crate) fn others_key(&self) -> &Client {
        &self.others_key
    }

    pub(crate) fn auth(&self) -> String {
        std::fs::read_to_string(self.path("auth.d/auth.toml")).unwrap()
    }

    /// With which certificates auth would take what the agency signs.
    pub(crate) fn certificates(&self) -> Vec<Vec<u8>> {
        let auth = chancery::config::auth::check(self.root()).unwrap();
        let partner = auth.partners.iter().find(|partner| partner.name.as_str() == "agency").unwrap();
        partner.certificates.iter().map(|certificate| certificate.der.clone()).collect()
    }

    pub(crate) fn check(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_chancery")).arg("check").arg("--config").arg(self.root()).output().unwrap()
    }

    pub(crate) fn import(&self, document: &str, signer: &Client, words: &[&str]) -> Said {
        self.import_by(document, &signer.certificate, words)
    }

    pub(crate) fn import_by(&self, document: &str, certificate: &str, words: &[&str]) -> Said {
        self.given(document, certificate, &[&["--name", "agency"], words].concat(), &[])
    }

    /// Under what name is in the words.
    pub(crate) fn run(&self, document: &str, signer: &Client, words: &[&str]) -> Said {
        self.given(document, &signer.certificate, words, &[])
    }

    pub(crate) fn armed(&self, document: &str, signer: &Client, failpoint: &str) -> Said {
        self.given(
            document,
            &signer.certificate,
            &["--name", "agency", "--write"],
            &[("CHANCERY_FAILPOINT", failpoint)],
        )
    }

    /// With a clock that stands at another instant.
    pub(crate) fn at(&self, document: &str, certificate: &str, then: Millis, words: &[&str]) -> Said {
        let shift = (then.0 - Millis::now().0).to_string();
        let words = [&["--name", "agency"], words].concat();
        self.given(document, certificate, &words, &[("CHANCERY_CLOCK_SHIFT_MS", &shift)])
    }

    fn given(&self, document: &str, certificate: &str, words: &[&str], environment: &[(&str, &str)]) -> Said {
        let path = self.path("signer.pem");
        std::fs::write(&path, certificate).unwrap();
        self.started(document, &[&["--certificate", path.to_str().unwrap()], words].concat(), environment)
    }

    /// Without any certificate.
    pub(crate) fn command(&self, document: &str, words: &[&str]) -> Said {
        self.started(document, words, &[])
    }

    fn started(&self, document: &str, words: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(["partner", "import", "-", "--config"]).arg(self.root()).args(words);
        command.env_remove("CHANCERY_SANDBOX").envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that is refused for how it is called reads nothing.
        let _ = child.stdin.take().unwrap().write_all(document.as_bytes());
        Said(child.wait_with_output().unwrap())
    }
}

/// Runs openssl in a directory; none where there is none.
fn openssl(directory: &Path, words: &[&str]) -> Option<()> {
    let output = Command::new("openssl").args(words).current_dir(directory).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

/// A certificate with a key that nobody should have any more.
pub(crate) fn weak(kind: &str) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let key: &[&str] = match kind {
        "rsa-1024" => &["-newkey", "rsa:1024"],
        _ => &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"],
    };
    let rest = ["-x509", "-nodes", "-days", "2", "-subj", "/CN=weak", "-keyout", "k", "-outform", "DER", "-out", "c"];
    openssl(directory.path(), &[&["req"], key, &rest].concat())?;
    Some(std::fs::read(directory.path().join("c")).unwrap())
}

/// It as xmlsec1 signs it, laid out as people lay it out, and the certificate of its key.
pub(crate) fn by_xmlsec1(metadata: &Metadata) -> Option<(String, String)> {
    Command::new("xmlsec1").arg("--version").output().ok()?;
    let directory = tempfile::tempdir().unwrap();
    let words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=idp -keyout key.pem -out certificate.pem";
    openssl(directory.path(), &words.split(' ').collect::<Vec<_>>())?;
    let signature = format!(
        "<Signature xmlns='{DS}'><SignedInfo><CanonicalizationMethod Algorithm='{EXCLUSIVE}'/><SignatureMethod \
         Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/><Reference URI='#_m'><Transforms><Transform \
         Algorithm='{DS}enveloped-signature'/><Transform Algorithm='{EXCLUSIVE}'/></Transforms><DigestMethod \
         Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/><DigestValue/></Reference></SignedInfo><SignatureValue/>\
         <KeyInfo><X509Data/></KeyInfo></Signature>"
    );
    let template =
        metadata.clone().within(&signature).octets.replace("><md:", ">\n  <md:").replace("><ds:", " >\n <ds:");
    let template = template.replace("></md:SingleSignOnService>", "\n/><!-- by hand -->");
    std::fs::write(directory.path().join("template.xml"), format!("<?xml version=\"1.0\"?>\n{template}\n")).unwrap();
    let output = Command::new("xmlsec1")
        .args(["--sign", "--privkey-pem", "key.pem,certificate.pem", "--id-attr:ID", &format!("{MD}:EntityDescriptor")])
        .arg("template.xml")
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let certificate = std::fs::read_to_string(directory.path().join("certificate.pem")).unwrap();
    Some((String::from_utf8(output.stdout).unwrap(), certificate))
}

/// Readers that were told of this failpoint and are still there.
pub(crate) fn readers(mark: &Path) -> Vec<PathBuf> {
    let holds = |path: PathBuf, word: &str| {
        std::fs::read(path).is_ok_and(|octets| String::from_utf8_lossy(&octets).contains(word))
    };
    let mark = mark.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    processes
        .filter(|path| holds(path.join("cmdline"), "--metadata-reader") && holds(path.join("environ"), mark))
        .collect()
}
