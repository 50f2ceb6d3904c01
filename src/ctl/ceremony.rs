//! Holding a ceremony: this process reads PINs and writes certificates, `chancery-signer --ceremony` has the
//! module. What takes long shows a spinner where there is a terminal to show it on.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use indicatif::ProgressBar;
use zeroize::Zeroizing;

use crate::config::signer::{Signer, Token};
use crate::wire::ceremony::{Act, Ceremony, Reply, Which, read, write};
use crate::wire::{Secret, Text};

/// Which module, which token.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Configuration root; module, token and profile are taken from its signer.d/signer.toml
    #[arg(long, value_name = "ROOT", default_value = "/etc/chancery", conflicts_with = "module")]
    config: PathBuf,
    /// PKCS#11 module, without any configuration, and so without a sandbox
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// The token's label
    #[arg(long, value_name = "LABEL", requires = "module")]
    token_label: Option<String>,
    /// The token's serial number
    #[arg(long, value_name = "SERIAL", requires = "module", conflicts_with = "token_label")]
    token_serial: Option<String>,
    /// HSM profile
    #[arg(long, value_name = "NAME", requires = "module", default_value = "softhsm2")]
    profile: String,
}

/// What the flags and files say.
pub(super) struct Place {
    module: PathBuf,
    profile: String,
    /// The configuration root, when it was read.
    configuration: Option<PathBuf>,
    token: Option<Token>,
    /// Where the marks of refused PINs are, when there is a configuration.
    pub(super) state_directory: Option<PathBuf>,
    /// Longest PIN of the profile.
    pub(super) pin_max: usize,
}

impl Target {
    /// Reads the configuration, or takes the flags.
    pub(super) fn place(&self) -> Result<Place, String> {
        if let Some(module) = &self.module {
            let label = self.token_label.clone().map(Token::Label);
            let profile = crate::config::profile::Profile::find(&self.profile).map_err(|error| error.to_string())?;
            return Ok(Place {
                module: module.clone(),
                profile: self.profile.clone(),
                configuration: None,
                token: label.or_else(|| self.token_serial.clone().map(Token::Serial)),
                state_directory: None,
                pin_max: profile.auth.pin_max_octets,
            });
        }
        let signer = Signer::load(&self.config).map_err(|error| error.to_string())?;
        Ok(Place {
            module: signer.module,
            profile: signer.profile_name,
            configuration: Some(self.config.clone()),
            token: Some(signer.token),
            state_directory: Some(signer.state_directory),
            pin_max: signer.profile.auth.pin_max_octets,
        })
    }
}

impl Place {
    /// The token by name, when it was named.
    pub(super) fn which(&self) -> Result<Which, String> {
        match &self.token {
            Some(Token::Label(label)) => Ok(Which::Label(fitting(label, "label")?)),
            Some(Token::Serial(serial)) => Ok(Which::Serial(fitting(serial, "serial number")?)),
            None => Err("which token? --token-label or --token-serial".to_owned()),
        }
    }

    /// The label the configuration wants the token to have.
    pub(super) fn label(&self) -> Option<&str> {
        match &self.token {
            Some(Token::Label(label)) => Some(label),
            _ => None,
        }
    }

    /// Holds the ceremony; every reply but progress goes to `hear`.
    pub(super) fn hold(&self, act: Act, mut hear: impl FnMut(Reply) -> Result<(), String>) -> Result<(), String> {
        let module = self.module.to_str().ok_or("the module's path is not text")?;
        let configuration = self.configuration.as_ref().map(|root| root.to_str().ok_or("--config is not text"));
        let configuration = configuration.transpose()?.map(|root| fitting(root, "--config")).transpose()?;
        let ceremony = Ceremony {
            module: fitting(module, "module")?,
            profile: fitting(&self.profile, "profile")?,
            configuration,
            act,
        };
        let program = program();
        let say = |error: io::Error| format!("{}: {error}", program.display());
        let mut child = Command::new(&program)
            .arg("--ceremony")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(say)?;
        let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a child without pipes".to_owned());
        };
        write(&mut to, &ceremony).map_err(say)?;
        drop(to);
        let spinner = ProgressBar::new_spinner();
        let mut said = true;
        let outcome = loop {
            match read::<Reply>(&mut from) {
                Ok(Reply::Doing(what)) => {
                    spinner.set_message(what.as_str().to_owned());
                    spinner.enable_steady_tick(Duration::from_millis(100));
                }
                Ok(Reply::Done) => break Ok(()),
                Ok(Reply::Failed(why)) => break Err(why.as_str().to_owned()),
                Ok(reply) => {
                    if let Err(why) = spinner.suspend(|| hear(reply)) {
                        break Err(why);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    said = false;
                    break Err("the ceremony ended without a word".to_owned());
                }
                Err(error) => break Err(say(error)),
            }
        };
        spinner.finish_and_clear();
        // Drained, so that a ceremony we gave up on does not die of a full pipe half way through a key.
        let _ = io::copy(&mut from, &mut io::sink());
        let status = child.wait().map_err(say)?;
        // As signers would end: the sandbox is theirs, and so is the deadline.
        let why = match status.signal() {
            Some(libc::SIGSYS) => {
                "the sandbox ended the ceremony, as it would end a signer: the module made a system call that is not \
                 granted; CHANCERY_SANDBOX=debug names it"
                    .to_owned()
            }
            Some(libc::SIGABRT) => {
                "a call into the module did not return in time, and the ceremony ended itself, as a signer would: \
                 call_deadline_ms in signer.toml, or of the profile"
                    .to_owned()
            }
            _ => format!("the ceremony ended with {status}"),
        };
        match outcome {
            Err(_) if !said && status.signal().is_some() => Err(why),
            // What was to be done is done, whatever the module did when it ended.
            Ok(()) if !status.success() => {
                eprintln!("chancery: done, but the module did not end as it should: {why}");
                Ok(())
            }
            outcome => outcome,
        }
    }
}

/// `chancery-signer` beside this program, else where the packages put it.
fn program() -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join("chancery-signer")));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("/usr/libexec/chancery/chancery-signer"))
}

/// A text within the bounds of its type.
pub(super) fn fitting<const N: usize>(text: &str, what: &str) -> Result<Text<N>, String> {
    Text::new(text).map_err(|error| format!("{what}: {error}"))
}

/// Reads a PIN from the file, else from the credential of that name.
pub(super) fn pin(file: Option<&Path>, credential: &str) -> Result<Secret<255>, String> {
    let path = match file {
        Some(file) => file.to_owned(),
        None => std::env::var_os("CREDENTIALS_DIRECTORY")
            .map(|directory| Path::new(&directory).join(credential))
            .ok_or_else(|| format!("no PIN: --{credential}-file, or a credential {credential:?}"))?,
    };
    let say = |error: io::Error| format!("{}: {error}", path.display());
    let mut octets = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(&path).map_err(say)?;
    file.take(1024).read_to_end(&mut octets).map_err(say)?;
    let end = octets.iter().rposition(|octet| !matches!(octet, b'\r' | b'\n')).map_or(0, |last| last + 1);
    if end == 0 {
        return Err(format!("{}: empty", path.display()));
    }
    Secret::new(&octets[..end]).map_err(|error| format!("{}: {error}", path.display()))
}

/// Makes a PIN and writes it to a file nobody else can read and that was not there before.
pub(super) fn generate_pin(path: &Path, longest: usize) -> Result<(), String> {
    // Without the letters and digits people mistake for each other.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut octets = Zeroizing::new([0_u8; 24]);
    getrandom::fill(octets.as_mut_slice()).map_err(|error| format!("no randomness: {error}"))?;
    let mut pin = Zeroizing::new(String::with_capacity(32));
    for octet in octets.iter().take(longest) {
        pin.push(char::from(LETTERS[usize::from(octet % 32)]));
    }
    pin.push('\n');
    write_new(path, pin.as_bytes(), 0o600)
}

/// Writes a file that was not there before, and makes it durable.
pub(super) fn write_new(path: &Path, octets: &[u8], mode: u32) -> Result<(), String> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(octets)?;
        file.sync_all()
    };
    write().map_err(|error: io::Error| format!("{}: {error}", path.display()))
}

/// Says how it ended.
pub(super) fn ended(result: Result<(), String>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("chancery: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_pin_is_its_owners_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        generate_pin(&path, 8).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(pin(Some(&path), "pin").unwrap().expose().len(), 8);
        assert!(generate_pin(&path, 8).is_err());
    }
}
