//! Recognises announcements of changes that were heard before.
//!
//! A stranger who listens can repeat what was announced. A repeated change makes nobody accept anything, but it would keep
//! memory empty. So what was heard lately is remembered; what is older is recognised by its transaction, because all
//! transactions below a number had ended when a node last asked (`pg_snapshot_xmin`), and what they announced came before the
//! answer.

use std::collections::{HashSet, VecDeque};

/// How many announcements are remembered. Past that a repeated one may be taken for new, which costs a read and nothing more.
const REMEMBERED: usize = 8_192;

#[derive(Debug)]
pub(crate) struct Replays {
    /// All transactions below this one have ended, and what they announced was heard.
    oldest: u64,
    seen: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Replays {
    pub(crate) fn from(oldest: u64) -> Self {
        Self { oldest, seen: HashSet::new(), order: VecDeque::new() }
    }

    /// Whatever was announced by transactions below this one has been heard.
    pub(crate) fn raise(&mut self, oldest: u64) {
        self.oldest = self.oldest.max(oldest);
    }

    /// Whether an announcement with this code is new.
    pub(crate) fn is_new(&mut self, code: [u8; 32], transaction: u64) -> bool {
        if transaction < self.oldest || !self.seen.insert(code) {
            return false;
        }
        self.order.push_back(code);
        if self.order.len() > REMEMBERED
            && let Some(first) = self.order.pop_front()
        {
            self.seen.remove(&first);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_not_new() {
        let mut replays = Replays::from(10);
        assert!(!replays.is_new([1; 32], 9), "from before this node listened");
        assert!(replays.is_new([2; 32], 10) && replays.is_new([3; 32], 11));
        assert!(!replays.is_new([2; 32], 10));
        replays.raise(11);
        replays.raise(5);
        assert!(!replays.is_new([4; 32], 10), "its transaction had ended");
        assert!(replays.is_new([5; 32], 11));
    }

    #[test]
    fn no_more_is_remembered_than_so_many() {
        let mut replays = Replays::from(0);
        let code = |n: usize| {
            let mut code = [0; 32];
            code[..8].copy_from_slice(&n.to_le_bytes());
            code
        };
        assert!((0..2 * REMEMBERED).all(|n| replays.is_new(code(n), 1)));
        assert_eq!((replays.seen.len(), replays.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!replays.is_new(code(2 * REMEMBERED - 1), 1) && replays.is_new(code(0), 1));
    }
}
