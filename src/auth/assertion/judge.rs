//! Does an assertion hold here and now, and may whoever presents it (R-S031 to R-S035)?

use std::net::IpAddr;

use super::Verified;
use super::holder::Holder;
use super::read::{Confirmation, ConfirmationMethod, Named, SealedKey};
use crate::auth::dates::Dates;
use crate::auth::reason::Reason;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::partner::Partner;
use crate::wire::Millis;

/// Keys of one assertion that are tried, at most.
const MOST_KEYS: usize = 4;

impl Verified<'_> {
    /// Does it hold now, and is it for us?
    ///
    /// # Errors
    /// The reason it does not, and a clause for the operator.
    pub(in crate::auth) fn judge(&self, now: Millis) -> Result<(), (Reason, &'static str)> {
        let Self { partner, assertion, .. } = self;
        self.dates().hold(partner.bounds, now).map_err(|why| (Reason::AssertionDates, why))?;
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

    /// By whose keys somebody may present it at this endpoint who proves that he has one; a clause for the operator in
    /// the place of one that is not taken.
    pub(in crate::auth) fn holders(
        &self,
        endpoint: &Endpoint,
        source: IpAddr,
        now: Millis,
    ) -> Vec<Result<Holder, String>> {
        self.confirmed(ConfirmationMethod::HolderOfKey, endpoint, source, now)
            .flat_map(|confirmation| &confirmation.keys)
            .take(MOST_KEYS)
            .map(Holder::of)
            .collect()
    }

    /// By which shared key somebody may present it at this endpoint who proves that he has it. Of several, each for
    /// somebody of its own, whoever knows one could pass for its holder here.
    ///
    /// # Errors
    /// A clause for the operator.
    pub(in crate::auth) fn sealed_key(
        &self,
        endpoint: &Endpoint,
        source: IpAddr,
        now: Millis,
    ) -> Result<&SealedKey, &'static str> {
        let confirmed = self.confirmed(ConfirmationMethod::HolderOfKey, endpoint, source, now);
        let mut keys = confirmed.flat_map(|confirmation| &confirmation.keys).filter_map(|named| match named {
            Named::Sealed(key) => Some(key),
            Named::Certificate(_) | Named::Value(_) | Named::Both(..) => None,
        });
        let key = keys.next().ok_or("no shared key by which somebody may present it here and now")?;
        if keys.any(|other| other != key) { Err("more than one shared key") } else { Ok(key) }
    }

    /// May somebody present it at this endpoint who vouches for its subject? A key in such a confirmation is nobody's
    /// proof (R-W061, A-26), so one that has it is refused.
    pub(in crate::auth) fn is_vouched_for(&self, endpoint: &Endpoint, source: IpAddr, now: Millis) -> bool {
        let mut confirmed = self.confirmed(ConfirmationMethod::SenderVouches, endpoint, source, now);
        confirmed.any(|confirmation| confirmation.keys.is_empty())
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

    fn dates(&self) -> Dates {
        let assertion = &self.assertion;
        Dates {
            issued: assertion.issued,
            authenticated: assertion.authenticated,
            begin: assertion.conditions.not_before,
            end: assertion.conditions.not_on_or_after,
            session_until: assertion.session_until,
        }
    }

    /// When what is got by it ends at the latest.
    pub(in crate::auth) fn session_end(&self) -> Millis {
        self.dates().session_end(self.partner.bounds)
    }

    /// When it is taken no more.
    pub(in crate::auth) fn over(&self) -> Millis {
        self.dates().over(self.partner.bounds)
    }

    /// Until when it must be remembered that it was used.
    pub(in crate::auth) fn until(&self) -> Millis {
        self.dates().remembered(self.partner.bounds)
    }
}

/// Does a confirmation hold for somebody at this address who presents it at this endpoint?
fn confirmed(confirmation: &Confirmation, partner: &Partner, endpoint: &Endpoint, source: IpAddr, now: Millis) -> bool {
    let (late, early) = (now.plus(partner.bounds.skew_ms), now.plus(-partner.bounds.skew_ms));
    let here = |recipient: &String| endpoint.addresses.contains(recipient);
    let there = |address: &String| address.parse::<IpAddr>().is_ok_and(|address| address == source);
    // Nobody here has asked for it.
    !confirmation.in_response_to
        && confirmation.not_before.is_none_or(|not_before| not_before <= late)
        && confirmation.not_on_or_after.is_none_or(|end| early < end)
        && confirmation.recipient.as_ref().is_none_or(here)
        && confirmation.address.as_ref().is_none_or(there)
}
