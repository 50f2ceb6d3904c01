//! The signers and the digests on their way to them. A digest goes to the least loaded signer that has shown
//! the right public key for it, once more to another when the first one's token fails, and not beyond its
//! deadline. What comes back is octets; whether they are a signature is decided elsewhere. A session key that is
//! to be opened goes the same way. Whose turn it is when they wait is in `turns`; what could not be done in time gets
//! no place there.

mod pace;
mod turns;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use self::pace::Pace;
use self::turns::Turns;
pub(super) use self::turns::{Kind, Place};
use super::keys::Keys;
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::sys::failpoint::failpoint;
use crate::wire::frame::Violation;
use crate::wire::links::{FailureClass, IssuerToSigner, Mechanism, SignerReady, SignerToIssuer};
use crate::wire::permit::Link;
use crate::wire::unwrap::{KeyTransport, Sealed, SessionKey};
use crate::wire::{KeyId, Octets, Peer};

/// Signers at a time.
const MOST_SIGNERS: usize = 64;
/// Digests a session has at a time: one being signed and one behind it, so that it is never idle while the
/// next is on its way.
const DEPTH: usize = 2;
/// What takes a session longer than this is not worth one behind it: the next waits here, where it has its turn, and
/// the session is idle for a hundredth of that.
const SLOW: Duration = Duration::from_millis(50);
/// Sessions a signer is believed to have: as many as its configuration may say. One that answers nothing keeps
/// as many digests as it says it has room for, until each has waited for its deadline.
const MOST_SESSIONS: u16 = 256;
/// Messages read from one signer before others have their turn.
const TURN: usize = 64;
/// The pause before a digest goes back to a signer that had no session free.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// What is to be done with a key, for `W`.
#[derive(Debug)]
pub(super) struct Job<W> {
    pub(super) key: KeyId,
    pub(super) task: Task,
    pub(super) work: W,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Task {
    /// This digest signed.
    Sign { mechanism: Mechanism, digest: Vec<u8> },
    /// This session key opened.
    Unwrap { transport: KeyTransport, sealed: Sealed },
}

/// What came of it; never of one task's kind for the other's.
#[derive(Debug)]
pub(super) enum Answer {
    Signature(Octets<512>),
    SessionKey(SessionKey),
}

impl Answer {
    fn is_of(&self, task: &Task) -> bool {
        matches!((self, task), (Self::Signature(_), Task::Sign { .. }) | (Self::SessionKey(_), Task::Unwrap { .. }))
    }

    /// The signature; a session key is none.
    pub(super) fn signature(self) -> Result<Octets<512>, NotSigned> {
        match self {
            Self::Signature(signature) => Ok(signature),
            Self::SessionKey(_) => Err(NotSigned::Failed),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotSigned {
    /// Signers said no, or died, twice.
    Failed,
    /// The request itself was refused.
    Refused,
    /// Nobody did it in time.
    Late,
}

/// As much waits as can be done in time, or as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crowded;

/// What an answer has cost its signer. How soon a failure came says nothing of how fast it is.
#[derive(Debug, Clone, Copy)]
enum Effort {
    None,
    Some,
    Whole,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event<W> {
    /// The end of a job, and the signer that did it.
    Finished { work: W, result: Result<Answer, NotSigned>, by: Option<u64>, took: Duration },
    /// A signer is ready, with the keys of ours it may not be used for and why.
    Ready { serial: String, sessions: u16, refused: Vec<(String, &'static str)> },
    /// A signer's token can sign, or cannot.
    Health(bool),
    /// A signer is gone.
    Gone(Peer, Closed),
}

#[derive(Debug)]
struct Waiting<W> {
    job: Job<W>,
    kind: Kind,
    of: Peer,
    since: Instant,
    deadline: Instant,
    not_before: Instant,
    retried: bool,
    avoid: Option<u64>,
}

#[derive(Debug)]
struct Signer {
    duplex: Duplex<SignerToIssuer, IssuerToSigner>,
    sessions: usize,
    keys: HashSet<KeyId>,
    usable: bool,
    /// Ids this signer still owes an answer for, given up ones included.
    owed: HashSet<u64>,
    pace: Pace,
}

impl Signer {
    fn fits(&self, key: &KeyId) -> bool {
        self.usable && self.keys.contains(key)
    }

    /// Digests it may have at a time. Its sessions may be more than its token does at once.
    fn most(&self) -> usize {
        let slow = self.pace.each().is_some_and(|each| each * u32::try_from(self.sessions).unwrap_or(u32::MAX) > SLOW);
        self.sessions * if slow { 1 } else { DEPTH }
    }

    /// How many more it may have.
    fn room(&self) -> usize {
        self.most().saturating_sub(self.owed.len())
    }
}

/// The signers.
#[derive(Debug)]
pub(super) struct Signers<W> {
    patience: Duration,
    signers: BTreeMap<u64, Signer>,
    waiting: Turns<Waiting<W>>,
    /// By id, with the signer that has it and since when.
    out: HashMap<u64, (u64, Instant, Waiting<W>)>,
    next: u64,
    /// When a signer that could be used last went, for each key it had; issuer's start for one that none had.
    lost_at: HashMap<KeyId, Instant>,
    started: Instant,
    events: VecDeque<Event<W>>,
    /// Is a digest queued for a signer, and is a session key?
    queued: (bool, bool),
}

impl<W> Signers<W> {
    /// No signers yet; a job waits no longer than `patience`.
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            signers: BTreeMap::new(),
            waiting: Turns::new(),
            out: HashMap::new(),
            next: 1,
            lost_at: HashMap::new(),
            started: now,
            events: VecDeque::new(),
            queued: (false, false),
        }
    }

    /// A signer has connected. False when there are too many.
    #[must_use]
    pub(super) fn adopt(&mut self, id: u64, channel: Channel) -> bool {
        if self.signers.len() >= MOST_SIGNERS {
            return false;
        }
        let duplex = Duplex::new(channel, Link::SignerToIssuer);
        let signer = Signer {
            duplex,
            sessions: 0,
            keys: HashSet::new(),
            usable: false,
            owed: HashSet::new(),
            pace: Pace::default(),
        };
        self.signers.insert(id, signer);
        true
    }

    /// The next thing that happened.
    pub(super) fn event(&mut self) -> Option<Event<W>> {
        self.events.pop_front()
    }

    /// What to poll: id, descriptor, whether for writing too.
    pub(super) fn poll(&self) -> impl Iterator<Item = (u64, &Duplex<SignerToIssuer, IssuerToSigner>)> {
        self.signers.iter().map(|(id, signer)| (*id, &signer.duplex))
    }

    /// Signers that can sign.
    pub(super) fn usable(&self) -> usize {
        self.signers.values().filter(|signer| signer.usable).count()
    }

    /// May a digest for this key be taken in? A key no signer has had for as long as a digest may wait is
    /// not worth an intent.
    pub(super) fn is_available(&self, key: &KeyId, now: Instant) -> bool {
        let lost_at = self.lost_at.get(key).unwrap_or(&self.started);
        self.has_signer(key) || now.saturating_duration_since(*lost_at) < self.patience
    }

    /// Is there a signer for this key now?
    pub(super) fn has_signer(&self, key: &KeyId) -> bool {
        self.signers.values().any(|signer| signer.fits(key))
    }

    /// Could one more job of this worker be done in time, as far as is known? Where a session is free, always; else if
    /// what has its turn before it is less than the signers that have the key do meanwhile, at the pace they had. Who
    /// has something waiting already may count on half of the patience: others may come yet, and a signer may fail.
    pub(super) fn has_time(&self, kind: Kind, of: Peer, key: &KeyId) -> bool {
        let time = if self.waiting.has_any(kind, of) { self.patience / 2 } else { self.patience };
        let (mut signers, mut room, mut owed) = (0, 0, 0);
        let (mut known, mut done) = (0, 0_u128);
        for signer in self.signers.values().filter(|signer| signer.fits(key)) {
            signers += 1;
            room += signer.room();
            owed += signer.owed.len();
            if let Some(each) = signer.pace.each() {
                known += 1;
                done += time.as_nanos() / each.as_nanos().max(1);
            }
        }
        if self.waiting.is_full(kind) {
            false
        } else if known == 0 || self.waiting.count() < room {
            true
        } else {
            // A new one is taken to be as fast as the others.
            ((owed + self.waiting.before(kind, of)) as u128) < done * signers / known
        }
    }

    /// A place for a job of this worker, if it could be done in time.
    ///
    /// # Errors
    /// [`Crowded`]: it would only wait.
    pub(super) fn place(&mut self, kind: Kind, of: Peer, key: &KeyId) -> Result<Place, Crowded> {
        if self.has_time(kind, of, key) { Ok(self.waiting.place(kind, of)) } else { Err(Crowded) }
    }

    /// Takes a place back that no job came with.
    pub(super) fn give_back(&mut self, place: Place) {
        self.waiting.give_back(place);
    }

    /// Takes a job in, which goes with the next flush; it ends as [`Event::Finished`].
    pub(super) fn perform(&mut self, place: Place, job: Job<W>, now: Instant) {
        let (kind, of, deadline) = (place.kind, place.of, now + self.patience);
        let job = Waiting { job, kind, of, since: now, deadline, not_before: now, retried: false, avoid: None };
        self.waiting.join(place, job);
        self.dispatch(now);
    }

    /// Reads and writes what there is on one signer's channel.
    pub(super) fn ready(&mut self, id: u64, keys: &Keys, now: Instant) {
        let full = self.signers.get(&id).is_some_and(|signer| signer.room() == 0);
        for said in 0.. {
            let Some(signer) = self.signers.get_mut(&id) else { return };
            if said >= TURN && !signer.duplex.holds() {
                break;
            }
            let received = if signer.duplex.wants_write() { signer.duplex.flush() } else { Ok(()) };
            let taken = match received.and_then(|()| signer.duplex.receive()) {
                Ok(Some(message)) => self.take(id, message, keys, now).map_err(Closed::Violation),
                Ok(None) => break,
                Err(closed) => Err(closed),
            };
            if let Err(closed) = taken {
                self.lose(id, closed, now);
                break;
            }
        }
        if let Some(signer) = self.signers.get_mut(&id) {
            signer.pace.settle(full, now);
        }
        self.dispatch(now);
        if let Some(signer) = self.signers.get_mut(&id).filter(|signer| signer.room() > 0) {
            signer.pace.rest();
        }
    }

    /// Gives up what is past its deadline and sends what has waited for its pause.
    pub(super) fn tick(&mut self, now: Instant) {
        for waiting in self.waiting.remove(|waiting| waiting.deadline <= now) {
            self.finish(waiting, Err(NotSigned::Late), now);
        }
        let late: Vec<u64> =
            self.out.iter().filter(|(_, (_, _, waiting))| waiting.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            if let Some((_, _, waiting)) = self.out.remove(&id) {
                self.finish(waiting, Err(NotSigned::Late), now);
            }
        }
        self.dispatch(now);
    }

    /// Hangs up on a signer whose signature did not verify. It would answer sooner than those that sign, and so
    /// be given most digests; what it still has goes to others.
    pub(super) fn dismiss(&mut self, id: u64, now: Instant) {
        self.lose(id, Closed::Violation(Violation::Rule("a signature that does not verify")), now);
        self.dispatch(now);
    }

    fn finish(&mut self, waiting: Waiting<W>, result: Result<Answer, NotSigned>, now: Instant) {
        let took = now.duration_since(waiting.since);
        self.events.push_back(Event::Finished { work: waiting.job.work, result, by: None, took });
    }

    fn take(&mut self, from: u64, message: SignerToIssuer, keys: &Keys, now: Instant) -> Result<(), Violation> {
        match message {
            SignerToIssuer::Ready(ready) => {
                self.welcome(from, &ready, keys);
                Ok(())
            }
            SignerToIssuer::Signed { id, signature } => self.done(from, id, Answer::Signature(signature), now),
            SignerToIssuer::Unwrapped { id, session } => self.done(from, id, Answer::SessionKey(session), now),
            SignerToIssuer::SignFailed { id, class, .. } | SignerToIssuer::UnwrapFailed { id, class } => {
                let effort = if class == FailureClass::Busy { Effort::None } else { Effort::Some };
                if let Some(waiting) = self.answered(from, id, effort, now)? {
                    self.failed(from, waiting, class, now);
                }
                Ok(())
            }
            SignerToIssuer::Drawn { .. } => Err(Violation::Rule("octets drawn that nobody asked for")),
            SignerToIssuer::Health { usable } => {
                let Some(signer) = self.signers.get_mut(&from) else { return Ok(()) };
                if std::mem::replace(&mut signer.usable, usable) != usable {
                    if !usable {
                        self.lost_at.extend(signer.keys.iter().map(|key| (key.clone(), now)));
                    }
                    self.events.push_back(Event::Health(usable));
                }
                Ok(())
            }
        }
    }

    fn done(&mut self, from: u64, id: u64, answer: Answer, now: Instant) -> Result<(), Violation> {
        let Some(waiting) = self.answered(from, id, Effort::Whole, now)? else { return Ok(()) };
        if !answer.is_of(&waiting.job.task) {
            self.finish(waiting, Err(NotSigned::Failed), now);
            return Err(Violation::Rule("an answer to another question"));
        }
        let (work, took) = (waiting.job.work, now.duration_since(waiting.since));
        self.events.push_back(Event::Finished { work, result: Ok(answer), by: Some(from), took });
        Ok(())
    }

    /// Holds a signer's keys to the certificates: it is used for those alone whose public key is the same.
    fn welcome(&mut self, from: u64, ready: &SignerReady, keys: &Keys) {
        let mut refused = Vec::new();
        let mut shown = HashSet::new();
        for key in keys.iter() {
            match ready.keys.iter().find(|report| report.id == key.id) {
                Some(report) if key.is(report) => {
                    shown.insert(key.id.clone());
                }
                Some(_) => refused.push((key.name.clone(), "public key differs from the certificate's")),
                None => refused.push((key.name.clone(), "not found by the signer")),
            }
        }
        if let Some(signer) = self.signers.get_mut(&from) {
            signer.sessions = usize::from(ready.sessions.clamp(1, MOST_SESSIONS));
            signer.keys = shown;
            signer.usable = true;
        }
        let serial = ready.token_serial.as_str().to_owned();
        self.events.push_back(Event::Ready { serial, sessions: ready.sessions, refused });
    }

    /// Takes note that a signer has answered, and whether it has worked for that; gives the job unless it was given up.
    fn answered(&mut self, from: u64, id: u64, effort: Effort, now: Instant) -> Result<Option<Waiting<W>>, Violation> {
        let signer = self.signers.get_mut(&from).filter(|signer| signer.owed.contains(&id));
        let signer = signer.ok_or(Violation::Rule("answer to a digest this signer was not given"))?;
        signer.owed.remove(&id);
        let out = self.out.remove(&id);
        let took = out.as_ref().map(|(_, since, _)| now.duration_since(*since));
        match effort {
            Effort::None => {}
            Effort::Some => signer.pace.answered(None),
            Effort::Whole => signer.pace.answered(took),
        }
        Ok(out.map(|(_, _, waiting)| waiting))
    }

    fn failed(&mut self, from: u64, mut waiting: Waiting<W>, class: FailureClass, now: Instant) {
        match class {
            FailureClass::Request => self.finish(waiting, Err(NotSigned::Refused), now),
            FailureClass::Busy => {
                waiting.not_before = now + BUSY_PAUSE;
                waiting.avoid = Some(from);
                self.waiting.join_first((waiting.kind, waiting.of), waiting);
            }
            FailureClass::Token if waiting.retried => self.finish(waiting, Err(NotSigned::Failed), now),
            FailureClass::Token => {
                waiting.retried = true;
                waiting.avoid = Some(from);
                self.waiting.join_first((waiting.kind, waiting.of), waiting);
            }
        }
    }

    fn lose(&mut self, id: u64, closed: Closed, now: Instant) {
        let Some(signer) = self.signers.remove(&id) else { return };
        if signer.usable {
            self.lost_at.extend(signer.keys.into_iter().map(|key| (key, now)));
        }
        let orphans: Vec<u64> = self.out.iter().filter(|(_, (at, ..))| *at == id).map(|(id, _)| *id).collect();
        for orphan in orphans {
            if let Some((_, _, waiting)) = self.out.remove(&orphan) {
                self.failed(id, waiting, FailureClass::Token, now);
            }
        }
        self.events.push_back(Event::Gone(signer.duplex.peer(), closed));
    }

    /// Sends the signers what they were given. False when nothing came of it that has to be seen to.
    pub(super) fn flush(&mut self, now: Instant) -> bool {
        // Who does not read is polled for.
        let reading = self.signers.iter_mut().filter(|(_, signer)| !signer.duplex.wants_write());
        let flushed = reading.map(|(id, signer)| (*id, signer.duplex.flush()));
        let gone: Vec<_> = flushed.filter_map(|(id, flushed)| Some((id, flushed.err()?))).collect();
        let (digests, keys) = std::mem::take(&mut self.queued);
        if digests {
            failpoint("digest-sent");
        }
        if keys {
            failpoint("key-sent");
        }
        let any = !gone.is_empty();
        for (id, closed) in gone {
            self.lose(id, closed, now);
        }
        if any {
            self.dispatch(now);
        }
        any
    }

    /// Gives the signers what they have room for.
    fn dispatch(&mut self, now: Instant) {
        while self.signers.values().any(|signer| signer.usable && signer.room() > 0) {
            let fits = |waiting: &Waiting<W>| waiting.not_before <= now && choose(&self.signers, waiting).is_some();
            let Some(waiting) = self.waiting.next(fits) else { return };
            if let Some(signer) = choose(&self.signers, &waiting) {
                self.send(signer, waiting, now);
            }
        }
    }

    fn send(&mut self, to: u64, waiting: Waiting<W>, now: Instant) {
        let Some(signer) = self.signers.get_mut(&to) else {
            self.waiting.join_first((waiting.kind, waiting.of), waiting);
            return;
        };
        let id = self.next;
        self.next += 1;
        let job = &waiting.job;
        let key = job.key.clone();
        let message = match &job.task {
            Task::Sign { mechanism, digest } => {
                let digest = Octets::new(digest.as_slice()).expect("a digest has at most 64 octets");
                IssuerToSigner::Sign { id, key, mechanism: *mechanism, digest }
            }
            Task::Unwrap { transport, sealed } => {
                IssuerToSigner::Unwrap { id, key, transport: *transport, sealed: sealed.clone() }
            }
        };
        let queued = signer.duplex.queue(&message);
        match message {
            IssuerToSigner::Unwrap { .. } => self.queued.1 = true,
            _ => self.queued.0 = true,
        }
        signer.owed.insert(id);
        self.out.insert(id, (to, now, waiting));
        if let Err(closed) = queued {
            self.lose(to, closed, now);
        }
    }
}

/// The least loaded signer with room, and not the one that has just failed when there is another.
fn choose<W>(signers: &BTreeMap<u64, Signer>, waiting: &Waiting<W>) -> Option<u64> {
    let fit = || signers.iter().filter(|(_, signer)| signer.fits(&waiting.job.key));
    let another = fit().any(|(id, _)| Some(*id) != waiting.avoid);
    fit()
        .filter(|(id, signer)| signer.room() > 0 && !(another && Some(**id) == waiting.avoid))
        .min_by_key(|(_, signer)| signer.owed.len() * 1024 / signer.sessions)
        .map(|(id, _)| *id)
}

#[cfg(test)]
mod tests;
