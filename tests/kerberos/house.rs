//! A KDC, kerberos with the keys of its service, and auth that asks it.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64, Encoding};
use chancery::sys::places::Place;
use chancery::wire::evidence::{BinaryTicket, Evidence, Negotiation, Submission, TicketForm};
use chancery::wire::{Secret, Text};

use crate::support::kdc::{Kdc, REALM, SERVICE, bound_to};
use crate::support::office::{Office, hash, request};
use crate::support::processes::{Daemon, listener};
pub(crate) use crate::support::refusals::all_refused;

const PARTY: &str = r#"
applies_to = ["urn:office"]
token_types = ["saml20"]
confirmations = ["bearer"]
policy = '''permit(principal, action, resource) when { ["kerberos", "password"].contains(context.method) };'''
"#;

/// Where tickets come in messages, and where they need not be bound.
pub(crate) const TOKEN: &str = "/token";
pub(crate) const LENIENT: &str = "/lenient";
/// Where a message need not say for whom it is.
pub(crate) const ABSENT: &str = "/absent";
/// What `wsa:To` of a message there is.
pub(crate) const ADDRESS: &str = "https://sts.example.com/token";

fn in_message(path: &str, leniencies: &str) -> String {
    format!(
        "[[endpoint]]\npath = \"{path}\"\ncredentials = [\"kerberos-token\"]\naddresses = [\"{ADDRESS}\"]\n\
         leniencies = [{leniencies}]\n"
    )
}

/// All of it.
pub(crate) struct House {
    pub(crate) kdc: Kdc,
    pub(crate) office: Office,
    /// Our server, which clients bind tickets to.
    pub(crate) server: Vec<u8>,
    root: tempfile::TempDir,
    door: OwnedFd,
    kerberos: Option<Daemon>,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more in `[kerberos]`.
    pub(crate) fn with(more: &str) -> Self {
        let (kdc, server) = (Kdc::start(), certificate());
        let auth = format!(
            "server_certificates = [\"server.pem\"]\n[store]\ndirectory = \"../../state\"\n[[endpoint]]\n\
             path = \"/windows\"\ncredentials = [\"kerberos\"]\n{}{}{}[[endpoint]]\npath = \"/password\"\n[kerberos]\n\
             deadline_ms = 1000\n{more}\n[[kerberos_realm]]\nname = \"corp\"\nrealm = \"{REALM}\"\n\
             [[kerberos_realm.subject]]\ncapture = '([A-Za-z]+)'\ncase = \"lower\"\n",
            in_message(TOKEN, ""),
            in_message(ABSENT, "\"to-absent\""),
            in_message(LENIENT, "\"unbound-ticket\", \"to-absent\", \"hmac-sha1\"")
        );
        let users = "[users.alice]\nkerberos_realm = \"corp\"\n[users.mixed]\nkerberos_realm = \"corp\"\n\
                     [users.eve]\nkerberos_realm = \"corp\"\ndisabled = true\n"
            .to_owned()
            + &format!("[users.bob]\npassword = '{}'\n", hash("wonderland"));
        let pem =
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", Base64::encode_string(&server));
        let office = Office::with(&auth, &users, PARTY, &[("server.pem", &pem)]);
        let door = listener(&office.run().join(Place::KerberosAuth.file()));
        let root = tempfile::tempdir().unwrap();
        let mut house = Self { kdc, office, server, root, door, kerberos: None };
        house.configure(300);
        house.start();
        house
    }

    /// Writes `kerberos.toml`.
    pub(crate) fn configure(&self, clock_skew_s: u32) {
        let directory = self.root.path().join("etc/kerberos.d");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::copy(self.kdc.keytab(), directory.join("keytab")).unwrap();
        std::fs::set_permissions(directory.join("keytab"), PermissionsExt::from_mode(0o600)).unwrap();
        let text = format!(
            "services = [\"{SERVICE}\"]\nkeytab = \"keytab\"\nstate_directory = \"../../state\"\n\
             clock_skew_s = {clock_skew_s}\ncall_deadline_ms = 500\n"
        );
        std::fs::write(directory.join("kerberos.toml"), text).unwrap();
    }

    /// Starts kerberos.
    pub(crate) fn start(&mut self) {
        self.start_with(|_| {});
    }

    /// The same, with something else about the process.
    pub(crate) fn start_with(&mut self, more: impl FnOnce(&mut Command)) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-kerberos"));
        command.arg(self.root.path().join("etc"));
        more(&mut command);
        let started = Daemon::start(&mut command, &self.office.run(), &[("auth", &self.door)]);
        self.kerberos = Some(started.expect("kerberos starts"));
    }

    /// kerberos, for somebody who wants to do something to it.
    pub(crate) fn kerberos(&mut self) -> &mut Option<Daemon> {
        &mut self.kerberos
    }

    /// Where kerberos keeps what it remembers.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// What a client binds a ticket to, as the client of these tests takes it.
    pub(crate) fn bound(&self) -> String {
        bound_to(&self.server)
    }

    /// A token of that user, bound to our server.
    pub(crate) fn token(&self, user: &str) -> Vec<u8> {
        self.kdc.token(user, &self.bound())
    }

    /// A request that brings this.
    pub(crate) fn brings(&self, token: &[u8]) -> Submission {
        let mut server = [0; 32];
        server.copy_from_slice(digest(&SHA256, &self.server).as_ref());
        let negotiation = Negotiation { token: Secret::new(token).unwrap(), server };
        let endpoint = Text::new("/windows").unwrap();
        Submission { endpoint, evidence: Evidence::Negotiation(negotiation), ..request("", "") }
    }

    /// A ticket in a message.
    pub(crate) fn ticket(&self, form: TicketForm, token: &[u8]) -> BinaryTicket {
        let mut server = [0; 32];
        server.copy_from_slice(digest(&SHA256, &self.server).as_ref());
        BinaryTicket { form, token: Secret::new(token).unwrap(), server }
    }

    /// A request with a ticket in the message.
    pub(crate) fn holds(&self, form: TicketForm, token: &[u8]) -> Submission {
        let evidence = Evidence::Ticket(self.ticket(form, token));
        Submission { endpoint: Text::new(TOKEN).unwrap(), evidence, ..request("", "") }
    }

    /// A request of somebody with a password.
    pub(crate) fn with_password(&self) -> Submission {
        Submission { endpoint: Text::new("/password").unwrap(), ..request("bob", "wonderland") }
    }
}

/// A certificate of a server, signed with SHA-256.
pub(crate) fn certificate() -> Vec<u8> {
    let pair = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&pair).unwrap().der().to_vec()
}
