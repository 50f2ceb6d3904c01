//! A keytab, as MIT Kerberos, Heimdal and `ktpass` write it: version 5.2, numbers with the highest octet first. Read
//! here so that what is wrong with one is said before anything is started, and so that the library is given the keys
//! that are to be used and no others.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::wire::Secret;

/// Octets of a keytab, at most.
const LARGEST: u64 = 256 * 1024;
/// AES: RFC 3962 and RFC 8009, with the length of their keys.
const STRONG: [(u16, usize); 4] = [(17, 16), (18, 32), (19, 16), (20, 32)];

/// One key.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `HTTP/sts.example.com@EXAMPLE.COM`.
    pub principal: String,
    /// Its version.
    pub version: u32,
    /// The type of encryption it is for (RFC 3961 8).
    pub kind: u16,
    /// The key.
    pub key: Secret<64>,
}

impl Entry {
    /// Is it for an encryption that proves something (R-W070), and as long as its keys are?
    #[must_use]
    pub fn is_strong(&self) -> bool {
        STRONG.contains(&(self.kind, self.key.expose().len()))
    }
}

/// May users read it who are neither its owner nor of its group?
///
/// # Errors
/// What the kernel says.
pub fn readable_by_all(path: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o007 != 0)
}

/// Reads the keys of a file.
///
/// # Errors
/// Why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LARGEST {
        return Err("larger than 256 KiB".to_owned());
    }
    let octets = Zeroizing::new(std::fs::read(path).map_err(|error| error.to_string())?);
    entries(&octets).ok_or_else(|| "not a keytab of version 5.2".to_owned())
}

fn entries(octets: &[u8]) -> Option<Vec<Entry>> {
    let mut rest = Fields(octets.strip_prefix(&[5, 2])?);
    let mut entries = Vec::new();
    while !rest.0.is_empty() {
        let length = i32::from_be_bytes(rest.array()?);
        let octets = rest.take(usize::try_from(length.unsigned_abs()).ok()?)?;
        // A hole, where an entry was taken out.
        if length > 0 {
            entries.push(entry(Fields(octets))?);
        }
    }
    Some(entries)
}

fn entry(mut fields: Fields<'_>) -> Option<Entry> {
    let components = u16::from_be_bytes(fields.array()?);
    let realm = fields.text()?;
    let components = (0..components).map(|_| fields.text()).collect::<Option<Vec<_>>>()?;
    let _name_type_and_timestamp: [u8; 8] = fields.array()?;
    let [short_version] = fields.array()?;
    let kind = u16::from_be_bytes(fields.array()?);
    let key = Secret::new(fields.counted()?).ok()?;
    // Where there are four octets more they are the whole version, unless they are zero.
    let version = fields.array().map(u32::from_be_bytes).filter(|version| *version != 0);
    let principal = format!("{}@{realm}", components.join("/"));
    Some(Entry { principal, version: version.unwrap_or(short_version.into()), kind, key })
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(length.into())
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.counted()?).ok()
    }
}
