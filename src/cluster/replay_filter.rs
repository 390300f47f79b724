//! The replay filter: recognizes invalidations that a node has already received.
//!
//! A role that listens to notifications can repeat them. A repeated invalidation cannot make a
//! revoked token valid, but it would keep the cache empty. The filter therefore remembers the
//! HMACs of recent invalidations. Older ones are recognized by their transaction: all transactions
//! below the oldest running one (`pg_snapshot_xmin`) had ended when the node read that number, so
//! their invalidations precede the lease message that the node sends next.

use std::collections::{HashSet, VecDeque};

/// The maximum number of remembered HMACs. An invalidation that is repeated later than that may be
/// applied again, which costs a database read and nothing more.
const CAPACITY: usize = 8_192;

/// The invalidations that a node has received.
#[derive(Debug)]
pub(crate) struct ReplayFilter {
    /// All invalidations of transactions below this one were applied.
    oldest_transaction: u64,
    hmacs: HashSet<[u8; 32]>,
    /// The HMACs in the order of their arrival.
    order: VecDeque<[u8; 32]>,
}

impl ReplayFilter {
    /// Creates the filter of a node that clears its cache after `oldest_transaction` was read.
    pub(crate) fn new(oldest_transaction: u64) -> Self {
        Self { oldest_transaction, hmacs: HashSet::new(), order: VecDeque::new() }
    }

    /// Records that all invalidations of transactions below `oldest_transaction` were applied. A
    /// lower number than before has no effect.
    pub(crate) fn advance(&mut self, oldest_transaction: u64) {
        self.oldest_transaction = self.oldest_transaction.max(oldest_transaction);
    }

    /// Records an invalidation. Returns `true` if it is new, and `false` if it was received before.
    pub(crate) fn insert(&mut self, hmac: [u8; 32], transaction: u64) -> bool {
        if transaction < self.oldest_transaction || !self.hmacs.insert(hmac) {
            return false;
        }
        self.order.push_back(hmac);
        if self.order.len() > CAPACITY
            && let Some(first) = self.order.pop_front()
        {
            self.hmacs.remove(&first);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_invalidation_is_not_new() {
        let mut filter = ReplayFilter::new(10);
        assert!(!filter.insert([1; 32], 9), "sent before this node listened");
        assert!(filter.insert([2; 32], 10));
        assert!(filter.insert([3; 32], 11));
        assert!(!filter.insert([2; 32], 10));
        filter.advance(11);
        filter.advance(5);
        assert!(!filter.insert([4; 32], 10), "its transaction had ended");
        assert!(filter.insert([5; 32], 11));
    }

    #[test]
    fn the_filter_is_bounded() {
        let mut filter = ReplayFilter::new(0);
        let hmac = |n: usize| {
            let mut hmac = [0; 32];
            hmac[..8].copy_from_slice(&n.to_le_bytes());
            hmac
        };
        assert!((0..2 * CAPACITY).all(|n| filter.insert(hmac(n), 1)));
        assert_eq!(filter.hmacs.len(), CAPACITY);
        assert_eq!(filter.order.len(), CAPACITY);
        assert!(!filter.insert(hmac(2 * CAPACITY - 1), 1), "the latest HMAC is remembered");
        assert!(filter.insert(hmac(0), 1), "the first HMAC is no longer remembered");
    }
}
