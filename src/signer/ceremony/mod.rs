//! `chancery-signer --ceremony`: making tokens, keys and certificates, in a process of its own that has the
//! module and its sandbox, so that the command line has neither. One request comes on standard input,
//! replies go to what was standard output; the module cannot write among them. A ceremony tries a PIN once,
//! under the same marks as a signer, and behind the same walls, so that what a signer's module would be refused is
//! found out before there are keys.

mod certify;
mod generate;
mod token;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use super::pin::Stamp;
use super::pkcs11::{Fault, Module};
use super::walls;
use crate::config::profile::Profile;
use crate::config::signer::Signer;
use crate::sys::deadline;
use crate::wire::Text;
use crate::wire::ceremony::{Act, Ceremony, Reply, read, write};

/// Where replies go.
pub(crate) struct Voice(File);

impl Voice {
    /// Says it. When nobody listens any more the work goes on to a clean end.
    pub(crate) fn say(&mut self, reply: &Reply) {
        let _ = write(&mut self.0, reply);
    }

    /// Says what is about to be done.
    pub(crate) fn doing(&mut self, what: &str) {
        self.say(&Reply::Doing(text(what)));
    }
}

/// As much of it as fits.
pub(crate) fn text<const N: usize>(words: &str) -> Text<N> {
    let fits = words.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= N).last().unwrap_or(0);
    let clean: String = words[..fits].chars().filter(|c| crate::wire::bounded::is_xml_char(*c)).collect();
    Text::new(clean).unwrap_or_default()
}

/// Runs one ceremony.
pub(crate) fn main() -> u8 {
    crate::sys::log::start("ceremony");
    if let Err(error) = crate::sandbox::begin() {
        tracing::error!(event = "stopped", why = %error);
        return super::CONFIG;
    }
    let mut voice = match private_output() {
        Ok(file) => Voice(file),
        Err(error) => {
            tracing::error!(event = "stopped", why = %error);
            return super::CONFIG;
        }
    };
    match request().map_err(|error| Fault::Refused(format!("request: {error}"))).and_then(|c| perform(c, &mut voice)) {
        Ok(code) => code,
        Err(fault) => {
            voice.say(&Reply::Failed(text(&fault.to_string())));
            super::CONFIG
        }
    }
}

/// Takes standard output for the replies and gives the module standard error instead.
fn private_output() -> io::Result<File> {
    use std::os::fd::AsFd;
    let ours = io::stdout().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdout(io::stderr().as_fd())?;
    Ok(File::from(ours))
}

fn request() -> io::Result<Ceremony> {
    use std::os::fd::AsFd;
    // Not through the buffer of `io::stdin`, which is never wiped.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let ceremony = read(&mut stdin)?;
    match stdin.read(&mut [0])? {
        0 => Ok(ceremony),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "more than one request")),
    }
}

/// Goes on as the user whose signers these are, when root holds the ceremony: marks that root left could not be opened
/// by them, and a vendor's code has no business with root. Who may make a directory that is not there yet owns what it
/// will be in.
fn as_a_signer(state_directory: &Path) -> Result<(), String> {
    use nix::unistd::{Uid, User, geteuid, initgroups, setgid, setuid};
    use std::os::unix::fs::MetadataExt;
    let why = |what: &str, error: &dyn std::fmt::Display| format!("{}: {what}: {error}", state_directory.display());
    let found = |place: &Path| match std::fs::metadata(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        found => Some(found),
    };
    let owner = match state_directory.ancestors().find_map(found) {
        Some(Ok(metadata)) => Uid::from_raw(metadata.uid()),
        Some(Err(error)) => return Err(why("its owner", &error)),
        None => return Ok(()),
    };
    if !geteuid().is_root() || owner.is_root() {
        return Ok(());
    }
    let user = User::from_uid(owner).map_err(|error| why("its owner", &error))?;
    let user = user.ok_or_else(|| why("its owner", &"nobody has that number"))?;
    let name = std::ffi::CString::new(user.name).map_err(|error| why("its owner", &error))?;
    initgroups(&name, user.gid)
        .and_then(|()| setgid(user.gid))
        .and_then(|()| setuid(owner))
        .map_err(|errno| why("becoming its owner", &errno))
}

fn perform(ceremony: Ceremony, voice: &mut Voice) -> Result<u8, Fault> {
    let refuse = |error: &dyn std::fmt::Display| Fault::Refused(error.to_string());
    let profile = Profile::find(&ceremony.profile).map_err(|error| refuse(&error))?;
    let configured = ceremony.configuration.as_deref().map(|root| Signer::load(Path::new(root)));
    let config = configured.transpose().map_err(|error| refuse(&error))?;
    if let Some(config) = &config {
        as_a_signer(&config.state_directory).map_err(|error| refuse(&error))?;
    }
    if let (Some(config), Act::Unlock { .. } | Act::Keys { .. }) = (&config, &ceremony.act) {
        // For the marks; a path that is not there cannot be granted.
        std::fs::create_dir_all(&config.state_directory)
            .map_err(|error| refuse(&format!("{}: {error}", config.state_directory.display())))?;
    }
    // Not to be read any more once this is locked down.
    let stamp = Stamp::now();
    let call_deadline_ms = config.as_ref().map_or(&profile, |config| &config.profile).recovery.call_deadline_ms;
    let module = Module::load(Path::new(ceremony.module.as_str()), &profile)?;
    let way = match &config {
        Some(config) => {
            let report = walls::lock_down(config).map_err(|error| refuse(&error))?;
            tracing::debug!(event = "locked-down", report = %report);
            Some(walls::Way::of(config))
        }
        None => None,
    };
    // A call that hangs would keep the lock that all signers of the token wait for.
    deadline::enforce(Duration::from_millis(call_deadline_ms)).map_err(|error| refuse(&error))?;
    let explain = |fault| match &way {
        Some(way) => way.explain(fault),
        None => fault,
    };
    module.initialise().map_err(explain)?;
    // A first look, for what cannot be seen here will not be seen by a signer.
    if module.tokens().map_err(explain)?.is_empty() {
        return Err(explain(Fault::Absent("no slot holds any token".to_owned())));
    }
    let result = match ceremony.act {
        Act::Initialise { label, so_pin, pin } => token::initialise(&module, voice, &label, &so_pin, &pin),
        Act::Unlock { token, state_directory, pin, so_pin } => {
            let directory = Path::new(state_directory.as_str());
            token::unlock(&module, voice, &token, directory, &pin, so_pin.as_ref(), stamp.as_ref())
        }
        Act::Keys { token, state_directory, pin, steps } => {
            generate::keys(&module, voice, &token, state_directory.as_deref().map(Path::new), &pin, &steps)
        }
    };
    // First, for what the module does when it ends may take this process with it.
    let code = match result {
        Ok(()) => {
            voice.say(&Reply::Done);
            0
        }
        Err(fault) => {
            voice.say(&Reply::Failed(text(&fault.to_string())));
            super::CONFIG
        }
    };
    module.finalise();
    Ok(code)
}
