//! Listeners handed down by the service manager (`LISTEN_FDS`, `LISTEN_FDNAMES`; sd_listen_fds(3)) or by
//! `chancery run`, which speaks the same protocol.

use std::collections::HashMap;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

const FIRST: RawFd = 3;

/// Every inherited listener by name. Names may repeat.
#[derive(Debug, Default)]
pub struct Inherited(HashMap<String, Vec<OwnedFd>>);

impl Inherited {
    /// Takes over the descriptors, once in a process's life; a second call gives none.
    ///
    /// # Errors
    /// When the environment speaks of descriptors that are not open or does not name them all.
    pub fn take() -> io::Result<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let mut inherited = Self::default();
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Ok(inherited);
        }
        let Ok(count) = std::env::var("LISTEN_FDS") else { return Ok(inherited) };
        if std::env::var("LISTEN_PID").is_ok_and(|pid| pid != std::process::id().to_string()) {
            return Ok(inherited);
        }
        let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("LISTEN_FDS: {why}"));
        let count: usize = count.parse().map_err(|_| bad("not a number"))?;
        let names = std::env::var("LISTEN_FDNAMES").map_err(|_| bad("no names"))?;
        let names: Vec<&str> = names.split(':').collect();
        if count > 64 || names.len() != count {
            return Err(bad("as many names as descriptors are needed, at most 64"));
        }
        for (name, raw) in names.into_iter().zip(FIRST..) {
            use nix::fcntl::{FcntlArg, FdFlag, fcntl};
            #[expect(unsafe_code, reason = "descriptors inherited through exec come as bare numbers")]
            // SAFETY: the service manager opened these for us and names them in LISTEN_FDS; TAKEN makes
            // sure that nobody in this process owns them yet.
            let fd = unsafe { OwnedFd::from_raw_fd(raw) };
            fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
            inherited.0.entry(name.to_owned()).or_default().push(fd);
        }
        Ok(inherited)
    }

    /// The one listener of that name.
    ///
    /// # Errors
    /// When there is none or more than one.
    pub fn one(&mut self, name: &str) -> io::Result<OwnedFd> {
        match self.0.remove(name).unwrap_or_default() {
            mut fds if fds.len() == 1 => Ok(fds.remove(0)),
            fds => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} inherited listeners are named {name:?}, one is needed", fds.len()),
            )),
        }
    }

    /// All listeners of that name.
    pub fn all(&mut self, name: &str) -> Vec<OwnedFd> {
        self.0.remove(name).unwrap_or_default()
    }
}
