//! What a service would write by hand: maps by name and a cell of scopes for each user and action.
//!
//! It knows owners, groups, and scopes from the user's own roles; no wall, no departments, no
//! conditions, links, denies, shifts or inherited roles. What callgate costs more than this is the
//! price of these.

use std::collections::HashMap;

use callgate::model::{ActionId, Query, RoleId, Scope, ScopeSet, TypeId};
use callgate::policy::Policy;
use foldhash::fast::FixedState;

type Map<K, V> = HashMap<K, V, FixedState>;

pub(crate) struct HandMade {
    users: Map<String, u32>,
    groups: Vec<Option<u32>>,
    permissions: Map<String, Map<String, usize>>,
    /// Scopes, by user and permission.
    cells: Vec<ScopeSet>,
    columns: usize,
    /// Owners of objects, by type and id.
    objects: Map<String, Map<String, Option<u32>>>,
}

impl HandMade {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut columns = Vec::new();
        let mut permissions = Map::<_, Map<_, _>>::default();
        let mut objects = Map::<_, Map<_, _>>::default();
        for (kind, id) in policy.catalogue.types.iter().zip(0..) {
            objects.entry(kind.name.clone()).or_default();
            for (action, action_id) in kind.actions.iter().zip(0..) {
                let of_kind = permissions.entry(kind.name.clone()).or_default();
                of_kind.insert(action.name.clone(), columns.len());
                columns.push((TypeId(id), ActionId(action_id)));
            }
        }
        for object in &policy.objects {
            let kind = &policy.catalogue.types[object.kind.index()].name;
            let of_kind = objects.entry(kind.clone()).or_default();
            of_kind.insert(object.id.clone(), object.owner.map(|owner| owner.0));
        }
        let scopes_of = |role| {
            let scopes = columns.iter().map(|&at| {
                let said = policy.says(RoleId(role), at);
                said.iter()
                    .fold(ScopeSet::EMPTY, |scopes, said| scopes.union(said.scopes))
            });
            scopes.collect::<Vec<_>>()
        };
        let roles: Vec<_> = (0..policy.roles.len() as u32).map(scopes_of).collect();
        let mut users = Map::default();
        let mut cells = Vec::with_capacity(policy.users.len() * columns.len());
        for (user, id) in policy.users.iter().zip(0..) {
            users.insert(user.id.clone(), id);
            users.extend(user.aliases.iter().map(|alias| (alias.clone(), id)));
            cells.extend((0..columns.len()).map(|column| {
                let held = user
                    .roles
                    .iter()
                    .map(|held| roles[held.role.index()][column]);
                held.fold(ScopeSet::EMPTY, ScopeSet::union)
            }));
        }
        Self {
            users,
            groups: (policy
                .users
                .iter()
                .map(|user| user.group.map(|group| group.0)))
            .collect(),
            permissions,
            cells,
            columns: columns.len(),
            objects,
        }
    }

    pub(crate) fn check(&self, query: &Query<'_>) -> bool {
        let resource = &query.resource;
        let owner = || resource.properties.get("owner")?.as_str();
        self.allows(
            query.subject.id,
            query.action.name,
            resource.kind,
            resource.id,
            owner,
        )
        .unwrap_or(false)
    }

    pub(crate) fn allows<'a>(
        &self,
        subject: &str,
        action: &str,
        kind: &str,
        id: &str,
        owner: impl FnOnce() -> Option<&'a str>,
    ) -> Option<bool> {
        let user = *self.users.get(subject)?;
        let column = *self.permissions.get(kind)?.get(action)?;
        let scopes = *self.cells.get(user as usize * self.columns + column)?;
        let object = self.objects.get(kind)?.get(id);
        if scopes.contains(Scope::Any) {
            return Some(true);
        }
        let owner = match object {
            Some(owner) => *owner,
            None => self.users.get(owner()?).copied(),
        }?;
        let group = |user: u32| self.groups.get(user as usize).copied().flatten();
        Some(
            scopes.contains(Scope::Own) && owner == user
                || scopes.contains(Scope::Group)
                    && group(user).is_some_and(|own| group(owner) == Some(own)),
        )
    }
}
