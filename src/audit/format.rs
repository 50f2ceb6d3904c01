//! What the record's files hold, octet by octet. It only turns values into octets and back; it opens
//! nothing, and refuses whatever it would not itself have written.
//!
//! `record-000001.log` and `private-000001.log` belong together, and so on upwards. Each begins with a
//! [`Header`]. Then follow, as borsh (integers little-endian):
//!
//! ```text
//! record    length u32 ‖ !length u32 ‖ public octets ‖ head [32]     length counts public octets and head
//! private   length u32 ‖ !length u32 ‖ index u64 ‖ salt [32] ‖ private octets     length counts all three
//! ```
//!
//! The length stands there twice, once inverted, so that a damaged length is not taken for a torn end. The
//! public octets are one [`Leaf`]. Its leaf hash is that of RFC 6962 section 2.1, SHA-256(0x00 ‖ public
//! octets), and `head` of entry n is SHA-256(head of entry n-1 ‖ leaf hash of entry n), beginning from 32
//! zeros. The chain runs over leaf hashes and not over entries, so a Merkle tree over the same leaves covers
//! every record ever written, unchanged. Entries count from 0, which makes an index the tree's leaf index.
//!
//! A private part is erased by writing zeros over its salt and its octets, or by deleting the whole private
//! file. Without the salt its hash in the record tells nothing, not even to somebody who guesses right.

use std::net::IpAddr;

use aws_lc_rs::digest::{Context, SHA256};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::wire::record::{
    AuthEntry, Decision, DecisionPrivate, Excessive, Held, Intent, IntentPrivate, IssuerEntry, Outcome, VouchedPrivate,
};
use crate::wire::{Correlation, Millis, Text};

/// SHA-256.
pub type Hash = [u8; 32];
/// The head before the first entry.
pub const ORIGIN_HEAD: Hash = [0; 32];
/// Octets of a header.
pub const HEADER: usize = 50;
/// Octets of the two lengths before each entry and each private part.
pub const PREFIX: usize = 8;
/// No entry and no private part is longer: the largest message on a link is 256 KiB.
pub const LONGEST: usize = 512 * 1024;
const VERSION: u16 = 1;

/// Which of the two kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `record-…`: public parts and the chain.
    Record,
    /// `private-…`: what may be erased.
    Private,
}

impl Kind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Record => *b"CHNRECRD",
            Self::Private => *b"CHNPRIVT",
        }
    }

    /// File name of that number, counted from 1.
    #[must_use]
    pub fn file(self, number: u32) -> String {
        match self {
            Self::Record => format!("record-{number:06}.log"),
            Self::Private => format!("private-{number:06}.log"),
        }
    }

    /// Reads the number back from a file name.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        let prefix = match self {
            Self::Record => "record-",
            Self::Private => "private-",
        };
        let number = name.strip_prefix(prefix)?.strip_suffix(".log")?.parse().ok()?;
        (self.file(number) == name).then_some(number)
    }
}

/// The beginning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Index of the file's first entry.
    pub first: u64,
    /// Head of the entry before it.
    pub head: Hash,
}

impl Header {
    /// The octets.
    #[must_use]
    pub fn encode(&self, kind: Kind) -> [u8; HEADER] {
        let mut octets = [0; HEADER];
        octets[..8].copy_from_slice(&kind.magic());
        octets[8..10].copy_from_slice(&VERSION.to_le_bytes());
        octets[10..18].copy_from_slice(&self.first.to_le_bytes());
        octets[18..].copy_from_slice(&self.head);
        octets
    }

    /// Reads it back; none when magic or version is not ours.
    #[must_use]
    pub fn decode(octets: &[u8; HEADER], kind: Kind) -> Option<Self> {
        let (magic, rest) = octets.split_first_chunk::<8>()?;
        let (version, rest) = rest.split_first_chunk::<2>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let ours = *magic == kind.magic() && u16::from_le_bytes(*version) == VERSION;
        ours.then(|| Some(Self { first: u64::from_le_bytes(*first), head: rest.try_into().ok()? }))?
    }
}

/// Who sent an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Origin {
    /// issuer.
    Issuer,
    /// auth.
    Auth,
}

impl Origin {
    /// The name in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Auth => "auth",
        }
    }
}

/// The public part of an entry. The order of variants is the file's format: append only.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Public {
    /// issuer is about to sign.
    Intent(Intent),
    /// What became of it.
    Outcome(Outcome),
    /// auth allowed or refused somebody.
    Decision(Decision),
    /// auth refused strangers.
    Refusals {
        /// The second they fell in.
        instant: Millis,
        /// Where from.
        source: IpAddr,
        /// How many.
        count: u32,
        /// The last one's reason.
        reason: Text<64>,
        /// The last one's request.
        correlation: Correlation,
    },
    /// auth told an account to come back that asked more than it may.
    Excessive(Excessive),
    /// auth allowed or refused somebody who proved the key that his assertion confirms.
    Held(Decision, Held),
}

impl Public {
    /// The sender's clock.
    #[must_use]
    pub fn instant(&self) -> Millis {
        match self {
            Self::Intent(intent) => intent.instant,
            Self::Outcome(outcome) => outcome.instant,
            Self::Decision(decision) | Self::Held(decision, _) => decision.instant,
            Self::Refusals { instant, .. } => *instant,
            Self::Excessive(excessive) => excessive.instant,
        }
    }

    /// The request it is about.
    #[must_use]
    pub fn correlation(&self) -> Correlation {
        match self {
            Self::Intent(intent) => intent.correlation,
            Self::Outcome(outcome) => outcome.correlation,
            Self::Decision(decision) | Self::Held(decision, _) => decision.correlation,
            Self::Refusals { correlation, .. } => *correlation,
            Self::Excessive(excessive) => excessive.correlation,
        }
    }

    /// The token it is about.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        match self {
            Self::Intent(intent) => Some(&intent.token_id),
            Self::Outcome(outcome) => Some(&outcome.token_id),
            Self::Decision(_) | Self::Held(..) | Self::Refusals { .. } | Self::Excessive(_) => None,
        }
    }
}

/// The private part of an entry. The order of variants is the file's format: append only.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Private {
    /// Of an intent.
    Intent(IntentPrivate),
    /// Of a decision, or of what was asked in excess.
    Decision(DecisionPrivate),
    /// Of a decision for somebody whom an intermediary vouched for.
    Vouched(VouchedPrivate),
}

/// An issuer's entry, taken apart.
#[must_use]
pub fn split_issuer(entry: IssuerEntry) -> (Public, Option<Private>) {
    match entry {
        IssuerEntry::Intent(public, private) => (Public::Intent(public), Some(Private::Intent(private))),
        IssuerEntry::Outcome(outcome) => (Public::Outcome(outcome), None),
    }
}

/// An auth's entry, taken apart.
#[must_use]
pub fn split_auth(entry: AuthEntry) -> (Public, Option<Private>) {
    match entry {
        AuthEntry::Decision(public, private) => (Public::Decision(public), Some(Private::Decision(private))),
        AuthEntry::Held(public, held, private) => (Public::Held(public, held), Some(Private::Decision(private))),
        AuthEntry::Vouched(public, private) => (Public::Decision(public), Some(Private::Vouched(private))),
        AuthEntry::Excessive(public, private) => (Public::Excessive(public), Some(Private::Decision(private))),
        AuthEntry::Refusals { instant, source, count, reason, correlation } => {
            (Public::Refusals { instant, source, count, reason, correlation }, None)
        }
    }
}

/// What the chain covers.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Leaf {
    /// Who sent it.
    pub origin: Origin,
    /// Its place in the record, from 0.
    pub index: u64,
    /// The entry.
    pub public: Public,
    /// SHA-256(salt ‖ private octets), when there is a private part.
    pub private: Option<Hash>,
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The RFC 6962 leaf hash of an entry's public octets.
#[must_use]
pub fn leaf_hash(public: &[u8]) -> Hash {
    sha256(&[&[0], public])
}

/// The head after an entry.
#[must_use]
pub fn next_head(head: &Hash, leaf: &Hash) -> Hash {
    sha256(&[head, leaf])
}

/// Could this frame, which is not the next entry, be that entry with zeros in the place of what did not come to disk?
/// Where some of its head came, all before it did, and the head must be of that.
#[must_use]
pub fn is_cut_short(frame: &[u8], heads: &[Hash]) -> bool {
    let Some((public, stored)) = frame.split_last_chunk::<32>() else { return false };
    let came = stored.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let leaf = leaf_hash(public);
    let partly = |next: Hash| next != *stored && next[..came] == stored[..came];
    came == 0 || heads.iter().any(|head| partly(next_head(head, &leaf)))
}

/// The hash that stands for a private part in the record.
#[must_use]
pub fn commitment(salt: &[u8; 32], private: &[u8]) -> Hash {
    sha256(&[salt, private])
}

/// Appends both lengths and the parts.
///
/// # Panics
/// When the parts are longer than [`LONGEST`], which nothing the permit table lets in is.
pub fn frame(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    assert!(length <= LONGEST, "the permit table keeps entries short");
    let length = u32::try_from(length).expect("LONGEST fits");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Reads both lengths; none when they contradict each other or are out of bounds.
#[must_use]
pub fn length(prefix: [u8; PREFIX]) -> Option<usize> {
    let [a, b, c, d, e, f, g, h] = prefix;
    let length = u32::from_le_bytes([a, b, c, d]);
    let whole = usize::try_from(length).ok()?;
    (u32::from_le_bytes([e, f, g, h]) == !length && whole > 32 && whole <= LONGEST).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_another_kind_or_version_does_not() {
        let header = Header { first: 7, head: [9; 32] };
        let octets = header.encode(Kind::Record);
        assert_eq!(Header::decode(&octets, Kind::Record), Some(header));
        assert_eq!(Header::decode(&octets, Kind::Private), None);
        for index in 0..10 {
            let mut flipped = octets;
            flipped[index] ^= 1;
            assert_eq!(Header::decode(&flipped, Kind::Record), None);
        }
    }

    #[test]
    fn a_damaged_length_is_not_a_length() {
        let mut framed = Vec::new();
        frame(&mut framed, &[&[1; 40], &[2; 60]]);
        let prefix: [u8; PREFIX] = framed[..PREFIX].try_into().unwrap();
        assert_eq!(length(prefix), Some(100));
        for bit in 0..64 {
            let mut damaged = prefix;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(length(damaged), None);
        }
        assert_eq!(length([0; PREFIX]), None);
    }

    #[test]
    fn leaf_hashes_are_those_of_rfc_6962() {
        // The leaf hash of the empty string, from the Certificate Transparency reference test data.
        let hex: String = leaf_hash(b"").iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn a_frame_is_cut_short_where_its_head_came_in_part_and_not_where_it_is_the_next_entry() {
        let before = [7; 32];
        let of = |number: u32| {
            let public = number.to_le_bytes().repeat(20);
            let head = next_head(&before, &leaf_hash(&public));
            (public, head)
        };
        // Nobody asks whether the octets mean anything.
        let (public, head) = (0..).map(of).find(|(_, head)| head[31] == 0 && head[30] != 0).unwrap();
        let with = |head: Hash| [&public[..], &head].concat();
        let part = |came: usize| std::array::from_fn(|at| if at < came { head[at] } else { 0 });
        assert!(!is_cut_short(&with(head), &[before]));
        assert!(is_cut_short(&with(part(30)), &[[0; 32], before]) && is_cut_short(&with([0; 32]), &[]));
        assert!(!is_cut_short(&with(part(30)), &[[0; 32]]));
        assert!(!is_cut_short(&[0; 31], &[before]));
    }

    #[test]
    fn file_names_give_their_number_back() {
        assert_eq!(Kind::Record.number("record-000012.log"), Some(12));
        assert_eq!(Kind::Record.number("record-1000000.log"), Some(1_000_000));
        for bad in ["record-12.log", "record-+00012.log", "private-000012.log", "record-000012.log.gz", "torn-1"] {
            assert_eq!(Kind::Record.number(bad), None, "{bad}");
        }
    }
}
