//! What a name means. Names match byte by byte.

use crate::model::{ActionId, DepartmentId, GroupId, ObjectId, ProjectId, RoleId, TypeId, UserId};
use crate::policy::Policy;

pub(super) fn type_named(policy: &Policy, name: &str) -> Option<TypeId> {
    let types = &policy.catalogue.types;
    first(TypeId, types, |ty| ty.name == name)
}

pub(super) fn action_named(policy: &Policy, kind: TypeId, name: &str) -> Option<ActionId> {
    let actions = &policy.catalogue.types[kind.index()].actions;
    first(ActionId, actions, |action| action.name == name)
}

/// The user of this id or alias.
pub(super) fn user_named(policy: &Policy, name: &str) -> Option<UserId> {
    first(UserId, &policy.users, |user| {
        user.id == name || user.aliases.iter().any(|alias| alias == name)
    })
}

pub(super) fn role_named(policy: &Policy, name: &str) -> Option<RoleId> {
    first(RoleId, &policy.roles, |role| role.name == name)
}

pub(super) fn object_named(policy: &Policy, kind: TypeId, id: &str) -> Option<ObjectId> {
    first(ObjectId, &policy.objects, |object| {
        object.kind == kind && object.id == id
    })
}

pub(super) fn project_named(policy: &Policy, name: &str) -> Option<ProjectId> {
    first(ProjectId, &policy.projects, |project| project.name == name)
}

pub(super) fn group_named(policy: &Policy, name: &str) -> Option<GroupId> {
    first(GroupId, &policy.groups, |group| group.name == name)
}

pub(super) fn department_named(policy: &Policy, name: &str) -> Option<DepartmentId> {
    let departments = &policy.departments;
    first(DepartmentId, departments, |department| {
        department.name == name
    })
}

/// The number of the first that is so.
fn first<T, N>(number: fn(u32) -> N, all: &[T], is_so: impl Fn(&T) -> bool) -> Option<N> {
    (0..)
        .zip(all)
        .find(|(_, one)| is_so(one))
        .map(|(position, _)| number(position))
}
