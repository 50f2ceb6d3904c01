//! What a stranger may take up: descriptors, connections and requests from one address. Everything here counts
//! and refuses; nothing waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::resource::{Resource, getrlimit};

pub(super) use crate::sys::gate::LogGate;

/// Descriptors kept for what is not a client: standard streams, listeners, peers, the runtime.
const OWN_DESCRIPTORS: u64 = 64;

/// How many connections fit under the limit on open descriptors, at most `wanted`.
pub(super) fn connections(wanted: u32) -> u32 {
    let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    let fitting = u32::try_from(soft.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(u32::MAX).max(1);
    if fitting < wanted {
        tracing::warn!(event = "few-descriptors", limit = soft, connections = fitting);
    }
    wanted.min(fitting)
}

/// Connections, or requests, by where they come from.
#[derive(Debug)]
pub(super) struct Sources {
    each: u32,
    table: Mutex<HashMap<IpAddr, u32>>,
}

/// A place in [`Sources`]; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    /// At most `each` from one source.
    pub(super) fn new(each: u32) -> Arc<Self> {
        Arc::new(Self { each, table: Mutex::new(HashMap::new()) })
    }

    /// A place for one more from `address`, unless its source has its share. The table holds only sources
    /// with a place, so the limit on connections bounds it too.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let source = source(address);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let count = table.entry(source).or_insert(0);
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place { sources: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.sources.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = table.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                table.remove(&self.source);
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 an IPv6 host picks its addresses from.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_share_and_gets_it_back() {
        let sources = Sources::new(2);
        let alice: IpAddr = "192.0.2.1".parse().unwrap();
        let first = sources.enter(alice).unwrap();
        let _second = sources.enter(alice).unwrap();
        assert!(sources.enter(alice).is_none());
        assert!(sources.enter("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(sources.enter(alice).is_some());
    }

    #[test]
    fn a_host_does_not_multiply_by_changing_its_ipv6_address() {
        let sources = Sources::new(1);
        let _first = sources.enter("2001:db8::1".parse().unwrap()).unwrap();
        assert!(sources.enter("2001:db8::2".parse().unwrap()).is_none());
        assert!(sources.enter("2001:db8:0:1::1".parse().unwrap()).is_some());
        let _mapped = sources.enter("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(sources.enter("192.0.2.1".parse().unwrap()).is_none());
    }
}
