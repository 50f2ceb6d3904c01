//! The process that calls the PKCS#11 module. Like every process it inherits, configures, locks down, says
//! ready and loops; it decides nothing, signs what issuer sends with the keys it was configured with, and
//! talks to nobody but issuer and the token. With `--ceremony` it makes tokens and keys instead.

mod ceremony;
mod keys;
mod meters;
mod pin;
mod pkcs11;
mod pool;
mod recovery;
mod serve;
mod unwrap;
mod walls;

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::keys::Expected;
use self::pkcs11::{Fault, Module};
use crate::config::signer::{Signer, hex};
use crate::metrics::Metrics;
use crate::sandbox;
use crate::sys::channel::Closed;
use crate::sys::deadline;
use crate::sys::notify::Notifier;
use crate::wire::links::{KeyReport, SignerReady, SignerToIssuer};
use crate::wire::{List, Octets, Text};

/// EX_CONFIG: a person must do something; the supervisor does not start this again by itself.
pub(crate) const CONFIG: u8 = 78;
/// EX_TEMPFAIL: start this again.
pub(crate) const RETRY: u8 = 75;

/// Runs the process until issuer is gone. What the module has registered for the exit is foreign code, too: it may take
/// as long as any call of it, and none of it runs where a person has to read the code.
#[must_use]
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "--ceremony") {
        deadline::leave(ceremony::main());
    }
    match serve_until_the_end() {
        CONFIG => deadline::leave(CONFIG),
        code => deadline::watched(|| std::process::exit(code.into())),
    }
}

fn serve_until_the_end() -> u8 {
    let told = std::env::var("CHANCERY_ORDINAL").unwrap_or_else(|_| "1".to_owned());
    let Some(ordinal) = told.parse().ok().filter(|ordinal: &u32| *ordinal > 0) else {
        crate::sys::log::start("signer");
        tracing::error!(event = "stopped", code = CONFIG, why = "signers count from 1, and one of them is the first");
        return CONFIG;
    };
    let name = format!("signer@{ordinal}");
    crate::sys::log::start(&name);
    match run(&name, ordinal) {
        Ok(Closed::Violation(violation)) => {
            tracing::error!(event = "violation", link = "issuer-signer", why = %violation);
            // Counted by the line above: this process ends, and its counters with it.
            RETRY
        }
        Ok(closed @ Closed::Gone) => {
            tracing::info!(event = "issuer-gone", why = %closed);
            RETRY
        }
        // Our own kernel's word, not issuer's end.
        Ok(Closed::Io(error)) => {
            tracing::error!(event = "stopped", code = RETRY, why = %format_args!("the channel to issuer: {error}"));
            RETRY
        }
        Err(Stop { code, why }) => {
            tracing::error!(event = "stopped", code, why = %why);
            code
        }
    }
}

/// Why the process never served.
struct Stop {
    code: u8,
    why: String,
}

fn configuration(why: impl ToString) -> Stop {
    Stop { code: CONFIG, why: why.to_string() }
}

/// Before it is looked again for a device that is not there.
const LATE: std::time::Duration = std::time::Duration::from_secs(3);

fn later(why: impl ToString) -> Stop {
    Stop { code: RETRY, why: why.to_string() }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(why) => configuration(why),
            fault => later(fault),
        }
    }
}

fn run(name: &str, ordinal: u32) -> Result<Closed, Stop> {
    sandbox::begin().map_err(later)?;
    let config = Signer::load(&crate::sys::places::configuration_root()).map_err(configuration)?;
    let expected: Vec<Expected> =
        config.keys.iter().map(Expected::read).collect::<Result<_, _>>().map_err(configuration)?;
    let pin = pin::credential().map_err(|error| configuration(format!("credential pin: {error}")))?;
    let metrics = Metrics::new(name);
    let meters = meters::Meters::new(&metrics);
    let door = pin::Door::new(pin, config.profile.auth.clone(), config.state_directory.clone(), ordinal);
    std::fs::create_dir_all(&config.state_directory).map_err(|error| {
        let why = format!("{}: {error}", config.state_directory.display());
        if pin::passes(&error) { later(why) } else { configuration(why) }
    })?;
    // Its driver may be late.
    if let Some(missing) = config.devices.iter().find(|device| !device.exists()) {
        std::thread::sleep(LATE);
        return Err(later(format!("device {} is not there", missing.display())));
    }
    let notifier = Notifier::open();
    let outbox = serve::Outbox::new().map_err(later)?;
    // A signer makes no such socket once it is locked down; when issuer goes away it ends and starts anew.
    let channel = serve::connect().map_err(|error| later(format!("issuer: {error}")))?;
    // Loaded before lock-down, used only after it.
    let module = Module::load(&config.module, &config.profile).map_err(configuration)?;

    let report = walls::lock_down(&config).map_err(configuration)?;
    tracing::info!(event = "locked-down", report = %report);

    let usable = Arc::new(AtomicBool::new(false));
    metrics.report(Arc::clone(&usable));
    let limit = Duration::from_millis(config.profile.recovery.call_deadline_ms);
    deadline::enforce(limit).map_err(later)?;
    let told = Arc::clone(&outbox);
    let health = Mutex::new(Box::new(move |usable| told.send(&SignerToIssuer::Health { usable })) as _);
    let plan = recovery::Plan { token: config.token.clone(), expected, sessions: config.sessions };
    let signs = recovery::Signs { usable, health, meters: meters.clone() };
    let custody = recovery::Custody::open(module, door, plan, signs, &walls::Way::of(&config))?;
    let custody = Arc::new(custody);
    let ready = self::report(&custody, config.sessions)?;
    for key in ready.keys.iter() {
        tracing::info!(event = "key", id = hex(&key.id));
    }
    let pool = pool::Pool::new(config.queue, limit);
    let start = serve::threads(&custody, &pool, &outbox, config.sessions).map_err(later)?;
    tracing::info!(event = "ready", token = %ready.token_label, serial = %ready.token_serial, sessions = ready.sessions);
    notifier.ready();
    Ok(serve::serve(&start, &pool, &outbox, ready, channel, &meters, &notifier))
}

fn report(custody: &recovery::Custody, sessions: u16) -> Result<SignerReady, Stop> {
    let (found, keys) = custody.inventory();
    let found = found.ok_or_else(|| later("the token is gone"))?;
    let text = |_| configuration("the token's label or serial number is not text");
    let mut reports = Vec::new();
    for (id, key) in keys {
        let public_key = Octets::new(key.public_key).map_err(|_| configuration("a public key is too large"))?;
        reports.push(KeyReport { id, public_key });
    }
    Ok(SignerReady {
        token_serial: Text::new(found.serial).map_err(text)?,
        token_label: Text::new(found.label).map_err(text)?,
        sessions,
        keys: List::new(reports).map_err(|_| configuration("more than 64 keys"))?,
    })
}
