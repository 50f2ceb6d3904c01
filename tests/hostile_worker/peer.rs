//! One end of a channel, as the hijacker uses it.

use std::os::fd::AsFd;
use std::time::Instant;

use chancery::sys::channel::{Closed, Duplex};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::PATIENCE;
use super::stack::Verdict;

/// One end of a channel the hijacker speaks on.
pub(super) struct Peer<In, Out>(pub(super) Duplex<In, Out>);

impl<In, Out> Peer<In, Out>
where
    In: borsh::BorshDeserialize + std::fmt::Debug,
    Out: borsh::BorshSerialize,
{
    pub(super) fn send(&mut self, message: Out) -> Verdict {
        self.0.send(&message).map_err(|closed| format!("cannot send: {closed}"))
    }

    /// The next message, or that the other end hung up.
    pub(super) fn next(&mut self) -> Result<Option<In>, String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let _gone = self.0.flush();
            match self.0.receive() {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(Closed::Gone) => return Ok(None),
                Err(other) => return Err(format!("{other}")),
            }
            let events = if self.0.wants_write() { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
            poll(&mut [PollFd::new(self.0.as_fd(), events)], PollTimeout::from(100_u8)).unwrap();
        }
        Err("neither answer nor end".to_owned())
    }

    pub(super) fn answer(&mut self) -> Result<In, String> {
        self.next()?.ok_or_else(|| "hung up on".to_owned())
    }

    /// The other end hangs up and says nothing.
    pub(super) fn hung_up_on(&mut self) -> Verdict {
        match self.next()? {
            None => Ok(()),
            Some(answer) => Err(format!("was answered {answer:?}")),
        }
    }
}
