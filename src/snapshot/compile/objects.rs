//! Registered objects: their facts, with what comes from parents already in them.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::super::lists::Lists;
use super::super::tables::{MembersRow, NONE, ObjectRow};
use super::lookup::Lookup;
use crate::model::{ObjectId, ProjectId};
use crate::policy::{Members, Policy};

/// The objects; what is said of them in words is entered later.
pub(super) struct Objects {
    pub(super) rows: Vec<ObjectRow>,
    pub(super) members: Vec<MembersRow>,
}

/// Objects in the making.
struct Maker<'a> {
    policy: &'a Policy,
    lists: &'a mut Lists,
    /// The projects that list each object.
    listed: Lookup,
    /// Rows of members met before.
    places: HashMap<[u32; 4], u32, FixedState>,
    members: Vec<MembersRow>,
    // Lists in the making of one object.
    projects: Vec<u32>,
    departments: Vec<u32>,
    operators: [Vec<u32>; 4],
}

// === impl Objects ===

impl Objects {
    pub(super) fn new(policy: &Policy, lists: &mut Lists) -> Self {
        let listed = Lookup::new(policy.objects.len(), || {
            let projects = policy.projects.iter().zip(0..);
            projects.flat_map(|(project, id)| {
                let objects = project.objects.iter();
                objects.map(move |object| (object.index(), id))
            })
        });
        let mut maker = Maker {
            policy,
            lists,
            listed,
            places: HashMap::default(),
            members: Vec::new(),
            projects: Vec::new(),
            departments: Vec::new(),
            operators: Default::default(),
        };
        let mut rows = Vec::with_capacity(policy.objects.len());
        rows.extend((0..policy.objects.len() as u32).map(|id| maker.row(ObjectId(id))));
        Self {
            rows,
            members: maker.members,
        }
    }
}

// === impl Maker ===

impl Maker<'_> {
    fn row(&mut self, id: ObjectId) -> ObjectRow {
        let object = &self.policy.objects[id.index()];
        let (projects, operators) = self.inherited(id);
        self.departments.clear();
        self.departments
            .extend(object.departments.iter().map(|of| of.0));
        ObjectRow {
            kind: object.kind.0,
            id: NONE,
            owner: object.owner.map_or(NONE, |owner| owner.0),
            group: object.group.map_or(NONE, |group| group.0),
            departments: self.lists.intern_set(&mut self.departments),
            projects,
            operators,
            properties: NONE,
        }
    }

    /// The object's projects (those that list it, else its parent's, else `default`) and its
    /// operators with those of all its parents.
    fn inherited(&mut self, id: ObjectId) -> (u32, u32) {
        self.projects.clear();
        self.operators.iter_mut().for_each(Vec::clear);
        let mut next = Some(id);
        while let Some(id) = next {
            let object = &self.policy.objects[id.index()];
            if self.projects.is_empty() {
                self.projects.extend_from_slice(self.listed.of(id.index()));
            }
            let Members {
                users,
                groups,
                departments,
                teams,
            } = &object.operators;
            self.operators[0].extend(users.iter().map(|user| user.0));
            self.operators[1].extend(groups.iter().map(|group| group.0));
            self.operators[2].extend(departments.iter().map(|department| department.0));
            self.operators[3].extend(teams.iter().map(|team| team.0));
            next = object.parent;
        }
        if self.projects.is_empty() {
            self.projects.push(ProjectId::DEFAULT.0);
        }
        let projects = self.lists.intern_set(&mut self.projects);
        if self.operators.iter().all(Vec::is_empty) {
            return (projects, NONE);
        }
        let members = self
            .operators
            .each_mut()
            .map(|list| self.lists.intern_set(list));
        (projects, self.members(members))
    }

    /// The row of members in these lists.
    fn members(&mut self, lists: [u32; 4]) -> u32 {
        let next = self.members.len() as u32;
        let id = *self.places.entry(lists).or_insert(next);
        if id == next {
            let [users, groups, departments, teams] = lists;
            self.members.push(MembersRow {
                users,
                groups,
                departments,
                teams,
            });
        }
        id
    }
}
