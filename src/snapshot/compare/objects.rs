//! Registered objects: which there are, and what is registered of each.

use std::borrow::Cow;

use super::super::tables::{ObjectRow, some};
use super::changes::Notes;
use super::matters::Matters;
use super::numbering::{Deltas, Pair, Side};
use super::operators::Operators;
use super::people::{note, properties};
use super::{Cause, Event};

/// Rows met before, and what is found once.
struct Seen<'p, 's> {
    departments: Deltas,
    projects: Deltas,
    operators: Operators<'p, 's>,
}

pub(super) fn compare<'s>(pair: &Pair<'s>, matters: &Matters<'s>, changes: &mut impl Notes<'s>) {
    let mut seen = Seen {
        departments: Deltas::default(),
        projects: Deltas::default(),
        operators: Operators::new(pair),
    };
    for object in pair.objects.all() {
        let row = |side| pair.on(side).object(pair.objects.at(side, object)?);
        let (old, new) = (row(Side::Old), row(Side::New));
        let kind = |side, row: &ObjectRow| pair.type_name(pair.types.common(side, row.kind));
        match (old, new) {
            (Some(old), Some(new)) => {
                one(pair, matters, changes, &mut seen, object, (old, new));
            }
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
    seen.operators.finish(changes);
}

fn one<'s>(
    pair: &Pair<'s>,
    matters: &Matters<'s>,
    changes: &mut impl Notes<'s>,
    seen: &mut Seen<'_, 's>,
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
    let members = (old.operators, new.operators);
    seen.operators.tell(changes, object, members);
    let nodes = (old.properties, new.properties);
    let names = &matters.of_objects;
    properties(pair, changes, Cause::ObjectProperty, names, nodes, object);
}
