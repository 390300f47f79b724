//! Reaching the database that an address names.

use std::{fmt, os::unix::fs::OpenOptionsExt as _, path::Path, str::FromStr, time::Duration};

use sqlx::{
    Connection as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Error, Pool, Result, Store};

/// A connection that was idle for longer is tried before it is used.
const PINGED_AFTER: Duration = Duration::from_secs(1);

/// Where the database is. Its `Debug` and `Display` leave the password out.
#[derive(Clone)]
pub struct Address(Scheme);

#[derive(Clone)]
enum Scheme {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

/// An address that is neither of PostgreSQL nor of SQLite.
#[derive(Debug, thiserror::Error)]
#[error("a database URL is postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE{}", .0.as_deref().unwrap_or_default())]
pub struct BadAddress(Option<String>);

/// How many connections, and how long anything may take; past it the caller is told that the store is away.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections to PostgreSQL. SQLite has one.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long PostgreSQL works at one statement.
    pub statement_timeout: Duration,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> std::result::Result<Self, BadAddress> {
        let reason = |error: sqlx::Error| BadAddress(Some(format!(" ({error})")));
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options: PgConnectOptions = text.parse().map_err(reason)?;
            return Ok(Self(Scheme::Postgres(Box::new(options))));
        }
        if text.starts_with("sqlite:") {
            let options: SqliteConnectOptions = text.parse().map_err(reason)?;
            return Ok(Self(Scheme::Sqlite(Box::new(options))));
        }
        Err(BadAddress(None))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Scheme::Postgres(options) => write!(
                f,
                "postgres://{}@{}:{}/{}",
                options.get_username(),
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
            Scheme::Sqlite(options) => write!(f, "sqlite:{}", options.get_filename().display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Store {
    /// Opens the database. A SQLite file that is not there is made, readable by its owner alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub async fn open(address: &Address, limits: Limits) -> Result<Self> {
        let pool = match &address.0 {
            Scheme::Postgres(options) => Pool::Postgres(open_postgres(options, limits).await?),
            Scheme::Sqlite(options) => Pool::Sqlite(open_sqlite(options, limits).await?),
        };
        Ok(Self { pool })
    }
}

async fn open_postgres(options: &PgConnectOptions, limits: Limits) -> Result<sqlx::PgPool> {
    let options = options.clone().application_name("tokenward").options([
        ("statement_timeout", limits.statement_timeout.as_millis().to_string()),
        // A node that freezes inside a transaction must not keep its locks.
        ("idle_in_transaction_session_timeout", limits.statement_timeout.as_millis().to_string()),
    ]);
    // The pool would hide the reason behind its own time-out, so the first connection is made beside it.
    let first = tokio::time::timeout(Duration::from_secs(5), sqlx::PgConnection::connect_with(&options));
    first.await.map_err(|_| Error::Unavailable(sqlx::Error::PoolTimedOut))??.close().await?;
    Ok(PgPoolOptions::new()
        .max_connections(limits.max_connections)
        .acquire_timeout(limits.acquire_timeout)
        // A round trip before each statement would be half of its time; a connection that worked just now works.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > PINGED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

async fn open_sqlite(options: &SqliteConnectOptions, limits: Limits) -> Result<sqlx::SqlitePool> {
    make_private(options.get_filename()).map_err(|error| Error::Unavailable(sqlx::Error::Io(error)))?;
    let options = options
        .clone()
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode anything less acknowledges commits that are not on disk yet.
        .synchronous(SqliteSynchronous::Full)
        // Nobody else may read or write the file while it is open: what is known in memory would not hear of it.
        .locking_mode(SqliteLockingMode::Exclusive)
        // Below the pool's own patience, which would hide the reason.
        .busy_timeout(limits.acquire_timeout / 2);
    // One connection: two writers in one file only wait for each other, or fail.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(limits.acquire_timeout);
    pool.connect_with(options).await.map_err(|error| if is_locked(&error) { Error::InUse } else { error.into() })
}

/// SQLITE_BUSY.
fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "5")
}

/// Makes the file with mode 0600 where there is none; its journal files take the mode over.
fn make_private(file: &Path) -> std::io::Result<()> {
    if file.as_os_str().is_empty() || file.starts_with(":memory:") || file.to_string_lossy().starts_with("file:") {
        return Ok(());
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_without_its_password() {
        let address: Address = "postgres://tokenward:s3cret@db.example:5433/tokens?sslmode=require".parse().unwrap();
        assert_eq!(format!("{address} {address:?}").matches("s3cret").count(), 0);
        assert_eq!(address.to_string(), "postgres://tokenward@db.example:5433/tokens");
        assert_eq!("sqlite:x/y.db".parse::<Address>().unwrap().to_string(), "sqlite:x/y.db");
    }

    #[test]
    fn other_schemes_are_refused_without_repeating_them() {
        let error = "mysql://u:s3cret@h/d".parse::<Address>().unwrap_err().to_string();
        assert!(error.starts_with("a database URL is") && !error.contains("s3cret"), "{error}");
    }
}
