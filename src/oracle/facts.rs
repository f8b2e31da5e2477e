//! The facts of a resource and of a user.

use crate::model::{
    DepartmentId, GroupId, ObjectId, ProjectId, Properties, RoleId, TypeId, UserId, Value,
};
use crate::policy::{Members, Object, Policy, Registry};

use super::names::{
    department_named, group_named, object_named, project_named, role_named, user_named,
};
use super::steps::Permission;

/// A resource, as a decision sees it.
pub(super) struct Resource<'a> {
    pub(super) kind: TypeId,
    /// As registered; of what is not registered, as sent.
    pub(super) id: String,
    pub(super) owner: Option<UserId>,
    pub(super) group: Option<GroupId>,
    pub(super) departments: Vec<DepartmentId>,
    pub(super) projects: Vec<ProjectId>,
    /// Those registered for it and for each of its parents, upwards.
    pub(super) operators: Vec<&'a Members>,
    stored: &'a Properties<'a>,
    sent: &'a Properties<'a>,
}

/// A fact as it was given: not at all (`None`), or as something that matches these, perhaps nothing.
type Given<T> = Option<Vec<T>>;

/// What was given of a resource, before anything is derived from its owner.
struct Description<'a> {
    id: String,
    owner: Given<UserId>,
    group: Given<GroupId>,
    departments: Given<DepartmentId>,
    projects: Vec<ProjectId>,
    operators: Vec<&'a Members>,
    stored: &'a Properties<'a>,
}

// === impl Resource ===

impl<'a> Resource<'a> {
    /// The property of this name: what is stored, or else what was sent, by whole top-level name.
    pub(super) fn property(&self, name: &str) -> Option<&'a Value<'a>> {
        self.stored.get(name).or_else(|| self.sent.get(name))
    }
}

/// Step 4: the facts of the resource that an action is about, or `None` for `unknown_resource`.
///
/// Choice: an id of type `user`, `project` or `role` that names none is unknown to an action that
/// is not `new` only, as with registered objects: else nobody could ever be created.
pub(super) fn resource<'a>(
    policy: &'a Policy,
    asked: Permission,
    id: &str,
    sent: &'a Properties<'a>,
) -> Option<Resource<'a>> {
    if id.is_empty() || id == "*" {
        return None;
    }
    let described = if asked.action(policy).new {
        by_request(policy, asked.kind, id, sent)
    } else {
        match asked.resource_type(policy).registry {
            Registry::Open => match object_named(policy, asked.kind, id) {
                Some(object) => by_registration(policy, object, sent),
                None => by_request(policy, asked.kind, id, sent),
            },
            Registry::Objects => {
                by_registration(policy, object_named(policy, asked.kind, id)?, sent)
            }
            Registry::Users => by_user(policy, user_named(policy, id)?),
            Registry::Projects => {
                let project = project_named(policy, id)?;
                by_nature(policy, asked.kind, id, vec![project], sent)
            }
            Registry::Roles => {
                let role = role_named(policy, id)?;
                by_nature(policy, asked.kind, id, projects_of_role(policy, role), sent)
            }
        }
    };
    // What is not given, and only that, comes from the owner.
    let owner = described.owner.unwrap_or_default().first().copied();
    let owning = owner.map(|owner| &policy.users[owner.index()]);
    let group = match described.group {
        Some(given) => given.first().copied(),
        None => owning.and_then(|owner| owner.group),
    };
    let departments = match described.departments {
        Some(given) => given,
        None => owning.map_or_else(Vec::new, |owner| owner.departments.clone()),
    };
    Some(Resource {
        kind: asked.kind,
        id: described.id,
        owner,
        group,
        departments,
        projects: described.projects,
        operators: described.operators,
        stored: described.stored,
        sent,
    })
}

/// A registered object: as registered; what the registration leaves out of owner, group and
/// departments may come from the request.
fn by_registration<'a>(policy: &'a Policy, id: ObjectId, sent: &Properties<'_>) -> Description<'a> {
    let object = &policy.objects[id.index()];
    let registered = &object.departments;
    Description {
        id: object.id.clone(),
        owner: match object.owner {
            Some(owner) => Some(vec![owner]),
            None => owner_sent(policy, object.kind, sent),
        },
        group: match object.group {
            Some(group) => Some(vec![group]),
            None => group_sent(policy, object.kind, sent),
        },
        departments: if registered.is_empty() {
            departments_sent(policy, object.kind, sent)
        } else {
            Some(registered.clone())
        },
        projects: projects_of_object(policy, id),
        operators: operators_upwards(policy, id),
        stored: &object.properties,
    }
}

/// A user: its own owner; nothing of it comes from the request.
fn by_user(policy: &Policy, id: UserId) -> Description<'_> {
    let user = &policy.users[id.index()];
    Description {
        id: user.id.clone(),
        owner: Some(vec![id]),
        group: Some(user.group.into_iter().collect()),
        departments: Some(user.departments.clone()),
        projects: projects_of_user(policy, id),
        operators: Vec::new(),
        stored: &user.properties,
    }
}

/// A project or a role: registered, with no owner, group or departments of its own, so that these
/// may come from the request as with a registered object.
fn by_nature<'a>(
    policy: &Policy,
    kind: TypeId,
    id: &str,
    projects: Vec<ProjectId>,
    sent: &Properties<'_>,
) -> Description<'a> {
    Description {
        id: id.to_owned(),
        owner: owner_sent(policy, kind, sent),
        group: group_sent(policy, kind, sent),
        departments: departments_sent(policy, kind, sent),
        projects,
        operators: Vec::new(),
        stored: const { &Properties::EMPTY },
    }
}

/// Anything else, and what a `new` action is about: the request alone describes it.
///
/// Choice: operators are those of the parents that are registered, even where another parent that
/// is named is not; the projects are none then.
fn by_request<'a>(
    policy: &'a Policy,
    kind: TypeId,
    id: &str,
    sent: &Properties<'_>,
) -> Description<'a> {
    let parents = parents_sent(policy, kind, sent);
    let projects = match projects_sent(policy, kind, sent) {
        Some(named) => named,
        None => projects_by_parents(policy, kind, &parents),
    };
    let operators = parents
        .iter()
        .flatten()
        .flat_map(|parent| operators_upwards(policy, *parent))
        .collect();
    Description {
        id: id.to_owned(),
        owner: owner_sent(policy, kind, sent),
        group: group_sent(policy, kind, sent),
        departments: departments_sent(policy, kind, sent),
        projects,
        operators,
        stored: const { &Properties::EMPTY },
    }
}

/// The parents named, each by one id under the name of a type that may be a parent; `None` for one
/// that is not registered.
///
/// Choice: a list, even of one, is no id, and so names a parent that is not registered.
fn parents_sent(policy: &Policy, kind: TypeId, sent: &Properties<'_>) -> Vec<Option<ObjectId>> {
    let types = &policy.catalogue.types;
    types[kind.index()]
        .parents
        .iter()
        .filter_map(|&parent| Some((parent, given(sent, &types[parent.index()].name)?)))
        .map(|(parent, value)| object_named(policy, parent, value.as_str()?))
        .collect()
}

/// The projects that all parents share, none if one is not registered; with no parent named none,
/// but `default` for a type that has no parents.
fn projects_by_parents(
    policy: &Policy,
    kind: TypeId,
    parents: &[Option<ObjectId>],
) -> Vec<ProjectId> {
    if policy.catalogue.types[kind.index()].parents.is_empty() {
        return vec![ProjectId::DEFAULT];
    }
    let mut of_each = parents.iter().map(|parent| match parent {
        Some(object) => projects_of_object(policy, *object),
        None => Vec::new(),
    });
    let Some(mut shared) = of_each.next() else {
        return Vec::new();
    };
    for projects in of_each {
        shared.retain(|project| projects.contains(project));
    }
    shared
}

fn owner_sent(policy: &Policy, kind: TypeId, sent: &Properties<'_>) -> Given<UserId> {
    let name = &policy.catalogue.types[kind.index()].fact_names.owner;
    one_sent(sent, name, |owner| user_named(policy, owner))
}

fn group_sent(policy: &Policy, kind: TypeId, sent: &Properties<'_>) -> Given<GroupId> {
    let name = &policy.catalogue.types[kind.index()].fact_names.group;
    one_sent(sent, name, |group| group_named(policy, group))
}

fn departments_sent(policy: &Policy, kind: TypeId, sent: &Properties<'_>) -> Given<DepartmentId> {
    let names = &policy.catalogue.types[kind.index()].fact_names.departments;
    many_sent(sent, names, |department| {
        department_named(policy, department)
    })
}

fn projects_sent(policy: &Policy, kind: TypeId, sent: &Properties<'_>) -> Given<ProjectId> {
    let names = &policy.catalogue.types[kind.index()].fact_names.projects;
    many_sent(sent, names, |project| project_named(policy, project))
}

/// One name. Choice: a list, even of one, cannot be a name, and so is given and matches nothing.
fn one_sent<T>(sent: &Properties<'_>, name: &str, named: impl Fn(&str) -> Option<T>) -> Given<T> {
    let value = given(sent, name)?;
    Some(value.as_str().and_then(named).into_iter().collect())
}

/// One name or a list, under each of several names, all united; what names nothing is left out.
fn many_sent<T>(
    sent: &Properties<'_>,
    names: &[String],
    named: impl Fn(&str) -> Option<T>,
) -> Given<T> {
    let values: Vec<&Value<'_>> = names.iter().filter_map(|name| given(sent, name)).collect();
    if values.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    for value in values {
        let each = match value {
            Value::List(items) => items.iter().collect(),
            single => vec![single],
        };
        found.extend(
            each.into_iter()
                .filter_map(Value::as_str)
                .filter_map(&named),
        );
    }
    Some(found)
}

/// What stands under the name, if it is given: null and the empty list are not.
fn given<'v, 'a>(sent: &'v Properties<'a>, name: &str) -> Option<&'v Value<'a>> {
    sent.get(name)
        .filter(|value| !matches!(value, Value::List(items) if items.is_empty()))
}

/// Projects of a registered object: those that list it; else its parent's; else `default`.
fn projects_of_object(policy: &Policy, id: ObjectId) -> Vec<ProjectId> {
    let listing = projects_where(policy, |project| project.objects.contains(&id));
    match policy.objects[id.index()].parent {
        _ if !listing.is_empty() => listing,
        Some(parent) => projects_of_object(policy, parent),
        None => vec![ProjectId::DEFAULT],
    }
}

/// Projects of a role: those that list it; else `default`.
fn projects_of_role(policy: &Policy, id: RoleId) -> Vec<ProjectId> {
    let listing = projects_where(policy, |project| project.roles.contains(&id));
    if listing.is_empty() {
        vec![ProjectId::DEFAULT]
    } else {
        listing
    }
}

/// Projects of a user: those that list the user as a member; in none, `default`.
pub(super) fn projects_of_user(policy: &Policy, user: UserId) -> Vec<ProjectId> {
    let listing = projects_where(policy, |project| is_member(policy, &project.members, user));
    if listing.is_empty() {
        vec![ProjectId::DEFAULT]
    } else {
        listing
    }
}

fn projects_where(
    policy: &Policy,
    lists: impl Fn(&crate::policy::Project) -> bool,
) -> Vec<ProjectId> {
    (0..)
        .map(ProjectId)
        .zip(&policy.projects)
        .filter(|(_, project)| lists(project))
        .map(|(id, _)| id)
        .collect()
}

/// The operators registered for the object and for its parents, upwards.
fn operators_upwards(policy: &Policy, id: ObjectId) -> Vec<&Members> {
    let Object {
        operators, parent, ..
    } = &policy.objects[id.index()];
    let mut all = vec![operators];
    if let Some(parent) = *parent {
        all.extend(operators_upwards(policy, parent));
    }
    all
}

/// Whether the user is among them: by name, by group, by a department or one above it, by team.
pub(super) fn is_member(policy: &Policy, members: &Members, user: UserId) -> bool {
    let group = policy.users[user.index()].group;
    members.users.contains(&user)
        || group.is_some_and(|group| members.groups.contains(&group))
        || departments_around(policy, user)
            .iter()
            .any(|department| members.departments.contains(department))
        || members
            .teams
            .iter()
            .any(|team| policy.teams[team.index()].users.contains(&user))
}

/// The user's departments and all departments above them, each once.
pub(super) fn departments_around(policy: &Policy, user: UserId) -> Vec<DepartmentId> {
    let mut all: Vec<DepartmentId> = policy.users[user.index()]
        .departments
        .iter()
        .flat_map(|department| upwards(policy, *department))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The department and all departments above it.
pub(super) fn upwards(policy: &Policy, department: DepartmentId) -> Vec<DepartmentId> {
    let mut all = vec![department];
    if let Some(parent) = policy.departments[department.index()].parent {
        all.extend(upwards(policy, parent));
    }
    all
}

/// The groups that the user leads.
pub(super) fn groups_led(policy: &Policy, user: UserId) -> Vec<GroupId> {
    (0..)
        .map(GroupId)
        .zip(&policy.groups)
        .filter(|(_, group)| group.leaders.contains(&user))
        .map(|(id, _)| id)
        .collect()
}

/// The departments that the user leads.
pub(super) fn departments_led(policy: &Policy, user: UserId) -> Vec<DepartmentId> {
    (0..)
        .map(DepartmentId)
        .zip(&policy.departments)
        .filter(|(_, department)| department.leaders.contains(&user))
        .map(|(id, _)| id)
        .collect()
}
