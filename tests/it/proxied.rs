//! What is said of proxies beside the table of attacks: logs, ages, names, time.

use std::io::Read;
use std::process::{Command, Stdio};

use callgate::config::Proxy;

use crate::fixture::Tree;
use crate::process::Process;
use crate::proxy::{refused, start_with, trusted};
use crate::service::{Answer, Client, Service, request};

const AUTH: &str = "/acme/proxy/auth";
const GET: &str = "X-Original-Method: GET";
const PUBLIC: &str = "X-Original-URI: /public/x";

fn ask(service: &Service, more: &[&str]) -> Answer {
    let headers = [&[GET, PUBLIC], more].concat();
    service.ask(request("GET", AUTH, &headers, ""))
}

/// Questions to a process over a tree with these flags, and what it has written on standard error.
fn logged(flags: &[&str], questions: usize) -> String {
    let tree = Tree::new();
    tree.write(
        "companies/acme/routes.yaml",
        "routes:\n  - { path: \"/public/{*rest}\", allow: public }\n",
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command
        .arg("serve")
        .arg(tree.path())
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(flags)
        .env_clear()
        .stderr(Stdio::piped());
    let mut process = Process::spawn(command);
    process.line();
    for _ in 0..questions {
        let headers = [GET, "X-Original-URI: /public/../x"];
        let asked = request("GET", AUTH, &headers, "");
        assert_eq!(Client::connect(process.address()).ask(asked).status, 403);
    }
    process.signal("-TERM");
    let mut said = String::new();
    let mut log = process.child.stderr.take().unwrap();
    log.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn the_log_names_the_setting_that_an_untrusted_peer_lacks_once_in_ten_seconds() {
    let said = logged(&["--log-level", "warn"], 5);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("trusted_peers"))
        .collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("127.0.0.1"), "{said}");
    assert!(lines[0].contains("--proxy-trusted-peers"), "{said}");
}

#[test]
fn the_log_tells_of_companies_that_are_named_and_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("callgate.toml");
    let own = "[proxy.companies.acne]\nidentity = { header = \"X-Own\" }\n";
    std::fs::write(&file, own).unwrap();
    let said = logged(&["--config", file.to_str().unwrap()], 0);
    let wrong = "the source has no company of this name company=acne setting=\"[proxy.companies]\"";
    assert!(said.contains(wrong), "{said}");
    assert!(!logged(&["--default-company", "acme"], 0).contains("no company"));
    let said = logged(&["--company", "acne"], 0);
    assert!(said.contains("setting=\"--company\""), "{said}");
}

#[test]
fn the_log_tells_why_a_question_was_refused_where_it_is_told_to() {
    let trust = ["--proxy-trusted-peers", "127.0.0.1"];
    let said = logged(&[&["--log-level", "debug"], &trust[..]].concat(), 1);
    assert!(said.contains("dot_segment"), "{said}");
    let said = logged(&[&["--log-level", "info"], &trust[..]].concat(), 1);
    assert!(!said.contains("dot_segment"), "{said}");
}

#[test]
fn who_asks_is_who_is_connected_whatever_headers_say() {
    let service = start_with(Proxy {
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        ..trusted()
    });
    for header in [
        "X-Forwarded-For: 10.0.0.1",
        "X-Real-IP: 10.0.0.1",
        "Forwarded: for=10.0.0.1",
        "X-Client-IP: 10.0.0.1",
    ] {
        let before = refused(&service, "untrusted_peer");
        assert_eq!(ask(&service, &[header]).status, 403, "{header}");
        assert_eq!(refused(&service, "untrusted_peer"), before + 1, "{header}");
    }
}

#[test]
fn what_is_too_old_lets_nothing_pass_where_that_denies() {
    let service = start_with(trusted());
    assert_eq!(ask(&service, &[]).status, 200);
    service.companies.deny("acme", true);
    assert_eq!(ask(&service, &[]).status, 403);
    assert_eq!(refused(&service, "no_snapshot"), 1);
    service.companies.deny("acme", false);
    assert_eq!(ask(&service, &[]).status, 200);
}

#[test]
fn everybody_may_where_everybody_may_whatever_is_wrong_about_who_they_are() {
    let service = start_with(trusted());
    let long = format!("X-Auth-User: {}", "a".repeat(300));
    for header in ["X-Auth-User: a b", "X-Auth-User: *", &long] {
        let answer = ask(&service, &[header]);
        assert_eq!(
            (answer.status, answer.header("x-callgate-user")),
            (200, ""),
            "{header}"
        );
    }
}

#[test]
fn settings_that_trust_too_many_or_say_nothing_are_mistakes() {
    for (flags, mistake) in [
        (
            &["--proxy-trusted-peers", "0.0.0.0/0"][..],
            "`0.0.0.0/0` trusts everybody",
        ),
        (
            &["--proxy-trusted-peers", "::/0"],
            "`::/0` trusts everybody",
        ),
        (
            &["--proxy-trusted-peers", "10.0.0.1/8"],
            "is `10.0.0.0/8` meant?",
        ),
        (
            &["--proxy-trusted-peers", "caller:edge"],
            "nobody proves to be the caller `edge`",
        ),
        (&["--proxy-trusted-peers", "edge.example"], "is no peer"),
        (
            &["--proxy-target", "both"],
            "neither `original` nor `forwarded`",
        ),
        (
            &["--proxy-user-header", "X-A", "--proxy-roles-header", "x-a"],
            "need three headers of different names",
        ),
    ] {
        let serve = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args([
                "serve",
                "nowhere",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
            ])
            .args(flags)
            .env_clear()
            .output()
            .unwrap();
        let told = String::from_utf8(serve.stderr).unwrap();
        assert_eq!(serve.status.code(), Some(2), "{told}");
        assert!(told.contains(mistake), "no `{mistake}` in:\n{told}");
    }
}
