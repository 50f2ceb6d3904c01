//! A PIN that the token refuses has been tried once, and is not tried again; one to which the token gives no clear
//! answer, twice at most. Between the PIN and `C_Login` stand the token's own warnings, a mark on disk that names the
//! token whose PIN was refused, a lock that lets one process at a time go through, and, for the second signer and those
//! after it, the wait until the first has shown that the PIN is right.

mod marks;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::context::Pkcs11;
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use zeroize::{Zeroize, Zeroizing};

use super::pkcs11::codes::Class;
use super::pkcs11::memory::keep_in_memory;
use super::pkcs11::{Fault, Found, Module};
use crate::config::profile::Auth;

use marks::PATIENCE;
pub(crate) use marks::{Marks, Stamp, passes};

/// Reads the credential `pin`.
///
/// # Errors
/// When there is no such credential, or it is empty, not text, or larger than any PIN.
pub(crate) fn credential() -> io::Result<AuthPin> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "CREDENTIALS_DIRECTORY is not set"))?;
    let octets = Zeroizing::new(std::fs::read(Path::new(&directory).join("pin"))?);
    pin(&octets)
}

/// Text without the line end an editor left.
pub(crate) fn pin(octets: &[u8]) -> io::Result<AuthPin> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let text = std::str::from_utf8(octets).map_err(|_| bad("the PIN is not UTF-8"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.len() > 255 {
        return Err(bad("the PIN is empty or longer than 255 octets"));
    }
    let mut owned = text.to_owned();
    let boxed: Box<str> = std::mem::take(&mut owned).into_boxed_str();
    owned.zeroize();
    Ok(AuthPin::from(boxed))
}

/// Whoever wants to log in comes through here.
pub(crate) struct Door {
    pin: AuthPin,
    limits: Auth,
    state_directory: PathBuf,
    ordinal: u32,
    /// Without knowing the boot no proof counts.
    stamp: Option<Stamp>,
    passed: AtomicBool,
    /// The token whose proof could not be written: the others wait for it.
    owed: Mutex<Option<Marks>>,
}

impl Door {
    /// `ordinal` 1 may try a PIN nobody has tried; 0 (a ceremony) waits for nobody either.
    pub(crate) fn new(pin: AuthPin, limits: Auth, state_directory: PathBuf, ordinal: u32) -> Self {
        keep_in_memory(&pin);
        let stamp = Stamp::now();
        Self { pin, limits, state_directory, ordinal, stamp, passed: AtomicBool::new(false), owed: Mutex::new(None) }
    }

    /// Logs the session's token in, or says why the PIN was not tried. True when somebody had logged in to it
    /// before, since the machine was started: such a token may be coming back, and not tell the whole yet.
    pub(crate) fn login(&self, module: &Module, found: &Found, session: &Session) -> Result<bool, Fault> {
        let marks = Marks::new(&self.state_directory, &found.serial);
        self.wait_for_proof(&marks)?;
        // Held until the outcome is on disk: two processes cannot both try a wrong PIN.
        let _lock = marks.lock()?;
        let known = self.knows(&marks);
        marks.check()?;
        // Before the PIN is touched: what cannot be written now could not be written once it was refused.
        marks.make_room()?;
        // A token that somebody had logged in to is coming back, perhaps, whoever has unlocked it since.
        let was_there = self.passed.load(Ordering::Relaxed) || marks.served(self.stamp.as_ref());
        self.check_token(module, found, was_there)?;
        let before = marks.begin(known)?;
        let attempt = deadline_login(module, session, &self.pin);
        match attempt {
            Ok(()) => {}
            // Another session of this process did it.
            Err(Fault::Call { code, .. }) if code.rv == 0x100 => {}
            Err(fault) if fault.class() == Class::Pin => {
                marks.refuse(&fault.to_string())?;
                return Err(Fault::Refused(format!(
                    "the token {:?} refused the PIN ({fault}); nobody tries again before `chancery token unlock`",
                    found.label
                )));
            }
            Err(fault) => {
                // Else it stays counted: it may be this module's word for a wrong PIN.
                if known || fault.leaves_pin_alone() {
                    marks.not_tried(before);
                }
                return Err(fault);
            }
        }
        marks.answered();
        self.passed.store(true, Ordering::Relaxed);
        if self.ordinal == 1 {
            self.prove(marks);
        }
        Ok(was_there)
    }

    /// Was this PIN right in this boot? What `unlock` has proved since is the one it was given, which may not be ours,
    /// and what signers have proved is theirs, and not that of a ceremony.
    fn knows(&self, marks: &Marks) -> bool {
        let stamp = self.stamp.as_ref();
        let passed = self.passed.load(Ordering::Relaxed) && !marks.is_unlocked(stamp);
        passed || (self.ordinal > 0 && marks.proved_here(stamp))
    }

    /// Tells the others that the PIN is right. Where that cannot be written this process goes on, for its own PIN is
    /// not tried again; the others wait, and [`Self::prove_again`] is asked once more.
    fn prove(&self, marks: Marks) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let first = owed.is_none();
        *owed = match marks.prove(self.stamp.as_ref()) {
            Ok(()) => None,
            Err(fault) => {
                if first {
                    tracing::error!(event = "pin-proof-not-written", fault = %fault, why = "other signers wait for it");
                }
                Some(marks)
            }
        };
    }

    /// Writes the proof that is owed, if there is one and it can be written now.
    pub(crate) fn prove_again(&self) {
        let owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(marks) = owed else { return };
        // Who holds it changes what is read here. Asked again soon.
        let Some(_lock) = marks.try_lock() else { return };
        // Whoever was refused meanwhile knows better, and whoever has unlocked has another PIN, perhaps.
        if marks.check().is_ok() && !marks.is_unlocked(self.stamp.as_ref()) {
            self.prove(marks);
        }
    }

    /// The same without marks, for a ceremony before there is any signer: the token's own flags decide.
    pub(crate) fn login_unmarked(&self, module: &Module, found: &Found, session: &Session) -> Result<(), Fault> {
        self.check_token(module, found, false)?;
        deadline_login(module, session, &self.pin)
    }

    fn wait_for_proof(&self, marks: &Marks) -> Result<(), Fault> {
        if self.ordinal <= 1 || self.passed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            if marks.check().is_err() {
                // Who sets a PIN anew marks it for as long as that takes, and has the lock: only what stays there
                // counts.
                let _lock = marks.lock()?;
                marks.check()?;
            }
            if marks.proved(self.stamp.as_ref()) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Fault::NotYet("signer 1 has not shown yet that the PIN is right".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn check_token(&self, module: &Module, found: &Found, known: bool) -> Result<(), Fault> {
        let info = module.call(|context: &Pkcs11| context.get_token_info(found.slot))?;
        let warning = if info.user_pin_locked() {
            "CKF_USER_PIN_LOCKED"
        } else if info.user_pin_final_try() {
            "CKF_USER_PIN_FINAL_TRY"
        } else if info.user_pin_count_low() {
            "CKF_USER_PIN_COUNT_LOW"
        } else if !info.user_pin_initialized() && known {
            return Err(Fault::Absent(format!("the token {:?} says no PIN is set", found.label)));
        } else if !info.user_pin_initialized() {
            "no PIN is set"
        } else {
            let length = secrecy::ExposeSecret::expose_secret(&self.pin).len();
            if length < self.limits.pin_min_octets || length > self.limits.pin_max_octets {
                return Err(Fault::Refused("the PIN has a length this token cannot have".to_owned()));
            }
            return Ok(());
        };
        Err(Fault::Refused(format!(
            "the token {:?} says {warning}: the PIN is not tried; `chancery token unlock`",
            found.label
        )))
    }
}

fn deadline_login(module: &Module, session: &Session, pin: &AuthPin) -> Result<(), Fault> {
    module.call(|_| session.login(UserType::User, Some(pin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_loses_its_line_end_and_nothing_else() {
        use secrecy::ExposeSecret;
        assert_eq!(pin(b" 12 34\r\n").unwrap().expose_secret(), " 12 34");
        for bad in [&b""[..], b"\n", b"\xff\xfe", &[b'1'; 256]] {
            assert!(pin(bad).is_err());
        }
    }

    #[test]
    fn who_waits_for_a_proof_takes_no_mark_of_a_ceremony_for_a_refusal() {
        let directory = tempfile::tempdir().unwrap();
        let pin = AuthPin::from("1234".to_owned().into_boxed_str());
        let door = Door::new(pin, Auth::default(), directory.path().to_owned(), 2);
        let marks = Marks::new(directory.path(), "0123");
        let lock = marks.lock().unwrap();
        marks.refuse("not set yet").unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| door.wait_for_proof(&marks));
            // Long enough for it to have seen the mark.
            std::thread::sleep(Duration::from_millis(200));
            marks.clear().unwrap();
            marks.prove_unlocked(door.stamp.as_ref()).unwrap();
            drop(lock);
            waiting.join().unwrap().unwrap();
        });
        marks.refuse("CKR_PIN_INCORRECT").unwrap();
        assert!(matches!(door.wait_for_proof(&marks), Err(Fault::Refused(_))));
    }

    #[test]
    fn a_proof_that_is_owed_waits_for_whoever_has_the_lock_and_stands_over_no_unlock() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Auth::default();
        let door = Door::new(AuthPin::from("1234".to_owned().into_boxed_str()), limits, directory.path().to_owned(), 1);
        let marks = Marks::new(directory.path(), "0123");
        let lock = marks.lock().unwrap();
        *door.owed.lock().unwrap() = Some(marks.clone());
        door.prove_again();
        assert!(!marks.proved(door.stamp.as_ref()), "somebody logs in just now");
        drop(lock);
        door.prove_again();
        assert!(marks.proved_here(door.stamp.as_ref()));
        marks.prove_unlocked(door.stamp.as_ref()).unwrap();
        *door.owed.lock().unwrap() = Some(marks.clone());
        door.prove_again();
        assert!(marks.is_unlocked(door.stamp.as_ref()));
    }
}
