//! Snapshots that differ in a few rows, to ask what would be if.
//!
//! A supposition shares all tables with its snapshot and has the rows beside them that are
//! otherwise: the same rule reads it, and no table is copied that does not differ. It answers
//! questions of the one user for whom it was made.

use std::sync::Arc;

use super::origins::{Assigned, Giver, ROLE_ON_SHIFT, SAID_DENY, SAID_NONE, SaidRow};
use super::tables::{
    CELL_DENY, ConditionalRow, LimitedRow, MembersRow, NONE, ObjectRow, Span, USER_ACTIVE,
    USER_MAY_LIFT, UserRow, some,
};
use super::{Kind, Outline, Shortcuts, Snapshot};
use crate::model::{ProjectId, Scope, Timestamp};

/// A change to a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// The user is active.
    Activate,
    /// The user is a member of this project.
    JoinProject(u32),
    /// The user, who is in no group, is in this one.
    JoinGroup(u32),
    /// The user is in this department too.
    JoinDepartment(u32),
    /// The user leads this group.
    LeadGroup(u32),
    /// The user leads this department.
    LeadDepartment(u32),
    /// The user has this role too, for good.
    Assign(u32),
    /// This role is no longer given by this way.
    Unassign(u32, Giver),
    /// This role, or a new one that the user has for good, grants this permission at this scope.
    Grant(Option<u32>, u32, Scope),
    /// The deny that stands here is taken out.
    RemoveDeny(DenyPlace),
    /// The user is an operator of this object.
    Operate(u32),
    /// An object of this type and id is registered, without anything more.
    Register(u32, String),
}

/// Where a deny stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DenyPlace {
    pub(crate) file: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// The rows that are otherwise.
pub(super) struct Supposed {
    user_id: u32,
    user: UserRow,
    /// Numbered on from those of the tables; so are the next two.
    lists: Vec<Vec<u32>>,
    limited: Vec<LimitedRow>,
    /// An object that is in no table, with its name.
    registered: Option<(Kind, String)>,
    objects: Vec<(u32, ObjectRow)>,
}

/// A snapshot in which some things are otherwise, for one user.
pub(crate) struct Supposition {
    snapshot: Snapshot,
}

/// Chains of departments are at most this deep.
const DEPARTMENTS_DEEP_MAX: usize = 64;

// === impl Supposed ===

impl Supposed {
    pub(super) fn user(&self, id: u32) -> Option<&UserRow> {
        (id == self.user_id).then_some(&self.user)
    }

    pub(super) fn object(&self, id: u32) -> Option<&ObjectRow> {
        let mut objects = self.objects.iter();
        objects.find(|(of, _)| *of == id).map(|(_, row)| row)
    }
}

// === impl Supposition ===

impl Supposition {
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The snapshot with these changes; `None` if there is no such user.
    pub(crate) fn new(base: &Snapshot, user_id: u32, changes: &[Change]) -> Option<Self> {
        let user = *base.tables.users.get(user_id as usize)?;
        let mut made = Making {
            base,
            user_id,
            user,
            lists: Vec::new(),
            new_role: None,
            registered: None,
            objects: Vec::new(),
        };
        let mut snapshot = base.sharing();
        made.belonging(changes);
        made.projects(changes);
        for change in changes {
            match change {
                Change::Activate => made.user.flags |= USER_ACTIVE,
                Change::Grant(role, permission, scope) => {
                    let role = *role;
                    let role = role.unwrap_or_else(|| made.role());
                    grant(&mut snapshot, base, role, *permission, *scope);
                }
                Change::RemoveDeny(at) => remove_deny(&mut snapshot, base, *at, changes),
                Change::Register(kind, id) => made.register(*kind, id),
                Change::Operate(object) => made.operate(&mut snapshot, *object),
                Change::JoinProject(_)
                | Change::JoinGroup(_)
                | Change::JoinDepartment(_)
                | Change::LeadGroup(_)
                | Change::LeadDepartment(_)
                | Change::Assign(_)
                | Change::Unassign(..) => {}
            }
        }
        made.roles(changes);
        let implicit = base.implicit_roles().map(|role| made.limited(role));
        let implicit = implicit.collect();
        // No set: the roles come one by one.
        snapshot.meta.implicit_set = NONE;
        snapshot.meta.implicit_limited = made.list(implicit);
        snapshot.supposed = Some(Box::new(made.finish()));
        Some(Self { snapshot })
    }
}

/// A supposition in the making.
struct Making<'s> {
    base: &'s Snapshot,
    user_id: u32,
    user: UserRow,
    lists: Vec<Vec<u32>>,
    /// A role that is in no table.
    new_role: Option<u32>,
    registered: Option<(Kind, String)>,
    objects: Vec<(u32, ObjectRow)>,
}

// === impl Making ===

impl Making<'_> {
    fn list(&mut self, mut members: Vec<u32>) -> u32 {
        members.sort_unstable();
        members.dedup();
        let before = self.base.tables.lists.len();
        self.lists.push(members);
        (before + self.lists.len() - 1) as u32
    }

    /// What a list holds, made here or there.
    fn members(&self, id: u32) -> &[u32] {
        let before = self.base.tables.lists.len();
        match (id as usize).checked_sub(before) {
            Some(own) => self.lists.get(own).map_or(&[], Vec::as_slice),
            None => self.base.list(id),
        }
    }

    fn with(&mut self, list: u32, more: &[u32]) -> u32 {
        let members = [self.members(list), more].concat();
        self.list(members)
    }

    /// Group and departments, and what is reached by them.
    fn belonging(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::JoinGroup(group) => {
                    self.user.group = group;
                    self.user.reach_groups = self.with(self.user.reach_groups, &[group]);
                }
                Change::JoinDepartment(department) => {
                    let up = upwards(self.base, department);
                    self.user.departments = self.with(self.user.departments, &[department]);
                    self.user.within = self.with(self.user.within, &up);
                    let reach = self.user.reach_departments;
                    self.user.reach_departments = self.with(reach, &[department]);
                }
                Change::LeadGroup(group) => {
                    self.user.reach_groups = self.with(self.user.reach_groups, &[group]);
                }
                Change::LeadDepartment(department) => {
                    let reach = self.user.reach_departments;
                    self.user.reach_departments = self.with(reach, &[department]);
                }
                _ => {}
            }
        }
    }

    /// The user's projects: a user of no other is in `default`.
    fn projects(&mut self, changes: &[Change]) {
        let mut joined = Vec::new();
        for change in changes {
            match *change {
                Change::JoinProject(project) => joined.push(project),
                Change::JoinGroup(group) => {
                    joined.extend(self.base.projects_with(Some(group), &[]));
                }
                Change::JoinDepartment(department) => {
                    let up = upwards(self.base, department);
                    joined.extend(self.base.projects_with(None, &up));
                }
                _ => {}
            }
        }
        if joined.is_empty() {
            return;
        }
        let mut projects = self.base.list(self.user.projects).to_vec();
        if !self.base.is_member_of_default(self.user_id, &self.user) {
            projects.retain(|&project| project != ProjectId::DEFAULT.0);
        }
        projects.extend(joined);
        self.user.projects = self.list(projects);
        self.user.flags |= Outline::ANYTHING.0;
    }

    /// The roles, one by one.
    fn roles(&mut self, changes: &[Change]) {
        let within = self.members(self.user.within).to_vec();
        let group = some(self.user.group);
        let mut all = (self.base).assigned_by(self.user_id, group, &within, &self.user);
        all.retain(|role| !changes.contains(&Change::Unassign(role.role, role.by)));
        let mut limited: Vec<u32> = all.into_iter().map(|role| self.limited(role)).collect();
        let new = self.new_role;
        let assigned = changes.iter().filter_map(|change| match change {
            Change::Assign(role) => Some(*role),
            _ => None,
        });
        limited.extend(assigned.chain(new).map(|role| self.for_good(role)));
        self.user.role_set = NONE;
        self.user.limited = self.list(limited);
        self.user.limited_bits = u64::MAX;
        self.user.flags |= USER_MAY_LIFT;
    }

    fn limited(&self, role: Assigned) -> u32 {
        role.limited.unwrap_or_else(|| self.for_good(role.role))
    }

    /// The supposed row of a role that is limited by nothing but its binding to shifts.
    fn for_good(&self, role: u32) -> u32 {
        (self.base.tables.limited.len() as u32).saturating_add(role)
    }

    fn role(&mut self) -> u32 {
        *self.new_role.insert(self.base.tables.roles.len() as u32)
    }

    fn register(&mut self, kind: u32, id: &str) {
        let projects = self.list(vec![ProjectId::DEFAULT.0]);
        let departments = self.list(Vec::new());
        let row = ObjectRow {
            kind,
            id: NONE,
            owner: NONE,
            group: NONE,
            departments,
            projects,
            operators: NONE,
            properties: NONE,
        };
        self.registered = Some((Kind::object_of(kind), id.to_owned()));
        let number = self.base.tables.objects.len() as u32;
        self.objects.push((number, row));
    }

    fn operate(&mut self, snapshot: &mut Snapshot, object: u32) {
        let Some(row) = self.base.tables.objects.get(object as usize) else {
            return;
        };
        let mut rows = snapshot.tables.members.to_vec();
        let none = MembersRow {
            users: self.list(Vec::new()),
            groups: self.list(Vec::new()),
            departments: self.list(Vec::new()),
            teams: self.list(Vec::new()),
        };
        let members = rows.get(row.operators as usize).copied();
        let members = members.unwrap_or(none);
        let users = self.with(members.users, &[self.user_id]);
        let operators = rows.len() as u32;
        rows.push(MembersRow { users, ..members });
        snapshot.tables.members = rows.into();
        self.objects.push((object, ObjectRow { operators, ..*row }));
    }

    fn finish(self) -> Supposed {
        let roles = 0..=self.base.tables.roles.len() as u32;
        let limited = roles.map(|role| {
            let flags = self.base.role_origin(role).map_or(0, |(_, flags)| flags);
            LimitedRow {
                from: Timestamp::MIN.0,
                until: Timestamp::MAX.0,
                role,
                projects: NONE,
                on_shift: u32::from(flags & ROLE_ON_SHIFT != 0),
                reserved: 0,
            }
        });
        Supposed {
            user_id: self.user_id,
            user: self.user,
            lists: self.lists,
            limited: limited.collect(),
            registered: self.registered,
            objects: self.objects,
        }
    }
}

/// Adds a scope to what the role grants, and to what the roles that extend it do, where no `none`
/// of theirs keeps it out.
fn grant(snapshot: &mut Snapshot, base: &Snapshot, role: u32, permission: u32, scope: Scope) {
    let width = base.meta.permissions as usize;
    let mut cells = snapshot.tables.role_cells.to_vec();
    if role as usize == base.tables.roles.len() {
        cells.resize(width * (role as usize + 1), 0);
    }
    let mut reached = vec![role];
    let mut next = 0;
    while let Some(&role) = reached.get(next) {
        next += 1;
        if let Some(cell) = cells.get_mut(role as usize * width + permission as usize) {
            *cell |= 1 << scope as u8;
        }
        for above in 0..base.tables.roles.len() as u32 {
            let says_none = || says(base, above, permission, SAID_NONE).next().is_some();
            if base.extended(above).contains(&role) && !reached.contains(&above) && !says_none() {
                reached.push(above);
            }
        }
    }
    snapshot.tables.role_cells = cells.into();
}

/// What the role says of the permission with this effect.
fn says(
    base: &Snapshot,
    role: u32,
    permission: u32,
    effect: u32,
) -> impl Iterator<Item = &SaidRow> {
    let said = base.said(role, permission).iter();
    said.filter(move |row| row.effect == effect)
}

/// Takes a line of denies out of its role and of all that extend it.
fn remove_deny(snapshot: &mut Snapshot, base: &Snapshot, at: DenyPlace, changes: &[Change]) {
    let removed = |row: &SaidRow| changes.contains(&Change::RemoveDeny(row.deny_place()));
    let stands = |row: &&SaidRow| row.effect == SAID_DENY && row.deny_place() == at;
    let width = base.meta.permissions as usize;
    let mut cells = snapshot.tables.role_cells.to_vec();
    let mut gone: Vec<(u32, u32, u32)> = Vec::new();
    for row in base.origins.said.iter().filter(stands) {
        let (role, permission) = (row.role, row.permission);
        let mut others = says(base, role, permission, SAID_DENY).filter(|row| !removed(row));
        if others.any(|other| other.condition == row.condition) {
            continue;
        }
        if some(row.condition).is_some() {
            gone.push((role, permission, row.condition));
        } else if let Some(cell) = cells.get_mut(role as usize * width + permission as usize) {
            *cell &= !CELL_DENY;
        }
    }
    snapshot.tables.role_cells = cells.into();
    if gone.is_empty() {
        return;
    }
    let mut rows: Vec<ConditionalRow> = Vec::new();
    let mut roles = snapshot.tables.roles.to_vec();
    for (role, id) in roles.iter_mut().zip(0..) {
        let start = rows.len() as u32;
        let kept = |row: &&ConditionalRow| {
            row.scopes != 0 || !gone.contains(&(id, row.permission, row.condition))
        };
        let conditional = role.conditional.of(&snapshot.tables.conditional);
        rows.extend(conditional.iter().filter(kept));
        role.conditional = Span {
            start,
            length: rows.len() as u32 - start,
        };
    }
    snapshot.tables.roles = roles.into();
    snapshot.tables.conditional = rows.into();
    snapshot.shortcuts = Arc::new(Shortcuts::new(&snapshot.heap, &snapshot.tables));
}

fn upwards(base: &Snapshot, department: u32) -> Vec<u32> {
    let above = |&id: &u32| base.department(id).and_then(|row| some(row.parent));
    let chain = std::iter::successors(Some(department), above);
    chain.take(DEPARTMENTS_DEEP_MAX).collect()
}

// === impl SaidRow ===

impl SaidRow {
    pub(crate) const fn deny_place(&self) -> DenyPlace {
        DenyPlace {
            file: self.file,
            line: self.line,
            column: self.column,
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// The same snapshot; the tables are shared.
    fn sharing(&self) -> Self {
        Self {
            heap: Arc::clone(&self.heap),
            tables: self.tables.clone(),
            origins: self.origins.clone(),
            meta: self.meta,
            shortcuts: Arc::clone(&self.shortcuts),
            digest: self.digest.clone(),
            file_digest: self.file_digest.clone(),
            supposed: None,
        }
    }

    #[cold]
    pub(super) fn supposed_list(&self, id: u32) -> &[u32] {
        let before = self.tables.lists.len();
        let own = (id as usize).checked_sub(before);
        let lists = self.supposed.as_ref().map(|supposed| &supposed.lists);
        let list = own.and_then(|own| lists?.get(own));
        list.map_or(&[], Vec::as_slice)
    }

    #[cold]
    pub(super) fn supposed_limited(&self, id: u32) -> Option<&LimitedRow> {
        let own = (id as usize).checked_sub(self.tables.limited.len())?;
        self.supposed.as_ref()?.limited.get(own)
    }

    #[cold]
    pub(super) fn supposed_name(&self, kind: Kind, name: &str) -> Option<u32> {
        let (of, id) = self.supposed.as_ref()?.registered.as_ref()?;
        (*of == kind && id == name).then_some(self.tables.objects.len() as u32)
    }
}
