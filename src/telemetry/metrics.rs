//! All metrics of the process: one shard a worker, summed at scrape.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{TextEncoder, proto};

use super::callers::CallerMetrics;
use super::family::{counter, gauge, histogram};
use super::identity::IdentityMetrics;
use super::labels::{Api, CallerRefused, Code, CredentialFile, Handshake, Limit};
use super::proxies::{ProxyMetrics, ProxyRefused};
use super::shard::{AWAY_BUCKETS, DECISION_BUCKETS, Histogram, REQUEST_BUCKETS, Shard};
use crate::model::{Decision, Reason};

/// Bounds of the buckets for a load of a snapshot, in nanoseconds: 1 ms to a minute.
const LOAD_BUCKETS: [u64; 9] = [
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
    500_000_000,
    2_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// The metrics of the process.
pub struct Metrics {
    shards: Vec<Arc<Shard>>,
    pool_shards: Vec<Arc<Shard>>,
    /// Questions that wait for a thread of the pool.
    pub(crate) pool_waiting: AtomicU64,
    /// Questions turned away because too many waited.
    pub(crate) pool_refused: AtomicU64,
    /// What may come of a load, and how often it did.
    loads: Vec<(&'static str, AtomicU64)>,
    load_duration: Mutex<Histogram<{ LOAD_BUCKETS.len() }>>,
    connections: AtomicU64,
    connections_refused: AtomicU64,
    limits: [AtomicU64; Limit::ALL.len()],
    callers: CallerMetrics,
    proxies: ProxyMetrics,
    identity: IdentityMetrics,
    process: ProcessCollector,
}

// === impl Metrics ===

impl Metrics {
    /// Metrics with a shard for each worker and each thread of the pool, and these results of
    /// loading a snapshot; every label set stands at 0.
    #[must_use]
    pub fn new(
        workers: usize,
        pool_threads: usize,
        load_results: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let shards = |threads| (0..threads).map(|_| Arc::default()).collect();
        Self {
            shards: shards(workers),
            pool_shards: shards(pool_threads),
            pool_waiting: AtomicU64::new(0),
            pool_refused: AtomicU64::new(0),
            loads: load_results
                .into_iter()
                .map(|name| (name, AtomicU64::new(0)))
                .collect(),
            load_duration: Mutex::default(),
            connections: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            limits: Default::default(),
            callers: CallerMetrics::default(),
            proxies: ProxyMetrics::default(),
            identity: IdentityMetrics::default(),
            process: ProcessCollector::for_self(),
        }
    }

    /// The shards, one a worker.
    #[must_use]
    pub fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// The shards of the pool, one a thread.
    #[must_use]
    pub fn pool_shards(&self) -> &[Arc<Shard>] {
        &self.pool_shards
    }

    fn all_shards(&self) -> impl Iterator<Item = &Shard> {
        let shards = self.shards.iter().chain(&self.pool_shards);
        shards.map(Arc::as_ref)
    }

    /// A load came to its end with this result.
    pub fn snapshot_loaded(&self, result: &str, duration: Duration) {
        if let Some((_, count)) = self.loads.iter().find(|(name, _)| *name == result) {
            count.fetch_add(1, Relaxed);
        }
        self.load_duration().observe(&LOAD_BUCKETS, duration);
    }

    /// A connection was accepted: whether to let it in, since fewer than `most` are open.
    pub fn connection_opened(&self, most: u64) -> bool {
        let open = &self.connections;
        let let_in = open.fetch_update(Relaxed, Relaxed, |open| (open < most).then_some(open + 1));
        if let_in.is_err() {
            self.connections_refused.fetch_add(1, Relaxed);
            self.limit_reached(Limit::Connections);
        }
        let_in.is_ok()
    }

    /// Connections that are open.
    pub fn connections_open(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// A connection that was let in is gone.
    pub fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// A client has run into a limit.
    pub fn limit_reached(&self, limit: Limit) {
        self.limits_reached(limit, 1);
    }

    /// So many have run into a limit.
    pub fn limits_reached(&self, limit: Limit, clients: u64) {
        if let Some(count) = self.limits.get(limit as usize).filter(|_| clients > 0) {
            count.fetch_add(clients, Relaxed);
        }
    }

    /// A request was turned away because of who asks.
    pub fn caller_refused(&self, why: CallerRefused) {
        self.callers.refused(why);
    }

    /// A proxy's question was denied without a decision.
    pub fn proxy_refused(&self, why: ProxyRefused) {
        self.proxies.refused(why);
    }

    /// A TLS handshake came to its end.
    pub fn handshake(&self, result: Handshake) {
        self.callers.handshake(result);
    }

    /// A changed file of credentials was tried: whether it is in use now.
    pub fn credentials_loaded(&self, file: CredentialFile, used: bool) {
        self.callers.loaded(file, used);
    }

    /// A certificate is in use that ends then, in seconds since 1970.
    pub fn certificate_expires(&self, not_after: i64) {
        self.callers.expires(not_after);
    }

    /// The signature of an end user's token was checked, or what it says: whether it is good.
    pub fn token_checked(&self, good: bool) {
        self.identity.token_checked(good);
    }

    /// A changed key set was tried: whether it is in use now.
    pub fn keys_loaded(&self, used: bool) {
        self.identity.keys_loaded(used);
    }

    /// Everything, and what other parts of the process count, in the Prometheus text format 0.0.4.
    ///
    /// # Errors
    /// A family that the format cannot hold: a bug.
    pub fn text(&self, more: Vec<proto::MetricFamily>) -> prometheus::Result<String> {
        let mut families = self.families();
        families.extend(more);
        // Else the encoder refuses all of them.
        families.retain(|family| !family.get_metric().is_empty());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families)
    }

    fn families(&self) -> Vec<proto::MetricFamily> {
        let decision_durations = self.all_shards().map(Shard::decision_duration);
        let mut families = vec![
            self.decisions(),
            histogram(
                "callgate_decision_duration_seconds",
                "Time of the evaluation alone, of one decision in 64.",
                &DECISION_BUCKETS,
                [(vec![], Histogram::sum(decision_durations))],
            ),
            gauge(
                "callgate_build_info",
                "Always 1; the version stands in the label.",
                [(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)],
            ),
        ];
        families.extend(self.requests());
        families.extend(self.connections());
        families.extend(self.pool());
        families.push(self.workers());
        families.push(self.limits());
        families.extend(self.loads());
        families.extend(self.callers.families());
        families.push(self.proxies.family());
        families.extend(self.identity.families());
        families.extend(self.process.collect());
        families
    }

    fn sum(&self, count: impl Fn(&Shard) -> u64) -> u64 {
        self.all_shards().map(count).sum()
    }

    fn decisions(&self) -> proto::MetricFamily {
        let apis = Api::ALL.into_iter().filter(|api| api.decides());
        let values = apis.flat_map(|api| {
            Reason::CODES.iter().enumerate().map(move |(at, reason)| {
                let labels = vec![
                    ("api", api.name()),
                    ("decision", decision_of(at).name()),
                    ("reason", *reason),
                ];
                (labels, self.sum(|shard| shard.decisions(api, at)))
            })
        });
        let help = "Checks decided, by interface, decision and reason.";
        counter("callgate_decisions_total", help, values)
    }

    fn requests(&self) -> [proto::MetricFamily; 3] {
        let mut numbers = Vec::new();
        for api in Api::ALL {
            for code in Code::ALL {
                let count = self.sum(|shard| shard.requests(api, code).get());
                numbers.push((api, code.number().to_string(), count));
            }
        }
        let counts = numbers
            .iter()
            .map(|(api, code, count)| (vec![("api", api.name()), ("code", code.as_str())], *count));
        let durations = Api::ALL.map(|api| {
            let parts = self.all_shards().map(|shard| shard.request_duration(api));
            (vec![("api", api.name())], Histogram::sum(parts))
        });
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let in_flight = self.sum(Shard::in_flight) as f64;
        [
            counter(
                "callgate_requests_total",
                "Requests answered on the decision listener, by interface and status code.",
                counts,
            ),
            histogram(
                "callgate_request_duration_seconds",
                "Time from a request's head to its answer.",
                &REQUEST_BUCKETS,
                durations,
            ),
            gauge(
                "callgate_requests_in_flight",
                "Requests on the decision listener that are being read or answered.",
                [(vec![], in_flight)],
            ),
        ]
    }

    fn limits(&self) -> proto::MetricFamily {
        let counts = Limit::ALL.into_iter().zip(&self.limits);
        counter(
            "callgate_limit_reached_total",
            "Connections and requests that ran into a limit, by limit.",
            counts.map(|(limit, count)| (vec![("limit", limit.name())], count.load(Relaxed))),
        )
    }

    fn connections(&self) -> [proto::MetricFamily; 3] {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let open = self.connections.load(Relaxed) as f64;
        [
            gauge(
                "callgate_connections_open",
                "Connections open on the decision listener.",
                [(vec![], open)],
            ),
            counter(
                "callgate_connections_refused_total",
                "Connections turned away because too many were open.",
                [(vec![], self.connections_refused.load(Relaxed))],
            ),
            counter(
                "callgate_request_panics_total",
                "Requests that met a bug and were answered with status 500.",
                [(vec![], self.sum(Shard::panics))],
            ),
        ]
    }

    fn workers(&self) -> proto::MetricFamily {
        let workers = self.shards.iter().map(|shard| shard.times_away());
        histogram(
            "callgate_worker_away_seconds",
            "Time for which a worker is away from its poll loop, by its own clock.",
            &AWAY_BUCKETS,
            [(vec![], Histogram::sum(workers))],
        )
    }

    fn pool(&self) -> [proto::MetricFamily; 2] {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let waiting = self.pool_waiting.load(Relaxed) as f64;
        [
            gauge(
                "callgate_pool_queue_length",
                "Searches, explanations and large batches that wait for a thread of the pool.",
                [(vec![], waiting)],
            ),
            counter(
                "callgate_pool_refused_total",
                "Searches, explanations and large batches turned away because too many waited.",
                [(vec![], self.pool_refused.load(Relaxed))],
            ),
        ]
    }

    /// A poisoned histogram is still one: values are counted one by one.
    fn load_duration(&self) -> MutexGuard<'_, Histogram<{ LOAD_BUCKETS.len() }>> {
        let histogram = self.load_duration.lock();
        histogram.unwrap_or_else(PoisonError::into_inner)
    }

    fn loads(&self) -> [proto::MetricFamily; 2] {
        let results = self.loads.iter();
        let results = results.map(|(name, count)| (vec![("result", *name)], count.load(Relaxed)));
        let durations = self.load_duration();
        [
            counter(
                "callgate_snapshot_loads_total",
                "Attempts to activate what a company's source holds, by what came of them.",
                results,
            ),
            histogram(
                "callgate_snapshot_load_duration_seconds",
                "Time of such an attempt.",
                &LOAD_BUCKETS,
                [(vec![], Histogram::sum([&*durations].into_iter()))],
            ),
        ]
    }
}

/// The decision that the reason at this position of [`Reason::CODES`] stands for: the first five
/// allow, as the test below holds to.
fn decision_of(reason: usize) -> Decision {
    if reason < 5 {
        Decision::Allow
    } else {
        Decision::Deny
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_five_reasons_allow_and_no_other() {
        let (kind, action) = ("deal", "view");
        let reasons = [
            Reason::Granted,
            Reason::Via { kind, action },
            Reason::Section,
            Reason::Public,
            Reason::Authenticated,
            Reason::UnknownSubject,
            Reason::InactiveSubject,
            Reason::UnknownResourceType,
            Reason::UnknownAction,
            Reason::UnknownResource,
            Reason::DeniedByRole,
            Reason::OutsideProjects,
            Reason::NoGrant,
            Reason::OutOfScope,
            Reason::Requires { action },
            Reason::TestRoleNotAllowed,
            Reason::UnknownRole,
            Reason::BeyondOwnRoles,
            Reason::NoRoute,
            Reason::MethodNotAllowed,
            Reason::PolicyTooOld,
        ];
        for reason in reasons {
            assert_eq!(decision_of(reason.ordinal()), reason.decision(), "{reason}");
        }
    }

    #[test]
    fn every_label_set_stands_at_zero_from_the_start() {
        let text = Metrics::new(2, 1, ["activated", "failed_tests"])
            .text(Vec::new())
            .unwrap();
        for line in [
            r#"callgate_decisions_total{api="evaluation",decision="deny",reason="no_grant"} 0"#,
            r#"callgate_requests_total{api="evaluation",code="503"} 0"#,
            r#"callgate_snapshot_loads_total{result="failed_tests"} 0"#,
            r#"callgate_request_duration_seconds_bucket{api="evaluation",le="0.000005"} 0"#,
            r#"callgate_decision_duration_seconds_bucket{le="0.0000001"} 0"#,
            "callgate_requests_in_flight 0",
            r#"callgate_worker_away_seconds_bucket{le="0.0001"} 0"#,
        ] {
            assert!(text.lines().any(|is| is == line), "no `{line}` in:\n{text}");
        }
    }

    #[test]
    fn shards_are_summed() {
        let metrics = Metrics::new(2, 1, []);
        for shard in metrics.all_shards() {
            shard.request_began();
            shard.decided(Api::Evaluation, &Reason::Granted);
            shard.request_answered(Api::Evaluation, Code::Ok, Duration::from_micros(7));
        }
        let text = metrics.text(Vec::new()).unwrap();
        for line in [
            r#"callgate_decisions_total{api="evaluation",decision="allow",reason="granted"} 3"#,
            r#"callgate_requests_total{api="evaluation",code="200"} 3"#,
            r#"callgate_request_duration_seconds_bucket{api="evaluation",le="0.00001"} 3"#,
            r#"callgate_request_duration_seconds_count{api="evaluation"} 3"#,
        ] {
            assert!(text.lines().any(|is| is == line), "no `{line}` in:\n{text}");
        }
    }
}
