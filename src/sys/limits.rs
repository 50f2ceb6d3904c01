//! What a process may take of the kernel's resources, and the switches of prctl(2) that only ever go one
//! way. Nothing here can be undone by the process that called it.

use std::io;
use std::os::fd::RawFd;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Closes every descriptor from `first` on. Call it first in `main`, before anything is opened: whatever
/// leaked in from the parent is nobody's.
///
/// # Errors
/// What the kernel says.
pub fn close_from(first: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(first).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    #[expect(unsafe_code, reason = "nix has no close_range")]
    // SAFETY: takes three numbers. Called before this process owns a descriptor at or above `first`.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    outcome(result)
}

/// Sets a limit, soft and hard, to `most`, or to what the hard limit already is when that is less.
///
/// # Errors
/// What the kernel says.
pub fn cap(resource: Resource, most: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let most = most.min(hard);
    Ok(setrlimit(resource, most, most)?)
}

/// Raises the soft limit of descriptors to the hard one: a process that holds ten thousand idle
/// connections needs them, and the hard limit is the administrator's decision.
///
/// # Errors
/// What the kernel says.
pub fn all_descriptors() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// Tells the allocator how many arenas to have. Left to itself it asks the machine how many processors there
/// are, when enough threads have come, by opening a file that a locked-down process may not open.
#[cfg(target_env = "gnu")]
pub fn few_arenas() {
    const ARENAS: libc::c_int = 4;
    #[expect(unsafe_code, reason = "the allocator is set up through the C library")]
    // SAFETY: takes two numbers; the first thread calls it before there is another.
    let _may_say_no = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
}

/// Other allocators ask nothing.
#[cfg(not(target_env = "gnu"))]
pub fn few_arenas() {}

/// No core file, no ptrace and no `/proc/PID/mem` for processes of the same user.
///
/// # Errors
/// What the kernel says.
pub fn not_dumpable() -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0)
}

/// No program started from here can gain rights; also what lets an unprivileged process filter itself.
///
/// # Errors
/// What the kernel says.
pub fn no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Memory that was writable never becomes executable (Linux 6.3).
///
/// # Errors
/// `EINVAL` on an older kernel.
pub fn deny_write_execute() -> io::Result<()> {
    const PR_SET_MDWE: libc::c_int = 65;
    const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN)
}

/// This process is killed when the thread that started it ends.
///
/// # Errors
/// What the kernel says.
pub fn die_with_parent() -> io::Result<()> {
    let signal = libc::c_ulong::try_from(libc::SIGKILL).unwrap_or_default();
    prctl(libc::PR_SET_PDEATHSIG, signal)
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    const ZERO: libc::c_ulong = 0;
    #[expect(unsafe_code, reason = "not all of these options are in nix")]
    // SAFETY: every option used above takes a number and no pointer.
    let result = unsafe { libc::prctl(option, value, ZERO, ZERO, ZERO) };
    outcome(result.into())
}

fn outcome(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
