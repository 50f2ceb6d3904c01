//! `[store.postgresql]`: a database that several appliances share, where its servers are and who we are there. Nothing
//! is sent in clear, and nothing is looked up in DNS.

use std::net::SocketAddr;
use std::time::Duration;

use rustls_pki_types::{ServerName, TrustAnchor};
use serde::Deserialize;
use toml::Spanned;

use crate::config::auth::authority::anchors;
use crate::config::auth::password::{Password, Written};
use crate::config::auth::place::place;
use crate::config::auth::{File, Number, number};
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};

/// Servers and authorities, at most.
const MOST: usize = 8;
/// What the server keeps of a name, octets (NAMEDATALEN - 1).
const NAME: usize = 63;

/// A database.
#[derive(Debug, PartialEq, Eq)]
pub struct PostgreSql {
    /// Its servers, in the order in which they are tried: the primary, and whoever may take its place.
    pub servers: Vec<Server>,
    /// Who may issue their certificates.
    pub anchors: Vec<TrustAnchor<'static>>,
    /// Its name.
    pub database: String,
    /// Who we are there.
    pub user: String,
    /// What proves that.
    pub password: Password,
    /// Must a standby have what is answered?
    pub standbys: bool,
    /// How long a connection may take to be made and secured.
    pub connect: Duration,
    /// How long an answer may take.
    pub operation: Duration,
}

/// A server of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name its certificate has, as it was written.
    pub host: String,
    /// The same, as TLS compares it.
    pub name: ServerName<'static>,
    /// Where it is.
    pub address: SocketAddr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PostgreSqlFile {
    servers: Spanned<Vec<ServerFile>>,
    anchors: Spanned<Vec<Spanned<String>>>,
    database: Spanned<String>,
    user: Spanned<String>,
    password_file: Option<Spanned<String>>,
    password_credential: Option<Spanned<String>>,
    standbys: Option<Standbys>,
    connect_timeout_ms: Number,
    operation_timeout_ms: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerFile {
    host: Spanned<String>,
    address: Spanned<String>,
}

/// What a server that takes over may have forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Standbys {
    /// Nothing that was answered.
    Synchronous,
    /// The last moments: values of those may be used once more.
    Asynchronous,
}

/// Checks one.
pub(super) fn checked(
    beneath: &Directory,
    file: &Loaded<File>,
    written: &PostgreSqlFile,
) -> Result<PostgreSql, ConfigError> {
    for (key, count, span) in [
        ("servers", written.servers.get_ref().len(), written.servers.span()),
        ("anchors", written.anchors.get_ref().len(), written.anchors.span()),
    ] {
        if !(1..=MOST).contains(&count) {
            return Err(file.error(span, format!("store.postgresql.{key}: there are from 1 to {MOST} of them")));
        }
    }
    let mut servers: Vec<Server> = Vec::new();
    for server in written.servers.get_ref() {
        let (name, address) = place(file, &server.host, &server.address)?;
        if servers.iter().any(|other| other.address == address) {
            return Err(file.error(server.address.span(), format!("address {address} stands here twice")));
        }
        servers.push(Server { host: server.host.get_ref().clone(), name, address });
    }
    let mut trusted = Vec::new();
    for path in written.anchors.get_ref() {
        let certificates = anchors(beneath, path.get_ref());
        trusted.extend(certificates.map_err(|why| {
            file.error(path.span(), format!("store.postgresql.anchors: certificate {}: {why}", path.get_ref()))
        })?);
    }
    let timeout = |key, value, default| number(file, key, value, default, 50..=10_000);
    Ok(PostgreSql {
        // Behind one address several may stand: then it has to be said.
        standbys: written.standbys.as_ref().map_or(servers.len() > 1, |said| *said == Standbys::Synchronous),
        servers,
        anchors: trusted,
        database: called(file, "database", &written.database)?,
        user: called(file, "user", &written.user)?,
        password: Written {
            key: "password",
            file: written.password_file.as_ref(),
            credential: written.password_credential.as_ref(),
            owner: written.user.span(),
            without: "nobody is let in for his name alone",
        }
        .read(beneath, file)?,
        connect: milliseconds(timeout("connect_timeout_ms", &written.connect_timeout_ms, 1000)?),
        operation: milliseconds(timeout("operation_timeout_ms", &written.operation_timeout_ms, 1000)?),
    })
}

fn called(file: &Loaded<File>, key: &str, written: &Spanned<String>) -> Result<String, ConfigError> {
    let text = written.get_ref();
    // A longer one the server would cut.
    if text.is_empty() || text.len() > NAME || text.chars().any(char::is_control) {
        return Err(file.error(written.span(), format!("store.postgresql.{key}: not a name of 1 to {NAME} octets")));
    }
    Ok(text.clone())
}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}
