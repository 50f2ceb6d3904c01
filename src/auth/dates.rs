//! Does what somebody signed of a requestor hold at this moment? Alike for assertions and JWTs (R-S032, R-J023). The
//! skew is added once to each bound and nowhere else; where a session ends there is none, for tokens end there,
//! too.

use crate::config::auth::vouching::{Bounds, LEAST_KEPT_MS, MOST_SKEW_MS};
use crate::wire::Millis;

/// Longer than a question to the store may take: whoever has been told that a thing was not here before has still to
/// find it past when the store forgets it.
const MARGIN_MS: i64 = 60_000;

/// What it says of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dates {
    /// When it was made.
    pub(super) issued: Millis,
    /// When its subject proved himself.
    pub(super) authenticated: Millis,
    /// From when on it is good.
    pub(super) begin: Option<Millis>,
    /// Until when.
    pub(super) end: Millis,
    /// When it says itself that the session ends.
    pub(super) session_until: Option<Millis>,
}

impl Dates {
    /// Do they hold now?
    ///
    /// # Errors
    /// Why they do not, for the operator.
    pub(super) fn hold(&self, bounds: Bounds, now: Millis) -> Result<(), &'static str> {
        let (late, early) = (now.plus(bounds.skew_ms), now.plus(-bounds.skew_ms));
        if self.issued > late || self.authenticated > late || self.authenticated.0 < 0 {
            return Err("of the future");
        }
        if early > self.issued.plus(bounds.max_age_ms) {
            return Err("older than max_age_min allows");
        }
        if self.begin.is_some_and(|begin| begin > late) {
            return Err("not yet valid");
        }
        if early >= self.end {
            return Err("past its own end");
        }
        if now >= self.authenticated.plus(bounds.max_session_ms) {
            return Err("its subject authenticated longer ago than max_session_min allows");
        }
        if self.session_until.is_some_and(|until| now >= until) {
            return Err("its session is over");
        }
        Ok(())
    }

    /// When what is got by it ends at the latest: its chain of tokens goes back to one authentication.
    pub(super) fn session_end(&self, bounds: Bounds) -> Millis {
        let end = self.authenticated.plus(bounds.max_session_ms);
        self.session_until.map_or(end, |until| until.min(end))
    }

    /// When they hold no more, whatever becomes of the session.
    pub(super) fn over(&self, bounds: Bounds) -> Millis {
        self.end.min(self.issued.plus(bounds.max_age_ms)).plus(bounds.skew_ms)
    }

    /// Until when it must be remembered that it was used: as long as it is taken, and an hour in any case. To remember
    /// each for as long as some configuration would take it, a day, is more than there is room for.
    pub(super) fn remembered(&self, bounds: Bounds) -> Millis {
        let kept = self.issued.plus(bounds.max_age_ms.max(LEAST_KEPT_MS));
        self.end.min(kept).plus(MOST_SKEW_MS).plus(MARGIN_MS)
    }
}
