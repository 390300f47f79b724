//! Waiting until every node has forgotten what was taken away.
//!
//! After its commit an act calls all nodes, over the queue through which the change itself was announced: who answers the call
//! has heard the change. Acts that come while a call is being sent share the next one. A node that does not answer is waited
//! for as long as a lease lasts; then its lease, which it had before the act, is over.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::{Memory, message::Message, waits::Waits};
use crate::cache::MAX_LEASE;
use crate::store::{self, Node, Nodes};

/// What this process asks the other nodes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Agreement(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nodes: Nodes,
    memory: Arc<Memory>,
    /// By what the answers find this process.
    caller: Uuid,
    state: Mutex<State>,
    /// The longest lease that anybody is known to have, in milliseconds.
    longest: AtomicU64,
    waits: Waits,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<oneshot::Sender<()>>,
    is_calling: bool,
    number: u64,
    calls: HashMap<u64, Arc<Call>>,
}

/// A call under way, and who has answered it.
#[derive(Debug, Default)]
struct Call {
    heard: Mutex<HashSet<Uuid>>,
    answered: Notify,
}

impl Agreement {
    pub(crate) fn new(nodes: Nodes, memory: Arc<Memory>, caller: Uuid, lease: Duration) -> Self {
        let longest = AtomicU64::new(millis(lease));
        Self(Arc::new(Inner { nodes, memory, caller, state: Mutex::default(), longest, waits: Waits::default() }))
    }

    /// Returns when no node lets in by anything that was committed before. It does return: after the longest lease at the
    /// latest, or after twice that where a call hangs.
    pub(crate) async fn reached(&self) {
        let begun = Instant::now();
        let (sender, done) = oneshot::channel();
        let begin = {
            let mut state = self.0.state();
            state.waiting.push(sender);
            !std::mem::replace(&mut state.is_calling, true)
        };
        if begin {
            tokio::spawn(Arc::clone(&self.0).call_on());
        }
        if done.await.is_err() {
            // Nobody answers for the call any more; the leases of before run out all the same.
            tokio::time::sleep(self.0.longest()).await;
        }
        self.0.waits.observe(begun.elapsed());
    }

    /// By what the answers find this process.
    pub(crate) fn caller(&self) -> Uuid {
        self.0.caller
    }

    /// A node has answered a call.
    pub(crate) fn heard(&self, caller: Uuid, number: u64, node: Uuid) {
        if caller != self.0.caller {
            return;
        }
        let call = self.0.state().calls.get(&number).cloned();
        if let Some(call) = call {
            call.note(node);
        }
    }

    /// A node has given up its lease: nobody needs to wait for it.
    pub(crate) fn left(&self, node: Uuid) {
        let calls: Vec<_> = self.0.state().calls.values().cloned().collect();
        for call in calls {
            call.note(node);
        }
    }

    /// A node has a lease of this length.
    pub(crate) fn learn_lease(&self, length: Duration) {
        self.0.longest.fetch_max(millis(length.min(MAX_LEASE)), Ordering::Relaxed);
    }

    /// How long acts have waited.
    pub(crate) fn waits(&self) -> &Waits {
        &self.0.waits
    }
}

impl Inner {
    /// Calls, until nobody waits for a call.
    async fn call_on(self: Arc<Self>) {
        loop {
            let (waiting, number, call) = {
                let mut state = self.state();
                let waiting = std::mem::take(&mut state.waiting);
                if waiting.is_empty() {
                    state.is_calling = false;
                    return;
                }
                state.number += 1;
                let number = state.number;
                let call = Arc::<Call>::default();
                state.calls.insert(number, Arc::clone(&call));
                (waiting, number, call)
            };
            let called = tokio::time::timeout(self.longest(), self.call(number)).await;
            let nodes = match called {
                Ok(Ok(nodes)) => Some(nodes),
                Ok(Err(error)) => {
                    tracing::warn!(error = ?anyhow::Error::from(error), "the nodes cannot be called; waiting until no lease of theirs lives");
                    None
                }
                Err(_) => None,
            };
            tokio::spawn(Arc::clone(&self).settle(number, call, nodes, waiting));
        }
    }

    async fn call(&self, number: u64) -> store::Result<Vec<Node>> {
        let keys = match self.memory.keys() {
            Some(keys) => keys,
            // This process has not listened yet.
            None => self.memory.learn(&self.nodes.state().await?.secret),
        };
        self.nodes.call(&keys.sign(&Message::Call { caller: self.caller, number })).await
    }

    /// Waits for the answers to a call, and lets go those who wait for it.
    async fn settle(
        self: Arc<Self>,
        number: u64,
        call: Arc<Call>,
        nodes: Option<Vec<Node>>,
        waiting: Vec<oneshot::Sender<()>>,
    ) {
        match nodes {
            None => tokio::time::sleep(self.longest()).await,
            Some(mut nodes) => {
                // This process has forgotten before it called.
                nodes.retain(|node| Some(node.id) != self.memory.node());
                let silent = call.silent_of(nodes).await;
                if !silent.is_empty() {
                    tracing::warn!(nodes = silent.len(), "nodes did not answer within their lease, which is over now");
                    // Their row goes, so that nobody waits for them again; one that lives has renewed it, and keeps it.
                    self.nodes.remove_silent(&silent).await.ok();
                }
            }
        }
        self.state().calls.remove(&number);
        for waiting in waiting {
            waiting.send(()).ok();
        }
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.longest.load(Ordering::Relaxed))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    fn note(&self, node: Uuid) {
        self.heard().insert(node);
        self.answered.notify_one();
    }

    /// Waits for each of the nodes, at most as long as its lease lasts. Gives those that never answered.
    async fn silent_of(&self, mut nodes: Vec<Node>) -> Vec<Node> {
        let begun = Instant::now();
        let mut silent = Vec::new();
        loop {
            nodes.retain(|node| !self.heard().contains(&node.id));
            let over = |node: &Node| begun.elapsed() >= node.lease;
            silent.extend(nodes.extract_if(.., |node| over(node)));
            let Some(next) = nodes.iter().map(|node| node.lease).min() else { return silent };
            tokio::time::timeout_at(begun + next, self.answered.notified()).await.ok();
        }
    }

    fn heard(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)
}
