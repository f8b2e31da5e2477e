//! Suggestions can be written: each is made to the files of a random company, which are read and
//! compiled anew, and turns the answer; of its parts those turn it alone that would be refused.
//!
//! `CALLGATE_SEED` starts elsewhere, `CALLGATE_COMPANIES` says how many companies are made.

use callgate::decide::{self, Change, Explanation};
use callgate::oracle;
use callgate::policy::{self, Files, Policy};
use callgate::snapshot::Snapshot;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::explain::{member, number, written};
use crate::generate::{Company, Question, Shape, question};

const COMPANIES: u64 = 120;
const QUESTIONS: usize = 12;

fn read(files: &Files) -> Option<Policy> {
    let reading = policy::read_company(files, "demo").ok()?;
    Some(reading.policy)
}

/// A company in which every active user has exactly one own role, and others any number of them.
fn one_role_each(company: &mut Company, rng: &mut Rng) {
    company.0["company"]["roles_per_user"] = "one".into();
    for user in company.0["users"]["users"].as_array_mut().unwrap() {
        let most = if user["active"] == false { 3 } else { 1 };
        let roles = user["roles"].as_array_mut().unwrap();
        let kept = if most == 1 { 1 } else { rng.usize(0..most) };
        roles.truncate(kept);
    }
}

fn items<'c>(company: &'c mut Company, part: &str, list: &str) -> &'c mut Vec<Value> {
    company.0[part]
        .as_object_mut()
        .unwrap()
        .entry(list)
        .or_insert_with(|| json!([]))
        .as_array_mut()
        .unwrap()
}

fn named<'c>(company: &'c mut Company, part: &str, kind: &str, name: &str) -> &'c mut Value {
    let items = items(company, part, &format!("{kind}s"));
    if kind == "project" && items.iter().all(|item| item[kind] != *name) {
        items.push(json!({ "project": name }));
    }
    let mut items = items.iter_mut();
    items.find(|item| item[kind] == *name).unwrap()
}

fn push(into: &mut Value, list: &str, value: Value) {
    let into = into.as_object_mut().unwrap();
    let list = into.entry(list).or_insert_with(|| json!([]));
    list.as_array_mut().unwrap().push(value);
}

fn table<'v>(of: &'v mut Value, name: &str) -> &'v mut Value {
    let of = of.as_object_mut().unwrap();
    of.entry(name).or_insert_with(|| json!({}))
}

/// The change, written.
fn write(company: &mut Company, request: &mut Value, change: &Change) {
    let of = |name: &str| member(change, name);
    match change.change {
        "activate_user" => {
            named(company, "users", "user", of("user"))["active"] = true.into();
        }
        "join_project" => {
            let project = named(company, "projects", "project", of("project"));
            push(table(project, "members"), "users", of("user").into());
        }
        "join_group" => {
            named(company, "users", "user", of("user"))["group"] = of("group").into();
        }
        "join_department" => {
            let user = named(company, "users", "user", of("user"));
            push(user, "departments", of("department").into());
        }
        "lead_group" => {
            let group = named(company, "company", "group", of("group"));
            push(group, "leaders", of("user").into());
        }
        "lead_department" => {
            let department = named(company, "company", "department", of("department"));
            push(department, "leaders", of("user").into());
        }
        "add_operator" => {
            let objects = items(company, "objects", "objects");
            let is = |object: &&mut Value| object["type"] == of("type") && object["id"] == of("id");
            let object = objects.iter_mut().find(is).unwrap();
            push(table(object, "operators"), "users", of("user").into());
        }
        "assign_role" => {
            let user = named(company, "users", "user", of("user"));
            push(user, "roles", of("role").into());
        }
        "unassign_role" => {
            let giver = match of("from") {
                "user" => named(company, "users", "user", of("user")),
                kind => named(company, "company", kind, of("name")),
            };
            let role = |given: &Value| given.get("role").unwrap_or(given) == of("role");
            let roles = giver["roles"].as_array_mut().unwrap();
            roles.retain(|given| !role(given));
        }
        "grant" => grant(company, change),
        "set_property" => {
            let (root, name) = of("path").split_once('.').unwrap();
            let properties = match root {
                "context" => &mut request["context"],
                root => &mut request[root]["properties"],
            };
            if !properties.is_object() {
                *properties = json!({});
            }
            properties[name] = serde_json::from_str(of("value")).unwrap();
        }
        "register" => {
            let object = json!({ "type": of("type"), "id": of("id") });
            items(company, "objects", "objects").push(object);
        }
        other => panic!("nobody knows how to write {other}"),
    }
}

/// Adds a scope to what a role's deciding line says, in a line for the permission alone; or makes a
/// role that grants it.
fn grant(company: &mut Company, change: &Change) {
    let (kind, action) = member(change, "permission").split_once('.').unwrap();
    let scope = member(change, "scope");
    if change.members.iter().all(|(name, _)| *name != "role") {
        let role = json!({ "role": "suggested", "grants": { kind: { action: scope } } });
        items(company, "roles", "roles").push(role);
        let user = named(company, "users", "user", member(change, "user"));
        return push(user, "roles", "suggested".into());
    }
    let offered = &company.0["catalogue"]["resources"][kind]["actions"][action]["scopes"];
    let offered = offered.as_array().cloned();
    let is_offered = |scope: &Value| offered.as_ref().is_none_or(|all| all.contains(scope));
    let role = named(company, "roles", "role", member(change, "role"));
    let grants = table(role, "grants");
    let is_table = |value: &Value| value.is_object() && value.get("scope").is_none();
    let of = |kind: &str, action: &str| {
        let all = grants.get(kind)?;
        match is_table(all) {
            true => all.get(action).cloned(),
            false => (action == "*").then(|| all.clone()),
        }
    };
    let lines = [(kind, action), (kind, "*"), ("*", action), ("*", "*")];
    let line = lines.iter().find_map(|(kind, action)| of(kind, action));
    let said = match line {
        None => Vec::new(),
        Some(Value::Array(said)) => said,
        Some(one) => vec![one],
    };
    // A line for one permission names none but offered scopes.
    let mut now = Vec::new();
    for mut one in said {
        if let Some(scopes) = one.get_mut("scope") {
            let all = scopes.as_array().cloned();
            let mut all = all.unwrap_or_else(|| vec![scopes.clone()]);
            all.retain(is_offered);
            if !all.is_empty() {
                *scopes = all.into();
                now.push(one);
            }
        } else if is_offered(&one) {
            now.push(one);
        }
    }
    if !now.contains(&json!(scope)) {
        now.push(scope.into());
    }
    let of_kind = grants.as_object_mut().unwrap();
    let of_kind = of_kind.entry(kind).or_insert_with(|| json!({}));
    if !is_table(of_kind) {
        *of_kind = json!({ "*": of_kind.clone() });
    }
    of_kind[action] = now.into();
}

/// Takes the denies out that begin on these lines of the company's roles.
fn without_denies(company: &mut Company, lines: &[usize]) {
    let text = serde_json::to_string_pretty(&company.0["roles"]).unwrap();
    let mut text: Vec<String> = text.lines().map(str::to_owned).collect();
    for &line in lines {
        let indent = |line: &str| line.len() - line.trim_start().len();
        // A table is where its brace is, or its first member.
        let start = line - 1 - usize::from(text[line - 1].contains("\"permission\": "));
        let depth = indent(&text[start]);
        let mut end = start;
        if text[start].trim() == "{" {
            let ends = |line: &String| indent(line) == depth && line.trim().starts_with('}');
            end = start + text[start..].iter().position(ends).unwrap();
        }
        let comma = if text[end].ends_with(',') { "," } else { "" };
        text[start..=end].fill(String::new());
        text[start] = format!("null{comma}");
    }
    company.0["roles"] = serde_json::from_str(&text.join("\n")).unwrap();
    for role in items(company, "roles", "roles") {
        let role = role.as_object_mut().unwrap();
        if let Some(denies) = role.get_mut("deny").and_then(Value::as_array_mut) {
            denies.retain(|deny| !deny.is_null());
            if denies.is_empty() {
                role.remove("deny");
            }
        }
    }
}

/// Whether it is allowed with these changes; the errors where the files are refused.
fn allows(company: &Company, request: &Value, changes: &[&Change]) -> Result<bool, String> {
    let (mut company, mut request) = (company.clone(), request.clone());
    let denies = changes.iter().filter(|one| one.change == "remove_deny");
    let lines: Vec<usize> = denies.map(|one| number(one, "line") as usize).collect();
    without_denies(&mut company, &lines);
    for change in changes.iter().filter(|one| one.change != "remove_deny") {
        write(&mut company, &mut request, change);
    }
    let reading = policy::read_company(&company.files(), "demo");
    let policy = reading.map_err(|errors| errors.to_string())?.policy;
    let question = Question::new(&request);
    let snapshot = Snapshot::compile(&policy).unwrap();
    let allows = decide::check(&snapshot, &question.query()).allows();
    assert_eq!(oracle::check(&policy, &question.query()).allows(), allows);
    Ok(allows)
}

/// Whether the suggestions turn the answer when they are written, and their parts do not.
fn laws(company: &Company, request: &Value, explained: &Explanation) {
    for suggestion in &explained.suggestions {
        let all: Vec<&Change> = suggestion.changes.iter().collect();
        let what = || format!("{}\n{request}\n{explained}", suggestion.text);
        match allows(company, request, &all) {
            Ok(allows) => assert_ne!(allows, explained.allowed, "{}", what()),
            Err(errors) => panic!("{}\n{errors}", what()),
        }
        for part in 1..(1_u32 << all.len()) - 1 {
            let chosen = all.iter().enumerate();
            let chosen = chosen.filter(|(n, _)| part & 1 << n != 0);
            let chosen: Vec<&Change> = chosen.map(|(_, change)| *change).collect();
            // What is refused is nothing that one could do instead.
            if let Ok(allows) = allows(company, request, &chosen) {
                assert_eq!(allows, explained.allowed, "{chosen:?} of {}", what());
            }
        }
    }
}

#[test]
fn every_suggestion_can_be_written_and_turns_the_answer() {
    let mut met = std::collections::BTreeMap::<String, u32>::new();
    let wanted = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = wanted("CALLGATE_SEED").unwrap_or(0);
    for seed in first..first + wanted("CALLGATE_COMPANIES").unwrap_or(COMPANIES) {
        let rng = &mut Rng::with_seed(seed ^ 0x1a3f);
        let shape = Shape::wild(rng);
        let mut company = Company::generate(&shape, seed);
        let one_each = seed % 2 == 0;
        if one_each {
            one_role_each(&mut company, rng);
        }
        let policy = read(&written(&company)).unwrap();
        let snapshot = Snapshot::compile(&policy).unwrap();
        for _ in 0..QUESTIONS {
            let request = question::wild(&shape, rng);
            let explained = decide::explain(&snapshot, &Question::new(&request).query());
            laws(&company, &request, &explained);
            for suggestion in &explained.suggestions {
                let mut kinds: Vec<&str> =
                    suggestion.changes.iter().map(|one| one.change).collect();
                kinds.sort_unstable();
                let kinds = kinds.join(" ");
                *met.entry(format!("{one_each} {kinds}")).or_default() += 1;
            }
        }
    }
    for kinds in [
        "true assign_role unassign_role",
        "true grant",
        "true remove_deny",
        "false grant",
        "false assign_role",
        "false unassign_role",
        "false remove_deny",
    ] {
        assert!(met.contains_key(kinds), "never met: {kinds} of {met:?}");
    }
}

/// A small company in words, and what would turn an answer there.
fn suggested(company: &str, users: &str, request: &Value) -> Vec<String> {
    let catalogue = "{ catalogue: desk, resources: { call: { actions: { view: {} } }, \
        queue: { registered: true, actions: { view: {} } } } }";
    let roles = "roles: [{ role: admin, required: true, grants: { \"*\": any } }, \
        { role: operator, grants: { queue: { view: any } } }]";
    let files = [
        ("packs/desk/catalogue.yaml", catalogue),
        ("packs/desk/roles.yaml", roles),
        ("companies/demo/company.yaml", company),
        ("companies/demo/users.yaml", users),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let policy = read(&files.into_iter().collect()).unwrap();
    let snapshot = Snapshot::compile(&policy).unwrap();
    let explained = decide::explain(&snapshot, &Question::new(request).query());
    let suggestions = explained.suggestions.into_iter();
    suggestions.map(|suggestion| suggestion.text).collect()
}

fn asked(user: &str, kind: &str, id: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": user },
        "action": { "name": "view" },
        "resource": { "type": kind, "id": id },
    })
}

const MANY: &str = "{ company: demo, pack: desk }";
const ONE: &str = "{ company: demo, pack: desk, roles_per_user: one }";
const USERS: &str = "users: [{ user: anna, roles: [admin] }, { user: olga, roles: [operator] }]";

#[test]
fn where_everybody_has_one_role_another_takes_its_place() {
    let view = asked("olga", "call", "c1");
    assert!(suggested(MANY, USERS, &view).contains(&"role admin for olga".to_owned()));
    let one = suggested(ONE, USERS, &view);
    assert!(one.contains(&"role admin for olga, and role operator not for olga".to_owned()));
    assert!(!one.contains(&"role admin for olga".to_owned()), "{one:?}");
}

#[test]
fn who_alone_has_a_required_role_keeps_it() {
    let view = asked("anna", "call", "c1");
    assert_eq!(suggested(MANY, USERS, &view), Vec::<String>::new());
    let two = USERS.replace("operator", "admin");
    assert_eq!(suggested(MANY, &two, &view), ["role admin not for anna"]);
}

#[test]
fn what_no_object_may_be_called_is_not_to_be_registered() {
    let view = |id| suggested(MANY, USERS, &asked("olga", "queue", id));
    assert_eq!(view("q1"), ["queue q1 registered"]);
    assert_eq!(view("q 1"), Vec::<String>::new());
}
