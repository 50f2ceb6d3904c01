//! `chancery token`: making a token, and letting signers try a PIN again after one was refused.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::ceremony::{Target, ended, fitting, generate_pin, pin};
use crate::wire::ceremony::{Act, Reply};

/// Arguments of `chancery token`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Initialise a token in a free slot and set its PINs
    Init(Init),
    /// Try the PIN once and clear the mark a refused PIN left
    Unlock(Unlock),
}

#[derive(Debug, clap::Args)]
struct Init {
    #[command(flatten)]
    target: Target,
    /// Label of the new token; the configuration's unless given
    #[arg(long)]
    label: Option<String>,
    /// File with the user's PIN; else the credential "pin"
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// File with the security officer's PIN; else the credential "so-pin"
    #[arg(long, value_name = "FILE")]
    so_pin_file: Option<PathBuf>,
    /// Make both PINs and write them to the files named, which must not exist
    #[arg(long, requires = "pin_file", requires = "so_pin_file")]
    generate_pin: bool,
}

#[derive(Debug, clap::Args)]
struct Unlock {
    #[command(flatten)]
    target: Target,
    /// File with the user's PIN; else the credential "pin"
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// File with the security officer's PIN: the user's is set anew
    #[arg(long, value_name = "FILE")]
    so_pin_file: Option<PathBuf>,
}

/// Runs `chancery token`.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    ended(match args.command {
        Command::Init(init) => self::init(&init),
        Command::Unlock(unlock) => self::unlock(&unlock),
    })
}

fn hear(reply: Reply) -> Result<(), String> {
    if let Reply::Token { label, serial } = reply {
        println!("token {label:?}, serial number {serial}");
    }
    Ok(())
}

fn init(init: &Init) -> Result<(), String> {
    let place = init.target.place()?;
    let label = match (init.label.as_deref(), place.label()) {
        (Some(label), Some(wanted)) if label != wanted => {
            return Err(format!("--label is {label:?}, token_label in signer.toml is {wanted:?}"));
        }
        (Some(label), _) | (None, Some(label)) => fitting(label, "label")?,
        (None, None) => return Err("which label? --label".to_owned()),
    };
    if init.generate_pin
        && let (Some(pin_file), Some(so_pin_file)) = (&init.pin_file, &init.so_pin_file)
    {
        generate_pin(pin_file, place.pin_max)?;
        generate_pin(so_pin_file, place.pin_max)?;
    }
    let so_pin = pin(init.so_pin_file.as_deref(), "so-pin")?;
    let pin = pin(init.pin_file.as_deref(), "pin")?;
    place.hold(Act::Initialise { label, so_pin, pin }, hear)
}

fn unlock(unlock: &Unlock) -> Result<(), String> {
    let place = unlock.target.place()?;
    let token = place.which()?;
    let directory = place.state_directory.as_ref().ok_or("the mark is where signer.toml says: --config")?;
    let directory = directory.to_str().ok_or("state_directory is not text")?;
    let state_directory = fitting(directory, "state_directory")?;
    let so_pin = unlock.so_pin_file.as_deref().map(|file| pin(Some(file), "so-pin")).transpose()?;
    let pin = pin(unlock.pin_file.as_deref(), "pin")?;
    place.hold(Act::Unlock { token, state_directory, pin, so_pin }, hear)
}
