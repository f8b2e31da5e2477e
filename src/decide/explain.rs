//! A decision with its steps, for people.

use std::cell::{Cell, RefCell};
use std::fmt;

use super::check::decide;
use super::resource::Resource;
use super::watch::{Note, Watch};
use crate::model::{Query, Scope, ScopeSet};
use crate::snapshot::Snapshot;
use crate::snapshot::tables::{OPERATORS, ROOT_ACTION, ROOT_RESOURCE, ROOT_SUBJECT, TestRow};

/// A decision with its steps; written (`Display`) a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the decision is allow.
    pub allowed: bool,
    /// The reason's code and what follows it.
    pub reason: String,
    /// The scopes that the roles in force grant for the permission; none where it did not come to that.
    pub scopes: Vec<&'static str>,
    /// The steps that were taken, in order.
    pub steps: Vec<String>,
}

/// Decides as [`check`](super::check()) does, and tells the steps.
#[must_use]
pub fn explain(snapshot: &Snapshot, query: &Query<'_>) -> Explanation {
    let listener = Listener {
        snapshot,
        query,
        asked: Cell::default(),
        granted: Cell::default(),
        steps: RefCell::default(),
    };
    let reason = decide(snapshot, query, &listener);
    Explanation {
        allowed: reason.allows(),
        reason: reason.to_string(),
        scopes: listener.granted.get().iter().map(Scope::name).collect(),
        steps: listener.steps.into_inner(),
    }
}

struct Listener<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query<'a>,
    /// The permission that was asked.
    asked: Cell<Option<u32>>,
    /// What is granted for it.
    granted: Cell<ScopeSet>,
    steps: RefCell<Vec<String>>,
}

// === impl Listener ===

impl Listener<'_> {
    fn permission(&self, permission: u32) -> String {
        let Some(row) = self.snapshot.permission(permission) else {
            return String::new();
        };
        let kind = self
            .snapshot
            .kind(row.kind)
            .map_or("", |kind| self.snapshot.text(kind.name));
        format!("{kind}.{}", self.snapshot.text(row.name))
    }

    fn role_name(&self, role: u32) -> &str {
        self.snapshot
            .role(role)
            .map_or("", |row| self.snapshot.text(row.name))
    }

    fn roles_of(&self, role_set: u32) -> String {
        let set = self.snapshot.tables.role_sets.get(role_set as usize);
        let roles = set.map_or(&[][..], |set| self.snapshot.list(set.roles));
        let names: Vec<&str> = roles.iter().map(|&role| self.role_name(role)).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    }

    fn limited(&self, list: u32) -> String {
        let rows = self.snapshot.list(list).iter();
        let rows = rows.filter_map(|&id| self.snapshot.tables.limited.get(id as usize));
        let names: Vec<&str> = rows.map(|row| self.role_name(row.role)).collect();
        if names.is_empty() {
            String::new()
        } else {
            format!("; at times: {}", names.join(", "))
        }
    }

    /// The test's path and operator, as in the policy.
    fn test(&self, test: &TestRow) -> String {
        let path = self.snapshot.tables.paths.get(test.path as usize);
        let segments = path.map_or(&[][..], |path| self.snapshot.list(path.segments));
        let segments: Vec<&str> = segments
            .iter()
            .map(|&name| self.snapshot.text(name))
            .collect();
        let root = match path.map(|path| path.root) {
            Some(ROOT_SUBJECT) => "subject",
            Some(ROOT_RESOURCE) => "resource",
            Some(ROOT_ACTION) => "action",
            _ => "context",
        };
        let operator = OPERATORS
            .get(test.operator as usize)
            .copied()
            .unwrap_or_default();
        format!("{root}.{} {operator}", segments.join("."))
    }

    fn facts(&self, resource: &Resource<'_>) -> String {
        let user = |id: u32| {
            self.snapshot
                .user(id)
                .map_or("", |row| self.snapshot.text(row.id))
        };
        let mut facts = Vec::new();
        facts.extend(
            resource
                .owner()
                .map(|owner| format!("owner {}", user(owner))),
        );
        let group = resource
            .group()
            .and_then(|group| self.snapshot.tables.groups.get(group as usize));
        facts.extend(group.map(|row| format!("group {}", self.snapshot.text(row.name))));
        let mut departments = Vec::new();
        resource.any(resource.departments(), |id| {
            departments.extend(
                self.snapshot
                    .department(id)
                    .map(|row| self.snapshot.text(row.name)),
            );
            false
        });
        let mut projects = Vec::new();
        resource.any(resource.projects(), |id| {
            let row = self.snapshot.tables.projects.get(id as usize);
            projects.extend(row.map(|row| self.snapshot.text(row.name)));
            false
        });
        if !departments.is_empty() {
            facts.push(format!("departments {}", departments.join(", ")));
        }
        facts.push(match projects.as_slice() {
            [] => "in no project".to_owned(),
            projects => format!("projects {}", projects.join(", ")),
        });
        facts.join("; ")
    }
}

impl Watch for &Listener<'_> {
    fn note(&self, note: Note<'_>) {
        match note {
            Note::Permission { permission } => self.asked.set(Some(permission)),
            Note::Granted {
                permission,
                granted,
                ..
            } if self.asked.get() == Some(permission) => {
                self.granted.set(granted);
            }
            _ => {}
        }
        let step = match note {
            Note::Subject { user, active } => format!(
                "subject: user {}{}; roles: {}{}",
                self.snapshot.text(user.id),
                if active { "" } else { ", not active" },
                self.roles_of(user.role_set),
                self.limited(user.limited),
            ),
            Note::Permission { permission } => {
                format!("permission: {}", self.permission(permission))
            }
            Note::TestedRole { role } => {
                format!(
                    "with role {} and the implicit ones alone:",
                    self.role_name(role)
                )
            }
            Note::OwnRoles => "with the subject's own roles:".to_owned(),
            Note::NoResource => format!("resource: {} is not registered", self.query.resource.id),
            Note::Resource { resource } => {
                format!("resource: {}; {}", resource.id(), self.facts(resource))
            }
            Note::Denied {
                permission,
                denied: true,
            } => {
                format!(
                    "deny: a role in force denies {}",
                    self.permission(permission)
                )
            }
            Note::Denied {
                permission,
                denied: false,
            } => {
                format!(
                    "deny: no role in force denies {}",
                    self.permission(permission)
                )
            }
            Note::Wall { inside: true, .. } => "wall: within the subject's projects".to_owned(),
            Note::Wall { lifted: true, .. } => "wall: lifted for the subject".to_owned(),
            Note::Wall { .. } => "wall: outside the subject's projects".to_owned(),
            Note::Granted {
                permission,
                granted,
                reached,
            } => {
                let permission = self.permission(permission);
                match reached {
                    Some(scope) => format!(
                        "grant: {permission} {}; {scope} reaches it",
                        scopes(granted)
                    ),
                    None if granted.is_empty() => {
                        format!("grant: no role in force grants {permission}")
                    }
                    None if self.query.section => {
                        format!("grant: {permission} {}", scopes(granted))
                    }
                    None => format!("grant: {permission} {}; none reaches it", scopes(granted)),
                }
            }
            Note::Tested { test, came_to } => {
                format!("test: {} is {}", self.test(test), came_to.name())
            }
            Note::Link { permission } => format!("link: {}", self.permission(permission)),
            Note::Required { permission } => format!("requires: {}", self.permission(permission)),
        };
        self.steps.borrow_mut().push(step);
    }
}

fn scopes(granted: ScopeSet) -> String {
    let names: Vec<&str> = granted.iter().map(Scope::name).collect();
    names.join(", ")
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        let decision = if self.allowed { "allow" } else { "deny" };
        write!(f, "{decision}: {}", self.reason)
    }
}
