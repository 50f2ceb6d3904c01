//! Proves that a record is as it was written, or says where it is not. Everything is computed again: the
//! chain, the salted hash of each private part that was not erased, the passage from file to file, and
//! that no outcome stands without its intent. It reads, and changes nothing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io;
use std::path::Path;

use borsh::BorshDeserialize;

use super::files::{Frames, Step, numbers};
use super::format::{Hash, Header, Kind, Leaf, ORIGIN_HEAD, Public, is_cut_short, leaf_hash, next_head};
use super::reader::{PrivatePart, Privates};
use crate::wire::{Correlation, Millis};

/// Findings kept; the rest is only counted.
const KEPT: usize = 100;
/// Outcomes remembered, so that one that was sent again is not taken for one without intent.
const REMEMBERED: usize = 65_536;

/// What is wrong with an entry or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not a header of ours, or it does not go on where the file before it ends.
    Header,
    /// The entry does not go on from the one before it: altered, moved, removed or put in.
    Chain,
    /// The entry goes on from the one before it, but nothing of ours writes such an entry.
    Undecodable,
    /// Octets that are no entry; the rest of the file cannot be read.
    Broken,
    /// The file ends within an entry, or in zeros.
    Torn,
    /// A private part without an entry: the record was longer.
    Shortened,
    /// The private part is missing or altered.
    Private,
    /// An outcome whose intent was never recorded.
    OutcomeWithoutIntent,
    /// The head noted earlier is not the head of that entry now.
    NotedHead,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the file does not begin where the record before it ends",
            Self::Chain => "the chain breaks here: altered, moved, removed or put in",
            Self::Undecodable => "the entry does not decode",
            Self::Broken => "octets that are no entry; the rest of the file cannot be read",
            Self::Torn => "the file ends within an entry",
            Self::Shortened => "a private part without entry: the record was longer",
            Self::Private => "the private part is missing or altered",
            Self::OutcomeWithoutIntent => "an outcome without intent",
            Self::NotedHead => "the head noted earlier is not this entry's",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// File name.
    pub file: String,
    /// The entry: the first one that is not as it was written.
    pub entry: u64,
    /// Where it begins in the record file, octets.
    pub offset: u64,
    /// What.
    pub fault: Fault,
}

/// An intent without outcome. It counts as issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    /// The entry.
    pub entry: u64,
    /// When.
    pub instant: Millis,
    /// The request.
    pub correlation: Correlation,
    /// The token.
    pub token_id: String,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Files read.
    pub files: usize,
    /// Entries read.
    pub entries: u64,
    /// The last head.
    pub head: Hash,
    /// Private parts that were there and right.
    pub private_kept: u64,
    /// Private parts that were erased.
    pub private_erased: u64,
    /// Intents without outcome, in order.
    pub open_intents: Vec<OpenIntent>,
    /// Names of the ends that audit cut off at a start.
    pub torn: Vec<String>,
    /// The first hundred.
    pub findings: Vec<Finding>,
    /// All of them.
    pub faults: u64,
}

/// A head somebody noted: that of entry `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// The entry.
    pub index: u64,
    /// Its head then.
    pub head: Hash,
}

/// Verifies the record in `directory`, and that it still holds the head noted earlier, when one is given.
/// Only with one does it find entries removed at the very end, private parts and all.
///
/// # Errors
/// When a file cannot be read, or there is no record at all.
pub fn verify(directory: &Path, noted: Option<Noted>) -> io::Result<Report> {
    let mut verifier = Verifier::new(noted);
    let files = numbers(directory, Kind::Record)?;
    if files.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no record here"));
    }
    for number in files {
        verifier.file(directory, number)?;
    }
    verifier.end(directory)
}

struct Verifier {
    report: Report,
    noted: Option<Noted>,
    file: String,
    offset: u64,
    expected: u64,
    /// The head before the next entry. Two after a break, so that one damage is one finding.
    heads: Vec<Hash>,
    intents: HashMap<String, OpenIntent>,
    closed: HashSet<String>,
    closed_order: VecDeque<String>,
}

impl Verifier {
    fn new(noted: Option<Noted>) -> Self {
        Self {
            report: Report::default(),
            noted,
            file: String::new(),
            offset: 0,
            expected: 0,
            heads: vec![ORIGIN_HEAD],
            intents: HashMap::new(),
            closed: HashSet::new(),
            closed_order: VecDeque::new(),
        }
    }

    fn finding(&mut self, entry: u64, fault: Fault) {
        self.report.faults += 1;
        if self.report.findings.len() < KEPT {
            let finding = Finding { file: self.file.clone(), entry, offset: self.offset, fault };
            self.report.findings.push(finding);
        }
    }

    fn file(&mut self, directory: &Path, number: u32) -> io::Result<()> {
        self.report.files += 1;
        (self.file, self.offset) = (Kind::Record.file(number), 0);
        let mut frames = match Frames::open(directory, Kind::Record, number) {
            Ok(frames) => frames,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.finding(self.expected, Fault::Torn);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut privates = match Privates::open(directory, number) {
            Ok(privates) => Some(privates),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        self.header(frames.header(), privates.as_ref());
        loop {
            self.offset = frames.offset();
            match frames.step()? {
                Step::Frame(frame)
                    if !self.goes_on(&frame) && is_cut_short(&frame, &self.heads) && frames.is_torn(&frame)? =>
                {
                    self.finding(self.expected, Fault::Torn);
                    break;
                }
                Step::Frame(frame) => self.entry(&frame, privates.as_mut())?,
                Step::End => break,
                Step::Torn => {
                    self.finding(self.expected, Fault::Torn);
                    break;
                }
                Step::Broken => {
                    self.finding(self.expected, Fault::Broken);
                    return Ok(());
                }
            }
        }
        if let Some(index) = privates.map_or(Ok(None), |mut privates| privates.left_over())? {
            self.finding(index, Fault::Shortened);
        }
        Ok(())
    }

    fn header(&mut self, header: Option<Header>, privates: Option<&Privates>) {
        match header {
            Some(header) => {
                if header.first != self.expected || !self.heads.contains(&header.head) {
                    self.finding(self.expected, Fault::Header);
                    self.expected = header.first.max(self.expected);
                    self.heads.push(header.head);
                } else if privates.is_some_and(|privates| !privates.header_is(header)) {
                    self.finding(self.expected, Fault::Private);
                }
            }
            None => self.finding(self.expected, Fault::Header),
        }
    }

    /// False only of one that ends in zeros, as one may that was not written whole, and is not the next entry.
    fn goes_on(&self, frame: &[u8]) -> bool {
        frame.last() != Some(&0)
            || frame.split_last_chunk::<32>().is_some_and(|(public, stored)| {
                let hash = leaf_hash(public);
                self.heads.iter().any(|head| next_head(head, &hash) == *stored)
            })
    }

    fn entry(&mut self, frame: &[u8], privates: Option<&mut Privates>) -> io::Result<()> {
        let Some((public, stored)) = frame.split_last_chunk::<32>() else {
            self.finding(self.expected, Fault::Undecodable);
            return Ok(());
        };
        let hash = leaf_hash(public);
        let chained = self.heads.iter().any(|head| next_head(head, &hash) == *stored);
        let leaf = Leaf::try_from_slice(public).ok();
        let entry = self.expected;
        if !chained {
            self.finding(entry, Fault::Chain);
        } else if leaf.as_ref().is_none_or(|leaf| leaf.index != entry) {
            self.finding(entry, Fault::Undecodable);
        }
        let computed = self.heads.first().map(|head| next_head(head, &hash));
        self.heads = if chained { vec![*stored] } else { computed.into_iter().chain([*stored]).collect() };
        self.report.entries += 1;
        self.report.head = *stored;
        if self.noted.is_some_and(|noted| noted.index == entry && noted.head == *stored) {
            self.noted = None;
        }
        self.expected = entry + 1;
        let Some(leaf) = leaf else { return Ok(()) };
        if !chained && leaf.index > entry {
            self.expected = leaf.index + 1;
        }
        if let Some(wanted) = &leaf.private {
            match privates.map_or(Ok(PrivatePart::Wrong), |privates| privates.part(leaf.index, wanted))? {
                PrivatePart::Kept(_) => self.report.private_kept += 1,
                PrivatePart::Erased => self.report.private_erased += 1,
                PrivatePart::None | PrivatePart::Wrong if chained => self.finding(entry, Fault::Private),
                PrivatePart::None | PrivatePart::Wrong => {}
            }
        }
        self.pair(leaf);
        Ok(())
    }

    /// Matches outcomes with intents.
    fn pair(&mut self, leaf: Leaf) {
        match leaf.public {
            Public::Intent(intent) => {
                let token_id = intent.token_id.to_string();
                if !self.closed.contains(&token_id) {
                    let (instant, correlation) = (intent.instant, intent.correlation);
                    let open = OpenIntent { entry: leaf.index, instant, correlation, token_id: token_id.clone() };
                    self.intents.entry(token_id).or_insert(open);
                }
            }
            Public::Outcome(outcome) => {
                let token_id = outcome.token_id.to_string();
                if self.intents.remove(&token_id).is_none() && !self.closed.contains(&token_id) {
                    self.finding(leaf.index, Fault::OutcomeWithoutIntent);
                }
                if self.closed.insert(token_id.clone()) {
                    self.closed_order.push_back(token_id);
                }
                if self.closed_order.len() > REMEMBERED
                    && let Some(oldest) = self.closed_order.pop_front()
                {
                    self.closed.remove(&oldest);
                }
            }
            Public::Decision(_) | Public::Held(..) | Public::Refusals { .. } | Public::Excessive(_) => {}
        }
    }

    fn end(mut self, directory: &Path) -> io::Result<Report> {
        if let Some(noted) = self.noted {
            self.finding(noted.index, Fault::NotedHead);
        }
        for entry in std::fs::read_dir(directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("torn-") {
                self.report.torn.push(name);
            }
        }
        self.report.torn.sort();
        self.report.open_intents = self.intents.into_values().collect();
        self.report.open_intents.sort_by_key(|intent| intent.entry);
        Ok(self.report)
    }
}
