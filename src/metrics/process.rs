//! Metrics of the process, read from `/proc`.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Collects CPU time, memory, open files and the start time of the process. On systems without
/// `/proc` it collects nothing.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    started_at: f64,
}

impl ProcessCollector {
    /// Creates a collector. The start time is that of this call.
    pub(super) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "operators compare the start time with their own clocks")]
        let now = std::time::SystemTime::now();
        let started_at = now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Self { started_at }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode_open_files(&mut encoder)?;
        let start_time = ConstGauge::new(self.started_at);
        start_time.encode(encoder.encode_descriptor(
            "process_start_time",
            "Start of the process, since 1970",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?)?;
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            counter.encode(encoder.encode_descriptor(
                "process_cpu",
                "Processor time of the process",
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?)?;
        }
        if let Some(bytes) = resident_bytes() {
            let gauge = ConstGauge::new(bytes);
            gauge.encode(encoder.encode_descriptor(
                "process_resident_memory",
                "Resident memory of the process",
                Some(&Unit::Bytes),
                MetricType::Gauge,
            )?)?;
        }
        Ok(())
    }
}

/// Encodes the number of open files and its limit.
fn encode_open_files(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let max_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(max_files) = max_files.and_then(|files| i64::try_from(files).ok()) {
        let gauge = ConstGauge::new(max_files);
        gauge.encode(encoder.encode_descriptor(
            "process_max_fds",
            "Limit on open files",
            None,
            MetricType::Gauge,
        )?)?;
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        let gauge = ConstGauge::new(i64::try_from(files.count()).unwrap_or(i64::MAX));
        gauge.encode(encoder.encode_descriptor(
            "process_open_fds",
            "Open files of the process",
            None,
            MetricType::Gauge,
        )?)?;
    }
    Ok(())
}

/// Returns the user and system time of the process (proc(5), `/proc/pid/stat`, fields 14 and 15).
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program is in parentheses and may contain spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / rustix::param::clock_ticks_per_second() as f64)
}

/// Returns the resident memory (proc(5), `/proc/pid/statm`, field 2).
fn resident_bytes() -> Option<i64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(i64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_memory_and_used_processor_time() {
        assert!(resident_bytes().unwrap() > 1_000_000);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}
