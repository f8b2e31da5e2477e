//! Registered objects: their facts, with what comes from parents already in them.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::super::names::Kind;
use super::super::tables::{MembersRow, NONE, ObjectRow};
use super::Builder;
use super::people::ProjectsOf;
use crate::model::{ObjectId, ProjectId};
use crate::policy::Members;

/// Rows of members met before.
#[derive(Default)]
struct SeenMembers {
    places: HashMap<[u32; 4], u32, FixedState>,
    rows: Vec<MembersRow>,
}

// === impl Builder ===

impl Builder<'_> {
    /// Makes the objects, and returns the projects of those who are members.
    pub(super) fn objects(&mut self) -> ProjectsOf {
        let policy = self.policy;
        let mut listed: Vec<Vec<u32>> = vec![Vec::new(); policy.objects.len()];
        for (project, id) in policy.projects.iter().zip(0..) {
            for object in &project.objects {
                listed[object.index()].push(id);
            }
        }
        let mut seen = SeenMembers::default();
        let mut rows = Vec::with_capacity(policy.objects.len());
        for (object, id) in policy.objects.iter().zip(0..) {
            let mut departments: Vec<u32> = object.departments.iter().map(|of| of.0).collect();
            let (projects, operators) = self.inherited(ObjectId(id), &listed, &mut seen);
            rows.push(ObjectRow {
                kind: object.kind.0,
                id: self.id(Kind::object_of(object.kind.0), &object.id, id),
                owner: object.owner.map_or(NONE, |owner| owner.0),
                group: object.group.map_or(NONE, |group| group.0),
                departments: self.lists.intern_set(&mut departments),
                projects,
                operators,
                properties: self.properties(&object.properties),
            });
        }
        self.tables.objects = rows.into();
        self.tables.members = seen.rows.into();
        ProjectsOf::new(policy)
    }

    /// The object's projects (those that list it, else its parent's, else `default`) and its
    /// operators with those of all its parents.
    fn inherited(
        &mut self,
        id: ObjectId,
        listed: &[Vec<u32>],
        seen: &mut SeenMembers,
    ) -> (u32, u32) {
        let policy = self.policy;
        let mut projects = Vec::new();
        let mut members: [Vec<u32>; 4] = Default::default();
        let mut next = Some(id);
        while let Some(id) = next {
            let object = &policy.objects[id.index()];
            if projects.is_empty() {
                projects.clone_from(&listed[id.index()]);
            }
            let Members {
                users,
                groups,
                departments,
                teams,
            } = &object.operators;
            members[0].extend(users.iter().map(|user| user.0));
            members[1].extend(groups.iter().map(|group| group.0));
            members[2].extend(departments.iter().map(|department| department.0));
            members[3].extend(teams.iter().map(|team| team.0));
            next = object.parent;
        }
        if projects.is_empty() {
            projects.push(ProjectId::DEFAULT.0);
        }
        let projects = self.lists.intern_set(&mut projects);
        if members.iter().all(Vec::is_empty) {
            return (projects, NONE);
        }
        let members = members.map(|mut list| self.lists.intern_set(&mut list));
        (projects, seen.intern(members))
    }
}

// === impl SeenMembers ===

impl SeenMembers {
    fn intern(&mut self, lists: [u32; 4]) -> u32 {
        let next = self.rows.len() as u32;
        let id = *self.places.entry(lists).or_insert(next);
        if id == next {
            let [users, groups, departments, teams] = lists;
            self.rows.push(MembersRow {
                users,
                groups,
                departments,
                teams,
            });
        }
        id
    }
}
