//! Registered objects: which there are, and what is registered of each.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::super::tables::{MembersRow, NONE, ObjectRow, some};
use super::changes::Changes;
use super::matters::Matters;
use super::numbering::{Delta, Deltas, Pair, Side};
use super::people::{note, properties};
use super::{Cause, Event};

/// Who operates what: by name or team, and by group and department.
#[derive(Clone, Default)]
struct Operators {
    users: Delta,
    groups: Delta,
    departments: Delta,
}

/// Rows met before, and what is found once.
struct Seen {
    departments: Deltas,
    projects: Deltas,
    operators: HashMap<(u32, u32), Operators, FixedState>,
    old_teams: Teams,
    new_teams: Teams,
    none: Operators,
}

/// Users by team. A snapshot has no names of teams, so that a team is the users in it.
type Teams = HashMap<u32, Vec<u32>, FixedState>;

pub(super) fn compare<'s>(pair: &Pair<'s>, matters: &Matters<'s>, changes: &mut Changes<'s>) {
    let mut seen = Seen {
        departments: Deltas::default(),
        projects: Deltas::default(),
        operators: HashMap::default(),
        old_teams: teams(pair, Side::Old),
        new_teams: teams(pair, Side::New),
        none: Operators::default(),
    };
    for object in pair.objects.all() {
        let row = |side| pair.on(side).object(pair.objects.at(side, object)?);
        let (old, new) = (row(Side::Old), row(Side::New));
        let kind = |side, row: &ObjectRow| pair.type_name(pair.types.common(side, row.kind));
        match (old, new) {
            (Some(old), Some(new)) => one(pair, matters, changes, &mut seen, object, (old, new)),
            (None, Some(new)) => {
                let kind = kind(Side::New, new);
                changes.note(Cause::Object, Event::Added, kind, Some(object));
            }
            (Some(old), None) => {
                let kind = kind(Side::Old, old);
                changes.note(Cause::Object, Event::Removed, kind, Some(object));
            }
            (None, None) => {}
        }
    }
}

fn one<'s>(
    pair: &Pair<'s>,
    matters: &Matters<'s>,
    changes: &mut Changes<'s>,
    seen: &mut Seen,
    object: u32,
    (old, new): (&ObjectRow, &ObjectRow),
) {
    let of = Some(object);
    let owner = |side, id| some(id).map(|id| pair.users.common(side, id));
    let (before, after) = (owner(Side::Old, old.owner), owner(Side::New, new.owner));
    if before != after {
        let name = |of: Option<u32>| Some(Cow::from(pair.user_name(of?)));
        changes.turn(Cause::ObjectOwner, "", name(before), name(after), of);
    }
    let group = |side, id| some(id).map(|id| pair.groups.common(side, id));
    let (before, after) = (group(Side::Old, old.group), group(Side::New, new.group));
    if before != after {
        let name = |of: Option<u32>| Some(Cow::from(pair.group_name(of?)));
        changes.turn(Cause::ObjectGroup, "", name(before), name(after), of);
    }
    let lists = (old.departments, new.departments);
    let departments = (seen.departments).of(pair, &pair.departments, lists.0, lists.1);
    let department = |of| pair.department_name(of);
    note(
        changes,
        Cause::ObjectDepartment,
        departments,
        department,
        object,
    );
    if matters.projects {
        let projects = (seen.projects).of(pair, &pair.projects, old.projects, new.projects);
        let project = |of| pair.project_name(of);
        note(changes, Cause::ObjectProject, projects, project, object);
    }
    let operators = seen.operators(pair, old.operators, new.operators);
    let user = |of| pair.user_name(of);
    note(changes, Cause::OperatorUser, &operators.users, user, object);
    let group = |of| pair.group_name(of);
    note(
        changes,
        Cause::OperatorGroup,
        &operators.groups,
        group,
        object,
    );
    note(
        changes,
        Cause::OperatorDepartment,
        &operators.departments,
        department,
        object,
    );
    let nodes = (old.properties, new.properties);
    let names = &matters.of_objects;
    properties(pair, changes, Cause::ObjectProperty, names, nodes, object);
}

/// The users in each team of a side, by the team's number there.
fn teams(pair: &Pair<'_>, side: Side) -> Teams {
    let snapshot = pair.on(side);
    let mut teams = Teams::default();
    for (user, row) in (0..).zip(snapshot.tables.users.iter()) {
        for &team in snapshot.list(row.teams) {
            let users = teams.entry(team).or_default();
            users.push(pair.users.common(side, user));
        }
    }
    teams.values_mut().for_each(|users| users.sort_unstable());
    teams
}

// === impl Seen ===

impl Seen {
    fn operators(&mut self, pair: &Pair<'_>, old: u32, new: u32) -> &Operators {
        let Self {
            operators,
            old_teams,
            new_teams,
            none,
            ..
        } = self;
        let row = |side, row: u32| {
            let nobody = MembersRow {
                users: NONE,
                groups: NONE,
                departments: NONE,
                teams: NONE,
            };
            let members = &pair.on(side).tables.members;
            members.get(row as usize).copied().unwrap_or(nobody)
        };
        let places = (old, new);
        let (old, new) = (row(Side::Old, old), row(Side::New, new));
        // Teams are the same where the same people are in them; they may be many.
        let teams = (pair.old.list(old.teams), pair.new.list(new.teams));
        let team = |(old, new): (&u32, &u32)| old_teams.get(old) == new_teams.get(new);
        if pair.is_same(&pair.users, old.users, new.users)
            && pair.is_same(&pair.groups, old.groups, new.groups)
            && pair.is_same(&pair.departments, old.departments, new.departments)
            && teams.0.len() == teams.1.len()
            && teams.0.iter().zip(teams.1).all(team)
        {
            return none;
        }
        operators.entry(places).or_insert_with(|| {
            let lists = |numbering, old, new| {
                let old = pair.list(Side::Old, old, numbering);
                Delta::between(&old, &pair.list(Side::New, new, numbering))
            };
            let people = |side, members: &MembersRow, teams: &Teams| {
                let mut users = pair.list(side, members.users, &pair.users);
                for &team in pair.on(side).list(members.teams) {
                    users.extend(teams.get(&team).into_iter().flatten());
                }
                users.sort_unstable();
                users.dedup();
                users
            };
            let before = people(Side::Old, &old, old_teams);
            let mut users = Delta::between(&before, &people(Side::New, &new, new_teams));
            // Who is gone altogether operates nothing: that is told once.
            users
                .gone
                .retain(|&user| pair.users.at(Side::New, user).is_some());
            Operators {
                users,
                groups: lists(&pair.groups, old.groups, new.groups),
                departments: lists(&pair.departments, old.departments, new.departments),
            }
        })
    }
}
