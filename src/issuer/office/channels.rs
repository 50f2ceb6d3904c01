//! Messages of auth and of the workers, and the ends of their channels. A peer that breaks the protocol is
//! hung up on and told nothing; a worker's vouchers, handshakes and answers go with its last channel. Answers are
//! queued, and leave together when the turn is over.

use std::time::Instant;

use borsh::{BorshDeserialize, BorshSerialize};

use super::super::measures::LINKS;
use super::super::vouchers::Lodged;
use super::{Office, SOON, TURN};
use crate::sys::channel::{Closed, Duplex};
use crate::wire::VoucherId;
use crate::wire::links::{AuthToIssuer, IssuerToAuth, IssuerToWorker, WorkerToIssuer};
use crate::wire::order::{Failure, Voucher};

/// What a peer says next; none when it has said enough for one turn, or has yet to take what it was told before. So who
/// asks and does not read has a few answers waiting and no more. What came in one datagram is one turn's.
fn next<In: BorshDeserialize, Out: BorshSerialize>(
    duplex: &mut Duplex<In, Out>,
    said: usize,
) -> Result<Option<In>, Closed> {
    if !duplex.holds() {
        if duplex.wants_write() {
            duplex.flush()?;
        }
        if said >= TURN || duplex.wants_write() {
            return Ok(None);
        }
    }
    duplex.receive()
}

impl Office {
    /// Reads and writes what there is on one of auth's channels.
    pub(in crate::issuer) fn auth_ready(&mut self, id: u64, now: Instant) {
        for said in 0.. {
            let Some(duplex) = self.auths.get_mut(&id) else { return };
            let answered = match next(duplex, said) {
                Ok(None) => return,
                Ok(Some(AuthToIssuer::Withdraw(voucher))) => {
                    self.vouchers.withdraw(voucher);
                    Ok(())
                }
                Ok(Some(AuthToIssuer::Lodge(voucher))) => self.lodge(id, voucher, now),
                Ok(Some(AuthToIssuer::Confirm { question, worker, handshake })) => {
                    self.confirm(id, question, (worker, &handshake), now)
                }
                Ok(Some(AuthToIssuer::Unwrap(unwrap))) => self.unwrap(id, unwrap, now),
                Err(closed) => Err(closed),
            };
            if let Err(closed) = answered {
                if let Some(duplex) = self.auths.remove(&id)
                    && let Closed::Violation(violation) = &closed
                {
                    self.violation(LINKS[1], Some(duplex.peer()), violation, now);
                }
                return;
            }
        }
    }

    fn lodge(&mut self, id: u64, voucher: Voucher, now: Instant) -> Result<(), Closed> {
        let name = voucher.id;
        // One that could not be signed in time is not worth its redemption.
        let has_time = self.vouchers.knows(name) || self.has_time(&voucher.order, voucher.worker);
        let lodged = if has_time { self.vouchers.lodge(voucher, now)? } else { Lodged::Full };
        let answer = match lodged {
            Lodged::Taken => IssuerToAuth::Lodged(name),
            Lodged::Full => {
                self.measures.declined.inc();
                IssuerToAuth::Declined { voucher: name, failure: SOON }
            }
            Lodged::Spent => IssuerToAuth::Declined { voucher: name, failure: Failure::NoSuchVoucher },
        };
        self.measures.vouchers.set(i64::try_from(self.vouchers.count()).unwrap_or(i64::MAX));
        self.auths.get_mut(&id).map_or(Ok(()), |duplex| duplex.queue(&answer))
    }

    /// Tells auth that vouchers are spent, so that they are never lodged at a successor of this process. False when
    /// the kernel has not taken that from us: it would die with this process, and the vouchers are good for nothing
    /// then. An auth that is gone has forgotten its vouchers; one that has lost its channel and nothing else could
    /// lodge them again, were this process killed before it is back.
    #[must_use]
    pub(super) fn say_redeemed(&mut self, vouchers: &[VoucherId]) -> bool {
        let mut said = true;
        // A channel that ends here may still have been the one to a living auth, if something waited on it.
        self.auths.retain(|_, duplex| {
            let behind = duplex.wants_write();
            let queued = vouchers.iter().try_for_each(|voucher| duplex.queue(&IssuerToAuth::Redeemed(*voucher)));
            let sent = queued.and_then(|()| duplex.flush());
            said &= if sent.is_ok() { !duplex.wants_write() } else { !behind };
            sent.is_ok()
        });
        said
    }

    /// Writes what waits for one worker; for a process that takes nothing in any more.
    pub(in crate::issuer) fn worker_flush(&mut self, id: u64, now: Instant) {
        if let Some(duplex) = self.workers.get_mut(&id)
            && let Err(closed) = duplex.flush()
        {
            self.drop_worker(id, &closed, now);
        }
    }

    /// Reads and writes what there is on one worker's channel.
    pub(in crate::issuer) fn worker_ready(&mut self, id: u64, now: Instant) {
        // Together, for auth hears of all before anything is done with one.
        let mut redemptions = Vec::new();
        for said in 0.. {
            let Some(duplex) = self.workers.get_mut(&id) else { return };
            let taken = match next(duplex, said) {
                Ok(None) => break,
                Ok(Some(WorkerToIssuer::Redeem(redemption))) => {
                    redemptions.push(redemption);
                    Ok(())
                }
                Ok(Some(WorkerToIssuer::SignReply(asked))) => self.sign_reply(id, asked, now),
                Ok(Some(WorkerToIssuer::Handshake(handshake))) => self.handshake(id, handshake, false, now),
                Ok(Some(WorkerToIssuer::RememberedHandshake(handshake))) => self.handshake(id, handshake, true, now),
                Err(closed) => Err(closed),
            };
            if let Err(closed) = taken {
                self.drop_worker(id, &closed, now);
                return;
            }
        }
        if let Err(closed) = self.redeem(id, &redemptions, now) {
            self.drop_worker(id, &closed, now);
        }
    }

    pub(super) fn drop_worker(&mut self, id: u64, closed: &Closed, now: Instant) {
        let Some(duplex) = self.workers.remove(&id) else { return };
        let peer = duplex.peer();
        if let Closed::Violation(violation) = closed {
            self.violation(LINKS[0], Some(peer), violation, now);
        }
        if !self.workers.values().any(|other| other.peer() == peer) {
            // Not its quota, nor what it has in flight: it could have both anew by coming back.
            self.vouchers.bereave(peer);
            self.remembered.bereave(peer);
            self.answers.bereave(peer);
        }
    }

    /// Answers a worker when the turn is over; one that is gone or does not read is dropped.
    pub(super) fn answer(&mut self, id: u64, message: &IssuerToWorker, now: Instant) {
        let Some(duplex) = self.workers.get_mut(&id) else { return };
        if let Err(closed) = duplex.queue(message) {
            self.drop_worker(id, &closed, now);
        }
    }

    /// Sends what the turn has left for auth and for the workers.
    pub(super) fn flush(&mut self, now: Instant) {
        // Who does not read is polled for: each try puts together again what waits for him.
        self.auths.retain(|_, duplex| duplex.wants_write() || duplex.flush().is_ok());
        let reading = self.workers.iter_mut().filter(|(_, duplex)| !duplex.wants_write());
        let flushed = reading.map(|(id, duplex)| (*id, duplex.flush()));
        let gone: Vec<_> = flushed.filter_map(|(id, flushed)| Some((id, flushed.err()?))).collect();
        for (id, closed) in gone {
            self.drop_worker(id, &closed, now);
        }
    }
}
