//! Lines of log that a stranger or a hijacked peer can cause: a few a second, and how many were left out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lets a few lines of log through each second and counts the others.
#[derive(Debug)]
pub(crate) struct LogGate {
    each_second: u32,
    state: Mutex<(Instant, u32, u64)>,
}

impl LogGate {
    /// At most `each_second` lines.
    pub(crate) fn new(each_second: u32) -> Self {
        Self { each_second, state: Mutex::new((Instant::now(), 0, 0)) }
    }

    /// May a line be written now? Then how many were left out since the last one.
    pub(crate) fn pass(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, written, left_out) = &mut *state;
        if second.elapsed() >= Duration::from_secs(1) {
            (*second, *written) = (Instant::now(), 0);
        }
        if *written >= self.each_second {
            *left_out += 1;
            return None;
        }
        *written += 1;
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_how_much_it_left_out() {
        let gate = LogGate::new(2);
        assert_eq!((gate.pass(), gate.pass(), gate.pass(), gate.pass()), (Some(0), Some(0), None, None));
        gate.state.lock().unwrap().0 = Instant::now() - Duration::from_secs(2);
        assert_eq!(gate.pass(), Some(2));
    }
}
