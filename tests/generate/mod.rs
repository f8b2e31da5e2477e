//! One seeded generator of companies, for benches, tests and load.
//!
//! A [`Shape`] says how large a company is and how strange. The sizes S, M and L are the ones that
//! the benches speak of; [`Shape::wild`] is small and has everything that a policy can say.
//! Companies are made as JSON values, which the policy reader takes as YAML, so that a failing one
//! can be cut down piece by piece and still be read by a person.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "each bench and test that includes this uses a part of it, and may fail by panicking"
)]

pub mod question;
mod roles;
pub mod wild;

use callgate::model::{Properties, Value as Property};
use callgate::policy::Files;
use fastrand::Rng;
use serde_json::{Map, Value, json};

pub use question::Question;

/// How large a company is, and how strange.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub users: usize,
    pub roles: usize,
    pub projects: usize,
    pub objects: usize,
    pub departments: usize,
    pub groups: usize,
    pub teams: usize,
    /// Roles of a user's own.
    pub roles_per_user: usize,
    /// Of a hundred lines of roles, how many are denies.
    pub denies: u32,
    /// Of a hundred grants, how many have a condition.
    pub conditional: u32,
    /// Of a hundred assignments, how many are limited in time or to projects.
    pub limited: u32,
    /// Of a hundred chances for something strange, how many are taken.
    pub wild: u32,
}

/// A generated company: `catalogue`, `pack_roles`, `company`, `roles`, `users`, `objects`, `projects`.
#[derive(Clone, Debug)]
pub struct Company(pub Value);

// === impl Shape ===

impl Shape {
    /// 100 users.
    pub const S: Self = Self {
        users: 100,
        roles: 8,
        projects: 5,
        objects: 50,
        departments: 6,
        groups: 5,
        teams: 4,
        roles_per_user: 3,
        denies: 5,
        conditional: 10,
        limited: 10,
        wild: 0,
    };
    /// 10,000 users.
    pub const M: Self = Self {
        users: 10_000,
        roles: 50,
        projects: 200,
        objects: 5_000,
        departments: 60,
        groups: 100,
        teams: 50,
        ..Self::S
    };
    /// 200,000 users.
    pub const L: Self = Self {
        users: 200_000,
        roles: 200,
        projects: 2_000,
        objects: 100_000,
        departments: 400,
        groups: 1_000,
        teams: 300,
        ..Self::S
    };

    /// Small, with everything that a policy can say.
    pub fn wild(rng: &mut Rng) -> Self {
        Self {
            users: rng.usize(2..9),
            roles: rng.usize(1..5),
            projects: rng.usize(0..4),
            objects: rng.usize(0..8),
            departments: rng.usize(0..5),
            groups: rng.usize(0..3),
            teams: rng.usize(0..3),
            roles_per_user: rng.usize(1..3),
            denies: 15,
            conditional: 35,
            limited: 30,
            wild: 50,
        }
    }
}

// === impl Company ===

impl Company {
    /// The company of this shape and seed: the same ones make the same company.
    pub fn generate(shape: &Shape, seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let roles = roles::names(shape);
        Self(json!({
            "catalogue": catalogue(shape, rng),
            "pack_roles": { "roles": [{ "role": "admin", "required": true, "grants": { "*": "any" } }] },
            "roles": { "roles": roles::roles(shape, rng, &roles) },
            "company": company(shape, rng, &roles),
            "users": { "users": (0..shape.users).map(|n| user(shape, rng, &roles, n)).collect::<Vec<_>>() },
            "objects": { "objects": (0..shape.objects).map(|n| object(shape, rng, n)).collect::<Vec<_>>() },
            "projects": { "projects": projects(shape, rng) },
        }))
    }

    /// As a policy tree, users and objects as YAML.
    pub fn files(&self) -> Files {
        Files::new(self.texts(false))
    }

    /// As a policy tree, users and objects as CSV.
    pub fn csv_files(&self) -> Files {
        Files::new(self.texts(true))
    }

    /// Paths and contents of the policy tree.
    pub fn texts(&self, csv: bool) -> Vec<(String, Vec<u8>)> {
        let text = |part: &str| self.0[part].to_string().into_bytes();
        let mut texts = vec![
            (
                "packs/generated/catalogue.yaml".to_owned(),
                text("catalogue"),
            ),
            ("packs/generated/roles.yaml".to_owned(), text("pack_roles")),
        ];
        for part in ["company", "roles", "users", "objects", "projects"] {
            let rows = self.0[part].get(part).and_then(Value::as_array);
            texts.push(match (csv, part, rows) {
                (true, "users", Some(rows)) => {
                    ("companies/demo/users.csv".to_owned(), users_csv(rows))
                }
                (true, "objects", Some(rows)) => {
                    ("companies/demo/objects.csv".to_owned(), objects_csv(rows))
                }
                _ => (format!("companies/demo/{part}.yaml"), text(part)),
            });
        }
        texts
    }
}

/// So many users have one job, on the average.
const JOB_USERS: u64 = 5;

/// Whether a chance of so many in a hundred is taken.
fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.u32(0..100) < percent
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.usize(0..of.len())]
}

/// Up to `most` different names of a kind (`d` of `d0`, `d1`…).
fn some(rng: &mut Rng, kind: &str, count: usize, most: usize) -> Vec<Value> {
    let mut picked: Vec<usize> = Vec::new();
    for _ in 0..rng.usize(0..=most).min(count) {
        let n = rng.usize(0..count);
        if !picked.contains(&n) {
            picked.push(n);
        }
    }
    picked
        .into_iter()
        .map(|n| json!(format!("{kind}{n}")))
        .collect()
}

/// The types with registered objects, in the order in which parents may be named.
const REGISTERED: [&str; 3] = ["queue", "list", "deal"];

/// The type of the object of this number. In strange companies some calls, leads and tickets are
/// registered though they need not be.
fn kind_of(shape: &Shape, n: usize) -> &'static str {
    match n % 3 {
        2 if shape.wild > 0 => ["deal", "call", "lead", "ticket"][n / 3 % 4],
        kind => REGISTERED[kind],
    }
}

fn catalogue(shape: &Shape, rng: &mut Rng) -> Value {
    let mut resources = Map::new();
    let kinds: [(&str, Value); 12] = [
        ("queue", json!({ "registered": true, "exclusive": true })),
        ("list", json!({ "registered": true, "parent": ["queue"] })),
        (
            "deal",
            json!({ "registered": true, "parent": ["queue", "list"] }),
        ),
        ("call", json!({ "parent": ["queue", "list"] })),
        (
            "chat",
            json!({ "parent": if shape.wild > 0 { json!(["queue", "call"]) } else { json!(["queue"]) } }),
        ),
        ("lead", json!({})),
        ("ticket", json!({})),
        ("finance", json!({ "walled": false })),
        ("report", json!({})),
        ("user", json!({})),
        ("project", json!({})),
        ("role", json!({ "walled": false })),
    ];
    for (name, mut kind) in kinds {
        if shape.wild > 0 && chance(rng, shape.wild / 3) {
            kind["properties"] = wild::fact_names(rng);
        }
        if shape.wild > 0 && chance(rng, 10) {
            kind["walled"] = json!(rng.bool());
        }
        let mut actions = Map::new();
        for action in ["view", "edit", "export", "manage"] {
            actions.insert(action.to_owned(), json!({}));
        }
        let last = match name {
            "project" => ("view_all", json!({ "lifts_wall": true, "scopes": ["any"] })),
            "role" => ("test", json!({ "tests_roles": true, "scopes": ["any"] })),
            "call" => ("take", json!({ "scopes": ["assigned"] })),
            _ => ("create", json!({ "new": true })),
        };
        actions.insert(last.0.to_owned(), last.1);
        if shape.wild > 0 {
            wild::actions(rng, name, &mut actions, shape.wild);
        }
        kind["actions"] = actions.into();
        resources.insert(name.to_owned(), kind);
    }
    json!({ "catalogue": "generated", "resources": resources })
}

fn company(shape: &Shape, rng: &mut Rng, roles: &[String]) -> Value {
    let given = |rng: &mut Rng, percent| {
        let many = usize::from(chance(rng, percent));
        (0..many)
            .map(|_| assignment(shape, rng, roles))
            .collect::<Vec<_>>()
    };
    let leaders = |rng: &mut Rng| some(rng, "u", shape.users, 2);
    let mut departments = Vec::new();
    for n in 0..shape.departments {
        let mut department = json!({ "department": format!("d{n}"), "leaders": leaders(rng), "roles": given(rng, 20) });
        if n > 0 && chance(rng, 70) {
            department["parent"] = json!(format!("d{}", rng.usize(0..n)));
        }
        departments.push(department);
    }
    let mut groups = Vec::new();
    for n in 0..shape.groups {
        let mut group =
            json!({ "group": format!("g{n}"), "leaders": leaders(rng), "roles": given(rng, 30) });
        if chance(rng, 50) {
            group["shift"] = wild::shift_plan(rng);
        }
        groups.push(group);
    }
    let teams: Vec<Value> = (0..shape.teams)
        .map(|n| {
            // Half of the users are in a team.
            let users = some(rng, "u", shape.users, 1 + shape.users / shape.teams);
            json!({ "team": format!("t{n}"), "users": users, "roles": given(rng, 30) })
        })
        .collect();
    let enhanced = shape.wild == 0 || rng.bool();
    json!({
        "company": "demo",
        "pack": "generated",
        "security": if enhanced { "enhanced" } else { "simple" },
        "time_zone": if shape.wild == 0 { "Europe/Warsaw" } else { *pick(rng, &wild::ZONES) },
        "departments": departments,
        "groups": groups,
        "teams": teams,
        "shifts": wild::shifts(rng),
    })
}

/// A role, perhaps limited.
fn given_role(shape: &Shape, rng: &mut Rng, roles: &[String]) -> Value {
    if chance(rng, shape.limited) {
        assignment(shape, rng, roles)
    } else {
        json!(pick(rng, roles))
    }
}

/// A role limited in time or to projects.
fn assignment(shape: &Shape, rng: &mut Rng, roles: &[String]) -> Value {
    let role = pick(rng, roles);
    let mut assignment = json!({ "role": role });
    let what = rng.u32(0..4);
    if what != 1 {
        let [from, until] = wild::PERIODS[rng.usize(0..wild::PERIODS.len())];
        if what != 2 {
            assignment["from"] = json!(from);
        }
        if what != 3 {
            assignment["until"] = json!(until);
        }
    }
    if what == 1 || chance(rng, 20) {
        let mut projects = some(rng, "p", shape.projects, 2);
        // In one order, so that what is the same twice is seen to be so.
        projects.sort_by_key(Value::to_string);
        if projects.is_empty() {
            projects.push(json!("default"));
        }
        assignment["projects"] = projects.into();
    }
    assignment
}

fn user(shape: &Shape, rng: &mut Rng, roles: &[String], n: usize) -> Value {
    let mut own: Vec<Value> = Vec::new();
    if n == 0 {
        own.push(json!("admin"));
    }
    // People are hired for jobs: the same roles go together again and again.
    let job = &mut Rng::with_seed(rng.u64(0..=shape.users as u64 / JOB_USERS));
    for _ in 0..shape.roles_per_user {
        let limited = chance(rng, shape.limited);
        let role = if limited {
            assignment(shape, rng, roles)
        } else {
            json!(pick(job, roles))
        };
        if !own.contains(&role) {
            own.push(role);
        }
    }
    let mut user = json!({
        "user": format!("u{n}"),
        "aliases": [format!("u{n}@demo.example"), format!("sip:{n}")],
        "roles": own,
        "departments": some(rng, "d", shape.departments, 2),
        "properties": wild::stored(rng, shape.wild, &["region", "level", "tags"]),
    });
    if shape.groups > 0 && chance(rng, 80) {
        user["group"] = json!(format!("g{}", rng.usize(0..shape.groups)));
    }
    if n > 0 && chance(rng, 4) {
        user["active"] = json!(false);
    }
    if shape.wild > 0 && chance(rng, shape.wild) {
        user["shift"] = wild::shift_plan(rng);
    }
    user
}

/// Objects take the registered types in turn, so that those with a parent come after it.
fn object(shape: &Shape, rng: &mut Rng, n: usize) -> Value {
    let kind = kind_of(shape, n);
    let mut object = json!({ "type": kind, "id": format!("o{n}") });
    if chance(rng, 70) {
        object["owner"] = json!(format!("u{}", rng.usize(0..shape.users)));
    }
    if shape.groups > 0 && chance(rng, 30) {
        object["group"] = json!(format!("g{}", rng.usize(0..shape.groups)));
    }
    object["departments"] = some(rng, "d", shape.departments, 1).into();
    if ["list", "deal", "call"].contains(&kind) && n >= 3 && chance(rng, 60) {
        let parent_kind = if kind == "list" { 0 } else { rng.usize(0..2) };
        let before = rng.usize(0..n / 3) * 3 + parent_kind;
        object["parent"] = json!({ "type": REGISTERED[parent_kind], "id": format!("o{before}") });
    }
    if chance(rng, 60) {
        object["operators"] = json!({
            "users": some(rng, "u", shape.users, 4),
            "groups": some(rng, "g", shape.groups, 1),
            "departments": some(rng, "d", shape.departments, 1),
            "teams": some(rng, "t", shape.teams, 1),
        });
    }
    let properties = wild::stored(
        rng,
        shape.wild,
        &["status", "amount", "labels", "deep", "lead"],
    );
    object["properties"] = properties;
    object
}

fn projects(shape: &Shape, rng: &mut Rng) -> Vec<Value> {
    let mut objects: Vec<Vec<usize>> = vec![Vec::new(); shape.projects];
    if shape.projects > 0 {
        for n in 0..shape.objects {
            // A queue is in one project at most.
            let most = if n % 3 == 0 { 1 } else { 2 };
            for _ in 0..rng.usize(0..=most) {
                let project = &mut objects[rng.usize(0..shape.projects)];
                if !project.contains(&n) {
                    project.push(n);
                }
            }
        }
    }
    let mut projects = Vec::new();
    for (n, objects) in objects.into_iter().enumerate() {
        let mut of_kinds = Map::new();
        for n in objects {
            let of_kind = of_kinds.entry(kind_of(shape, n)).or_insert(json!([]));
            of_kind
                .as_array_mut()
                .into_iter()
                .for_each(|list| list.push(json!(format!("o{n}"))));
        }
        if shape.wild > 0 && chance(rng, 30) {
            of_kinds.insert("role".to_owned(), json!(["admin"]));
        }
        let share = 1 + shape.users / shape.projects.max(1);
        projects.push(json!({
            "project": format!("p{n}"),
            "members": {
                "users": some(rng, "u", shape.users, share),
                "groups": some(rng, "g", shape.groups, 2),
                "departments": some(rng, "d", shape.departments, 1),
                "teams": some(rng, "t", shape.teams, 1),
            },
            "objects": of_kinds,
        }));
    }
    if shape.wild > 0 && rng.bool() {
        let members = json!({ "users": some(rng, "u", shape.users, 2) });
        projects.push(json!({ "project": "default", "members": members }));
    }
    projects
}

fn users_csv(users: &[Value]) -> Vec<u8> {
    let mut csv =
        "user,aliases,active,group,departments,roles,properties.region,properties.level\n"
            .to_owned();
    for user in users {
        let roles: Vec<String> = user["roles"]
            .as_array()
            .into_iter()
            .flatten()
            .map(role_cell)
            .collect();
        let cells = [
            text(&user["user"]),
            list(&user["aliases"]),
            user.get("active")
                .map_or_else(String::new, Value::to_string),
            text(&user["group"]),
            list(&user["departments"]),
            roles.join(";"),
            text(&user["properties"]["region"]),
            user["properties"]
                .get("level")
                .map_or_else(String::new, Value::to_string),
        ];
        csv.push_str(&cells.join(","));
        csv.push('\n');
    }
    csv.into_bytes()
}

fn role_cell(role: &Value) -> String {
    let mut cell = if role.is_string() {
        text(role)
    } else {
        text(&role["role"])
    };
    if role.get("projects").is_some() {
        cell += &format!("[{}]", list(&role["projects"]).replace(';', " "));
    }
    if role.get("from").is_some() || role.get("until").is_some() {
        cell += &format!("@{}/{}", text(&role["from"]), text(&role["until"]));
    }
    cell
}

fn objects_csv(objects: &[Value]) -> Vec<u8> {
    let mut csv = "type,id,owner,departments,group,parent,operator_users,operator_groups,operator_departments,\
                   operator_teams,properties.status,properties.amount\n"
        .to_owned();
    for object in objects {
        let parent = object
            .get("parent")
            .map(|parent| format!("{}:{}", text(&parent["type"]), text(&parent["id"])));
        let operators = &object["operators"];
        let cells = [
            text(&object["type"]),
            text(&object["id"]),
            text(&object["owner"]),
            list(&object["departments"]),
            text(&object["group"]),
            parent.unwrap_or_default(),
            list(&operators["users"]),
            list(&operators["groups"]),
            list(&operators["departments"]),
            list(&operators["teams"]),
            text(&object["properties"]["status"]),
            object["properties"]
                .get("amount")
                .map_or_else(String::new, Value::to_string),
        ];
        csv.push_str(&cells.join(","));
        csv.push('\n');
    }
    csv.into_bytes()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> String {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect::<Vec<_>>()
        .join(";")
}

/// A JSON value as the library takes it.
pub fn property(value: &Value) -> Property<'static> {
    match value {
        Value::Null => Property::Null,
        Value::Bool(value) => Property::Bool(*value),
        Value::Number(value) => Property::Number(value.as_f64().unwrap_or(0.0)),
        Value::String(text) => Property::String(text.clone().into()),
        Value::Array(items) => Property::List(items.iter().map(property).collect()),
        Value::Object(_) => Property::Object(properties(value)),
    }
}

/// The members of a JSON object as the library takes them.
pub fn properties(value: &Value) -> Properties<'static> {
    let members = value.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (name.clone().into(), property(value)));
    Properties::new(members.collect()).unwrap_or_default()
}
