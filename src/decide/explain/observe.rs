//! What stands in an answer's way, or holds it up: gathered while the rule decides.

use std::cell::{Cell, RefCell};

use super::super::condition::Truth;
use super::super::resource::Resource;
use super::super::watch::{Note, Watch};
use super::facts::Words;
use super::lines::Looked;
use crate::snapshot::Snapshot;
use crate::snapshot::origins::{SAID_DENY, SAID_GRANT};

/// What stands in the way of an allow, or holds it up. Numbers are those of the snapshot's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The user is not active.
    Inactive,
    /// An object of this type would have to be registered.
    NotRegistered { kind: u32 },
    /// The user may not test roles.
    MayNotTest,
    /// These roles deny.
    Denied { permission: u32, roles: Vec<u32> },
    /// The resource, of this type, is in these projects, and the user in none of them.
    Walled { kind: u32, projects: Vec<u32> },
    /// No scope that is granted reaches the resource, of this group and these departments.
    NotReached {
        permission: u32,
        scopes: u8,
        group: Option<u32>,
        departments: Vec<u32>,
        /// The objects whose operators are the resource's.
        operated: Vec<u32>,
    },
    /// A condition that would let a grant apply, or keep a deny from applying.
    Condition { condition: u32, grants: bool },
    /// What allows: a grant of these roles.
    Held { permission: u32, roles: Vec<u32> },
}

/// Gathers obstacles.
pub(super) struct Observer<'a> {
    snapshot: &'a Snapshot,
    looked: RefCell<Vec<Looked>>,
    found: RefCell<Vec<Obstacle>>,
    /// What a link names is other than what was asked.
    linked: Cell<bool>,
}

// === impl Observer ===

impl<'a> Observer<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            looked: RefCell::default(),
            found: RefCell::default(),
            linked: Cell::new(false),
        }
    }

    pub(super) fn finish(self) -> Vec<Obstacle> {
        self.found.into_inner()
    }

    fn find(&self, obstacle: Obstacle) {
        let mut found = self.found.borrow_mut();
        if !found.contains(&obstacle) {
            found.push(obstacle);
        }
    }

    /// Roles in force that were looked at for the permission, and say something of this effect.
    fn saying(&self, looked: &[Looked], permission: u32, effect: u32) -> Vec<u32> {
        let in_force = looked
            .iter()
            .filter(|one| one.permission == permission && one.kept.is_none());
        let says = |role: &u32| {
            let mut said = self.snapshot.said(*role, permission).iter();
            said.any(|row| row.effect == effect)
        };
        let mut roles: Vec<u32> = in_force
            .flat_map(|one| one.roles(Words(self.snapshot)))
            .filter(says)
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// Conditions that did not come to what would help.
    fn conditions(&self, looked: &[Looked], permission: u32, grants: bool) {
        let asked = looked.iter().filter(|one| one.permission == permission);
        for (condition, came_to) in asked.flat_map(|one| &one.conditions) {
            let condition = *condition;
            match (grants, came_to) {
                (true, Truth::False | Truth::Unknown) | (false, Truth::True | Truth::Unknown) => {
                    self.find(Obstacle::Condition { condition, grants });
                }
                _ => {}
            }
        }
    }

    fn denied(&self, permission: u32) {
        let looked = self.looked.take();
        // The rule stops at the first that denies.
        let last = looked.last().map(std::slice::from_ref).unwrap_or_default();
        let roles = self.saying(last, permission, SAID_DENY);
        self.find(Obstacle::Denied { permission, roles });
        self.conditions(last, permission, false);
    }
}

impl Watch for &Observer<'_> {
    fn note(&self, note: Note<'_>) {
        match note {
            Note::Subject { active: false, .. } => self.find(Obstacle::Inactive),
            Note::MayTest { tests } => {
                if !tests {
                    self.find(Obstacle::MayNotTest);
                }
                self.looked.take();
            }
            Note::NoResource { kind } => self.find(Obstacle::NotRegistered { kind }),
            Note::Role {
                permission,
                held,
                kept,
            } => {
                let mut looked = self.looked.borrow_mut();
                looked.push(Looked::new(permission, held, kept));
            }
            Note::Condition { condition, came_to } => {
                if let Some(looked) = self.looked.borrow_mut().last_mut() {
                    looked.conditions.push((condition, came_to));
                }
            }
            Note::Denied {
                permission,
                denied: true,
            } => self.denied(permission),
            Note::Denied { denied: false, .. } => {
                self.looked.take();
            }
            Note::Wall {
                inside: false,
                lifted: false,
                resource,
            } => {
                self.looked.take();
                let mut projects = Vec::new();
                resource.any(resource.projects(), |id| {
                    projects.push(id);
                    false
                });
                let kind = self.snapshot.kind_number(resource.kind);
                self.find(Obstacle::Walled { kind, projects });
            }
            Note::Granted {
                permission,
                granted,
                reached,
                resource,
            } => {
                let looked = self.looked.take();
                let section = resource.is_none();
                if reached.is_some() || section && !granted.is_empty() {
                    let roles = self.saying(&looked, permission, SAID_GRANT);
                    self.find(Obstacle::Held { permission, roles });
                    return;
                }
                if !self.linked.get() {
                    self.conditions(&looked, permission, true);
                }
                let mut departments = Vec::new();
                if let Some(resource) = resource {
                    resource.any(resource.departments(), |id| {
                        departments.push(id);
                        false
                    });
                }
                let operated = resource.map(|resource| {
                    let rows = resource.operated();
                    let numbers = rows.filter_map(|row| self.snapshot.object_number(row));
                    numbers.collect()
                });
                let operated = operated.unwrap_or_default();
                self.find(Obstacle::NotReached {
                    permission,
                    scopes: granted.bits(),
                    group: resource.and_then(Resource::group),
                    departments,
                    operated,
                });
            }
            Note::Linked { .. } => self.linked.set(true),
            Note::LinkDone { .. } => self.linked.set(false),
            Note::Subject { .. }
            | Note::Permission { .. }
            | Note::TestedRole { .. }
            | Note::OwnRoles
            | Note::Resource { .. }
            | Note::Wall { .. }
            | Note::Tested { .. }
            | Note::Link { .. }
            | Note::Required { .. } => {}
        }
    }
}
