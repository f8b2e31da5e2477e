//! Which users may do this here, which registered objects may this user do it on, which actions
//! may this user do here: exactly those for which a check allows.
//!
//! Candidates come in the order of their ids. The tables rule most of them out: users whose roles
//! have nothing for the permission, and users whom no scope that they could have been granted
//! reaches. What is left is decided by the rule.

use super::check::{decide, decide_for, is_user, permission, resource_asked};
use super::resource::{Resource, What, intersect};
use super::value::Members;
use super::watch::Silent;
use crate::model::{Action, Query, Scope, ScopeSet};
use crate::snapshot::tables::{
    CELL_CONDITIONAL, MembersRow, REGISTRY_OBJECTS, REGISTRY_OPEN, REGISTRY_PROJECTS,
    REGISTRY_ROLES, REGISTRY_USERS, UserRow, some,
};
use crate::snapshot::{Kind, Snapshot};

/// A stretch of a search's results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page<'s> {
    /// Ids, or names of actions, in a stable order.
    pub results: Vec<&'s str>,
    /// Whether there are more behind the last.
    pub more: bool,
}

/// Which part of the results is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Only what comes after this id, whether or not there still is one of this id.
    pub after: Option<&'a str>,
    /// At most so many.
    pub limit: usize,
}

/// The users for whom the query, with each as its subject, is allowed. The subject's id in the
/// query is not looked at.
#[must_use]
pub fn subjects<'s>(snapshot: &'s Snapshot, query: &Query<'_>, window: Window<'_>) -> Page<'s> {
    let Ok(permission) = permission(snapshot, query) else {
        return Page::default();
    };
    if !is_user(snapshot, query) {
        return Page::default();
    }
    let resource = resource_asked(snapshot, query, permission);
    let resource = resource.as_ref();
    let narrow = Narrow::new(snapshot, query, permission, resource);
    let users = &snapshot.tables.users;
    let start = start(users, window.after, |user| snapshot.text(user.id));
    let candidates = users.iter().zip(0_u32..).skip(start);
    let allowed = candidates.filter(|(user, id)| {
        let possible =
            user.is_active() && narrow.as_ref().is_none_or(|narrow| narrow.may(*id, user));
        possible && decide_for(snapshot, query, *id, Ok(permission), resource, Silent).allows()
    });
    page(
        allowed.map(|(user, _)| snapshot.text(user.id)),
        window.limit,
    )
}

/// The registered resources of the query's type for which the query, with each as its resource, is
/// allowed. The resource's id in the query is not looked at.
#[must_use]
pub fn resources<'s>(snapshot: &'s Snapshot, query: &Query<'_>, window: Window<'_>) -> Page<'s> {
    let permission = permission(snapshot, query);
    let found = (permission.as_ref().ok())
        .and_then(|&permission| snapshot.permission(permission))
        .and_then(|row| Some((row, snapshot.kind(row.kind)?)));
    let user = is_user(snapshot, query).then(|| snapshot.find(Kind::USER, query.subject.id));
    let (Some((row, kind)), Some(user)) = (found, user.flatten()) else {
        return Page::default();
    };
    // What an action about a new resource is about is told by the request, whatever is registered.
    let new = row.new != 0;
    let told = Members::Sent(query.resource.properties);
    let tables = &snapshot.tables;
    let decide = |id: &'s str, what: What<'_>| {
        let what = if new { What::Open } else { what };
        let resource = Resource::registered(snapshot, row.kind, kind, id, what, told);
        let resource = (!query.section).then_some(&resource);
        let mut query = *query;
        query.resource.id = id;
        decide_for(snapshot, &query, user, permission, resource, Silent).allows()
    };
    let name = |id: u32| snapshot.text(id);
    match kind.registry {
        REGISTRY_OBJECTS | REGISTRY_OPEN => {
            let objects = snapshot.objects_of(row.kind);
            let start = start(objects, window.after, |object| name(object.id));
            let allowed = objects
                .iter()
                .skip(start)
                .filter(|object| decide(name(object.id), What::Object(object)));
            page(allowed.map(|object| name(object.id)), window.limit)
        }
        REGISTRY_USERS => {
            let start = start(&tables.users, window.after, |user| name(user.id));
            let users = tables.users.iter().zip(0..).skip(start);
            let allowed = users.filter(|(user, id)| decide(name(user.id), What::User(*id, user)));
            page(allowed.map(|(user, _)| name(user.id)), window.limit)
        }
        REGISTRY_PROJECTS => {
            // `default` comes first in the table, whatever its place among the names.
            let mut projects: Vec<(&str, u32)> = tables
                .projects
                .iter()
                .map(|row| name(row.name))
                .zip(0..)
                .collect();
            projects.sort_unstable();
            let start = start(&projects, window.after, |(name, _)| name);
            let allowed = projects
                .iter()
                .skip(start)
                .filter(|(name, id)| decide(name, What::Project(*id)));
            page(allowed.map(|(name, _)| *name), window.limit)
        }
        REGISTRY_ROLES => {
            let start = start(&tables.roles, window.after, |role| name(role.name));
            let roles = tables.roles.iter().zip(0..).skip(start);
            let allowed = roles.filter(|(role, id)| decide(name(role.name), What::Role(*id)));
            page(allowed.map(|(role, _)| name(role.name)), window.limit)
        }
        _ => Page::default(),
    }
}

/// The actions of the resource's type for which the query, with each as its action, is allowed.
#[must_use]
pub fn actions<'s>(snapshot: &'s Snapshot, query: &Query<'_>, window: Window<'_>) -> Page<'s> {
    let Some(kind) = snapshot.find(Kind::TYPE, query.resource.kind) else {
        return Page::default();
    };
    let permissions = &snapshot.tables.permissions;
    let first = permissions.partition_point(|permission| permission.kind < kind);
    let end = permissions.partition_point(|permission| permission.kind <= kind);
    let actions = permissions.get(first..end).unwrap_or(&[]);
    let start = start(actions, window.after, |action| snapshot.text(action.name));
    let allowed = actions
        .iter()
        .map(|action| snapshot.text(action.name))
        .skip(start)
        .filter(|name| {
            let action = Action {
                name,
                ..query.action
            };
            decide(snapshot, &Query { action, ..*query }, Silent).allows()
        });
    page(allowed, window.limit)
}

/// Where the rows after `after` begin; the rows lie sorted by name.
fn start<'n, T>(rows: &[T], after: Option<&str>, name: impl Fn(&T) -> &'n str) -> usize {
    after.map_or(0, |after| rows.partition_point(|row| name(row) <= after))
}

fn page<'s>(mut results: impl Iterator<Item = &'s str>, limit: usize) -> Page<'s> {
    let page: Vec<&str> = results.by_ref().take(limit).collect();
    let more = page.len() == limit && results.next().is_some();
    Page {
        results: page,
        more,
    }
}

/// What a user must have for a check of one permission of one resource to be worth making.
///
/// Whoever is ruled out would be denied; whoever is not is decided by the rule.
struct Narrow<'a> {
    snapshot: &'a Snapshot,
    /// The permission, and those that could stand in for it.
    permission: u32,
    linked: bool,
    /// The resource's facts, gathered once for all users. `None`: any scope may reach.
    reach: Option<Reach<'a>>,
}

/// The facts that scopes look at.
struct Reach<'a> {
    owner: Option<u32>,
    group: Option<u32>,
    /// Sorted.
    departments: Vec<u32>,
    /// Sorted: these and all above them.
    branches: Vec<u32>,
    operators: Vec<&'a MembersRow>,
}

// === impl Narrow ===

impl<'a> Narrow<'a> {
    /// `None` where nothing can be ruled out: for a tested role other roles count.
    fn new(
        snapshot: &'a Snapshot,
        query: &Query<'_>,
        permission: u32,
        resource: Option<&Resource<'a>>,
    ) -> Option<Self> {
        let row = snapshot.permission(permission)?;
        if query.test_role.is_some() {
            return None;
        }
        let linked = !snapshot.list(row.via).is_empty();
        Some(Self {
            snapshot,
            permission,
            linked,
            reach: resource.map(|resource| Reach::new(snapshot, resource)),
        })
    }

    /// Whether the user may pass.
    fn may(&self, id: u32, user: &UserRow) -> bool {
        if self.linked {
            return true;
        }
        let cell = self.snapshot.role_set_cell(user.role_set, self.permission);
        let mut scopes = ScopeSet::from_bits(cell);
        let mut conditional = cell & CELL_CONDITIONAL != 0;
        for &limited in self.snapshot.list(user.limited) {
            if let Some(row) = self.snapshot.tables.limited.get(limited as usize) {
                let cell = self.snapshot.role_cell(row.role, self.permission);
                scopes = scopes.union(ScopeSet::from_bits(cell));
                conditional |= cell & CELL_CONDITIONAL != 0;
            }
        }
        conditional
            || self.reach.as_ref().map_or(!scopes.is_empty(), |reach| {
                reach.any(self.snapshot, scopes, id, user)
            })
    }
}

// === impl Reach ===

impl<'a> Reach<'a> {
    fn new(snapshot: &'a Snapshot, resource: &Resource<'a>) -> Self {
        let mut departments = Vec::new();
        resource.any(resource.departments(), |department| {
            departments.push(department);
            false
        });
        let mut branches = departments.clone();
        let mut next = 0;
        while let Some(&department) = branches.get(next) {
            let above = snapshot
                .department(department)
                .and_then(|row| some(row.parent));
            branches.extend(above.filter(|above| !branches.contains(above)));
            next += 1;
        }
        departments.sort_unstable();
        branches.sort_unstable();
        Self {
            owner: resource.owner(),
            group: resource.group(),
            departments,
            branches,
            operators: resource.operators().collect(),
        }
    }

    /// Whether one of the scopes reaches the resource for this user.
    fn any(&self, snapshot: &Snapshot, scopes: ScopeSet, id: u32, user: &UserRow) -> bool {
        let own = self.owner == Some(id);
        scopes.iter().any(|scope| match scope {
            Scope::Any => true,
            Scope::Own => own,
            Scope::Assigned => {
                let mut operators = self.operators.iter();
                operators.any(|members| super::resource::is_member(snapshot, members, id, user))
            }
            Scope::Group => {
                let groups = snapshot.list(user.reach_groups);
                own || self
                    .group
                    .is_some_and(|group| groups.binary_search(&group).is_ok())
            }
            Scope::Department => {
                own || intersect(&self.departments, snapshot.list(user.reach_departments))
            }
            Scope::Branch => {
                own || intersect(&self.branches, snapshot.list(user.reach_departments))
            }
        })
    }
}
