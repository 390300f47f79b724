//! A histogram of durations that many threads update at once.

use std::{
    array, fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// The upper bounds of the buckets, in microseconds. The last bucket has none.
const BOUNDS: [u64; 15] =
    [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];
const BUCKETS: usize = BOUNDS.len() + 1;
/// The number of shards. Threads of different shards do not write to the same cache line.
const SHARDS: usize = 8;

/// A histogram of durations. An observation is two additions without a lock. Clones share the
/// histogram.
#[derive(Clone, Debug, Default)]
pub(crate) struct LatencyHistogram(Arc<[Shard; SHARDS]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    counts: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
}

impl LatencyHistogram {
    /// Adds a duration.
    pub(super) fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| nanos <= bound * 1_000).unwrap_or(BOUNDS.len());
        let shard = &self.0[shard_of_thread()];
        shard.counts[bucket].fetch_add(1, Ordering::Relaxed);
        shard.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Returns the number of durations in each bucket, and their sum in seconds.
    fn totals(&self) -> ([u64; BUCKETS], f64) {
        let counts =
            array::from_fn(|bucket| self.0.iter().map(|shard| shard.counts[bucket].load(Ordering::Relaxed)).sum());
        let nanos = self.0.iter().map(|shard| shard.nanos.load(Ordering::Relaxed)).sum();
        (counts, Duration::from_nanos(nanos).as_secs_f64())
    }
}

/// Returns the shard of the current thread.
fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}

impl TypedMetric for LatencyHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for LatencyHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let (counts, seconds) = self.totals();
        let bounds = BOUNDS.iter().map(|micros| Duration::from_micros(*micros).as_secs_f64()).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        encoder.encode_histogram::<NoLabelSet>(seconds, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_all_threads_are_in_their_buckets() {
        let histogram = LatencyHistogram::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    for micros in [0, 25, 26, 1_000_000, 1_000_001] {
                        histogram.observe(Duration::from_micros(micros));
                    }
                });
            }
        });
        let (counts, seconds) = histogram.totals();
        assert_eq!((counts[0], counts[1], counts[BUCKETS - 2], counts[BUCKETS - 1]), (40, 20, 20, 20));
        assert_eq!(counts.iter().sum::<u64>(), 100);
        assert!((seconds - 40.00104).abs() < 1e-6, "{seconds}");
    }
}
