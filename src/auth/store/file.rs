//! The file of the store, `auth.sqlite`, as it is opened before lock-down: whole, ours alone, of a version
//! this program knows, with everything open that writing will need. It repairs nothing and replaces nothing:
//! a store that is made anew has forgotten what must not be used twice.

use std::fmt;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

/// Of the schema; in `PRAGMA user_version`.
const VERSION: i64 = 2;
/// How long a predecessor has to let go of the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// The keys are hashes, so rows come in no order; the index finds those whose time is over. One row says up to which
/// instant something may have been forgotten.
const SCHEMA: &str = "
    BEGIN;
    CREATE TABLE first_seen (key BLOB PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX first_seen_by_expiry ON first_seen (expires);
    CREATE TABLE forgotten (one INTEGER PRIMARY KEY CHECK (one = 1), until INTEGER NOT NULL) STRICT;
    INSERT INTO forgotten VALUES (1, 0);
    PRAGMA user_version = 2;
    COMMIT;";

/// From version 1, which forgot without saying so.
const SECOND: &str = "
    BEGIN;
    CREATE TABLE forgotten (one INTEGER PRIMARY KEY CHECK (one = 1), until INTEGER NOT NULL) STRICT;
    INSERT INTO forgotten VALUES (1, 0);
    PRAGMA user_version = 2;
    COMMIT;";

/// Why there is no store. Auth does not start without the one it was told to have.
#[derive(Debug)]
pub enum OpenError {
    /// The directory or the file cannot be used.
    Io(PathBuf, io::Error),
    /// Another process has it.
    InUse(PathBuf),
    /// A later version of this program wrote it.
    Newer(PathBuf, i64),
    /// A database, but none of this program's.
    Foreign(PathBuf),
    /// It is not what was written.
    Damaged(PathBuf, String),
    /// SQLite says no.
    Refused(PathBuf, Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "store {}: {error}", path.display()),
            Self::InUse(path) => write!(f, "store {}: another process uses it", path.display()),
            Self::Newer(path, version) => {
                let path = path.display();
                write!(f, "store {path}: its schema is version {version}, and this program knows {VERSION}")
            }
            Self::Foreign(path) => write!(f, "store {}: a database of another program", path.display()),
            Self::Damaged(path, why) => {
                let path = path.display();
                write!(f, "store {path}: damaged ({why}); moved away, what it remembers can be used once more")
            }
            Self::Refused(path, error) => write!(f, "store {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

/// The open file.
#[derive(Debug)]
pub(super) struct File {
    /// Holds the lock, and the files open.
    pub(super) connection: Connection,
    /// Rows at most.
    pub(super) most: u64,
    /// Did it take a write?
    pub(super) up: bool,
}

impl File {
    /// Opens `auth.sqlite` in `directory`, which must exist, and makes it when it is missing.
    pub(super) fn open(directory: &Path, most: u64) -> Result<Self, OpenError> {
        let path = directory.join("auth.sqlite");
        private(&path).map_err(|error| OpenError::Io(path.clone(), error))?;
        let refused = |error| refused(&path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(refused)?;
        settle(&connection).map_err(refused)?;
        version(&connection, &path)?;
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(refused)?;
        if found != "ok" {
            return Err(OpenError::Damaged(path, found));
        }
        let up = match probe(&connection) {
            Ok(()) => true,
            // The disk may have room later.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => false,
            Err(error) => return Err(refused(error)),
        };
        // SQLite seeds its generator from a file, which it could not open later.
        connection.query_row("SELECT random()", [], |_| Ok(())).map_err(refused)?;
        fs::File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| OpenError::Io(directory.to_owned(), error))?;
        Ok(Self { connection, most, up })
    }
}

/// Writes something that changes nothing, durably.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", VERSION)
}

/// Makes the file or its mode what they should be; the write-ahead log gets the mode of the file. An existing
/// file is not opened: closing it would let go of locks this process has on it.
fn private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = fs::metadata(path)?.permissions();
            if found.mode() & 0o077 != 0 { fs::set_permissions(path, Permissions::from_mode(0o600)) } else { Ok(()) }
        }
        outcome => outcome.map(drop),
    }
}

/// How SQLite is to treat the file. In exclusive mode, set before the first look, it keeps its lock to the
/// end and the index of its log in its own memory.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Closing would otherwise delete the log, which a locked-down process may not do.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -16384;",
    )?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |row| match row.get::<_, String>(0)?.as_str() {
        "wal" => Ok(()),
        _ => Err(Error::InvalidQuery),
    })?;
    // The log is copied into the file every 16 MiB, and cut back to that after an outage let it grow.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 4096;
         PRAGMA journal_size_limit = 16777216;",
    )
}

/// Makes the schema in an empty file; refuses one it does not know.
fn version(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let number = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0));
    match number("PRAGMA user_version").map_err(|error| refused(path, error))? {
        VERSION => Ok(()),
        1 => connection.execute_batch(SECOND).map_err(|error| refused(path, error)),
        0 => match number("SELECT count(*) FROM sqlite_schema").map_err(|error| refused(path, error))? {
            0 => connection.execute_batch(SCHEMA).map_err(|error| refused(path, error)),
            _ => Err(OpenError::Foreign(path.to_owned())),
        },
        version => Err(OpenError::Newer(path.to_owned(), version)),
    }
}

fn refused(path: &Path, error: Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(path),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => OpenError::Damaged(path, error.to_string()),
        _ => OpenError::Refused(path, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_is_synced_and_the_file_is_ours_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::open(directory.path(), 1).unwrap();
        let says = |pragma: &str| {
            let query = format!("PRAGMA {pragma}");
            file.connection.query_row(&query, [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
        };
        assert_eq!(says("journal_mode"), "wal".to_owned().into());
        assert_eq!(says("synchronous"), 2.into(), "FULL");
        assert_eq!(says("locking_mode"), "exclusive".to_owned().into());
        let mut files: Vec<(String, u32)> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode()))
            .collect();
        files.sort();
        // No shared memory beside them.
        assert_eq!(files, [("auth.sqlite".to_owned(), 0o100_600), ("auth.sqlite-wal".to_owned(), 0o100_600)]);
    }

    #[test]
    fn what_others_may_read_is_closed_to_them() {
        let directory = tempfile::tempdir().unwrap();
        drop(File::open(directory.path(), 1).unwrap());
        let path = directory.path().join("auth.sqlite");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        drop(File::open(directory.path(), 1).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    fn refusal(directory: &Path) -> String {
        File::open(directory, 1).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_trusted_is_refused_and_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let absent = root.path().join("absent");
        assert!(refusal(&absent).contains("absent/auth.sqlite: No such file"));

        let path = root.path().join("auth.sqlite");
        let damaged = |octets: &[u8]| {
            fs::write(&path, octets).unwrap();
            let why = refusal(root.path());
            assert!(why.contains("auth.sqlite: damaged (") && why.contains("moved away"), "{why}");
            assert_eq!(fs::read(&path).unwrap(), octets);
        };
        damaged(&b"This is no database, whoever put it here.\n".repeat(200));

        // A good file with rows, all of it in the file itself.
        fs::remove_file(&path).unwrap();
        drop(File::open(root.path(), 1).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                 INSERT INTO first_seen SELECT randomblob(32), i FROM n;
                 PRAGMA journal_mode = DELETE;",
            )
            .unwrap();
        drop(connection);
        drop(File::open(root.path(), 1).unwrap());
        fs::remove_file(root.path().join("auth.sqlite-wal")).unwrap();
        let mut octets = fs::read(&path).unwrap();
        octets[10 * 4096..11 * 4096].fill(0x55);
        damaged(&octets);
    }

    #[test]
    fn a_schema_of_tomorrow_and_a_database_of_somebody_else_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("auth.sqlite");
        drop(File::open(root.path(), 1).unwrap());
        let change = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        change("PRAGMA user_version = 3");
        let why = refusal(root.path());
        assert!(why.contains("its schema is version 3, and this program knows 2"), "{why}");
        // That of yesterday is brought up to date, with what it remembers.
        change("INSERT INTO first_seen VALUES (randomblob(32), 1); DROP TABLE forgotten; PRAGMA user_version = 1");
        let file = File::open(root.path(), 1).unwrap();
        let query = "SELECT count(*) + (SELECT count(*) FROM forgotten) FROM first_seen";
        assert_eq!(file.connection.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap(), 2);
        drop(file);
        change("PRAGMA user_version = 0");
        assert!(refusal(root.path()).contains("a database of another program"));
    }

    #[test]
    fn a_second_opener_is_refused_until_the_first_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let first = File::open(root.path(), 1).unwrap();
        assert!(refusal(root.path()).contains("another process uses it"));
        drop(first);
        drop(File::open(root.path(), 1).unwrap());
    }
}
