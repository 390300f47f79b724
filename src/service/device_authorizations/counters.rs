//! Counters of device authorizations by result.

use prometheus_client::metrics::{counter::Counter, family::Family};

/// The label of a counter: `result`.
pub type DeviceLabels = [(&'static str, &'static str); 1];

const RESULTS: [&str; 6] = ["begun", "wrong_code", "approved", "denied", "issued", "not_allowed"];

/// Counts device authorizations. Clones share their counters.
#[derive(Clone, Debug)]
pub struct DeviceCounters(Family<DeviceLabels, Counter>);

impl Default for DeviceCounters {
    fn default() -> Self {
        let family = Family::<DeviceLabels, Counter>::default();
        // All counters start at 0, so that the first one is an increase.
        for result in RESULTS {
            drop(family.get_or_create(&[("result", result)]));
        }
        Self(family)
    }
}

impl DeviceCounters {
    /// Counts a result.
    pub(super) fn record(&self, result: &'static str) {
        self.0.get_or_create(&[("result", result)]).inc();
    }

    /// Returns the family for the registry.
    #[must_use]
    pub fn family(&self) -> Family<DeviceLabels, Counter> {
        self.0.clone()
    }
}
