//! The certification scenario of AuthZEN 1.0: its fixture is policy files alone, and its cases are
//! data, both in `tests/conformance`.

use std::path::Path;

use callgate::policy::Files;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::service::{Client, Service, Start, request};

const JSON: &str = "Content-Type: application/json";

/// Rule 1 of the fixture.
const PERMIT: &str = r#"{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"record-1"}}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    post: String,
    body: Value,
    #[serde(default = "ok")]
    status: u16,
    is: Option<Value>,
    has: Option<Vec<Value>>,
    count: Option<usize>,
    item_denied: Option<usize>,
}

fn ok() -> u16 {
    200
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// The service with the scenario's fixture. The harness names no company: there is one.
fn service() -> Service {
    let start = Start {
        public_url: Some("https://pdp.example.com".to_owned()),
        ..Start::new()
    };
    let service = start.serve_nobody();
    let paths = [
        "packs/records/catalogue.yaml",
        "packs/records/roles.yaml",
        "companies/records/company.yaml",
        "companies/records/users.yaml",
        "companies/records/objects.yaml",
    ];
    let files = paths.map(|path| (path.to_owned(), std::fs::read(folder().join(path)).unwrap()));
    service.publish_files("records", &Files::new(files));
    service.readiness.all_tried();
    service
}

fn post(api: &str, headers: &[&str], body: &str) -> String {
    request("POST", &format!("/access/v1/{api}"), headers, body)
}

fn decide(client: &mut Client, case: &Case) -> Result<(), String> {
    let answer = client.ask(post(&case.post, &[JSON], &case.body.to_string()));
    if answer.status != case.status || answer.header("content-type") != "application/json" {
        return Err(format!("{answer:?}"));
    }
    let body = answer.json();
    let items = body["evaluations"].as_array().cloned().unwrap_or_default();
    let results = body["results"].as_array().cloned().unwrap_or_default();
    let held = case.is.as_ref().is_none_or(|is| *is == body)
        && case.count.is_none_or(|count| {
            items.len() == count && items.iter().all(|item| item["decision"].is_boolean())
        })
        && case
            .item_denied
            .is_none_or(|at| items[at]["decision"] == json!(false))
        && case
            .has
            .as_ref()
            .is_none_or(|has| has.iter().all(|one| results.contains(one)));
    if held {
        Ok(())
    } else {
        Err(format!("{answer:?}"))
    }
}

#[test]
fn every_case_of_the_scenario_holds() {
    let text = std::fs::read_to_string(folder().join("cases.yaml")).unwrap();
    let cases: Vec<Case> = serde_saphyr::from_str(&text).unwrap();
    let service = service();
    let mut client = service.connect();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let error = decide(&mut client, case).err()?;
            Some(format!("{}: {error}", case.case))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases.len() > 50, "only {} cases", cases.len());
    for case in &cases {
        let says = case.status != 200 || case.is.is_some() || case.has.is_some();
        assert!(says || case.count.is_some(), "{} says nothing", case.case);
    }
}

/// c-2-4-3, c-2-4-4, c-2-4-5; they are of all interfaces.
#[test]
fn what_is_no_json_is_400() {
    let service = service();
    let mut client = service.connect();
    for api in [
        "evaluation",
        "evaluations",
        "search/subject",
        "search/resource",
        "search/action",
    ] {
        for (headers, body) in [
            (&["Content-Type: text/plain"][..], PERMIT),
            (&["Content-Type: application/xml"], PERMIT),
            (&[], PERMIT),
            (&[JSON], "{not json"),
            (&[JSON], r#"{"subject":"#),
            (&[JSON], ""),
        ] {
            let answer = client.ask(post(api, headers, body));
            assert_eq!(answer.status, 400, "{api} {headers:?} {body}");
        }
    }
}

/// c-2-5-1, c-2-5-2.
#[test]
fn a_request_id_comes_back() {
    let service = service();
    let mut client = service.connect();
    for api in ["evaluation", "evaluations", "search/subject"] {
        let id = "bfe9eb29-ab87-4ca3-be83-a1d5d8305716";
        let sent = format!("X-Request-ID: {id}");
        for (headers, status) in [(&[JSON, &sent][..], 200), (&[&sent], 400)] {
            let answer = client.ask(post(api, headers, PERMIT));
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("x-request-id"), id);
        }
        assert_eq!(client.ask(post(api, &[JSON], PERMIT)).status, 200);
    }
}

/// c-2-6.
#[test]
fn the_same_question_has_the_same_answer() {
    let service = service();
    let mut client = service.connect();
    let answers: Vec<_> = (0..10)
        .map(|_| client.ask(post("evaluation", &[JSON], PERMIT)).body)
        .collect();
    assert_eq!(answers, vec![r#"{"decision":true}"#; 10]);
}

/// c-4-5-1 to c-4-5-3: the follow-up leaves the limit out.
#[test]
fn pages_follow_each_other() {
    let service = service();
    let mut client = service.connect();
    let mut body: Value = serde_json::from_str(PERMIT).unwrap();
    body["subject"] = json!({ "type": "user" });
    body["page"] = json!({ "limit": 1 });
    let first = client
        .ask(post("search/subject", &[JSON], &body.to_string()))
        .json();
    assert_eq!(first["results"], json!([{ "type": "user", "id": "alice" }]));
    let token = first["page"]["next_token"].as_str().unwrap();
    assert!(!token.is_empty());
    body["page"] = json!({ "token": token });
    let next = client.ask(post("search/subject", &[JSON], &body.to_string()));
    assert_eq!(
        next.body,
        r#"{"page":{"next_token":"","count":1},"results":[{"type":"user","id":"bob"}]}"#
    );
}

/// c-6.
#[test]
fn metadata_name_the_interfaces() {
    let service = service();
    let answer = service.ask(request(
        "GET",
        "/.well-known/authzen-configuration",
        &[],
        "",
    ));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    let metadata = answer.json();
    assert_eq!(
        metadata["policy_decision_point"],
        json!("https://pdp.example.com")
    );
    for (member, path) in [
        ("access_evaluation_endpoint", "evaluation"),
        ("access_evaluations_endpoint", "evaluations"),
        ("search_subject_endpoint", "search/subject"),
        ("search_resource_endpoint", "search/resource"),
        ("search_action_endpoint", "search/action"),
    ] {
        let url = format!("https://pdp.example.com/access/v1/{path}");
        assert_eq!(metadata[member], json!(url));
    }
    assert_eq!(metadata.as_object().unwrap().len(), 6, "{metadata}");
}
