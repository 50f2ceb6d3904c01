//! What is written to the record. Each entry has a public part, which the chain covers, and a private
//! part, of which the chain covers a salted hash, so that it can be erased without breaking the chain.

use std::net::IpAddr;

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Text};
use super::ids::{Correlation, KeyId, Millis};
use super::order::{Claim, Method, RequestIntegrity, Subject, TokenType};

/// issuer's entries.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IssuerEntry {
    /// About to sign. Counts as issued unless an outcome says otherwise.
    Intent(Intent, IntentPrivate),
    /// What became of it.
    Outcome(Outcome),
}

/// The public part of an intent.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Intent {
    /// Issuer's clock.
    pub instant: Millis,
    /// Names the request.
    pub correlation: Correlation,
    /// `ID` / `AssertionID`.
    pub token_id: Text<64>,
    /// Kind of token.
    pub token_type: TokenType,
    /// For whom.
    pub relying_party: Text<128>,
    /// `NotBefore`.
    pub created: Millis,
    /// `NotOnOrAfter`.
    pub expires: Millis,
    /// How the subject proved himself.
    pub method: Method,
    /// What vouched for the wording of the request.
    pub request: RequestIntegrity,
    /// The key that will sign.
    pub key: KeyId,
    /// SHA-256 of the canonical octets the signature will cover.
    pub digest: [u8; 32],
    /// SHA-256 of the certificate whose key the token is bound to; none for whoever holds the token.
    pub holder: Option<[u8; 32]>,
}

/// The private part of an intent.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IntentPrivate {
    /// Whom the token speaks of.
    pub subject: Subject,
    /// What it says.
    pub claims: List<Claim, 64>,
}

/// The end of an issuance.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Outcome {
    /// Issuer's clock.
    pub instant: Millis,
    /// Names the request.
    pub correlation: Correlation,
    /// The intent's token.
    pub token_id: Text<64>,
    /// How it ended.
    pub result: OutcomeResult,
}

/// How an issuance ended.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum OutcomeResult {
    /// Signed and verified; about to be released.
    Signed {
        /// SHA-256 of the signature's octets.
        signature: [u8; 32],
    },
    /// The token gave no signature.
    NotSigned,
    /// The token gave a signature that does not verify; it was thrown away.
    WrongSignature,
}

/// auth's entries.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum AuthEntry {
    /// A requestor proved himself and was allowed or refused a token.
    Decision(Decision, DecisionPrivate),
    /// Refusals from strangers, summed up per network and second, or by the minute when there are many, so that
    /// nobody can fill the disk.
    Refusals {
        /// auth's clock at the last one.
        instant: Millis,
        /// Where from: an IPv4 address, the first of an IPv6 /64, or `::` for all that have no sum of their own.
        source: IpAddr,
        /// How many.
        count: u32,
        /// The last one's reason, a short word from auth's closed list.
        reason: Text<64>,
        /// The last one's request.
        correlation: Correlation,
    },
    /// An account asked more than it may, summed up per account and second.
    Excessive(Excessive, DecisionPrivate),
    /// The same as a decision, where somebody else asked and vouched for the requestor.
    Vouched(Decision, VouchedPrivate),
    /// The same, where the requestor has proved the key that his assertion confirms.
    Held(Decision, Held, DecisionPrivate),
}

/// The public part of what an account asked in excess.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Excessive {
    /// auth's clock at the last one.
    pub instant: Millis,
    /// The last one's request.
    pub correlation: Correlation,
    /// Where the last one came from.
    pub source: IpAddr,
    /// How many were refused undecided.
    pub count: u32,
}

/// The public part of a decision.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Decision {
    /// auth's clock.
    pub instant: Millis,
    /// Names the request.
    pub correlation: Correlation,
    /// The endpoint, as the worker said.
    pub endpoint: Text<128>,
    /// Where from, as the worker said.
    pub source: IpAddr,
    /// How the requestor proved himself.
    pub method: Method,
    /// Who vouched for him: the authority that issued his certificate, unless that is registered itself, or the
    /// partner that issued his assertion, or the issuer of his JWT.
    pub authority: Option<Text<64>>,
    /// For which relying party, when one was found.
    pub relying_party: Option<Text<128>>,
    /// Was a voucher made?
    pub allowed: bool,
    /// A short word from auth's closed list.
    pub reason: Text<64>,
    /// Ids of the policies that decided.
    pub policies: List<Text<128>, 16>,
}

/// How somebody proved that he is the holder of an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Held {
    /// By what.
    pub proof: Proof,
    /// With which key.
    pub key: HeldKey,
}

/// What proves a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Proof {
    /// A signature over this very message.
    Signature,
    /// One in the TLS handshake.
    TlsCertificate,
    /// A MAC over this very message.
    Mac,
}

impl Proof {
    /// The name in logs and the record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::TlsCertificate => "tls-certificate",
            Self::Mac => "mac",
        }
    }
}

/// How a key is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum HeldKey {
    /// By SHA-256 of the certificate that the assertion confirms.
    Certificate([u8; 32]),
    /// The assertion confirms a key alone: by its thumbprint (RFC 7638), SHA-256.
    Thumbprint([u8; 32]),
    /// The assertion has a shared key, sealed for us: by SHA-256 of what is sealed.
    Sealed([u8; 32]),
}

/// The private part of a decision for somebody whom an intermediary vouched for.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VouchedPrivate {
    /// Who.
    pub account: Text<256>,
    /// The account of the intermediary.
    pub intermediary: Text<256>,
}

/// The private part of a decision, and of what was asked in excess.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DecisionPrivate {
    /// Who.
    pub account: Text<256>,
}
