//! Connection pool of PostgreSQL that finds the primary among the hosts of the database URL.
//!
//! Only the primary is used. A standby may lag: it could still accept a token that was revoked on
//! the primary.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use sqlx::{
    Connection as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Error, Outage, PoolLimits, Result, database_url::Host, read_only_sessions::ReadOnlySessionTracker};

/// Connections that were idle for longer are tested before they are used. A restart of the server takes longer, so no
/// request fails because of a connection from before.
const MAX_UNTESTED_IDLE: Duration = Duration::from_millis(100);
/// Maximum time that a probe of the only host may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time that a probe of one of several hosts may take.
const PROBE_TIMEOUT_MULTIPLE_HOSTS: Duration = Duration::from_secs(2);
/// Maximum age of a session that can only read. A newer one may be able to write.
const READ_ONLY_SESSION_MAX_AGE: Duration = Duration::from_secs(1);

/// Connection pools to the current primary. Cheap to clone; all clones follow the same primary.
#[derive(Clone, Debug)]
pub(super) struct FailoverPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hosts: Vec<Host>,
    limits: PoolLimits,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    pool: PgPool,
    /// Serves only lists and counts.
    readers: PgPool,
    timeline: i32,
}

impl Current {
    fn new(options: PgConnectOptions, limits: PoolLimits, timeline: i32) -> Self {
        let readers = lazy_pool(options.clone(), limits, limits.read_connections());
        Self { pool: lazy_pool(options, limits, limits.main_connections()), readers, timeline }
    }
}

/// State of a new session, read from the server.
pub(super) struct SessionRole {
    is_standby: bool,
    is_read_only: bool,
}

/// Host that is not a standby.
struct Primary {
    options: PgConnectOptions,
    timeline: i32,
    is_read_only: bool,
}

impl FailoverPool {
    /// Finds the primary and opens the pools.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] with the failure of the last host if no host is a primary.
    pub(super) async fn open(hosts: &[Host], limits: PoolLimits) -> Result<Self> {
        let timeout = limits.statement_timeout.as_millis().to_string();
        let hosts: Vec<_> = hosts
            .iter()
            .map(|host| {
                let options = host.options.clone();
                let has_name = options.get_application_name().is_some();
                let options = if has_name { options } else { options.application_name("tokenward") };
                let options = options.options([
                    ("statement_timeout", timeout.as_str()),
                    // A node that freezes inside a transaction must not keep its locks.
                    ("idle_in_transaction_session_timeout", timeout.as_str()),
                ]);
                Host { options, ..host.clone() }
            })
            .collect();
        // Probe without the pool, whose own timeout would hide the cause.
        let Primary { options, timeline, .. } = find_primary(&hosts, 0).await?;
        let current = RwLock::new(Current::new(options, limits, timeline));
        Ok(Self(Arc::new(Inner { hosts, limits, current })))
    }

    /// Returns the pool of the last known primary.
    pub(super) fn pool(&self) -> PgPool {
        self.0.current.read().pool.clone()
    }

    /// Returns the read pool of the last known primary, which serves lists and counts.
    pub(super) fn readers(&self) -> PgPool {
        self.0.current.read().readers.clone()
    }

    /// Probes all hosts and replaces the pools by new ones to the primary. Operations on the old
    /// connections run to their end. The old pools are not closed: a connection to a host that
    /// vanished silently would never be returned to them.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if no host is a primary. The old pools then stay in use.
    pub(super) async fn rediscover_primary(&self) -> Result<()> {
        let known_timeline = self.0.current.read().timeline;
        let primary = find_primary(&self.0.hosts, known_timeline).await?;
        let mut current = self.0.current.write();
        // Keeps the existing pool, because its connections can at least read as well.
        if primary.is_read_only || current.pool.is_closed() {
            return Ok(());
        }
        let previous = current.pool.connect_options();
        let host = primary.options.get_host();
        let port = primary.options.get_port();
        if previous.get_host() != host || previous.get_port() != port {
            tracing::warn!(db.host = host, db.port = port, "switched to a new primary");
        }
        *current = Current::new(primary.options, self.0.limits, primary.timeline);
        Ok(())
    }
}

/// Returns the first host that accepts writes, or else the first primary that is read-only.
async fn find_primary(hosts: &[Host], known_timeline: i32) -> Result<Primary> {
    let has_several_hosts = hosts.len() > 1;
    let default_timeout = if has_several_hosts { PROBE_TIMEOUT_MULTIPLE_HOSTS } else { PROBE_TIMEOUT };
    let mut last_error = Error::timed_out();
    let mut read_only = None;
    for host in hosts {
        let timeout = host.connect_timeout.unwrap_or(default_timeout);
        let mut probe = tokio::time::timeout(timeout, probe_host(&host.options, has_several_hosts)).await;
        if let (Ok(Err(_)), Some(mode)) = (&probe, host.fallback) {
            let options = host.options.clone().ssl_mode(mode);
            probe = tokio::time::timeout(timeout, probe_host(&options, has_several_hosts)).await;
        }
        let Ok(probe) = probe else {
            last_error = Error::timed_out();
            continue;
        };
        match probe {
            // A former primary that came back after a failover still has tokens that were revoked
            // since.
            Ok(primary) if primary.timeline < known_timeline => {
                last_error = host_rejected("the host was superseded by another primary");
            }
            Ok(primary) if primary.is_read_only => read_only = read_only.or(Some(primary)),
            Ok(primary) => return Ok(primary),
            Err(error) => last_error = with_remedy(error),
        }
    }
    read_only.ok_or(last_error)
}

/// Probes a host over a separate connection.
async fn probe_host(options: &PgConnectOptions, has_several_hosts: bool) -> sqlx::Result<Primary> {
    // Every promotion increments the timeline.
    const TIMELINE: &str = "select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int";
    let mut connection = PgConnection::connect_with(options).await?;
    let role = initialize_session(&mut connection).await?;
    let encoding: String = sqlx::raw_sql("show server_encoding").fetch_one(&mut connection).await?.try_get(0)?;
    if encoding != "UTF8" {
        return Err(sqlx::Error::Configuration(Box::new(UnsupportedEncoding(encoding))));
    }
    let timeline =
        if has_several_hosts { sqlx::raw_sql(TIMELINE).fetch_one(&mut connection).await?.try_get(0)? } else { 0 };
    connection.close().await?;
    Ok(Primary { options: options.clone(), timeline, is_read_only: role.is_read_only })
}

/// Initializes a session: reads its role and makes sure that acknowledged commits are on disk.
pub(super) async fn initialize_session(connection: &mut PgConnection) -> sqlx::Result<SessionRole> {
    const INITIALIZE: &str = "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', case when \
         current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', false) end";
    // The simple query protocol, because a pooler forwards it as a whole.
    let row = sqlx::raw_sql(INITIALIZE).fetch_one(connection).await?;
    let role = SessionRole { is_standby: row.try_get(0)?, is_read_only: row.try_get(1)? };
    if role.is_standby { Err(sqlx::Error::Configuration("the host is a standby".into())) } else { Ok(role) }
}

async fn is_read_only(connection: &mut PgConnection) -> sqlx::Result<bool> {
    const SELECT: &str = "select current_setting('transaction_read_only') = 'on'";
    sqlx::raw_sql(SELECT).fetch_one(connection).await?.try_get(0)
}

/// Database with an encoding that cannot store every character.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database encoding is {0}, but UTF8 is required: create a database with create database NAME encoding 'UTF8' \
     template template0"
)]
struct UnsupportedEncoding(String);

/// Server certificate that was configured as the root, where only a CA certificate works.
#[derive(Debug, thiserror::Error)]
#[error(
    "sslrootcert is the server's own certificate, but must be the certificate of its CA: create a CA certificate with \
     basicConstraints=CA:TRUE, sign the server's certificate with it, and set sslrootcert to the CA certificate"
)]
struct RootIsServerCertificate(#[source] sqlx::Error);

/// Converts a driver error, adding the remedy where the driver's own text lacks it.
fn with_remedy(error: sqlx::Error) -> Error {
    // The driver does not expose the type of this TLS error, so its `Debug` text is searched.
    let is_server_certificate = format!("{error:?}").contains("CaUsedAsEndEntity");
    if is_server_certificate {
        Error::Unavailable(Outage::Database(sqlx::Error::Configuration(Box::new(RootIsServerCertificate(error)))))
    } else {
        error.into()
    }
}

fn host_rejected(reason: &'static str) -> Error {
    Error::Unavailable(Outage::Database(sqlx::Error::Configuration(reason.into())))
}

fn lazy_pool(options: PgConnectOptions, limits: PoolLimits, size: u32) -> PgPool {
    let tracker = Arc::new(ReadOnlySessionTracker::default());
    let recorder = Arc::clone(&tracker);
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(limits.acquire_timeout)
        .after_connect(move |connection, _| {
            let recorder = Arc::clone(&recorder);
            Box::pin(async move {
                if initialize_session(connection).await?.is_read_only {
                    recorder.record();
                }
                Ok(())
            })
        })
        // A round trip before each statement would double its latency, and a recently used
        // connection works.
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let needs_test = meta.idle_for > MAX_UNTESTED_IDLE || tracker.may_be_read_only(meta.age);
            Box::pin(async move {
                // A session that began while the database was read-only stays read-only for its
                // lifetime.
                Ok(!needs_test || !is_read_only(connection).await? || meta.age < READ_ONLY_SESSION_MAX_AGE)
            })
        })
        .connect_lazy_with(options)
}
