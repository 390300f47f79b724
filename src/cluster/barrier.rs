//! The revocation barrier: waits until no node accepts a revoked right any more.
//!
//! After its commit, an operation pings all nodes through the queue that carries the invalidations.
//! A node that acknowledges the ping has therefore received the invalidation. The process waits for
//! its own node as well: another process may have made the change. Operations that arrive while a
//! ping is being sent share the next one. A node that does not acknowledge is waited for as long as
//! its lease lasts. The lease that it held at the commit has then run out.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
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

/// The delay before a ping that failed is sent again.
const PING_RETRY_DELAY: Duration = Duration::from_millis(250);

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

/// A ping that was sent, and the nodes that must acknowledge it.
struct SentPing {
    number: u64,
    pending: Arc<PendingBarrier>,
    nodes: Vec<NodeRow>,
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
            durations: Histogram::new(DURATION_BUCKETS),
        }))
    }

    /// Waits until every node has applied all invalidations that were committed before the call, or
    /// its lease has run out. The wait always ends: a ping is tried for at most [`MAX_LEASE`],
    /// and acknowledgements are awaited for at most the lease of each node.
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
            tokio::time::sleep(MAX_LEASE).await;
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

    /// Returns the durations of waits, in seconds.
    pub(crate) fn durations(&self) -> &Histogram {
        &self.0.durations
    }
}

impl Inner {
    /// Sends pings until no operation waits for one.
    async fn run(self: Arc<Self>) {
        while let Some(waiting) = self.take_waiting() {
            let ping = self.send_ping().await;
            tokio::spawn(Arc::clone(&self).finish(waiting, ping));
        }
    }

    /// Takes the waiting operations. Returns `None` if no operation waits. The task is then
    /// unregistered before another operation can wait.
    fn take_waiting(&self) -> Option<Vec<oneshot::Sender<()>>> {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting);
        state.is_running = !waiting.is_empty();
        state.is_running.then_some(waiting)
    }

    /// Sends a ping, and repeats that until it succeeds. Returns `None` after [`MAX_LEASE`]: every
    /// lease from before has then run out.
    async fn send_ping(&self) -> Option<SentPing> {
        let started_at = Instant::now();
        let mut is_logged = false;
        while started_at.elapsed() < MAX_LEASE {
            let (number, pending) = self.register_ping();
            let sent = tokio::time::timeout(self.lease_duration, self.ping(number)).await;
            match sent.unwrap_or(Err(store::Error::Unavailable(store::Outage::TimedOut))) {
                Ok(nodes) => return Some(SentPing { number, pending, nodes }),
                Err(error) if !is_logged => {
                    is_logged = true;
                    tracing::warn!(error = %Causes(&error), "failed to ping the nodes; trying again");
                }
                Err(_) => {}
            }
            self.state().pending.remove(&number);
            tokio::time::sleep(PING_RETRY_DELAY).await;
        }
        None
    }

    fn register_ping(&self) -> (u64, Arc<PendingBarrier>) {
        let mut state = self.state();
        state.last_ping += 1;
        let pending = Arc::<PendingBarrier>::default();
        let number = state.last_ping;
        state.pending.insert(number, Arc::clone(&pending));
        (number, pending)
    }

    /// Sends a ping. Returns the nodes that must acknowledge it.
    async fn ping(&self, number: u64) -> store::Result<Vec<NodeRow>> {
        let keys = match self.local.keys() {
            Some(keys) => keys,
            // The subscriber has not connected yet.
            None => self.local.update_keys(&self.cluster.state().await?.secret),
        };
        self.cluster.ping(&keys.sign(&Message::Ping { process_id: self.process_id, number })).await
    }

    /// Waits for the acknowledgements of a ping, if it was sent, then resumes the operations that wait
    /// for it.
    async fn finish(self: Arc<Self>, waiting: Vec<oneshot::Sender<()>>, ping: Option<SentPing>) {
        if let Some(SentPing { number, pending, mut nodes }) = ping {
            nodes.retain(|node| !self.clear_if_disconnected(node.id));
            let unresponsive = pending.wait_for_acks(nodes).await;
            if !unresponsive.is_empty() {
                tracing::warn!(nodes = unresponsive.len(), "nodes did not acknowledge a ping within their lease");
                // No later operation waits for a removed node. A node that is alive has renewed its
                // row and keeps it. On failure the next operation removes the rows.
                self.cluster.remove_unresponsive(&unresponsive).await.ok();
            }
            self.state().pending.remove(&number);
        }
        for sender in waiting {
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
