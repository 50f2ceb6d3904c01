//! The state of issuer and what each message does to it. Which channel a message came over says who sent
//! it; what is in flight is known by a ticket. `serve` feeds it; nothing here waits.

mod answer;
mod channels;
mod issue;
mod shake;
mod unwrap;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use self::answer::Answering;
use self::shake::Shake;
use self::unwrap::Opening;
use super::answers::Answers;
use super::ceilings::Ceilings;
use super::clock::{Behind, Clock};
use super::journal::{self, Journal, Recorded};
use super::keys::Keys;
use super::measures::{LINKS, Lines, Measures};
use super::quota::Usage;
use super::remembered::Remembered;
use super::signers::{self, Answer, Job, Kind, Place, Signers, Task};
use super::vouchers::Vouchers;
use crate::config::issuer::{Issuer, Purpose};
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::sys::failpoint::failpoint;
use crate::wire::frame::Violation;
use crate::wire::links::{AuthToIssuer, IssuerToAuth, IssuerToWorker, WorkerToIssuer};
use crate::wire::order::Failure;
use crate::wire::permit::Link;
use crate::wire::record::OutcomeResult;
use crate::wire::{Correlation, KeyId, Millis, Peer};

/// Requests of one worker and one kind between question and answer, over all its channels and those it has closed; more
/// are refused, not forbidden. Of each kind apart, or strangers' handshakes would leave none for its tokens.
const MOST_IN_FLIGHT: usize = 256;
/// Channels of workers, and of auth; more are closed at once.
const MOST_WORKERS: usize = 256;
const MOST_OF_ONE_WORKER: usize = 16;
const MOST_AUTHS: usize = 8;
/// Messages read from one channel before the others have their turn.
const TURN: usize = 64;
/// `Retry-After` of what comes back by itself.
const SOON: Failure = Failure::Unavailable { retry_after_s: 1 };
/// `Retry-After` of what somebody has to look at.
const LATER: Failure = Failure::Unavailable { retry_after_s: 10 };

type WorkerDuplex = Duplex<WorkerToIssuer, IssuerToWorker>;
type AuthDuplex = Duplex<AuthToIssuer, IssuerToAuth>;

/// Who waits for a ticket.
#[derive(Debug)]
struct Asked {
    channel: u64,
    peer: Peer,
    correlation: Correlation,
    since: Instant,
    /// May the answer with it be signed?
    signed_reply: bool,
    /// Until its digest is on its way.
    place: Option<Place>,
}

/// What a signer's work is for.
#[derive(Debug)]
pub(super) enum Work {
    Token(Box<Recorded>),
    Handshake(Box<Shake>),
    Unwrap(Opening),
    Answer(Box<Answering>),
}

/// Everything issuer knows.
pub(super) struct Office {
    config: Issuer,
    keys: Keys,
    ceilings: Ceilings,
    vouchers: Vouchers,
    remembered: Remembered,
    answers: Answers,
    clock: Clock,
    pub(super) journal: Journal,
    pub(super) signers: Signers<Work>,
    workers: BTreeMap<u64, WorkerDuplex>,
    auths: BTreeMap<u64, AuthDuplex>,
    asked: HashMap<u64, Asked>,
    in_flight: HashMap<(Kind, Peer), usize>,
    rates: Usage<Peer>,
    /// Of session keys that anybody may have sealed, and of those found in something signed.
    unwrap_rates: Usage<(Peer, bool)>,
    next: u64,
    measures: Measures,
    /// For what is ours to say, and what a worker cannot have said at will.
    lines: Lines,
    /// For refusals, of which a worker can have as many as it likes.
    refusals: Lines,
    /// For violations of workers; apart from both, so that neither hides the other.
    breaches: Lines,
    ready: Arc<AtomicBool>,
}

impl Office {
    pub(super) fn new(
        config: Issuer,
        keys: Keys,
        journal: Journal,
        measures: Measures,
        ready: Arc<AtomicBool>,
        now: Instant,
    ) -> Self {
        Self {
            ceilings: Ceilings::new(&config),
            vouchers: Vouchers::new(config.voucher),
            remembered: Remembered::default(),
            answers: Answers::default(),
            clock: Clock::new(),
            journal,
            signers: Signers::new(config.signature_deadline, now),
            workers: BTreeMap::new(),
            auths: BTreeMap::new(),
            asked: HashMap::new(),
            in_flight: HashMap::new(),
            rates: Usage::new(MOST_WORKERS),
            unwrap_rates: Usage::new(2 * MOST_WORKERS),
            next: 1,
            measures,
            lines: Lines::new(now),
            refusals: Lines::new(now),
            breaches: Lines::new(now),
            ready,
            config,
            keys,
        }
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = (u64, &WorkerDuplex)> {
        self.workers.iter().map(|(id, duplex)| (*id, duplex))
    }

    pub(super) fn auths(&self) -> impl Iterator<Item = (u64, &AuthDuplex)> {
        self.auths.iter().map(|(id, duplex)| (*id, duplex))
    }

    /// Is there a deadline to look at soon?
    pub(super) fn is_pressed(&self) -> bool {
        !self.in_flight.is_empty() || !self.journal.is_open()
    }

    /// Is nobody waiting for anything, answers on their way included?
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.journal.is_idle() && !self.workers.values().any(Duplex::wants_write)
    }

    /// A place for one more request of this worker, unless it has too many or it could not be done in time.
    fn place(&mut self, kind: Kind, peer: Peer, key: &KeyId) -> Option<Place> {
        let has_room = self.in_flight.get(&(kind, peer)).is_none_or(|count| *count < MOST_IN_FLIGHT);
        if has_room { self.signers.place(kind, peer, key).ok() } else { None }
    }

    fn begin(&mut self, kind: Kind, peer: Peer) {
        *self.in_flight.entry((kind, peer)).or_default() += 1;
    }

    fn end(&mut self, kind: Kind, peer: Peer) {
        if let Entry::Occupied(mut count) = self.in_flight.entry((kind, peer)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn adopt_worker(&mut self, channel: Channel, now: Instant) {
        let peer = channel.peer();
        let of_one = self.workers.values().filter(|duplex| duplex.peer() == peer).count();
        if self.workers.len() >= MOST_WORKERS || of_one >= MOST_OF_ONE_WORKER {
            self.say_too_many("worker", peer, now);
            return;
        }
        let id = self.ticket();
        self.workers.insert(id, Duplex::new(channel, Link::WorkerToIssuer));
    }

    pub(super) fn adopt_auth(&mut self, channel: Channel, now: Instant) {
        if self.auths.len() >= MOST_AUTHS {
            self.say_too_many("auth", channel.peer(), now);
            return;
        }
        let id = self.ticket();
        self.auths.insert(id, Duplex::new(channel, Link::AuthToIssuer));
    }

    pub(super) fn adopt_signer(&mut self, channel: Channel, now: Instant) {
        let (id, peer) = (self.ticket(), channel.peer());
        if !self.signers.adopt(id, channel) {
            self.say_too_many("signer", peer, now);
        }
    }

    fn say_too_many(&mut self, link: &str, peer: Peer, now: Instant) {
        if let Some(left_out) = self.refusals.permit(now) {
            tracing::warn!(event = "too-many-channels", link, peer = peer.0, left_out);
        }
    }

    fn violation(&mut self, link: &str, peer: Option<Peer>, why: &Violation, now: Instant) {
        self.measures.violations.with_label_values(&[link]).inc();
        let lines = if link == LINKS[0] { &mut self.breaches } else { &mut self.lines };
        if let Some(left_out) = lines.permit(now) {
            let peer = peer.map_or(0, |peer| peer.0);
            tracing::error!(event = "violation", link, peer, why = %why, left_out);
        }
    }

    fn read_clock(&mut self) -> Result<Millis, Behind> {
        let wall = self.clock.check(Millis::now());
        self.measures.clock_stopped.set(i64::from(wall.is_err()));
        wall
    }

    pub(super) fn signer_ready(&mut self, id: u64, now: Instant) {
        self.signers.ready(id, &self.keys, now);
    }

    /// Carries on with whatever the record and the signers have answered, until nothing is left to do; then everybody
    /// is sent what there is for him, together. What is for the record goes before the tokens it is about.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.journal.event() {
                self.journalled(event, now);
            } else if let Some(event) = self.signers.event() {
                self.signer_event(event, now);
            } else if !self.journal.push(now) && !self.signers.flush(now) {
                break;
            }
        }
        self.flush(now);
        let mut assertion = self.keys.iter().filter(|key| key.purpose == Purpose::Assertion);
        let signs = assertion.any(|key| self.signers.has_signer(&key.id));
        let ready = signs && self.journal.is_open() && self.measures.clock_stopped.get() == 0;
        self.ready.store(ready, Ordering::Relaxed);
        self.measures.in_flight.set(i64::try_from(self.asked.len()).unwrap_or(i64::MAX));
        self.measures.signers.set(i64::try_from(self.signers.usable()).unwrap_or(i64::MAX));
    }

    /// Deadlines.
    pub(super) fn tick(&mut self, now: Instant) {
        self.vouchers.expire(now);
        self.remembered.expire(now);
        self.answers.expire(now);
        self.measures.vouchers.set(i64::try_from(self.vouchers.count()).unwrap_or(i64::MAX));
        self.journal.tick(now);
        self.signers.tick(now);
        if self.measures.clock_stopped.get() != 0 && self.read_clock().is_ok() {
            tracing::info!(event = "clock-caught-up");
        }
        self.settle(now);
    }

    fn journalled(&mut self, event: journal::Event, now: Instant) {
        use journal::Event;
        match event {
            Event::Recorded(recorded) => {
                failpoint("recorded");
                let prepared = recorded.prepared();
                // Its instants were taken before audit had said where the record stands, or before the clock
                // was turned back.
                let stopped = self.read_clock().is_err();
                let asked = self.asked.get_mut(&prepared.ticket()).filter(|_| !stopped);
                let Some(place) = asked.and_then(|asked| asked.place.take()) else {
                    let instant = self.clock.stamp(Millis::now());
                    self.journal.note(prepared.outcome(OutcomeResult::NotSigned, instant));
                    self.fail(prepared.ticket(), "clock", LATER, now);
                    return;
                };
                let (key, mechanism, digest) = (prepared.key().clone(), prepared.mechanism(), prepared.digest());
                let task = Task::Sign { mechanism, digest };
                self.signers.perform(place, Job { key, task, work: Work::Token(recorded) }, now);
            }
            Event::NotRecorded(prepared) => self.fail(prepared.ticket(), "record", SOON, now),
            Event::Released(released) => self.hand_over(*released, now),
            Event::NotReleased(ticket) => self.fail(ticket, "record", SOON, now),
            Event::Head(last) => {
                self.clock.observe(last.unwrap_or(Millis(0)));
                if let Err(behind) = self.read_clock() {
                    tracing::error!(event = "clock-stopped", behind_ms = behind.0);
                }
            }
            Event::Channel(true) => tracing::info!(event = "audit-connected"),
            Event::Channel(false) => tracing::warn!(event = "audit-gone"),
            Event::Violation(violation) => self.violation(LINKS[3], None, &violation, now),
            Event::OutcomeLost => {
                self.measures.outcomes_lost.inc();
                if let Some(left_out) = self.lines.permit(now) {
                    tracing::error!(event = "outcome-lost", left_out);
                }
            }
        }
    }

    fn signer_event(&mut self, event: signers::Event<Work>, now: Instant) {
        use signers::Event;
        match event {
            Event::Finished { work, result, by, took } => {
                let wrong = self.measures.wrong_signatures.get();
                match work {
                    Work::Token(recorded) => {
                        self.measures.sign_seconds.observe(took.as_secs_f64());
                        self.token_signed(recorded, result.and_then(Answer::signature), now);
                    }
                    Work::Handshake(shake) => {
                        self.handshake_signed(*shake, result.and_then(Answer::signature), now);
                    }
                    Work::Unwrap(opening) => self.opened(&opening, result, now),
                    Work::Answer(answering) => {
                        self.reply_signed(*answering, result.and_then(Answer::signature), now);
                    }
                }
                if self.measures.wrong_signatures.get() != wrong
                    && let Some(signer) = by
                {
                    self.signers.dismiss(signer, now);
                }
            }
            Event::Ready { serial, sessions, refused } => {
                for (key, why) in refused {
                    self.measures.keys_refused.inc();
                    tracing::error!(event = "key-refused", key, why, token = serial);
                }
                tracing::info!(event = "signer-ready", token = serial, sessions);
            }
            Event::Health(usable) => {
                if let Some(left_out) = self.lines.permit(now) {
                    tracing::warn!(event = "signer-health", usable, left_out);
                }
            }
            Event::Gone(peer, Closed::Violation(violation)) => self.violation(LINKS[2], Some(peer), &violation, now),
            Event::Gone(peer, closed) => tracing::warn!(event = "signer-gone", peer = peer.0, why = %closed),
        }
    }
}
