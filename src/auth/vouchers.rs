//! Lodging vouchers at issuer. A voucher is kept until issuer says it was redeemed or its seconds are over, and is
//! lodged again when issuer was restarted in between. Issuer says `Redeemed` before it does anything with a voucher,
//! and what it said before it died is read before its death is noticed, so a voucher that was taken is never lodged
//! again: single use survives a crash of issuer. Questions about handshakes go the same way; a new issuer remembers
//! none, and says so. So do session keys: opening one has no effect, so whether the issuer that is gone had opened it
//! does not matter, and one that is new is asked again when it does not know the worker yet. An answer belongs to the
//! channel it comes over, and so to the issuer that was asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::dial::{Dial, Line};
use super::reason::Reason;
use crate::sys::gate::LogGate;
use crate::wire::links::{AuthToIssuer, IssuerToAuth, SignedHandshake};
use crate::wire::order::{Failure, Voucher};
use crate::wire::unwrap::{NotUnwrapped, SessionKey, Unwrap};
use crate::wire::{Peer, VoucherId};

/// How long an issuer is new: its workers connect again on their own.
const NEW: Duration = Duration::from_secs(2);
/// Pause before a new one is asked for session keys again.
const AGAIN: Duration = Duration::from_millis(50);
/// Calls on their way; with more than these, new ones are refused.
const CALLS: usize = 4096;

/// The channel of a worker, by the number it was accepted under: process ids come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ChannelNumber(pub(super) u64);

/// Where to lodge. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Vouchers {
    calls: mpsc::Sender<Call>,
    up: Arc<AtomicBool>,
}

/// What issuer made of a voucher.
type Answer = Result<(), Failure>;

#[derive(Debug)]
enum Call {
    Lodge { voucher: Box<Voucher>, channel: ChannelNumber, ttl: Duration, done: oneshot::Sender<Answer> },
    Gone(ChannelNumber),
    Confirm(Box<Question>),
    Unwrap(Box<Opening>),
}

/// About a handshake, and who waits to hear of it.
#[derive(Debug)]
struct Question {
    worker: Peer,
    handshake: SignedHandshake,
    done: oneshot::Sender<Option<Duration>>,
}

impl Question {
    fn ask(&self, question: u64) -> AuthToIssuer {
        AuthToIssuer::Confirm { question, worker: self.worker, handshake: self.handshake.clone() }
    }
}

/// What became of a session key.
type Key = Result<SessionKey, NotUnwrapped>;

/// A session key on its way, and who waits for it.
#[derive(Debug)]
struct Opening {
    unwrap: Unwrap,
    done: oneshot::Sender<Key>,
}

impl Opening {
    fn ask(&self) -> AuthToIssuer {
        let Unwrap { serial, worker, proven, transport, .. } = self.unwrap;
        let (recipient, sealed) = (self.unwrap.recipient.clone(), self.unwrap.sealed.clone());
        AuthToIssuer::Unwrap(Unwrap { serial, worker, proven, recipient, transport, sealed })
    }
}

#[derive(Debug)]
struct Kept {
    voucher: Box<Voucher>,
    channel: ChannelNumber,
    ttl: Duration,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    /// Issuer has not answered; somebody waits.
    Asked(oneshot::Sender<Answer>),
    /// The worker knows it; it is good until then.
    Lodged(Instant),
}

impl Vouchers {
    /// Starts the task that keeps the channel to issuer.
    pub(super) fn open(dial: Dial) -> Self {
        let (calls, queue) = mpsc::channel(CALLS);
        let up = Arc::new(AtomicBool::new(false));
        let desk = Desk {
            kept: HashMap::new(),
            questions: HashMap::new(),
            asked: 0,
            openings: HashMap::new(),
            serial: 0,
            new_until: Instant::now(),
            again: Vec::new(),
            queue,
            lines: LogGate::new(10),
        };
        tokio::spawn(desk.keep(dial, up.clone()));
        Self { calls, up }
    }

    /// Is issuer there?
    #[must_use]
    pub(super) fn up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Returns when issuer has taken the voucher in.
    ///
    /// # Errors
    /// [`Reason::IssuerBusy`] or [`Reason::Declined`], or [`Reason::NotLodged`] when it did not answer before the
    /// deadline.
    pub(super) async fn lodge(
        &self,
        voucher: Voucher,
        channel: ChannelNumber,
        ttl: Duration,
        deadline: Duration,
    ) -> Result<(), Reason> {
        let (done, outcome) = oneshot::channel();
        let call = Call::Lodge { voucher: Box::new(voucher), channel, ttl, done };
        self.calls.try_send(call).map_err(|_| Reason::NotLodged)?;
        match tokio::time::timeout(deadline, outcome).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(Failure::Unavailable { .. }))) => Err(Reason::IssuerBusy),
            Ok(Ok(Err(Failure::NoSuchVoucher | Failure::AboveCeiling))) => Err(Reason::Declined),
            Ok(Err(_)) | Err(_) => Err(Reason::NotLodged),
        }
    }

    /// Asks issuer whether it completed that handshake for that worker, and how long it may still prove a client.
    ///
    /// # Errors
    /// [`Reason::NotConfirmed`] when it did not answer before the deadline.
    pub(super) async fn confirm(
        &self,
        worker: Peer,
        handshake: SignedHandshake,
        deadline: Duration,
    ) -> Result<Option<Duration>, Reason> {
        let (done, outcome) = oneshot::channel();
        let call = Call::Confirm(Box::new(Question { worker, handshake, done }));
        self.calls.try_send(call).map_err(|_| Reason::NotConfirmed)?;
        match tokio::time::timeout(deadline, outcome).await {
            Ok(Ok(left)) => Ok(left),
            Ok(Err(_)) | Err(_) => Err(Reason::NotConfirmed),
        }
    }

    /// Has a session key opened; `unwrap.serial` is set here.
    ///
    /// # Errors
    /// [`NotUnwrapped`]; unavailable, too, when issuer did not answer before the deadline.
    pub(super) async fn unwrap(&self, unwrap: Unwrap, deadline: Duration) -> Key {
        let (done, outcome) = oneshot::channel();
        let call = Call::Unwrap(Box::new(Opening { unwrap, done }));
        self.calls.try_send(call).map_err(|_| NotUnwrapped::Unavailable)?;
        match tokio::time::timeout(deadline, outcome).await {
            Ok(Ok(key)) => key,
            Ok(Err(_)) | Err(_) => Err(NotUnwrapped::Unavailable),
        }
    }

    /// The worker's channel is over: its vouchers are withdrawn. Waits for a place in the queue, for a
    /// voucher that outlives its worker must not be left lying.
    pub(super) async fn gone(&self, channel: ChannelNumber) {
        let _process_ends = self.calls.send(Call::Gone(channel)).await;
    }
}

type ToIssuer = Line<IssuerToAuth, AuthToIssuer>;

struct Desk {
    kept: HashMap<VoucherId, Kept>,
    questions: HashMap<u64, Box<Question>>,
    asked: u64,
    /// Session keys on their way, by serial.
    openings: HashMap<u64, Box<Opening>>,
    serial: u64,
    new_until: Instant,
    /// Serials of those that a new issuer is asked for again.
    again: Vec<u64>,
    queue: mpsc::Receiver<Call>,
    /// A worker that has all its vouchers declined does not fill the log.
    lines: LogGate,
}

/// The order is sent as often as there are issuers to send it to; nothing else may copy a voucher.
fn again(voucher: &Voucher) -> AuthToIssuer {
    let Voucher { id, worker, signed_reply, .. } = *voucher;
    AuthToIssuer::Lodge(Voucher { id, worker, order: voucher.order.clone(), signed_reply })
}

impl Desk {
    async fn keep(mut self, mut dial: Dial, up: Arc<AtomicBool>) {
        loop {
            let line = self.connect(&mut dial).await;
            up.store(true, Ordering::Relaxed);
            let line = self.converse(line).await;
            up.store(false, Ordering::Relaxed);
            dial.hang_up(line, None).await;
        }
    }

    async fn connect(&mut self, dial: &mut Dial) -> ToIssuer {
        let connecting = dial.connect();
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                line = &mut connecting => return line,
                Some(call) = self.queue.recv() => {
                    // Nobody to tell: what a new issuer is told is what is kept.
                    let _messages = self.take(call);
                    self.sweep();
                }
            }
        }
    }

    async fn converse(&mut self, mut line: ToIssuer) -> ToIssuer {
        self.sweep();
        self.new_until = Instant::now() + NEW;
        self.again.clear();
        let asked = self.questions.iter().all(|(number, question)| line.send(question.ask(*number)))
            && self.openings.values().all(|opening| line.send(opening.ask()));
        if !asked || !self.kept.values().all(|kept| line.send(again(&kept.voucher))) {
            return self.part(line).await;
        }
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let mut pause = tokio::time::interval(AGAIN);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let messages = tokio::select! {
                message = line.incoming.recv() => match message {
                    None => return line,
                    Some(message) => self.told(message),
                },
                Some(call) = self.queue.recv() => self.take(call),
                _ = second.tick() => self.sweep(),
                _ = pause.tick(), if !self.again.is_empty() => self.ask_again(),
            };
            if !messages.into_iter().all(|message| line.send(message)) {
                return self.part(line).await;
            }
        }
    }

    /// Reads what issuer still said. When its end is not seen, what it redeemed is not known: then nothing
    /// may be lodged again, and those who wait are told so.
    async fn part(&mut self, mut line: ToIssuer) -> ToIssuer {
        loop {
            match tokio::time::timeout(Duration::from_secs(1), line.incoming.recv()).await {
                Ok(Some(message)) => {
                    let _nobody_to_tell = self.told(message);
                }
                Ok(None) => return line,
                Err(_) => {
                    self.kept.clear();
                    return line;
                }
            }
        }
    }

    /// A call from inside; gives what issuer is to be told.
    fn take(&mut self, call: Call) -> Vec<AuthToIssuer> {
        match call {
            Call::Lodge { voucher, channel, ttl, done } => {
                let message = again(&voucher);
                self.kept.insert(voucher.id, Kept { voucher, channel, ttl, standing: Standing::Asked(done) });
                vec![message]
            }
            Call::Gone(channel) => self.withdraw(|kept| kept.channel == channel),
            Call::Confirm(question) => {
                self.asked += 1;
                let message = question.ask(self.asked);
                self.questions.insert(self.asked, question);
                vec![message]
            }
            Call::Unwrap(mut opening) => {
                self.serial += 1;
                opening.unwrap.serial = self.serial;
                let message = opening.ask();
                self.openings.insert(self.serial, opening);
                vec![message]
            }
        }
    }

    /// A message from issuer.
    fn told(&mut self, message: IssuerToAuth) -> Vec<AuthToIssuer> {
        match message {
            IssuerToAuth::Lodged(id) => {
                // Not there any more: withdrawn while it was on its way, and issuer has been told.
                let Some(kept) = self.kept.get_mut(&id) else { return Vec::new() };
                let until = Instant::now() + kept.ttl;
                match std::mem::replace(&mut kept.standing, Standing::Lodged(until)) {
                    Standing::Asked(done) => {
                        if done.send(Ok(())).is_err() {
                            return self.withdraw(|kept| kept.voucher.id == id);
                        }
                    }
                    // Lodged again: its seconds go on from the first time.
                    first @ Standing::Lodged(_) => kept.standing = first,
                }
            }
            IssuerToAuth::Declined { voucher, failure } => {
                if let Some(left_out) = self.lines.pass() {
                    tracing::warn!(event = "declined", why = ?failure, left_out);
                }
                if let Some(Kept { standing: Standing::Asked(done), .. }) = self.kept.remove(&voucher) {
                    let _given_up = done.send(Err(failure));
                }
            }
            IssuerToAuth::Confirmed { question, left_ms } => {
                if let Some(asked) = self.questions.remove(&question) {
                    let _given_up = asked.done.send(left_ms.map(|left| Duration::from_millis(left.into())));
                }
            }
            IssuerToAuth::Redeemed(id) => {
                self.kept.remove(&id);
            }
            IssuerToAuth::Unwrapped { serial, key } => self.opened(serial, Ok(key)),
            IssuerToAuth::NotUnwrapped { serial, why: NotUnwrapped::NotYet }
                if Instant::now() < self.new_until && self.openings.contains_key(&serial) =>
            {
                self.again.push(serial);
            }
            IssuerToAuth::NotUnwrapped { serial, why } => self.opened(serial, Err(why)),
        }
        Vec::new()
    }

    fn ask_again(&mut self) -> Vec<AuthToIssuer> {
        let waiting = |serial| self.openings.get(serial).filter(|opening| !opening.done.is_closed());
        let messages = self.again.iter().filter_map(waiting).map(|opening| opening.ask()).collect();
        self.again.clear();
        messages
    }

    fn opened(&mut self, serial: u64, key: Key) {
        if let Some(opening) = self.openings.remove(&serial) {
            let _given_up = opening.done.send(key);
        }
    }

    /// Forgets what has run out, and withdraws what nobody waits for any more.
    fn sweep(&mut self) -> Vec<AuthToIssuer> {
        let now = Instant::now();
        self.openings.retain(|_, opening| !opening.done.is_closed());
        self.kept.retain(|_, kept| !matches!(kept.standing, Standing::Lodged(until) if until <= now));
        self.questions.retain(|_, question| !question.done.is_closed());
        self.withdraw(|kept| matches!(&kept.standing, Standing::Asked(done) if done.is_closed()))
    }

    fn withdraw(&mut self, which: impl Fn(&Kept) -> bool) -> Vec<AuthToIssuer> {
        self.kept.extract_if(|_, kept| which(kept)).map(|(id, _)| AuthToIssuer::Withdraw(id)).collect()
    }
}
