//! Refusals of people who have not proved who they are: summed up by source and second for the record, and
//! a few lines a second for the log. Nothing a stranger does fills the disk, the memory or the journal.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use tracing::warn;

use super::reason::{Reason, recorded};
use crate::wire::record::AuthEntry;
use crate::wire::{Correlation, Millis};

/// Sources told apart in one second; the rest are summed up under the unspecified address `::`.
const SOURCES: usize = 256;
/// Lines in the log in one second.
const LINES: u32 = 10;

/// Refusals since the last [`Strangers::settle`].
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Second>);

#[derive(Debug, Default)]
struct Second {
    sums: HashMap<IpAddr, Sum>,
    lines: u32,
    left_out: u32,
}

#[derive(Debug, Clone, Copy)]
struct Sum {
    instant: Millis,
    count: u32,
    reason: Reason,
    correlation: Correlation,
}

impl Strangers {
    /// Counts one refusal.
    pub(super) fn note(&self, source: IpAddr, reason: Reason, correlation: Correlation) {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.lines < LINES {
            second.lines += 1;
            warn!(correlation = %correlation, event = "refused", reason = reason.word(), source = %source);
        } else {
            second.left_out += 1;
        }
        second.add(source, Sum { instant: Millis::now(), count: 1, reason, correlation });
    }

    /// What is to be recorded now, once a second. Also says how many lines the log was spared.
    pub(super) fn settle(&self) -> Vec<AuthEntry> {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.left_out > 0 {
            warn!(event = "refused", left_out = second.left_out, "lines left out");
        }
        let Second { sums, .. } = std::mem::take(&mut *second);
        let entry = |(source, sum): (IpAddr, Sum)| AuthEntry::Refusals {
            instant: sum.instant,
            source,
            count: sum.count,
            reason: recorded(sum.reason.word()),
            correlation: sum.correlation,
        };
        sums.into_iter().map(entry).collect()
    }
}

impl Second {
    fn add(&mut self, source: IpAddr, sum: Sum) {
        let known = self.sums.contains_key(&source) || self.sums.len() < SOURCES;
        let source = if known { source } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let count = self.sums.get(&source).map_or(0, |old| old.count);
        self.sums.insert(source, Sum { count: count.saturating_add(sum.count), ..sum });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_sources_make_a_bounded_number_of_entries_and_none_is_lost() {
        let strangers = Strangers::default();
        for number in 0..1000_u32 {
            for _ in 0..2 {
                strangers.note(IpAddr::V4(number.into()), Reason::WrongPassword, Correlation::random());
            }
        }
        let entries = strangers.settle();
        assert_eq!(entries.len(), SOURCES + 1);
        let count = |entry: &AuthEntry| match entry {
            AuthEntry::Refusals { count, .. } => *count,
            AuthEntry::Decision(..) => 0,
        };
        assert_eq!(entries.iter().map(count).sum::<u32>(), 2000);
        assert!(strangers.settle().is_empty());
    }
}
