//! Which roles a user holds, and what a role grants and denies.

use crate::model::{ProjectId, RoleId, Timestamp, UserId};
use crate::policy::{Assignment, DenyLine, Grant, GrantLine, Pattern, Policy};

use super::steps::Permission;
use super::{facts, shift};

/// A role that a user holds now.
pub(super) struct Holding<'p> {
    pub(super) role: RoleId,
    /// `Some`: in force only for resources in one of these projects.
    pub(super) projects: Option<&'p [ProjectId]>,
}

/// Step 3: all that the user holds now. Which of those limited to projects are in force depends on
/// the resource, and is seen later.
pub(super) fn held(policy: &Policy, user: UserId, now: Timestamp) -> Vec<Holding<'_>> {
    let mut holdings: Vec<_> = assignments(policy, user)
        .into_iter()
        .filter(|assignment| assignment.from.is_none_or(|from| from <= now))
        .filter(|assignment| assignment.until.is_none_or(|until| now < until))
        .map(|assignment| Holding {
            role: assignment.role,
            projects: assignment.projects.as_deref(),
        })
        .chain(implicit(policy))
        .collect();
    holdings.retain(|holding| shift_allows(policy, user, now, holding.role));
    holdings
}

/// Step 10: the tested role, its shift binding ignored, and the implicit roles, each with its own.
///
/// Choice: an implicit role that is itself tested is in force, shift or no shift. The tested role
/// is not limited in time or to projects, however the user may hold it.
pub(super) fn tested(
    policy: &Policy,
    user: UserId,
    now: Timestamp,
    tested: RoleId,
) -> Vec<Holding<'_>> {
    let mut holdings: Vec<_> = implicit(policy)
        .filter(|holding| shift_allows(policy, user, now, holding.role))
        .collect();
    holdings.push(Holding {
        role: tested,
        projects: None,
    });
    holdings
}

/// The user's own assignments, those of its group, of its departments and all above them, of its teams.
fn assignments(policy: &Policy, user: UserId) -> Vec<&Assignment> {
    let own = &policy.users[user.index()];
    let mut all: Vec<&Assignment> = own.roles.iter().collect();
    if let Some(group) = own.group {
        all.extend(&policy.groups[group.index()].roles);
    }
    for department in facts::departments_around(policy, user) {
        all.extend(&policy.departments[department.index()].roles);
    }
    for team in policy
        .teams
        .iter()
        .filter(|team| team.users.contains(&user))
    {
        all.extend(&team.roles);
    }
    all
}

fn implicit(policy: &Policy) -> impl Iterator<Item = Holding<'_>> {
    (0..)
        .map(RoleId)
        .zip(&policy.roles)
        .filter(|(_, role)| role.implicit)
        .map(|(role, _)| Holding {
            role,
            projects: None,
        })
}

/// A role bound to shifts is in force while its holder is on shift, whoever the role was given to
/// and by which way; one that it extends binds nobody.
fn shift_allows(policy: &Policy, user: UserId, now: Timestamp, role: RoleId) -> bool {
    !policy.roles[role.index()].only_on_shift || shift::on_shift(policy, user, now)
}

/// What the role grants for the permission, that of the roles it extends included.
///
/// The most specific line of the role decides alone, of its scopes those that the action offers
/// count, and a line `none` keeps away what is extended too.
pub(super) fn grants(policy: &Policy, role: RoleId, asked: Permission) -> Vec<Grant> {
    let mut all = Vec::new();
    if let Some(line) = deciding_line(policy, role, asked) {
        if line.grants.is_empty() {
            return all;
        }
        let offered = asked.action(policy).scopes;
        for grant in &line.grants {
            let scopes = grant.scopes.intersection(offered);
            let when = grant.when.clone();
            all.push(Grant { scopes, when });
        }
    }
    for &extended in &policy.roles[role.index()].extends {
        all.extend(grants(policy, extended, asked));
    }
    all
}

/// `type.action`, then `type."*"`, then `"*".action`, then `"*"`.
fn deciding_line(policy: &Policy, role: RoleId, asked: Permission) -> Option<&GrantLine> {
    let name = &asked.action(policy).name;
    let from_most_specific = [
        Pattern::Permission(asked.kind, asked.action),
        Pattern::Type(asked.kind),
        Pattern::Action(name.clone()),
        Pattern::Everything,
    ];
    let lines = &policy.roles[role.index()].grants;
    from_most_specific
        .iter()
        .find_map(|pattern| lines.iter().find(|line| line.pattern == *pattern))
}

/// The role's denies of the permission, those of the roles it extends included.
pub(super) fn denies(policy: &Policy, role: RoleId, asked: Permission) -> Vec<&DenyLine> {
    let name = &asked.action(policy).name;
    let role = &policy.roles[role.index()];
    let mut all: Vec<&DenyLine> = role
        .denies
        .iter()
        .filter(|deny| match &deny.pattern {
            Pattern::Permission(kind, action) => *kind == asked.kind && *action == asked.action,
            Pattern::Type(kind) => *kind == asked.kind,
            Pattern::Action(action) => action == name,
            Pattern::Everything => true,
        })
        .collect();
    for &extended in &role.extends {
        all.extend(denies(policy, extended, asked));
    }
    all
}
