//! issuer's end of the record. An intent goes to audit and comes back as [`Recorded`] when it is durable; a
//! signed token goes in and comes back as [`Released`] once its outcome has been sent. The outcome's own
//! durability is not awaited: an intent without outcome counts as issued in every look-up. While audit is
//! away entries wait, bounded in number and time, and are sent again to its successor; then nothing leaves.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::steps::{Prepared, Signed};
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::wire::frame::Violation;
use crate::wire::links::{FromAudit, IssuerToAudit};
use crate::wire::order::Release;
use crate::wire::permit::Link;
use crate::wire::record::{IssuerEntry, Outcome};
use crate::wire::{Millis, Text};

/// Entries sent or waiting at a time.
const MOST: usize = 4096;
/// Messages read before others have their turn.
const TURN: usize = 1024;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A prepared token whose intent is durable. Only the journal makes one.
#[derive(Debug)]
pub(super) struct Recorded(Prepared);

impl Recorded {
    pub(super) fn prepared(&self) -> &Prepared {
        &self.0
    }
}

/// A token on its way out. Only the journal makes one.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) ticket: u64,
    pub(super) release: Release,
    pub(super) relying_party: Text<128>,
}

/// What the journal has for the rest of the process.
#[derive(Debug)]
pub(super) enum Event {
    /// Go on and sign.
    Recorded(Box<Recorded>),
    /// The intent is not durable: no token.
    NotRecorded(Box<Prepared>),
    /// The outcome is sent: hand it over.
    Released(Box<Released>),
    /// The outcome could not be sent: no token. Its ticket.
    NotReleased(u64),
    /// The record's last entry, for the clock.
    Head(Option<Millis>),
    /// audit is there, or gone.
    Channel(bool),
    /// audit broke the protocol.
    Violation(Violation),
    /// An outcome is not durable; the intent before it stands as issued.
    OutcomeLost,
}

#[derive(Debug)]
enum Entry {
    Intent(Box<Prepared>, Instant),
    Token(Box<Signed>, Instant),
    Outcome(Outcome),
    /// Sent, and given up since: only its acknowledgement is still to come.
    GivenUp,
}

#[derive(Debug)]
enum State {
    Away { again: Instant },
    Opening(Duplex<FromAudit, IssuerToAudit>),
    Open(Duplex<FromAudit, IssuerToAudit>),
}

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    patience: Duration,
    state: State,
    /// Since when audit is not there.
    away: Option<Instant>,
    pause: Duration,
    sequence: u64,
    sent: VecDeque<(u64, Entry)>,
    waiting: VecDeque<Entry>,
    events: VecDeque<Event>,
}

impl Journal {
    /// A journal that connects to audit at `path`; an entry waits no longer than `patience`.
    pub(super) fn new(path: PathBuf, patience: Duration, now: Instant) -> Self {
        Self {
            path,
            patience,
            state: State::Away { again: now },
            away: Some(now),
            pause: FIRST_PAUSE,
            sequence: 0,
            sent: VecDeque::new(),
            waiting: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Is audit there?
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// May an intent be taken in? Not when audit has been away for as long as one may wait.
    pub(super) fn is_available(&self, now: Instant) -> bool {
        self.away.is_none_or(|since| now.duration_since(since) < self.patience)
    }

    /// Is there room for another intent?
    pub(super) fn has_room(&self) -> bool {
        self.sent.len() + self.waiting.len() < MOST
    }

    /// Is nothing under way?
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    /// Records an intent with the next push; it comes back as [`Event::Recorded`] or [`Event::NotRecorded`].
    pub(super) fn intend(&mut self, prepared: Prepared, now: Instant) {
        self.waiting.push_back(Entry::Intent(Box::new(prepared), now + self.patience));
    }

    /// Records with the next push that a token is signed, and lets it go; it comes back as [`Event::Released`] or
    /// [`Event::NotReleased`].
    pub(super) fn release(&mut self, signed: Signed, now: Instant) {
        self.waiting.push_back(Entry::Token(Box::new(signed), now + self.patience));
    }

    /// Records an end without a token with the next push.
    pub(super) fn note(&mut self, outcome: Outcome) {
        if self.has_room() {
            self.waiting.push_back(Entry::Outcome(outcome));
        } else {
            self.events.push_back(Event::OutcomeLost);
        }
    }

    /// The next thing that happened.
    pub(super) fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What to poll, and whether for writing too.
    pub(super) fn poll(&self) -> Option<(BorrowedFd<'_>, bool)> {
        match &self.state {
            State::Away { .. } => None,
            State::Opening(duplex) | State::Open(duplex) => Some((duplex.as_fd(), duplex.wants_write())),
        }
    }

    /// Reads and writes what there is.
    pub(super) fn ready(&mut self, now: Instant) {
        for said in 0.. {
            let (State::Opening(duplex) | State::Open(duplex)) = &mut self.state else { return };
            if said >= TURN && !duplex.holds() {
                return;
            }
            let received = if duplex.wants_write() { duplex.flush() } else { Ok(()) };
            let taken = match received.and_then(|()| duplex.receive()) {
                Ok(Some(message)) => self.take(message).map_err(Closed::Violation),
                Ok(None) => return,
                Err(closed) => Err(closed),
            };
            if let Err(closed) = taken {
                self.lose(closed, now);
                return;
            }
        }
    }

    /// Connects when it is time, and gives up what has waited too long.
    pub(super) fn tick(&mut self, now: Instant) {
        if let State::Away { again } = self.state
            && again <= now
        {
            match Channel::connect(&self.path) {
                Ok(channel) => self.state = State::Opening(Duplex::new(channel, Link::AuditToIssuer)),
                Err(_) => self.lose(Closed::Gone, now),
            }
        }
        for (_, entry) in &mut self.sent {
            if let Entry::Intent(_, deadline) = entry
                && *deadline <= now
                && let Entry::Intent(prepared, _) = std::mem::replace(entry, Entry::GivenUp)
            {
                self.events.push_back(Event::NotRecorded(prepared));
            }
        }
        for entry in std::mem::take(&mut self.waiting) {
            match entry {
                Entry::Intent(prepared, deadline) if deadline <= now => {
                    self.events.push_back(Event::NotRecorded(prepared));
                }
                Entry::Token(signed, deadline) if deadline <= now => {
                    let (ticket, _, outcome, _) = signed.into_parts();
                    self.events.push_back(Event::NotReleased(ticket));
                    self.waiting.push_back(Entry::Outcome(outcome));
                }
                entry => self.waiting.push_back(entry),
            }
        }
    }

    fn take(&mut self, message: FromAudit) -> Result<(), Violation> {
        match message {
            FromAudit::Head { last, .. } => {
                let away = State::Away { again: Instant::now() };
                if let State::Opening(duplex) = std::mem::replace(&mut self.state, away) {
                    self.state = State::Open(duplex);
                }
                self.pause = FIRST_PAUSE;
                self.away = None;
                self.events.push_back(Event::Head(last));
                self.events.push_back(Event::Channel(true));
                Ok(())
            }
            FromAudit::Durable { sequence } if sequence <= self.sequence => {
                while self.sent.front().is_some_and(|(sent, _)| *sent <= sequence) {
                    if let Some((_, Entry::Intent(prepared, _))) = self.sent.pop_front() {
                        self.events.push_back(Event::Recorded(Box::new(Recorded(*prepared))));
                    }
                }
                Ok(())
            }
            FromAudit::NotDurable { sequence } => {
                let at = self.sent.binary_search_by_key(&sequence, |(sent, _)| *sent);
                let entry = at.ok().and_then(|at| self.sent.remove(at));
                match entry.ok_or(Violation::Rule("entry refused that was not sent"))?.1 {
                    Entry::Intent(prepared, _) => self.events.push_back(Event::NotRecorded(prepared)),
                    Entry::Outcome(_) => self.events.push_back(Event::OutcomeLost),
                    Entry::Token(..) | Entry::GivenUp => {}
                }
                Ok(())
            }
            FromAudit::Durable { .. } => Err(Violation::Rule("entry acknowledged that was not sent")),
        }
    }

    /// Sends what waits, in order and together. A token becomes [`Released`] here, its outcome on its way before it.
    /// False when nothing came of it.
    pub(super) fn push(&mut self, now: Instant) -> bool {
        let State::Open(duplex) = &mut self.state else { return false };
        if self.waiting.is_empty() {
            return false;
        }
        let (mut sequence, mut sent, mut put) = (self.sequence, Vec::new(), Ok(()));
        while let Some(entry) = self.waiting.pop_front() {
            let record = match &entry {
                Entry::Intent(prepared, _) => prepared.entry(),
                Entry::Token(signed, _) => IssuerEntry::Outcome(signed.outcome().clone()),
                Entry::Outcome(outcome) => IssuerEntry::Outcome(outcome.clone()),
                Entry::GivenUp => continue,
            };
            sequence += 1;
            sent.push(entry);
            put = duplex.queue(&IssuerToAudit::Append { sequence, entry: record });
            if put.is_err() {
                break;
            }
        }
        if let Err(closed) = put.and_then(|()| duplex.flush()) {
            sent.into_iter().rev().for_each(|entry| self.waiting.push_front(entry));
            self.lose(closed, now);
            return true;
        }
        for entry in sent {
            let kept = match entry {
                Entry::Token(signed, _) => {
                    let (ticket, release, outcome, relying_party) = signed.into_parts();
                    let released = Released { ticket, release, relying_party };
                    self.events.push_back(Event::Released(Box::new(released)));
                    Entry::Outcome(outcome)
                }
                entry => entry,
            };
            self.sequence += 1;
            self.sent.push_back((self.sequence, kept));
        }
        true
    }

    /// The channel is over: what was not acknowledged waits for the next one, where it goes first.
    fn lose(&mut self, closed: Closed, now: Instant) {
        self.away.get_or_insert(now);
        if self.is_open() {
            self.events.push_back(Event::Channel(false));
        }
        if let Closed::Violation(violation) = closed {
            self.events.push_back(Event::Violation(violation));
        }
        self.state = State::Away { again: now + self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.sequence = 0;
        for (_, entry) in std::mem::take(&mut self.sent).into_iter().rev() {
            if !matches!(entry, Entry::GivenUp) {
                self.waiting.push_front(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests;
