//! Routes: which line is about a request, compiled and read naively, and what a change of them is.

use std::collections::BTreeSet;

use callgate::decide::{self, Rule};
use callgate::model::{HttpRequest, Reason};
use callgate::oracle;
use callgate::policy::{self, Files, Policy, RouteRule};
use callgate::snapshot::Snapshot;
use callgate::snapshot::compare::{Cause, Event};
use fastrand::Rng;

use crate::policy_examples::small;

const COMPANIES: u64 = 400;
const REQUESTS: usize = 60;

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "DELETE"];
const HOSTS: [&str; 3] = ["a.example", "b.example", "c.example"];
const SEGMENTS: [&str; 6] = ["a", "b", "ab", "é", "A", "{"];

fn read(routes: &str) -> Policy {
    let mut tree = small();
    tree.push(("companies/demo/routes.yaml".to_owned(), routes.to_owned()));
    let files = Files::new(
        tree.into_iter()
            .map(|(path, text)| (path, text.into_bytes())),
    );
    let reading = policy::read_company(&files, "demo");
    let reading = reading.map_err(|errors| format!("{routes}\n{errors}"));
    reading.unwrap().policy
}

fn compile(routes: &str) -> (Policy, Snapshot) {
    let policy = read(routes);
    let snapshot = Snapshot::compile(&policy).unwrap();
    let read = Snapshot::from_bytes(&snapshot.to_bytes()).unwrap();
    assert_eq!(read.revision(), snapshot.revision());
    (policy, read)
}

/// Lines that differ in host, path or method; each has an id of its own, so that one can be told from
/// all others.
fn random(rng: &mut Rng) -> String {
    let mut known = BTreeSet::new();
    let mut text = "routes:\n".to_owned();
    for number in 0..rng.usize(1..12) {
        let mut shape = String::new();
        let mut path = String::new();
        let mut names = Vec::new();
        let length = rng.usize(0..4);
        for at in 0..length {
            let name = format!("{}{at}", ["x", "y"][rng.usize(0..2)]);
            let kind = rng.usize(0..if at + 1 == length { 6 } else { 4 });
            let (written, sort) = match kind {
                0..3 => {
                    let segment = SEGMENTS[rng.usize(0..SEGMENTS.len())];
                    (segment.replace('{', "{{"), segment)
                }
                3 => (format!("{{{name}}}"), "{}"),
                _ => (format!("{{*{name}}}"), "{*}"),
            };
            if kind >= 3 {
                names.push(name);
            }
            path.push('/');
            path.push_str(&written);
            shape.push('/');
            shape.push_str(sort);
        }
        if path.is_empty() || rng.u32(0..6) == 0 && !path.ends_with("*}") {
            path.push('/');
        }
        let host = (rng.u32(0..3) == 0).then(|| HOSTS[rng.usize(0..2)]);
        let methods: Vec<&str> = match rng.u32(0..3) {
            0 => Vec::new(),
            _ => METHODS.into_iter().filter(|_| rng.bool()).collect(),
        };
        let keys = match methods.as_slice() {
            [] => vec!["any"],
            methods => methods.to_vec(),
        };
        if keys
            .iter()
            .any(|key| known.contains(&(host, shape.clone(), *key)))
        {
            continue;
        }
        known.extend(keys.iter().map(|key| (host, shape.clone(), *key)));
        let mut id = format!("r{number}");
        names.retain(|_| rng.bool());
        for name in &names {
            id.push_str(["-", ":{{"][rng.usize(0..2)]);
            id.push_str(&format!("{{{name}}}"));
        }
        let host = host.map_or_else(String::new, |host| format!("host: {host}, "));
        let methods = match methods.as_slice() {
            [] => String::new(),
            methods => format!("methods: [{}], ", methods.join(", ")),
        };
        let rule = match rng.u32(0..6) {
            0 => "allow: public".to_owned(),
            1 => "allow: authenticated".to_owned(),
            2 => "check: { type: ticket, action: view, section: true }".to_owned(),
            _ => format!("check: {{ type: ticket, action: view, id: \"{id}\" }}"),
        };
        text.push_str(&format!(
            "  - {{ {host}{methods}path: \"{path}\", {rule} }}\n"
        ));
    }
    text
}

fn random_path(rng: &mut Rng) -> String {
    let mut path = "/".to_owned();
    let length = rng.usize(0..5);
    for at in 0..length {
        path.push_str(SEGMENTS[rng.usize(0..SEGMENTS.len())]);
        if at + 1 < length || rng.u32(0..6) == 0 {
            path.push('/');
        }
    }
    path
}

/// What the compiled routes say, in the words of the naive reading.
fn said(policy: &Policy, snapshot: &Snapshot, request: &HttpRequest<'_>) -> oracle::Routed {
    let routed = decide::route(snapshot, request);
    let place = routed.place(snapshot);
    let line = || {
        let line = policy.routes.iter().find(|route| {
            let file = &policy.files[route.place.file as usize];
            Some((file.as_str(), route.place.line)) == place
        });
        line.unwrap().clone()
    };
    match &routed.rule {
        Rule::Nobody(Reason::NoRoute) => oracle::Routed::NoRoute,
        Rule::Nobody(Reason::MethodNotAllowed) => oracle::Routed::MethodNotAllowed,
        Rule::Nobody(other) => panic!("{other}"),
        Rule::HostUnknown => oracle::Routed::HostUnknown,
        Rule::Everybody => {
            assert_eq!(line().rule, RouteRule::Public);
            oracle::Routed::Line(line(), None)
        }
        Rule::Users => {
            assert_eq!(line().rule, RouteRule::Authenticated);
            oracle::Routed::Line(line(), None)
        }
        Rule::Check(check) => {
            assert_eq!((check.kind, check.action), ("ticket", "view"));
            let id = (!check.section).then(|| check.id.clone().into_owned());
            oracle::Routed::Line(line(), id)
        }
    }
}

#[test]
fn the_line_found_is_the_first_of_those_that_match() {
    let mut reached = BTreeSet::new();
    for seed in 0..COMPANIES {
        let rng = &mut Rng::with_seed(seed);
        let routes = random(rng);
        let (policy, snapshot) = compile(&routes);
        for _ in 0..REQUESTS {
            let path = random_path(rng);
            let request = HttpRequest {
                method: METHODS[rng.usize(0..4)],
                host: (rng.u32(0..8) > 0).then(|| HOSTS[rng.usize(0..3)]),
                path: &path,
            };
            let expected = oracle::route(&policy, &request);
            let found = said(&policy, &snapshot, &request);
            assert_eq!(found, expected, "seed {seed}: {request:?} of\n{routes}");
            reached.insert(match &expected {
                oracle::Routed::NoRoute => "no route",
                oracle::Routed::MethodNotAllowed => "no method",
                oracle::Routed::HostUnknown => "no host",
                oracle::Routed::Line(line, _) if line.host.is_some() => "a host's own line",
                oracle::Routed::Line(_, Some(_)) => "an id",
                oracle::Routed::Line(_, None) => "no id",
            });
        }
    }
    assert_eq!(reached.len(), 6, "{reached:?}");
}

#[test]
fn their_order_in_the_file_makes_no_other_snapshot() {
    for seed in 0..50 {
        let rng = &mut Rng::with_seed(seed);
        let routes = random(rng);
        let mut lines: Vec<&str> = routes.lines().skip(1).collect();
        rng.shuffle(&mut lines);
        let shuffled = format!("routes:\n{}\n", lines.join("\n"));
        assert_eq!(compile(&routes).1.digest(), compile(&shuffled).1.digest());
    }
}

/// What `GET path` is, in words.
fn asked(snapshot: &Snapshot, path: &str) -> String {
    let request = HttpRequest {
        method: "GET",
        host: Some("any.example"),
        path,
    };
    match decide::route(snapshot, &request).rule {
        Rule::Nobody(reason) => reason.to_string(),
        Rule::HostUnknown => "host?".to_owned(),
        Rule::Everybody => "public".to_owned(),
        Rule::Users => "authenticated".to_owned(),
        Rule::Check(check) => format!("{}.{} {}", check.kind, check.action, check.id),
    }
}

const ROUTES: &str = r#"routes:
  - { path: "/{*rest}", allow: public }
  - { path: "/admin/{*rest}", allow: authenticated }
  - { path: "/admin/users/{id}", check: { type: ticket, action: view, id: "{id}" } }
  - { path: "/files/{*path}", check: { type: ticket, action: view, id: "f:{path}" } }
  - { methods: [POST], path: "/calls", allow: public }
  - { path: "/deep/{a}/{b}/", check: { type: ticket, action: view, id: "{b}-{a}" } }
"#;

#[test]
fn what_a_line_is_about() {
    let (_, snapshot) = compile(ROUTES);
    for (path, is) in [
        ("/", "public"),
        ("/elsewhere", "public"),
        ("/admin", "authenticated"),
        ("/admin/", "authenticated"),
        ("/admin/x/y", "authenticated"),
        ("/administrator", "public"),
        ("/Admin", "public"),
        ("/admin/users/7", "ticket.view 7"),
        ("/admin/users/7/", "ticket.view 7"),
        ("/admin/users/7/edit", "authenticated"),
        ("/files/a/b", "ticket.view f:a/b"),
        ("/files", "ticket.view f:"),
        // It never falls to a wider path.
        ("/calls", "method_not_allowed"),
        ("/calls/", "method_not_allowed"),
        ("/calls/1", "public"),
        ("/deep/1/2", "ticket.view 2-1"),
        ("admin", "no_route"),
        ("", "no_route"),
    ] {
        assert_eq!(asked(&snapshot, path), is, "{path}");
    }
}

#[test]
fn a_diff_tells_what_came_and_went() {
    let (_, old) = compile(ROUTES);
    let changed = ROUTES
        .replace("users/{id}", "users/{user}")
        .replace("id: \"{id}\"", "id: \"{user}\"")
        .replace(
            "\"/admin/{*rest}\", allow: authenticated",
            "\"/admin/{*rest}\", allow: public",
        )
        .replace("methods: [POST]", "methods: [PUT]");
    let (_, new) = compile(&changed);
    let diff = old.diff(&new);
    let told: Vec<_> = diff
        .changes
        .iter()
        .map(|change| {
            assert_eq!(change.cause, Cause::Route);
            (
                change.event,
                &*change.name,
                change.old.as_deref(),
                change.new.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Event::Removed, "POST /calls", Some("public"), None),
            (Event::Added, "PUT /calls", None, Some("public")),
            (
                Event::Changed,
                "any /admin/{*2}",
                Some("authenticated"),
                Some("public")
            ),
        ]
    );
    assert!(diff.has_gain() && diff.has_loss());
}

#[test]
fn decide_tries_an_http_request() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in small() {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let routes = folder.path().join("companies/demo/routes.yaml");
    std::fs::write(routes, ROUTES).unwrap();
    let decide = |arguments: &[&str]| {
        let mut all = vec!["decide", folder.path().to_str().unwrap(), "--http"];
        all.extend(arguments);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_callgate"));
        let output = command.args(&all).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), said)
    };
    let is = |code: i32, said: &str| (code, said.to_owned());
    let at = |line: u32| format!("route: companies/demo/routes.yaml:{line}\n");
    let ewa = ["--subject", "ewa"];
    assert_eq!(
        decide(&["GET https://a.example/x?y"]),
        is(0, &format!("{}allow: public\n", at(2)))
    );
    assert_eq!(
        decide(&["GET /admin/x"]),
        is(1, &format!("{}deny: unauthenticated\n", at(3)))
    );
    let asked = decide(&["GET /admin/x", ewa[0], ewa[1]]);
    assert_eq!(asked, is(0, &format!("{}allow: authenticated\n", at(3))));
    let asked = decide(&["GET http://a.example:80/admin/users/7", ewa[0], ewa[1]]);
    let told = format!("{}check: ticket.view of 7\nallow: granted\n", at(4));
    assert_eq!(asked, is(0, &told));
    assert_eq!(decide(&["GET /admin/../x"]), is(1, "deny: dot_segment\n"));
    assert_eq!(decide(&["GET /calls"]), is(1, "deny: method_not_allowed\n"));
    assert_eq!(decide(&["nonsense"]).0, 2);
    assert_eq!(decide(&["GET /x", "--section"]).0, 2);
    let (code, said) = decide(&["GET /admin/users/7", ewa[0], ewa[1], "--format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["decision"]), (0, &serde_json::json!(true)));
    assert_eq!(said["route"]["line"], 4);
    assert_eq!(said["check"]["id"], "7");
}
