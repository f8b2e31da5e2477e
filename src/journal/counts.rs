//! What the log counts: what it took, what it lost, and what it wrote.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus::proto::MetricFamily;

use crate::telemetry::{counter, gauge};

/// The counts of the log.
pub(super) struct Counts {
    threads: Vec<Arc<ThreadCounts>>,
    /// Lines that the file has, or the collector acknowledged.
    pub(super) written: AtomicU64,
    /// Lines that were taken and given up later.
    pub(super) given_up: AtomicU64,
    /// Attempts to hand lines over that failed.
    pub(super) failures: AtomicU64,
}

/// The counts of one thread that decides: on cache lines that no other writes.
#[repr(align(128))]
#[derive(Default)]
pub(super) struct ThreadCounts {
    /// Records that found room.
    pub(super) noted: Count,
    /// Records that found none, and whose decision was given all the same.
    pub(super) dropped: Count,
    /// Records that found none, and whose decision was not given.
    pub(super) denied: Count,
    /// Allows that were not to be logged.
    pub(super) passed_over: Count,
}

/// A number that one thread raises and others read.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

// === impl Counts ===

impl Counts {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            threads: (0..threads).map(|_| Arc::default()).collect(),
            written: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    pub(super) fn threads(&self) -> &[Arc<ThreadCounts>] {
        &self.threads
    }

    /// Lines that were noted and are nowhere yet.
    pub(super) fn waiting(&self) -> u64 {
        // Read first, so that what is handed over meanwhile is not missing from what was noted.
        let gone = self.written.load(Relaxed) + self.given_up.load(Relaxed);
        self.sum(|thread| &thread.noted).saturating_sub(gone)
    }

    fn sum(&self, count: fn(&ThreadCounts) -> &Count) -> u64 {
        let threads = self.threads.iter();
        threads.map(|thread| count(thread).0.load(Relaxed)).sum()
    }

    pub(super) fn families(&self) -> Vec<MetricFamily> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let waiting = self.waiting() as f64;
        let given_up = self.given_up.load(Relaxed);
        let one = |name, help, value| counter(name, help, [(vec![], value)]);
        vec![
            gauge(
                "callgate_decision_log_queue_length",
                "Lines of the decision log that are not yet written, or not yet acknowledged.",
                [(vec![], waiting)],
            ),
            one(
                "callgate_decision_log_written_total",
                "Lines of the decision log that were written, or acknowledged by the collector.",
                self.written.load(Relaxed),
            ),
            one(
                "callgate_decision_log_dropped_total",
                "Lines of the decision log that are lost: no room, or given up by the collector's time.",
                self.sum(|thread| &thread.dropped) + given_up,
            ),
            one(
                "callgate_decision_log_denied_total",
                "Decisions that were not given because the decision log had no room.",
                self.sum(|thread| &thread.denied),
            ),
            one(
                "callgate_decision_log_passed_over_total",
                "Allows that were not logged because only a share of them is.",
                self.sum(|thread| &thread.passed_over),
            ),
            one(
                "callgate_decision_log_failures_total",
                "Attempts to write lines of the decision log, or to send a batch, that failed.",
                self.failures.load(Relaxed),
            ),
        ]
    }
}

// === impl Count ===

impl Count {
    /// One more; a plain load and store, since one thread alone does it.
    pub(super) fn raise(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }
}
