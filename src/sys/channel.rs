//! SEQPACKET channels between the processes. A [`Duplex`] is one end of one link: it queues what goes
//! out, puts together what comes in, and turns whatever the permit table does not allow into [`Closed`].
//! It never blocks; the poll loops of issuer, signer and audit own theirs, `channel_async` wraps it for
//! tokio.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use borsh::{BorshDeserialize, BorshSerialize};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, accept4, connect, getsockopt, recv, send, socket,
    socketpair, sockopt,
};

use super::gate::LogGate;
use crate::wire::frame::{Assembler, DATAGRAM, TOGETHER, Violation, encode, fitting, join};
use crate::wire::ids::Peer;
use crate::wire::permit::{Link, State};

/// Datagrams waiting for a peer that does not read; beyond this the peer is given up.
const QUEUE: usize = 4096;

/// Why a channel is over.
#[derive(Debug)]
pub enum Closed {
    /// The peer is gone, or does not read.
    Gone,
    /// The peer broke the protocol.
    Violation(Violation),
    /// The kernel refused.
    Io(io::Error),
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("peer gone"),
            Self::Violation(violation) => write!(f, "violation: {violation}"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Closed {}

impl From<Violation> for Closed {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<Errno> for Closed {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN => Self::Gone,
            other => Self::Io(other.into()),
        }
    }
}

/// A connected SEQPACKET socket, non-blocking, close-on-exec.
#[derive(Debug)]
pub struct Channel {
    fd: OwnedFd,
    peer: Peer,
}

impl Channel {
    /// Connects to a listener by path.
    ///
    /// # Errors
    /// What the kernel says; `ENOENT` and `ECONNREFUSED` while the other side is not up.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags(), None)?;
        connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        Self::adopt(fd)
    }

    /// Two connected ends, for tests.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags())?;
        Ok((Self::adopt(a)?, Self::adopt(b)?))
    }

    /// Takes over a connected SEQPACKET socket that another process made, as the worker's dialer does.
    ///
    /// # Errors
    /// `EPROTO` when it is no unix SEQPACKET socket; what the kernel says.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        use nix::sys::socket::{SockaddrLike, SockaddrStorage, getsockname};
        let family = getsockname::<SockaddrStorage>(fd.as_raw_fd())?.family();
        if family != Some(AddressFamily::Unix) || getsockopt(&fd, sockopt::SockType)? != SockType::SeqPacket {
            return Err(Errno::EPROTO.into());
        }
        Self::adopt(fd)
    }

    fn adopt(fd: OwnedFd) -> io::Result<Self> {
        let peer = Peer(getsockopt(&fd, sockopt::PeerCredentials)?.pid());
        Ok(Self { fd, peer })
    }

    /// Who the kernel says is at the other end.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

fn flags() -> SockFlag {
    SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK
}

/// A listening SEQPACKET socket. Which one accepted tells the peer's role.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    /// For peers that are hung up on, who may come as often as they like.
    refused: LogGate,
}

impl Listener {
    /// Takes over an inherited listener and makes it non-blocking.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { fd, refused: LogGate::new(1) })
    }

    /// The next connection, if one waits. A peer the kernel has no process id for here, because it lives in
    /// another pid namespace, is hung up on: all such peers would have one name, and one worker could redeem
    /// another's vouchers.
    ///
    /// # Errors
    /// What the kernel says, other than that nobody waits.
    pub fn accept(&self) -> io::Result<Option<Channel>> {
        loop {
            match accept4(self.fd.as_raw_fd(), flags()) {
                Ok(raw) => {
                    #[expect(unsafe_code, reason = "nix returns the accepted socket as a bare number")]
                    // SAFETY: accept4 just made this descriptor; nobody else owns it.
                    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
                    match Channel::adopt(fd) {
                        Ok(channel) if channel.peer.0 > 0 => return Ok(Some(channel)),
                        Ok(_) => {
                            if let Some(left_out) = self.refused.pass() {
                                let why = "it lives in another pid namespace";
                                tracing::error!(event = "peer-refused", why, left_out);
                            }
                        }
                        // A peer that hung up already is not worth an error.
                        Err(_) => {}
                    }
                }
                Err(Errno::ECONNABORTED | Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

/// One end of a link: receives `In`, sends `Out`.
#[derive(Debug)]
pub struct Duplex<In, Out> {
    channel: Channel,
    assembler: Assembler,
    /// What came in one datagram and was not asked for yet.
    arrived: VecDeque<In>,
    outgoing: VecDeque<Vec<u8>>,
    /// The kernel has taken nothing more the last time.
    behind: bool,
    buffer: Vec<u8>,
    types: PhantomData<fn(Out)>,
}

impl<In: BorshDeserialize, Out: BorshSerialize> Duplex<In, Out> {
    /// `link` is the direction of `In`.
    #[must_use]
    pub fn new(channel: Channel, link: Link) -> Self {
        Self {
            channel,
            assembler: Assembler::new(link),
            arrived: VecDeque::new(),
            outgoing: VecDeque::new(),
            behind: false,
            buffer: vec![0; DATAGRAM + 1],
            types: PhantomData,
        }
    }

    /// Who the kernel says is at the other end.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.channel.peer
    }

    /// Where the incoming direction stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.assembler.state()
    }

    /// Queues a message and sends what the kernel takes now.
    ///
    /// # Errors
    /// [`Closed`] when the peer is gone or has stopped reading.
    pub fn send(&mut self, message: &Out) -> Result<(), Closed> {
        self.queue(message)?;
        self.flush()
    }

    /// Queues a message for the next flush, which sends what is queued together.
    ///
    /// # Errors
    /// [`Closed`] when the peer is gone or has stopped reading.
    pub fn queue(&mut self, message: &Out) -> Result<(), Closed> {
        self.outgoing.extend(encode(message));
        if self.outgoing.len() > QUEUE {
            self.flush()?;
        }
        if self.outgoing.len() > QUEUE { Err(Closed::Gone) } else { Ok(()) }
    }

    /// Are there datagrams the kernel would not take yet? Then poll for writing.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.behind
    }

    /// Is a datagram's worth queued? Whoever has more to say sends that first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outgoing.len() >= TOGETHER || self.outgoing.iter().map(Vec::len).sum::<usize>() >= DATAGRAM
    }

    /// Sends what the kernel takes now.
    ///
    /// # Errors
    /// [`Closed`] when the peer is gone.
    pub fn flush(&mut self) -> Result<(), Closed> {
        self.behind = false;
        let mut most = TOGETHER;
        while let Some(first) = self.outgoing.front() {
            let put =
                |octets: &[u8]| send(self.channel.as_raw_fd(), octets, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT);
            let together = fitting(&self.outgoing).min(most);
            let sent = if together == 1 {
                put(first)
            } else {
                let mut joined = join(&self.outgoing, together);
                let sent = put(&joined);
                zeroize::Zeroize::zeroize(&mut joined);
                sent
            };
            match sent {
                // Passwords travel here; an emptied queue keeps none.
                Ok(_) => {
                    self.outgoing.drain(..together).for_each(|mut datagram| zeroize::Zeroize::zeroize(&mut datagram))
                }
                Err(Errno::EAGAIN) => {
                    self.behind = true;
                    break;
                }
                Err(Errno::EINTR) => {}
                // A host whose sockets hold less (net.core.wmem_default): each by itself may go.
                Err(Errno::EMSGSIZE) if together > 1 => most = together / 2,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Has more come than was asked for? The kernel says nothing of it: whoever ends a turn asks for that first.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// The next message, if one is whole. Call until it gives none.
    ///
    /// # Errors
    /// [`Closed`]: drop the channel. A violation is for the log and the counter, never for the peer.
    pub fn receive(&mut self) -> Result<Option<In>, Closed> {
        loop {
            if let Some(message) = self.arrived.pop_front() {
                return Ok(Some(message));
            }
            match recv(self.channel.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Err(Closed::Gone),
                Ok(length) if length > DATAGRAM => return Err(Violation::Malformed.into()),
                Ok(length) => {
                    let accepted = self.assembler.accept(&self.buffer[..length], &mut self.arrived);
                    zeroize::Zeroize::zeroize(&mut self.buffer[..length]);
                    if let Err(violation) = accepted {
                        self.arrived.clear();
                        return Err(violation.into());
                    }
                }
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl<In, Out> Drop for Duplex<In, Out> {
    fn drop(&mut self) {
        // What the peer did not take, and what was too long to be a message.
        self.outgoing.iter_mut().for_each(zeroize::Zeroize::zeroize);
        zeroize::Zeroize::zeroize(&mut self.buffer);
    }
}

impl<In, Out> AsFd for Duplex<In, Out> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl<In, Out> AsRawFd for Duplex<In, Out> {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.channel.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::links::{FromAudit, IssuerToAudit};
    use crate::wire::{Millis, links::AuthToWorker};

    #[test]
    fn messages_arrive_in_order_and_a_hang_up_is_gone() {
        let (a, b) = Channel::pair().unwrap();
        let mut audit = Duplex::<IssuerToAudit, FromAudit>::new(a, Link::IssuerToAudit);
        let mut issuer = Duplex::<FromAudit, IssuerToAudit>::new(b, Link::AuditToIssuer);
        audit.send(&FromAudit::Head { entries: 3, last: Some(Millis(9)) }).unwrap();
        audit.send(&FromAudit::Durable { sequence: 1 }).unwrap();
        assert!(matches!(issuer.receive(), Ok(Some(FromAudit::Head { entries: 3, .. }))));
        assert!(matches!(issuer.receive(), Ok(Some(FromAudit::Durable { sequence: 1 }))));
        assert!(matches!(issuer.receive(), Ok(None)));
        drop(audit);
        assert!(matches!(issuer.receive(), Err(Closed::Gone)));
    }

    #[test]
    fn a_message_of_another_link_is_a_violation() {
        let (a, b) = Channel::pair().unwrap();
        let mut liar = Duplex::<FromAudit, AuthToWorker>::new(a, Link::AuditToIssuer);
        let mut issuer = Duplex::<FromAudit, IssuerToAudit>::new(b, Link::AuditToIssuer);
        liar.send(&AuthToWorker::Refused(crate::wire::evidence::Refused {
            correlation: crate::wire::Correlation::random(),
            refusal: crate::wire::evidence::Refusal::BadRequest,
        }))
        .unwrap();
        assert!(matches!(issuer.receive(), Err(Closed::Violation(_))));
    }

    fn audit_and_issuer() -> (Duplex<IssuerToAudit, FromAudit>, Duplex<FromAudit, IssuerToAudit>) {
        let (a, b) = Channel::pair().unwrap();
        (Duplex::new(a, Link::IssuerToAudit), Duplex::new(b, Link::AuditToIssuer))
    }

    #[test]
    fn what_is_queued_goes_as_one_datagram_and_is_held_until_it_is_asked_for() {
        let (mut audit, mut issuer) = audit_and_issuer();
        audit.queue(&FromAudit::Head { entries: 3, last: Some(Millis(9)) }).unwrap();
        for sequence in 1..=3 {
            audit.queue(&FromAudit::Durable { sequence }).unwrap();
        }
        assert!(matches!(issuer.receive(), Ok(None)), "nothing is sent before the flush");
        audit.flush().unwrap();
        drop(audit);
        assert!(matches!(issuer.receive(), Ok(Some(FromAudit::Head { .. }))));
        for expected in 1..=3 {
            assert!(issuer.holds());
            assert!(matches!(issuer.receive(), Ok(Some(FromAudit::Durable { sequence })) if sequence == expected));
        }
        assert!(!issuer.holds());
        assert!(matches!(issuer.receive(), Err(Closed::Gone)));
    }

    #[test]
    fn what_a_small_socket_does_not_take_together_it_takes_in_parts() {
        use crate::wire::Octets;
        use crate::wire::links::{IssuerToWorker, WorkerToIssuer};
        let (a, b) = Channel::pair().unwrap();
        // Room for some four thousand octets.
        nix::sys::socket::setsockopt(&a, sockopt::SndBuf, &0).unwrap();
        let mut issuer = Duplex::<WorkerToIssuer, IssuerToWorker>::new(a, Link::WorkerToIssuer);
        let mut worker = Duplex::<IssuerToWorker, WorkerToIssuer>::new(b, Link::IssuerToWorker);
        for serial in 0..60 {
            let signature = Octets::new(vec![7; 512]).unwrap();
            issuer.queue(&IssuerToWorker::HandshakeSigned { serial, signature }).unwrap();
        }
        let mut heard = 0;
        while heard < 60 {
            issuer.flush().unwrap();
            while let Some(message) = worker.receive().unwrap() {
                assert!(matches!(message, IssuerToWorker::HandshakeSigned { serial, .. } if serial == heard));
                heard += 1;
            }
        }
    }

    #[test]
    fn nothing_of_a_datagram_with_a_violation_is_given() {
        let (a, b) = Channel::pair().unwrap();
        let mut liar = Duplex::<IssuerToAudit, FromAudit>::new(a, Link::IssuerToAudit);
        let mut issuer = Duplex::<FromAudit, IssuerToAudit>::new(b, Link::AuditToIssuer);
        liar.queue(&FromAudit::Head { entries: 3, last: None }).unwrap();
        liar.queue(&FromAudit::Head { entries: 3, last: None }).unwrap();
        liar.flush().unwrap();
        assert!(matches!(issuer.receive(), Err(Closed::Violation(Violation::OutOfState))));
        assert!(matches!(issuer.receive(), Ok(None)));
    }

    #[test]
    fn who_does_not_read_is_written_to_again_when_he_does_and_has_it_all_in_order() {
        let (mut audit, mut issuer) = audit_and_issuer();
        audit.send(&FromAudit::Head { entries: 0, last: None }).unwrap();
        let mut sent = 0;
        while !audit.wants_write() {
            sent += 1;
            audit.send(&FromAudit::Durable { sequence: sent }).unwrap();
        }
        for _ in 0..10 {
            sent += 1;
            audit.queue(&FromAudit::Durable { sequence: sent }).unwrap();
        }
        let mut heard = 0;
        while heard < sent {
            audit.flush().unwrap();
            while let Some(message) = issuer.receive().unwrap() {
                if let FromAudit::Durable { sequence } = message {
                    heard += 1;
                    assert_eq!(sequence, heard);
                }
            }
        }
        audit.flush().unwrap();
        assert!(!audit.wants_write());
    }
}
