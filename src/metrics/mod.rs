//! Prometheus metrics: the registry, and the values that are collected for each scrape.

mod listener;
mod process;

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::ConstCounter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::{Registry, Unit},
};

use crate::{auth_check::AuthCheckCounters, cluster::Node, http::request_metrics::RequestMetrics, store::Store};
pub(crate) use listener::MetricsListener;

/// Creates the registry of a service. Names start with `tokenward_`, those of the process with
/// `process_`.
pub(crate) fn registry(node: &Node, store: &Store, requests: &RequestMetrics, checks: &AuthCheckCounters) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(process::ProcessCollector::new()));
    let service = registry.sub_registry_with_prefix("tokenward");
    service.register("http_requests", "Responses of the API and the pages", requests.requests.clone());
    service.register_with_unit(
        "http_request_duration",
        "Time from a complete header to the response",
        Unit::Seconds,
        requests.durations.clone(),
    );
    service.register("auth_checks", "Auth checks by endpoint and result", checks.family());
    if let Some(durations) = node.propagation_durations() {
        service.register_with_unit(
            "revocation_propagation",
            "Time until no node accepts a revoked right",
            Unit::Seconds,
            durations.clone(),
        );
    }
    let build_info = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    build_info.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    service.register("build_info", "Version of the program", build_info);
    service.register_collector(Box::new(ServiceCollector { node: node.clone(), store: store.clone() }));
    registry
}

/// Collects the measurements of the token cache, the cluster and the database.
struct ServiceCollector {
    node: Node,
    store: Store,
}

impl fmt::Debug for ServiceCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceCollector")
    }
}

impl Collector for ServiceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.node.stats();
        for (name, help, value) in [
            ("cache_hits", "Token lookups answered from the cache", stats.hits),
            ("cache_misses", "Token lookups that needed the database", stats.misses),
            ("cache_evictions", "Tokens evicted for capacity", stats.evictions),
            ("cluster_messages_dropped", "Messages between nodes that were forged or replayed", stats.dropped_messages),
            ("db_token_lookup_queries", "Queries that look up tokens", stats.lookup_queries),
            ("db_token_lookup_tokens", "Tokens in these queries", stats.lookup_tokens),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, unit, value) in [
            ("cache_tokens", "Cached tokens", None, stats.tokens),
            ("cache_size", "Approximate memory of cached tokens and their owners", Some(&Unit::Bytes), stats.bytes),
            (
                "cache_lease_held",
                "1 while auth checks are answered from the cache",
                None,
                usize::from(stats.holds_lease),
            ),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)?;
        }
        self.encode_connections(&mut encoder)
    }
}

impl ServiceCollector {
    fn encode_connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let connections = self.store.connection_counts();
        let family = Family::<[(&'static str, &'static str); 1], Gauge>::default();
        for (state, count) in [("in_use", connections.in_use), ("idle", connections.idle)] {
            family.get_or_create(&[("state", state)]).set(i64::from(count));
        }
        family.encode(encoder.encode_descriptor(
            "db_connections",
            "Connections to the database",
            None,
            MetricType::Gauge,
        )?)
    }
}
