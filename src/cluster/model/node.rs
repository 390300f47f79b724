//! A node of the model: production code that decides, on a simulated connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use super::{LEASE, PERSON, keys, world::World};
use crate::{
    cache::{Lease, LeasedCache, TokenCache, Version, tests::found_token},
    cluster::{
        LocalState,
        message::{Message, Notification},
        node_state::NodeState,
    },
    domain::{
        invalidation::Invalidation,
        time::{Clock, Timestamp},
    },
    last_used::LastUsedBuffer,
    store::{ClusterSecret, FoundToken},
};
use tokenward_guard::token_format::TokenDigest;

const DIGEST: TokenDigest = TokenDigest::from_bytes([9; 32]);

pub(super) struct ModelNode {
    local: Arc<LocalState>,
    state: Option<NodeState>,
    clock: Clock,
    /// The number of notifications in the queue that were received.
    received: usize,
    pub(super) is_disconnected: bool,
    pub(super) is_paused: bool,
    request: Option<LeaseRequest>,
    read: Option<DatabaseRead>,
    check: Option<PendingCheck>,
}

/// A lease request that the database has not executed yet.
struct LeaseRequest {
    node_id: Uuid,
    message: String,
    /// The request inserts the row of the node.
    joins: bool,
}

/// A database read that has not been cached yet.
struct DatabaseRead {
    version: Version,
    is_disabled: bool,
}

/// A check that has not returned yet.
struct PendingCheck {
    started_at: u64,
    /// The result of the lease test; `None` before it.
    lease_is_valid: Option<bool>,
}

impl ModelNode {
    pub(super) fn new(n: usize, time: &Arc<AtomicU64>) -> Self {
        // The clocks differ in speed by up to 2 % from true time.
        let percent = [98, 100, 102][n % 3];
        let time = Arc::clone(time);
        let boottime = move || Duration::from_micros(time.load(Ordering::SeqCst) * percent * 10);
        let clock = Clock::from_fn(|| Timestamp::from_millis(0)).with_boottime(boottime);
        let cache = TokenCache::new(100, usize::MAX, LastUsedBuffer::default());
        let leased_cache = LeasedCache::new(Some(cache), Lease::none(clock.clone()));
        let local = Arc::new(LocalState::new(Arc::new(leased_cache)));
        local.update_keys(&ClusterSecret { signing: [1; 32], accepted: None });
        Self {
            local,
            state: None,
            clock,
            received: 0,
            is_disconnected: true,
            is_paused: false,
            request: None,
            read: None,
            check: None,
        }
    }

    fn cache(&self) -> &TokenCache {
        self.local.cache.cache().unwrap()
    }

    pub(super) fn request_lease(&mut self, world: &World) {
        // The number of an operation serves as its transaction. All operations so far are committed.
        let oldest_transaction = world.pings + 1;
        let Some(state) = self.state.as_mut().filter(|_| self.request.is_none()) else { return };
        let message = state.request_lease(oldest_transaction).unwrap();
        self.request = Some(LeaseRequest { node_id: state.id, message, joins: false });
    }

    pub(super) fn execute_request(&mut self, world: &mut World) {
        let Some(LeaseRequest { node_id, message, joins }) = self.request.take() else { return };
        match world.rows.iter_mut().find(|(id, _)| *id == node_id) {
            Some((_, renewals)) => *renewals += 1,
            None if joins => world.rows.push((node_id, 0)),
            None => return,
        }
        world.queue.push(message);
    }

    pub(super) fn receive(&mut self, world: &mut World) {
        let Some(state) = self.state.as_mut().filter(|_| !self.is_disconnected) else { return };
        let Some(line) = world.queue.get(self.received).cloned() else { return };
        self.received += 1;
        state.receive(&line);
        for (_, ack) in state.take_acks() {
            match Notification::parse(&keys().verify(&ack).unwrap()) {
                Notification::Message(Message::Ack { number, node, .. }) => world.acknowledge(number, node),
                other => panic!("not an acknowledgement: {other:?}"),
            }
        }
    }

    pub(super) fn reconnect(&mut self, world: &mut World) {
        if !self.is_disconnected {
            return;
        }
        self.local.cache.lease().release();
        self.is_disconnected = false;
        self.received = world.queue.len();
        self.local.cache.invalidate(Invalidation::Everything);
        world.node_ids += 1;
        let node_id = Uuid::from_u128(world.node_ids);
        let oldest_transaction = world.pings + 1;
        let mut state = NodeState::new(node_id, Arc::clone(&self.local), self.clock.clone(), LEASE, oldest_transaction);
        let message = state.request_lease(oldest_transaction).unwrap();
        self.request = Some(LeaseRequest { node_id, message, joins: true });
        self.state = Some(state);
    }

    pub(super) fn read_database(&mut self, world: &World) {
        match self.read.take() {
            None => {
                let version = self.cache().version();
                self.read = Some(DatabaseRead { version, is_disabled: world.is_disabled });
            }
            Some(DatabaseRead { version, is_disabled }) => {
                let row = FoundToken { is_disabled, ..found_token(PERSON, 1) };
                let token = self.cache().insert(version, &DIGEST, &row);
                assert_eq!(token.person.is_disabled, is_disabled, "a check must decide by its own read");
            }
        }
    }

    /// Executes the next step of a check. Returns the time when it began if it is accepted now.
    pub(super) fn check(&mut self, world: &mut World) -> Option<u64> {
        match self.check.take() {
            None => {
                world.now += 1;
                self.check = Some(PendingCheck { started_at: world.now, lease_is_valid: None });
                None
            }
            Some(PendingCheck { started_at, lease_is_valid: None }) => {
                let lease_is_valid = Some(self.local.cache.lease().is_valid());
                self.check = Some(PendingCheck { started_at, lease_is_valid });
                None
            }
            Some(PendingCheck { started_at, lease_is_valid: Some(lease_is_valid) }) => {
                let token = self.cache().find(&DIGEST).filter(|_| lease_is_valid)?;
                (!token.person.is_disabled).then_some(started_at)
            }
        }
    }
}
