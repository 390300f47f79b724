//! The measurements that are read from the services when the metrics are collected.

use std::{fmt, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Unit,
};

use super::directories;
use crate::{app::App, http::connection_limit::ConnectionLimiter, store::Store};

type OneLabel = [(&'static str, &'static str); 1];

/// Collects the measurements of the token cache, the cluster, the database, the limits and the
/// tokens. It reads memory and, for the age of the backup, the attributes of one file.
pub(super) struct ServiceCollector {
    pub(super) app: App,
    pub(super) store: Store,
    pub(super) connections: ConnectionLimiter,
}

impl fmt::Debug for ServiceCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceCollector")
    }
}

impl Collector for ServiceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_cache(&mut encoder)?;
        self.encode_limits(&mut encoder)?;
        self.encode_connections(&mut encoder)?;
        self.encode_tokens(&mut encoder)?;
        self.encode_backup(&mut encoder)?;
        directories::encode(self.app.directory_syncs(), &mut encoder)?;
        let pending = self.app.denied_attempts().pending_events();
        encode_gauge(&mut encoder, "event_queue_size", "Events that are not written to the audit log yet", pending)
    }
}

impl ServiceCollector {
    fn encode_cache(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.app.node().stats();
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
        encode_gauge(encoder, "cache_tokens", "Cached tokens", stats.tokens)?;
        let (size, help) = (to_i64(stats.bytes), "Approximate memory of cached tokens and their owners");
        let unit = Some(&Unit::Bytes);
        ConstGauge::new(size).encode(encoder.encode_descriptor("cache_size", help, unit, MetricType::Gauge)?)?;
        let help = "1 while auth checks are answered from the cache";
        encode_gauge(encoder, "cache_lease_held", help, usize::from(stats.holds_lease))
    }

    fn encode_limits(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (open, rejected) = self.connections.counts();
        encode_gauge(encoder, "http_connections", "Open connections to the HTTP port", open)?;
        let mut rejections = self.app.rate_limit_rejections();
        rejections.push(("connections", rejected));
        let family = Family::<OneLabel, Counter>::default();
        for (limit, count) in rejections {
            family.get_or_create(&[("limit", limit)]).inc_by(count);
        }
        let help = "Requests, reads and connections that exceeded a limit, by limit";
        family.encode(encoder.encode_descriptor("rate_limit_rejections", help, None, MetricType::Counter)?)
    }

    fn encode_connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.store.connection_counts();
        encode_family(
            encoder,
            ("db_connections", "Connections to the database"),
            "state",
            [("in_use", i64::from(counts.in_use)), ("idle", i64::from(counts.idle))],
        )?;
        let help = "Maximum number of connections to the database";
        encode_gauge(encoder, "db_connections_max", help, counts.max)?;
        encode_gauge(encoder, "db_operations_waiting", "Operations that wait for a connection", counts.waiting)
    }

    /// Encodes the numbers of tokens that a background job has read.
    fn encode_tokens(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(counts) = self.app.token_statistics().latest() else { return Ok(()) };
        encode_family(
            encoder,
            ("tokens", "Tokens in the database, at most a minute ago"),
            "status",
            [("active", counts.active), ("expired", counts.expired)],
        )?;
        let help = "Active tokens that expire within 7 days";
        ConstGauge::new(counts.expiring).encode(encoder.encode_descriptor(
            "tokens_expiring",
            help,
            None,
            MetricType::Gauge,
        )?)
    }

    fn encode_backup(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(time) = self.store.last_backup() else { return Ok(()) };
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let (name, help) = ("last_backup_timestamp", "Time of the last complete backup, since 1970");
        let unit = Some(&Unit::Seconds);
        ConstGauge::new(seconds).encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)
    }
}

fn encode_gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: impl TryInto<i64>) -> fmt::Result {
    ConstGauge::new(to_i64(value)).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn encode_family(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &'static str,
    values: [(&'static str, i64); 2],
) -> fmt::Result {
    let family = Family::<OneLabel, Gauge>::default();
    for (value_of_label, value) in values {
        family.get_or_create(&[(label, value_of_label)]).set(value);
    }
    family.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn to_i64(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
