//! Rows, and what a request says of them.

use callgate::model::{DepartmentId, ObjectId};
use callgate::policy::{Object, Policy, ResourceType};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::generate::{Shape, wild};

/// A row: fields by name, `properties` as an object.
pub(super) fn row(shape: &Shape, rng: &mut Rng) -> Value {
    let mut row = Map::new();
    let name = |rng: &mut Rng, kind: &str, count: usize| match rng.u32(0..8) {
        0 => "ghost".to_owned(),
        _ => format!("{kind}{}", rng.usize(0..count.max(1))),
    };
    // Conditions ask for such ids.
    row.insert("id".to_owned(), json!(format!("u{}", rng.usize(0..4))));
    for (field, kind, count) in [
        ("owner", "u", shape.users),
        ("group", "g", shape.groups),
        ("department", "d", shape.departments),
        ("project", "p", shape.projects),
    ] {
        if rng.u32(0..100) < if field == "owner" { 70 } else { 30 } {
            let name = match (field, rng.u32(0..6)) {
                ("project", 0) => "default".to_owned(),
                _ => name(rng, kind, count),
            };
            row.insert(field.to_owned(), json!(name));
        }
    }
    for (field, place) in [("queue", 0), ("list", 1)] {
        if rng.bool() {
            let id = match rng.u32(0..8) {
                0 => "ghost".to_owned(),
                _ => format!("o{}", rng.usize(0..3) * 3 + place),
            };
            row.insert(field.to_owned(), json!(id));
        }
    }
    let mut properties = Map::new();
    for name in [
        "status", "amount", "labels", "deep", "region", "ip", "deal", "lead",
    ] {
        if rng.u32(0..100) < 60 {
            let value = match rng.u32(0..10) {
                0 => wild::any(rng),
                1 => json!(["u1", "d0", "open", 3, null, "p0"]),
                2 => wild::fitting(rng, "status"),
                _ => wild::fitting(rng, name),
            };
            properties.insert(name.to_owned(), value);
        }
    }
    row.insert("properties".to_owned(), properties.into());
    row.into()
}

/// What a request says of the row.
pub(super) fn told(policy: &Policy, kind: &ResourceType, row: &Value) -> Value {
    let mut told = row["properties"].as_object().cloned().unwrap_or_default();
    let mut tell = |field: &str, name: &str| {
        if !row[field].is_null() {
            told.insert(name.to_owned(), row[field].clone());
        }
    };
    let names = &kind.fact_names;
    tell("owner", &names.owner);
    tell("group", &names.group);
    tell("department", &names.departments[0]);
    tell("project", &names.projects[0]);
    for parent in &kind.parents {
        let parent = &policy.catalogue.types[parent.index()].name;
        tell(parent, parent);
    }
    told.into()
}

/// The request, asked of the row.
pub(super) fn asked_of(policy: &Policy, request: &Value, row: &Value) -> Value {
    let mut request = request.clone();
    let kind = request["resource"]["type"].as_str().unwrap_or_default();
    let types = &policy.catalogue.types;
    let properties = match types.iter().find(|of| of.name == kind) {
        Some(kind) => told(policy, kind, row),
        None => json!({}),
    };
    request["resource"]["id"] = row["id"].clone();
    request["resource"]["properties"] = properties;
    request
}

/// The rows that an object's registration makes.
pub(super) fn rows_of(company: &Value, policy: &Policy, object: &Object) -> Vec<Value> {
    let stored = company["objects"]["objects"]
        .as_array()
        .into_iter()
        .flatten();
    let stored = stored
        .into_iter()
        .find(|stored| stored["id"] == object.id.as_str());
    let mut row = json!({ "id": object.id, "properties": stored.map_or(json!({}), |of| of["properties"].clone()) });
    if let Some(owner) = object.owner {
        row["owner"] = json!(policy.users[owner.index()].id);
    }
    if let Some(group) = object.group {
        row["group"] = json!(policy.groups[group.index()].name);
    }
    let name = |id: &DepartmentId| json!(policy.departments[id.index()].name);
    let mut departments: Vec<Value> = object.departments.iter().map(name).collect();
    if departments.len() != 1 {
        departments.push(Value::Null);
    }
    let mut rows = Vec::new();
    for project in projects_of(policy, object) {
        for department in &departments {
            let mut row = row.clone();
            row["project"] = json!(project);
            row["department"] = department.clone();
            rows.push(row.clone());
            if let Some(parent) = object.parent {
                let parent = &policy.objects[parent.index()];
                row[&policy.catalogue.types[parent.kind.index()].name] = json!(parent.id);
                rows.push(row);
            }
        }
    }
    rows
}

/// Those that list it, else its parent's, else `default`.
pub(super) fn projects_of(policy: &Policy, object: &Object) -> Vec<String> {
    let is_it = |id: &ObjectId| std::ptr::eq(&raw const policy.objects[id.index()], object);
    let listing = policy
        .projects
        .iter()
        .filter(|project| project.objects.iter().any(is_it));
    let listing: Vec<String> = listing.map(|project| project.name.clone()).collect();
    match object.parent {
        _ if !listing.is_empty() => listing,
        Some(parent) => projects_of(policy, &policy.objects[parent.index()]),
        None => vec!["default".to_owned()],
    }
}
