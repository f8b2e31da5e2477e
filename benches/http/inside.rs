//! What the service says of its worker while it is measured from outside.

use std::fmt;
use std::time::Duration;

use super::load;
use super::server::Server;

/// Counts so far, or between two moments.
#[derive(Clone, Copy, Default)]
pub(crate) struct Inside {
    /// Checks answered, and those of them that took more than a millisecond from head to answer.
    checks: [u64; 2],
    /// Times that the worker was away from its poll loop, and those of more than a millisecond.
    away: [u64; 2],
    /// How long the worker waited for its core.
    waited: Duration,
}

// === impl Inside ===

impl Inside {
    pub(crate) fn of(server: &Server) -> Self {
        let metrics = load::admin(server, "GET /metrics");
        let count = |name: &str| -> u64 {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().parse().unwrap()
        };
        let over = |name: &str, labels: &str, comma: &str| {
            let all = match labels {
                "" => count(&format!("{name}_count")),
                _ => count(&format!("{name}_count{{{labels}}}")),
            };
            let within = format!("{name}_bucket{{{labels}{comma}le=\"0.001\"}}");
            [all, all - count(&within)]
        };
        let api = "api=\"evaluation\"";
        Self {
            checks: over("callgate_request_duration_seconds", api, ","),
            away: over("callgate_worker_away_seconds", "", ""),
            waited: server.waited("callgate-0"),
        }
    }

    /// Adds what happened between these moments.
    pub(crate) fn add(&mut self, before: &Self, after: &Self) {
        for n in 0..2 {
            self.checks[n] += after.checks[n] - before.checks[n];
            self.away[n] += after.away[n] - before.away[n];
        }
        self.waited += after.waited - before.waited;
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([checks, slow], [away, long]) = (self.checks, self.away);
        let waited = self.waited.as_secs_f64() * 1e6 / checks as f64;
        write!(
            f,
            "{slow} of {checks} checks took the worker more than 1 ms, it was away from its poll loop \
             for more than 1 ms {long} of {away} times, and waited {waited:.1} µs a check for its core"
        )
    }
}
