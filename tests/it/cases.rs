//! The worked cases: small companies and what must be decided for them, as data in `tests/cases`.
//!
//! Each file is one company with its catalogue. It is written out as a policy tree, read like any
//! other, and each of its tests is asked. A case tells decision and reason, both.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a case that cannot be read fails its test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use callgate::decide;
use callgate::model::{Action, Entity, Query, Reason, Timestamp};
use callgate::oracle;
use callgate::policy::{self, Comparison, Files, Policy, Test};
use callgate::snapshot::Snapshot;
use serde_json::{Value, json};

/// A way of deciding that the cases are asked: the reason's text.
type Decide = fn(&Policy, &Query<'_>) -> String;

#[test]
fn oracle_decides_every_case() {
    let failures = decide_all(|policy, query| oracle::check(policy, query).to_string());
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Compiled anew for each question: what is shared between questions is another test's business.
#[test]
fn engine_decides_every_case() {
    let failures = decide_all(|policy, query| {
        let snapshot = Snapshot::compile(policy).expect("small companies fit");
        decide::check(&snapshot, query).to_string()
    });
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_case_tells_decision_and_reason() {
    let silent: Vec<String> = each_test()
        .filter(|(_, policy_test)| policy_test.reason.is_none())
        .map(|(file, policy_test)| format!("{file}: {}", policy_test.name))
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn cases_reach_every_reason() {
    let reached: BTreeSet<String> = each_test()
        .filter_map(|(_, policy_test)| policy_test.reason)
        .filter_map(|reason| reason.split(':').next().map(str::to_owned))
        .collect();
    let of_checks = |code: &&str| !Reason::BESIDE_CHECKS.contains(code);
    let every = Reason::CODES.into_iter().filter(of_checks);
    let every: BTreeSet<String> = every.map(str::to_owned).collect();
    assert_eq!(reached, every);
}

#[test]
fn cases_use_every_scope_test_and_fact() {
    let mut used = BTreeSet::new();
    for path in case_files() {
        let policy = read(&path).unwrap_or_else(|error| panic!("{error}"));
        for role in &policy.roles {
            let grants = role.grants.iter().flat_map(|line| &line.grants);
            for grant in grants.clone() {
                used.extend(grant.scopes.iter().map(|scope| scope.name().to_owned()));
            }
            let conditions = grants
                .filter_map(|grant| grant.when.as_ref())
                .chain(role.denies.iter().filter_map(|deny| deny.when.as_ref()));
            for (path, comparison) in conditions.flat_map(|condition| &condition.tests) {
                used.insert(test_name(comparison).to_owned());
                used.insert(format!("{:?}.{}", path.root, path.segments.join(".")).to_lowercase());
            }
        }
    }
    let every = "own assigned group department branch any \
        is not in not_in at_least at_most in_network not_in_network contains present \
        subject.id subject.group subject.departments subject.projects resource.id resource.owner \
        resource.group resource.departments resource.projects";
    let unused: Vec<&str> = every
        .split_whitespace()
        .filter(|word| !used.contains(*word))
        .collect();
    assert_eq!(unused, Vec::<&str>::new());
}

fn test_name(comparison: &Comparison) -> &'static str {
    match comparison {
        Comparison::Is(_) => "is",
        Comparison::Not(_) => "not",
        Comparison::In(_) => "in",
        Comparison::NotIn(_) => "not_in",
        Comparison::AtLeast(_) => "at_least",
        Comparison::AtMost(_) => "at_most",
        Comparison::InNetwork(_) => "in_network",
        Comparison::NotInNetwork(_) => "not_in_network",
        Comparison::Contains(_) => "contains",
        Comparison::Present(_) => "present",
    }
}

/// What went wrong when every test of every file was asked.
fn decide_all(decide: Decide) -> Vec<String> {
    let mut failures = Vec::new();
    for path in case_files() {
        let file = name(&path);
        match read(&path) {
            Err(error) => failures.push(format!("{file}: {error}")),
            Ok(policy) => failures.extend(
                policy
                    .tests
                    .iter()
                    .filter_map(|test| failure(&policy, test, decide))
                    .map(|failure| format!("{file}: {failure}")),
            ),
        }
    }
    failures
}

/// What is wrong with the answer to one test, if anything is.
fn failure(policy: &Policy, test: &Test, decide: Decide) -> Option<String> {
    let reason = decide(policy, &query(test));
    let code = reason.split(':').next().unwrap_or_default();
    let allows = ["granted", "via", "section"].contains(&code);
    let got = format!("{} {reason}", if allows { "allow" } else { "deny" });
    let expected = match &test.reason {
        Some(reason) => format!("{} {reason}", test.expect),
        None => test.expect.to_string(),
    };
    (got != expected).then(|| format!("{}\n    expected {expected}\n    got      {got}", test.name))
}

/// The question that a test asks.
fn query(test: &Test) -> Query<'_> {
    Query {
        subject: Entity {
            kind: &test.subject_type,
            id: &test.subject,
            properties: &test.subject_properties,
        },
        action: Action {
            name: &test.action,
            properties: &test.action_properties,
        },
        resource: Entity {
            kind: &test.resource_type,
            id: &test.resource,
            properties: &test.resource_properties,
        },
        context: &test.context,
        section: test.section,
        test_role: test.test_role.as_deref(),
        now: test
            .at
            .unwrap_or_else(|| Timestamp::from(SystemTime::now())),
    }
}

fn each_test() -> impl Iterator<Item = (String, Test)> {
    case_files().into_iter().flat_map(|path| {
        let file = name(&path);
        let policy = read(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        policy
            .tests
            .into_iter()
            .map(move |test| (file.clone(), test))
    })
}

/// Reads a case file: its parts become the files of a policy tree, as JSON, which is YAML too.
fn read(path: &Path) -> Result<Policy, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let case: Value = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
    let company = text_at(&case, "/company/company")?;
    let pack = text_at(&case, "/catalogue/catalogue")?;
    let folder = format!("companies/{company}");
    let parts = [
        ("catalogue", format!("packs/{pack}/catalogue.yaml"), None),
        (
            "pack_roles",
            format!("packs/{pack}/roles.yaml"),
            Some("roles"),
        ),
        ("company", format!("{folder}/company.yaml"), None),
        ("roles", format!("{folder}/roles.yaml"), Some("roles")),
        ("users", format!("{folder}/users.yaml"), Some("users")),
        ("objects", format!("{folder}/objects.yaml"), Some("objects")),
        (
            "projects",
            format!("{folder}/projects.yaml"),
            Some("projects"),
        ),
        ("tests", format!("{folder}/tests.yaml"), Some("tests")),
    ];
    let known = |key: &String| key == "note" || parts.iter().any(|(part, ..)| part == key);
    if let Some(stray) = case
        .as_object()
        .and_then(|all| all.keys().find(|key| !known(key)))
    {
        return Err(format!("a case file has no part `{stray}`"));
    }
    let files: Files = parts
        .iter()
        .filter_map(|(part, path, key)| {
            let content = case.get(*part)?;
            let document = match key {
                Some(key) => json!({ *key: content }),
                None => content.clone(),
            };
            Some((path.clone(), document.to_string().into_bytes()))
        })
        .collect();
    match policy::read_company(&files, &company) {
        Ok(reading) => Ok(reading.policy),
        Err(diagnostics) => Err(diagnostics.render(false)),
    }
}

fn text_at(case: &Value, pointer: &str) -> Result<String, String> {
    match case.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("no text at {pointer}")),
    }
}

fn case_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of cases is there")
        .map(|entry| entry.expect("the folder of cases can be read").path())
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
