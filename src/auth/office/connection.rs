//! Who asks, by the certificate he proved when his connection was made. The handshake is read and both its signatures
//! verified here, whatever the worker says of it; issuer must have completed that very handshake for this worker,
//! lately; and only then is it asked whom the certificate means, by the same rules as for a signed message.

use std::borrow::Cow;
use std::time::Instant;

use rustls_pki_types::CertificateDer;

use super::proof::{Asked, Known, Who};
use super::{Ended, Office};
use crate::auth::confirmed::Name;
use crate::auth::handshake::{self, Shown};
use crate::auth::issued;
use crate::auth::reason::Reason;
use crate::config::auth::Auth;
use crate::config::auth::certificate::Certificate;
use crate::config::auth::endpoint::Endpoint;
use crate::config::auth::users::Account;
use crate::wire::evidence::{ClientHandshake, KeyReference};
use crate::wire::links::SignedHandshake;
use crate::wire::order::{Method, RequestIntegrity};
use crate::wire::{Millis, Octets};

impl Office {
    /// Whose connection it is, when the handshake proves it. The request in it is the worker's word.
    pub(super) async fn connected<'a>(
        &self,
        config: &'a Auth,
        rules: &Endpoint,
        handshake: &ClientHandshake,
        asked: &Asked<'_>,
    ) -> Result<Known<'a>, Ended> {
        if !rules.tls_certificate {
            return Err(Ended::Stranger(Reason::Credential));
        }
        let shown = handshake::read(handshake).ok_or(Ended::Stranger(Reason::UnreadableHandshake))?;
        let now = Millis::now();
        let (registered, certificate) = proven(config, &shown, now).map_err(Ended::Stranger)?;
        let completed = completed(config, &shown).map_err(Ended::Stranger)?;
        let name = Name::of(&completed);
        let newly = self.confirmed(config, name, completed, asked).await.map_err(Ended::Stranger)?;
        let (account, authority) = match registered {
            Some(account) => (account, None),
            None => {
                let others = shown.certificates.iter().skip(1).map(|der| CertificateDer::from(*der));
                let others: Vec<_> = others.collect();
                let vouched = self.issued(config, &certificate, &others, asked).await;
                let (account, authority) = vouched.map_err(Ended::Stranger)?;
                (account, Some(authority))
            }
        };
        if account.disabled {
            return Err(Ended::Stranger(Reason::Disabled));
        }
        // Of strangers nothing is kept.
        if let Some(until) = newly {
            asked.confirmed.note(name, until, Instant::now());
        }
        self.pace(config, account, asked)?;
        let (method, request) = (Method::TlsCertificate, RequestIntegrity::Transport);
        let vouched_by = authority.map(|authority| &authority.name);
        let (account, certificate) = (Who::Listed(account), Some(certificate));
        Ok(Known { request, certificate, vouched_by, ..Known::by_word(account, method) })
    }

    /// The certificate that the client of this connection has proved, where it is the one that is asked for: `fits` is
    /// told its octets, before anything in them is read. It need not be registered, nor of an authority.
    pub(super) async fn shown(
        &self,
        config: &Auth,
        handshake: &ClientHandshake,
        asked: &Asked<'_>,
        fits: impl FnOnce(&[u8]) -> Option<Certificate>,
    ) -> Result<Certificate, Reason> {
        let shown = handshake::read(handshake).ok_or(Reason::UnreadableHandshake)?;
        let certificate = shown.certificates.first().and_then(|der| fits(der)).ok_or(Reason::Confirmation)?;
        if !certificate.holds(Millis::now()) {
            return Err(Reason::CertificateDates);
        }
        shown.proven_by(&certificate)?;
        let completed = completed(config, &shown)?;
        let name = Name::of(&completed);
        if let Some(until) = self.confirmed(config, name, completed, asked).await? {
            asked.confirmed.note(name, until, Instant::now());
        }
        Ok(certificate)
    }

    /// Did issuer complete it for this worker, lately? Asked once for each connection of somebody known, as long as
    /// this process lives. Until when it has just said so.
    async fn confirmed(
        &self,
        config: &Auth,
        name: Name,
        handshake: SignedHandshake,
        asked: &Asked<'_>,
    ) -> Result<Option<Instant>, Reason> {
        let now = Instant::now();
        if asked.confirmed.knows(name, now) {
            return Ok(None);
        }
        let left = self.vouchers.confirm(asked.worker, handshake, config.limits.issuer_deadline).await?;
        Ok(Some(now + left.ok_or(Reason::UnconfirmedHandshake)?))
    }
}

/// The client's own certificate, whose key has signed the handshake, and the account it is registered for, if it is.
fn proven<'a>(
    config: &'a Auth,
    shown: &Shown<'_>,
    now: Millis,
) -> Result<(Option<&'a Account>, Cow<'a, Certificate>), Reason> {
    let own = shown.certificates.first().filter(|_| shown.certificates.len() <= issued::LONGEST);
    let own = own.and_then(|der| Octets::new(*der).ok()).ok_or(Reason::UnknownCertificate)?;
    let reference = KeyReference::Certificate(own);
    let (account, certificate) = match config.users.signer(&reference, now) {
        Some((account, certificate)) => (Some(account), Cow::Borrowed(certificate)),
        None => {
            let presented = issued::presented(config, &reference).ok_or(Reason::UnknownCertificate)?;
            (None, Cow::Owned(presented))
        }
    };
    if !certificate.holds(now) {
        return Err(Reason::CertificateDates);
    }
    shown.proven_by(&certificate)?;
    Ok((account, certificate))
}

/// The handshake, completed by a server of ours.
fn completed(config: &Auth, shown: &Shown<'_>) -> Result<SignedHandshake, Reason> {
    let server = config.servers.iter().find(|server| server.der == shown.server);
    shown.completed_by(server.ok_or(Reason::ForeignHandshake)?)
}
