//! The decision rule: the one place where it stands.
//!
//! The answer is deny unless the steps come to allow:
//!
//! 1. **Subject**: a user of the company, and active.
//! 2. **Permission**: the catalogue has the type and the action.
//! 3. **Roles in force**: see [`Roles`].
//! 4. **Resource**: registered where it must be; its facts: see [`Resource`].
//! 5. **Deny**: no role in force denies.
//! 6. **Project wall**: a project of the resource is one of the user's, or the user may look over it.
//! 7. **Grant**: a scope that some role in force grants reaches the resource.
//! 8. **Link**: or a linked resource's permission, by steps 4 to 7 and 9, stands in for step 7.
//! 9. **Requires**: so are all the actions that this one requires, by steps 5 to 9.
//! 10. **Testing a role**: with that role and the implicit ones alone, and never beyond the own roles.
//!
//! A deny beats the wall, the wall beats a grant, and a link goes round step 7 alone.

use super::resource::{Many, Resource, intersect, upwards};
use super::roles::{About, Roles};
use super::value::{Members, View};
use super::watch::{Note, Silent, Watch};
use crate::model::{Query, Reason, Scope, ScopeSet};
use crate::snapshot::tables::{PermissionRow, RequireRow, some};
use crate::snapshot::{Kind, Snapshot};

/// Decides: may this subject do this to that, in this context, now?
///
/// Total and pure: it takes no lock, reads no clock and allocates nothing.
#[must_use]
pub fn check<'s>(snapshot: &'s Snapshot, query: &Query<'_>) -> Reason<'s> {
    decide(snapshot, query, Silent)
}

/// As [`check`], while `watch` is told each step.
pub(super) fn decide<'s>(
    snapshot: &'s Snapshot,
    query: &Query<'_>,
    watch: impl Watch,
) -> Reason<'s> {
    // User and resource are looked up before either is looked at, so that their ways to memory go
    // side by side. What is wrong with which of them is told in the order of the steps.
    let permission = permission(snapshot, query);
    let user = is_user(snapshot, query).then(|| snapshot.find(Kind::USER, query.subject.id));
    let resource = (permission.as_ref().ok())
        .and_then(|&permission| resource_asked(snapshot, query, permission));
    match user.flatten() {
        Some(user) => decide_for(snapshot, query, user, permission, resource.as_ref(), watch),
        None => Reason::UnknownSubject,
    }
}

/// As [`decide`], for the user of this number, whatever the query's subject id says, and for the
/// permission and the resource that the query was found to ask about.
pub(super) fn decide_for<'s>(
    snapshot: &'s Snapshot,
    query: &Query<'_>,
    user_id: u32,
    permission: Result<u32, Reason<'s>>,
    resource: Option<&Resource<'_>>,
    watch: impl Watch,
) -> Reason<'s> {
    let Some(user) = snapshot.user(user_id) else {
        return Reason::UnknownSubject;
    };
    watch.note(Note::Subject {
        user,
        active: user.is_active(),
    });
    if !user.is_active() {
        return Reason::InactiveSubject;
    }
    let permission = match permission {
        Ok(permission) => permission,
        Err(reason) => return reason,
    };
    watch.note(Note::Permission { permission });
    let own = Asked {
        names: snapshot,
        roles: Roles::own(snapshot, query, user, watch),
        user_id,
        resource,
    };
    match query.test_role {
        None => own.answer(permission),
        Some(role) => own.test_role(role, permission),
    }
}

/// Whether the subject's type means a user.
#[inline]
pub(super) fn is_user(snapshot: &Snapshot, query: &Query<'_>) -> bool {
    snapshot.shortcuts().means_user(query.subject.kind)
}

/// Step 2: the permission that is asked.
#[inline]
pub(super) fn permission(snapshot: &Snapshot, query: &Query<'_>) -> Result<u32, Reason<'static>> {
    let shortcuts = snapshot.shortcuts();
    match shortcuts.permission(query.resource.kind, query.action.name) {
        Some(permission) => Ok(permission),
        None => permission_by_parts(snapshot, query),
    }
}

/// As [`permission`], by the type's name and then the action's, so that it is known which is
/// unknown.
#[cold]
fn permission_by_parts(snapshot: &Snapshot, query: &Query<'_>) -> Result<u32, Reason<'static>> {
    let kind = snapshot.find(Kind::TYPE, query.resource.kind);
    let kind = kind.ok_or(Reason::UnknownResourceType)?;
    let permission = snapshot.find(Kind::action_of(kind), query.action.name);
    permission.ok_or(Reason::UnknownAction)
}

/// Step 4: the resource that is asked about; `None`: a section, or what should be registered and is
/// not.
#[inline(always)] // as `Resource::find`
pub(super) fn resource_asked<'a>(
    snapshot: &'a Snapshot,
    query: &Query<'a>,
    permission: u32,
) -> Option<Resource<'a>> {
    let row = snapshot.permission(permission).filter(|_| !query.section)?;
    let told = Members::Sent(query.resource.properties);
    Resource::find(snapshot, row.kind, query.resource.id, told, row.new != 0)
}

/// A question whose subject, permission and resource are known, asked of some roles.
#[derive(Clone, Copy)]
struct Asked<'s, 'a, W> {
    /// The snapshot again, for reasons, which outlive the question.
    names: &'s Snapshot,
    roles: Roles<'a, W>,
    user_id: u32,
    /// See [`resource_asked`].
    resource: Option<&'a Resource<'a>>,
}

/// Whether links may stand in for a scope.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Follow,
    /// Within a linked check no link is followed.
    Ignore,
}

// === impl Asked ===

impl<'s, 'a, W: Watch> Asked<'s, 'a, W> {
    /// Step 10.
    #[cold]
    fn test_role(&self, role: &str, permission: u32) -> Reason<'s> {
        let may_test = some(self.names.meta().tests_roles);
        let tests = may_test.is_some_and(|may_test| self.roles.everywhere(may_test));
        self.roles.watch.note(Note::MayTest { tests });
        if !tests {
            return Reason::TestRoleNotAllowed;
        }
        let Some(role) = self.names.find(Kind::ROLE, role) else {
            return Reason::UnknownRole;
        };
        self.roles.watch.note(Note::TestedRole { role });
        let tested = Self {
            roles: self.roles.with_tested(role),
            ..*self
        }
        .answer_apart(permission);
        if !tested.allows() {
            return tested;
        }
        self.roles.watch.note(Note::OwnRoles);
        if self.answer_apart(permission).allows() {
            tested
        } else {
            Reason::BeyondOwnRoles
        }
    }

    /// As [`Asked::answer`], where code is to be small.
    #[inline(never)]
    fn answer_apart(&self, permission: u32) -> Reason<'s> {
        self.answer(permission)
    }

    /// Steps 3 to 9.
    #[inline(always)]
    fn answer(&self, permission: u32) -> Reason<'s> {
        let Some(row) = self.names.permission(permission) else {
            return Reason::UnknownAction;
        };
        if self.roles.query.section {
            return self.section(permission, row);
        }
        let Some(resource) = self.resource else {
            self.roles.watch.note(Note::NoResource { kind: row.kind });
            return Reason::UnknownResource;
        };
        self.roles.watch.note(Note::Resource { resource });
        self.permit(permission, row, resource, Links::Follow)
    }

    /// Steps 5 to 9.
    #[inline(always)] // into `answer`, of which it is nearly all; so is `admit`
    fn permit(
        &self,
        permission: u32,
        row: &PermissionRow,
        resource: &Resource<'_>,
        links: Links,
    ) -> Reason<'s> {
        let allowed = self.admit(permission, row, resource, links);
        if !allowed.allows() {
            return allowed;
        }
        let admits = |required: &RequireRow| {
            let mut closure = self.names.list(required.closure).iter();
            closure.all(|&permission| {
                let row = self.names.permission(permission);
                row.is_some_and(|row| self.admit(permission, row, resource, links).allows())
            })
        };
        if row.requires.length == 0 {
            return allowed;
        }
        self.required(row, admits)
            .map_or(allowed, |action| Reason::Requires { action })
    }

    /// Step 9: the first action required that is not allowed. An action is allowed exactly if it
    /// and all that it requires in turn pass steps 5 to 8, so each of these is asked once.
    #[inline(never)]
    fn required(
        &self,
        row: &PermissionRow,
        admits: impl Fn(&RequireRow) -> bool,
    ) -> Option<&'s str> {
        let required = row.requires.of(&self.names.tables.requires);
        let denied = required.iter().find(|required| {
            self.roles.watch.note(Note::Required {
                permission: required.permission,
            });
            !admits(required)
        })?;
        Some(self.action_name(denied.permission))
    }

    /// Steps 5 to 8.
    #[inline(always)]
    fn admit(
        &self,
        permission: u32,
        row: &PermissionRow,
        resource: &Resource<'_>,
        links: Links,
    ) -> Reason<'s> {
        let roles = &self.roles;
        let about = About::Resource(resource);
        let plain = roles.plain(permission);
        let denied = roles.deny(plain, permission, about);
        self.roles.watch.note(Note::Denied { permission, denied });
        if denied {
            return Reason::DeniedByRole;
        }
        if self.walled_off(resource) {
            return Reason::OutsideProjects;
        }
        let granted = roles.grant(plain, permission, about);
        let reached = self.reached(granted, resource);
        self.roles.watch.note(Note::Granted {
            permission,
            granted,
            reached,
            resource: Some(resource),
        });
        if reached.is_some() {
            return Reason::Granted;
        }
        let linked = match links {
            Links::Follow if !self.names.list(row.via).is_empty() => self.link(row, resource),
            Links::Follow | Links::Ignore => None,
        };
        linked.unwrap_or(if granted.is_empty() {
            Reason::NoGrant
        } else {
            Reason::OutOfScope
        })
    }

    /// Step 6.
    #[inline(always)]
    fn walled_off(&self, resource: &Resource<'_>) -> bool {
        let meta = self.names.meta();
        if meta.enhanced == 0 || resource.kind.walled == 0 {
            return false;
        }
        let user = self.roles.user;
        let inside = user.outline().meets(resource.classes()) && self.shares_project(resource);
        let lifted = !inside && self.roles.lift_wall();
        self.roles.watch.note(Note::Wall {
            inside,
            lifted,
            resource,
        });
        !inside && !lifted
    }

    /// Whether the user is in one of the resource's projects.
    #[inline(never)]
    fn shares_project(&self, resource: &Resource<'_>) -> bool {
        let own = self.names.list(self.roles.user.projects);
        match resource.projects() {
            Many::Listed(projects) => intersect(projects, own),
            projects => resource.any(projects, |project| own.binary_search(&project).is_ok()),
        }
    }

    /// Step 7: the first scope granted that reaches the resource.
    fn reached(&self, granted: ScopeSet, resource: &Resource<'_>) -> Option<Scope> {
        if granted.is_empty() {
            None
        } else if granted.contains(Scope::Any) {
            Some(Scope::Any)
        } else {
            self.reached_narrowly(granted, resource)
        }
    }

    #[inline(never)]
    fn reached_narrowly(&self, granted: ScopeSet, resource: &Resource<'_>) -> Option<Scope> {
        granted.iter().find(|&scope| self.reaches(scope, resource))
    }

    fn reaches(&self, scope: Scope, resource: &Resource<'_>) -> bool {
        let user = self.roles.user;
        let owns = || resource.owner() == Some(self.user_id);
        let departments = self.names.list(user.reach_departments);
        let mine = |department: u32| departments.binary_search(&department).is_ok();
        match scope {
            Scope::Any => true,
            Scope::Own => owns(),
            Scope::Assigned => resource.operated_by(self.user_id, user),
            Scope::Group => {
                let groups = self.names.list(user.reach_groups);
                resource
                    .group()
                    .is_some_and(|group| groups.binary_search(&group).is_ok())
                    || owns()
            }
            Scope::Department => resource.any(resource.departments(), mine) || owns(),
            Scope::Branch => {
                resource.any(resource.departments(), |department| {
                    upwards(self.names, department).any(mine)
                }) || owns()
            }
        }
    }

    /// Step 8: the linked permission that stands in.
    #[inline(never)]
    fn link(&self, row: &PermissionRow, resource: &Resource<'_>) -> Option<Reason<'s>> {
        for &permission in self.names.list(row.via) {
            let linked = self.names.permission(permission)?;
            let name = self.names.kind(linked.kind)?.name;
            let kind = self.names.text(name);
            self.roles.watch.note(Note::Link { permission });
            let allows = |link: View<'_>| self.linked(permission, linked, link);
            let allowed = match resource.property(name) {
                None => false,
                Some(View::List(links)) => links.any(allows),
                Some(link) => allows(link),
            };
            if allowed {
                return Some(Reason::Via {
                    kind,
                    action: self.action_name(permission),
                });
            }
        }
        None
    }

    /// Whether the linked permission passes steps 4 to 7 and 9 for what a link names: an id, or an
    /// object with `id` and perhaps `properties`.
    fn linked(&self, permission: u32, row: &PermissionRow, link: View<'_>) -> bool {
        let (id, told) = match link {
            View::Text(id) => (id, Members::Nothing),
            View::Object(members) => match (members.get("id"), members.get("properties")) {
                (Some(View::Text(id)), Some(View::Object(properties))) => (id, properties),
                (Some(View::Text(id)), None) => (id, Members::Nothing),
                _ => return false,
            },
            View::Bool(_) | View::Number(_) | View::List(_) => return false,
        };
        let found = Resource::find(self.names, row.kind, id, told, row.new != 0);
        let resource = found.as_ref();
        self.roles.watch.note(Note::Linked { id, resource });
        let allows = resource.is_some_and(|resource| {
            self.permit(permission, row, resource, Links::Ignore)
                .allows()
        });
        self.roles.watch.note(Note::LinkDone { allows });
        allows
    }

    /// May the section be entered at all?
    #[inline(never)]
    fn section(&self, permission: u32, row: &PermissionRow) -> Reason<'s> {
        let allowed = self.section_alone(permission);
        if !allowed.allows() {
            return allowed;
        }
        let admits = |required: &RequireRow| {
            let mut closure = self.names.list(required.closure).iter();
            closure.all(|&permission| self.section_alone(permission).allows())
        };
        self.required(row, admits)
            .map_or(allowed, |action| Reason::Requires { action })
    }

    fn section_alone(&self, permission: u32) -> Reason<'s> {
        let plain = self.roles.plain(permission);
        let denied = self.roles.deny(plain, permission, About::Section);
        self.roles.watch.note(Note::Denied { permission, denied });
        if denied {
            return Reason::DeniedByRole;
        }
        let granted = self.roles.grant(plain, permission, About::Section);
        self.roles.watch.note(Note::Granted {
            permission,
            granted,
            reached: None,
            resource: None,
        });
        if granted.is_empty() {
            Reason::NoGrant
        } else {
            Reason::Section
        }
    }

    fn action_name(&self, permission: u32) -> &'s str {
        self.names
            .permission(permission)
            .map_or("", |row| self.names.text(row.name))
    }
}
