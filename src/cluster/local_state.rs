//! The state of this node that its connection, its barriers and its checks share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use super::{dropped_messages::DroppedMessages, message_keys::MessageKeys};
use crate::{cache::LeasedCache, store::ClusterSecret};

/// The shared state of this node.
#[derive(Debug)]
pub(super) struct LocalState {
    pub(super) cache: Arc<LeasedCache>,
    /// The ID of this node; `None` while it is not a member of the cluster.
    node_id: Mutex<Option<Uuid>>,
    /// The keys that authenticate messages; `None` before the first connection.
    keys: Mutex<Option<Arc<MessageKeys>>>,
    pub(super) dropped: DroppedMessages,
    pub(super) connected: watch::Sender<bool>,
    /// The last attempt to connect to the database failed before it reached a server.
    is_database_unreachable: AtomicBool,
}

impl LocalState {
    pub(super) fn new(cache: Arc<LeasedCache>) -> Self {
        Self {
            cache,
            node_id: Mutex::default(),
            keys: Mutex::default(),
            dropped: DroppedMessages::default(),
            connected: watch::Sender::new(false),
            is_database_unreachable: AtomicBool::new(false),
        }
    }

    pub(super) fn keys(&self) -> Option<Arc<MessageKeys>> {
        self.keys.lock().clone()
    }

    /// Replaces the keys if the secret has changed. Returns the current keys.
    pub(super) fn update_keys(&self, secret: &ClusterSecret) -> Arc<MessageKeys> {
        let new = MessageKeys::from_secret(secret);
        let mut keys = self.keys.lock();
        match &*keys {
            Some(current) if **current == new => Arc::clone(current),
            _ => Arc::clone(keys.insert(Arc::new(new))),
        }
    }

    pub(super) fn node_id(&self) -> Option<Uuid> {
        *self.node_id.lock()
    }

    pub(super) fn set_node_id(&self, id: Uuid) {
        *self.node_id.lock() = Some(id);
    }

    pub(super) fn take_node_id(&self) -> Option<Uuid> {
        self.node_id.lock().take()
    }

    /// Returns whether a query would fail, as far as this node knows.
    pub(super) fn is_database_unreachable(&self) -> bool {
        self.is_database_unreachable.load(Ordering::Relaxed)
    }

    pub(super) fn set_database_unreachable(&self, is_unreachable: bool) {
        self.is_database_unreachable.store(is_unreachable, Ordering::Relaxed);
    }

    pub(super) fn set_connected(&self, is_connected: bool) {
        self.connected.send_replace(is_connected);
    }
}
