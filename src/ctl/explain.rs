//! `chancery explain`: why a request was refused. What was decided stands in the record, under the correlation id that
//! the client was told; of somebody who did not prove who he is, only sums do, and the rest is in the log. Both have
//! words for what was wrong, and what each word means is said here. Neither holds a secret.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use super::audit::lines;
use crate::audit::format::Public;
use crate::audit::reader::Entries;
use crate::config::audit::Audit;
use crate::reason::{ALLOWED, Reason};
use crate::wire::record::{Held, HeldKey, Proof};

/// Exit status when nothing speaks of the request.
const NOTHING: u8 = 1;
/// Exit status when the record or a log cannot be read.
const UNREADABLE: u8 = 2;
/// Octets of a line of a log that are looked at.
const LONGEST: u64 = 64 * 1024;

/// `chancery explain`.
#[derive(Debug, Parser)]
pub struct Args {
    /// Correlation id, as the client was told it, or the word of a reason
    id: String,
    /// A log to look in as well, - for standard input: journalctl -u 'chancery-*' -o cat | chancery explain ID --log -
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Directory of the record; otherwise the one `audit.d/audit.toml` names
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "config")]
    directory: Option<PathBuf>,
    /// Configuration root
    #[arg(long, value_name = "ROOT", default_value = "/etc/chancery")]
    config: PathBuf,
}

/// Runs it. Exit status 1: nothing speaks of it; 2: what should be read cannot be.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let mut out = io::stdout().lock();
    if let Some(reason) = of(&args.id) {
        return ended(explain(&mut out, reason).map(|()| true));
    }
    let directory = match args.directory.map_or_else(|| Audit::load(&args.config).map(|audit| audit.directory), Ok) {
        Ok(directory) => directory,
        Err(error) => return ended(Err(io::Error::other(error.to_string()))),
    };
    // A fault has it in brackets.
    let id = args.id.trim_matches(['(', ')']);
    ended(tell(&mut out, id, &directory, &args.log))
}

fn ended(told: io::Result<bool>) -> ExitCode {
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOTHING),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chancery explain: {error}");
            ExitCode::from(UNREADABLE)
        }
    }
}

/// Everything that is known of a request, and what the words in it mean.
fn tell(out: &mut impl Write, id: &str, directory: &Path, logs: &[PathBuf]) -> io::Result<bool> {
    let mut words = Words::default();
    let recorded = recorded(out, id, directory, &mut words).map_err(|error| at(directory, &error));
    let mut found = matches!(recorded, Ok(true));
    for log in logs {
        let of_log = |error| at(log, &error);
        found |= if log.as_os_str() == "-" {
            logged(out, id, io::stdin().lock(), &mut words).map_err(of_log)?
        } else {
            logged(out, id, BufReader::new(File::open(log).map_err(of_log)?), &mut words).map_err(of_log)?
        };
    }
    for reason in &words.0 {
        writeln!(out)?;
        explain(out, *reason)?;
    }
    recorded?;
    if !found {
        let elsewhere = if logs.is_empty() { "; the log may, with --log" } else { "" };
        eprintln!("no entry of the record and no line of a log speaks of {}{elsewhere}", lines::plain(id));
    }
    Ok(found)
}

fn at(place: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", place.display()))
}

/// Entries about it. A sum of refusals names one of them, and speaks of no other by its id.
fn recorded(out: &mut impl Write, id: &str, directory: &Path, words: &mut Words) -> io::Result<bool> {
    let mut found = false;
    for entry in Entries::open(directory) {
        let entry = entry?;
        let public = &entry.leaf.public;
        if !public.correlation().to_string().eq_ignore_ascii_case(id) {
            continue;
        }
        found = true;
        writeln!(out, "record: {}", lines::entry(&entry))?;
        if let Public::Held(_, held) = public {
            writeln!(out, "  {}", proven(held))?;
        }
        match public {
            Public::Decision(decision) | Public::Held(decision, _) if &*decision.reason == ALLOWED => {
                writeln!(
                    out,
                    "  the policies allowed it; where a token came of it, its intent and its outcome stand here, too"
                )?;
            }
            Public::Decision(decision) | Public::Held(decision, _) => words.note(&decision.reason),
            Public::Refusals { reason, .. } => words.note(reason),
            Public::Excessive(_) => words.note(Reason::Excess.word()),
            Public::Intent(_) | Public::Outcome(_) => {}
        }
    }
    Ok(found)
}

/// How whoever asked proved the key that his assertion confirms.
fn proven(held: &Held) -> String {
    let by = match held.proof {
        Proof::Signature => "by his signature of this very message",
        Proof::TlsCertificate => "when he connected",
        Proof::Mac => "by a MAC over this very message",
    };
    let key = match held.key {
        HeldKey::Certificate(_) => "the key of the certificate",
        HeldKey::Thumbprint(_) => "the key, which has no certificate,",
        HeldKey::Sealed(_) => "the key, which its partner has sealed for this service and knows himself,",
    };
    format!("{key} that the assertion confirms was proven {by}")
}

/// Lines about it. They come from processes that strangers talk to: nothing reaches the terminal but what is printable.
fn logged(out: &mut impl Write, id: &str, mut log: impl BufRead, words: &mut Words) -> io::Result<bool> {
    let (mut found, mut line) = (false, Vec::new());
    let named = format!("correlation={}", id.to_ascii_lowercase());
    loop {
        line.clear();
        if io::Read::take(&mut log, LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        let text = String::from_utf8_lossy(&line);
        // What stands in quotes may be a stranger's.
        let ours = text.split('"').next().unwrap_or_default();
        if !ours.split_ascii_whitespace().any(|field| field == named) {
            continue;
        }
        found = true;
        writeln!(out, "log: {}", text.trim_end().replace(|c: char| c.is_control(), "\u{FFFD}"))?;
        // Other processes have words of their own, which may be spelled alike: what issuer calls a wrong signature is
        // ours.
        if ours.split_ascii_whitespace().any(|field| field.ends_with("auth:")) {
            reasons(&text).for_each(|word| words.note(word));
        }
    }
}

/// What a line says as `reason="…"`, outside of what else stands in quotes.
fn reasons(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            let (name, behind) = rest.split_once('"')?;
            let mut escaped = false;
            let end = behind.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })?;
            rest = &behind[end + 1..];
            if name.ends_with(" reason=") {
                return Some(&behind[..end]);
            }
        }
    })
}

/// Reasons that were met, each once.
#[derive(Default)]
struct Words(Vec<Reason>);

impl Words {
    fn note(&mut self, word: &str) {
        if let Some(reason) = of(word).filter(|reason| !self.0.contains(reason)) {
            self.0.push(reason);
        }
    }
}

fn of(word: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.word() == word)
}

fn explain(out: &mut impl Write, reason: Reason) -> io::Result<()> {
    writeln!(out, "{}: {}", reason.word(), reason.meaning())?;
    writeln!(out, "  the client was told: {}", reason.refusal().heard())?;
    writeln!(out, "  look at: {}", reason.look())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_explained_in_a_sentence_and_says_where_to_look() {
        for reason in Reason::ALL {
            assert_eq!(of(reason.word()), Some(*reason));
            let meaning = reason.meaning();
            assert!(meaning.len() > 5 && meaning.ends_with('.') && !meaning.contains("  "), "{meaning}");
            assert!(reason.look().len() > 10 && !reason.look().ends_with('.'), "{}", reason.look());
        }
    }

    #[test]
    fn lines_of_a_request_are_found_and_those_of_others_are_not() {
        let log = "WARN  auth: correlation=00ff event=\"refused\" reason=\"stale-timestamp\" age_s=431\n\
                   WARN  auth: correlation=00fe event=\"refused\" reason=\"replayed\"\n\
                   WARN  worker: x=\" correlation=00ff reason=\\\"excess\\\" \" message_id=\"a\u{9b}2J\"\n\
                   WARN  issuer: correlation=00ff event=\"refused\" reason=\"wrong-signature\"\n\
                   WARN  auth: correlation=00ff x=\"a reason=\\\"excess\\\" reason=excess b\"\n\
                   WARN  worker: correlation=00ff message_id=\"a\u{9b}2J\" reason=\"a b\"\n";
        let (mut out, mut words) = (Vec::new(), Words::default());
        assert!(logged(&mut out, "00FF", log.as_bytes(), &mut words).unwrap());
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.lines().count(), 4, "{out}");
        assert!(out.contains("age_s=431") && !out.contains('\u{9b}'), "{out}");
        assert_eq!(words.0, [Reason::StaleTimestamp]);
        assert!(!logged(&mut Vec::new(), "0", log.as_bytes(), &mut words).unwrap());
    }
}
