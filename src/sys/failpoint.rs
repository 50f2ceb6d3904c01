//! Places where `tests/crash.rs` kills a process. Built only with the feature `failpoints`, which no
//! package has; elsewhere a call is nothing.

/// Dies by SIGKILL here when `CHANCERY_FAILPOINT` is this name and, after a comma, the path of a file that
/// says nobody died here yet. It is marked first, so that the restarted process lives.
#[cfg(feature = "failpoints")]
pub fn failpoint(name: &str) {
    use std::sync::atomic::Ordering;
    if let Some((wanted, mark)) = armed()
        && wanted == name
        && mark.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
}

/// Opens the file; before lock-down, in processes that cannot open files after it.
#[cfg(feature = "failpoints")]
pub fn arm() {
    let _ = armed();
}

/// The name and the file's one octet. Shared memory, because a locked-down process may neither open the
/// file nor make it grow.
#[cfg(feature = "failpoints")]
fn armed() -> Option<(&'static str, &'static std::sync::atomic::AtomicU8)> {
    use nix::sys::mman::{MapFlags, ProtFlags, mmap};
    static SET: std::sync::OnceLock<Option<(String, &'static std::sync::atomic::AtomicU8)>> =
        std::sync::OnceLock::new();
    let set = SET.get_or_init(|| {
        let value = std::env::var("CHANCERY_FAILPOINT").ok()?;
        let (name, path) = value.split_once(',')?;
        let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).ok()?;
        file.set_len(1).ok()?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        #[expect(unsafe_code, reason = "one octet shared between this process and its successor")]
        // SAFETY: a new mapping of one page, never unmapped; its first octet lies within the file and is
        // touched as an atomic by everybody.
        let mark = unsafe {
            let page = mmap(None, std::num::NonZeroUsize::MIN, protection, MapFlags::MAP_SHARED, &file, 0).ok()?;
            page.cast::<std::sync::atomic::AtomicU8>().as_ref()
        };
        Some((name.to_owned(), mark))
    });
    set.as_ref().map(|(name, mark)| (name.as_str(), *mark))
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub fn failpoint(_name: &str) {}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub fn arm() {}
