//! The channel to issuer: one thread reads requests, the session threads write answers themselves. When
//! issuer goes away the process ends, for it has nobody to serve; the supervisor starts it again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::meters::Meters;
use super::pool::{Pool, answer};
use super::recovery::{Custody, GivenUp, Task};
use crate::sys::channel::{Channel, Closed, Duplex};
use crate::sys::notify::Notifier;
use crate::sys::places::Place;
use crate::wire::frame::Violation;
use crate::wire::links::{FailureClass, IssuerToSigner, SignerReady, SignerToIssuer};
use crate::wire::permit::Link;

/// How often the supervisor is told that this process lives; a turn lasts no longer.
const ALIVE: Duration = Duration::from_secs(1);

type Issuer = Duplex<IssuerToSigner, SignerToIssuer>;

/// Where every thread puts what issuer is to be told.
pub(crate) struct Outbox {
    issuer: OnceLock<Mutex<Issuer>>,
    wake: EventFd,
}

impl Outbox {
    /// Not connected yet: what is sent before is dropped, as `Ready` will tell the whole.
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Arc::new(Self { issuer: OnceLock::new(), wake }))
    }

    fn issuer(&self) -> Option<MutexGuard<'_, Issuer>> {
        self.issuer.get().map(|issuer| issuer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends, or leaves the rest to the reading thread.
    pub(crate) fn send(&self, message: &SignerToIssuer) {
        let Some(mut issuer) = self.issuer() else { return };
        if issuer.send(message).is_err() || issuer.wants_write() {
            // The reading thread finds the same out, and is the one who ends the process.
            let _ = self.wake.write(1);
        }
    }
}

/// Connects, with pauses of 10 ms growing to 500 ms; gives up after a while so that the supervisor knows.
pub(crate) fn connect() -> io::Result<Channel> {
    let path = Place::IssuerSigner.path();
    let mut pause = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        match Channel::connect(&path) {
            Ok(channel) => return Ok(channel),
            Err(error) if waited > Duration::from_secs(30) => return Err(error),
            Err(_) => {
                std::thread::sleep(pause);
                waited += pause;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
        }
    }
}

/// Lets the healer begin, once issuer has been told that there is a token; dropped, the healer never does.
pub(crate) struct Start(Sender<()>);

/// Starts a thread a session and the healer, so that whoever is told of so many sessions can count on them.
///
/// # Errors
/// Which thread there is no room for.
pub(crate) fn threads(
    custody: &Arc<Custody>,
    pool: &Arc<Pool>,
    outbox: &Arc<Outbox>,
    sessions: u16,
) -> Result<Start, String> {
    let spawn = |name: String, work: Box<dyn FnOnce() + Send>| match Builder::new().name(name.clone()).spawn(work) {
        Ok(_thread) => Ok(()),
        Err(error) => Err(format!(
            "thread {name}: {error}; sessions = {sessions} needs as many threads and a few more, which TasksMax= of the \
             unit, a limit of the container or the memory may not allow"
        )),
    };
    for index in 0..usize::from(sessions) {
        let (custody, pool, outbox) = (Arc::clone(custody), Arc::clone(pool), Arc::clone(outbox));
        spawn(format!("session-{index}"), Box::new(move || pool.work(index, &custody, &outbox)))?;
    }
    let (healer, (start, begun)) = (Arc::clone(custody), channel());
    let heal = move || {
        if begun.recv().is_ok() {
            healer.heal();
        }
    };
    spawn("healer".to_owned(), Box::new(heal))?;
    Ok(Start(start))
}

/// Serves until issuer is gone; says why.
pub(crate) fn serve(
    start: &Start,
    pool: &Arc<Pool>,
    outbox: &Arc<Outbox>,
    ready: SignerReady,
    channel: Channel,
    meters: &Meters,
    notifier: &Notifier,
) -> Closed {
    let mut issuer = Issuer::new(channel, Link::IssuerToSigner);
    if let Err(closed) = issuer.send(&SignerToIssuer::Ready(ready)) {
        return closed;
    }
    let _ = outbox.issuer.set(Mutex::new(issuer));
    // What it has to say of the token comes after `Ready`.
    let _ = start.0.send(());
    // Polled without the lock, on a descriptor of its own, so that answers are sent meanwhile.
    let fd = match outbox.issuer().map(|issuer| issuer.as_fd().try_clone_to_owned()) {
        Some(Ok(fd)) => fd,
        Some(Err(error)) => return Closed::Io(error),
        None => return Closed::Gone,
    };
    let mut alive = Instant::now();
    loop {
        if let Err(closed) = turn(fd.as_fd(), outbox, pool, meters) {
            return closed;
        }
        // Not at each turn: every word wakes the supervisor.
        if alive.elapsed() >= ALIVE {
            alive = Instant::now();
            notifier.alive();
        }
    }
}

/// Waits for something to do, and does it.
fn turn(fd: BorrowedFd<'_>, outbox: &Outbox, pool: &Pool, meters: &Meters) -> Result<(), Closed> {
    let writing = outbox.issuer().is_some_and(|issuer| issuer.wants_write());
    let wanted = if writing { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
    let mut fds = [PollFd::new(fd, wanted), PollFd::new(outbox.wake.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, PollTimeout::from(1000_u16)) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(()),
        Ok(_) => {}
        Err(errno) => return Err(errno.into()),
    }
    if fds[1].any() != Some(false) {
        let _ = outbox.wake.read();
    }
    let Some(mut issuer) = outbox.issuer() else { return Err(Closed::Gone) };
    issuer.flush()?;
    while let Some(message) = issuer.receive()? {
        let (id, task) = match message {
            IssuerToSigner::Sign { id, key, mechanism, digest } => {
                (id, Task::Sign { key, mechanism, digest: digest.into_vec() })
            }
            IssuerToSigner::Draw { length, .. } if !(1..=64).contains(&length) => {
                return Err(Violation::Rule("a draw of none or more than 64 octets").into());
            }
            IssuerToSigner::Draw { id, length } => (id, Task::Draw { length }),
            IssuerToSigner::Unwrap { id, key, transport, sealed } => (id, Task::Unwrap { key, transport, sealed }),
        };
        if let Err(task) = pool.submit(id, task) {
            meters.busy.inc();
            issuer.queue(&answer(id, &task, Err(GivenUp { class: FailureClass::Busy, rv: 0 })))?;
        }
    }
    issuer.flush()
}
