//! Faults by chance, for as long as the environment says.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{cluster::NODES, faults::Fault};

/// When the next faults begin, and how long after the first each of them does.
pub struct Plan {
    pub pause: Duration,
    pub faults: Vec<(Duration, Fault)>,
}

/// Plans until the minutes of `TOKENWARD_LIVE_MINUTES` are over; none where it is not set.
pub struct Chance {
    random: StdRng,
    end: Instant,
}

impl Chance {
    pub fn from_environment() -> Self {
        let number =
            |name| Some(std::env::var(name).ok()?.parse::<u64>().unwrap_or_else(|_| panic!("{name}: a number")));
        let minutes = number("TOKENWARD_LIVE_MINUTES").unwrap_or(0);
        let seed = number("TOKENWARD_LIVE_SEED").unwrap_or_else(rand::random);
        if minutes > 0 {
            println!("TOKENWARD_LIVE_MINUTES={minutes} TOKENWARD_LIVE_SEED={seed}");
        }
        Self { random: StdRng::seed_from_u64(seed), end: Instant::now() + Duration::from_secs(60 * minutes) }
    }

    fn fault(&mut self) -> Fault {
        Fault::EACH[1..].choose(&mut self.random).unwrap().at(self.random.random_range(0..NODES))
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.random.random())
    }
}

impl Iterator for Chance {
    type Item = Plan;

    fn next(&mut self) -> Option<Plan> {
        if Instant::now() >= self.end {
            return None;
        }
        let pause = self.up_to(Duration::from_secs(2));
        let first = self.fault();
        let mut faults = vec![(Duration::ZERO, first)];
        if self.random.random_bool(0.3) {
            let second = self.fault();
            let after = self.up_to(Duration::from_secs(4));
            faults.extend(first.goes_with(second).then_some((after, second)));
        }
        Some(Plan { pause, faults })
    }
}
