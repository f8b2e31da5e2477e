use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::{Tree, company, users};
use crate::process::Process;
use crate::service::{CHECK, Client, check};

#[test]
fn it_says_when_it_is_ready_and_which_companies_are_active() {
    let tree = Tree::new();
    tree.write("companies/broken/company.yaml", "company: other\n");
    tree.write("companies/demo/company.yaml", &company("demo"));
    tree.write("companies/demo/users.csv", &users("listener"));
    let mut process = Process::start(&tree);
    assert_eq!(process.line(), "ready: acme, demo");
    assert_eq!(process.admin("GET", "/readyz", "").status, 200);
    assert_eq!(
        process.admin("GET", "/readyz?company=broken", "").status,
        503
    );
    let curl = process.line();
    let curl = curl.strip_prefix("try: ").unwrap();
    let told = Command::new("sh").args(["-c", curl]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told, r#"{"decision":true}"#);
}

#[test]
fn answers_follow_the_files_without_a_failed_one() {
    let tree = Tree::new();
    let mut process = Process::start(&tree);
    process.line();
    let mut client = Client::connect(&process.address);
    assert_eq!(
        client.ask(check("acme", CHECK)).body,
        r#"{"decision":false}"#
    );

    tree.rename_over("companies/acme/users.csv", &users("listener"));
    let changed = Instant::now();
    let mut answers = vec![];
    while changed.elapsed() < Duration::from_secs(10) {
        let answer = client.ask(check("acme", CHECK));
        assert_eq!(answer.status, 200, "{answer:?}");
        answers.push((answer.header("callgate-revision").to_owned(), answer.body));
        if answers.last().unwrap().1 == r#"{"decision":true}"# {
            break;
        }
    }
    assert!(
        changed.elapsed() < Duration::from_secs(2),
        "{:?}",
        changed.elapsed()
    );
    answers.dedup();
    assert_eq!(
        answers.len(),
        2,
        "it changes once, with the revision: {answers:?}"
    );
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_with_its_place() {
    let tree = Tree::new();
    tree.write("companies/acme/users.csv", &users("listener"));
    let mut process = Process::start(&tree);
    process.line();
    let before = process.snapshot("acme");
    tree.write("companies/acme/users.csv", "user,roles\nolga,listner\n");
    process.until("the failure", |process| {
        !process.snapshot("acme")["failure"].is_null()
    });
    let broken = process.snapshot("acme");
    assert_eq!(broken["revision"], before["revision"]);
    let failure = &broken["failure"];
    assert_eq!(failure["code"], "policy_errors");
    assert_eq!(failure["file"], "companies/acme/users.csv");
    assert_eq!(failure["line"], 2);
    assert!(
        failure["message"].as_str().unwrap().contains("listener"),
        "{failure}"
    );
    let answer = Client::connect(&process.address).ask(check("acme", CHECK));
    assert_eq!(answer.body, r#"{"decision":true}"#);
    let metrics = process.admin("GET", "/metrics", "").body;
    assert!(!metrics.contains(r#"snapshot_loads_total{result="policy_errors"} 0"#));
    assert_eq!(process.admin("GET", "/readyz", "").status, 200);
}

#[test]
fn a_reload_accepts_a_loss_in_an_emergency_and_tells_what_is() {
    let tree = Tree::new();
    let mut process = Process::start(&tree);
    process.line();
    tree.write("companies/acme/users.csv", "user,roles\nolga,listener\n");
    let told = process.admin("POST", "/v1/reload", "");
    assert_eq!(told.status, 200);
    assert!(told.body.contains("too_great_loss"), "{}", told.body);
    let told = process.admin("POST", "/v1/reload", r#"{"accept_loss":true}"#);
    assert_eq!(told.status, 200);
    assert!(told.body.contains(r#""users":1,"#), "{}", told.body);
    assert_eq!(process.snapshot("acme")["failure"], Value::Null);
    let metrics = process.admin("GET", "/metrics", "").body;
    assert!(metrics.contains(r#"callgate_snapshot_loads_total{result="forced"} 1"#));
}
