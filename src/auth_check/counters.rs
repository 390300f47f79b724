//! Counters and durations of auth checks.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::metrics::{counter::Counter, family::Family};

use super::latency::LatencyHistogram;

/// The endpoint of an auth check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ForwardAuth,
    ExtAuthz,
    Introspection,
    Batch,
}

/// The labels of a counter: `entry_point` and `result`.
pub(crate) type CheckLabels = [(&'static str, &'static str); 2];
/// The label of a duration: `entry_point`.
pub(crate) type EntryPointLabel = [(&'static str, &'static str); 1];

/// Counts auth checks and measures their durations. Clones share their metrics.
#[derive(Clone, Debug)]
pub(crate) struct AuthCheckCounters {
    checks: Family<CheckLabels, Counter>,
    durations: Family<EntryPointLabel, LatencyHistogram>,
    /// Resolved once, so that a check looks up no labels.
    by_endpoint: [EndpointMetrics; 4],
}

#[derive(Clone, Debug)]
struct EndpointMetrics {
    allowed: Counter,
    denied: Counter,
    error: Counter,
    durations: LatencyHistogram,
}

impl Default for AuthCheckCounters {
    fn default() -> Self {
        let checks = Family::<CheckLabels, Counter>::default();
        let durations = Family::<EntryPointLabel, LatencyHistogram>::default();
        let resolve = |entry_point: &'static str| {
            let counter = |result| checks.get_or_create(&[("entry_point", entry_point), ("result", result)]).clone();
            EndpointMetrics {
                allowed: counter("allowed"),
                denied: counter("denied"),
                error: counter("error"),
                durations: durations.get_or_create(&[("entry_point", entry_point)]).clone(),
            }
        };
        let by_endpoint = ["forward_auth", "ext_authz", "introspection", "batch"].map(resolve);
        Self { checks, durations, by_endpoint }
    }
}

impl AuthCheckCounters {
    /// Records a check by the status of its response.
    pub(crate) fn record(&self, endpoint: Endpoint, status: StatusCode, duration: Duration) {
        let metrics = match endpoint {
            Endpoint::ForwardAuth => &self.by_endpoint[0],
            Endpoint::ExtAuthz => &self.by_endpoint[1],
            Endpoint::Introspection => &self.by_endpoint[2],
            Endpoint::Batch => &self.by_endpoint[3],
        };
        let counter = match status {
            StatusCode::OK => &metrics.allowed,
            status if status.is_server_error() => &metrics.error,
            _ => &metrics.denied,
        };
        counter.inc();
        metrics.durations.observe(duration);
    }

    /// Returns the counters for the registry.
    pub(crate) fn checks(&self) -> Family<CheckLabels, Counter> {
        self.checks.clone()
    }

    /// Returns the durations for the registry.
    pub(crate) fn durations(&self) -> Family<EntryPointLabel, LatencyHistogram> {
        self.durations.clone()
    }
}
