//! What listens to the rule and writes down its steps.

use std::cell::{Cell, RefCell};

use super::super::watch::{Note, Watch};
use super::facts::Words;
use super::lines::{Looked, says};
use super::{Assignment, Reach, Step, Test};
use crate::model::{Query, Reason, Scope, ScopeSet};
use crate::snapshot::Snapshot;
use crate::snapshot::origins::{Assigned, SAID_DENY, SAID_GRANT};
use crate::snapshot::tables::{OPERATORS, UserRow};

/// Writes down the steps.
pub(super) struct Listener<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query<'a>,
    /// The permission that was asked.
    asked: Cell<Option<u32>>,
    user: Cell<Option<UserRow>>,
    /// The roles that count: the user's own, or a tested one with the implicit ones.
    assigned: RefCell<Vec<Assigned>>,
    tested: Cell<Option<u32>>,
    /// Roles looked at since the last answer about a permission.
    looked: RefCell<Vec<Looked>>,
    scopes: RefCell<Vec<Reach>>,
    steps: RefCell<Vec<Step>>,
}

// === impl Listener ===

impl<'a> Listener<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, query: &'a Query<'a>) -> Self {
        Self {
            snapshot,
            query,
            asked: Cell::default(),
            user: Cell::default(),
            assigned: RefCell::default(),
            tested: Cell::default(),
            looked: RefCell::default(),
            scopes: RefCell::default(),
            steps: RefCell::default(),
        }
    }

    /// The scopes that are granted for what was asked, and the steps.
    pub(super) fn finish(self) -> (Vec<Reach>, Vec<Step>) {
        (self.scopes.into_inner(), self.steps.into_inner())
    }

    /// What the rule did not find by its name, which ended it.
    pub(super) fn unknown(&self, reason: Reason<'_>) {
        let Query {
            subject, resource, ..
        } = self.query;
        let (step, text) = match reason {
            Reason::UnknownSubject => {
                let (kind, id) = (subject.kind, subject.id);
                ("subject", format!("no user is the {kind} {id}"))
            }
            Reason::UnknownResourceType => {
                let kind = resource.kind;
                ("permission", format!("there is no resource type {kind}"))
            }
            Reason::UnknownAction => {
                let (kind, action) = (resource.kind, self.query.action.name);
                ("permission", format!("{kind} has no action {action}"))
            }
            Reason::UnknownRole => {
                let role = self.query.test_role.unwrap_or_default();
                ("tested_role", format!("there is no role {role}"))
            }
            _ => return,
        };
        self.push(Step {
            step,
            text,
            result: Some("unknown"),
            ..Step::default()
        });
    }

    fn words(&self) -> Words<'a> {
        Words(self.snapshot)
    }

    fn push(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }

    fn say(&self, step: &'static str, text: String) {
        self.push(Step {
            step,
            text,
            ..Step::default()
        });
    }

    /// All that is in force or might be: the user's roles, by whatever way.
    fn hold(&self, user: &UserRow) -> Vec<Assignment> {
        let snapshot = self.snapshot;
        let id = snapshot.user_number(user);
        let assigned = id.map_or_else(Vec::new, |id| snapshot.assigned(id, user));
        let told = assigned.iter().map(|&one| self.words().assignment(one));
        let told = told.collect();
        self.assigned.replace(assigned);
        told
    }

    fn subject(&self, user: &UserRow, active: bool) {
        self.user.set(Some(*user));
        let assignments = self.hold(user);
        let mut names: Vec<&str> = assignments.iter().map(|one| one.role.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let roles = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        let active_text = if active { "" } else { ", not active" };
        let id = self.snapshot.text(user.id);
        self.push(Step {
            step: "subject",
            text: format!("user {id}{active_text}; roles: {roles}"),
            assignments,
            ..Step::default()
        });
    }

    fn tested_role(&self, role: u32) {
        self.tested.set(Some(role));
        let mut assigned: Vec<Assigned> = self.snapshot.implicit_roles().collect();
        assigned.retain(|one| one.role != role);
        self.assigned.replace(assigned);
        let role = self.words().role(role);
        self.say(
            "tested_role",
            format!("with role {role} and the implicit ones alone:"),
        );
    }

    fn own_roles(&self) {
        self.tested.set(None);
        if let Some(user) = self.user.get() {
            self.hold(&user);
        }
        self.say("own_roles", "with the subject's own roles:".to_owned());
    }

    /// What the roles that were looked at say of the permission.
    fn roles(&self, permission: u32, effect: u32) -> Vec<super::RoleSays> {
        let looked = self.looked.take();
        let looked: Vec<Looked> = looked
            .into_iter()
            .filter(|one| one.permission == permission)
            .collect();
        let words = self.words();
        let tested = self.tested.get();
        let held = self.assigned.borrow();
        let mut said = says(words, permission, &looked, (&held, tested), effect);
        if let Some(tested) = tested {
            let name = words.role(tested);
            for says in said.iter_mut().filter(|says| says.role == name) {
                says.assignments.push(Assignment {
                    role: name.clone(),
                    from: "test_role",
                    name: None,
                    place: None,
                    limits: Vec::new(),
                    kept_back: None,
                });
            }
        }
        said
    }

    fn denied(&self, permission: u32, denied: bool) {
        let name = self.snapshot.permission_name(permission);
        let roles = self.roles(permission, SAID_DENY);
        self.push(Step {
            step: "deny",
            text: if denied {
                format!("a role in force denies {name}")
            } else {
                format!("no role in force denies {name}")
            },
            permission: Some(name),
            result: Some(if denied { "denied" } else { "not_denied" }),
            roles,
            ..Step::default()
        });
    }

    fn granted(
        &self,
        permission: u32,
        granted: ScopeSet,
        reached: Option<Scope>,
        reaches: Vec<Reach>,
    ) {
        if self.asked.get() == Some(permission) {
            self.scopes.replace(reaches.clone());
        }
        let name = self.snapshot.permission_name(permission);
        let roles = self.roles(permission, SAID_GRANT);
        let names: Vec<&str> = granted.iter().map(Scope::name).collect();
        let scopes = names.join(", ");
        let (text, result) = match reached {
            Some(scope) => (format!("{name} {scopes}; {scope} reaches it"), "reached"),
            None if granted.is_empty() => {
                (format!("no role in force grants {name}"), "not_granted")
            }
            None if self.query.section => (format!("{name} {scopes}"), "granted"),
            None => (format!("{name} {scopes}; none reaches it"), "not_reached"),
        };
        self.push(Step {
            step: "grant",
            text,
            permission: Some(name),
            result: Some(result),
            roles,
            scopes: reaches,
            ..Step::default()
        });
    }

    fn about(&self, step: &'static str, permission: u32, more: &str) {
        let name = self.snapshot.permission_name(permission);
        self.push(Step {
            step,
            text: format!("{name}{more}"),
            permission: Some(name),
            ..Step::default()
        });
    }
}

impl Watch for &Listener<'_> {
    fn note(&self, note: Note<'_>) {
        match note {
            Note::Subject { user, active } => self.subject(user, active),
            Note::Permission { permission } => {
                self.asked.set(Some(permission));
                self.about("permission", permission, "");
            }
            Note::MayTest { tests } => {
                self.looked.take();
                let text = if tests { "may" } else { "may not" };
                self.push(Step {
                    step: "may_test",
                    text: format!("the subject {text} test roles"),
                    result: Some(if tests { "yes" } else { "no" }),
                    ..Step::default()
                });
            }
            Note::TestedRole { role } => self.tested_role(role),
            Note::OwnRoles => self.own_roles(),
            Note::NoResource { .. } => self.push(Step {
                step: "resource",
                text: format!("{} is not registered", self.query.resource.id),
                result: Some("not_registered"),
                ..Step::default()
            }),
            Note::Resource { resource } => {
                let facts = self.words().facts(resource);
                self.say("resource", format!("{}; {facts}", resource.id()));
            }
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
            Note::Tested {
                test,
                came_to,
                found,
            } => {
                let (actual, seen) = self.words().seen(found);
                let text = self.snapshot.test_text(test);
                let result = came_to.name();
                self.push(Step {
                    step: "test",
                    text: format!("{text} is {result}: {seen}"),
                    result: Some(result),
                    test: Some(Test {
                        path: self.snapshot.path_text(test.path),
                        operator: (OPERATORS.get(test.operator as usize).copied())
                            .unwrap_or_default(),
                        text,
                        actual,
                    }),
                    ..Step::default()
                });
            }
            Note::Denied { permission, denied } => self.denied(permission, denied),
            Note::Wall { inside, lifted, .. } => {
                let (text, result) = match (inside, lifted) {
                    (true, _) => ("within the subject's projects, which are", "inside"),
                    (_, true) => ("lifted for the subject, whose projects are", "lifted"),
                    _ => ("outside the subject's projects, which are", "outside"),
                };
                let user = self.user.get();
                let own = user.map_or(&[][..], |user| self.snapshot.list(user.projects));
                let own: Vec<&str> = own.iter().map(|&id| self.words().project(id)).collect();
                self.push(Step {
                    step: "wall",
                    text: format!("{text} {}", own.join(", ")),
                    result: Some(result),
                    ..Step::default()
                });
            }
            Note::Granted {
                permission,
                granted,
                reached,
                resource,
            } => {
                let reaches = self
                    .user
                    .get()
                    .map(|user| (self.words()).reaches(&user, granted, reached, resource));
                self.granted(permission, granted, reached, reaches.unwrap_or_default());
            }
            Note::Link { permission } => self.about("link", permission, ""),
            Note::Linked { id, resource } => {
                let facts = resource.map(|resource| self.words().facts(resource));
                let text = match facts {
                    Some(facts) => format!("{id}; {facts}"),
                    None => format!("{id} is not registered"),
                };
                self.say("linked", text);
            }
            Note::LinkDone { allows } => {
                let text = if allows { "allows" } else { "does not allow" };
                self.push(Step {
                    step: "link_done",
                    text: format!("it {text} what the link asks"),
                    result: Some(if allows { "allowed" } else { "denied" }),
                    ..Step::default()
                });
            }
            Note::Required { permission } => self.about("requires", permission, ""),
        }
    }
}
