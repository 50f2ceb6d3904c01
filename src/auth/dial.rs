//! Connecting to issuer and audit, again and again, with a growing pause: 10 ms at first, half a second at
//! most.

use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::metrics::IntCounterVec;
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::sys::channel_async::carry;
use crate::sys::places::Place;
use crate::wire::frame::Violation;
use crate::wire::permit::Link;

/// Messages on their way in either direction.
const QUEUE: usize = 8192;

/// The other end of a link that this process connects.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) place: Place,
    /// The direction of what arrives.
    pub(super) link: Link,
    /// The link's name in the log and in `chancery_violations_total`.
    pub(super) name: &'static str,
    pub(super) violations: IntCounterVec,
}

/// A connection and the task that carries it.
#[derive(Debug)]
pub(super) struct Line<In, Out> {
    pub(super) incoming: mpsc::Receiver<In>,
    outgoing: mpsc::Sender<Out>,
    carrier: JoinHandle<Result<(), Closed>>,
}

impl Dial {
    /// Tries until somebody answers.
    pub(super) async fn connect<In, Out>(&self) -> Line<In, Out>
    where
        In: BorshDeserialize + Send + 'static,
        Out: BorshSerialize + Send + 'static,
    {
        let mut pause = Duration::from_millis(10);
        loop {
            match Channel::connect(&self.place.path()) {
                Ok(channel) => {
                    let duplex = Duplex::new(channel, self.link);
                    let (arrived, incoming) = mpsc::channel(QUEUE);
                    let (outgoing, leaving) = mpsc::channel(QUEUE);
                    info!(event = "connected", link = self.name, peer = duplex.peer().0);
                    return Line { incoming, outgoing, carrier: tokio::spawn(carry(duplex, arrived, leaving)) };
                }
                Err(error) => {
                    if pause >= Duration::from_millis(500) {
                        warn!(event = "not-connected", link = self.name, why = %error);
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    } else {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_millis(500));
                    }
                }
            }
        }
    }

    /// Ends a line and says why it ended.
    pub(super) async fn hang_up<In, Out>(&self, line: Line<In, Out>, broken: Option<Violation>) {
        let Line { incoming, outgoing, mut carrier } = line;
        drop((incoming, outgoing));
        let carried = tokio::time::timeout(Duration::from_secs(1), &mut carrier).await;
        let end = match (broken, carried) {
            (Some(violation), _) => Err(Closed::Violation(violation)),
            (None, Ok(end)) => end.unwrap_or(Ok(())),
            (None, Err(_)) => Err(Closed::Gone),
        };
        // It may be waiting for a peer that does not read.
        carrier.abort();
        match end {
            Err(Closed::Violation(why)) => {
                self.violations.with_label_values(&[self.name]).inc();
                warn!(event = "violation", link = self.name, why = %why);
            }
            Err(why) => warn!(event = "disconnected", link = self.name, why = %why),
            Ok(()) => warn!(event = "disconnected", link = self.name),
        }
    }
}

impl<In, Out> Line<In, Out> {
    /// Puts a message on its way. False when the other end does not take any more: give the line up.
    #[must_use]
    pub(super) fn send(&self, message: Out) -> bool {
        self.outgoing.try_send(message).is_ok()
    }
}
