//! Does an assertion hold here and now, and may whoever presents it (R-S031 to R-S035)? The skew is added once to
//! each bound and nowhere else; where a session ends there is none, for tokens end there, too.

use std::net::IpAddr;

use super::Verified;
use super::read::{Assertion, Confirmation, ConfirmationMethod};
use crate::auth::reason::Reason;
use crate::config::auth::certificate::Certificate;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::partner::{LEAST_KEPT_MS, MOST_SKEW_MS, Partner};
use crate::wire::Millis;

/// Longer than a question to the store may take: whoever has been told that an assertion was not here before has
/// still to find it past when the store forgets it.
const MARGIN_MS: i64 = 60_000;

/// Keys of one assertion that are tried, at most.
const MOST_KEYS: usize = 4;

impl Verified<'_> {
    /// Does it hold now, and is it for us?
    ///
    /// # Errors
    /// The reason it does not, and a clause for the operator.
    pub(in crate::auth) fn judge(&self, now: Millis) -> Result<(), (Reason, &'static str)> {
        let Self { partner, assertion } = self;
        dates(partner, assertion, now).map_err(|why| (Reason::AssertionDates, why))?;
        let audiences = &assertion.conditions.audiences;
        let ours = |restriction: &Vec<String>| restriction.iter().any(|one| partner.audiences.contains(one));
        if audiences.is_empty() || !audiences.iter().all(ours) {
            return Err((Reason::Audience, "made for somebody else, or for anybody"));
        }
        Ok(())
    }

    /// May whoever holds it present it at this endpoint?
    pub(in crate::auth) fn is_borne(&self, endpoint: &Endpoint, source: IpAddr, now: Millis) -> bool {
        let mut confirmed = self.confirmed(ConfirmationMethod::Bearer, endpoint, source, now);
        confirmed.any(|confirmation| confirmation.keys.is_empty())
    }

    /// The certificates by whose keys somebody may present it at this endpoint who signs with one.
    pub(in crate::auth) fn holders(&self, endpoint: &Endpoint, source: IpAddr, now: Millis) -> Vec<Certificate> {
        self.confirmed(ConfirmationMethod::HolderOfKey, endpoint, source, now)
            .flat_map(|confirmation| confirmation.keys.iter().cloned())
            .take(MOST_KEYS)
            .filter_map(|der| Certificate::from_der(der).ok())
            .collect()
    }

    /// Confirmations by that method that hold, here and now.
    fn confirmed(
        &self,
        method: ConfirmationMethod,
        endpoint: &Endpoint,
        source: IpAddr,
        now: Millis,
    ) -> impl Iterator<Item = &Confirmation> {
        let confirmations = self.assertion.subject.confirmations.iter();
        confirmations.filter(move |confirmation| {
            confirmation.method == method
                && !confirmation.asks_more
                && confirmed(confirmation, self.partner, endpoint, source, now)
        })
    }

    /// When what is got by it ends at the latest: its chain of tokens goes back to one authentication.
    pub(in crate::auth) fn session_end(&self) -> Millis {
        let Self { partner, assertion } = self;
        let end = assertion.authenticated.plus(partner.max_session_ms);
        assertion.session_until.map_or(end, |until| until.min(end))
    }

    /// Until when it must be remembered that it was used: as long as it is taken, and an hour in any case. To remember
    /// each for as long as some configuration would take it, a day, is more than there is room for.
    pub(in crate::auth) fn until(&self) -> Millis {
        let Self { partner, assertion } = self;
        let kept = assertion.issued.plus(partner.max_age_ms.max(LEAST_KEPT_MS));
        let end = assertion.conditions.not_on_or_after.min(kept);
        end.plus(MOST_SKEW_MS).plus(MARGIN_MS)
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
