//! What the operator may set.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::snapshot::Trust;

/// How a source is watched and what is activated of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Only these companies; empty: all that the source holds.
    pub only: BTreeSet<String>,
    /// How long after a look the next one follows.
    pub poll_interval: Duration,
    /// How long a company's files must keep still before they are read.
    pub settle: Duration,
    /// How often stamps are not trusted and every file is read.
    pub full_read_interval: Duration,
    /// How long a company's folder must be gone before the company goes.
    pub removal_grace: Duration,
    /// For how long a company may be in motion until that counts as a failure.
    pub restless_max: Duration,
    /// Whether the system is asked to tell of changes. Without, only polling finds them.
    pub hints: bool,
    /// What a failed policy test does.
    pub failed_tests: FailedTests,
    /// The greatest share of users or objects that an activation may drop, 0 to 1.
    pub max_loss: f64,
    /// Whose signatures snapshots must bear.
    pub trust: Trust,
    /// Activate snapshots that are older than what ran before.
    pub accept_rollback: bool,
    /// Where what runs is kept, for a start without the source.
    pub cache: Option<PathBuf>,
    /// Authorities of a remote source's certificate, PEM, besides the system's.
    pub source_ca: Option<PathBuf>,
    /// What the log calls it.
    pub name: &'static str,
}

/// What a failed policy test does to an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedTests {
    /// It stops it.
    Refuse,
    /// It is logged.
    Warn,
}

/// What a reload may accept for once, in an emergency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadOptions {
    /// Activate in spite of failed policy tests.
    pub accept_failed_tests: bool,
    /// Activate however many users or objects go.
    pub accept_loss: bool,
    /// Activate a snapshot that is older than what ran before.
    pub accept_rollback: bool,
}

/// What a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Policies as people write them.
    Policies,
    /// Compiled snapshots.
    Snapshots,
}

// === impl Settings ===

impl Default for Settings {
    /// With these a change is live within 500 + 60 ms and the compile time, hint or no hint.
    fn default() -> Self {
        Self {
            only: BTreeSet::new(),
            poll_interval: Duration::from_millis(500),
            settle: Duration::from_millis(60),
            full_read_interval: Duration::from_secs(10),
            removal_grace: Duration::from_secs(10),
            restless_max: Duration::from_secs(5),
            hints: true,
            failed_tests: FailedTests::Refuse,
            max_loss: 0.2,
            trust: Trust::default(),
            accept_rollback: false,
            cache: None,
            source_ca: None,
            name: "source",
        }
    }
}

// === impl ReloadOptions ===

impl ReloadOptions {
    /// What either accepts.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            accept_failed_tests: self.accept_failed_tests || other.accept_failed_tests,
            accept_loss: self.accept_loss || other.accept_loss,
            accept_rollback: self.accept_rollback || other.accept_rollback,
        }
    }
}
