//! Values to octets: SAML 2.0 and SAML 1.1 assertions, the signatures in them and those of answers. Everything is
//! written in exclusive canonical form by construction, so what is digested is what is sent; there is no parser here,
//! and nothing here decides what a token may say.

pub mod answer;
pub mod saml11;
pub mod saml20;
pub mod signature;
pub mod values;

use crate::wire::Millis;
use crate::wire::order::{Authentication, Claim, Confirmation, Subject};

pub use signature::{Algorithm, Enveloped};
pub use values::TokenId;

/// What one assertion says, in either version.
#[derive(Debug, Clone, Copy)]
pub struct Assertion<'a> {
    /// `ID` / `AssertionID`.
    pub id: &'a TokenId,
    /// `Issuer`.
    pub issuer: &'a str,
    /// `IssueInstant`.
    pub issued: Millis,
    /// `NotBefore`.
    pub not_before: Millis,
    /// `NotOnOrAfter`: the first moment it no longer holds.
    pub expires: Millis,
    /// The relying party's names for itself, in one restriction (R-S003).
    pub audience: &'a [String],
    /// Whom it speaks of.
    pub subject: &'a Subject,
    /// What it says, in order. A claim without a value is left out (R-S011).
    pub claims: &'a [Claim],
    /// How the presenter proves himself.
    pub confirmation: &'a Confirmation,
    /// How and when the subject proved himself (R-S010).
    pub authentication: &'a Authentication,
}

/// An assertion without its signature.
#[derive(Debug)]
pub struct Written {
    /// Exclusive canonical form: what the reference digest covers.
    canonical: String,
    /// `ID`, for the reference.
    id: TokenId,
    /// Where the signature goes (R-S013): octets from the start.
    signature_at: usize,
    /// A declaration that canonical form leaves out and one client looks for: where, and its octets.
    unused_declaration: Option<(usize, &'static str)>,
}

impl Written {
    /// The octets the reference digest covers.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

#[cfg(test)]
pub(crate) mod examples {
    use super::*;
    use crate::wire::order::{Method, NameFormat};
    use crate::wire::{List, Text};

    /// An assertion with characters that need escaping wherever a value stands.
    pub(crate) struct Example {
        pub(crate) id: TokenId,
        pub(crate) audience: Vec<String>,
        pub(crate) subject: Subject,
        pub(crate) claims: Vec<Claim>,
        pub(crate) confirmation: Confirmation,
        pub(crate) authentication: Authentication,
    }

    impl Example {
        pub(crate) fn new() -> Self {
            let claim = |uri: &str, values: &[&str]| Claim {
                uri: Text::new(uri).unwrap(),
                values: List::new(values.iter().map(|v| Text::new(*v).unwrap()).collect::<Vec<_>>()).unwrap(),
            };
            Self {
                id: TokenId::from_octets([0xAB; 16]),
                audience: vec!["urn:federation:MicrosoftOnline".into()],
                subject: Subject {
                    account: Text::new("alice").unwrap(),
                    name: Text::new("alice<&>\"\r@example.com").unwrap(),
                    format: NameFormat::EmailAddress,
                },
                claims: vec![
                    claim("http://schemas.xmlsoap.org/claims/UPN", &["alice@example.com"]),
                    claim("http://schemas.example.com/none", &[]),
                    claim("http://schemas.xmlsoap.org/claims/Group", &["a & b", "<c>"]),
                ],
                confirmation: Confirmation::Bearer,
                authentication: Authentication { method: Method::Password, instant: Millis(1_384_484_905_174) },
            }
        }

        pub(crate) fn assertion(&self) -> Assertion<'_> {
            Assertion {
                id: &self.id,
                issuer: "http://sts.example.com/adfs/services/trust?a=1&b=2",
                issued: Millis(1_384_484_905_221),
                not_before: Millis(1_384_484_845_221),
                expires: Millis(1_384_488_505_221),
                audience: &self.audience,
                subject: &self.subject,
                claims: &self.claims,
                confirmation: &self.confirmation,
                authentication: &self.authentication,
            }
        }
    }
}
