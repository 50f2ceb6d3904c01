//! Reading a request's body: so large, so long, so slow, and no further.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::config::worker::Limits;

/// A body may be as slow as it likes this long.
const GRACE: Duration = Duration::from_secs(2);
/// What is read and thrown away so that a client that is still sending gets to see its answer.
const DISCARDED: usize = 1024 * 1024;
/// How long that may take.
const DISCARDING: Duration = Duration::from_secs(1);

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Larger than the limit.
    TooLarge,
    /// Slower than the limit.
    TooSlow,
    /// It broke off.
    Truncated,
}

/// Reads the whole body; it is wiped when dropped, for it holds a password. It has `largest` octets at most, where the
/// limits let it have as many.
pub(super) async fn read(body: &mut Incoming, limits: &Limits, largest: usize) -> Result<Zeroizing<Vec<u8>>, Refused> {
    let largest = usize::try_from(limits.body_kib).unwrap_or(usize::MAX).saturating_mul(1024).min(largest);
    let announced = body.size_hint().exact().map(|exact| usize::try_from(exact).unwrap_or(usize::MAX));
    if announced.is_some_and(|announced| announced > largest) {
        return Err(Refused::TooLarge);
    }
    // Room for all of it at once where the length is known: growing would leave copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(16 * 1024)));
    let began = Instant::now();
    let end = began + Duration::from_secs(limits.body_timeout_s.into());
    loop {
        // The moment by which more must have come for the rate to hold.
        let come = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let pace = match u64::from(limits.body_octets_per_s) {
            0 => end,
            rate => began + GRACE + Duration::from_millis(come.saturating_mul(1000) / rate),
        };
        let frame = match timeout_at(pace.min(end), body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Refused::Truncated),
            Ok(None) => return Ok(octets),
            Err(_) => return Err(Refused::TooSlow),
        };
        let Ok(data) = frame.into_data() else { continue };
        if octets.len() + data.len() > largest {
            return Err(Refused::TooLarge);
        }
        if octets.capacity() < octets.len() + data.len() {
            let mut larger = Zeroizing::new(Vec::with_capacity((2 * octets.capacity()).max(octets.len() + data.len())));
            larger.extend_from_slice(&octets);
            octets = larger;
        }
        octets.extend_from_slice(&data);
    }
}

/// Reads and forgets a little more, so that closing does not take the answer away from a client that has
/// not stopped sending.
pub(super) async fn discard(mut body: Incoming) {
    let end = Instant::now() + DISCARDING;
    let mut seen = 0;
    while seen < DISCARDED {
        match timeout_at(end, body.frame()).await {
            Ok(Some(Ok(frame))) => seen += frame.data_ref().map_or(0, hyper::body::Bytes::len),
            _ => return,
        }
    }
}
