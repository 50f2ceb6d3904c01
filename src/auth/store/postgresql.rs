//! PostgreSQL as a store that several appliances share. One session is open, at the first of its servers that will do;
//! when it fails nobody is asked until another stands, so a server that hangs costs those who wait at that moment
//! their answer and nobody else any time. Which questions are new the database decides, by its own clock.

mod session;
mod tls;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::timeout;
use tracing::info;

use self::session::{Forgotten, Session, Trouble};
use super::Measures;
use super::keeper::{Asked, Keeper, Verdict};
use super::writer::{Terms, Writer};
use crate::auth::tls::TlsClient;
use crate::config::auth::store::postgresql::PostgreSql;
use crate::wire::Secret;

/// For how long a server is left alone that refuses our password: each try might count against it.
const REFUSED: Duration = Duration::from_secs(60);
/// How long it is until all servers are tried again, and between two times in which nobody asks.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows removed at a time when nobody asks.
const SWEPT_IDLE: usize = 1024;
/// Rows removed to make room, besides one for each that has none.
const SWEPT: usize = 16;
/// Octets of what a server says that go to the log.
const SAID: usize = 256;

/// Starts the thread, which connects.
pub(super) fn start(
    rules: Arc<PostgreSql>,
    password: Secret<1024>,
    most: u64,
    measures: Measures,
) -> io::Result<Writer> {
    // Whoever comes as a batch leaves waits for that one and for his own.
    let deadline = 2 * rules.operation + Duration::from_millis(100);
    let lines = u32::try_from(rules.servers.len()).unwrap_or(u32::MAX);
    let terms = Terms { up: false, deadline, asked_when_down: false, lines };
    Writer::start(terms, measures, move |desk| {
        match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => desk.serve(&mut Database::new(rules, password, most, runtime)),
            Err(error) => desk.lost(&error.to_string()),
        }
    })
}

/// What a server said or failed to, in words.
#[derive(Debug)]
struct Failed {
    server: String,
    why: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whatever a server puts into it, it stays one line.
        let why: String = self.why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(f, "{}: {}", self.server, &why[..why.floor_char_boundary(SAID)])
    }
}

struct Database {
    rules: Arc<PostgreSql>,
    password: Secret<1024>,
    tls: TlsClient,
    runtime: Runtime,
    most: u64,
    held: u64,
    /// With the server that it is at.
    session: Option<(Session, usize)>,
    /// Since when.
    since: Option<Instant>,
    /// Which server is tried next.
    next: usize,
    untried: bool,
    pause: Duration,
    /// Until when each is left alone.
    refused: Vec<Option<Instant>>,
}

impl Database {
    fn new(rules: Arc<PostgreSql>, password: Secret<1024>, most: u64, runtime: Runtime) -> Self {
        let (tls, refused) = (TlsClient::trusting(&rules.anchors), vec![None; rules.servers.len()]);
        Self {
            rules,
            password,
            tls,
            runtime,
            most,
            held: 0,
            session: None,
            since: None,
            next: 0,
            untried: true,
            pause: Duration::ZERO,
            refused,
        }
    }

    /// Tries the servers until one will do or each was tried. Whoever asks before that waits for it.
    fn begin(&mut self) -> Result<(), Failed> {
        loop {
            let outcome = self.connect();
            if !self.untried {
                return outcome;
            }
        }
    }

    /// Tries the next server.
    fn connect(&mut self) -> Result<(), Failed> {
        let index = self.next;
        self.next = (index + 1) % self.rules.servers.len();
        self.untried &= self.next != 0;
        self.pause = if self.next == 0 { PAUSE } else { Duration::ZERO };
        let server = &self.rules.servers[index];
        if self.refused[index].is_some_and(|until| Instant::now() < until) {
            return Err(self.failed(index, "refuses our password, and is left alone for a while"));
        }
        let opening = async {
            let opening = Session::open(&self.rules, server, &self.password, &self.tls);
            let mut session = in_time(self.rules.connect, opening).await?;
            // That it says it is a primary is one thing, that it can write another.
            let Forgotten { held, .. } = in_time(self.rules.operation, session.forget(false, SWEPT)).await?;
            Ok((session, held))
        };
        match self.runtime.block_on(opening) {
            Ok((session, held)) => {
                info!(event = "store-connected", server = server.host, rows = held);
                (self.session, self.held) = (Some((session, index)), held);
                self.since = Some(Instant::now());
                (self.next, self.pause, self.untried) = (0, PAUSE, false);
                Ok(())
            }
            Err(trouble) => {
                if let Trouble::Refused(_) = trouble {
                    self.refused[index] = Some(Instant::now() + REFUSED);
                }
                Err(self.failed(index, trouble.why()))
            }
        }
    }

    fn failed(&self, index: usize, why: &str) -> Failed {
        Failed { server: self.rules.servers[index].host.clone(), why: why.to_owned() }
    }

    /// Does that work in the session, which is over when it fails: what came of it is unknown.
    fn work<T>(&mut self, work: impl AsyncFnOnce(&mut Session) -> Result<(T, u64), Trouble>) -> Result<T, Failed> {
        let Some((mut session, index)) = self.session.take() else {
            return Err(Failed { server: "-".to_owned(), why: "not connected".to_owned() });
        };
        let limit = self.rules.operation;
        match self.runtime.block_on(in_time(limit, work(&mut session))) {
            Ok((done, held)) => {
                (self.session, self.held) = (Some((session, index)), held);
                Ok(done)
            }
            Err(trouble) => {
                // One that lets in and then fails each time is not let go of and taken up without end.
                let young = self.since.is_some_and(|since| since.elapsed() < PAUSE);
                (self.next, self.pause) = match young {
                    true => ((index + 1) % self.rules.servers.len(), PAUSE),
                    false => (0, Duration::ZERO),
                };
                Err(self.failed(index, trouble.why()))
            }
        }
    }
}

impl Keeper for Database {
    type Trouble = Failed;

    fn decide(&mut self, asked: &[Asked]) -> Result<Vec<Verdict>, Failed> {
        if self.untried {
            self.begin()?;
        }
        // All of them have given up.
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let most = self.most;
        self.work(async |session: &mut Session| {
            let (mut verdicts, mut held) = session.first_seen(asked, most).await?;
            let full: Vec<usize> = (0..asked.len()).filter(|index| verdicts[*index] == Verdict::Full).collect();
            if !full.is_empty() && session.forget(true, SWEPT + full.len()).await?.removed > 0 {
                let again: Vec<Asked> = full.iter().map(|index| asked[*index]).collect();
                let (decided, now_held) = session.first_seen(&again, most).await?;
                held = now_held;
                full.into_iter().zip(decided).for_each(|(index, verdict)| verdicts[index] = verdict);
            }
            Ok((verdicts, held))
        })
    }

    fn idle(&mut self, _up: bool) -> Result<(), Failed> {
        if self.untried {
            return self.begin();
        }
        if self.session.is_none() {
            return self.connect();
        }
        self.work(async |session: &mut Session| {
            let Forgotten { held, .. } = session.forget(false, SWEPT_IDLE).await?;
            Ok(((), held))
        })
    }

    fn count(&self) -> u64 {
        self.held
    }

    fn pause(&self) -> Duration {
        self.pause
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(Trouble::Other("does not answer in time".to_owned())))
}
