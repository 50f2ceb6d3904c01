//! The demo's token and keys, made by the ceremony any operator would hold: `chancery token init` and
//! `chancery key generate`, in their own processes. This process never loads the module.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Layout, configuration, secret};
use crate::ctl::run::announce::write_whole;
use crate::wire::ceremony::Algorithm;

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

/// One key a purpose. The algorithm of the first is only what it is unless asked otherwise.
const KEYS: [(&str, &str, &str, &str, &str); 6] = [
    ("assertion-1", "assertion", "a501", "rsa-2048", "Chancery demo token signing"),
    ("handshake-1", "handshake", "a502", "p-256", "localhost"),
    ("message-1", "message", "a503", "rsa-2048", "Chancery demo message signing"),
    ("metadata-1", "metadata", "a504", "rsa-2048", "Chancery demo metadata signing"),
    ("state-1", "state", "a505", "rsa-2048", "Chancery demo state"),
    ("unwrap-1", "unwrap", "a506", "rsa-2048", "Chancery demo encryption"),
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

/// Makes PIN, token, keys and certificates; `assertion` is what tokens are signed with.
pub(super) fn make(layout: &Layout, assertion: Algorithm) -> io::Result<Vec<Key>> {
    if !layout.module.exists() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "SoftHSM is not installed (Debian: apt-get install softhsm2)",
        ));
    }
    write_softhsm_configuration(layout)?;
    let pin = secret()?;
    write_whole(&layout.credentials().join("pin"), format!("{}\n", pin.as_str()).as_bytes(), 0o600)?;
    // Not beside the PIN: signers are given that directory.
    let officer = layout.root.join("so-pin");
    write_whole(&officer, format!("{}\n", secret()?.as_str()).as_bytes(), 0o600)?;
    configuration::write_signer(layout, &[])?;
    let ceremony = Ceremony { layout };
    ceremony.hold(&["token", "init", "--label", LABEL, "--so-pin-file", &officer.display().to_string()])?;
    let keys = keys(layout);
    // One ceremony for all, so that nobody waits for six logins.
    let mut words: Vec<String> = vec!["key".into(), "generate".into(), "--san".into(), "localhost,127.0.0.1".into()];
    for (key, (name, _, _, algorithm, subject)) in keys.iter().zip(KEYS) {
        let out = layout.root.join(format!("{name}.pem"));
        match fs::remove_file(&out) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        for (option, value) in [
            ("--purpose", key.purpose.to_owned()),
            ("--id", key.id.to_owned()),
            ("--algorithm", if key.purpose == "assertion" { assertion.name() } else { algorithm }.to_owned()),
            ("--label", name.to_owned()),
            ("--subject", format!("CN={subject}")),
            ("--out", out.display().to_string()),
        ] {
            words.extend([option.to_owned(), value]);
        }
    }
    ceremony.hold(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(keys)
}

/// The keys there are to be; nobody else seals for `state`, so it has no certificate.
pub(super) fn keys(layout: &Layout) -> Vec<Key> {
    KEYS.map(|(name, purpose, id, ..)| {
        let certificate = (purpose != "state").then(|| layout.root.join(format!("{name}.pem")));
        Key { name, purpose, id, certificate }
    })
    .into()
}

struct Ceremony<'a> {
    layout: &'a Layout,
}

impl Ceremony<'_> {
    /// Runs one command of the ceremony on the demo's configuration.
    fn hold(&self, words: &[&str]) -> io::Result<()> {
        // This program itself: packages put it elsewhere than the daemons.
        let output = Command::new(std::env::current_exe()?)
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
