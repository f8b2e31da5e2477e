//! Users: who came and went, what each belongs to, reaches and is called.

use std::borrow::Cow;

use super::super::tables::{NONE, ShiftPlanRow, UserRow, some};
use super::super::{Kind, Snapshot};
use super::changes::{Notes, Users as _};
use super::effects::{Hand, Profiles};
use super::matters::Matters;
use super::numbering::{Delta, Deltas, Pair, Side};
use super::{Cause, Change, Event, May};

/// Deltas of the lists that users point at.
#[derive(Default)]
struct Seen {
    departments: Deltas,
    reach_departments: Deltas,
    reach_groups: Deltas,
    projects: Deltas,
}

/// Compares all users, and tells what they held and hold.
pub(super) fn compare<'s, N: Notes<'s>>(
    pair: &Pair<'s>,
    matters: &Matters<'s>,
    changes: &mut N,
) -> Profiles<N::Users> {
    let mut profiles = Profiles::default();
    let mut seen = Seen::default();
    let plans = [plans(pair.old), plans(pair.new)];
    for user in pair.users.all() {
        let row = |side| pair.on(side).user(pair.users.at(side, user)?);
        let (old, new) = (row(Side::Old), row(Side::New));
        let (before, after) = (hand(old), hand(new));
        if (before, after) != (Hand::EMPTY, Hand::EMPTY) {
            profiles.add((before, after), user);
        }
        match (old, new) {
            (Some(old), Some(new)) => {
                let mut change = User {
                    pair,
                    matters,
                    changes,
                    user,
                    rows: (old, new),
                };
                change.belongs(&mut seen);
                change.is();
                if matters.shifts && change.has_shift_role((before, after)) {
                    change.shift(&plans);
                }
            }
            (None, _) => changes.note(Cause::User, Event::Added, "", Some(user)),
            (Some(_), None) => changes.note(Cause::User, Event::Removed, "", Some(user)),
        }
    }
    aliases(pair, changes);
    profiles
}

fn hand(user: Option<&UserRow>) -> Hand {
    user.filter(|user| user.is_active())
        .map_or(Hand::EMPTY, |user| Hand {
            role_set: user.role_set,
            limited: user.limited,
        })
}

/// A user who is in both.
struct User<'c, 's, N> {
    pair: &'c Pair<'s>,
    matters: &'c Matters<'s>,
    changes: &'c mut N,
    user: u32,
    rows: (&'s UserRow, &'s UserRow),
}

// === impl User ===

impl<'s, N: Notes<'s>> User<'_, 's, N> {
    /// Group, departments and projects, and what the user leads.
    fn belongs(&mut self, seen: &mut Seen) {
        let (old, new) = self.rows;
        let pair = self.pair;
        let group = |side, id| some(id).map(|id| pair.groups.common(side, id));
        let (before, after) = (group(Side::Old, old.group), group(Side::New, new.group));
        if before != after {
            let name = |of: Option<u32>| Some(Cow::from(pair.group_name(of?)));
            let of = Some(self.user);
            (self.changes).turn(Cause::UserGroup, "", name(before), name(after), of);
        }
        let lists = (old.departments, new.departments);
        let delta = (seen.departments).of(pair, &pair.departments, lists.0, lists.1);
        let of = |of| pair.department_name(of);
        note(self.changes, Cause::UserDepartment, delta, of, self.user);
        if self.matters.projects {
            let projects = (seen.projects).of(pair, &pair.projects, old.projects, new.projects);
            let name = |of| pair.project_name(of);
            note(self.changes, Cause::UserProject, projects, name, self.user);
        }
        if !old.is_active() && !new.is_active() {
            return;
        }
        // What the user reaches by leading: all that is reached but the user's own.
        let lists = (old.reach_departments, new.reach_departments);
        let reach = (seen.reach_departments).of(pair, &pair.departments, lists.0, lists.1);
        let led = reach.without(&delta.gone, &delta.come);
        note(self.changes, Cause::LedDepartment, &led, of, self.user);
        let lists = (old.reach_groups, new.reach_groups);
        let reach = (seen.reach_groups).of(pair, &pair.groups, lists.0, lists.1);
        let (before, after) = if before == after {
            (None, None)
        } else {
            (before, after)
        };
        let led = reach.without(before.as_slice(), after.as_slice());
        let name = |of| pair.group_name(of);
        note(self.changes, Cause::LedGroup, &led, name, self.user);
    }

    /// The id, whether the user is active, and properties.
    fn is(&mut self) {
        let (old, new) = self.rows;
        let pair = self.pair;
        let of = Some(self.user);
        let (before, after) = (pair.old.text(old.id), pair.new.text(new.id));
        if before != after {
            let id = |id: &'s str| Some(Cow::from(id));
            self.changes
                .turn(Cause::User, "", id(before), id(after), of);
        }
        match (old.is_active(), new.is_active()) {
            (false, true) => self.changes.note(Cause::UserActive, Event::Added, "", of),
            (true, false) => self.changes.note(Cause::UserActive, Event::Removed, "", of),
            _ => {}
        }
        let nodes = (old.properties, new.properties);
        let names = &self.matters.of_users;
        properties(
            pair,
            self.changes,
            Cause::UserProperty,
            names,
            nodes,
            self.user,
        );
    }

    /// Whether a role that the user held or holds is in force on shift only.
    fn has_shift_role(&self, (old, new): (Hand, Hand)) -> bool {
        let on_shift = |side, hand: Hand| {
            let snapshot = self.pair.on(side);
            let mut limited = snapshot.list(hand.limited).iter();
            limited.any(|&id| {
                let row = snapshot.tables.limited.get(id as usize);
                row.is_some_and(|row| row.on_shift != 0)
            })
        };
        on_shift(Side::Old, old) || on_shift(Side::New, new)
    }

    fn shift(&mut self, plans: &[Vec<String>; 2]) {
        let (old, new) = self.rows;
        let [before, after] = plans;
        let plan = |plans: &'_ [String], plan: u32| plans.get(plan as usize).cloned();
        let (before, after) = (plan(before, old.shift_plan), plan(after, new.shift_plan));
        if before != after {
            let (before, after) = (before.map(Cow::from), after.map(Cow::from));
            let of = Some(self.user);
            self.changes.turn(Cause::UserShift, "", before, after, of);
        }
    }
}

/// Tells of a user or object what came to a list and what went from it.
pub(super) fn note<'s>(
    changes: &mut impl Notes<'s>,
    cause: Cause,
    delta: &Delta,
    name: impl Fn(u32) -> &'s str,
    of: u32,
) {
    for &gone in &delta.gone {
        changes.note(cause, Event::Removed, name(gone), Some(of));
    }
    for &come in &delta.come {
        changes.note(cause, Event::Added, name(come), Some(of));
    }
}

/// Tells of a user or object which of these properties are others.
pub(super) fn properties<'s>(
    pair: &Pair<'s>,
    changes: &mut impl Notes<'s>,
    cause: Cause,
    names: &[&'s str],
    (old, new): (u32, u32),
    of: u32,
) {
    if old == NONE && new == NONE {
        return;
    }
    for &name in names {
        let before = pair.old.property(old, name);
        let after = pair.new.property(new, name);
        if let (Some(before), Some(after)) = (before, after)
            && pair.old.is_same(before, pair.new, after)
        {
            continue;
        }
        let before = before.map(|value| pair.old.value_text(value));
        let after = after.map(|value| pair.new.value_text(value));
        if before != after {
            let (before, after) = (before.map(Cow::from), after.map(Cow::from));
            changes.turn(cause, name, before, after, Some(of));
        }
    }
}

/// Names under which users were found, and are found no more, or now mean others; and new ones.
fn aliases<'s, N: Notes<'s>>(pair: &Pair<'s>, changes: &mut N) {
    for (side, other, event, may) in [
        (Side::Old, Side::New, Event::Removed, May::Loss),
        (Side::New, Side::Old, Event::Added, May::Gain),
    ] {
        let (here, there) = (pair.on(side), pair.on(other));
        let (mut aliases, mut users) = (Vec::new(), Vec::new());
        for (name, user) in here.names_of(Kind::USER) {
            let text = here.text(name);
            let common = pair.users.common(side, user);
            // A user who came or went is told as a whole, and so is one who got another id.
            let is_id = here.user(user).is_none_or(|row| row.id == name);
            if is_id || pair.users.at(other, common).is_none() {
                continue;
            }
            let found = there.find(Kind::USER, text);
            if found.is_none_or(|found| pair.users.common(other, found) != common) {
                aliases.push(text);
                users.push(common);
            }
        }
        if aliases.is_empty() {
            continue;
        }
        aliases.sort_unstable();
        users.sort_unstable();
        users.dedup();
        let mut reached = N::Users::default();
        users.into_iter().for_each(|user| reached.add(user));
        let change = Change {
            may: Some(may),
            aliases,
            ..Change::new(Cause::UserAlias, event, "".into())
        };
        changes.push(change, reached);
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What each row of a side's shift plans comes to; shifts have no names in a snapshot.
fn plans(snapshot: &Snapshot) -> Vec<String> {
    let plan = |plan: &ShiftPlanRow| {
        let shift = shift(snapshot, plan.shift);
        match some(plan.next).map(|next| self::shift(snapshot, next)) {
            Some(next) if next != shift => {
                format!("{shift}; from {} {next}", date(plan.next_from))
            }
            _ => shift,
        }
    };
    snapshot.tables.shift_plans.iter().map(plan).collect()
}

fn shift(snapshot: &Snapshot, shift: u32) -> String {
    let Some(shift) = snapshot.tables.shifts.get(shift as usize) else {
        return String::new();
    };
    let clock = |minute: u32| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let mut turns: Vec<String> = Vec::new();
    let mut rows = shift.turns.of(&snapshot.tables.turns).to_vec();
    rows.sort_unstable_by_key(|row| (row.from, row.to, row.days));
    for row in rows {
        let days = (0..).zip(DAYS).filter(|(day, _)| row.days & 1 << day != 0);
        let days: Vec<&str> = days.map(|(_, name)| name).collect();
        let hours = (clock(row.from), clock(row.to));
        turns.push(format!("{} {}-{}", days.join(" "), hours.0, hours.1));
    }
    turns.dedup();
    let mut off = shift.off.of(&snapshot.tables.days_off).to_vec();
    off.sort_unstable();
    off.dedup();
    let mut text = turns.join(", ");
    if !off.is_empty() {
        let off: Vec<String> = off.into_iter().map(date).collect();
        text.push_str(&format!(", off {}", off.join(" ")));
    }
    text
}

/// A day since 1970-01-01 as policy files write it.
fn date(day: i32) -> String {
    let epoch = jiff::civil::date(1970, 1, 1);
    let days = jiff::Span::new().try_days(day);
    let date = days.and_then(|days| epoch.checked_add(days));
    date.map_or_else(|_| day.to_string(), |date| date.to_string())
}
