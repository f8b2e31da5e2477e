//! Counts of tokens and of the keys they are signed with: of what is rare, since a token that was
//! seen before is not checked again; so all threads share them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus::proto;

use super::family::counter;

/// Counts of tokens and key sets.
#[derive(Default)]
pub(super) struct IdentityMetrics {
    good: AtomicU64,
    bad: AtomicU64,
    used: AtomicU64,
    failed: AtomicU64,
}

// === impl IdentityMetrics ===

impl IdentityMetrics {
    pub(super) fn token_checked(&self, good: bool) {
        let count = if good { &self.good } else { &self.bad };
        count.fetch_add(1, Relaxed);
    }

    pub(super) fn keys_loaded(&self, used: bool) {
        let count = if used { &self.used } else { &self.failed };
        count.fetch_add(1, Relaxed);
    }

    pub(super) fn families(&self) -> [proto::MetricFamily; 2] {
        let of = |result, count: &AtomicU64| (vec![("result", result)], count.load(Relaxed));
        [
            counter(
                "callgate_token_checks_total",
                "Tokens of end users whose signatures were checked, by what came of them; those \
                 remembered from before are not among them.",
                [of("good", &self.good), of("bad", &self.bad)],
            ),
            counter(
                "callgate_key_set_loads_total",
                "Changed key sets of tokens, by what came of them.",
                [of("used", &self.used), of("failed", &self.failed)],
            ),
        ]
    }
}
