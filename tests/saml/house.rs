//! Two partners, auth that takes what they say of their own, and what the record knows of those it refuses.

use base64ct::{Base64, Encoding};
use chancery::wire::Text;
use chancery::wire::evidence::{Evidence, SignedAssertion, Submission};

use crate::support::asserted::{AUDIENCE, ISSUER, Words};
use crate::support::handshakes::Identity;
use crate::support::office::{Office, hash, request};
pub(crate) use crate::support::refusals::{all_refused, reasons};
use crate::support::signed::Client;

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
confirmations = ["bearer", "holder-of-key"]
policy = '''permit(principal, action, resource)
when { context.method == "saml" && !principal.role.contains("visitor") };'''
[[claim]]
uri = "urn:role"
from = "role"
[[claim]]
uri = "urn:floor"
from = "floor"
"#;
pub(crate) const ADDRESS: &str = "https://sts.example.com/saml";
pub(crate) const SUBJECTS: &str = r#"
[[saml_partner.subject]]
from = "name-id"
capture = '([A-Za-z]+)@agency\.example'
case = "lower"
[[saml_partner.subject]]
attribute = "http://schemas.xmlsoap.org/claims/UPN"
capture = '([a-z]+)@upn\.agency\.example'
"#;

/// Two partners, and auth that takes what they say of their own.
pub(crate) struct House {
    pub(crate) agency: Client,
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

    /// With more keys in the table of the agency.
    pub(crate) fn with(more: &str) -> Self {
        Self::of(Client::new(), more)
    }

    pub(crate) fn of(agency: Client, more: &str) -> Self {
        Self::at(agency, "", more)
    }

    /// With more in the table of the endpoint, too.
    pub(crate) fn at(agency: Client, endpoint: &str, more: &str) -> Self {
        let [bank, sam, eve] = std::array::from_fn(|_| Client::new());
        let server = Identity::own("localhost", &rcgen::PKCS_ECDSA_P256_SHA256);
        let auth = format!(
            "server_certificates = [\"server.pem\"]\n[store]\ndirectory = \"../../state\"\n[[endpoint]]\npath = \"/saml\"\ncredentials = [\"saml\"]\n\
             addresses = [\"{ADDRESS}\"]\n{endpoint}\n[[endpoint]]\npath = \"/signed\"\ncredentials = [\"saml\", \"signature\"]\n\
             addresses = [\"{ADDRESS}\"]\nreplies = \"signed\"\n[[endpoint]]\npath = \"/sealed\"\n\
             credentials = [\"saml\", \"signature\"]\naddresses = [\"{ADDRESS}\"]\nreplies = \"sealed\"\n\
             [[endpoint]]\npath = \"/password\"\ncredentials = [\"password\"]\n\
             [[saml_partner]]\nname = \"agency\"\nissuer = \"{ISSUER}\"\n\
             certificates = [\"old.pem\", \"agency.pem\"]\naudiences = [\"{AUDIENCE}\", \"urn:sts\"]\n{more}\n{SUBJECTS}\
             [[saml_partner]]\nname = \"bank\"\nissuer = \"urn:bank\"\ncertificates = [\"bank.pem\"]\n\
             audiences = [\"{AUDIENCE}\"]\n{SUBJECTS}"
        );
        let of = |name: &str, partner: &str| format!("[users.{name}]\nsaml_partner = \"{partner}\"\n");
        let users = "attributes = [\"role\"]\n".to_owned()
            + &of("sam", "agency")
            + "attributes.floor = [\"3\"]\ncertificates = [\"sam.pem\"]\n"
            + "[users.eve]\ncertificates = [\"eve.pem\"]\ndisabled = true\n"
            + &of("nina", "agency")
            + &of("kim", "agency")
            + "disabled = true\n"
            + &of("otto", "bank")
            + &format!("[users.bob]\npassword = '{}'\n", hash("wonderland"));
        // Its key had another certificate before.
        let past = agency.past();
        let server_pem = Base64::encode_string(&server.0.cert[0]);
        let server_pem = format!("-----BEGIN CERTIFICATE-----\n{server_pem}\n-----END CERTIFICATE-----\n");
        let files = [("agency.pem", &agency), ("bank.pem", &bank), ("sam.pem", &sam), ("eve.pem", &eve)];
        let files = files.map(|(file, client)| (file, client.certificate.as_str()));
        let office = Office::with(
            &auth,
            &users,
            PARTY,
            &[&files[..], &[("old.pem", &past), ("server.pem", &server_pem)]].concat(),
        );
        Self { agency, bank, sam, eve, server, office }
    }

    pub(crate) fn presented(&self, words: &Words) -> Submission {
        submission(words.signed(&self.agency))
    }
}

pub(crate) fn submission(signed: SignedAssertion) -> Submission {
    let evidence = Evidence::Assertion(signed);
    Submission { endpoint: Text::new("/saml").unwrap(), evidence, ..request("", "") }
}

pub(crate) fn sam() -> Words {
    Words::saml20("sam@agency.example")
}

pub(crate) fn old_sam() -> Words {
    Words::saml11("sam@agency.example")
}
