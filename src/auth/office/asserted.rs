//! An assertion that is presented: whose it is and whether it holds; then whether whoever presents it may, because he
//! holds it or because he has signed the message, or the handshake, with a key that it confirms; then that neither was
//! here before, where it is good once. Whatever is wrong with an assertion, a client hears that authentication failed.

use std::borrow::Cow;
use std::sync::Arc;

use tracing::warn;

use super::super::assertion::{self, Holder, Refused};
use super::super::reason::Reason;
use super::super::signature::{Admitted, Content, Unproven};
use super::super::store::Kind;
use super::super::{signature, timestamp};
use super::proof::{Asked, Beside, Known, Who};
use super::vouched::Meant;
use super::{Ended, Office};
use crate::config::auth::Auth;
use crate::config::auth::Room;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::wire::evidence::{ClientHandshake, KeyReference, SignedAssertion, SignedMessage};
use crate::wire::order::{Method, RequestIntegrity};
use crate::wire::record::{Held, Proof};
use crate::wire::{Correlation, Millis};

impl Office {
    /// Whom an assertion means that whoever holds it may present, or whoever has proved its key when he connected.
    pub(super) async fn asserted<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        (signed, handshake): (&SignedAssertion, Option<&ClientHandshake>),
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.saml {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let now = Millis::now();
        let refused = |refused: Refused<'_>| self.not_asserted(asked.correlation, &refused);
        let (account, verified) = meant(config, signed, now).map_err(refused)?;
        let mut holder = None;
        if !verified.is_borne(rules, asked.source, now) {
            let connected = self.connected_as(config, rules, (&account, &verified), handshake, asked, now).await;
            holder = Some(connected.map_err(refused)?);
        }
        if verified.is_once() {
            // Before the store is asked: or one account could fill it.
            let _room = self.has_room(config, &account, asked).map_err(Ended::Known)?;
            self.first_presented(&verified).await?;
        }
        self.pace(config, &account, asked)?;
        self.tolerated(verified.tolerated());
        let held = holder.as_ref().map(|holder| Held { proof: Proof::TlsCertificate, key: holder.named() });
        let certificate = holder.and_then(Holder::certificate).map(Cow::Owned);
        Ok(Known { held, certificate, ..known(account, &verified, RequestIntegrity::Transport, now) })
    }

    /// The certificate that it confirms, where the client of this connection has proved that one and its partner's
    /// table says that this is enough. A worker could ask for anything over such a connection, and lay any such
    /// assertion beside it: that is why it must say so.
    async fn connected_as<'a>(
        &self,
        config: &Auth,
        rules: &Endpoint,
        (account, verified): (&Account, &assertion::Verified<'a>),
        handshake: Option<&ClientHandshake>,
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Holder, Refused<'a>> {
        let Some(handshake) = handshake.filter(|_| verified.partner.proofs.tls_certificate) else {
            let why =
                "not for whoever holds it, or not any more, here or from there, and no connection proves its holder";
            return Err(verified.refused(Reason::Confirmation, why));
        };
        let is = |der: &[u8]| {
            verified.holders(rules, asked.source, now).into_iter().find_map(|holder| match holder {
                Ok(Holder::Certificate(certificate)) if certificate.der == der => Some(certificate),
                _ => None,
            })
        };
        let certificate = self.shown(config, handshake, asked, is).await.map_err(|reason| {
            let why = "the connection does not prove the certificate that it confirms, or nobody says whether it does";
            verified.refused(reason, why)
        })?;
        let holder = Holder::Certificate(certificate);
        nobody_elses(config, account, verified, &holder)?;
        Ok(holder)
    }

    /// Whom an assertion means that confirms the key by which this very message is signed (R-W060), or that whoever
    /// signed it vouches for. The message has to be fresh, for us, and not have been here before, like any that is
    /// signed.
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
        let its_own = matches!(message.key(), KeyReference::Assertion | KeyReference::Value(_));
        let vouches = !its_own && verified.is_vouched_for(rules, asked.source, now);
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
            if !verified.partner.proofs.signature {
                let why = "its holder may not prove himself by a signature";
                return Err(verified.refused(Reason::Confirmation, why));
            }
            let (holder, message) = holder(&verified, rules, message, asked, now)?;
            nobody_elses(config, &account, &verified, &holder)?;
            let covered = message.covers(rules);
            let covered = covered.map_err(|unproven| {
                let why = format!("a message that is not as signed: {}", unproven.why);
                verified.refused(unproven.reason, why)
            })?;
            Ok((holder, covered))
        };
        let (holder, covered) = held().map_err(|refused| self.not_asserted(asked.correlation, &refused))?;
        let proven = Held { proof: Proof::Signature, key: holder.named() };
        let meant = Meant { account, verified, signed };
        let known = self.holds(config, rules, meant, (proven, covered), asked, now).await?;
        Ok(Known { certificate: holder.certificate().map(Cow::Owned), ..known })
    }

    /// Whom an assertion means whose holder has proven so that he is, by a message that covers this. The message has to
    /// be fresh, for us, and not have been here before.
    pub(super) async fn holds<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        Meant { account, verified, signed }: Meant<'a, '_>,
        (proven, covered): (Held, signature::Verified<'_>),
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Known<'a>, Ended> {
        let room = self.has_room(config, &account, asked).map_err(Ended::Known)?;
        let until = timestamp::until(now);
        // It is known which partner made the assertion, and nobody here registered the key.
        let first = self.first_seen_within(Room::Most, Kind::SignedMessage, covered.once(), until).await;
        first.map_err(Ended::Stranger)?;
        self.pace(config, &account, asked)?;
        drop(room);
        let his = |ended: Ended| ended.of(&account, Method::Saml, Some(&verified.partner.name)).held(proven);
        let unproven = |why: &Unproven| his(Ended::Stranger(self.not_proven(asked.correlation, why)));
        let whole = self.content(rules, &covered, asked).map_err(his)?;
        let content = whole.as_ref().map_or(Content::Plain, Content::Opened);
        let proof = covered.read_with(rules, content).map_err(|why| unproven(&why))?;
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
        Ok(Known { held: Some(proven), ..known(account, &verified, request, now) })
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
pub(super) fn meant<'a>(
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

/// Who has the key is known already, and may be disabled: nothing that he signed is parsed for another.
fn nobody_elses<'a>(
    config: &Auth,
    account: &Account,
    verified: &assertion::Verified<'a>,
    holder: &Holder,
) -> Result<(), Refused<'a>> {
    match config.users.owner(holder.key()).filter(|owner| *owner != account.name.as_str()) {
        Some(owner) => {
            let why = format!("the key it confirms is registered for {owner:?}");
            Err(verified.refused(Reason::NoAccount, why))
        }
        None => Ok(()),
    }
}

/// Who of those whose key it confirms has signed this message, and the message, of which nothing is read yet.
fn holder<'a, 'm>(
    verified: &assertion::Verified<'a>,
    rules: &Endpoint,
    message: Admitted<'m>,
    asked: &Asked<'_>,
    now: Millis,
) -> Result<(Holder, signature::Signed<'m>), Refused<'a>> {
    let mut closest = verified.refused(Reason::Confirmation, "no key by which somebody may present it here and now");
    for holder in verified.holders(rules, asked.source, now) {
        closest = match holder.map(|holder| (holder.signed(message, now), holder)) {
            Ok((Ok(signed), holder)) => return Ok((holder, signed)),
            Ok((Err((reason, why)), _)) => verified.refused(reason, why),
            Err(why) => verified.refused(Reason::Confirmation, format!("a key in it is not taken: {why}")),
        };
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
        held: None,
        vouched_by: Some(&verified.partner.name),
        intermediary: None,
        answer: None,
    }
}
