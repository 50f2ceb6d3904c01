//! Does an assertion hold here and now, and may whoever presents it (R-S031 to R-S035)? The skew is added once to
//! each bound and nowhere else; where a session ends there is none, for tokens end there, too.

use std::net::IpAddr;

use super::Verified;
use super::read::{Assertion, Confirmation, ConfirmationMethod};
use crate::auth::reason::Reason;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::partner::Partner;
use crate::wire::Millis;

/// Longer than a question to the store may take: whoever has been told that an assertion was not here before has
/// still to find it past when the store forgets it.
const MARGIN_MS: i64 = 60_000;

impl Verified<'_> {
    /// May whoever holds it present it, here and now?
    ///
    /// # Errors
    /// The reason he may not, and a clause for the operator.
    pub(in crate::auth) fn judge(
        &self,
        endpoint: &Endpoint,
        source: IpAddr,
        now: Millis,
    ) -> Result<(), (Reason, &'static str)> {
        let Self { partner, assertion } = self;
        dates(partner, assertion, now).map_err(|why| (Reason::AssertionDates, why))?;
        let audiences = &assertion.conditions.audiences;
        let ours = |restriction: &Vec<String>| restriction.iter().any(|one| partner.audiences.contains(one));
        if audiences.is_empty() || !audiences.iter().all(ours) {
            return Err((Reason::Audience, "made for somebody else, or for anybody"));
        }
        let presented = |confirmation: &Confirmation| {
            confirmation.method == ConfirmationMethod::Bearer
                && !confirmation.asks_more
                && confirmed(confirmation, partner, endpoint, source, now)
        };
        if !assertion.subject.confirmations.iter().any(presented) {
            return Err((Reason::Confirmation, "not for whoever holds it, or not any more, here or from there"));
        }
        Ok(())
    }

    /// When what is got by it ends at the latest: its chain of tokens goes back to one authentication.
    pub(in crate::auth) fn session_end(&self) -> Millis {
        let Self { partner, assertion } = self;
        let end = assertion.authenticated.plus(partner.max_session_ms);
        assertion.session_until.map_or(end, |until| until.min(end))
    }

    /// Until when it must be remembered that it was used.
    pub(in crate::auth) fn until(&self) -> Millis {
        let Self { partner, assertion } = self;
        let end = assertion.conditions.not_on_or_after.min(assertion.issued.plus(partner.max_age_ms));
        end.plus(partner.skew_ms).plus(MARGIN_MS)
    }
}

fn dates(partner: &Partner, assertion: &Assertion, now: Millis) -> Result<(), &'static str> {
    let (late, early) = (now.plus(partner.skew_ms), now.plus(-partner.skew_ms));
    let conditions = &assertion.conditions;
    if assertion.issued > late || assertion.authenticated > late || assertion.authenticated.0 < 0 {
        return Err("of the future");
    }
    if early > assertion.issued.plus(partner.max_age_ms) {
        return Err("older than max_age_min allows");
    }
    if conditions.not_before.is_some_and(|not_before| not_before > late) {
        return Err("not yet valid");
    }
    if early >= conditions.not_on_or_after {
        return Err("past its NotOnOrAfter");
    }
    let session = assertion.authenticated.plus(partner.max_session_ms);
    if now >= session {
        return Err("its subject authenticated longer ago than max_session_min allows");
    }
    if assertion.session_until.is_some_and(|until| now >= until) {
        return Err("its session is over");
    }
    Ok(())
}

/// Does a confirmation hold for somebody at this address who presents it at this endpoint?
fn confirmed(confirmation: &Confirmation, partner: &Partner, endpoint: &Endpoint, source: IpAddr, now: Millis) -> bool {
    let (late, early) = (now.plus(partner.skew_ms), now.plus(-partner.skew_ms));
    let here = |recipient: &String| endpoint.addresses.contains(recipient);
    let there = |address: &String| address.parse::<IpAddr>().is_ok_and(|address| address == source);
    // Nobody here has asked for it.
    !confirmation.in_response_to
        && confirmation.not_before.is_none_or(|not_before| not_before <= late)
        && confirmation.not_on_or_after.is_none_or(|end| early < end)
        && confirmation.recipient.as_ref().is_none_or(here)
        && confirmation.address.as_ref().is_none_or(there)
}
