//! A budget that fills up again with time: so many at once, and then so many a minute.

use super::time::Timestamp;

/// How much of something there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many at once.
    pub burst: u32,
    /// Then one in so many milliseconds.
    pub every_millis: u32,
}

/// What is left of a budget; as small as it can be, because there is one for each who spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// When it will be full again, in milliseconds since 1970.
    full_at: i64,
}

impl Rate {
    /// So many a minute, and as many at once.
    #[must_use]
    pub const fn per_minute(count: u32) -> Self {
        Self { burst: count, every_millis: if count == 0 { 0 } else { 60_000_u32.div_ceil(count) } }
    }
}

impl Budget {
    /// A budget of which nothing is spent.
    #[must_use]
    pub const fn full() -> Self {
        Self { full_at: i64::MIN }
    }

    /// Spends one.
    ///
    /// # Errors
    /// How many milliseconds it takes until there is one to spend.
    pub fn spend(&mut self, rate: Rate, now: Timestamp) -> Result<(), u64> {
        let now = now.as_millis();
        let every = i64::from(rate.every_millis);
        // A clock that was set back must not lock anybody out for longer than an empty budget does.
        let full_at = self.full_at.clamp(now, now.saturating_add(i64::from(rate.burst) * every));
        let missing = full_at.saturating_add(every) - now - i64::from(rate.burst) * every;
        match u64::try_from(missing) {
            Ok(wait) if wait > 0 => Err(wait),
            _ => {
                self.full_at = full_at.saturating_add(every);
                Ok(())
            }
        }
    }

    /// Takes back what was spent last.
    pub fn give_back(&mut self, rate: Rate) {
        self.full_at = self.full_at.saturating_sub(i64::from(rate.every_millis));
    }

    /// Whether nothing of it is missing.
    #[must_use]
    pub fn is_full(&self, now: Timestamp) -> bool {
        self.full_at <= now.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, every_millis: 1_000 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn so_many_at_once_and_then_one_at_a_time() {
        let mut budget = Budget::full();
        assert!((0..3).all(|_| budget.spend(RATE, at(0)).is_ok()));
        assert_eq!(budget.spend(RATE, at(0)), Err(1_000));
        assert_eq!(budget.spend(RATE, at(999)), Err(1));
        assert_eq!(budget.spend(RATE, at(1_000)), Ok(()));
        assert_eq!(budget.spend(RATE, at(1_000)), Err(1_000));
        assert!(!budget.is_full(at(3_999)) && budget.is_full(at(4_000)));
        assert!((0..3).all(|_| budget.spend(RATE, at(4_000)).is_ok()) && budget.spend(RATE, at(4_000)).is_err());
    }

    #[test]
    fn what_is_given_back_can_be_spent_again() {
        let mut budget = Budget::full();
        (0..3).for_each(|_| budget.spend(RATE, at(0)).unwrap());
        budget.give_back(RATE);
        assert_eq!(budget.spend(RATE, at(0)), Ok(()));
        assert!(budget.spend(RATE, at(0)).is_err());
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out_for_longer() {
        let mut budget = Budget::full();
        (0..3).for_each(|_| budget.spend(RATE, at(1_000_000)).unwrap());
        assert_eq!(budget.spend(RATE, at(0)), Err(1_000));
        assert_eq!(Rate::per_minute(60), Rate { burst: 60, every_millis: 1_000 });
    }
}
