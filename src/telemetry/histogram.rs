//! A histogram for the path of an exchange: two relaxed additions an observation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::core::{Collector, Desc};
use prometheus::proto;

/// Upper bounds in microseconds: steps of 1, 2.5 and 5 from 1 µs to 100 s.
const BOUNDS_MICROS: [u64; 25] = [
    1,
    2,
    5,
    10,
    25,
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
];

/// Counts spans by bucket. The crate's own histogram keeps two shards consistent for the reader at
/// the writer's cost; here the reader may see a span's bucket before its sum, which no query notices.
#[derive(Clone, Debug)]
pub(super) struct PathHistogram(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    desc: Desc,
    /// One more than there are bounds: the last is `+Inf`.
    counts: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl PathHistogram {
    pub(super) fn new(name: &str, help: &str) -> prometheus::Result<Self> {
        let desc = Desc::new(name.into(), help.into(), Vec::new(), Default::default())?;
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Ok(Self(Arc::new(Cells { desc, counts, sum_micros: AtomicU64::new(0) })))
    }

    pub(super) fn observe(&self, micros: u64) {
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Collector for PathHistogram {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut cumulative = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_MICROS.len());
        for (bound, count) in BOUNDS_MICROS.iter().zip(&self.0.counts) {
            cumulative += count.load(Ordering::Relaxed);
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(seconds(*bound));
            bucket.set_cumulative_count(cumulative);
            buckets.push(bucket);
        }
        cumulative += self.0.counts[BOUNDS_MICROS.len()].load(Ordering::Relaxed);
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(cumulative);
        histogram.set_sample_sum(seconds(self.0.sum_micros.load(Ordering::Relaxed)));
        let mut metric = proto::Metric::from_label(Vec::new());
        metric.set_histogram(histogram);
        let mut family = proto::MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(proto::MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

/// Base units: Prometheus wants seconds.
#[expect(clippy::cast_precision_loss, reason = "below 2^53 microseconds, which is 285 years")]
pub(super) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_in_its_bucket_and_every_wider_one() {
        let histogram = PathHistogram::new("spans_seconds", "Spans.").unwrap();
        for micros in [0, 1, 3, 100_000_001] {
            histogram.observe(micros);
        }
        let family = &histogram.collect()[0];
        let told = family.get_metric()[0].get_histogram();
        let counts: Vec<u64> =
            told.get_bucket().iter().map(proto::Bucket::cumulative_count).take(3).collect();
        assert_eq!(counts, [2, 2, 3]);
        assert_eq!(told.get_bucket()[24].cumulative_count(), 3);
        assert_eq!(told.get_sample_count(), 4);
        assert!((told.get_sample_sum() - 100.000_005).abs() < 1e-9);
    }
}
