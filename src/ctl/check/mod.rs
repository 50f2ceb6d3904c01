//! `chancery check`: what is wrong with a configuration, each thing with its file and line. It runs the
//! code the daemons run, and then looks for what none of them can see alone: two directories that do not
//! agree. It changes nothing and needs no running service.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::load::{ConfigError, ConfigErrors};
use crate::config::{audit, auth, issuer, kerberos, signer, worker};

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
    chain: worker::Chain,
    auth: auth::Auth,
    issuer: issuer::Issuer,
    signer: signer::Signer,
}

/// Checks; exit code 0 when nothing is wrong, 78 otherwise.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let (wrong, doubts) = check(&args.config);
    for doubt in &doubts {
        eprintln!("warning: {doubt}");
    }
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

/// What is wrong, the first thing of each file, and what is allowed but should not stay so. A directory that cannot
/// be used hides what it would not agree with, a users file that cannot be read what only its attributes show.
pub(crate) fn check(root: &Path) -> (Vec<ConfigError>, Vec<ConfigError>) {
    let mut wrong = ConfigErrors::default();
    let worker = wrong.keep(worker::load(&root.join("worker.d")));
    let mut auth = wrong.keep(auth::check(root));
    let mut doubts: Vec<ConfigError> = auth.iter_mut().flat_map(|auth| std::mem::take(&mut auth.doubts)).collect();
    let authorities = auth.iter_mut().flat_map(|auth| &mut auth.authorities);
    doubts.extend(authorities.flat_map(|authority| std::mem::take(&mut authority.doubts)));
    doubts.extend(worker.iter().flat_map(|(worker, _)| together::doubts(root, worker, auth.as_ref())));
    let issuer = wrong.keep(issuer::check(root));
    doubts.extend(auth.as_ref().zip(issuer.as_ref()).and_then(|(auth, issuer)| together::crowding(root, auth, issuer)));
    let signer = wrong.keep(signer::Signer::load(root));
    doubts.extend(signer.as_ref().and_then(signer::Signer::volatile_state));
    wrong.keep(audit::Audit::load(root));
    // Where there is no such file there is no Kerberos.
    if kerberos::place(root).exists() {
        wrong.keep(kerberos::Kerberos::load(root));
    }
    let mut wrong: Vec<ConfigError> = wrong.into_iter().collect();
    if let (Some((worker, chain)), Some(auth), Some(issuer), Some(signer)) = (worker, auth, issuer, signer) {
        together::check(root, &Whole { worker, chain, auth, issuer, signer }, &mut wrong);
    }
    (wrong, doubts)
}
