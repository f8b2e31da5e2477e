//! What a diff comes to, in numbers alone: for a line of a log.
//!
//! Of large companies that share nothing but names a diff takes many times the memory that they
//! take. Here no user, object or change is kept, but a digest of each change, so that what happens
//! to many alike is counted once; and whom it reaches is a number at once.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::super::Snapshot;
use super::changes::{Key, Notes, Users};
use super::gains::{Group, Scales};
use super::matters::Matters;
use super::numbering::Pair;
use super::rules::Roles;
use super::{Change, May, catalogue, effects, objects, people, routes};

/// What a [`Diff`](super::Diff) comes to, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impact {
    /// Users who gain something by their roles.
    pub users_gain: usize,
    /// Users who lose something by their roles.
    pub users_lose: usize,
    /// Permissions of which some user gains something.
    pub permissions_gained: usize,
    /// Permissions of which some user loses something.
    pub permissions_lost: usize,
    /// How many things were changed.
    pub changes: usize,
    /// Whether somebody gains, or may gain.
    pub may_gain: bool,
    /// Whether somebody loses, or may lose.
    pub may_lose: bool,
}

/// Which ways something turns.
#[derive(Clone, Copy, Default)]
struct Turns {
    gain: bool,
    loss: bool,
}

/// So many users.
#[derive(Default)]
struct Number(usize);

/// Numbers of changes.
struct Tally<'c, 's> {
    matters: &'c Matters<'s>,
    /// What makes a change one with others, by its digest: of a million changes, two share one with
    /// a chance of one in thirty million, and then one is not counted.
    alike: HashSet<u64, FixedState>,
    whole: usize,
    may: Turns,
}

/// Numbers of users and permissions.
struct Weights<'c> {
    roles: &'c Roles,
    scales: Scales,
    permissions: Vec<Turns>,
    users_gain: usize,
    users_lose: usize,
}

// === impl Snapshot ===

impl Snapshot {
    /// What [`Snapshot::diff`] would tell, in numbers: in memory that grows little with what
    /// differs, and on one thread.
    #[must_use]
    pub fn impact(&self, newer: &Self) -> Impact {
        if self.digest == newer.digest {
            return Impact::default();
        }
        let pair = Pair::new(self, newer);
        let matters = Matters::of(&pair);
        let roles = Roles::new(&pair);
        let mut tally = Tally {
            matters: &matters,
            alike: HashSet::default(),
            whole: 0,
            may: Turns::default(),
        };
        catalogue::compare(&pair, &matters, &mut tally);
        routes::compare(&pair, &mut tally);
        objects::compare(&pair, &matters, &mut tally);
        let profiles = people::compare(&pair, &matters, &mut tally);
        let mut weights = Weights {
            roles: &roles,
            scales: Scales::default(),
            permissions: pair.permissions.all().map(|_| Turns::default()).collect(),
            users_gain: 0,
            users_lose: 0,
        };
        let touch = |group, permissions: &[u32]| weights.add(&group, permissions);
        effects::compare(&pair, &matters, &roles, profiles, &mut tally, touch);
        let turned = weights.permissions.iter();
        Impact {
            users_gain: weights.users_gain,
            users_lose: weights.users_lose,
            permissions_gained: turned.clone().filter(|turns| turns.gain).count(),
            permissions_lost: turned.filter(|turns| turns.loss).count(),
            changes: tally.alike.len() + tally.whole,
            may_gain: tally.may.gain || weights.users_gain > 0,
            may_lose: tally.may.loss || weights.users_lose > 0,
        }
    }
}

// === impl Turns ===

impl Turns {
    const fn is_both(self) -> bool {
        self.gain && self.loss
    }

    fn add(&mut self, other: Self) {
        self.gain |= other.gain;
        self.loss |= other.loss;
    }
}

impl From<Option<May>> for Turns {
    fn from(may: Option<May>) -> Self {
        Self {
            gain: matches!(may, Some(May::Gain | May::Either)),
            loss: matches!(may, Some(May::Loss | May::Either)),
        }
    }
}

// === impl Number ===

impl Users for Number {
    fn add(&mut self, _: u32) {
        self.0 += 1;
    }

    fn join(&mut self, others: &Self) {
        self.0 += others.0;
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

// === impl Tally ===

impl<'s> Notes<'s> for Tally<'_, 's> {
    type Users = Number;

    fn keep(&mut self, key: Key<'s>, _: Option<u32>) {
        self.may.add(key.may(self.matters).into());
        self.alike.insert(FixedState::default().hash_one(&key));
    }

    fn push(&mut self, change: Change<'s>, _: Number) {
        self.may.add(change.may.into());
        self.whole += 1;
    }
}

// === impl Weights ===

impl Weights<'_> {
    /// Adds a group of users for whom these permissions may have come or gone.
    fn add(&mut self, group: &Group<Number>, permissions: &[u32]) {
        let mut users = Turns::default();
        for &permission in permissions {
            let Some(known) = self.permissions.get_mut(permission as usize) else {
                continue;
            };
            // Nothing more can come of it.
            if users.is_both() && known.is_both() {
                continue;
            }
            for (gain, _) in self.scales.weigh(self.roles, group, permission) {
                let turns = Turns { gain, loss: !gain };
                users.add(turns);
                known.add(turns);
            }
        }
        let Number(number) = group.users;
        self.users_gain += if users.gain { number } else { 0 };
        self.users_lose += if users.loss { number } else { 0 };
    }
}
