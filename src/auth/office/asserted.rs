//! An assertion that is presented: whose it is and whether it holds; then, where it is good once, that it was not
//! here before. A client hears that authentication failed, whatever was wrong with it.

use std::borrow::Cow;

use tracing::warn;

use super::super::assertion::{self, Refused, Verified};
use super::super::reason::Reason;
use super::super::store::Kind;
use super::proof::{Asked, Known};
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::wire::evidence::SignedAssertion;
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
        let (account, verified) = borne(config, rules, signed, asked, now)
            .map_err(|refused| Ended::Stranger(self.not_asserted(asked.correlation, &refused)))?;
        if verified.is_once() {
            // Before the store is asked: or one account could fill it.
            self.has_room(config, &account, asked).map_err(Ended::Known)?;
            let first = self.first_seen(Kind::TokenId, &verified.once(), verified.until()).await;
            first.map_err(Ended::Stranger)?;
        }
        self.pace(config, &account, asked)?;
        Ok(Known {
            account,
            method: Method::Saml,
            // Issuer takes no proof from after its own clock.
            instant: Some(verified.assertion.authenticated.min(now)),
            until: Some(verified.session_end()),
            request: RequestIntegrity::Transport,
            certificate: None,
            vouched_by: Some(&verified.partner.name),
        })
    }

    /// Says what was wrong with an assertion: the word alone does not tell an operator which rule to look at.
    fn not_asserted(&self, correlation: Correlation, refused: &Refused<'_>) -> Reason {
        let Refused { reason, partner, why } = refused;
        if let Some(left_out) = self.vouchings.pass() {
            let partner = partner.map_or("-", |partner| partner.name.as_str());
            let (reason, why) = (reason.word(), &why[..why.floor_char_boundary(256)]);
            warn!(correlation = %correlation, event = "assertion-refused", partner, reason, why, left_out);
        }
        *reason
    }
}

/// Whom it means, when a partner made it and it holds.
fn borne<'a>(
    config: &'a Auth,
    rules: &Endpoint,
    signed: &SignedAssertion,
    asked: &Asked<'_>,
    now: Millis,
) -> Result<(Cow<'a, Account>, Verified<'a>), Refused<'a>> {
    let verified = assertion::verify(config, signed, now)?;
    let refused = |reason, why| Refused { reason, partner: Some(verified.partner), why };
    verified.judge(rules, asked.source, now).map_err(|(reason, why)| refused(reason, why.to_owned()))?;
    let account = assertion::named_by(config, &verified).map_err(|(reason, why)| refused(reason, why))?;
    if account.disabled {
        return Err(refused(Reason::Disabled, format!("account {:?} is disabled", account.name.as_str())));
    }
    Ok((account, verified))
}
