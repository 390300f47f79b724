//! The subscriber: the task that receives notifications over one connection and renews the lease.
//!
//! It processes notifications in order. The [module documentation](super) explains why this is
//! enough.

use std::{mem::Discriminant, sync::Arc, time::Duration};

use tokio::{sync::watch, time::MissedTickBehavior};

use super::{LocalState, barrier::RevocationBarrier, message::Message, node_state::NodeState};
use crate::{
    domain::{causes::Causes, invalidation::Invalidation, random::Random, time::Clock},
    store::{self, ClusterStore},
};

/// The minimum number of renewals within one lease duration.
const RENEWALS_PER_LEASE: u32 = 4;
/// The longest time between two renewals: a node that loses the database keeps at least the rest of
/// its lease.
const MAX_RENEWAL_INTERVAL: Duration = Duration::from_millis(2_500);
/// The longest time to wait for a response of the database.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(10);
/// The delay before the subscriber reconnects.
const RECONNECT_DELAY: Duration = Duration::from_millis(250);
/// The delay before the subscriber retries a connection through a pooler that breaks `LISTEN`.
const POOLER_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The task that listens to the other nodes.
pub(crate) struct Subscriber {
    pub(crate) cluster: ClusterStore,
    pub(crate) local: Arc<LocalState>,
    pub(crate) barrier: RevocationBarrier,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) lease_duration: Duration,
}

/// The reason why a session ended or could not begin.
#[derive(Debug, thiserror::Error)]
enum Disconnected {
    #[error("the connection that receives notifications was lost")]
    Lost(#[from] store::Error),
    #[error("the database did not respond in time")]
    Silence,
    #[error("the row of this node was removed")]
    Removed,
    #[error("the connection does not receive notifications")]
    Pooler,
}

impl Disconnected {
    /// Returns whether no server was reached. Every other failure may concern only this connection.
    fn is_unreachable(&self) -> bool {
        matches!(self, Self::Lost(store::Error::Unavailable(outage)) if outage.is_unreachable())
    }
}

/// A session: one connection from `LISTEN` to its loss, under one node ID.
struct Session<'a> {
    subscriber: &'a Subscriber,
    connection: store::NotificationStream,
    state: NodeState,
    /// All transactions below this one had ended at the last database read.
    oldest_transaction: u64,
}

impl Subscriber {
    /// Listens until `stopped` changes, and reconnects after each loss of the connection.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<()>) {
        let mut logged = None;
        let mut connection_lost = false;
        self.warn_about_exposure().await;
        loop {
            let reason = tokio::select! {
                reason = self.run_session(connection_lost, &mut logged) => reason,
                _ = stopped.changed() => break,
            };
            connection_lost = matches!(reason, Disconnected::Lost(_) | Disconnected::Silence);
            let is_pooler = matches!(reason, Disconnected::Pooler);
            let delay = if is_pooler { POOLER_RETRY_DELAY } else { RECONNECT_DELAY };
            // Each reason is logged once until the next session begins.
            let kind = std::mem::discriminant(&reason);
            if logged.replace(kind) != Some(kind) {
                log_disconnected(&reason);
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = stopped.changed() => break,
            }
        }
        self.leave().await;
    }

    /// Runs one session. Returns the reason why it ended.
    async fn run_session(
        &self,
        connection_lost: bool,
        logged: &mut Option<Discriminant<Disconnected>>,
    ) -> Disconnected {
        let mut session = match self.connect(connection_lost).await {
            Ok(session) => session,
            Err(reason) => return reason,
        };
        if let Err(reason) = session.join().await {
            drop(session);
            self.leave().await;
            return reason;
        }
        if logged.take().is_some() {
            tracing::info!("reconnected to the cluster");
        }
        self.local.set_connected(true);
        let reason = session.receive_loop().await;
        self.local.set_connected(false);
        if matches!(reason, Disconnected::Removed) {
            // No operation waits for this node any more.
            self.local.cache.lease().release();
        }
        reason
    }

    /// Connects and listens. If the last connection was lost, the primary may have changed.
    ///
    /// Until then the node keeps the lease of the last session, if any: its row is in the database,
    /// so operations wait for its end.
    async fn connect(&self, connection_lost: bool) -> Result<Session<'_>, Disconnected> {
        let test_id = uuid::Builder::from_random_bytes(self.random.bytes()).into_uuid();
        let response_time = self.response_time();
        let listen = self.cluster.listen(self.barrier.process_id(), test_id, response_time);
        let reached = async {
            if connection_lost {
                self.cluster.rediscover_primary().await?;
            }
            tokio::time::timeout(2 * response_time, listen)
                .await
                .map_err(|_| Disconnected::Silence)?
                .map_err(Disconnected::from)
        };
        let reached = reached.await;
        self.local.set_database_unreachable(reached.as_ref().is_err_and(Disconnected::is_unreachable));
        let mut connection = reached?.ok_or(Disconnected::Pooler)?;
        // Read the secret before any notification, so that none is dropped for lack of it.
        let cluster_state = self.in_time(connection.state()).await?;
        self.local.update_keys(&cluster_state.secret);
        // Notifications may have been lost before. From here on, none is.
        self.local.cache.lease().release();
        self.local.cache.invalidate(Invalidation::Everything);
        self.leave().await;
        let id = uuid::Builder::from_random_bytes(self.random.bytes()).into_uuid();
        let oldest_transaction = cluster_state.oldest_transaction;
        let local = Arc::clone(&self.local);
        let state = NodeState::new(id, local, self.clock.clone(), self.lease_duration, oldest_transaction);
        Ok(Session { subscriber: self, connection, state, oldest_transaction })
    }

    /// Returns the longest time to wait for a response of the database: a lease, but not a long one.
    fn response_time(&self) -> Duration {
        self.lease_duration.min(MAX_RESPONSE_TIME)
    }

    async fn in_time<T>(&self, query: impl Future<Output = store::Result<T>>) -> Result<T, Disconnected> {
        Ok(tokio::time::timeout(self.response_time(), query).await.map_err(|_| Disconnected::Silence)??)
    }

    /// Gives up the lease and deletes the row of this node, so that no operation waits for it.
    async fn leave(&self) {
        self.local.cache.lease().release();
        self.local.set_connected(false);
        if let (Some(id), Some(keys)) = (self.local.take_node_id(), self.local.keys()) {
            self.barrier.node_left(id);
            let message = keys.sign(&Message::Leave { node: id });
            if let Err(error) = self.in_time(self.cluster.leave(id, &message)).await {
                tracing::debug!(%error, "failed to remove the row of this node; another node will remove it");
            }
        }
    }

    /// Warns if other roles of the database server can disturb the nodes or sign messages.
    async fn warn_about_exposure(&self) {
        let Ok(exposure) = self.in_time(self.cluster.find_exposure()).await else { return };
        if exposure.public_may_connect {
            tracing::warn!(
                "every role of the server may connect to this database, and can send and receive notifications; \
                 run `revoke connect on database … from public` (docs/how-to/postgres.md)"
            );
        }
        if exposure.others_may_read_secret {
            tracing::warn!(
                "a role other than the owner has privileges on the table cluster_secret, and may be able to sign \
                 messages; run `revoke all on cluster_secret from …`"
            );
        }
    }

    fn warn_about_dropped_messages(&self) {
        if let Some(dropped) = self.local.dropped.take_unreported(self.clock.boottime()) {
            tracing::warn!(
                dropped,
                "dropped forged or repeated messages; check which roles may connect to the database"
            );
        }
    }
}

fn log_disconnected(reason: &Disconnected) {
    match reason {
        Disconnected::Pooler => tracing::warn!(
            "LISTEN does not work on this connection, so checks read the database; if a pooler in transaction mode is \
             in between, set database.url to the database server itself"
        ),
        Disconnected::Lost(_) | Disconnected::Silence | Disconnected::Removed => {
            tracing::warn!(
                error = %Causes(reason),
                "disconnected from the cluster; when the lease has run out, checks read the database"
            );
        }
    }
}

impl Session<'_> {
    /// Joins the cluster, and waits for the first lease.
    ///
    /// The row must be on disk before operations rely on it. Another connection writes it, because
    /// the listening connection does not wait for the disk.
    async fn join(&mut self) -> Result<(), Disconnected> {
        let Subscriber { local, cluster, lease_duration, .. } = self.subscriber;
        let response_time = self.subscriber.response_time();
        if !local.cache.is_enabled() {
            // Without a cache, no operation need wait for this node. It only receives the
            // acknowledgements of its own pings.
            return Ok(());
        }
        local.set_node_id(self.state.id);
        let message = self.state.request_lease(self.oldest_transaction).ok_or(Disconnected::Silence)?;
        self.subscriber.in_time(cluster.join(self.state.id, *lease_duration, &message)).await?;
        tokio::time::timeout(response_time, self.wait_for_lease()).await.map_err(|_| Disconnected::Silence)??;
        self.send_acks().await
    }

    async fn wait_for_lease(&mut self) -> Result<(), Disconnected> {
        while self.state.pending_leases() > 0 {
            let message = self.connection.next().await?;
            self.receive(&message);
        }
        Ok(())
    }

    /// Receives notifications and renews the lease until something fails.
    async fn receive_loop(&mut self) -> Disconnected {
        let interval = (self.subscriber.lease_duration / RENEWALS_PER_LEASE).min(MAX_RENEWAL_INTERVAL);
        let mut renewals = tokio::time::interval(interval);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let received = tokio::select! {
                received = self.connection.next() => Some(received),
                _ = renewals.tick() => None,
            };
            let result = match received {
                Some(Ok(message)) => {
                    self.receive(&message);
                    self.send_acks().await
                }
                Some(Err(error)) => Err(error.into()),
                None => self.renew().await,
            };
            if let Err(reason) = result {
                return reason;
            }
        }
    }

    /// Processes a notification, and those that have arrived with it.
    fn receive(&mut self, message: &str) {
        let barrier = &self.subscriber.barrier;
        let mut next = Some(message.to_owned());
        while let Some(message) = next {
            match self.state.receive(&message) {
                Some(Message::Ack { process_id, number, node }) => barrier.acknowledge(process_id, number, node),
                Some(Message::Leave { node }) => barrier.node_left(node),
                Some(Message::Ping { process_id, number }) => barrier.acknowledge(process_id, number, self.state.id),
                Some(Message::Lease { .. }) | None => {}
            }
            next = self.connection.next_buffered();
        }
        self.subscriber.warn_about_dropped_messages();
    }

    async fn send_acks(&mut self) -> Result<(), Disconnected> {
        let acks = self.state.take_acks();
        if acks.is_empty() {
            return Ok(());
        }
        self.subscriber.in_time(self.connection.notify_processes(&acks)).await
    }

    /// Reads the secret and renews the lease.
    async fn renew(&mut self) -> Result<(), Disconnected> {
        let Subscriber { local, lease_duration, .. } = self.subscriber;
        // Read also without a cache, because only a query reveals that the connection is lost. Read
        // before the lease is requested, so that a node with a lease knows the current secret.
        let cluster_state = self.subscriber.in_time(self.connection.state()).await?;
        local.update_keys(&cluster_state.secret);
        self.oldest_transaction = cluster_state.oldest_transaction;
        if !local.cache.is_enabled() {
            return Ok(());
        }
        if self.state.pending_leases() > RENEWALS_PER_LEASE as usize {
            return Err(Disconnected::Silence);
        }
        let message = self.state.request_lease(self.oldest_transaction).ok_or(Disconnected::Silence)?;
        let renewal = self.connection.renew(self.state.id, *lease_duration, &message);
        let is_renewed = self.subscriber.in_time(renewal).await?;
        if is_renewed { Ok(()) } else { Err(Disconnected::Removed) }
    }
}
