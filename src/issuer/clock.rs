//! The wall clock, held to the record: no entry may be older than the last. A clock that has stepped back
//! more than two seconds stops issuing until it has caught up; a smaller step is smoothed over.

use crate::wire::Millis;

/// The step back that is forgiven, milliseconds.
const FORGIVEN_MS: i64 = 2000;

/// The clock is behind the record by this many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind(pub(super) i64);

/// The last instant known to be in the record, and whether issuing has stopped.
#[derive(Debug)]
pub(super) struct Clock {
    last: Millis,
    stopped: bool,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { last: Millis(0), stopped: false }
    }

    /// The record's last entry is of this instant.
    pub(super) fn observe(&mut self, last: Millis) {
        self.last = self.last.max(last);
    }

    /// The instant for a new entry and a new token, never before the last one.
    pub(super) fn check(&mut self, wall: Millis) -> Result<Millis, Behind> {
        let behind = self.last.0.saturating_sub(wall.0);
        self.stopped = if self.stopped { behind > 0 } else { behind > FORGIVEN_MS };
        if self.stopped {
            return Err(Behind(behind));
        }
        self.last = self.last.max(wall);
        Ok(self.last)
    }

    /// The instant for the outcome of what was begun already: it is written whatever the clock says.
    pub(super) fn stamp(&self, wall: Millis) -> Millis {
        self.last.max(wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_step_back_is_smoothed_over() {
        let mut clock = Clock::new();
        assert_eq!(clock.check(Millis(10_000)), Ok(Millis(10_000)));
        assert_eq!(clock.check(Millis(8_000)), Ok(Millis(10_000)));
        assert_eq!(clock.check(Millis(10_001)), Ok(Millis(10_001)));
    }

    #[test]
    fn a_step_back_stops_issuing_until_the_clock_has_caught_up_entirely() {
        let mut clock = Clock::new();
        clock.observe(Millis(10_000));
        assert_eq!(clock.check(Millis(7_999)), Err(Behind(2_001)));
        assert_eq!(clock.check(Millis(9_999)), Err(Behind(1)));
        assert_eq!(clock.check(Millis(10_000)), Ok(Millis(10_000)));
    }

    #[test]
    fn an_older_record_does_not_turn_the_clock_back() {
        let mut clock = Clock::new();
        clock.observe(Millis(10_000));
        clock.observe(Millis(5_000));
        assert!(clock.check(Millis(6_000)).is_err());
        assert_eq!(clock.stamp(Millis(6_000)), Millis(10_000));
    }
}
