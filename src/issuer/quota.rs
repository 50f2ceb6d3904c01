//! Quotas: so many in a stretch of time, spread as they like. Each is one instant (the generic cell rate
//! algorithm), and the table of accounts is bounded: when it is full of accounts that have lately been
//! served, new ones wait.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Allowed in bursts of `count`, refilled over `window`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    interval: Duration,
    window: Duration,
}

impl Quota {
    pub(super) fn new(count: u32, window: Duration) -> Self {
        Self { interval: window / count.max(1), window }
    }
}

/// How much of one quota is used: the instant at which all of it will be free again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used(Instant);

impl Used {
    pub(super) fn none(now: Instant) -> Self {
        Self(now)
    }

    /// The use after one more, or none when that is too many.
    #[must_use]
    pub(super) fn one_more(self, quota: Quota, now: Instant) -> Option<Self> {
        let free_at = self.0.max(now) + quota.interval;
        (free_at.duration_since(now) <= quota.window).then_some(Self(free_at))
    }
}

/// The use of many quotas of one kind.
#[derive(Debug)]
pub(super) struct Usage<K> {
    used: HashMap<K, Used>,
    most: usize,
}

impl<K: Hash + Eq> Usage<K> {
    pub(super) fn new(most: usize) -> Self {
        Self { used: HashMap::new(), most }
    }

    /// What one more would come to; [`Self::note`] it once every other quota has allowed it too.
    #[must_use]
    pub(super) fn one_more(&mut self, key: &K, quota: Quota, now: Instant) -> Option<Used> {
        if !self.used.contains_key(key) && self.used.len() >= self.most {
            self.used.retain(|_, used| used.0 > now);
            if self.used.len() >= self.most {
                return None;
            }
        }
        self.used.get(key).copied().unwrap_or(Used::none(now)).one_more(quota, now)
    }

    pub(super) fn note(&mut self, key: K, used: Used) {
        self.used.insert(key, used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_one_at_a_time() {
        let quota = Quota::new(60, Duration::from_secs(60));
        let start = Instant::now();
        let mut usage = Usage::new(8);
        for _ in 0..60 {
            let used = usage.one_more(&"a", quota, start).unwrap();
            usage.note("a", used);
        }
        assert!(usage.one_more(&"a", quota, start).is_none());
        assert!(usage.one_more(&"b", quota, start).is_some());
        assert!(usage.one_more(&"a", quota, start + Duration::from_secs(1)).is_some());
    }

    /// As chancery-issuer(8) says.
    #[test]
    fn the_first_minute_after_a_rest_has_nearly_twice_as_many() {
        let (quota, start) = (Quota::new(60, Duration::from_secs(60)), Instant::now());
        let (mut used, mut count) = (Used::none(start), 0);
        for ms in 0..60_000 {
            while let Some(more) = used.one_more(quota, start + Duration::from_millis(ms)) {
                (used, count) = (more, count + 1);
            }
        }
        assert_eq!(count, 119);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_those_who_rest() {
        let quota = Quota::new(1, Duration::from_secs(60));
        let start = Instant::now();
        let mut usage = Usage::new(2);
        for key in 0..2 {
            let used = usage.one_more(&key, quota, start).unwrap();
            usage.note(key, used);
        }
        assert!(usage.one_more(&2, quota, start).is_none());
        assert!(usage.one_more(&2, quota, start + Duration::from_secs(61)).is_some());
    }
}
