//! The key by which somebody proves that an assertion is his, as the assertion says it: that of a certificate, or a key
//! alone. What the message says of it chooses nothing. Both are read in the octets that the partner has signed.

use aws_lc_rs::digest::{SHA256, digest};

use super::read::Named;
use crate::auth::reason::Reason;
use crate::auth::signature::{self, Admitted, Signed};
use crate::config::auth::certificate::{Certificate, VerifyingKey};
use crate::config::auth::{jwks, public_key};
use crate::wire::Millis;
use crate::wire::evidence::KeyReference;
use crate::wire::record::HeldKey;

/// Whoever has this key.
#[derive(Debug)]
pub(in crate::auth) enum Holder {
    /// That of a certificate, which has to hold.
    Certificate(Certificate),
    /// One that has none: it holds as long as the assertion.
    Key(VerifyingKey),
}

impl Holder {
    /// By what a `ds:KeyInfo` says.
    ///
    /// # Errors
    /// A clause for the operator.
    pub(super) fn of(named: &Named) -> Result<Self, String> {
        let (der, value) = match named {
            Named::Certificate(der) => (Some(der), None),
            Named::Value(value) => (None, Some(value)),
            Named::Both(der, value) => (Some(der), Some(value)),
            Named::Sealed(_) => return Err("a shared one, which no signature proves".to_owned()),
        };
        let key = value.map(public_key::of).transpose()?;
        match (der.map(|der| Certificate::from_der(der.clone())).transpose()?, key) {
            // Each may be understood by somebody who does not know the other.
            (Some(certificate), Some(key)) if certificate.key != key => {
                Err("a certificate and the key of another".to_owned())
            }
            (Some(certificate), _) => Ok(Self::Certificate(certificate)),
            (None, Some(key)) => Ok(Self::Key(key)),
            (None, None) => Err("nothing".to_owned()),
        }
    }

    /// The key.
    pub(in crate::auth) fn key(&self) -> &VerifyingKey {
        match self {
            Self::Certificate(certificate) => &certificate.key,
            Self::Key(key) => key,
        }
    }

    /// Has he signed this message, which does not write out another key than his?
    ///
    /// # Errors
    /// The reason he has not, and a clause for the operator.
    pub(in crate::auth) fn signed<'m>(
        &self,
        message: Admitted<'m>,
        now: Millis,
    ) -> Result<Signed<'m>, (Reason, &'static str)> {
        if let KeyReference::Value(said) = message.key()
            && !public_key::of(said).is_ok_and(|said| said == *self.key())
        {
            return Err((Reason::Confirmation, "the message names another key than it confirms"));
        }
        let signed = match self {
            Self::Certificate(certificate) => signature::verify(certificate, message, now),
            Self::Key(key) => signature::by(key, message),
        };
        signed.map_err(|reason| (reason, "no key that it confirms has signed the message"))
    }

    /// As the record names it.
    pub(in crate::auth) fn named(&self) -> HeldKey {
        let mut name = [0; 32];
        match self {
            Self::Certificate(certificate) => {
                name.copy_from_slice(digest(&SHA256, &certificate.der).as_ref());
                HeldKey::Certificate(name)
            }
            // Of a key that is one there is always a thumbprint.
            Self::Key(key) => HeldKey::Thumbprint(jwks::thumbprint(key).unwrap_or(name)),
        }
    }

    /// The certificate, if there is one.
    pub(in crate::auth) fn certificate(self) -> Option<Certificate> {
        match self {
            Self::Certificate(certificate) => Some(certificate),
            Self::Key(_) => None,
        }
    }
}
