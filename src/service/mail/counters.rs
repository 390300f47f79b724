//! Counters of messages of this process.

use prometheus_client::metrics::{counter::Counter, family::Family};

use crate::domain::mail::{MailKind, MailOutcome};

/// The labels of a counter: `kind` and `outcome`.
pub type MailLabels = [(&'static str, &'static str); 2];

/// Counts attempts to send messages. Clones share their counters.
#[derive(Clone, Debug)]
pub struct MailCounters {
    attempts: Family<MailLabels, Counter>,
    given_up: Counter,
}

impl Default for MailCounters {
    fn default() -> Self {
        let attempts = Family::<MailLabels, Counter>::default();
        // All counters start at 0, so that the first failure is an increase.
        for kind in MailKind::ALL {
            for outcome in MailOutcome::ALL {
                drop(attempts.get_or_create(&labels(kind, outcome)));
            }
        }
        Self { attempts, given_up: Counter::default() }
    }
}

fn labels(kind: MailKind, outcome: MailOutcome) -> MailLabels {
    [("kind", kind.as_str()), ("outcome", outcome.as_str())]
}

impl MailCounters {
    pub(super) fn record(&self, kind: MailKind, outcome: MailOutcome) {
        self.attempts.get_or_create(&labels(kind, outcome)).inc();
    }

    pub(super) fn record_given_up(&self) {
        self.given_up.inc();
    }

    /// Returns the attempts by kind and outcome.
    #[must_use]
    pub fn attempts(&self) -> Family<MailLabels, Counter> {
        self.attempts.clone()
    }

    /// Returns the number of messages that this node gave up.
    #[must_use]
    pub fn given_up(&self) -> Counter {
        self.given_up.clone()
    }
}
