//! The record, as its readers see it: typed entries in order, with their private parts as far as these still
//! exist. It believes what it reads; `verify` is the one that does not.

use std::io;
use std::path::{Path, PathBuf};

use borsh::BorshDeserialize;

use super::files::{Frames, Step, numbers};
use super::format::{Hash, Kind, Leaf, ORIGIN_HEAD, Private, commitment, is_cut_short, leaf_hash, next_head};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of its file.
    pub file: u32,
    /// What the chain covers.
    pub leaf: Leaf,
    /// The head after it, as it stands in the file.
    pub head: Hash,
    /// What can be erased.
    pub private: PrivatePart,
}

/// What is left of a private part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrivatePart {
    /// The entry has none.
    None,
    /// Here it is, and its salted hash is the one in the entry.
    Kept(Box<Private>),
    /// It was erased.
    Erased,
    /// It is missing where others are not, or not what the entry says.
    Wrong,
}

/// The private file beside a record file, read in step with it.
#[derive(Debug)]
pub(super) struct Privates {
    /// None when the file is gone: every part in it is erased.
    frames: Option<Frames>,
    held: Option<Vec<u8>>,
}

impl Privates {
    pub(super) fn open(directory: &Path, number: u32) -> io::Result<Self> {
        match Frames::open(directory, Kind::Private, number) {
            Ok(frames) => Ok(Self { frames: Some(frames), held: None }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { frames: None, held: None }),
            Err(error) => Err(error),
        }
    }

    /// Is there a file, and is its header that of the record file?
    pub(super) fn header_is(&self, header: super::format::Header) -> bool {
        self.frames.as_ref().is_none_or(|frames| frames.header() == Some(header))
    }

    /// The part that belongs to this entry.
    pub(super) fn part(&mut self, index: u64, wanted: &Hash) -> io::Result<PrivatePart> {
        let Some(frames) = &mut self.frames else { return Ok(PrivatePart::Erased) };
        loop {
            let frame = match self.held.take() {
                Some(frame) => frame,
                None => match frames.step()? {
                    Step::Frame(frame) => frame,
                    Step::End | Step::Torn | Step::Broken => return Ok(PrivatePart::Wrong),
                },
            };
            let parts = frame.split_first_chunk::<8>().and_then(|(stated, rest)| {
                rest.split_first_chunk::<32>().map(|(salt, octets)| (u64::from_le_bytes(*stated), salt, octets))
            });
            let Some((stated, salt, octets)) = parts else { return Ok(PrivatePart::Wrong) };
            if stated > index {
                let altered = commitment(salt, octets) == *wanted;
                self.held = (!altered).then_some(frame);
                return Ok(PrivatePart::Wrong);
            }
            if stated < index {
                continue;
            }
            if rest_is_zero(salt, octets) {
                return Ok(PrivatePart::Erased);
            }
            let private = Private::try_from_slice(octets).ok().filter(|_| commitment(salt, octets) == *wanted);
            return Ok(private.map_or(PrivatePart::Wrong, |private| PrivatePart::Kept(Box::new(private))));
        }
    }

    /// The index of a part no entry asked for, when there is one left.
    pub(super) fn left_over(&mut self) -> io::Result<Option<u64>> {
        let Some(frames) = &mut self.frames else { return Ok(None) };
        let frame = match self.held.take() {
            Some(frame) => frame,
            None => match frames.step()? {
                Step::Frame(frame) => frame,
                Step::End | Step::Torn | Step::Broken => return Ok(None),
            },
        };
        Ok(frame.first_chunk::<8>().map(|octets| u64::from_le_bytes(*octets)))
    }
}

fn rest_is_zero(salt: &[u8; 32], octets: &[u8]) -> bool {
    salt.iter().chain(octets).all(|octet| *octet == 0)
}

/// Entries in order, over all files. Ends where the record ends; asked again later it goes on with what was
/// appended meanwhile.
#[derive(Debug)]
pub struct Entries {
    directory: PathBuf,
    current: Option<(u32, Frames, Privates)>,
    /// The head of the last entry.
    before: Option<Hash>,
}

impl Entries {
    /// Reads the record in `directory` from its first file on.
    #[must_use]
    pub fn open(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), current: None, before: Some(ORIGIN_HEAD) }
    }

    /// The file after the one being read.
    fn advance(&mut self) -> io::Result<bool> {
        let after = self.current.as_ref().map_or(0, |(number, ..)| *number);
        let next = numbers(&self.directory, Kind::Record)?.into_iter().find(|number| *number > after);
        let Some(number) = next else { return Ok(false) };
        match Frames::open(&self.directory, Kind::Record, number) {
            Ok(frames) => self.current = Some((number, frames, Privates::open(&self.directory, number)?)),
            // Being made this moment.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn attempt(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let Some((file, frames, privates)) = &mut self.current else {
                if self.advance()? {
                    continue;
                }
                return Ok(None);
            };
            let damaged =
                |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", Kind::Record.file(*file)));
            match frames.step()? {
                Step::Frame(frame) => {
                    let (public, head) = frame.split_last_chunk::<32>().ok_or_else(|| damaged("short entry"))?;
                    let leaf = Leaf::try_from_slice(public);
                    // What did not come to disk whole is no entry yet; whether others are as they were is for `verify`.
                    let expected = self.before.map(|before| next_head(&before, &leaf_hash(public)));
                    if head.last() == Some(&0)
                        && (leaf.is_err() || expected.is_some_and(|expected| expected != *head))
                        && is_cut_short(&frame, self.before.as_slice())
                        && frames.is_torn(&frame)?
                    {
                        frames.take_back(&frame)?;
                        if !self.advance()? {
                            return Ok(None);
                        }
                        continue;
                    }
                    self.before = Some(*head);
                    let leaf = leaf.map_err(|_| damaged("an entry does not decode"))?;
                    let private = match &leaf.private {
                        Some(hash) => privates.part(leaf.index, hash)?,
                        None => PrivatePart::None,
                    };
                    return Ok(Some(Entry { file: *file, leaf, head: *head, private }));
                }
                Step::Broken => return Err(damaged("octets that are no entry; see `chancery audit verify`")),
                Step::End | Step::Torn => {
                    if !self.advance()? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.attempt().transpose()
    }
}
