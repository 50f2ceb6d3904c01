//! The order: everything about exactly one token, decided by auth, held to its ceilings and written out by
//! issuer. There is no order for "sign these octets".

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Octets, Text};
use super::ids::{Correlation, Millis, Peer, VoucherId};

/// The longest that auth may be configured to take a voucher for good, and to lodge it again at an issuer that is new.
pub const LONGEST_VOUCHER_MS: u32 = 60_000;

/// What auth lodges at issuer: good once, for seconds, over the channel of one worker.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Voucher {
    /// 128 random bits.
    pub id: VoucherId,
    /// The worker whose channel the evidence came over; only it may redeem.
    pub worker: Peer,
    /// What to issue.
    pub order: Order,
    /// May the answer with it be signed, once?
    pub signed_reply: bool,
}

/// The complete description of one token.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Order {
    /// Names the request; must be the same in evidence and redemption.
    pub correlation: Correlation,
    /// Name of the relying party's file in `auth.d` and `issuer.d`. Audience and address are issuer's own.
    pub relying_party: Text<128>,
    /// The kind of token.
    pub token_type: TokenType,
    /// Whom the token speaks of.
    pub subject: Subject,
    /// Claim values, already shaped, in the order they are to be written.
    pub claims: List<Claim, 64>,
    /// How the presenter proves himself.
    pub confirmation: Confirmation,
    /// When the token may begin to hold; issuer's clock decides, never earlier than now less the skew.
    pub not_before: Option<Millis>,
    /// The latest moment the token may end. Issuer may end it sooner.
    pub latest_expiry: Millis,
    /// How and when the subject proved himself.
    pub authentication: Authentication,
    /// What vouches for the wording of the request.
    pub request: RequestIntegrity,
}

/// Kinds of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum TokenType {
    /// SAML 2.0 assertion.
    Saml20,
    /// SAML 1.1 assertion.
    Saml11,
}

impl TokenType {
    /// The name in configuration, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Saml20 => "saml20",
            Self::Saml11 => "saml11",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Saml20, Self::Saml11].into_iter().find(|kind| kind.name() == name)
    }
}

/// A name and its format (R-S012).
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Subject {
    /// The account as auth knows it, for quotas, protected subjects and the record.
    pub account: Text<256>,
    /// What stands in `NameID` / `NameIdentifier`.
    pub name: Text<1024>,
    /// Its `Format`.
    pub format: NameFormat,
}

/// `NameID/@Format` (namespaces.md 1.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum NameFormat {
    /// `…1.1:nameid-format:unspecified`.
    Unspecified,
    /// `…1.1:nameid-format:emailAddress`.
    EmailAddress,
    /// `…1.1:nameid-format:X509SubjectName`.
    X509SubjectName,
    /// `…1.1:nameid-format:WindowsDomainQualifiedName`.
    WindowsDomainQualifiedName,
    /// `…2.0:nameid-format:persistent`.
    Persistent,
    /// `…2.0:nameid-format:transient`.
    Transient,
}

/// A claim and its values, at least one.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Claim {
    /// The claim type URI.
    pub uri: Text<512>,
    /// Its values, in order.
    pub values: List<Text<4096>, 256>,
}

/// `SubjectConfirmation`.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Confirmation {
    /// Whoever holds it.
    Bearer,
    /// Whoever proves that he has the key of this certificate, as the requestor did in this very message (R-S005).
    HolderOfKey {
        /// DER.
        certificate: Octets<{ 16 * 1024 }>,
    },
}

impl Confirmation {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> ConfirmationKind {
        match self {
            Self::Bearer => ConfirmationKind::Bearer,
            Self::HolderOfKey { .. } => ConfirmationKind::HolderOfKey,
        }
    }
}

/// Kinds of confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfirmationKind {
    /// See [`Confirmation::Bearer`].
    Bearer,
    /// See [`Confirmation::HolderOfKey`].
    HolderOfKey,
}

impl ConfirmationKind {
    /// The name in configuration and policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::HolderOfKey => "holder-of-key",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Bearer, Self::HolderOfKey].into_iter().find(|kind| kind.name() == name)
    }
}

/// The event the token's authentication statement speaks of (R-S010).
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Authentication {
    /// How.
    pub method: Method,
    /// When: the real event.
    pub instant: Millis,
}

/// Authentication methods (namespaces.md 1.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Method {
    /// A password over TLS.
    Password,
    /// A message signed by the key of an X.509 certificate.
    X509,
    /// The digest of a secret, over TLS.
    Digest,
    /// The key of a certificate, in the TLS handshake.
    TlsCertificate,
    /// An assertion of a partner, over TLS.
    Saml,
    /// A JWT of an issuer, over TLS.
    Jwt,
    /// A Kerberos ticket, over TLS.
    Kerberos,
}

impl Method {
    /// The name in logs, metrics and the record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::X509 => "x509",
            Self::Digest => "digest",
            Self::TlsCertificate => "tls-certificate",
            Self::Saml => "saml",
            Self::Jwt => "jwt",
            Self::Kerberos => "kerberos",
        }
    }
}

/// What auth took the wish from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum RequestIntegrity {
    /// The worker's word: the request was protected by TLS alone.
    Transport,
    /// The requestor's signature over it.
    Signed,
}

/// What a worker sends to be given its token.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Redemption {
    /// The voucher.
    pub voucher: VoucherId,
    /// Must be the order's.
    pub correlation: Correlation,
}

/// A token, recorded and signed.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Release {
    /// Names the request.
    pub correlation: Correlation,
    /// The token, to be embedded verbatim.
    pub token: Octets<{ 256 * 1024 }>,
    /// Its kind.
    pub token_type: TokenType,
    /// `ID` / `AssertionID`.
    pub token_id: Text<64>,
    /// `NotBefore`.
    pub created: Millis,
    /// `NotOnOrAfter`.
    pub expires: Millis,
}

/// Why issuer releases nothing. The worker shows all of these as `wst:RequestFailed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Failure {
    /// The voucher has run out, or issuer was restarted since.
    NoSuchVoucher,
    /// The order is above a ceiling or a quota.
    AboveCeiling,
    /// The record, the HSM or the clock does not permit issuing now.
    Unavailable {
        /// HTTP `Retry-After`, seconds.
        retry_after_s: u16,
    },
}
