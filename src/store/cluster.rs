//! The nodes that share a PostgreSQL: their rows, what they tell each other, and what each hears.
//!
//! Only PostgreSQL has them: one process has a SQLite file to itself.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use uuid::Uuid;

use super::{Error, Pool, Result, Store, failover::Hosts};

/// Where changes are announced; the triggers of the migration name it, too.
const CHANNEL: &str = "tokenward";
/// Before the id of a process: where it alone is told something.
const OWN_CHANNEL: &str = "tokenward-";
/// By what `pg_stat_activity` shows the connections that listen.
const EAR: &str = "tokenward-ear";

/// The nodes of a database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Nodes {
    hosts: Hosts,
}

/// A node as another sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: Uuid,
    /// How long its lease lasts from when it was asked for.
    pub lease: Duration,
    /// How often it has renewed it.
    pub renewals: i64,
}

/// By what messages between nodes are known to be authentic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClusterSecret {
    /// Signs.
    pub signing: [u8; 32],
    /// Is accepted beside it, while the secret is rotated.
    pub accepted: Option<[u8; 32]>,
}

/// What a node asks for again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterState {
    pub secret: ClusterSecret,
    /// All transactions below this one have ended.
    pub oldest_transaction: u64,
}

/// What other roles of the server may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    pub public_may_connect: bool,
    pub others_may_read_secret: bool,
}

/// A connection that hears what is announced, in the order of the commits.
pub struct Ear {
    listener: PgListener,
}

impl Store {
    /// The nodes that share this store; none on SQLite.
    #[must_use]
    pub fn nodes(&self) -> Option<Nodes> {
        match &self.pool {
            Pool::Postgres(hosts) => Some(Nodes { hosts: hosts.clone() }),
            Pool::Sqlite(_) => None,
        }
    }
}

impl Nodes {
    /// Looks for the primary anew, after a connection to what was it has been lost.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where there is none.
    pub async fn seek(&self) -> Result<()> {
        self.hosts.seek().await
    }

    /// Begins to listen to what all are told and to what only this process is, over a connection of its own; none where nothing is heard on it within `patience`.
    ///
    /// A pooler that lends its connections out by the transaction breaks LISTEN, and worse: it leaves a connection listening that
    /// others use then. So something is tried first on a channel that nobody else has: it is announced over another connection,
    /// and must be heard on this one, which says nothing meanwhile.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn listen(&self, process: Uuid, trial: Uuid, patience: Duration) -> Result<Option<Ear>> {
        let options = PgConnectOptions::clone(&self.hosts.pool().connect_options());
        // A renewal need not be on disk: after a crash every node begins anew.
        let options = options.application_name(EAR).options([("synchronous_commit", "off")]);
        let own = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let mut listener = PgListener::connect_with(&own.connect_lazy_with(options)).await?;
        // A connection that is made anew by itself would hide that something was missed.
        listener.eager_reconnect(false);
        listener.ignore_pool_close_event(true);
        let trial = format!("tokenward-trial-{}", trial.simple());
        listener.listen(&trial).await?;
        let told = sqlx::query("select pg_notify($1, '')::text").bind(&trial).execute(&self.hosts.pool()).await;
        match told {
            // The announcement came where nobody listens.
            Err(sqlx::Error::Protocol(_)) => return Ok(None),
            told => told?,
        };
        match tokio::time::timeout(patience, listener.try_recv()).await {
            Err(_) => return Ok(None),
            Ok(heard) => heard?.ok_or(Error::Unavailable(sqlx::Error::WorkerCrashed))?,
        };
        listener.unlisten(&trial).await?;
        listener.listen_all([CHANNEL, &own_channel(process)]).await?;
        Ok(Some(Ear { listener }))
    }

    /// Writes the row of a node, and announces `notice` with it. It is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn join(&self, id: Uuid, lease: Duration, notice: &str) -> Result<()> {
        const JOIN: &str = "with joined as (insert into node (id, lease_ms, renewals, lease_until) \
             values ($1, $2, 0, clock_timestamp() + make_interval(secs => $2 / 1000.0)) returning id) \
             select pg_notify($3, $4)::text from joined";
        sqlx::query(JOIN).bind(id).bind(millis(lease)).bind(CHANNEL).bind(notice).execute(&self.hosts.pool()).await?;
        Ok(())
    }

    /// Removes the row of a node that has given up its lease, and announces `notice`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn leave(&self, id: Uuid, notice: &str) -> Result<()> {
        const LEAVE: &str =
            "with gone as (delete from node where id = $1 returning id) select pg_notify($2, $3)::text from gone";
        sqlx::query(LEAVE).bind(id).bind(CHANNEL).bind(notice).execute(&self.hosts.pool()).await?;
        Ok(())
    }

    /// The secret of the cluster, and up to where transactions have ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; also where the role of the service may not read the secret.
    pub async fn state(&self) -> Result<ClusterState> {
        state_of(sqlx::query_as(STATE).fetch_one(&self.hosts.pool()).await?)
    }

    /// Accepts this secret beside the one that signs, or the latter alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn accept_secret(&self, secret: Option<[u8; 32]>) -> Result<()> {
        const ACCEPT: &str = "update cluster_secret set accepted = $1";
        sqlx::query(ACCEPT).bind(secret.map(Vec::from)).execute(&self.hosts.pool()).await?;
        Ok(())
    }

    /// Signs with the secret that is accepted, and accepts the one that has signed. Answers whether it was this one that is accepted.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn sign_with(&self, secret: [u8; 32]) -> Result<bool> {
        const SWITCH: &str = "update cluster_secret set signing = accepted, accepted = signing where accepted = $1";
        let switched = sqlx::query(SWITCH).bind(secret.as_slice()).execute(&self.hosts.pool()).await?;
        Ok(switched.rows_affected() == 1)
    }

    /// The longest lease of a node; none where there is no node.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn longest_lease(&self) -> Result<Option<Duration>> {
        const LONGEST: &str = "select max(lease_ms) from node";
        let longest: Option<i32> = sqlx::query_scalar(LONGEST).fetch_one(&self.hosts.pool()).await?;
        Ok(longest.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))))
    }

    /// What other roles of the server may do.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn exposure(&self) -> Result<Exposure> {
        const ASK: &str = "select has_database_privilege('public', current_database(), 'connect'), \
             exists (select from pg_class, aclexplode(relacl) acl \
             where pg_class.oid = 'cluster_secret'::regclass and acl.grantee <> relowner)";
        let (public_may_connect, others_may_read_secret) = sqlx::query_as(ASK).fetch_one(&self.hosts.pool()).await?;
        Ok(Exposure { public_may_connect, others_may_read_secret })
    }

    /// Announces `notice` to all nodes, and lists them as they are after everything that was committed before.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn call(&self, notice: &str) -> Result<Vec<Node>> {
        // The same notification of one transaction is sent once.
        const CALL: &str = "select id, lease_ms, renewals, pg_notify($1, $2)::text from node";
        let rows: Vec<(Uuid, i32, i64, Option<String>)> =
            sqlx::query_as(CALL).bind(CHANNEL).bind(notice).fetch_all(&self.hosts.pool()).await?;
        let lease = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        Ok(rows.into_iter().map(|(id, ms, renewals, _)| Node { id, lease: lease(ms), renewals }).collect())
    }

    /// Removes the rows of nodes that have not renewed their lease since they were listed; answers how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn remove_silent(&self, nodes: &[Node]) -> Result<u64> {
        const REMOVE: &str = "delete from node using unnest($1::uuid[], $2::bigint[]) as silent (id, renewals) \
             where node.id = silent.id and node.renewals = silent.renewals";
        let (ids, renewals): (Vec<Uuid>, Vec<i64>) = nodes.iter().map(|node| (node.id, node.renewals)).unzip();
        Ok(sqlx::query(REMOVE).bind(ids).bind(renewals).execute(&self.hosts.pool()).await?.rows_affected())
    }
}

impl Ear {
    /// The next announcement. Dropping the future loses none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the connection was lost: what is announced until there is another is never heard.
    pub async fn next(&mut self) -> Result<String> {
        match self.listener.try_recv().await? {
            Some(notification) => Ok(notification.payload().to_owned()),
            None => Err(Error::Unavailable(sqlx::Error::WorkerCrashed)),
        }
    }

    /// An announcement that has come already.
    pub fn buffered(&mut self) -> Option<String> {
        self.listener.next_buffered().map(|notification| notification.payload().to_owned())
    }

    /// What [`Nodes::state`] answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn state(&mut self) -> Result<ClusterState> {
        state_of(sqlx::query_as(STATE).fetch_one(&mut self.listener).await?)
    }

    /// Renews the lease of a node and announces `notice` with it; answers whether its row was still there.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn renew(&mut self, id: Uuid, lease: Duration, notice: &str) -> Result<bool> {
        const RENEW: &str = "with renewed as (update node set renewals = renewals + 1, \
             lease_until = clock_timestamp() + make_interval(secs => $2 / 1000.0) where id = $1 returning id) \
             select pg_notify($3, $4)::text from renewed";
        let row = sqlx::query(RENEW).bind(id).bind(millis(lease)).bind(CHANNEL).bind(notice);
        Ok(row.fetch_optional(&mut self.listener).await?.is_some())
    }

    /// Tells processes something, each alone.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn tell(&mut self, notices: &[(Uuid, String)]) -> Result<()> {
        const TELL: &str =
            "select pg_notify(channel, notice)::text from unnest($1::text[], $2::text[]) as told (channel, notice)";
        let (channels, notices): (Vec<String>, Vec<&str>) =
            notices.iter().map(|(process, notice)| (own_channel(*process), notice.as_str())).unzip();
        sqlx::query(TELL).bind(channels).bind(notices).fetch_all(&mut self.listener).await?;
        Ok(())
    }
}

const STATE: &str = "select signing, accepted, pg_snapshot_xmin(pg_current_snapshot())::text from cluster_secret";

fn state_of((signing, accepted, oldest): (Vec<u8>, Option<Vec<u8>>, String)) -> Result<ClusterState> {
    let secret = |bytes: Vec<u8>| bytes.try_into().map_err(|_| Error::corrupt("cluster_secret"));
    let secret = ClusterSecret { signing: secret(signing)?, accepted: accepted.map(secret).transpose()? };
    Ok(ClusterState { secret, oldest_transaction: oldest.parse().map_err(|_| Error::corrupt("pg_snapshot_xmin"))? })
}

impl std::fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterSecret([hidden])")
    }
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ear")
    }
}

fn own_channel(process: Uuid) -> String {
    format!("{OWN_CHANNEL}{}", process.simple())
}

fn millis(lease: Duration) -> i32 {
    i32::try_from(lease.as_millis()).unwrap_or(i32::MAX)
}
