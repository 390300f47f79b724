//! The simulated database: the notification queue, the node rows and the stored token.

use uuid::Uuid;

use super::{LEASE_MILLIS, PERSON, keys};
use crate::cluster::message::Message;

/// The database and the time, which all nodes share.
#[derive(Default)]
pub(super) struct World {
    pub(super) queue: Vec<String>,
    /// The node rows: ID and number of renewals.
    pub(super) rows: Vec<(Uuid, u64)>,
    pub(super) is_disabled: bool,
    pub(super) now: u64,
    /// The number of node IDs that were used.
    pub(super) node_ids: u128,
    operation: Option<Operation>,
    /// The number of pings that were sent.
    pub(super) pings: u64,
    /// The time when the last revocation returned; `None` if the person was enabled since.
    pub(super) revoked_at: Option<u64>,
}

/// An operation that has committed and not returned yet.
struct Operation {
    ping: u64,
    pinged_at: u64,
    /// The listed nodes that have not acknowledged.
    unacknowledged: Vec<(Uuid, u64)>,
}

impl World {
    /// Creates an empty database at a time in milliseconds.
    pub(super) fn at(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    pub(super) fn start_operation(&mut self) {
        if self.operation.is_some() {
            return;
        }
        self.now += 1;
        self.is_disabled = !self.is_disabled;
        self.revoked_at = None;
        self.pings += 1;
        self.queue.push(keys().sign(&format!("person {PERSON} {}", self.pings)));
        self.queue.push(keys().sign(&Message::Ping { process_id: Uuid::nil(), number: self.pings }));
        self.operation = Some(Operation { ping: self.pings, pinged_at: self.now, unacknowledged: self.rows.clone() });
    }

    pub(super) fn finish_operation(&mut self, waits: bool) {
        let Some(operation) = &self.operation else { return };
        // The clock of the waiting process is the fastest that the protocol allows.
        let leases_have_run_out = (self.now - operation.pinged_at) * 102 / 100 >= LEASE_MILLIS;
        if operation.unacknowledged.is_empty() || leases_have_run_out || !waits {
            self.rows.retain(|row| !operation.unacknowledged.contains(row));
            self.operation = None;
            self.now += 1;
            self.revoked_at = self.is_disabled.then_some(self.now);
            self.now += 1;
        }
    }

    pub(super) fn replay(&mut self, n: usize) {
        if let Some(line) = self.queue.get(n % self.queue.len().max(1)).cloned() {
            self.queue.push(line);
        }
    }

    pub(super) fn acknowledge(&mut self, ping: u64, node_id: Uuid) {
        if let Some(operation) = self.operation.as_mut().filter(|operation| operation.ping == ping) {
            operation.unacknowledged.retain(|(id, _)| *id != node_id);
        }
    }
}
