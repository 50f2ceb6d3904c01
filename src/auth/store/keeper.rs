//! What auth asks of wherever its values are kept. Who implements it decides a batch at a time, durably, and guesses
//! nothing: what it cannot say it does not say.

use std::fmt;
use std::time::Duration;

use crate::config::auth::Room;
use crate::wire::Millis;

/// What is stored of a value.
pub(super) type Key = [u8; 32];

/// A question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) key: Key,
    pub(super) expires: Millis,
    /// How far it may fill the table.
    pub(super) room: Room,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Never seen, or expired since; remembered from now on.
    New,
    /// Seen, and not expired.
    Seen,
    /// Not seen, and no room to remember it.
    Full,
}

/// Keeps values that may be used once. Valid ones make no room for others.
pub(super) trait Keeper {
    /// Why something is not durable.
    type Trouble: fmt::Display;

    /// Decides every question durably: of those who ask about one value, at the same time or later, one hears that it
    /// is new.
    ///
    /// # Errors
    /// Nothing was decided; of what was asked, some may be remembered.
    fn decide(&mut self, asked: &[Asked]) -> Result<Vec<Verdict>, Self::Trouble>;

    /// Has time, as nobody asks: forgets some of what is over, or, where the last write did not get through, finds out
    /// whether one does now.
    ///
    /// # Errors
    /// None does.
    fn idle(&mut self, up: bool) -> Result<(), Self::Trouble>;

    /// How many values there are.
    fn count(&self) -> u64;

    /// How long after a batch was begun the next one is, at least, so that what comes meanwhile shares it.
    fn spacing(&self) -> Duration {
        Duration::ZERO
    }

    /// How long to wait for a question before it has time.
    fn pause(&self) -> Duration {
        Duration::from_secs(1)
    }
}
