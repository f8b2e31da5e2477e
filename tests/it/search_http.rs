use fastrand::Rng;
use serde_json::{Value, json};

use crate::fixture;
use crate::generate::{Company, Shape, question};
use crate::service::{Answer, Client, Service, Start, post};

const SUBJECT: &str = "/access/v1/search/subject";
const RESOURCE: &str = "/access/v1/search/resource";
const ACTION: &str = "/access/v1/search/action";

/// Who may view this call? All of the fixture.
fn viewers() -> Value {
    json!({
        "subject": { "type": "user" },
        "action": { "name": "view" },
        "resource": { "type": "call", "id": "c1" },
    })
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

fn page(body: &Value, page: Value) -> String {
    with(body.clone(), "page", page).to_string()
}

fn next_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["page"]["next_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let results = body["results"].as_array().unwrap();
    assert_eq!(body["page"]["count"], json!(results.len()));
    let id = |result: &Value| result.get("id").unwrap_or(&result["name"]).clone();
    results
        .iter()
        .map(|result| id(result).as_str().unwrap().to_owned())
        .collect()
}

fn everybody() -> Vec<String> {
    let mut users = fixture::USERS.map(str::to_owned).to_vec();
    users.sort();
    users
}

#[test]
fn results_are_types_and_ids_or_names_and_nothing_else() {
    let service = Start::new().serve();
    let listeners = with(viewers(), "action", json!({ "name": "listen" }));
    let answer = service.post(SUBJECT, &listeners.to_string());
    assert_eq!(
        answer.body,
        r#"{"page":{"next_token":"","count":1},"results":[{"type":"user","id":"olga"}]}"#
    );
    assert_eq!(answer.header("content-type"), "application/json");
    let revision = service.companies.load("acme").unwrap();
    assert_eq!(answer.header("callgate-revision"), revision.revision());
    let body = json!({
        "subject": { "type": "user", "id": "olga" },
        "resource": { "type": "call", "id": "c1" },
    });
    assert_eq!(
        service.post(ACTION, &body.to_string()).body,
        r#"{"page":{"next_token":"","count":2},"results":[{"name":"listen"},{"name":"view"}]}"#
    );
}

#[test]
fn what_is_sought_is_not_looked_at() {
    let service = Start::new().serve();
    for id in [
        json!("olga"),
        json!("nobody"),
        json!(""),
        json!(7),
        Value::Null,
    ] {
        let body = with(viewers(), "subject", json!({ "type": "user", "id": id }));
        assert_eq!(ids(&service.post(SUBJECT, &body.to_string())), everybody());
    }
    for action in [json!({ "name": "listen" }), json!({}), json!(7)] {
        let mut body = with(viewers(), "action", action);
        body["subject"]["id"] = json!("piotr");
        assert_eq!(ids(&service.post(ACTION, &body.to_string())), ["view"]);
    }
    let mut body = viewers();
    body["subject"]["id"] = json!("olga");
    body["resource"]["id"] = json!([]);
    assert_eq!(service.post(RESOURCE, &body.to_string()).status, 200);
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let service = Start::new().serve();
    let mut found = Vec::new();
    let mut answer = service.post(SUBJECT, &page(&viewers(), json!({ "limit": 3 })));
    loop {
        found.extend(ids(&answer));
        let token = next_token(&answer);
        if token.is_empty() {
            break;
        }
        assert_eq!(ids(&answer).len(), 3);
        // With the limit, or without.
        let next = match found.len() {
            3 => json!({ "token": token, "limit": 3 }),
            _ => json!({ "token": token, "properties": { "a": 1 } }),
        };
        answer = service.post(SUBJECT, &page(&viewers(), next));
    }
    assert_eq!(found, everybody());
}

#[test]
fn the_order_of_members_and_what_nobody_knows_do_not_change_the_question() {
    let service = Start::new().serve();
    let first = r#"{"subject":{"type":"user"},"action":{"name":"view"},"resource":{"type":"call","id":"c1","properties":{"a":1,"b":[true,null]}},"page":{"limit":4}}"#;
    let token = next_token(&service.post(SUBJECT, first));
    let next = format!(
        r#"{{"page":{{"token":"{token}","x":0}},"foo":1,"resource":{{"properties":{{"b":[true,null],"a":1.0}},"id":"c1","type":"call"}},"subject":{{"id":"x","type":"user"}},"action":{{"name":"view","y":{{}}}},"context":{{"callgate":{{"explain":true}}}}}}"#
    );
    assert_eq!(ids(&service.post(SUBJECT, &next)), everybody()[4..8]);
}

#[test]
fn a_token_is_good_for_its_own_question_alone() {
    let service = Start::new().serve();
    service.publish("other", true);
    let body = with(viewers(), "context", json!({ "a": 1 }));
    let token = next_token(&service.post(SUBJECT, &page(&body, json!({ "limit": 2 }))));
    let asked = json!({ "token": token });
    let changed = |path: &str, value: Value| {
        let mut body = body.clone();
        *body.pointer_mut(path).unwrap() = value;
        page(&body, asked.clone())
    };
    let refused = |answer: Answer| {
        let is = (answer.status, answer.code());
        assert_eq!(is, (400, "invalid_page_token".to_owned()), "{answer:?}");
    };
    refused(service.post(SUBJECT, &changed("/subject/type", json!("person"))));
    refused(service.post(SUBJECT, &changed("/action/name", json!("listen"))));
    refused(service.post(SUBJECT, &changed("/resource/type", json!("queue"))));
    refused(service.post(SUBJECT, &changed("/resource/id", json!("c2"))));
    refused(service.post(SUBJECT, &changed("/context", json!({ "a": 2 }))));
    refused(service.post(SUBJECT, &changed("/context", json!({}))));
    refused(service.post(
        SUBJECT,
        &changed(
            "/context",
            json!({ "a": 1, "callgate": { "section": true } }),
        ),
    ));
    let mut more = body.clone();
    more["resource"]["properties"] = json!({ "a": 1 });
    refused(service.post(SUBJECT, &page(&more, asked.clone())));
    refused(service.post(SUBJECT, &page(&body, json!({ "token": token, "limit": 3 }))));
    let mut both = body.clone();
    both["subject"]["id"] = json!("olga");
    refused(service.post(RESOURCE, &page(&both, asked.clone())));
    refused(service.ask(post("other", SUBJECT, &page(&body, asked.clone()))));
    // The sought id is no part of the question.
    assert_eq!(service.post(SUBJECT, &page(&both, asked)).status, 200);
}

#[test]
fn a_token_cannot_be_made_up() {
    let service = Start::new().serve();
    let ask = |token: &str| service.post(SUBJECT, &page(&viewers(), json!({ "token": token })));
    let token = next_token(&service.post(SUBJECT, &page(&viewers(), json!({ "limit": 2 }))));
    assert_eq!(ask(&token).status, 200);
    let mut last = token.clone();
    let digit = if last.pop() == Some('0') { '1' } else { '0' };
    last.push(digit);
    for made_up in [
        last.as_str(),
        "x",
        "00",
        "ł",
        token.split_at(2).1,
        &format!("{token}00"),
    ] {
        assert_eq!(ask(made_up).code(), "invalid_page_token", "{made_up}");
    }
    // Another process has another key.
    let other = Start::new().serve();
    let answer = other.post(SUBJECT, &page(&viewers(), json!({ "token": token })));
    assert_eq!(answer.code(), "invalid_page_token");
}

#[test]
fn pages_go_on_in_the_snapshot_that_then_decides() {
    let service = Start::new().serve();
    let body = with(viewers(), "action", json!({ "name": "view" }));
    let first = service.post(SUBJECT, &page(&body, json!({ "limit": 5 })));
    let revision = service.publish("acme", false);
    let asked = json!({ "token": next_token(&first) });
    let next = service.post(SUBJECT, &page(&body, asked));
    assert_eq!(next.header("callgate-revision"), revision);
    assert_eq!(ids(&next), everybody()[5..]);
}

#[test]
fn a_limit_of_none_tells_whether_there_is_something() {
    let service = Start::new().serve();
    let none = service.post(SUBJECT, &page(&viewers(), json!({ "limit": 0 })));
    assert!(
        ids(&none).is_empty() && !next_token(&none).is_empty(),
        "{none:?}"
    );
    let nobody = with(viewers(), "action", json!({ "name": "export" }));
    let none = service.post(SUBJECT, &page(&nobody, json!({ "limit": 0 })));
    assert!(
        ids(&none).is_empty() && next_token(&none).is_empty(),
        "{none:?}"
    );
}

/// A service with many users, all of whom may view.
fn crowd(users: usize) -> Service {
    let service = Start::new().serve();
    let mut csv = "user,roles\n".to_owned();
    for user in 0..users {
        csv.push_str(&format!("u{user:04},operator\n"));
    }
    let files = [
        ("packs/desk/catalogue.yaml", fixture::CATALOGUE.to_owned()),
        ("packs/desk/roles.yaml", fixture::ROLES.to_owned()),
        ("companies/acme/company.yaml", fixture::company("acme")),
        ("companies/acme/users.csv", csv),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.into_bytes()));
    service.publish_files("acme", &callgate::policy::Files::new(files));
    service
}

#[test]
fn a_page_has_a_hundred_results_or_as_many_as_asked_up_to_a_thousand() {
    let service = crowd(1_100);
    let of = |limit: Value| ids(&service.post(SUBJECT, &page(&viewers(), limit))).len();
    assert_eq!(
        ids(&service.post(SUBJECT, &viewers().to_string())).len(),
        100
    );
    assert_eq!(of(json!({})), 100);
    assert_eq!(of(json!({ "limit": null })), 100);
    assert_eq!(of(json!({ "limit": 1_000 })), 1_000);
    assert_eq!(of(json!({ "limit": 1_001 })), 1_000);
    let most = json!({ "limit": 9_000_000_000_000_000_u64 });
    let first = service.post(SUBJECT, &page(&viewers(), most.clone()));
    assert_eq!(ids(&first).len(), 1_000);
    // The same limit again is the same, whatever came of it.
    let next = with(most, "token", json!(next_token(&first)));
    assert_eq!(
        ids(&service.post(SUBJECT, &page(&viewers(), next))).len(),
        100
    );
}

#[test]
fn a_search_that_is_wrong_is_400() {
    let service = Start::new().serve();
    let mut whole = viewers();
    whole["subject"]["id"] = json!("olga");
    for (path, member, code, says) in [
        (SUBJECT, "/subject", "missing_member", "`subject`"),
        (SUBJECT, "/subject/type", "missing_member", "`subject.type`"),
        (SUBJECT, "/action", "missing_member", "`action`"),
        (SUBJECT, "/action/name", "missing_member", "`action.name`"),
        (SUBJECT, "/resource", "missing_member", "`resource`"),
        (SUBJECT, "/resource/id", "missing_member", "`resource.id`"),
        (RESOURCE, "/subject/id", "missing_member", "`subject.id`"),
        (RESOURCE, "/action", "missing_member", "`action`"),
        (
            RESOURCE,
            "/resource/type",
            "missing_member",
            "`resource.type`",
        ),
        (ACTION, "/subject/id", "missing_member", "`subject.id`"),
        (ACTION, "/resource/id", "missing_member", "`resource.id`"),
    ] {
        let mut body = whole.clone();
        *body.pointer_mut(member).unwrap() = Value::Null;
        let answer = service.post(path, &body.to_string());
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{path} {member}"
        );
        assert!(answer.body.contains(says), "{answer:?}");
    }
    for (wrong, says) in [
        (json!([]), "`page` must be an object"),
        (json!({ "token": 7 }), "`page.token`"),
        (json!({ "limit": "7" }), "`page.limit`"),
        (json!({ "limit": -1 }), "`page.limit`"),
        (json!({ "limit": 1.5 }), "`page.limit`"),
        (json!({ "limit": true }), "`page.limit`"),
    ] {
        let answer = service.post(SUBJECT, &page(&viewers(), wrong));
        assert_eq!((answer.status, answer.code().as_str()), (400, "wrong_type"));
        assert!(answer.body.contains(says), "{answer:?}");
    }
    for path in [SUBJECT, RESOURCE, ACTION] {
        for (body, code) in [
            ("", "empty_body"),
            ("{", "invalid_json"),
            ("[]", "wrong_type"),
        ] {
            assert_eq!(service.post(path, body).code(), code);
        }
        let nobody = service.ask(post("nobody", path, &whole.to_string()));
        assert_eq!(
            (nobody.status, nobody.code().as_str()),
            (404, "unknown_company")
        );
        let late = json!({ "callgate": { "min_generation": 1 } });
        let late = with(whole.clone(), "context", late).to_string();
        assert_eq!(service.post(path, &late).code(), "generation_not_reached");
    }
}

#[test]
fn searches_have_metrics_of_their_own_and_are_no_decisions() {
    let service = Start::new().serve();
    service.post(SUBJECT, &viewers().to_string());
    service.post(RESOURCE, "{}");
    let requests = |labels: &str| service.metric(&format!("callgate_requests_total{labels}"));
    assert_eq!(requests(r#"{api="search_subject",code="200"}"#), 1);
    assert_eq!(requests(r#"{api="search_resource",code="400"}"#), 1);
    let text = service.metrics.text(Vec::new()).unwrap();
    assert!(!text.contains(r#"callgate_decisions_total{api="search"#));
}

/// All results, page by page.
fn all(client: &mut Client, path: &str, body: &Value, limit: usize) -> Vec<String> {
    let (mut found, mut asked) = (Vec::new(), json!({ "limit": limit }));
    loop {
        let answer = client.ask(post("demo", path, &page(body, asked)));
        found.extend(ids(&answer));
        match next_token(&answer) {
            end if end.is_empty() => return found,
            token => asked = json!({ "token": token }),
        }
    }
}

#[test]
fn a_search_finds_exactly_those_for_whom_a_check_allows() {
    let service = Start::new().serve_nobody();
    service.readiness.all_tried();
    let mut client = service.connect();
    let mut count = 0;
    for seed in 0..12 {
        let rng = &mut Rng::with_seed(seed ^ 0x5ea4c4);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        service.publish_files("demo", &company.files());
        let policy = callgate::policy::read_company(&company.files(), "demo")
            .unwrap()
            .policy;
        for _ in 0..3 {
            let mut request = question::wild(&shape, rng);
            for member in ["type", "id"] {
                for entity in ["subject", "resource"] {
                    if request[entity][member].as_str().is_none_or(str::is_empty) {
                        request[entity][member] = json!("x");
                    }
                }
            }
            let users: Vec<&str> = policy.users.iter().map(|user| user.id.as_str()).collect();
            let found = all(&mut client, SUBJECT, &request, rng.usize(1..5));
            for user in users {
                request["subject"]["id"] = json!(user);
                let check = post("demo", "/access/v1/evaluation", &request.to_string());
                let answer = client.ask(check).json();
                let allowed = answer["decision"] == json!(true);
                assert_eq!(
                    found.iter().any(|id| id == user),
                    allowed,
                    "seed {seed}: {request}"
                );
            }
            count += found.len();
        }
    }
    assert!(count > 20, "only {count} found in all");
}
