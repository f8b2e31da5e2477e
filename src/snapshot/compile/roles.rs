//! Roles → a cell for each role and permission.

use super::super::names::Kind;
use super::super::tables::{CELL_CONDITIONAL, CELL_DENY, ConditionalRow, RoleRow, Span};
use super::Builder;
use super::catalogue::Permissions;
use crate::model::{ActionId, ProjectId, RoleId, ScopeSet, TypeId};
use crate::policy::{GrantLine, Role};

/// What a role grants and denies, its `extends` followed: one entry a permission.
#[derive(Clone, Default)]
struct Effect {
    scopes: ScopeSet,
    conditional_grants: Vec<(ScopeSet, u32)>,
    denied: bool,
    conditional_denies: Vec<u32>,
}

/// What the tables of users need of the roles.
pub(super) struct Roles {
    /// Roles that everybody has.
    pub(super) implicit: Vec<RoleId>,
}

// === impl Builder ===

impl<'p> Builder<'p> {
    pub(super) fn roles(&mut self, permissions: &Permissions) -> Roles {
        let policy = self.policy;
        let mut effects: Vec<Option<Vec<Effect>>> = vec![None; policy.roles.len()];
        for role in 0..policy.roles.len() {
            self.effects(role, permissions, &mut effects);
        }
        let projects = self.role_projects();
        let mut cells = Vec::with_capacity(policy.roles.len() * permissions.count());
        let mut conditional = Vec::new();
        let mut rows = Vec::with_capacity(policy.roles.len());
        for (role, id) in policy.roles.iter().zip(0..) {
            let start = conditional.len() as u32;
            for (effect, permission) in effects[id as usize].iter().flatten().zip(0..) {
                cells.push(effect.cell());
                conditional.extend(effect.rows(permission));
            }
            rows.push(RoleRow {
                name: self.name(Kind::ROLE, &role.name, id),
                projects: projects[id as usize],
                conditional: Span {
                    start,
                    length: conditional.len() as u32 - start,
                },
            });
        }
        self.tables.roles = rows.into();
        self.tables.role_cells = cells.into();
        self.tables.conditional = conditional.into();
        let implicit = policy
            .roles
            .iter()
            .zip(0..)
            .filter(|(role, _)| role.implicit);
        Roles {
            implicit: implicit.map(|(_, id)| RoleId(id)).collect(),
        }
    }

    /// Fills in the effects of `role`, those of the roles that it extends first.
    fn effects(
        &mut self,
        role: usize,
        permissions: &Permissions,
        all: &mut Vec<Option<Vec<Effect>>>,
    ) {
        if all[role].is_some() {
            return;
        }
        let written = &self.policy.roles[role];
        for base in &written.extends {
            self.effects(base.index(), permissions, all);
        }
        let mut effects = Vec::with_capacity(permissions.count());
        for (kind, kind_id) in self.policy.catalogue.types.iter().zip(0..) {
            for (action, action_id) in kind.actions.iter().zip(0..) {
                let at = (TypeId(kind_id), ActionId(action_id));
                let line = written.deciding_line(at, &action.name);
                let mut effect = self.own_effect(written, line, at, &action.name);
                let keeps_bases = line.is_none_or(|line| !line.grants.is_empty());
                for base in &written.extends {
                    if let Some(bases) = &all[base.index()] {
                        effect.unite(&bases[effects.len()], keeps_bases);
                    }
                }
                effect.tidy();
                effects.push(effect);
            }
        }
        all[role] = Some(effects);
    }

    fn own_effect(
        &mut self,
        role: &'p Role,
        line: Option<&'p GrantLine>,
        at: (TypeId, ActionId),
        action: &str,
    ) -> Effect {
        let mut effect = Effect::default();
        let offered = self.policy.catalogue.types[at.0.index()].actions[at.1.index()].scopes;
        for grant in line.iter().flat_map(|line| &line.grants) {
            let scopes = grant.scopes.intersection(offered);
            match &grant.when {
                _ if scopes.is_empty() => {}
                None => effect.scopes = effect.scopes.union(scopes),
                Some(when) => effect
                    .conditional_grants
                    .push((scopes, self.condition(when))),
            }
        }
        for deny in role
            .denies
            .iter()
            .filter(|deny| deny.pattern.covers(at, action))
        {
            match &deny.when {
                None => effect.denied = true,
                Some(when) => effect.conditional_denies.push(self.condition(when)),
            }
        }
        effect
    }

    /// For each role the list of projects that it is in as a resource.
    fn role_projects(&mut self) -> Vec<u32> {
        let mut projects = vec![Vec::new(); self.policy.roles.len()];
        for (project, id) in self.policy.projects.iter().zip(0..) {
            for role in &project.roles {
                projects[role.index()].push(id);
            }
        }
        let or_default = |list: Vec<u32>| {
            if list.is_empty() {
                vec![ProjectId::DEFAULT.0]
            } else {
                list
            }
        };
        projects
            .into_iter()
            .map(|list| self.lists.intern_set(&mut or_default(list)))
            .collect()
    }
}

// === impl Effect ===

impl Effect {
    fn unite(&mut self, base: &Self, grants_too: bool) {
        if grants_too {
            self.scopes = self.scopes.union(base.scopes);
            self.conditional_grants
                .extend_from_slice(&base.conditional_grants);
        }
        self.denied |= base.denied;
        self.conditional_denies
            .extend_from_slice(&base.conditional_denies);
    }

    fn tidy(&mut self) {
        self.conditional_grants
            .sort_unstable_by_key(|&(scopes, condition)| (condition, scopes));
        self.conditional_grants.dedup();
        self.conditional_denies.sort_unstable();
        self.conditional_denies.dedup();
    }

    fn cell(&self) -> u8 {
        let conditional =
            !self.conditional_grants.is_empty() || !self.conditional_denies.is_empty();
        self.scopes.bits()
            | if self.denied { CELL_DENY } else { 0 }
            | if conditional { CELL_CONDITIONAL } else { 0 }
    }

    fn rows(&self, permission: u32) -> impl Iterator<Item = ConditionalRow> {
        let grants = self
            .conditional_grants
            .iter()
            .map(|&(scopes, condition)| (scopes.bits(), condition));
        let denies = self
            .conditional_denies
            .iter()
            .map(|&condition| (0, condition));
        grants
            .chain(denies)
            .map(move |(scopes, condition)| ConditionalRow {
                permission,
                scopes: u32::from(scopes),
                condition,
            })
    }
}
