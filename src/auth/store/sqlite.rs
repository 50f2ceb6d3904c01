//! SQLite as a store: a file, and the thread that writes it. A disk that is full or fails is quick to say so, and is
//! asked again each time.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use tracing::warn;

use super::Measures;
use super::file::File;
use super::keeper::{Asked, Keeper, Verdict};
use super::rows::{Rows, Trouble};
use super::writer::{Terms, Writer};
use crate::wire::Millis;

/// A commit costs the same for one value and for several. Whoever comes later than this after the one before does not
/// wait.
const SPACING: Duration = Duration::from_millis(2);
/// How long a question waits for its answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// Milliseconds by which the wall clock may leave the time that passes without having jumped.
const JUMP_MS: u64 = 2_000;
/// How long nothing is forgotten after it did.
const SETTLES: Duration = Duration::from_secs(300);

/// Starts the thread.
pub(super) fn start(file: File, measures: Measures) -> io::Result<Writer> {
    let terms = Terms { up: file.up, deadline: DEADLINE, asked_when_down: true, lines: 1 };
    Writer::start(terms, measures, move |desk| {
        // A write beyond RLIMIT_FSIZE is then an error like a full disk.
        let mut held = SigSet::empty();
        held.add(Signal::SIGXFSZ);
        let blocked = held.thread_block().map_err(|errno| errno.to_string());
        let rows = blocked.and_then(|()| Rows::of(&file.connection, file.most).map_err(|trouble| trouble.to_string()));
        match rows {
            Ok(rows) => desk.serve(&mut Timed::new(rows)),
            Err(why) => desk.lost(&why),
        }
    })
}

/// Rows, by a clock that may jump.
struct Timed<'c> {
    rows: Rows<'c>,
    /// What both clocks said last.
    before: (Instant, Millis),
    /// Until when nothing is forgotten.
    shaken: Option<Instant>,
}

impl<'c> Timed<'c> {
    fn new(rows: Rows<'c>) -> Self {
        Self { rows, before: (Instant::now(), Millis::now()), shaken: None }
    }

    /// The instant, by which rows are forgotten only if the clock has gone on as time does: one that is ahead for a
    /// moment would have values forgotten that hold when it is set right.
    fn now(&mut self) -> Millis {
        let (instant, now) = (Instant::now(), Millis::now());
        let passed = i64::try_from((instant - self.before.0).as_millis()).unwrap_or(i64::MAX);
        let jumped = (now.0 - self.before.1.0).abs_diff(passed);
        if jumped > JUMP_MS {
            warn!(event = "clock-jumped", ms = now.0 - self.before.1.0 - passed);
            self.shaken = Some(instant + SETTLES);
        }
        self.before = (instant, now);
        self.rows.forgets = self.shaken.is_none_or(|until| until <= instant);
        now
    }
}

impl Keeper for Timed<'_> {
    type Trouble = Trouble;

    fn decide(&mut self, asked: &[Asked]) -> Result<Vec<Verdict>, Trouble> {
        let now = self.now();
        self.rows.decide_at(asked, now)
    }

    /// A store that is down finds out that there is room; one that is up forgets what is over.
    fn idle(&mut self, up: bool) -> Result<(), Trouble> {
        let now = self.now();
        if up { self.rows.tidy(now) } else { self.rows.probe(now) }
    }

    fn count(&self) -> u64 {
        self.rows.count
    }

    fn spacing(&self) -> Duration {
        SPACING
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::*;

    /// Is something forgotten, when both clocks said last what they say now, but the wall clock so many milliseconds
    /// less?
    fn forgets(timed: &mut Timed<'_>, ahead_ms: i64) -> bool {
        timed.before = (Instant::now(), Millis::now().plus(-ahead_ms));
        timed.now();
        timed.rows.forgets
    }

    #[test]
    fn a_clock_that_jumps_either_way_has_nothing_forgotten_until_it_has_settled() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(directory.path(), 10).unwrap();
        let mut timed = Timed::new(Rows::of(&file.connection, 10).unwrap());
        for ahead_ms in [0, 1_500, -1_500] {
            assert!(forgets(&mut timed, ahead_ms), "{ahead_ms} is what clocks do");
        }
        for ahead_ms in [2_500, -2_500, 86_400_000, -86_400_000] {
            timed.shaken = None;
            assert!(!forgets(&mut timed, ahead_ms), "{ahead_ms}");
            let until = timed.shaken.unwrap();
            assert!(until > Instant::now() + SETTLES - Duration::from_secs(1), "{ahead_ms}");
            // It goes on as time does: not at once is it believed.
            assert!(!forgets(&mut timed, 0), "{ahead_ms}");
            timed.shaken = Some(Instant::now());
            assert!(forgets(&mut timed, 0), "{ahead_ms}");
        }
    }
}
