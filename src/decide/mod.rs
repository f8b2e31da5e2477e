//! Pure functions over a [`Snapshot`]: the decision rule, written once.

use crate::model::{Decision, Query, Reason, Timestamp};
use crate::snapshot::Snapshot;

/// Decides: the one place where the rule stands.
#[must_use]
pub fn check<'s>(snapshot: &'s Snapshot, query: &Query<'_>) -> Reason<'s> {
    let _ = (snapshot, query);
    todo!()
}

/// A policy test that the snapshot answers otherwise than it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTest {
    /// The test's name.
    pub name: String,
    /// What it expects, with the reason if it says one.
    pub expected: (Decision, Option<String>),
    /// What the snapshot answers.
    pub actual: (Decision, String),
}

/// Asks the snapshot every test that it carries; `now` stands in where a test says no time.
#[must_use]
pub fn replay(snapshot: &Snapshot, now: Timestamp) -> Vec<FailedTest> {
    let _ = (snapshot, now);
    todo!()
}

/// The steps of a decision, for people: written with `Display`.
pub struct Explanation {
    /// The reason's code and what follows it.
    pub reason: String,
    /// One line a step.
    pub steps: Vec<String>,
}

/// Decides as [`check`] does, and tells the steps.
#[must_use]
pub fn explain(snapshot: &Snapshot, query: &Query<'_>) -> Explanation {
    let _ = (snapshot, query);
    todo!()
}
