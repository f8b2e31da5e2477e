//! The company as a whole: security, clocks, the vocabulary, and which places and roles there are.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::super::Snapshot;
use super::super::tables::{PermissionRow, REGISTRY_OBJECTS, TypeRow, some};
use super::changes::Notes;
use super::matters::Matters;
use super::numbering::{Delta, Numbering, Pair, Side};
use super::{Cause, Event};

pub(super) fn compare<'s>(pair: &Pair<'s>, matters: &Matters<'_>, changes: &mut impl Notes<'s>) {
    company(pair, matters, changes);
    for kind in pair.types.all() {
        let of = |side| {
            Some(type_facets(
                pair.on(side),
                kind_row(pair, side, kind)?,
                matters,
            ))
        };
        let name = pair.type_name(kind);
        facets(changes, Cause::ResourceType, name.into(), of);
    }
    for permission in pair.permissions.all() {
        let of = |side| {
            let snapshot = pair.on(side);
            let row = snapshot.permission(pair.permissions.at(side, permission)?)?;
            Some(action_facets(snapshot, row))
        };
        let name = pair.permission_name(permission);
        facets(changes, Cause::Action, name.into(), of);
    }
    presence(changes, Cause::Group, &pair.groups, |of| {
        pair.group_name(of)
    });
    presence(changes, Cause::Department, &pair.departments, |of| {
        pair.department_name(of)
    });
    presence(changes, Cause::Project, &pair.projects, |of| {
        pair.project_name(of)
    });
    department_parents(pair, changes);
    if matters.roles && matters.projects {
        role_projects(pair, changes);
    }
}

fn company<'s>(pair: &Pair<'s>, matters: &Matters<'_>, changes: &mut impl Notes<'s>) {
    let (old, new) = (pair.old.meta(), pair.new.meta());
    if old.enhanced != new.enhanced {
        let mode =
            |enhanced: u32| Some(Cow::from(if enhanced != 0 { "enhanced" } else { "simple" }));
        let (old, new) = (mode(old.enhanced), mode(new.enhanced));
        changes.turn(Cause::Security, "", old, new, None);
    }
    let types = |snapshot: &'s Snapshot| -> BTreeSet<&'s str> {
        let types = snapshot.list(snapshot.meta().subject_types).iter();
        types.map(|&kind| snapshot.text(kind)).collect()
    };
    let (before, after) = (types(pair.old), types(pair.new));
    for &gone in before.difference(&after) {
        changes.note(Cause::SubjectType, Event::Removed, gone, None);
    }
    for &come in after.difference(&before) {
        changes.note(Cause::SubjectType, Event::Added, come, None);
    }
    let marks = [
        ("lifts_wall", old.lifts_wall, new.lifts_wall, matters.wall),
        ("tests_roles", old.tests_roles, new.tests_roles, true),
    ];
    for (mark, old, new, matters) in marks {
        let name = |side, id: u32| {
            let common = pair.permissions.common(side, some(id)?);
            Some(Cow::from(pair.permission_name(common)))
        };
        let (old, new) = (name(Side::Old, old), name(Side::New, new));
        if matters && old != new {
            changes.turn(Cause::Mark, mark, old, new, None);
        }
    }
    clocks(pair, matters, changes);
}

/// What the company's clocks show matters to shifts alone, and so is compiled only where there are
/// some.
fn clocks<'s>(pair: &Pair<'s>, matters: &Matters<'_>, changes: &mut impl Notes<'s>) {
    let offsets = |snapshot: &Snapshot| -> Vec<(i64, i64)> {
        let rows = snapshot.tables.offsets.iter();
        rows.map(|row| (row.at, row.offset)).collect()
    };
    let (old, new) = (offsets(pair.old), offsets(pair.new));
    if matters.shifts && !old.is_empty() && !new.is_empty() && old != new {
        changes.turn(Cause::Clocks, "", None, None, None);
    }
}

/// Tells a thing that came or went, and of one that stayed what of it did.
fn facets<'s>(
    changes: &mut impl Notes<'s>,
    cause: Cause,
    name: Cow<'s, str>,
    of: impl Fn(Side) -> Option<BTreeSet<String>>,
) {
    match (of(Side::Old), of(Side::New)) {
        (Some(old), Some(new)) => {
            for gone in old.difference(&new) {
                changes.turn(cause, name.clone(), Some(gone.clone().into()), None, None);
            }
            for come in new.difference(&old) {
                changes.turn(cause, name.clone(), None, Some(come.clone().into()), None);
            }
        }
        (None, Some(_)) => changes.note(cause, Event::Added, name, None),
        (Some(_), None) => changes.note(cause, Event::Removed, name, None),
        (None, None) => {}
    }
}

fn kind_row<'s>(pair: &Pair<'s>, side: Side, kind: u32) -> Option<&'s TypeRow> {
    pair.on(side).kind(pair.types.at(side, kind)?)
}

fn type_facets(snapshot: &Snapshot, row: &TypeRow, matters: &Matters<'_>) -> BTreeSet<String> {
    let names = |list: u32| {
        let mut names: Vec<&str> = snapshot
            .list(list)
            .iter()
            .map(|&of| snapshot.text(of))
            .collect();
        names.sort_unstable();
        names.join(", ")
    };
    let mut facets = BTreeSet::from([
        format!("owner named {}", snapshot.text(row.owner_name)),
        format!("group named {}", snapshot.text(row.group_name)),
        format!("departments named {}", names(row.department_names)),
        format!("projects named {}", names(row.project_names)),
    ]);
    if row.registry == REGISTRY_OBJECTS {
        facets.insert("registered".to_owned());
    }
    if matters.wall && row.walled != 0 {
        facets.insert("walled".to_owned());
    }
    let parents = snapshot.list(row.parents).iter();
    let parents = parents.filter_map(|&kind| snapshot.kind(kind));
    facets.extend(parents.map(|kind| format!("parent {}", snapshot.text(kind.name))));
    facets
}

fn action_facets(snapshot: &Snapshot, row: &PermissionRow) -> BTreeSet<String> {
    let mut facets = BTreeSet::new();
    if row.new != 0 {
        facets.insert("new".to_owned());
    }
    let requires = row.requires.of(&snapshot.tables.requires).iter();
    let action = |id: u32| {
        snapshot
            .permission(id)
            .map_or("", |row| snapshot.text(row.name))
    };
    facets.extend(requires.map(|required| format!("requires {}", action(required.permission))));
    let via = snapshot.list(row.via).iter();
    facets.extend(via.map(|&linked| format!("via {}", snapshot.permission_name(linked))));
    facets
}

fn presence<'s>(
    changes: &mut impl Notes<'s>,
    cause: Cause,
    numbering: &Numbering,
    name: impl Fn(u32) -> &'s str,
) {
    for common in numbering.all() {
        let at = |side| numbering.at(side, common).is_some();
        match (at(Side::Old), at(Side::New)) {
            (true, false) => changes.note(cause, Event::Removed, name(common), None),
            (false, true) => changes.note(cause, Event::Added, name(common), None),
            _ => {}
        }
    }
}

fn department_parents<'s>(pair: &Pair<'s>, changes: &mut impl Notes<'s>) {
    let departments = &pair.departments;
    for department in departments.all() {
        let parent = |side| {
            let row = pair
                .on(side)
                .department(departments.at(side, department)?)?;
            Some(some(row.parent).map(|parent| departments.common(side, parent)))
        };
        let (Some(old), Some(new)) = (parent(Side::Old), parent(Side::New)) else {
            continue;
        };
        if old != new {
            let name = |of: Option<u32>| Some(Cow::from(pair.department_name(of?)));
            let department = pair.department_name(department);
            changes.turn(
                Cause::DepartmentParent,
                department,
                name(old),
                name(new),
                None,
            );
        }
    }
}

/// The projects that roles, as resources, are in.
fn role_projects<'s>(pair: &Pair<'s>, changes: &mut impl Notes<'s>) {
    for role in pair.roles.all() {
        let projects = |side| {
            let row = pair.on(side).role(pair.roles.at(side, role)?)?;
            Some(pair.list(side, row.projects, &pair.projects))
        };
        let (Some(old), Some(new)) = (projects(Side::Old), projects(Side::New)) else {
            continue;
        };
        let delta = Delta::between(&old, &new);
        let name = |project: &u32| Some(Cow::from(pair.project_name(*project)));
        for gone in &delta.gone {
            changes.turn(
                Cause::RoleProject,
                pair.role_name(role),
                name(gone),
                None,
                None,
            );
        }
        for come in &delta.come {
            changes.turn(
                Cause::RoleProject,
                pair.role_name(role),
                None,
                name(come),
                None,
            );
        }
    }
}
