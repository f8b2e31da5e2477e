//! Filters over HTTP and on the command line.

use std::process::Command;

use callgate::policy::Files;
use serde_json::{Value, json};

use crate::service::{Service, Start, post};

const FILTER: &str = "/v1/filter";

/// A desk: calls of one's department, behind the wall; deals that need not be registered; chats that
/// deals open; and rules that SQL cannot say.
const FILES: [(&str, &str); 6] = [
    (
        "packs/desk/catalogue.yaml",
        "\
catalogue: desk
resources:
  queue: { registered: true, actions: { view: {} } }
  call: { parent: [queue], properties: { owner: agent }, actions: { view: {}, tap: {}, rate: {} } }
  deal: { walled: false, actions: { view: {}, create: { new: true } } }
  chat: { walled: false, actions: { view: { via: [deal.view] }, trace: {} } }
",
    ),
    (
        "packs/desk/roles.yaml",
        "\
roles:
  - role: operator
    grants:
      queue: { view: assigned }
      call:
        view: department
        tap: { scope: any, when: { resource.ip: { in_network: { path: context.net } } } }
        rate: { scope: any, when: { resource.score: { at_least: 4 }, resource.done: true } }
      deal: { view: own, create: any }
      chat: { view: own, trace: { scope: any, when: { context.ip: { in_network: { path: resource.nets } } } } }
",
    ),
    (
        "companies/acme/company.yaml",
        "{ company: acme, pack: desk, security: enhanced, departments: [{ department: care }, { department: sales }] }",
    ),
    (
        "companies/acme/users.yaml",
        "\
users:
  - { user: olga, aliases: ['sip:1'], departments: [care], roles: [operator] }
  - { user: piotr, departments: [care, sales], roles: [operator] }
  - { user: ewa, active: false, roles: [operator] }
",
    ),
    (
        "companies/acme/objects.yaml",
        "\
objects:
  - { type: queue, id: in, operators: { users: [olga] } }
  - { type: queue, id: out }
  - { type: deal, id: d-1, owner: piotr, properties: { lead: x } }
  - { type: deal, id: d-2, owner: olga }
",
    ),
    (
        "companies/acme/projects.yaml",
        "{ projects: [{ project: bank, members: { users: [olga] }, objects: { queue: [in] } }] }",
    ),
];

fn desk() -> Service {
    let service = Start::new().serve();
    service.publish_files("acme", &files());
    service
}

fn files() -> Files {
    let files = FILES.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    Files::new(files.to_vec())
}

fn question(kind: &str, action: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": "olga" },
        "action": { "name": action },
        "resource": { "type": kind },
    })
}

#[track_caller]
fn answer(service: &Service, body: &Value) -> Value {
    let answer = service.post(FILTER, &body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    let revision = service.companies.load("acme").unwrap();
    assert_eq!(answer.header("callgate-revision"), revision.revision());
    answer.json()
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

#[test]
fn rows_are_told_as_a_condition_and_as_sql() {
    let service = desk();
    let body = with(
        question("call", "view"),
        "columns",
        json!({ "owner": "c.agent_id" }),
    );
    let leaf = |field, test, value: Value| json!({ "field": field, "test": test, "value": value });
    let absent = |field| leaf(field, "present", json!(false));
    assert_eq!(
        answer(&service, &body),
        json!({
            "filter": "when",
            "condition": { "all": [
                { "any": [
                    leaf("owner", "is", json!("olga")),
                    leaf("department", "is", json!("care")),
                    { "all": [absent("department"), { "any": [
                        leaf("owner", "is", json!("piotr")),
                        leaf("owner.department", "is", json!("care")),
                    ] }] },
                ] },
                { "any": [
                    leaf("project", "is", json!("bank")),
                    { "all": [absent("project"), leaf("queue", "is", json!("in"))] },
                ] },
            ] },
            "sql": {
                "where": "(((`c`.`agent_id` IS NOT NULL AND `c`.`agent_id` = ?) OR \
                    (`department` IS NOT NULL AND `department` = ?) OR \
                    (`department` IS NULL AND ((`c`.`agent_id` IS NOT NULL AND `c`.`agent_id` = ?) OR \
                    (`owner.department` IS NOT NULL AND `owner.department` = ?)))) AND \
                    ((`project` IS NOT NULL AND `project` = ?) OR \
                    (`project` IS NULL AND (`queue` IS NOT NULL AND `queue` = ?))))",
                "params": ["olga", "care", "piotr", "care", "bank", "in"],
            },
        })
    );
}

#[test]
fn all_or_no_rows_need_no_condition() {
    let service = desk();
    let create = answer(&service, &question("deal", "create"));
    assert_eq!(
        create,
        json!({ "filter": "always", "sql": { "where": "1 = 1", "params": [] } })
    );
    let never = json!({ "filter": "never", "sql": { "where": "1 = 0", "params": [] } });
    for (member, of) in [
        ("subject", "nobody"),
        ("subject", "ewa"),
        ("action", "listen"),
        ("resource", "ghost"),
    ] {
        let mut body = question("call", "view");
        let name = match member {
            "subject" => "id",
            "action" => "name",
            _ => "type",
        };
        body[member][name] = json!(of);
        assert_eq!(answer(&service, &body), never, "{of}");
    }
    let section = json!({ "callgate": { "section": true } });
    let section = answer(
        &service,
        &with(question("call", "view"), "context", section),
    );
    assert_eq!(section["filter"], "always");
}

#[test]
fn registered_objects_that_are_decided_otherwise_are_told_by_id() {
    let service = desk();
    // An unregistered queue is no queue.
    let queues = answer(&service, &question("queue", "view"));
    assert_eq!(queues["filter"], "never");
    assert_eq!(queues["objects"], json!({ "allow": ["in"], "deny": [] }));
    // Rows made of the registered deals say the same as their checks.
    let deals = answer(&service, &question("deal", "view"));
    assert_eq!(
        deals["condition"],
        json!({ "field": "owner", "test": "is", "value": "olga" })
    );
    assert_eq!(deals.get("objects"), None);
}

#[test]
fn links_are_told_and_not_followed() {
    let service = desk();
    let chats = answer(&service, &question("chat", "view"));
    assert_eq!(chats["links"], true);
    assert_eq!(chats["condition"]["field"], "owner");
    assert_eq!(
        answer(&service, &question("deal", "view")).get("links"),
        None
    );
}

#[test]
fn what_sql_cannot_say_is_named_and_the_condition_stays() {
    let service = desk();
    let net = json!({ "net": ["10.0.0.0/8", "::ffff:10.0.0.0/104"] });
    let taps = answer(&service, &with(question("call", "tap"), "context", net));
    let parts = taps["condition"]["all"].as_array().unwrap();
    let leaf = json!({ "field": "properties.ip", "test": "in_network", "value": ["10.0.0.0/8"] });
    assert!(parts.contains(&leaf), "{taps}");
    assert_eq!(taps.get("sql"), None);
    let why = taps["no_sql"].as_str().unwrap();
    assert!(
        why.contains("`in_network`") && why.contains("`properties.ip`"),
        "{why}"
    );
}

#[test]
fn a_dialect_may_be_named() {
    let service = desk();
    let body = with(question("call", "rate"), "dialect", json!("postgresql"));
    let rates = answer(&service, &body);
    let sql = rates["sql"]["where"].as_str().unwrap();
    assert!(
        sql.contains("\"properties.score\" >= CAST($2 AS bigint)"),
        "{sql}"
    );
    assert!(
        sql.contains("\"properties.done\" = CAST($1 AS boolean)"),
        "{sql}"
    );
    assert_eq!(rates["sql"]["params"], json!([true, 4, "bank", "in"]));
}

#[test]
fn what_is_no_question_is_refused() {
    let service = desk();
    let with_columns = |columns: Value| with(question("call", "view"), "columns", columns);
    for (body, code) in [
        (json!([]), "wrong_type"),
        (json!({}), "missing_member"),
        (
            with(question("call", "view"), "resource", json!({})),
            "missing_member",
        ),
        (with_columns(json!("owner")), "wrong_type"),
        (with_columns(json!({ "owner": 7 })), "wrong_type"),
        (with_columns(json!({ "owner": "" })), "invalid_column"),
        (
            with_columns(json!({ "owner": "a.b.c.d" })),
            "invalid_column",
        ),
        (
            with_columns(json!({ "owner": "id; DROP TABLE calls" })),
            "invalid_column",
        ),
        (with_columns(json!({ "nothing": "a\"b" })), "invalid_column"),
        (with_columns(json!({ "ownr": "agent_id" })), "unknown_field"),
        (with_columns(json!({ "properties": "x" })), "unknown_field"),
        (
            with(question("call", "view"), "dialect", json!("mysql")),
            "unknown_dialect",
        ),
        (
            with(question("call", "view"), "dialect", json!(1)),
            "wrong_type",
        ),
    ] {
        let answer = service.post(FILTER, &body.to_string());
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{body}"
        );
    }
    let nobody = service.ask(post(
        "nobody",
        FILTER,
        &question("call", "view").to_string(),
    ));
    assert_eq!(
        (nobody.status, nobody.code().as_str()),
        (404, "unknown_company")
    );
    let later = json!({ "callgate": { "min_generation": 1 } });
    let later = with(question("call", "view"), "context", later).to_string();
    assert_eq!(
        service.post(FILTER, &later).code(),
        "generation_not_reached"
    );
}

#[test]
fn what_no_filter_says_is_422() {
    let service = desk();
    let ip = json!({ "ip": "10.0.0.1" });
    let trace = with(question("chat", "trace"), "context", ip).to_string();
    let answer = service.post(FILTER, &trace);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (422, "filter_unsayable")
    );
    // More queues than are told by id.
    let queues: Vec<Value> = (0..1_001)
        .map(|n| json!({ "type": "queue", "id": format!("q{n}"), "operators": { "users": ["olga"] } }))
        .collect();
    for (many, expected) in [(1_000, 200), (1_001, 422)] {
        let objects = json!({ "objects": queues[..many] }).to_string();
        let files = FILES.map(|(path, text)| {
            let text = if path.ends_with("objects.yaml") {
                &objects
            } else {
                text
            };
            let text = if path.ends_with("projects.yaml") {
                "projects: []"
            } else {
                text
            };
            (path.to_owned(), text.as_bytes().to_vec())
        });
        service.publish_files("acme", &Files::new(files.to_vec()));
        let answer = service.post(FILTER, &question("queue", "view").to_string());
        assert_eq!(answer.status, expected, "{answer:?}");
        if expected == 422 {
            assert_eq!(answer.code(), "filter_too_large");
        }
    }
}

#[test]
fn filters_are_answered_by_the_pool() {
    let start = Start {
        pool_threads: 0,
        ..Start::new()
    };
    let service = start.serve();
    let answer = service.post(FILTER, &question("call", "view").to_string());
    assert_eq!((answer.status, answer.code().as_str()), (503, "pool_full"));
    let counted = r#"callgate_requests_total{api="filter",code="503"}"#;
    assert_eq!(service.metric(counted), 1);
}

// === the command line ===

fn callgate(more: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in FILES {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut callgate = Command::new(env!("CARGO_BIN_EXE_callgate"));
    callgate.arg("filter").arg(folder.path()).args(more);
    let output = callgate.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn the_command_tells_the_same_as_the_service() {
    let question_of = ["--subject", "sip:1", "--action", "view", "--type", "call"];
    let json_of = [
        &question_of[..],
        &["--format", "json", "--column", "owner=agent_id"],
    ]
    .concat();
    let (code, out, err) = callgate(&json_of);
    assert_eq!(code, 0, "{err}");
    let mut told: Value = serde_json::from_str(&out).unwrap();
    let told = told.as_object_mut().unwrap();
    assert_eq!(told.remove("company"), Some(json!("acme")));
    assert!(told.remove("revision").is_some());
    let columns = json!({ "owner": "agent_id" });
    let answered = answer(&desk(), &with(question("call", "view"), "columns", columns));
    assert_eq!(Value::Object(told.clone()), answered);
}

#[test]
fn the_command_tells_people_line_by_line() {
    let (code, out, _) = callgate(&["--subject", "olga", "--action", "rate", "--type", "call"]);
    assert_eq!(code, 0);
    let expected = "\
when
  all of
    properties.done is true
    properties.score at_least 4
    any of
      project is \"bank\"
      all of
        project is absent
        queue is \"in\"
sql: ";
    assert!(out.starts_with(expected), "{out}");
    let (_, out, _) = callgate(&["--subject", "olga", "--action", "view", "--type", "queue"]);
    assert!(
        out.starts_with("never\nthese registered objects may be listed all the same: in\n"),
        "{out}"
    );
}

#[test]
fn the_command_refuses_what_means_nothing() {
    for (more, why) in [
        (
            ["--subject", "nobody", "--action", "view", "--type", "call"],
            "no user `nobody`",
        ),
        (
            ["--subject", "olga", "--action", "viwe", "--type", "call"],
            "`viwe`",
        ),
        (
            ["--subject", "olga", "--action", "view", "--type", "cal"],
            "no resource type `cal`",
        ),
    ] {
        let (code, _, err) = callgate(&more);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(why), "{err}");
    }
    let question_of = ["--subject", "olga", "--action", "view", "--type", "call"];
    for column in ["owner", "owner=a b", "owner="] {
        let (code, ..) = callgate(&[&question_of[..], &["--column", column]].concat());
        assert_eq!(code, 2, "{column}");
    }
}
