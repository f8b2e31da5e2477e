//! What users have by belonging somewhere: roles, projects, and the places that they lead.

use super::super::lists::Lists;
use super::super::origins::{GIVEN_DEPARTMENT, GIVEN_GROUP, GIVEN_TEAM};
use super::holdings::{Held, Holdings};
use super::lookup::Lookup;
use super::origins::Gathered;
use super::roles::Roles;
use crate::model::{RoleId, UserId};
use crate::policy::{Assignment, Policy};

/// What comes with departments, groups, teams and projects, by number.
pub(super) struct Belonging {
    pub(super) departments: Vec<Place>,
    pub(super) groups: Vec<Place>,
    pub(super) teams: Vec<Place>,
    /// What everybody has.
    pub(super) implicit: Held,
    /// By user, as all below.
    pub(super) teams_of: Lookup,
    pub(super) projects_of: Lookup,
    pub(super) led_departments: Lookup,
    pub(super) led_groups: Lookup,
}

/// What comes with one place.
#[derive(Default)]
pub(super) struct Place {
    /// A department and all above it; nothing for other places.
    pub(super) within: Vec<u32>,
    /// Roles of it, and of all departments above it.
    pub(super) held: Held,
    /// Projects that it is a member of.
    pub(super) projects: Vec<u32>,
}

// === impl Belonging ===

impl Belonging {
    pub(super) fn new(
        policy: &Policy,
        roles: &Roles,
        lists: &mut Lists,
        holdings: &mut Holdings,
        origins: &mut Gathered,
    ) -> Self {
        // Where a role stands is noted for the place that gives it, and for no place below that.
        let mut hold = |of: &[Assignment], held: &mut Held, giver: Option<(u32, u32)>| {
            for assignment in of {
                let limited = holdings.hold(policy, lists, assignment, held);
                if let Some((kind, id)) = giver {
                    origins.given(kind, id, limited, assignment);
                }
            }
        };
        let mut departments = Vec::with_capacity(policy.departments.len());
        for (department, id) in policy.departments.iter().zip(0..) {
            let mut place = Place {
                within: vec![id],
                ..Place::default()
            };
            let giver = Some((GIVEN_DEPARTMENT, id));
            hold(&department.roles, &mut place.held, giver);
            let mut above = department.parent;
            while let Some(parent) = above {
                place.within.push(parent.0);
                let parent = &policy.departments[parent.index()];
                hold(&parent.roles, &mut place.held, None);
                above = parent.parent;
            }
            departments.push(place);
        }
        let mut place = |roles: &[Assignment], giver| {
            let mut place = Place::default();
            hold(roles, &mut place.held, giver);
            place
        };
        let groups = policy.groups.iter().zip(0..);
        let groups = groups.map(|(group, id)| place(&group.roles, Some((GIVEN_GROUP, id))));
        let groups = groups.collect();
        let teams = policy.teams.iter().zip(0..);
        let teams = teams.map(|(team, id)| place(&team.roles, Some((GIVEN_TEAM, id))));
        let teams = teams.collect();
        let everybody = |&role: &RoleId| Assignment {
            role,
            from: None,
            until: None,
            projects: None,
            place: policy.roles[role.index()].place,
        };
        let everybody: Vec<Assignment> = roles.implicit.iter().map(everybody).collect();
        let implicit = place(&everybody, None).held;
        let mut belonging = Self {
            departments,
            groups,
            teams,
            implicit,
            teams_of: by_user(policy, &policy.teams, |team| &team.users),
            projects_of: by_user(policy, &policy.projects, |project| &project.members.users),
            led_departments: by_user(policy, &policy.departments, |of| &of.leaders),
            led_groups: by_user(policy, &policy.groups, |group| &group.leaders),
        };
        belonging.projects(policy);
        belonging
    }

    /// Tells each place the projects that it is a member of.
    fn projects(&mut self, policy: &Policy) {
        for (project, id) in policy.projects.iter().zip(0..) {
            for of in &project.members.departments {
                self.departments[of.index()].projects.push(id);
            }
            for of in &project.members.groups {
                self.groups[of.index()].projects.push(id);
            }
            for of in &project.members.teams {
                self.teams[of.index()].projects.push(id);
            }
        }
    }
}

/// For each user the places that name the user.
fn by_user<T>(policy: &Policy, places: &[T], users: impl Fn(&T) -> &[UserId]) -> Lookup {
    let users = &users;
    Lookup::new(policy.users.len(), || {
        let places = places.iter().zip(0..);
        places.flat_map(move |(place, id)| users(place).iter().map(move |user| (user.index(), id)))
    })
}
