//! Users: what each belongs to, reaches and holds.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::super::names::Kind;
use super::super::origins::{GIVEN_DEPARTMENT, GIVEN_GROUP, GIVEN_TEAM};
use super::super::tables::{LimitedRow, NONE, RoleSetRow, ShiftPlanRow, UserRow};
use super::roles::Roles;
use super::{Builder, CELLS_MAX};
use crate::model::{ProjectId, Timestamp};
use crate::policy::{Assignment, Members, ShiftPlan, User};
use crate::snapshot::CompileError;

/// The roles that everybody has.
pub(super) struct Implicit {
    pub(super) role_set: u32,
    pub(super) limited: u32,
}

/// Roles gathered from where they are given: for good, and at times.
#[derive(Clone, Default)]
struct Held {
    roles: Vec<u32>,
    /// Rows of `limited`.
    limited: Vec<u32>,
}

/// What users have by belonging somewhere, by the number of the place.
struct Belonging {
    /// Departments: each with all above it.
    within: Vec<Vec<u32>>,
    /// Departments: roles of it and of all above it.
    of_departments: Vec<Held>,
    of_groups: Vec<Held>,
    of_teams: Vec<Held>,
    implicit: Held,
    teams: HashMap<u32, Vec<u32>, FixedState>,
    led_departments: HashMap<u32, Vec<u32>, FixedState>,
    led_groups: HashMap<u32, Vec<u32>, FixedState>,
}

/// Lists in the making of one user.
#[derive(Default)]
struct Scratch {
    departments: Vec<u32>,
    within: Vec<u32>,
    held: Held,
    in_projects: Vec<u32>,
}

/// Rows met before, by what they hold.
#[derive(Default)]
struct Seen {
    scratch: Scratch,
    limited: HashMap<(i64, i64, u32, u32, u32), u32, FixedState>,
    limited_rows: Vec<LimitedRow>,
    role_sets: HashMap<u32, u32, FixedState>,
    role_set_rows: Vec<RoleSetRow>,
    plans: HashMap<(u32, u32, i32), u32, FixedState>,
    plan_rows: Vec<ShiftPlanRow>,
}

/// The projects of members, by how they are named.
pub(super) struct ProjectsOf {
    users: HashMap<u32, Vec<u32>, FixedState>,
    groups: Vec<Vec<u32>>,
    departments: Vec<Vec<u32>>,
    teams: Vec<Vec<u32>>,
}

// === impl ProjectsOf ===

impl ProjectsOf {
    pub(super) fn new(policy: &crate::policy::Policy) -> Self {
        let mut of = Self {
            users: HashMap::default(),
            groups: vec![Vec::new(); policy.groups.len()],
            departments: vec![Vec::new(); policy.departments.len()],
            teams: vec![Vec::new(); policy.teams.len()],
        };
        for (project, id) in policy.projects.iter().zip(0..) {
            let Members {
                users,
                groups,
                departments,
                teams,
            } = &project.members;
            for user in users {
                of.users.entry(user.0).or_default().push(id);
            }
            groups
                .iter()
                .for_each(|group| of.groups[group.index()].push(id));
            departments
                .iter()
                .for_each(|department| of.departments[department.index()].push(id));
            teams
                .iter()
                .for_each(|team| of.teams[team.index()].push(id));
        }
        of
    }
}

// === impl Builder ===

impl<'p> Builder<'p> {
    pub(super) fn people(
        &mut self,
        roles: &Roles,
        projects: &ProjectsOf,
        ids: &[u32],
    ) -> Result<Implicit, CompileError> {
        let policy = self.policy;
        let mut seen = Seen::default();
        let belonging = self.belonging(roles, &mut seen);
        let mut implicit = belonging.implicit.clone();
        let implicit = Implicit {
            role_set: self.role_set(&mut implicit.roles, &mut seen),
            limited: self.lists.intern_set(&mut implicit.limited),
        };
        let mut rows = Vec::with_capacity(policy.users.len());
        for (user, id) in policy.users.iter().zip(0..) {
            rows.push(self.user(
                (id, ids[id as usize]),
                user,
                &belonging,
                projects,
                &mut seen,
            ));
        }
        self.tables.users = rows.into();
        self.tables.limited = seen.limited_rows.into();
        self.tables.shift_plans = seen.plan_rows.into();
        self.role_set_cells(&seen.role_set_rows)?;
        self.tables.role_sets = seen.role_set_rows.into();
        Ok(implicit)
    }

    /// Enters the names of all users, and returns the places of their ids.
    pub(super) fn user_ids(&mut self) -> Vec<u32> {
        let mut ids = Vec::with_capacity(self.policy.users.len());
        for (user, id) in self.policy.users.iter().zip(0..) {
            ids.push(self.id(Kind::USER, &user.id, id));
            for alias in &user.aliases {
                self.id(Kind::USER, alias, id);
            }
        }
        ids
    }

    fn belonging(&mut self, roles: &Roles, seen: &mut Seen) -> Belonging {
        let policy = self.policy;
        let mut belonging = Belonging {
            within: Vec::with_capacity(policy.departments.len()),
            of_departments: Vec::with_capacity(policy.departments.len()),
            of_groups: Vec::with_capacity(policy.groups.len()),
            of_teams: Vec::with_capacity(policy.teams.len()),
            implicit: Held::default(),
            teams: HashMap::default(),
            led_departments: HashMap::default(),
            led_groups: HashMap::default(),
        };
        for (department, id) in policy.departments.iter().zip(0..) {
            let mut within = vec![id];
            let mut held = Held::default();
            self.hold(&department.roles, &mut held, seen);
            self.give(GIVEN_DEPARTMENT, id, &department.roles, seen);
            let mut above = department.parent;
            while let Some(parent) = above {
                within.push(parent.0);
                self.hold(&policy.departments[parent.index()].roles, &mut held, seen);
                above = policy.departments[parent.index()].parent;
            }
            belonging.within.push(within);
            belonging.of_departments.push(held);
            for leader in &department.leaders {
                belonging
                    .led_departments
                    .entry(leader.0)
                    .or_default()
                    .push(id);
            }
        }
        for (group, id) in policy.groups.iter().zip(0..) {
            let mut held = Held::default();
            self.hold(&group.roles, &mut held, seen);
            self.give(GIVEN_GROUP, id, &group.roles, seen);
            belonging.of_groups.push(held);
            for leader in &group.leaders {
                belonging.led_groups.entry(leader.0).or_default().push(id);
            }
        }
        for (team, id) in policy.teams.iter().zip(0..) {
            let mut held = Held::default();
            self.hold(&team.roles, &mut held, seen);
            self.give(GIVEN_TEAM, id, &team.roles, seen);
            belonging.of_teams.push(held);
            for user in &team.users {
                belonging.teams.entry(user.0).or_default().push(id);
            }
        }
        for &role in &roles.implicit {
            let place = policy.roles[role.index()].place;
            let everybody = Assignment {
                role,
                from: None,
                until: None,
                projects: None,
                place,
            };
            self.hold(&[everybody], &mut belonging.implicit, seen);
        }
        belonging
    }

    /// Adds assignments to what is held.
    fn hold(&mut self, assignments: &[Assignment], held: &mut Held, seen: &mut Seen) {
        for assignment in assignments {
            match self.limited(assignment, seen) {
                None => held.roles.push(assignment.role.0),
                Some(limited) => held.limited.push(limited),
            }
        }
    }

    /// Notes where the roles stand that a group, department or team gives.
    fn give(&mut self, kind: u32, to: u32, assignments: &[Assignment], seen: &mut Seen) {
        for assignment in assignments {
            let limited = self.limited(assignment, seen);
            self.gathered.given(kind, to, limited, assignment);
        }
    }

    /// The row of `limited` for this assignment; `None`: it is in force for good.
    fn limited(&mut self, assignment: &Assignment, seen: &mut Seen) -> Option<u32> {
        let on_shift = self.policy.roles[assignment.role.index()].only_on_shift;
        let Assignment {
            role,
            from,
            until,
            projects,
            ..
        } = assignment;
        if !on_shift && from.is_none() && until.is_none() && projects.is_none() {
            return None;
        }
        let projects = projects.as_ref().map_or(NONE, |projects| {
            self.lists
                .intern_set(&mut projects.iter().map(|project| project.0).collect())
        });
        let from = from.unwrap_or(Timestamp::MIN).0;
        let until = until.unwrap_or(Timestamp::MAX).0;
        let on_shift = u32::from(on_shift);
        let row = LimitedRow {
            from,
            until,
            role: role.0,
            projects,
            on_shift,
            reserved: 0,
        };
        let next = seen.limited_rows.len() as u32;
        let id = *seen
            .limited
            .entry((from, until, role.0, projects, on_shift))
            .or_insert(next);
        if id == next {
            seen.limited_rows.push(row);
        }
        Some(id)
    }

    fn user(
        &mut self,
        (id, name): (u32, u32),
        user: &'p User,
        belonging: &Belonging,
        projects: &ProjectsOf,
        seen: &mut Seen,
    ) -> UserRow {
        let teams = belonging.teams.get(&id).map_or(&[][..], Vec::as_slice);
        // Taken and given back, so that 200,000 users do not make a million lists.
        let mut scratch = std::mem::take(&mut seen.scratch);
        let Scratch {
            departments,
            within,
            held,
            in_projects,
        } = &mut scratch;
        departments.extend(user.departments.iter().map(|of| of.0));
        within.extend(
            departments
                .iter()
                .flat_map(|&of| &belonging.within[of as usize]),
        );
        within.sort_unstable();
        within.dedup();

        self.hold(&user.roles, held, seen);
        let own = user.roles.iter().map(|own| (own, self.limited(own, seen)));
        let own: Vec<_> = own.collect();
        self.gathered.user(&own);
        held.take(&belonging.implicit);
        for &of in &*departments {
            held.take(&belonging.of_departments[of as usize]);
        }
        in_projects.extend(projects.users.get(&id).into_iter().flatten());
        in_projects.extend(
            within
                .iter()
                .flat_map(|&of| &projects.departments[of as usize]),
        );
        if let Some(of) = user.group {
            held.take(&belonging.of_groups[of.index()]);
            in_projects.extend(&projects.groups[of.index()]);
        }
        for &of in teams {
            held.take(&belonging.of_teams[of as usize]);
            in_projects.extend(&projects.teams[of as usize]);
        }
        if in_projects.is_empty() {
            in_projects.push(ProjectId::DEFAULT.0);
        }

        let of_departments = self.lists.intern_set(departments);
        let reach_departments = match belonging.led_departments.get(&id) {
            None => of_departments,
            Some(led) => self.lists.intern_set(&mut [&departments[..], led].concat()),
        };
        let mut reach_groups: Vec<u32> = user.group.map(|group| group.0).into_iter().collect();
        reach_groups.extend(belonging.led_groups.get(&id).into_iter().flatten());
        let of_group = user
            .group
            .and_then(|group| self.policy.groups[group.index()].shift.as_ref());
        let row = UserRow {
            id: name,
            active: u32::from(user.active),
            group: user.group.map_or(NONE, |group| group.0),
            departments: of_departments,
            within: self.lists.intern(within),
            reach_departments,
            reach_groups: self.lists.intern_set(&mut reach_groups),
            teams: self.lists.intern(teams),
            projects: self.lists.intern_set(in_projects),
            role_set: self.role_set(&mut held.roles, seen),
            limited: self.lists.intern_set(&mut held.limited),
            shift_plan: user
                .shift
                .as_ref()
                .or(of_group)
                .map_or(NONE, |plan| seen.plan(plan)),
            properties: self.properties(&user.properties),
        };
        scratch.clear();
        seen.scratch = scratch;
        row
    }

    fn role_set(&mut self, roles: &mut Vec<u32>, seen: &mut Seen) -> u32 {
        let roles = self.lists.intern_set(roles);
        let next = seen.role_set_rows.len() as u32;
        let id = *seen.role_sets.entry(roles).or_insert(next);
        if id == next {
            seen.role_set_rows.push(RoleSetRow { roles });
        }
        id
    }

    /// Unites the cells of each set's roles. A conditional cell of one role makes the set's
    /// conditional: what the condition says is found out at the decision.
    fn role_set_cells(&mut self, rows: &[RoleSetRow]) -> Result<(), CompileError> {
        let width = self.tables.permissions.len();
        let count = rows.len().saturating_mul(width);
        if count > CELLS_MAX {
            let what = "cells of role sets";
            return Err(CompileError {
                what,
                actual: count,
                limit: CELLS_MAX,
            });
        }
        let mut cells = vec![0_u8; count];
        for (row, set) in cells.chunks_exact_mut(width.max(1)).zip(rows) {
            for &role in self.lists.get(set.roles) {
                let start = role as usize * width;
                for (cell, of_role) in row
                    .iter_mut()
                    .zip(&self.tables.role_cells[start..start + width])
                {
                    *cell |= of_role;
                }
            }
        }
        self.tables.role_set_cells = cells.into();
        Ok(())
    }
}

// === impl Held ===

impl Held {
    fn take(&mut self, other: &Self) {
        self.roles.extend_from_slice(&other.roles);
        self.limited.extend_from_slice(&other.limited);
    }
}

// === impl Scratch ===

impl Scratch {
    fn clear(&mut self) {
        self.departments.clear();
        self.within.clear();
        self.held.roles.clear();
        self.held.limited.clear();
        self.in_projects.clear();
    }
}

// === impl Seen ===

impl Seen {
    fn plan(&mut self, plan: &ShiftPlan) -> u32 {
        let (next_shift, next_from) = plan
            .next
            .map_or((NONE, 0), |(shift, from)| (shift.0, from.0));
        let next = self.plan_rows.len() as u32;
        let id = *self
            .plans
            .entry((plan.shift.0, next_shift, next_from))
            .or_insert(next);
        if id == next {
            self.plan_rows.push(ShiftPlanRow {
                shift: plan.shift.0,
                next: next_shift,
                next_from,
            });
        }
        id
    }
}
