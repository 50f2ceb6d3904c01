//! `kerberos.d/kerberos.toml`: for which services tickets are accepted, with which keys, and where it is remembered
//! which were used. Where there is no such file there is no Kerberos. Whom a ticket means is `auth.d`'s to say.

pub mod keytab;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use self::keytab::{Entry, readable_by_all};
use super::load::{self, ConfigError, Loaded};

/// Services, at most: each name of this server.
const MOST_SERVICES: usize = 16;

/// What the process needs to know.
#[derive(Debug)]
pub struct Kerberos {
    /// The keys of the services, by their principals: those that are strong.
    pub keys: Vec<Entry>,
    /// Where the library's replay cache is and its configuration is written, absolute or relative to the working
    /// directory.
    pub state_directory: PathBuf,
    /// How far the clocks of clients and KDCs may differ from ours.
    pub clock_skew: Duration,
    /// How long one call into the library may take.
    pub call_deadline: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    services: Spanned<Vec<Spanned<String>>>,
    keytab: Spanned<PathBuf>,
    state_directory: Spanned<PathBuf>,
    clock_skew_s: Option<Spanned<u32>>,
    call_deadline_ms: Option<Spanned<u32>>,
}

/// Where the file is below a configuration root.
#[must_use]
pub fn place(root: &Path) -> PathBuf {
    root.join("kerberos.d/kerberos.toml")
}

impl Kerberos {
    /// Reads `kerberos.d/kerberos.toml` below a configuration root, and the keys that it names.
    ///
    /// # Errors
    /// [`ConfigError`] when something in it, or in the keytab, cannot be used.
    pub fn load(root: &Path) -> Result<Self, ConfigError> {
        let path = place(root);
        let file = load::file::<File>(&path)?;
        let number = |key: &str, value: &Option<Spanned<u32>>, default: u32, range: RangeInclusive<u32>| match value {
            None => Ok(default),
            Some(value) if range.contains(value.get_ref()) => Ok(*value.get_ref()),
            Some(value) => {
                let why = format!("{key} must be from {} to {}", range.start(), range.end());
                Err(file.error(value.span(), why))
            }
        };
        let File { clock_skew_s, call_deadline_ms, state_directory, .. } = &file.value;
        let beside = path.parent().unwrap_or(root);
        Ok(Self {
            keys: keys(&file, beside)?,
            state_directory: directory(&file, beside.join(state_directory.get_ref()))?,
            clock_skew: Duration::from_secs(number("clock_skew_s", clock_skew_s, 300, 1..=300)?.into()),
            call_deadline: Duration::from_millis(
                number("call_deadline_ms", call_deadline_ms, 2000, 100..=60_000)?.into(),
            ),
        })
    }
}

/// The library reads its path in a file of its own, where some characters mean something.
fn directory(file: &Loaded<File>, path: PathBuf) -> Result<PathBuf, ConfigError> {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"/-._~+@".contains(octet);
    if path.as_os_str().as_encoded_bytes().iter().all(plain) {
        return Ok(path);
    }
    let why = "state_directory: A-Z a-z 0-9 / - . _ ~ + @ only, from the root on";
    Err(file.error(file.value.state_directory.span(), why))
}

/// The keys of the services in the keytab: a service without one would have each of its tickets refused.
fn keys(file: &Loaded<File>, beside: &Path) -> Result<Vec<Entry>, ConfigError> {
    let (services, keytab) = (&file.value.services, &file.value.keytab);
    if services.get_ref().is_empty() || services.get_ref().len() > MOST_SERVICES {
        return Err(file.error(services.span(), format!("services: 1 to {MOST_SERVICES} principals")));
    }
    let path = beside.join(keytab.get_ref());
    let refused = |why: String| file.error(keytab.span(), format!("keytab {}: {why}", path.display()));
    if readable_by_all(&path).map_err(|error| refused(error.to_string()))? {
        return Err(refused("everybody may read it, and whoever has it is any user to this service".to_owned()));
    }
    let entries = keytab::read(&path).map_err(refused)?;
    let mut keys = Vec::new();
    for service in services.get_ref() {
        let name = service.get_ref();
        let in_parts = name.split_once('@').filter(|(name, realm)| name.contains('/') && !realm.is_empty());
        if in_parts.is_none() || name.contains(|c: char| !c.is_ascii_graphic() || c == '\\') {
            let why = "services: a principal as HTTP/sts.example.com@EXAMPLE.COM";
            return Err(file.error(service.span(), why));
        }
        // Whoever knows the key of a service can say who anybody is whose ticket is for it: of another realm, too.
        let realm = in_parts.map(|(_, realm)| realm);
        let first = services.get_ref().first().and_then(|first| first.get_ref().split_once('@'));
        if realm != first.map(|(_, realm)| realm) {
            let why = "services: all are of one realm; users of others come by its trust, or its KDC could name any of theirs";
            return Err(file.error(service.span(), why));
        }
        let before = keys.len();
        keys.extend(entries.iter().filter(|entry| entry.is_strong() && entry.principal == *name).cloned());
        if keys.len() == before {
            let weak = entries.iter().any(|entry| entry.principal == *name);
            let why = if weak { "no key but weak ones" } else { "no key" };
            let why = format!("services: keytab {} has {why} of {name}", path.display());
            return Err(file.error(service.span(), why));
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
