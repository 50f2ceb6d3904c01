//! `chancery check`: what is wrong with a configuration, each thing with its file and line. It runs the
//! code the daemons run, and then looks for what none of them can see alone: two directories that do not
//! agree. It changes nothing and needs no running service.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::load::ConfigError;
use crate::config::{audit, auth, issuer, signer, worker};

mod together;

/// Arguments of `chancery check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Root of the configuration
    #[arg(long, value_name = "ROOT", default_value = "/etc/chancery")]
    config: PathBuf,
}

/// What the owners made of their directories.
struct Whole {
    worker: worker::Worker,
    auth: auth::Auth,
    issuer: issuer::Issuer,
    signer: signer::Signer,
}

/// Checks; exit code 0 when nothing is wrong, 78 otherwise.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let wrong = check(&args.config);
    for error in &wrong {
        eprintln!("{error}");
    }
    if wrong.is_empty() {
        println!("{}: nothing is wrong", args.config.display());
        ExitCode::SUCCESS
    } else {
        eprintln!("{}: {} wrong", args.config.display(), wrong.len());
        ExitCode::from(78)
    }
}

/// Everything that is wrong. A directory that cannot be used hides what it would not agree with.
pub(crate) fn check(root: &Path) -> Vec<ConfigError> {
    let mut wrong = Vec::new();
    let worker = keep(&mut wrong, worker::load(&root.join("worker.d")));
    let auth = keep(&mut wrong, auth::check(root));
    let issuer = keep(&mut wrong, issuer::check(root));
    let signer = keep(&mut wrong, signer::Signer::load(root));
    keep(&mut wrong, audit::Audit::load(root));
    if let (Some(worker), Some(auth), Some(issuer), Some(signer)) = (worker, auth, issuer, signer) {
        together::check(root, &Whole { worker, auth, issuer, signer }, &mut wrong);
    }
    wrong
}

fn keep<T>(wrong: &mut Vec<ConfigError>, result: Result<T, ConfigError>) -> Option<T> {
    result.map_err(|error| wrong.push(error)).ok()
}
