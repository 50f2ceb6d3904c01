//! One channel of audit: issuer's or auth's. It hands what arrives to the batch, counts the sequence, and
//! gives the answers once the batch's fate is known.

use std::os::fd::{AsFd, BorrowedFd};

use super::format::{Origin, split_auth, split_issuer};
use super::record::Record;
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::wire::frame::Violation;
use crate::wire::links::{AuthToAudit, FromAudit, IssuerToAudit};
use crate::wire::permit::Link;
use crate::wire::record::IssuerEntry;

/// Octets a batch may have before the rest waits for the next one.
const BATCH: usize = 4 * 1024 * 1024;
/// Entries of one channel in a batch: their refusals have to fit into the channel's queue.
const ENTRIES: u64 = 1024;

#[derive(Debug)]
enum Line {
    Issuer(Duplex<IssuerToAudit, FromAudit>),
    Auth(Duplex<AuthToAudit, FromAudit>),
}

/// A channel and what it waits for.
#[derive(Debug)]
pub(super) struct Session {
    line: Line,
    /// Sequence of the last entry that came.
    received: u64,
    /// Sequence of the last entry that was answered.
    answered: u64,
}

impl Session {
    /// Greets a peer that was accepted from `origin`'s listener with where the record stands.
    pub(super) fn accept(channel: Channel, origin: Origin, record: &Record) -> Result<Self, Closed> {
        let line = match origin {
            Origin::Issuer => Line::Issuer(Duplex::new(channel, Link::IssuerToAudit)),
            Origin::Auth => Line::Auth(Duplex::new(channel, Link::AuthToAudit)),
        };
        let mut session = Self { line, received: 0, answered: 0 };
        session.send(&FromAudit::Head { entries: record.entries(), last: record.last() })?;
        Ok(session)
    }

    /// Whose channel it is.
    pub(super) fn origin(&self) -> Origin {
        match self.line {
            Line::Issuer(_) => Origin::Issuer,
            Line::Auth(_) => Origin::Auth,
        }
    }

    /// The kernel's name for the peer.
    pub(super) fn peer(&self) -> i32 {
        match &self.line {
            Line::Issuer(duplex) => duplex.peer().0,
            Line::Auth(duplex) => duplex.peer().0,
        }
    }

    /// Are there answers the kernel has not taken?
    pub(super) fn wants_write(&self) -> bool {
        match &self.line {
            Line::Issuer(duplex) => duplex.wants_write(),
            Line::Auth(duplex) => duplex.wants_write(),
        }
    }

    fn holds(&self) -> bool {
        match &self.line {
            Line::Issuer(duplex) => duplex.holds(),
            Line::Auth(duplex) => duplex.holds(),
        }
    }

    /// Sends what the kernel takes now.
    pub(super) fn flush(&mut self) -> Result<(), Closed> {
        match &mut self.line {
            Line::Issuer(duplex) => duplex.flush(),
            Line::Auth(duplex) => duplex.flush(),
        }
    }

    fn queue(&mut self, message: &FromAudit) -> Result<(), Closed> {
        match &mut self.line {
            Line::Issuer(duplex) => duplex.queue(message),
            Line::Auth(duplex) => duplex.queue(message),
        }
    }

    fn send(&mut self, message: &FromAudit) -> Result<(), Closed> {
        self.queue(message)?;
        self.flush()
    }

    /// Adds everything that waits to the record's batch, as long as there is room in it. What came before a
    /// channel's end is in the batch. `awaited` becomes true when somebody waits for an entry: issuer awaits no
    /// outcome, for an intent without one counts as issued.
    pub(super) fn drain(&mut self, record: &mut Record, awaited: &mut bool) -> Result<(), Closed> {
        // What came in one datagram is in one batch.
        while self.holds() || (record.waiting() < BATCH && self.unanswered() < ENTRIES) {
            let (origin, sequence, (public, private)) = match &mut self.line {
                Line::Issuer(duplex) => match duplex.receive()? {
                    Some(IssuerToAudit::Append { sequence, entry }) => {
                        *awaited |= !matches!(entry, IssuerEntry::Outcome(_));
                        (Origin::Issuer, sequence, split_issuer(entry))
                    }
                    None => return Ok(()),
                },
                Line::Auth(duplex) => match duplex.receive()? {
                    Some(AuthToAudit::Append { sequence, entry }) => {
                        *awaited = true;
                        (Origin::Auth, sequence, split_auth(entry))
                    }
                    None => return Ok(()),
                },
            };
            if sequence != self.received + 1 {
                return Err(Violation::Rule("the sequence does not go on").into());
            }
            self.received = sequence;
            record.add(origin, public, private.as_ref());
        }
        // What is left lies in the channel until there is room.
        *awaited = true;
        Ok(())
    }

    /// Entries that were received and not answered.
    pub(super) fn unanswered(&self) -> u64 {
        self.received - self.answered
    }

    /// Everything received is on disk.
    pub(super) fn durable(&mut self) -> Result<(), Closed> {
        if self.unanswered() == 0 {
            return Ok(());
        }
        self.answered = self.received;
        self.send(&FromAudit::Durable { sequence: self.received })
    }

    /// Nothing of the batch is on disk: each of its entries is refused by name.
    pub(super) fn not_durable(&mut self) -> Result<(), Closed> {
        for sequence in self.answered + 1..=self.received {
            self.answered = sequence;
            self.queue(&FromAudit::NotDurable { sequence })?;
        }
        self.flush()
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.line {
            Line::Issuer(duplex) => duplex.as_fd(),
            Line::Auth(duplex) => duplex.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::record::{Outcome, OutcomeResult};
    use crate::wire::{Correlation, Millis, Text};

    #[test]
    fn nothing_of_a_datagram_is_left_where_poll_says_nothing_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::open(&directory.path().join("record"), 1 << 30).unwrap();
        let (ours, theirs) = Channel::pair().unwrap();
        let mut session = Session::accept(ours, Origin::Issuer, &record).unwrap();
        let mut issuer = Duplex::<FromAudit, IssuerToAudit>::new(theirs, Link::AuditToIssuer);
        let (token_id, result) = (Text::new("_1").unwrap(), OutcomeResult::NotSigned);
        let outcome = Outcome { instant: Millis(0), correlation: Correlation([1; 16]), token_id, result };
        // One alone, so that the batch is full in the middle of a datagram.
        for sequence in 1..=ENTRIES + 10 {
            issuer.queue(&IssuerToAudit::Append { sequence, entry: IssuerEntry::Outcome(outcome.clone()) }).unwrap();
            if sequence == 1 {
                issuer.flush().unwrap();
            }
        }
        let (mut awaited, mut turns) = (false, 0);
        while session.received < ENTRIES + 10 {
            issuer.flush().unwrap();
            session.drain(&mut record, &mut awaited).unwrap();
            assert!(!session.holds());
            record.commit().unwrap();
            session.durable().unwrap();
            turns += 1;
        }
        assert!(turns >= 2, "one batch does not hold them all");
        assert!(matches!(issuer.receive(), Ok(Some(FromAudit::Head { .. }))));
        let last = std::iter::from_fn(|| issuer.receive().unwrap()).last();
        assert!(matches!(last, Some(FromAudit::Durable { sequence }) if sequence == ENTRIES + 10));
    }
}
