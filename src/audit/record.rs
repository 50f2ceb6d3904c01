//! The record, as its one writer sees it: entries are added to a batch in memory, and a commit puts the
//! batch on disk whole or not at all. It never says that something is durable before the kernel does, and
//! never changes an octet that was.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use zeroize::Zeroize;

use super::format::{
    HEADER, Hash, Header, Kind, Leaf, Origin, Private, Public, commitment, frame, leaf_hash, next_head,
};
use super::recover::{OpenError, recover};
use crate::wire::Millis;

/// Octets of zeros a probe writes: an entry's worth.
const PROBE: usize = 4096;
/// Octets until a rotation that failed is tried again.
const RETRY: u64 = 1024 * 1024;

/// Why a batch is not on disk.
#[derive(Debug)]
pub enum CommitError {
    /// Nothing of it is, nor will be.
    NotWritten(io::Error),
    /// Nobody can tell what is. The process has to end; the next one reads what there is.
    Unknown(io::Error),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWritten(error) => write!(f, "not written: {error}"),
            Self::Unknown(error) => write!(f, "state of the file unknown: {error}"),
        }
    }
}

impl std::error::Error for CommitError {}

/// A file that is only appended to, and the length up to which it is synced.
#[derive(Debug)]
struct Tail {
    file: File,
    durable: u64,
}

impl Tail {
    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        if octets.is_empty() { Ok(()) } else { self.file.write_all(octets) }
    }

    fn sync(&self, octets: &[u8]) -> io::Result<()> {
        if octets.is_empty() { Ok(()) } else { self.file.sync_data() }
    }

    /// Back to what is durable, durably.
    fn roll_back(&self) -> io::Result<()> {
        if self.file.metadata()?.len() != self.durable {
            self.file.set_len(self.durable)?;
            self.file.sync_all()?;
        }
        Ok(())
    }
}

/// What was added since the last commit.
#[derive(Debug)]
struct Batch {
    record: Vec<u8>,
    private: Vec<u8>,
    entries: u64,
    head: Hash,
    /// Of issuer's entries.
    last: Option<Millis>,
}

/// The record, open for appending. One process at a time has it.
#[derive(Debug)]
pub struct Record {
    directory: PathBuf,
    _lock: Flock<File>,
    number: u32,
    record: Tail,
    private: Tail,
    entries: u64,
    head: Hash,
    last: Option<Millis>,
    rotate_octets: u64,
    rotate_at: u64,
    batch: Batch,
}

impl Record {
    /// Opens the record in `directory`, which is made when it is missing, and brings it in order.
    ///
    /// # Errors
    /// [`OpenError`]: somebody else writes it, it is damaged, or the kernel refused.
    pub fn open(directory: &Path, rotate_octets: u64) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io(directory.to_owned(), error);
        if !directory.exists() {
            DirBuilder::new().mode(0o700).create(directory).map_err(io)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(directory.join("lock")).map_err(io)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => OpenError::InUse(directory.to_owned()),
            errno => io(errno.into()),
        })?;
        let standing = recover(directory)?;
        let (number, record, private) = match (standing.number, standing.private_length) {
            (Some(number), Some(private_length)) => {
                let open = |kind: Kind, durable| {
                    let file = OpenOptions::new().append(true).open(directory.join(kind.file(number)))?;
                    Ok(Tail { file, durable })
                };
                let record = open(Kind::Record, standing.record_length).map_err(io)?;
                (number, record, open(Kind::Private, private_length).map_err(io)?)
            }
            (before, _) => {
                let number = before.unwrap_or(0) + 1;
                let header = Header { first: standing.entries, head: standing.head };
                let (record, private) = begin(directory, number, &header).map_err(io)?;
                (number, record, private)
            }
        };
        let (entries, head, last) = (standing.entries, standing.head, standing.last);
        let batch = Batch { record: Vec::new(), private: Vec::new(), entries, head, last };
        let directory = directory.to_owned();
        let rotate_at = rotate_octets;
        #[rustfmt::skip]
        let record = Self {
            directory, _lock: lock, number, record, private, entries, head, last, rotate_octets, rotate_at, batch,
        };
        Ok(record)
    }

    /// Entries that are durable.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Instant of the last durable one of issuer's. Nobody else's clock counts: what auth writes down must
    /// not be able to stop issuer, which signs nothing while its clock is behind this.
    #[must_use]
    pub fn last(&self) -> Option<Millis> {
        self.last
    }

    /// Octets that wait for a commit.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.batch.record.len() + self.batch.private.len()
    }

    /// Adds an entry to the batch.
    ///
    /// # Panics
    /// When bounded types do not serialise, or the kernel has no randomness for the salt.
    pub fn add(&mut self, origin: Origin, public: Public, private: Option<&Private>) {
        let batch = &mut self.batch;
        let index = batch.entries;
        if origin == Origin::Issuer {
            batch.last = Some(public.instant());
        }
        let private = private.map(|private| {
            let mut octets = borsh::to_vec(private).expect("bounded types serialise into memory");
            let mut salt = [0; 32];
            getrandom::fill(&mut salt).expect("the kernel's random number generator answers");
            frame(&mut batch.private, &[&index.to_le_bytes(), &salt, &octets]);
            let hash = commitment(&salt, &octets);
            octets.zeroize();
            salt.zeroize();
            hash
        });
        let leaf = borsh::to_vec(&Leaf { origin, index, public, private }).expect("bounded types serialise");
        batch.head = next_head(&batch.head, &leaf_hash(&leaf));
        frame(&mut batch.record, &[&leaf, &batch.head]);
        batch.entries += 1;
    }

    /// Makes the batch durable, in a new file when this one is large enough. Private parts go first: an
    /// entry never refers to one that is not there.
    ///
    /// # Errors
    /// [`CommitError`]; the batch is empty afterwards in every case.
    pub fn commit(&mut self) -> Result<(), CommitError> {
        if self.record.durable.max(self.private.durable) >= self.rotate_at {
            self.rotate();
        }
        let (record, mut private) = (std::mem::take(&mut self.batch.record), std::mem::take(&mut self.batch.private));
        let lengths = (record.len() as u64, private.len() as u64);
        let written = self
            .private
            .append(&private)
            // On disk, before anything that refers to it can be: the order of writing says nothing of a power cut.
            .and_then(|()| self.private.sync(&private))
            .and_then(|()| self.record.append(&record))
            .and_then(|()| self.record.sync(&record));
        private.zeroize();
        match written {
            Ok(()) => {
                self.record.durable += lengths.0;
                self.private.durable += lengths.1;
                (self.entries, self.head, self.last) = (self.batch.entries, self.batch.head, self.batch.last);
                Ok(())
            }
            Err(error) => {
                (self.batch.entries, self.batch.head, self.batch.last) = (self.entries, self.head, self.last);
                self.record.roll_back().and_then(|()| self.private.roll_back()).map_err(CommitError::Unknown)?;
                Err(CommitError::NotWritten(error))
            }
        }
    }

    /// Can entries be written again? Writes zeros, which no reader takes for an entry, and takes them back.
    ///
    /// # Errors
    /// [`CommitError`], as a commit.
    pub fn probe(&mut self) -> Result<(), CommitError> {
        let zeros = [0; PROBE];
        let mut outcome = Ok(());
        for tail in [&mut self.record, &mut self.private] {
            let written = tail.append(&zeros).and_then(|()| tail.sync(&zeros));
            tail.roll_back().map_err(CommitError::Unknown)?;
            outcome = outcome.and(written.map_err(CommitError::NotWritten));
        }
        outcome
    }

    /// Goes on in the next pair of files; stays in this one when they cannot be made.
    fn rotate(&mut self) {
        let header = Header { first: self.entries, head: self.head };
        match begin(&self.directory, self.number + 1, &header) {
            Ok((record, private)) => {
                self.number += 1;
                (self.record, self.private) = (record, private);
                self.rotate_at = self.rotate_octets;
                tracing::info!(event = "rotated", file = Kind::Record.file(self.number), first = self.entries);
            }
            Err(error) => {
                self.rotate_at = self.record.durable.max(self.private.durable) + RETRY;
                tracing::warn!(event = "not-rotated", file = Kind::Record.file(self.number + 1), %error);
            }
        }
    }
}

/// Makes a pair of files, the private one first, so that a record file always has its companion.
fn begin(directory: &Path, number: u32, header: &Header) -> io::Result<(Tail, Tail)> {
    let private = begin_one(directory, Kind::Private, number, header)?;
    let record = begin_one(directory, Kind::Record, number, header)?;
    if let Err(error) = File::open(directory).and_then(|directory| directory.sync_all()) {
        // Left lying there it would be taken for the last file at the next start.
        std::fs::remove_file(directory.join(Kind::Record.file(number)))?;
        return Err(error);
    }
    Ok((record, private))
}

fn begin_one(directory: &Path, kind: Kind, number: u32, header: &Header) -> io::Result<Tail> {
    let path = directory.join(kind.file(number));
    // A rotation that was cut short leaves a file without entries behind; one with entries stays.
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= HEADER as u64) {
        std::fs::remove_file(&path)?;
    }
    let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
    let written = file.write_all(&header.encode(kind)).and_then(|()| file.sync_all());
    if let Err(error) = written {
        std::fs::remove_file(&path)?;
        return Err(error);
    }
    Ok(Tail { file, durable: HEADER as u64 })
}
