//! What is known of the servers of a directory, and connections to them. A server that fails is left alone for a
//! second, then two, four, …, and then one question alone tries it. It fails when no connection is to be had, or when
//! questions about three users in a row have no answer: one user alone may be one who is hard to answer for, and
//! whoever knows of such a one could take the servers from everybody. Each kind of question fails for itself, for a
//! server may find users and have nobody to ask for their passwords. Connections are kept in two piles: those that
//! search are bound as ourselves, the others carry binds and nothing else, so that no search is ever made with a user's
//! rights.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};

use super::connection::{Connection, Question, Trouble};
use super::message::Code;
use crate::auth::reason::Reason;
use crate::auth::tls::TlsClient;
use crate::config::auth::directory::Directory;
use crate::sys::gate::LogGate;
use crate::wire::Secret;

/// For how long a server is left alone that refuses our own password: each try might count against it.
const REFUSED: Duration = Duration::from_secs(300);

/// Questions about so many users in a row that have no answer say that a server is not well.
const STRIKES: usize = 3;

/// The servers of one directory.
#[derive(Debug)]
pub(super) struct Servers {
    rules: Arc<Directory>,
    password: Secret<1024>,
    tls: TlsClient,
    state: Mutex<Vec<Server>>,
    /// Who says to a server who we are: two at a time, for each may count there.
    own: Vec<Semaphore>,
    /// For lines on questions that have no answer, on servers that fail, and on those that are back.
    answers: LogGate,
    down: LogGate,
    up: LogGate,
}

/// What one server is known for.
#[derive(Debug, Default)]
struct Server {
    /// By kind of question.
    health: [Health; 3],
    /// Connections on which nobody asks now, and since when they are: that search, and that bind.
    searching: Vec<Since>,
    binding: Vec<Since>,
    /// Until when it is left alone because it refused our own password. Nothing ends that but time.
    refused: Option<Instant>,
}

type Since = (Connection, Instant);

/// What a question is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who somebody is that calls himself so, and what his entry says.
    Find,
    /// Whether that is his password.
    Prove,
    /// Which groups he is in.
    Groups,
}

impl Kind {
    /// For a log.
    fn word(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Prove => "prove",
            Self::Groups => "groups",
        }
    }
}

/// How questions of one kind fare at one server.
#[derive(Debug, Default)]
struct Health {
    /// How often they failed since one last had an answer.
    failures: u32,
    /// About whom they had none since, on a connection that was good before.
    struck: Vec<String>,
    /// Until when none is asked.
    until: Option<Instant>,
}

/// A server for a question.
pub(super) struct Chosen {
    index: usize,
    kind: Kind,
    /// How often it had failed then: many questions that fail together are one failure.
    failures: u32,
    /// A connection to it that waits, and since when it is.
    pub(super) waiting: Option<Since>,
}

impl Chosen {
    /// Which one it is.
    pub(super) fn index(&self) -> usize {
        self.index
    }
}

impl Servers {
    /// Of this directory, where that is our password.
    pub(super) fn new(rules: Arc<Directory>, password: Secret<1024>) -> Self {
        let state = Mutex::new(rules.servers.iter().map(|_| Server::default()).collect());
        let own = rules.servers.iter().map(|_| Semaphore::new(2)).collect();
        let tls = TlsClient::trusting(&rules.anchors);
        let gate = || LogGate::new(1);
        Self { rules, password, tls, state, own, answers: gate(), down: gate(), up: gate() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.rules.servers.len()
    }

    /// As many connections of each kind wait for a question, at most.
    pub(super) fn connections(&self) -> usize {
        self.rules.limits.connections
    }

    /// The first server that is well and was not tried, with a connection to it that waits, if there is one. The one
    /// that answered last goes before all.
    pub(super) fn choose(&self, kind: Kind, tried: &[bool], last: Option<usize>) -> Option<Chosen> {
        let now = Instant::now();
        let mut servers = lock(&self.state);
        let well = |index: &usize| !tried[*index] && servers[*index].is_well(kind, now);
        let index = last.filter(well).or_else(|| (0..tried.len()).find(well))?;
        let health = servers[index].health(kind);
        if health.failures > 0 {
            // One question alone finds out whether it is back.
            health.until = Some(now + self.rules.limits.connect + self.rules.limits.operation);
        }
        let (failures, life) = (health.failures, self.rules.limits.life);
        let pile = servers[index].pile(kind);
        pile.retain(|(_, since)| now - *since < life);
        Some(Chosen { index, kind, failures, waiting: pile.pop() })
    }

    /// Connects, and says who we are where we are to search. Where that cannot be done, it is noted.
    pub(super) async fn open(&self, chosen: &Chosen) -> Option<Connection> {
        let limits = self.rules.limits;
        let opening = Connection::open(&self.rules.servers[chosen.index], &self.tls.0, limits.operation);
        let opened = match timeout(limits.connect, opening).await {
            Ok(opened) => opened.map_err(Trouble::why),
            Err(_) => Err("does not answer in time".to_owned()),
        };
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(why) => {
                self.failed(chosen, &why);
                return None;
            }
        };
        if chosen.kind != Kind::Prove {
            // It is never closed.
            let _turn = self.own[chosen.index].acquire().await.ok()?;
            // Somebody may have found out meanwhile.
            if !self.is_as_it_was(chosen) {
                return None;
            }
            if let Err(why) = self.introduce(chosen.index, &mut connection).await {
                self.failed(chosen, &why);
                return None;
            }
        }
        Some(connection)
    }

    async fn introduce(&self, index: usize, connection: &mut Connection) -> Result<(), String> {
        let own = Question::Bind(&self.rules.bind_dn, self.password.expose());
        match connection.ask(own).await.map_err(Trouble::why)?.0 {
            Code::SUCCESS => Ok(()),
            code if code.refuses() => {
                lock(&self.state)[index].refused = Some(Instant::now() + REFUSED);
                let (directory, server) = (self.rules.name.as_str(), self.rules.servers[index].host.as_str());
                // In five minutes twice at most.
                warn!(event = "directory-refuses-us", directory, server);
                Err("refuses bind_dn and its password".to_owned())
            }
            code => Err(format!("result {} to bind_dn", code.0)),
        }
    }

    fn is_as_it_was(&self, chosen: &Chosen) -> bool {
        let mut servers = lock(&self.state);
        let server = &mut servers[chosen.index];
        !server.is_refused(Instant::now()) && server.health(chosen.kind).failures <= chosen.failures
    }

    /// Takes back a connection on which an answer came.
    pub(super) fn give_back(&self, chosen: &Chosen, (connection, since): Since) {
        let mut servers = lock(&self.state);
        let server = &mut servers[chosen.index];
        if server.is_refused(Instant::now()) {
            // That it answers others is no word about that.
            tokio::spawn(connection.close());
            return;
        }
        let health = server.health(chosen.kind);
        health.struck.clear();
        if std::mem::take(&mut health.failures) > 0 {
            health.until = None;
            if let Some(left_out) = self.up.pass() {
                let (directory, server) = (self.rules.name.as_str(), self.rules.servers[chosen.index].host.as_str());
                info!(event = "directory-up", directory, server, what = chosen.kind.word(), left_out);
            }
        }
        let pile = server.pile(chosen.kind);
        if pile.len() < self.rules.limits.connections {
            pile.push((connection, since));
        } else {
            tokio::spawn(connection.close());
        }
    }

    /// A question about that user had no answer there, on a connection that was good.
    pub(super) fn struck(&self, chosen: &Chosen, about: &str, why: &str) {
        let mut servers = lock(&self.state);
        let health = servers[chosen.index].health(chosen.kind);
        let new = !health.struck.iter().any(|known| known == about);
        if new && health.struck.len() < STRIKES {
            health.struck.push(about.to_owned());
        }
        let failed = new && (health.struck.len() >= STRIKES || health.failures > 0);
        drop(servers);
        if failed {
            self.failed(chosen, why);
        } else if let Some(left_out) = self.answers.pass() {
            let (directory, server) = (self.rules.name.as_str(), self.rules.servers[chosen.index].host.as_str());
            let (what, why) = (chosen.kind.word(), clause(why));
            warn!(event = "directory-no-answer", directory, server, what, why, left_out);
        }
    }

    /// It is not there, or not well: nobody asks it that for a while.
    fn failed(&self, chosen: &Chosen, why: &str) {
        let mut servers = lock(&self.state);
        let server = &mut servers[chosen.index];
        let health = server.health(chosen.kind);
        if health.failures != chosen.failures {
            return;
        }
        let longer = Duration::from_secs(1 << health.failures.min(12)).min(self.rules.limits.back_off);
        health.failures = health.failures.saturating_add(1);
        health.until = Some(Instant::now() + longer);
        server.pile(chosen.kind).clear();
        drop(servers);
        if let Some(left_out) = self.down.pass() {
            let (directory, server) = (self.rules.name.as_str(), self.rules.servers[chosen.index].host.as_str());
            let (what, why) = (chosen.kind.word(), clause(why));
            warn!(event = "directory-down", directory, server, what, why, left_out);
        }
    }

    /// Lets go of every connection of that kind that waits.
    pub(super) fn forget(&self, chosen: &Chosen) {
        lock(&self.state)[chosen.index].pile(chosen.kind).clear();
    }

    /// No server has an answer to one question.
    pub(super) fn no_answer(&self, what: &'static str, why: &str) -> Reason {
        if let Some(left_out) = self.answers.pass() {
            warn!(event = "directory-no-answer", directory = self.rules.name.as_str(), what, why, left_out);
        }
        Reason::DirectoryDown
    }
}

impl Server {
    fn is_well(&self, kind: Kind, now: Instant) -> bool {
        !self.is_refused(now) && self.health[kind as usize].until.is_none_or(|until| until <= now)
    }

    fn is_refused(&self, now: Instant) -> bool {
        self.refused.is_some_and(|until| now < until)
    }

    fn health(&mut self, kind: Kind) -> &mut Health {
        &mut self.health[kind as usize]
    }

    fn pile(&mut self, kind: Kind) -> &mut Vec<Since> {
        match kind {
            Kind::Find | Kind::Groups => &mut self.searching,
            Kind::Prove => &mut self.binding,
        }
    }
}

fn clause(why: &str) -> &str {
    &why[..why.floor_char_boundary(256)]
}

fn lock(state: &Mutex<Vec<Server>>) -> MutexGuard<'_, Vec<Server>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
