//! The threads that run argon2, apart from those that carry messages: a password costs tens of milliseconds
//! and megabytes, so few are tried at a time, few wait, and the rest are told to come back.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::IntGauge;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded queue and the threads that empty it.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: SyncSender<Job>,
    waiting: IntGauge,
}

impl Pool {
    /// Starts the threads. Call after lock-down, which threads begun before would escape.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(super) fn start(threads: usize, queue: usize, waiting: IntGauge) -> io::Result<Self> {
        let (jobs, receiver) = sync_channel::<Job>(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 1..=threads {
            let (receiver, waiting) = (receiver.clone(), waiting.clone());
            std::thread::Builder::new().name(format!("argon2-{number}")).spawn(move || work(&receiver, &waiting))?;
        }
        Ok(Self { jobs, waiting })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// The job was not taken and is dropped.
    pub(super) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        self.waiting.inc();
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.waiting.dec();
                Err(Full)
            }
        }
    }
}

/// As many jobs wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

fn work(jobs: &Mutex<Receiver<Job>>, waiting: &IntGauge) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        waiting.dec();
        job();
    }
}
