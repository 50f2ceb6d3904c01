//! One worker's channel: submissions in, answers out. What the worker is called in a voucher is what the
//! kernel said of the other end when the channel was accepted. When the channel is over its vouchers are
//! withdrawn, but what was begun for it is finished: hanging up keeps no guess out of the record.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use borsh::BorshSerialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::confirmed::Confirmed;
use super::exchanges::{Exchanges, Manner};
use super::office::{Answered, Office};
use super::share::{Share, UnderWay};
use super::vouchers::ChannelNumber;
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::sys::channel_async::carry;
use crate::wire::Correlation;
use crate::wire::evidence::Evidence;
use crate::wire::frame::Violation;
use crate::wire::links::{AuthToWorker, WorkerToAuth};
use crate::wire::permit::Link;

/// The link in the log and in `chancery_violations_total`.
pub(super) const LINK: &str = "worker-to-auth";

const TWICE: Violation = Violation::Rule("two requests under way with one correlation id");

/// Messages of one channel that wait to be begun: with those of one datagram and with what is under way they bound the
/// memory that a worker can take up.
const QUEUE: usize = 16;
/// How often keys are forgotten that were kept for nothing.
const SWEEP: Duration = Duration::from_secs(10);

/// An answer on its way. It keeps its place among what the worker has under way until the channel takes it: a worker
/// that does not read what was opened for it has nothing more opened.
struct Answer {
    answer: AuthToWorker,
    _place: UnderWay,
}

impl BorshSerialize for Answer {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        self.answer.serialize(writer)
    }
}

/// Serves one channel until it is over or `stopping` says so; then what is under way is still answered.
pub(super) async fn serve(
    office: Arc<Office>,
    channel: Channel,
    number: ChannelNumber,
    (share, confirmed): (Share, Confirmed),
    mut stopping: watch::Receiver<bool>,
) {
    let duplex = Duplex::<WorkerToAuth, Answer>::new(channel, Link::WorkerToAuth);
    let peer = duplex.peer();
    let (arrived, mut incoming) = mpsc::channel(QUEUE);
    let (outgoing, leaving) = mpsc::channel(16 * 1024);
    let mut carrier = tokio::spawn(carry(duplex, arrived, leaving));
    if let Some(left_out) = office.comings.pass() {
        info!(event = "worker-connected", peer = peer.0, left_out);
    }
    let mut work: JoinSet<(Correlation, Result<AuthToWorker, Violation>, UnderWay)> = JoinSet::new();
    let mut under_way: HashSet<Correlation> = HashSet::new();
    let mut of_worker = share.watch();
    let mut broken = None;
    let exchanges = Exchanges::default();
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        let limit = office.config().limits.in_flight_per_worker;
        // Answers of this channel that were not fetched yet count too.
        let room = work.len() < limit && *of_worker.borrow_and_update() < limit;
        tokio::select! {
            message = incoming.recv(), if room => match message {
                None => break,
                Some(WorkerToAuth::Open(open)) => {
                    if !under_way.insert(open.correlation) {
                        broken = Some(TWICE);
                        break;
                    }
                    let (office, begun, exchanges) = (office.clone(), share.begin(), exchanges.clone());
                    work.spawn(async move {
                        let correlation = open.correlation;
                        (correlation, office.open(peer, &exchanges, open).await, begun)
                    });
                }
                Some(WorkerToAuth::OpenSigned(open)) => {
                    if !under_way.insert(open.correlation) {
                        broken = Some(TWICE);
                        break;
                    }
                    let (office, begun, confirmed) = (office.clone(), share.begin(), confirmed.clone());
                    let exchanges = exchanges.clone();
                    work.spawn(async move {
                        let correlation = open.correlation;
                        (correlation, office.open_signed((peer, &confirmed), &exchanges, open).await, begun)
                    });
                }
                Some(WorkerToAuth::Submit(submission)) => {
                    if !under_way.insert(submission.correlation) {
                        broken = Some(TWICE);
                        break;
                    }
                    let (office, begun, confirmed) = (office.clone(), share.begin(), confirmed.clone());
                    let exchanges = exchanges.clone();
                    let exchange = exchanges.take(submission.correlation, Instant::now());
                    work.spawn(async move {
                        let correlation = submission.correlation;
                        let manner = match &submission.evidence {
                            Evidence::KeyedPassword { message, .. } => Some(Manner::of(message)),
                            _ => None,
                        };
                        let from = (peer, &confirmed, exchange.as_ref());
                        let answer = office.answer(number, from, submission).await;
                        let answer = answer.map(|Answered { answer, recipient }| {
                            if let Some(recipient) = recipient {
                                exchanges.vouched_for(correlation, recipient, Instant::now());
                            }
                            answer
                        });
                        if let (Some(exchange), Some(manner), Ok(AuthToWorker::Vouched(_))) = (exchange, manner, &answer) {
                            exchanges.vouched(correlation, exchange, manner, Instant::now());
                        }
                        (correlation, answer, begun)
                    });
                }
                Some(WorkerToAuth::Seal(seal)) => {
                    if !under_way.insert(seal.correlation) {
                        broken = Some(TWICE);
                        break;
                    }
                    let (office, begun, exchanges) = (office.clone(), share.begin(), exchanges.clone());
                    work.spawn(async move { (seal.correlation, office.seal(&exchanges, &seal), begun) });
                }
                Some(WorkerToAuth::SealFor(asked)) => {
                    if !under_way.insert(asked.correlation) {
                        broken = Some(TWICE);
                        break;
                    }
                    let (office, begun, exchanges) = (office.clone(), share.begin(), exchanges.clone());
                    work.spawn(async move { (asked.correlation, office.seal_for(&exchanges, &asked), begun) });
                }
            },
            Some(done) = work.join_next(), if !work.is_empty() => {
                // A task ends in an answer: panics abort the process and nothing else cancels it.
                let Ok((correlation, answer, place)) = done else { continue };
                under_way.remove(&correlation);
                let sent = answer.map(|answer| outgoing.try_send(Answer { answer, _place: place }));
                broken = sent.as_ref().err().copied();
                if !matches!(sent, Ok(Ok(()))) {
                    break;
                }
            }
            _ = sweep.tick() => exchanges.sweep(Instant::now()),
            // Another channel of the same worker made room: look again.
            Ok(()) = of_worker.changed(), if !room => {}
            () = stopped(&mut stopping) => {
                while let Some(Ok((_, answer, place))) = work.join_next().await {
                    let _gone = answer.map(|answer| outgoing.try_send(Answer { answer, _place: place }));
                }
                break;
            }
        }
    }
    // A planned end leaves the vouchers the worker knows of alone: it lives, and may redeem them.
    let planned = *stopping.borrow();
    if !planned {
        office.vouchers.gone(number).await;
    }
    // What is in the queue is still sent.
    drop(outgoing);
    let ended = tokio::time::timeout(Duration::from_secs(1), &mut carrier).await;
    carrier.abort();
    match (broken, ended) {
        (Some(why), _) | (None, Ok(Ok(Err(Closed::Violation(why))))) => {
            office.gauges.violations.with_label_values(&[LINK]).inc();
            if let Some(left_out) = office.breaches.pass() {
                warn!(event = "violation", link = LINK, peer = peer.0, why = %why, left_out);
            }
        }
        (None, _) => {
            if let Some(left_out) = office.comings.pass() {
                info!(event = "worker-disconnected", peer = peer.0, left_out);
            }
        }
    }
    // Passwords are tried whether or not anybody waits. Bounded: each waits its turn, and for two deadlines.
    if work.join_next().await.is_some() {
        while work.join_next().await.is_some() {}
        if !planned {
            office.vouchers.gone(number).await;
        }
    }
}

/// Returns when this process is asked to end.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender lives as long as the process; without it nothing is left to wait for either.
    let _ended = stopping.wait_for(|stop| *stop).await;
}
