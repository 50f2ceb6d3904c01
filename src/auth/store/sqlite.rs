//! The one thread that writes to SQLite. It takes what waits, decides it in one transaction and answers when
//! that is on disk: under load many questions share a sync. A disk that is full or fails refuses the batch
//! and is tried again, with the next questions or each second; the thread does not end for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::file::File;
use super::rows::{Asked, Rows, Verdict};
use super::{Down, Measures};
use crate::sys::gate::LogGate;
use crate::wire::Millis;

/// Questions that may wait; the next one is refused.
const QUEUE: usize = 4096;
/// Questions in one transaction.
const BATCH: usize = 512;
/// How long a question waits for its answer.
const DEADLINE: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

/// The way to the thread. Dropping it waits until the file is closed.
#[derive(Debug)]
pub(super) struct Sqlite {
    questions: Option<SyncSender<Question>>,
    thread: Option<JoinHandle<()>>,
    up: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Question {
    asked: Asked,
    answer: oneshot::Sender<Result<Verdict, Down>>,
}

impl Sqlite {
    /// Starts the thread.
    pub(super) fn start(file: File, measures: Measures) -> io::Result<Self> {
        let (questions, asked) = sync_channel(QUEUE);
        let up = Arc::new(AtomicBool::new(file.up));
        let writer = Writer { asked, up: up.clone(), measures, failures: LogGate::new(1), fullness: LogGate::new(1) };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || writer.run(&file))?;
        Ok(Self { questions: Some(questions), thread: Some(thread), up })
    }

    /// Did the last write get through?
    pub(super) fn up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Asks, and waits until the answer is durable.
    pub(super) async fn ask(&self, asked: Asked) -> Result<Verdict, Down> {
        let (answer, answered) = oneshot::channel();
        let questions = self.questions.as_ref().ok_or(Down)?;
        questions.try_send(Question { asked, answer }).map_err(|_| Down)?;
        match tokio::time::timeout(DEADLINE, answered).await {
            Ok(Ok(verdict)) => verdict,
            _ => Err(Down),
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        drop(self.questions.take());
        // A panic has aborted the process already.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

struct Writer {
    asked: Receiver<Question>,
    up: Arc<AtomicBool>,
    measures: Measures,
    failures: LogGate,
    fullness: LogGate,
}

impl Writer {
    fn run(self, file: &File) {
        // A write beyond RLIMIT_FSIZE is then an error like a full disk.
        let mut held = SigSet::empty();
        held.add(Signal::SIGXFSZ);
        let blocked = held.thread_block().map_err(|errno| errno.to_string());
        let rows = blocked.and_then(|()| Rows::of(&file.connection, file.most).map_err(|error| error.to_string()));
        match rows {
            Ok(rows) => self.serve(rows),
            Err(why) => {
                error!(event = "store-lost", why);
                self.up.store(false, Ordering::Relaxed);
            }
        }
    }

    fn serve(&self, mut rows: Rows<'_>) {
        let mut batch: Vec<Question> = Vec::with_capacity(BATCH);
        loop {
            self.measures.rows.set(i64::try_from(rows.count()).unwrap_or(i64::MAX));
            match self.asked.recv_timeout(SECOND) {
                Ok(first) => batch.push(first),
                Err(RecvTimeoutError::Timeout) => {
                    self.idle(&mut rows);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            batch.extend(self.asked.try_iter().take(BATCH - 1));
            // Whoever has given up is told nothing, and remembers nothing.
            batch.retain(|question| !question.answer.is_closed());
            self.decide(&mut rows, &mut batch);
        }
    }

    fn decide(&self, rows: &mut Rows<'_>, batch: &mut Vec<Question>) {
        let asked: Vec<Asked> = batch.iter().map(|question| question.asked).collect();
        let outcome = rows.decide(&asked, Millis::now());
        self.note(outcome.as_ref().map(drop));
        match outcome {
            Ok(verdicts) => {
                self.measures.commits.inc();
                if verdicts.contains(&Verdict::Full)
                    && let Some(left_out) = self.fullness.pass()
                {
                    warn!(event = "store-full", rows = rows.count(), left_out);
                }
                for (question, verdict) in batch.drain(..).zip(verdicts) {
                    let _given_up = question.answer.send(Ok(verdict));
                }
            }
            Err(_) => {
                for question in batch.drain(..) {
                    let _given_up = question.answer.send(Err(Down));
                }
            }
        }
    }

    /// A store that is down finds out that there is room; one that is up forgets what is over.
    fn idle(&self, rows: &mut Rows<'_>) {
        let outcome = if self.up.load(Ordering::Relaxed) { rows.tidy(Millis::now()) } else { rows.probe() };
        self.note(outcome.as_ref().map(drop));
    }

    fn note(&self, outcome: Result<(), &rusqlite::Error>) {
        match outcome {
            Ok(()) => {
                if !self.up.swap(true, Ordering::Relaxed) {
                    info!(event = "store-writable-again");
                }
            }
            Err(why) => {
                self.up.store(false, Ordering::Relaxed);
                if let Some(left_out) = self.failures.pass() {
                    error!(event = "store-not-writable", %why, left_out);
                }
            }
        }
    }
}
