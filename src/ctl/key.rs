//! `chancery key`: making keys in the token, listing them, certificates and requests for them. Several keys
//! are made in one ceremony: the options of `generate` may repeat, and belong together by their order.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::ceremony::{Target, ended, fitting, pin, write_new};
use crate::config::signer::{Purpose, hex, key_id};
use crate::wire::ceremony::{Act, Algorithm, NewCertificate, NewKey, Reply, Step};
use crate::wire::{KeyId, List, Text};

/// Arguments of `chancery key`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make key pairs in the token, with self-signed certificates where --out is given
    Generate(Generate),
    /// Show every private key of the token
    List(Common),
    /// Make a self-signed certificate or a certification request for a key
    Certify(Certify),
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    target: Target,
    /// File with the user's PIN; else the credential "pin"
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Generate {
    #[command(flatten)]
    common: Common,
    /// assertion, message, handshake, metadata, state or unwrap; repeat for several keys
    #[arg(long, required = true, value_parser = purpose)]
    purpose: Vec<Purpose>,
    /// rsa-2048, rsa-3072, rsa-4096, p-256 or p-384; once for all keys, or once a key
    #[arg(long, required = true, value_parser = algorithm)]
    algorithm: Vec<Algorithm>,
    /// CKA_ID, hexadecimal; random unless given
    #[arg(long, value_parser = id)]
    id: Vec<KeyId>,
    /// CKA_LABEL; the purpose unless given
    #[arg(long)]
    label: Vec<String>,
    /// Common name in the certificate
    #[arg(long, value_name = "CN=NAME")]
    subject: Vec<String>,
    /// Write a self-signed certificate here (a state key gets none)
    #[arg(long, value_name = "FILE")]
    out: Vec<PathBuf>,
    /// DNS names or addresses for the certificates of handshake keys
    #[arg(long, visible_alias = "dns", value_delimiter = ',')]
    san: Vec<String>,
    /// Days the certificates hold
    #[arg(long, default_value_t = 730)]
    days: u32,
}

#[derive(Debug, clap::Args)]
struct Certify {
    #[command(flatten)]
    common: Common,
    /// CKA_ID of the key, hexadecimal
    #[arg(long, value_parser = id)]
    id: KeyId,
    /// Common name
    #[arg(long, value_name = "CN=NAME")]
    subject: String,
    /// DNS names or addresses, for a TLS server
    #[arg(long, visible_alias = "dns", value_delimiter = ',')]
    san: Vec<String>,
    /// A PKCS#10 request instead of a certificate
    #[arg(long)]
    csr: bool,
    /// Days the certificate holds
    #[arg(long, default_value_t = 730)]
    days: u32,
    /// Where the PEM goes; standard output unless given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn purpose(text: &str) -> Result<Purpose, String> {
    Purpose::from_name(text).ok_or_else(|| "assertion, message, handshake, metadata, state or unwrap".to_owned())
}

/// Reads an algorithm from the command line.
pub(super) fn algorithm(text: &str) -> Result<Algorithm, String> {
    let name = text.strip_prefix("ec-p").map_or_else(|| text.to_owned(), |bits| format!("p-{bits}"));
    Algorithm::from_name(&name).ok_or_else(|| "rsa-2048, rsa-3072, rsa-4096, p-256 or p-384".to_owned())
}

fn id(text: &str) -> Result<KeyId, String> {
    key_id(text).ok_or_else(|| "1 to 32 octets in hexadecimal".to_owned())
}

/// Runs `chancery key`.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    ended(match args.command {
        Command::Generate(generate) => self::generate(&generate),
        Command::List(common) => {
            self::hold(&common, vec![Step::List], |_, _| Err("no certificate was asked for".to_owned()))
        }
        Command::Certify(certify) => self::certify(&certify),
    })
}

/// One ceremony; certificates go where `place` says.
fn hold(
    common: &Common,
    steps: Vec<Step>,
    mut certificate: impl FnMut(&KeyId, &str) -> Result<(), String>,
) -> Result<(), String> {
    let place = common.target.place()?;
    let token = place.which()?;
    let directory = place.state_directory.as_ref().map(|path| path.to_str().ok_or("state_directory is not text"));
    let directory = directory.transpose()?.map(|path| fitting(path, "state_directory")).transpose()?;
    let pin = pin(common.pin_file.as_deref(), "pin")?;
    let steps = List::new(steps).map_err(|error| format!("too many keys at once: {error}"))?;
    place.hold(Act::Keys { token, state_directory: directory, pin, steps }, |reply| match reply {
        Reply::Key(key) => {
            println!("{}  {:<12} {:<12} {}", key.id, key.label, key.algorithm, key.attributes);
            Ok(())
        }
        Reply::Certificate { id, pem } => certificate(&id, &pem),
        _ => Ok(()),
    })
}

/// The value for key number `index` of an option given never, or once a key.
fn of<'a, T>(values: &'a [T], index: usize, count: usize, name: &str) -> Result<Option<&'a T>, String> {
    match values.len() {
        0 => Ok(None),
        given if given == count => Ok(values.get(index)),
        given => Err(format!("--{name} is given {given} times for {count} keys")),
    }
}

fn generate(wish: &Generate) -> Result<(), String> {
    let count = wish.purpose.len();
    let mut steps = Vec::new();
    let mut outs: Vec<(KeyId, &Path)> = Vec::new();
    for (index, purpose) in wish.purpose.iter().copied().enumerate() {
        let algorithm = match wish.algorithm.as_slice() {
            [algorithm] => *algorithm,
            several => *of(several, index, count, "algorithm")?.ok_or("which --algorithm?")?,
        };
        let id = match of(&wish.id, index, count, "id")? {
            Some(id) => id.clone(),
            None => {
                let mut octets = [0; 8];
                getrandom::fill(&mut octets).map_err(|error| format!("no randomness: {error}"))?;
                KeyId::new(octets).map_err(|error| error.to_string())?
            }
        };
        let label = of(&wish.label, index, count, "label")?.map_or_else(|| purpose.name(), String::as_str);
        steps.push(Step::Generate(NewKey {
            purpose: fitting(purpose.name(), "purpose")?,
            algorithm,
            id: id.clone(),
            label: fitting(label, "label")?,
        }));
        let subject = of(&wish.subject, index, count, "subject")?;
        let Some(out) = of(&wish.out, index, count, "out")? else { continue };
        if purpose == Purpose::State {
            eprintln!("key {} opens what only Chancery seals: it has no certificate", hex(&id));
            continue;
        }
        let san = if purpose == Purpose::Handshake { wish.san.as_slice() } else { &[] };
        let subject = subject.map_or(label, String::as_str);
        steps.push(Step::Certify(certificate(&id, false, subject, san, wish.days)?));
        outs.push((id, out.as_path()));
    }
    hold(&wish.common, steps, |id, pem| match outs.iter().find(|(other, _)| other == id) {
        Some((_, path)) => write_new(path, pem.as_bytes(), 0o644),
        None => Err("a certificate nobody asked for".to_owned()),
    })
}

fn certify(wish: &Certify) -> Result<(), String> {
    let step = Step::Certify(certificate(&wish.id, wish.csr, &wish.subject, &wish.san, wish.days)?);
    hold(&wish.common, vec![step], |_, pem| match &wish.out {
        Some(path) => write_new(path, pem.as_bytes(), 0o644),
        None => {
            print!("{pem}");
            Ok(())
        }
    })
}

fn certificate(id: &KeyId, request: bool, subject: &str, san: &[String], days: u32) -> Result<NewCertificate, String> {
    let name = subject.strip_prefix("CN=").unwrap_or(subject);
    let names: Result<Vec<Text<253>>, String> = san.iter().map(|name| fitting(name, "san")).collect();
    Ok(NewCertificate {
        id: id.clone(),
        request,
        common_name: fitting(name, "subject")?,
        dns: List::new(names?).map_err(|error| format!("san: {error}"))?,
        days,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_belong_together_by_their_order() {
        assert_eq!(of::<u8>(&[], 1, 2, "id"), Ok(None));
        assert_eq!(of(&[7, 8], 1, 2, "id"), Ok(Some(&8)));
        assert!(of(&[7], 0, 2, "id").is_err());
    }

    #[test]
    fn algorithms_have_two_spellings() {
        assert_eq!(algorithm("ec-p256"), Ok(Algorithm::P256));
        assert_eq!(algorithm("p-384"), Ok(Algorithm::P384));
        assert!(algorithm("ed25519").is_err());
    }
}
