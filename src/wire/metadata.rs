//! What `chancery partner import` asks of the process that reads a partner's metadata: one question on its standard
//! input, one answer on its standard output, each a borsh value up to the end. The one who asks holds no XML; what it
//! is told is held against what it verified itself.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::{List, Octets, Text};
use super::evidence::SignatureAlgorithm;
use super::ids::Millis;

/// The largest document, octets. Federations publish larger ones; those of one partner are a hundredth of it.
pub const LARGEST: usize = 4 << 20;
/// The largest canonical form of one, octets: references and namespaces are written out in it.
pub const LARGEST_CANONICAL: usize = 2 * LARGEST;
/// The largest answer, octets.
pub const LARGEST_ANSWER: usize = LARGEST_CANONICAL + 64 * 1024;
/// Certificates of one partner, at most.
pub const MOST_CERTIFICATES: usize = 8;

/// A question.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum Ask {
    /// What is the document's signature, and over what? The document is a stranger's.
    Find(Octets<LARGEST>),
    /// What does it say of a partner? The octets were verified.
    Read {
        /// The id by which the signature means the whole, where there is one.
        id: Option<Text<256>>,
        /// Which partner, where there are several.
        entity: Option<Text<1024>>,
        /// The octets.
        document: Octets<LARGEST_CANONICAL>,
    },
}

/// An answer.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// To [`Ask::Find`].
    Found(Found),
    /// To [`Ask::Read`].
    Entity(Entity),
    /// There is nothing to answer, and why.
    Refused(Text<256>),
}

/// A signature over a whole document, in octets. Nothing of it is true before it is verified.
#[derive(Debug, BorshSerialize, BorshDeserialize)]
pub struct Found {
    /// How it is signed.
    pub algorithm: SignatureAlgorithm,
    /// The canonical octets of `SignedInfo`.
    pub signed_info: Octets<16384>,
    /// `SignatureValue`.
    pub value: Octets<1024>,
    /// The canonical octets of the document without its signature.
    pub document: Octets<LARGEST_CANONICAL>,
}

/// What metadata says of somebody who issues assertions.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Entity {
    /// `entityID`.
    pub name: Text<1024>,
    /// The earliest `validUntil` around it.
    pub until: Option<Millis>,
    /// The shortest `cacheDuration` around it, milliseconds.
    pub cache_ms: Option<i64>,
    /// The certificates it signs with, DER, each once.
    pub certificates: List<Octets<8192>, MOST_CERTIFICATES>,
}
