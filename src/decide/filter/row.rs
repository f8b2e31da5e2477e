//! The facts of a row, as formulas over its fields.
//!
//! A row says what a request would say of it: its own owner, group, department, project and parents.
//! What it does not say is derived from its owner and parents, which the tables know. A name that
//! stands for nothing is given all the same, so that nothing derived takes its place.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;

use super::super::resource::{intersect, is_member};
use super::formula::{Formula, all, any};
use super::set::{Set, Singles};
use super::tree::{Constant, Field};
use crate::model::{ProjectId, Scope};
use crate::snapshot::tables::{DepartmentRow, NamedRow, ObjectRow, TypeRow, UserRow, some};
use crate::snapshot::{Kind, Snapshot};

/// A row of a type.
pub(super) struct Row<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) kind: &'a TypeRow,
    /// More stood in a list than a filter may hold. What was built is of no use.
    pub(super) too_large: Cell<bool>,
    /// A test was met that the tree has no words for. What was built is of no use.
    pub(super) unsayable: Cell<bool>,
}

/// Companies with more users are not told user by user where all but a few are meant.
const USERS_TOLD_MAX: usize = 100;

// === impl Row ===

impl<'a> Row<'a> {
    /// Whether one of the scopes reaches the row for this user.
    pub(super) fn reaches(&self, scope: Scope, user: &'a UserRow, user_id: u32) -> Formula<'a> {
        let own = || Formula::single(Field::Owner, Singles::of([self.text(user.id)], true));
        let mine = self.snapshot.list(user.reach_departments);
        match scope {
            Scope::Any => Formula::Always,
            Scope::Own => own(),
            Scope::Assigned => self.operated_by(user, user_id),
            Scope::Group => {
                let groups = self.snapshot.list(user.reach_groups).iter();
                let names = groups.filter_map(|&id| self.group_name(id));
                any([own(), self.group(&Singles::of(names, true))])
            }
            Scope::Department => any([own(), self.in_departments(mine, true)]),
            Scope::Branch => {
                let below = |&id: &u32| self.upwards(id).any(|id| mine.binary_search(&id).is_ok());
                let count = self.snapshot.tables.departments.len() as u32;
                let branches: Vec<u32> = (0..count).filter(below).collect();
                any([own(), self.in_departments(&branches, true)])
            }
        }
    }

    /// Whether the owner is one of these users, or, of all but a few, another user.
    pub(super) fn owner(&self, ids: &Singles<'a>) -> Formula<'a> {
        let users = &self.snapshot.tables.users;
        match ids {
            Singles::Few(few) => {
                let is_user = |id: &&Constant<'a>| match id {
                    Constant::Text(id) => {
                        let user = self.snapshot.find(Kind::USER, id);
                        let user = user.and_then(|user| self.snapshot.user(user));
                        user.is_some_and(|user| self.snapshot.text(user.id) == id)
                    }
                    _ => false,
                };
                self.one_of(Field::Owner, few.iter().filter(is_user).cloned())
            }
            Singles::AllBut(few) if users.len() <= USERS_TOLD_MAX => {
                let ids = users.iter().map(|user| self.text(user.id));
                self.one_of(Field::Owner, ids.filter(|id| !few.contains(id)))
            }
            // Who has a group or a department is a user.
            Singles::AllBut(_) => all([
                Formula::single(Field::Owner, ids.clone()),
                any([
                    Formula::set(Field::OwnerGroup, Set::PRESENT),
                    Formula::set(Field::OwnerDepartment, Set::PRESENT),
                    self.one_of(Field::Owner, self.plain_users()),
                ]),
            ]),
        }
    }

    /// Whether there is no owner, or the name of none.
    pub(super) fn no_owner(&self) -> Formula<'a> {
        let users = &self.snapshot.tables.users;
        if users.len() <= USERS_TOLD_MAX {
            let ids = users.iter().map(|user| self.text(user.id));
            return self.in_set(
                Field::Owner,
                Set::single(Singles::of(ids, false)).or_absent(),
            );
        }
        let others = Set::single(Singles::of(self.plain_users(), false));
        all([
            Formula::set(Field::OwnerGroup, Set::ABSENT),
            Formula::set(Field::OwnerDepartment, Set::ABSENT),
            self.in_set(Field::Owner, others.or_absent()),
        ])
    }

    /// Users of whom neither a group nor a department stands in a row.
    fn plain_users(&self) -> impl Iterator<Item = Constant<'a>> {
        let plain = |user: &&UserRow| {
            some(user.group).is_none() && self.snapshot.list(user.departments).len() != 1
        };
        let users = self.snapshot.tables.users.iter();
        users.filter(plain).map(|user| self.text(user.id))
    }

    /// Whether there is a group, and it is one of these.
    pub(super) fn group(&self, names: &Singles<'a>) -> Formula<'a> {
        let owners = self.owner_group(names);
        self.given(Field::Group, self.known_groups(names), owners)
    }

    /// Whether there is no group, or the name of none.
    pub(super) fn no_group(&self) -> Formula<'a> {
        let known = self.known_groups(&Singles::ALL);
        let unknown = Singles::of(known.values().iter().cloned(), false);
        self.given(
            Field::Group,
            unknown,
            Formula::set(Field::OwnerGroup, Set::ABSENT),
        )
    }

    /// Those of these groups that there are.
    pub(super) fn known_groups(&self, names: &Singles<'a>) -> Singles<'a> {
        let groups = self.snapshot.tables.groups.iter();
        let known = groups.map(|group| self.text(group.name));
        Singles::of(known.filter(|name| names.has(name)), true)
    }

    /// The same of the owner's group, where somebody has such a one.
    fn owner_group(&self, names: &Singles<'a>) -> Formula<'a> {
        let users = self.snapshot.tables.users.iter();
        let held: BTreeSet<u32> = users.filter_map(|user| some(user.group)).collect();
        let held = held.into_iter().filter_map(|id| self.group_name(id));
        match names {
            Singles::Few(_) => self.one_of(Field::OwnerGroup, held.filter(|name| names.has(name))),
            Singles::AllBut(_) => Formula::single(Field::OwnerGroup, names.clone()),
        }
    }

    /// Whether a department is one of these (sorted), or, where that is not `wanted`, none is.
    pub(super) fn in_departments(&self, departments: &[u32], wanted: bool) -> Formula<'a> {
        let names = departments
            .iter()
            .filter_map(|&id| self.department_name(id));
        let names = Singles::of(names, wanted);
        let owners = self.owner_in_departments(departments, &names);
        self.given(Field::Department, names, owners)
    }

    /// The same of the owner's departments. Owners with several are told by id.
    fn owner_in_departments(&self, departments: &[u32], names: &Singles<'a>) -> Formula<'a> {
        let wanted = matches!(names, Singles::Few(_));
        let (mut alone, mut several) = (BTreeSet::new(), Vec::new());
        for user in self.snapshot.tables.users.iter() {
            match self.snapshot.list(user.departments) {
                [department] => {
                    alone.insert(*department);
                }
                of_user if intersect(of_user, departments) => several.push(self.text(user.id)),
                _ => {}
            }
        }
        let alone = alone.into_iter().filter(|id| departments.contains(id));
        let alone = alone.filter_map(|id| self.department_name(id));
        let alone = Singles::of(alone, wanted);
        let several = Singles::of(several, wanted);
        if wanted {
            any([
                self.in_set(Field::OwnerDepartment, Set::single(alone)),
                self.in_set(Field::Owner, Set::single(several)),
            ])
        } else {
            all([
                self.in_set(Field::OwnerDepartment, Set::single(alone).or_absent()),
                self.in_set(Field::Owner, Set::single(several).or_absent()),
            ])
        }
    }

    /// Whether a project is one of these (sorted), or, where that is not `wanted`, none is.
    pub(super) fn in_projects(&self, projects: &[u32], wanted: bool) -> Formula<'a> {
        let names = projects.iter().filter_map(|&id| self.project_name(id));
        let derived = self.parents_in_projects(projects, wanted);
        self.given(Field::Project, Singles::of(names, wanted), derived)
    }

    /// The same of the projects that all parents share.
    fn parents_in_projects(&self, projects: &[u32], wanted: bool) -> Formula<'a> {
        let kinds = self.snapshot.list(self.kind.parents);
        match *kinds {
            [] => (projects.contains(&ProjectId::DEFAULT.0) == wanted).into(),
            [kind] => {
                let inside = |object: &ObjectRow| intersect(self.projects(object), projects);
                self.parent(kind, inside, wanted)
            }
            _ => {
                let present = |&kind: &u32| self.in_set(self.parent_field(kind), Set::PRESENT);
                let absent = |&kind: &u32| self.in_set(self.parent_field(kind), Set::ABSENT);
                let shared = projects.iter().filter_map(|project| {
                    let inside =
                        |object: &ObjectRow| self.projects(object).binary_search(project).is_ok();
                    let has = |&kind: &u32| self.snapshot.objects_of(kind).iter().any(inside);
                    kinds.iter().any(has).then(|| {
                        kinds.iter().map(move |&kind| {
                            let parent = self.parent(kind, inside, wanted);
                            match wanted {
                                true => any([absent(&kind), parent]),
                                false => all([present(&kind), parent]),
                            }
                        })
                    })
                });
                if wanted {
                    let shared: Vec<_> = shared.map(all).collect();
                    all([any(kinds.iter().map(present)), any(shared)])
                } else {
                    let shared: Vec<_> = shared.map(any).collect();
                    any([all(kinds.iter().map(absent)), all(shared)])
                }
            }
        }
    }

    /// Whether the user is an operator of a parent.
    fn operated_by(&self, user: &UserRow, user_id: u32) -> Formula<'a> {
        let operated = |object: &ObjectRow| {
            let members = &self.snapshot.tables.members;
            (members.get(object.operators as usize))
                .is_some_and(|members| is_member(self.snapshot, members, user_id, user))
        };
        let kinds = self.snapshot.list(self.kind.parents).iter();
        any(kinds.map(|&kind| self.parent(kind, operated, true)))
    }

    /// Whether the parent of this type is such an object, or, where that is not `wanted`, none is.
    fn parent(&self, kind: u32, such: impl Fn(&ObjectRow) -> bool, wanted: bool) -> Formula<'a> {
        let objects = self.snapshot.objects_of(kind).iter();
        let ids = (objects.filter(|object| such(object))).map(|object| self.text(object.id));
        let ids = Set::single(Singles::of(ids, wanted));
        let field = self.parent_field(kind);
        self.in_set(field, if wanted { ids } else { ids.or_absent() })
    }

    /// What is given under a field, or else what is derived.
    fn given(&self, field: Field<'a>, given: Singles<'a>, derived: Formula<'a>) -> Formula<'a> {
        let absent = self.in_set(field.clone(), Set::ABSENT);
        any([
            self.in_set(field, Set::single(given)),
            all([absent, derived]),
        ])
    }

    fn one_of(&self, field: Field<'a>, of: impl Iterator<Item = Constant<'a>>) -> Formula<'a> {
        self.in_set(field, Set::single(Singles::of(of, true)))
    }

    fn in_set(&self, field: Field<'a>, set: Set<'a>) -> Formula<'a> {
        if set.singles.values().len() > super::VALUES_MAX {
            self.too_large.set(true);
            return Formula::Never;
        }
        Formula::set(field, set)
    }

    fn projects(&self, object: &ObjectRow) -> &'a [u32] {
        self.snapshot.list(object.projects)
    }

    fn parent_field(&self, kind: u32) -> Field<'a> {
        let kind = self.snapshot.kind(kind);
        Field::Parent(kind.map_or("", |kind| self.snapshot.text(kind.name)))
    }

    fn upwards(&self, department: u32) -> impl Iterator<Item = u32> {
        super::super::resource::upwards(self.snapshot, department)
    }

    fn text(&self, id: u32) -> Constant<'a> {
        Constant::Text(Cow::Borrowed(self.snapshot.text(id)))
    }

    fn group_name(&self, id: u32) -> Option<Constant<'a>> {
        let row: Option<&NamedRow> = self.snapshot.tables.groups.get(id as usize);
        row.map(|row| self.text(row.name))
    }

    pub(super) fn department_name(&self, id: u32) -> Option<Constant<'a>> {
        let row: Option<&DepartmentRow> = self.snapshot.department(id);
        row.map(|row| self.text(row.name))
    }

    pub(super) fn project_name(&self, id: u32) -> Option<Constant<'a>> {
        let row: Option<&NamedRow> = self.snapshot.tables.projects.get(id as usize);
        row.map(|row| self.text(row.name))
    }
}
