//! What proves who searches: a file of `auth.d` or a credential of the service manager.

use std::fmt::Display;

use zeroize::Zeroizing;

use super::checked::Reading;
use super::written::DirectoryFile;
use crate::config::load::ConfigError;
use crate::wire::Secret;

/// What proves who searches.
#[derive(Debug)]
pub enum BindPassword {
    /// Read from a file of `auth.d`.
    Read(Secret<1024>),
    /// The credential of that name, which the service manager hands to auth and to nobody else.
    Credential(String),
}

impl<T> Reading<'_, T> {
    pub(super) fn bind_password(&self, written: &DirectoryFile) -> Result<BindPassword, ConfigError> {
        let (path, credential) = (&written.bind_password_file, &written.bind_password_credential);
        match (path, credential) {
            (Some(path), None) => {
                let refused = |why: &dyn Display| {
                    self.refused(path.span(), format!("bind_password_file {}: {why}", path.get_ref()))
                };
                let octets = Zeroizing::new(self.beneath.octets(path.get_ref()).map_err(|error| refused(&error))?);
                password(&octets).map(BindPassword::Read).map_err(|why| refused(&why))
            }
            (None, Some(name)) => {
                let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
                let text = name.get_ref();
                if text.is_empty() || text.len() > 128 || text.starts_with('.') || !text.bytes().all(plain) {
                    return Err(self.refused(name.span(), "bind_password_credential: not the name of a credential"));
                }
                Ok(BindPassword::Credential(text.clone()))
            }
            (Some(_), Some(credential)) => {
                let why = "bind_password_file and bind_password_credential exclude each other";
                Err(self.refused(credential.span(), why))
            }
            (None, None) => {
                let why = "bind_password_file or bind_password_credential is missing: nobody searches unnamed";
                Err(self.refused(written.bind_dn.span(), why))
            }
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
