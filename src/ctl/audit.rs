//! `chancery audit`: looks at the record without the service, over the files alone. It writes nothing, so it
//! may run beside a running audit and over a copy.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::audit::reader::{Entries, Entry};
use crate::audit::verify::{Fault, Noted, Report, verify};
use crate::config::audit::Audit;

pub(super) mod lines;

/// Exit status when the record is not as it was written, or holds nothing of what was asked for.
const FOUND_WANTING: u8 = 1;
/// Exit status when the record cannot be read.
const UNREADABLE: u8 = 2;
/// Between two looks at a record that grows.
const GLANCE: Duration = Duration::from_millis(250);

/// `chancery audit`.
#[derive(Debug, Parser)]
pub struct Args {
    /// Directory of the record; otherwise the one `audit.d/audit.toml` names
    #[arg(long, global = true, value_name = "DIRECTORY", conflicts_with = "config")]
    directory: Option<PathBuf>,
    /// Configuration root
    #[arg(long, global = true, value_name = "ROOT", default_value = "/etc/chancery")]
    config: PathBuf,
    /// Write JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prove that the record is as it was written
    Verify {
        /// A head noted earlier, as `verify` prints it: finds entries cut off since
        #[arg(long, value_name = "ENTRY:HEAD")]
        head: Option<Head>,
    },
    /// Show the last entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 10)]
        lines: usize,
        /// Go on as entries are appended
        #[arg(short, long)]
        follow: bool,
    },
    /// Show every entry of one request or one token
    Show {
        /// Correlation id or token id
        id: String,
    },
}

#[derive(Debug, Clone, Copy)]
struct Head(Noted);

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once(':').and_then(|(index, hex)| Some((index.parse().ok()?, lines::unhex(hex)?)));
        let (index, head) = parts.ok_or("an entry's number, a colon and 64 hexadecimal digits")?;
        Ok(Self(Noted { index, head }))
    }
}

/// Runs it. Exit status 1: the record is not as it was written, or nothing was found; 2: it cannot be read.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let directory = match args.directory.map_or_else(|| Audit::load(&args.config).map(|audit| audit.directory), Ok) {
        Ok(directory) => directory,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(UNREADABLE);
        }
    };
    let found = match args.command {
        Command::Verify { head } => verified(&directory, head.map(|head| head.0), args.json),
        Command::Tail { lines, follow } => tail(&directory, lines, follow, args.json),
        Command::Show { id } => show(&directory, &id, args.json),
    };
    match found {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND_WANTING),
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", directory.display());
            ExitCode::from(UNREADABLE)
        }
    }
}

fn verified(directory: &Path, noted: Option<Noted>, json: bool) -> io::Result<bool> {
    let mut report = verify(directory, noted)?;
    // What a running audit is writing this moment looks like an unfinished write, but not for long.
    for _ in 0..8 {
        if report.faults == 0 || !report.findings.iter().all(passing) {
            break;
        }
        std::thread::sleep(GLANCE);
        report = verify(directory, noted)?;
    }
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", lines::report_json(&report))?;
    } else {
        write_report(&mut out, &report)?;
    }
    Ok(report.faults == 0)
}

fn passing(finding: &crate::audit::verify::Finding) -> bool {
    matches!(finding.fault, Fault::Torn | Fault::Shortened)
}

fn write_report(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{}: entry {}, octet {}: {}", finding.file, finding.entry, finding.offset, finding.fault)?;
    }
    let untold = report.faults - report.findings.len() as u64;
    if untold > 0 {
        writeln!(out, "and {untold} more")?;
    }
    for name in &report.torn {
        writeln!(out, "{name}: the end of a write that did not finish, cut off at a start and kept aside")?;
    }
    for open in &report.open_intents {
        let (instant, token) = (lines::instant(open.instant), lines::plain(&open.token_id));
        let (entry, correlation) = (open.entry, open.correlation);
        writeln!(
            out,
            "entry {entry}: {instant} token={token} correlation={correlation} has no outcome; counts as issued"
        )?;
    }
    let Report { files, entries, private_kept, private_erased, .. } = report;
    writeln!(out, "{entries} entries in {files} files; private parts: {private_kept} kept, {private_erased} erased")?;
    if let Some(last) = entries.checked_sub(1).filter(|_| report.faults == 0) {
        writeln!(out, "the record is as it was written; note its head to detect a later cut:")?;
        writeln!(out, "{last}:{}", lines::hex(&report.head))?;
    } else if report.faults > 0 {
        writeln!(out, "the record is NOT as it was written: {} faults", report.faults)?;
    }
    Ok(())
}

fn tail(directory: &Path, count: usize, follow: bool, json: bool) -> io::Result<bool> {
    let mut entries = Entries::open(directory);
    let mut last = VecDeque::new();
    for entry in &mut entries {
        last.push_back(entry?);
        if last.len() > count {
            last.pop_front();
        }
    }
    let mut out = io::stdout().lock();
    last.iter().try_for_each(|entry| write_entry(&mut out, entry, json))?;
    if !follow {
        return Ok(true);
    }
    loop {
        for entry in &mut entries {
            write_entry(&mut out, &entry?, json)?;
        }
        out.flush()?;
        std::thread::sleep(GLANCE);
    }
}

fn show(directory: &Path, id: &str, json: bool) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let mut found = false;
    for entry in Entries::open(directory) {
        let entry = entry?;
        let public = &entry.leaf.public;
        if public.token_id() == Some(id) || public.correlation().to_string().eq_ignore_ascii_case(id) {
            write_entry(&mut out, &entry, json)?;
            found = true;
        }
    }
    if !found {
        eprintln!("no entry speaks of {}", lines::plain(id));
    }
    Ok(found)
}

fn write_entry(out: &mut impl Write, entry: &Entry, json: bool) -> io::Result<()> {
    if json { writeln!(out, "{}", lines::entry_json(entry)) } else { writeln!(out, "{}", lines::entry(entry)) }
}
