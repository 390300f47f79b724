//! Reaching the database that an address names.

use std::{
    fs::Permissions,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions, SqliteSynchronous,
        SqliteTransactionManager,
    },
};
use sqlx_core::transaction::TransactionManager as _;

use super::{Address, Error, Pool, Result, Store, address::Scheme, hosts::Hosts};

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

impl Store {
    /// Opens the database. A SQLite file that is not there is made, readable by its owner alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub async fn open(address: &Address, limits: Limits) -> Result<Self> {
        let pool = match &address.scheme {
            Scheme::Postgres(hosts) => Pool::Postgres(Hosts::open(hosts, limits).await?),
            Scheme::Sqlite(options) => Pool::Sqlite(open_sqlite(options, limits).await?),
        };
        Ok(Self { pool })
    }
}

async fn open_sqlite(options: &SqliteConnectOptions, limits: Limits) -> Result<sqlx::SqlitePool> {
    let file = options.get_filename();
    make_private(file).and_then(|()| keep_private(file)).map_err(|error| Error::Unavailable(sqlx::Error::Io(error)))?;
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
        .acquire_timeout(limits.acquire_timeout)
        .after_release(|connection, _| Box::pin(end_transaction(connection)));
    pool.connect_with(options).await.map_err(|error| if is_locked(&error) { Error::InUse } else { error.into() })
}

/// Sees to it that no transaction outlives who began it. Where a commit fails because the disk is full, SQLite has rolled back by
/// itself, and the driver (sqlx 0.9), whose own roll-back then fails, believes that the transaction goes on: what follows would be
/// parts of it, acknowledged and never committed.
async fn end_transaction(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // The roll-back may be under way.
        connection.ping().await?;
    }
    if connection.is_in_transaction() {
        // What the driver believes is made true, and then ended. Where it is true already this fails.
        sqlx::raw_sql("begin").execute(&mut *connection).await.ok();
        SqliteTransactionManager::rollback(connection).await?;
    }
    Ok(!connection.is_in_transaction())
}

/// SQLITE_BUSY.
fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "5")
}

/// Makes the file with mode 0600 where there is none; its journal files take the mode over.
pub(super) fn make_private(file: &Path) -> std::io::Result<()> {
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Takes the file and its journals from everybody but their owner: they hold hashes and who did what.
fn keep_private(file: &Path) -> std::io::Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        let path = Path::new(&name);
        let mode = match std::fs::metadata(path) {
            Ok(found) => found.permissions().mode() & 0o777,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if mode & 0o077 == 0 {
            continue;
        }
        let shown = path.display();
        std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700)).map_err(|error| {
            let advice = format!("{shown} can be read by others (mode {mode:03o}): run chmod 600 {shown} ({error})");
            std::io::Error::new(error.kind(), advice)
        })?;
        tracing::warn!(file = %shown, mode = format!("{mode:03o}"), "took a database file from other users of the machine");
    }
    Ok(())
}
