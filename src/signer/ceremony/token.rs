//! Making a token usable: initialising it in a free slot, and clearing the mark a refused PIN left.

use std::path::Path;

use cryptoki::context::Pkcs11;
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

use super::{Voice, text};
use crate::config::signer::Token;
use crate::signer::pin::{self, Door, Marks, Stamp};
use crate::signer::pkcs11::{Fault, Found, Module};
use crate::wire::Secret;
use crate::wire::ceremony::{Reply, Which};

/// A PIN as the wrapper wants it.
pub(super) fn secret(pin: &Secret<255>) -> Result<AuthPin, Fault> {
    pin::pin(pin.expose()).map_err(|error| Fault::Refused(error.to_string()))
}

/// The token named.
pub(super) fn find(module: &Module, token: &Which) -> Result<Found, Fault> {
    let token = match token {
        Which::Label(label) => Token::Label(label.as_str().to_owned()),
        Which::Serial(serial) => Token::Serial(serial.as_str().to_owned()),
    };
    module.find(&token, None)
}

/// `C_InitToken` on the first slot whose token is not initialised, then the user's PIN.
pub(super) fn initialise(
    module: &Module,
    voice: &mut Voice,
    label: &str,
    so_pin: &Secret<255>,
    pin: &Secret<255>,
) -> Result<(), Fault> {
    let (so_pin, pin) = (secret(so_pin)?, secret(pin)?);
    if label.trim().is_empty() {
        return Err(Fault::Refused("a token needs a label".to_owned()));
    }
    let tokens = module.tokens()?;
    if tokens.iter().any(|(found, info)| info.token_initialized() && found.label == label) {
        return Err(Fault::Refused(format!("there is a token with label {label:?} already")));
    }
    let free = tokens.iter().find(|(_, info)| !info.token_initialized()).map(|(found, _)| found);
    let free = free.ok_or_else(|| Fault::Absent("no slot holds a token that is not initialised".to_owned()))?;
    // Else it would be a token that no signer logs in to, or one without a PIN.
    fits(module, free, &pin)?;
    let slot = free.slot;
    voice.doing("initialising the token");
    module.slow_call(|context| context.init_token(slot, &so_pin, label))?;
    voice.doing("setting the PIN");
    let session = module.open_read_write(slot)?;
    module.call(|_| session.login(UserType::So, Some(&so_pin)))?;
    module.call(|_| session.init_pin(&pin))?;
    module.call(|_| session.logout())?;
    drop(session);
    // SoftHSM gives the token another slot once the module is initialised anew.
    module.finalise();
    module.initialise()?;
    let found = module.find(&Token::Label(label.to_owned()), None)?;
    voice.say(&Reply::Token { label: text(&found.label), serial: text(&found.serial) });
    Ok(())
}

/// Tries the PIN once, because a person said so, and clears the mark when it is right. Signers that wait for the first
/// one go on by that: it may be logged in and have nothing to show any more.
pub(super) fn unlock(
    module: &Module,
    voice: &mut Voice,
    token: &Which,
    state_directory: &Path,
    pin: &Secret<255>,
    so_pin: Option<&Secret<255>>,
    stamp: Option<&Stamp>,
) -> Result<(), Fault> {
    let pin = secret(pin)?;
    let found = find(module, token)?;
    let marks = Marks::new(state_directory, &found.serial);
    let _lock = marks.lock()?;
    marks.make_room()?;
    let session = module.open_read_write(found.slot)?;
    if let Some(so_pin) = so_pin {
        fits(module, &found, &pin)?;
        voice.doing("setting the PIN anew");
        officer(module, &found, &session, &secret(so_pin)?, &Marks::of_officer(state_directory, &found.serial))?;
        set_anew(module, &session, &pin, &marks)?;
        module.call(|_| session.logout())?;
    }
    let info = module.call(|context: &Pkcs11| context.get_token_info(found.slot))?;
    if info.user_pin_locked() || info.user_pin_final_try() {
        let why = "the token says one more wrong PIN locks it, or one has: only the security officer can help";
        return Err(Fault::Refused(format!("{why} (--so-pin-file)")));
    }
    // A module that dies or hangs takes this process with it, and then it counts as one of the signers' tries. A person may
    // have it tried when those are used up, and where a mark stands nobody else tries.
    let before = if marks.is_refused()? { None } else { Some(marks.begin(true)?) };
    voice.doing("trying the PIN, once");
    if let Err(fault) = module.call(|_| session.login(UserType::User, Some(&pin))) {
        // Where the token did not get as far as the PIN, nothing is known of it; a mark that stands goes on to stand.
        if !fault.leaves_pin_alone() {
            marks.refuse(&fault.to_string())?;
        } else if let Some(before) = before {
            marks.not_tried(before);
        }
        return Err(fault);
    }
    marks.clear().map_err(|error| Fault::Refused(format!("the mark cannot be removed: {error}")))?;
    if let Err(fault) = marks.prove_unlocked(stamp) {
        tracing::warn!(event = "pin-proof-not-written", fault = %fault, why = "the first signer has to show it");
    }
    voice.say(&Reply::Token { label: text(&found.label), serial: text(&found.serial) });
    Ok(())
}

/// Refuses a new PIN that the token cannot have, or that no signer would try, before anything is marked: it would leave
/// them without one. A token that tells no lengths takes what its profile says.
fn fits(module: &Module, found: &Found, pin: &AuthPin) -> Result<(), Fault> {
    let info = module.call(|context: &Pkcs11| context.get_token_info(found.slot))?;
    let limits = &module.profile().auth;
    let told = Some((info.min_pin_length(), info.max_pin_length()));
    // Zeros, or all ones, are no lengths.
    let told = told.filter(|(least, most)| *most > 0 && least <= most && *least <= limits.pin_max_octets);
    let (least, most) = told.unwrap_or((0, usize::MAX));
    let (least, most) = (least.max(limits.pin_min_octets), most.min(limits.pin_max_octets));
    let length = secrecy::ExposeSecret::expose_secret(pin).len();
    if length < least || length > most {
        return Err(Fault::Refused(format!("the PIN has {length} octets, and this token takes {least} to {most}")));
    }
    Ok(())
}

/// Sets the user's PIN. From here on signers have another one, perhaps, and must not try that by what they knew: the
/// mark stands until this one was right.
fn set_anew(module: &Module, session: &Session, pin: &AuthPin, marks: &Marks) -> Result<(), Fault> {
    if !marks.is_refused()? {
        marks.refuse("a PIN was being set anew")?;
    }
    // Also where the token says that it was not set: to take the mark back would forget how often another was tried.
    module.call(|_| session.init_pin(pin))
}

/// Logs the security officer in. A token that locks that PIN can only be erased, so it is tried once, twice if nothing
/// was answered, and again when a person has removed the mark.
fn officer(module: &Module, found: &Found, session: &Session, so_pin: &AuthPin, marks: &Marks) -> Result<(), Fault> {
    for (stands, why) in [(marks.refused(), "was refused"), (marks.given_up(), "was tried twice without an answer")] {
        if stands.exists() {
            let why = format!("the security officer's PIN {why}; remove this file to have one tried again");
            return Err(Fault::Refused(format!("{}: {why}", stands.display())));
        }
    }
    let info = module.call(|context: &Pkcs11| context.get_token_info(found.slot))?;
    if info.so_pin_locked() || info.so_pin_final_try() {
        let why = "the token says that the security officer's PIN is locked, or would be by one more that is wrong";
        return Err(Fault::Refused(why.to_owned()));
    }
    marks.make_room()?;
    let before = marks.begin(false)?;
    let attempt = module.call(|_| session.login(UserType::So, Some(so_pin)));
    match &attempt {
        Ok(()) => marks.answered(),
        Err(fault) if fault.leaves_pin_alone() => marks.not_tried(before),
        // Whatever else it says, it may have counted.
        Err(fault) => {
            if let Err(unmarked) = marks.refuse(&fault.to_string()) {
                tracing::error!(event = "not-marked", fault = %unmarked);
            }
        }
    }
    attempt
}

/// Logs in through the door every signer uses, but waiting for no other.
pub(super) fn login(
    module: &Module,
    found: &Found,
    session: &Session,
    pin: &Secret<255>,
    state_directory: Option<&Path>,
) -> Result<(), Fault> {
    let limits = module.profile().auth.clone();
    let pin = secret(pin)?;
    match state_directory {
        Some(directory) => Door::new(pin, limits, directory.to_owned(), 0).login(module, found, session).map(drop),
        // No signer is configured, so nobody shares marks; the token's own flags still count.
        None => Door::new(pin, limits, std::path::PathBuf::new(), 0).login_unmarked(module, found, session),
    }
}
