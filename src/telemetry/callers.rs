//! Counts of callers and credentials: of what is rare, so all threads share them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use prometheus::proto;

use super::family::{counter, gauge};
use super::labels::{CallerRefused, CredentialFile, Handshake};

/// Counts of callers and credentials.
#[derive(Default)]
pub(super) struct CallerMetrics {
    refused: [AtomicU64; CallerRefused::ALL.len()],
    handshakes: [AtomicU64; Handshake::ALL.len()],
    loaded: [AtomicU64; CredentialFile::ALL.len()],
    failed: [AtomicU64; CredentialFile::ALL.len()],
    failing: [AtomicBool; CredentialFile::ALL.len()],
    /// Seconds since 1970; 0: there is no certificate.
    not_after: AtomicI64,
}

// === impl CallerMetrics ===

impl CallerMetrics {
    pub(super) fn refused(&self, why: CallerRefused) {
        add(&self.refused, why as usize);
    }

    pub(super) fn handshake(&self, result: Handshake) {
        add(&self.handshakes, result as usize);
    }

    pub(super) fn loaded(&self, file: CredentialFile, used: bool) {
        add(
            if used { &self.loaded } else { &self.failed },
            file as usize,
        );
        if let Some(failing) = self.failing.get(file as usize) {
            failing.store(!used, Relaxed);
        }
    }

    pub(super) fn expires(&self, not_after: i64) {
        self.not_after.store(not_after, Relaxed);
    }

    pub(super) fn families(&self) -> Vec<proto::MetricFamily> {
        let count =
            |counts: &[AtomicU64], at: usize| counts.get(at).map_or(0, |count| count.load(Relaxed));
        let refused = CallerRefused::ALL.map(|why| {
            (
                vec![("reason", why.name())],
                count(&self.refused, why as usize),
            )
        });
        let handshakes = Handshake::ALL.map(|is| {
            (
                vec![("result", is.name())],
                count(&self.handshakes, is as usize),
            )
        });
        let loads = CredentialFile::ALL.into_iter().flat_map(|file| {
            let labels = |result| vec![("file", file.name()), ("result", result)];
            let at = file as usize;
            [
                (labels("used"), count(&self.loaded, at)),
                (labels("failed"), count(&self.failed, at)),
            ]
        });
        let failing = CredentialFile::ALL.map(|file| {
            let failing = self.failing.get(file as usize);
            let failing = failing.is_some_and(|failing| failing.load(Relaxed));
            (vec![("file", file.name())], f64::from(u8::from(failing)))
        });
        let mut families = vec![
            counter(
                "callgate_callers_refused_total",
                "Requests turned away because of who asks, or because nobody knows who, by why.",
                refused,
            ),
            counter(
                "callgate_tls_handshakes_total",
                "TLS handshakes, by what came of them.",
                handshakes,
            ),
            counter(
                "callgate_credential_loads_total",
                "Changed files of certificates, tokens and callers, by what came of them.",
                loads,
            ),
            gauge(
                "callgate_credential_failing",
                "1 while what stands in the file cannot be used and what stood there before is.",
                failing,
            ),
        ];
        let not_after = self.not_after.load(Relaxed);
        if not_after != 0 {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let not_after = not_after as f64;
            families.push(gauge(
                "callgate_tls_certificate_expiry_timestamp_seconds",
                "When the service's own certificate ends.",
                [(vec![], not_after)],
            ));
        }
        families
    }
}

fn add(counts: &[AtomicU64], at: usize) {
    if let Some(count) = counts.get(at) {
        count.fetch_add(1, Relaxed);
    }
}
