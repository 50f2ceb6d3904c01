//! Settles when a token ends (R-T026). What the client asks for can only shorten; a wish that cannot be
//! met at all is refused, one that is too large is cut.

use super::reason::Reason;
use crate::config::auth::TimestampRules;
use crate::config::auth::party::Party;
use crate::wire::Millis;
use crate::wire::evidence::Lifetime;

/// The latest moment the token may end.
///
/// `Created` is only judged, not followed: postdating is not offered, and a token that a client with a fast
/// clock could not use at once would help nobody. Issuer's clock says when a token begins.
///
/// # Errors
/// [`Reason::Lifetime`] when `Created` lies in the future beyond what clocks may differ, `Expires` is not
/// after `Created`, or has passed.
pub(super) fn settle(
    party: &Party,
    clocks: &TimestampRules,
    wish: Option<Lifetime>,
    now: Millis,
) -> Result<Millis, Reason> {
    let Lifetime { created, expires } = wish.unwrap_or(Lifetime { created: None, expires: None });
    if created.is_some_and(|created| created > now.plus(clocks.future_ms).plus(clocks.skew_ms)) {
        return Err(Reason::Lifetime);
    }
    let Some(expires) = expires else { return Ok(now.plus(party.lifetime_default_ms)) };
    if expires <= now || created.is_some_and(|created| expires <= created) {
        return Err(Reason::Lifetime);
    }
    Ok(expires.min(now.plus(party.lifetime_ceiling_ms)))
}
