//! The state of issuer and what each message does to it. Which channel a message came over says who sent
//! it; what is in flight is known by a ticket. `serve` feeds it; nothing here waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::ceilings::{Above, Ceilings};
use super::clock::Clock;
use super::handshake;
use super::journal::{self, Journal, Recorded, Released};
use super::keys::Keys;
use super::measures::{LINKS, Lines, Measures};
use super::quota::{Quota, Usage};
use super::signers::{self, Job, NotSigned, Signers};
use super::steps::{Prepared, Signed};
use super::vouchers::{Lodged, NotRedeemed, Vouchers};
use crate::config::issuer::Issuer;
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::sys::failpoint::failpoint;
use crate::wire::frame::Violation;
use crate::wire::links::{AuthToIssuer, Handshake, IssuerToAuth, IssuerToWorker, Mechanism, WorkerToIssuer};
use crate::wire::order::{Failure, Order, Redemption, Voucher};
use crate::wire::permit::Link;
use crate::wire::record::OutcomeResult;
use crate::wire::{Correlation, KeyId, Millis, Octets, Peer};

/// Requests of one worker between question and answer; more are refused, not forbidden.
const MOST_IN_FLIGHT: usize = 256;
/// Channels of workers, and of auth; more are closed at once.
const MOST_WORKERS: usize = 256;
const MOST_OF_ONE_WORKER: usize = 16;
const MOST_AUTHS: usize = 8;
/// Messages read from one channel before the others have their turn.
const TURN: usize = 64;
const SECOND: Duration = Duration::from_secs(1);
/// `Retry-After` of what comes back by itself.
const SOON: Failure = Failure::Unavailable { retry_after_s: 1 };
/// `Retry-After` of what somebody has to look at.
const LATER: Failure = Failure::Unavailable { retry_after_s: 10 };

type WorkerDuplex = Duplex<WorkerToIssuer, IssuerToWorker>;
type AuthDuplex = Duplex<AuthToIssuer, IssuerToAuth>;

#[derive(Debug)]
struct Worker {
    duplex: WorkerDuplex,
    in_flight: usize,
}

/// Who waits for a ticket.
#[derive(Debug)]
struct Asked {
    channel: u64,
    correlation: Correlation,
    since: Instant,
}

/// A handshake waiting for its signature.
#[derive(Debug)]
pub(super) struct Shake {
    channel: u64,
    serial: u64,
    key: KeyId,
    mechanism: Mechanism,
    octets: Vec<u8>,
}

/// What a digest is for.
#[derive(Debug)]
pub(super) enum Work {
    Token(Box<Recorded>),
    Handshake(Box<Shake>),
}

/// Everything issuer knows.
pub(super) struct Office {
    config: Issuer,
    keys: Keys,
    ceilings: Ceilings,
    vouchers: Vouchers,
    clock: Clock,
    pub(super) journal: Journal,
    pub(super) signers: Signers<Work>,
    workers: BTreeMap<u64, Worker>,
    auths: BTreeMap<u64, AuthDuplex>,
    asked: HashMap<u64, Asked>,
    shakes: usize,
    rates: Usage<Peer>,
    next: u64,
    measures: Measures,
    lines: Lines,
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
            clock: Clock::new(),
            journal,
            signers: Signers::new(config.signature_deadline, now),
            workers: BTreeMap::new(),
            auths: BTreeMap::new(),
            asked: HashMap::new(),
            shakes: 0,
            rates: Usage::new(MOST_WORKERS),
            next: 1,
            measures,
            lines: Lines::new(now),
            ready,
            config,
            keys,
        }
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = (u64, &WorkerDuplex)> {
        self.workers.iter().map(|(id, worker)| (*id, &worker.duplex))
    }

    pub(super) fn auths(&self) -> impl Iterator<Item = (u64, &AuthDuplex)> {
        self.auths.iter().map(|(id, duplex)| (*id, duplex))
    }

    /// Is nobody waiting for anything, answers on their way included?
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty()
            && self.shakes == 0
            && self.journal.is_idle()
            && !self.workers.values().any(|worker| worker.duplex.wants_write())
    }

    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn adopt_worker(&mut self, channel: Channel, now: Instant) {
        let peer = channel.peer();
        let of_one = self.workers.values().filter(|worker| worker.duplex.peer() == peer).count();
        if self.workers.len() >= MOST_WORKERS || of_one >= MOST_OF_ONE_WORKER {
            self.say_too_many("worker", peer, now);
            return;
        }
        let id = self.ticket();
        self.workers.insert(id, Worker { duplex: Duplex::new(channel, Link::WorkerToIssuer), in_flight: 0 });
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
        if let Some(left_out) = self.lines.permit(now) {
            tracing::warn!(event = "too-many-channels", link, peer = peer.0, left_out);
        }
    }

    fn violation(&mut self, link: &str, peer: Option<Peer>, why: &Violation, now: Instant) {
        self.measures.violations.with_label_values(&[link]).inc();
        if let Some(left_out) = self.lines.permit(now) {
            let peer = peer.map_or(0, |peer| peer.0);
            tracing::error!(event = "violation", link, peer, why = %why, left_out);
        }
    }

    // --- auth ---

    /// Reads and writes what there is on one of auth's channels.
    pub(super) fn auth_ready(&mut self, id: u64, now: Instant) {
        for _ in 0..TURN {
            let Some(duplex) = self.auths.get_mut(&id) else { return };
            let received = duplex.flush().and_then(|()| duplex.receive());
            let answered = match received {
                Ok(None) => return,
                Ok(Some(AuthToIssuer::Withdraw(voucher))) => {
                    self.vouchers.withdraw(voucher);
                    Ok(())
                }
                Ok(Some(AuthToIssuer::Lodge(voucher))) => self.lodge(id, voucher, now),
                Err(closed) => Err(closed),
            };
            if let Err(closed) = answered {
                if let Some(duplex) = self.auths.remove(&id)
                    && let Closed::Violation(violation) = &closed
                {
                    self.violation(LINKS[1], Some(duplex.peer()), violation, now);
                }
                return;
            }
        }
    }

    fn lodge(&mut self, id: u64, voucher: Voucher, now: Instant) -> Result<(), Closed> {
        let name = voucher.id;
        let answer = match self.vouchers.lodge(voucher, now)? {
            Lodged::Taken => IssuerToAuth::Lodged(name),
            Lodged::Full => IssuerToAuth::Declined { voucher: name, failure: SOON },
            Lodged::Spent => IssuerToAuth::Declined { voucher: name, failure: Failure::NoSuchVoucher },
        };
        self.measures.vouchers.set(i64::try_from(self.vouchers.count()).unwrap_or(i64::MAX));
        self.auths.get_mut(&id).map_or(Ok(()), |duplex| duplex.send(&answer))
    }

    // --- workers ---

    /// Writes what waits for one worker; for a process that takes nothing in any more.
    pub(super) fn worker_flush(&mut self, id: u64, now: Instant) {
        if let Some(worker) = self.workers.get_mut(&id)
            && let Err(closed) = worker.duplex.flush()
        {
            self.drop_worker(id, &closed, now);
        }
    }

    /// Reads and writes what there is on one worker's channel.
    pub(super) fn worker_ready(&mut self, id: u64, now: Instant) {
        for _ in 0..TURN {
            let Some(worker) = self.workers.get_mut(&id) else { return };
            let received = worker.duplex.flush().and_then(|()| worker.duplex.receive());
            let taken = match received {
                Ok(None) => return,
                Ok(Some(WorkerToIssuer::Redeem(redemption))) => self.redeem(id, &redemption, now),
                Ok(Some(WorkerToIssuer::Handshake(handshake))) => self.handshake(id, &handshake, now),
                Err(closed) => Err(closed),
            };
            if let Err(closed) = taken {
                self.drop_worker(id, &closed, now);
                return;
            }
        }
    }

    fn drop_worker(&mut self, id: u64, closed: &Closed, now: Instant) {
        let Some(worker) = self.workers.remove(&id) else { return };
        let peer = worker.duplex.peer();
        if let Closed::Violation(violation) = closed {
            self.violation(LINKS[0], Some(peer), violation, now);
        }
        if !self.workers.values().any(|other| other.duplex.peer() == peer) {
            self.vouchers.bereave(peer);
            self.rates.forget(&peer);
        }
    }

    /// Answers a worker; one that is gone or does not read is dropped.
    fn answer(&mut self, id: u64, message: &IssuerToWorker, now: Instant) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if let Err(closed) = worker.duplex.send(message) {
            self.drop_worker(id, &closed, now);
        }
    }

    fn redeem(&mut self, channel: u64, redemption: &Redemption, now: Instant) -> Result<(), Closed> {
        let Some(worker) = self.workers.get(&channel) else { return Ok(()) };
        let (peer, in_flight) = (worker.duplex.peer(), worker.in_flight);
        let correlation = redemption.correlation;
        let outcome = match self.vouchers.redeem(redemption, peer, now) {
            Ok(order) => {
                failpoint("redeemed");
                if in_flight < MOST_IN_FLIGHT { self.issue(channel, order, now) } else { Err(("full", SOON)) }
            }
            Err(NotRedeemed::NoSuchVoucher) => Err(("voucher", Failure::NoSuchVoucher)),
            Err(NotRedeemed::Violation(violation)) => return Err(violation.into()),
        };
        if let Err((reason, failure)) = outcome {
            self.refuse(channel, correlation, reason, failure, now);
        }
        Ok(())
    }

    /// The first steps of an order: approved, prepared, its intent on its way to the record.
    fn issue(&mut self, channel: u64, order: Order, now: Instant) -> Result<(), (&'static str, Failure)> {
        let correlation = order.correlation;
        let wall = self.clock.check(Millis::now());
        self.measures.clock_stopped.set(i64::from(wall.is_err()));
        let wall = match wall {
            Ok(wall) => wall,
            Err(behind) => {
                if let Some(left_out) = self.lines.permit(now) {
                    tracing::error!(correlation = %correlation, event = "clock-stopped", behind_ms = behind.0, left_out);
                }
                return Err(("clock", LATER));
            }
        };
        if !self.journal.has_room() {
            return Err(("full", SOON));
        }
        let ticket = self.ticket();
        let prepared = self.prepare(ticket, order, wall, now).map_err(|refused| match refused {
            Err(above) => {
                self.measures.above.with_label_values(&[above.word()]).inc();
                if let Some(left_out) = self.lines.permit(now) {
                    tracing::warn!(correlation = %correlation, event = "above-ceiling", ceiling = above.word(), left_out);
                }
                ("ceiling", Failure::AboveCeiling)
            }
            Ok(reason) => (reason, LATER),
        })?;
        self.asked.insert(ticket, Asked { channel, correlation, since: now });
        if let Some(worker) = self.workers.get_mut(&channel) {
            worker.in_flight += 1;
        }
        self.journal.intend(prepared, now);
        Ok(())
    }

    /// `Err(Ok(reason))` is something of ours, `Err(Err(above))` something of the order's.
    fn prepare(
        &mut self,
        ticket: u64,
        order: Order,
        wall: Millis,
        now: Instant,
    ) -> Result<Prepared, Result<&'static str, Above>> {
        let ceiling = self.ceilings.find(&order.relying_party).ok_or(Err(Above::RelyingParty))?;
        let (key, algorithm) = self.config.assertion_key(ceiling).ok_or(Ok("signer"))?;
        let key = self.keys.find(&key.id).ok_or(Ok("signer"))?;
        let audience = ceiling.audience.clone();
        if !self.signers.is_available(&key.id, now) {
            return Err(Ok("signer"));
        }
        let approved = self.ceilings.approve(order, wall, now).map_err(Err)?;
        Prepared::prepare(approved, ticket, &self.config.name, &audience, key, algorithm).map_err(Err)
    }

    fn refuse(&mut self, channel: u64, correlation: Correlation, reason: &'static str, failure: Failure, now: Instant) {
        self.measures.refused.with_label_values(&[reason]).inc();
        if let Some(left_out) = self.lines.permit(now) {
            tracing::info!(correlation = %correlation, event = "refused", reason, left_out);
        }
        self.answer(channel, &IssuerToWorker::Failed { correlation, failure }, now);
    }

    /// Ends a ticket without a token.
    fn fail(&mut self, ticket: u64, reason: &'static str, failure: Failure, now: Instant) {
        if let Some(asked) = self.close_ticket(ticket) {
            self.refuse(asked.channel, asked.correlation, reason, failure, now);
        }
    }

    fn close_ticket(&mut self, ticket: u64) -> Option<Asked> {
        let asked = self.asked.remove(&ticket)?;
        if let Some(worker) = self.workers.get_mut(&asked.channel) {
            worker.in_flight = worker.in_flight.saturating_sub(1);
        }
        Some(asked)
    }

    fn handshake(&mut self, channel: u64, handshake: &Handshake, now: Instant) -> Result<(), Closed> {
        let Some(worker) = self.workers.get(&channel) else { return Ok(()) };
        let (peer, in_flight) = (worker.duplex.peer(), worker.in_flight);
        let to_sign = handshake::build(handshake, &self.keys)?;
        let key = to_sign.key.id.clone();
        let quota = Quota::new(self.config.handshakes_per_second, SECOND);
        let used = self.rates.one_more(&peer, quota, now).filter(|_| in_flight < MOST_IN_FLIGHT);
        let refused = match used {
            None => Some("rate"),
            Some(_) if !self.signers.is_available(&key, now) => Some("unavailable"),
            Some(used) => {
                self.rates.note(peer, used);
                None
            }
        };
        if let Some(result) = refused {
            self.measures.handshakes.with_label_values(&[result]).inc();
            self.answer(channel, &IssuerToWorker::HandshakeFailed { serial: handshake.serial }, now);
            return Ok(());
        }
        let mechanism = to_sign.mechanism;
        let shake = Shake { channel, serial: handshake.serial, key: key.clone(), mechanism, octets: to_sign.octets };
        let digest = match mechanism.digest_length() {
            48 => &aws_lc_rs::digest::SHA384,
            64 => &aws_lc_rs::digest::SHA512,
            _ => &aws_lc_rs::digest::SHA256,
        };
        let digest = aws_lc_rs::digest::digest(digest, &shake.octets).as_ref().to_vec();
        if let Some(worker) = self.workers.get_mut(&channel) {
            worker.in_flight += 1;
        }
        self.shakes += 1;
        self.signers.sign(Job { key, mechanism, digest, work: Work::Handshake(Box::new(shake)) }, now);
        Ok(())
    }

    // --- what comes back ---

    pub(super) fn signer_ready(&mut self, id: u64, now: Instant) {
        self.signers.ready(id, &self.keys, now);
    }

    /// Carries on with whatever the record and the signers have answered, until nothing is left to do.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.journal.event() {
                self.journalled(event, now);
            } else if let Some(event) = self.signers.event() {
                self.signer_event(event, now);
            } else {
                break;
            }
        }
        let assertion = self.keys.iter().filter(|key| key.purpose == crate::config::issuer::Purpose::Assertion);
        let signs = assertion.into_iter().any(|key| self.signers.has_signer(&key.id));
        let ready = signs && self.journal.is_open() && self.measures.clock_stopped.get() == 0;
        self.ready.store(ready, Ordering::Relaxed);
        self.measures.in_flight.set(i64::try_from(self.asked.len()).unwrap_or(i64::MAX));
        self.measures.signers.set(i64::try_from(self.signers.usable()).unwrap_or(i64::MAX));
    }

    /// Deadlines.
    pub(super) fn tick(&mut self, now: Instant) {
        self.vouchers.expire(now);
        self.measures.vouchers.set(i64::try_from(self.vouchers.count()).unwrap_or(i64::MAX));
        self.journal.tick(now);
        self.signers.tick(now);
        self.settle(now);
    }

    fn journalled(&mut self, event: journal::Event, now: Instant) {
        use journal::Event;
        match event {
            Event::Recorded(recorded) => {
                failpoint("recorded");
                let prepared = recorded.prepared();
                let (key, mechanism, digest) = (prepared.key().clone(), prepared.mechanism(), prepared.digest());
                self.signers.sign(Job { key, mechanism, digest, work: Work::Token(recorded) }, now);
            }
            Event::NotRecorded(prepared) => self.fail(prepared.ticket(), "record", SOON, now),
            Event::Released(released) => self.hand_over(*released, now),
            Event::NotReleased(ticket) => self.fail(ticket, "record", SOON, now),
            Event::Head(last) => {
                self.clock.observe(last.unwrap_or(Millis(0)));
                let stopped = self.clock.check(Millis::now()).is_err();
                self.measures.clock_stopped.set(i64::from(stopped));
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

    fn hand_over(&mut self, released: Released, now: Instant) {
        failpoint("released");
        let Some(asked) = self.close_ticket(released.ticket) else { return };
        let release = released.release;
        self.measures.issued.with_label_values(&[release.token_type.name()]).inc();
        self.measures.issue_seconds.observe(now.duration_since(asked.since).as_secs_f64());
        tracing::info!(
            correlation = %release.correlation,
            event = "released",
            token = %release.token_id,
            token_type = release.token_type.name(),
            relying_party = %released.relying_party,
        );
        self.answer(asked.channel, &IssuerToWorker::Released(release), now);
    }

    fn signer_event(&mut self, event: signers::Event<Work>, now: Instant) {
        use signers::Event;
        match event {
            Event::Finished { work: Work::Token(recorded), result, took } => {
                self.measures.sign_seconds.observe(took.as_secs_f64());
                self.token_signed(*recorded, result, now);
            }
            Event::Finished { work: Work::Handshake(shake), result, .. } => {
                self.shakes = self.shakes.saturating_sub(1);
                self.handshake_signed(&shake, result, now);
            }
            Event::Ready { serial, sessions, refused } => {
                for (key, why) in refused {
                    self.measures.keys_refused.inc();
                    tracing::error!(event = "key-refused", key, why, token = serial);
                }
                tracing::info!(event = "signer-ready", token = serial, sessions);
            }
            Event::Health(usable) => tracing::warn!(event = "signer-health", usable),
            Event::Gone(Closed::Violation(violation)) => self.violation(LINKS[2], None, &violation, now),
            Event::Gone(closed) => tracing::warn!(event = "signer-gone", why = %closed),
        }
    }

    fn token_signed(&mut self, recorded: Recorded, result: Result<Octets<512>, NotSigned>, now: Instant) {
        let instant = self.clock.stamp(Millis::now());
        let ticket = recorded.prepared().ticket();
        let (recorded, end, reason) = match result {
            Ok(signature) => match self.seal(recorded, &signature, instant) {
                Ok(signed) => {
                    failpoint("signed");
                    self.journal.release(signed, now);
                    return;
                }
                Err(recorded) => {
                    self.measures.wrong_signatures.inc();
                    let prepared = recorded.prepared();
                    tracing::error!(
                        correlation = %prepared.correlation(),
                        event = "wrong-signature",
                        token = %prepared.token_id(),
                        relying_party = prepared.relying_party(),
                    );
                    (recorded, OutcomeResult::WrongSignature, "wrong-signature")
                }
            },
            Err(_) => (recorded, OutcomeResult::NotSigned, "signer"),
        };
        self.journal.note(recorded.prepared().outcome(end, instant), now);
        self.fail(ticket, reason, SOON, now);
    }

    fn seal(&self, recorded: Recorded, signature: &[u8], instant: Millis) -> Result<Signed, Recorded> {
        match self.keys.find(recorded.prepared().key()) {
            Some(key) => Signed::seal(recorded, signature, key, instant),
            None => Err(recorded),
        }
    }

    fn handshake_signed(&mut self, shake: &Shake, result: Result<Octets<512>, NotSigned>, now: Instant) {
        if let Some(worker) = self.workers.get_mut(&shake.channel) {
            worker.in_flight = worker.in_flight.saturating_sub(1);
        }
        let serial = shake.serial;
        let verified = result.ok().filter(|signature| {
            let good =
                self.keys.find(&shake.key).is_some_and(|key| key.verifies(shake.mechanism, &shake.octets, signature));
            if !good {
                self.measures.wrong_signatures.inc();
                tracing::error!(event = "wrong-signature", handshake = serial);
            }
            good
        });
        let encoded = verified.and_then(|signature| handshake::encode(shake.mechanism, &signature));
        let (result, message) = match encoded {
            Some(signature) => ("signed", IssuerToWorker::HandshakeSigned { serial, signature }),
            None => ("failed", IssuerToWorker::HandshakeFailed { serial }),
        };
        self.measures.handshakes.with_label_values(&[result]).inc();
        self.answer(shake.channel, &message, now);
    }
}
