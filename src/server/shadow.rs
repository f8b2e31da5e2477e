//! The shadow: a candidate that decides beside, and of which nothing is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use prometheus::proto::MetricFamily;

use super::desk::Asked;
use crate::companies::{Companies, Current};
use crate::decide;
use crate::model::{Query, Reason};
use crate::telemetry::counter;

/// A candidate, and how often it decides otherwise.
pub(super) struct Shadow {
    companies: Arc<Companies>,
    counts: [AtomicU64; RESULTS.len()],
    began: Instant,
    /// In which second since it began a difference was logged last, from 1.
    logged: AtomicU64,
}

/// What a comparison may come to.
const RESULTS: [&str; 5] = ["same", "other_reason", "gain", "loss", "no_candidate"];

// === impl Shadow ===

impl Shadow {
    pub(super) fn new(companies: Arc<Companies>) -> Self {
        Self {
            companies,
            counts: Default::default(),
            began: Instant::now(),
            logged: AtomicU64::new(0),
        }
    }

    /// Decides the same by the candidate, counts what comes of it, and logs a difference a second.
    pub(super) fn compare(&self, asked: &Asked<'_, '_>, query: &Query<'_>, reason: &Reason<'_>) {
        let company = asked.snapshot.company();
        self.companies.with(company, |current| {
            let candidate = match current {
                Current::Active(candidate) | Current::Stale(candidate) => candidate,
                Current::Inactive | Current::Unknown => return self.count(4),
            };
            let other = decide::check(candidate, query);
            let result = match (reason.allows(), other.allows()) {
                (false, true) => 2,
                (true, false) => 3,
                _ if *reason == other => 0,
                _ => 1,
            };
            self.count(result);
            if result > 1 && self.may_log() {
                // Nothing that could name a person: the request's id leads there.
                let request_id = asked.trail.map(|trail| &trail.request_id);
                tracing::info!(
                    company,
                    action = query.action.name,
                    resource_type = query.resource.kind,
                    decides = %reason,
                    candidate = %other,
                    candidate_revision = candidate.revision(),
                    request_id = request_id.and_then(|id| id.to_str().ok()),
                    "the shadow decides otherwise"
                );
            }
        });
    }

    /// How often the candidate decided otherwise.
    pub(super) fn family(&self) -> MetricFamily {
        let values = RESULTS.iter().zip(&self.counts);
        let values = values.map(|(result, count)| (vec![("result", *result)], count.load(Relaxed)));
        counter(
            "callgate_shadow_decisions_total",
            "Decisions that the shadow's candidate made too, by what differs.",
            values,
        )
    }

    fn count(&self, result: usize) {
        if let Some(count) = self.counts.get(result) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn may_log(&self) -> bool {
        let now = self.began.elapsed().as_secs() + 1;
        self.logged.fetch_max(now, Relaxed) < now
    }
}
