//! What audit does with the files it finds at its start. An incomplete end, which cannot have been acknowledged, is
//! kept aside in a `torn-…` file and cut off: octets that are not all there, or are zeros from some place on, as a
//! power cut leaves them where the length of a file came to disk before what stands in it. Everything else that is not
//! as it was written is damage, and audit refuses to append to it.

use std::cmp::Ordering;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use borsh::BorshDeserialize;

use super::files::{Frames, Step, numbers};
use super::format::{HEADER, Hash, Kind, Leaf, ORIGIN_HEAD, Origin, is_cut_short, leaf_hash, next_head};
use crate::wire::Millis;

/// Why audit does not open a record.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    InUse(PathBuf),
    /// It is not as it was written.
    Damaged {
        /// File name.
        file: String,
        /// The entry that is wrong.
        entry: u64,
        /// Where in the file, octets.
        offset: u64,
    },
    /// The kernel refused.
    Io(PathBuf, io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(directory) => write!(f, "{}: another process writes this record", directory.display()),
            Self::Damaged { file, entry, offset } => {
                write!(f, "{file} is damaged at entry {entry}, octet {offset}: see `chancery audit verify`")
            }
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

/// Where a record stands, and where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Number of the last file, none when there is no record yet.
    pub(super) number: Option<u32>,
    /// Entries so far.
    pub(super) entries: u64,
    /// Head of the last one.
    pub(super) head: Hash,
    /// Instant of issuer's last one.
    pub(super) last: Option<Millis>,
    /// Length of the last record file, octets.
    pub(super) record_length: u64,
    /// Length of the last private file, octets; none when it cannot be appended to.
    pub(super) private_length: Option<u64>,
}

/// Reads the last file whole, cuts off a torn end, and checks that it goes on where the file before it ends.
pub(super) fn recover(directory: &Path) -> Result<Standing, OpenError> {
    let io = |error| OpenError::Io(directory.to_owned(), error);
    let mut found = numbers(directory, Kind::Record).map_err(io)?;
    let Some(mut number) = found.pop() else { return Ok(nothing()) };
    if unbegun(directory, number).map_err(io)? {
        // A rotation that was cut short. Were there private parts beside it, it would have had entries.
        if length(directory, Kind::Private, number).map_err(io)? > HEADER as u64 {
            return Err(OpenError::Damaged { file: Kind::Record.file(number), entry: 0, offset: 0 });
        }
        aside(directory, Kind::Record, number, 0).map_err(io)?;
        std::fs::remove_file(directory.join(Kind::Record.file(number))).map_err(io)?;
        let Some(previous) = found.pop() else { return Ok(nothing()) };
        number = previous;
    }
    let mut standing = walk(directory, number)?;
    if let Some(previous) = found.pop_if(|previous| *previous + 1 == number) {
        let before = walk_quickly(directory, previous)?;
        let header = Frames::open(directory, Kind::Record, number).map_err(io)?.header();
        if header.is_none_or(|header| (header.first, header.head) != (before.entries, before.head)) {
            return Err(OpenError::Damaged { file: Kind::Record.file(number), entry: before.entries, offset: 0 });
        }
        standing.last = standing.last.or(before.last);
        // auth alone may have filled whole files; issuer's clock is held to what it wrote before them.
        let mut first = previous;
        while standing.last.is_none()
            && let Some(earlier) = found.pop_if(|earlier| *earlier + 1 == first)
        {
            standing.last = walk_quickly(directory, earlier)?.last;
            first = earlier;
        }
    }
    standing.private_length = private(directory, number, standing.entries).map_err(io)?;
    Ok(standing)
}

fn nothing() -> Standing {
    Standing { number: None, entries: 0, head: ORIGIN_HEAD, last: None, record_length: 0, private_length: None }
}

fn length(directory: &Path, kind: Kind, number: u32) -> io::Result<u64> {
    match std::fs::metadata(directory.join(kind.file(number))) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Is there no whole header and nothing after it?
fn unbegun(directory: &Path, number: u32) -> io::Result<bool> {
    match length(directory, Kind::Record, number)?.cmp(&(HEADER as u64)) {
        Ordering::Less => Ok(true),
        Ordering::Equal => Ok(Frames::open(directory, Kind::Record, number)?.header().is_none()),
        Ordering::Greater => Ok(false),
    }
}

/// Every entry of the last file, checked against the chain.
fn walk(directory: &Path, number: u32) -> Result<Standing, OpenError> {
    let file = Kind::Record.file(number);
    let io = |error| OpenError::Io(directory.join(&file), error);
    let mut frames = Frames::open(directory, Kind::Record, number).map_err(io)?;
    let damaged = |entry, offset| OpenError::Damaged { file: file.clone(), entry, offset };
    let header = frames.header().ok_or_else(|| damaged(0, 0))?;
    let (mut entries, mut head, mut last) = (header.first, header.head, None);
    let record_length = loop {
        let offset = frames.offset();
        let torn = match frames.step().map_err(io)? {
            Step::Frame(frame) => match entry(&frame, entries, &head) {
                Some((leaf, stored)) => {
                    (entries, head) = (entries + 1, stored);
                    if leaf.origin == Origin::Issuer {
                        last = Some(leaf.public.instant());
                    }
                    continue;
                }
                None => is_cut_short(&frame, &[head]) && frames.is_torn(&frame).map_err(io)?,
            },
            Step::End => break offset,
            Step::Torn => true,
            Step::Broken => false,
        };
        if !torn {
            return Err(damaged(entries, offset));
        }
        cut(directory, Kind::Record, number, offset).map_err(io)?;
        break offset;
    };
    Ok(Standing { number: Some(number), entries, head, last, record_length, private_length: None })
}

/// The entry of that index in this frame, with its head, if it goes on from the one before it.
fn entry(frame: &[u8], index: u64, before: &Hash) -> Option<(Leaf, Hash)> {
    let (public, stored) = frame.split_last_chunk::<32>()?;
    let leaf = Leaf::try_from_slice(public).ok().filter(|leaf| leaf.index == index)?;
    (next_head(before, &leaf_hash(public)) == *stored).then_some((leaf, *stored))
}

/// The end of the file before the last one, as it says itself.
fn walk_quickly(directory: &Path, number: u32) -> Result<Standing, OpenError> {
    let file = Kind::Record.file(number);
    let io = |error| OpenError::Io(directory.join(&file), error);
    let mut frames = Frames::open(directory, Kind::Record, number).map_err(io)?;
    let damaged = |entry, offset| OpenError::Damaged { file: file.clone(), entry, offset };
    let header = frames.header().ok_or_else(|| damaged(0, 0))?;
    let (mut entries, mut head, mut of_issuer) = (header.first, header.head, None);
    while let Step::Frame(frame) = frames.step().map_err(io)? {
        let parts = frame.split_last_chunk::<32>().zip(Origin::deserialize(&mut &frame[..]).ok());
        let ((_, stored), origin) = parts.ok_or_else(|| damaged(entries, frames.offset()))?;
        head = *stored;
        if origin == Origin::Issuer {
            of_issuer = Some((entries, frame));
        }
        entries += 1;
    }
    let mut last = None;
    if let Some((entry, frame)) = of_issuer {
        let leaf = frame.split_last_chunk::<32>().and_then(|(public, _)| Leaf::try_from_slice(public).ok());
        last = Some(leaf.ok_or_else(|| damaged(entry, frames.offset()))?.public.instant());
    }
    Ok(Standing { number: Some(number), entries, head, last, record_length: frames.offset(), private_length: None })
}

/// Length of the private file up to the last part that belongs to an entry. None when it was erased whole
/// or is damaged: a new pair of files is begun then, and `chancery audit verify` tells what is wrong.
fn private(directory: &Path, number: u32, entries: u64) -> io::Result<Option<u64>> {
    let (mut frames, mut next) = match Frames::open(directory, Kind::Private, number) {
        Ok(frames) => match frames.header() {
            Some(header) => (frames, header.first),
            None => return Ok(None),
        },
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    loop {
        let offset = frames.offset();
        match frames.step()? {
            Step::Frame(frame) => {
                let index = frame.first_chunk::<8>().map_or(0, |octets| u64::from_le_bytes(*octets));
                // Written before its entry, which was not; perhaps not so far as the whole of its index.
                if index >= entries || (index < next && frames.is_torn(&frame)?) {
                    cut(directory, Kind::Private, number, offset)?;
                    return Ok(Some(offset));
                }
                next = index.max(next) + 1;
            }
            Step::End => return Ok(Some(offset)),
            Step::Torn => {
                cut(directory, Kind::Private, number, offset)?;
                return Ok(Some(offset));
            }
            Step::Broken => {
                tracing::error!(event = "private-damaged", file = Kind::Private.file(number), offset);
                return Ok(None);
            }
        }
    }
}

/// Cuts a file off, keeping what was there.
fn cut(directory: &Path, kind: Kind, number: u32, offset: u64) -> io::Result<()> {
    aside(directory, kind, number, offset)?;
    let file = OpenOptions::new().write(true).open(directory.join(kind.file(number)))?;
    file.set_len(offset)?;
    file.sync_all()
}

/// Copies the end of a file, from `offset`, to a file of its own.
fn aside(directory: &Path, kind: Kind, number: u32, offset: u64) -> io::Result<()> {
    let name = kind.file(number);
    let mut source = File::open(directory.join(&name))?;
    source.seek(SeekFrom::Start(offset))?;
    let stem = format!("torn-{}-{offset}", name.trim_end_matches(".log"));
    for attempt in 0..1000_u32 {
        let path = directory.join(if attempt == 0 { stem.clone() } else { format!("{stem}-{attempt}") });
        let mut copy = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(copy) => copy,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        let mut torn = Vec::new();
        let mut keep = || {
            source.read_to_end(&mut torn)?;
            copy.write_all(&torn)?;
            copy.sync_all()
        };
        if let Err(error) = keep() {
            // On a full disk each restart would leave one, until no name is free.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let kept = path.display().to_string();
        tracing::warn!(event = "torn-end", file = name, offset, octets = torn.len(), kept);
        return File::open(directory)?.sync_all();
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "a thousand torn ends lie here"))
}
