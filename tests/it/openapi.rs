//! `docs/openapi.yaml` says what the code does: the same paths, methods and status codes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use callgate::server::{ADMIN_INTERFACES, INTERFACES};
use serde_json::{Value, json};

use crate::service::{Start, request};

/// By path and method, the status codes that may be answered.
type Table = BTreeMap<(String, String), BTreeSet<String>>;

fn written() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What `$ref` points to, if it is one.
fn resolve<'v>(file: &'v Value, value: &'v Value) -> &'v Value {
    match value["$ref"].as_str() {
        Some(to) => {
            let found = file.pointer(to.strip_prefix('#').unwrap());
            resolve(file, found.unwrap_or_else(|| panic!("nothing is at {to}")))
        }
        None => value,
    }
}

fn operations(file: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = file["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let members = item.as_object().unwrap().iter();
        let methods =
            members.filter(|(name, _)| !matches!(name.as_str(), "parameters" | "servers"));
        methods.map(move |(method, operation)| (path, method, operation))
    })
}

/// HEAD goes without saying where GET is.
fn add(table: &mut Table, path: &str, methods: &str, codes: BTreeSet<String>) {
    for method in methods.split(", ").filter(|method| *method != "HEAD") {
        let key = (path.to_owned(), method.to_ascii_lowercase());
        assert!(
            table.insert(key, codes.clone()).is_none(),
            "{path} stands twice"
        );
    }
}

#[test]
fn paths_methods_and_status_codes_are_those_of_the_code() {
    let file = written();
    let documented: Table = operations(&file)
        .map(|(path, method, operation)| {
            let codes = operation["responses"].as_object().unwrap().keys();
            ((path.clone(), method.clone()), codes.cloned().collect())
        })
        .collect();
    let mut coded = Table::new();
    for interface in &INTERFACES {
        let codes = interface.codes.iter().map(|code| code.number().to_string());
        let codes: BTreeSet<String> = codes.collect();
        for path in interface.templates() {
            add(&mut coded, &path, interface.methods, codes.clone());
        }
    }
    for interface in &ADMIN_INTERFACES {
        let codes = interface.codes.iter().map(ToString::to_string);
        add(
            &mut coded,
            interface.path,
            interface.methods,
            codes.collect(),
        );
    }
    assert_eq!(documented, coded);
}

#[test]
fn whatever_is_referred_to_is_there() {
    fn walk(file: &Value, value: &Value) {
        resolve(file, value);
        match value {
            Value::Object(members) => members.values().for_each(|value| walk(file, value)),
            Value::Array(items) => items.iter().for_each(|value| walk(file, value)),
            _ => {}
        }
    }
    let file = written();
    walk(&file, &file);
    assert_eq!(file["info"]["version"], json!(env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_example_is_answered() {
    let start = Start {
        public_url: Some("https://pdp.example.com".to_owned()),
        ..Start::new()
    };
    let service = start.serve();
    let file = written();
    let mut asked = 0;
    for (path, method, operation) in operations(&file) {
        let content = &operation["requestBody"]["content"]["application/json"];
        let examples = content["examples"].as_object();
        let path = path.replace("{company}", "acme");
        for (name, example) in examples.into_iter().flatten() {
            let method = method.to_ascii_uppercase();
            let headers = ["Content-Type: application/json"];
            let body = example["value"].to_string();
            let answer = service.ask(request(&method, &path, &headers, &body));
            assert_eq!(answer.status, 200, "{path} {name}: {answer:?}");
            let schema = resolve(&file, &operation["responses"]["200"]);
            let schema = resolve(&file, &schema["content"]["application/json"]["schema"]);
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for member in required {
                let member = member.as_str().unwrap();
                assert!(!answer.json()[member].is_null(), "{path} {name}: {member}");
            }
            asked += 1;
        }
    }
    assert!(asked >= 8, "only {asked} examples");
}
