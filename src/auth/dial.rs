//! Connecting to issuer and audit, again and again, with a growing pause: 10 ms at first, half a second at
//! most. A peer that hangs up as soon as it has accepted is as good as none: the pause grows all the same.

use std::time::{Duration, Instant};

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
    place: Place,
    /// The direction of what arrives.
    link: Link,
    /// The link's name in the log and in `chancery_violations_total`.
    name: &'static str,
    violations: IntCounterVec,
    pause: Duration,
    connected: Option<Instant>,
}

/// The first pause.
const SHORT: Duration = Duration::from_millis(10);
/// The longest.
const LONG: Duration = Duration::from_millis(500);
/// A line that lived this long was a good one.
const GOOD: Duration = Duration::from_secs(1);

/// A connection and the task that carries it.
#[derive(Debug)]
pub(super) struct Line<In, Out> {
    pub(super) incoming: mpsc::Receiver<In>,
    outgoing: mpsc::Sender<Out>,
    carrier: JoinHandle<Result<(), Closed>>,
}

impl Dial {
    /// To that place.
    pub(super) fn new(place: Place, link: Link, name: &'static str, violations: IntCounterVec) -> Self {
        Self { place, link, name, violations, pause: Duration::ZERO, connected: None }
    }

    /// Tries until somebody answers.
    pub(super) async fn connect<In, Out>(&mut self) -> Line<In, Out>
    where
        In: BorshDeserialize + Send + 'static,
        Out: BorshSerialize + Send + 'static,
    {
        if self.connected.take().is_some_and(|since| since.elapsed() >= GOOD) {
            self.pause = Duration::ZERO;
        }
        loop {
            tokio::time::sleep(self.pause).await;
            let refused_for_long = self.pause == LONG;
            self.pause = (self.pause * 2).clamp(SHORT, LONG);
            match Channel::connect(&self.place.path()) {
                Ok(channel) => {
                    let duplex = Duplex::new(channel, self.link);
                    let (arrived, incoming) = mpsc::channel(QUEUE);
                    let (outgoing, leaving) = mpsc::channel(QUEUE);
                    info!(event = "connected", link = self.name, peer = duplex.peer().0);
                    self.connected = Some(Instant::now());
                    return Line { incoming, outgoing, carrier: tokio::spawn(carry(duplex, arrived, leaving)) };
                }
                Err(error) if refused_for_long => warn!(event = "not-connected", link = self.name, why = %error),
                Err(_) => {}
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
