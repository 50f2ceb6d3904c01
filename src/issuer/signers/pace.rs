//! How fast a signer is, from how often it answers while it has all it can take. So it is known how much can be done
//! within the patience; of a signer that never had its fill it is not known, and then nothing speaks against waiting.

use std::time::{Duration, Instant};

/// Shorter than this nothing is measured: sessions may answer all at once and then not for a while.
const SPAN: Duration = Duration::from_millis(100);
/// What was known before counts for so many answers.
const BEFORE: u32 = 4;

/// The pace of one signer.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// From one answer to the next.
    each: Option<Duration>,
    /// Since when it has had its fill, and what it has answered since.
    since: Option<Instant>,
    done: u32,
    /// Answers of this turn, and the soonest.
    fresh: u32,
    soonest: Option<Duration>,
}

impl Pace {
    /// From one answer to the next, while it has all it can take.
    pub(super) fn each(&self) -> Option<Duration> {
        self.each
    }

    /// It has answered; how long after it was asked, unless it was given up on.
    pub(super) fn answered(&mut self, took: Option<Duration>) {
        self.fresh += 1;
        self.soonest = self.soonest.into_iter().chain(took).min();
    }

    /// It has room left, and nobody who could use it: the time that passes now is not its own.
    pub(super) fn rest(&mut self) {
        (self.since, self.done) = (None, 0);
    }

    /// All that it has to say now is read. Did it have its fill before?
    pub(super) fn settle(&mut self, full: bool, now: Instant) {
        let (fresh, soonest) = (std::mem::take(&mut self.fresh), self.soonest.take());
        if fresh == 0 {
            return;
        }
        match self.since {
            _ if !full => {
                (self.since, self.done) = (None, 0);
                self.is_no_slower(soonest);
            }
            None => {
                (self.since, self.done) = (Some(now), 0);
                self.is_no_slower(soonest);
            }
            // While it has its fill, the mean is what counts: one that is quick says nothing of the others.
            Some(since) => {
                self.done += fresh;
                let span = now.duration_since(since);
                if span >= SPAN {
                    // A moment in which the whole machine stood still is soon outweighed.
                    let before = self.each.unwrap_or(span / self.done);
                    self.each = Some((before * BEFORE + span) / (BEFORE + self.done));
                    (self.since, self.done) = (Some(now), 0);
                }
            }
        }
    }

    /// One that answers soon is not as slow as it was, say when it hung.
    fn is_no_slower(&mut self, soonest: Option<Duration>) {
        self.each = self.each.map(|each| soonest.map_or(each, |soonest| each.min(soonest)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// A signer that answers so many every so often.
    fn answers(pace: &mut Pace, (count, every): (usize, Duration), times: u32, now: &mut Instant) {
        for _ in 0..times {
            *now += every;
            (0..count).for_each(|_| pace.answered(Some(every)));
            pace.settle(true, *now);
        }
    }

    #[test]
    fn the_pace_is_what_comes_in_a_span_however_it_comes() {
        for (many, each) in [((1, ms(10)), ms(10)), ((64, ms(64)), ms(1)), ((1, ms(2000)), ms(2000))] {
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            answers(&mut pace, many, 1, &mut now);
            assert_eq!(pace.each(), None);
            answers(&mut pace, many, 20, &mut now);
            assert_eq!(pace.each(), Some(each), "{many:?}");
        }
    }

    /// With one session a single digest is its fill.
    #[test]
    fn the_time_in_which_nobody_asks_is_not_the_signers() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        answers(&mut pace, (1, ms(60)), 6, &mut now);
        assert_eq!(pace.each(), Some(ms(60)));
        for _ in 0..20 {
            pace.rest();
            now += ms(30_000);
            pace.answered(Some(ms(60)));
            pace.settle(true, now);
        }
        assert_eq!(pace.each(), Some(ms(60)));
        // One that was slow once is not for ever, though it has its fill with each and nobody waits.
        answers(&mut pace, (1, ms(1500)), 9, &mut now);
        assert!(pace.each() > Some(ms(1000)), "{pace:?}");
        pace.rest();
        pace.answered(Some(ms(7)));
        pace.settle(true, now + ms(7));
        assert_eq!(pace.each(), Some(ms(7)));
    }

    #[test]
    fn one_that_is_quick_among_many_that_are_not_says_little() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..20 {
            answers(&mut pace, (1, ms(500)), 4, &mut now);
            answers(&mut pace, (1, ms(70)), 1, &mut now);
        }
        assert!(pace.each() > Some(ms(300)) && pace.each() < Some(ms(500)), "{pace:?}");
    }

    #[test]
    fn a_signer_with_time_to_spare_says_nothing_of_its_pace_but_that_it_is_no_slower() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..20 {
            now += ms(50);
            pace.answered(Some(ms(7)));
            pace.settle(false, now);
        }
        assert_eq!(pace.each(), None);
        answers(&mut pace, (1, ms(500)), 3, &mut now);
        assert_eq!(pace.each(), Some(ms(500)));
        pace.answered(None);
        pace.settle(false, now);
        assert_eq!(pace.each(), Some(ms(500)));
        pace.answered(Some(ms(7)));
        pace.settle(false, now);
        assert_eq!(pace.each(), Some(ms(7)));
        // And it is slow again when it is, and fast at once.
        answers(&mut pace, (1, ms(500)), 9, &mut now);
        assert!(pace.each() > Some(ms(400)), "{pace:?}");
        answers(&mut pace, (1, ms(1)), 201, &mut now);
        assert!(pace.each() < Some(ms(20)), "{pace:?}");
    }
}
