//! Users that an LDAP directory knows. Whose name it is is looked up with our own rights, and the password is proved by
//! binding as the entry that was found; an unknown name binds as an entry that is there to be tried in vain, so that
//! a server has the same to do. What is left of the difference a clock hides: refusals are given at
//! multiples of a time, whatever it took to find out. A directory that does not answer is no word about a
//! password, costs nobody a guess unless it was told one, and is told to the client as such.

mod ber;
mod connection;
mod entry;
mod message;
mod servers;
#[cfg(test)]
mod tests;
mod visit;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};
use tracing::warn;

use self::entry::Unfit;
use self::message::{Entry, Scope, Search};
use self::servers::{Kind, Servers};
use self::visit::Visit;
use super::password::Passwords;
use super::pool::Shares;
use super::reason::Reason;
use super::successes::{Key, Mac, Successes};
use super::throttle::{Charge, Exhausted};
use crate::config::auth::Auth;
use crate::config::auth::directory::{Directory as Rules, GroupForm, GroupsFrom};
use crate::config::auth::users::Account;
use crate::sys::gate::LogGate;
use crate::wire::evidence::Refusal;
use crate::wire::{Peer, Secret, Text};

/// Every directory there is.
#[derive(Debug, Default)]
pub(super) struct Directories(Vec<Directory>);

/// One directory.
#[derive(Debug)]
pub(super) struct Directory {
    rules: Arc<Rules>,
    servers: Servers,
    key: Key,
    state: Mutex<State>,
    /// As many users are verified at one time.
    places: Semaphore,
    /// As many wait, of one worker half of them.
    shares: Shares,
    /// For lines on entries that give no account.
    unfit: LogGate,
}

#[derive(Debug, Default)]
struct State {
    successes: Successes<Arc<Account>>,
    /// Guesses being tried, each for the worker it came through: what one worker is told for its own sake is no answer
    /// to another.
    flights: HashMap<(Peer, Mac), watch::Receiver<Option<Landed>>>,
    /// How often each account that has proved itself through a worker is asked about at this moment.
    turns: HashMap<(Peer, Text<256>), usize>,
}

type Landed = Result<Arc<Account>, Reason>;

/// A guess at the password of somebody in a directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess<'a> {
    /// The name as it was typed.
    pub(super) username: &'a Text<256>,
    /// The password.
    pub(super) password: &'a Secret<1024>,
    /// The worker it came through, and where from.
    pub(super) from: (Peer, IpAddr),
}

impl Directories {
    /// The directories of a configuration, with our password at each.
    pub(super) fn new(directories: Vec<(Arc<Rules>, Secret<1024>)>) -> Self {
        Self(directories.into_iter().map(|(rules, password)| Directory::new(rules, password)).collect())
    }

    /// The one that this name belongs to, if it belongs to one, and the user's own part of it.
    pub(super) fn of<'a>(&self, username: &'a str) -> Option<(&Directory, &'a str)> {
        self.0.iter().find_map(|directory| Some((directory, directory.rules.bare(username)?)))
    }
}

impl Directory {
    fn new(rules: Arc<Rules>, password: Secret<1024>) -> Self {
        let limits = rules.limits;
        Self {
            servers: Servers::new(rules.clone(), password),
            key: Key::random(),
            state: Mutex::default(),
            places: Semaphore::new(limits.connections),
            shares: Shares::new(limits.queue),
            unfit: LogGate::new(1),
            rules,
        }
    }

    /// Gives the account when the password is its own and it may be used. `bare` is the user's own part of the name.
    ///
    /// # Errors
    /// [`Reason::UnknownUser`], [`Reason::AmbiguousUser`], [`Reason::WrongPassword`], [`Reason::Disabled`],
    /// [`Reason::UnfitEntry`] and [`Reason::Throttled`], which a client cannot tell apart;
    /// [`Reason::QueueFull`] and [`Reason::DirectoryDown`].
    pub(super) async fn verify(
        &self,
        config: &Auth,
        passwords: &Passwords,
        bare: &str,
        guess: Guess<'_>,
    ) -> Result<Arc<Account>, Reason> {
        let begun = tokio::time::Instant::now();
        let landed = match self.begin(config, passwords, bare, guess) {
            Ok(begun) => self.judge(config, begun, bare, guess).await,
            // Of whomever it was a guess: nobody was looked for, and there is nothing to hide.
            Err(Exhausted::Address) => return Err(Reason::Throttled),
            Err(Exhausted::User) => Err(Reason::Throttled),
        };
        if landed.as_ref().is_err_and(|reason| reason.refusal() == Refusal::FailedAuthentication) {
            let each = self.rules.limits.refusal;
            let gone = begun.elapsed().as_nanos() / each.as_nanos();
            tokio::time::sleep_until(begun + each * u32::try_from(gone + 1).unwrap_or(u32::MAX)).await;
        }
        landed
    }

    async fn judge(&self, config: &Auth, begun: Begun<'_>, bare: &str, guess: Guess<'_>) -> Landed {
        let (mut paid, flight) = match begun {
            Begun::Known(landed) => return landed,
            Begun::Under(mut way) => {
                let landed = way.wait_for(Option::is_some).await;
                // Where whoever tried it is gone before it came out, nothing came out.
                return landed.ok().and_then(|landed| landed.clone()).unwrap_or(Err(Reason::DirectoryDown));
            }
            Begun::Paid(paid, flight) => (paid, flight),
        };
        let landed = self.try_once(config, &mut paid, bare, guess).await;
        match &landed {
            Ok(account) => {
                paid.right();
                let mut state = lock(&self.state);
                state.successes.remember(flight.mac, account.clone(), &config.password, Instant::now());
            }
            Err(Reason::DirectoryDown | Reason::QueueFull) => paid.refund(),
            Err(_) => {}
        }
        flight.landing.send_replace(Some(landed.clone()));
        landed
    }

    fn begin<'a>(
        &'a self,
        config: &'a Auth,
        passwords: &'a Passwords,
        bare: &str,
        guess: Guess<'_>,
    ) -> Result<Begun<'a>, Exhausted> {
        let mac = self.key.mac(&[guess.username.as_bytes(), guess.password.expose()]);
        let mut state = lock(&self.state);
        if let Some(way) = state.flights.get(&(guess.from.0, mac)) {
            return Ok(Begun::Under(way.clone()));
        }
        // Before the memory is asked: else guesses at a user just seen would be free.
        let mut paid = Paid::new(config, passwords, guess.from, self.rules.key(bare))?;
        if let Some(account) = state.successes.recall(&mac, Instant::now()).cloned() {
            let own = self.rules.bare(&account.name).unwrap_or(bare);
            return Ok(Begun::Known(paid.by(self.rules.key(own)).map(|()| {
                paid.right();
                passwords.remembered();
                account
            })));
        }
        let (landing, way) = watch::channel(None);
        state.flights.insert((guess.from.0, mac), way);
        Ok(Begun::Paid(paid, Flight { directory: self, worker: guess.from.0, mac, landing }))
    }

    async fn try_once(&self, config: &Auth, paid: &mut Paid<'_>, bare: &str, guess: Guess<'_>) -> Landed {
        let ticket = self.shares.take(guess.from.0).ok_or(Reason::QueueFull)?;
        let mut visit = Visit::to(&self.servers, bare);
        let proving = async {
            // It is never closed.
            let _place = self.places.acquire().await.map_err(|_| Reason::DirectoryDown)?;
            drop(ticket);
            self.prove(&mut visit, config, paid, bare, guess).await
        };
        let landed = tokio::time::timeout(self.rules.limits.deadline, proving).await;
        if visit.unanswered() {
            paid.spend();
        }
        landed.unwrap_or(Err(Reason::DirectoryDown))
    }

    async fn prove(
        &self,
        visit: &mut Visit<'_>,
        config: &Auth,
        paid: &mut Paid<'_>,
        bare: &str,
        guess: Guess<'_>,
    ) -> Landed {
        let search = Search {
            base: &self.rules.base_dn,
            scope: Scope::Subtree,
            filter: Some((&self.rules.filter, bare.as_bytes())),
            // Two are one too many.
            most: 2,
            attributes: &entry::asked_first(&self.rules),
            page: None,
        };
        let found = visit.search(Kind::Find, &search).await?;
        let candidate = match &found[..] {
            [] => Err(Reason::UnknownUser),
            [entry] => {
                entry::name(&self.rules, entry).map(|name| (entry, name)).map_err(|unfit| self.unfit(&entry.dn, &unfit))
            }
            _ => Err(Reason::AmbiguousUser),
        };
        if let Ok((_, name)) = &candidate {
            // However it was spelled, it is a guess at this account.
            let key = self.rules.key(self.rules.bare(name).unwrap_or(bare));
            visit.is_about(&key);
            paid.by(key)?;
        }
        // A server may take an empty password for a question that needs none (RFC 4513, 5.1.2), and one that ends its
        // texts at a nought may take others for empty.
        let octets = guess.password.expose();
        let usable = !octets.is_empty() && !octets.contains(&0) && std::str::from_utf8(octets).is_ok();
        let (dn, octets) = match &candidate {
            Ok((entry, _)) if usable => (entry.dn.as_str(), octets),
            _ => (self.rules.decoy_dn.as_str(), if usable { octets } else { &b"none"[..] }),
        };
        let right = visit.bind(dn, octets).await? && usable;
        let (entry, name) = candidate?;
        if entry::is_disabled(&self.rules.disabled, entry) {
            return Err(Reason::Disabled);
        }
        if !right {
            return Err(Reason::WrongPassword);
        }
        // Whose entry is hard to answer for takes so many places and no more, however he spells himself.
        let _turn = Turn::of(self, guess.from.0, &name).ok_or(Reason::QueueFull)?;
        self.account(visit, config, &entry.dn, name).await
    }

    /// The account of an entry whose owner has proved himself.
    async fn account(&self, visit: &mut Visit<'_>, config: &Auth, dn: &str, name: Text<256>) -> Landed {
        let attribute = match self.rules.groups.as_ref().map(|groups| &groups.from) {
            Some(GroupsFrom::Attribute(attribute)) => Some(attribute.as_str()),
            _ => None,
        };
        let mut attributes: Vec<&str> = self.rules.attributes.iter().map(|rule| rule.from.as_str()).collect();
        attributes.extend(attribute);
        if attributes.is_empty() {
            // RFC 4511, 4.5.1.8: an empty list would ask for all of them.
            attributes.push("1.1");
        }
        let search =
            Search { base: dn, scope: Scope::Base, filter: None, most: 1, attributes: &attributes, page: None };
        let found = visit.search(Kind::Find, &search).await?;
        let [entry] = &found[..] else { return Err(self.unfit(dn, &Unfit("it is not there any more".to_owned()))) };
        let groups = self.groups(visit, dn, entry).await?;
        let account = entry::account(&self.rules, name, entry, groups, &config.users.vocabulary);
        account.map(Arc::new).map_err(|unfit| self.unfit(dn, &unfit))
    }

    async fn groups(&self, visit: &mut Visit<'_>, dn: &str, entry: &Entry) -> Result<Vec<Text<4096>>, Reason> {
        let Some(rules) = &self.rules.groups else { return Ok(Vec::new()) };
        let named = match &rules.from {
            GroupsFrom::Attribute(attribute) => entry::named_groups(&rules.form, attribute, entry),
            GroupsFrom::Search { base_dn, filter, page } => {
                let attribute = match &rules.form {
                    GroupForm::Attribute(attribute) => attribute.as_str(),
                    _ => "1.1",
                };
                let search = Search {
                    base: base_dn,
                    scope: Scope::Subtree,
                    filter: Some((filter, dn.as_bytes())),
                    most: u32::try_from(rules.most).unwrap_or(u32::MAX),
                    attributes: &[attribute],
                    page: Some(*page),
                };
                let found = visit.search(Kind::Groups, &search).await?;
                found.iter().map(|group| entry::group(&rules.form, group)).collect()
            }
        };
        let groups: Vec<_> = named.map_err(|unfit| self.unfit(dn, &unfit))?;
        if groups.len() > rules.most {
            return Err(self.unfit(dn, &Unfit(format!("it is in more than {} groups", rules.most))));
        }
        Ok(groups)
    }

    fn unfit(&self, dn: &str, unfit: &Unfit) -> Reason {
        if let Some(left_out) = self.unfit.pass() {
            let directory = self.rules.name.as_str();
            let (dn, why) = (&dn[..dn.floor_char_boundary(256)], &unfit.0[..unfit.0.floor_char_boundary(256)]);
            warn!(event = "directory-entry-unfit", directory, dn = ?dn, why, left_out);
        }
        Reason::UnfitEntry
    }
}

/// What becomes of a guess at first.
enum Begun<'a> {
    /// It was right a moment ago; as such it may be one too many.
    Known(Landed),
    /// It is being tried.
    Under(watch::Receiver<Option<Landed>>),
    /// It is to be tried.
    Paid(Paid<'a>, Flight<'a>),
}

/// A guess being tried. When it is given up, those who wait for it are told so.
struct Flight<'a> {
    directory: &'a Directory,
    worker: Peer,
    mac: Mac,
    landing: watch::Sender<Option<Landed>>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        lock(&self.directory.state).flights.remove(&(self.worker, self.mac));
    }
}

/// One of the places of somebody who has proved himself, through one worker.
struct Turn<'a>(&'a Directory, (Peer, Text<256>));

impl<'a> Turn<'a> {
    /// None when a quarter of all places are his already through this worker, or half of them through all: one who is
    /// slow to be found takes them from nobody, and a worker that takes his takes no other worker's.
    fn of(directory: &'a Directory, worker: Peer, name: &Text<256>) -> Option<Self> {
        let most = (directory.rules.limits.connections / 4).max(1);
        let who = (worker, name.clone());
        let mut state = lock(&directory.state);
        // Never more of them than there are places.
        let all: usize = state.turns.iter().filter(|((_, other), _)| other == name).map(|(_, count)| count).sum();
        let turns = state.turns.entry(who.clone()).or_default();
        if *turns >= most || all >= most * 2 {
            if *turns == 0 {
                state.turns.remove(&who);
            }
            return None;
        }
        *turns += 1;
        Some(Self(directory, who))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if let Some(turns) = state.turns.get_mut(&self.1) {
            *turns -= 1;
            if *turns == 0 {
                state.turns.remove(&self.1);
            }
        }
    }
}

/// A guess paid for by a name, which turns out to be a spelling of another.
struct Paid<'a> {
    config: &'a Auth,
    passwords: &'a Passwords,
    from: (Peer, IpAddr),
    name: String,
    charge: Option<Charge>,
}

impl<'a> Paid<'a> {
    fn new(config: &'a Auth, passwords: &'a Passwords, from: (Peer, IpAddr), name: String) -> Result<Self, Exhausted> {
        let charge = Some(passwords.charge(&config.throttle, &name, from)?);
        Ok(Self { config, passwords, from, name, charge })
    }

    /// Has the guess paid by this name instead. Where that has nothing left, what was paid stays paid: it cost a
    /// search.
    fn by(&mut self, name: String) -> Result<(), Reason> {
        if name != self.name {
            let charge = self.passwords.charge(&self.config.throttle, &name, self.from);
            let charge = charge.map_err(|_| Reason::Throttled)?;
            self.refund();
            self.charge = Some(charge);
            self.name = name;
        }
        Ok(())
    }

    fn refund(&mut self) {
        if let Some(charge) = self.charge.take() {
            self.passwords.refund(&self.config.throttle, charge);
        }
    }

    /// What was paid stays paid, whatever comes of it.
    fn spend(&mut self) {
        self.charge = None;
    }

    fn right(&mut self) {
        if let Some(charge) = self.charge.take() {
            self.passwords.right(&self.config.throttle, charge);
        }
    }
}

/// Is this what a server says to the question `id`?
pub(super) fn is_answer(octets: &[u8], id: u32) -> bool {
    message::read(octets, id).is_ok()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
