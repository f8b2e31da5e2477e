//! Metric families from plain numbers, for collectors that count in their own way.

use prometheus::proto;

/// Pairs of a label's name and value.
type Labels<'a> = Vec<(&'static str, &'a str)>;

/// A family of counters.
#[must_use]
pub fn counter<'a>(
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> proto::MetricFamily {
    let values = values.into_iter().map(|(labels, value)| {
        let mut counter = proto::Counter::default();
        #[expect(clippy::cast_precision_loss, reason = "the format knows doubles only")]
        counter.set_value(value as f64);
        let mut metric = metric(labels);
        metric.set_counter(counter);
        metric
    });
    family(name, help, proto::MetricType::COUNTER, values.collect())
}

/// A family of gauges.
#[must_use]
pub fn gauge<'a>(
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> proto::MetricFamily {
    let values = values.into_iter().map(|(labels, value)| {
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        let mut metric = metric(labels);
        metric.set_gauge(gauge);
        metric
    });
    family(name, help, proto::MetricType::GAUGE, values.collect())
}

/// A family of histograms: for each its labels, and its buckets' counts, the count of all values
/// and their sum in nanoseconds; `bounds` are in nanoseconds.
#[must_use]
pub fn histogram<'a, const N: usize>(
    name: &str,
    help: &str,
    bounds: &[u64; N],
    values: impl IntoIterator<Item = (Labels<'a>, ([u64; N], u64, u64))>,
) -> proto::MetricFamily {
    let values = values.into_iter().map(|(labels, (counts, count, nanos))| {
        let mut below = 0;
        let buckets = bounds.iter().zip(counts).map(|(bound, count)| {
            below += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(seconds(*bound));
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(count);
        histogram.set_sample_sum(seconds(nanos));
        let mut metric = metric(labels);
        metric.set_histogram(histogram);
        metric
    });
    family(name, help, proto::MetricType::HISTOGRAM, values.collect())
}

fn family(
    name: &str,
    help: &str,
    kind: proto::MetricType,
    metrics: Vec<proto::Metric>,
) -> proto::MetricFamily {
    let mut family = proto::MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn metric(labels: Labels<'_>) -> proto::Metric {
    let labels = labels.into_iter().map(|(name, value)| {
        let mut label = proto::LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value.to_owned());
        label
    });
    proto::Metric::from_label(labels.collect())
}

/// Divided, not multiplied: 5,000 ns are written `0.000005`, not `0.0000049999999999999996`.
#[expect(clippy::cast_precision_loss, reason = "the format knows doubles only")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
