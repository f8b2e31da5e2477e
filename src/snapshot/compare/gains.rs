//! What users gain and lose by their roles, permission by permission.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use foldhash::fast::FixedState;

use super::changes::user_names;
use super::effects::Held;
use super::numbering::{Pair, Side};
use super::rules::{Item, Roles, covered};
use super::{Effect, Limits};
use crate::model::ScopeSet;

/// Users who held and hold the same.
pub(super) struct Group<U> {
    pub(super) old: Vec<Held>,
    pub(super) new: Vec<Held>,
    pub(super) users: U,
}

/// Weighs what a group held against what it holds, permission by permission.
#[derive(Default)]
pub(super) struct Scales {
    before: Vec<Item>,
    after: Vec<Item>,
}

/// For whom roles came, went or were changed, and what those roles speak of.
pub(super) struct Touched {
    groups: Vec<Group<Vec<u32>>>,
    /// By permission.
    by_permission: Vec<Vec<u32>>,
}

/// What is gained (`true`) or lost: rules that differ in scope alone are one.
type Key = (bool, Item, ScopeSet, Vec<u32>);

type By<K, V> = HashMap<K, V, FixedState>;

/// Threads that compare, at most.
const THREADS_MAX: usize = 4;

// === impl Touched ===

impl Touched {
    pub(super) fn new(pair: &Pair<'_>) -> Self {
        Self {
            groups: Vec::new(),
            by_permission: pair.permissions.all().map(|_| Vec::new()).collect(),
        }
    }

    /// Adds those for whom these permissions may have come or gone.
    pub(super) fn add(&mut self, group: Group<Vec<u32>>, permissions: &[u32]) {
        for &permission in permissions {
            if let Some(groups) = self.by_permission.get_mut(permission as usize) {
                groups.push(self.groups.len() as u32);
            }
        }
        self.groups.push(group);
    }
}

// === impl Scales ===

impl Scales {
    /// What the group gains (`true`) and loses of a permission.
    pub(super) fn weigh<U>(
        &mut self,
        roles: &Roles,
        group: &Group<U>,
        permission: u32,
    ) -> impl Iterator<Item = (bool, Item)> {
        let Self { before, after } = self;
        before.clear();
        after.clear();
        let plain = |side, held: &[Held]| roles.plain(side, held, permission);
        // Mostly both are without conditions and limits, and mostly the same.
        let (old, new) = (plain(Side::Old, &group.old), plain(Side::New, &group.new));
        if old.is_none() || old != new {
            roles.all_says(Side::Old, &group.old, permission, before);
            roles.all_says(Side::New, &group.new, permission, after);
        }
        let gone = before.iter().filter(|&&item| !covered(after, item));
        let come = after.iter().filter(|&&item| !covered(before, item));
        // What is granted no more is a loss, what is denied no more a gain.
        let gone = gone.map(|&item| (!item.grants(), item));
        gone.chain(come.map(|&item| (item.grants(), item)))
    }
}

/// What users gain, and what they lose: the same for the same users in one.
pub(super) fn compare<'s>(
    pair: &Pair<'s>,
    roles: &Roles,
    touched: &Touched,
) -> (Vec<Effect<'s>>, Vec<Effect<'s>>) {
    let mut permissions = By::<Key, Vec<String>>::default();
    for (permission, keys) in all(roles, touched) {
        let name = pair.permission_name(permission);
        for key in keys {
            permissions.entry(key).or_default().push(name.clone());
        }
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
        effects.sort_by(|a, b| order(a).cmp(&order(b)));
    }
    (gains, losses)
}

/// All permissions, each on the thread that comes to it first.
fn all(roles: &Roles, touched: &Touched) -> Vec<(u32, Vec<Key>)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let permission = next.fetch_add(1, Ordering::Relaxed);
            let Some(groups) = touched.by_permission.get(permission) else {
                return found;
            };
            let permission = permission as u32;
            let groups = groups
                .iter()
                .filter_map(|&id| touched.groups.get(id as usize));
            found.push((permission, one(roles, permission, groups)));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let others = 1..threads.min(THREADS_MAX);
        let others: Vec<_> = others.map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            let other = other.join();
            found.extend(other.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        found
    })
}

/// Who gains and loses what of one permission.
fn one<'g>(
    roles: &Roles,
    permission: u32,
    groups: impl Iterator<Item = &'g Group<Vec<u32>>>,
) -> Vec<Key> {
    let mut gathered = By::<(bool, Item), Vec<u32>>::default();
    let mut scales = Scales::default();
    for group in groups {
        for key in scales.weigh(roles, group, permission) {
            gathered.entry(key).or_default().extend(&group.users);
        }
    }
    let mut scopes = By::<(bool, Item, Vec<u32>), ScopeSet>::default();
    for ((gain, item), mut users) in gathered {
        users.sort_unstable();
        let place = scopes
            .entry((gain, item.without_scope(), users))
            .or_default();
        *place = item.scope.map_or(*place, |scope| place.with(scope));
    }
    let keys = scopes.into_iter();
    keys.map(|((gain, item, users), scopes)| (gain, item, scopes, users))
        .collect()
}

/// Those that reach most users first.
fn order<'e>(effect: &'e Effect<'_>) -> impl Ord + use<'e> {
    let Effect {
        permissions,
        rule,
        users,
    } = effect;
    let rest = (rule.effect as u8, &rule.scopes, &rule.when);
    let limits: Option<&'e Limits<'e>> = rule.limits.as_ref();
    (
        std::cmp::Reverse(users.len()),
        permissions,
        rest,
        limits,
        users,
    )
}
