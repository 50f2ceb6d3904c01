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
    /// One a thread.
    calls: Mutex<Vec<Arc<Call>>>,
}

/// What a thread has under way.
#[derive(Default)]
struct Call {
    /// Milliseconds after `born` when its call began, plus one; 0 outside a call.
    began: AtomicU64,
    /// Milliseconds that this one may take, where that is more than others may.
    leave: AtomicU64,
}

impl Call {
    fn is_overdue(&self, now_ms: u64, limit_ms: u64) -> bool {
        let began = self.began.load(Ordering::Acquire);
        let limit_ms = limit_ms.max(self.leave.load(Ordering::Relaxed));
        began != 0 && now_ms.saturating_sub(began - 1) > limit_ms
    }
}

fn watch() -> &'static Watch {
    static WATCH: OnceLock<Watch> = OnceLock::new();
    WATCH.get_or_init(|| Watch { born: Instant::now(), pid: std::process::id(), calls: Mutex::default() })
}

impl Watch {
    fn now_ms(&self) -> u64 {
        milliseconds(self.born.elapsed())
    }
}

thread_local! {
    static CALL: OnceCell<Arc<Call>> = const { OnceCell::new() };
}

/// Makes a call into the foreign code, under the deadline.
pub(crate) fn watched<T>(call: impl FnOnce() -> T) -> T {
    with_leave(Duration::ZERO, call)
}

/// The same for a call that may take longer than the deadline: `leave`, where that is more.
pub(crate) fn with_leave<T>(leave: Duration, call: impl FnOnce() -> T) -> T {
    let watch = watch();
    if std::process::id() != watch.pid {
        tracing::error!(event = "forked", why = "a process that forked may not use what its parent has loaded");
        std::process::abort();
    }
    CALL.with(|cell| {
        let this = cell.get_or_init(|| {
            let this = Arc::<Call>::default();
            watch.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&this));
            this
        });
        this.leave.store(milliseconds(leave), Ordering::Relaxed);
        this.began.store(watch.now_ms() + 1, Ordering::Release);
        let result = call();
        this.began.store(0, Ordering::Relaxed);
        result
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Ends this process with that code and lets nothing run before: what foreign code has registered for its exit may wait
/// for a lock or for a device, under no deadline, while another thread is inside of it.
#[cfg(feature = "signer")]
pub(crate) fn leave(code: u8) -> ! {
    #[expect(unsafe_code, reason = "the standard library ends a process by exit alone")]
    // SAFETY: takes a number and does not return.
    unsafe {
        libc::_exit(code.into())
    }
}

/// Starts the thread that ends the process when a call takes longer than `limit`. Call after lock-down.
pub(crate) fn enforce(limit: Duration) -> std::io::Result<()> {
    let watch = watch();
    let limit_ms = milliseconds(limit);
    let pause = (limit / 8).clamp(Duration::from_millis(5), Duration::from_millis(250));
    std::thread::Builder::new().name("deadline".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(pause);
            let now = watch.now_ms();
            let calls = watch.calls.lock().unwrap_or_else(PoisonError::into_inner);
            if calls.iter().any(|call| call.is_overdue(now, limit_ms)) {
                tracing::error!(event = "call-deadline", limit_ms, why = "a call into foreign code does not return");
                std::process::abort();
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_with_leave_is_overdue_when_that_is_over() {
        let call = Call::default();
        assert!(!call.is_overdue(u64::MAX, 5), "none is under way");
        call.began.store(101, Ordering::Relaxed);
        assert!(!call.is_overdue(105, 5) && call.is_overdue(106, 5));
        call.leave.store(50, Ordering::Relaxed);
        assert!(!call.is_overdue(150, 5) && call.is_overdue(151, 5));
        assert!(!call.is_overdue(160, 60), "nor sooner than others");
    }
}
