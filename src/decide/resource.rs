//! The facts of a resource, found when they are asked for.
//!
//! Owner, group, departments, projects and operators come from the registration, from the request,
//! or from what the resource belongs to. Nothing is gathered: a fact that is a list is walked.

use std::cell::Cell;

use super::value::{Items, Members, View};
use crate::model::{ProjectId, outline};
use crate::snapshot::tables::{
    MembersRow, NONE, ObjectRow, REGISTRY_OBJECTS, REGISTRY_PROJECTS, REGISTRY_ROLES,
    REGISTRY_USERS, TypeRow, UserRow, some,
};
use crate::snapshot::{ANY_CLASSES, Classes, Kind, NO_CLASSES, Snapshot, Told};

/// What a check is about.
#[derive(Clone)]
pub(super) struct Resource<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) kind: &'a TypeRow,
    pub(super) id: &'a str,
    pub(super) what: What<'a>,
    /// What the request tells of it (or, of a linked one, the link).
    told: Members<'a>,
    /// The outlines of the names in it, or more, and those of the names of facts.
    outlines: u64,
    names: &'a Told,
    /// The owner, once it was asked for: several scopes and facts look at it.
    owner: Cell<Option<Option<u32>>>,
    /// What it belongs to by the request, if that alone says.
    parents: Parents,
    /// Those of its projects, or any.
    classes: Classes,
}

/// The objects that the request names as what the resource belongs to.
#[derive(Clone, Copy)]
enum Parents {
    None,
    /// One, by its number and the classes of its projects, or what is not registered.
    One(Option<(u32, Classes)>),
    Several,
}

/// Where a resource's facts come from.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    /// The request alone.
    Open,
    /// A registration, with the request where that leaves something out.
    Object(&'a ObjectRow),
    /// The user that it is.
    User(u32, &'a UserRow),
    /// The project that it is.
    Project(u32),
    /// The role that it is.
    Role(u32),
}

/// A single fact: not given, given as a name of nothing, or a number.
#[derive(Clone, Copy)]
enum Given {
    No,
    Nothing,
    Is(u32),
}

/// A fact that is a list.
#[derive(Clone, Copy)]
pub(super) enum Many<'a> {
    /// Sorted.
    Listed(&'a [u32]),
    One(u32),
    /// What the request names under these names (a list of texts).
    Told {
        names: u32,
        kind: Kind,
    },
    /// The projects that all parents named share.
    SharedByParents,
    Nothing,
}

// === impl Parents ===

impl Parents {
    fn named(snapshot: &Snapshot, kind: &TypeRow, told: Members<'_>) -> Self {
        let kinds = snapshot.list(kind.parents).iter();
        let mut named = kinds.filter_map(|&kind| told_parent(snapshot, told, kind));
        match (named.next(), named.next()) {
            (None, _) => Self::None,
            (Some(parent), None) => Self::One(parent),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

// === impl Resource ===

impl<'a> Resource<'a> {
    /// The resource of this type and id; `None` if there must be one registered and there is none,
    /// or if the id is never one.
    #[inline(always)] // so that it is made where it stays: moving it costs as much as making it
    pub(super) fn find(
        snapshot: &'a Snapshot,
        kind_id: u32,
        id: &'a str,
        told: Members<'a>,
        new: bool,
    ) -> Option<Self> {
        if id.is_empty() || id == "*" {
            return None;
        }
        let kind = snapshot.kind(kind_id)?;
        let object = || {
            let (object, classes) = snapshot.find_classed(Kind::object_of(kind_id), id)?;
            Some((What::Object(snapshot.object(object)?), classes))
        };
        let told_alone = (What::Open, ANY_CLASSES);
        let (what, classes) = match kind.registry {
            _ if new => told_alone,
            REGISTRY_OBJECTS => object()?,
            REGISTRY_USERS => {
                let user = snapshot.find(Kind::USER, id)?;
                (What::User(user, snapshot.user(user)?), ANY_CLASSES)
            }
            REGISTRY_PROJECTS => {
                let project = snapshot.find(Kind::PROJECT, id)?;
                (What::Project(project), ANY_CLASSES)
            }
            REGISTRY_ROLES => {
                let role = snapshot.find(Kind::ROLE, id)?;
                (What::Role(role), ANY_CLASSES)
            }
            // What is not registered is told by the request, unless it must be registered.
            _ if kind.objects == 0 => told_alone,
            _ => object().unwrap_or(told_alone),
        };
        Some(Self::found(
            snapshot, kind_id, kind, id, what, classes, told,
        ))
    }

    /// A resource that is found already, by its row and not by its id.
    pub(super) fn registered(
        snapshot: &'a Snapshot,
        kind_id: u32,
        kind: &'a TypeRow,
        id: &'a str,
        what: What<'a>,
        told: Members<'a>,
    ) -> Self {
        Self::found(snapshot, kind_id, kind, id, what, ANY_CLASSES, told)
    }

    #[inline(always)]
    fn found(
        snapshot: &'a Snapshot,
        kind_id: u32,
        kind: &'a TypeRow,
        id: &'a str,
        what: What<'a>,
        classes: Classes,
        told: Members<'a>,
    ) -> Self {
        let names = snapshot.shortcuts().told(kind_id);
        let outlines = match what {
            What::Open => told.outlines(),
            // Little is asked of the request.
            _ => u64::MAX,
        };
        let parents = match what {
            What::Open if outlines & names.parents != 0 => Parents::named(snapshot, kind, told),
            _ => Parents::None,
        };
        let classes = match what {
            What::Open if outlines & names.projects == 0 => match parents {
                Parents::None => names.classes,
                Parents::One(parent) => parent.map_or(NO_CLASSES, |(_, classes)| classes),
                Parents::Several => ANY_CLASSES,
            },
            What::Open => ANY_CLASSES,
            _ => classes,
        };
        Self {
            snapshot,
            kind,
            id,
            what,
            told,
            outlines,
            names,
            owner: Cell::new(None),
            parents,
            classes,
        }
    }

    /// The id; of a user the user's id, whatever alias was asked with.
    pub(super) fn id(&self) -> &'a str {
        match self.what {
            What::User(_, row) => self.snapshot.text(row.id),
            _ => self.id,
        }
    }

    /// A property by its top-level name, as it stands in the snapshot: what is stored comes first,
    /// and names of facts are none.
    pub(super) fn property(&self, name: u32) -> Option<View<'a>> {
        let text = self.snapshot.text(name);
        let maybe = outline(text) & self.names.facts() != 0;
        if maybe && names_a_fact(self.snapshot, self.kind, text) {
            return None;
        }
        let stored = match self.what {
            What::Object(row) => Members::at(self.snapshot, row.properties),
            What::User(_, row) => Members::at(self.snapshot, row.properties),
            What::Open | What::Project(_) | What::Role(_) => Members::Nothing,
        };
        let stored = stored.named(self.snapshot, name);
        stored.or_else(|| self.told.get(text))
    }

    /// The owner, a user.
    pub(super) fn owner(&self) -> Option<u32> {
        if let Some(owner) = self.owner.get() {
            return owner;
        }
        let owner = self.find_owner();
        self.owner.set(Some(owner));
        owner
    }

    fn find_owner(&self) -> Option<u32> {
        match self.what {
            What::User(user, _) => Some(user),
            What::Object(row) if row.owner != NONE => Some(row.owner),
            _ => match self.told_one(self.names.owner, self.kind.owner_name, Kind::USER) {
                Given::Is(user) => Some(user),
                Given::No | Given::Nothing => None,
            },
        }
    }

    /// The group.
    pub(super) fn group(&self) -> Option<u32> {
        match self.what {
            What::User(_, row) => some(row.group),
            What::Object(row) if row.group != NONE => Some(row.group),
            _ => match self.told_one(self.names.group, self.kind.group_name, Kind::GROUP) {
                Given::Is(group) => Some(group),
                Given::Nothing => None,
                Given::No => some(self.owner_row()?.group),
            },
        }
    }

    /// The departments.
    pub(super) fn departments(&self) -> Many<'a> {
        let listed = |list: u32| Many::Listed(self.snapshot.list(list));
        match self.what {
            What::User(_, row) => listed(row.departments),
            What::Object(row) if !self.snapshot.list(row.departments).is_empty() => {
                listed(row.departments)
            }
            _ if self.tells(self.names.departments, self.kind.department_names) => Many::Told {
                names: self.kind.department_names,
                kind: Kind::DEPARTMENT,
            },
            _ => self
                .owner_row()
                .map_or(Many::Nothing, |row| listed(row.departments)),
        }
    }

    /// The classes of the projects, or any.
    #[inline]
    pub(super) fn classes(&self) -> Classes {
        self.classes
    }

    /// The projects.
    #[inline(always)]
    pub(super) fn projects(&self) -> Many<'a> {
        let listed = |list: u32| Many::Listed(self.snapshot.list(list));
        match self.what {
            What::User(_, row) => listed(row.projects),
            What::Object(row) => listed(row.projects),
            What::Project(project) => Many::One(project),
            What::Role(role) => self
                .snapshot
                .role(role)
                .map_or(Many::Nothing, |row| listed(row.projects)),
            What::Open if self.tells(self.names.projects, self.kind.project_names) => Many::Told {
                names: self.kind.project_names,
                kind: Kind::PROJECT,
            },
            What::Open => match self.parents {
                Parents::None if self.snapshot.list(self.kind.parents).is_empty() => {
                    Many::One(ProjectId::DEFAULT.0)
                }
                Parents::None => Many::Nothing,
                Parents::One(parent) => self
                    .parent(parent)
                    .map_or(Many::Nothing, |row| listed(row.projects)),
                Parents::Several => Many::SharedByParents,
            },
        }
    }

    /// The operators of the resource and of what it belongs to.
    pub(super) fn operators(&self) -> impl Iterator<Item = &'a MembersRow> + use<'_, 'a> {
        let members = |row: &ObjectRow| self.snapshot.tables.members.get(row.operators as usize);
        self.operated().filter_map(members)
    }

    /// The objects whose operators are the resource's.
    pub(super) fn operated(&self) -> impl Iterator<Item = &'a ObjectRow> + use<'_, 'a> {
        let (object, several) = match self.what {
            What::Object(row) => (Some(row), &[][..]),
            What::Open => match self.parents {
                Parents::None => (None, &[][..]),
                Parents::One(parent) => (self.parent(parent), &[][..]),
                Parents::Several => (None, self.snapshot.list(self.kind.parents)),
            },
            What::User(..) | What::Project(_) | What::Role(_) => (None, &[][..]),
        };
        let named = several
            .iter()
            .filter_map(move |&kind| self.parent(told_parent(self.snapshot, self.told, kind)?));
        object.into_iter().chain(named)
    }

    /// Whether the user is an operator of the resource or of what it belongs to.
    pub(super) fn operated_by(&self, user_id: u32, user: &UserRow) -> bool {
        self.operators()
            .any(|members| is_member(self.snapshot, members, user_id, user))
    }

    fn owner_row(&self) -> Option<&'a UserRow> {
        self.snapshot.user(self.owner()?)
    }

    fn parent(&self, parent: Option<(u32, Classes)>) -> Option<&'a ObjectRow> {
        self.snapshot.object(parent?.0)
    }

    fn told_one(&self, outline: u64, name: u32, kind: Kind) -> Given {
        if self.outlines & outline == 0 {
            return Given::No;
        }
        match self.told.get(self.snapshot.text(name)).and_then(given) {
            None => Given::No,
            Some(View::Text(text)) => self
                .snapshot
                .find(kind, text)
                .map_or(Given::Nothing, Given::Is),
            Some(_) => Given::Nothing,
        }
    }

    /// Whether the request gives something under one of these names.
    #[inline(always)]
    fn tells(&self, outlines: u64, names: u32) -> bool {
        self.outlines & outlines != 0 && self.tells_one_of(names)
    }

    #[inline(never)]
    fn tells_one_of(&self, names: u32) -> bool {
        let told = |&name: &u32| {
            self.told
                .get(self.snapshot.text(name))
                .and_then(given)
                .is_some()
        };
        self.snapshot.list(names).iter().any(told)
    }

    /// Whether `test` holds for some member of the fact.
    pub(super) fn any(&self, many: Many<'a>, mut test: impl FnMut(u32) -> bool) -> bool {
        match many {
            Many::Listed(list) => list.iter().any(|&id| test(id)),
            Many::One(id) => test(id),
            Many::Nothing => false,
            Many::Told { names, kind } => {
                let mut named = |value: View<'a>| match value {
                    View::Text(text) => self.snapshot.find(kind, text).is_some_and(&mut test),
                    _ => false,
                };
                let names = self.snapshot.list(names).iter();
                let mut told = names.filter_map(|&name| self.told.get(self.snapshot.text(name)));
                told.any(|value| match value {
                    View::List(items) => items.any(&mut named),
                    value => named(value),
                })
            }
            Many::SharedByParents => {
                let kinds = self.snapshot.list(self.kind.parents);
                let mut parents = kinds
                    .iter()
                    .filter_map(|&kind| told_parent(self.snapshot, self.told, kind));
                let Some(first) = parents.next().and_then(|first| self.parent(first)) else {
                    return false;
                };
                let shared = |project: u32| {
                    kinds
                        .iter()
                        .filter_map(|&kind| told_parent(self.snapshot, self.told, kind))
                        .all(|parent| {
                            self.parent(parent).is_some_and(|row| {
                                self.snapshot
                                    .list(row.projects)
                                    .binary_search(&project)
                                    .is_ok()
                            })
                        })
                };
                let projects = self.snapshot.list(first.projects);
                projects
                    .iter()
                    .any(|&project| shared(project) && test(project))
            }
        }
    }
}

/// The parent of this type that the request names: `None` where it names none, `Some(None)`
/// where what it names is not registered.
#[inline]
fn told_parent(
    snapshot: &Snapshot,
    told: Members<'_>,
    kind: u32,
) -> Option<Option<(u32, Classes)>> {
    let name = snapshot.text(snapshot.kind(kind)?.name);
    let View::Text(id) = given(told.get(name)?)? else {
        return Some(None);
    };
    Some(snapshot.find_classed(Kind::object_of(kind), id))
}

/// Whether requests about this type give a fact under this name, so that it is no property.
pub(super) fn names_a_fact(snapshot: &Snapshot, kind: &TypeRow, name: &str) -> bool {
    let text = |id: &u32| snapshot.text_is(*id, name);
    text(&kind.owner_name)
        || text(&kind.group_name)
        || snapshot.list(kind.department_names).iter().any(text)
        || snapshot.list(kind.project_names).iter().any(text)
}

/// What is given: an empty list is nothing.
fn given(value: View<'_>) -> Option<View<'_>> {
    match value {
        View::List(items) if Items::is_empty(items) => None,
        value => Some(value),
    }
}

/// Whether the user is one of these people.
pub(super) fn is_member(
    snapshot: &Snapshot,
    members: &MembersRow,
    user_id: u32,
    user: &UserRow,
) -> bool {
    let has = |list: u32, id: u32| snapshot.list(list).binary_search(&id).is_ok();
    has(members.users, user_id)
        || some(user.group).is_some_and(|group| has(members.groups, group))
        || intersect(
            snapshot.list(members.departments),
            snapshot.list(user.within),
        )
        || intersect(snapshot.list(members.teams), snapshot.list(user.teams))
}

/// A policy's chains of departments are at most this deep; a bound for what a file may say.
const DEPARTMENTS_DEEP_MAX: usize = 64;

/// A department and those above it.
pub(super) fn upwards(snapshot: &Snapshot, department: u32) -> impl Iterator<Item = u32> {
    let above = |&id: &u32| snapshot.department(id).and_then(|row| some(row.parent));
    std::iter::successors(Some(department), above).take(DEPARTMENTS_DEEP_MAX)
}

/// Whether two sorted lists share a member.
#[inline]
pub(super) fn intersect(a: &[u32], b: &[u32]) -> bool {
    let (mut of_a, mut of_b) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(of_a), b.get(of_b)) {
        if x == y {
            return true;
        }
        // Which of them is less is not foreseen: both step without a branch.
        of_a += usize::from(x < y);
        of_b += usize::from(y < x);
    }
    false
}
