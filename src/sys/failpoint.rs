//! Places where `tests/crash.rs` kills or holds a process. Built only with the feature `failpoints`, which
//! no package has; elsewhere a call is nothing.

/// Dies by SIGKILL here when `CHANCERY_FAILPOINT` is this name and, after a comma, the path of a file whose
/// octet 0 says that nobody died here yet. It is marked with 1 first, so that the restarted process lives.
/// With `,hold` behind the path the thread does not die: it waits here until the 1 is something else.
#[cfg(feature = "failpoints")]
pub fn failpoint(name: &str) {
    use std::sync::atomic::Ordering;
    let Some(armed) = armed().filter(|armed| armed.name == name) else { return };
    if armed.mark.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return;
    }
    if !armed.holds {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
    while armed.mark.load(Ordering::SeqCst) == 1 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Opens the file; before lock-down, in processes that cannot open files after it.
#[cfg(feature = "failpoints")]
pub fn arm() {
    let _ = armed();
}

#[cfg(feature = "failpoints")]
struct Armed {
    name: String,
    holds: bool,
    /// The file's one octet. Shared memory, because a locked-down process may neither open the file nor make
    /// it grow.
    mark: &'static std::sync::atomic::AtomicU8,
}

#[cfg(feature = "failpoints")]
fn armed() -> Option<&'static Armed> {
    use nix::sys::mman::{MapFlags, ProtFlags, mmap};
    static SET: std::sync::OnceLock<Option<Armed>> = std::sync::OnceLock::new();
    let set = SET.get_or_init(|| {
        let value = std::env::var("CHANCERY_FAILPOINT").ok()?;
        let (name, path) = value.split_once(',')?;
        let held = path.strip_suffix(",hold");
        let path = held.unwrap_or(path);
        let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).ok()?;
        file.set_len(1).ok()?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        #[expect(unsafe_code, reason = "one octet shared between this process, its successor and the test")]
        // SAFETY: a new mapping of one page, never unmapped; its first octet lies within the file and is
        // touched as an atomic by everybody.
        let mark = unsafe {
            let page = mmap(None, std::num::NonZeroUsize::MIN, protection, MapFlags::MAP_SHARED, &file, 0).ok()?;
            page.cast::<std::sync::atomic::AtomicU8>().as_ref()
        };
        Some(Armed { name: name.to_owned(), holds: held.is_some(), mark })
    });
    set.as_ref()
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub fn failpoint(_name: &str) {}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub fn arm() {}
