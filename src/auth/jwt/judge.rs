//! Does a JWT hold here and now (R-J001, R-J010, R-J023)? The skew is added once to each bound and nowhere else;
//! where a session ends there is none, for tokens end there, too.

use super::Verified;
use crate::auth::reason::Reason;
use crate::config::auth::partner::{LEAST_KEPT_MS, MOST_SKEW_MS};
use crate::wire::Millis;

/// Longer than a question to the store may take: whoever has been told that a JWT was not here before has still to find
/// it past when the store forgets it.
const MARGIN_MS: i64 = 60_000;

impl Verified<'_> {
    /// Does it hold now, and is it for us?
    ///
    /// # Errors
    /// The reason it does not, and a clause for the operator.
    pub(in crate::auth) fn judge(&self, now: Millis) -> Result<(), (Reason, &'static str)> {
        let Self { issuer, claims } = self;
        self.dates(now).map_err(|why| (Reason::JwtDates, why))?;
        let ours = |audience: &String| issuer.audiences.contains(audience);
        if !claims.audiences.iter().any(ours) {
            return Err((Reason::Audience, "made for somebody else"));
        }
        if issuer.sole_audience && claims.audiences.len() != 1 {
            return Err((Reason::Audience, "made for others, too"));
        }
        if issuer.once && claims.id.is_none() {
            return Err((Reason::UnreadableJwt, "no jti, by which it would be good once"));
        }
        Ok(())
    }

    fn dates(&self, now: Millis) -> Result<(), &'static str> {
        let Self { issuer, claims } = self;
        let (late, early) = (now.plus(issuer.skew_ms), now.plus(-issuer.skew_ms));
        if claims.issued > late {
            return Err("of the future");
        }
        if early > claims.issued.plus(issuer.max_age_ms) {
            return Err("older than max_age_min allows");
        }
        if claims.not_before.is_some_and(|not_before| not_before > late) {
            return Err("not yet valid");
        }
        if early >= claims.expires {
            return Err("past its exp");
        }
        if now >= self.session_end() {
            return Err("its subject authenticated longer ago than max_session_min allows");
        }
        Ok(())
    }

    /// When its subject proved himself there: no later than it was made.
    pub(in crate::auth) fn authenticated(&self) -> Millis {
        self.claims.authenticated.map_or(self.claims.issued, |instant| instant.min(self.claims.issued))
    }

    /// When what is got by it ends at the latest: its chain of tokens goes back to one authentication.
    pub(in crate::auth) fn session_end(&self) -> Millis {
        self.authenticated().plus(self.issuer.max_session_ms)
    }

    /// Until when it must be remembered that it was used: as long as it is taken, and an hour in any case, as of an
    /// assertion.
    pub(in crate::auth) fn until(&self) -> Millis {
        let Self { issuer, claims } = self;
        let kept = claims.issued.plus(issuer.max_age_ms.max(LEAST_KEPT_MS));
        let end = claims.expires.min(kept);
        end.plus(MOST_SKEW_MS).plus(MARGIN_MS)
    }
}
