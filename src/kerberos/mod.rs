//! The process that has tickets accepted by MIT Kerberos: C code on a stranger's octets, and the keys of our services.
//! It inherits its listener, reads its configuration, opens what the library needs, locks itself down, says ready, and
//! loops. It decides nothing: auth, its only peer, has read the `AP-REQ` that it is asked about and is told what the
//! library found in it. An acceptor needs no KDC, so it has no network, and it opens no file but the library's replay
//! cache and the configuration that it has written for it.

mod answer;
mod serve;

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use self::answer::Services;
use crate::config::kerberos::Kerberos;
use crate::metrics::Metrics;
use crate::sandbox::{self, Grants, Role};
use crate::sys::channel::Listener;
use crate::sys::krb5::Acceptor;
use crate::sys::listen::Inherited;
use crate::sys::notify::Notifier;
use crate::sys::places::{Place, configuration_root};
use crate::sys::{deadline, log, signals};

/// EX_CONFIG: a person must do something.
const CONFIG: u8 = 78;

/// Inherits, reads the keys, locks down, says ready, loops.
#[must_use]
pub fn main() -> ExitCode {
    log::start("kerberos");
    // The library writes secrets where this says, and the name of its replay cache is taken from such a variable, too.
    if let Some((name, _)) = std::env::vars_os().find(|(name, _)| name.as_encoded_bytes().starts_with(b"KRB5")) {
        tracing::error!(event = "stopped", variable = ?name, why = "the library would heed this variable: unset it");
        return ExitCode::from(CONFIG);
    }
    if let Err(error) = sandbox::begin() {
        tracing::error!(event = "stopped", why = %error);
        return ExitCode::FAILURE;
    }
    let config = match Kerberos::load(&configuration_root()) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(event = "stopped", why = %error);
            return ExitCode::from(CONFIG);
        }
    };
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(event = "stopped", why = %error);
            ExitCode::FAILURE
        }
    }
}

fn run(config: Kerberos) -> Result<(), Box<dyn Error>> {
    let mut inherited = Inherited::take()?;
    let listener = Listener::adopt(inherited.one(Place::KerberosAuth.listener().1)?)?;
    let signals = signals::of_the_end()?;
    let notifier = Notifier::open();
    let metrics = Metrics::new("kerberos");
    let measures = serve::Measures::new(&metrics);
    let files = Files::make(&config)?;
    let mut acceptor = Acceptor::start(&files.configuration)?;
    for key in &config.keys {
        acceptor.add(&key.principal, key.version, key.kind, key.key.expose())?;
        tracing::info!(event = "key", service = key.principal, version = key.version, kind = key.kind);
    }
    let services = config.keys.iter().map(|key| key.principal.clone()).collect();
    let limit = config.call_deadline;
    // The library has its own copies of the keys.
    drop(config);
    let grants = Grants { read: vec![files.configuration], write: vec![files.replays], ..Grants::default() };
    let locked = sandbox::lock_down(Role::Kerberos, &grants)?;
    tracing::info!(event = "ready", sandbox = %locked);
    deadline::enforce(limit)?;
    metrics.report(Arc::new(AtomicBool::new(true)));
    notifier.ready();
    serve::serve(&listener, &signals, &Services { acceptor, names: services }, &measures, &notifier)?;
    notifier.stopping();
    tracing::info!(event = "stopping");
    Ok(())
}

/// What the library opens after lock-down.
struct Files {
    configuration: PathBuf,
    replays: PathBuf,
}

impl Files {
    fn make(config: &Kerberos) -> io::Result<Self> {
        std::fs::create_dir_all(&config.state_directory)?;
        let directory = config.state_directory.canonicalize()?;
        let files = Self { configuration: directory.join("krb5.conf"), replays: directory.join("replays") };
        private(&files.replays, false)?;
        private(&files.configuration, true)?;
        std::fs::write(&files.configuration, configuration(config, &files.replays, &directory))?;
        Ok(files)
    }
}

/// Makes a file that is its owner's alone, if there is none.
fn private(path: &Path, emptied: bool) -> io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(emptied).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path)?.set_permissions(PermissionsExt::from_mode(0o600))
}

/// All that the library is told. No plug-in is found where there is no directory of them.
fn configuration(config: &Kerberos, replays: &Path, directory: &Path) -> String {
    let mut text = String::from("# Written by chancery-kerberos at each start.\n[libdefaults]\n");
    let realm = config.keys.first().and_then(|key| key.principal.rsplit_once('@')).map_or("", |(_, realm)| realm);
    let kinds = "aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128 aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96";
    for (name, value) in [
        ("default_realm", realm.to_owned()),
        ("permitted_enctypes", kinds.to_owned()),
        ("allow_weak_crypto", "false".to_owned()),
        ("clockskew", config.clock_skew.as_secs().to_string()),
        ("default_rcache_name", format!("file2:{}", replays.display())),
        ("plugin_base_dir", directory.join("none").display().to_string()),
        ("dns_lookup_kdc", "false".to_owned()),
        ("dns_lookup_realm", "false".to_owned()),
        ("dns_canonicalize_hostname", "false".to_owned()),
        ("rdns", "false".to_owned()),
    ] {
        writeln!(text, "{name} = {value}").expect("text is written into memory");
    }
    text
}
