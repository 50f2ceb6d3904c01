//! The session threads and the queue before them. The queue is bounded: what does not fit, or waits longer
//! than a call may take, is answered `Busy` so that issuer can ask another signer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::recovery::{Custody, GivenUp, Task};
use super::serve::Outbox;
use crate::wire::Octets;
use crate::wire::links::{FailureClass, SignerToIssuer};
use crate::wire::unwrap::SessionKey;

struct Job {
    id: u64,
    task: Task,
    came: Instant,
}

/// Where requests wait for a session.
pub(crate) struct Pool {
    waiting: Mutex<VecDeque<Job>>,
    come: Condvar,
    room: usize,
    patience: Duration,
}

impl Pool {
    /// Room for so many, each for so long.
    pub(crate) fn new(room: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), come: Condvar::new(), room, patience })
    }

    /// Takes a request in, or gives it back when there is no room.
    pub(crate) fn submit(&self, id: u64, task: Task) -> Result<(), Task> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.room {
            return Err(task);
        }
        waiting.push_back(Job { id, task, came: Instant::now() });
        drop(waiting);
        self.come.notify_one();
        Ok(())
    }

    fn next(&self) -> Job {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match waiting.pop_front() {
                Some(job) => return job,
                None => waiting = self.come.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// A session thread's life.
    pub(crate) fn work(&self, index: usize, custody: &Custody, outbox: &Outbox) {
        loop {
            let job = self.next();
            let result = if job.came.elapsed() > self.patience {
                Err(GivenUp { class: FailureClass::Busy, rv: 0 })
            } else {
                custody.perform(index, &job.task)
            };
            outbox.send(&answer(job.id, &job.task, result));
        }
    }
}

/// What issuer is told.
pub(crate) fn answer(id: u64, task: &Task, result: Result<Vec<u8>, GivenUp>) -> SignerToIssuer {
    match (task, result) {
        (Task::Sign { .. }, Ok(signature)) => match Octets::new(signature) {
            Ok(signature) => SignerToIssuer::Signed { id, signature },
            Err(_) => SignerToIssuer::SignFailed { id, class: FailureClass::Token, rv: 0 },
        },
        (Task::Sign { .. }, Err(GivenUp { class, rv })) => SignerToIssuer::SignFailed { id, class, rv },
        (Task::Draw { .. }, result) => {
            let octets = result.ok().and_then(|octets| Octets::new(octets).ok()).unwrap_or_default();
            SignerToIssuer::Drawn { id, octets }
        }
        (Task::Unwrap { .. }, Ok(opened)) => match SessionKey::new(opened) {
            Ok(session) => SignerToIssuer::Unwrapped { id, session },
            // Sealed well, but no key for AES: as good as not sealed for us.
            Err(_) => SignerToIssuer::UnwrapFailed { id, class: FailureClass::Request },
        },
        (Task::Unwrap { .. }, Err(GivenUp { class, .. })) => SignerToIssuer::UnwrapFailed { id, class },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_takes_nothing_more_in() {
        let pool = Pool::new(2, Duration::from_secs(1));
        assert!(pool.submit(1, Task::Draw { length: 1 }).is_ok());
        assert!(pool.submit(2, Task::Draw { length: 1 }).is_ok());
        assert!(pool.submit(3, Task::Draw { length: 1 }).is_err());
        assert_eq!(pool.next().id, 1);
        assert!(pool.submit(3, Task::Draw { length: 1 }).is_ok());
    }

    #[test]
    fn a_refused_draw_is_answered_with_nothing() {
        let refused = Err(GivenUp { class: FailureClass::Token, rv: 5 });
        let answer = answer(7, &Task::Draw { length: 8 }, refused);
        assert!(matches!(answer, SignerToIssuer::Drawn { id: 7, octets } if octets.is_empty()));
    }
}
