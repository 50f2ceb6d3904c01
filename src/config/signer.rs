//! `signer.d/signer.toml`: the module, the token, the sessions and the keys a signer must find. Paths are
//! relative to the file. The PIN is never here: it comes as the credential `pin`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::load::{self, ConfigError, Loaded};
use super::profile::{Evidence, Profile, Reach, bad_grant};
use crate::wire::KeyId;

mod volatile;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    module: Spanned<PathBuf>,
    token_label: Option<Spanned<String>>,
    token_serial: Option<Spanned<String>>,
    #[serde(default = "two")]
    sessions: Spanned<u16>,
    profile: Spanned<String>,
    call_deadline_ms: Option<Spanned<u64>>,
    #[serde(default = "sixty_four")]
    queue: Spanned<u16>,
    state_directory: PathBuf,
    #[serde(default)]
    accept_unverified_profile: bool,
    #[serde(default)]
    accept_volatile_state_directory: bool,
    #[serde(default)]
    read: Vec<PathBuf>,
    #[serde(default)]
    write: Vec<PathBuf>,
    tcp_connect: Option<Spanned<Vec<u16>>>,
    unix_connect: Option<Spanned<Vec<PathBuf>>>,
    devices: Option<Spanned<Vec<PathBuf>>>,
    #[serde(default, rename = "key")]
    keys: Vec<FileKey>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileKey {
    id: Spanned<String>,
    purpose: Purpose,
    certificate: Option<PathBuf>,
}

fn two() -> Spanned<u16> {
    Spanned::new(0..0, 2)
}

fn sixty_four() -> Spanned<u16> {
    Spanned::new(0..0, 64)
}

/// What a key is for; a key has one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Signs tokens.
    Assertion,
    /// Signs replies.
    Message,
    /// Signs TLS handshakes.
    Handshake,
    /// Signs metadata.
    Metadata,
    /// Opens auth's sealed secret: decrypts, never signs.
    State,
    /// Opens the session keys of messages: decrypts, never signs.
    Unwrap,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] =
        [Self::Assertion, Self::Message, Self::Handshake, Self::Metadata, Self::State, Self::Unwrap];

    /// The name in configuration, labels and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Assertion => "assertion",
            Self::Message => "message",
            Self::Handshake => "handshake",
            Self::Metadata => "metadata",
            Self::State => "state",
            Self::Unwrap => "unwrap",
        }
    }

    /// Does a key for this sign? Else it decrypts, and is RSA.
    #[must_use]
    pub fn signs(self) -> bool {
        !matches!(self, Self::State | Self::Unwrap)
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// How the token is known. Never by slot number: those move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// `CK_TOKEN_INFO.label`.
    Label(String),
    /// `CK_TOKEN_INFO.serialNumber`.
    Serial(String),
}

/// A key the signer must find.
#[derive(Debug, Clone)]
pub struct Key {
    /// `CKA_ID`.
    pub id: KeyId,
    /// What it is for.
    pub purpose: Purpose,
    /// Its certificate, PEM; only a `state` key may have none.
    pub certificate: Option<PathBuf>,
}

/// A configuration that can be used.
#[derive(Debug)]
pub struct Signer {
    /// The file it came from.
    pub path: PathBuf,
    /// The PKCS#11 module.
    pub module: PathBuf,
    /// The token.
    pub token: Token,
    /// Sessions, each with a thread.
    pub sessions: u16,
    /// Requests that may wait for a session.
    pub queue: usize,
    /// Name of the HSM profile.
    pub profile_name: String,
    /// The HSM profile; `call_deadline_ms` of the file is already in it.
    pub profile: Profile,
    /// Where `pin-refused` marks are.
    pub state_directory: PathBuf,
    /// They may be lost with it: somebody has thought of that.
    pub accept_volatile_state_directory: bool,
    /// What the module may read besides the profile's.
    pub read: Vec<PathBuf>,
    /// What the module may write besides the profile's.
    pub write: Vec<PathBuf>,
    /// TCP ports it may connect to, the profile's among them.
    pub tcp_connect: Vec<u16>,
    /// Stream sockets it may connect to, the profile's among them.
    pub unix_connect: Vec<PathBuf>,
    /// Devices it may use besides the profile's.
    pub devices: Vec<PathBuf>,
    /// The keys.
    pub keys: Vec<Key>,
}

impl Signer {
    /// Reads `signer.d/signer.toml` below a configuration root.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and key.
    pub fn load(root: &Path) -> Result<Self, ConfigError> {
        let path = root.join("signer.d/signer.toml");
        let loaded = load::file::<File>(&path)?;
        let base = root.join("signer.d");
        Self::check(&loaded, &base)
    }

    fn check(loaded: &Loaded<File>, base: &Path) -> Result<Self, ConfigError> {
        let file = &loaded.value;
        let token = match (&file.token_label, &file.token_serial) {
            (Some(label), None) => Token::Label(label.get_ref().clone()),
            (None, Some(serial)) => Token::Serial(serial.get_ref().clone()),
            (Some(_), Some(serial)) => {
                return Err(loaded.error(serial.span(), "token_label and token_serial exclude each other"));
            }
            (None, None) => {
                return Err(loaded.error(file.module.span(), "one of token_label and token_serial is needed"));
            }
        };
        let mut profile = Profile::find(file.profile.get_ref())
            .map_err(|error| loaded.error(file.profile.span(), format!("profile: {error}")))?;
        if profile.evidence == Evidence::Unverified && !file.accept_unverified_profile {
            let why = "nobody has verified this profile; accept_unverified_profile = true uses it all the same";
            return Err(loaded.error(file.profile.span(), why));
        }
        if let Some(deadline) = &file.call_deadline_ms {
            if *deadline.get_ref() == 0 {
                return Err(loaded.error(deadline.span(), "call_deadline_ms must be above 0"));
            }
            profile.recovery.call_deadline_ms = *deadline.get_ref();
        }
        let sessions = *file.sessions.get_ref();
        if !(1..=256).contains(&sessions) {
            return Err(loaded.error(file.sessions.span(), "sessions must be 1 to 256"));
        }
        // One more is the anchor that keeps the login alive.
        if profile.sessions.max != 0 && sessions >= profile.sessions.max {
            let why = format!("sessions must be below sessions.max of the profile, {}", profile.sessions.max);
            return Err(loaded.error(file.sessions.span(), why));
        }
        if *file.queue.get_ref() == 0 {
            return Err(loaded.error(file.queue.span(), "queue must be above 0"));
        }
        let keys = Self::keys(loaded, base)?;
        Self::reach(loaded, &profile)?;
        Ok(Self {
            path: loaded.path.clone(),
            module: base.join(file.module.get_ref()),
            token,
            sessions,
            queue: usize::from(*file.queue.get_ref()),
            profile_name: file.profile.get_ref().clone(),
            state_directory: base.join(&file.state_directory),
            accept_volatile_state_directory: file.accept_volatile_state_directory,
            read: file.read.iter().map(|path| base.join(path)).collect(),
            write: file.write.iter().map(|path| base.join(path)).collect(),
            tcp_connect: [&profile.sandbox.tcp_connect, granted(&file.tcp_connect)].concat(),
            unix_connect: [&profile.sandbox.unix_connect, granted(&file.unix_connect)].concat(),
            devices: granted(&file.devices).to_vec(),
            profile,
            keys,
        })
    }

    /// Is what the file grants fit to be granted, and does it say what only the site knows? An empty list says so, too.
    fn reach(loaded: &Loaded<File>, profile: &Profile) -> Result<(), ConfigError> {
        let file = &loaded.value;
        let (ports, sockets, devices) = (&file.tcp_connect, &file.unix_connect, &file.devices);
        if let Some((key, why)) = bad_grant(granted(ports), granted(sockets), granted(devices)) {
            return Err(loaded.error_at(&[key.name()], format!("{}: {why}", key.name())));
        }
        let said = |reach: &Reach| match reach {
            Reach::TcpConnect => ports.is_some(),
            Reach::UnixConnect => sockets.is_some(),
            Reach::Devices => devices.is_some(),
        };
        let site = &profile.sandbox.site;
        if site.is_empty() || site.iter().any(said) {
            return Ok(());
        }
        let names: Vec<&str> = site.iter().map(|reach| reach.name()).collect();
        let why = format!(
            "the signer may not reach an HSM of this profile unless this file says how: {} is missing",
            names.join(" or ")
        );
        Err(loaded.error(file.profile.span(), why))
    }

    fn keys(loaded: &Loaded<File>, base: &Path) -> Result<Vec<Key>, ConfigError> {
        let mut keys: Vec<Key> = Vec::new();
        for key in &loaded.value.keys {
            let id = key_id(key.id.get_ref())
                .ok_or_else(|| loaded.error(key.id.span(), "id must be 1 to 32 octets in hexadecimal"))?;
            if keys.iter().any(|other| other.id == id) {
                return Err(loaded.error(key.id.span(), "a key has one purpose: this id stands here twice"));
            }
            if key.certificate.is_none() && key.purpose != Purpose::State {
                return Err(loaded.error(key.id.span(), "a key that is not for state needs its certificate"));
            }
            let certificate = key.certificate.as_ref().map(|path| base.join(path));
            keys.push(Key { id, purpose: key.purpose, certificate });
        }
        if let Some(surplus) = loaded.value.keys.get(64) {
            return Err(loaded.error(surplus.id.span(), "more than 64 keys"));
        }
        Ok(keys)
    }
}

fn granted<T>(list: &Option<Spanned<Vec<T>>>) -> &[T] {
    list.as_ref().map_or(&[], |list| list.get_ref().as_slice())
}

/// Reads a `CKA_ID` written in hexadecimal.
#[must_use]
pub fn key_id(text: &str) -> Option<KeyId> {
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    let octets: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    KeyId::new(octets?).ok()
}

/// Octets in hexadecimal, lower case.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    use std::fmt::Write;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Signer, ConfigError> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("signer.d")).unwrap();
        std::fs::write(root.path().join("signer.d/signer.toml"), text).unwrap();
        Signer::load(root.path())
    }

    const GOOD: &str = "module = \"/m.so\"\ntoken_label = \"t\"\nprofile = \"softhsm2\"\nstate_directory = \"state\"\n";

    #[test]
    fn a_plain_file_is_taken_with_its_defaults() {
        let signer = load(GOOD).unwrap();
        assert_eq!((signer.sessions, signer.token), (2, Token::Label("t".to_owned())));
        assert!(signer.state_directory.ends_with("signer.d/state"));
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_line() {
        for (more, line, word) in [
            ("token_serial = \"1\"\n", ":5:", "token_serial"),
            ("sessions = 0\n", ":5:", "sessions"),
            ("slot = 3\n", ":5:", "slot"),
            ("tcp_connect = [0]\n", ":5:", "no port to connect to"),
            ("tcp_connect = [65536]\n", ":5:", "65536"),
            ("unix_connect = [\"pcscd.comm\"]\n", ":5:", "begins with /"),
            ("devices = [\"/etc/passwd\"]\n", ":5:", "below /dev"),
            ("pin = \"1234\"\n", ":5:", "pin"),
            ("[[key]]\nid = \"xyz\"\npurpose = \"assertion\"\ncertificate = \"a\"\n", ":6:", "hexadecimal"),
            ("[[key]]\nid = \"01\"\npurpose = \"assertion\"\n", ":6:", "certificate"),
            (
                "[[key]]\nid = \"01\"\npurpose = \"state\"\n[[key]]\nid = \"01\"\npurpose = \"state\"\n",
                ":9:",
                "one purpose",
            ),
        ] {
            let error = load(&format!("{GOOD}{more}")).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains(word), "{error}");
        }
    }

    #[test]
    fn grants_of_profile_and_file_are_added_up() {
        let signer = load(&format!("{GOOD}tcp_connect = [1792]\nunix_connect = [\"/run/a\"]\n")).unwrap();
        assert_eq!((signer.tcp_connect, signer.unix_connect.len()), (vec![1792], 1));
        let signer = load(GOOD).unwrap();
        assert!(signer.tcp_connect.is_empty() && signer.unix_connect.is_empty() && signer.devices.is_empty());
    }

    #[test]
    fn key_ids_are_read_as_they_are_written() {
        let id = key_id("00ff10").unwrap();
        assert_eq!(hex(&id), "00ff10");
        for bad in ["", "0", "0g", "+1", &"00".repeat(33)] {
            assert!(key_id(bad).is_none(), "{bad}");
        }
    }
}
