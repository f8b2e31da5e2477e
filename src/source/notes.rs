//! What operators are told of a company: its status, the log and the counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::companies::{Companies, Failure, Status};

use super::activate::{LoadObserver, Outcome};
use super::candidate::Refusal;
use super::settings::Kind;

/// Tells operators what becomes of each company: once, however often it is met.
pub(crate) struct Notes {
    companies: Arc<Companies>,
    observer: Arc<dyn LoadObserver>,
    root: PathBuf,
    /// What the source holds, once that is known.
    pub(crate) kind: Option<Kind>,
}

// === impl Notes ===

impl Notes {
    pub(crate) fn new(
        companies: Arc<Companies>,
        observer: Arc<dyn LoadObserver>,
        root: PathBuf,
    ) -> Self {
        Self {
            companies,
            observer,
            root,
            kind: None,
        }
    }

    /// What the source holds of the company is what runs.
    pub(crate) fn fresh(&self, company: &str) {
        let mut recovered = None;
        self.note(company, |status| {
            status.freshen();
            recovered = status.failure.take();
        });
        if let Some(failure) = recovered {
            let after = failure.code;
            tracing::info!(company, after, "the source holds what runs again");
        }
    }

    /// What the source holds of the company was compiled, and runs.
    pub(crate) fn activated(
        &self,
        company: &str,
        outcome: Outcome,
        generation: Option<u64>,
        took: Duration,
    ) {
        self.observer.loaded(company, outcome, took);
        let now = SystemTime::now();
        self.note(company, |status| {
            if outcome != Outcome::Unchanged || status.loaded_at.is_none() {
                status.loaded_at = Some(now);
            }
            status.freshen();
            status.failure = None;
            // A reload's number stays good: what decides is not older than it was.
            status.generation = generation.or(status.generation);
        });
    }

    /// What ran last runs again, as it was kept; it was fresh then.
    pub(crate) fn restored(
        &self,
        company: &str,
        path: &std::path::Path,
        generation: Option<u64>,
        fresh_at: SystemTime,
        took: Duration,
    ) {
        let age = fresh_at.elapsed().unwrap_or_default();
        tracing::warn!(
            company,
            generation,
            path = %path.display(),
            age_s = age.as_secs(),
            "what ran last decides until the source is read"
        );
        self.observer.loaded(company, Outcome::Activated, took);
        self.note(company, |status| {
            status.loaded_at = Some(SystemTime::now());
            status.fresh_at = Some(fresh_at);
            status.fresh_since = Instant::now().checked_sub(age);
            status.generation = generation;
        });
    }

    /// What runs of the company is at least what a reload of this number found.
    pub(crate) fn number(&self, company: &str, generation: u64) {
        self.note(company, |status| status.generation = Some(generation));
    }

    /// What the source holds of the company was tried in vain.
    pub(crate) fn refused(&self, company: &str, refusal: &Refusal, took: Duration) {
        self.observer.loaded(company, refusal.outcome, took);
        self.failure(company, refusal);
    }

    /// The company fails, before anything of it could be tried or as it did before.
    pub(crate) fn failed(&self, company: &str, refusal: &Refusal) {
        let new = self.failure(company, refusal);
        let untried = match refusal.outcome {
            Outcome::Unreadable | Outcome::Changing | Outcome::Gone => true,
            Outcome::Activated
            | Outcome::Forced
            | Outcome::Unchanged
            | Outcome::PolicyErrors
            | Outcome::TooLarge
            | Outcome::BadSnapshot
            | Outcome::Unsigned
            | Outcome::UntrustedKey
            | Outcome::WrongSignature
            | Outcome::OtherCompany
            | Outcome::Rollback
            | Outcome::FailedTests
            | Outcome::TooGreatLoss
            | Outcome::Internal => false,
        };
        if new && untried {
            let took = Duration::ZERO;
            self.observer.loaded(company, refusal.outcome, took);
        }
    }

    /// Notes and logs a failure, if it is another than before.
    fn failure(&self, company: &str, refusal: &Refusal) -> bool {
        let code = refusal.outcome.code();
        let (mut new, mut runs) = (false, false);
        self.note(company, |status| {
            runs = status.loaded_at.is_some();
            let same = |known: &Failure| known.code == code && known.message == refusal.message;
            new = !status.failure.as_ref().is_some_and(same);
            if new {
                status.failure = Some(Failure {
                    at: SystemTime::now(),
                    code,
                    message: refusal.message.clone(),
                    place: refusal.place.clone(),
                });
            }
        });
        if new {
            let place = refusal.place.as_ref();
            tracing::error!(
                company,
                code,
                file = place.map(|(file, ..)| file.as_str()),
                line = place.map(|(_, line, _)| line),
                column = place.map(|(.., column)| column),
                "not activated, {}\n{}",
                if runs {
                    "what ran before goes on"
                } else {
                    "and nothing decides for the company"
                },
                refusal.message
            );
        }
        new
    }

    fn note(&self, company: &str, update: impl FnOnce(&mut Status)) {
        self.companies.update_status(company, |status| {
            if status.source.is_empty() {
                let within = match self.kind {
                    Some(Kind::Snapshots) => format!("{company}.callgate"),
                    Some(Kind::Policies) => format!("companies/{company}"),
                    None => company.to_owned(),
                };
                status.source = self.root.join(within).display().to_string();
            }
            update(status);
        });
    }
}
