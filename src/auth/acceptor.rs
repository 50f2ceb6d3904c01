//! kerberos, as auth sees it: asked whose ticket an `AP-REQ` has. Nobody is connected to before the first question, so
//! that where there is no Kerberos nobody misses it. A question is put once: one that its peer does not survive would
//! kill the next one, too, and what was used is used. So whoever waits when the channel breaks is told that there is no
//! answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::dial::{Dial, Line};
use super::pool::Shares;
use super::reason::Reason;
use super::throttle::network;
use crate::wire::evidence::MOST_NEGOTIATED_OCTETS;
use crate::wire::frame::Violation;
use crate::wire::kerberos::{AcceptedTicket, NotAccepted, Presented};
use crate::wire::links::{AuthToKerberos, KerberosToAuth};
use crate::wire::{Octets, Peer};

/// Questions that wait, and those that are put: beyond these nobody is asked. kerberos takes less than a millisecond
/// for one. A worker may have half of them, a network half, too, and by one worker an eighth: which network it is is
/// the worker's word, so one that lies keeps nobody there from more than that.
const WAITING: usize = 256;
const OPEN: usize = 16;

/// What kerberos says: the ticket, or why there is none and the library's words for it.
type Answer = Result<AcceptedTicket, (NotAccepted, String)>;

/// Where to ask. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Acceptor {
    questions: mpsc::Sender<Question>,
    /// Did the last question have an answer in time? If not one at a time is put, and all others are refused at once:
    /// who has a ticket takes no place for long from those who have something else.
    well: Arc<AtomicBool>,
    trying: Arc<Semaphore>,
    of_workers: Shares,
    of_networks: Shares<IpAddr>,
    of_networks_there: Shares<(Peer, IpAddr)>,
}

/// An `AP-REQ`, and what is asked about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    /// DER.
    pub(super) request: &'a [u8],
    /// What it should be bound to, if to anything.
    pub(super) bindings: &'a Octets<128>,
    /// May it say nothing of bindings, for it is not made for GSS-API?
    pub(super) bare: bool,
    /// Is the key wanted that its client shares with us?
    pub(super) keyed: bool,
}

#[derive(Debug)]
struct Question {
    request: Octets<MOST_NEGOTIATED_OCTETS>,
    bindings: Octets<128>,
    bare: bool,
    keyed: bool,
    done: oneshot::Sender<Answer>,
}

impl Acceptor {
    /// Starts the task that keeps the channel.
    pub(super) fn open(dial: Dial) -> Self {
        let (questions, queue) = mpsc::channel(WAITING);
        tokio::spawn(Desk { queue, open: HashMap::new(), asked: 0 }.keep(dial));
        let (well, trying) = (Arc::new(AtomicBool::new(true)), Arc::new(Semaphore::new(1)));
        let (of_workers, of_networks, there) = (Shares::new(WAITING), Shares::new(WAITING), Shares::new(WAITING / 4));
        Self { questions, well, trying, of_workers, of_networks, of_networks_there: there }
    }

    /// Whose ticket is this, that came by that worker from there? From now on it is used up.
    ///
    /// # Errors
    /// [`Reason::KerberosDown`] when there was no answer before the deadline, or too many of theirs wait.
    pub(super) async fn accept(
        &self,
        shown: Shown<'_>,
        (worker, source): (Peer, IpAddr),
        within: Duration,
    ) -> Result<Answer, Reason> {
        let (done, answer) = oneshot::channel();
        let Shown { request, bindings, bare, keyed } = shown;
        let request = Octets::new(request).map_err(|_| Reason::UnreadableTicket)?;
        let question = Question { request, bindings: bindings.clone(), bare, keyed, done };
        let _turn = match self.well.load(Ordering::Relaxed) {
            true => None,
            false => Some(self.trying.try_acquire().map_err(|_| Reason::KerberosDown)?),
        };
        let network = network(source);
        let _there = self.of_networks_there.take((worker, network)).ok_or(Reason::KerberosDown)?;
        let _of_network = self.of_networks.take(network).ok_or(Reason::KerberosDown)?;
        let _of_worker = self.of_workers.take(worker).ok_or(Reason::KerberosDown)?;
        self.questions.try_send(question).map_err(|_| Reason::KerberosDown)?;
        match tokio::time::timeout(within, answer).await {
            Ok(Ok(answer)) => {
                self.well.store(true, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(_)) => Err(Reason::KerberosDown),
            Err(_) => {
                self.well.store(false, Ordering::Relaxed);
                Err(Reason::KerberosDown)
            }
        }
    }
}

type ToKerberos = Line<KerberosToAuth, AuthToKerberos>;

struct Desk {
    queue: mpsc::Receiver<Question>,
    open: HashMap<u64, oneshot::Sender<Answer>>,
    asked: u64,
}

impl Desk {
    async fn keep(mut self, mut dial: Dial) {
        loop {
            let Some(first) = self.queue.recv().await else { return };
            let line = dial.connect().await;
            let (line, broken) = self.converse(line, first).await;
            // Dropping a question tells whoever waits.
            self.open.clear();
            dial.hang_up(line, broken).await;
        }
    }

    async fn converse(&mut self, mut line: ToKerberos, first: Question) -> (ToKerberos, Option<Violation>) {
        let mut next = Some(first);
        loop {
            if let Some(question) = next.take()
                && !self.put(&line, question)
            {
                return (line, None);
            }
            tokio::select! {
                message = line.incoming.recv() => match message {
                    None => return (line, None),
                    Some(message) => if let Err(broken) = self.told(message) {
                        return (line, Some(broken));
                    },
                },
                Some(question) = self.queue.recv(), if self.open.len() < OPEN => next = Some(question),
            }
        }
    }

    /// False when the other end takes no more.
    fn put(&mut self, line: &ToKerberos, Question { request, bindings, bare, keyed, done }: Question) -> bool {
        // Nobody waits any more, and it is not used up.
        if done.is_closed() {
            return true;
        }
        self.asked += 1;
        let question = self.asked;
        self.open.insert(question, done);
        line.send(AuthToKerberos::Accept(Presented { question, request, bindings, bare, keyed }))
    }

    fn told(&mut self, message: KerberosToAuth) -> Result<(), Violation> {
        let (question, answer) = match message {
            KerberosToAuth::Accepted { question, ticket } => (question, Ok(ticket)),
            KerberosToAuth::NotAccepted { question, why, said } => (question, Err((why, said.to_string()))),
        };
        let done = self.open.remove(&question).ok_or(Violation::Rule("an answer to no question"))?;
        let _given_up = done.send(answer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::sys::places::Place;
    use crate::wire::permit::Link;

    #[test]
    fn one_worker_or_one_network_leaves_places_to_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Nobody is there to be connected to.
            let violations = Metrics::new("test").counters("violations_total", "-", "link", &["kerberos"]);
            let dial = Dial::new(Place::KerberosAuth, Link::KerberosToAuth, "kerberos", violations);
            let acceptor = Acceptor::open(dial);
            let waits = |worker: i32, source: [u8; 4]| {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let none = Octets::default();
                    let shown = Shown { request: b"-", bindings: &none, bare: false, keyed: false };
                    acceptor.accept(shown, (Peer(worker), source.into()), Duration::from_secs(60)).await.is_err()
                })
            };
            let all: Vec<_> = (0..100).map(|_| waits(1, [192, 0, 2, 7])).collect();
            let many: Vec<_> = (0..200).map(|at| waits(2, [198, 51, 100, at])).collect();
            // By the same worker from elsewhere, by another one from there.
            let other = [waits(1, [203, 0, 113, 7]), waits(3, [192, 0, 2, 7])];
            tokio::time::sleep(Duration::from_millis(200)).await;
            let waiting = |some: &[tokio::task::JoinHandle<bool>]| some.iter().filter(|one| !one.is_finished()).count();
            assert_eq!((waiting(&all), waiting(&many)), (WAITING / 8, WAITING / 2));
            assert!(other.iter().all(|one| !one.is_finished()));
        });
    }
}
