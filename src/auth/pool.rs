//! The threads that run argon2, apart from those that carry messages: a password costs tens of milliseconds
//! and megabytes, so few are tried at a time, few wait, and the rest are told to come back. One
//! worker may have half of what waits, so that it cannot keep the others out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::IntGauge;
use crate::wire::Peer;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded queue and the threads that empty it.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: SyncSender<(Job, Ticket)>,
    waiting: IntGauge,
    shares: Shares,
}

/// How many jobs of each worker wait, or of each of something else.
#[derive(Debug, Clone)]
pub(super) struct Shares<K: Clone + Eq + Hash = Peer> {
    waiting: Arc<Mutex<HashMap<K, usize>>>,
    most: usize,
}

/// A job's place in its worker's share, until it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Ticket<K: Clone + Eq + Hash = Peer>(Shares<K>, K);

impl<K: Clone + Eq + Hash> Shares<K> {
    /// Of a queue of so many.
    pub(super) fn new(queue: usize) -> Self {
        Self { waiting: Arc::default(), most: queue.div_ceil(2) }
    }

    /// A place, if that worker has one left.
    pub(super) fn take(&self, of: K) -> Option<Ticket<K>> {
        self.take_within(of, self.most)
    }

    /// The same where each may have so many, if that is less.
    pub(super) fn take_within(&self, of: K, most: usize) -> Option<Ticket<K>> {
        let most = most.min(self.most);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.get(&of).copied().unwrap_or_default();
        (count < most).then(|| {
            waiting.insert(of.clone(), count + 1);
            Ticket(self.clone(), of)
        })
    }
}

impl<K: Clone + Eq + Hash> Ticket<K> {
    /// Whose share it is of.
    pub(super) fn of(&self) -> &K {
        &self.1
    }
}

impl<K: Clone + Eq + Hash> Drop for Ticket<K> {
    fn drop(&mut self) {
        let Self(shares, of) = self;
        let mut waiting = shares.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = waiting.entry(of.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Pool {
    /// Starts the threads. Call after lock-down, which threads begun before would escape.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(super) fn start(threads: usize, queue: usize, waiting: IntGauge) -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 1..=threads {
            let (receiver, waiting) = (receiver.clone(), waiting.clone());
            std::thread::Builder::new().name(format!("argon2-{number}")).spawn(move || work(&receiver, &waiting))?;
        }
        Ok(Self { jobs, waiting, shares: Shares::new(queue) })
    }

    /// Queues a job of that worker.
    ///
    /// # Errors
    /// The job was not taken and is dropped.
    pub(super) fn submit(&self, of: Peer, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        let ticket = self.shares.take(of).ok_or(Full)?;
        self.waiting.inc();
        match self.jobs.try_send((Box::new(job), ticket)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.waiting.dec();
                Err(Full)
            }
        }
    }
}

/// As many jobs wait as may, of this worker or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

fn work(jobs: &Mutex<Receiver<(Job, Ticket)>>, waiting: &IntGauge) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((job, ticket)) = job else { return };
        waiting.dec();
        drop(ticket);
        job();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn one_worker_fills_half_the_queue_and_another_still_gets_in() {
        let pool = Pool::start(1, 6, Metrics::new("auth").gauge("chancery_q", "Q.")).unwrap();
        let (begun, has_begun) = channel();
        let (go, wait) = channel::<()>();
        let blocks = move || {
            begun.send(()).unwrap();
            wait.recv().unwrap();
        };
        pool.submit(Peer(1), blocks).unwrap();
        has_begun.recv().unwrap();
        // What is being tried does not wait any more.
        let taken = |peer| (0..10).filter(|_| pool.submit(Peer(peer), || ()).is_ok()).count();
        assert_eq!((taken(1), taken(2), taken(3)), (3, 3, 0));
        let (last, is_over) = channel();
        go.send(()).unwrap();
        while pool
            .submit(Peer(1), {
                let last = last.clone();
                move || last.send(()).unwrap()
            })
            .is_err()
        {}
        is_over.recv().unwrap();
        assert!(pool.shares.waiting.lock().unwrap().is_empty());
    }
}
