//! Opening the database that a [`DatabaseUrl`] names.

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

use super::{
    DatabaseUrl, Error, OperationCounter, Outage, Pool, PoolLimits, Result, Store, database_url::Scheme,
    failover::FailoverPool, on_pool, on_readers,
};

/// Number of open connections by state, and the operations that wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    pub in_use: u32,
    pub idle: u32,
    /// Maximum number of connections.
    pub max: u32,
    /// Number of operations without a connection. An estimate, because operations begin and end
    /// while this is counted.
    pub waiting: u32,
}

/// Number of connections to a SQLite file that only read.
const SQLITE_READ_CONNECTIONS: u32 = 2;

impl Store {
    /// Opens the database. A missing SQLite file is created, readable only by its owner.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] with the cause if the database cannot be reached or opened,
    /// or [`Error::InUse`] if another process has the SQLite file open.
    pub async fn open(url: &DatabaseUrl, limits: PoolLimits) -> Result<Self> {
        match &url.scheme {
            Scheme::Postgres(hosts) => Ok(Self {
                pool: Pool::Postgres(FailoverPool::open(hosts, limits).await?),
                readers: None,
                operations: OperationCounter::default(),
            }),
            Scheme::Sqlite(options) => {
                let writer = open_sqlite(options, limits).await?;
                let readers = Some(sqlite_read_pool(&writer, limits));
                Ok(Self { pool: Pool::Sqlite(writer), readers, operations: OperationCounter::default() })
            }
        }
    }

    /// Returns the number of connections to the database.
    #[must_use]
    pub fn connection_counts(&self) -> ConnectionCounts {
        let operations = self.operations.in_progress();
        let count = |size: u32, idle: usize, max: u32| {
            let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
            (size - idle, idle, max)
        };
        let main = on_pool!(self, pool => count(pool.size(), pool.num_idle(), pool.options().get_max_connections()));
        let read = on_readers!(self, pool => count(pool.size(), pool.num_idle(), pool.options().get_max_connections()));
        let in_use = main.0 + read.0;
        ConnectionCounts {
            in_use,
            idle: main.1 + read.1,
            max: main.2 + read.2,
            waiting: operations.saturating_sub(in_use),
        }
    }

    /// Returns the number of lists that can be read concurrently, which is the size of the read
    /// pool.
    #[must_use]
    pub fn max_concurrent_lists(&self) -> usize {
        let size = on_readers!(self, pool => pool.options().get_max_connections());
        usize::try_from(size).unwrap_or(1)
    }
}

async fn open_sqlite(options: &SqliteConnectOptions, limits: PoolLimits) -> Result<sqlx::SqlitePool> {
    let file = options.get_filename();
    create_private(file)
        .and_then(|()| restrict_permissions(file))
        .map_err(|error| Error::Unavailable(Outage::File(error)))?;
    // No other process may read or write the file while it is open, because the token cache would
    // miss the change. This VFS locks the file for the process. `locking_mode = exclusive` would
    // lock it for one connection and exclude the read pool.
    let options = options.clone().vfs("unix-excl");
    let options = options
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode, any weaker setting acknowledges commits that are not on disk yet.
        .synchronous(SqliteSynchronous::Full)
        // Shorter than the pool's own timeout, which would hide the cause.
        .busy_timeout(limits.acquire_timeout / 2);
    // One connection, because two writers to one file only block each other or fail.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(limits.acquire_timeout)
        .after_release(|connection, _| Box::pin(roll_back_open_transaction(connection)));
    pool.connect_with(options).await.map_err(|error| if is_busy(&error) { Error::InUse } else { error.into() })
}

/// Returns a lazy pool of connections that read while the writer writes. In WAL mode neither blocks
/// the other.
fn sqlite_read_pool(writer: &sqlx::SqlitePool, limits: PoolLimits) -> sqlx::SqlitePool {
    // Not opened read-only: with this VFS, such a connection would release the process's lock on
    // the file.
    let options = (*writer.connect_options()).clone().pragma("query_only", "on");
    let limit = limits.statement_timeout;
    SqlitePoolOptions::new()
        .max_connections(SQLITE_READ_CONNECTIONS)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(limits.acquire_timeout)
        .after_connect(move |connection, _| Box::pin(set_statement_deadline(connection, limit)))
        .before_acquire(move |connection, _| {
            Box::pin(async move { set_statement_deadline(connection, limit).await.map(|()| true) })
        })
        .connect_lazy_with(options)
}

/// Interrupts the next statement if it takes longer than `limit`. PostgreSQL has a setting for
/// this, SQLite has not.
async fn set_statement_deadline(connection: &mut SqliteConnection, limit: Duration) -> sqlx::Result<()> {
    /// Virtual machine instructions between two checks of the clock: well below a millisecond.
    const INSTRUCTIONS: i32 = 10_000;
    let started_at = Instant::now();
    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS, move || started_at.elapsed() < limit);
    Ok(())
}

/// Ends a transaction that its owner left open. If a commit fails because the disk is full, SQLite
/// rolls back by itself. The rollback of the driver (sqlx 0.9) then fails, and the driver still
/// counts the transaction as open. Later statements would join it and be acknowledged without ever
/// being committed.
async fn roll_back_open_transaction(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // Waits for a rollback that may be in progress.
        connection.ping().await?;
    }
    if connection.is_in_transaction() {
        // Opens the transaction that the driver believes in, so that the rollback succeeds. `begin`
        // fails if one is open already.
        let _ = sqlx::raw_sql("begin").execute(&mut *connection).await;
        SqliteTransactionManager::rollback(connection).await?;
    }
    Ok(!connection.is_in_transaction())
}

/// Returns true for SQLITE_BUSY.
fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "5")
}

/// Creates a missing file with mode 0600. SQLite gives its journal files the same mode.
pub(super) fn create_private(file: &Path) -> std::io::Result<()> {
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes the permissions of group and others from the file and its journals, which contain
/// password hashes and the audit log.
fn restrict_permissions(file: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let path = Path::new(&name);
        let mode = match std::fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode() & 0o777,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if mode & 0o077 == 0 {
            continue;
        }
        let file = path.display();
        std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700)).map_err(|error| {
            let message = format!("other users can read {file} (mode {mode:03o}): {error}; run chmod 600 {file}");
            std::io::Error::new(error.kind(), message)
        })?;
        tracing::warn!(%file, mode = format!("{mode:03o}"), "restricted the permissions of a database file to its \
             owner");
    }
    Ok(())
}
