//! The vendor's module, held at arm's length. Every call into it goes through [`Module::call`], which
//! watches the clock, refuses to run in a process that forked since, and turns what went wrong into a
//! [`Fault`] with a rung of the recovery ladder. Tokens are found by label or serial, never by number.

pub(crate) mod codes;
pub(crate) mod mechanism;
pub(crate) mod memory;
pub(crate) mod spki;

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::Error;
use cryptoki::session::Session;
use cryptoki::slot::{Slot, TokenInfo};

use self::codes::{Class, Code};
use crate::config::profile::Profile;
use crate::config::signer::Token;
use crate::sys::deadline;

/// What went wrong between us and the module.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// A call failed.
    Call {
        /// The return code.
        code: Code,
        /// `C_…`.
        function: String,
    },
    /// The module cannot be loaded, or answers nonsense.
    Module(String),
    /// The token is not in any slot.
    Absent(String),
    /// A person must do something first; trying again is useless or harmful.
    Refused(String),
    /// Not now: another process must go first.
    NotYet(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { code, function } => write!(f, "{function}: {} ({:#x})", code.name, code.rv),
            Self::Module(why) | Self::Absent(why) | Self::Refused(why) | Self::NotYet(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// The rung of the ladder.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Call { code, .. } => code.class,
            Self::Module(_) | Self::Absent(_) | Self::NotYet(_) => Class::Reinitialise,
            Self::Refused(_) => Class::Pin,
        }
    }

    /// Is it of a login that did not get as far as the PIN?
    pub(crate) fn leaves_pin_alone(&self) -> bool {
        matches!(self, Self::Call { code, .. } if code.leaves_pin_alone())
    }

    /// `CK_RV`, 0 when no call failed.
    pub(crate) fn rv(&self) -> u64 {
        match self {
            Self::Call { code, .. } => code.rv,
            _ => 0,
        }
    }
}

/// How long a token may take to make a key, or itself.
const MAKING: Duration = Duration::from_secs(600);

/// A loaded module. C_Initialize and C_Finalize are process-wide: there is one of these in a process.
pub(crate) struct Module {
    /// Never unloaded, once it is loaded: that would run code of the module under no deadline, and before whoever ends can
    /// say why.
    context: ManuallyDrop<Pkcs11>,
    profile: Profile,
}

/// The token in its slot.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Where it is now; another place after the next C_Initialize.
    pub(crate) slot: Slot,
    /// `CK_TOKEN_INFO.label`, without padding.
    pub(crate) label: String,
    /// `CK_TOKEN_INFO.serialNumber`, without padding.
    pub(crate) serial: String,
}

/// The standard pads with blanks; tpm2-pkcs11 pads with NUL.
fn unpadded(text: &str) -> String {
    text.trim_end_matches([' ', '\0']).to_owned()
}

impl Module {
    /// Loads the shared object and takes its function list; nothing is initialised.
    pub(crate) fn load(path: &Path, profile: &Profile) -> Result<Self, Fault> {
        let context =
            Pkcs11::new(path).map_err(|error| Fault::Module(format!("module {}: {error}", path.display())))?;
        Ok(Self { context: ManuallyDrop::new(context), profile: profile.clone() })
    }

    /// The profile in force.
    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Makes calls into the module, under the deadline; several short ones may share one closure.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&Pkcs11) -> Result<T, Error>) -> Result<T, Fault> {
        deadline::watched(|| call(&self.context)).map_err(|error| self.fault(error))
    }

    /// The same for a call that may take as long as a token needs to make a key, which on a card is minutes.
    pub(crate) fn slow_call<T>(&self, call: impl FnOnce(&Pkcs11) -> Result<T, Error>) -> Result<T, Fault> {
        deadline::with_leave(MAKING, || call(&self.context)).map_err(|error| self.fault(error))
    }

    fn fault(&self, error: Error) -> Fault {
        match error {
            Error::Pkcs11(rv, function) => Fault::Call {
                code: codes::classify(rv, matches!(function, Function::Login), &self.profile.errors),
                // The wrapper's Display is a sentence of the standard; its Debug is the function's name.
                function: format!("C_{function:?}"),
            },
            other => Fault::Module(other.to_string()),
        }
    }

    /// `C_Initialize`, with the operating system's locks.
    pub(crate) fn initialise(&self) -> Result<(), Fault> {
        match self.call(|context| context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))) {
            Err(Fault::Call { code, .. }) if code.rv == 0x191 => Ok(()),
            other => other,
        }
    }

    /// `C_Finalize`. No session may be left: a late `C_CloseSession` would hit a session made afterwards.
    pub(crate) fn finalise(&self) {
        if let Err(fault) = self.call(|context| context.clone().finalize()) {
            tracing::debug!(event = "finalise", fault = %fault);
        }
    }

    /// Every token that answers. A slot whose token information cannot be read is left out and named in the
    /// log (opencryptoki's clock makes it unreadable).
    pub(crate) fn tokens(&self) -> Result<Vec<(Found, TokenInfo)>, Fault> {
        let mut tokens = Vec::new();
        for slot in self.call(Pkcs11::get_slots_with_token)? {
            match self.call(|context| context.get_token_info(slot)) {
                Ok(info) => {
                    let found = Found { slot, label: unpadded(info.label()), serial: unpadded(info.serial_number()) };
                    tokens.push((found, info));
                }
                Err(fault) => tracing::warn!(event = "slot-unreadable", slot = slot.id(), fault = %fault),
            }
        }
        Ok(tokens)
    }

    /// The one token of that label or serial, and of this serial where one was seen before: a label can be given
    /// to another token while ours is away, and some vendors give every token one serial.
    pub(crate) fn find(&self, token: &Token, seen: Option<&str>) -> Result<Found, Fault> {
        let mut tokens = self.tokens()?;
        tokens.retain(|(found, info)| {
            let ours = match token {
                Token::Label(label) => found.label == *label,
                Token::Serial(serial) => found.serial == *serial,
            };
            ours && seen.is_none_or(|serial| found.serial == serial)
                && info.token_initialized()
                && !self.profile.slot.ignore_labels.contains(&found.label)
        });
        let name = match token {
            Token::Label(label) => format!("token with label {label:?}"),
            Token::Serial(serial) => format!("token with serial {serial:?}"),
        };
        match (tokens.pop(), tokens.len()) {
            (Some((found, _)), 0) => Ok(found),
            (Some(_), more) => {
                Err(Fault::Refused(format!("{} slots hold a {name}: name it by token_serial", more + 1)))
            }
            (None, _) => Err(Fault::Absent(format!("no slot holds a {name}"))),
        }
    }

    /// Opens a session; read-write where the profile says that no other kind is to be had.
    pub(crate) fn open(&self, slot: Slot) -> Result<Opened, Fault> {
        if self.profile.sessions.read_write {
            return self.open_read_write(slot);
        }
        self.call(|context| context.open_ro_session(slot)).map(|session| Opened(Some(session)))
    }

    /// Opens a read-write session, whatever the profile prefers for signing.
    pub(crate) fn open_read_write(&self, slot: Slot) -> Result<Opened, Fault> {
        self.call(|context| context.open_rw_session(slot)).map(|session| Opened(Some(session)))
    }
}

/// A session that is closed under the deadline: its `C_CloseSession` may hang like any other call.
pub(crate) struct Opened(Option<Session>);

impl Deref for Opened {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.0.as_ref().expect("only drop takes it")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        deadline::watched(|| drop(self.0.take()));
    }
}
