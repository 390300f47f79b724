//! Counters and durations of requests to the API and the pages.

use std::time::Duration;

use axum::http::StatusCode;
use prometheus_client::metrics::{
    counter::Counter,
    family::Family,
    histogram::{Histogram, exponential_buckets},
};

/// The labels of a request counter: `method`, `route` and `status`.
pub(crate) type RequestLabels = [(&'static str, String); 3];
/// The label of a duration: `route`.
pub(crate) type RouteLabel = [(&'static str, String); 1];

/// Counts requests and measures their durations. Clones share their metrics. Auth checks have
/// counters of their own.
#[derive(Clone, Debug)]
pub(crate) struct RequestMetrics {
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) durations: Family<RouteLabel, Histogram, fn() -> Histogram>,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self { requests: Family::default(), durations: Family::new_with_constructor(duration_histogram) }
    }
}

/// Creates a histogram with bounds from 1 ms to 8 s.
fn duration_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

impl RequestMetrics {
    /// Records a response. `route` is the template of the path.
    pub(crate) fn record(&self, method: &'static str, route: &str, status: StatusCode, duration: Duration) {
        let labels =
            [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.as_u16().to_string())];
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&[("route", route.to_owned())]).observe(duration.as_secs_f64());
    }
}
