//! Who may wait for responders. Whoever waits has a place among what its worker has under way, for seconds where a
//! responder is slow, and all that takes is a certificate with a path. So of a worker only some wait, and fewer of
//! those from one network: the others go on, whatever becomes of responders. Where several authorities have some, those
//! of one leave half of the places to the others.

use std::net::IpAddr;

use super::super::pool::{Shares, Ticket};
use super::super::throttle::network;
use super::Desk;
use crate::wire::{Peer, Text};

/// Requests of one worker that wait at one time, and how much of what it may have under way they are, at most.
pub(super) const OF_WORKER: usize = 64;
const FRACTION: usize = 8;

/// All who wait.
#[derive(Debug)]
pub(super) struct Waiting {
    of_workers: Shares,
    of_networks: Shares<(Peer, IpAddr, Text<64>)>,
    of_authorities: Shares<(Peer, Text<64>)>,
}

/// One who waits, until this is dropped.
#[derive(Debug)]
#[must_use]
pub(in crate::auth) struct Place {
    _of_worker: Ticket,
    _of_network: Ticket<(Peer, IpAddr, Text<64>)>,
    of_authority: Ticket<(Peer, Text<64>)>,
}

impl Place {
    /// Is it one for these responders?
    pub(in crate::auth) fn is_for(&self, asked: &Desk) -> bool {
        self.of_authority.of().1.as_str() == asked.authority()
    }
}

impl Waiting {
    pub(super) fn new() -> Self {
        let (of_workers, of_networks) = (Shares::new(2 * OF_WORKER), Shares::new(OF_WORKER));
        Self { of_workers, of_networks, of_authorities: Shares::new(2 * OF_WORKER) }
    }

    /// A place for a request that came by that worker from there and asks those of that authority, which may be alone
    /// in having some, where a worker may have so many under way. The network is the worker's word: naming others gains
    /// it no more than its own share.
    pub(super) fn place(
        &self,
        (worker, source): (Peer, IpAddr),
        (authority, alone): (&Text<64>, bool),
        under_way: usize,
    ) -> Option<Place> {
        let of_worker = (under_way / FRACTION).clamp(1, OF_WORKER);
        let most = if alone { of_worker } else { (of_worker / 2).max(1) };
        let of_authority = self.of_authorities.take_within((worker, authority.clone()), most)?;
        let of_network = (worker, network(source), authority.clone());
        let _of_network = self.of_networks.take_within(of_network, most.div_ceil(2))?;
        let _of_worker = self.of_workers.take_within(worker, of_worker)?;
        Some(Place { _of_worker, _of_network, of_authority })
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
            let by = (&Text::new("corporate").unwrap(), true);
            let took: Vec<_> = std::iter::from_fn(|| waiting.place(from, by, under_way)).take(1000).collect();
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
        // Where another authority has responders, too, half of the places are left to it.
        let by = |name: &str, network: u8| {
            let name = Text::new(name).unwrap();
            let from = (Peer(1), [network, 0, 2, 7].into());
            std::iter::from_fn(|| waiting.place(from, (&name, false), 512)).take(1000).collect::<Vec<_>>()
        };
        let crowd: Vec<_> = (1..5).map(|network| by("stranger", network)).collect();
        assert_eq!(crowd.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16, 0, 0]);
        // Though it comes from the same address.
        let others = [by("corporate", 1), by("corporate", 9)];
        assert_eq!(others.map(|places| places.len()), [16, 16]);
    }
}
