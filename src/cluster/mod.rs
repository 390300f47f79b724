//! The cluster: how the nodes of one database keep their token caches consistent.
//!
//! # The guarantee
//!
//! After an operation that revokes a right has returned, no auth check that *starts* later accepts the
//! right, on any node.
//!
//! **One process.** The change is committed, then applied to the cache, and only then does the
//! operation return. A later check does not find the old entry and reads the new row. A read that
//! overlapped with the change is not cached, because the cache logs recent invalidations.
//!
//! **Several nodes, over PostgreSQL.** Triggers notify of every change when it is committed.
//! PostgreSQL queues the notifications of all transactions in commit order, and delivers them to every
//! listener in that order.
//!
//! 1. A node answers from its cache only while it holds a lease. It measures the lease by its own
//!    monotonic clock, from *before* it requested the lease.
//! 2. It requests the lease through the queue. The lease starts when the node receives its own request
//!    (`node_state`). By then it has received and applied everything that was committed before the
//!    request. A lease that was requested after a change therefore never covers the old state.
//! 3. After its commit the operation pings all nodes (`barrier`). It waits until each node has
//!    acknowledged, or until a whole lease has passed by the operation's own clock. A lease that was
//!    requested before the change has then ended.
//! 4. A check reads the lease first and the cache second.
//!
//! Consider a check that starts after the operation returned. On a node that acknowledged the ping,
//! the invalidation was applied. On any other node, the lease from before the commit has ended. A new
//! lease was requested after the change, so the node applied the invalidation before it got the lease.
//! In neither case does the check find the old entry.
//!
//! A node that was paused or disconnected finds that its lease has ended before it reads the cache. It
//! reads the database, and responds with 503 if it cannot. After a lost connection a node clears its
//! cache once it listens again.
//!
//! Every role of the server may send notifications. Each message therefore carries a code under a
//! secret that only the owner of the schema can read (`message_keys`). Forged and replayed messages
//! are dropped.
//!
//! Assumptions: monotonic clocks run at the same rate within 2 %, and continue while a machine is
//! suspended. Clocks of different nodes are never compared. `docs/adr/0001-leases.md` explains the
//! design, and `tests/it/cluster` tries to break it.

mod barrier;
mod dropped_messages;
mod local_state;
mod message;
mod message_keys;
#[cfg(test)]
mod model;
mod node;
mod node_state;
mod replay_filter;
mod subscriber;

use local_state::LocalState;
pub use node::{CacheLimits, CacheStats, Node};
