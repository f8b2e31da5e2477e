//! Whether to send requests here.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::companies::{Companies, Current};

/// Three latches: each is set once, and stays.
///
/// Ready means: every company was tried once since the start, at least one is active, and the
/// process is not about to stop. What fails later, or grows old, does not change it: a service that
/// goes on answering must not be taken out because a file is broken.
#[derive(Debug, Default)]
pub struct Readiness {
    tried_all: AtomicBool,
    ready: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// Every company was tried once.
    pub fn all_tried(&self) {
        self.tried_all.store(true, Relaxed);
    }

    /// The process is about to stop.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Whether some company was not tried yet: what is not known now may be known soon.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        !self.tried_all.load(Relaxed)
    }

    /// Whether the process is about to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// Whether to send requests here.
    #[must_use]
    pub fn is_ready(&self, companies: &Companies) -> bool {
        if !self.ready.load(Relaxed) && !self.is_starting() && any_active(companies) {
            self.ready.store(true, Relaxed);
        }
        self.ready.load(Relaxed) && !self.is_stopping()
    }
}

fn any_active(companies: &Companies) -> bool {
    companies
        .names()
        .iter()
        .any(|company| is_active(companies, company))
}

/// Whether something decides for the company.
pub(super) fn is_active(companies: &Companies, company: &str) -> bool {
    companies.with(company, |current| {
        matches!(current, Current::Active(_) | Current::Stale(_))
    })
}
