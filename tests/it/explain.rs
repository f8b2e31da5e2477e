//! The laws of explanations, on random companies: the decision is the check's, every suggestion
//! turns it when it is made and no part of one does, and lines stand where it is said.
//!
//! Suggestions are made to the resolved policy and to the request, and judged by the reference
//! evaluator: nothing of the engine takes part in that. `CALLGATE_SEED` starts elsewhere,
//! `CALLGATE_COMPANIES` says how many companies are made.

use std::collections::BTreeSet;

use callgate::decide::{self, Change, Explanation, Member, RoleLine};
use callgate::model::{ActionId, DepartmentId, GroupId, RoleId, Scope, ScopeSet, TypeId, UserId};
use callgate::oracle;
use callgate::policy::{self, Assignment, Files, Grant, GrantLine, Pattern, Place, Policy};
use callgate::server::explanation;
use callgate::snapshot::Snapshot;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::generate::{Company, Question, Shape, question};

const COMPANIES: u64 = 200;
const QUESTIONS: usize = 25;

fn read(files: &Files) -> Policy {
    match policy::read_company(files, "demo") {
        Ok(reading) => reading.policy,
        Err(errors) => panic!("a company that is refused:\n{errors}"),
    }
}

/// The company with its files a member a line, so that lines mean something.
pub(crate) fn written(company: &Company) -> Files {
    let pretty = |(path, text): (String, Vec<u8>)| {
        let text: Value = serde_json::from_slice(&text).unwrap();
        (path, serde_json::to_vec_pretty(&text).unwrap())
    };
    company.texts(false).into_iter().map(pretty).collect()
}

pub(crate) fn member<'c>(change: &'c Change, name: &str) -> &'c str {
    let mut members = change.members.iter();
    match members.find(|(of, _)| *of == name) {
        Some((_, Member::Text(text) | Member::Json(text))) => text,
        other => panic!("{name} of {change:?} is {other:?}"),
    }
}

pub(crate) fn number(change: &Change, name: &str) -> u32 {
    let mut members = change.members.iter();
    match members.find(|(of, _)| *of == name) {
        Some((_, Member::Number(number))) => *number,
        other => panic!("{name} of {change:?} is {other:?}"),
    }
}

fn position<T>(all: &[T], is: impl Fn(&T) -> bool) -> usize {
    all.iter().position(is).unwrap()
}

fn permission(policy: &Policy, name: &str) -> (TypeId, ActionId) {
    policy.permission(name).unwrap()
}

fn assignment(role: u32) -> Assignment {
    Assignment {
        role: RoleId(role),
        from: None,
        until: None,
        projects: None,
        place: Place::default(),
    }
}

/// The change, made.
fn make(policy: &mut Policy, request: &mut Value, change: &Change) {
    let user = |policy: &Policy| {
        let user = member(change, "user");
        position(&policy.users, |of| of.id == user)
    };
    let named = |name: &str| member(change, name);
    let role_of = |policy: &Policy| {
        let role = member(change, "role");
        position(&policy.roles, |of| of.name == role)
    };
    match change.change {
        "activate_user" => {
            let user = user(policy);
            policy.users[user].active = true;
        }
        "join_project" => {
            let user = UserId(user(policy) as u32);
            let project = position(&policy.projects, |of| of.name == named("project"));
            policy.projects[project].members.users.push(user);
        }
        "join_group" => {
            let group = position(&policy.groups, |of| of.name == named("group"));
            let user = user(policy);
            assert!(policy.users[user].group.is_none());
            policy.users[user].group = Some(GroupId(group as u32));
        }
        "join_department" => {
            let of = position(&policy.departments, |of| of.name == named("department"));
            let user = user(policy);
            policy.users[user].departments.push(DepartmentId(of as u32));
        }
        "lead_group" => {
            let user = UserId(user(policy) as u32);
            let group = position(&policy.groups, |of| of.name == named("group"));
            policy.groups[group].leaders.push(user);
        }
        "lead_department" => {
            let user = UserId(user(policy) as u32);
            let of = position(&policy.departments, |of| of.name == named("department"));
            policy.departments[of].leaders.push(user);
        }
        "add_operator" => {
            let user = UserId(user(policy) as u32);
            let kinds = &policy.catalogue.types;
            let kind = position(kinds, |of| of.name == named("type"));
            let kind = TypeId(kind as u32);
            let object = position(&policy.objects, |of| {
                of.kind == kind && of.id == named("id")
            });
            policy.objects[object].operators.users.push(user);
        }
        "assign_role" => {
            let (user, role) = (user(policy), role_of(policy));
            policy.users[user].roles.push(assignment(role as u32));
        }
        "unassign_role" => {
            let role = RoleId(role_of(policy) as u32);
            let roles = match named("from") {
                "user" => {
                    let user = user(policy);
                    &mut policy.users[user].roles
                }
                "group" => {
                    let of = position(&policy.groups, |of| of.name == named("name"));
                    &mut policy.groups[of].roles
                }
                "department" => {
                    let of = position(&policy.departments, |of| of.name == named("name"));
                    &mut policy.departments[of].roles
                }
                _ => {
                    let of = position(&policy.teams, |of| of.name == named("name"));
                    &mut policy.teams[of].roles
                }
            };
            let before = roles.len();
            roles.retain(|of| of.role != role);
            assert!(roles.len() < before, "{change:?}");
        }
        "grant" => {
            let at = permission(policy, named("permission"));
            let scope = Scope::from_name(named("scope")).unwrap();
            let role = match change.members.iter().any(|(name, _)| *name == "role") {
                true => role_of(policy),
                false => {
                    let user = user(policy);
                    let mut role = policy.roles[0].clone();
                    role.name = "suggested".to_owned();
                    role.template = false;
                    role.implicit = false;
                    role.only_on_shift = false;
                    role.extends.clear();
                    role.grants.clear();
                    role.denies.clear();
                    policy.roles.push(role);
                    let role = policy.roles.len() - 1;
                    policy.users[user].roles.push(assignment(role as u32));
                    role
                }
            };
            assert!(!policy.roles[role].template, "{change:?}");
            let action = &policy.catalogue.types[at.0.index()].actions[at.1.index()];
            assert!(action.scopes.contains(scope), "{change:?}");
            let role = &mut policy.roles[role];
            let line = role.deciding_line(at, &action.name);
            let mut grants = line.map_or_else(Vec::new, |line| line.grants.clone());
            grants.push(Grant {
                scopes: ScopeSet::EMPTY.with(scope),
                when: None,
            });
            let pattern = Pattern::Permission(at.0, at.1);
            role.grants.retain(|line| line.pattern != pattern);
            role.grants.push(GrantLine {
                pattern,
                grants,
                place: Place::default(),
            });
        }
        "remove_deny" => {
            let file = position(&policy.files, |path| path == named("file"));
            let place = Place {
                file: file as u32,
                line: number(change, "line"),
                column: number(change, "column"),
            };
            let denies: usize = policy.roles.iter().map(|role| role.denies.len()).sum();
            for role in &mut policy.roles {
                role.denies.retain(|deny| deny.place != place);
            }
            let left: usize = policy.roles.iter().map(|role| role.denies.len()).sum();
            assert_eq!(left + 1, denies, "{change:?}");
        }
        "set_property" => {
            let (root, name) = named("path").split_once('.').unwrap();
            let value: Value = serde_json::from_str(named("value")).unwrap();
            let of = match root {
                "context" => &mut request["context"],
                root => &mut request[root]["properties"],
            };
            if !of.is_object() {
                *of = json!({});
            }
            of[name] = value;
        }
        "register" => {}
        other => panic!("nobody knows how to make {other}"),
    }
}

/// Whether the reference evaluator allows with these changes.
fn allows(company: &Company, policy: &Policy, request: &Value, changes: &[&Change]) -> bool {
    let mut policy = policy.clone();
    let registered = changes.iter().filter(|one| one.change == "register");
    for change in registered {
        let object = json!({ "type": member(change, "type"), "id": member(change, "id") });
        let mut company = company.clone();
        let objects = company.0["objects"]["objects"].as_array_mut().unwrap();
        objects.push(object);
        // Lines are those of the files that were explained, but for objects.
        policy = read(&written(&company));
    }
    let mut request = request.clone();
    for change in changes {
        make(&mut policy, &mut request, change);
    }
    let question = Question::new(&request);
    oracle::check(&policy, &question.query()).allows()
}

/// Whether the value is what a schema of the OpenAPI file says, as far as ours say things.
fn conforms(file: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(to) = schema["$ref"].as_str() {
        let schema = file.pointer(to.strip_prefix('#').unwrap()).unwrap();
        return conforms(file, schema, value);
    }
    let fail = || Err(format!("{value} is not as {schema} says"));
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = schema["type"].as_array().cloned();
    let kinds = kinds.unwrap_or_else(|| vec![schema["type"].clone()]);
    if !schema["type"].is_null() && !kinds.contains(&json!(kind)) {
        return fail();
    }
    if let Some(one_of) = schema["enum"].as_array()
        && !one_of.contains(value)
    {
        return fail();
    }
    if let Value::Array(items) = value {
        let bound = |name: &str| schema[name].as_u64().map(|bound| bound as usize);
        let most = bound("maxItems").unwrap_or(usize::MAX);
        if items.len() > most || items.len() < bound("minItems").unwrap_or(0) {
            return fail();
        }
        let mut items = items.iter();
        return items.try_for_each(|item| conforms(file, &schema["items"], item));
    }
    let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) else {
        return Ok(());
    };
    let required = schema["required"].as_array().into_iter().flatten();
    if { required }.any(|name| !members.contains_key(name.as_str().unwrap())) {
        return fail();
    }
    members
        .iter()
        .try_for_each(|(name, value)| match known.get(name) {
            Some(schema) => conforms(file, schema, value),
            None => Err(format!("no schema says `{name}`: {value}")),
        })
}

fn openapi() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What a role granted or denied is told with the role and its line.
fn says_who_decided(explained: &Explanation) {
    for step in &explained.steps {
        let effect = match (step.step, step.result) {
            ("grant", Some("reached" | "not_reached" | "granted")) if !step.scopes.is_empty() => {
                "grant"
            }
            ("deny", Some("denied")) => "deny",
            _ => continue,
        };
        let in_force = step.roles.iter().filter(|role| role.in_force);
        let mut lines = in_force.flat_map(|role| &role.lines);
        let said = lines.any(|line| line.effect == effect && line.place.is_some());
        assert!(said, "no role is named:\n{step:?}\n{explained}");
    }
}

/// What the explanation met, after all its laws held.
fn laws(company: &Company, policy: &Policy, snapshot: &Snapshot, request: &Value) -> Vec<String> {
    let question = Question::new(request);
    let explained = decide::explain(snapshot, &question.query());
    let reason = decide::check(snapshot, &question.query());
    assert_eq!(explained.reason, reason.to_string());
    assert_eq!(explained.allowed, reason.allows());
    assert_eq!(
        oracle::check(policy, &question.query()).to_string(),
        explained.reason
    );
    says_who_decided(&explained);
    let mut met = Vec::new();
    let what = || format!("{request}\n{explained}");
    for suggestion in &explained.suggestions {
        let all: Vec<&Change> = suggestion.changes.iter().collect();
        for part in 0..1_u32 << all.len() {
            let chosen = all.iter().enumerate();
            let chosen: Vec<&Change> = chosen
                .filter(|(n, _)| part & 1 << n != 0)
                .map(|(_, change)| *change)
                .collect();
            let whole = chosen.len() == all.len();
            let turned = allows(company, policy, request, &chosen) != explained.allowed;
            assert_eq!(
                turned,
                whole,
                "{chosen:?} of {}\n{}",
                suggestion.text,
                what()
            );
        }
        met.extend(all.iter().map(|change| change.change.to_owned()));
        met.push(format!("{} changes", all.len()));
    }
    met.push(format!(
        "{} turned: {}",
        explained.reason.split(':').next().unwrap_or_default(),
        !explained.suggestions.is_empty()
    ));
    met
}

#[test]
fn every_suggestion_turns_the_answer_and_no_part_of_one_does() {
    let mut met = std::collections::BTreeMap::<String, u32>::new();
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = number("CALLGATE_SEED").unwrap_or(0);
    for seed in first..first + number("CALLGATE_COMPANIES").unwrap_or(COMPANIES) {
        let rng = &mut Rng::with_seed(seed ^ 0xe4b1);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let policy = read(&written(&company));
        let snapshot = Snapshot::compile(&policy).unwrap();
        for _ in 0..QUESTIONS {
            let request = question::wild(&shape, rng);
            for one in laws(&company, &policy, &snapshot, &request) {
                *met.entry(one).or_default() += 1;
            }
        }
    }
    let wanted = [
        "activate_user",
        "join_project",
        "join_group",
        "join_department",
        "lead_group",
        "lead_department",
        "add_operator",
        "assign_role",
        "unassign_role",
        "grant",
        "remove_deny",
        "set_property",
        "register",
        "1 changes",
        "2 changes",
    ];
    let missed: Vec<&&str> = wanted
        .iter()
        .filter(|want| !met.contains_key(**want))
        .collect();
    assert!(missed.is_empty(), "never met: {missed:?} of {met:?}");
}

/// The line of the file, counted from 1.
fn line_of(files: &Files, file: &str, line: u32) -> String {
    let bytes = files.get(file).unwrap_or_else(|| panic!("no file {file}"));
    let text = std::str::from_utf8(bytes).unwrap();
    let mut lines = text.lines();
    lines.nth(line as usize - 1).unwrap_or_default().to_owned()
}

/// Whether a line of a file says what it is said to say.
fn speaks_of(line: &str, said: &RoleLine) -> bool {
    let quoted = |text: &str| line.contains(&format!("\"{text}\""));
    if said.effect == "deny" {
        // A conditional deny begins at its brace.
        return quoted(&said.pattern) || line.trim() == "{" || quoted("permission");
    }
    let (kind, action) = said.pattern.split_once('.').unwrap_or(("*", "*"));
    quoted(action) || action == "*" && quoted(kind)
}

#[test]
fn lines_stand_where_it_is_said_and_members_are_those_documented() {
    let openapi = openapi();
    let schema = &openapi["components"]["schemas"]["Explained"];
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let rng = &mut Rng::with_seed(seed ^ 0x11e5);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        let files = written(&company);
        let snapshot = Snapshot::compile(&read(&files)).unwrap();
        for _ in 0..30 {
            let request = question::wild(&shape, rng);
            let question = Question::new(&request);
            let explained: Explanation = decide::explain(&snapshot, &question.query());
            let context = explanation::context(&explained, snapshot.revision());
            let document = json!({ "decision": explained.allowed, "context": context });
            if let Err(message) = conforms(&openapi, schema, &document) {
                panic!("{message}\n{document:#}");
            }
            let steps = explained.steps.iter();
            let roles = steps.clone().flat_map(|step| &step.roles);
            for assignment in (steps.flat_map(|step| &step.assignments))
                .chain(roles.clone().flat_map(|role| &role.assignments))
            {
                let Some(place) = &assignment.place else {
                    assert_eq!(assignment.from, "test_role");
                    continue;
                };
                let line = line_of(&files, &place.file, place.line);
                let limited = line.trim() == "{";
                assert!(
                    limited || line.contains(&format!("\"{}\"", assignment.role)),
                    "{assignment:?} is `{line}`"
                );
                seen.insert(assignment.from);
            }
            for line in roles.flat_map(|role| &role.lines) {
                let place = line.place.as_ref().unwrap();
                let text = line_of(&files, &place.file, place.line);
                assert!(speaks_of(&text, line), "{line:?} is `{text}`");
                seen.insert(line.effect);
            }
        }
    }
    let all = [
        "deny",
        "department",
        "grant",
        "group",
        "implicit",
        "none",
        "team",
        "test_role",
        "user",
    ];
    let missed: Vec<&&str> = all.iter().filter(|one| !seen.contains(**one)).collect();
    assert!(
        missed == [&"test_role"] || missed.is_empty(),
        "never seen: {missed:?}"
    );
}
