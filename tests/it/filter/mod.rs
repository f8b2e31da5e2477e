//! A row passes a filter exactly when its check allows.
//!
//! `CALLGATE_SEED` starts elsewhere, `CALLGATE_COMPANIES` says how many companies are made.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use callgate::decide;
use callgate::decide::filter::sql::{Columns, Dialect};
use callgate::decide::filter::{Filter, FilterError};
use callgate::policy::{self, Policy};
use callgate::server::filter;
use callgate::snapshot::Snapshot;
use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::generate::{Company, Question, Shape, question, wild};
use crate::shrink::shrink;

use self::reader::{Reader, Several};
use self::rows::{asked_of, row, rows_of};

mod edges;
mod reader;
mod rows;
mod sql;

const COMPANIES: u64 = 180;
const QUESTIONS: usize = 12;
const ROWS: usize = 12;

fn compile(company: &Company) -> Option<(Policy, Snapshot)> {
    let reading = policy::read_company(&company.files(), "demo").ok()?;
    let snapshot = Snapshot::compile(&reading.policy).ok()?;
    Some((reading.policy, snapshot))
}

fn document(filter: &Filter<'_>) -> Value {
    filter::document(filter, &Columns::default(), Dialect::default())
}

/// What the filter and the check of the row say differently, if they do.
fn differ(policy: &Policy, snapshot: &Snapshot, request: &Value, row: &Value) -> Option<String> {
    let question = Question::new(request);
    let query = question.query();
    let filter = match decide::filter::filter(snapshot, &query) {
        Ok(filter) => filter,
        Err(FilterError::Unsayable) => return None,
        Err(error) => return Some(error.to_string()),
    };
    let mut row = row.clone();
    if filter.links
        && let Some(properties) = row["properties"].as_object_mut()
    {
        properties.retain(|name, _| name != "deal" && name != "lead");
    }
    if query.resource.kind == "user" {
        row["id"] = json!("nobody");
    }
    let document = document(&filter);
    let check = Question::new(&asked_of(policy, request, &row));
    let allowed = decide::check(snapshot, &check.query());
    for several in [Several::Null, Several::First, Several::Last] {
        let reader = Reader {
            policy,
            row: &row,
            several,
        };
        let passes = reader.lists(&document);
        if passes != allowed.allows() {
            return Some(format!(
                "check says {allowed}, the filter {passes} ({several:?})\n{document:#}"
            ));
        }
    }
    None
}

/// What the filter and the check of a registered object say differently, if they do: the object in
/// the place of all rows that its registration makes.
fn objects_differ(
    company: &Value,
    policy: &Policy,
    snapshot: &Snapshot,
    request: &Value,
) -> Option<String> {
    let question = Question::new(request);
    let query = question.query();
    let filter = decide::filter::filter(snapshot, &query).ok()?;
    let document = document(&filter);
    let is_listed = |list: &str, id: &str| {
        let ids = document["objects"][list].as_array();
        ids.is_some_and(|ids| ids.contains(&json!(id)))
    };
    let types = &policy.catalogue.types;
    let kind = types.iter().find(|kind| kind.name == query.resource.kind)?;
    let action = kind
        .actions
        .iter()
        .find(|action| action.name == query.action.name);
    if action.is_some_and(|action| action.new) {
        let listed = filter.objects.allow.len() + filter.objects.deny.len();
        return (listed > 0).then(|| format!("objects in the way of what is new\n{document:#}"));
    }
    for object in policy
        .objects
        .iter()
        .filter(|object| types[object.kind.index()].name == kind.name)
    {
        let empty = json!({ "id": object.id, "properties": {} });
        let check = Question::new(&asked_of(policy, request, &empty));
        let allowed = decide::check(snapshot, &check.query());
        let in_lists = (
            is_listed("allow", &object.id),
            is_listed("deny", &object.id),
        );
        let different = match in_lists {
            (false, false) => rows_of(company, policy, object).into_iter().find(|row| {
                let reader = Reader {
                    policy,
                    row,
                    several: Several::Null,
                };
                reader.lists(&document) != allowed.allows()
            }),
            (true, false) if allowed.allows() => None,
            (false, true) if !allowed.allows() => None,
            _ => Some(empty),
        };
        if let Some(row) = different {
            return Some(format!(
                "check says {allowed} of {row}, not so\n{document:#}"
            ));
        }
    }
    None
}

fn answer(snapshot: &Snapshot, request: &Value) -> Result<Value, FilterError> {
    let question = Question::new(request);
    decide::filter::filter(snapshot, &question.query()).map(|filter| document(&filter))
}

fn disagreement(case: &Value) -> Option<String> {
    if case["row"]["id"].as_str().is_none_or(str::is_empty) || !case["request"].is_object() {
        return None;
    }
    let (policy, snapshot) = compile(&Company(case.clone()))?;
    differ(&policy, &snapshot, &case["request"], &case["row"])
        .or_else(|| objects_differ(case, &policy, &snapshot, &case["request"]))
}

/// A question about rows, of a type that is not registered more often than not.
fn request(shape: &Shape, rng: &mut Rng) -> Value {
    let mut request = question::wild(shape, rng);
    if rng.u32(0..8) > 0 {
        let kinds = [
            "call", "call", "chat", "chat", "lead", "ticket", "finance", "report",
        ];
        request["resource"]["type"] = json!(kinds[rng.usize(0..kinds.len())]);
        let actions = ["view", "view", "edit", "export", "manage"];
        request["action"]["name"] = json!(actions[rng.usize(0..actions.len())]);
        if let Some(context) = request["context"].as_object_mut()
            && rng.u32(0..4) > 0
        {
            context.remove("callgate");
        }
    }
    request
}

/// Gives everybody grants under conditions, and denies to some.
fn condition_everything(company: &mut Company, rng: &mut Rng) {
    let scopes = [
        "own",
        "assigned",
        "group",
        "department",
        "branch",
        "any",
        "any",
        "any",
    ];
    let mut grants = Map::new();
    let mut deny = Vec::new();
    for kind in OPEN {
        let mut scopes = || scopes[rng.usize(0..scopes.len())];
        let scopes = [scopes(), scopes()];
        let lines =
            scopes.map(|scope| json!({ "scope": scope, "when": wild::condition(rng, true) }));
        // The same twice would be refused.
        let mut lines = lines.to_vec();
        lines.dedup();
        grants.insert(kind.to_owned(), json!({ "*": lines }));
        if rng.u32(0..3) == 0 {
            let permission = format!("{kind}.*");
            deny.push(json!({ "permission": permission, "when": wild::condition(rng, true) }));
        }
    }
    let role = json!({ "role": "conditional", "implicit": true, "grants": grants, "deny": deny });
    if let Some(roles) = company.0["roles"]["roles"].as_array_mut() {
        roles.push(role);
    }
}

/// Types that are not registered.
const OPEN: [&str; 6] = ["call", "chat", "lead", "ticket", "finance", "report"];

#[test]
fn a_row_passes_exactly_when_its_check_allows() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let first = number("CALLGATE_SEED").unwrap_or(0);
    let (mut rows, mut passed, mut reached) = (0_usize, 0_usize, BTreeMap::new());
    for seed in first..first + number("CALLGATE_COMPANIES").unwrap_or(COMPANIES) {
        let rng = &mut Rng::with_seed(seed ^ 0xf117);
        let mut shape = Shape::wild(rng);
        if seed % 20 == 19 {
            // So many that not each of them is told.
            shape.users = 110;
        }
        let mut company = Company::generate(&shape, seed);
        if seed % 3 > 0 {
            condition_everything(&mut company, rng);
        }
        let Some((policy, snapshot)) = compile(&company) else {
            let errors = policy::read_company(&company.files(), "demo").err();
            panic!(
                "seed {seed}: {}",
                errors.map_or_else(String::new, |all| all.to_string())
            );
        };
        for _ in 0..QUESTIONS {
            // Most rows are asked where they matter.
            let mut request = request(&shape, rng);
            let mut filter = answer(&snapshot, &request);
            for _ in 0..5 {
                if matches!(&filter, Ok(filter) if filter["filter"] == "when") {
                    break;
                }
                request = self::request(&shape, rng);
                filter = answer(&snapshot, &request);
            }
            if let Ok(filter) = &filter {
                *reached.entry(filter["filter"].to_string()).or_insert(0) += 1;
                leaves(&filter["condition"], &mut |leaf| {
                    *reached
                        .entry(format!("field {}", leaf["field"]))
                        .or_insert(0) += 1;
                    *reached.entry(format!("test {}", leaf["test"])).or_insert(0) += 1;
                });
                for list in ["allow", "deny"] {
                    let listed = filter["objects"][list].as_array().map_or(0, Vec::len);
                    *reached
                        .entry(format!("{} {list}", filter["filter"]))
                        .or_insert(0) += listed;
                }
                if let Some(dirt) = dirt(&filter["condition"]) {
                    panic!("seed {seed}: {dirt}\n{request:#}\n{filter:#}");
                }
            }
            let objects_agree = objects_differ(&company.0, &policy, &snapshot, &request).is_none();
            for _ in 0..ROWS {
                let row = row(&shape, rng);
                rows += 1;
                if objects_agree && differ(&policy, &snapshot, &request, &row).is_none() {
                    let check = asked_of(&policy, &request, &row);
                    let allows = decide::check(&snapshot, &Question::new(&check).query()).allows();
                    passed += usize::from(allows);
                    continue;
                }
                let mut case = company.0.clone();
                case["request"] = request;
                case["row"] = row;
                let case = shrink(case, &|case| disagreement(case).is_some());
                let why = disagreement(&case).unwrap_or_default();
                panic!("seed {seed}: {why}\n{case:#}");
            }
        }
    }
    println!("{rows} rows, {passed} pass; {reached:#?}");
    assert!(rows >= 20_000 && passed * 10 >= rows, "{passed} of {rows}");
    let missed: Vec<String> = wanted()
        .into_iter()
        .filter(|want| !reached.contains_key(want))
        .collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}

fn wanted() -> BTreeSet<String> {
    let fields = [
        "id",
        "owner",
        "group",
        "department",
        "project",
        "owner.group",
        "owner.department",
    ];
    let properties = [
        "queue",
        "list",
        "properties.status",
        "properties.deep.inner",
    ];
    let fields = fields
        .iter()
        .chain(&properties)
        .map(|field| format!("field \"{field}\""));
    let tests = [
        "is",
        "not",
        "in",
        "not_in",
        "at_least",
        "at_most",
        "in_network",
        "not_in_network",
    ];
    let tests = tests.iter().chain(&["contains", "present"]);
    let tests = tests.map(|test| format!("test \"{test}\""));
    let answers = ["always", "never", "when"].map(|answer| format!("\"{answer}\""));
    fields.chain(tests).chain(answers).collect()
}

fn leaves<'t>(tree: &'t Value, each: &mut dyn FnMut(&'t Value)) {
    match tree {
        Value::Array(parts) => parts.iter().for_each(|part| leaves(part, each)),
        Value::Object(members) if members.contains_key("field") => each(tree),
        Value::Object(members) => members.values().for_each(|part| leaves(part, each)),
        _ => {}
    }
}

/// What is not clean about a tree.
fn dirt(tree: &Value) -> Option<String> {
    for (joint, dual) in [("all", "any"), ("any", "all")] {
        let Some(parts) = tree[joint].as_array() else {
            continue;
        };
        if parts.len() < 2 {
            return Some(format!("`{joint}` of {}", parts.len()));
        }
        let mut asked = BTreeSet::new();
        for (n, part) in parts.iter().enumerate() {
            let mut others = parts
                .iter()
                .enumerate()
                .filter(|(m, _)| *m != n)
                .map(|(_, part)| part);
            if part.get(joint).is_some() {
                return Some(format!("`{joint}` in `{joint}`"));
            }
            if others.clone().any(|other| other == part) {
                return Some(format!("twice: {part}"));
            }
            if let Some(inner) = part[dual].as_array()
                && others.any(|other| {
                    let of_other = other[dual].as_array();
                    inner.contains(other)
                        || of_other.is_some_and(|of| of.iter().all(|o| inner.contains(o)))
                })
            {
                return Some(format!("absorbed: {part}"));
            }
            // Values of one field are told once.
            let test = match part["test"].as_str() {
                Some("is" | "in") => "one of",
                Some("not" | "not_in") => "none of",
                Some("present") => "present",
                _ => "",
            };
            let of_paths = part["value"].to_string().contains("path");
            if !test.is_empty() && !of_paths && !asked.insert((part["field"].to_string(), test)) {
                return Some(format!("twice asked: {part}"));
            }
            if let Some(dirt) = dirt(part) {
                return Some(dirt);
            }
        }
    }
    if let Some(inner) = tree.get("not")
        && inner.get("test") != Some(&json!("contains"))
    {
        return Some("`not` of what has a contrary test".to_owned());
    }
    None
}
