//! The roles and assignments by which users gain and lose something.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use super::super::tables::NONE;
use super::changes::{Notes, Users};
use super::gains::Group;
use super::matters::Matters;
use super::numbering::{Pair, Side};
use super::rules::{Item, Roles, limits};
use super::{Cause, Change, Event};

/// What an active user holds: the role set and the list of limited roles; none where nobody counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hand {
    pub(super) role_set: u32,
    pub(super) limited: u32,
}

/// Users, by common number, by what they held and hold; in the order of their first users, so that
/// what is gathered of them lies nearly sorted.
#[derive(Default)]
pub(super) struct Profiles<U> {
    all: Vec<((Hand, Hand), U)>,
    places: HashMap<(Hand, Hand), usize, FixedState>,
}

/// A role, and its limit or none.
pub(super) type Held = (u32, u32);

// === impl Profiles ===

impl<U: Users> Profiles<U> {
    /// Adds a user who held and holds this.
    pub(super) fn add(&mut self, hands: (Hand, Hand), user: u32) {
        let next = self.all.len();
        let place = *self.places.entry(hands).or_insert(next);
        if place == next {
            self.all.push((hands, U::default()));
        }
        if let Some((_, users)) = self.all.get_mut(place) {
            users.add(user);
        }
    }
}

// === impl Hand ===

impl Hand {
    pub(super) const EMPTY: Self = Self {
        role_set: NONE,
        limited: NONE,
    };

    /// The roles, sorted. One that is held for good is not held at times besides.
    fn roles(self, pair: &Pair<'_>, side: Side) -> Vec<Held> {
        let snapshot = pair.on(side);
        let set = snapshot.tables.role_sets.get(self.role_set as usize);
        let for_good = set.map_or(&[][..], |set| snapshot.list(set.roles)).iter();
        let for_good = for_good.map(|&role| (pair.roles.common(side, role), NONE));
        let mut held: Vec<Held> = for_good.collect();
        held.sort_unstable();
        let always = held.len();
        for &id in snapshot.list(self.limited) {
            if let Some(row) = snapshot.tables.limited.get(id as usize) {
                let role = pair.roles.common(side, row.role);
                let always = held.get(..always).unwrap_or(&[]);
                if always.binary_search(&(role, NONE)).is_err() {
                    held.push((role, pair.limit(side, id)));
                }
            }
        }
        held.sort_unstable();
        held
    }
}

/// What is compared and found.
struct Comparison<'c, 's, U> {
    pair: &'c Pair<'s>,
    roles: &'c Roles,
    /// For each role the permissions of which it says something else now.
    changed: Vec<Vec<u32>>,
    /// For each role the permissions of which it says or said something.
    speaks: Vec<Vec<u32>>,
    given: BTreeMap<(Held, bool), U>,
    /// Users who hold a changed role.
    holders: Vec<U>,
}

/// Compares roles and who holds them. `touch` is given those for whom roles came, went or were
/// changed, and the permissions of which these roles speak.
pub(super) fn compare<'s, N: Notes<'s>>(
    pair: &Pair<'s>,
    matters: &Matters<'_>,
    roles: &Roles,
    profiles: Profiles<N::Users>,
    changes: &mut N,
    mut touch: impl FnMut(Group<N::Users>, &[u32]),
) {
    let permissions = |role: u32, test: &dyn Fn(&[Item], &[Item]) -> bool| {
        let differs = |&permission: &u32| {
            test(
                roles.says(Side::Old, role, permission),
                roles.says(Side::New, role, permission),
            )
        };
        pair.permissions.all().filter(differs).collect::<Vec<u32>>()
    };
    let all = pair.roles.all();
    let mut comparison = Comparison {
        pair,
        roles,
        changed: all
            .clone()
            .map(|role| permissions(role, &|old, new| old != new))
            .collect(),
        speaks: all
            .clone()
            .map(|role| permissions(role, &|old, new| !old.is_empty() || !new.is_empty()))
            .collect(),
        given: BTreeMap::new(),
        holders: all.map(|_| N::Users::default()).collect(),
    };
    for ((old, new), users) in profiles.all {
        let (group, permissions) = comparison.profile(old, new, users);
        if !permissions.is_empty() {
            touch(group, &permissions);
        }
    }
    comparison.role_changes(matters, changes);
    comparison.assignments(matters, changes);
}

// === impl Comparison ===

impl<'s, U: Users> Comparison<'_, 's, U> {
    /// Notes what came to these users, who held and hold the same, and what went; and tells of
    /// which permissions that speaks.
    fn profile(&mut self, old: Hand, new: Hand, users: U) -> (Group<U>, Vec<u32>) {
        let old = old.roles(self.pair, Side::Old);
        let new = new.roles(self.pair, Side::New);
        let mut touched = Vec::new();
        let mut roles = Vec::new();
        for (here, there, come) in [(&old, &new, false), (&new, &old, true)] {
            for &held in here {
                let changed = of(&self.changed, held.0);
                if there.binary_search(&held).is_err() {
                    self.given.entry((held, come)).or_default().join(&users);
                    touched.extend(of(&self.speaks, held.0));
                } else {
                    touched.extend(changed);
                }
                if !changed.is_empty() {
                    roles.push(held.0);
                }
            }
        }
        roles.sort_unstable();
        roles.dedup();
        for role in roles {
            if let Some(holders) = self.holders.get_mut(role as usize) {
                holders.join(&users);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        (Group { old, new, users }, touched)
    }

    /// Roles that came and went. A role that everybody now has, or no more, is told once.
    fn assignments(mut self, matters: &Matters<'_>, changes: &mut impl Notes<'s, Users = U>) {
        let pair = self.pair;
        let implicit = |side| {
            let meta = pair.on(side).meta();
            let hand = Hand {
                role_set: meta.implicit_set,
                limited: meta.implicit_limited,
            };
            hand.roles(pair, side)
        };
        let (old, new) = (implicit(Side::Old), implicit(Side::New));
        let mut push = |cause, held: Held, come: bool, users: U| {
            let event = if come { Event::Added } else { Event::Removed };
            let name = pair.role_name(held.0).into();
            let change = Change {
                limits: limits(pair, held.1),
                ..Change::new(cause, event, name)
            };
            changes.push(change, users);
        };
        for (all, other, come) in [(&old, &new, false), (&new, &old, true)] {
            for &held in all.iter().filter(|held| other.binary_search(held).is_err()) {
                let users = self.given.remove(&(held, come)).unwrap_or_default();
                if matters.tests_roles || !users.is_empty() {
                    push(Cause::ImplicitRole, held, come, users);
                }
            }
        }
        for ((held, come), users) in self.given {
            push(Cause::Assignment, held, come, users);
        }
    }

    /// Roles that came, went, or say something else.
    fn role_changes(&mut self, matters: &Matters<'_>, changes: &mut impl Notes<'s, Users = U>) {
        let pair = self.pair;
        for role in pair.roles.all() {
            let holders = self.holders.get_mut(role as usize);
            let users = holders.map(std::mem::take).unwrap_or_default();
            let at = |side| pair.roles.at(side, role).is_some();
            let event = match (at(Side::Old), at(Side::New)) {
                (true, true) => Event::Changed,
                (false, _) => Event::Added,
                (true, false) => Event::Removed,
            };
            let asked = matters.tests_roles || !users.is_empty();
            let listed = match event {
                Event::Changed => asked && !of(&self.changed, role).is_empty(),
                Event::Added | Event::Removed => asked || matters.roles,
            };
            if !listed {
                continue;
            }
            let without = |side: Side, other: Side| {
                let mut items = Vec::new();
                for &permission in of(&self.changed, role) {
                    let others = self.roles.says(other, role, permission);
                    let own = self.roles.says(side, role, permission).iter();
                    let own = own.filter(|item| !others.contains(item));
                    items.extend(own.map(|&item| (permission, item)));
                }
                self.roles.lines(pair, &items)
            };
            let change = Change {
                lost: without(Side::Old, Side::New),
                gained: without(Side::New, Side::Old),
                ..Change::new(Cause::Role, event, pair.role_name(role).into())
            };
            changes.push(change, users);
        }
    }
}

fn of(permissions: &[Vec<u32>], role: u32) -> &[u32] {
    permissions.get(role as usize).map_or(&[], Vec::as_slice)
}
