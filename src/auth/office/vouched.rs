//! An assertion that somebody vouches for (sender-vouches): its partner made it, and an intermediary whom that
//! partner's table names has signed the message around it, the assertion and the body among the rest, for one of those
//! whom he may vouch for (R-W061). Who he is his certificate says, and no key within the assertion. The record
//! has both.

use std::borrow::Cow;

use super::super::assertion;
use super::super::reason::Reason;
use super::super::signature::{Admitted, Content, Unproven};
use super::super::store::Kind;
use super::super::timestamp;
use super::asserted::known;
use super::proof::{Asked, Beside, Known, Signer};
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::wire::Millis;
use crate::wire::evidence::SignedAssertion;
use crate::wire::order::Method;

/// An assertion that holds, and whom it means.
pub(super) struct Meant<'a, 'e> {
    pub(super) account: Cow<'a, Account>,
    pub(super) verified: assertion::Verified<'a>,
    pub(super) signed: &'e SignedAssertion,
}

impl Office {
    /// Whom the intermediary who has signed this message may vouch for and does.
    pub(super) async fn vouched<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        meant: Meant<'a, '_>,
        message: Admitted<'_>,
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Known<'a>, Ended> {
        let Meant { account, verified, signed } = meant;
        let signer = self.signer(config, rules, message, asked, now).await.map_err(Ended::Stranger)?;
        let Signer { account: intermediary, verified: covered, .. } = signer;
        let partner = verified.partner;
        let his = |ended: Ended| ended.of(&account, Method::Saml, Some(&partner.name)).by(intermediary);
        let room = self.has_room(config, intermediary, asked).map_err(Ended::Known)?;
        self.first_seen(Kind::SignedMessage, covered.once(), timestamp::until(now)).await.map_err(Ended::Stranger)?;
        // Both are known, and what is wrong from here on is in the record under both names, at his pace alone: it is he
        // who asks, and the other, who may know nothing of it, is not kept out by him.
        self.pace(config, intermediary, asked)?;
        drop(room);
        let mut intermediaries = partner.intermediaries.iter();
        let trusted = intermediaries.find(|one| one.account == intermediary.name.as_str());
        if !trusted.is_some_and(|one| one.may_vouch_for(&account)) {
            let (who, whom) = (intermediary.name.as_str(), account.name.as_str());
            let why = format!("account {who:?} may not vouch for {whom:?} with this partner's assertions");
            return Err(his(self.not_asserted(asked.correlation, &verified.refused(Reason::Intermediary, why))));
        }
        let unproven = |why: &Unproven| his(Ended::Stranger(self.not_proven(asked.correlation, why)));
        let uncovered = |why| Err(unproven(&Unproven::by(Reason::Uncovered, why)));
        let whole = self.content(rules, &covered, asked).map_err(his)?;
        let content = whole.as_ref().map_or(Content::Plain, Content::Opened);
        let proof = covered.read_with(rules, content).map_err(|why| unproven(&why))?;
        match proof.assertion {
            None => return uncovered("the assertion is not covered"),
            Some(whole) if !assertion::is(signed, whole) => {
                return uncovered("another assertion is signed than is presented");
            }
            Some(_) => {}
        }
        // Or whoever has the connection would say what he vouches for.
        if proof.wish.is_none() {
            return uncovered("the body is not covered");
        }
        let request = self.as_proven(config, (&proof, Beside::Assertion), asked, now).map_err(his)?;
        // Last: a message that is stale or for somebody else does not use up the assertion.
        if verified.is_once() {
            self.first_presented(&verified).await.map_err(his)?;
        }
        self.tolerated(verified.tolerated());
        Ok(Known { intermediary: Some(intermediary.name.clone()), ..known(account, &verified, request, now) })
    }
}
