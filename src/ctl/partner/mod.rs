//! `chancery partner import`: a partner's signing certificates, from the metadata it publishes into `auth.d`. Which
//! document is believed is the operator's word: one that a certificate of his verifies, or the one whose digest he has.
//! Keys and the name of the issuer are all that is taken; whose accounts a partner may name, for whom its assertions
//! are made and what else they say stays what the operator wrote. Nothing is fetched, and nothing is written unless
//! asked for.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use self::stanza::{Change, New, Taken};
use self::verified::Verified;
use super::ceremony::{ended, fitting};
use crate::config::auth::certificate::Certificate;
use crate::trust::instant;
use crate::wire::metadata::{Answer, Ask, Entity, LARGEST};
use crate::wire::{Millis, Octets};

mod child;
mod duration;
pub mod reader;
mod stanza;
mod verified;

pub use child::maybe_run;

/// Arguments of `chancery partner`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take the signing certificates of a [[saml_partner]] from its metadata, and show what would change
    Import(Import),
}

#[derive(Debug, clap::Args)]
struct Import {
    /// SAML 2.0 metadata, or FederationMetadata.xml of AD FS; - is standard input
    #[arg(value_name = "FILE")]
    document: PathBuf,
    /// Root of the configuration
    #[arg(long, value_name = "ROOT", default_value = "/etc/chancery")]
    config: PathBuf,
    /// The [[saml_partner]] of auth.d/auth.toml, or that of a new one
    #[arg(long)]
    name: String,
    /// The entityID, where the document describes several
    #[arg(long, value_name = "ENTITYID")]
    entity: Option<String>,
    /// PEM file with the certificate that the document must be signed by, known from elsewhere
    #[arg(long, value_name = "FILE", required_unless_present = "unsigned")]
    certificate: Option<PathBuf>,
    /// Look at no signature: take the one document with this --fingerprint
    #[arg(long, conflicts_with = "certificate", requires = "fingerprint")]
    unsigned: bool,
    /// SHA-256 of the document, known from elsewhere
    #[arg(long, value_name = "HEX", requires = "unsigned", value_parser = fingerprint)]
    fingerprint: Option<[u8; 32]>,
    /// Of a new partner: who we are to it; may repeat
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// Of a new partner: what gives the account's name, name-id or the name of an attribute
    #[arg(long, value_name = "ORIGIN")]
    subject: Option<String>,
    /// Of a new partner: the pattern that the name fits as a whole, whose one group is the account's
    #[arg(long, value_name = "PATTERN", requires = "subject")]
    capture: Option<String>,
    /// Write it; without this nothing is changed
    #[arg(long)]
    write: bool,
}

/// Runs the command.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let Command::Import(args) = args.command;
    ended(import(args))
}

fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let octet = |at: usize| digits.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let octets: Option<Vec<u8>> = (0..32).map(octet).collect();
    // from_str_radix lets a sign pass.
    let plain = digits.len() == 64 && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    octets.filter(|_| plain).and_then(|octets| octets.try_into().ok()).ok_or_else(|| "64 hexadecimal digits".to_owned())
}

fn import(args: Import) -> Result<(), String> {
    let now = Millis::now();
    let document = document(&args.document)?;
    let (verified, how) = verified(&args, document, now)?;
    let entity = entity(verified, args.entity.as_deref())?;
    let taken = judged(&entity, now)?;
    let new = New { audiences: args.audience, subject: args.subject, capture: args.capture };
    let change = Change::of(&args.config.join("auth.d"), &args.name, entity.name.as_str(), &taken, &new)?;

    println!("{}: {how}{}", entity.name, lasts(&entity, now));
    for left in &taken.left_out {
        println!("  {left}");
    }
    change.difference().for_each(|line| println!("  {line}"));
    if change.adds() {
        println!(
            "  what is new here may be a key that was given up: an older document that still holds would look the same"
        );
    }
    if let Some(stanza) = change.stanza() {
        print!("\n{stanza}\n");
    }
    if change.is_none() {
        println!("nothing changes");
    } else if args.write {
        change.write()?;
        println!("written; auth reads it on SIGHUP (systemctl reload chancery-auth)");
    } else {
        println!("nothing is written; --write does it");
    }
    Ok(())
}

/// Reads the document, and looks at none of it.
fn document(path: &Path) -> Result<Vec<u8>, String> {
    let say = |error: io::Error| format!("{}: {error}", path.display());
    let mut octets = Vec::new();
    let most = LARGEST as u64 + 1;
    if path.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_end(&mut octets).map_err(say)?;
    } else {
        std::fs::File::open(path).map_err(say)?.take(most).read_to_end(&mut octets).map_err(say)?;
    }
    if octets.len() > LARGEST {
        return Err(format!("{}: larger than {} MiB", path.display(), LARGEST >> 20));
    }
    Ok(octets)
}

/// The octets that may be read, and why.
fn verified(args: &Import, document: Vec<u8>, now: Millis) -> Result<(Verified, String), String> {
    let Some(path) = &args.certificate else {
        let expected = args.fingerprint.ok_or("--unsigned needs --fingerprint")?;
        return Ok((verified::by_fingerprint(document, &expected)?, "not signed, the document given".to_owned()));
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let certificate = Certificate::from_pem(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    let ask = Ask::Find(Octets::new(document).map_err(|error| error.to_string())?);
    let Answer::Found(found) = child::ask(&ask)? else { return Err(OUT_OF_PLACE.to_owned()) };
    Ok((verified::by_signature(found, &certificate, now)?, "signed by the certificate given".to_owned()))
}

const OUT_OF_PLACE: &str = "the reader answered what it was not asked";

/// What the octets say.
fn entity(verified: Verified, wanted: Option<&str>) -> Result<Entity, String> {
    let id = verified.id.map(|id| fitting(&id, "the document's id")).transpose()?;
    let entity = wanted.map(|entity| fitting(entity, "--entity")).transpose()?;
    let document = Octets::new(verified.document).map_err(|error| error.to_string())?;
    match child::ask(&Ask::Read { id, entity, document })? {
        Answer::Entity(entity) if wanted.is_none_or(|wanted| entity.name.as_str() == wanted) => Ok(entity),
        _ => Err(OUT_OF_PLACE.to_owned()),
    }
}

/// Holds it now, and are its keys such as the configuration takes? A weak one refuses it all: whoever signs with it
/// would have to hear of it.
fn judged(entity: &Entity, now: Millis) -> Result<Taken, String> {
    if let Some(until) = entity.until.filter(|until| *until <= now) {
        return Err(format!("it was valid until {}", instant::format(until)));
    }
    let mut taken = Taken::default();
    for der in entity.certificates.iter() {
        let print = stanza::short(der);
        let certificate = Certificate::from_der(der.to_vec()).map_err(|why| format!("certificate {print}: {why}"))?;
        if certificate.not_after < now {
            let over = instant::format(certificate.not_after);
            taken.left_out.push(format!("left out: certificate {print}, over since {over}"));
        } else {
            taken.certificates.push(certificate);
        }
    }
    if taken.certificates.is_empty() {
        return Err("every certificate it signs with is over".to_owned());
    }
    Ok(taken)
}

/// Until when it may be relied upon.
fn lasts(entity: &Entity, now: Millis) -> String {
    let until = entity.until.map_or_else(
        || "; it does not say until when it holds, so an old one looks like a new one".to_owned(),
        |until| format!("; valid until {}", instant::format(until)),
    );
    let again =
        entity.cache_ms.map(|cache| now.plus(cache)).map(|again| entity.until.map_or(again, |until| again.min(until)));
    let again = again.map(|again| format!("; to be read again before {}", instant::format(again))).unwrap_or_default();
    format!("{until}{again}")
}
