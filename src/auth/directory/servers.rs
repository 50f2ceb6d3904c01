//! The servers of a directory: the first one that is well is asked, the next one when it fails. A server that failed
//! is left alone for a second, then two, four, …, and then one question alone tries it. Connections are kept in
//! two piles: those that search are bound as ourselves, the others carry binds and nothing else, so that
//! no search is ever made with a user's rights.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls_pki_types::TrustAnchor;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tracing::{info, warn};

use super::connection::{Connection, Question, Trouble};
use super::message::{Code, Entry, Search};
use crate::auth::reason::Reason;
use crate::config::auth::directory::Directory;
use crate::sys::gate::LogGate;
use crate::wire::Secret;

/// For how long a server is left alone that refuses our own password: each try might count against it.
const REFUSED: Duration = Duration::from_secs(300);

/// The servers of one directory.
#[derive(Debug)]
pub(super) struct Servers {
    rules: Arc<Directory>,
    password: Secret<1024>,
    tls: TlsClient,
    state: Mutex<Vec<Server>>,
    /// For lines on questions that have no answer.
    answers: LogGate,
}

/// What one server is known for.
#[derive(Debug, Default)]
struct Server {
    /// How often it failed since it was last well.
    failures: u32,
    /// Until when it is left alone.
    until: Option<Instant>,
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
        Self { rules, password, tls, state, answers: LogGate::new(1) }
    }

    /// Does a server let this entry in with this password?
    pub(super) async fn bind(&self, dn: &str, password: &[u8]) -> Result<bool, Reason> {
        let (code, _) = self.ask(Question::Bind(dn, password)).await?;
        match code {
            Code::SUCCESS => Ok(true),
            code if code.refuses() => Ok(false),
            code => Err(self.no_answer("bind", &format!("result {}", code.0))),
        }
    }

    /// What a search finds, one entry more than asked for where there are more.
    pub(super) async fn search(&self, search: &Search<'_>) -> Result<Vec<Entry>, Reason> {
        let (code, entries) = self.ask(Question::Search(search)).await?;
        match code {
            Code::SUCCESS => Ok(entries),
            // Whoever asks for a few is told that there are more by how many he got. Pages have no limit but the server's
            // own, and what ends there is not all.
            Code::SIZE_LIMIT if search.page.is_none() && entries.len() >= search.most as usize => Ok(entries),
            Code::NO_SUCH_OBJECT if search.filter.is_none() => Ok(Vec::new()),
            code => Err(self.no_answer("search", &format!("result {}", code.0))),
        }
    }

    async fn ask(&self, question: Question<'_>) -> Result<(Code, Vec<Entry>), Reason> {
        let mut tried = vec![false; self.rules.servers.len()];
        // Each server, and connections that turn out to be dead.
        for _ in 0..tried.len() + self.rules.limits.connections {
            let Some((index, waiting)) = self.choose(&question, &tried) else { return Err(Reason::DirectoryDown) };
            let waited = waiting.is_some();
            let opened = match waiting {
                Some((connection, since)) => Ok((connection, since)),
                None => self.open(index, &question).await.map(|connection| (connection, Instant::now())),
            };
            let (mut connection, since) = match opened {
                Ok(opened) => opened,
                Err((why, alone)) => {
                    self.failed(index, &why, alone);
                    tried[index] = true;
                    continue;
                }
            };
            let why = match timeout(self.rules.limits.operation, connection.ask(question)).await {
                Ok(Ok((code, _))) if code.elsewhere() => format!("result {}", code.0),
                Ok(Ok(answer)) => {
                    self.give_back(index, &question, connection, since);
                    return Ok(answer);
                }
                Ok(Err(Trouble::Question(why))) => return Err(self.no_answer("question", why)),
                // A server may have hung up long ago, or been started anew.
                Ok(Err(Trouble::Server(_))) if waited => {
                    self.forget(index);
                    continue;
                }
                Ok(Err(Trouble::Server(why))) => why,
                Err(_) => "does not answer in time".to_owned(),
            };
            self.failed(index, &why, None);
            tried[index] = true;
        }
        Err(Reason::DirectoryDown)
    }

    /// The first server that is well and was not tried, with a connection to it that waits, if there is one.
    fn choose(&self, question: &Question<'_>, tried: &[bool]) -> Option<(usize, Option<(Connection, Instant)>)> {
        let now = Instant::now();
        let mut servers = lock(&self.state);
        let well = |(server, tried): (&Server, &bool)| !tried && server.until.is_none_or(|until| until <= now);
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

    /// Connects, and says who we are where we are to search. An error says for how long to leave the server alone, if
    /// it is longer than usual.
    async fn open(&self, index: usize, question: &Question<'_>) -> Result<Connection, (String, Option<Duration>)> {
        let limits = self.rules.limits;
        let late = || ("does not answer in time".to_owned(), None);
        let why = |trouble| match trouble {
            Trouble::Server(why) => (why, None),
            Trouble::Question(why) => (why.to_owned(), None),
        };
        let opened = timeout(limits.connect, Connection::open(&self.rules.servers[index], &self.tls.0)).await;
        let mut connection = opened.map_err(|_| late())?.map_err(why)?;
        if matches!(question, Question::Search(_)) {
            let own = Question::Bind(&self.rules.bind_dn, self.password.expose());
            let bound = timeout(limits.operation, connection.ask(own)).await;
            match bound.map_err(|_| late())?.map_err(why)?.0 {
                Code::SUCCESS => {}
                code if code.refuses() => return Err(("refuses bind_dn and its password".to_owned(), Some(REFUSED))),
                code => return Err((format!("result {} to bind_dn", code.0), None)),
            }
        }
        Ok(connection)
    }

    fn give_back(&self, index: usize, question: &Question<'_>, connection: Connection, since: Instant) {
        let mut servers = lock(&self.state);
        let server = &mut servers[index];
        if std::mem::take(&mut server.failures) > 0 {
            server.until = None;
            info!(
                event = "directory-up",
                directory = self.rules.name.as_str(),
                server = self.rules.servers[index].host
            );
        }
        let pile = server.pile(question);
        if pile.len() < self.rules.limits.connections {
            pile.push((connection, since));
        } else {
            tokio::spawn(connection.close());
        }
    }

    fn failed(&self, index: usize, why: &str, alone: Option<Duration>) {
        let mut servers = lock(&self.state);
        let server = &mut servers[index];
        server.searching.clear();
        server.binding.clear();
        let longer = Duration::from_secs(1 << server.failures.min(12)).min(self.rules.limits.back_off);
        server.failures = server.failures.saturating_add(1);
        server.until = Some(Instant::now() + alone.unwrap_or(longer));
        drop(servers);
        // Each failure but those that happen at once keeps everybody away for a while, so these lines are few.
        if let Some(left_out) = self.answers.pass() {
            let (directory, server) = (self.rules.name.as_str(), self.rules.servers[index].host.as_str());
            let why = &why[..why.floor_char_boundary(256)];
            warn!(event = "directory-down", directory, server, why, left_out);
        }
    }

    /// Lets go of every connection that waits.
    fn forget(&self, index: usize) {
        let mut servers = lock(&self.state);
        servers[index].searching.clear();
        servers[index].binding.clear();
    }

    fn no_answer(&self, what: &'static str, why: &str) -> Reason {
        if let Some(left_out) = self.answers.pass() {
            warn!(event = "directory-no-answer", directory = self.rules.name.as_str(), what, why, left_out);
        }
        Reason::DirectoryDown
    }
}

impl Server {
    fn pile(&mut self, question: &Question<'_>) -> &mut Vec<(Connection, Instant)> {
        match question {
            Question::Search(_) => &mut self.searching,
            Question::Bind(..) => &mut self.binding,
        }
    }
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
