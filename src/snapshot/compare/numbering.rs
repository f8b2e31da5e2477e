//! One numbering for two snapshots, whose numbers differ though the names are the same.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::super::tables::{LimitedRow, NONE};
use super::super::{Kind, Snapshot};

/// One of the two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Old,
    New,
}

/// The common numbers of one kind of thing: those of the newer snapshot, and behind them what only
/// the older has.
pub(super) struct Numbering {
    of_old: Vec<u32>,
    /// Common → old; `NONE` for what only the newer has.
    in_old: Vec<u32>,
    new: u32,
}

/// What a role that is held at times is limited to, in common numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Limit {
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) projects: Option<Vec<u32>>,
    pub(super) on_shift: bool,
}

/// What is in one list and not in the other, in common numbers.
#[derive(Clone, Default)]
pub(super) struct Delta {
    pub(super) gone: Vec<u32>,
    pub(super) come: Vec<u32>,
}

/// Of how many pairs of rows it is remembered, at most, what differs: where few are met twice, what
/// is remembered would outgrow what is compared.
pub(super) const SEEN_MAX: usize = 1 << 14;

/// Deltas of pairs of lists met before: lists are shared by many rows.
#[derive(Default)]
pub(super) struct Deltas {
    seen: HashMap<(u32, u32), Delta, FixedState>,
    none: Delta,
}

/// Two snapshots, and the common numbers of what they name.
pub(super) struct Pair<'s> {
    pub(super) old: &'s Snapshot,
    pub(super) new: &'s Snapshot,
    pub(super) types: Numbering,
    pub(super) permissions: Numbering,
    pub(super) roles: Numbering,
    pub(super) groups: Numbering,
    pub(super) departments: Numbering,
    pub(super) projects: Numbering,
    pub(super) users: Numbering,
    pub(super) objects: Numbering,
    /// Ids of users, by common number: they are asked for again and again.
    user_names: Vec<&'s str>,
    /// Limits, by their common number.
    pub(super) limits: Vec<Limit>,
    old_limits: Vec<u32>,
    new_limits: Vec<u32>,
}

/// What the newer snapshot calls a thing of the older one.
pub(super) type Find<'f> = &'f dyn Fn(u32) -> Option<u32>;

// === impl Numbering ===

impl Numbering {
    /// Numbers `old` and `new` things. A thing of the older snapshot is the first one that a finder
    /// finds and that no other thing is yet.
    pub(super) fn new(old: usize, new: usize, finders: &[Find<'_>]) -> Self {
        let mut of_old = vec![NONE; old];
        let mut in_old = vec![NONE; new];
        for find in finders {
            for (common, id) in of_old.iter_mut().zip(0..) {
                if *common != NONE {
                    continue;
                }
                let found = find(id);
                let place = found.and_then(|found| in_old.get_mut(found as usize));
                if let (Some(found), Some(place)) = (found, place.filter(|place| **place == NONE)) {
                    *place = id;
                    *common = found;
                }
            }
        }
        for (common, id) in of_old.iter_mut().zip(0..) {
            if *common == NONE {
                *common = in_old.len() as u32;
                in_old.push(id);
            }
        }
        Self {
            of_old,
            in_old,
            new: new as u32,
        }
    }

    /// The common number of a side's own number.
    pub(super) fn common(&self, side: Side, id: u32) -> u32 {
        match side {
            Side::New if id < self.new => id,
            Side::New => NONE,
            Side::Old => self.of_old.get(id as usize).copied().unwrap_or(NONE),
        }
    }

    /// The number on a side of what has this common number, if that side has it.
    pub(super) fn at(&self, side: Side, common: u32) -> Option<u32> {
        match side {
            Side::New => (common < self.new).then_some(common),
            Side::Old => {
                let id = self.in_old.get(common as usize).copied();
                id.filter(|&id| id != NONE)
            }
        }
    }

    /// All common numbers.
    pub(super) fn all(&self) -> std::ops::Range<u32> {
        0..self.in_old.len() as u32
    }
}

// === impl Deltas ===

impl Deltas {
    /// What differs between the old list and the new one.
    pub(super) fn of(
        &mut self,
        pair: &Pair<'_>,
        numbering: &Numbering,
        old: u32,
        new: u32,
    ) -> &Delta {
        if pair.is_same(numbering, old, new) {
            return &self.none;
        }
        if self.seen.len() == SEEN_MAX {
            self.seen.clear();
        }
        self.seen.entry((old, new)).or_insert_with(|| {
            let old = pair.list(Side::Old, old, numbering);
            let new = pair.list(Side::New, new, numbering);
            Delta::between(&old, &new)
        })
    }
}

// === impl Delta ===

impl Delta {
    /// Of two sorted lists.
    pub(super) fn between(old: &[u32], new: &[u32]) -> Self {
        let without = |of: &[u32], other: &[u32]| {
            let ids = of.iter().copied();
            ids.filter(|id| other.binary_search(id).is_err()).collect()
        };
        Self {
            gone: without(old, new),
            come: without(new, old),
        }
    }

    /// What is left when these are taken out.
    pub(super) fn without(&self, gone: &[u32], come: &[u32]) -> Self {
        let rest = |of: &[u32], out: &[u32]| {
            let ids = of.iter().copied();
            ids.filter(|id| !out.contains(id)).collect()
        };
        Self {
            gone: rest(&self.gone, gone),
            come: rest(&self.come, come),
        }
    }
}

// === impl Pair ===

impl<'s> Pair<'s> {
    pub(super) fn new(old: &'s Snapshot, new: &'s Snapshot) -> Self {
        let (a, b) = (&old.tables, &new.tables);
        let named = |kind, name: Option<u32>| new.find(kind, old.text(name?));
        let group = |id| named(Kind::GROUP, a.groups.get(id as usize).map(|row| row.name));
        let department = |id| named(Kind::DEPARTMENT, old.department(id).map(|row| row.name));
        let project = |id| {
            named(
                Kind::PROJECT,
                a.projects.get(id as usize).map(|row| row.name),
            )
        };
        let role = |id| named(Kind::ROLE, old.role(id).map(|row| row.name));
        let kind = |id| named(Kind::TYPE, old.kind(id).map(|row| row.name));
        let permission = |id| {
            let row = old.permission(id)?;
            new.find(Kind::action_of(kind(row.kind)?), old.text(row.name))
        };
        let alias = |id| named(Kind::USER, old.user(id).map(|row| row.id));
        let user = |id| {
            let found = alias(id)?;
            let same = new.text(new.user(found)?.id) == old.text(old.user(id)?.id);
            same.then_some(found)
        };
        let object = |id| {
            let row = old.object(id)?;
            new.find(Kind::object_of(kind(row.kind)?), old.text(row.id))
        };
        let mut pair = Self {
            old,
            new,
            types: Numbering::new(a.types.len(), b.types.len(), &[&kind]),
            permissions: Numbering::new(a.permissions.len(), b.permissions.len(), &[&permission]),
            roles: Numbering::new(a.roles.len(), b.roles.len(), &[&role]),
            groups: Numbering::new(a.groups.len(), b.groups.len(), &[&group]),
            departments: Numbering::new(a.departments.len(), b.departments.len(), &[&department]),
            projects: Numbering::new(a.projects.len(), b.projects.len(), &[&project]),
            // A user who got another id is the same as long as the old id is an alias.
            users: Numbering::new(a.users.len(), b.users.len(), &[&user, &alias]),
            objects: Numbering::new(a.objects.len(), b.objects.len(), &[&object]),
            user_names: Vec::new(),
            limits: Vec::new(),
            old_limits: Vec::new(),
            new_limits: Vec::new(),
        };
        pair.user_names = (pair.users.all().map(|user| pair.user_id(user))).collect();
        let mut places = HashMap::default();
        pair.old_limits = pair.number_limits(Side::Old, &mut places);
        pair.new_limits = pair.number_limits(Side::New, &mut places);
        pair
    }

    pub(super) fn on(&self, side: Side) -> &'s Snapshot {
        match side {
            Side::Old => self.old,
            Side::New => self.new,
        }
    }

    /// A side's list in common numbers, sorted.
    pub(super) fn list(&self, side: Side, list: u32, numbering: &Numbering) -> Vec<u32> {
        let ids = self.on(side).list(list).iter();
        let mut ids: Vec<u32> = ids.map(|&id| numbering.common(side, id)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Whether the old list is the new one. Lists that are not in the order of their names may be
    /// said to differ that do not.
    pub(super) fn is_same(&self, numbering: &Numbering, old: u32, new: u32) -> bool {
        let (old, new) = (self.old.list(old), self.new.list(new));
        let common = |&id: &u32| numbering.common(Side::Old, id);
        old.len() == new.len() && old.iter().map(common).eq(new.iter().copied())
    }

    /// The common number of a limited row's limit.
    pub(super) fn limit(&self, side: Side, row: u32) -> u32 {
        let limits = match side {
            Side::Old => &self.old_limits,
            Side::New => &self.new_limits,
        };
        limits.get(row as usize).copied().unwrap_or(NONE)
    }

    fn number_limits(
        &mut self,
        side: Side,
        places: &mut HashMap<Limit, u32, FixedState>,
    ) -> Vec<u32> {
        let mut numbers = Vec::new();
        for row in self.on(side).tables.limited.iter() {
            let LimitedRow {
                from,
                until,
                projects,
                on_shift,
                ..
            } = *row;
            let limit = Limit {
                from,
                until,
                projects: (projects != NONE).then(|| self.list(side, projects, &self.projects)),
                on_shift: on_shift != 0,
            };
            let next = self.limits.len() as u32;
            let number = *places.entry(limit.clone()).or_insert(next);
            if number == next {
                self.limits.push(limit);
            }
            numbers.push(number);
        }
        numbers
    }

    // Names: those of the newer snapshot, and of the older where only it has the thing.

    pub(super) fn user_name(&self, common: u32) -> &'s str {
        let name = self.user_names.get(common as usize).copied();
        name.unwrap_or_default()
    }

    fn user_id(&self, common: u32) -> &'s str {
        self.name(&self.users, common, |snapshot, id| {
            Some(snapshot.user(id)?.id)
        })
    }

    pub(super) fn role_name(&self, common: u32) -> &'s str {
        self.name(&self.roles, common, |snapshot, id| {
            Some(snapshot.role(id)?.name)
        })
    }

    pub(super) fn group_name(&self, common: u32) -> &'s str {
        self.name(&self.groups, common, |snapshot, id| {
            Some(snapshot.tables.groups.get(id as usize)?.name)
        })
    }

    pub(super) fn department_name(&self, common: u32) -> &'s str {
        self.name(&self.departments, common, |snapshot, id| {
            Some(snapshot.department(id)?.name)
        })
    }

    pub(super) fn project_name(&self, common: u32) -> &'s str {
        self.name(&self.projects, common, |snapshot, id| {
            Some(snapshot.tables.projects.get(id as usize)?.name)
        })
    }

    pub(super) fn type_name(&self, common: u32) -> &'s str {
        self.name(&self.types, common, |snapshot, id| {
            Some(snapshot.kind(id)?.name)
        })
    }

    pub(super) fn permission_name(&self, common: u32) -> String {
        let of = |side| {
            let id = self.permissions.at(side, common)?;
            Some(self.on(side).permission_name(id))
        };
        of(Side::New).or_else(|| of(Side::Old)).unwrap_or_default()
    }

    pub(super) fn object_name(&self, common: u32) -> String {
        let of = |side| {
            let snapshot = self.on(side);
            let row = snapshot.object(self.objects.at(side, common)?)?;
            let kind = snapshot.text(snapshot.kind(row.kind)?.name);
            Some([kind, ":", snapshot.text(row.id)].concat())
        };
        of(Side::New).or_else(|| of(Side::Old)).unwrap_or_default()
    }

    fn name(
        &self,
        numbering: &Numbering,
        common: u32,
        text: impl Fn(&Snapshot, u32) -> Option<u32>,
    ) -> &'s str {
        let of = |side| {
            let id = numbering.at(side, common)?;
            Some(self.on(side).text(text(self.on(side), id)?))
        };
        of(Side::New).or_else(|| of(Side::Old)).unwrap_or_default()
    }
}
