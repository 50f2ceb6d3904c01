//! Two issuers, auth that takes what they say of their own, and what the record knows of those it refuses.

use base64ct::{Base64, Encoding};
use chancery::wire::Text;
use chancery::wire::evidence::{Evidence, Presenter, SignedJwt, Submission};

use crate::support::handshakes::Identity;
use crate::support::jwt::{CLOUD, US, Words, handed_on, jwk, jwks};
use crate::support::office::{Office, hash, request};
pub(crate) use crate::support::refusals::{all_refused, reasons};
use crate::support::signed::Client;

pub(crate) const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
confirmations = ["bearer", "holder-of-key"]
policy = '''permit(principal, action, resource)
when { context.method == "jwt" && !principal.role.contains("visitor") };'''
[[claim]]
uri = "urn:role"
from = "role"
[[claim]]
uri = "urn:floor"
from = "floor"
"#;
pub(crate) const ADDRESS: &str = "https://sts.example.com/jwt";
pub(crate) const SUBJECTS: &str = r#"
[[jwt_issuer.subject]]
claim = "sub"
capture = '([A-Za-z]+)@cloud\.example'
case = "lower"
[[jwt_issuer.subject]]
claim = "upn"
capture = '([a-z]+)@upn\.cloud\.example'
"#;

/// Two issuers, and auth that takes what they say of their own.
pub(crate) struct House {
    /// A key of the cloud's, on P-256, that is called `new`.
    pub(crate) cloud: Client,
    /// Another one, RSA, without a name.
    pub(crate) old: Client,
    /// The bank's, Ed25519.
    pub(crate) bank: Client,
    /// Whose key is registered for sam.
    pub(crate) sam: Client,
    /// Whose key is registered for eve, who is disabled.
    pub(crate) eve: Client,
    /// Our own server, as connections show it.
    pub(crate) server: Identity,
    pub(crate) office: Office,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more in the table of the cloud.
    pub(crate) fn with(more: &str) -> Self {
        Self::at("", more)
    }

    /// With more in the table of the endpoint, too.
    pub(crate) fn at(endpoint: &str, more: &str) -> Self {
        let [cloud, sam, eve] = std::array::from_fn(|_| Client::new());
        let (old, bank) = (Client::rsa(false), Client::ed25519());
        let server = Identity::own("localhost", &rcgen::PKCS_ECDSA_P256_SHA256);
        let auth = format!(
            "server_certificates = [\"server.pem\"]\n[store]\ndirectory = \"../../state\"\n[[endpoint]]\n\
             path = \"/jwt\"\ncredentials = [\"jwt\"]\naddresses = [\"{ADDRESS}\"]\n{endpoint}\n[[endpoint]]\n\
             path = \"/password\"\n\
             [[endpoint]]\npath = \"/either\"\ncredentials = [\"signature\", \"jwt\"]\naddresses = [\"{ADDRESS}\"]\n\
             [[jwt_issuer]]\nname = \"cloud\"\nissuer = \"{CLOUD}\"\njwks = \"cloud.json\"\n\
             audiences = [\"{US}\", \"urn:sts\"]\n{more}\n{SUBJECTS}[[jwt_issuer]]\nname = \"bank\"\n\
             issuer = \"urn:bank\"\njwks = \"bank.json\"\naudiences = [\"{US}\"]\n{SUBJECTS}"
        );
        let of = |name: &str, issuer: &str| format!("[users.{name}]\njwt_issuer = \"{issuer}\"\n");
        let users = "attributes = [\"role\"]\n".to_owned()
            + &of("sam", "cloud")
            + "attributes.floor = [\"3\"]\ncertificates = [\"sam.pem\"]\n"
            + "[users.eve]\ncertificates = [\"eve.pem\"]\ndisabled = true\n"
            + &of("nina", "cloud")
            + &of("kim", "cloud")
            + "disabled = true\n"
            + &of("otto", "bank")
            + &format!("[users.bob]\npassword = '{}'\n", hash("wonderland"));
        let files = [
            ("cloud.json", keys(&[(&cloud, ",\"kid\":\"new\",\"use\":\"sig\""), (&old, "")])),
            ("bank.json", keys(&[(&bank, ",\"kid\":\"new\"")])),
            ("sam.pem", sam.certificate.clone()),
            ("eve.pem", eve.certificate.clone()),
            ("server.pem", pem(&server)),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        let office = Office::with(&auth, &users, PARTY, &files);
        Self { cloud, old, bank, sam, eve, server, office }
    }

    pub(crate) fn presented(&self, words: &Words) -> Submission {
        submission(handed_on(&words.signed(&self.cloud), &self.cloud))
    }
}

fn pem(identity: &Identity) -> String {
    let base64 = Base64::encode_string(&identity.0.cert[0]);
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

pub(crate) fn keys(keys: &[(&Client, &str)]) -> String {
    jwks(&keys.iter().map(|(key, more)| jwk(key, more)).collect::<Vec<_>>())
}

pub(crate) fn submission(signed: SignedJwt) -> Submission {
    with(signed, Presenter::Anybody)
}

pub(crate) fn with(signed: SignedJwt, presenter: Presenter) -> Submission {
    let evidence = Evidence::Jwt(signed, presenter);
    Submission { endpoint: Text::new("/jwt").unwrap(), evidence, ..request("", "") }
}

pub(crate) fn sam() -> Words {
    Words::new("sam@cloud.example")
}
