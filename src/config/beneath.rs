//! Reading configuration below one directory that was opened early. The descriptor outlives lock-down; no
//! name read here can lead out of the directory, for every step is one plain name, opened without following a
//! symbolic link. openat2(2) would say so in one call, but keeps its flags in memory, where a system-call
//! filter cannot see that nothing is opened for writing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::load::{ConfigError, Files, Loaded};

/// The largest configuration file, octets. A users file is the one that grows.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A directory, held open. Replace the files in it, not the directory: a directory put in its place is
/// another one.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    /// Files as they would be, by their relative names.
    instead: BTreeMap<String, Vec<u8>>,
}

impl Directory {
    /// Opens it. Call before lock-down.
    ///
    /// # Errors
    /// [`ConfigError`] when there is no such directory or it may not be read.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = open(path, flags, Mode::empty()).map_err(|errno| ConfigError::file(path, io::Error::from(errno)))?;
        Ok(Self { fd, path: path.to_owned(), instead: BTreeMap::new() })
    }

    /// The directory as it would be with these files in the place of those that are there: what is to be written is
    /// looked at before it is.
    #[cfg(feature = "ctl")]
    #[must_use]
    pub fn with(self, instead: BTreeMap<String, Vec<u8>>) -> Self {
        Self { instead, ..self }
    }

    /// The path it was opened by, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Steps down `relative`, one name at a time.
    fn beneath(&self, relative: &str, last: OFlag) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let step = |from: BorrowedFd<'_>, name: &str, more: OFlag| match name {
            "" | "." | ".." => Err(Errno::EINVAL),
            name => openat(from, name, flags | more, Mode::empty()),
        };
        match relative.split_once('/') {
            None => step(self.fd.as_fd(), relative, last),
            Some((directory, name)) if !name.contains('/') => {
                step(step(self.fd.as_fd(), directory, OFlag::O_DIRECTORY)?.as_fd(), name, last)
            }
            Some(_) => Err(Errno::EINVAL),
        }
    }

    /// Reads one file.
    ///
    /// # Errors
    /// [`ConfigError`] when it cannot be read or does not fit the schema.
    pub fn file<T: DeserializeOwned>(&self, relative: &str) -> Result<Loaded<T>, ConfigError> {
        let path = self.path.join(relative);
        let source = Zeroizing::new(self.text(relative).map_err(|error| ConfigError::file(&path, error))?);
        match toml::from_str(&source) {
            Ok(value) => Ok(Loaded { path, source, value }),
            Err(error) => Err(ConfigError::at(&path, &source, error.span().unwrap_or(0..0), error.message())),
        }
    }

    /// Reads one file as text.
    ///
    /// # Errors
    /// When it cannot be read, is not UTF-8, is larger than 16 MiB or lies elsewhere.
    pub fn text(&self, relative: &str) -> io::Result<String> {
        String::from_utf8(self.octets(relative)?).map_err(|_| io::Error::other("not UTF-8"))
    }

    /// Reads one file as it is.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 16 MiB or lies elsewhere.
    pub fn octets(&self, relative: &str) -> io::Result<Vec<u8>> {
        if let Some(octets) = self.instead.get(relative) {
            return Ok(octets.clone());
        }
        let file = File::from(self.beneath(relative, OFlag::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        // With room for all of it, so that growing leaves no copy of a secret behind.
        let mut octets = Vec::with_capacity(metadata.len().min(LARGEST) as usize + 1);
        // One octet more than allowed tells a full file from one that is too large.
        file.take(LARGEST + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > LARGEST {
            return Err(io::Error::other("larger than 16 MiB"));
        }
        Ok(octets)
    }

    /// Reads every `*.toml` of a directory in order of name. A directory that does not exist holds nothing.
    ///
    /// # Errors
    /// [`ConfigError`] when the directory cannot be read.
    pub fn files<T: DeserializeOwned>(&self, relative: &str) -> Result<Files<T>, ConfigError> {
        let path = self.path.join(relative);
        let refused = |errno: Errno| ConfigError::file(&path, io::Error::from(errno));
        let fd = match self.beneath(relative, OFlag::O_DIRECTORY) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            Err(errno) => return Err(refused(errno)),
        };
        let mut stems = Vec::new();
        for entry in Dir::from_fd(fd).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let Ok(name) = entry.file_name().to_str() else {
                return Err(ConfigError::file(&path, "holds a file whose name is not UTF-8"));
            };
            // Names that begin with a dot are editors' and mounts' own.
            if let Some(stem) = name.strip_suffix(".toml").filter(|stem| !stem.starts_with('.')) {
                stems.push(stem.to_owned());
            }
        }
        stems.sort();
        let read = |stem: String| (stem.clone(), self.file(&format!("{relative}/{stem}.toml")));
        Ok(stems.into_iter().map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_directory_can_be_read() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("outside.toml"), "a = 1").unwrap();
        std::fs::create_dir(root.path().join("d")).unwrap();
        std::fs::write(root.path().join("d/inside.toml"), "a = 2").unwrap();
        std::os::unix::fs::symlink("../outside.toml", root.path().join("d/link.toml")).unwrap();
        let directory = Directory::open(&root.path().join("d")).unwrap();
        assert!(directory.file::<toml::Table>("inside.toml").is_ok());
        assert!(directory.file::<toml::Table>("../outside.toml").is_err());
        assert!(directory.file::<toml::Table>("link.toml").is_err());
    }

    #[test]
    fn a_file_replaced_after_opening_is_read_anew() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("parts")).unwrap();
        let directory = Directory::open(root.path()).unwrap();
        for number in 1..3 {
            std::fs::write(root.path().join("new"), format!("a = {number}")).unwrap();
            std::fs::rename(root.path().join("new"), root.path().join("parts/x.toml")).unwrap();
            let files = directory.files::<toml::Table>("parts").unwrap();
            assert_eq!(files[0].0, "x");
            assert_eq!(files[0].1.as_ref().unwrap().value["a"].as_integer(), Some(number));
        }
        assert!(directory.files::<toml::Table>("absent").unwrap().is_empty());
    }
}
