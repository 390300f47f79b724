//! The measurements of directories.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::Counter, family::Family, gauge::Gauge},
    registry::Unit,
};

use crate::service::DirectorySyncs;

type ProviderLabel = [(&'static str, String); 1];

/// Encodes the state of the last sync with each directory, as the database has it, and the broken
/// connections of this process.
pub(super) fn encode(syncs: &DirectorySyncs, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let (succeeded, held) = (Family::<ProviderLabel, Gauge>::default(), Family::<ProviderLabel, Gauge>::default());
    for state in syncs.latest_states() {
        let label = [("provider", state.provider)];
        held.get_or_create(&label).set(state.report.held);
        if let Some(at) = state.succeeded_at {
            succeeded.get_or_create(&label).set(at.as_millis() / 1_000);
        }
    }
    let broken = Family::<ProviderLabel, Counter>::default();
    for provider in syncs.directories().iter() {
        let label = [("provider", provider.name().to_owned())];
        broken.get_or_create(&label).inc_by(provider.directory().broken_connections());
    }
    let help = "Time of the last complete sync with a directory, since 1970";
    let (name, unit) = ("directory_sync_last_success_timestamp", Some(&Unit::Seconds));
    succeeded.encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)?;
    let help = "People whom the last sync would have disabled; it needs a confirmation";
    held.encode(encoder.encode_descriptor("directory_sync_held", help, None, MetricType::Gauge)?)?;
    let help = "Connections to a directory that ended because of an invalid answer";
    broken.encode(encoder.encode_descriptor("directory_broken_connections", help, None, MetricType::Counter)?)
}
