//! `chancery hash-password`: a password from the terminal or standard input in, the line for
//! `auth.d/users.toml` out. The password is not shown, not an argument and not kept.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The house parameters: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The longest password auth takes, octets.
const LONGEST: usize = 1024;

/// Makes a password hash for `auth.d/users.toml`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Reads a password and prints its hash.
#[must_use]
pub fn run(Args {}: Args) -> ExitCode {
    match read().and_then(|password| hash(&password)) {
        Ok(hash) => {
            println!("{hash}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("chancery: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The PHC string of a password under the house parameters.
///
/// # Errors
/// A clause for the operator when the password is empty or too long.
pub fn hash(password: &[u8]) -> io::Result<String> {
    if password.is_empty() {
        return Err(io::Error::other("an empty password is never accepted"));
    }
    if password.len() > LONGEST {
        return Err(io::Error::other("a password has at most 1024 octets"));
    }
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the house parameters are argon2's");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(password).map(|hash| hash.to_string()).map_err(io::Error::other)
}

fn read() -> io::Result<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let first = ask("Password: ")?;
        let second = ask("Again: ")?;
        return if *first == *second { Ok(first) } else { Err(io::Error::other("the two differ")) };
    }
    let mut password = Zeroizing::new(Vec::with_capacity(LONGEST + 3));
    stdin.lock().take(LONGEST as u64 + 3).read_to_end(&mut password)?;
    line(&mut password);
    Ok(password)
}

fn ask(prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin();
    let mut terminal = io::stderr();
    write!(terminal, "{prompt}")?;
    terminal.flush()?;
    let silence = Silence::begin()?;
    let mut password = Zeroizing::new(Vec::with_capacity(LONGEST + 3));
    stdin.lock().take(LONGEST as u64 + 3).read_until(b'\n', &mut password)?;
    drop(silence);
    writeln!(terminal)?;
    line(&mut password);
    Ok(password)
}

/// Takes the end of the line away, which is not part of the password.
fn line(password: &mut Vec<u8>) {
    if password.last() == Some(&b'\n') {
        password.pop();
        if password.last() == Some(&b'\r') {
            password.pop();
        }
    }
}

/// A terminal that does not show what is typed, until dropped.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // The terminal is gone; then nobody sees what it shows.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::auth::hash::Hash;

    #[test]
    fn the_hash_is_one_auth_takes_and_fits_the_password_alone() {
        let hash = Hash::parse(&hash("pässword".as_bytes()).unwrap()).unwrap();
        assert_eq!(hash.cost(), (19_456, 2, 1, 32));
        assert!(hash.fits("pässword".as_bytes()));
        assert!(!hash.fits(b"password"));
    }

    #[test]
    fn an_empty_or_endless_password_is_refused() {
        assert!(hash(b"").is_err());
        assert!(hash(&[b'a'; 1025]).is_err());
        let mut password = b"secret\r\n".to_vec();
        line(&mut password);
        assert_eq!(password, b"secret");
    }
}
