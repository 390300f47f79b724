//! Random faults, for as many minutes as the environment variable `RESILIENCE_MINUTES` requests.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{faults::Fault, nodes::NODES};

/// The pause before the next faults, and the delay of each fault after the pause.
pub struct FaultPlan {
    pub pause: Duration,
    pub faults: Vec<(Duration, Fault)>,
}

/// An iterator over random plans. It ends after `RESILIENCE_MINUTES`, and is empty without that
/// variable.
pub struct RandomFaults {
    random: StdRng,
    end: Instant,
}

impl RandomFaults {
    pub fn from_environment() -> Self {
        let number =
            |name| Some(std::env::var(name).ok()?.parse::<u64>().unwrap_or_else(|_| panic!("{name} is not a number")));
        let minutes = number("RESILIENCE_MINUTES").unwrap_or(0);
        let seed = number("RESILIENCE_SEED").unwrap_or_else(rand::random);
        if minutes > 0 {
            println!("RESILIENCE_MINUTES={minutes} RESILIENCE_SEED={seed}");
        }
        Self { random: StdRng::seed_from_u64(seed), end: Instant::now() + Duration::from_secs(60 * minutes) }
    }

    fn random_fault(&mut self) -> Fault {
        Fault::ALL[1..].choose(&mut self.random).unwrap().on_node(self.random.random_range(0..NODES))
    }

    fn random_duration(&mut self, maximum: Duration) -> Duration {
        maximum.mul_f64(self.random.random())
    }
}

impl Iterator for RandomFaults {
    type Item = FaultPlan;

    fn next(&mut self) -> Option<FaultPlan> {
        if Instant::now() >= self.end {
            return None;
        }
        let pause = self.random_duration(Duration::from_secs(2));
        let first = self.random_fault();
        let mut faults = vec![(Duration::ZERO, first)];
        if self.random.random_bool(0.3) {
            let second = self.random_fault();
            let after = self.random_duration(Duration::from_secs(4));
            faults.extend(first.is_compatible_with(second).then_some((after, second)));
        }
        Some(FaultPlan { pause, faults })
    }
}
