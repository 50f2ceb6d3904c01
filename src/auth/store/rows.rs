//! The rows, as their one writer sees them: a batch of questions is decided in one transaction, and the verdicts hold
//! once it is committed. A row that is still valid is never removed. Which those are the wall clock says; where it says
//! an instant before one that was over already when rows were removed, what it says to be new may have been here, and
//! nobody is answered.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Statement};

use super::file;
use super::keeper::{Asked, Verdict};
use crate::wire::Millis;

/// A row outlives its expiry by this much, milliseconds, unless its room is needed: a clock that is set back
/// by less finds it still there.
const KEPT_MS: i64 = 60_000;
/// Rows removed in a transaction besides twice those that come.
const SWEPT: usize = 16;
/// Rows removed in a transaction when nobody asks.
const SWEPT_IDLE: usize = 1024;
/// For how long nothing is looked for once all that was over is gone, milliseconds: what is over in one second goes
/// together, and each transaction would otherwise write twice as many pages.
const PAUSE_MS: i64 = 1_000;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What SQLite says.
    Sqlite(rusqlite::Error),
    /// The clock is behind an instant up to which something was forgotten, by so many milliseconds.
    Behind(i64),
}

type Result<T> = std::result::Result<T, Trouble>;

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "{error}"),
            Self::Behind(ms) => {
                write!(f, "the clock is {ms} ms behind what was forgotten: values used until then could be used again")
            }
        }
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Rows<'c> {
    connection: &'c Connection,
    begin: Statement<'c>,
    commit: Statement<'c>,
    find: Statement<'c>,
    insert: Statement<'c>,
    renew: Statement<'c>,
    sweep: Statement<'c>,
    mark: Statement<'c>,
    pub(super) count: u64,
    most: u64,
    /// Every row removed was over at this instant.
    forgotten: Millis,
    /// When all that was over by this instant was removed, it is this instant.
    swept: Option<Millis>,
    /// May rows be removed now?
    pub(super) forgets: bool,
}

impl<'c> Rows<'c> {
    /// Those of an open file, `most` at most.
    pub(super) fn of(connection: &'c Connection, most: u64) -> Result<Self> {
        let forgotten = connection.query_row("SELECT until FROM forgotten", [], |row| row.get(0))?;
        let count: i64 = connection.query_row("SELECT count(*) FROM first_seen", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            find: connection.prepare("SELECT expires FROM first_seen WHERE key = ?1")?,
            insert: connection
                .prepare("INSERT INTO first_seen (key, expires) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING")?,
            renew: connection.prepare("UPDATE first_seen SET expires = ?2 WHERE key = ?1")?,
            sweep: connection.prepare(
                "DELETE FROM first_seen WHERE key IN
                 (SELECT key FROM first_seen WHERE expires <= ?1 ORDER BY expires LIMIT ?2)
                 RETURNING expires",
            )?,
            mark: connection.prepare("UPDATE forgotten SET until = ?1")?,
            count: count.unsigned_abs(),
            most,
            forgotten: Millis(forgotten),
            swept: None,
            forgets: true,
        })
    }

    /// Decides every question, in their order, durably.
    ///
    /// # Errors
    /// What SQLite says, or that the clock is behind. Nothing was decided; of what was asked, some may be remembered
    /// after a crash.
    pub(super) fn decide_at(&mut self, asked: &[Asked], now: Millis) -> Result<Vec<Verdict>> {
        self.not_behind(now)?;
        self.transaction(|rows| {
            rows.sweep(now.plus(-KEPT_MS), SWEPT + 2 * asked.len())?;
            asked.iter().map(|asked| rows.one(asked, now)).collect()
        })
    }

    /// Removes what expired.
    ///
    /// # Errors
    /// As [`Self::decide_at`].
    pub(super) fn tidy(&mut self, now: Millis) -> Result<()> {
        self.not_behind(now)?;
        self.transaction(|rows| rows.sweep(now.plus(-KEPT_MS), SWEPT_IDLE))
    }

    /// Can anything be written?
    ///
    /// # Errors
    /// It cannot.
    pub(super) fn probe(&self, now: Millis) -> Result<()> {
        self.not_behind(now)?;
        Ok(file::probe(self.connection)?)
    }

    fn not_behind(&self, now: Millis) -> Result<()> {
        let behind = self.forgotten.0.saturating_sub(now.0);
        if behind > 0 { Err(Trouble::Behind(behind)) } else { Ok(()) }
    }

    fn transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = (self.count, self.forgotten, self.swept);
        let attempt = || {
            self.begin.execute([])?;
            let done = work(self)?;
            self.commit.execute([])?;
            Ok(done)
        };
        let outcome = attempt();
        if outcome.is_err() {
            (self.count, self.forgotten, self.swept) = before;
            if !self.connection.is_autocommit() {
                // Where it fails, so does the next BEGIN, and this is tried again.
                let _still_open = self.connection.execute_batch("ROLLBACK");
            }
        }
        outcome
    }

    fn one(&mut self, asked: &Asked, now: Millis) -> Result<Verdict> {
        let Asked { key, expires, room } = asked;
        let most = room.of(self.most);
        // Nearly every value is new, and there is room: then it is looked for and written in one.
        if self.count < most && self.insert.execute((key, expires.0))? == 1 {
            self.count += 1;
            return Ok(Verdict::New);
        }
        match self.find.query_row([key], |row| row.get::<_, i64>(0)).optional()? {
            Some(until) if until > now.0 => return Ok(Verdict::Seen),
            Some(_) => {
                self.renew.execute((key, expires.0))?;
            }
            None => {
                self.remove(now, SWEPT)?;
                if self.count >= most {
                    return Ok(Verdict::Full);
                }
                self.insert.execute((key, expires.0))?;
                self.count += 1;
            }
        }
        Ok(Verdict::New)
    }

    /// Removes at most so many rows that expired at `until` or before, unless that was done a moment ago. A clock that
    /// was set back makes no moment of a day.
    fn sweep(&mut self, until: Millis, most: usize) -> Result<()> {
        let lately = |swept: Millis| swept <= until && until < swept.plus(PAUSE_MS);
        if self.swept.is_some_and(lately) || !self.forgets {
            return Ok(());
        }
        let before = self.count;
        self.remove(until, most)?;
        let all = before - self.count < most as u64;
        self.swept = all.then_some(until);
        Ok(())
    }

    /// Removes at most so many rows that expired at `until` or before.
    fn remove(&mut self, until: Millis, most: usize) -> Result<()> {
        if !self.forgets {
            return Ok(());
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (mut removed, mut latest) = (0, self.forgotten.0);
        for expired in self.sweep.query_map((until.0, most), |row| row.get::<_, i64>(0))? {
            (removed, latest) = (removed + 1, latest.max(expired?));
        }
        self.count = self.count.saturating_sub(removed);
        if latest > self.forgotten.0 {
            self.mark.execute([latest])?;
            self.forgotten = Millis(latest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::super::keeper::Key;
    use super::Verdict::{Full, New, Seen};
    use super::*;
    use crate::config::auth::Room;

    fn with(most: u64, test: impl FnOnce(Rows<'_>)) {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(directory.path(), most).unwrap();
        test(Rows::of(&file.connection, most).unwrap());
    }

    fn key(number: u8) -> Key {
        [number; 32]
    }

    fn asked(key: Key, expires: i64) -> Asked {
        Asked { key, expires: Millis(expires), room: Room::All }
    }

    fn ask(rows: &mut Rows<'_>, number: u8, expires: i64, now: i64) -> Verdict {
        rows.decide_at(&[asked(key(number), expires)], Millis(now)).unwrap()[0]
    }

    #[test]
    fn each_kind_fills_the_table_as_far_as_it_may() {
        with(8, |mut rows| {
            let of = |room, numbers: std::ops::Range<u8>, expires| -> Vec<Asked> {
                numbers.map(|number| Asked { room, ..asked(key(number), expires) }).collect()
            };
            let others = |numbers, expires| of(Room::Most, numbers, expires);
            assert_eq!(rows.decide_at(&of(Room::Half, 0..5, 100), Millis(0)).unwrap(), [New, New, New, New, Full]);
            assert_eq!(rows.decide_at(&others(4..6, 100), Millis(0)).unwrap(), [New; 2]);
            assert_eq!(rows.decide_at(&of(Room::Half, 0..1, 100), Millis(0)).unwrap(), [Seen]);
            assert_eq!(rows.decide_at(&others(6..8, 100), Millis(0)).unwrap(), [Full; 2]);
            assert_eq!(
                (ask(&mut rows, 6, 200, 0), ask(&mut rows, 7, 200, 0), ask(&mut rows, 8, 200, 0)),
                (New, New, Full)
            );
            // What was seen is seen all the same, and what is past makes room for both.
            assert_eq!(rows.decide_at(&others(0..1, 100), Millis(99)).unwrap(), [Seen]);
            assert_eq!(rows.decide_at(&others(8..12, 300), Millis(100)).unwrap(), [New; 4]);
            assert_eq!(rows.decide_at(&others(12..13, 300), Millis(100)).unwrap(), [Full]);
        });
    }

    #[test]
    fn a_key_is_new_once_and_again_when_it_has_expired() {
        with(10, |mut rows| {
            assert_eq!(ask(&mut rows, 1, 100, 0), New);
            assert_eq!(ask(&mut rows, 1, 100, 99), Seen);
            assert_eq!(ask(&mut rows, 1, 300, 100), New);
            assert_eq!(ask(&mut rows, 1, 300, 299), Seen);
            assert_eq!(rows.count, 1);
        });
    }

    #[test]
    fn the_same_key_twice_in_one_batch_has_one_winner() {
        with(10, |mut rows| {
            let asked = [asked(key(1), 9), asked(key(2), 9), asked(key(1), 9)];
            assert_eq!(rows.decide_at(&asked, Millis(0)).unwrap(), [New, New, Seen]);
        });
    }

    #[test]
    fn a_full_store_takes_nothing_new_and_forgets_nothing_valid() {
        with(2, |mut rows| {
            let asked = [asked(key(1), 100), asked(key(2), 200), asked(key(3), 200)];
            assert_eq!(rows.decide_at(&asked, Millis(0)).unwrap(), [New, New, Full]);
            assert_eq!(ask(&mut rows, 1, 100, 99), Seen);
            // What is expired makes room, and no more than is needed goes before its time.
            assert_eq!(ask(&mut rows, 3, 200, 100), New);
            assert_eq!((ask(&mut rows, 2, 200, 100), ask(&mut rows, 1, 200, 100)), (Seen, Full));
        });
    }

    #[test]
    fn a_clock_that_is_set_back_finds_what_had_expired() {
        with(10, |mut rows| {
            assert_eq!(ask(&mut rows, 1, 1_000, 0), New);
            rows.tidy(Millis(1_000 + KEPT_MS - 1)).unwrap();
            assert_eq!(ask(&mut rows, 1, 1_000, 500), Seen);
            rows.tidy(Millis(1_000 + KEPT_MS)).unwrap();
            assert_eq!(rows.count, 0);
        });
    }

    #[test]
    fn a_clock_that_says_an_instant_before_what_was_forgotten_answers_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(directory.path(), 10).unwrap();
        let mut rows = Rows::of(&file.connection, 10).unwrap();
        assert_eq!((ask(&mut rows, 1, 1_000, 0), ask(&mut rows, 2, 900_000, 0)), (New, New));
        // Ahead for a moment, and back: the first is forgotten, and could be used again.
        rows.tidy(Millis(1_000 + KEPT_MS)).unwrap();
        let mut behind = |now| match rows.decide_at(&[asked(key(1), 1_000)], Millis(now)) {
            Err(Trouble::Behind(ms)) => ms,
            other => panic!("{other:?}"),
        };
        assert_eq!((behind(500), behind(999)), (500, 1));
        assert!(rows.tidy(Millis(999)).is_err() && rows.probe(Millis(999)).is_err());
        // Nothing that holds at that instant was forgotten.
        assert_eq!(ask(&mut rows, 2, 900_000, 1_000), Seen);
        drop(rows);
        let mut rows = Rows::of(&file.connection, 10).unwrap();
        assert!(rows.decide_at(&[asked(key(1), 1_000)], Millis(999)).is_err(), "also after a restart");
        // One that may forget nothing is full instead.
        rows.forgets = false;
        rows.tidy(Millis(900_000 + KEPT_MS)).unwrap();
        assert_eq!(rows.count, 1);
    }

    #[test]
    fn expired_rows_go_a_bounded_number_at_a_time() {
        with(10_000, |mut rows| {
            let asked: Vec<Asked> = (0..3000_u16)
                .map(|number| {
                    let mut key = [0; 32];
                    key[..2].copy_from_slice(&number.to_be_bytes());
                    asked(key, 1)
                })
                .collect();
            rows.decide_at(&asked, Millis(0)).unwrap();
            let late = Millis(2 + KEPT_MS);
            rows.tidy(late).unwrap();
            assert_eq!(rows.count, 3000 - SWEPT_IDLE as u64);
            rows.decide_at(&[self::asked([255; 32], late.0 + 1)], late).unwrap();
            assert_eq!(rows.count, 3000 - (SWEPT_IDLE + SWEPT + 2) as u64 + 1);
        });
    }

    #[test]
    fn what_is_over_goes_together_and_a_clock_that_is_set_back_has_nothing_wait() {
        with(10_000, |mut rows| {
            let over = |number: u8| i64::from(number) * 100;
            (1..=20).for_each(|number| _ = ask(&mut rows, number, over(number), 0));
            let mut left = |now: i64| {
                rows.decide_at(&[], Millis(now + KEPT_MS)).unwrap();
                rows.count
            };
            assert_eq!(left(100), 19);
            assert_eq!((left(200), left(1_000), left(100 + PAUSE_MS - 1)), (19, 19, 19));
            assert_eq!(left(100 + PAUSE_MS), 9);
        });
        with(10_000, |mut rows| {
            let far = 86_400_000;
            ask(&mut rows, 1, 100, 0);
            rows.swept = Some(Millis(far));
            rows.tidy(Millis(100 + KEPT_MS)).unwrap();
            assert_eq!(rows.count, 0);
        });
    }

    #[test]
    fn what_failed_leaves_nothing_behind() {
        with(10, |mut rows| {
            let failed: Result<()> = rows.transaction(|rows| {
                rows.one(&asked(key(1), 100), Millis(0))?;
                Err(rusqlite::Error::InvalidQuery.into())
            });
            assert!(failed.is_err() && rows.count == 0);
            assert_eq!(ask(&mut rows, 1, 100, 0), New);
        });
    }
}
