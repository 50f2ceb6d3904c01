//! `[store]`, where values that may be used once are remembered, and whether it has room for what the rest of the file
//! lets in: a store that is full refuses everybody who needs it.

pub mod postgresql;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use self::postgresql::{PostgreSql, PostgreSqlFile};
use super::endpoint::Endpoint;
use super::vouching::{LEAST_KEPT_MS, MOST_SKEW_MS};
use super::{File, Number, Rules, ThrottleRules, number};
use crate::config::beneath::Directory;
use crate::config::load::{ConfigError, Loaded};

/// `[store]`. It holds from start to end of the process; a reload does not change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRules {
    /// Where it is.
    pub place: StorePlace,
    /// Values remembered at one time; beyond these, requests that bring a new one are refused.
    pub most_rows: u64,
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// The directory of `auth.sqlite`; it must exist.
    Sqlite(PathBuf),
    /// A database that others share.
    PostgreSql(Arc<PostgreSql>),
}

impl StoreRules {
    /// The database that it is in, where it is not in a file.
    #[must_use]
    pub fn postgresql(&self) -> Option<&PostgreSql> {
        match &self.place {
            StorePlace::Sqlite(_) => None,
            StorePlace::PostgreSql(database) => Some(database),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreFile {
    directory: Option<Spanned<PathBuf>>,
    most_rows: Number,
    postgresql: Option<Spanned<PostgreSqlFile>>,
}

/// Checks `[store]`.
pub(super) fn checked(
    beneath: &Directory,
    file: &Loaded<File>,
    written: &Spanned<StoreFile>,
) -> Result<StoreRules, ConfigError> {
    let StoreFile { directory, most_rows, postgresql } = written.get_ref();
    let place = match (directory, postgresql) {
        (Some(directory), None) => StorePlace::Sqlite(file.path.with_file_name("").join(directory.get_ref())),
        (None, Some(written)) => {
            StorePlace::PostgreSql(Arc::new(postgresql::checked(beneath, file, written.get_ref())?))
        }
        (Some(directory), Some(_)) => {
            return Err(file.error(directory.span(), "store.directory and [store.postgresql] exclude each other"));
        }
        (None, None) => {
            return Err(file.error(written.span(), "store: neither directory nor [store.postgresql] says where"));
        }
    };
    let most_rows = number(file, "store.most_rows", most_rows, 1_000_000, 1_000..=50_000_000)?;
    Ok(StoreRules { place, most_rows: most_rows.into() })
}

/// How far a value may fill the store. What one kind of requestor can make as many of as he likes does not keep out the
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// To the last row: who sends it is registered here, and has a pace.
    All,
    /// Three rows of four: anybody can seal a key for us, and a partner certifies as many keys as he likes.
    Most,
    /// Every other one: a partner makes as many assertions or JWTs as he likes, and they stay longest.
    Half,
}

impl Room {
    /// In rows.
    #[must_use]
    pub fn of(self, most_rows: u64) -> u64 {
        match self {
            Self::All => most_rows,
            Self::Most => most_rows - most_rows / 4,
            Self::Half => most_rows - most_rows / 2,
        }
    }
}

/// What is allowed and lets one account keep others out.
pub(super) fn doubts(file: &Loaded<File>, rules: &Rules) -> Vec<ConfigError> {
    [small(file, rules), crowded(file, rules)].into_iter().flatten().collect()
}

/// Minutes that a value which may be used once stays in the store, at most, unless it is an assertion or a JWT.
const KEPT: u64 = 16;

/// One account at its pace should not fill much of the store: a full one refuses everybody.
fn small(file: &Loaded<File>, rules: &Rules) -> Option<ConfigError> {
    let most_rows = rules.store.as_ref()?.most_rows;
    let ThrottleRules { account_burst, account_per_minute, .. } = rules.throttle;
    // Beside what was signed, the key that it was sealed with is good once, and so are the ticket and what was opened.
    let rows = |endpoint: &Endpoint| {
        let sealed_first = endpoint.encryption && endpoint.signature;
        let sealed = u64::from(endpoint.encryption || endpoint.password_symmetric) + u64::from(sealed_first);
        1 + sealed.max(u64::from(endpoint.encryption) + u64::from(endpoint.kerberos_token))
    };
    let each = rules.endpoints.values().map(rows).max().unwrap_or(1);
    let rows = each * (u64::from(account_burst) + KEPT * u64::from(account_per_minute));
    if rows * 4 <= most_rows {
        return None;
    }
    let File { throttle, store, .. } = &file.value;
    let written = store.as_ref()?.get_ref().most_rows.as_ref();
    // One of them is written: by the defaults there is room.
    let at = written.or(throttle.account_per_minute.as_ref()).or(throttle.account_burst.as_ref())?;
    let why = format!(
        "one account may have {rows} rows of store.most_rows = {most_rows} by throttle.account_burst and \
         throttle.account_per_minute in the {KEPT} minutes a row stays: more than a quarter"
    );
    Some(file.error(at.span(), why))
}

/// Nor should it fill the places that assertions and JWTs may have.
fn crowded(file: &Loaded<File>, rules: &Rules) -> Option<ConfigError> {
    let most_rows = rules.store.as_ref()?.most_rows;
    let places = Room::Half.of(most_rows);
    let ThrottleRules { account_burst, account_per_minute, .. } = rules.throttle;
    let partners = rules.partners.iter().zip(&file.value.partners);
    let partners = partners.map(|(one, written)| (one.bounds.max_age_ms, &one.name, "assertions", written.place()));
    let issuers = rules.issuers.iter().zip(&file.value.issuers);
    let issuers = issuers.map(|(one, written)| (one.bounds.max_age_ms, &one.name, "JWTs", written.place()));
    let longest = partners.chain(issuers).max_by_key(|(max_age_ms, ..)| *max_age_ms);
    let (max_age_ms, name, what, place) = longest?;
    let kept_ms = max_age_ms.max(LEAST_KEPT_MS) + MOST_SKEW_MS;
    let minutes = u64::try_from(kept_ms / 60_000).unwrap_or_default() + 1;
    let rows = u64::from(account_burst) + minutes * u64::from(account_per_minute);
    if rows <= places {
        return None;
    }
    let why = format!(
        "{}: one account may use {rows} {what} that are good once by throttle.account_burst and \
         throttle.account_per_minute in the {minutes} minutes a use is remembered, and store.most_rows = {most_rows} has {places} places for them",
        name.as_str()
    );
    Some(file.error(place, why))
}
