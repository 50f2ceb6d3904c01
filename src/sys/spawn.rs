//! Starting a child with listeners in the place sd_listen_fds(3) expects, for `chancery run` and tests.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Spawns `command` with `listeners` as descriptors 3, 4, … under their names. The child dies with this
/// process.
///
/// # Errors
/// What fork or exec says.
pub fn spawn(command: &mut Command, listeners: &[(&str, &OwnedFd)]) -> io::Result<Child> {
    let names: Vec<&str> = listeners.iter().map(|(name, _)| *name).collect();
    command.env("LISTEN_FDS", listeners.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    let sources: Vec<RawFd> = listeners.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
    let parent = std::process::id();
    #[expect(unsafe_code, reason = "raw calls that are safe after fork")]
    let place = move || {
        // First out of the way, then into place, so that no source is overwritten before it is copied.
        let mut high = [0; 64];
        for (slot, source) in high.iter_mut().zip(&sources) {
            // SAFETY: fcntl on a descriptor number; async-signal-safe.
            *slot = unsafe { libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, 100) };
            if *slot < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        for (index, slot) in high.iter().take(sources.len()).enumerate() {
            let target = 3 + i32::try_from(index).unwrap_or(0);
            // SAFETY: dup2 on descriptor numbers; async-signal-safe. The copy is not close-on-exec.
            if unsafe { libc::dup2(*slot, target) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: prctl and getppid take no pointers; async-signal-safe.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if u32::try_from(libc::getppid()).ok() != Some(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "descriptors are put in place between fork and exec")]
    // SAFETY: the closure makes only async-signal-safe calls and does not allocate on its good path.
    unsafe {
        command.pre_exec(place);
    }
    command.spawn()
}
