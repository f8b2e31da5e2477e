//! What is worth comparing: what can change an answer.

use std::collections::BTreeSet;

use super::super::Snapshot;
use super::super::tables::{
    FACT_DEPARTMENTS, FACT_GROUP, FACT_NONE, FACT_PROJECTS, NONE, REGISTRY_ROLES, ROOT_RESOURCE,
    ROOT_SUBJECT,
};
use super::numbering::Pair;

/// What can change an answer, in either snapshot.
pub(super) struct Matters<'s> {
    /// Whether the project wall stands.
    pub(super) wall: bool,
    /// Whether anything looks at projects.
    pub(super) projects: bool,
    /// Whether a role is in force on shift only.
    pub(super) shifts: bool,
    /// Whether a role that nobody has can be asked about: by testing it.
    pub(super) tests_roles: bool,
    /// Whether roles are resources.
    pub(super) roles: bool,
    /// Whether conditions read these facts, of users or resources.
    pub(super) reads_groups: bool,
    pub(super) reads_departments: bool,
    pub(super) reads_projects: bool,
    /// Properties of users that something reads.
    pub(super) of_users: Vec<&'s str>,
    /// Properties of objects that something reads.
    pub(super) of_objects: Vec<&'s str>,
}

// === impl Matters ===

impl<'s> Matters<'s> {
    pub(super) fn of(pair: &Pair<'s>) -> Self {
        let both = [pair.old, pair.new];
        let any = |test: &dyn Fn(&Snapshot) -> bool| both.iter().any(|snapshot| test(snapshot));
        let reads =
            |fact: u32| any(&|snapshot| snapshot.tables.paths.iter().any(|path| path.fact == fact));
        let wall = any(&|snapshot| snapshot.meta().enhanced != 0);
        let limited = any(&|snapshot| {
            let mut limited = snapshot.tables.limited.iter();
            limited.any(|row| row.projects != NONE)
        });
        let mut of_users = BTreeSet::new();
        let mut of_objects = BTreeSet::new();
        for snapshot in both {
            for path in snapshot.tables.paths.iter() {
                let first = snapshot.list(path.segments).first();
                let Some(&name) = first.filter(|_| path.fact == FACT_NONE) else {
                    continue;
                };
                match path.root {
                    ROOT_SUBJECT => of_users.insert(snapshot.text(name)),
                    ROOT_RESOURCE => of_objects.insert(snapshot.text(name)),
                    _ => false,
                };
            }
            // A property named like a linked type names what is linked.
            for permission in snapshot.tables.permissions.iter() {
                let linked = snapshot.list(permission.via).iter();
                let kinds = linked.filter_map(|&id| snapshot.kind(snapshot.permission(id)?.kind));
                of_objects.extend(kinds.map(|kind| snapshot.text(kind.name)));
            }
        }
        // Users are resources too.
        of_users.extend(&of_objects);
        Self {
            wall,
            projects: wall || limited || reads(FACT_PROJECTS),
            shifts: any(&|snapshot| snapshot.tables.limited.iter().any(|row| row.on_shift != 0)),
            tests_roles: any(&|snapshot| snapshot.meta().tests_roles != NONE),
            roles: any(&|snapshot| {
                let mut types = snapshot.tables.types.iter();
                types.any(|kind| kind.registry == REGISTRY_ROLES)
            }),
            reads_groups: reads(FACT_GROUP),
            reads_departments: reads(FACT_DEPARTMENTS),
            reads_projects: reads(FACT_PROJECTS),
            of_users: of_users.into_iter().collect(),
            of_objects: of_objects.into_iter().collect(),
        }
    }
}
