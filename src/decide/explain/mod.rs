//! A decision with its steps, the lines that decided, and what would turn it.
//!
//! The rule tells its steps ([`Watch`](super::watch::Watch)); what listens is `listener`, and what it
//! says of roles, scopes and tests is put together in `lines` and `facts`. `turn` looks for the
//! smallest changes that would turn the answer, by asking the same rule of suppositions; none that
//! the policy would refuse (`lawful`).

mod facts;
mod lawful;
mod lines;
mod listener;
mod observe;
mod offer;
mod text;
mod turn;

use super::check::decide;
use crate::model::{Query, Reason};
use crate::snapshot::Snapshot;
use listener::Listener;

/// A decision with its steps; written (`Display`) for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the decision is allow.
    pub allowed: bool,
    /// The reason's code and what follows it.
    pub reason: String,
    /// The scopes that the roles in force grant for the permission that was asked; none where it
    /// did not come to that.
    pub scopes: Vec<Reach>,
    /// The steps that were taken, in order.
    pub steps: Vec<Step>,
    /// The smallest changes that would turn the answer, as far as some were found.
    pub suggestions: Vec<Suggestion>,
}

/// A scope that is granted, and whether it reaches the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The scope.
    pub scope: &'static str,
    /// `None`: it was not looked at, since another one reaches, or since it is about a section.
    pub reached: Option<bool>,
    /// What the resource and the user have to do with each other there; empty if not looked at.
    pub why: String,
}

/// A step of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What kind of step it is, for programs.
    pub step: &'static str,
    /// What it came to, for people.
    pub text: String,
    /// The permission that it is about.
    pub permission: Option<String>,
    /// Of a test, a deny, a wall: what it came to, for programs.
    pub result: Option<&'static str>,
    /// Of the subject: all roles that the user has.
    pub assignments: Vec<Assignment>,
    /// Of a deny or a grant: the roles that have something to say of it.
    pub roles: Vec<RoleSays>,
    /// Of a grant: the scopes.
    pub scopes: Vec<Reach>,
    /// Of a test.
    pub test: Option<Test>,
}

/// A role that a user has, by one of the ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The role.
    pub role: String,
    /// By which way: `user`, `group`, `department`, `team`, `implicit`, or `test_role`.
    pub from: &'static str,
    /// The name of the group, department or team.
    pub name: Option<String>,
    /// Where it stands in the policy's files.
    pub place: Option<Place>,
    /// When and where it is in force: `until 2026-02-01T00:00:00Z`, `in projects bank-x`, `on shift`.
    pub limits: Vec<String>,
    /// What keeps it from being in force: `time`, `projects` or `shift`; of an answer about one
    /// permission alone.
    pub kept_back: Option<&'static str>,
}

/// A file of the policy tree, and a line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path within the tree.
    pub file: String,
    /// From 1.
    pub line: u32,
}

/// What a role says of a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSays {
    /// The role.
    pub role: String,
    /// Whether it is in force here.
    pub in_force: bool,
    /// The ways by which the user has it.
    pub assignments: Vec<Assignment>,
    /// The lines.
    pub lines: Vec<RoleLine>,
}

/// A line of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleLine {
    /// `grant`, `deny`, or `none`.
    pub effect: &'static str,
    /// Scopes granted.
    pub scopes: Vec<&'static str>,
    /// The condition under which it holds.
    pub when: Option<String>,
    /// What the condition came to, where it was asked: `true`, `false`, or `unknown`.
    pub condition: Option<&'static str>,
    /// What the line speaks of (`call.*`).
    pub pattern: String,
    /// The roles by way of which it came; the last one has the line.
    pub extends: Vec<String>,
    /// Where it stands.
    pub place: Option<Place>,
}

/// A test of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Where it looks (`resource.status`).
    pub path: String,
    /// How it tests (`at_most`).
    pub operator: &'static str,
    /// The whole test, as policy files would say it.
    pub text: String,
    /// What was there, as JSON, if that is short.
    pub actual: Option<String>,
}

/// Changes that together would turn the answer, and none of which can be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// For people.
    pub text: String,
    /// One or a few.
    pub changes: Vec<Change>,
}

/// A change to the policy, or to what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What kind of change, for programs.
    pub change: &'static str,
    /// For people.
    pub text: String,
    /// What is changed and how, by name.
    pub members: Vec<(&'static str, Member)>,
}

/// A member of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A name.
    Text(String),
    /// A value, as JSON.
    Json(String),
    /// A line's number.
    Number(u32),
}

/// Decides as [`check`](super::check()) does, and tells the steps and what would turn the answer.
#[must_use]
pub fn explain(snapshot: &Snapshot, query: &Query<'_>) -> Explanation {
    let (explanation, reason) = traced(snapshot, query);
    let suggestions = turn::suggestions(snapshot, query, reason);
    Explanation {
        suggestions,
        ..explanation
    }
}

/// As [`explain`], without looking for what would turn the answer.
#[must_use]
pub fn trace(snapshot: &Snapshot, query: &Query<'_>) -> Explanation {
    traced(snapshot, query).0
}

fn traced<'s>(snapshot: &'s Snapshot, query: &Query<'_>) -> (Explanation, Reason<'s>) {
    let listener = Listener::new(snapshot, query);
    let reason = decide(snapshot, query, &listener);
    listener.unknown(reason);
    let (scopes, steps) = listener.finish();
    let explanation = Explanation {
        allowed: reason.allows(),
        reason: reason.to_string(),
        scopes,
        steps,
        suggestions: Vec::new(),
    };
    (explanation, reason)
}
