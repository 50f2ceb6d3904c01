//! Bounds of a directory: how many users at one time, and how long each step of one may take.

use std::time::Duration;

use super::checked::Reading;
use super::written::DirectoryFile;
use crate::config::load::ConfigError;

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Users verified at one time, and so connections of each kind.
    pub connections: usize,
    /// Users that may wait for one.
    pub queue: usize,
    /// How long a connection may take to be made and secured.
    pub connect: Duration,
    /// How long an answer may take.
    pub operation: Duration,
    /// How long it may take in all to verify one user.
    pub deadline: Duration,
    /// For how long a server that failed is left alone, at most.
    pub back_off: Duration,
    /// How long a connection is used.
    pub life: Duration,
    /// Refusals are given at multiples of this after the question, whatever it took to find out.
    pub refusal: Duration,
}

impl<T> Reading<'_, T> {
    pub(super) fn limits(&self, written: &DirectoryFile) -> Result<Limits, ConfigError> {
        let ms = |key, value, default, range| self.number(key, value, default, range).map(milliseconds);
        let s =
            |key, value, default, range| self.number(key, value, default, range).map(|s| Duration::from_secs(s.into()));
        let limits = Limits {
            connections: self.number("connections", &written.connections, 8, 1..=64)? as usize,
            queue: self.number("queue", &written.queue, 128, 1..=4096)? as usize,
            connect: ms("connect_timeout_ms", &written.connect_timeout_ms, 1000, 50..=10_000)?,
            operation: ms("operation_timeout_ms", &written.operation_timeout_ms, 2000, 50..=10_000)?,
            deadline: ms("deadline_ms", &written.deadline_ms, 6000, 100..=30_000)?,
            back_off: s("back_off_s", &written.back_off_s, 15, 1..=3600)?,
            life: s("connection_life_s", &written.connection_life_s, 300, 1..=86_400)?,
            refusal: ms("refusal_ms", &written.refusal_ms, 250, 10..=5000)?,
        };
        // Or the time is over before a server that hangs is known to, and the next one is never asked.
        let (deadline, connect) = (written.deadline_ms.as_ref(), written.connect_timeout_ms.as_ref());
        if limits.deadline < limits.connect + 2 * limits.operation
            && let Some(at) = deadline.or(connect).or(written.operation_timeout_ms.as_ref())
        {
            let why = "deadline_ms is shorter than connect_timeout_ms and twice operation_timeout_ms";
            return Err(self.refused(at.span(), why));
        }
        Ok(limits)
    }
}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}
