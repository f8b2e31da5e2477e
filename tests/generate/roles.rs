//! Roles of a generated company.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{Shape, chance, pick, wild};

const SCOPES: [&str; 6] = ["own", "assigned", "group", "department", "branch", "any"];
const TYPES: [&str; 10] = [
    "queue", "list", "deal", "call", "chat", "lead", "ticket", "finance", "report", "user",
];
const ACTIONS: [&str; 5] = ["view", "edit", "export", "manage", "create"];

/// The names of the company's own roles.
pub fn names(shape: &Shape) -> Vec<String> {
    (0..shape.roles).map(|n| format!("r{n}")).collect()
}

/// The company's own roles.
pub fn roles(shape: &Shape, rng: &mut Rng, names: &[String]) -> Vec<Value> {
    let mut roles: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(n, name)| role(shape, rng, name, &names[..n]))
        .collect();
    roles.push(json!({
        "role": "everyone",
        "implicit": true,
        "grants": { "ticket": { "*": "any" }, "call": { "take": "assigned" }, "project": { "view_all": "none" } },
    }));
    if shape.wild > 0 && chance(rng, 30) {
        let mut role = role(shape, rng, "watch", &[]);
        role["implicit"] = json!(true);
        roles.push(role);
    }
    roles
}

fn role(shape: &Shape, rng: &mut Rng, name: &str, before: &[String]) -> Value {
    let strange = |rng: &mut Rng, percent| shape.wild > 0 && chance(rng, percent);
    let mut grants = Map::new();
    let mut deny = Vec::new();
    for _ in 0..rng.usize(2..8) {
        let kind = *pick(rng, &TYPES);
        let entry = if strange(rng, 15) {
            line(shape, rng, &SCOPES)
        } else {
            let mut actions = Map::new();
            for _ in 0..rng.usize(1..4) {
                // Calls are taken, not created.
                let action = pick(
                    rng,
                    if kind == "call" {
                        &ACTIONS[..4]
                    } else {
                        &ACTIONS[..]
                    },
                );
                let scopes = offered_line(shape, rng);
                actions.insert((*action).to_owned(), scopes);
            }
            if strange(rng, 30) {
                actions.insert("*".to_owned(), line(shape, rng, &SCOPES));
            }
            // With a type's own catalogue of scopes a line by name must keep to them: the wild
            // catalogues cut them down, so there only wildcards name scopes freely.
            if shape.wild > 0 {
                actions.retain(|name, grant| name == "*" || *grant == json!("none"));
                actions
                    .entry("*")
                    .or_insert_with(|| line(shape, rng, &SCOPES));
            }
            actions.into()
        };
        grants.insert(kind.to_owned(), entry);
        if chance(rng, shape.denies) {
            let line = denied(shape, rng);
            if !deny.contains(&line) {
                deny.push(line);
            }
        }
    }
    if strange(rng, 40) {
        let action = pick(rng, &ACTIONS);
        grants.insert(
            "*".to_owned(),
            json!({ *action: line(shape, rng, &SCOPES) }),
        );
    }
    if chance(rng, if shape.wild > 0 { 30 } else { 2 }) {
        grants.insert(
            "project".to_owned(),
            json!({ "view_all": everywhere(rng), "*": "any" }),
        );
        grants.insert(
            "role".to_owned(),
            json!({ "test": everywhere(rng), "*": "any" }),
        );
    } else if shape.wild > 0 {
        grants.insert(
            "project".to_owned(),
            json!({ "view_all": "none", "*": line(shape, rng, &SCOPES) }),
        );
        grants.insert(
            "role".to_owned(),
            json!({ "test": "none", "*": line(shape, rng, &SCOPES) }),
        );
    }
    let mut role = json!({ "role": name, "grants": grants });
    if !deny.is_empty() {
        role["deny"] = deny.into();
    }
    if !before.is_empty() && strange(rng, 40) {
        role["extends"] = json!([pick(rng, before)]);
    }
    if strange(rng, 25) {
        role["only_on_shift"] = json!(true);
    }
    role
}

/// A grant for an action that decides for everything.
fn everywhere(rng: &mut Rng) -> Value {
    match rng.u32(0..3) {
        0 => json!({ "scope": "any", "when": wild::condition(rng, false) }),
        _ => json!("any"),
    }
}

fn offered_line(shape: &Shape, rng: &mut Rng) -> Value {
    if chance(rng, 8) {
        json!("none")
    } else {
        line(shape, rng, &SCOPES)
    }
}

/// Scopes, perhaps under conditions.
fn line(shape: &Shape, rng: &mut Rng, scopes: &[&str]) -> Value {
    let conditional = |rng: &mut Rng| {
        let condition = if shape.wild > 0 {
            wild::condition(rng, true)
        } else {
            json!({ "resource.status": "open", "subject.level": { "at_least": 3 } })
        };
        json!({ "scope": pick(rng, scopes), "when": condition })
    };
    if chance(rng, shape.conditional) {
        if rng.bool() {
            return conditional(rng);
        }
        return json!([pick(rng, scopes), conditional(rng)]);
    }
    match rng.u32(0..4) {
        0 if shape.wild > 0 => {
            let first = rng.usize(0..scopes.len() - 1);
            json!([scopes[first], scopes[rng.usize(first + 1..scopes.len())]])
        }
        1 if shape.wild == 0 => json!("any"),
        _ => json!(pick(rng, scopes)),
    }
}

fn denied(shape: &Shape, rng: &mut Rng) -> Value {
    let kind = *pick(rng, &TYPES);
    let action = *pick(rng, &ACTIONS);
    let (permission, narrow) = match rng.u32(0..8) {
        0 if shape.wild > 0 => ("*".to_owned(), false),
        1 if shape.wild > 0 => (format!("*.{action}"), true),
        2 if shape.wild > 0 => (format!("{kind}.*"), true),
        _ => (format!("{kind}.view"), true),
    };
    if chance(rng, 30.max(shape.conditional)) || !narrow {
        let when = if shape.wild > 0 {
            wild::condition(rng, narrow)
        } else {
            json!({ "resource.status": "closed" })
        };
        return json!({ "permission": permission, "when": when });
    }
    json!(permission)
}
