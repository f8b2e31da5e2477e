//! Roles that are held: for good in sets that users share, at times one by one; and shifts.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::super::lists::Lists;
use super::super::tables::{
    LimitedRow, NONE, RoleRow, RoleSetRow, ShiftPlanRow, Tables, permission_bit,
};
use super::CELLS_MAX;
use crate::model::Timestamp;
use crate::policy::{Assignment, Policy, ShiftPlan};
use crate::snapshot::CompileError;

/// The roles that everybody has.
pub(super) struct Implicit {
    pub(super) role_set: u32,
    pub(super) limited: u32,
}

/// Roles gathered from where they are given: for good, and at times.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) roles: Vec<u32>,
    /// Rows of `limited`.
    pub(super) limited: Vec<u32>,
}

/// Rows of what is held, each once.
#[derive(Default)]
pub(super) struct Holdings {
    limited: HashMap<(i64, i64, u32, u32, u32), u32, FixedState>,
    limited_rows: Vec<LimitedRow>,
    /// By the number of the list of roles.
    role_sets: HashMap<u32, u32, FixedState>,
    role_set_rows: Vec<RoleSetRow>,
    plans: HashMap<(u32, u32, i32), u32, FixedState>,
    plan_rows: Vec<ShiftPlanRow>,
}

// === impl Held ===

impl Held {
    pub(super) fn take(&mut self, other: &Self) {
        self.roles.extend_from_slice(&other.roles);
        self.limited.extend_from_slice(&other.limited);
    }

    pub(super) fn clear(&mut self) {
        self.roles.clear();
        self.limited.clear();
    }
}

// === impl Holdings ===

impl Holdings {
    /// Adds an assignment to what is held. The row of `limited` that it is; `None`: it is in force
    /// for good.
    pub(super) fn hold(
        &mut self,
        policy: &Policy,
        lists: &mut Lists,
        assignment: &Assignment,
        held: &mut Held,
    ) -> Option<u32> {
        let on_shift = policy.roles[assignment.role.index()].only_on_shift;
        let Assignment {
            role,
            from,
            until,
            projects,
            ..
        } = assignment;
        if !on_shift && from.is_none() && until.is_none() && projects.is_none() {
            held.roles.push(role.0);
            return None;
        }
        let projects = projects.as_ref().map_or(NONE, |projects| {
            lists.intern_set(&mut projects.iter().map(|project| project.0).collect())
        });
        let limited = self.limited(LimitedRow {
            from: from.unwrap_or(Timestamp::MIN).0,
            until: until.unwrap_or(Timestamp::MAX).0,
            role: role.0,
            projects,
            on_shift: u32::from(on_shift),
            reserved: 0,
        });
        held.limited.push(limited);
        Some(limited)
    }

    fn limited(&mut self, row: LimitedRow) -> u32 {
        let key = (row.from, row.until, row.role, row.projects, row.on_shift);
        let next = self.limited_rows.len() as u32;
        let id = *self.limited.entry(key).or_insert(next);
        if id == next {
            self.limited_rows.push(row);
        }
        id
    }

    /// The roles of these rows of `limited`.
    pub(super) fn roles_of(&self, limited: &[u32]) -> impl Iterator<Item = usize> {
        let rows = limited.iter().map(|&id| &self.limited_rows[id as usize]);
        rows.map(|row| row.role as usize)
    }

    /// The set of these roles.
    pub(super) fn role_set(&mut self, lists: &mut Lists, roles: &mut Vec<u32>) -> u32 {
        let roles = lists.intern_set(roles);
        let next = self.role_set_rows.len() as u32;
        let id = *self.role_sets.entry(roles).or_insert(next);
        if id == next {
            self.role_set_rows.push(RoleSetRow {
                roles,
                reserved: 0,
                denies_bits: 0,
            });
        }
        id
    }

    pub(super) fn plan(&mut self, plan: &ShiftPlan) -> u32 {
        let (next_shift, next_from) = plan
            .next
            .map_or((NONE, 0), |(shift, from)| (shift.0, from.0));
        let key = (plan.shift.0, next_shift, next_from);
        let next = self.plan_rows.len() as u32;
        let id = *self.plans.entry(key).or_insert(next);
        if id == next {
            self.plan_rows.push(ShiftPlanRow {
                shift: plan.shift.0,
                next: next_shift,
                next_from,
            });
        }
        id
    }

    /// Fills the tables.
    pub(super) fn finish(mut self, lists: &Lists, tables: &mut Tables) -> Result<(), CompileError> {
        let denied = |role: &RoleRow| {
            let rows = role.conditional.of(&tables.conditional).iter();
            let denies = rows.filter(|row| row.scopes == 0);
            denies.fold(0, |bits, row| bits | permission_bit(row.permission))
        };
        let denied: Vec<u64> = tables.roles.iter().map(denied).collect();
        for set in &mut self.role_set_rows {
            let roles = lists.get(set.roles).iter();
            set.denies_bits = roles.fold(0, |bits, &role| bits | denied[role as usize]);
        }
        tables.role_set_cells = role_set_cells(&self.role_set_rows, lists, tables)?;
        tables.role_sets = self.role_set_rows.into();
        tables.limited = self.limited_rows.into();
        tables.shift_plans = self.plan_rows.into();
        Ok(())
    }
}

/// Unites the cells of each set's roles. A conditional cell of one role makes the set's
/// conditional: what the condition says is found out at the decision.
fn role_set_cells(
    rows: &[RoleSetRow],
    lists: &Lists,
    tables: &Tables,
) -> Result<Arc<[u8]>, CompileError> {
    let width = tables.permissions.len();
    let count = rows.len().saturating_mul(width);
    if count > CELLS_MAX {
        return Err(CompileError {
            what: "cells of role sets",
            actual: count,
            limit: CELLS_MAX,
        });
    }
    let mut cells = vec![0_u8; count];
    for (row, set) in cells.chunks_exact_mut(width.max(1)).zip(rows) {
        for &role in lists.get(set.roles) {
            let start = role as usize * width;
            let of_role = &tables.role_cells[start..start + width];
            row.iter_mut()
                .zip(of_role)
                .for_each(|(cell, of)| *cell |= of);
        }
    }
    Ok(cells.into())
}
