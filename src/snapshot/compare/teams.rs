//! Teams: which one is which, and who is in them.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::numbering::{Delta, Find, Numbering, Pair, Side};

/// Users by team, by the team's number on its side.
type Members = HashMap<u32, Vec<u32>, FixedState>;

/// The teams of two snapshots.
pub(super) struct Teams<'s> {
    names: [Vec<&'s str>; 2],
    numbering: Numbering,
    old: Members,
    new: Members,
    /// By common number, of teams that are in both: who left and who came.
    turned: Vec<Delta>,
}

// === impl Teams ===

impl<'s> Teams<'s> {
    /// A team is the one of the same name, and else the first one of the same users: it got another
    /// name, and decides as before.
    pub(super) fn new(pair: &Pair<'s>) -> Self {
        let (old, new) = (members(pair, Side::Old), members(pair, Side::New));
        let names = [Side::Old, Side::New].map(|side| names(pair, side));
        let [old_names, new_names] = &names;
        let named: HashMap<&str, u32, FixedState> = new_names.iter().copied().zip(0..).collect();
        let mut peopled = HashMap::<&[u32], u32, FixedState>::default();
        for id in 0..new_names.len() as u32 {
            peopled.entry(users(&new, id)).or_insert(id);
        }
        let by_name = |id: u32| {
            let name = old_names.get(id as usize).filter(|name| !name.is_empty());
            named.get(name?).copied()
        };
        let by_users = |id| peopled.get(users(&old, id)).copied();
        let finders: [Find<'_>; 2] = [&by_name, &by_users];
        let numbering = Numbering::new(old_names.len(), new_names.len(), &finders);
        let delta = |team| {
            let old = numbering.at(Side::Old, team).map(|id| users(&old, id));
            let new = numbering.at(Side::New, team).map(|id| users(&new, id));
            match (old, new) {
                (Some(old), Some(new)) => Delta::between(old, new),
                _ => Delta::default(),
            }
        };
        let turned = numbering.all().map(delta).collect();
        Self {
            names,
            numbering,
            old,
            new,
            turned,
        }
    }

    /// Who is in a side's team, in common numbers, sorted.
    pub(super) fn users(&self, side: Side, team: u32) -> &[u32] {
        match side {
            Side::Old => users(&self.old, team),
            Side::New => users(&self.new, team),
        }
    }

    /// The common number of a side's team; `None` where a snapshot does not tell what it is called.
    pub(super) fn common(&self, side: Side, team: u32) -> Option<u32> {
        let name = self.own_name(side, team)?;
        (!name.is_empty()).then(|| self.numbering.common(side, team))
    }

    /// The number on a side of the team that has this common number, if that side has it.
    pub(super) fn at(&self, side: Side, common: u32) -> Option<u32> {
        self.numbering.at(side, common)
    }

    /// Who left the team and who came to it.
    pub(super) fn turned(&self, common: u32) -> Option<&Delta> {
        self.turned.get(common as usize)
    }

    /// The newer name, and of a team that is gone the older one.
    pub(super) fn name(&self, common: u32) -> &'s str {
        let of = |side| self.own_name(side, self.numbering.at(side, common)?);
        of(Side::New).or_else(|| of(Side::Old)).unwrap_or_default()
    }

    fn own_name(&self, side: Side, team: u32) -> Option<&'s str> {
        let [old, new] = &self.names;
        let names = match side {
            Side::Old => old,
            Side::New => new,
        };
        names.get(team as usize).copied()
    }
}

fn users(members: &Members, team: u32) -> &[u32] {
    members.get(&team).map_or(&[], Vec::as_slice)
}

/// The users in each team of a side.
fn members(pair: &Pair<'_>, side: Side) -> Members {
    let snapshot = pair.on(side);
    let mut members = Members::default();
    for (user, row) in (0..).zip(snapshot.tables.users.iter()) {
        for &team in snapshot.list(row.teams) {
            let users = members.entry(team).or_default();
            users.push(pair.users.common(side, user));
        }
    }
    members.values_mut().for_each(|users| users.sort_unstable());
    members
}

/// What the teams of a side are called.
fn names<'s>(pair: &Pair<'s>, side: Side) -> Vec<&'s str> {
    let snapshot = pair.on(side);
    let teams = 0..snapshot.origins.team_origins.len() as u32;
    teams.map(|team| snapshot.team_name(team)).collect()
}
