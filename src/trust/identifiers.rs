//! Token types, key types, request types and actions in both versions of WS-Trust (namespaces.md 1.2 to 1.7).
//! Compared exactly; what a client may spell in several ways it gets back in its own spelling.

use crate::wire::evidence::{KeyType, TicketForm};
use crate::wire::order::TokenType;
use crate::xml::names;

/// `ValueType` of a reference to a certificate by the identifier of its key.
pub const KEY_IDENTIFIER: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509SubjectKeyIdentifier";
/// `ValueType` of a reference to a certificate by its SHA-1.
pub const THUMBPRINT: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1";

/// Of a reference to an `xenc:EncryptedKey`, as `TokenType` and as `ValueType`.
pub const ENCRYPTED_KEY: &str = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#EncryptedKey";
/// `ValueType` of a reference to one by the SHA-1 of what it seals.
pub const ENCRYPTED_KEY_SHA1: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#EncryptedKeySHA1";

/// What the `ValueType`s of a ticket of Kerberos begin with (WSS Kerberos Token Profile 1.1, R6902).
const KERBEROS: &str = "http://docs.oasis-open.org/wss/oasis-wss-kerberos-token-profile-1.1";
/// `ValueType` of a reference to one by the SHA-1 of its octets (R6904).
pub const KERBEROS_SHA1: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-kerberos-token-profile-1.1#Kerberosv5APREQSHA1";

/// The form of a ticket with this `ValueType`, if it says to be one. RFC 1510 and RFC 4120 write the same octets.
#[must_use]
pub fn ticket_form(value_type: &str) -> Option<TicketForm> {
    let name = value_type.strip_prefix(KERBEROS)?.strip_prefix('#')?;
    match name.strip_suffix("1510").or(name.strip_suffix("4120")).unwrap_or(name) {
        "GSS_Kerberosv5_AP_REQ" => Some(TicketForm::Framed),
        "Kerberosv5_AP_REQ" => Some(TicketForm::Bare),
        _ => None,
    }
}

/// Versions of WS-Trust, 1.4 being 1.3 with additions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Namespace 200512.
    V13,
    /// February 2005.
    V2005,
}

impl Trust {
    /// The namespace of its elements.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::V13 => names::WST13,
            Self::V2005 => names::WST05,
        }
    }

    /// The version of an element.
    #[must_use]
    pub fn from_namespace(uri: &str) -> Option<Self> {
        [Self::V13, Self::V2005].into_iter().find(|version| version.namespace() == uri)
    }

    /// What follows `namespace/` in `uri`.
    #[must_use]
    pub fn path_in(self, uri: &str) -> Option<&str> {
        uri.strip_prefix(self.namespace())?.strip_prefix('/')
    }

    /// `wst:RequestType` of a request for a token.
    #[must_use]
    pub fn request_type(self) -> String {
        format!("{}/Issue", self.namespace())
    }

    /// `wsa:Action` of a request for a token.
    #[must_use]
    pub fn action(self) -> String {
        format!("{}/RST/Issue", self.namespace())
    }

    /// `wsa:Action` of the answer.
    #[must_use]
    pub fn final_action(self) -> &'static str {
        match self {
            Self::V13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/RSTRC/IssueFinal",
            Self::V2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust/RSTR/Issue",
        }
    }

    /// `wst:KeyType` as this version spells it.
    #[must_use]
    pub fn key_type_uri(self, key_type: KeyType) -> &'static str {
        match (self, key_type) {
            (Self::V13, KeyType::Bearer) => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer",
            (Self::V13, KeyType::Symmetric) => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/SymmetricKey",
            (Self::V13, KeyType::Public) => "http://docs.oasis-open.org/ws-sx/ws-trust/200512/PublicKey",
            (Self::V2005, KeyType::Bearer) => "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
            (Self::V2005, KeyType::Symmetric) => "http://schemas.xmlsoap.org/ws/2005/02/trust/SymmetricKey",
            (Self::V2005, KeyType::Public) => "http://schemas.xmlsoap.org/ws/2005/02/trust/PublicKey",
        }
    }

    /// The key type of this URI, in this version.
    #[must_use]
    pub fn key_type(self, uri: &str) -> Option<KeyType> {
        // The schema of 1.3 misspells its own bearer key type.
        if self == Self::V13 && uri == "http://docs.oasis-open.org/wssx/wstrust/200512/Bearer" {
            return Some(KeyType::Bearer);
        }
        [KeyType::Bearer, KeyType::Symmetric, KeyType::Public]
            .into_iter()
            .find(|key_type| self.key_type_uri(*key_type) == uri)
    }

    /// The other version.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::V13 => Self::V2005,
            Self::V2005 => Self::V13,
        }
    }
}

/// A token type as a client named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The type.
    pub token_type: TokenType,
    /// How the client spells it.
    pub spelling: &'static str,
}

/// The forms AD FS advertises and returns.
const SAML11_ADFS: &str = "urn:oasis:names:tc:SAML:1.0:assertion";
const SAML20_ADFS: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SAML11: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1";
const SAML20: &str = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0";

const SPELLINGS: [(&str, TokenType); 6] = [
    (SAML11, TokenType::Saml11),
    (SAML11_ADFS, TokenType::Saml11),
    ("urn:oasis:names:tc:SAML:1.1:assertion", TokenType::Saml11),
    ("http://schemas.microsoft.com/ws/2006/05/identitymodel/tokens/Saml", TokenType::Saml11),
    (SAML20, TokenType::Saml20),
    (SAML20_ADFS, TokenType::Saml20),
];

impl Asked {
    /// Reads a `wst:TokenType`.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (spelling, token_type) = SPELLINGS.into_iter().find(|(spelling, _)| *spelling == uri)?;
        Some(Self { token_type, spelling })
    }
}

/// The token profile's own name for a token type: `wsse11:TokenType`, and `wst:TokenType` by default.
#[must_use]
pub fn token_type_uri(token_type: TokenType) -> &'static str {
    match token_type {
        TokenType::Saml11 => SAML11,
        TokenType::Saml20 => SAML20,
    }
}

/// What AD FS clients compare with.
#[must_use]
pub fn adfs_token_type_uri(token_type: TokenType) -> &'static str {
    match token_type {
        TokenType::Saml11 => SAML11_ADFS,
        TokenType::Saml20 => SAML20_ADFS,
    }
}

/// `wsse:KeyIdentifier/@ValueType` of a reference to a token (namespaces.md 1.8; the 1.0 is no mistake).
#[must_use]
pub fn key_identifier_type(token_type: TokenType) -> &'static str {
    match token_type {
        TokenType::Saml11 => "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID",
        TokenType::Saml20 => "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID",
    }
}
