//! The loop: auth's channels, one request after the other. The library takes less than a millisecond for one; a call
//! that takes longer than it may ends the process, and with it what else it was asked.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;

use super::answer::Services;
use crate::metrics::{Histogram, IntCounterVec, Metrics};
use crate::sys::channel::{Closed, Duplex, Listener};
use crate::sys::notify::Notifier;
use crate::wire::kerberos::NotAccepted;
use crate::wire::links::{AuthToKerberos, KerberosToAuth};
use crate::wire::permit::Link;

/// Channels of auth at one time: one, and what a restart leaves behind.
const CHANNELS: usize = 4;
/// Requests of one channel before the others have their turn.
const AT_ONCE: usize = 16;
const SECOND: Duration = Duration::from_secs(1);
const LINK: &str = "auth-to-kerberos";

type Auth = Duplex<AuthToKerberos, KerberosToAuth>;

/// What became of a ticket, in metrics.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    Accepted,
    Replayed,
    Dates,
    OtherService,
    Binding,
    Refused,
}

impl Word {
    const ALL: [Self; 6] =
        [Self::Accepted, Self::Replayed, Self::Dates, Self::OtherService, Self::Binding, Self::Refused];

    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Replayed => "replayed",
            Self::Dates => "dates",
            Self::OtherService => "other-service",
            Self::Binding => "binding",
            Self::Refused => "refused",
        }
    }
}

impl From<NotAccepted> for Word {
    fn from(why: NotAccepted) -> Self {
        match why {
            NotAccepted::Replayed => Self::Replayed,
            NotAccepted::Dates => Self::Dates,
            NotAccepted::OtherService => Self::OtherService,
            NotAccepted::Binding => Self::Binding,
            NotAccepted::Refused => Self::Refused,
        }
    }
}

/// What is measured.
pub(super) struct Measures {
    tickets: IntCounterVec,
    seconds: Histogram,
    violations: IntCounterVec,
}

impl Measures {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            tickets: metrics.counters(
                "chancery_kerberos_tickets_total",
                "Tickets that were presented, by what the library said.",
                "outcome",
                &Word::ALL.map(Word::word),
            ),
            seconds: metrics.seconds("chancery_kerberos_seconds", "What the library takes for a ticket."),
            violations: metrics.counters(
                "chancery_violations_total",
                "Messages from a peer that no honest peer sends.",
                "link",
                &[LINK],
            ),
        }
    }
}

/// Serves until it is told to end.
pub(super) fn serve(
    listener: &Listener,
    signals: &SignalFd,
    services: &Services,
    measures: &Measures,
    notifier: &Notifier,
) -> Result<(), Errno> {
    let mut channels: Vec<Auth> = Vec::new();
    let mut alive = Instant::now();
    loop {
        if wait(listener, signals, &channels)? {
            return Ok(());
        }
        accept(listener, &mut channels);
        channels.retain_mut(|channel| match turn(channel, services, measures) {
            Ok(()) => true,
            Err(closed) => {
                over(channel, &closed, measures);
                false
            }
        });
        if alive.elapsed() >= SECOND {
            alive = Instant::now();
            notifier.alive();
        }
    }
}

/// Until something happens, at most a second. Is it to end?
fn wait(listener: &Listener, signals: &SignalFd, channels: &[Auth]) -> Result<bool, Errno> {
    let mut polled =
        vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    polled.extend(channels.iter().map(|channel| {
        let wanted = if channel.wants_write() { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        PollFd::new(channel.as_fd(), wanted)
    }));
    match poll(&mut polled, PollTimeout::from(1000_u16)) {
        Ok(_) => Ok(polled[0].any() == Some(true)),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn accept(listener: &Listener, channels: &mut Vec<Auth>) {
    loop {
        match listener.accept() {
            // Whoever made it finds out by its end.
            Ok(Some(_)) if channels.len() >= CHANNELS => tracing::warn!(event = "too-many-channels"),
            Ok(Some(channel)) => {
                tracing::info!(event = "auth-connected", peer = channel.peer().0);
                channels.push(Auth::new(channel, Link::AuthToKerberos));
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(event = "accept-failed", %error);
                return;
            }
        }
    }
}

/// A few requests of one channel, as long as it takes the answers.
fn turn(channel: &mut Auth, services: &Services, measures: &Measures) -> Result<(), Closed> {
    channel.flush()?;
    for served in 0.. {
        // What came in one datagram is one turn's, for poll(2) says nothing of it.
        if channel.wants_write() || (served >= AT_ONCE && !channel.holds()) {
            return Ok(());
        }
        let Some(AuthToKerberos::Accept(presented)) = channel.receive()? else { return Ok(()) };
        let timer = measures.seconds.start_timer();
        let (answer, word) = services.answer(&presented)?;
        timer.observe_duration();
        measures.tickets.with_label_values(&[word.word()]).inc();
        channel.send(&answer)?;
    }
    Ok(())
}

fn over(channel: &Auth, closed: &Closed, measures: &Measures) {
    let peer = channel.peer().0;
    let Closed::Violation(why) = closed else {
        tracing::info!(event = "auth-gone", peer, why = %closed);
        return;
    };
    measures.violations.with_label_values(&[LINK]).inc();
    tracing::warn!(event = "violation", link = LINK, peer, why = %why);
}
