//! Users: what each belongs to, reaches and holds.

use super::super::Outline;
use super::super::lists::Lists;
use super::super::tables::{NONE, Tables, USER_ACTIVE, USER_MAY_LIFT, UserRow, permission_bit};
use super::belonging::Belonging;
use super::holdings::{Held, Holdings, Implicit};
use super::origins::Gathered;
use super::roles::Roles;
use crate::model::ProjectId;
use crate::policy::{Policy, User};

/// The users; what is said of them in words is entered later.
pub(super) struct People {
    pub(super) rows: Vec<UserRow>,
    pub(super) holdings: Holdings,
    pub(super) implicit: Implicit,
}

/// Users in the making.
struct Maker<'a> {
    policy: &'a Policy,
    lists: &'a mut Lists,
    origins: &'a mut Gathered,
    holdings: Holdings,
    belonging: Belonging,
    // Lists in the making of one user.
    departments: Vec<u32>,
    within: Vec<u32>,
    projects: Vec<u32>,
    held: Held,
}

// === impl People ===

impl People {
    pub(super) fn new(
        policy: &Policy,
        roles: &Roles,
        lists: &mut Lists,
        origins: &mut Gathered,
    ) -> Self {
        let mut holdings = Holdings::default();
        let belonging = Belonging::new(policy, roles, lists, &mut holdings, origins);
        let mut implicit = belonging.implicit.clone();
        let implicit = Implicit {
            role_set: holdings.role_set(lists, &mut implicit.roles),
            limited: lists.intern_set(&mut implicit.limited),
        };
        let mut maker = Maker {
            policy,
            lists,
            origins,
            holdings,
            belonging,
            departments: Vec::new(),
            within: Vec::new(),
            projects: Vec::new(),
            held: Held::default(),
        };
        let mut rows = Vec::with_capacity(policy.users.len());
        rows.extend((policy.users.iter().enumerate()).map(|(id, user)| maker.row(id, user)));
        Self {
            rows,
            holdings: maker.holdings,
            implicit,
        }
    }

    /// Enters what the users' limited roles speak of, once the roles' cells are made.
    pub(super) fn enter_limited_bits(&mut self, lists: &Lists, tables: &Tables) {
        let bits_of = |cells: &[u8]| {
            let speaks = (0..).zip(cells).filter(|&(_, &cell)| cell != 0);
            speaks.fold(0, |bits, (permission, _)| bits | permission_bit(permission))
        };
        let width = tables.permissions.len().max(1);
        let of_roles: Vec<u64> = tables.role_cells.chunks_exact(width).map(bits_of).collect();
        for row in &mut self.rows {
            let roles = self.holdings.roles_of(lists.get(row.limited));
            row.limited_bits = roles.fold(0, |bits, role| bits | of_roles[role]);
        }
    }
}

/// Enters whose roles say something of the permission that lifts the project wall, once the role
/// sets' cells are made.
pub(super) fn enter_lifts(rows: &mut [UserRow], lifts: u32, tables: &Tables) {
    let width = tables.permissions.len();
    for row in rows {
        let at = row.role_set as usize * width + lifts as usize;
        let of_set = tables.role_set_cells.get(at);
        if of_set.is_some_and(|&cell| cell != 0) || row.limited_bits & permission_bit(lifts) != 0 {
            row.flags |= USER_MAY_LIFT;
        }
    }
}

// === impl Maker ===

impl Maker<'_> {
    fn row(&mut self, id: usize, user: &User) -> UserRow {
        self.gather(id, user);
        let (lists, belonging) = (&mut *self.lists, &self.belonging);
        let departments = lists.intern_set(&mut self.departments);
        let reach_departments = match belonging.led_departments.of(id) {
            [] => departments,
            led => lists.intern_set(&mut [&self.departments[..], led].concat()),
        };
        let within = lists.intern(&self.within);
        let group = user.group.map(|group| group.0);
        let reach_groups = match belonging.led_groups.of(id) {
            [] => lists.intern(group.as_slice()),
            led => lists.intern_set(&mut [group.as_slice(), led].concat()),
        };
        let shift_of_group = || {
            let group = &self.policy.groups[user.group?.index()];
            group.shift.as_ref()
        };
        let shift = user.shift.as_ref().or_else(shift_of_group);
        UserRow {
            id: NONE,
            group: group.unwrap_or(NONE),
            departments,
            within,
            reach_departments,
            reach_groups,
            teams: lists.intern(belonging.teams_of.of(id)),
            projects: lists.intern_set(&mut self.projects),
            role_set: self.holdings.role_set(lists, &mut self.held.roles),
            limited: lists.intern_set(&mut self.held.limited),
            shift_plan: shift.map_or(NONE, |plan| self.holdings.plan(plan)),
            properties: NONE,
            limited_bits: 0,
            flags: Outline::new(&self.projects).0 | if user.active { USER_ACTIVE } else { 0 },
        }
    }

    /// Gathers all that the user has, own and by belonging somewhere, in no order.
    fn gather(&mut self, id: usize, user: &User) {
        self.departments.clear();
        self.within.clear();
        self.projects.clear();
        self.held.clear();
        let own = user.roles.iter().map(|own| {
            let held = &mut self.held;
            let limited = self.holdings.hold(self.policy, self.lists, own, held);
            (own, limited)
        });
        self.origins.user(own);
        let belonging = &self.belonging;
        self.held.take(&belonging.implicit);
        self.projects.extend(belonging.projects_of.of(id));
        for of in &user.departments {
            let place = &belonging.departments[of.index()];
            self.departments.push(of.0);
            self.within.extend(&place.within);
            self.held.take(&place.held);
        }
        self.within.sort_unstable();
        self.within.dedup();
        for &of in &self.within {
            self.projects
                .extend(&belonging.departments[of as usize].projects);
        }
        let group = user.group.map(|of| &belonging.groups[of.index()]);
        let teams = belonging.teams_of.of(id).iter();
        let teams = teams.map(|&of| &belonging.teams[of as usize]);
        for place in group.into_iter().chain(teams) {
            self.held.take(&place.held);
            self.projects.extend(&place.projects);
        }
        if self.projects.is_empty() {
            self.projects.push(ProjectId::DEFAULT.0);
        }
    }
}
