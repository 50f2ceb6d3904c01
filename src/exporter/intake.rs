//! Snapshots as they come in, each with the process that sent it, which is the kernel's word and not the
//! sender's. Descriptors that somebody sends along are not taken.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, setsockopt};
use tokio::io::Interest;

use crate::wire::Peer;

/// Octets of the largest datagram a stock kernel carries.
const DATAGRAM: usize = 212_992;

/// The socket all processes write to.
#[derive(Debug)]
pub(super) struct Intake {
    socket: tokio::net::UnixDatagram,
    buffer: Vec<u8>,
}

/// Has the kernel say of each datagram that is sent from now on who sends it. Call before lock-down.
///
/// # Errors
/// What the kernel says.
pub(super) fn name_senders(socket: &UnixDatagram) -> std::io::Result<()> {
    Ok(setsockopt(socket, PassCred, &true)?)
}

impl Intake {
    /// From a socket whose senders are named.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(socket: UnixDatagram) -> std::io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: tokio::net::UnixDatagram::from_std(socket)?, buffer: vec![0; DATAGRAM] })
    }

    /// The next datagram and its sender; [`Peer`] 0 when the kernel does not know. May be dropped and called
    /// again: nothing is lost.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) async fn next(&mut self) -> std::io::Result<(Peer, &[u8])> {
        let Self { socket, buffer } = self;
        let received = socket.async_io(Interest::READABLE, || {
            // Room for the credentials and nothing else: the kernel closes descriptors that do not fit.
            let mut space = nix::cmsg_space!(nix::sys::socket::UnixCredentials);
            let mut slices = [IoSliceMut::new(buffer)];
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
            let sender = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmCredentials(of) => Some(Peer(of.pid())),
                    _ => None,
                })
            });
            Ok((sender.unwrap_or(Peer(0)), message.bytes))
        });
        let (sender, length) = received.await?;
        Ok((sender, buffer.get(..length).unwrap_or_default()))
    }
}
