//! The way to one responder: so many questions at one time, and a pause after failures.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::super::http;
use super::answer::{self, Unusable};
use super::question::Question;
use crate::config::auth::responder::{Nonce, Responder};
use crate::wire::Millis;

/// Octets of an answer, at most.
const LARGEST: usize = 16 * 1024;
/// Questions that one responder has at one time.
const AT_ONCE: usize = 16;
/// Failures in a row after which a responder is left alone, and for how long at first and at most.
const PATIENCE: u32 = 3;
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);

/// The way to one responder.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) rules: Responder,
    room: Semaphore,
    failures: Mutex<(u32, Option<Instant>)>,
}

/// Why there is no answer.
pub(super) enum Unheard {
    /// Nobody was asked.
    Left,
    /// Whoever asks has none.
    Failed(String),
    /// This one counts for nothing.
    Refused(String),
}

impl Line {
    pub(super) fn to(rules: &Responder) -> Self {
        Self { rules: rules.clone(), room: Semaphore::new(AT_ONCE), failures: Mutex::default() }
    }

    /// Has it failed, and was not heard of since?
    pub(super) fn is_failing(&self) -> bool {
        self.failures().0 > 0
    }

    /// Asks it.
    pub(super) async fn ask(&self, question: &Question) -> Result<answer::Answer, Unheard> {
        if self.failures().1.is_some_and(|until| Instant::now() < until) {
            return Err(Unheard::Left);
        }
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).expect("the kernel's random number generator answers");
        let nonce = (self.rules.nonce != Nonce::Never).then_some(&nonce);
        let written = question.written(self.rules.hash, nonce);
        let written = written.ok_or_else(|| Unheard::Refused("an issuer whose key is not read".to_owned()))?;
        let begun = Instant::now();
        let room = tokio::time::timeout(self.rules.deadline, self.room.acquire()).await;
        // That others ask much says nothing of the responder.
        let Ok(Ok(_room)) = room else { return Err(Unheard::Refused("too many questions at one time".to_owned())) };
        let left = self.rules.deadline.saturating_sub(begun.elapsed());
        let sent = ("application/ocsp-request", written);
        let octets = match http::post(&self.rules.source, sent, LARGEST, left).await {
            Ok(octets) => octets,
            Err(why) => {
                self.failed();
                return Err(Unheard::Failed(why));
            }
        };
        match answer::read(&octets, question, (answer::Rules::of(&self.rules), nonce), Millis::now()) {
            Err(Unusable::Later(why)) => {
                self.failed();
                Err(Unheard::Failed(why.to_owned()))
            }
            // One who has no good answer for somebody may have one for others.
            Err(Unusable::This(why)) => Err(Unheard::Refused(why.to_owned())),
            Ok(answer) => {
                *self.failures() = (0, None);
                Ok(answer)
            }
        }
    }

    fn failed(&self) {
        let mut failures = self.failures();
        let (count, until) = &mut *failures;
        *count = count.saturating_add(1);
        if *count >= PATIENCE {
            *until = Some(Instant::now() + (SHORT * (1 << (*count - PATIENCE).min(10))).min(LONG));
        }
    }

    fn failures(&self) -> MutexGuard<'_, (u32, Option<Instant>)> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
