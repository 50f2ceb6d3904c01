//! The command line, `chancery`. It supervises where systemd does not, checks configuration with the
//! daemons' own code, and talks to a running service as any client would. It never loads a PKCS#11 module
//! and holds no key.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod audit;
mod ceremony;
pub mod check;
pub mod check_sandbox;
pub mod explain;
pub mod key;
pub mod man;
pub mod partner;
pub mod request;
pub mod run;
pub mod token;
pub mod user;

#[derive(Debug, Parser)]
#[command(name = "chancery", version, about = "A hardware-backed Security Token Service", max_term_width = 100)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start every process and keep them running, where systemd does not
    Run(run::Args),
    /// Read the configuration as the daemons would, and say what is wrong with it
    Check(check::Args),
    /// Prove from inside each process what its sandbox refuses
    CheckSandbox(check_sandbox::Args),
    /// Make a token, or let signers try its PIN again
    Token(token::Args),
    /// Make keys in the token, list them, certify them
    Key(key::Args),
    /// Take a partner's keys from its metadata
    Partner(partner::Args),
    /// Verify and read the record
    Audit(audit::Args),
    /// Say why a request was refused, and where to look
    Explain(explain::Args),
    /// Ask a Security Token Service for a token
    Request(request::Args),
    /// Make a password hash for auth.d/users.toml
    HashPassword(user::Args),
    /// Write the manual pages of this command
    #[command(hide = true)]
    Man(man::Args),
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    // Passwords and PINs pass through here.
    if let Err(error) = crate::sandbox::keep_to_itself() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    if let Some(code) = partner::maybe_run() {
        return code;
    }
    match Line::parse().command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(&args),
        Command::CheckSandbox(args) => check_sandbox::run(&args),
        Command::Token(args) => token::run(args),
        Command::Key(args) => key::run(args),
        Command::Partner(args) => partner::run(args),
        Command::Request(args) => request::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Explain(args) => explain::run(args),
        Command::HashPassword(args) => user::run(args),
        Command::Man(args) => man::run(&args, <Line as clap::CommandFactory>::command()),
    }
}
