//! How often somebody may be wrong: a budget of wrong passwords for each user name and each address. A guess
//! is paid before it is tried and paid back when it was right, so that guesses sent all at once gain
//! nothing. Nobody is locked out for good, and not at all where he was right lately: there he has a
//! budget of his own, which strangers cannot use up.
//!
//! An address is a worker's word, so its budget belongs to the worker that named it, and so does a budget at home.
//! Each worker has tables of its own for both: one that invents addresses uses up its own budgets, and its own places
//! for them. Where a user was right counts whichever worker he comes through next, for a worker that is
//! restarted has a new name, and its users must not lose their protection by that. A hijacked one gains a few
//! more guesses at a user by naming his networks, and nothing that is another's. A user name has one budget.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::homes::{Home, Homes};
use crate::config::auth::ThrottleRules;
use crate::wire::Peer;

/// Names or addresses kept in mind in one table; those beyond share one budget.
const KEYS: usize = 65_536;
/// Workers with tables. Those that are gone and still have debts make room for those that come.
const TABLES: usize = super::WORKERS;

/// Whose budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exhausted {
    /// The user name's.
    User,
    /// The address's.
    Address,
}

/// A guess paid for.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(super) struct Charge {
    user: Purse,
    /// Paid by a user where he was right lately.
    at_home: bool,
    address: Purse,
    home: Home,
    worker: Peer,
}

/// All budgets.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    // Keys are keyed hashes: names of any length cost the same, and two that collide share a budget.
    hasher: RandomState,
    users: Budgets,
    workers: HashMap<Peer, OfWorker>,
    homes: Homes,
}

/// What one worker says of its clients uses up these, and no other's.
#[derive(Debug, Default)]
struct OfWorker {
    at_home: Budgets,
    addresses: Budgets,
    /// When its last channel ended. Hanging up forgives nothing: it may dial again.
    gone: Option<Instant>,
}

impl Throttle {
    /// Pays for one guess.
    ///
    /// # Errors
    /// Whose budget is used up; then nothing was paid.
    pub(super) fn charge(
        &mut self,
        rules: &ThrottleRules,
        user: &str,
        (worker, address): (Peer, IpAddr),
        now: Instant,
    ) -> Result<Charge, Exhausted> {
        let network = network(address);
        let home = (self.hasher.hash_one(user), self.hasher.hash_one(network));
        let at_home = self.homes.know(home, now);
        let user = if at_home { self.hasher.hash_one((worker, home)) } else { home.0 };
        let address = self.hasher.hash_one((worker, network));
        let (of_users, of_addresses) = paces(rules);
        let Self { users, workers, .. } = self;
        let of_worker = of_worker(workers, worker, now).ok_or(Exhausted::Address)?;
        let address = of_worker.addresses.pay(address, of_addresses, now).ok_or(Exhausted::Address)?;
        let of_user = if at_home { &mut of_worker.at_home } else { users };
        let Some(user) = of_user.pay(user, of_users, now) else {
            of_worker.addresses.pay_back(address, of_addresses, now);
            return Err(Exhausted::User);
        };
        Ok(Charge { user, at_home, address, home, worker })
    }

    /// Pays a guess back that was not tried.
    pub(super) fn refund(&mut self, rules: &ThrottleRules, charge: Charge, now: Instant) {
        let (of_users, of_addresses) = paces(rules);
        let mut of_worker = self.workers.get_mut(&charge.worker);
        if let Some(tables) = &mut of_worker {
            tables.addresses.pay_back(charge.address, of_addresses, now);
        }
        let of_user = if charge.at_home { of_worker.map(|tables| &mut tables.at_home) } else { Some(&mut self.users) };
        if let Some(budgets) = of_user {
            budgets.pay_back(charge.user, of_users, now);
        }
    }

    /// Pays a guess back that was right, and keeps in mind where from.
    pub(super) fn right(&mut self, rules: &ThrottleRules, charge: Charge, now: Instant) {
        self.refund(rules, charge, now);
        self.homes.note(charge.home, charge.worker, now);
    }

    /// The worker's last channel is over. Its tables go when everything in them is forgiven.
    pub(super) fn gone(&mut self, worker: Peer, now: Instant) {
        if let Some(tables) = self.workers.get_mut(&worker) {
            tables.gone = Some(now);
        }
        self.workers.retain(|_, tables| tables.gone.is_none() || tables.owes(now));
    }
}

/// The tables of a worker. None when as many that live have some: more than may have channels.
fn of_worker(workers: &mut HashMap<Peer, OfWorker>, worker: Peer, now: Instant) -> Option<&mut OfWorker> {
    if !workers.contains_key(&worker) && workers.len() >= TABLES {
        workers.retain(|_, tables| tables.gone.is_none() || tables.owes(now));
        let gone = workers.iter().filter_map(|(worker, tables)| Some((tables.gone?, *worker)));
        let longest = gone.min_by_key(|(since, _)| *since).map(|(_, worker)| worker);
        if workers.len() >= TABLES {
            workers.remove(&longest?);
        }
    }
    let tables = workers.entry(worker).or_default();
    tables.gone = None;
    Some(tables)
}

impl OfWorker {
    fn owes(&self, now: Instant) -> bool {
        self.at_home.owe(now) || self.addresses.owe(now)
    }
}

/// The address that stands for all a customer has: who is given the smallest block of IPv6 has 2^64.
#[must_use]
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// So many at once, and then one each interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    interval: Duration,
    reach: Duration,
}

impl Pace {
    pub(super) fn new(burst: u32, per_minute: u32) -> Self {
        let interval = Duration::from_secs(60) / per_minute.max(1);
        Self { interval, reach: interval * burst }
    }

    /// The debt after one more, or none when that is too many.
    #[must_use]
    pub(super) fn one_more(self, debt: Instant, now: Instant) -> Option<Instant> {
        self.one_more_after(0, debt, now)
    }

    /// The same after so many others.
    #[must_use]
    pub(super) fn one_more_after(self, others: u32, debt: Instant, now: Instant) -> Option<Instant> {
        let next = debt.max(now) + self.interval.saturating_mul(others).saturating_add(self.interval);
        (next - now <= self.reach).then_some(next)
    }
}

/// Of users and of addresses.
fn paces(rules: &ThrottleRules) -> (Pace, Pace) {
    let ThrottleRules { user_burst, user_per_minute, address_burst, address_per_minute, .. } = *rules;
    (Pace::new(user_burst, user_per_minute), Pace::new(address_burst, address_per_minute))
}

/// What a guess was paid from, and is paid back to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purse {
    /// The key's own budget.
    Own(u64),
    /// The one of those there was no place for.
    Rest,
}

/// For each key the instant at which everything will be forgiven.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    debts: HashMap<u64, Instant>,
    rest: Option<Instant>,
    swept: Option<Instant>,
}

impl Budgets {
    pub(super) fn pay(&mut self, key: u64, pace: Pace, now: Instant) -> Option<Purse> {
        if self.debts.len() >= KEYS && self.swept.is_none_or(|at| now - at >= Duration::from_secs(1)) {
            self.debts.retain(|_, until| *until > now);
            self.swept = Some(now);
        }
        let full = self.debts.len() >= KEYS && !self.debts.contains_key(&key);
        let (purse, debt) = if full {
            (Purse::Rest, self.rest.get_or_insert(now))
        } else {
            (Purse::Own(key), self.debts.entry(key).or_insert(now))
        };
        *debt = pace.one_more(*debt, now)?;
        Some(purse)
    }

    fn owe(&self, now: Instant) -> bool {
        self.debts.values().chain(&self.rest).any(|until| *until > now)
    }

    fn pay_back(&mut self, purse: Purse, pace: Pace, now: Instant) {
        let owed = |debt: Instant| debt.checked_sub(pace.interval).filter(|until| *until > now);
        match purse {
            Purse::Rest => self.rest = self.rest.and_then(owed),
            Purse::Own(key) => match self.debts.get(&key).copied().and_then(owed) {
                Some(until) => _ = self.debts.insert(key, until),
                // Who owes nothing takes no place.
                None => _ = self.debts.remove(&key),
            },
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::auth) const RULES: ThrottleRules = ThrottleRules {
        user_burst: 3,
        user_per_minute: 6,
        address_burst: 5,
        address_per_minute: 60,
        account_burst: 1,
        account_per_minute: 1,
        unwrap_burst: 1,
        unwrap_per_minute: 1,
    };
    const HOME: (Peer, IpAddr) = (Peer(41), IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const AWAY: (Peer, IpAddr) = (Peer(41), IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 1)));
    /// The same places through another worker.
    const OTHER: Peer = Peer(42);

    #[test]
    fn wrong_guesses_are_stopped_by_user_and_forgiven_in_time() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..3 {
            let _charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        }
        assert_eq!(throttle.charge(&RULES, "alice", AWAY, now).unwrap_err(), Exhausted::User);
        assert!(throttle.charge(&RULES, "bob", AWAY, now).is_ok());
        assert!(throttle.charge(&RULES, "alice", AWAY, now + Duration::from_secs(11)).is_ok());
    }

    #[test]
    fn one_address_cannot_try_every_name() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for name in ["a", "b", "c", "d", "e"] {
            let _charge = throttle.charge(&RULES, name, HOME, now).unwrap();
        }
        assert_eq!(throttle.charge(&RULES, "f", HOME, now).unwrap_err(), Exhausted::Address);
        assert!(throttle.charge(&RULES, "f", AWAY, now).is_ok());
    }

    #[test]
    fn right_guesses_cost_nothing() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..1000 {
            let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
            throttle.right(&RULES, charge, now);
        }
    }

    #[test]
    fn strangers_cannot_lock_a_user_out_of_where_he_was_right_before() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        throttle.right(&RULES, charge, now);
        while throttle.charge(&RULES, "alice", AWAY, now).is_ok() {}
        assert!(throttle.charge(&RULES, "alice", HOME, now).is_ok());
    }

    #[test]
    fn a_user_who_is_right_from_everywhere_does_not_end_that_for_others() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for number in 0..100_000_u32 {
            let from = (HOME.0, IpAddr::V6((u128::from(number) << 64).into()));
            let charge = throttle.charge(&RULES, "mallory", from, now).unwrap();
            throttle.right(&RULES, charge, now);
        }
        let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        throttle.right(&RULES, charge, now);
        while throttle.charge(&RULES, "alice", AWAY, now).is_ok() {}
        assert!(throttle.charge(&RULES, "alice", HOME, now).is_ok());
    }

    #[test]
    fn a_worker_that_names_an_address_locks_nobody_there_out_of_another_worker() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        throttle.right(&RULES, charge, now);
        // Alice's own budget there, and that of the address.
        while throttle.charge(&RULES, "alice", (OTHER, HOME.1), now).is_ok() {}
        for name in ["a", "b"] {
            let _charge = throttle.charge(&RULES, name, (OTHER, HOME.1), now).unwrap();
        }
        assert_eq!(throttle.charge(&RULES, "c", (OTHER, HOME.1), now).unwrap_err(), Exhausted::Address);
        assert!(throttle.charge(&RULES, "alice", HOME, now).is_ok());
    }

    #[test]
    fn a_user_is_protected_where_he_was_right_through_a_worker_that_is_gone() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        throttle.right(&RULES, charge, now);
        while throttle.charge(&RULES, "alice", AWAY, now).is_ok() {}
        assert!(throttle.charge(&RULES, "alice", (OTHER, HOME.1), now).is_ok());
        assert_eq!(throttle.charge(&RULES, "alice", (OTHER, AWAY.1), now).unwrap_err(), Exhausted::User);
    }

    #[test]
    fn the_tables_stay_within_their_bounds() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let rules = ThrottleRules { address_burst: 1_000_000, ..RULES };
        for number in 0..KEYS + 10 {
            let _ = throttle.charge(&rules, &number.to_string(), HOME, now);
        }
        assert!(throttle.users.debts.len() <= KEYS);
        // Beyond the bound names share a budget, and that is used up.
        assert_eq!(throttle.charge(&rules, "one more", HOME, now).unwrap_err(), Exhausted::User);
    }

    #[test]
    fn invented_names_take_no_place_from_a_user_where_he_was_right() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        throttle.right(&RULES, charge, now);
        let rules = ThrottleRules { address_burst: 1_000_000, ..RULES };
        for number in 0..KEYS + 10 {
            let _ = throttle.charge(&rules, &number.to_string(), AWAY, now);
        }
        assert_eq!(throttle.charge(&rules, "alice", AWAY, now).unwrap_err(), Exhausted::User);
        assert!(throttle.charge(&rules, "alice", HOME, now).is_ok());
        assert!(throttle.charge(&rules, "alice", (OTHER, HOME.1), now).is_ok());
    }

    #[test]
    fn a_worker_that_invents_addresses_takes_no_place_of_another() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        throttle.right(&RULES, charge, now);
        for number in 0..KEYS as u32 + 10 {
            let from = (OTHER, IpAddr::V4(number.into()));
            let _ = throttle.charge(&RULES, &(number / 3).to_string(), from, now);
        }
        let beyond = (OTHER, IpAddr::V4(u32::MAX.into()));
        assert_eq!(throttle.charge(&RULES, "x", beyond, now).unwrap_err(), Exhausted::Address);
        assert!(throttle.charge(&RULES, "alice", HOME, now).is_ok());
    }

    #[test]
    fn a_worker_that_is_at_every_home_takes_no_place_of_another() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for user in 0..KEYS {
            let charge = throttle.charge(&RULES, &user.to_string(), HOME, now).unwrap();
            throttle.right(&RULES, charge, now);
        }
        let rules = ThrottleRules { address_burst: 1_000_000, ..RULES };
        for user in 0..KEYS {
            let _wrong = throttle.charge(&rules, &user.to_string(), (OTHER, HOME.1), now).unwrap();
        }
        while throttle.charge(&rules, "7", AWAY, now).is_ok() {}
        assert!(throttle.charge(&rules, "7", HOME, now).is_ok());
    }

    #[test]
    fn hanging_up_forgives_nothing_and_keeps_nothing_that_is_forgiven() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        throttle.right(&RULES, charge, now);
        throttle.gone(HOME.0, now);
        assert!(throttle.workers.is_empty(), "it owed nothing");
        while throttle.charge(&RULES, "alice", HOME, now).is_ok() {}
        throttle.gone(HOME.0, now);
        assert_eq!(throttle.charge(&RULES, "alice", HOME, now).unwrap_err(), Exhausted::User);
        throttle.gone(HOME.0, now);
        let later = now + Duration::from_secs(60);
        throttle.gone(OTHER, later);
        assert!(throttle.workers.is_empty());
    }

    #[test]
    fn workers_that_come_and_go_take_a_bounded_number_of_tables_and_none_of_those_that_live() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        while throttle.charge(&RULES, "alice", HOME, now).is_ok() {}
        for number in 1000..1200_u16 {
            let since = now + Duration::from_millis(number.into());
            let name = number.to_string();
            let _wrong = throttle.charge(&RULES, &name, (Peer(number.into()), HOME.1), since).unwrap();
            throttle.gone(Peer(number.into()), since);
        }
        assert_eq!(throttle.workers.len(), TABLES);
        assert!(throttle.workers.contains_key(&HOME.0) && throttle.workers.contains_key(&Peer(1199)));
        for tables in throttle.workers.values_mut() {
            tables.gone = None;
        }
        assert_eq!(throttle.charge(&RULES, "x", (Peer(1), HOME.1), now).unwrap_err(), Exhausted::Address);
    }

    #[test]
    fn right_guesses_cost_nothing_when_the_table_is_full_either() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let rules = ThrottleRules { address_burst: 1_000_000, ..RULES };
        for number in 0..KEYS {
            let _charge = throttle.charge(&rules, &number.to_string(), HOME, now).unwrap();
        }
        for number in 0..100 {
            let charge = throttle.charge(&rules, &format!("one more {number}"), HOME, now).unwrap();
            throttle.right(&rules, charge, now);
        }
    }

    #[test]
    fn who_owes_nothing_takes_no_place() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        let wrong = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        let charge = throttle.charge(&RULES, "alice", HOME, now).unwrap();
        throttle.refund(&RULES, charge, now);
        assert_eq!((throttle.users.debts.len(), throttle.workers[&HOME.0].addresses.debts.len()), (1, 1));
        throttle.refund(&RULES, wrong, now);
        assert!(throttle.users.debts.is_empty() && throttle.workers[&HOME.0].addresses.debts.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_budget() {
        let (a, b, c) = ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1");
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network(a), network(b));
        assert_ne!(network(a), network(c));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
