//! The token in custody, and the ladder that brings it back: drop the session, log in and find the keys
//! again, finalise and initialise the module. Each failure of one request climbs at least one rung; a
//! request that failed on the highest is given up and the token counts as unusable until the healer has
//! been up the ladder itself. The rung above, ending the process, is `deadline`'s.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::keys::{self, Expected, Key};
use super::meters::Meters;
use super::pin::Door;
use super::pkcs11::codes::Class;
use super::pkcs11::mechanism::question;
use super::pkcs11::{Fault, Found, Module, Opened};
use super::unwrap;
use super::walls::Way;
use crate::config::signer::{Purpose, Token};
use crate::sys::deadline;
use crate::sys::failpoint::failpoint;
use crate::wire::KeyId;
use crate::wire::links::{FailureClass, Mechanism};
use crate::wire::unwrap::{KeyTransport, Sealed};

/// What a session is asked to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// One signature.
    Sign {
        /// With which key.
        key: KeyId,
        /// How.
        mechanism: Mechanism,
        /// Of what.
        digest: Vec<u8>,
    },
    /// Octets from the token's generator.
    Draw {
        /// How many.
        length: u8,
    },
    /// The session key within.
    Unwrap {
        /// With which key.
        key: KeyId,
        /// How.
        transport: KeyTransport,
        /// Out of what.
        sealed: Sealed,
    },
}

/// Why a task was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// For issuer.
    pub(crate) class: FailureClass,
    /// `CK_RV`, 0 when the module was not at fault.
    pub(crate) rv: u64,
}

/// What holds from one C_Initialize, or login, to the next.
struct Epoch {
    number: u64,
    /// None while there is no login or not every key.
    found: Option<Found>,
    keys: HashMap<KeyId, Key>,
}

/// The token, its sessions and its keys.
pub(crate) struct Custody {
    module: Module,
    token: Token,
    /// Of the token first found.
    serial: OnceLock<String>,
    door: Door,
    expected: Vec<Expected>,
    /// Readers are inside the module; the writer of the ladder is alone there.
    epoch: RwLock<Epoch>,
    /// One a thread, and the anchor last: it keeps the login when all others are closed (tpm2-pkcs11 #844).
    sessions: Vec<Mutex<Option<Opened>>>,
    last_rv: Mutex<u64>,
    /// Something did not open: was it the token?
    doubted: AtomicBool,
    broken: (Mutex<()>, Condvar),
    signs: Signs,
}

/// What is to be held.
pub(crate) struct Plan {
    /// The token.
    pub(crate) token: Token,
    /// Its keys.
    pub(crate) expected: Vec<Expected>,
    /// Session threads.
    pub(crate) sessions: u16,
}

/// How others learn of the token's state.
pub(crate) struct Signs {
    /// Can it sign now?
    pub(crate) usable: Arc<AtomicBool>,
    /// Told of each change.
    pub(crate) health: Mutex<Box<dyn Fn(bool) + Send>>,
    /// Counted.
    pub(crate) meters: Meters,
}

impl Signs {
    /// Tells of a change, of one at a time: the last that is told is the last that was made.
    fn change(&self, usable: bool, log: impl FnOnce()) {
        let health = lock(&self.health);
        if self.usable.swap(usable, Ordering::SeqCst) != usable {
            log();
            self.meters.usable.set(i64::from(usable));
            health(usable);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Custody {
    /// Initialises the module, logs in and finds every key, or fails: nothing is retried at start. `way` explains why
    /// an HSM was not reached.
    pub(crate) fn open(module: Module, door: Door, plan: Plan, signs: Signs, way: &Way) -> Result<Self, Fault> {
        let custody = Self {
            module,
            token: plan.token,
            serial: OnceLock::new(),
            door,
            expected: plan.expected,
            epoch: RwLock::new(Epoch { number: 0, found: None, keys: HashMap::new() }),
            sessions: (0..=plan.sessions).map(|_| Mutex::new(None)).collect(),
            last_rv: Mutex::new(0),
            doubted: AtomicBool::new(false),
            broken: (Mutex::new(()), Condvar::new()),
            signs,
        };
        custody.module.initialise().map_err(|fault| way.explain(fault))?;
        let found = custody.find().map_err(|fault| way.explain(fault))?;
        let mut epoch = custody.epoch.write().unwrap_or_else(PoisonError::into_inner);
        custody.begin(&mut epoch, found)?;
        drop(epoch);
        custody.signs.change(true, || ());
        Ok(custody)
    }

    /// The token and its keys, in the order of configuration.
    pub(crate) fn inventory(&self) -> (Option<Found>, Vec<(KeyId, Key)>) {
        let epoch = self.epoch.read().unwrap_or_else(PoisonError::into_inner);
        let keys = self
            .expected
            .iter()
            .filter_map(|expected| epoch.keys.get(&expected.id).map(|key| (expected.id.clone(), key.clone())));
        (epoch.found.clone(), keys.collect())
    }

    /// Does the task on session `index`, climbing the ladder as far as it must.
    pub(crate) fn perform(&self, index: usize, task: &Task) -> Result<Vec<u8>, GivenUp> {
        let mut climbed = Class::Busy;
        loop {
            if !self.signs.usable.load(Ordering::SeqCst) {
                return Err(GivenUp { class: FailureClass::Token, rv: *lock(&self.last_rv) });
            }
            let (number, fault) = match self.attempt(index, task) {
                (_, Ok(octets)) => return Ok(octets),
                (number, Err(fault)) => (number, fault),
            };
            let class = fault.class();
            self.signs.meters.faults.with_label_values(&[class.name()]).inc();
            let rung = match (class, climbed) {
                (Class::Request | Class::Busy, _) => {
                    // The operation may still be active; only closing the session ends it.
                    lock(&self.sessions[index]).take();
                    let class = if class == Class::Request { FailureClass::Request } else { FailureClass::Busy };
                    return Err(GivenUp { class, rv: fault.rv() });
                }
                (Class::Pin, _) | (_, Class::Reinitialise) => {
                    self.declare_broken(&fault);
                    return Err(GivenUp { class: FailureClass::Token, rv: fault.rv() });
                }
                (class, Class::Busy) => class,
                (class, Class::Session) => class.max(Class::Login),
                (_, _) => Class::Reinitialise,
            };
            tracing::warn!(event = "climb", rung = rung.name(), session = index, fault = %fault);
            if let Err(fault) = self.climb(rung, number, index) {
                self.declare_broken(&fault);
                return Err(GivenUp { class: FailureClass::Token, rv: fault.rv() });
            }
            climbed = rung;
        }
    }

    /// One try; with the number of the epoch it was made in.
    fn attempt(&self, index: usize, task: &Task) -> (u64, Result<Vec<u8>, Fault>) {
        let epoch = self.epoch.read().unwrap_or_else(PoisonError::into_inner);
        (epoch.number, self.attempt_in(&epoch, index, task))
    }

    fn attempt_in(&self, epoch: &Epoch, index: usize, task: &Task) -> Result<Vec<u8>, Fault> {
        let found = epoch.found.as_ref().ok_or_else(gone)?;
        let mut slot = lock(&self.sessions[index]);
        let session = match slot.take() {
            Some(session) => session,
            None => self.module.open(found.slot)?,
        };
        let session = slot.insert(session);
        match task {
            Task::Draw { length } => self.module.call(|_| session.generate_random_vec(u32::from(*length))),
            Task::Sign { key, mechanism, digest } => {
                // Both are answered before the module is asked.
                let key = epoch.keys.get(key).filter(|key| key.purpose.signs()).ok_or_else(bad_request)?;
                let question =
                    question(*mechanism, key.kind, digest, &self.module.profile().sign).ok_or_else(bad_request)?;
                failpoint("digest-sent");
                let began = Instant::now();
                let signature = self.module.call(|_| session.sign(&question.mechanism, key.handle, &question.data))?;
                self.signs.meters.sign.observe(began.elapsed().as_secs_f64());
                failpoint("signed");
                if signature.len() != question.length {
                    return Err(Fault::Module(format!("a signature of {} octets", signature.len())));
                }
                Ok(signature)
            }
            Task::Unwrap { key, transport, sealed } => {
                let key = epoch.keys.get(key).filter(|key| key.purpose == Purpose::Unwrap).ok_or_else(bad_request)?;
                let fit = key.openings.as_ref().is_some_and(|openings| openings.fit(*transport, sealed));
                if !fit {
                    return Err(bad_request());
                }
                failpoint("key-sent");
                let began = Instant::now();
                let opened = unwrap::open(&self.module, session, key.handle, *transport, sealed);
                self.signs.meters.unwrap.observe(began.elapsed().as_secs_f64());
                failpoint("key-opened");
                opened.map_err(|fault| {
                    if !unwrap::is_doubtful(&fault) {
                        return fault;
                    }
                    self.doubted.store(true, Ordering::SeqCst);
                    bad_request()
                })
            }
        }
    }

    /// Climbs to a rung, unless somebody did since epoch `seen`.
    fn climb(&self, rung: Class, seen: u64, index: usize) -> Result<(), Fault> {
        if rung == Class::Session {
            lock(&self.sessions[index]).take();
            return Ok(());
        }
        let mut epoch = self.epoch.write().unwrap_or_else(PoisonError::into_inner);
        if epoch.number != seen {
            // Somebody did, and may have come back with nothing.
            return epoch.found.as_ref().map(drop).ok_or_else(gone);
        }
        // The epoch changes whatever happens, so that those who wait behind this do not climb again.
        epoch.number += 1;
        // Every session, before C_Finalize: a late C_CloseSession would hit a session opened afterwards.
        for session in &self.sessions {
            lock(session).take();
        }
        epoch.keys.clear();
        if rung == Class::Login && epoch.found.is_some() && self.login(&mut epoch).is_ok() {
            return Ok(());
        }
        let anew = super::walls::device_is_another();
        if anew || self.module.profile().recovery.restart_process {
            let by_profile = "the profile says that this module must be loaded anew";
            let why = if anew { "a device was made anew, and what was granted is the one before" } else { by_profile };
            tracing::error!(event = "restart", why);
            deadline::leave(super::RETRY);
        }
        self.signs.meters.reinitialised.inc();
        for session in &self.sessions {
            lock(session).take();
        }
        epoch.found = None;
        self.module.finalise();
        self.module.initialise()?;
        let found = self.find()?;
        self.begin(&mut epoch, found)?;
        tracing::info!(event = "reinitialised", epoch = epoch.number);
        Ok(())
    }

    /// The token, wherever it is now.
    fn find(&self) -> Result<Found, Fault> {
        self.module.find(&self.token, self.serial.get().map(String::as_str))
    }

    fn begin(&self, epoch: &mut Epoch, found: Found) -> Result<(), Fault> {
        // Not every vendor numbers its tokens.
        if !found.serial.is_empty() {
            self.serial.get_or_init(|| found.serial.clone());
        }
        epoch.found = Some(found);
        // Without its keys it is as good as gone.
        self.login(epoch).inspect_err(|_| epoch.found = None)
    }

    /// Opens the anchor, logs in, finds and checks every key.
    fn login(&self, epoch: &mut Epoch) -> Result<(), Fault> {
        let found = epoch.found.as_ref().ok_or_else(gone)?;
        let anchor = self.module.open(found.slot)?;
        let known = self.door.login(&self.module, found, &anchor).inspect_err(stop_if_refused)?;
        for expected in &self.expected {
            let key = keys::find(&self.module, &anchor, expected)
                .map_err(|fault| match fault {
                    // In a token that nobody here has logged in to since the machine was started, it is one
                    // that configuration got wrong.
                    Fault::Absent(why) if epoch.number == 0 && !known => Fault::Refused(why),
                    fault => fault,
                })
                .inspect_err(stop_if_refused)?;
            epoch.keys.insert(expected.id.clone(), key);
        }
        if let Some(place) = self.sessions.last() {
            *lock(place) = Some(anchor);
        }
        Ok(())
    }

    fn declare_broken(&self, fault: &Fault) {
        *lock(&self.last_rv) = fault.rv();
        self.signs.change(false, || tracing::error!(event = "token-lost", fault = %fault));
        self.broken.1.notify_all();
    }

    /// The healer's life: looks at the token once a second while it is usable, climbs the ladder with growing
    /// pauses while it is not.
    pub(crate) fn heal(&self) {
        let recovery = &self.module.profile().recovery;
        let shortest = Duration::from_millis(recovery.reinitialise_backoff_min_ms);
        let longest = Duration::from_millis(recovery.reinitialise_backoff_max_ms);
        let mut pause = shortest;
        loop {
            if self.signs.usable.load(Ordering::SeqCst) {
                pause = shortest;
                let guard = lock(&self.broken.0);
                let _ = self.broken.1.wait_timeout(guard, Duration::from_secs(1));
                self.door.prove_again();
                if self.signs.usable.load(Ordering::SeqCst)
                    && let Err(fault) = self.glance()
                {
                    self.declare_broken(&fault);
                }
                continue;
            }
            let seen = self.epoch.read().unwrap_or_else(PoisonError::into_inner).number;
            match self.climb(Class::Reinitialise, seen, 0) {
                Ok(()) => self.signs.change(true, || tracing::info!(event = "token-back")),
                Err(fault) => {
                    tracing::warn!(event = "token-away", fault = %fault, again_ms = pause.as_millis());
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    /// Is the anchor's session still one? Notices a removed token while nobody asks for signatures, and one that
    /// opens nothing any more, when there is a doubt.
    fn glance(&self) -> Result<(), Fault> {
        let inside = self.epoch.read().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = self.sessions.last() else { return Ok(()) };
        let anchor = lock(place);
        let Some(session) = anchor.as_ref() else { return Err(Fault::Absent("no anchor session".to_owned())) };
        self.module.call(|_| session.get_session_info())?;
        if self.doubted.swap(false, Ordering::SeqCst) {
            for key in inside.keys.values() {
                let still =
                    key.openings.iter().try_for_each(|openings| openings.still(&self.module, session, key.handle));
                match still {
                    // A token that is busy with what strangers send is not lost: it is asked again.
                    Err(fault) if fault.class() == Class::Busy => {
                        self.doubted.store(true, Ordering::SeqCst);
                    }
                    other => other?,
                }
            }
        }
        Ok(())
    }
}

fn gone() -> Fault {
    Fault::Absent("the token is gone".to_owned())
}

fn bad_request() -> Fault {
    use super::pkcs11::codes::Code;
    Fault::Call { code: Code { rv: 0, name: "not for this key", class: Class::Request }, function: "request".into() }
}

/// After a refusal only a person can help: the process ends so that it says so once and stays ended.
fn stop_if_refused(fault: &Fault) {
    if let Fault::Refused(why) = fault {
        tracing::error!(event = "refused", why = %why);
        deadline::leave(super::CONFIG);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_token_that_is_back_is_not_told_of_before_it_was_lost() {
        let (begun, begins) = channel();
        let (tell, told) = channel();
        let slow = move |usable: bool| {
            if !usable {
                begun.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
            tell.send(usable).unwrap();
        };
        let signs = Signs {
            usable: Arc::new(AtomicBool::new(true)),
            health: Mutex::new(Box::new(slow)),
            meters: Meters::new(&Metrics::new("signer")),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| signs.change(false, || ()));
            begins.recv().unwrap();
            signs.change(true, || ());
        });
        assert_eq!((told.recv(), told.recv()), (Ok(false), Ok(true)));
        assert!(signs.usable.load(Ordering::SeqCst));
    }
}
