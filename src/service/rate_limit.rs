//! Budgets of many: one for each address or person that spends, as far as they are not full.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use crate::domain::{
    rate_limit::{Budget, Rate},
    time::Timestamp,
};

/// The most budgets that are remembered. Past it those that are full are forgotten, then every other one: their owners get a fresh one.
const MOST: usize = 65_536;

/// Budgets by who spends. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Budgets<K> {
    rate: Rate,
    spent: Arc<Mutex<HashMap<K, Budget>>>,
}

impl<K: Copy + Eq + Hash> Budgets<K> {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, spent: Arc::default() }
    }

    /// Spends one of somebody's budget.
    ///
    /// # Errors
    /// How many milliseconds to wait. A rate without a burst is no limit.
    pub(super) fn spend(&self, who: K, now: Timestamp) -> Result<(), u64> {
        if self.rate.burst == 0 {
            return Ok(());
        }
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= MOST && !spent.contains_key(&who) {
            spent.retain(|_, budget| !budget.is_full(now));
            if spent.len() >= MOST {
                halve(&mut spent);
            }
        }
        spent.entry(who).or_insert(Budget::full()).spend(self.rate, now)
    }

    /// Takes back what somebody spent.
    pub(super) fn give_back(&self, who: K) {
        if let Some(budget) = self.spent.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&who) {
            budget.give_back(self.rate);
        }
    }
}

/// Forgets every other one: rare, and cheaper than finding the fullest.
fn halve<K>(spent: &mut HashMap<K, Budget>) {
    let mut keep = false;
    spent.retain(|_, _| {
        keep = !keep;
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn each_has_a_budget_of_its_own() {
        let budgets = Budgets::new(Rate { burst: 1, every_millis: 500 });
        assert_eq!((budgets.spend(1, NOW), budgets.spend(2, NOW)), (Ok(()), Ok(())));
        assert_eq!(budgets.spend(1, NOW), Err(500));
        budgets.give_back(1);
        assert_eq!(budgets.spend(1, NOW), Ok(()));
        assert!((0..100).all(|_| Budgets::new(Rate::per_minute(0)).spend(1, NOW).is_ok()));
    }

    #[test]
    fn memory_is_bounded_however_many_come() {
        let budgets = Budgets::new(Rate { burst: 2, every_millis: 1_000 });
        for who in 0..1_000_000_u32 {
            assert!(budgets.spend(who, NOW).is_ok());
        }
        assert!(budgets.spent.lock().unwrap().len() <= MOST);
    }
}
