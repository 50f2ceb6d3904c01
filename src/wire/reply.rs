//! An answer under a MAC by the key of its request, or signed by ours where a certificate's key signed the request. The
//! worker names parts from a closed list with a digest each; auth writes what the MAC is made of, issuer what is
//! signed: with ids of their own and one transform. A worker that chose the digests could pass a MAC or a signature off
//! as a request's, if ever a key were good for both, so the ids are such as no request that is taken has.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Octets, Secret};
use super::ids::Correlation;
use super::unwrap::{KeyTransport, PartCipher, Sealed};

/// A part of an answer that a MAC may cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum ReplyPart {
    /// `wsu:Timestamp`.
    Timestamp,
    /// The body of the envelope.
    Body,
    /// `wsa:Action`.
    Action,
    /// `wsa:To`.
    To,
    /// `wsa:RelatesTo`.
    RelatesTo,
    /// `wsa:MessageID`.
    MessageId,
    /// `wsse11:SignatureConfirmation`.
    SignatureConfirmation,
}

impl ReplyPart {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Timestamp,
        Self::Body,
        Self::Action,
        Self::To,
        Self::RelatesTo,
        Self::MessageId,
        Self::SignatureConfirmation,
    ];

    /// Its `wsu:Id` in every answer: [`SIGNED_IDS`] and a word.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Timestamp => "chancery-answer-timestamp",
            Self::Body => "chancery-answer-body",
            Self::Action => "chancery-answer-action",
            Self::To => "chancery-answer-to",
            Self::RelatesTo => "chancery-answer-relates-to",
            Self::MessageId => "chancery-answer-message-id",
            Self::SignatureConfirmation => "chancery-answer-confirmation",
        }
    }
}

/// What all ids begin with that answers have under a MAC or our own signature. auth takes no message that says so of
/// itself: nobody passes an answer of ours off as a request, whatever certificate is made out for the key, and whatever
/// else the shared key of a MAC is good for.
pub const SIGNED_IDS: &str = "chancery-answer-";

/// The id of the certificate in an answer that is signed.
pub const CERTIFICATE_ID: &str = "chancery-answer-certificate";

/// Are these parts an answer: timestamp and body, and none of them twice?
#[must_use]
pub fn whole(parts: &[Covered]) -> bool {
    let count = |wanted: ReplyPart| parts.iter().filter(|covered| covered.part == wanted).count();
    let once = ReplyPart::ALL.into_iter().all(|part| count(part) <= 1);
    once && count(ReplyPart::Timestamp) == 1 && count(ReplyPart::Body) == 1
}

/// The id of the derived key that the MAC of an answer is made with, and of the one it is sealed with.
pub const DERIVED_IDS: [&str; 2] = ["_7", "_8"];

/// A part and the SHA-256 of its exclusive canonical form.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Covered {
    /// Which.
    pub part: ReplyPart,
    /// Its digest.
    pub digest: [u8; 32],
}

/// The version of WS-SecureConversation that a request derives keys by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Conversation {
    /// 1.3 and 1.4.
    V13,
    /// February 2005.
    V2005,
}

/// Octets of an answer's content, at most.
pub const MOST_REPLY_OCTETS: usize = 288 * 1024;

/// What a worker asks to have put under a MAC and sealed, once for each request that was vouched for.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Seal {
    /// Names the request.
    pub correlation: Correlation,
    /// What the MAC covers: the timestamp, the body, and others of the list, none twice.
    pub parts: List<Covered, 7>,
    /// How references to derived keys are written, where the request derives its keys.
    pub conversation: Conversation,
    /// What is sealed, in order; nothing where the request sealed nothing.
    pub contents: List<Secret<MOST_REPLY_OCTETS>, 2>,
    /// Is the signature sealed?
    pub signature: bool,
}

/// An answer's signature, and what was sealed.
#[derive(Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SealedReply {
    /// Names the request.
    pub correlation: Correlation,
    /// `ds:Signature`, or nonce, ciphertext and tag of it.
    pub signature: Octets<{ 16 * 1024 }>,
    /// Nonce, ciphertext and tag of each content.
    pub contents: List<Octets<{ MOST_REPLY_OCTETS + 28 }>, 2>,
    /// How they are sealed, where anything is.
    pub cipher: Option<PartCipher>,
    /// What the key of the MAC is derived by, where the request derives its own.
    pub mac_key: Option<DerivedKey>,
    /// The same of the key that it is sealed with.
    pub sealing_key: Option<DerivedKey>,
}

/// A key of an answer: from the session key, with the usual label and no offset.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DerivedKey {
    /// From our generator.
    pub nonce: [u8; 16],
    /// Octets of the key.
    pub length: u8,
}

/// What a worker asks issuer to have signed, once for each token it was given for a request that a certificate's key
/// signed, where auth has said so.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct ToSign {
    /// Names the request.
    pub correlation: Correlation,
    /// What is signed: the timestamp, the body, and others of the list, none twice.
    pub parts: List<Covered, 7>,
}

/// The signature of an answer.
#[derive(Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedReply {
    /// Names the request.
    pub correlation: Correlation,
    /// `wsse:BinarySecurityToken` with our certificate.
    pub certificate: Octets<{ 32 * 1024 }>,
    /// `ds:Signature`, which refers to it.
    pub signature: Octets<{ 16 * 1024 }>,
}

/// What a worker asks to have sealed for whoever signed the request, once for each request that auth has said so of:
/// for his certificate, as auth has verified it.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct SealFor {
    /// Names the request.
    pub correlation: Correlation,
    /// How the session key is sealed.
    pub transport: KeyTransport,
    /// How the contents are.
    pub cipher: PartCipher,
    /// What is sealed, in order; at least the content of the body.
    pub contents: List<Secret<MOST_REPLY_OCTETS>, 3>,
}

/// What was sealed.
#[derive(Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SealedFor {
    /// Names the request.
    pub correlation: Correlation,
    /// SHA-1 of the certificate, by which the client finds its key.
    pub thumbprint: [u8; 20],
    /// The session key, sealed.
    pub key: Sealed,
    /// Nonce, ciphertext and tag of each content.
    pub contents: List<Octets<{ MOST_REPLY_OCTETS + 28 }>, 3>,
}
