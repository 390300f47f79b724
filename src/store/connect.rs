//! Reaching the database that an address names.

use std::{
    fs::Permissions,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous, SqliteTransactionManager},
};
use sqlx_core::transaction::TransactionManager as _;

use super::{Address, Error, Pool, Result, Store, database_url::Scheme, failover::Hosts, on_readers};

/// How many connections, and how long anything may take; past it the caller is told that the store is away.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most connections to PostgreSQL, those of lists included. SQLite has one that writes, beside its readers.
    pub max_connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long PostgreSQL works at one statement.
    pub statement_timeout: Duration,
}

/// Connections to a SQLite file that only read.
const SQLITE_READERS: u32 = 2;

impl Limits {
    /// The number of connections to PostgreSQL that serve lists and counts, and nothing else: a quarter, at least one.
    pub(super) fn readers(self) -> u32 {
        (self.max_connections / 4).max(1)
    }

    /// The number of connections to PostgreSQL that serve everything else, at least one.
    pub(super) fn others(self) -> u32 {
        self.max_connections.saturating_sub(self.readers()).max(1)
    }
}

impl Store {
    /// Opens the database. A SQLite file that is not there is made, readable by its owner alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason.
    pub async fn open(address: &Address, limits: Limits) -> Result<Self> {
        match &address.scheme {
            Scheme::Postgres(hosts) => {
                Ok(Self { pool: Pool::Postgres(Hosts::open(hosts, limits).await?), readers: None })
            }
            Scheme::Sqlite(options) => {
                let writer = open_sqlite(options, limits).await?;
                let readers = Some(sqlite_readers(&writer, limits));
                Ok(Self { pool: Pool::Sqlite(writer), readers })
            }
        }
    }

    /// The number of lists that can be read at the same time.
    #[must_use]
    pub fn list_places(&self) -> usize {
        let size = on_readers!(self, pool => pool.options().get_max_connections());
        usize::try_from(size).unwrap_or(1)
    }
}

async fn open_sqlite(options: &SqliteConnectOptions, limits: Limits) -> Result<sqlx::SqlitePool> {
    let file = options.get_filename();
    make_private(file).and_then(|()| keep_private(file)).map_err(|error| Error::Unavailable(sqlx::Error::Io(error)))?;
    // No other process may read or write the file while it is open: the token cache would not notice. This VFS locks the file for
    // the process, where `locking_mode = exclusive` locks it for one connection and lists could have none of their own.
    let options = options.clone().vfs("unix-excl");
    let options = options
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode anything less acknowledges commits that are not on disk yet.
        .synchronous(SqliteSynchronous::Full)
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

/// Connections that read beside the one that writes. In WAL mode neither waits for the other.
fn sqlite_readers(writer: &sqlx::SqlitePool, limits: Limits) -> sqlx::SqlitePool {
    // Not opened read-only: in this VFS such a connection would give the lock of the process away.
    let options = (*writer.connect_options()).clone().pragma("query_only", "on");
    let limit = limits.statement_timeout;
    SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(limits.acquire_timeout)
        .after_connect(move |connection, _| Box::pin(limit_statement(connection, limit)))
        .before_acquire(move |connection, _| {
            Box::pin(async move { limit_statement(connection, limit).await.map(|()| true) })
        })
        .connect_lazy_with(options)
}

/// Interrupts the next statement where it takes longer than this. PostgreSQL has a setting for it.
async fn limit_statement(connection: &mut SqliteConnection, limit: Duration) -> sqlx::Result<()> {
    /// Instructions of SQLite's virtual machine between two looks at the clock, well below a millisecond.
    const INSTRUCTIONS: i32 = 10_000;
    let begun = Instant::now();
    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS, move || begun.elapsed() < limit);
    Ok(())
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
