//! Opening the database that a [`DatabaseUrl`] names.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool,
    error::DatabaseError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous, SqliteTransactionManager},
};
use sqlx_core::transaction::TransactionManager as _;

use super::{
    DatabaseUrl, OpenError, OperationCounter, Pool, PoolLimits, Store, database_url::Scheme, error::driver_message,
    failover::FailoverPool, sqlite_file, with_pool, with_readers,
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
    /// Returns the reason with its remedy if the database cannot be reached or opened.
    pub async fn open(url: &DatabaseUrl, limits: PoolLimits) -> Result<Self, OpenError> {
        match &url.scheme {
            Scheme::Postgres(hosts) => {
                let pool = FailoverPool::open(hosts, limits).await;
                let pool = pool.map_err(|error| OpenError::postgres(url, &error))?;
                Ok(Self::new(Pool::Postgres(pool), None))
            }
            Scheme::Sqlite(options) => {
                let writer = open_sqlite(options, limits).await?;
                let readers = Some(sqlite_read_pool(&writer, limits));
                Ok(Self::new(Pool::Sqlite(writer), readers))
            }
        }
    }

    fn new(pool: Pool, readers: Option<SqlitePool>) -> Self {
        Self { pool, readers, operations: OperationCounter::default(), backup_turn: Arc::default() }
    }

    /// Returns the number of connections to the database.
    #[must_use]
    pub fn connection_counts(&self) -> ConnectionCounts {
        let operations = self.operations.in_progress();
        let count = |size: u32, idle: usize, max: u32| {
            let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
            (size - idle, idle, max)
        };
        let main = with_pool!(self, pool => count(pool.size(), pool.num_idle(), pool.options().get_max_connections()));
        let read =
            with_readers!(self, pool => count(pool.size(), pool.num_idle(), pool.options().get_max_connections()));
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
        let size = with_readers!(self, pool => pool.options().get_max_connections());
        usize::try_from(size).unwrap_or(1)
    }
}

async fn open_sqlite(options: &SqliteConnectOptions, limits: PoolLimits) -> Result<SqlitePool, OpenError> {
    let file = options.get_filename();
    sqlite_file::prepare(file)?;
    // No other process may read or write the file while it is open, because the token cache would
    // miss the change. This VFS locks the file for the process. `locking_mode = exclusive` would
    // lock it for one connection and exclude the read pool.
    // The busy timeout is shorter than the pool's own timeout, which would hide the cause.
    let options = options.clone().vfs("unix-excl").busy_timeout(limits.acquire_timeout / 2);
    reject_foreign_database(&options).await?;
    sqlite_file::restrict_permissions(file)?;
    let options = options
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode, any weaker setting acknowledges commits that are not on disk yet.
        .synchronous(SqliteSynchronous::Full);
    // One connection, because two writers to one file only block each other or fail.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(limits.acquire_timeout)
        .after_release(|connection, _| Box::pin(roll_back_open_transaction(connection)));
    let filename = options.get_filename().to_owned();
    pool.connect_with(options).await.map_err(|error| sqlite_error(&filename, &error))
}

/// Rejects the database of another program before anything in it is changed: one that has tables,
/// but not that of the migrations.
async fn reject_foreign_database(options: &SqliteConnectOptions) -> Result<(), OpenError> {
    const TABLES: &str = "select count(*), count(case when name = '_sqlx_migrations' then 1 end) from sqlite_master \
         where type = 'table'";
    let failed = |error| sqlite_error(options.get_filename(), &error);
    let mut connection = options.clone().disable_statement_logging().connect().await.map_err(failed)?;
    let (tables, own): (i64, i64) = sqlx::query_as(TABLES).fetch_one(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    if tables > 0 && own == 0 {
        return Err(OpenError::Foreign { file: options.get_filename().display().to_string() });
    }
    Ok(())
}

/// Classifies the error of opening a SQLite file by its primary result code
/// (<https://www.sqlite.org/rescode.html>).
fn sqlite_error(file: &Path, error: &sqlx::Error) -> OpenError {
    let code = error.as_database_error().and_then(DatabaseError::code).and_then(|code| code.parse::<u32>().ok());
    let file = file.display().to_string();
    match code.map(|code| code & 0xff) {
        Some(5) => OpenError::InUse { file },
        Some(26) => OpenError::NotSqlite { file },
        _ => OpenError::Sqlite { file, cause: driver_message(error) },
    }
}

/// Returns a lazy pool of connections that read while the writer writes. In WAL mode neither blocks
/// the other.
fn sqlite_read_pool(writer: &SqlitePool, limits: PoolLimits) -> SqlitePool {
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
