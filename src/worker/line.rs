//! The line to one peer, auth or issuer: connected again whenever it breaks, with every question that is
//! still open. A peer may be gone for two seconds without a client noticing; after that questions are
//! refused at once until it is back.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::metrics::IntCounter;
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::sys::channel_async::carry;
use crate::sys::dial::Dialer;
use crate::sys::places::Place;
use crate::wire::permit::Link;

/// How long a peer may be gone before questions are refused: a planned restart takes less.
const PATIENCE: Duration = Duration::from_secs(2);
/// Back-off between attempts to connect: first, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// Pause before a question is put again to a peer that has just started.
const AGAIN: Duration = Duration::from_millis(50);
/// How often questions past their deadline are swept out.
const SWEEP: Duration = Duration::from_millis(250);
/// Messages between this task and the channel's.
const DEPTH: usize = 64;

/// What makes connections for the lines of a process.
#[derive(Clone)]
pub(super) struct Exchange {
    /// This process cannot connect by itself.
    pub(super) dialer: Arc<Dialer>,
    /// Told when the dialer is gone: no line can be connected again.
    pub(super) dead: Arc<Notify>,
}

/// What is spoken on a line.
pub(super) trait Speech: Send + 'static {
    /// Pairs answers with questions.
    type Key: Copy + Eq + Hash + Send + 'static;
    /// Questions.
    type Out: BorshSerialize + Send + Sync + 'static;
    /// Answers.
    type In: BorshDeserialize + Send + 'static;
    /// The direction of the answers.
    const LINK: Link;
    /// Where the peer listens.
    const PLACE: Place;
    /// The peer's name, for logs.
    const PEER: &'static str;

    /// Which question this answers.
    fn names(answer: &Self::In) -> Self::Key;

    /// Is this an answer that a peer which has just started may give only because it does not know yet
    /// what its predecessor knew?
    fn premature(answer: &Self::In) -> bool;
}

/// Why a question has no answer. The request fails, and the client is told when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Too many are open.
    Full,
    /// The peer is gone.
    Gone,
    /// It did not answer in time.
    Late,
}

impl Unanswered {
    /// A short word for logs and metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Full => "peer-full",
            Self::Gone => "peer-gone",
            Self::Late => "peer-late",
        }
    }
}

/// A question that can be sent more than once without a second copy of what it holds.
struct Question<M>(Arc<M>);

impl<M: BorshSerialize> BorshSerialize for Question<M> {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.serialize(writer)
    }
}

struct Call<S: Speech> {
    key: S::Key,
    message: Arc<S::Out>,
    answer: oneshot::Sender<S::In>,
    deadline: Instant,
    /// Broken channels it was on.
    losses: u8,
}

/// This process's end of a line.
pub(super) struct Line<S: Speech> {
    calls: mpsc::Sender<Call<S>>,
    up: Arc<AtomicBool>,
}

impl<S: Speech> Clone for Line<S> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), up: Arc::clone(&self.up) }
    }
}

impl<S: Speech> Line<S> {
    /// A line with at most `open` questions open at once; `violations` counts what the peer may not send.
    /// The task lives until the last handle is dropped.
    pub(super) fn open(open: usize, exchange: &Exchange, violations: IntCounter) -> Self {
        let (calls, queue) = mpsc::channel(open);
        let up = Arc::new(AtomicBool::new(false));
        let operator = Operator::<S> {
            queue,
            open: HashMap::new(),
            unsent: VecDeque::new(),
            again: VecDeque::new(),
            most: open,
            up: Arc::clone(&up),
            exchange: exchange.clone(),
            violations,
        };
        tokio::spawn(operator.run());
        Self { calls, up }
    }

    /// Is the peer there?
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Puts a question and waits for its answer, at most until `deadline`.
    pub(super) async fn ask(&self, key: S::Key, message: S::Out, deadline: Instant) -> Result<S::In, Unanswered> {
        let (answer, answered) = oneshot::channel();
        let call = Call { key, message: Arc::new(message), answer, deadline, losses: 0 };
        self.calls.try_send(call).map_err(|_| Unanswered::Full)?;
        match timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Unanswered::Gone),
            Err(_) => Err(Unanswered::Late),
        }
    }
}

/// The task behind a [`Line`].
struct Operator<S: Speech> {
    queue: mpsc::Receiver<Call<S>>,
    open: HashMap<S::Key, Call<S>>,
    unsent: VecDeque<S::Key>,
    again: VecDeque<(Instant, S::Key)>,
    most: usize,
    up: Arc<AtomicBool>,
    exchange: Exchange,
    violations: IntCounter,
}

impl<S: Speech> Operator<S> {
    async fn run(mut self) {
        let mut pause = BACK_OFF.0;
        let mut down = Instant::now();
        loop {
            let dialled = self.exchange.dialer.connect(S::PLACE);
            if dialled.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                self.exchange.dead.notify_one();
            }
            if let Ok(channel) = dialled {
                let connected = Instant::now();
                self.up.store(true, Ordering::Relaxed);
                tracing::info!(event = "connected", peer = S::PEER);
                let end = self.converse(channel).await;
                self.up.store(false, Ordering::Relaxed);
                let Err(closed) = end else { return };
                self.lost(&closed);
                down = Instant::now();
                // A peer that hangs up at once is not tried at full speed.
                if connected.elapsed() > PATIENCE {
                    pause = BACK_OFF.0;
                }
            }
            if !self.wait(pause, down + PATIENCE).await {
                return;
            }
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    fn lost(&mut self, closed: &Closed) {
        match closed {
            Closed::Violation(why) => {
                self.violations.inc();
                tracing::error!(event = "violation", link = ?S::LINK, peer = S::PEER, %why);
            }
            other => tracing::warn!(event = "disconnected", peer = S::PEER, why = %other, open = self.open.len()),
        }
        // What was on the broken channel goes over the next one, once: a question that kills its peer
        // must not be put for ever.
        self.open.retain(|_, call| {
            call.losses += 1;
            call.losses < 2 && !call.answer.is_closed()
        });
        self.again.clear();
        self.unsent = self.open.keys().copied().collect();
    }

    /// Takes questions in while there is nobody to put them to; false when nobody asks any more.
    async fn wait(&mut self, pause: Duration, patience: Instant) -> bool {
        let until = Instant::now() + pause;
        loop {
            let patient = Instant::now() < patience;
            if !patient {
                // Dropping a call tells its asker.
                self.open.clear();
                self.unsent.clear();
            }
            tokio::select! {
                () = sleep_until(until) => return true,
                call = self.queue.recv(), if !patient || self.open.len() < self.most => match call {
                    Some(call) if patient => self.admit(call),
                    Some(_refused) => {}
                    None => return false,
                },
            }
        }
    }

    fn admit(&mut self, call: Call<S>) {
        self.unsent.push_back(call.key);
        self.open.insert(call.key, call);
    }

    /// Works on one channel until it is over (`Err`) or nobody asks any more (`Ok`).
    async fn converse(&mut self, channel: Channel) -> Result<(), Closed> {
        let young = Instant::now() + PATIENCE;
        let (arriving, mut answers) = mpsc::channel(DEPTH);
        let (questions, leaving) = mpsc::channel::<Question<S::Out>>(DEPTH);
        let duplex = Duplex::<S::In, Question<S::Out>>::new(channel, S::LINK);
        let mut carrying = pin!(carry(duplex, arriving, leaving));
        let mut sweep = Instant::now() + SWEEP;
        // One clock, set again when it has to be: made anew for each message it would be the dearest part of it.
        let mut clock = pin!(sleep_until(sweep));
        loop {
            let due = self.again.front().map_or(sweep, |(at, _)| sweep.min(*at));
            if clock.deadline() != due {
                clock.as_mut().reset(due);
            }
            tokio::select! {
                over = &mut carrying => {
                    while let Ok(answer) = answers.try_recv() {
                        self.settle(answer, None);
                    }
                    return over.and(Err(Closed::Gone));
                }
                Some(answer) = answers.recv() => self.settle(answer, Some(young)),
                room = questions.reserve(), if !self.unsent.is_empty() => {
                    let Ok(room) = room else { continue };
                    if let Some(call) = self.unsent.pop_front().and_then(|key| self.open.get(&key)) {
                        room.send(Question(Arc::clone(&call.message)));
                    }
                }
                call = self.queue.recv(), if self.unsent.is_empty() && self.open.len() < self.most => match call {
                    Some(call) => self.admit(call),
                    None => return Ok(()),
                },
                () = clock.as_mut() => {
                    let now = Instant::now();
                    while let Some((_, key)) = self.again.pop_front_if(|(at, _)| *at <= now) {
                        self.unsent.push_back(key);
                    }
                    if now >= sweep {
                        sweep = now + SWEEP;
                        self.open.retain(|_, call| call.deadline > now && !call.answer.is_closed());
                    }
                }
            }
        }
    }

    fn settle(&mut self, answer: S::In, young: Option<Instant>) {
        let key = S::names(&answer);
        let now = Instant::now();
        if S::premature(&answer) && young.is_some_and(|young| now < young) && self.open.contains_key(&key) {
            self.again.push_back((now + AGAIN, key));
            return;
        }
        match self.open.remove(&key) {
            // The asker may have hung up meanwhile.
            Some(call) => drop(call.answer.send(answer)),
            None => tracing::debug!(event = "late-answer", peer = S::PEER),
        }
    }
}
