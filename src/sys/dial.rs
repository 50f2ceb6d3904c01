//! How a worker reaches its peers without being able to dial. A process that may call connect(2) can take an
//! accepted TCP connection, unconnect it with AF_UNSPEC and connect it elsewhere, whatever namespace it is
//! in, because a socket lives in the namespace it was made in. So the worker has neither socket nor connect;
//! a child of a few calls, started before lock-down, connects for it and hands the descriptor over. The child
//! knows two places and takes no address from the worker.

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::{Command, ExitCode};
use std::sync::Mutex;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv, recvmsg, send, sendmsg,
    socketpair,
};

use super::channel::Channel;
use super::places::Place;
use super::{limits, spawn};
use crate::sandbox::{self, Grants, Role};

/// The argument that makes a worker's binary a dialer.
const ARGUMENT: &str = "--dialer";
/// Where the dialer finds its end of the pair.
const END: RawFd = 3;
/// The only places there are for a worker.
const PLACES: [Place; 2] = [Place::AuthWorker, Place::IssuerWorker];
/// Milliseconds a connection may take. A unix listener with room answers at once.
const PATIENCE: u16 = 2000;

/// The worker's end.
#[derive(Debug)]
pub struct Dialer(Mutex<Option<OwnedFd>>);

impl Dialer {
    /// Starts the dialer: this binary again, with `--dialer`. Before lock-down and before the first thread,
    /// from the thread that lives as long as the process; `main` must call [`maybe_run`] first of all. The
    /// dialer ends with this process.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn start() -> io::Result<Self> {
        // Not a bare fork: the dialer shares neither memory nor its layout with the exposed process.
        let mut command = Command::new("/proc/self/exe");
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let environment: Vec<_> = ["CHANCERY_RUN", "CHANCERY_SANDBOX", "CHANCERY_SANDBOX_ABI", "CHANCERY_LOG"]
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)))
            .collect();
        command.arg(ARGUMENT).env_clear().envs(environment);
        // Never waited for: without it this process is of no use and is restarted.
        let _child = spawn::spawn(&mut command, &[("dialer", &theirs)])?;
        let dialer = Self(Mutex::new(Some(ours)));
        // One octet says that it is locked down; nothing else may happen before.
        dialer.exchange(None)?;
        Ok(dialer)
    }

    /// A new channel to one of the worker's two places. Blocks for as long as connect(2) on a unix socket
    /// does; may be called from several threads.
    ///
    /// # Errors
    /// `ENOENT` and `ECONNREFUSED` while the other side is not up; `EPIPE` when the dialer is gone, which
    /// ends the worker.
    pub fn connect(&self, place: Place) -> io::Result<Channel> {
        let index = PLACES.iter().position(|known| *known == place);
        let index = index.and_then(|index| u8::try_from(index).ok());
        let index = index.ok_or_else(|| io::Error::from(Errno::EACCES))?;
        let fd = self.exchange(Some(index))?.ok_or_else(|| io::Error::from(Errno::EPROTO))?;
        Channel::from_fd(fd)
    }

    fn exchange(&self, request: Option<u8>) -> io::Result<Option<OwnedFd>> {
        // Nothing that can panic happens while the lock is held.
        let mut end = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let answer = end.as_ref().ok_or(Errno::EPIPE)?;
        match ask(answer, request) {
            Ok(answer) => answer,
            Err(errno) => {
                // An answer that comes late would be taken for that of the next question.
                *end = None;
                Err(errno.into())
            }
        }
    }
}

/// One question and its answer. The outer error is that the dialer cannot be asked any more.
fn ask(end: &OwnedFd, request: Option<u8>) -> Result<io::Result<Option<OwnedFd>>, Errno> {
    if let Some(request) = request {
        send(end.as_raw_fd(), &[request], MsgFlags::MSG_NOSIGNAL)?;
    }
    let mut ready = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut ready, PollTimeout::from(PATIENCE)) {
            Ok(0) => return Err(Errno::ETIMEDOUT),
            Ok(_) => return receive(end),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// One answer: an errno, 0 for none, and the descriptor when there is one.
fn receive(end: &OwnedFd) -> Result<io::Result<Option<OwnedFd>>, Errno> {
    let mut answer = [0; 4];
    let mut space = cmsg_space!(RawFd);
    let mut buffers = [IoSliceMut::new(&mut answer)];
    let message = recvmsg::<()>(end.as_raw_fd(), &mut buffers, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let length = message.bytes;
    let mut received = None;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            for raw in fds {
                #[expect(unsafe_code, reason = "a received descriptor comes as a bare number")]
                // SAFETY: the kernel just made it for this process; nobody else owns it.
                let fd = unsafe { OwnedFd::from_raw_fd(raw) };
                received = Some(fd);
            }
        }
    }
    match (length, i32::from_le_bytes(answer)) {
        (4, 0) => Ok(Ok(received)),
        (4, errno) => Ok(Err(io::Error::from_raw_os_error(errno))),
        _ => Err(Errno::EPIPE),
    }
}

/// Where this process was started as a dialer it becomes one, and the exit code is returned when the worker
/// is gone. Everywhere else nothing happens. Call it first of all in a worker's `main`.
#[must_use]
pub fn maybe_run() -> Option<ExitCode> {
    if std::env::args_os().nth(1).as_deref() != Some(OsStr::new(ARGUMENT)) {
        return None;
    }
    super::log::start("dialer");
    Some(match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!(event = "dialer-ends", why);
            ExitCode::FAILURE
        }
    })
}

fn run() -> Result<(), String> {
    limits::close_from(END + 1).map_err(|error| error.to_string())?;
    #[expect(unsafe_code, reason = "descriptors inherited through exec come as bare numbers")]
    // SAFETY: the worker put our end of the pair here, and nothing else in this process knows of it.
    let end = unsafe { OwnedFd::from_raw_fd(END) };
    limits::die_with_parent().map_err(|error| error.to_string())?;
    let paths = PLACES.map(Place::path);
    let report = sandbox::lock_down(Role::Dialer, &Grants::default()).map_err(|error| error.to_string())?;
    tracing::info!(event = "locked-down", "{report}");
    answer(&end, 0, None).map_err(|error| error.to_string())?;
    loop {
        let mut request = [0; 2];
        match recv(end.as_raw_fd(), &mut request, MsgFlags::empty()) {
            Ok(0) => return Ok(()),
            Ok(1) => {
                let path = paths.get(usize::from(request[0])).ok_or("the worker named no place")?;
                let sent = match Channel::connect(path) {
                    Ok(channel) => answer(&end, 0, Some(&channel)),
                    Err(error) => answer(&end, error.raw_os_error().unwrap_or(libc::EIO), None),
                };
                sent.map_err(|error| error.to_string())?;
            }
            Ok(_) => return Err("the worker sent more than a place".to_owned()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.to_string()),
        }
    }
}

fn answer(end: &OwnedFd, errno: i32, channel: Option<&Channel>) -> io::Result<()> {
    let octets = errno.to_le_bytes();
    let fds: Vec<RawFd> = channel.iter().map(|channel| channel.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let control = if fds.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(end.as_raw_fd(), &[IoSlice::new(&octets)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}
