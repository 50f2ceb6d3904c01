//! Vouchers between lodging and redemption. Each is good once, for seconds, over a channel of the worker it
//! was made for and under the request it was made for; whoever gets one of these wrong breaks the protocol
//! and the voucher is burnt. They outlive auth's channel (its work is done) and die with the worker's. A
//! worker that comes too late, for one that was burnt by somebody else, has done nothing wrong, nor has one whose channel
//! ended under its question and that puts it again over the next: it gets nothing, and may ask as often as it likes. The name of a spent one
//! is kept for as long as any auth may lodge it again, which its configuration says and not ours.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::wire::frame::Violation;
use crate::wire::order::{LONGEST_VOUCHER_MS, Order, Redemption, Voucher};
use crate::wire::{Peer, VoucherId};

/// Names held at a time, spent ones included until they would have run out: room for thirteen thousand a second.
const MOST: usize = 65_536;
/// Names of spent vouchers after that, 64 octets each: room for as many a second.
const MOST_SPENT: usize = 16 * MOST;
/// Octets of the orders of unspent vouchers, all together: auth may name workers that there are not.
const MOST_OCTETS: usize = 128 << 20;
/// For how long: auth counts from when it hears that a voucher is lodged, and looks once a second.
const KEPT: Duration = Duration::from_millis(LONGEST_VOUCHER_MS as u64 + 5000);
/// What a value takes besides its octets.
const EACH: usize = 64;
/// Unspent vouchers at a time for one worker.
const MOST_OF_ONE: usize = 2048;

fn values(order: &Order) -> usize {
    order.claims.iter().map(|claim| 1 + claim.values.len()).sum()
}

/// What lodging came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lodged {
    /// It may be redeemed.
    Taken,
    /// There is no room.
    Full,
    /// It has been redeemed already: a lodging again after a lost answer.
    Spent,
}

/// What a voucher was good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redeemed {
    pub(super) order: Order,
    /// May the answer with the token be signed?
    pub(super) signed_reply: bool,
}

/// What redemption came to, other than that.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotRedeemed {
    /// Never lodged here, run out, or burnt by no doing of the worker's.
    NoSuchVoucher,
    /// No honest worker does that.
    Violation(Violation),
}

#[derive(Debug)]
struct Held {
    worker: Peer,
    /// None once it is spent: who redeems it again until it would have run out is known.
    order: Option<Box<Order>>,
    signed_reply: bool,
    /// What of [`MOST_OCTETS`] the order takes.
    octets: usize,
    /// What its worker had for it. It could not know that it was burnt otherwise.
    put: Put,
}

/// Has its worker put a voucher in?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    /// Not while it was good.
    No,
    /// Over this channel it was given the order: over this one it does not ask again.
    Over(u64),
    /// Under another request, which no worker does over any.
    Wrongly,
}

/// The vouchers.
#[derive(Debug)]
pub(super) struct Vouchers {
    life: Duration,
    held: HashMap<VoucherId, Held>,
    of_worker: HashMap<Peer, usize>,
    octets: usize,
    /// In the order they run out.
    ends: VecDeque<(Instant, VoucherId)>,
    /// Spent ones that have run out, and in the order in which they are forgotten.
    spent: HashSet<VoucherId>,
    forgotten: VecDeque<(Instant, VoucherId)>,
}

impl Vouchers {
    pub(super) fn new(life: Duration) -> Self {
        Self {
            life,
            held: HashMap::new(),
            of_worker: HashMap::new(),
            octets: 0,
            ends: VecDeque::new(),
            spent: HashSet::new(),
            forgotten: VecDeque::new(),
        }
    }

    /// Names held, spent ones included.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// Is there one of that name, or was there?
    pub(super) fn knows(&self, id: VoucherId) -> bool {
        self.held.contains_key(&id) || self.spent.contains(&id)
    }

    /// Takes one in.
    ///
    /// # Errors
    /// [`Violation`] when another voucher has its name.
    pub(super) fn lodge(&mut self, voucher: Voucher, now: Instant) -> Result<Lodged, Violation> {
        self.expire(now);
        if let Some(held) = self.held.get(&voucher.id) {
            return match &held.order {
                Some(order)
                    if **order == voucher.order
                        && held.worker == voucher.worker
                        && held.signed_reply == voucher.signed_reply =>
                {
                    Ok(Lodged::Taken)
                }
                Some(_) => Err(Violation::Rule("voucher lodged twice with different orders")),
                None => Ok(Lodged::Spent),
            };
        }
        if self.spent.contains(&voucher.id) {
            return Ok(Lodged::Spent);
        }
        let of_worker = self.of_worker.get(&voucher.worker).copied().unwrap_or(0);
        let octets = borsh::object_length(&voucher.order).unwrap_or(MOST_OCTETS) + EACH * values(&voucher.order);
        let crowded = self.held.len() >= MOST || self.spent.len() >= MOST_SPENT;
        if crowded || of_worker >= MOST_OF_ONE || self.octets.saturating_add(octets) > MOST_OCTETS {
            return Ok(Lodged::Full);
        }
        self.octets += octets;
        // Not before: a name auth invents for what is refused must leave nothing behind.
        self.of_worker.insert(voucher.worker, of_worker + 1);
        let Voucher { id, worker, order, signed_reply } = voucher;
        let held = Held { worker, order: Some(Box::new(order)), signed_reply, octets, put: Put::No };
        self.held.insert(id, held);
        self.ends.push_back((now + self.life, id));
        Ok(Lodged::Taken)
    }

    /// Hands out the order and spends the voucher; a wrong redemption spends it too. `channel` is one of the worker's, and
    /// never was another's.
    pub(super) fn redeem(
        &mut self,
        redemption: &Redemption,
        (worker, channel): (Peer, u64),
        now: Instant,
    ) -> Result<Redeemed, NotRedeemed> {
        self.expire(now);
        let held = self.held.get_mut(&redemption.voucher).ok_or(NotRedeemed::NoSuchVoucher)?;
        let violation = |rule| Err(NotRedeemed::Violation(Violation::Rule(rule)));
        let (owner, order, octets) = (held.worker, held.order.take(), held.octets);
        let (before, signed_reply) = (held.put, held.signed_reply);
        if let Some(order) = order.as_ref().filter(|_| owner == worker) {
            let right = order.correlation == redemption.correlation;
            held.put = if right { Put::Over(channel) } else { Put::Wrongly };
        }
        if order.is_some() {
            self.one_less(owner, octets);
        }
        if owner != worker {
            return violation("voucher of another worker");
        }
        match (order, before) {
            (_, Put::Wrongly) => violation("voucher redeemed twice"),
            (_, Put::Over(first)) if first == channel => violation("voucher redeemed twice"),
            (None, _) => Err(NotRedeemed::NoSuchVoucher),
            (Some(order), _) if order.correlation != redemption.correlation => violation("voucher of another request"),
            (Some(order), _) => Ok(Redeemed { order: *order, signed_reply }),
        }
    }

    /// Burns one at auth's wish.
    pub(super) fn withdraw(&mut self, id: VoucherId) {
        if let Some(held) = self.held.get_mut(&id)
            && held.order.take().is_some()
        {
            let (owner, octets) = (held.worker, held.octets);
            self.one_less(owner, octets);
        }
    }

    /// Burns all of a worker that is gone.
    pub(super) fn bereave(&mut self, worker: Peer) {
        if self.of_worker.remove(&worker).is_some() {
            for held in self.held.values_mut().filter(|held| held.worker == worker) {
                if held.order.take().is_some() {
                    self.octets -= held.octets;
                }
            }
        }
    }

    /// Forgets what has run out.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((end, id)) = self.ends.front().copied()
            && end <= now
        {
            self.ends.pop_front();
            match self.held.remove(&id) {
                Some(held) if held.order.is_some() => self.one_less(held.worker, held.octets),
                Some(_) => {
                    self.spent.insert(id);
                    self.forgotten.push_back((now + KEPT, id));
                }
                None => {}
            }
        }
        while let Some((end, id)) = self.forgotten.front()
            && *end <= now
        {
            self.spent.remove(id);
            self.forgotten.pop_front();
        }
    }

    fn one_less(&mut self, worker: Peer, octets: usize) {
        self.octets -= octets;
        if let Some(count) = self.of_worker.get_mut(&worker) {
            *count -= 1;
            if *count == 0 {
                self.of_worker.remove(&worker);
            }
        }
    }
}

#[cfg(test)]
mod tests;
