//! `chancery run --demo`: everything a first look needs, under one directory — a SoftHSM token with a random
//! PIN, keys made in it, certificates, configuration, two relying parties and one user with a random
//! password. Nothing outside the directory is touched, and what is there already is kept.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::announce::{News, write_whole};
use super::listeners::tcp;
use super::{Args, Service};
use crate::wire::ceremony::Algorithm;

mod configuration;
mod custody;
mod proof;

pub(super) use proof::Proof;

/// Changes when an older demo directory cannot be used any more.
const EDITION: &str = "3\n";
/// Port of a demo that was not told one.
const PORT: u16 = 8443;

/// Where things are in a demo's directory.
#[derive(Debug, Clone)]
struct Layout {
    root: PathBuf,
    module: PathBuf,
}

impl Layout {
    /// Root of the configuration.
    fn config(&self) -> PathBuf {
        self.root.join("etc")
    }

    /// The signers' credentials: the file `pin`.
    fn credentials(&self) -> PathBuf {
        self.root.join("credentials")
    }

    /// SoftHSM's own configuration.
    fn softhsm(&self) -> PathBuf {
        self.root.join("softhsm2.conf")
    }

    /// SoftHSM's token.
    fn tokens(&self) -> PathBuf {
        self.root.join("tokens")
    }

    /// Marks of refused PINs.
    fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// auth's store; not below [`Self::state`], which signers may write.
    fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The record.
    fn record(&self) -> PathBuf {
        self.root.join("record")
    }

    /// The demo user's password.
    fn password(&self) -> PathBuf {
        self.root.join("alice.password")
    }

    /// Certificate of the server, which is its own authority.
    fn ca(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    /// Certificate of the key that signs tokens.
    fn assertion(&self) -> PathBuf {
        self.root.join("token-signing.pem")
    }

    fn finished(&self) -> PathBuf {
        self.root.join("edition")
    }
}

/// Makes what is missing and gives the service to run.
pub(super) fn prepare(args: &Args) -> io::Result<Service> {
    private(&args.directory)?;
    let module = args.module.clone().unwrap_or_else(custody::module);
    let layout = Layout { root: fs::canonicalize(&args.directory)?, module };
    let https = tcp(args.address, args.port.unwrap_or(PORT))?;
    let url = format!("https://localhost:{}", https.local_addr()?.port());
    let fresh = !fs::read_to_string(layout.finished()).is_ok_and(|edition| edition == EDITION);
    if fresh {
        make(&layout, args.demo_algorithm)?;
    }
    // The directory may have been moved, and a free port is another each time.
    custody::write_softhsm_configuration(&layout)?;
    configuration::write_worker(&layout, &url)?;
    let mut advice = advice(&layout, &url)?;
    if fresh {
        let password = fs::read_to_string(layout.password())?;
        advice.insert(0, format!("  demo user        alice, password {} (this once)", password.trim_end()));
    }
    Ok(Service {
        config: layout.config(),
        credentials: Some(layout.credentials()),
        vendor: vec![("SOFTHSM2_CONF".into(), layout.softhsm().into())],
        https,
        proof: Some(proof::proof(&url, &layout)),
        news: News {
            url,
            metrics: String::new(),
            ca: Some(layout.ca()),
            record: Some(layout.record()),
            listeners: Vec::new(),
            more: vec![
                ("config", layout.config().display().to_string()),
                ("user", "alice".to_owned()),
                ("password_file", layout.password().display().to_string()),
                ("token_signing", layout.assertion().display().to_string()),
                ("applies_to", configuration::MICROSOFT.to_owned()),
                ("softhsm2_conf", layout.softhsm().display().to_string()),
                ("credentials", layout.credentials().display().to_string()),
            ],
        },
        advice,
    })
}

/// Makes everything anew. What an unfinished or older run left is removed first: by name, so that a
/// mistaken `--directory` loses nothing of anybody else's.
fn make(layout: &Layout, assertion: Algorithm) -> io::Result<()> {
    let stale =
        [layout.config(), layout.credentials(), layout.tokens(), layout.state(), layout.store(), layout.record()];
    for directory in &stale {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for directory in &stale {
        private(directory)?;
    }
    let password = secret()?;
    write_whole(&layout.password(), format!("{}\n", password.as_str()).as_bytes(), 0o600)?;
    configuration::write_users(layout, &password)?;
    let keys = custody::make(layout, assertion)?;
    configuration::write_rest(layout, &keys)?;
    write_whole(&layout.finished(), EDITION.as_bytes(), 0o644)
}

fn private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", directory.display())))
}

/// 120 random bits that survive being read aloud: lower-case letters and digits without look-alikes.
fn secret() -> io::Result<zeroize::Zeroizing<String>> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut octets = zeroize::Zeroizing::new([0; 24]);
    getrandom::fill(octets.as_mut()).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(octets.iter().map(|octet| char::from(LETTERS[usize::from(octet & 31)])).collect::<String>().into())
}

fn advice(layout: &Layout, url: &str) -> io::Result<Vec<String>> {
    let show = |path: PathBuf| path.display().to_string();
    Ok(vec![
        format!("  WS-Trust 1.3     {url}{}", configuration::PATH_13),
        format!("  WS-Trust 2005    {url}{}", configuration::PATH_2005),
        format!("  generic          {url}{}", configuration::PATH_GENERIC),
        format!("  metadata         {url}{}", configuration::PATH_MEX),
        format!("  relying parties  {}, {}", configuration::MICROSOFT, configuration::GENERIC),
        format!("  password file    {}", show(layout.password())),
        format!("  record           {}", show(layout.record())),
        "  ask for a token:".to_owned(),
        format!(
            "    {} request issue --url {url}{} --user alice --password-file {} --applies-to {} --ca {}",
            show(std::env::current_exe()?),
            configuration::PATH_13,
            show(layout.password()),
            configuration::MICROSOFT,
            show(layout.ca()),
        ),
        "  Ctrl-C ends it.".to_owned(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_eq!(one.len(), 24);
        assert_ne!(*one, *other);
    }
}
