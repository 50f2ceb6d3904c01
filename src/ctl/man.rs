//! Manual pages of the command line, made from its own definition, so that they cannot say something else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write the manual pages of `chancery` and its subcommands
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write them to
    #[arg(long)]
    out: PathBuf,
}

/// Writes one page a command: `chancery.1`, `chancery-run.1`, …
#[must_use]
pub fn run(args: &Args, line: clap::Command) -> ExitCode {
    match pages(&args.out, line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chancery man: {}: {error}", args.out.display());
            ExitCode::FAILURE
        }
    }
}

fn pages(out: &Path, line: clap::Command) -> std::io::Result<()> {
    std::fs::create_dir_all(out)?;
    // Help would become a page a subcommand that says nothing new.
    clap_mangen::generate_to(line.disable_help_subcommand(true), out)
}
