//! The hosts that an address names: which of them is the primary, and the pool of connections to it.
//!
//! Only a primary is spoken to. A standby may lag: a token that was deleted on the primary could still open something there.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use sqlx::{
    Connection as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Error, Limits, Result, database_url::Host, read_only_sessions::Doubt};

/// A connection that was idle for longer is tried before it is used.
const TRIED_AFTER: Duration = Duration::from_secs(1);
/// How long a host may take to say what it is, where it is the only one, and where others can be asked instead.
const LONGEST_ASKED: Duration = Duration::from_secs(5);
const LONGEST_ASKED_OF_MANY: Duration = Duration::from_secs(2);
/// A session that can only read is kept for this long; the next one may be able to write.
const READER_KEPT_FOR: Duration = Duration::from_secs(1);

/// The hosts of a database. Cheap to clone; all clones lead to the same one.
#[derive(Clone, Debug)]
pub(super) struct Hosts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hosts: Vec<Host>,
    limits: Limits,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    pool: PgPool,
    /// For lists and counts alone.
    readers: PgPool,
    timeline: i32,
}

impl Current {
    fn new(options: PgConnectOptions, limits: Limits, timeline: i32) -> Self {
        let readers = pool_of(options.clone(), limits, limits.readers());
        Self { pool: pool_of(options, limits, limits.others()), readers, timeline }
    }
}

/// What a session is good for.
struct Standing {
    is_standby: bool,
    is_read_only: bool,
}

/// A host that is no standby.
struct Primary {
    options: PgConnectOptions,
    timeline: i32,
    is_read_only: bool,
}

impl Hosts {
    /// Finds the primary.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with what the last host said.
    pub(super) async fn open(hosts: &[Host], limits: Limits) -> Result<Self> {
        let timeout = limits.statement_timeout.as_millis().to_string();
        let hosts: Vec<_> = hosts
            .iter()
            .map(|host| {
                let options = host.options.clone();
                let is_named = options.get_application_name().is_some();
                let options = if is_named { options } else { options.application_name("tokenward") };
                let options = options.options([
                    ("statement_timeout", timeout.as_str()),
                    // A node that freezes inside a transaction must not keep its locks.
                    ("idle_in_transaction_session_timeout", timeout.as_str()),
                ]);
                Host { options, ..host.clone() }
            })
            .collect();
        // The pool would hide the reason behind its own time-out, so the first connections are made beside it.
        let Primary { options, timeline, .. } = find(&hosts, 0).await?;
        let current = RwLock::new(Current::new(options, limits, timeline));
        Ok(Self(Arc::new(Inner { hosts, limits, current })))
    }

    /// The connections to the primary, as far as is known.
    pub(super) fn pool(&self) -> PgPool {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).pool.clone()
    }

    /// The connections to the primary that serve lists and counts.
    pub(super) fn readers(&self) -> PgPool {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).readers.clone()
    }

    /// Looks for the primary anew, and begins a new pool of connections to it. What is under way on the old ones ends by itself:
    /// they may lead to a host that has vanished without a word, and would never come back to a pool that waits for them.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where none is found; the old connections stay.
    pub(super) async fn seek(&self) -> Result<()> {
        let known = self.0.current.read().unwrap_or_else(PoisonError::into_inner).timeline;
        let found = find(&self.0.hosts, known).await?;
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        // Connections that can read are as good as new ones that cannot write.
        if found.is_read_only || current.pool.is_closed() {
            return Ok(());
        }
        let before = current.pool.connect_options();
        if (before.get_host(), before.get_port()) != (found.options.get_host(), found.options.get_port()) {
            let (host, port) = (found.options.get_host(), found.options.get_port());
            tracing::warn!(db.host = host, db.port = port, "another host is the primary now");
        }
        *current = Current::new(found.options, self.0.limits, found.timeline);
        Ok(())
    }
}

/// The first host that takes writes; else the first that is a primary all the same.
async fn find(hosts: &[Host], known_timeline: i32) -> Result<Primary> {
    let is_one_of_many = hosts.len() > 1;
    let patience = if is_one_of_many { LONGEST_ASKED_OF_MANY } else { LONGEST_ASKED };
    let mut reason = Error::timed_out();
    let mut reader = None;
    for host in hosts {
        let patience = host.connect_timeout.unwrap_or(patience);
        let mut asked = tokio::time::timeout(patience, ask(&host.options, is_one_of_many)).await;
        if let (Ok(Err(_)), Some(mode)) = (&asked, host.fallback) {
            let options = host.options.clone().ssl_mode(mode);
            asked = tokio::time::timeout(patience, ask(&options, is_one_of_many)).await;
        }
        match asked.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut)) {
            // One that was the primary before a failover and came back as if nothing had happened: what was deleted since
            // is there still.
            Ok(primary) if primary.timeline < known_timeline => reason = refused("it was overtaken by another primary"),
            Ok(primary) if primary.is_read_only => reader = reader.or(Some(primary)),
            Ok(primary) => return Ok(primary),
            Err(error) => reason = explained(error),
        }
    }
    reader.ok_or(reason)
}

/// Asks a host over a connection of its own.
async fn ask(options: &PgConnectOptions, is_one_of_many: bool) -> sqlx::Result<Primary> {
    // Counted up by each promotion.
    const TIMELINE: &str = "select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int";
    let mut connection = PgConnection::connect_with(options).await?;
    let standing = begin(&mut connection).await?;
    let encoding: String = sqlx::raw_sql("show server_encoding").fetch_one(&mut connection).await?.try_get(0)?;
    if encoding != "UTF8" {
        return Err(sqlx::Error::Configuration(Box::new(WrongEncoding(encoding))));
    }
    let timeline =
        if is_one_of_many { sqlx::raw_sql(TIMELINE).fetch_one(&mut connection).await?.try_get(0)? } else { 0 };
    connection.close().await?;
    Ok(Primary { options: options.clone(), timeline, is_read_only: standing.is_read_only })
}

/// Begins a session: asks what it is good for, and sees to it that what is acknowledged is on disk.
async fn begin(connection: &mut PgConnection) -> sqlx::Result<Standing> {
    const BEGIN: &str = "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
         case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', false) end";
    // As text, which a pooler passes on in one piece.
    let row = sqlx::raw_sql(BEGIN).fetch_one(connection).await?;
    let standing = Standing { is_standby: row.try_get(0)?, is_read_only: row.try_get(1)? };
    if standing.is_standby { Err(sqlx::Error::Configuration("the host is a standby".into())) } else { Ok(standing) }
}

async fn is_read_only(connection: &mut PgConnection) -> sqlx::Result<bool> {
    const ASK: &str = "select current_setting('transaction_read_only') = 'on'";
    sqlx::raw_sql(ASK).fetch_one(connection).await?.try_get(0)
}

/// A database that cannot hold every character.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database has the encoding {0}; UTF8 is needed: create another with create database NAME encoding 'UTF8' \
     template template0"
)]
struct WrongEncoding(String);

/// A server whose own certificate was given as the root, which only an issuer's may be.
#[derive(Debug, thiserror::Error)]
#[error(
    "sslrootcert is the server's own certificate; it must be that of the issuer. Create a CA certificate with basicConstraints=CA:TRUE, \
     sign another one for the server's name with it, and give the CA's as sslrootcert"
)]
struct NoIssuer(#[source] sqlx::Error);

/// Says what to do where the driver's error does not.
fn explained(error: sqlx::Error) -> Error {
    // The driver's error is of a library that it does not show.
    let is_own = format!("{error:?}").contains("CaUsedAsEndEntity");
    if is_own { Error::Unavailable(sqlx::Error::Configuration(Box::new(NoIssuer(error)))) } else { error.into() }
}

fn refused(why: &'static str) -> Error {
    Error::Unavailable(sqlx::Error::Configuration(why.into()))
}

fn pool_of(options: PgConnectOptions, limits: Limits, size: u32) -> PgPool {
    let doubt = Arc::new(Doubt::default());
    let noted = Arc::clone(&doubt);
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(limits.acquire_timeout)
        .after_connect(move |connection, _| {
            let noted = Arc::clone(&noted);
            Box::pin(async move {
                if begin(connection).await?.is_read_only {
                    noted.note();
                }
                Ok(())
            })
        })
        // A round trip before each statement would be half of its time; a connection that worked just now works.
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let is_doubtful = meta.idle_for > TRIED_AFTER || doubt.covers(meta.age);
            Box::pin(async move {
                // A session that began while the database was read-only stays so, whatever the database becomes.
                Ok(!is_doubtful || !is_read_only(connection).await? || meta.age < READER_KEPT_FOR)
            })
        })
        .connect_lazy_with(options)
}
