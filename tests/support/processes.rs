//! Real daemons under a test: their listeners, their start until READY=1, their end. A daemon is killed by
//! pid when its value is dropped.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::Pid;

/// How long anything may take before a test gives up. Long: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A listening SEQPACKET socket at `path`.
pub(crate) fn listener(path: &Path) -> OwnedFd {
    let fd = bound(path, SockType::SeqPacket);
    listen(&fd, Backlog::new(64).expect("64 is a backlog")).expect("listens");
    fd
}

/// A bound datagram socket at `path`.
pub(crate) fn datagrams(path: &Path) -> OwnedFd {
    bound(path, SockType::Datagram)
}

fn bound(path: &Path, kind: SockType) -> OwnedFd {
    let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    bind(fd.as_raw_fd(), &UnixAddr::new(path).expect("a short path")).expect("binds");
    fd
}

/// Does this until it gives something.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Spawns `command` with `CHANCERY_RUN` = `run` and the listeners, and waits for READY=1. An error is the
    /// exit of a daemon that ended instead.
    pub(crate) fn start(command: &mut Command, run: &Path, listeners: &[(&str, &OwnedFd)]) -> Result<Self, ExitStatus> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let path = run.join(format!("notify-{}.sock", STARTED.fetch_add(1, Ordering::Relaxed)));
        let notify = UnixDatagram::bind(&path).expect("binds");
        notify.set_read_timeout(Some(Duration::from_millis(50))).expect("takes a timeout");
        command.env("NOTIFY_SOCKET", &path).env("CHANCERY_RUN", run);
        let child = chancery::sys::spawn::spawn(command, listeners).expect("spawns");
        let mut daemon = Self { child };
        let begun = Instant::now();
        let mut words = [0; 512];
        loop {
            if let Ok(length) = notify.recv(&mut words)
                && words[..length].split(|octet| *octet == b'\n').any(|word| word == b"READY=1")
            {
                return Ok(daemon);
            }
            if let Some(status) = daemon.ended().expect("can be waited for") {
                return Err(status);
            }
            assert!(begun.elapsed() < PATIENCE, "not ready in time");
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    /// Its exit, if it ended.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(mut self, signal: Signal) -> ExitStatus {
        kill(self.pid(), signal).expect("it runs");
        self.child.wait().expect("can be waited for")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// Not every test needs all of this, and each test is a crate of its own.
const _: fn(&Path) -> OwnedFd = listener;
const _: fn(&Path) -> OwnedFd = datagrams;
const _: fn(&Daemon) -> Pid = Daemon::pid;
const _: fn(Daemon, Signal) -> ExitStatus = Daemon::end;
