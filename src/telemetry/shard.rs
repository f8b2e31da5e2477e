//! Counts of one worker, on cache lines that no other worker writes.
//!
//! A shard has one writer, its worker; so a count is raised by a plain load and a plain store.
//! The scrape reads whatever stands there: it may miss what happens at that moment, never more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::labels::{Api, Code};
use crate::model::Reason;

/// Bounds of the buckets for an evaluation alone, in nanoseconds.
pub(super) const DECISION_BUCKETS: [u64; 16] = [
    100,
    150,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// Bounds of the buckets for a request, in nanoseconds.
pub(super) const REQUEST_BUCKETS: [u64; 14] = [
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
    100_000_000,
    1_000_000_000,
];

/// Bounds of the buckets for a worker's time away from its poll loop, in nanoseconds.
pub(super) const AWAY_BUCKETS: [u64; 8] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// How many decisions pass for one whose time is taken: two readings of the clock cost as much
/// as the decision.
const DECISIONS_PER_SAMPLE: u64 = 64;

const REASONS: usize = Reason::CODES.len();
const APIS: usize = Api::ALL.len();
const CODES: usize = Code::ALL.len();

/// The counts of one worker.
///
/// Aligned to two cache lines, since processors fetch them in pairs.
#[repr(align(128))]
#[derive(Default)]
pub struct Shard {
    requests: [[Count; CODES]; APIS],
    request_duration: [Histogram<{ REQUEST_BUCKETS.len() }>; APIS],
    decisions: [[Count; REASONS]; APIS],
    decision_duration: Histogram<{ DECISION_BUCKETS.len() }>,
    away: Histogram<{ AWAY_BUCKETS.len() }>,
    in_flight: Count,
    panics: Count,
    decided: Count,
}

/// A number that one thread changes and others read.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

/// How many values fell into which bucket; what is above the last bound counts in `count` alone.
pub(super) struct Histogram<const N: usize> {
    buckets: [Count; N],
    count: Count,
    nanos: Count,
}

// === impl Shard ===

#[expect(
    clippy::indexing_slicing,
    reason = "a variant's position is below the number of variants, which is the array's length"
)]
impl Shard {
    /// A request's head was read.
    pub fn request_began(&self) {
        self.in_flight.set(self.in_flight.get().saturating_add(1));
    }

    /// A request is over without an answer: its client left.
    pub fn request_left(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }

    /// A request was answered.
    pub fn request_answered(&self, api: Api, code: Code, duration: Duration) {
        self.request_left();
        self.requests[api as usize][code as usize].add(1);
        self.request_duration[api as usize].observe(&REQUEST_BUCKETS, duration);
    }

    /// Requests under way on this worker.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    /// Whether the next decision's time is to be taken.
    #[must_use]
    pub fn samples_next(&self) -> bool {
        self.decided.get().is_multiple_of(DECISIONS_PER_SAMPLE)
    }

    /// A check was decided.
    pub fn decided(&self, api: Api, reason: &Reason<'_>) {
        self.decided.add(1);
        self.decisions[api as usize][reason.ordinal()].add(1);
    }

    /// How long a decision took whose time was taken.
    pub fn decision_took(&self, duration: Duration) {
        self.decision_duration.observe(&DECISION_BUCKETS, duration);
    }

    /// The worker looks for what came, after so long.
    pub fn away(&self, duration: Duration) {
        self.away.observe(&AWAY_BUCKETS, duration);
    }

    /// A request met a bug.
    pub fn panicked(&self) {
        self.panics.add(1);
    }

    pub(super) fn requests(&self, api: Api, code: Code) -> &Count {
        &self.requests[api as usize][code as usize]
    }

    pub(super) fn request_duration(&self, api: Api) -> &Histogram<{ REQUEST_BUCKETS.len() }> {
        &self.request_duration[api as usize]
    }

    pub(super) fn decisions(&self, api: Api, reason: usize) -> u64 {
        self.decisions[api as usize]
            .get(reason)
            .map_or(0, Count::get)
    }

    pub(super) fn decision_duration(&self) -> &Histogram<{ DECISION_BUCKETS.len() }> {
        &self.decision_duration
    }

    pub(super) fn times_away(&self) -> &Histogram<{ AWAY_BUCKETS.len() }> {
        &self.away
    }

    /// Requests that met a bug.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.get()
    }
}

// === impl Count ===

impl Count {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(super) fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }
}

// === impl Histogram ===

impl<const N: usize> Histogram<N> {
    /// Counts a value; `bounds` are the same at each call.
    pub(super) fn observe(&self, bounds: &[u64; N], duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bounds.iter().position(|bound| nanos <= *bound);
        if let Some(bucket) = bucket.and_then(|bucket| self.buckets.get(bucket)) {
            bucket.add(1);
        }
        self.count.add(1);
        self.nanos.add(nanos);
    }

    /// The sum of several histograms: counts a bucket, all values, their sum in nanoseconds.
    ///
    /// The total is read before the buckets and never given below their sum, so that what a
    /// scrape sees is a histogram even while values come in.
    pub(super) fn sum<'h>(parts: impl Iterator<Item = &'h Self>) -> ([u64; N], u64, u64) {
        let mut sum = ([0; N], 0, 0);
        for part in parts {
            let count = part.count.get();
            sum.2 += part.nanos.get();
            let mut within = 0;
            for (total, bucket) in sum.0.iter_mut().zip(&part.buckets) {
                let bucket = bucket.get();
                *total += bucket;
                within += bucket;
            }
            sum.1 += count.max(within);
        }
        sum
    }
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| Count::default()),
            count: Count::default(),
            nanos: Count::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_the_bucket_whose_bound_they_do_not_pass() {
        let histogram = Histogram::default();
        for nanos in [1, 5_000, 5_001, 2_000_000_000] {
            histogram.observe(&REQUEST_BUCKETS, Duration::from_nanos(nanos));
        }
        let (buckets, count, nanos) = Histogram::sum([&histogram].into_iter());
        assert_eq!((buckets[0], buckets[1]), (2, 1));
        assert_eq!(buckets.iter().sum::<u64>(), 3);
        assert_eq!((count, nanos), (4, 2_000_010_002));
    }

    #[test]
    fn one_decision_in_sixty_four_is_timed_the_first_too() {
        let shard = Shard::default();
        let timed = (0..128).filter(|_| {
            let timed = shard.samples_next();
            shard.decided(Api::Evaluation, &Reason::NoGrant);
            timed
        });
        assert_eq!(timed.count(), 2);
    }

    #[test]
    fn requests_in_flight_never_fall_below_none() {
        let shard = Shard::default();
        shard.request_left();
        assert_eq!(shard.in_flight(), 0);
    }
}
