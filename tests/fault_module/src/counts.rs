//! Counters in a file that every process maps. A slot is 64 octets: the function's name, padded with NUL to
//! 48, the calls so far, the errors put in so far, both little-endian u64 of this machine, so that a test
//! reads them without knowing the order.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const SLOT: usize = 64;
const NAME: usize = 48;

static BASE: OnceLock<usize> = OnceLock::new();

/// Maps the file `CHANCERY_FAULT_COUNTS`, or private memory when there is none.
pub(crate) fn start(names: &[&str]) {
    BASE.get_or_init(|| map(names));
}

fn map(names: &[&str]) -> usize {
    let length = names.len() * SLOT;
    let file = std::env::var_os("CHANCERY_FAULT_COUNTS").and_then(|path| {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).ok()?;
        if file.metadata().ok()?.len() < length as u64 {
            file.set_len(length as u64).ok()?;
        }
        Some(file)
    });
    let (flags, fd) = match &file {
        Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
        None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
    };
    // SAFETY: a fresh mapping at an address of the kernel's choice, never unmapped.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
    assert!(base != libc::MAP_FAILED, "the counters cannot be mapped");
    for (index, name) in names.iter().enumerate() {
        let name = &name.as_bytes()[..name.len().min(NAME - 1)];
        // SAFETY: inside the mapping; every process writes the same octets.
        unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), base.cast::<u8>().add(index * SLOT), name.len()) };
    }
    base as usize
}

fn counter(function: usize, offset: usize) -> &'static AtomicU64 {
    let base = *BASE.get().expect("counters are mapped before the first call");
    // SAFETY: inside the mapping, aligned to eight, used only as an atomic by every process.
    unsafe { &*((base + function * SLOT + offset) as *const AtomicU64) }
}

/// One more call; gives how many there were before.
pub(crate) fn called(function: usize) -> u64 {
    counter(function, NAME).fetch_add(1, Ordering::SeqCst)
}

/// Adds to a counter that counts something else than calls.
pub(crate) fn add(slot: usize, count: u64) {
    counter(slot, NAME).fetch_add(count, Ordering::Relaxed);
}

/// Processor time of this thread so far, nanoseconds.
pub(crate) fn processor_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for the call.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "every thread has a clock");
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Takes one of the errors up to `limit`, counted over all processes; false when they are used up.
pub(crate) fn take_error(function: usize, limit: u64) -> bool {
    let counter = counter(function, NAME + 8);
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| (taken < limit).then_some(taken + 1)).is_ok()
}
