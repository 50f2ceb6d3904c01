//! The loop of issuer: one thread, one poll over every channel. A planned end takes nothing in any more,
//! finishes what was begun, and leaves the rest in the sockets for the workers to ask its successor.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::journal::Journal;
use super::keys::{Keys, doubts};
use super::measures::Measures;
use super::office::Office;
use crate::config::issuer;
use crate::metrics::Metrics;
use crate::sandbox;
use crate::sys::channel::{Channel, Listener};
use crate::sys::listen::Inherited;
use crate::sys::log;
use crate::sys::notify::Notifier;
use crate::sys::places::{Place, configuration_root};
use crate::wire::Millis;

/// How often deadlines are looked at while something waits, and when nothing does.
const TICK: Duration = Duration::from_millis(10);
const REST: Duration = Duration::from_millis(250);
/// How long a planned end may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// Channels taken in through one door before everything else has its turn again.
const AT_ONCE: usize = 16;
/// How long nobody is taken in after that failed.
const CROWDED: Duration = Duration::from_secs(1);
/// What is left to the workers to read the last answers.
const LINGER: Duration = Duration::from_millis(50);

/// Inherits, configures, locks down, says ready, loops.
#[must_use]
pub fn main() -> ExitCode {
    log::start("issuer");
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
    let listeners = Listeners {
        worker: Listener::adopt(inherited.one("worker")?)?,
        auth: Listener::adopt(inherited.one("auth")?)?,
        signer: Listener::adopt(inherited.one("signer")?)?,
    };
    let config = issuer::check(&configuration_root())?;
    for key in &config.keys {
        if let Some(doubt) = doubts(key, Millis::now()) {
            tracing::warn!(event = "certificate", key = key.name, why = doubt);
        }
    }
    let keys = Keys::load(&config)?;
    let signals = signals()?;
    let notifier = Notifier::open();
    let metrics = Metrics::new("issuer");
    let measures = Measures::new(&metrics);
    let now = Instant::now();
    let journal = Journal::new(Place::AuditIssuer.path(), config.record_deadline, now);
    let locked = sandbox::lock_down(sandbox::Role::Issuer, &sandbox::Grants::default())?;
    let ready = Arc::new(AtomicBool::new(false));
    metrics.report(Arc::clone(&ready));
    tracing::info!(event = "ready", relying_parties = config.ceilings.len(), sandbox = %locked);
    notifier.ready();
    let office = Office::new(config, keys, journal, measures, ready, now);
    Loop { office, listeners, signals, notifier, ending: None, crowded: None }.run()?;
    Ok(())
}

/// Signals are read, not suffered, so that what is in flight is finished.
fn signals() -> io::Result<SignalFd> {
    let mut read = SigSet::empty();
    read.add(Signal::SIGHUP);
    read.add(Signal::SIGTERM);
    read.add(Signal::SIGINT);
    read.thread_block()?;
    Ok(SignalFd::with_flags(&read, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

struct Listeners {
    worker: Listener,
    auth: Listener,
    signer: Listener,
}

#[derive(Clone, Copy)]
enum Source {
    Signals,
    Workers,
    Auths,
    Signers,
    Worker(u64),
    Auth(u64),
    Signer(u64),
    Audit,
}

struct Loop {
    office: Office,
    listeners: Listeners,
    signals: SignalFd,
    notifier: Notifier,
    /// When a planned end is over at the latest.
    ending: Option<Instant>,
    /// Until then nobody is taken in.
    crowded: Option<Instant>,
}

impl Loop {
    fn run(mut self) -> io::Result<()> {
        let mut ticked = Instant::now();
        let mut alive = ticked;
        self.office.tick(ticked);
        loop {
            let ready = self.wait()?;
            let now = Instant::now();
            for source in ready {
                self.handle(source, now)?;
            }
            self.office.settle(now);
            if now.duration_since(ticked) >= TICK {
                ticked = now;
                self.office.tick(now);
            }
            if now.duration_since(alive) >= Duration::from_secs(1) {
                alive = now;
                self.notifier.alive();
            }
            if let Some(end) = self.ending
                && (self.office.is_idle() || end <= now)
            {
                std::thread::sleep(LINGER);
                tracing::info!(event = "stopped");
                return Ok(());
            }
        }
    }

    /// Waits for a channel or the next look at the deadlines.
    fn wait(&self) -> io::Result<Vec<Source>> {
        let read = PollFlags::POLLIN;
        let mut sources = vec![Source::Signals];
        let mut fds = vec![PollFd::new(self.signals.as_fd(), read)];
        let mut add = |source, fd, flags| {
            sources.push(source);
            fds.push(PollFd::new(fd, flags));
        };
        let flags = |writes| if writes { read | PollFlags::POLLOUT } else { read };
        // Who does not take its answers is not read either.
        let turn = |writes| if writes { PollFlags::POLLOUT } else { read };
        let room = self.crowded.is_none_or(|until| until <= Instant::now());
        if self.ending.is_none() {
            if room {
                add(Source::Workers, self.listeners.worker.as_fd(), read);
                add(Source::Auths, self.listeners.auth.as_fd(), read);
            }
            for (id, duplex) in self.office.workers() {
                add(Source::Worker(id), duplex.as_fd(), turn(duplex.wants_write()));
            }
            for (id, duplex) in self.office.auths() {
                add(Source::Auth(id), duplex.as_fd(), turn(duplex.wants_write()));
            }
        } else {
            for (id, duplex) in self.office.workers().filter(|(_, duplex)| duplex.wants_write()) {
                add(Source::Worker(id), duplex.as_fd(), PollFlags::POLLOUT);
            }
        }
        if room {
            add(Source::Signers, self.listeners.signer.as_fd(), read);
        }
        for (id, duplex) in self.office.signers.poll() {
            add(Source::Signer(id), duplex.as_fd(), flags(duplex.wants_write()));
        }
        if let Some((fd, writes)) = self.office.journal.poll() {
            add(Source::Audit, fd, flags(writes));
        }
        let pause = if self.ending.is_some() || self.office.is_pressed() { TICK } else { REST };
        let timeout = u16::try_from(pause.as_millis()).unwrap_or(u16::MAX);
        match poll(&mut fds, PollTimeout::from(timeout)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
        let ready = fds.iter().map(|fd| fd.revents().is_none_or(|events| !events.is_empty()));
        Ok(sources.into_iter().zip(ready).filter_map(|(source, ready)| ready.then_some(source)).collect())
    }

    /// Takes in a few who wait.
    fn accept(&mut self, which: impl Fn(&Listeners) -> &Listener, now: Instant) -> Vec<Channel> {
        let mut channels = Vec::new();
        while channels.len() < AT_ONCE {
            match which(&self.listeners).accept() {
                Ok(Some(channel)) => channels.push(channel),
                Ok(None) => break,
                // No descriptor is left, or no memory. Those who have a channel are served meanwhile.
                Err(error) => {
                    tracing::warn!(event = "accept-failed", %error);
                    self.crowded = Some(now + CROWDED);
                    break;
                }
            }
        }
        channels
    }

    fn handle(&mut self, source: Source, now: Instant) -> io::Result<()> {
        match source {
            Source::Signals => {
                while let Some(signal) = self.signals.read_signal()? {
                    if signal.ssi_signo == (Signal::SIGHUP as i32).cast_unsigned() {
                        // Whoever has lowered a ceiling must not believe that it holds already.
                        let why = "ceilings and keys are read at start, and those in use stay: restart it";
                        tracing::error!(event = "not-reloaded", why);
                        continue;
                    }
                    tracing::info!(event = "stopping", signal = signal.ssi_signo);
                    self.notifier.stopping();
                    self.ending.get_or_insert(now + FAREWELL);
                }
            }
            Source::Workers => {
                for channel in self.accept(|listeners| &listeners.worker, now) {
                    self.office.adopt_worker(channel, now);
                }
            }
            Source::Auths => {
                for channel in self.accept(|listeners| &listeners.auth, now) {
                    self.office.adopt_auth(channel, now);
                }
            }
            Source::Signers => {
                for channel in self.accept(|listeners| &listeners.signer, now) {
                    self.office.adopt_signer(channel, now);
                }
            }
            Source::Worker(id) if self.ending.is_some() => self.office.worker_flush(id, now),
            Source::Worker(id) => self.office.worker_ready(id, now),
            Source::Auth(id) => self.office.auth_ready(id, now),
            Source::Signer(id) => self.office.signer_ready(id, now),
            Source::Audit => self.office.journal.ready(now),
        }
        Ok(())
    }
}
