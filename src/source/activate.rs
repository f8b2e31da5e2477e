//! A candidate's way to [`Companies::publish`], with all that may stop it.
//!
//! compile → ask the snapshot its own tests → weigh what goes → publish, if anything changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::companies::Companies;
use crate::decide;
use crate::snapshot::Snapshot;

use super::candidate::{self, Built, Candidate, Refusal, failed_tests_message};
use super::settings::{FailedTests, ReloadOptions};

/// What became of an attempt to activate what a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It decides from now on.
    Activated,
    /// It decides from now on, because a reload accepted what else would have stopped it.
    Forced,
    /// It is what decides already.
    Unchanged,
    /// The policy files are wrong.
    PolicyErrors,
    /// There is more of something than the tables can number.
    TooLarge,
    /// The file is no snapshot that this version reads, or another company's.
    BadSnapshot,
    /// The snapshot answers a policy test otherwise than the test says.
    FailedTests,
    /// Too many users or objects would go.
    TooGreatLoss,
    /// The source, or this company of it, cannot be read.
    Unreadable,
    /// The company's files did not hold still.
    Changing,
    /// The company's folder is gone, but perhaps not for good.
    Gone,
    /// A bug in callgate.
    Internal,
}

/// Told of every attempt: what metrics are made of.
pub trait LoadObserver: Send + Sync {
    /// An attempt came to its end.
    fn loaded(&self, company: &str, outcome: Outcome, duration: Duration);
}

/// Activates candidates, one at a time.
pub(crate) struct Activator {
    companies: Arc<Companies>,
    failed_tests: FailedTests,
    max_loss: f64,
    /// Snapshots that decide no more. Freed here, once no request holds them: freeing a large one
    /// takes longer than many decisions.
    retired: Vec<Arc<Snapshot>>,
}

/// What an activation did.
pub(crate) struct Activation {
    pub(crate) outcome: Outcome,
    /// Packs that the snapshot is made of.
    pub(crate) packs: BTreeSet<String>,
}

// === impl Outcome ===

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 12] = [
        Self::Activated,
        Self::Forced,
        Self::Unchanged,
        Self::PolicyErrors,
        Self::TooLarge,
        Self::BadSnapshot,
        Self::FailedTests,
        Self::TooGreatLoss,
        Self::Unreadable,
        Self::Changing,
        Self::Gone,
        Self::Internal,
    ];

    /// The stable code: a failure's, and a metric's label.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Activated => "activated",
            Self::Forced => "forced",
            Self::Unchanged => "unchanged",
            Self::PolicyErrors => "policy_errors",
            Self::TooLarge => "too_large",
            Self::BadSnapshot => "bad_snapshot",
            Self::FailedTests => "failed_tests",
            Self::TooGreatLoss => "too_great_loss",
            Self::Unreadable => "unreadable",
            Self::Changing => "changing",
            Self::Gone => "gone",
            Self::Internal => "internal",
        }
    }
}

// === impl Activator ===

impl Activator {
    pub(crate) fn new(companies: Arc<Companies>, failed_tests: FailedTests, max_loss: f64) -> Self {
        Self {
            companies,
            failed_tests,
            max_loss,
            retired: Vec::new(),
        }
    }

    /// Makes the candidate decide for the company, or tells why it must not.
    pub(crate) fn activate(
        &mut self,
        company: &str,
        candidate: Candidate,
        options: ReloadOptions,
    ) -> Result<Activation, Refusal> {
        let started = Instant::now();
        let built = candidate::build(company, candidate)?;
        let packs = built.packs();
        let running = self.companies.load(company);
        let running = running.as_deref();
        if running.map(Snapshot::digest) == Some(built.snapshot.digest()) {
            let outcome = Outcome::Unchanged;
            // It decides as before, but lines have moved: explanations name where they stand now.
            if running.map(Snapshot::file_digest) != Some(built.snapshot.file_digest()) {
                self.retired
                    .extend(self.companies.publish(Arc::new(built.snapshot)));
            }
            return Ok(Activation { outcome, packs });
        }
        let failed = self.replay(company, &built, options)?;
        let lost = self.weigh(running, &built.snapshot, options)?;
        if !built.warnings.is_empty() {
            tracing::warn!(company, "the policy has warnings\n{}", built.warnings);
        }
        let Built { snapshot, .. } = built;
        self.publish(snapshot, running, started.elapsed());
        let outcome = match failed || lost {
            true => Outcome::Forced,
            false => Outcome::Activated,
        };
        Ok(Activation { outcome, packs })
    }

    /// Lets the company go.
    pub(crate) fn remove(&mut self, company: &str) {
        self.retired.extend(self.companies.remove(company));
        tracing::warn!(company, "its folder is gone: the company is removed");
    }

    /// Frees the snapshots that no request holds any more; whether some are left.
    pub(crate) fn free_retired(&mut self) -> bool {
        // Nobody can take hold of what only this list holds.
        self.retired
            .retain(|snapshot| Arc::strong_count(snapshot) > 1);
        !self.retired.is_empty()
    }

    /// Asks the snapshot its own tests; whether some failed and that was accepted by a reload.
    fn replay(
        &self,
        company: &str,
        built: &Built,
        options: ReloadOptions,
    ) -> Result<bool, Refusal> {
        let failed = decide::replay(&built.snapshot, SystemTime::now().into());
        if failed.is_empty() {
            return Ok(false);
        }
        let message = failed_tests_message(&failed, |name| built.test_place(name));
        let warn = self.failed_tests == FailedTests::Warn;
        if warn || options.accept_failed_tests {
            tracing::warn!(company, "activated with failed policy tests\n{message}");
            return Ok(!warn);
        }
        Err(Refusal {
            place: failed.first().and_then(|test| built.test_place(&test.name)),
            ..Refusal::new(Outcome::FailedTests, message)
        })
    }

    /// Compares what would go with what may; whether it is too much and a reload accepted it.
    fn weigh(
        &self,
        running: Option<&Snapshot>,
        new: &Snapshot,
        options: ReloadOptions,
    ) -> Result<bool, Refusal> {
        let Some(running) = running else {
            return Ok(false);
        };
        let lost = running.lost_in(new);
        let kinds = [
            ("users", running.users(), lost.users),
            ("objects", running.objects(), lost.objects),
        ];
        let mut too_much = Vec::new();
        for (kind, before, lost) in kinds {
            if lost as f64 > self.max_loss * before as f64 {
                too_much.push(format!("{lost} of {before} {kind} would go"));
            }
        }
        if too_much.is_empty() {
            return Ok(false);
        }
        if options.accept_loss {
            let company = new.company();
            tracing::warn!(company, "activated with a loss: {}", too_much.join(", "));
            return Ok(true);
        }
        let message = format!(
            "{}: more than the share of {} that may (`--max-loss`); a reload with `accept_loss` forces it",
            too_much.join(", "),
            self.max_loss
        );
        Err(Refusal::new(Outcome::TooGreatLoss, message))
    }

    fn publish(&mut self, snapshot: Snapshot, running: Option<&Snapshot>, took: Duration) {
        tracing::info!(
            company = snapshot.company(),
            revision = snapshot.revision(),
            replaced = running.map(Snapshot::revision),
            users = snapshot.users(),
            users_before = running.map(Snapshot::users),
            objects = snapshot.objects(),
            objects_before = running.map(Snapshot::objects),
            size_bytes = snapshot.size_bytes(),
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "activated"
        );
        self.retired
            .extend(self.companies.publish(Arc::new(snapshot)));
    }
}
