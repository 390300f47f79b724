//! The protocol state of a node: how it reacts to each notification, without the connection.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use uuid::Uuid;

use super::{
    LocalState,
    message::{Message, Notification},
    replay_filter::ReplayFilter,
};
use crate::domain::{invalidation::Invalidation, time::Clock};

/// A node uses its lease for one twentieth less than its duration, because clocks drift.
const DRIFT_DIVISOR: u32 = 20;
/// The maximum number of processes whose last ping is remembered. If there are more, a repeated
/// ping may be acknowledged again.
const MAX_TRACKED_PROCESSES: usize = 1_024;

/// The state of a node during one session. Each session has a new node ID.
pub(crate) struct NodeState {
    pub(crate) id: Uuid,
    local: Arc<LocalState>,
    clock: Clock,
    lease_duration: Duration,
    pending: VecDeque<PendingLease>,
    /// The number of the last lease request.
    last_request: u64,
    /// Signed acknowledgements that are not sent yet, by process ID.
    acks: Vec<(Uuid, String)>,
    /// The number of the last ping of each process. Processes number their pings in ascending
    /// order, so a lower number is a repeated ping.
    last_pings: HashMap<Uuid, u64>,
    replays: ReplayFilter,
}

/// A lease request whose own message has not been received back yet.
struct PendingLease {
    number: u64,
    /// The time since boot before the request was sent.
    requested_at: Duration,
    /// All transactions below this one had ended before the request was sent.
    oldest_transaction: u64,
}

impl NodeState {
    /// Creates the state of a node without a lease. `oldest_transaction` must have been read before
    /// the cache was cleared.
    pub(crate) fn new(
        id: Uuid,
        local: Arc<LocalState>,
        clock: Clock,
        lease_duration: Duration,
        oldest_transaction: u64,
    ) -> Self {
        Self {
            id,
            local,
            clock,
            lease_duration,
            pending: VecDeque::new(),
            last_request: 0,
            acks: Vec::new(),
            last_pings: HashMap::new(),
            replays: ReplayFilter::new(oldest_transaction),
        }
    }

    /// Returns a signed lease request, and records the time before it is sent. Returns `None` if
    /// the node has no keys yet.
    pub(crate) fn request_lease(&mut self, oldest_transaction: u64) -> Option<String> {
        let keys = self.local.keys()?;
        self.last_request += 1;
        let number = self.last_request;
        self.pending.push_back(PendingLease { number, requested_at: self.clock.boottime(), oldest_transaction });
        Some(keys.sign(&Message::Lease { node: self.id, number, duration: self.lease_duration }))
    }

    /// Returns the number of lease requests that have not been received back.
    pub(crate) fn pending_leases(&self) -> usize {
        self.pending.len()
    }

    /// Processes a notification. Returns a message that concerns the revocation barrier. A
    /// notification that is not authentic is dropped.
    ///
    /// Only this function extends the lease. It does so when the node receives its own request:
    /// every invalidation that was committed before the request precedes it in the queue, and was
    /// already applied.
    pub(crate) fn receive(&mut self, line: &str) -> Option<Message> {
        let keys = self.local.keys();
        let Some(verified) = keys.as_deref().and_then(|keys| keys.verify(line)) else {
            self.local.dropped.record();
            return None;
        };
        match Notification::parse(&verified) {
            Notification::Invalidation { invalidation, transaction } => {
                self.invalidate(invalidation, verified.hmac, transaction);
            }
            Notification::Unknown => self.invalidate(Invalidation::Everything, verified.hmac, u64::MAX),
            Notification::Message(Message::Lease { node, number, .. }) if node == self.id => self.confirm_lease(number),
            Notification::Message(message) => {
                if let Message::Ping { process_id, number } = message {
                    self.acknowledge(process_id, number);
                }
                return Some(message);
            }
        }
        None
    }

    fn invalidate(&mut self, invalidation: Invalidation, hmac: [u8; 32], transaction: u64) {
        if self.replays.insert(hmac, transaction) {
            self.local.cache.invalidate(invalidation);
        } else {
            self.local.dropped.record();
        }
    }

    fn confirm_lease(&mut self, number: u64) {
        while let Some(request) = self.pending.pop_front_if(|request| request.number <= number) {
            if request.number == number {
                self.replays.advance(request.oldest_transaction);
                let usable_duration = self.lease_duration - self.lease_duration / DRIFT_DIVISOR;
                self.local.cache.lease().extend(request.requested_at + usable_duration);
            }
        }
    }

    fn acknowledge(&mut self, process_id: Uuid, number: u64) {
        // A node without a cache has no row, so no operation waits for it.
        if !self.local.cache.is_enabled() {
            return;
        }
        if self.last_pings.get(&process_id).is_some_and(|last| number <= *last) {
            self.local.dropped.record();
            return;
        }
        if self.last_pings.len() >= MAX_TRACKED_PROCESSES {
            self.last_pings.clear();
        }
        self.last_pings.insert(process_id, number);
        if let Some(keys) = self.local.keys() {
            self.acks.push((process_id, keys.sign(&Message::Ack { process_id, number, node: self.id })));
        }
    }

    /// Takes the acknowledgements to send: the process ID and the signed message of each.
    pub(crate) fn take_acks(&mut self) -> Vec<(Uuid, String)> {
        std::mem::take(&mut self.acks)
    }
}
