//! The demo's token and keys, made by the ceremony any operator would hold: `chancery token init` and
//! `chancery key generate`, in their own processes. This process never loads the module.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Layout, configuration, secret};
use crate::ctl::run::announce::write_whole;

/// Label of the demo's token.
pub(super) const LABEL: &str = "chancery-demo";

/// Where distributions put SoftHSM's module.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// A key of the demo.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Name in the configuration, stem of the certificate's file.
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) purpose: &'static str,
    /// `CKA_ID`, hexadecimal.
    pub(super) id: &'static str,
    /// PEM, made in the ceremony.
    pub(super) certificate: Option<PathBuf>,
}

/// One key a purpose.
const KEYS: [(&str, &str, &str, &str, &str); 5] = [
    ("assertion-1", "assertion", "a501", "rsa-2048", "Chancery demo token signing"),
    ("handshake-1", "handshake", "a502", "ec-p256", "localhost"),
    ("message-1", "message", "a503", "ec-p256", "Chancery demo message signing"),
    ("metadata-1", "metadata", "a504", "rsa-2048", "Chancery demo metadata signing"),
    ("state-1", "state", "a505", "rsa-2048", "Chancery demo state"),
];

/// The module, where it is installed.
pub(super) fn module() -> PathBuf {
    MODULES.iter().map(Path::new).find(|path| path.exists()).unwrap_or(Path::new(MODULES[0])).to_owned()
}

/// `softhsm2.conf`.
pub(super) fn write_softhsm_configuration(layout: &Layout) -> io::Result<()> {
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        layout.tokens().display()
    );
    write_whole(&layout.softhsm(), text.as_bytes(), 0o600)
}

/// Makes PIN, token, keys and certificates.
pub(super) fn make(layout: &Layout, programs: &Path) -> io::Result<Vec<Key>> {
    if !layout.module.exists() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "SoftHSM is not installed (Debian: apt-get install softhsm2)",
        ));
    }
    write_softhsm_configuration(layout)?;
    let pin = secret()?;
    write_whole(&layout.credentials().join("pin"), format!("{}\n", pin.as_str()).as_bytes(), 0o600)?;
    // Nobody needs the security officer's PIN of a throw-away token again, but its holder may.
    let officer = secret()?;
    write_whole(&layout.credentials().join("so-pin"), format!("{}\n", officer.as_str()).as_bytes(), 0o600)?;
    configuration::write_signer(layout, &[])?;
    let ceremony = Ceremony { layout, programs };
    ceremony.hold(&["token", "init", "--label", LABEL])?;
    let mut keys = Vec::new();
    for (name, purpose, id, algorithm, subject) in KEYS {
        let certificate = layout.root.join(format!("{name}.pem"));
        let subject = format!("CN={subject}");
        let certificate_path = certificate.display().to_string();
        let mut words = vec!["key", "generate", "--purpose", purpose, "--id", id, "--algorithm", algorithm];
        words.extend(["--subject", &subject, "--out", &certificate_path]);
        if purpose == "handshake" {
            words.extend(["--san", "localhost,127.0.0.1"]);
        }
        ceremony.hold(&words)?;
        keys.push(Key { name, purpose, id, certificate: certificate.exists().then_some(certificate) });
    }
    Ok(keys)
}

struct Ceremony<'a> {
    layout: &'a Layout,
    programs: &'a Path,
}

impl Ceremony<'_> {
    /// Runs one command of the ceremony on the demo's configuration.
    fn hold(&self, words: &[&str]) -> io::Result<()> {
        let output = Command::new(self.programs.join("chancery"))
            .args(words)
            .arg("--config")
            .arg(self.layout.config())
            .env("SOFTHSM2_CONF", self.layout.softhsm())
            .env("CREDENTIALS_DIRECTORY", self.layout.credentials())
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io::Error::other(format!("chancery {}: {}: {said}", words.join(" "), output.status)))
    }
}
