//! Who may wait for responders. Whoever waits has a place among what its worker has under way, for seconds where a responder
//! is slow, and all that takes is a certificate with a path. So of a worker only some wait, and fewer of those from one
//! network: the others go on, whatever becomes of responders.

use std::net::IpAddr;

use super::super::pool::{Shares, Ticket};
use super::super::throttle::network;
use crate::wire::Peer;

/// Requests of one worker that wait at one time, and how much of what it may have under way they are, at most.
pub(super) const OF_WORKER: usize = 64;
const FRACTION: usize = 8;

/// All who wait.
#[derive(Debug)]
pub(super) struct Waiting {
    of_workers: Shares,
    of_networks: Shares<(Peer, IpAddr)>,
}

/// One who waits, until this is dropped.
#[derive(Debug)]
#[must_use]
pub(in crate::auth) struct Place {
    _of_worker: Ticket,
    _of_network: Ticket<(Peer, IpAddr)>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { of_workers: Shares::new(2 * OF_WORKER), of_networks: Shares::new(OF_WORKER) }
    }

    /// A place for a request that came by that worker from there, where a worker may have so many under way. The network is
    /// the worker's word: naming others gains it no more than its own share.
    pub(super) fn place(&self, (worker, source): (Peer, IpAddr), under_way: usize) -> Option<Place> {
        let of_worker = (under_way / FRACTION).clamp(1, OF_WORKER);
        let of_network = of_worker.div_ceil(2);
        let _of_network = self.of_networks.take_within((worker, network(source)), of_network)?;
        let _of_worker = self.of_workers.take_within(worker, of_worker)?;
        Some(Place { _of_worker, _of_network })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_leaves_places_to_others_of_its_worker_and_a_worker_to_other_workers() {
        let waiting = Waiting::new();
        let mut places = Vec::new();
        let mut taken = |worker, source: [u8; 4], under_way| {
            let from = (Peer(worker), source.into());
            let took: Vec<_> = std::iter::from_fn(|| waiting.place(from, under_way)).take(1000).collect();
            let count = took.len();
            places.extend(took);
            count
        };
        assert_eq!(taken(1, [192, 0, 2, 7], 512), 32);
        assert_eq!((taken(1, [198, 51, 100, 7], 512), taken(1, [203, 0, 113, 7], 512)), (32, 0));
        assert_eq!((taken(2, [192, 0, 2, 7], 512), taken(3, [192, 0, 2, 7], 8192)), (32, 32));
        assert_eq!((taken(4, [192, 0, 2, 7], 16), taken(4, [198, 51, 100, 7], 16)), (1, 1));
        assert_eq!((taken(5, [192, 0, 2, 7], 1), taken(5, [198, 51, 100, 7], 1)), (1, 0));
        places.clear();
        assert!(waiting.place((Peer(1), [192, 0, 2, 7].into()), 512).is_some());
    }
}
