//! Signals that a process reads instead of suffering them, in its own time.

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// SIGTERM and SIGINT are read, so that what is in hand is finished. SIGHUP is held back, for there is nothing to read
/// anew, and so is SIGXFSZ: a write beyond RLIMIT_FSIZE is then an error like a full disk. Call before there are
/// threads.
///
/// # Errors
/// What the kernel says.
pub(crate) fn of_the_end() -> io::Result<SignalFd> {
    let mut held = SigSet::empty();
    held.add(Signal::SIGXFSZ);
    held.add(Signal::SIGHUP);
    held.thread_block()?;
    let mut read = SigSet::empty();
    read.add(Signal::SIGTERM);
    read.add(Signal::SIGINT);
    read.thread_block()?;
    Ok(SignalFd::with_flags(&read, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}
