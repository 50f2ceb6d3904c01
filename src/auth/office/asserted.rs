//! An assertion that is presented: whose it is and whether it holds; then whether whoever presents it may, because he
//! holds it or because he has signed the message with a key that it confirms; then that neither was here before,
//! where it is good once. Whatever is wrong with an assertion, a client hears that authentication failed.

use std::borrow::Cow;
use std::sync::Arc;

use tracing::warn;

use super::super::assertion::{self, Refused};
use super::super::reason::Reason;
use super::super::signature::{Admitted, Unproven};
use super::super::store::Kind;
use super::super::{signature, timestamp};
use super::proof::{Asked, Beside, Known, Who};
use super::vouched::Meant;
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::Room;
use crate::config::auth::certificate::Certificate;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::wire::evidence::{KeyReference, SignedAssertion, SignedMessage};
use crate::wire::order::{Method, RequestIntegrity};
use crate::wire::{Correlation, Millis};

impl Office {
    /// Whom an assertion means that whoever holds it may present.
    pub(super) async fn asserted<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        signed: &SignedAssertion,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.saml {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let now = Millis::now();
        let borne = meant(config, signed, now).and_then(|(account, verified)| {
            if verified.is_borne(rules, asked.source, now) {
                return Ok((account, verified));
            }
            let why = "not for whoever holds it, or not any more, here or from there";
            Err(verified.refused(Reason::Confirmation, why))
        });
        let (account, verified) = borne.map_err(|refused| self.not_asserted(asked.correlation, &refused))?;
        if verified.is_once() {
            // Before the store is asked: or one account could fill it.
            let _room = self.has_room(config, &account, asked).map_err(Ended::Known)?;
            self.first_presented(&verified).await?;
        }
        self.pace(config, &account, asked)?;
        self.tolerated(verified.tolerated());
        Ok(known(account, &verified, RequestIntegrity::Transport, now))
    }

    /// Whom an assertion means that confirms the key by which this very message is signed (R-W060), or that whoever
    /// signed it vouches for. The message has to be fresh, for us, and not have been here before, like any that is signed.
    pub(super) async fn attested<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        signed: &SignedAssertion,
        message: &SignedMessage,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.saml && !rules.sender_vouches {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let message = Admitted::at(rules, message).map_err(Ended::Stranger)?;
        let now = Millis::now();
        let meant = meant(config, signed, now);
        let (account, verified) = meant.map_err(|refused| self.not_asserted(asked.correlation, &refused))?;
        // Whoever says that the assertion has his key vouches for nobody.
        let vouches = *message.key() != KeyReference::Assertion && verified.is_vouched_for(rules, asked.source, now);
        if rules.sender_vouches && vouches {
            return self.vouched(config, rules, Meant { account, verified, signed }, message, asked, now).await;
        }
        self.held(config, rules, Meant { account, verified, signed }, message, asked, now).await
    }

    /// Whom the holder of the key that an assertion confirms has signed this message as.
    async fn held<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        meant: Meant<'a, '_>,
        message: Admitted<'_>,
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Known<'a>, Ended> {
        let Meant { account, verified, signed } = meant;
        let held = || {
            if !rules.saml {
                let why = "nobody vouches for it, and nobody else may present one at this endpoint";
                return Err(verified.refused(Reason::Confirmation, why));
            }
            let (certificate, message) = holder(&verified, rules, message, asked, now)?;
            // Who has the key is known already, and may be disabled: nothing that he signed is parsed for another.
            if let Some(owner) = config.users.owner(&certificate.key).filter(|owner| *owner != account.name.as_str()) {
                let why = format!("the key it confirms is registered for {owner:?}");
                return Err(verified.refused(Reason::NoAccount, why));
            }
            let covered = message.covers(rules);
            let covered = covered.map_err(|unproven| {
                let why = format!("a message that is not as signed: {}", unproven.why);
                verified.refused(unproven.reason, why)
            })?;
            Ok((certificate, covered))
        };
        let (certificate, covered) = held().map_err(|refused| self.not_asserted(asked.correlation, &refused))?;
        let _room = self.has_room(config, &account, asked).map_err(Ended::Known)?;
        let until = timestamp::until(now);
        // It is known which partner made the assertion, and nobody here registered the key.
        let first = self.first_seen_within(Room::Most, Kind::SignedMessage, covered.once(), until).await;
        first.map_err(Ended::Stranger)?;
        self.pace(config, &account, asked)?;
        let his = |ended: Ended| ended.of(&account, Method::Saml, Some(&verified.partner.name));
        let unproven = |why: &Unproven| his(Ended::Stranger(self.not_proven(asked.correlation, why)));
        let proof = covered.read(rules).map_err(|why| unproven(&why))?;
        // Where he has signed one, that is the one he presents.
        if proof.assertion.is_some_and(|whole| !assertion::is(signed, whole)) {
            return Err(unproven(&Unproven::by(Reason::Uncovered, "another assertion is signed than is presented")));
        }
        let request = self.as_proven(config, (&proof, Beside::Assertion), asked, now).map_err(his)?;
        // Last: a message that is stale or for somebody else does not use up the assertion.
        if verified.is_once() {
            self.first_presented(&verified).await.map_err(his)?;
        }
        self.tolerated(verified.tolerated());
        Ok(Known { certificate: Some(Cow::Owned(certificate)), ..known(account, &verified, request, now) })
    }

    pub(super) async fn first_presented(&self, verified: &assertion::Verified<'_>) -> Result<(), Ended> {
        self.first_seen(Kind::TokenId, &verified.once(), verified.until()).await.map_err(Ended::Stranger)
    }

    /// Says what was wrong with an assertion: the word alone does not tell an operator which rule to look at.
    pub(super) fn not_asserted(&self, correlation: Correlation, refused: &Refused<'_>) -> Ended {
        let Refused { reason, partner, why } = refused;
        if let Some(left_out) = self.assertions.pass() {
            let partner = partner.map_or("-", |partner| partner.name.as_str());
            let (reason, why) = (reason.word(), &why[..why.floor_char_boundary(256)]);
            warn!(correlation = %correlation, event = "assertion-refused", partner, reason, why, left_out);
        }
        Ended::Stranger(*reason)
    }
}

/// Whom it means, when a partner made it and it holds.
fn meant<'a>(
    config: &'a Auth,
    signed: &SignedAssertion,
    now: Millis,
) -> Result<(Cow<'a, Account>, assertion::Verified<'a>), Refused<'a>> {
    let verified = assertion::verify(config, signed, now)?;
    verified.judge(now).map_err(|(reason, why)| verified.refused(reason, why))?;
    let account = assertion::named_by(config, &verified).map_err(|(reason, why)| verified.refused(reason, why))?;
    if account.disabled {
        let why = format!("account {:?} is disabled", account.name.as_str());
        return Err(verified.refused(Reason::Disabled, why));
    }
    Ok((account, verified))
}

/// The certificate it confirms by whose key this message is signed, and the message, of which nothing is read yet.
fn holder<'a, 'm>(
    verified: &assertion::Verified<'a>,
    rules: &Endpoint,
    message: Admitted<'m>,
    asked: &Asked<'_>,
    now: Millis,
) -> Result<(Certificate, signature::Signed<'m>), Refused<'a>> {
    let mut closest = verified.refused(Reason::Confirmation, "no key by which somebody may present it here and now");
    for certificate in verified.holders(rules, asked.source, now) {
        match signature::verify(&certificate, message, now) {
            Ok(signed) => return Ok((certificate, signed)),
            Err(reason) => closest = verified.refused(reason, "no key that it confirms has signed the message"),
        }
    }
    Err(closest)
}

/// How it is known who that is.
pub(super) fn known<'a>(
    account: Cow<'a, Account>,
    verified: &assertion::Verified<'a>,
    request: RequestIntegrity,
    now: Millis,
) -> Known<'a> {
    let account = match account {
        Cow::Borrowed(listed) => Who::Listed(listed),
        Cow::Owned(described) => Who::Found(Arc::new(described)),
    };
    Known {
        account,
        method: Method::Saml,
        request,
        // Issuer takes no proof from after its own clock.
        instant: Some(verified.assertion.authenticated.min(now)),
        until: Some(verified.session_end()),
        certificate: None,
        vouched_by: Some(&verified.partner.name),
        intermediary: None,
        answer: None,
    }
}
