//! [`Duplex`](super::channel::Duplex) for tokio: one task owns the channel, the rest of the process talks
//! to it through queues.

use borsh::{BorshDeserialize, BorshSerialize};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use tokio::sync::mpsc;

use super::channel::{Closed, Duplex, Listener};

/// Moves messages until the channel is over or the outgoing queue is closed: what arrives goes to
/// `incoming`, in order; what is put into `outgoing` is sent. A full `incoming` stops the reading, so a
/// peer that sends faster than this process works is held back by its own socket. What a peer said before
/// it went is delivered even when its going, or the kernel's refusal, is noticed first by a failed send.
///
/// Each datagram wakes the peer: so before one leaves, everybody here who can has his say, and it goes along.
///
/// # Errors
/// [`Closed`], with the reason the channel is over. An orderly end (the outgoing queue was dropped) is
/// `Ok`.
pub async fn carry<In, Out>(
    mut duplex: Duplex<In, Out>,
    incoming: mpsc::Sender<In>,
    mut outgoing: mpsc::Receiver<Out>,
) -> Result<(), Closed>
where
    In: BorshDeserialize,
    Out: BorshSerialize,
{
    let end = loop {
        let behind = duplex.wants_write();
        // Only while the kernel takes nothing: each message that the peer reads makes room, which would wake us.
        let interest = if behind { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        #[expect(unsafe_code, reason = "tokio asks that the descriptor stay the same while it is registered")]
        // SAFETY: a Duplex owns its socket, gives the same descriptor for life, and closes it only when dropped,
        // after AsyncFd has deregistered it.
        let registered = unsafe { AsyncFd::register_with_interest(duplex, interest) };
        let mut io = registered.map_err(|error| Closed::Io(error.into()))?;
        let end = converse(&mut io, behind, &incoming, &mut outgoing).await;
        duplex = io.into_inner();
        if let Some(end) = end.transpose() {
            break end;
        }
    };
    if matches!(end, Err(Closed::Gone | Closed::Io(_))) {
        // The kernel reports a reset once, before the messages that came ahead of it.
        for _ in 0..2 {
            while let Ok(Some(message)) = duplex.receive() {
                if incoming.send(message).await.is_err() {
                    return end;
                }
            }
        }
    }
    end
}

/// None when it has changed whether the kernel takes more.
async fn converse<In, Out>(
    io: &mut AsyncFd<Duplex<In, Out>>,
    behind: bool,
    incoming: &mpsc::Sender<In>,
    outgoing: &mut mpsc::Receiver<Out>,
) -> Result<Option<()>, Closed>
where
    In: BorshDeserialize,
    Out: BorshSerialize,
{
    while io.get_ref().wants_write() == behind {
        // What came along in one datagram is here already, and nothing says again that it is.
        while io.get_ref().holds() && incoming.capacity() > 0 {
            if let Some(message) = io.get_mut().receive()?
                && incoming.try_send(message).is_err()
            {
                return Ok(Some(()));
            }
        }
        let room = incoming.capacity() > 0;
        let wanted = match (behind, room) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::WRITABLE),
            (false, true) => Some(Interest::READABLE),
            (false, false) => None,
        };
        tokio::select! {
            message = outgoing.recv(), if !behind => match message {
                Some(message) => {
                    io.get_mut().queue(&message)?;
                    drop(message);
                    tokio::task::yield_now().await;
                    // As much as goes as one, so that who does not read has not much more said to him.
                    while !io.get_ref().is_full() && let Ok(message) = outgoing.try_recv() {
                        io.get_mut().queue(&message)?;
                    }
                    io.get_mut().flush()?;
                }
                None => return Ok(Some(())),
            },
            ready = io.ready_mut(wanted.unwrap_or(Interest::READABLE)), if wanted.is_some() => {
                let mut guard = ready.map_err(Closed::Io)?;
                if behind && guard.ready().is_writable() {
                    guard.get_inner_mut().flush()?;
                    if guard.get_inner().wants_write() {
                        guard.clear_ready_matching(Ready::WRITABLE);
                    }
                }
                while guard.ready().is_readable() && incoming.capacity() > 0 {
                    match guard.get_inner_mut().receive()? {
                        Some(message) => {
                            if incoming.try_send(message).is_err() {
                                return Ok(Some(()));
                            }
                        }
                        None => {
                            guard.clear_ready_matching(Ready::READABLE);
                            break;
                        }
                    }
                }
            }
            permit = incoming.reserve(), if !room => {
                if permit.is_err() {
                    return Ok(Some(()));
                }
            }
        }
    }
    Ok(None)
}

/// A listener that tells tokio when somebody waits. Accept until nobody does, then clear its readiness.
///
/// # Errors
/// What the kernel says.
pub fn listening(listener: Listener) -> std::io::Result<AsyncFd<Listener>> {
    #[expect(unsafe_code, reason = "tokio asks that the descriptor stay the same while it is registered")]
    // SAFETY: a Listener owns its socket, gives the same descriptor for life, and closes it only when dropped,
    // after AsyncFd has deregistered it.
    let registered = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
    registered.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;
    use crate::sys::channel::Channel;
    use crate::wire::VoucherId;
    use crate::wire::links::{AuthToIssuer, FromAudit, IssuerToAuth};
    use crate::wire::permit::Link;

    #[test]
    fn what_the_peer_said_is_delivered_when_the_kernel_refuses_a_message() {
        let (mine, theirs) = Channel::pair().unwrap();
        // Nothing as large as the message below fits.
        setsockopt(&mine, sockopt::SndBuf, &0).unwrap();
        let mut issuer = Duplex::<AuthToIssuer, IssuerToAuth>::new(theirs, Link::AuthToIssuer);
        // So many that not all are read before the message is sent.
        for _ in 0..50 {
            issuer.send(&IssuerToAuth::Redeemed(VoucherId::random())).unwrap();
        }
        let auth = Duplex::<IssuerToAuth, Vec<u8>>::new(mine, Link::IssuerToAuth);
        let ((arrived, mut incoming), (outgoing, leaving)) = (mpsc::channel(64), mpsc::channel(1));
        outgoing.try_send(vec![0; 16 * 1024]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let end = runtime.block_on(carry(auth, arrived, leaving));
        assert!(matches!(end, Err(Closed::Io(_))), "{end:?}");
        let delivered = std::iter::from_fn(|| incoming.try_recv().ok()).count();
        assert_eq!(delivered, 50);
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn what_waits_for_a_peer_that_does_not_read_comes_when_it_does_and_meanwhile_he_is_heard() {
        const MESSAGES: u64 = 2000;
        let (mine, theirs) = Channel::pair().unwrap();
        setsockopt(&mine, sockopt::SndBuf, &0).unwrap();
        let mut issuer = Duplex::<FromAudit, IssuerToAuth>::new(theirs, Link::AuditToIssuer);
        let audit = Duplex::<IssuerToAuth, FromAudit>::new(mine, Link::IssuerToAuth);
        let ((arrived, mut incoming), (outgoing, leaving)) = (mpsc::channel(1), mpsc::channel(4096));
        outgoing.try_send(FromAudit::Head { entries: 0, last: None }).unwrap();
        for sequence in 1..=MESSAGES {
            outgoing.try_send(FromAudit::Durable { sequence }).unwrap();
        }
        runtime().block_on(async {
            let carrier = tokio::spawn(carry(audit, arrived, leaving));
            for _ in 0..3 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                issuer.send(&IssuerToAuth::Redeemed(VoucherId::random())).unwrap();
                assert!(incoming.recv().await.is_some());
            }
            assert!(outgoing.capacity() < 4096, "they wait");
            let mut heard = 0;
            while heard < MESSAGES {
                while let Some(message) = issuer.receive().unwrap() {
                    if let FromAudit::Durable { sequence } = message {
                        heard += 1;
                        assert_eq!(sequence, heard);
                    }
                }
                tokio::task::yield_now().await;
            }
            drop(outgoing);
            assert!(carrier.await.unwrap().is_ok());
        });
    }

    #[test]
    fn what_came_along_in_one_datagram_is_handed_on_also_where_the_peer_reads_late() {
        let (mine, theirs) = Channel::pair().unwrap();
        setsockopt(&mine, sockopt::SndBuf, &0).unwrap();
        let mut issuer = Duplex::<FromAudit, IssuerToAuth>::new(theirs, Link::AuditToIssuer);
        let audit = Duplex::<IssuerToAuth, FromAudit>::new(mine, Link::IssuerToAuth);
        let ((arrived, mut incoming), (outgoing, leaving)) = (mpsc::channel(1), mpsc::channel(4096));
        let said: [VoucherId; 5] = std::array::from_fn(|_| VoucherId::random());
        for voucher in said {
            issuer.queue(&IssuerToAuth::Redeemed(voucher)).unwrap();
        }
        issuer.flush().unwrap();
        runtime().block_on(async {
            let carrier = tokio::spawn(carry(audit, arrived, leaving));
            let pause = || tokio::time::sleep(std::time::Duration::from_millis(20));
            pause().await;
            // One is handed on, and the others wait here, while it becomes known that the peer does not read.
            outgoing.try_send(FromAudit::Head { entries: 0, last: None }).unwrap();
            for sequence in 1..=2000 {
                outgoing.try_send(FromAudit::Durable { sequence }).unwrap();
            }
            pause().await;
            while outgoing.capacity() < 4096 || issuer.receive().unwrap().is_some() {
                while issuer.receive().unwrap().is_some() {}
                pause().await;
            }
            for voucher in said {
                let heard = tokio::time::timeout(std::time::Duration::from_secs(5), incoming.recv()).await;
                assert!(matches!(heard, Ok(Some(IssuerToAuth::Redeemed(one))) if one == voucher), "{heard:?}");
            }
            drop(outgoing);
            assert!(carrier.await.unwrap().is_ok());
        });
    }

    #[test]
    fn what_several_have_to_say_at_one_time_goes_as_one_datagram() {
        let (mine, theirs) = Channel::pair().unwrap();
        let auth = Duplex::<IssuerToAuth, AuthToIssuer>::new(mine, Link::IssuerToAuth);
        let ((arrived, _incoming), (outgoing, leaving)) = (mpsc::channel(1), mpsc::channel(16));
        runtime().block_on(async {
            let carrier = tokio::spawn(carry(auth, arrived, leaving));
            for _ in 0..5 {
                let outgoing = outgoing.clone();
                tokio::spawn(async move { outgoing.send(AuthToIssuer::Withdraw(VoucherId::random())).await });
            }
            drop(outgoing);
            assert!(carrier.await.unwrap().is_ok());
        });
        let mut issuer = Duplex::<AuthToIssuer, IssuerToAuth>::new(theirs, Link::AuthToIssuer);
        for left in (0..5).rev() {
            assert!(matches!(issuer.receive(), Ok(Some(AuthToIssuer::Withdraw(_)))));
            assert_eq!(issuer.holds(), left > 0);
        }
    }
}
