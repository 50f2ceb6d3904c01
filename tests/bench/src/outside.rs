//! Servers of others that some clients are proved by: a KDC of MIT Kerberos and an OpenLDAP, as the tests start them.
//! Their processor time is not counted, for it is not ours. Where one is not installed its row is left out, by name.

use std::fs;
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::Outcome;
use crate::credential::Credential;
use crate::plan::Plan;
use crate::support::authority::Authority;
use crate::support::kdc::{self, Kdc, bound_to};
use crate::support::slapd::{self, PASSWORD, SEARCH_PASSWORD, Slapd};

pub(crate) use crate::support::kdc::{REALM, SERVICE};

/// One of the fifty users that the directory knows.
pub(crate) fn user(number: usize) -> String {
    format!("user{number}@corp.test")
}

/// Whom the KDC knows.
const PRINCIPAL: &str = "Mixed";

/// What is started.
pub(crate) struct Outside {
    kdc: Option<Kdc>,
    directory: Option<(Slapd, Authority)>,
}

impl Outside {
    /// Starts what these plans need, and gives those that can be measured.
    pub(crate) fn start(plans: Vec<Plan>) -> (Self, Vec<Plan>) {
        let needs = |credential| plans.iter().any(|plan| plan.credential == Some(credential));
        let kdc = (needs(Credential::Kerberos) && kdc::installed("bench")).then(Kdc::start);
        let directory = (needs(Credential::Directory) && slapd::installed("bench")).then(|| {
            let authority = Authority::new();
            (Slapd::start("ldap1.corp.test", &authority), authority)
        });
        let outside = Self { kdc, directory };
        let plans = plans.into_iter().filter(|plan| plan.credential.is_none_or(|one| outside.has(one))).collect();
        (outside, plans)
    }

    /// Is what this takes there?
    pub(crate) fn has(&self, credential: Credential) -> bool {
        match credential {
            Credential::Kerberos => self.kdc.is_some(),
            Credential::Directory => self.directory.is_some(),
            _ => true,
        }
    }

    /// The keys of our service.
    pub(crate) fn keytab(&self) -> Outcome<PathBuf> {
        Ok(self.kdc.as_ref().ok_or("no KDC")?.keytab())
    }

    /// So many tickets for the server of this demo, as HTTP has them, in a file. They hold for five minutes.
    pub(crate) fn tickets(&self, demo: &Path, count: usize) -> Outcome<PathBuf> {
        let kdc = self.kdc.as_ref().ok_or("no KDC")?;
        let server = CertificateDer::from_pem_file(demo.join("etc/worker.d/tls.pem"))?;
        let tokens = kdc.tokens(PRINCIPAL, &bound_to(&server), count);
        let lines = tokens.iter().map(|token| format!("Negotiate {}\n", Base64::encode_string(token)));
        let file = demo.join("tickets");
        fs::write(&file, lines.collect::<String>())?;
        Ok(file)
    }

    /// What auth must know of the directory, in these places, and for `auth.toml`.
    pub(crate) fn directory(&self, auth: &Path, keys: &Path) -> Outcome<String> {
        let (slapd, authority) = self.directory.as_ref().ok_or("no directory")?;
        fs::write(auth.join("corp.pem"), &authority.pem)?;
        fs::write(auth.join("corp.password"), SEARCH_PASSWORD)?;
        fs::write(keys.join("password"), PASSWORD)?;
        Ok(format!(
            "[password]\ncache_s = 0\n[[directory]]\nname = 'corp'\nnames = ['@corp.test']\nservers = [{}]\n\
             anchors = ['corp.pem']\nbind_dn = 'cn=chancery,ou=services,dc=corp,dc=test'\n\
             bind_password_file = 'corp.password'\nbase_dn = 'dc=corp,dc=test'\n\
             filter = '(&(objectClass=corpUser)(uid={{user}}))'\ndecoy_dn = 'cn=decoy,ou=services,dc=corp,dc=test'\n\
             account = '{{uid}}@corp.test'\n[[directory.attribute]]\nname = 'mail'\nfrom = 'mail'\n",
            slapd.entry("ldaps")
        ))
    }
}
