//! Counters of webhook deliveries of this process.

use std::time::Duration;

use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};

use crate::domain::webhook::AttemptOutcome;

/// The label of a counter: `outcome`.
pub type OutcomeLabel = [(&'static str, &'static str); 1];

/// The upper bounds of the durations, in seconds.
const BUCKETS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Counts attempts to deliver events. Clones share their counters.
#[derive(Clone, Debug)]
pub struct WebhookCounters {
    attempts: Family<OutcomeLabel, Counter>,
    durations: Histogram,
    disabled: Counter,
    expiry_warnings: Counter,
}

impl Default for WebhookCounters {
    fn default() -> Self {
        let attempts = Family::<OutcomeLabel, Counter>::default();
        // All counters start at 0, so that the first failure is an increase.
        for outcome in AttemptOutcome::ALL {
            drop(attempts.get_or_create(&[("outcome", outcome.as_str())]));
        }
        let durations = Histogram::new(BUCKETS);
        Self { attempts, durations, disabled: Counter::default(), expiry_warnings: Counter::default() }
    }
}

impl WebhookCounters {
    pub(super) fn record(&self, outcome: AttemptOutcome, duration: Duration) {
        self.attempts.get_or_create(&[("outcome", outcome.as_str())]).inc();
        self.durations.observe(duration.as_secs_f64());
    }

    pub(super) fn record_disabled(&self) {
        self.disabled.inc();
    }

    /// Counts events of tokens that expire soon.
    pub(crate) fn record_expiry_warnings(&self, count: u64) {
        self.expiry_warnings.inc_by(count);
    }

    /// Returns the attempts by outcome.
    #[must_use]
    pub fn attempts(&self) -> Family<OutcomeLabel, Counter> {
        self.attempts.clone()
    }

    /// Returns the durations of attempts, in seconds.
    #[must_use]
    pub fn durations(&self) -> Histogram {
        self.durations.clone()
    }

    /// Returns the number of webhooks that this node disabled.
    #[must_use]
    pub fn disabled(&self) -> Counter {
        self.disabled.clone()
    }

    /// Returns the number of events `token.expiring` of this node.
    #[must_use]
    pub fn expiry_warnings(&self) -> Counter {
        self.expiry_warnings.clone()
    }
}
