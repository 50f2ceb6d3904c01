//! What is known of the servers of a directory, and connections to them. A server that fails is left alone for a
//! second, then two, four, …, and then one question alone tries it. It fails when no connection is to be had, or when
//! three questions in a row have no answer: one alone may be a question that is hard to answer, and whoever can
//! ask it could take the servers from everybody. Connections are kept in two piles: those that search are bound as
//! ourselves, the others carry binds and nothing else, so that no search is ever made with a user's rights.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls_pki_types::TrustAnchor;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tracing::{info, warn};

use super::connection::{Connection, Question, Trouble};
use super::message::Code;
use crate::auth::reason::Reason;
use crate::config::auth::directory::Directory;
use crate::sys::gate::LogGate;
use crate::wire::Secret;

/// For how long a server is left alone that refuses our own password: each try might count against it.
const REFUSED: Duration = Duration::from_secs(300);

/// So many questions in a row that have no answer say that a server is not well.
const STRIKES: u32 = 3;

/// The servers of one directory.
#[derive(Debug)]
pub(super) struct Servers {
    rules: Arc<Directory>,
    password: Secret<1024>,
    tls: TlsClient,
    state: Mutex<Vec<Server>>,
    /// For lines on questions that have no answer, on servers that fail, and on those that are back.
    answers: LogGate,
    down: LogGate,
    up: LogGate,
}

/// What one server is known for.
#[derive(Debug, Default)]
struct Server {
    /// How often it failed since it was last well.
    failures: u32,
    /// How many questions in a row had no answer on a connection that was good before.
    strikes: u32,
    /// Until when it is left alone.
    until: Option<Instant>,
    /// Until when it is left alone because it refused our own password. Nothing ends that but time.
    refused: Option<Instant>,
    /// Connections on which nobody asks now, and since when they are.
    searching: Vec<(Connection, Instant)>,
    binding: Vec<(Connection, Instant)>,
}

struct TlsClient(TlsConnector);

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsClient")
    }
}

impl Servers {
    /// Of this directory, where that is our password.
    pub(super) fn new(rules: Arc<Directory>, password: Secret<1024>) -> Self {
        let state = Mutex::new(rules.servers.iter().map(|_| Server::default()).collect());
        let tls = TlsClient(connector(&rules.anchors));
        let gate = || LogGate::new(1);
        Self { rules, password, tls, state, answers: gate(), down: gate(), up: gate() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.rules.servers.len()
    }

    /// As many connections of each kind wait for a question, at most.
    pub(super) fn connections(&self) -> usize {
        self.rules.limits.connections
    }

    /// The first server that is well and was not tried, with a connection to it that waits, if there is one.
    pub(super) fn choose(
        &self,
        question: &Question<'_>,
        tried: &[bool],
    ) -> Option<(usize, Option<(Connection, Instant)>)> {
        let now = Instant::now();
        let mut servers = lock(&self.state);
        let well = |(server, tried): (&Server, &bool)| !tried && server.is_well(now);
        let index = servers.iter().zip(tried).position(well)?;
        let server = &mut servers[index];
        if server.failures > 0 {
            // One question alone finds out whether it is back.
            server.until = Some(now + self.rules.limits.connect + self.rules.limits.operation);
        }
        let life = self.rules.limits.life;
        let pile = server.pile(question);
        pile.retain(|(_, since)| now - *since < life);
        Some((index, pile.pop()))
    }

    /// Connects, and says who we are where we are to search.
    pub(super) async fn open(&self, index: usize, question: &Question<'_>) -> Result<Connection, String> {
        let limits = self.rules.limits;
        let why = |trouble| match trouble {
            Trouble::Closed(why) | Trouble::Server(why) => why,
            Trouble::Question(why) => why.to_owned(),
        };
        let opening = Connection::open(&self.rules.servers[index], &self.tls.0, limits.operation);
        let late = |_| "does not answer in time".to_owned();
        let mut connection = timeout(limits.connect, opening).await.map_err(late)?.map_err(why)?;
        if matches!(question, Question::Search(_)) {
            let own = Question::Bind(&self.rules.bind_dn, self.password.expose());
            match connection.ask(own).await.map_err(why)?.0 {
                Code::SUCCESS => {}
                code if code.refuses() => {
                    lock(&self.state)[index].refused = Some(Instant::now() + REFUSED);
                    return Err("refuses bind_dn and its password".to_owned());
                }
                code => return Err(format!("result {} to bind_dn", code.0)),
            }
        }
        Ok(connection)
    }

    /// Takes back a connection on which an answer came.
    pub(super) fn give_back(&self, index: usize, question: &Question<'_>, connection: Connection, since: Instant) {
        let mut servers = lock(&self.state);
        let server = &mut servers[index];
        if server.refused.is_some_and(|until| Instant::now() < until) {
            // That it answers others is no word about that.
            tokio::spawn(connection.close());
            return;
        }
        server.strikes = 0;
        if std::mem::take(&mut server.failures) > 0 {
            server.until = None;
            if let Some(left_out) = self.up.pass() {
                let (directory, server) = (self.rules.name.as_str(), self.rules.servers[index].host.as_str());
                info!(event = "directory-up", directory, server, left_out);
            }
        }
        let pile = server.pile(question);
        if pile.len() < self.rules.limits.connections {
            pile.push((connection, since));
        } else {
            tokio::spawn(connection.close());
        }
    }

    /// A question had no answer there, on a connection that was good.
    pub(super) fn struck(&self, index: usize, why: &str) {
        let mut servers = lock(&self.state);
        let server = &mut servers[index];
        server.strikes = server.strikes.saturating_add(1);
        let failed = server.strikes >= STRIKES || server.failures > 0;
        drop(servers);
        if failed {
            self.failed(index, why);
        } else if let Some(left_out) = self.answers.pass() {
            let (directory, server) = (self.rules.name.as_str(), self.rules.servers[index].host.as_str());
            warn!(event = "directory-no-answer", directory, server, why = clause(why), left_out);
        }
    }

    /// It is not there, or not well: it is left alone for a while.
    pub(super) fn failed(&self, index: usize, why: &str) {
        let mut servers = lock(&self.state);
        let server = &mut servers[index];
        server.searching.clear();
        server.binding.clear();
        let longer = Duration::from_secs(1 << server.failures.min(12)).min(self.rules.limits.back_off);
        server.failures = server.failures.saturating_add(1);
        server.until = Some(Instant::now() + longer);
        drop(servers);
        if let Some(left_out) = self.down.pass() {
            let (directory, server) = (self.rules.name.as_str(), self.rules.servers[index].host.as_str());
            warn!(event = "directory-down", directory, server, why = clause(why), left_out);
        }
    }

    /// Lets go of every connection that waits.
    pub(super) fn forget(&self, index: usize) {
        let mut servers = lock(&self.state);
        servers[index].searching.clear();
        servers[index].binding.clear();
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
    fn is_well(&self, now: Instant) -> bool {
        [self.until, self.refused].into_iter().flatten().all(|until| until <= now)
    }

    fn pile(&mut self, question: &Question<'_>) -> &mut Vec<(Connection, Instant)> {
        match question {
            Question::Search(_) => &mut self.searching,
            Question::Bind(..) => &mut self.binding,
        }
    }
}

fn clause(why: &str) -> &str {
    &why[..why.floor_char_boundary(256)]
}

/// Trusts these and nobody else: whatever authorities the system trusts, the directory is one of the house.
fn connector(anchors: &[TrustAnchor<'static>]) -> TlsConnector {
    let roots = RootCertStore { roots: anchors.to_vec() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

fn lock(state: &Mutex<Vec<Server>>) -> MutexGuard<'_, Vec<Server>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
