//! Cluster statements of PostgreSQL: node rows, notifications between nodes, and the cluster
//! secret.
//!
//! SQLite has none of these, because one process owns the file.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use uuid::Uuid;

use super::{
    Error, Outage, Pool, Result, Store,
    failover::{FailoverPool, initialize_session},
    from_row,
};
use crate::domain::time::Timestamp;

/// Channel of invalidations and messages to all nodes. The triggers of the schema use the same
/// name.
const BROADCAST_CHANNEL: &str = "tokenward";
/// Prefix of the channel on which one process alone is notified; the process ID follows.
const PROCESS_CHANNEL_PREFIX: &str = "tokenward-";
/// Application name of the listening connections in `pg_stat_activity`.
const LISTENER_APPLICATION_NAME: &str = "tokenward-listen";

/// Statements about the nodes of a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClusterStore {
    pool: FailoverPool,
}

/// Node, as the others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub id: Uuid,
    /// Length of its lease, counted from the request to renew it.
    pub lease: Duration,
    /// Number of times the node has renewed its lease.
    pub renewals: i64,
}

/// Lease of a node, as the database knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLease {
    pub id: Uuid,
    /// End of the lease by the clock of the database.
    pub lease_until: Timestamp,
    pub is_valid: bool,
}

from_row!(NodeLease { id, lease_until, is_valid });

/// Secrets from which the nodes derive the keys that authenticate their messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClusterSecret {
    /// Signs outgoing messages.
    pub signing: [u8; 32],
    /// Also accepted while the secret is rotated.
    pub accepted: Option<[u8; 32]>,
}

/// State that every node reads with each renewal of its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterState {
    pub secret: ClusterSecret,
    /// All transactions with a lower ID have ended.
    pub oldest_transaction: u64,
}

/// Access of other database roles to the cluster secret and the notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterExposure {
    pub public_may_connect: bool,
    pub others_may_read_secret: bool,
}

/// Connection that receives notifications in the order of the commits.
pub struct NotificationStream {
    listener: PgListener,
}

impl Store {
    /// Returns the cluster statements, or `None` on SQLite.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterStore> {
        match &self.pool {
            Pool::Postgres(pool) => Some(ClusterStore { pool: pool.clone() }),
            Pool::Sqlite(_) => None,
        }
    }
}

impl ClusterStore {
    /// Looks for the primary again after a connection to the previous one was lost.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if no host is a primary.
    pub async fn rediscover_primary(&self) -> Result<()> {
        self.pool.rediscover_primary().await
    }

    /// Listens on the broadcast channel and on the channel of this process, over a dedicated
    /// connection. Returns `None` if a test notification does not arrive within `timeout`.
    ///
    /// A pooler in transaction mode breaks LISTEN and leaves a shared connection listening. Before
    /// the real channels are used, the connection therefore listens on a channel of its own while
    /// another connection notifies it. The listening connection executes nothing in between.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn listen(
        &self,
        process_id: Uuid,
        test_id: Uuid,
        timeout: Duration,
    ) -> Result<Option<NotificationStream>> {
        let options = PgConnectOptions::clone(&self.pool.pool().connect_options());
        let options = options.application_name(LISTENER_APPLICATION_NAME);
        // Renewals are on disk when they take effect: a node keeps its lease when the server crashes.
        let dedicated = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .after_connect(|connection, _| Box::pin(async { initialize_session(connection).await.map(drop) }));
        let mut listener = PgListener::connect_with(&dedicated.connect_lazy_with(options)).await?;
        // An automatic reconnect would hide lost notifications.
        listener.eager_reconnect(false);
        listener.ignore_pool_close_event(true);
        let test_channel = format!("tokenward-trial-{}", test_id.simple());
        listener.listen(&test_channel).await?;
        let notified =
            sqlx::query("select pg_notify($1, '')::text").bind(&test_channel).execute(&self.pool.pool()).await;
        match notified {
            // The notification arrived on a connection that does not expect any.
            Err(sqlx::Error::Protocol(_)) => return Ok(None),
            notified => notified?,
        };
        match tokio::time::timeout(timeout, listener.try_recv()).await {
            Err(_) => return Ok(None),
            Ok(received) => received?.ok_or(Error::Unavailable(Outage::Disconnected))?,
        };
        listener.unlisten(&test_channel).await?;
        listener.listen_all([BROADCAST_CHANNEL, &process_channel(process_id)]).await?;
        Ok(Some(NotificationStream { listener }))
    }

    /// Inserts the row of a node and broadcasts `message` in the same transaction. The row is on
    /// disk when this returns.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn join(&self, id: Uuid, lease: Duration, message: &str) -> Result<()> {
        const JOIN: &str = "with joined as (insert into node (id, lease_ms, renewals, lease_until, schema_version) \
             values ($1, $2, 0, clock_timestamp() + make_interval(secs => $2 / 1000.0), $5) returning id) \
             select pg_notify($3, $4)::text from joined";
        sqlx::query(JOIN)
            .bind(id)
            .bind(lease_millis(lease))
            .bind(BROADCAST_CHANNEL)
            .bind(message)
            .bind(super::migrations::program_version())
            .execute(&self.pool.pool())
            .await?;
        Ok(())
    }

    /// Deletes the row of a node that has given up its lease, and broadcasts `message`.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn leave(&self, id: Uuid, notice: &str) -> Result<()> {
        const LEAVE: &str =
            "with gone as (delete from node where id = $1 returning id) select pg_notify($2, $3)::text from gone";
        sqlx::query(LEAVE).bind(id).bind(BROADCAST_CHANNEL).bind(notice).execute(&self.pool.pool()).await?;
        Ok(())
    }

    /// Returns the cluster secret and the oldest running transaction.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or the role of the service
    /// may not read the secret, and [`Error::Corrupt`] if the secret does not have 32 bytes.
    pub async fn state(&self) -> Result<ClusterState> {
        parse_state(sqlx::query_as(SELECT_STATE).fetch_one(&self.pool.pool()).await?)
    }

    /// Accepts this secret in addition to the signing one; `None` accepts the signing one alone.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn accept_secret(&self, secret: Option<[u8; 32]>) -> Result<()> {
        const ACCEPT: &str = "update cluster_secret set accepted = $1";
        sqlx::query(ACCEPT).bind(secret.map(Vec::from)).execute(&self.pool.pool()).await?;
        Ok(())
    }

    /// Swaps the signing and the accepted secret, and returns whether `secret` was the accepted
    /// one. Otherwise nothing changes.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn switch_signing_secret(&self, secret: [u8; 32]) -> Result<bool> {
        const SWAP: &str = "update cluster_secret set signing = accepted, accepted = signing where accepted = $1";
        let updated = sqlx::query(SWAP).bind(secret.as_slice()).execute(&self.pool.pool()).await?;
        Ok(updated.rows_affected() == 1)
    }

    /// Returns the longest lease of all nodes, or `None` if there is no node.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn longest_lease(&self) -> Result<Option<Duration>> {
        const LONGEST: &str = "select max(lease_ms) from node";
        let longest: Option<i32> = sqlx::query_scalar(LONGEST).fetch_one(&self.pool.pool()).await?;
        Ok(longest.map(parse_lease))
    }

    /// Lists the nodes with their leases, in the order of their IDs.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn list_leases(&self) -> Result<Vec<NodeLease>> {
        const LIST: &str = "select id, lease_until, lease_until > clock_timestamp() as is_valid from node order by id";
        Ok(sqlx::query_as(LIST).fetch_all(&self.pool.pool()).await?)
    }

    /// Returns the access of other database roles.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn find_exposure(&self) -> Result<ClusterExposure> {
        const SELECT: &str = "select has_database_privilege('public', current_database(), 'connect'), \
             exists (select from pg_class, aclexplode(relacl) acl \
             where pg_class.oid = 'cluster_secret'::regclass and acl.grantee <> relowner)";
        let (public_may_connect, others_may_read_secret) = sqlx::query_as(SELECT).fetch_one(&self.pool.pool()).await?;
        Ok(ClusterExposure { public_may_connect, others_may_read_secret })
    }

    /// Broadcasts `message` and lists the nodes as of all earlier commits.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn ping(&self, notice: &str) -> Result<Vec<NodeRow>> {
        // PostgreSQL sends identical notifications of one transaction once, so one per row is one
        // in total.
        const PING: &str = "select id, lease_ms, renewals, pg_notify($1, $2)::text from node";
        let rows: Vec<(Uuid, i32, i64, Option<String>)> =
            sqlx::query_as(PING).bind(BROADCAST_CHANNEL).bind(notice).fetch_all(&self.pool.pool()).await?;
        Ok(rows.into_iter().map(|(id, ms, renewals, _)| NodeRow { id, lease: parse_lease(ms), renewals }).collect())
    }

    /// Deletes the rows of nodes that have not renewed their lease since they were listed. Returns
    /// their number.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn remove_unresponsive(&self, nodes: &[NodeRow]) -> Result<u64> {
        const REMOVE: &str = "delete from node using unnest($1::uuid[], $2::bigint[]) as silent (id, renewals) \
             where node.id = silent.id and node.renewals = silent.renewals";
        let (ids, renewals): (Vec<Uuid>, Vec<i64>) = nodes.iter().map(|node| (node.id, node.renewals)).unzip();
        Ok(sqlx::query(REMOVE).bind(ids).bind(renewals).execute(&self.pool.pool()).await?.rows_affected())
    }
}

impl NotificationStream {
    /// Waits for the next notification. Cancel safe: dropping the future loses none.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the connection is lost. Notifications sent before the next
    /// connection listens are lost as well.
    pub async fn next(&mut self) -> Result<String> {
        match self.listener.try_recv().await? {
            Some(notification) => Ok(notification.payload().to_owned()),
            None => Err(Error::Unavailable(Outage::Disconnected)),
        }
    }

    /// Returns a notification that has already arrived, if any.
    pub fn next_buffered(&mut self) -> Option<String> {
        self.listener.next_buffered().map(|notification| notification.payload().to_owned())
    }

    /// Returns the same as [`ClusterStore::state`], over this connection.
    ///
    /// # Errors
    /// Returns the same errors as [`ClusterStore::state`].
    pub async fn state(&mut self) -> Result<ClusterState> {
        parse_state(sqlx::query_as(SELECT_STATE).fetch_one(&mut self.listener).await?)
    }

    /// Renews the lease of a node and broadcasts `message` in the same transaction. Returns false
    /// if its row is missing.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn renew(&mut self, id: Uuid, lease: Duration, notice: &str) -> Result<bool> {
        const RENEW: &str = "with renewed as (update node set renewals = renewals + 1, \
             lease_until = clock_timestamp() + make_interval(secs => $2 / 1000.0) where id = $1 returning id) \
             select pg_notify($3, $4)::text from renewed";
        let row = sqlx::query(RENEW).bind(id).bind(lease_millis(lease)).bind(BROADCAST_CHANNEL).bind(notice);
        Ok(row.fetch_optional(&mut self.listener).await?.is_some())
    }

    /// Sends each message to the channel of its process.
    ///
    /// # Errors
    /// Returns [`Error::Unavailable`] if the database cannot be reached or does not respond in
    /// time.
    pub async fn notify_processes(&mut self, messages: &[(Uuid, String)]) -> Result<()> {
        const NOTIFY: &str = "select pg_notify(channel, message)::text from unnest($1::text[], $2::text[]) as \
             outgoing (channel, message)";
        let (channels, messages): (Vec<String>, Vec<&str>) =
            messages.iter().map(|(process_id, message)| (process_channel(*process_id), message.as_str())).unzip();
        sqlx::query(NOTIFY).bind(channels).bind(messages).fetch_all(&mut self.listener).await?;
        Ok(())
    }
}

const SELECT_STATE: &str =
    "select signing, accepted, pg_snapshot_xmin(pg_current_snapshot())::text from cluster_secret";

fn parse_state((signing, accepted, oldest): (Vec<u8>, Option<Vec<u8>>, String)) -> Result<ClusterState> {
    let parse_secret = |bytes: Vec<u8>| bytes.try_into().map_err(|_| Error::corrupt("cluster_secret"));
    let secret = ClusterSecret { signing: parse_secret(signing)?, accepted: accepted.map(parse_secret).transpose()? };
    let oldest_transaction = oldest.parse().map_err(|_| Error::corrupt("pg_snapshot_xmin"))?;
    Ok(ClusterState { secret, oldest_transaction })
}

impl std::fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterSecret([hidden])")
    }
}

impl std::fmt::Debug for NotificationStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NotificationStream")
    }
}

fn process_channel(process_id: Uuid) -> String {
    format!("{PROCESS_CHANNEL_PREFIX}{}", process_id.simple())
}

fn parse_lease(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn lease_millis(lease: Duration) -> i32 {
    i32::try_from(lease.as_millis()).unwrap_or(i32::MAX)
}
