//! What users gain and lose by roles, and the roles and assignments that cause it.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use super::super::tables::NONE;
use super::changes::{Changes, user_names};
use super::matters::Matters;
use super::numbering::{Pair, Side};
use super::rules::{Item, Roles, covered, limits, tidy_all};
use super::{Cause, Change, Effect, Event};
use crate::model::ScopeSet;

/// What an active user holds: the role set and the list of limited roles; none where nobody counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Hand {
    pub(super) role_set: u32,
    pub(super) limited: u32,
}

/// Users, by common number, by what they held and hold.
pub(super) type Profiles = HashMap<(Hand, Hand), Vec<u32>, FixedState>;

/// A role, and its limit or none.
type Held = (u32, u32);

/// Who gains (`true`) or loses which item of which permission.
type Gathered = HashMap<(bool, u32, Item), Vec<u32>, FixedState>;

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
struct Comparison<'c, 's> {
    pair: &'c Pair<'s>,
    roles: &'c Roles,
    /// For each role the permissions of which it says something else now.
    changed: Vec<Vec<u32>>,
    /// For each role the permissions of which it says or said something.
    speaks: Vec<Vec<u32>>,
    gathered: Gathered,
    given: BTreeMap<(Held, bool), Vec<u32>>,
    /// Users who hold a changed role.
    holders: Vec<Vec<u32>>,
}

pub(super) fn compare<'s>(
    pair: &Pair<'s>,
    matters: &Matters<'_>,
    roles: &Roles,
    profiles: Profiles,
    changes: &mut Changes<'s>,
) -> (Vec<Effect<'s>>, Vec<Effect<'s>>) {
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
        gathered: Gathered::default(),
        given: BTreeMap::new(),
        holders: all.map(|_| Vec::new()).collect(),
    };
    for ((old, new), users) in profiles {
        comparison.profile(old, new, &users);
    }
    comparison.assignments(matters, changes);
    comparison.role_changes(matters, changes);
    comparison.effects()
}

// === impl Comparison ===

impl<'s> Comparison<'_, 's> {
    /// Gathers what these users, who held and hold the same, gain and lose.
    fn profile(&mut self, old: Hand, new: Hand, users: &[u32]) {
        let old = old.roles(self.pair, Side::Old);
        let new = new.roles(self.pair, Side::New);
        let mut touched = Vec::new();
        let mut roles = Vec::new();
        for (here, there, come) in [(&old, &new, false), (&new, &old, true)] {
            for &held in here {
                let changed = of(&self.changed, held.0);
                if there.binary_search(&held).is_err() {
                    self.given.entry((held, come)).or_default().extend(users);
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
                holders.extend(users);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for permission in touched {
            let plain = |side, held: &[Held]| self.roles.plain(side, held, permission);
            // Mostly both are without conditions and limits, and mostly the same.
            if let (Some(before), Some(after)) = (plain(Side::Old, &old), plain(Side::New, &new))
                && before == after
            {
                continue;
            }
            let before = self.state(Side::Old, &old, permission);
            let after = self.state(Side::New, &new, permission);
            let gone = before.iter().filter(|&&item| !covered(&after, item));
            let come = after.iter().filter(|&&item| !covered(&before, item));
            // What is granted no more is a loss, what is denied no more a gain.
            let found = gone.map(|&item| (!item.grants(), item));
            let found = found.chain(come.map(|&item| (item.grants(), item)));
            for (gain, item) in found {
                let place = self.gathered.entry((gain, permission, item));
                place.or_default().extend(users);
            }
        }
    }

    /// All that roles say of a permission to one who holds them.
    fn state(&self, side: Side, held: &[Held], permission: u32) -> Vec<Item> {
        if let Some(plain) = self.roles.plain(side, held, permission) {
            return plain.items();
        }
        let mut items = Vec::new();
        for &(role, limit) in held {
            let said = self.roles.says(side, role, permission).iter();
            items.extend(said.map(|&item| Item { limit, ..item }));
        }
        tidy_all(&mut items);
        items
    }

    /// Roles that came and went. A role that everybody now has, or no more, is told once.
    fn assignments(&mut self, matters: &Matters<'_>, changes: &mut Changes<'s>) {
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
        let mut push = |cause, held: Held, come: bool, users: &[u32]| {
            let event = if come { Event::Added } else { Event::Removed };
            let name = pair.role_name(held.0).into();
            changes.push(Change {
                limits: limits(pair, held.1),
                users: user_names(pair, users),
                ..Change::new(cause, event, name)
            });
        };
        for (all, other, come) in [(&old, &new, false), (&new, &old, true)] {
            for &held in all.iter().filter(|held| other.binary_search(held).is_err()) {
                let users = self.given.remove(&(held, come)).unwrap_or_default();
                if matters.tests_roles || !users.is_empty() {
                    push(Cause::ImplicitRole, held, come, &users);
                }
            }
        }
        for (&(held, come), users) in &self.given {
            push(Cause::Assignment, held, come, users);
        }
    }

    /// Roles that came, went, or say something else.
    fn role_changes(&self, matters: &Matters<'_>, changes: &mut Changes<'s>) {
        let pair = self.pair;
        for role in pair.roles.all() {
            let users = self
                .holders
                .get(role as usize)
                .map_or(&[][..], Vec::as_slice);
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
            changes.push(Change {
                lost: without(Side::Old, Side::New),
                gained: without(Side::New, Side::Old),
                users: user_names(pair, users),
                ..Change::new(Cause::Role, event, pair.role_name(role).into())
            });
        }
    }

    /// What was gathered: the same for the same users in one.
    fn effects(self) -> (Vec<Effect<'s>>, Vec<Effect<'s>>) {
        let (pair, roles) = (self.pair, self.roles);
        type By<K, V> = HashMap<K, V, FixedState>;
        let mut scopes = By::<(bool, u32, Item, Vec<u32>), ScopeSet>::default();
        for ((gain, permission, item), mut users) in self.gathered {
            users.sort_unstable();
            users.dedup();
            let key = (gain, permission, item.without_scope(), users);
            let place = scopes.entry(key).or_default();
            *place = item.scope.map_or(*place, |scope| place.with(scope));
        }
        let mut permissions = By::<(bool, Item, ScopeSet, Vec<u32>), Vec<String>>::default();
        for ((gain, permission, item, users), scopes) in scopes {
            let place = permissions.entry((gain, item, scopes, users)).or_default();
            place.push(pair.permission_name(permission));
        }
        let (mut gains, mut losses) = (Vec::new(), Vec::new());
        for ((gain, item, scopes, users), mut permissions) in permissions {
            permissions.sort_unstable();
            let effect = Effect {
                permissions,
                rule: roles.rule(pair, item, scopes),
                users: user_names(pair, &users),
            };
            if gain { &mut gains } else { &mut losses }.push(effect);
        }
        for effects in [&mut gains, &mut losses] {
            effects.sort_by(|a, b| effect_order(a).cmp(&effect_order(b)));
        }
        (gains, losses)
    }
}

/// Those that reach most users first.
fn effect_order<'e>(effect: &'e Effect<'_>) -> impl Ord + use<'e> {
    let Effect {
        permissions,
        rule,
        users,
    } = effect;
    let rest = (rule.effect as u8, &rule.scopes, &rule.when);
    (
        std::cmp::Reverse(users.len()),
        permissions,
        rest,
        rule.limits.clone(),
        users,
    )
}

fn of(permissions: &[Vec<u32>], role: u32) -> &[u32] {
    permissions.get(role as usize).map_or(&[], Vec::as_slice)
}
