//! What auth must remember longer than it lives: which values were used that may be used once. An answer is
//! durable before it is given. Whoever cannot be answered so is refused: nothing is guessed, and nothing
//! that is still valid makes room for something new.

mod file;
mod keeper;
mod postgresql;
mod rows;
mod sqlite;
mod writer;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use self::file::OpenError;
use self::keeper::{Asked, Key, Verdict};
use self::writer::Writer;
use crate::config::auth::store::postgresql::PostgreSql;
use crate::config::auth::{Room, StorePlace, StoreRules};
use crate::metrics::{Histogram, IntCounter, IntCounterVec, IntGauge, Metrics};
use crate::wire::{Millis, Secret};

/// What a value is. Equal values of two kinds are two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was signed of a message, with the key that signed it.
    SignedMessage,
    /// The same of one that was sealed when it was signed, where it is opened: it is submitted after that.
    OpenedMessage,
    /// The nonce of a password digest, with what it belongs to.
    PasswordNonce,
    /// An `xenc:CipherValue` that carries a key.
    CipherValue,
    /// The authenticator of a ticket of Kerberos, as it was encrypted.
    Ticket,
    /// The id of a token that may be used once, with its issuer.
    TokenId,
    /// `jti` of a JWT, with its issuer.
    JwtId,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::SignedMessage => "signed-message",
            Self::OpenedMessage => "opened-message",
            Self::PasswordNonce => "password-nonce",
            Self::CipherValue => "cipher-value",
            Self::Ticket => "ticket",
            Self::TokenId => "token-id",
            Self::JwtId => "jwt-id",
        }
    }

    /// How far it may fill the store, unless it is known who made it.
    fn room(self) -> Room {
        match self {
            Self::SignedMessage | Self::OpenedMessage | Self::PasswordNonce | Self::Ticket => Room::All,
            Self::CipherValue => Room::Most,
            Self::TokenId | Self::JwtId => Room::Half,
        }
    }

    /// What is stored for that SHA-256: the kind is hashed in. A word has no zero octet, so no two pairs of
    /// kind and value begin alike.
    fn key(self, value: &[u8; 32]) -> Key {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        context.update(self.word().as_bytes());
        context.update(&[0]);
        context.update(value);
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        key
    }
}

/// The store cannot tell now, or has no room. The request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store gives no durable answer")
    }
}

impl std::error::Error for Down {}

/// What the store measures.
#[derive(Debug, Clone)]
pub struct Measures {
    /// `chancery_store_first_seen_total{outcome}`.
    pub outcomes: IntCounterVec,
    /// `chancery_store_rows`.
    pub rows: IntGauge,
    /// `chancery_store_commits_total`.
    pub commits: IntCounter,
    /// `chancery_store_seconds`: from the question to the durable answer.
    pub seconds: Histogram,
}

impl Measures {
    /// Makes them all.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            outcomes: metrics.counters(
                "chancery_store_first_seen_total",
                "Values looked up that may be used once, by what the store said.",
                "outcome",
                &["new", "seen", "full", "down"],
            ),
            rows: metrics.gauge("chancery_store_rows", "Values the store remembers."),
            commits: metrics.counter("chancery_store_commits_total", "Transactions in which questions were decided."),
            seconds: metrics.seconds("chancery_store_seconds", "From a question to its durable answer."),
        }
    }
}

/// A store that is open and not yet at work.
#[derive(Debug)]
pub struct Opened(Place);

#[derive(Debug)]
enum Place {
    Sqlite(file::File),
    /// With our password there, and rows at most.
    PostgreSql(Arc<PostgreSql>, Secret<1024>, u64),
}

impl Opened {
    /// Starts the thread that writes. Call after lock-down, which threads begun before would escape.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(self, measures: Measures) -> io::Result<Store> {
        let writer = match self.0 {
            Place::Sqlite(file) => sqlite::start(file, measures.clone())?,
            Place::PostgreSql(rules, password, most) => postgresql::start(rules, password, most, measures.clone())?,
        };
        Ok(Store { writer, measures })
    }
}

/// The store at work.
#[derive(Debug)]
pub struct Store {
    writer: Writer,
    measures: Measures,
}

impl Store {
    /// Opens the store. Call before lock-down: nothing is opened for writing after it. A database is connected to
    /// later, with that password, and again whenever that takes; so it need not be there yet.
    ///
    /// # Errors
    /// [`OpenError`]: there is no such directory, somebody else has the file, or it cannot be used.
    pub fn open(rules: &StoreRules, password: Option<Secret<1024>>) -> Result<Opened, OpenError> {
        Ok(Opened(match &rules.place {
            StorePlace::Sqlite(directory) => Place::Sqlite(file::File::open(directory, rules.most_rows)?),
            StorePlace::PostgreSql(database) => {
                Place::PostgreSql(database.clone(), password.unwrap_or_default(), rules.most_rows)
            }
        }))
    }

    /// True the first time this SHA-256 of a value of that kind is seen, and again once `expires` has passed;
    /// false in between. Of those who ask at the same time exactly one hears true (R-W080).
    ///
    /// # Errors
    /// [`Down`]; the value may be remembered all the same.
    pub async fn first_seen(&self, kind: Kind, value: &[u8; 32], expires: Millis) -> Result<bool, Down> {
        self.first_seen_within(kind.room(), kind, value, expires).await
    }

    /// The same for a value that may fill the store so far and no further.
    ///
    /// # Errors
    /// [`Down`].
    pub async fn first_seen_within(
        &self,
        room: Room,
        kind: Kind,
        value: &[u8; 32],
        expires: Millis,
    ) -> Result<bool, Down> {
        let timer = self.measures.seconds.start_timer();
        let verdict = self.writer.ask(Asked { key: kind.key(value), expires, room }).await;
        let word = match verdict {
            Ok(Verdict::New) => "new",
            Ok(Verdict::Seen) => "seen",
            Ok(Verdict::Full) => "full",
            Err(Down) => "down",
        };
        self.measures.outcomes.with_label_values(&[word]).inc();
        match verdict {
            Ok(Verdict::New | Verdict::Seen) => timer.observe_duration(),
            Ok(Verdict::Full) | Err(Down) => {
                timer.stop_and_discard();
                return Err(Down);
            }
        }
        Ok(verdict == Ok(Verdict::New))
    }

    /// Did the last write get through?
    #[must_use]
    pub fn up(&self) -> bool {
        self.writer.up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_another_one_in_another_kind() {
        let kinds = [
            Kind::SignedMessage,
            Kind::OpenedMessage,
            Kind::PasswordNonce,
            Kind::CipherValue,
            Kind::Ticket,
            Kind::TokenId,
            Kind::JwtId,
        ];
        let keys: std::collections::HashSet<Key> = kinds.iter().map(|kind| kind.key(&[7; 32])).collect();
        assert_eq!(keys.len(), kinds.len());
        assert_ne!(Kind::Ticket.key(&[7; 32]), Kind::Ticket.key(&[8; 32]));
    }
}
