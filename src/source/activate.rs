//! A candidate's way to [`Companies::publish`], with all that may stop it.
//!
//! compile, or read and check the envelope → compare generations → ask the snapshot its own tests →
//! weigh what goes → publish, if anything changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::companies::Companies;
use crate::decide;
use crate::snapshot::{Envelope, Snapshot, Statement};

use super::aside::Hurry;
use super::candidate::{self, Built, Candidate, Refusal, failed_tests_message};
use super::janitor::Janitor;
use super::settings::{FailedTests, ReloadOptions, Settings};

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
    /// The file is no snapshot that this version reads.
    BadSnapshot,
    /// It is not signed, and must be.
    Unsigned,
    /// It is signed by none of the keys that are trusted.
    UntrustedKey,
    /// A signature is wrong.
    WrongSignature,
    /// It is another company's.
    OtherCompany,
    /// It is older than what ran before.
    Rollback,
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
    settings: Settings,
    hurry: Hurry,
    janitor: Janitor,
    /// The highest generation that ran, of each company that had one, and of which body it was.
    highest: BTreeMap<String, (u64, String)>,
}

/// What an activation did.
pub(crate) struct Activation {
    pub(crate) outcome: Outcome,
    /// Packs that the snapshot is made of.
    pub(crate) packs: BTreeSet<String>,
    /// Which one it is, if its publisher says so.
    pub(crate) generation: Option<u64>,
}

// === impl Outcome ===

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 17] = [
        Self::Activated,
        Self::Forced,
        Self::Unchanged,
        Self::PolicyErrors,
        Self::TooLarge,
        Self::BadSnapshot,
        Self::Unsigned,
        Self::UntrustedKey,
        Self::WrongSignature,
        Self::OtherCompany,
        Self::Rollback,
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
            Self::Unsigned => "unsigned",
            Self::UntrustedKey => "untrusted_key",
            Self::WrongSignature => "wrong_signature",
            Self::OtherCompany => "other_company",
            Self::Rollback => "rollback",
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
    pub(crate) fn new(companies: Arc<Companies>, settings: Settings, hurry: Hurry) -> Self {
        Self {
            companies,
            hurry,
            settings,
            janitor: Janitor::start(),
            highest: BTreeMap::new(),
        }
    }

    /// What ran before this process did: nothing older is activated.
    pub(crate) fn remember(&mut self, company: &str, generation: u64, body_digest: String) {
        self.highest
            .insert(company.to_owned(), (generation, body_digest));
    }

    /// Makes the candidate decide for the company, or tells why it must not.
    pub(crate) fn activate(
        &mut self,
        company: &str,
        candidate: Candidate,
        options: ReloadOptions,
    ) -> Result<(Activation, Option<Envelope>), Refusal> {
        let started = Instant::now();
        let built = candidate::build_trusted(company, candidate, &self.settings.trust, &self.hurry);
        let built = built.unwrap_or_else(|| {
            // Whoever set the hurry knows.
            Err(Refusal::new(Outcome::Changing, "it had to stop".to_owned()))
        })?;
        self.activate_built(company, built, options, started)
    }

    /// Takes note that this envelope is of what runs already.
    pub(crate) fn confirm(
        &mut self,
        company: &str,
        envelope: &Envelope,
        options: ReloadOptions,
    ) -> Result<Activation, Refusal> {
        let said = envelope.statement();
        self.goes_back(company, said, options)?;
        self.ran(company, Some(said.clone()));
        Ok(Activation {
            outcome: Outcome::Unchanged,
            packs: BTreeSet::new(),
            generation: Some(said.generation),
        })
    }

    /// As [`Self::activate`], for what was made a snapshot already.
    pub(crate) fn activate_built(
        &mut self,
        company: &str,
        built: Built,
        options: ReloadOptions,
        started: Instant,
    ) -> Result<(Activation, Option<Envelope>), Refusal> {
        let packs = built.packs();
        let said = built.envelope.as_ref().map(Envelope::statement).cloned();
        let back = match &said {
            Some(said) => self.goes_back(company, said, options)?,
            None => false,
        };
        let generation = said.as_ref().map(|said| said.generation);
        let running = self.companies.load(company);
        let running = running.as_deref();
        if running.map(Snapshot::digest) == Some(built.snapshot.digest()) {
            let outcome = Outcome::Unchanged;
            // It decides as before, but lines have moved: explanations name where they stand now.
            if running.map(Snapshot::file_digest) != Some(built.snapshot.file_digest()) {
                let old = self.companies.publish(Arc::new(built.snapshot));
                self.janitor.free(old);
            }
            self.ran(company, said);
            let activation = Activation {
                outcome,
                packs,
                generation,
            };
            return Ok((activation, built.envelope));
        }
        let failed = self.replay(company, &built, options)?;
        let lost = self.weigh(running, &built.snapshot, options)?;
        if !built.warnings.is_empty() {
            tracing::warn!(company, "the policy has warnings\n{}", built.warnings);
        }
        let Built {
            snapshot, envelope, ..
        } = built;
        self.publish(snapshot, generation, running, started.elapsed());
        self.ran(company, said);
        let outcome = match failed || lost || back {
            true => Outcome::Forced,
            false => Outcome::Activated,
        };
        let activation = Activation {
            outcome,
            packs,
            generation,
        };
        Ok((activation, envelope))
    }

    /// Lets the company go.
    pub(crate) fn remove(&mut self, company: &str) {
        self.janitor.free(self.companies.remove(company));
        tracing::warn!(company, "its folder is gone: the company is removed");
    }

    /// Notes what runs now.
    fn ran(&mut self, company: &str, said: Option<Statement>) {
        if let Some(said) = said {
            self.remember(company, said.generation, said.body_digest);
        }
    }

    /// Whether it is older than what ran before, and that was accepted by a reload.
    fn goes_back(
        &self,
        company: &str,
        said: &Statement,
        options: ReloadOptions,
    ) -> Result<bool, Refusal> {
        let Some((highest, digest)) = self.highest.get(company) else {
            return Ok(false);
        };
        let other = said.generation == *highest && said.body_digest != *digest;
        if said.generation > *highest || said.generation == *highest && !other {
            return Ok(false);
        }
        let message = if other {
            format!("generation {highest} ran already, and was another snapshot")
        } else {
            format!(
                "it is of generation {}, and {highest} ran already",
                said.generation
            )
        };
        if options.accept_rollback || self.settings.accept_rollback {
            tracing::warn!(company, "activated though older: {message}");
            return Ok(options.accept_rollback);
        }
        let message = format!(
            "{message}: a reload with `accept_rollback` forces it, and so does `--accept-rollback`"
        );
        Err(Refusal::new(Outcome::Rollback, message))
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
        let warn = self.settings.failed_tests == FailedTests::Warn;
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
            if lost as f64 > self.settings.max_loss * before as f64 {
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
            self.settings.max_loss
        );
        Err(Refusal::new(Outcome::TooGreatLoss, message))
    }

    fn publish(
        &mut self,
        snapshot: Snapshot,
        generation: Option<u64>,
        running: Option<&Snapshot>,
        took: Duration,
    ) {
        tracing::info!(
            company = snapshot.company(),
            revision = snapshot.revision(),
            generation,
            replaced = running.map(Snapshot::revision),
            users = snapshot.users(),
            users_before = running.map(Snapshot::users),
            objects = snapshot.objects(),
            objects_before = running.map(Snapshot::objects),
            size_bytes = snapshot.size_bytes(),
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "activated"
        );
        let new = Arc::new(snapshot);
        let old = self.companies.publish(Arc::clone(&new));
        self.janitor.tell_and_free(old, new);
    }
}
