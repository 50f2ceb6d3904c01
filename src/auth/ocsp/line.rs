//! The way to one responder: so many questions at one time, and a pause after failures.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::http::{self, Missing};
use super::answer::{self, Answer, Status};
use super::question::Question;
use crate::config::auth::responder::{Nonce, Responder};
use crate::wire::Millis;

/// Octets of an answer, at most.
const LARGEST: usize = 16 * 1024;
/// Questions that one responder has at one time, and those for which it is the first to be asked, with these.
const AT_ONCE: usize = 16;
const FLIGHTS: usize = 256;
/// Failures in a row after which a responder is left alone, and for how long at first and at most.
const PATIENCE: u32 = 3;
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

/// The way to one responder.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) rules: Responder,
    room: Semaphore,
    flights: Arc<Semaphore>,
    failures: Mutex<Failures>,
}

/// What went wrong since it was last heard of.
#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    /// When that was last.
    last: Option<Instant>,
    /// It is left alone until then.
    until: Option<Instant>,
}

/// Why there is no answer.
pub(super) enum Unheard {
    /// Nobody was asked.
    Left,
    /// Nobody answered.
    Failed(String),
    /// This one counts for nothing.
    Refused(String),
    /// It has as many questions as it may have: it was not asked, and that says nothing of it.
    Busy,
}

impl Line {
    pub(super) fn to(rules: &Responder) -> Self {
        let (room, flights) = (Semaphore::new(AT_ONCE), Arc::new(Semaphore::new(FLIGHTS)));
        Self { rules: rules.clone(), room, flights, failures: Mutex::default() }
    }

    /// A place for a question that is put to it first, while it is under way: those of other responders have their own.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.flights.clone().try_acquire_owned().ok()
    }

    /// Has it failed, and was not heard of since?
    pub(super) fn is_failing(&self) -> bool {
        self.failures().in_a_row > 0
    }

    /// How long an answer is waited for.
    pub(super) fn deadline(&self) -> Duration {
        self.rules.deadline
    }

    /// Asks it, and gives what it says by then where that is taken.
    pub(super) async fn ask(
        &self,
        question: &Question,
        deadline: Duration,
        take: impl FnOnce(Answer) -> Result<(), &'static str>,
    ) -> Result<Status, Unheard> {
        if self.is_left() {
            return Err(Unheard::Left);
        }
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).expect("the kernel's random number generator answers");
        let nonce = (self.rules.nonce != Nonce::Never).then_some(&nonce);
        let written = question.written(self.rules.hash, nonce);
        let written = written.ok_or_else(|| Unheard::Refused("an issuer whose key is not read".to_owned()))?;
        let room = tokio::time::timeout(deadline, self.room.acquire()).await;
        let Ok(Ok(_room)) = room else { return Err(Unheard::Busy) };
        // Those before may have found out what is known only now.
        if self.is_left() {
            return Err(Unheard::Left);
        }
        // Its time begins now: what others took of it is not its fault.
        let asked = Instant::now();
        let sent = ("application/ocsp-request", written);
        let octets = match http::post(&self.rules.source, sent, LARGEST, deadline).await {
            Ok(octets) => octets,
            Err(Missing::Unheard(why)) => {
                self.failed(asked);
                return Err(Unheard::Failed(why));
            }
            Err(told @ Missing::Told(_)) => {
                self.doubted(asked, deadline);
                return Err(Unheard::Refused(told.why()));
            }
        };
        let read = answer::read(&octets, question, (answer::Rules::of(&self.rules), nonce), Millis::now());
        let taken = read.and_then(|answer| {
            let status = answer.status;
            take(answer).map(|()| status)
        });
        match taken {
            Err(why) => {
                self.doubted(asked, deadline);
                Err(Unheard::Refused(why.to_owned()))
            }
            Ok(status) => {
                *self.failures() = Failures::default();
                Ok(status)
            }
        }
    }

    /// Of those that were asked at one time, one counts.
    fn failed(&self, asked: Instant) {
        let mut failures = self.failures();
        if failures.last.is_none_or(|last| last <= asked) {
            failures.last = Some(Instant::now());
            failures.one_more();
        }
    }

    /// Is it left alone now?
    fn is_left(&self) -> bool {
        self.failures().until.is_some_and(|until| Instant::now() < until)
    }

    /// One who has no good answer for somebody may have one for others, and says so as he likes: by a status of HTTP,
    /// as many do of an issuer that is not theirs, or by one of OCSP. Who has many such certificates could have it left
    /// alone for everybody. But whoever takes his time over what is no answer costs as much as who is silent, and
    /// anybody on the way may be he.
    fn doubted(&self, asked: Instant, deadline: Duration) {
        if asked.elapsed() * 2 >= deadline {
            self.failed(asked);
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    fn one_more(&mut self) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row >= PATIENCE {
            self.until = Some(Instant::now() + (SHORT * (1 << (self.in_a_row - PATIENCE).min(10))).min(LONG));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::auth::responder::CertIdHash;
    use crate::config::auth::source::Source;

    #[test]
    fn what_it_may_not_know_of_certificates_pauses_it_for_nobody() {
        let source = Source {
            url: "http://ocsp.example.com/".to_owned(),
            authority: "ocsp.example.com".to_owned(),
            path: "/".to_owned(),
            address: ([127, 0, 0, 1], 1).into(),
            tls: None,
            every: Duration::ZERO,
        };
        let (hash, nonce, second) = (CertIdHash::Sha1, Nonce::Never, Duration::from_secs(1));
        let line = Line::to(&Responder { source, issuer: None, hash, nonce, deadline: second, kept: second });
        let now = Instant::now();
        (0..100).for_each(|_| line.doubted(now, second));
        assert!(!line.is_failing());
        // Whoever is slow over it is as one who is silent; so many at one time are one failure.
        let before = now.checked_sub(second * 9 / 10).unwrap();
        (0..100).for_each(|_| line.doubted(before, second));
        let once = |failures: &Failures| (failures.in_a_row, failures.until);
        assert_eq!(once(&line.failures()), (1, None));
        for _ in 0..2 {
            line.failures().last = Some(before);
            line.doubted(before, second);
        }
        assert!(line.failures().until.is_some());
    }
}
