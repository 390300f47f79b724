//! The revocation barrier: waits until no node accepts a revoked right any more.
//!
//! After its commit, an operation pings all nodes through the queue that carries the invalidations.
//! A node that acknowledges the ping has therefore received the invalidation. The process waits for
//! its own node as well: another process may have made the change. Operations that
//! arrive while a ping is being sent share the next one. A node that does not acknowledge is waited
//! for as long as a lease lasts. The lease that it held at the commit has then run out.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::histogram::Histogram;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::{LocalState, message::Message};
use crate::{
    cache::MAX_LEASE,
    domain::{causes::Causes, invalidation::Invalidation},
    store::{self, ClusterStore, NodeRow},
};

/// The upper bounds of the histogram buckets, in seconds.
const DURATION_BUCKETS: [f64; 20] = [
    0.0001, 0.00015, 0.0002, 0.0003, 0.0004, 0.0005, 0.0007, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.05, 0.25, 1.0,
    2.5, 10.0, 30.0, 120.0,
];

/// Waits for the acknowledgements of the other nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RevocationBarrier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: ClusterStore,
    local: Arc<LocalState>,
    /// The ID to which nodes address their acknowledgements.
    process_id: Uuid,
    state: Mutex<State>,
    lease_duration: Duration,
    /// The longest lease of the other nodes so far, in milliseconds; 0 before the first connection.
    max_lease_millis: AtomicU64,
    /// The durations of waits, in seconds.
    durations: Histogram,
}

#[derive(Debug, Default)]
struct State {
    /// Operations that wait for the next ping.
    waiting: Vec<oneshot::Sender<()>>,
    is_running: bool,
    /// The number of the last ping.
    last_ping: u64,
    pending: HashMap<u64, Arc<PendingBarrier>>,
}

/// The acknowledgements of one ping.
#[derive(Debug, Default)]
struct PendingBarrier {
    acks: Mutex<HashSet<Uuid>>,
    changed: Notify,
}

/// A ping, and the operations that wait for it.
struct PingBatch {
    number: u64,
    pending: Arc<PendingBarrier>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl RevocationBarrier {
    /// Creates the barrier of this process. `lease_duration` is that of its own leases.
    pub(crate) fn new(
        cluster: ClusterStore,
        local: Arc<LocalState>,
        process_id: Uuid,
        lease_duration: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            cluster,
            local,
            process_id,
            state: Mutex::default(),
            lease_duration,
            max_lease_millis: AtomicU64::new(0),
            durations: Histogram::new(DURATION_BUCKETS),
        }))
    }

    /// Waits until every node has applied all invalidations that were committed before the call, or
    /// its lease has run out. The wait always ends: a ping that hangs is given up after a lease, and
    /// acknowledgements are awaited for at most the longest one.
    pub(crate) async fn wait(&self) {
        let started_at = Instant::now();
        let (sender, receiver) = oneshot::channel();
        let starts_task = {
            let mut state = self.0.state();
            state.waiting.push(sender);
            !std::mem::replace(&mut state.is_running, true)
        };
        if starts_task {
            tokio::spawn(Arc::clone(&self.0).run());
        }
        if receiver.await.is_err() {
            // The task was dropped. Leases run out nevertheless.
            tokio::time::sleep(self.0.max_lease()).await;
        }
        self.0.durations.observe(started_at.elapsed().as_secs_f64());
    }

    /// Returns the ID to which nodes address their acknowledgements.
    pub(crate) fn process_id(&self) -> Uuid {
        self.0.process_id
    }

    /// Records that a node has acknowledged a ping. Pings of other processes are ignored.
    pub(crate) fn acknowledge(&self, process_id: Uuid, number: u64, node: Uuid) {
        if process_id != self.0.process_id {
            return;
        }
        let pending = self.0.state().pending.get(&number).cloned();
        if let Some(pending) = pending {
            pending.record_ack(node);
        }
    }

    /// Records that a node has given up its lease, so that no operation waits for it.
    pub(crate) fn node_left(&self, node: Uuid) {
        let all_pending: Vec<_> = self.0.state().pending.values().cloned().collect();
        for pending in all_pending {
            pending.record_ack(node);
        }
    }

    /// Records the lease duration of a node, or the longest one of all.
    pub(crate) fn observe_lease(&self, duration: Duration) {
        self.0.observe_lease(duration);
    }

    /// Returns the durations of waits, in seconds.
    pub(crate) fn durations(&self) -> &Histogram {
        &self.0.durations
    }
}

impl Inner {
    /// Sends pings until no operation waits for one.
    async fn run(self: Arc<Self>) {
        while let Some(batch) = self.next_batch() {
            let nodes = match tokio::time::timeout(self.lease_duration, self.ping(batch.number)).await {
                Ok(Ok(nodes)) => Some(nodes),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = %Causes(&error),
                        "failed to ping the nodes; waiting until their leases have run out"
                    );
                    None
                }
                Err(_) => None,
            };
            tokio::spawn(Arc::clone(&self).finish(batch, nodes));
        }
    }

    /// Takes the waiting operations and registers a ping for them. Returns `None` if no operation
    /// waits. The task is then unregistered before another operation can wait.
    fn next_batch(&self) -> Option<PingBatch> {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting);
        if waiting.is_empty() {
            state.is_running = false;
            return None;
        }
        state.last_ping += 1;
        let number = state.last_ping;
        let pending = Arc::<PendingBarrier>::default();
        state.pending.insert(number, Arc::clone(&pending));
        Some(PingBatch { number, pending, waiting })
    }

    /// Sends a ping. Returns the nodes that must acknowledge it.
    async fn ping(&self, number: u64) -> store::Result<Vec<NodeRow>> {
        let keys = match self.local.keys() {
            Some(keys) => keys,
            // The subscriber has not connected yet.
            None => {
                let state = self.cluster.state().await?;
                self.observe_lease(state.longest_lease);
                self.local.update_keys(&state.secret)
            }
        };
        self.cluster.ping(&keys.sign(&Message::Ping { process_id: self.process_id, number })).await
    }

    /// Waits for the acknowledgements of a ping, then resumes the operations that wait for it.
    /// `nodes` is `None` if the ping failed.
    async fn finish(self: Arc<Self>, batch: PingBatch, nodes: Option<Vec<NodeRow>>) {
        match nodes {
            None => tokio::time::sleep(self.max_lease()).await,
            Some(mut nodes) => {
                nodes.retain(|node| !self.clear_if_disconnected(node.id));
                let unresponsive = batch.pending.wait_for_acks(nodes).await;
                if !unresponsive.is_empty() {
                    tracing::warn!(nodes = unresponsive.len(), "nodes did not acknowledge a ping within their lease");
                    // No later operation waits for a removed node. A node that is alive has renewed
                    // its row and keeps it. On failure the next operation removes the rows.
                    self.cluster.remove_unresponsive(&unresponsive).await.ok();
                }
            }
        }
        self.state().pending.remove(&batch.number);
        for sender in batch.waiting {
            // A cancelled operation has dropped its receiver.
            sender.send(()).ok();
        }
    }

    /// Clears the cache if `node` is this one and receives no notifications. Returns whether it did.
    /// The node may have missed an invalidation, and cannot acknowledge.
    fn clear_if_disconnected(&self, node: Uuid) -> bool {
        let is_disconnected = self.local.node_id() == Some(node) && !*self.local.connected.borrow();
        if is_disconnected {
            self.local.cache.invalidate(Invalidation::Everything);
        }
        is_disconnected
    }

    fn observe_lease(&self, duration: Duration) {
        let duration = duration.clamp(self.lease_duration.min(MAX_LEASE), MAX_LEASE);
        self.max_lease_millis.fetch_max(as_millis(duration), Ordering::Relaxed);
    }

    /// Returns the longest lease that another node may hold.
    fn max_lease(&self) -> Duration {
        match self.max_lease_millis.load(Ordering::Relaxed) {
            0 => MAX_LEASE,
            millis => Duration::from_millis(millis),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl PendingBarrier {
    fn record_ack(&self, node: Uuid) {
        self.acks().insert(node);
        self.changed.notify_one();
    }

    /// Waits for each node until it acknowledges or its lease duration has passed. Returns the
    /// nodes that did not acknowledge.
    async fn wait_for_acks(&self, mut nodes: Vec<NodeRow>) -> Vec<NodeRow> {
        let started_at = Instant::now();
        let mut unresponsive = Vec::new();
        loop {
            nodes.retain(|node| !self.acks().contains(&node.id));
            unresponsive.extend(nodes.extract_if(.., |node| started_at.elapsed() >= node.lease));
            let Some(shortest) = nodes.iter().map(|node| node.lease).min() else { return unresponsive };
            tokio::time::timeout_at(started_at + shortest, self.changed.notified()).await.ok();
        }
    }

    fn acks(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.acks.lock()
    }
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
