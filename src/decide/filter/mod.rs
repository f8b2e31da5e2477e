//! Which rows may be listed: the rule, decided as far as it can be without a row.
//!
//! A row is a resource that is not registered, with at most one owner, group, department, project and
//! parent of each type. It passes a filter exactly when its check allows, but for links, which are
//! not followed. Here stands the order of the steps alone, as in [`check`](super::check()); roles and
//! tests that look at no row are decided by the rule's own pieces, and the rest are formulas.

mod atom;
mod formula;
mod join;
mod objects;
mod partial;
mod place;
mod row;
mod set;
pub mod sql;
mod tree;

use std::cell::OnceCell;

use formula::{Formula, all, any};
use objects::Exceptions;
use partial::Partial;
use row::Row;
pub use tree::{Condition, Constant, Field, Leaf, Number, Operand, Term, Test};

use super::check::{decide, is_user, permission};
use super::roles::Roles;
use super::watch::Silent;
use crate::model::{Query, Scope, ScopeSet};
use crate::snapshot::tables::{
    CELL_CONDITIONAL, CELL_DENY, LimitedRow, NONE, PermissionRow, REGISTRY_OPEN, TypeRow, UserRow,
    some,
};
use crate::snapshot::{Kind, Snapshot};

/// The most values in a tree.
pub const VALUES_MAX: usize = 10_000;

/// The most registered objects that are told by id.
pub const OBJECTS_MAX: usize = 1_000;

/// Which rows may be listed, and which registered objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Which rows.
    pub rows: Rows<'a>,
    /// Which registered objects are decided otherwise.
    pub objects: Objects<'a>,
    /// Whether links might allow more: the tree does not follow them.
    pub links: bool,
}

/// Registered objects that are decided otherwise than the rows that they make, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects<'a> {
    /// They may be listed.
    pub allow: Vec<&'a str>,
    /// They may not.
    pub deny: Vec<&'a str>,
}

/// Which rows may be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows<'a> {
    /// All of them.
    Always,
    /// None.
    Never,
    /// Those that fulfil the condition.
    When(Condition<'a>),
}

/// Why there is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It would hold too many values, or too many objects.
    #[error(
        "the filter would hold more than {VALUES_MAX} values, or tell more than {OBJECTS_MAX} \
         objects by id: search answers which objects may be listed"
    )]
    TooLarge,
    /// A condition that decides looks for an address in a network that the row names.
    #[error(
        "a condition looks for an address in networks that each row names: no filter says that"
    )]
    Unsayable,
}

/// Which rows may be listed, as far as the subject, the action, the type and the context decide. The
/// resource's id and properties in the query are not looked at.
///
/// # Errors
/// The answer is too large, or cannot be said.
pub fn filter<'a>(snapshot: &'a Snapshot, query: &'a Query<'a>) -> Result<Filter<'a>, FilterError> {
    let nothing = Filter {
        rows: Rows::Never,
        objects: Objects::default(),
        links: false,
    };
    let user = is_user(snapshot, query).then(|| snapshot.find(Kind::USER, query.subject.id));
    let found = permission(snapshot, query).ok();
    let (Some(user_id), Some(permission)) = (user.flatten(), found) else {
        return Ok(nothing);
    };
    let (Some(user), Some(row)) = (snapshot.user(user_id), snapshot.permission(permission)) else {
        return Ok(nothing);
    };
    let Some(kind) = snapshot.kind(row.kind).filter(|_| user.is_active()) else {
        return Ok(nothing);
    };
    if query.section {
        let allows = decide(snapshot, query, Silent).allows();
        let rows = if allows { Rows::Always } else { Rows::Never };
        return Ok(Filter { rows, ..nothing });
    }
    let rows = if row.new == 0 && kind.registry != REGISTRY_OPEN {
        // What is not registered is not there.
        Rows::Never
    } else {
        rows(snapshot, query, (user_id, user), permission, kind)?
    };
    let exceptions = Exceptions {
        snapshot,
        query,
        user_id,
        permission,
        row,
        kind,
    };
    Ok(Filter {
        objects: exceptions.find(&rows)?,
        rows,
        links: links(snapshot, permission, row),
    })
}

/// The rows of a type that rows may be of.
fn rows<'a>(
    snapshot: &'a Snapshot,
    query: &'a Query<'a>,
    (user_id, user): (u32, &'a UserRow),
    permission: u32,
    kind: &'a TypeRow,
) -> Result<Rows<'a>, FilterError> {
    let row = Row {
        snapshot,
        kind,
        too_large: false.into(),
        unsayable: false.into(),
    };
    let asked = Asked {
        roles: Roles::own(snapshot, query, user, Silent),
        user_id,
        partial: Partial::new(&row, query, user),
        reach: &Default::default(),
        wall: &OnceCell::new(),
    };
    let formula = match query.test_role {
        None => asked.permit(permission),
        Some(role) => asked.test_role(role, permission),
    };
    if row.too_large.get() || formula.size() > VALUES_MAX {
        return Err(FilterError::TooLarge);
    }
    if row.unsayable.get() {
        return Err(FilterError::Unsayable);
    }
    Ok(match formula {
        Formula::Always => Rows::Always,
        formula => formula.into_tree().map_or(Rows::Never, Rows::When),
    })
}

/// Whether a link could stand in for a scope of the permission, or of one that it requires.
fn links(snapshot: &Snapshot, permission: u32, row: &PermissionRow) -> bool {
    let mut closure = closure(snapshot, permission, row);
    closure.any(|id| {
        let row = snapshot.permission(id);
        row.is_some_and(|row| !snapshot.list(row.via).is_empty())
    })
}

/// The permission and all that it requires.
fn closure<'a>(
    snapshot: &'a Snapshot,
    permission: u32,
    row: &'a PermissionRow,
) -> impl Iterator<Item = u32> + use<'a> {
    let required = row.requires.of(&snapshot.tables.requires).iter();
    let required = required.flat_map(|required| snapshot.list(required.closure).iter().copied());
    [permission].into_iter().chain(required)
}

/// A question whose subject and permission are known, asked of some roles.
#[derive(Clone, Copy)]
struct Asked<'r, 'a> {
    roles: Roles<'a, Silent>,
    user_id: u32,
    partial: Partial<'r, 'a>,
    /// What each scope reaches, once it was asked.
    reach: &'r [OnceCell<Formula<'a>>; Scope::ALL.len()],
    wall: &'r OnceCell<Formula<'a>>,
}

// === impl Asked ===

impl<'a> Asked<'_, 'a> {
    /// Step 10.
    fn test_role(&self, role: &str, permission: u32) -> Formula<'a> {
        let snapshot = self.roles.snapshot;
        let may_test = some(snapshot.meta().tests_roles);
        if !may_test.is_some_and(|may_test| self.roles.everywhere(may_test)) {
            return Formula::Never;
        }
        let Some(role) = snapshot.find(Kind::ROLE, role) else {
            return Formula::Never;
        };
        // Who may look over the wall differs with the roles.
        let wall = OnceCell::new();
        let tested = Asked {
            roles: self.roles.with_tested(role),
            wall: &wall,
            ..*self
        };
        all([tested.permit(permission), self.permit(permission)])
    }

    /// Steps 5 to 7 and 9: an action is allowed exactly if it and all that it requires in turn pass
    /// steps 5 to 7.
    fn permit(&self, permission: u32) -> Formula<'a> {
        let snapshot = self.roles.snapshot;
        let Some(row) = snapshot.permission(permission) else {
            return Formula::Never;
        };
        all(closure(snapshot, permission, row).map(|permission| self.admit(permission)))
    }

    fn admit(&self, permission: u32) -> Formula<'a> {
        let wall = self.wall.get_or_init(|| self.inside_wall()).clone();
        all([self.not_denied(permission), wall, self.granted(permission)])
    }

    /// Step 5: every deny's condition is false, or its role is not in force.
    fn not_denied(&self, permission: u32) -> Formula<'a> {
        let mut parts = Vec::new();
        self.roles.lines(permission, |cell, role, limited| {
            let Some(projects) = self.limits(limited) else {
                return false;
            };
            let mut denies = Vec::new();
            if cell & CELL_DENY != 0 {
                denies.push(Formula::Never);
            }
            for (scopes, condition) in self.conditional(cell, role, permission) {
                if scopes.is_empty() {
                    denies.push(self.partial.condition(condition, false));
                }
            }
            if !denies.is_empty() {
                let elsewhere = projects.map(|projects| self.in_projects(projects, false));
                parts.push(any(elsewhere.into_iter().chain([all(denies)])));
            }
            false
        });
        all(parts)
    }

    /// Step 6.
    fn inside_wall(&self) -> Formula<'a> {
        let Roles { snapshot, user, .. } = self.roles;
        let meta = snapshot.meta();
        if meta.enhanced == 0 || self.partial.row.kind.walled == 0 {
            return Formula::Always;
        }
        if some(meta.lifts_wall).is_some_and(|lifts| self.roles.everywhere(lifts)) {
            return Formula::Always;
        }
        self.in_projects(user.projects, true)
    }

    /// Step 7: a scope that a role in force grants, where its condition is true, reaches the row.
    fn granted(&self, permission: u32) -> Formula<'a> {
        let mut parts = Vec::new();
        self.roles.lines(permission, |cell, role, limited| {
            let Some(projects) = self.limits(limited) else {
                return false;
            };
            let mut grants = vec![self.reached(ScopeSet::from_bits(cell))];
            for (scopes, condition) in self.conditional(cell, role, permission) {
                if !scopes.is_empty() {
                    let holds = self.partial.condition(condition, true);
                    grants.push(all([holds, self.reached(scopes)]));
                }
            }
            let inside = projects.map(|projects| self.in_projects(projects, true));
            parts.push(all(inside.into_iter().chain([any(grants)])));
            false
        });
        any(parts)
    }

    /// `None` where the role is not in force now; else the projects that it is limited to.
    fn limits(&self, limited: Option<&LimitedRow>) -> Option<Option<u32>> {
        match limited {
            None => Some(None),
            Some(limited) => (self.roles.in_time(limited) && self.roles.on_shift(limited))
                .then_some(some(limited.projects)),
        }
    }

    fn conditional(
        &self,
        cell: u8,
        role: u32,
        permission: u32,
    ) -> impl Iterator<Item = (ScopeSet, u32)> + use<'a> {
        let role = (cell & CELL_CONDITIONAL != 0).then_some(role);
        self.roles.conditional(role.unwrap_or(NONE), permission)
    }

    fn in_projects(&self, projects: u32, wanted: bool) -> Formula<'a> {
        let projects = self.roles.snapshot.list(projects);
        self.partial.row.in_projects(projects, wanted)
    }

    fn reached(&self, scopes: ScopeSet) -> Formula<'a> {
        any(scopes.iter().filter_map(|scope| {
            let reach = self.reach.get(scope as usize)?;
            let reaches = || {
                self.partial
                    .row
                    .reaches(scope, self.roles.user, self.user_id)
            };
            Some(reach.get_or_init(reaches).clone())
        }))
    }
}
