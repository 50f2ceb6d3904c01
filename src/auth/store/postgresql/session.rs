//! One session at a server of the database: begun with a primary that keeps what it answers, and then one question
//! after the other. No answer is taken from a server whose clock is not ours.

use std::error::Error as _;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::task::Poll;

use tokio::net::TcpStream;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Row, Statement};

use super::tls::{Secure, Secured};
use crate::auth::store::keeper::{Asked, Verdict};
use crate::auth::tls::TlsClient;
use crate::config::auth::store::postgresql::{PostgreSql, Server};
use crate::wire::{Millis, Secret};

/// Of `packaging/postgresql/store.sql`; what `chancery.store_version()` says.
const VERSION: i32 = 2;
/// Milliseconds a server's clock may differ from ours: as many as it takes a row to be over after it says so
/// (`store.sql`). So no row is over before our clock says it is.
const SKEW_MS: i64 = 2_000;

const FIRST_SEEN: &str = "SELECT verdicts, now_ms, held FROM chancery.first_seen($1, $2, $3, $4)";
const FORGET: &str = "SELECT removed, now_ms, held FROM chancery.forget($1, $2, $3)";

/// Why a server gave no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It does not let us in.
    Refused(String),
    /// Anything else.
    Other(String),
}

impl Trouble {
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Other(why) => why,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let Some(said) = error.as_db_error() else {
            let io = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
            if error.is_closed() || io.is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof) {
                return Self::Other("hung up".to_owned());
            }
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            return Self::Other(format!("{error}{cause}"));
        };
        let why = format!("{} (SQLSTATE {})", said.message(), said.code().code());
        let refusing = [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION];
        if refusing.contains(said.code()) { Self::Refused(why) } else { Self::Other(why) }
    }
}

/// A session.
pub(super) struct Session {
    client: Client,
    connection: Connection<TcpStream, Secured>,
    first_seen: Statement,
    forget: Statement,
    standbys: bool,
}

/// What forgetting came to.
pub(super) struct Forgotten {
    pub(super) removed: u64,
    pub(super) held: u64,
}

impl Session {
    /// Connects, proves who we are, and looks at what it is.
    pub(super) async fn open(
        rules: &PostgreSql,
        server: &Server,
        password: &Secret<1024>,
        tls: &TlsClient,
    ) -> Result<Self, Trouble> {
        let io = |error: std::io::Error| Trouble::Other(error.to_string());
        let stream = TcpStream::connect(server.address).await.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let mut config = Config::new();
        config.user(&rules.user).password(password.expose()).dbname(&rules.database);
        config.application_name("chancery-auth").host(&server.host);
        // In TLS and by SCRAM bound to it: no other way of logging in shows that it is the server that knows us.
        config.ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
        let secure = Secure { client: tls, name: server.name.clone() };
        let (client, mut connection) = config.connect_raw(stream, secure).await?;
        // What it warns of while it lets us in is its administrator's matter.
        let (first_seen, forget) = while_open(&mut connection, settle(&client, rules), |_| None).await?;
        Ok(Self { client, connection, first_seen, forget, standbys: rules.standbys })
    }

    /// Has every question decided, in one transaction, and hears how many rows there are. The server says so when it
    /// has committed and not before: an answer ends with ReadyForQuery.
    pub(super) async fn first_seen(&mut self, asked: &[Asked], most: u64) -> Result<(Vec<Verdict>, u64), Trouble> {
        let keys: Vec<&[u8]> = asked.iter().map(|asked| asked.key.as_slice()).collect();
        let expiries: Vec<i64> = asked.iter().map(|asked| asked.expires.0).collect();
        let rooms: Vec<i64> = asked.iter().map(|asked| number(asked.room.of(most))).collect();
        let parameters: [&(dyn ToSql + Sync); 4] = [&keys, &expiries, &rooms, &self.standbys];
        let row = timely(&self.client, &mut self.connection, &self.first_seen, &parameters).await?;
        let verdicts: Vec<i16> = row.try_get("verdicts")?;
        if verdicts.len() != asked.len() {
            return Err(Trouble::Other("answers something else than was asked".to_owned()));
        }
        let verdicts = verdicts.into_iter().map(verdict).collect::<Option<_>>();
        let verdicts = verdicts.ok_or_else(|| Trouble::Other("answers what has no meaning".to_owned()))?;
        Ok((verdicts, count(&row, "held")?))
    }

    /// Has it forget at most so many rows that are over, those that have just become so if there is `need`. It writes
    /// in any case.
    pub(super) async fn forget(&mut self, need: bool, most: usize) -> Result<Forgotten, Trouble> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let parameters: [&(dyn ToSql + Sync); 3] = [&need, &most, &self.standbys];
        let row = timely(&self.client, &mut self.connection, &self.forget, &parameters).await?;
        Ok(Forgotten { removed: count(&row, "removed")?, held: count(&row, "held")? })
    }
}

/// Says how the session is to be, and looks whether it can be.
async fn settle(client: &Client, rules: &PostgreSql) -> Result<(Statement, Statement), Trouble> {
    let (limit, other) = (rules.operation.as_millis(), |why: &str| Err(Trouble::Other(why.to_owned())));
    // A statement that we have given up ends soon after, and so does a session of ours whose process is gone.
    let settings = format!(
        "SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; SET statement_timeout = {limit}; SET lock_timeout = {limit};
         SET idle_in_transaction_session_timeout = {limit}; SET search_path = pg_catalog;
         SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;"
    );
    client.batch_execute(&settings).await?;
    let state = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
                        current_setting('synchronous_commit') = 'on'";
    let row = client.query_one(state, &[]).await?;
    if row.try_get(0)? {
        return other("is a standby");
    }
    if row.try_get(1)? {
        return other("is read-only");
    }
    if !row.try_get::<_, bool>(2)? {
        return other("does not take synchronous_commit");
    }
    let version: i32 = match client.query_one("SELECT chancery.store_version()", &[]).await {
        Ok(row) => row.try_get(0)?,
        Err(error) if is_missing(&error) => return other("has no schema of ours: run store.sql as its administrator"),
        Err(error) => return Err(error.into()),
    };
    if version != VERSION {
        let why = format!("its schema is version {version}, and this program knows {VERSION}");
        return Err(Trouble::Other(why));
    }
    let types = [Type::BYTEA_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY, Type::BOOL];
    let first_seen = client.prepare_typed(FIRST_SEEN, &types).await?;
    let forget = client.prepare_typed(FORGET, &[Type::BOOL, Type::INT8, Type::BOOL]).await?;
    Ok((first_seen, forget))
}

fn is_missing(error: &Error) -> bool {
    let missing = [SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_FUNCTION];
    error.code().is_some_and(|code| missing.contains(code))
}

/// Asks, and takes an answer only by a clock that is ours.
async fn timely(
    client: &Client,
    connection: &mut Connection<TcpStream, Secured>,
    statement: &Statement,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Row, Trouble> {
    let before = Millis::now();
    let asking = async { client.query_one(statement, parameters).await.map_err(Trouble::from) };
    let row = while_open(connection, asking, unsure).await?;
    let there: i64 = row.try_get("now_ms")?;
    let (early, late) = (before.plus(-SKEW_MS), Millis::now().plus(SKEW_MS));
    if there < early.0 || there > late.0 {
        let ahead_ms = there.saturating_sub(before.0);
        return Err(Trouble::Other(format!("its clock differs from ours by {ahead_ms} ms")));
    }
    Ok(row)
}

/// A commit that waits for a standby and is cancelled is said to be one all the same, with a warning before it.
/// Nothing of what we ask for is worth a warning otherwise, so none is passed over.
fn unsure(notice: &DbError) -> Option<Trouble> {
    let warning = notice.parsed_severity() == Some(Severity::Warning) || notice.severity() == "WARNING";
    warning.then(|| Trouble::Other(format!("warns: {}", notice.message())))
}

/// Does that work on a connection, which moves nothing unless it is polled. What the server says beside its answers
/// comes to `told` in its place among them, and may be the end.
async fn while_open<T>(
    connection: &mut Connection<TcpStream, Secured>,
    work: impl Future<Output = Result<T, Trouble>>,
    told: impl Fn(&DbError) -> Option<Trouble>,
) -> Result<T, Trouble> {
    let mut work = pin!(work);
    poll_fn(|context| {
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            match connection.poll_message(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Err(Trouble::Other("hung up".to_owned()))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
                Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                    if let Some(trouble) = told(&notice) {
                        return Poll::Ready(Err(trouble));
                    }
                }
                Poll::Ready(Some(Ok(_))) => {}
            }
        }
    })
    .await
}

fn verdict(number: i16) -> Option<Verdict> {
    match number {
        0 => Some(Verdict::New),
        1 => Some(Verdict::Seen),
        2 => Some(Verdict::Full),
        _ => None,
    }
}

fn number(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn count(row: &Row, column: &str) -> Result<u64, Trouble> {
    Ok(row.try_get::<_, i64>(column)?.try_into().unwrap_or_default())
}
