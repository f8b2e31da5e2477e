//! Registered objects that are decided otherwise than the rows that they make.
//!
//! What is registered is as registered: its projects, parent and operators come from nowhere else. So
//! an object may be decided otherwise than a row of the same id. It is compared with the row that its
//! registration makes: its owner, group, project, department and stored properties. Of several
//! departments or projects a row has but one (or, of departments, none): where these rows are not
//! all decided as the object, the object is told. So is every object where a condition reads the
//! parent's name of a row.

use std::borrow::Cow;

use super::super::check::decide_for;
use super::super::resource::{Resource, What};
use super::super::search::{self, Window};
use super::super::value::{Members, View};
use super::super::watch::Silent;
use super::{FilterError, OBJECTS_MAX, Objects, Rows, closure};
use crate::model::{Entity, Properties, Query, Value};
use crate::snapshot::Snapshot;
use crate::snapshot::tables::{
    FACT_NONE, ObjectRow, PermissionRow, REGISTRY_OBJECTS, REGISTRY_OPEN, ROOT_RESOURCE, TypeRow,
    some,
};

/// A question about all registered objects of a type.
pub(super) struct Exceptions<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) query: &'a Query<'a>,
    pub(super) user_id: u32,
    pub(super) permission: u32,
    pub(super) row: &'a PermissionRow,
    pub(super) kind: &'a TypeRow,
}

// === impl Exceptions ===

impl<'a> Exceptions<'a> {
    /// The objects that are decided otherwise than rows.
    pub(super) fn find(&self, rows: &Rows<'_>) -> Result<Objects<'a>, FilterError> {
        let mut found = Objects::default();
        if self.row.new != 0 {
            // Whatever is registered, the request alone tells what is new.
            return Ok(found);
        }
        if self.kind.registry != REGISTRY_OPEN && self.kind.registry != REGISTRY_OBJECTS {
            found.allow = self.by_search()?;
            return Ok(found);
        }
        let reads_parents = self.reads_parents();
        for object in self.snapshot.objects_of(self.row.kind) {
            let allowed = self.allows(object, What::Object(object), &Properties::EMPTY);
            let as_rows = match rows {
                Rows::Always => allowed,
                Rows::Never => !allowed,
                Rows::When(_) => !reads_parents && self.rows_are_decided(object, allowed),
            };
            if !as_rows {
                let list = if allowed {
                    &mut found.allow
                } else {
                    &mut found.deny
                };
                list.push(self.snapshot.text(object.id));
                if found.allow.len() + found.deny.len() > OBJECTS_MAX {
                    return Err(FilterError::TooLarge);
                }
            }
        }
        Ok(found)
    }

    /// Users, projects and roles: no row is one.
    fn by_search(&self) -> Result<Vec<&'a str>, FilterError> {
        let resource = Entity {
            properties: &Properties::EMPTY,
            ..self.query.resource
        };
        let query = Query {
            resource,
            ..*self.query
        };
        let window = Window {
            after: None,
            limit: OBJECTS_MAX,
        };
        let page = search::resources(self.snapshot, &query, window);
        if page.more {
            return Err(FilterError::TooLarge);
        }
        Ok(page.results)
    }

    fn allows(&self, object: &ObjectRow, what: What<'_>, told: &Properties<'_>) -> bool {
        let id = self.snapshot.text(object.id);
        let told = Members::Sent(told);
        let resource = Resource::registered(self.snapshot, object.kind, self.kind, id, what, told);
        let mut query = *self.query;
        query.resource.id = id;
        let permission = Ok(self.permission);
        let resource = Some(&resource);
        decide_for(
            self.snapshot,
            &query,
            self.user_id,
            permission,
            resource,
            Silent,
        )
        .allows()
    }

    /// Whether all rows that the registration makes are decided so.
    fn rows_are_decided(&self, object: &ObjectRow, allowed: bool) -> bool {
        let tables = &self.snapshot.tables;
        let stored = Members::at(self.snapshot, object.properties);
        if self.links_in(stored) {
            // A row's links are not followed, and a condition may test the same property.
            return false;
        }
        let department = |id: &u32| self.snapshot.department(*id).map(|row| row.name);
        let project = |id: &u32| tables.projects.get(*id as usize).map(|row| row.name);
        let departments = self.snapshot.list(object.departments);
        let mut departments: Vec<_> = departments.iter().map(department).collect();
        if departments.len() != 1 {
            departments.push(None);
        }
        let projects = self.snapshot.list(object.projects).iter().map(project);
        let owner = some(object.owner).and_then(|id| self.snapshot.user(id));
        let group = some(object.group).and_then(|id| tables.groups.get(id as usize));
        let mut rows = projects.flat_map(|project| {
            let facts = departments
                .iter()
                .map(move |&department| (department, project));
            facts.collect::<Vec<_>>()
        });
        rows.all(|(department, project)| {
            let mut told = Vec::new();
            let mut tell = |name: u32, value: Option<u32>| {
                let text = |id| Cow::Borrowed(self.snapshot.text(id));
                told.extend(value.map(|value| (text(name), Value::String(text(value)))));
            };
            let first = |names: u32| self.snapshot.list(names).first().copied();
            tell(self.kind.owner_name, owner.map(|owner| owner.id));
            tell(self.kind.group_name, group.map(|group| group.name));
            if let Some(name) = first(self.kind.department_names) {
                tell(name, department);
            }
            if let Some(name) = first(self.kind.project_names) {
                tell(name, project);
            }
            stored.for_each(&mut |name, value| {
                told.push((Cow::Borrowed(name), copy(value)));
            });
            // Stored properties never bear the names of facts.
            let told = Properties::new(told).unwrap_or_default();
            self.allows(object, What::Open, &told) == allowed
        })
    }

    /// Whether a condition reads, as a property, what a row belongs to. An object's registration
    /// makes that no property of it, and a snapshot does not keep it: which rows it makes then is
    /// not known here.
    fn reads_parents(&self) -> bool {
        let parents = self.snapshot.list(self.kind.parents).iter();
        let mut names = parents.filter_map(|&kind| Some(self.snapshot.kind(kind)?.name));
        names.any(|name| {
            let mut paths = self.snapshot.tables.paths.iter();
            paths.any(|path| {
                let first = self.snapshot.list(path.segments).first();
                path.root == ROOT_RESOURCE && path.fact == FACT_NONE && first == Some(&name)
            })
        })
    }

    /// Whether something stored could be a link.
    fn links_in(&self, stored: Members<'_>) -> bool {
        let mut closure = closure(self.snapshot, self.permission, self.row);
        closure.any(|permission| {
            let row = self.snapshot.permission(permission);
            let mut via = self.snapshot.list(row.map_or(0, |row| row.via)).iter();
            via.any(|&linked| {
                let linked = self.snapshot.permission(linked);
                let kind = linked.and_then(|linked| self.snapshot.kind(linked.kind));
                kind.is_some_and(|kind| stored.get(self.snapshot.text(kind.name)).is_some())
            })
        })
    }
}

/// A stored value as if it were sent.
fn copy(value: View<'_>) -> Value<'_> {
    match value {
        View::Bool(value) => Value::Bool(value),
        View::Number(number) => Value::Number(number),
        View::Text(text) => Value::String(Cow::Borrowed(text)),
        View::List(items) => {
            let mut copied = Vec::with_capacity(items.count());
            items.all(|item| {
                copied.push(item.map_or(Value::Null, copy));
                true
            });
            Value::List(copied)
        }
        View::Object(members) => {
            let mut copied = Vec::new();
            members.for_each(&mut |name, value| copied.push((Cow::Borrowed(name), copy(value))));
            Properties::new(copied).map_or(Value::Null, Value::Object)
        }
    }
}
