//! A call into foreign code, a vendor's module or the library of Kerberos, cannot be cancelled. When one takes too long
//! the process ends itself, and with it the call, the session and whatever lock that code holds; the supervisor starts
//! another. A process that forked after C_Initialize ends itself too: in the child everything seems to work.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

struct Watch {
    born: Instant,
    pid: u32,
    /// One a thread: milliseconds after `born` when its call began, plus one; 0 outside a call.
    calls: Mutex<Vec<Arc<AtomicU64>>>,
}

fn watch() -> &'static Watch {
    static WATCH: OnceLock<Watch> = OnceLock::new();
    WATCH.get_or_init(|| Watch { born: Instant::now(), pid: std::process::id(), calls: Mutex::default() })
}

impl Watch {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

thread_local! {
    static CALL: OnceCell<Arc<AtomicU64>> = const { OnceCell::new() };
}

/// Makes a call into the foreign code, under the deadline.
pub(crate) fn watched<T>(call: impl FnOnce() -> T) -> T {
    let watch = watch();
    if std::process::id() != watch.pid {
        tracing::error!(event = "forked", why = "a process that forked may not use what its parent has loaded");
        std::process::abort();
    }
    CALL.with(|cell| {
        let began = cell.get_or_init(|| {
            let began = Arc::new(AtomicU64::new(0));
            watch.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&began));
            began
        });
        began.store(watch.now_ms() + 1, Ordering::Relaxed);
        let result = call();
        began.store(0, Ordering::Relaxed);
        result
    })
}

/// Starts the thread that ends the process when a call takes longer than `limit`. Call after lock-down.
pub(crate) fn enforce(limit: Duration) -> std::io::Result<()> {
    let watch = watch();
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let pause = (limit / 8).clamp(Duration::from_millis(5), Duration::from_millis(250));
    std::thread::Builder::new().name("deadline".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(pause);
            let now = watch.now_ms();
            let calls = watch.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let overdue = calls
                .iter()
                .map(|began| began.load(Ordering::Relaxed))
                .any(|began| began != 0 && now.saturating_sub(began - 1) > limit_ms);
            if overdue {
                tracing::error!(event = "call-deadline", limit_ms, why = "a call into foreign code does not return");
                std::process::abort();
            }
        }
    })?;
    Ok(())
}
