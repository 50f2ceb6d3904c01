//! HSM profiles: what a vendor's module does otherwise than strict PKCS#11. Every field's default is the
//! standard's behaviour, so a profile holds deviations and nothing else; how far it can be believed stands
//! in `evidence`. Of the sandbox's grants that word says what `[sandbox]` does not: nobody tried an HSM that is not at
//! hand, and `chancery check-sandbox` proves what a grant gives, not that it is enough.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::load::{self, ConfigError, Loaded};

/// Where packages put the profiles.
const INSTALLED: &str = "/usr/share/chancery/hsm-profiles";
/// The one profile that is always there: SoftHSM needs no vendor's paperwork to be measured.
const SOFTHSM2: &str = include_str!("../../hsm-profiles/softhsm2.toml");

/// One profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Version of this schema: 1.
    pub schema: u32,
    /// How its statements are known.
    pub evidence: Evidence,
    /// Where the module usually is.
    #[serde(default)]
    pub module: Module,
    /// Choosing the slot.
    #[serde(default)]
    pub slot: Slot,
    /// Logging in.
    #[serde(default)]
    pub auth: Auth,
    /// Opening sessions.
    #[serde(default)]
    pub sessions: Sessions,
    /// What the token signs.
    #[serde(default)]
    pub sign: Sign,
    /// What the token opens.
    #[serde(default)]
    pub unwrap: Unwrap,
    /// Making keys.
    #[serde(default)]
    pub keygen: Keygen,
    /// Return codes that mean something else here.
    #[serde(default)]
    pub errors: Errors,
    /// Coming back after a failure.
    #[serde(default)]
    pub recovery: Recovery,
    /// What the module needs of the machine.
    #[serde(default)]
    pub sandbox: Sandbox,
}

/// How the statements of a profile are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Seen on the module itself.
    Measured,
    /// Said by the vendor.
    Documented,
    /// Heard. Refused unless `accept_unverified_profile` is set.
    Unverified,
}

/// `[module]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Module {
    /// Usual paths of the shared object, for the operator; configuration names the one that is loaded.
    pub path: Vec<PathBuf>,
    /// Environment variables the module reads, for the operator.
    pub environment: Vec<String>,
}

/// `[slot]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slot {
    /// Slots with these labels are never ours.
    pub ignore_labels: Vec<String>,
}

/// `[auth]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Shortest PIN, octets: a shorter one is refused without being tried.
    pub pin_min_octets: usize,
    /// Longest PIN, octets.
    pub pin_max_octets: usize,
    /// How the PIN is made up, for the operator.
    pub pin_format: String,
}

impl Default for Auth {
    fn default() -> Self {
        Self { pin_min_octets: 1, pin_max_octets: 255, pin_format: "opaque".to_owned() }
    }
}

/// `[sessions]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// The module refuses read-only sessions.
    pub read_write: bool,
    /// Most sessions a process may open; 0: no limit.
    pub max: u16,
}

/// `[sign]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sign {
    /// `CKM_RSA_PKCS` signs.
    pub rsa_pkcs1: bool,
    /// `CKM_RSA_PKCS_PSS` signs.
    pub rsa_pss: bool,
    /// `CKM_ECDSA` signs.
    pub ecdsa: bool,
}

impl Default for Sign {
    fn default() -> Self {
        Self { rsa_pkcs1: true, rsa_pss: true, ecdsa: true }
    }
}

/// `[unwrap]`: `CKM_RSA_PKCS_OAEP` without a label, MGF1 of the same hash.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Unwrap {
    /// With SHA-1.
    pub oaep_sha1: bool,
    /// With SHA-256.
    pub oaep_sha256: bool,
}

impl Default for Unwrap {
    fn default() -> Self {
        Self { oaep_sha1: true, oaep_sha256: true }
    }
}

/// `[keygen]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keygen {
    /// Largest RSA modulus, bits.
    pub rsa_max_bits: u32,
    /// `CKA_…` names, without the prefix and in lower case, that the module refuses in a template.
    pub refused_attributes: Vec<String>,
}

impl Default for Keygen {
    fn default() -> Self {
        Self { rsa_max_bits: 4096, refused_attributes: Vec::new() }
    }
}

/// `[errors]`: `CK_RV` values that climb to another rung than the standard table says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Errors {
    /// The request was at fault.
    pub request: Vec<u64>,
    /// The session is to be dropped.
    pub session: Vec<u64>,
    /// Log in again and find the keys again.
    pub login: Vec<u64>,
    /// Finalise and initialise the module.
    pub reinitialise: Vec<u64>,
    /// The token is busy: somebody else may be asked.
    pub busy: Vec<u64>,
    /// Answers of `C_Login` that say that the PIN is at fault: it is not tried again.
    pub pin: Vec<u64>,
}

/// `[recovery]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recovery {
    /// A call that takes longer kills the process: it cannot be cancelled in any other way.
    pub call_deadline_ms: u64,
    /// First pause between attempts to initialise again.
    pub reinitialise_backoff_min_ms: u64,
    /// Longest pause.
    pub reinitialise_backoff_max_ms: u64,
    /// The module does not survive `C_Finalize`: the process is replaced instead.
    pub restart_process: bool,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            call_deadline_ms: 5000,
            reinitialise_backoff_min_ms: 200,
            reinitialise_backoff_max_ms: 30_000,
            restart_process: false,
        }
    }
}

/// `[sandbox]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// Directories or files the module reads.
    pub read: Vec<PathBuf>,
    /// Directories the module writes.
    pub write: Vec<PathBuf>,
    /// TCP ports the module connects to. Addresses are the unit's: `IPAddressAllow=`.
    pub tcp_connect: Vec<u16>,
    /// Stream sockets of the vendor's daemons, by path.
    pub unix_connect: Vec<PathBuf>,
    /// Devices, or directories of them, that the module reads, writes and gives commands to.
    pub devices: Vec<PathBuf>,
    /// How this HSM is reached, where only the site knows: one of these must stand in its `signer.toml`.
    pub site: Vec<Reach>,
}

/// A way to an HSM, as `[sandbox]` and `signer.toml` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// `tcp_connect`.
    TcpConnect,
    /// `unix_connect`.
    UnixConnect,
    /// `devices`.
    Devices,
}

impl Reach {
    /// The key in a file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TcpConnect => "tcp_connect",
            Self::UnixConnect => "unix_connect",
            Self::Devices => "devices",
        }
    }
}

/// What is wrong with a grant, if anything is: the key and why.
pub(super) fn bad_grant(ports: &[u16], sockets: &[PathBuf], devices: &[PathBuf]) -> Option<(Reach, String)> {
    if ports.contains(&0) {
        return Some((Reach::TcpConnect, "0 is no port to connect to".to_owned()));
    }
    // sun_path holds 108 octets, one of them the NUL.
    let socket = |path: &&PathBuf| !path.is_absolute() || path.as_os_str().len() > 107;
    if let Some(path) = sockets.iter().find(socket) {
        let why = format!("{}: the path of a socket begins with / and has at most 107 octets", path.display());
        return Some((Reach::UnixConnect, why));
    }
    let device = |path: &&PathBuf| {
        !path.starts_with("/dev")
            || path.components().count() < 3
            || path.components().any(|part| part.as_os_str() == "..")
    };
    let why = |path: &PathBuf| format!("{}: a device lies below /dev, and is not all of it", path.display());
    devices.iter().find(device).map(|path| (Reach::Devices, why(path)))
}

impl Profile {
    /// Finds `NAME.toml` in `CHANCERY_PROFILES`, else in the installed directory, else, for `softhsm2`, in
    /// this binary.
    ///
    /// # Errors
    /// [`ConfigError`] when there is none of that name or it does not fit the schema.
    pub fn find(name: &str) -> Result<Self, ConfigError> {
        let directory = std::env::var_os("CHANCERY_PROFILES").map_or_else(|| PathBuf::from(INSTALLED), PathBuf::from);
        let path = directory.join(format!("{name}.toml"));
        if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') {
            return Err(ConfigError::file(&path, "not the name of a profile"));
        }
        if path.exists() {
            return Self::checked(load::file(&path)?);
        }
        if name == "softhsm2" {
            return Self::parse(SOFTHSM2, Path::new("softhsm2.toml (built in)"));
        }
        Err(ConfigError::file(&path, "no such profile"))
    }

    fn parse(source: &str, path: &Path) -> Result<Self, ConfigError> {
        let value = toml::from_str(source)
            .map_err(|error| ConfigError::at(path, source, error.span().unwrap_or(0..0), error.message()))?;
        Self::checked(Loaded { path: path.to_owned(), source: source.to_owned().into(), value })
    }

    fn checked(loaded: Loaded<Self>) -> Result<Self, ConfigError> {
        let Self { schema, recovery, auth, sandbox, .. } = &loaded.value;
        if *schema != 1 {
            return Err(loaded.error_at(&["schema"], format!("schema {schema} is not known, 1 is")));
        }
        if recovery.call_deadline_ms == 0 {
            let why = "recovery.call_deadline_ms must be above 0";
            return Err(loaded.error_at(&["recovery", "call_deadline_ms"], why));
        }
        let (least, most) = (recovery.reinitialise_backoff_min_ms, recovery.reinitialise_backoff_max_ms);
        if least == 0 || least > most {
            let why = "recovery.reinitialise_backoff_min_ms must be above 0 and at most reinitialise_backoff_max_ms";
            return Err(loaded.error_at(&["recovery", "reinitialise_backoff_min_ms"], why));
        }
        if auth.pin_min_octets > auth.pin_max_octets {
            let why = "auth.pin_min_octets is above auth.pin_max_octets";
            return Err(loaded.error_at(&["auth", "pin_min_octets"], why));
        }
        if let Some((key, why)) = bad_grant(&sandbox.tcp_connect, &sandbox.unix_connect, &sandbox.devices) {
            return Err(loaded.error_at(&["sandbox", key.name()], format!("sandbox.{}: {why}", key.name())));
        }
        Ok(loaded.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_that_ships_fits_the_schema() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("hsm-profiles");
        let profiles = load::directory::<Profile>(&directory).unwrap();
        assert!(profiles.len() > 5, "{} profiles", profiles.len());
        for (name, profile) in profiles {
            profile.and_then(Profile::checked).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let source = "schema = 1\nevidence = \"measured\"\n[recovery]\ncall_deadline = 5\n";
        let error = Profile::parse(source, Path::new("x.toml")).unwrap_err().to_string();
        assert!(error.contains(":4:") && error.contains("call_deadline"), "{error}");
    }

    #[test]
    fn a_field_out_of_range_is_refused_with_its_line() {
        for (fields, place) in [
            ("[recovery]\ncall_deadline_ms = 0\n", ":4:20: recovery.call_deadline_ms"),
            ("[recovery]\nreinitialise_backoff_min_ms = 40000\n", ":4:31: recovery.reinitialise_backoff_min_ms"),
            ("[recovery]\nreinitialise_backoff_max_ms = 1\n", ":3:1: recovery.reinitialise_backoff_min_ms"),
            ("[sandbox]\ntcp_connect = [1792, 0]\n", ":4:15: sandbox.tcp_connect: 0 is"),
            ("[sandbox]\nunix_connect = [\"run/x\"]\n", ":4:16: sandbox.unix_connect: run/x: the path of a socket"),
            ("[sandbox]\ndevices = [\"/dev/../etc\"]\n", ":4:11: sandbox.devices: /dev/../etc: a device lies"),
            ("[sandbox]\ndevices = [\"/dev\"]\n", ":4:11: sandbox.devices: /dev: a device lies"),
            ("[sandbox]\ndevices = [\"//dev/./\"]\n", ":4:11: sandbox.devices: //dev/./: a device lies"),
            ("[auth]\npin_min_octets = 8\npin_max_octets = 4\n", ":4:18: auth.pin_min_octets"),
        ] {
            let source = format!("schema = 1\nevidence = \"measured\"\n{fields}");
            let error = Profile::parse(&source, Path::new("x.toml")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("x.toml{place}")), "{error}");
        }
        let error = Profile::parse("schema = 2\nevidence = \"measured\"\n", Path::new("x.toml")).unwrap_err();
        assert!(error.to_string().starts_with("x.toml:1:10: schema 2"), "{error}");
    }

    /// What a signer of that profile keeps is what stood there before grants did.
    #[test]
    fn softhsm_is_granted_files_and_nothing_else() {
        let Sandbox { tcp_connect, unix_connect, devices, site, .. } = Profile::find("softhsm2").unwrap().sandbox;
        assert!(tcp_connect.is_empty() && unix_connect.is_empty() && devices.is_empty() && site.is_empty());
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        assert!(Profile::find("../softhsm2").is_err());
    }
}
