//! For whom a JWT is that says whose key must be proven (`cnf`, RFC 7800). The key comes with a certificate, that of
//! the TLS connection (RFC 8705) or that which signed the message; nobody vouches for it but the JWT.

use aws_lc_rs::digest::{SHA256, digest};

use super::Verified;
use crate::config::auth::certificate::Certificate;
use crate::config::auth::jwks;
use crate::jose::claims::Confirmation;

/// The largest certificate that is read, octets.
const LARGEST: usize = 8 * 1024;

/// Who may present a JWT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) enum For {
    /// Whoever has it.
    Anybody,
    /// Whoever proves its key.
    Holder,
    /// Somebody who has to prove something that is not known here.
    Other,
}

impl Verified<'_> {
    /// Who may present it?
    pub(in crate::auth) fn is_for(&self) -> For {
        match &self.claims.confirmation {
            None => For::Anybody,
            Some(Confirmation::Certificate(_) | Confirmation::Thumbprint(_)) => For::Holder,
            Some(Confirmation::Key(key)) if jwks::public(key).is_ok() => For::Holder,
            Some(Confirmation::Key(_) | Confirmation::Other) => For::Other,
        }
    }

    /// Does it name the octets of the certificate? Then it vouches for what stands in it; else for the key alone, and
    /// whoever has that writes a certificate for it as he likes.
    pub(in crate::auth) fn names_certificate(&self) -> bool {
        matches!(self.claims.confirmation, Some(Confirmation::Certificate(_)))
    }

    /// The certificate of these octets, DER, if its key is the one that must be proven. Where the JWT names the octets,
    /// they are read only when they are those.
    pub(in crate::auth) fn confirms(&self, der: &[u8]) -> Option<Certificate> {
        let confirmation = self.claims.confirmation.as_ref()?;
        if let Confirmation::Certificate(hash) = confirmation
            && digest(&SHA256, der).as_ref() != hash
        {
            return None;
        }
        let certificate = Certificate::from_der(Some(der).filter(|der| der.len() <= LARGEST)?.to_vec()).ok()?;
        let confirmed = match confirmation {
            Confirmation::Certificate(_) => true,
            Confirmation::Thumbprint(thumbprint) => jwks::thumbprint(&certificate.key) == Some(*thumbprint),
            Confirmation::Key(key) => jwks::public(key).is_ok_and(|key| key == certificate.key),
            Confirmation::Other => false,
        };
        confirmed.then_some(certificate)
    }
}
