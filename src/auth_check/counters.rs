//! Counters of auth checks by endpoint and result.

use axum::http::StatusCode;
use prometheus_client::metrics::{counter::Counter, family::Family};

/// The endpoint of an auth check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ForwardAuth,
    ExtAuthz,
    Introspection,
}

/// The labels of a counter: `endpoint` and `result`.
pub(crate) type Labels = [(&'static str, &'static str); 2];

/// The family of counters, as the metrics port exposes it.
pub(crate) type AuthCheckFamily = Family<Labels, Counter>;

/// Counts auth checks. Clones share their counters.
#[derive(Clone, Debug)]
pub(crate) struct AuthCheckCounters {
    family: AuthCheckFamily,
    /// Resolved once, so that a check looks up no labels.
    by_endpoint: [ResultCounters; 3],
}

#[derive(Clone, Debug)]
struct ResultCounters {
    allowed: Counter,
    denied: Counter,
    error: Counter,
}

impl Default for AuthCheckCounters {
    fn default() -> Self {
        let family = AuthCheckFamily::default();
        let resolve = |endpoint: &'static str| {
            let counter = |result| family.get_or_create(&[("endpoint", endpoint), ("result", result)]).clone();
            ResultCounters { allowed: counter("allowed"), denied: counter("denied"), error: counter("error") }
        };
        let by_endpoint = ["forward_auth", "ext_authz", "introspection"].map(resolve);
        Self { family, by_endpoint }
    }
}

impl AuthCheckCounters {
    /// Counts a check by the status of its response.
    pub(crate) fn record(&self, endpoint: Endpoint, status: StatusCode) {
        let counters = match endpoint {
            Endpoint::ForwardAuth => &self.by_endpoint[0],
            Endpoint::ExtAuthz => &self.by_endpoint[1],
            Endpoint::Introspection => &self.by_endpoint[2],
        };
        let counter = match status {
            StatusCode::OK => &counters.allowed,
            status if status.is_server_error() => &counters.error,
            _ => &counters.denied,
        };
        counter.inc();
    }

    /// Returns the family for the registry.
    pub(crate) fn family(&self) -> AuthCheckFamily {
        self.family.clone()
    }
}
