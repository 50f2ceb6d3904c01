//! A JWT that is presented: whose it is and whether it holds; then whether whoever presents it may, because it is for
//! anybody who has it or because he proves the key that it confirms; then that it was not here before, where it has an
//! id. Whatever is wrong with a JWT, a client hears that authentication failed; that it was here before he hears, too.

use std::borrow::Cow;
use std::sync::Arc;

use tracing::warn;

use super::super::jwt::{self, For, Refused, Verified};
use super::super::reason::Reason;
use super::super::signature::{self, Admitted, Content};
use super::super::store::Kind;
use super::super::{issued, timestamp};
use super::proof::{Asked, Beside, Known, Who};
use super::{Ended, Office};
use crate::config::auth::certificate::Certificate;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::config::auth::{Auth, Room};
use crate::wire::evidence::{ClientHandshake, KeyReference, MOST_JWT_OCTETS, Presenter, SignedJwt};
use crate::wire::order::{Method, RequestIntegrity};
use crate::wire::{Correlation, Millis, Secret};

/// Whom a JWT means, and the JWT.
type Meant<'a> = (Cow<'a, Account>, Verified<'a>);

impl Office {
    /// Whom a JWT means that this client may present.
    pub(super) async fn presented<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        signed: &SignedJwt,
        presenter: &Presenter,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.jwt {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let message = match presenter {
            Presenter::Signed(message) => Some(Admitted::at(rules, message).map_err(Ended::Stranger)?),
            Presenter::Anybody | Presenter::Connected(_) => None,
        };
        let now = Millis::now();
        let presented = meant(config, signed, now).and_then(|(account, verified)| {
            may_be_presented(&verified, presenter)?;
            Ok((account, verified))
        });
        let meant = presented.map_err(|refused| self.not_presented(asked.correlation, &refused))?;
        match (meant.1.is_for(), presenter, message) {
            (For::Holder, Presenter::Connected(handshake), _) => self.over(config, meant, handshake, asked, now).await,
            (For::Holder, _, Some(message)) => {
                self.beside(config, rules, meant, (message, &signed.octets), asked, now).await
            }
            _ => self.borne(config, meant, asked, now).await,
        }
    }

    /// By whoever has it.
    async fn borne<'a>(
        &self,
        config: &'a Auth,
        (account, verified): Meant<'a>,
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Known<'a>, Ended> {
        // Before the store is asked: or one account could fill it.
        let _room = self.has_room(config, &account, asked).map_err(Ended::Known)?;
        self.newly_presented(&verified).await?;
        self.pace(config, &account, asked)?;
        Ok(known(account, &verified, RequestIntegrity::Transport, None, now))
    }

    /// By whoever has proved its key when he connected (RFC 8705).
    async fn over<'a>(
        &self,
        config: &'a Auth,
        (account, verified): Meant<'a>,
        handshake: &ClientHandshake,
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Known<'a>, Ended> {
        let shown = self.shown(config, handshake, asked, |der| verified.confirms(der)).await;
        let owned = shown
            .map_err(|reason| {
                verified.refused(
                    reason,
                    "the connection does not prove the key that it confirms, or nobody says whether it does",
                )
            })
            .and_then(|certificate| nobody_elses(config, &account, &verified, certificate));
        let certificate = owned.map_err(|refused| self.not_presented(asked.correlation, &refused))?;
        let _room = self.has_room(config, &account, asked).map_err(Ended::Known)?;
        self.newly_presented(&verified).await?;
        self.pace(config, &account, asked)?;
        Ok(known(account, &verified, RequestIntegrity::Transport, Some(certificate), now))
    }

    /// By whoever has signed this very message with its key. The message has to be fresh, for us, and not have been
    /// here before, like any that is signed.
    async fn beside<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        (account, verified): Meant<'a>,
        (message, octets): (Admitted<'_>, &Secret<MOST_JWT_OCTETS>),
        asked: &Asked<'_>,
        now: Millis,
    ) -> Result<Known<'a>, Ended> {
        let held = holder(&verified, message).and_then(|certificate| {
            let by_another = |reason| verified.refused(reason, "the key that it confirms has not signed the message");
            let signed = signature::verify(&certificate, message, now).map_err(by_another)?;
            let certificate = nobody_elses(config, &account, &verified, certificate)?;
            let covered = signed.covers(rules);
            let covered = covered.map_err(|unproven| {
                let why = format!("a message that is not as signed: {}", unproven.why);
                verified.refused(unproven.reason, why)
            })?;
            Ok((certificate, covered))
        });
        let (certificate, covered) = held.map_err(|refused| self.not_presented(asked.correlation, &refused))?;
        let room = self.has_room(config, &account, asked).map_err(Ended::Known)?;
        let until = timestamp::until(now);
        // Nobody here registered the key: an issuer confirms as many as he likes.
        let first = self.first_seen_within(Room::Most, Kind::SignedMessage, covered.once(), until).await;
        first.map_err(Ended::Stranger)?;
        self.pace(config, &account, asked)?;
        drop(room);
        let his = |ended: Ended| ended.of(&account, Method::Jwt, Some(&verified.issuer.name));
        let covered = (&covered, Content::Plain, Beside::Jwt(octets));
        let request = self.as_signed(config, rules, covered, asked, now).map_err(his)?;
        // Last: a message that is stale or for somebody else does not use up the JWT.
        self.newly_presented(&verified).await.map_err(his)?;
        Ok(known(account, &verified, request, Some(certificate), now))
    }

    /// One that has an id is good once.
    async fn newly_presented(&self, verified: &Verified<'_>) -> Result<(), Ended> {
        let Some(once) = verified.once() else { return Ok(()) };
        self.first_seen(Kind::JwtId, &once, verified.until()).await.map_err(Ended::Stranger)
    }

    /// Says what was wrong with a JWT: the word alone does not tell an operator which rule to look at.
    fn not_presented(&self, correlation: Correlation, refused: &Refused<'_>) -> Ended {
        let Refused { reason, issuer, why } = refused;
        if let Some(left_out) = self.jwts.pass() {
            let issuer = issuer.map_or("-", |issuer| issuer.name.as_str());
            let (reason, why) = (reason.word(), &why[..why.floor_char_boundary(256)]);
            warn!(correlation = %correlation, event = "jwt-refused", issuer, reason, why, left_out);
        }
        Ended::Stranger(*reason)
    }
}

/// Whom it means, when an issuer made it and it holds.
fn meant<'a>(config: &'a Auth, signed: &SignedJwt, now: Millis) -> Result<Meant<'a>, Refused<'a>> {
    let verified = jwt::verify(config, signed)?;
    verified.judge(now).map_err(|(reason, why)| verified.refused(reason, why))?;
    let account = jwt::named_by(config, &verified).map_err(|(reason, why)| verified.refused(reason, why))?;
    if account.disabled {
        let why = format!("account {:?} is disabled", account.name.as_str());
        return Err(verified.refused(Reason::Disabled, why));
    }
    Ok((account, verified))
}

/// Could what came with it be the proof it asks for? Beside a signature it has to ask for one: or there would be two
/// who ask. A connection may have a certificate for something else.
fn may_be_presented<'a>(verified: &Verified<'a>, presenter: &Presenter) -> Result<(), Refused<'a>> {
    let why = match (verified.is_for(), presenter) {
        (For::Other, _) => {
            return Err(verified.refused(Reason::UnknownConfirmation, "a cnf that nothing here can prove"));
        }
        (For::Anybody, Presenter::Signed(_)) => "for whoever has it, beside a signature of somebody",
        (For::Holder, Presenter::Anybody) => "for the holder of a key, which nothing proves",
        _ => return Ok(()),
    };
    Err(verified.refused(Reason::Confirmation, why))
}

/// The certificate that the message brings, when its key is the one that must be proven.
fn holder<'a>(verified: &Verified<'a>, message: Admitted<'_>) -> Result<Certificate, Refused<'a>> {
    let confirmed = issued::apart(message.key()).and_then(|(key, _)| match &*key {
        KeyReference::Certificate(der) => verified.confirms(der),
        _ => None,
    });
    let why = "the message brings no certificate of the key that it confirms";
    confirmed.ok_or_else(|| verified.refused(Reason::Confirmation, why))
}

/// Who has the key is known already, and may be disabled: it proves nobody else.
fn nobody_elses<'a>(
    config: &Auth,
    account: &Account,
    verified: &Verified<'a>,
    certificate: Certificate,
) -> Result<Certificate, Refused<'a>> {
    match config.users.owner(&certificate.key).filter(|owner| *owner != account.name.as_str()) {
        Some(owner) => {
            let why = format!("the key it confirms is registered for {owner:?}");
            Err(verified.refused(Reason::NoAccount, why))
        }
        None => Ok(certificate),
    }
}

/// How it is known who that is.
fn known<'a>(
    account: Cow<'a, Account>,
    verified: &Verified<'a>,
    request: RequestIntegrity,
    certificate: Option<Certificate>,
    now: Millis,
) -> Known<'a> {
    let account = match account {
        Cow::Borrowed(listed) => Who::Listed(listed),
        Cow::Owned(described) => Who::Found(Arc::new(described)),
    };
    // A token that is bound to a certificate shows all of it to the relying party.
    let certificate = certificate.filter(|_| verified.names_certificate());
    Known {
        account,
        method: Method::Jwt,
        request,
        // Issuer takes no proof from after its own clock.
        instant: Some(verified.authenticated().min(now)),
        until: Some(verified.session_end()),
        certificate: certificate.map(Cow::Owned),
        held: None,
        vouched_by: Some(&verified.issuer.name),
        intermediary: None,
        answer: None,
    }
}
