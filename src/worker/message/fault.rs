//! What a client is told when it gets no token: one place for every code and every text (R-T140 to R-T143).
//! The texts are the standards' own and never say more; the reason stays in our log, under the correlation id.

use crate::wire::evidence::Refusal;
use crate::wire::order::Failure;
use crate::xml::names;

/// Every fault we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Not a message we can read.
    Malformed,
    /// An envelope of neither SOAP 1.1 nor SOAP 1.2.
    VersionMismatch,
    /// A header block that must be understood, and is not.
    MustUnderstand,
    /// `wsa:InvalidAddressingHeader`.
    InvalidAddressingHeader,
    /// `wsa:ActionMismatch`.
    ActionMismatch,
    /// `wsa:OnlyAnonymousAddressSupported`.
    OnlyAnonymousAddressSupported,
    /// `wsa:MessageAddressingHeaderRequired`.
    AddressingRequired,
    /// `wsa:ActionNotSupported`.
    ActionNotSupported,
    /// `wsse:UnsupportedSecurityToken`.
    UnsupportedSecurityToken,
    /// `wsse:UnsupportedAlgorithm`.
    UnsupportedAlgorithm,
    /// `wsse:SecurityTokenUnavailable`.
    SecurityTokenUnavailable,
    /// `wsse:InvalidSecurity`.
    InvalidSecurity,
    /// `wsse:FailedAuthentication`.
    FailedAuthentication,
    /// `wsse:FailedCheck`.
    FailedCheck,
    /// `wsu:MessageExpired`.
    MessageExpired,
    /// `wst:InvalidRequest`.
    InvalidRequest,
    /// `wst:BadRequest`.
    BadRequest,
    /// `wst:InvalidScope`.
    InvalidScope,
    /// `wst:InvalidTimeRange`.
    InvalidTimeRange,
    /// `wst:RequestFailed`.
    RequestFailed,
    /// `wst:RequestFailed` with a time to come back.
    Busy {
        /// HTTP `Retry-After`, seconds.
        retry_after_s: u16,
    },
}

/// The namespace a code is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// SOAP's own: the class of the fault says all.
    Soap,
    Addressing,
    Security,
    Utility,
    /// WS-Trust, in the version of the request.
    Trust,
}

impl Family {
    /// The namespace, where it does not depend on the request.
    pub(super) fn namespace(self) -> Option<&'static str> {
        match self {
            Self::Soap | Self::Trust => None,
            Self::Addressing => Some(names::WSA),
            Self::Security => Some(names::WSSE),
            Self::Utility => Some(names::WSU),
        }
    }
}

/// A fault, spelled out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wording {
    pub(super) family: Family,
    /// The local name of the specific code; for SOAP's own faults, of the class.
    pub(super) code: &'static str,
    /// The more general code that WS-Addressing puts above it.
    pub(super) above: Option<&'static str>,
    pub(super) text: &'static str,
}

impl Fault {
    pub(super) fn wording(self) -> Wording {
        use Family::{Addressing, Security, Soap, Trust, Utility};
        let plain = |family, code, text| Wording { family, code, above: None, text };
        let header = |code, text| Wording { family: Addressing, code, above: Some("InvalidAddressingHeader"), text };
        match self {
            Self::Malformed => plain(Soap, "Sender", "The message could not be read"),
            Self::VersionMismatch => plain(Soap, "VersionMismatch", "The SOAP version is not supported"),
            Self::MustUnderstand => plain(Soap, "MustUnderstand", "A mandatory header was not understood"),
            Self::InvalidAddressingHeader => {
                plain(Addressing, "InvalidAddressingHeader", "An addressing header is not valid")
            }
            Self::ActionMismatch => header("ActionMismatch", "The actions of the message do not agree"),
            Self::OnlyAnonymousAddressSupported => {
                header("OnlyAnonymousAddressSupported", "Only the anonymous reply address is supported")
            }
            Self::AddressingRequired => {
                plain(Addressing, "MessageAddressingHeaderRequired", "A required addressing header is missing")
            }
            Self::ActionNotSupported => plain(Addressing, "ActionNotSupported", "The action is not supported"),
            Self::UnsupportedSecurityToken => {
                plain(Security, "UnsupportedSecurityToken", "An unsupported token was provided")
            }
            Self::UnsupportedAlgorithm => {
                plain(Security, "UnsupportedAlgorithm", "An unsupported signature or encryption algorithm was used")
            }
            Self::SecurityTokenUnavailable => {
                plain(Security, "SecurityTokenUnavailable", "Referenced security token could not be retrieved")
            }
            Self::InvalidSecurity => {
                plain(Security, "InvalidSecurity", "An error was discovered processing the security header")
            }
            Self::FailedAuthentication => {
                plain(Security, "FailedAuthentication", "The security token could not be authenticated or authorized")
            }
            Self::FailedCheck => plain(Security, "FailedCheck", "The signature or decryption was invalid"),
            Self::MessageExpired => plain(Utility, "MessageExpired", "The message has expired"),
            Self::InvalidRequest => plain(Trust, "InvalidRequest", "The request was invalid or malformed"),
            Self::BadRequest => plain(Trust, "BadRequest", "The specified RequestSecurityToken is not understood"),
            Self::InvalidScope => plain(Trust, "InvalidScope", "The request scope is invalid or unsupported"),
            Self::InvalidTimeRange => {
                plain(Trust, "InvalidTimeRange", "The requested time range is invalid or unsupported")
            }
            Self::RequestFailed | Self::Busy { .. } => plain(Trust, "RequestFailed", "The specified request failed"),
        }
    }

    /// Is it for us to mend, and not for the client?
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Seconds until the client may try again.
    pub(super) fn retry_after_s(self) -> Option<u16> {
        match self {
            Self::Busy { retry_after_s } => Some(retry_after_s),
            _ => None,
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::FailedAuthentication => Self::FailedAuthentication,
            Refusal::MessageExpired => Self::MessageExpired,
            Refusal::InvalidSecurity => Self::InvalidSecurity,
            Refusal::InvalidRequest => Self::InvalidRequest,
            Refusal::BadRequest => Self::BadRequest,
            Refusal::InvalidScope => Self::InvalidScope,
            Refusal::InvalidTimeRange => Self::InvalidTimeRange,
            Refusal::RequestFailed => Self::RequestFailed,
            Refusal::Busy { retry_after_s } => Self::Busy { retry_after_s },
            Refusal::Reconnect => Self::Busy { retry_after_s: 1 },
            Refusal::UnsupportedSecurityToken => Self::UnsupportedSecurityToken,
            Refusal::FailedCheck => Self::FailedCheck,
            Refusal::UnsupportedAlgorithm => Self::UnsupportedAlgorithm,
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoSuchVoucher | Failure::AboveCeiling => Self::RequestFailed,
            Failure::Unavailable { retry_after_s } => Self::Busy { retry_after_s },
        }
    }
}
