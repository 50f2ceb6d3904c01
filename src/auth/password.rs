//! Is this the user's password? Unknown, wrong, disabled and empty cost the same work and get the same
//! answer (R-T142, A-45). A success is remembered for at most a minute under a keyed MAC; a failure never is,
//! so that trying a wrong password twice costs twice. The same guess made many times at once is tried once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::pool::{Full, Pool};
use super::reason::Reason;
use super::successes::{Key, Mac, Successes};
use super::throttle::{Charge, Exhausted, Throttle};
use crate::config::auth::hash::Hash;
use crate::config::auth::users::Account;
use crate::config::auth::{Auth, ThrottleRules};
use crate::metrics::{IntCounter, IntCounterVec};
use crate::wire::{Peer, Secret, Text};

/// Counters of this part.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    /// Successes answered from memory.
    pub(super) cache_hits: IntCounter,
    /// Guesses not tried, by whose budget was used up.
    pub(super) throttled: IntCounterVec,
}

/// Verifies passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    key: Key,
    pool: Pool,
    state: Arc<Mutex<State>>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct State {
    throttle: Throttle,
    successes: Successes<()>,
    /// Guesses being tried.
    flights: HashMap<Mac, watch::Receiver<Option<bool>>>,
    /// Goes up when users change: what was begun before is not remembered after.
    generation: u64,
}

impl Passwords {
    /// With a MAC key that lives and dies with this process.
    ///
    /// # Panics
    /// When the kernel has no randomness to give.
    #[must_use]
    pub(super) fn new(pool: Pool, counters: Counters) -> Self {
        Self { key: Key::random(), pool, state: Arc::default(), counters }
    }

    /// Forgets every success. Call when the users have changed.
    pub(super) fn forget(&self) {
        let mut state = lock(&self.state);
        state.successes.clear();
        state.generation += 1;
    }

    /// Gives the account when the password is its own and it may be used. The guess counts against the worker
    /// it came through and against the client's address.
    ///
    /// # Errors
    /// [`Reason::UnknownUser`], [`Reason::WrongPassword`], [`Reason::Disabled`] and [`Reason::Throttled`],
    /// which a client cannot tell apart; [`Reason::QueueFull`].
    pub(super) async fn verify<'a>(
        &self,
        config: &'a Auth,
        username: &Text<256>,
        password: Secret<1024>,
        (worker, source): (Peer, IpAddr),
    ) -> Result<&'a Account, Reason> {
        let account = config.users.find(username);
        let own = account.and_then(|account| account.hash.as_ref());
        let hash = own.unwrap_or(&config.users.dummy);
        // Only a usable account's success is ever remembered, so a memory cannot answer for any other.
        let usable = account.is_some_and(|account| !account.disabled) & own.is_some() & !password.expose().is_empty();
        let mac = self.mac(username, &password, hash);
        let right = match self.flight(config, mac, usable, username, hash, password, (worker, source))? {
            Flight::Landed => true,
            Flight::Under(mut way) => {
                let landed = way.wait_for(Option::is_some).await;
                landed.is_ok_and(|right| *right == Some(true))
            }
        };
        match account {
            None => Err(Reason::UnknownUser),
            Some(account) if account.disabled => Err(Reason::Disabled),
            Some(account) if right && usable => Ok(account),
            Some(_) => Err(Reason::WrongPassword),
        }
    }

    /// The last channel of that worker is over, and what was begun for it.
    pub(super) fn gone(&self, worker: Peer) {
        lock(&self.state).throttle.gone(worker, Instant::now());
    }

    /// Pays for one guess at another secret of that user: it is paid from the same budgets as a password.
    ///
    /// # Errors
    /// Whose budget is used up; nothing was paid, and the guess is not to be tried.
    pub(super) fn charge(
        &self,
        rules: &ThrottleRules,
        username: &str,
        from: (Peer, IpAddr),
    ) -> Result<Charge, Exhausted> {
        self.charged(&mut lock(&self.state), rules, username, from, Instant::now())
    }

    /// Pays a guess back that was right.
    pub(super) fn right(&self, rules: &ThrottleRules, charge: Charge) {
        lock(&self.state).throttle.right(rules, charge, Instant::now());
    }

    /// Pays a guess back of which it did not come out whether it is good.
    pub(super) fn refund(&self, rules: &ThrottleRules, charge: Charge) {
        lock(&self.state).throttle.refund(rules, charge, Instant::now());
    }

    /// Counts a success that was remembered elsewhere.
    pub(super) fn remembered(&self) {
        self.counters.cache_hits.inc();
    }

    fn charged(
        &self,
        state: &mut State,
        rules: &ThrottleRules,
        username: &str,
        from: (Peer, IpAddr),
        now: Instant,
    ) -> Result<Charge, Exhausted> {
        state.throttle.charge(rules, username, from, now).inspect_err(|exhausted| {
            let whose = match exhausted {
                Exhausted::User => "user",
                Exhausted::Address => "address",
            };
            self.counters.throttled.with_label_values(&[whose]).inc();
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one step of verify, kept apart so that its lock is seen to end")]
    fn flight(
        &self,
        config: &Auth,
        mac: Mac,
        usable: bool,
        username: &str,
        hash: &Hash,
        password: Secret<1024>,
        (worker, source): (Peer, IpAddr),
    ) -> Result<Flight, Reason> {
        let (rules, memory) = (config.throttle, config.password);
        let now = Instant::now();
        let mut state = lock(&self.state);
        if let Some(way) = state.flights.get(&mac) {
            return Ok(Flight::Under(way.clone()));
        }
        // Before the memory is asked: else guesses at a user just seen would be free.
        let charge = self.charged(&mut state, &rules, username, (worker, source), now);
        let charge = charge.map_err(|_| Reason::Throttled)?;
        if state.successes.recall(&mac, now).is_some() {
            state.throttle.right(&rules, charge, now);
            self.counters.cache_hits.inc();
            return Ok(Flight::Landed);
        }
        let (landing, way) = watch::channel(None);
        let (shared, hash, generation) = (self.state.clone(), hash.clone(), state.generation);
        let submitted = self.pool.submit(worker, move || {
            let right = hash.fits(password.expose());
            drop(password);
            let mut state = lock(&shared);
            state.flights.remove(&mac);
            if right && usable {
                let now = Instant::now();
                state.throttle.right(&rules, charge, now);
                if state.generation == generation {
                    state.successes.remember(mac, (), &memory, now);
                }
            }
            drop(state);
            landing.send_replace(Some(right));
        });
        if submitted == Err(Full) {
            state.throttle.refund(&rules, charge, now);
            return Err(Reason::QueueFull);
        }
        state.flights.insert(mac, way.clone());
        Ok(Flight::Under(way))
    }

    /// Names this guess at this hash without saying anything of it.
    fn mac(&self, username: &str, password: &Secret<1024>, hash: &Hash) -> Mac {
        let (salt, output) = hash.version();
        self.key.mac(&[username.as_bytes(), password.expose(), salt, output])
    }
}

enum Flight {
    Landed,
    Under(watch::Receiver<Option<bool>>),
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
