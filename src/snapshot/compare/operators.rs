//! Who operates what: users by name, teams, groups and departments.
//!
//! What counts is who operates an object, not by which way: who is named instead of a team, or is
//! in another team instead, operates what was operated before. So first it is found out for whom
//! that differs, and then which of the ways that came or went has led to one of them. That users
//! came to a team or left it is told of the team, once for all that it operates.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use super::super::tables::{MembersRow, NONE};
use super::changes::Notes;
use super::numbering::{Delta, Pair, SEEN_MAX, Side};
use super::people::note;
use super::teams::Teams;
use super::{Cause, Event};

/// Which ways to operate an object came and went.
struct Ways {
    users: Delta,
    teams: Delta,
    groups: Delta,
    departments: Delta,
}

/// Compares operators; members that were met before are not compared again.
pub(super) struct Operators<'p, 's> {
    pair: &'p Pair<'s>,
    teams: Teams<'s>,
    /// By the rows of `members` on both sides.
    seen: HashMap<(u32, u32), Ways, FixedState>,
    /// Users who came to a team that operates something, or left it: with the team.
    moved: HashSet<(Event, u32, u32), FixedState>,
    marks: Marks,
}

/// Who operated, and who operates now, by user: one object at a time.
struct Marks {
    /// Raised for each object, so that older marks count for nothing.
    round: u32,
    /// The round, and the bits of that round.
    marks: Vec<u32>,
    /// Users of whom nothing is told: those who are gone altogether, which is told once, and those
    /// who were not active and are not.
    silent: Vec<bool>,
}

const BEFORE: u32 = 1;
const AFTER: u32 = 2;
const BITS: u32 = 2;

// === impl Operators ===

impl<'p, 's> Operators<'p, 's> {
    pub(super) fn new(pair: &'p Pair<'s>) -> Self {
        Self {
            pair,
            teams: Teams::new(pair),
            seen: HashMap::default(),
            moved: HashSet::default(),
            marks: Marks::new(pair),
        }
    }

    /// Tells of an object with these rows of `members` who came to operate it, or does no more.
    pub(super) fn tell(
        &mut self,
        changes: &mut impl Notes<'s>,
        object: u32,
        (old, new): (u32, u32),
    ) {
        let pair = self.pair;
        let rows = (row(pair, Side::Old, old), row(pair, Side::New, new));
        if self.is_same(&rows.0, &rows.1) {
            return;
        }
        if !self.seen.contains_key(&(old, new)) {
            let ways = self.compare(&rows.0, &rows.1);
            if self.seen.len() == SEEN_MAX {
                self.seen.clear();
            }
            self.seen.insert((old, new), ways);
        }
        let Some(ways) = self.seen.get(&(old, new)) else {
            return;
        };
        let mut tell = |cause, delta, name: &dyn Fn(u32) -> &'s str| {
            note(changes, cause, delta, name, object);
        };
        tell(Cause::OperatorUser, &ways.users, &|of| pair.user_name(of));
        tell(Cause::OperatorTeam, &ways.teams, &|of| self.teams.name(of));
        tell(Cause::OperatorGroup, &ways.groups, &|of| {
            pair.group_name(of)
        });
        tell(Cause::OperatorDepartment, &ways.departments, &|of| {
            pair.department_name(of)
        });
    }

    /// Tells who came to a team that operates something, or left it.
    pub(super) fn finish(self, changes: &mut impl Notes<'s>) {
        for (event, team, user) in self.moved {
            changes.note(Cause::UserTeam, event, self.teams.name(team), Some(user));
        }
    }

    fn compare(&mut self, old: &MembersRow, new: &MembersRow) -> Ways {
        let pair = self.pair;
        let lists = |numbering, old, new| {
            Delta::between(
                &pair.list(Side::Old, old, numbering),
                &pair.list(Side::New, new, numbering),
            )
        };
        let (users, teams) = self.people(old, new);
        Ways {
            users,
            teams,
            groups: lists(&pair.groups, old.groups, new.groups),
            departments: lists(&pair.departments, old.departments, new.departments),
        }
    }

    /// Whether the same are named, and the same users are in the teams: so it mostly is.
    fn is_same(&self, old: &MembersRow, new: &MembersRow) -> bool {
        let pair = self.pair;
        let (before, after) = (pair.old.list(old.teams), pair.new.list(new.teams));
        let same = |(&old, &new): (&u32, &u32)| {
            self.teams.users(Side::Old, old) == self.teams.users(Side::New, new)
        };
        pair.is_same(&pair.users, old.users, new.users)
            && pair.is_same(&pair.groups, old.groups, new.groups)
            && pair.is_same(&pair.departments, old.departments, new.departments)
            && before.len() == after.len()
            && before.iter().zip(after).all(same)
    }

    /// The users named and the teams that came or went, as far as somebody came or went by them.
    fn people(&mut self, old: &MembersRow, new: &MembersRow) -> (Delta, Delta) {
        let (before, after) = (self.named(Side::Old, old), self.named(Side::New, new));
        self.marks.round += 1;
        for (side, bit, (users, teams)) in
            [(Side::Old, BEFORE, &before), (Side::New, AFTER, &after)]
        {
            self.marks.mark(users, bit);
            for &team in teams {
                let team = self.teams.at(side, team);
                let users = team.map_or(&[][..], |team| self.teams.users(side, team));
                self.marks.mark(users, bit);
            }
        }
        let only = |users: &[u32], bit| {
            let users = users.iter().copied();
            users
                .filter(|&user| self.marks.has_only(user, bit))
                .collect()
        };
        let users = Delta {
            gone: only(&before.0, BEFORE),
            come: only(&after.0, AFTER),
        };
        let teams = Delta::between(&before.1, &after.1);
        let stayed = before.1.iter().filter(|team| !teams.gone.contains(team));
        for &team in stayed {
            let Some(turned) = self.teams.turned(team) else {
                continue;
            };
            let gone = only(&turned.gone, BEFORE).into_iter();
            let gone = gone.map(|user| (Event::Removed, team, user));
            let come = only(&turned.come, AFTER).into_iter();
            let come = come.map(|user| (Event::Added, team, user));
            self.moved.extend(gone.chain(come));
        }
        let leads = |side, teams: Vec<u32>, bit| {
            let has_any = |&team: &u32| {
                let team = self.teams.at(side, team);
                let users = team.map_or(&[][..], |team| self.teams.users(side, team));
                users.iter().any(|&user| self.marks.has_only(user, bit))
            };
            teams.into_iter().filter(has_any).collect()
        };
        let teams = Delta {
            gone: leads(Side::Old, teams.gone, BEFORE),
            come: leads(Side::New, teams.come, AFTER),
        };
        (users, teams)
    }

    /// Users and teams, in common numbers, sorted. Who is in a team that has no name is taken as
    /// named.
    fn named(&self, side: Side, row: &MembersRow) -> (Vec<u32>, Vec<u32>) {
        let mut users = self.pair.list(side, row.users, &self.pair.users);
        let mut teams = Vec::new();
        for &team in self.pair.on(side).list(row.teams) {
            match self.teams.common(side, team) {
                Some(common) => teams.push(common),
                None => users.extend(self.teams.users(side, team)),
            }
        }
        for list in [&mut users, &mut teams] {
            list.sort_unstable();
            list.dedup();
        }
        (users, teams)
    }
}

/// A row of `members`; where there is none, nobody.
fn row(pair: &Pair<'_>, side: Side, row: u32) -> MembersRow {
    let nobody = MembersRow {
        users: NONE,
        groups: NONE,
        departments: NONE,
        teams: NONE,
    };
    let members = &pair.on(side).tables.members;
    members.get(row as usize).copied().unwrap_or(nobody)
}

// === impl Marks ===

impl Marks {
    fn new(pair: &Pair<'_>) -> Self {
        let is_active = |side, user| {
            let row = pair.on(side).user(pair.users.at(side, user)?)?;
            Some(row.is_active())
        };
        let users = pair.users.all();
        let silent = |user| {
            let (before, after) = (is_active(Side::Old, user), is_active(Side::New, user));
            after.is_none() || before != Some(true) && after == Some(false)
        };
        Self {
            round: 0,
            marks: vec![0; users.len()],
            silent: users.map(silent).collect(),
        }
    }

    fn mark(&mut self, users: &[u32], bit: u32) {
        let fresh = self.round << BITS;
        for &user in users {
            if let Some(mark) = self.marks.get_mut(user as usize) {
                *mark = (*mark).max(fresh) | bit;
            }
        }
    }

    /// Whether the user bears this mark alone, and is one of whom something is told.
    fn has_only(&self, user: u32, bit: u32) -> bool {
        let mark = self.marks.get(user as usize).copied();
        let silent = self.silent.get(user as usize).copied();
        mark == Some(self.round << BITS | bit) && silent == Some(false)
    }
}
