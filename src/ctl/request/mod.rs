//! `chancery request`: a client for people and scripts, which sends what any client would and sees what any
//! client would see. It has no way in but the front door.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use time::OffsetDateTime;

mod answer;
mod envelope;
mod https;

use answer::Answer;
use envelope::{Issue, Soap, TokenType, Trust};

/// Arguments of `chancery request`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Debug, Subcommand)]
enum Operation {
    /// Ask for a token with a user name and a password, and print it
    #[command(after_help = EXIT_CODES)]
    Issue(IssueArgs),
}

const EXIT_CODES: &str = "\
Exit codes:
   0  a token            1  no answer, or none that could be read
   2  wrong arguments
  10  FailedAuthentication       14  InvalidScope
  11  RequestFailed              15  MessageExpired
  12  InvalidRequest             16  InvalidSecurity, InvalidSecurityToken
  13  BadRequest                 20  any other fault";

#[derive(Debug, clap::Args)]
struct IssueArgs {
    /// The endpoint, https://HOST[:PORT]/PATH
    #[arg(long, value_name = "URL")]
    url: String,
    /// User name
    #[arg(long, value_name = "NAME")]
    user: String,
    /// File with the password in its first line
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// The relying party the token is for
    #[arg(long, value_name = "URI")]
    applies_to: String,
    /// Kind of token [default: the relying party's]
    #[arg(long, value_enum)]
    token_type: Option<TokenType>,
    /// How long it should be good for, minutes [default: the relying party's]
    #[arg(long, value_name = "MINUTES")]
    lifetime_min: Option<u32>,
    /// Version of WS-Trust
    #[arg(long, value_enum, default_value = "1.3")]
    trust: Trust,
    /// Version of SOAP
    #[arg(long, value_enum, default_value = "1.2")]
    soap: Soap,
    /// PEM file with the certificates to trust [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Write the token here and not to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the request; the exit code tells scripts what kind of fault came back.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    let Operation::Issue(args) = args.operation;
    match issue(&args) {
        Ok(Answer::Token(token)) => match deliver(&args, &token) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.to_string()),
        },
        Ok(Answer::Fault { code, reason }) => {
            eprintln!("chancery: {code}: {reason}");
            ExitCode::from(exit_code(&code))
        }
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("chancery: {why}");
    ExitCode::FAILURE
}

fn exit_code(fault: &str) -> u8 {
    match fault {
        "FailedAuthentication" => 10,
        "RequestFailed" => 11,
        "InvalidRequest" => 12,
        "BadRequest" => 13,
        "InvalidScope" => 14,
        "MessageExpired" => 15,
        "InvalidSecurity" | "InvalidSecurityToken" => 16,
        _ => 20,
    }
}

/// A token for `applies_to` by the defaults of `chancery request issue`.
///
/// # Errors
/// One clause for the operator.
pub(super) fn token(
    url: &str,
    user: &str,
    password_file: &Path,
    applies_to: &str,
    ca: &Path,
) -> Result<String, String> {
    let args = IssueArgs {
        url: url.to_owned(),
        user: user.to_owned(),
        password_file: password_file.to_owned(),
        applies_to: applies_to.to_owned(),
        token_type: None,
        lifetime_min: None,
        trust: Trust::V13,
        soap: Soap::V12,
        ca: Some(ca.to_owned()),
        out: None,
    };
    match issue(&args)? {
        Answer::Token(token) => Ok(token),
        Answer::Fault { code, reason } => Err(format!("{code}: {reason}")),
    }
}

fn issue(args: &IssueArgs) -> Result<Answer, String> {
    let named = |error: std::io::Error| format!("{}: {error}", args.password_file.display());
    let password = zeroize::Zeroizing::new(std::fs::read_to_string(&args.password_file).map_err(named)?);
    let url: hyper::Uri = args.url.parse().map_err(|error| format!("{}: {error}", args.url))?;
    let issue = Issue {
        url: &args.url,
        user: &args.user,
        password: password.lines().next().unwrap_or_default(),
        applies_to: &args.applies_to,
        token_type: args.token_type,
        lifetime_min: args.lifetime_min,
        soap: args.soap,
        trust: args.trust,
    };
    let headers = args.soap.headers(&args.trust.action());
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let envelope = issue.envelope(OffsetDateTime::now_utc());
    let posted = runtime.block_on(https::post(&url, args.ca.as_deref(), &headers, envelope));
    let (status, body) = posted.map_err(|error| format!("{}: {error}", args.url))?;
    answer::read(&body).map_err(|why| format!("{}: HTTP {status}: {why}", args.url))
}

fn deliver(args: &IssueArgs, token: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    match &args.out {
        // A bearer token is as good as a password until it expires.
        Some(path) => std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?
            .write_all(token.as_bytes()),
        None => writeln!(std::io::stdout().lock(), "{token}"),
    }
}
