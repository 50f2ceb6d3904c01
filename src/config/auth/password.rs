//! What proves to a server who we are: a file of `auth.d` or a credential of the service manager.

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use zeroize::Zeroizing;

use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};
use crate::wire::Secret;

/// What proves who we are.
#[derive(Debug)]
pub enum Password {
    /// Read from a file of `auth.d`.
    Read(Secret<1024>),
    /// The credential of that name, which the service manager hands to auth and to nobody else.
    Credential(String),
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Read(one), Self::Read(other)) => one.expose() == other.expose(),
            (Self::Credential(one), Self::Credential(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Password {}

/// Two keys of which one says it, as they are written.
pub(super) struct Written<'a> {
    /// Of both keys, before `_file` and `_credential`.
    pub(super) key: &'static str,
    pub(super) file: Option<&'a Spanned<String>>,
    pub(super) credential: Option<&'a Spanned<String>>,
    /// What it belongs to, and what it means that there is none.
    pub(super) owner: Range<usize>,
    pub(super) without: &'static str,
}

impl Written<'_> {
    /// Reads it.
    pub(super) fn read<T>(self, beneath: &Directory, file: &Loaded<T>) -> Result<Password, ConfigError> {
        let Self { key, owner, without, .. } = self;
        match (self.file, self.credential) {
            (Some(path), None) => {
                let refused =
                    |why: &dyn Display| file.error(path.span(), format!("{key}_file {}: {why}", path.get_ref()));
                let octets = Zeroizing::new(beneath.octets(path.get_ref()).map_err(|error| refused(&error))?);
                password(&octets).map(Password::Read).map_err(|why| refused(&why))
            }
            (None, Some(name)) => {
                let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
                let text = name.get_ref();
                if text.is_empty() || text.len() > 128 || text.starts_with('.') || !text.bytes().all(plain) {
                    return Err(file.error(name.span(), format!("{key}_credential: not the name of a credential")));
                }
                Ok(Password::Credential(text.clone()))
            }
            (Some(_), Some(credential)) => {
                Err(file.error(credential.span(), format!("{key}_file and {key}_credential exclude each other")))
            }
            (None, None) => Err(file.error(owner, format!("{key}_file or {key}_credential is missing: {without}"))),
        }
    }
}

/// The password of a file or a credential, without the end of the line that editors add.
///
/// # Errors
/// A clause for the operator. An empty password would be no proof at all (RFC 4513, 5.1.2).
pub fn password(octets: &[u8]) -> Result<Secret<1024>, &'static str> {
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
    match std::str::from_utf8(octets) {
        Ok("") => Err("is empty"),
        Ok(text) if text.chars().any(char::is_control) => Err("is not one line of text"),
        Ok(_) => Secret::new(octets).map_err(|_| "is longer than 1024 octets"),
        Err(_) => Err("is not UTF-8"),
    }
}
