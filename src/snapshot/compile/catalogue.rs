//! Types and permissions.

use super::super::names::Kind;
use super::super::tables::{
    PermissionRow, REGISTRY_OBJECTS, REGISTRY_OPEN, REGISTRY_PROJECTS, REGISTRY_ROLES,
    REGISTRY_USERS, RequireRow, Span, TypeRow,
};
use super::Builder;
use crate::model::{ActionId, TypeId};
use crate::policy::{Catalogue, Policy, Registry};

/// The permissions, numbered through all types.
pub(super) struct Permissions {
    /// For each type the number of its first action; one more at the end.
    starts: Vec<u32>,
    pub(super) lifts_wall: Option<u32>,
    pub(super) tests_roles: Option<u32>,
}

// === impl Permissions ===

impl Permissions {
    fn new(catalogue: &Catalogue) -> Self {
        let mut starts = vec![0];
        let (mut lifts_wall, mut tests_roles) = (None, None);
        let mut next = 0;
        for kind in &catalogue.types {
            for action in &kind.actions {
                lifts_wall = lifts_wall.or(action.lifts_wall.then_some(next));
                tests_roles = tests_roles.or(action.tests_roles.then_some(next));
                next += 1;
            }
            starts.push(next);
        }
        Self {
            starts,
            lifts_wall,
            tests_roles,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.starts.last().map_or(0, |&end| end as usize)
    }

    pub(super) fn of(&self, kind: TypeId, action: ActionId) -> u32 {
        self.starts[kind.index()] + action.0
    }
}

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn catalogue(&mut self) -> Permissions {
        let catalogue = &self.policy.catalogue;
        let permissions = Permissions::new(catalogue);
        let mut types = Vec::with_capacity(catalogue.types.len());
        let mut rows = Vec::with_capacity(permissions.count());
        let mut requires = Vec::new();
        for (kind, id) in catalogue.types.iter().zip(0..) {
            let parents: Vec<u32> = kind.parents.iter().map(|parent| parent.0).collect();
            types.push(TypeRow {
                name: self.name(Kind::TYPE, &kind.name, id),
                registry: registry(kind.registry),
                walled: u32::from(kind.walled),
                owner_name: self.intern(&kind.fact_names.owner),
                group_name: self.intern(&kind.fact_names.group),
                department_names: self.text_list(&kind.fact_names.departments),
                project_names: self.text_list(&kind.fact_names.projects),
                parents: self.lists.intern(&parents),
                objects: u32::from(has_objects(self.policy, TypeId(id))),
            });
            for (action, action_id) in kind.actions.iter().zip(0..) {
                let permission = permissions.of(TypeId(id), ActionId(action_id));
                let via: Vec<u32> = action
                    .via
                    .iter()
                    .map(|&(kind, action)| permissions.of(kind, action))
                    .collect();
                let start = requires.len() as u32;
                for &required in &action.requires {
                    let mut closure = Vec::new();
                    self.closure(TypeId(id), required, &permissions, &mut closure);
                    requires.push(RequireRow {
                        permission: permissions.of(TypeId(id), required),
                        closure: self.lists.intern(&closure),
                    });
                }
                rows.push(PermissionRow {
                    kind: id,
                    name: self.name(Kind::action_of(id), &action.name, permission),
                    new: u32::from(action.new),
                    requires: Span {
                        start,
                        length: requires.len() as u32 - start,
                    },
                    via: self.lists.intern(&via),
                });
            }
        }
        self.tables.types = types.into();
        self.tables.permissions = rows.into();
        self.tables.requires = requires.into();
        permissions
    }

    /// An action and all that it requires in turn, each once: what is required through two ways is
    /// asked once, however the ways cross.
    fn closure(
        &self,
        kind: TypeId,
        action: ActionId,
        permissions: &Permissions,
        into: &mut Vec<u32>,
    ) {
        let permission = permissions.of(kind, action);
        if into.contains(&permission) {
            return;
        }
        into.push(permission);
        for &required in &self.policy.catalogue.types[kind.index()].actions[action.index()].requires
        {
            self.closure(kind, required, permissions, into);
        }
    }
}

/// Whether some object of the type is registered. Objects lie sorted by type.
fn has_objects(policy: &Policy, kind: TypeId) -> bool {
    policy
        .objects
        .binary_search_by_key(&kind, |object| object.kind)
        .is_ok()
}

const fn registry(registry: Registry) -> u32 {
    match registry {
        Registry::Open => REGISTRY_OPEN,
        Registry::Objects => REGISTRY_OBJECTS,
        Registry::Users => REGISTRY_USERS,
        Registry::Projects => REGISTRY_PROJECTS,
        Registry::Roles => REGISTRY_ROLES,
    }
}
