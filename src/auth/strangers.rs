//! Refusals of people who have not proved who they are: summed up by network and second for the record, and
//! a few lines a second for the log. Nothing a stranger does fills the disk, the memory or the journal: the
//! record has room for so many sums an hour, and beyond that for one a minute.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::reason::{Reason, recorded};
use super::throttle::network;
use crate::wire::evidence::Timestamp;
use crate::wire::record::AuthEntry;
use crate::wire::{Correlation, Millis};

/// Networks told apart in one second; the rest are summed up under [`ANYWHERE`].
const SOURCES: usize = 256;
/// The unspecified address stands for all that have no sum of their own.
const ANYWHERE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// Sums in one hour. At 120 octets each, less than eleven megabytes a day.
const HOURLY: usize = 3_600;
const HOUR: Duration = Duration::from_secs(3600);
/// How often there is one when those of the hour are spent.
const MINUTE: Duration = Duration::from_secs(60);
/// Lines in the log in one second.
const LINES: u32 = 10;

/// Refusals that are not in the record yet.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<Refusals>);

#[derive(Debug, Default)]
struct Refusals {
    second: Second,
    hour: Hour,
}

/// Since the last [`Strangers::settle`].
#[derive(Debug, Default)]
struct Second {
    sums: Sums,
    lines: u32,
    left_out: u32,
}

/// What the record was given, and what it was spared so far.
#[derive(Debug, Default)]
struct Hour {
    begun: Option<Instant>,
    entries: usize,
    spared: Option<Sum>,
    told: Option<Instant>,
}

type Sums = HashMap<IpAddr, Sum>;

#[derive(Debug, Clone, Copy)]
struct Sum {
    instant: Millis,
    count: u32,
    reason: Reason,
    correlation: Correlation,
}

impl Strangers {
    /// Counts one refusal of a message of that time.
    pub(super) fn note(&self, source: IpAddr, reason: Reason, correlation: Correlation, timestamp: Option<Timestamp>) {
        let now = Millis::now();
        let Refusals { second, .. } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.lines < LINES {
            second.lines += 1;
            let age_s = timestamp.map(|timestamp| seconds(timestamp.created, now));
            let left_s = timestamp.and_then(|timestamp| timestamp.expires).map(|expires| seconds(now, expires));
            let reason = reason.word();
            warn!(correlation = %correlation, event = "refused", reason, source = %source, age_s, left_s);
        } else {
            second.left_out += 1;
        }
        let source = network(source);
        let known = second.sums.contains_key(&source) || second.sums.len() < SOURCES;
        let source = if known { source } else { ANYWHERE };
        add(&mut second.sums, source, Sum { instant: now, count: 1, reason, correlation });
    }

    /// What is to be recorded now, once a second. Also says how many lines the log was spared.
    pub(super) fn settle(&self, now: Instant) -> Vec<AuthEntry> {
        let Refusals { second, hour } = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if second.left_out > 0 {
            warn!(event = "refused", left_out = second.left_out, "lines left out");
        }
        let sums = std::mem::take(second).sums;
        entries(hour.afford(sums, now))
    }

    /// All there still is, at the end.
    pub(super) fn close(&self) -> Vec<AuthEntry> {
        let Refusals { second, hour } = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut sums = second.sums;
        if let Some(spared) = hour.spared {
            add(&mut sums, ANYWHERE, spared);
        }
        entries(sums)
    }
}

impl Hour {
    fn afford(&mut self, mut sums: Sums, now: Instant) -> Sums {
        let over =
            |since: Option<Instant>, time| since.is_none_or(|since| now.saturating_duration_since(since) >= time);
        if over(self.begun, HOUR) {
            (self.begun, self.entries) = (Some(now), 0);
        }
        if self.entries + sums.len() > HOURLY {
            for (_, sum) in sums.drain() {
                self.spared = Some(sum.after(self.spared));
            }
        }
        self.entries += sums.len();
        if over(self.told, MINUTE)
            && let Some(spared) = self.spared.take()
        {
            self.told = Some(now);
            add(&mut sums, ANYWHERE, spared);
        }
        sums
    }
}

impl Sum {
    /// Both as one, which speaks of this one.
    fn after(self, before: Option<Self>) -> Self {
        Self { count: self.count.saturating_add(before.map_or(0, |before| before.count)), ..self }
    }
}

/// From one instant to the other, for people.
fn seconds(from: Millis, to: Millis) -> i64 {
    to.0.saturating_sub(from.0) / 1000
}

fn add(sums: &mut Sums, source: IpAddr, sum: Sum) {
    let sum = sum.after(sums.get(&source).copied());
    sums.insert(source, sum);
}

fn entries(sums: Sums) -> Vec<AuthEntry> {
    let entry = |(source, sum): (IpAddr, Sum)| AuthEntry::Refusals {
        instant: sum.instant,
        source,
        count: sum.count,
        reason: recorded(sum.reason.word()),
        correlation: sum.correlation,
    };
    sums.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(strangers: &Strangers, source: IpAddr) {
        strangers.note(source, Reason::WrongPassword, Correlation::random(), None);
    }

    fn sums(entries: &[AuthEntry]) -> Vec<(IpAddr, u32)> {
        let sum = |entry: &AuthEntry| match entry {
            AuthEntry::Refusals { source, count, .. } => (*source, *count),
            AuthEntry::Decision(..) | AuthEntry::Excessive(..) | AuthEntry::Vouched(..) | AuthEntry::Held(..) => {
                panic!("a stranger has an account")
            }
        };
        entries.iter().map(sum).collect()
    }

    fn total(entries: &[AuthEntry]) -> u32 {
        sums(entries).iter().map(|(_, count)| count).sum()
    }

    #[test]
    fn a_thousand_sources_make_a_bounded_number_of_entries_and_none_is_lost() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        for number in 0..1000_u32 {
            for _ in 0..2 {
                note(&strangers, IpAddr::V4(number.into()));
            }
        }
        let entries = strangers.settle(now);
        assert_eq!((entries.len(), total(&entries)), (SOURCES + 1, 2000));
        assert!(strangers.settle(now).is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let strangers = Strangers::default();
        for number in 0..1000_u128 {
            note(&strangers, IpAddr::V6(((0x2001_0db8 << 96) + number).into()));
        }
        assert_eq!(sums(&strangers.settle(Instant::now())), [("2001:db8::".parse().unwrap(), 1000)]);
    }

    #[test]
    fn strangers_who_go_on_for_hours_do_not_fill_the_disk_and_none_is_lost() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        let (mut recorded, mut counted) = (0, 0);
        for second in 0..4 * 3600 {
            for number in 0..10_u32 {
                note(&strangers, IpAddr::V4(number.into()));
            }
            let entries = strangers.settle(start + Duration::from_secs(second));
            recorded += entries.len();
            counted += total(&entries);
        }
        assert!(recorded <= 4 * (HOURLY + 60), "{recorded}");
        counted += total(&strangers.close());
        assert_eq!(counted, 10 * 4 * 3600);
    }

    #[test]
    fn beyond_the_hours_sums_there_is_one_a_minute_and_the_next_hour_has_its_own() {
        let (strangers, start) = (Strangers::default(), Instant::now());
        let refused = |second| {
            for number in 0..200_u32 {
                note(&strangers, IpAddr::V4(number.into()));
            }
            sums(&strangers.settle(start + Duration::from_secs(second)))
        };
        for second in 0..18 {
            assert_eq!(refused(second).len(), 200);
        }
        assert_eq!(refused(18), [(ANYWHERE, 200)]);
        for second in 19..78 {
            assert_eq!(refused(second), []);
        }
        assert_eq!(refused(78), [(ANYWHERE, 60 * 200)]);
        assert_eq!(refused(3600).len(), 200);
    }
}
