//! The loop of audit. A disk that is full or fails answers `NotDurable`, is probed once a second, and does
//! not end the process; only when nobody can tell what is on disk does it end, so that its successor reads.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signalfd::SignalFd;
use nix::sys::time::TimeSpec;

use super::format::Origin;
use super::peers::Session;
use super::record::{CommitError, Record};
use crate::config::audit::Audit;
use crate::metrics::{Histogram, IntCounter, IntCounterVec, IntGauge, Metrics};
use crate::sandbox;
use crate::sys::channel::{Closed, Listener};
use crate::sys::failpoint::{self, failpoint};
use crate::sys::gate::LogGate;
use crate::sys::listen::Inherited;
use crate::sys::notify::Notifier;
use crate::sys::{log, places, signals};

/// Channels of one origin open at once: one, and what a restart leaves behind. Counted for each, so that auth
/// cannot keep issuer out.
const SESSIONS: usize = 8;
/// Those taken in before everything else has its turn again.
const AT_ONCE: usize = 16;
/// Lines a second about channels that come and go, and as many about those that break the protocol.
const LINES: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);
/// How long entries that nobody waits for are held back for others, so that one sync serves them all.
const HELD: Duration = Duration::from_millis(5);
/// From the beginning of one sync to that of the next at least: what comes meanwhile goes together, and waits no longer
/// than that.
const PACE: Duration = Duration::from_millis(1);

struct Counters {
    entries: IntCounterVec,
    commits: IntCounter,
    commit: Histogram,
    not_durable: IntCounter,
    failures: IntCounter,
    length: IntGauge,
    violations: IntCounterVec,
    comings: LogGate,
    breaches: LogGate,
}

impl Counters {
    fn new(metrics: &Metrics) -> Self {
        let links = &["issuer-to-audit", "auth-to-audit"];
        Self {
            entries: metrics.counters(
                "chancery_audit_entries_total",
                "Entries made durable, by who sent them.",
                "origin",
                &["issuer", "auth"],
            ),
            commits: metrics.counter("chancery_audit_commits_total", "Batches made durable."),
            commit: metrics.seconds("chancery_audit_commit_seconds", "Writing and syncing one batch."),
            not_durable: metrics
                .counter("chancery_audit_not_durable_total", "Entries refused because the disk did not take them."),
            failures: metrics.counter("chancery_audit_write_failures_total", "Batches the disk did not take."),
            length: metrics.gauge("chancery_audit_record_entries", "Entries in the record."),
            violations: metrics.counters(
                "chancery_violations_total",
                "Messages from a peer that no honest peer sends.",
                "link",
                links,
            ),
            comings: LogGate::new(LINES),
            breaches: LogGate::new(LINES),
        }
    }
}

/// Inherits, opens the record, locks down, says ready, loops.
#[must_use]
pub fn main() -> ExitCode {
    log::start("audit");
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(event = "stopped", why = %error);
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    sandbox::begin()?;
    let mut inherited = Inherited::take()?;
    let issuer = Listener::adopt(inherited.one("issuer")?)?;
    let auth = Listener::adopt(inherited.one("auth")?)?;
    let config = Audit::load(&places::configuration_root())?;
    let signals = signals::of_the_end()?;
    failpoint::arm();
    let notifier = Notifier::open();
    let metrics = Metrics::new("audit");
    let counters = Counters::new(&metrics);
    let record = Record::open(&config.directory, config.rotate_octets)?;
    let grants = sandbox::Grants { write: vec![config.directory], ..sandbox::Grants::default() };
    let locked = sandbox::lock_down(sandbox::Role::Audit, &grants)?;
    tracing::info!(event = "ready", entries = record.entries(), sandbox = %locked);
    let ready = Arc::new(AtomicBool::new(true));
    metrics.report(Arc::clone(&ready));
    notifier.ready();
    counters.length.set(i64::try_from(record.entries()).unwrap_or(i64::MAX));
    let (sessions, failing, due, next) = (Vec::new(), None, None, Instant::now());
    Audits { record, counters, ready, notifier, sessions, failing, due, next }.run(&issuer, &auth, &signals)?;
    Ok(())
}

struct Audits {
    record: Record,
    counters: Counters,
    ready: Arc<AtomicBool>,
    notifier: Notifier,
    sessions: Vec<Session>,
    /// When the disk was last tried, while it refuses.
    failing: Option<Instant>,
    /// When the batch in hand is synced at the latest.
    due: Option<Instant>,
    /// Before this nothing is synced.
    next: Instant,
}

/// What poll(2) found.
#[derive(Default)]
struct Woken {
    stop: bool,
    issuer: bool,
    auth: bool,
    /// In the order of the sessions.
    sessions: Vec<bool>,
}

impl Audits {
    fn run(mut self, issuer: &Listener, auth: &Listener, signals: &SignalFd) -> Result<(), CommitError> {
        let mut alive = Instant::now();
        loop {
            let woken = match self.wait(issuer, auth, signals) {
                Ok(woken) => woken,
                Err(error) => return Err(CommitError::Unknown(error)),
            };
            self.drain(&woken);
            if woken.stop {
                self.notifier.stopping();
                tracing::info!(event = "stopping", entries = self.record.entries());
                return self.commit();
            }
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.commit()?;
            }
            if woken.issuer {
                self.accept(issuer, Origin::Issuer);
            }
            if woken.auth {
                self.accept(auth, Origin::Auth);
            }
            self.probe()?;
            if alive.elapsed() >= SECOND {
                alive = Instant::now();
                self.notifier.alive();
            }
        }
    }

    /// Until something happens or the batch in hand is due, at most a second.
    fn wait(&self, issuer: &Listener, auth: &Listener, signals: &SignalFd) -> io::Result<Woken> {
        let reads = [signals.as_fd(), issuer.as_fd(), auth.as_fd()];
        let mut polled: Vec<PollFd<'_>> = reads.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        polled.extend(self.sessions.iter().map(|session| {
            let write = if session.wants_write() { PollFlags::POLLOUT } else { PollFlags::empty() };
            PollFd::new(session.as_fd(), PollFlags::POLLIN | write)
        }));
        let pause = self.due.map_or(SECOND, |due| due.saturating_duration_since(Instant::now()));
        match ppoll(&mut polled, Some(TimeSpec::from_duration(pause)), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Woken::default()),
            Err(errno) => return Err(errno.into()),
        }
        let mut found = polled.iter().map(|fd| fd.any() == Some(true));
        let mut next = || found.next().unwrap_or(false);
        Ok(Woken { stop: next(), issuer: next(), auth: next(), sessions: found.collect() })
    }

    fn of(&self, origin: Origin) -> usize {
        self.sessions.iter().filter(|session| session.origin() == origin).count()
    }

    fn accept(&mut self, listener: &Listener, origin: Origin) {
        // A few, and then whatever else there is to do: one who dials without end keeps nobody from the record.
        for _ in 0..AT_ONCE {
            match listener.accept() {
                // A channel too many is closed at once; whoever made it finds out by its end.
                Ok(Some(_)) if self.of(origin) >= SESSIONS => {
                    if let Some(left_out) = self.counters.comings.pass() {
                        tracing::warn!(event = "too-many-channels", origin = origin.name(), left_out);
                    }
                }
                Ok(Some(channel)) => match Session::accept(channel, origin, &self.record) {
                    Ok(session) => self.sessions.push(session),
                    Err(error) => {
                        if let Some(left_out) = self.counters.comings.pass() {
                            tracing::info!(event = "peer-gone", origin = origin.name(), why = %error, left_out);
                        }
                    }
                },
                Ok(None) => return,
                Err(error) => {
                    if let Some(left_out) = self.counters.comings.pass() {
                        tracing::warn!(event = "accept-failed", origin = origin.name(), %error, left_out);
                    }
                    return;
                }
            }
        }
    }

    /// Takes in what waits on the channels, and drops those that are over. What they sent before stays in the
    /// batch.
    fn drain(&mut self, woken: &Woken) {
        let (record, counters) = (&mut self.record, &self.counters);
        let (mut ready, mut awaited) = (woken.sessions.iter(), false);
        self.sessions.retain_mut(|session| {
            if !ready.next().is_some_and(|ready| *ready) {
                return true;
            }
            match session.flush().and_then(|()| session.drain(record, &mut awaited)) {
                Ok(()) => true,
                Err(closed) => {
                    over(session, &closed, counters);
                    false
                }
            }
        });
        // A batch has room for so much: whoever sends without end comes last the next time.
        if !self.sessions.is_empty() {
            self.sessions.rotate_left(1);
        }
        if record.waiting() > 0 {
            let now = Instant::now();
            self.due = Some(due(self.due, awaited, now, self.next));
        }
    }

    fn commit(&mut self) -> Result<(), CommitError> {
        self.due = None;
        if self.record.waiting() == 0 {
            return Ok(());
        }
        let before = self.record.entries();
        let begun = Instant::now();
        self.next = begun + PACE;
        let outcome = self.record.commit();
        let counters = &self.counters;
        match outcome {
            Ok(()) => {
                failpoint("recorded");
                counters.commit.observe(begun.elapsed().as_secs_f64());
                counters.commits.inc();
                counters.length.set(i64::try_from(self.record.entries()).unwrap_or(i64::MAX));
                tracing::debug!(event = "committed", entries = self.record.entries() - before);
                self.sessions.retain_mut(|session| {
                    let origin = session.origin().name();
                    counters.entries.with_label_values(&[origin]).inc_by(session.unanswered());
                    session.durable().inspect_err(|closed| over(session, closed, counters)).is_ok()
                });
                self.well();
                Ok(())
            }
            Err(CommitError::NotWritten(error)) => {
                counters.failures.inc();
                self.sessions.retain_mut(|session| {
                    counters.not_durable.inc_by(session.unanswered());
                    session.not_durable().inspect_err(|closed| over(session, closed, counters)).is_ok()
                });
                self.unwell(&error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// While the disk refuses, tries it once a second: nobody may send entries as long as nothing is issued.
    fn probe(&mut self) -> Result<(), CommitError> {
        if self.failing.is_none_or(|tried| tried.elapsed() < SECOND) {
            return Ok(());
        }
        match self.record.probe() {
            Ok(()) => self.well(),
            Err(CommitError::NotWritten(error)) => self.unwell(&error),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn well(&mut self) {
        if self.failing.take().is_some() {
            self.ready.store(true, Ordering::Relaxed);
            tracing::info!(event = "record-writable-again", entries = self.record.entries());
        }
    }

    /// Said once, not for every entry that is refused.
    fn unwell(&mut self, error: &io::Error) {
        if self.failing.replace(Instant::now()).is_none() {
            self.ready.store(false, Ordering::Relaxed);
            tracing::error!(event = "record-not-writable", entries = self.record.entries(), why = %error);
        }
    }
}

/// When a batch is synced: at `before` if that was settled, or sooner where somebody waits for what came `now`; never
/// before `next`.
fn due(before: Option<Instant>, awaited: bool, now: Instant, next: Instant) -> Instant {
    let due = if awaited { now } else { now + HELD };
    before.map_or(due, |before| before.min(due)).max(next)
}

fn over(session: &Session, closed: &Closed, counters: &Counters) {
    let (origin, peer) = (session.origin(), session.peer());
    let Closed::Violation(why) = closed else {
        if let Some(left_out) = counters.comings.pass() {
            tracing::info!(event = "peer-gone", origin = origin.name(), peer, why = %closed, left_out);
        }
        return;
    };
    let link = match origin {
        Origin::Issuer => "issuer-to-audit",
        Origin::Auth => "auth-to-audit",
    };
    counters.violations.with_label_values(&[link]).inc();
    if let Some(left_out) = counters.breaches.pass() {
        tracing::warn!(event = "violation", link, peer, why = %why, left_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_served_at_once_and_a_busy_record_in_turns() {
        let now = Instant::now();
        let (past, soon, late) = (now - PACE, now + PACE / 2, now + 2 * HELD);
        assert_eq!(due(None, true, now, past), now);
        assert_eq!(due(None, true, now, soon), soon);
        assert_eq!(due(None, false, now, soon), now + HELD);
        // What nobody waits for goes along with what somebody does, and keeps nobody waiting.
        assert_eq!(due(Some(now + HELD), true, now, past), now);
        assert_eq!(due(Some(soon), false, now, soon), soon);
        assert_eq!(due(None, false, now, late), late, "nothing is synced sooner");
    }
}
