//! Places where `tests/crash.rs` kills a process. Built only with the feature `failpoints`, which no
//! package has; elsewhere a call is nothing.

/// Dies by SIGKILL here, once, when `CHANCERY_FAILPOINT` is this name and the file it may name after a
/// comma does not exist yet (it is made first, so that the restarted process lives).
#[cfg(feature = "failpoints")]
pub fn failpoint(name: &str) {
    static SET: std::sync::OnceLock<Option<(String, std::path::PathBuf)>> = std::sync::OnceLock::new();
    let set = SET.get_or_init(|| {
        let value = std::env::var("CHANCERY_FAILPOINT").ok()?;
        let (name, path) = value.split_once(',')?;
        Some((name.to_owned(), path.into()))
    });
    if let Some((wanted, marker)) = set
        && wanted == name
        && std::fs::OpenOptions::new().write(true).create_new(true).open(marker).is_ok()
    {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
}

/// Nothing.
#[cfg(not(feature = "failpoints"))]
pub fn failpoint(_name: &str) {}
