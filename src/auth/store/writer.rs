//! The one thread that asks where values are kept. It takes what waits, has it decided in one transaction and answers
//! when that is durable: under load many questions share a sync. A store that fails refuses the batch and is tried
//! again, with the next questions or each second; the thread does not end for it.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::keeper::{Asked, Keeper, Verdict};
use super::{Down, Measures};
use crate::sys::gate::LogGate;

/// Questions that may wait; the next one is refused.
const QUEUE: usize = 4096;
/// Questions in one transaction.
const BATCH: usize = 512;

/// How a store is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Did it take a write?
    pub(super) up: bool,
    /// How long a question waits for its answer.
    pub(super) deadline: Duration,
    /// Is it asked also while the last write did not get through, since to find out is quick?
    pub(super) asked_when_down: bool,
    /// Lines of log a second on what fails.
    pub(super) lines: u32,
}

/// The way to the thread. Dropping it waits until the thread has ended.
#[derive(Debug)]
pub(super) struct Writer {
    terms: Terms,
    questions: Option<SyncSender<Question>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<State>,
}

/// What the thread found out.
#[derive(Debug)]
struct State {
    /// Did the last write get through?
    up: AtomicBool,
    /// Was one tried? Until then questions wait, so that a start refuses nobody.
    tried: AtomicBool,
}

#[derive(Debug)]
struct Question {
    asked: Asked,
    answer: oneshot::Sender<Result<Verdict, Down>>,
}

impl Writer {
    /// Starts the thread, on which `work` makes the keeper and serves.
    pub(super) fn start(
        terms: Terms,
        measures: Measures,
        work: impl FnOnce(Desk) + Send + 'static,
    ) -> io::Result<Self> {
        let (questions, asked) = sync_channel(QUEUE);
        let state = Arc::new(State { up: AtomicBool::new(terms.up), tried: AtomicBool::new(false) });
        let (failures, fullness) = (LogGate::new(terms.lines), LogGate::new(1));
        let desk = Desk { asked, state: state.clone(), measures, failures, fullness };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || work(desk))?;
        Ok(Self { terms, questions: Some(questions), thread: Some(thread), state })
    }

    /// Did the last write get through?
    pub(super) fn up(&self) -> bool {
        self.state.up.load(Ordering::Relaxed)
    }

    /// Asks, and waits until the answer is durable.
    pub(super) async fn ask(&self, asked: Asked) -> Result<Verdict, Down> {
        if !self.terms.asked_when_down && !self.up() && self.state.tried.load(Ordering::Relaxed) {
            return Err(Down);
        }
        let (answer, answered) = oneshot::channel();
        let questions = self.questions.as_ref().ok_or(Down)?;
        questions.try_send(Question { asked, answer }).map_err(|_| Down)?;
        match tokio::time::timeout(self.terms.deadline, answered).await {
            Ok(Ok(verdict)) => verdict,
            _ => Err(Down),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.questions.take());
        // A panic has aborted the process already.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// Where questions arrive.
pub(super) struct Desk {
    asked: Receiver<Question>,
    state: Arc<State>,
    measures: Measures,
    failures: LogGate,
    fullness: LogGate,
}

impl Desk {
    /// There is no keeper and will be none.
    pub(super) fn lost(&self, why: &str) {
        error!(event = "store-lost", why);
        self.state.up.store(false, Ordering::Relaxed);
        self.state.tried.store(true, Ordering::Relaxed);
    }

    /// Has questions decided until nobody can ask any more.
    pub(super) fn serve(&self, keeper: &mut impl Keeper) {
        let mut batch: Vec<Question> = Vec::with_capacity(BATCH);
        loop {
            self.measures.rows.set(i64::try_from(keeper.count()).unwrap_or(i64::MAX));
            match self.asked.recv_timeout(keeper.pause()) {
                Ok(first) => batch.push(first),
                Err(RecvTimeoutError::Timeout) => {
                    let up = self.state.up.load(Ordering::Relaxed);
                    self.note(keeper.idle(up).as_ref().map(drop));
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            batch.extend(self.asked.try_iter().take(BATCH - 1));
            // Whoever has given up is told nothing, and remembers nothing.
            batch.retain(|question| !question.answer.is_closed());
            let begun = Instant::now();
            self.decide(keeper, &mut batch);
            std::thread::sleep(keeper.spacing().saturating_sub(begun.elapsed()));
        }
    }

    fn decide(&self, keeper: &mut impl Keeper, batch: &mut Vec<Question>) {
        let asked: Vec<Asked> = batch.iter().map(|question| question.asked).collect();
        let outcome = keeper.decide(&asked);
        self.note(outcome.as_ref().map(drop));
        match outcome {
            Ok(verdicts) => {
                self.measures.commits.inc();
                if verdicts.contains(&Verdict::Full)
                    && let Some(left_out) = self.fullness.pass()
                {
                    warn!(event = "store-full", rows = keeper.count(), left_out);
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

    fn note(&self, outcome: Result<(), &impl Display>) {
        match outcome {
            Ok(()) => {
                if !self.state.up.swap(true, Ordering::Relaxed) {
                    info!(event = "store-writable-again");
                }
            }
            Err(why) => {
                self.state.up.store(false, Ordering::Relaxed);
                if let Some(left_out) = self.failures.pass() {
                    error!(event = "store-not-writable", why = why.to_string().as_str(), left_out);
                }
            }
        }
        self.state.tried.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::config::auth::Room;
    use crate::metrics::Metrics;
    use crate::wire::Millis;

    /// Says of everything that it is new, and counts how often it is asked.
    struct Counting(Arc<AtomicUsize>, Duration);

    impl Keeper for Counting {
        type Trouble = Down;

        fn decide(&mut self, asked: &[Asked]) -> Result<Vec<Verdict>, Down> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(vec![Verdict::New; asked.len()])
        }

        fn idle(&mut self, _up: bool) -> Result<(), Down> {
            Ok(())
        }

        fn count(&self) -> u64 {
            0
        }

        fn spacing(&self) -> Duration {
            self.1
        }
    }

    /// In how many batches ten questions are decided that come 20 ms one behind the other, after a first one.
    fn batches(spacing: Duration) -> usize {
        let (batches, measures) = (Arc::new(AtomicUsize::new(0)), Measures::new(&Metrics::new("test")));
        let terms = Terms { up: true, deadline: Duration::from_secs(60), asked_when_down: true, lines: 1 };
        let mut keeper = Counting(batches.clone(), spacing);
        let writer = Arc::new(Writer::start(terms, measures, move |desk| desk.serve(&mut keeper)).unwrap());
        let asked = |number: u8| Asked { key: [number; 32], expires: Millis(1), room: Room::All };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            assert_eq!(writer.ask(asked(0)).await, Ok(Verdict::New));
            let mut others = Vec::new();
            for number in 1..=10 {
                let writer = writer.clone();
                others.push(tokio::spawn(async move { writer.ask(asked(number)).await }));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            for answered in others {
                assert_eq!(answered.await.unwrap(), Ok(Verdict::New));
            }
        });
        batches.load(Ordering::Relaxed)
    }

    #[test]
    fn what_comes_right_behind_a_batch_shares_the_next_one() {
        assert_eq!(batches(Duration::from_secs(5)), 2);
        assert!(batches(Duration::ZERO) > 2);
    }
}
