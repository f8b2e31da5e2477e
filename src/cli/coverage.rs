//! Which grants no policy test touches.
//!
//! A test **touches** a line of grants when all of these hold:
//!
//! - it expects `allow`, or a denial that comes after the grants were looked at (`out_of_scope`,
//!   `requires:…`, `beyond_own_roles`);
//! - its user has the line's role: own, or by group, department, team, an implicit role or the role
//!   tested, or by what one of these extends. Limits in time, to projects and to shifts are not
//!   looked at;
//! - the line is the one that decides, inside its role, for a permission that the test is about:
//!   the one asked, what it requires, what it is linked to, what that requires, and whatever lifts
//!   the project wall or allows the testing of roles, where the test comes by it.
//!
//! So a line that is listed was certainly never the one that granted in a test, and one that is
//! not listed was asked about, not proven: another role of the user may have granted as well.
//! `none` is no grant.

use std::collections::BTreeSet;

use crate::model::{ActionId, Decision, RoleId, TypeId, UserId};
use crate::policy::{Action, Assignment, GrantLine, Policy, ResourceType, Role, Test};
use crate::source::{self, FilePlace};

/// A grant that no test touches.
pub(crate) struct Untouched {
    /// The role and what the line speaks of.
    pub(crate) what: String,
    /// Where it stands.
    pub(crate) place: FilePlace,
}

type Permission = (TypeId, ActionId);
/// A role and the position of a line among its grants.
type Line = (RoleId, usize);

/// The lines of grants that no test of the policy touches: of template roles, or of the company's own.
pub(crate) fn untouched(policy: &Policy, templates: bool) -> Vec<Untouched> {
    let mut touched = BTreeSet::new();
    for test in &policy.tests {
        touch(policy, test, &mut touched);
    }
    let mut untouched = Vec::new();
    for (role, id) in policy.roles.iter().zip(0..) {
        if role.template != templates {
            continue;
        }
        for (at, line) in role.grants.iter().enumerate() {
            if !line.grants.is_empty() && !touched.contains(&(RoleId(id), at)) {
                untouched.push(Untouched {
                    what: format!(
                        "`{}` of role `{}`",
                        policy.pattern_text(&line.pattern),
                        role.name
                    ),
                    place: source::file_place(policy, line.place),
                });
            }
        }
    }
    untouched.sort_by(|a, b| a.place.cmp(&b.place));
    untouched
}

fn touch(policy: &Policy, test: &Test, touched: &mut BTreeSet<Line>) {
    let Some(user) = user(policy, &test.subject) else {
        return;
    };
    let mut roles = roles_of(policy, user);
    let tested = test.test_role.as_deref();
    roles.extend(tested.and_then(|name| role_named(policy, name)));
    for permission in permissions_of(policy, test) {
        for &role in &roles {
            touch_role(policy, role, permission, touched);
        }
    }
}

/// Marks the line that decides for the permission in the role, and in those that it extends unless
/// that line is `none`. Chains are at most 32 long and without cycles: the reader saw to it.
fn touch_role(policy: &Policy, role: RoleId, permission: Permission, touched: &mut BTreeSet<Line>) {
    let Some(written) = policy.roles.get(role.index()) else {
        return;
    };
    if let Some((at, line)) = deciding(policy, written, permission) {
        if line.grants.is_empty() {
            return;
        }
        touched.insert((role, at));
    }
    for &extended in &written.extends {
        touch_role(policy, extended, permission, touched);
    }
}

/// The line of a role that decides for a permission: the most specific.
fn deciding<'p>(
    policy: &'p Policy,
    role: &'p Role,
    permission: Permission,
) -> Option<(usize, &'p GrantLine)> {
    let name = action_of(policy, permission).map_or("", |action| action.name.as_str());
    let line = role.deciding_line(permission, name)?;
    let at = role
        .grants
        .iter()
        .position(|other| std::ptr::eq(other, line))?;
    Some((at, line))
}

/// The permissions that a test is about, once it comes to the grants.
fn permissions_of(policy: &Policy, test: &Test) -> BTreeSet<Permission> {
    let mut about = BTreeSet::new();
    let reason = test.reason.as_deref().unwrap_or_default();
    let after_grants =
        reason == "out_of_scope" || reason == "beyond_own_roles" || reason.starts_with("requires:");
    if test.expect == Decision::Deny && !after_grants {
        return about;
    }
    let Some((kind, resource)) = type_named(policy, &test.resource_type) else {
        return about;
    };
    let Some(action) = resource
        .actions
        .iter()
        .position(|action| action.name == test.action)
    else {
        return about;
    };
    let asked = (kind, ActionId(u32::try_from(action).unwrap_or(u32::MAX)));
    gather(policy, asked, &mut about);
    let linked = action_of(policy, asked).map_or(&[][..], |action| &action.via);
    for &permission in linked {
        gather(policy, permission, &mut about);
    }
    let wall = policy.enhanced && !test.section;
    let mut marked = |mark: fn(&Action) -> bool| {
        for (resource, kind) in policy.catalogue.types.iter().zip(0..) {
            let actions = resource.actions.iter().zip(0..);
            let found = actions.filter(|(action, _)| mark(action));
            about.extend(found.map(|(_, action)| (TypeId(kind), ActionId(action))));
        }
    };
    if wall && resource.walled {
        marked(|action| action.lifts_wall);
    }
    if test.test_role.is_some() {
        marked(|action| action.tests_roles);
    }
    about
}

/// A permission and all that it requires.
fn gather(policy: &Policy, permission: Permission, about: &mut BTreeSet<Permission>) {
    if !about.insert(permission) {
        return;
    }
    let required = action_of(policy, permission).map_or(&[][..], |action| &action.requires);
    for &action in required {
        gather(policy, (permission.0, action), about);
    }
}

/// All roles that a user may ever have in force, but those that only a role test brings.
fn roles_of(policy: &Policy, id: UserId) -> BTreeSet<RoleId> {
    let implicit = policy.roles.iter().zip(0..);
    let implicit = implicit.filter(|(role, _)| role.implicit);
    let mut roles: BTreeSet<RoleId> = implicit.map(|(_, role)| RoleId(role)).collect();
    let mut assign = |assigned: &[Assignment]| {
        roles.extend(assigned.iter().map(|assignment| assignment.role));
    };
    let Some(user) = policy.users.get(id.index()) else {
        return roles;
    };
    assign(&user.roles);
    if let Some(group) = user
        .group
        .and_then(|group| policy.groups.get(group.index()))
    {
        assign(&group.roles);
    }
    for team in policy.teams.iter().filter(|team| team.users.contains(&id)) {
        assign(&team.roles);
    }
    for &department in &user.departments {
        let mut above = Some(department);
        while let Some(department) = above.and_then(|id| policy.departments.get(id.index())) {
            assign(&department.roles);
            above = department.parent;
        }
    }
    roles
}

fn user(policy: &Policy, name: &str) -> Option<UserId> {
    let named = |user: &crate::policy::User| {
        user.id == name || user.aliases.iter().any(|alias| alias == name)
    };
    let at = policy.users.iter().position(named)?;
    u32::try_from(at).ok().map(UserId)
}

fn role_named(policy: &Policy, name: &str) -> Option<RoleId> {
    let at = policy.roles.iter().position(|role| role.name == name)?;
    u32::try_from(at).ok().map(RoleId)
}

fn type_named<'p>(policy: &'p Policy, name: &str) -> Option<(TypeId, &'p ResourceType)> {
    let mut types = policy.catalogue.types.iter().zip(0..);
    let (found, id) = types.find(|(resource, _)| resource.name == name)?;
    Some((TypeId(id), found))
}

fn action_of(policy: &Policy, (kind, action): Permission) -> Option<&Action> {
    let resource = policy.catalogue.types.get(kind.index())?;
    resource.actions.get(action.index())
}
