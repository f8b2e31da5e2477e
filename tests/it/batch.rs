use fastrand::Rng;
use serde_json::{Value, json};

use crate::generate::{Company, Shape, question};
use crate::service::{Answer, CHECK, Service, Start, post};

const EVALUATIONS: &str = "/access/v1/evaluations";

fn ask(service: &Service, body: &Value) -> Answer {
    service.post(EVALUATIONS, &body.to_string())
}

/// The decisions of a batch, and nothing else.
fn decisions(service: &Service, body: &Value) -> Vec<bool> {
    let answer = ask(service, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let decisions = answer.json();
    let items = decisions["evaluations"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["decision"].as_bool().unwrap())
        .collect()
}

fn user(id: &str) -> Value {
    json!({ "subject": { "type": "user", "id": id } })
}

/// A batch that asks of each of these users whether they may listen; olga may.
fn batch(users: &[&str]) -> Value {
    json!({
        "action": { "name": "listen" },
        "resource": { "type": "call", "id": "c1" },
        "evaluations": users.iter().map(|id| user(id)).collect::<Vec<_>>(),
    })
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

#[test]
fn decisions_stand_in_the_order_of_their_items_and_alone() {
    let service = Start::new().serve();
    let answer = ask(&service, &batch(&["piotr", "olga", "nobody"]));
    assert_eq!(
        answer.body,
        r#"{"evaluations":[{"decision":false},{"decision":true},{"decision":false}]}"#
    );
    assert_eq!(answer.header("content-type"), "application/json");
    let revision = service.companies.load("acme").unwrap();
    assert_eq!(answer.header("callgate-revision"), revision.revision());
}

#[test]
fn without_items_it_is_the_single_interface() {
    let service = Start::new().serve();
    let check: Value = serde_json::from_str(CHECK).unwrap();
    let broken = with(check.clone(), "subject", json!(7));
    for body in [check, broken, json!({}), json!([]), Value::Null] {
        let single = service.check(&body.to_string());
        let mut bodies = vec![body.clone()];
        if body.is_object() {
            bodies.push(with(body.clone(), "evaluations", json!([])));
            bodies.push(with(body.clone(), "evaluations", Value::Null));
            // Nobody asks for the options of what is no batch.
            bodies.push(with(bodies[1].clone(), "options", json!([])));
        }
        for body in bodies {
            let answer = ask(&service, &body);
            assert_eq!(
                (answer.status, &answer.body),
                (single.status, &single.body),
                "{body}"
            );
        }
    }
    assert_eq!(service.post(EVALUATIONS, "").code(), "empty_body");
    assert_eq!(service.post(EVALUATIONS, "{").code(), "invalid_json");
}

#[test]
fn a_default_is_replaced_as_a_whole() {
    let service = Start::new().serve();
    let body = with(
        batch(&["olga"]),
        "subject",
        json!({ "type": "user", "id": "olga" }),
    );
    let items = json!([
        {},
        { "subject": { "type": "user", "id": "piotr" } },
        // The type does not come from the default.
        { "subject": { "id": "olga" } },
        { "subject": null },
    ]);
    let answer = ask(&service, &with(body, "evaluations", items)).json();
    assert_eq!(answer["evaluations"][0], json!({ "decision": true }));
    assert_eq!(answer["evaluations"][1], json!({ "decision": false }));
    let error = &answer["evaluations"][2]["context"]["error"];
    assert_eq!(error["status"], json!(400));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("`subject.type`")
    );
    assert_eq!(answer["evaluations"][3], json!({ "decision": true }));
}

#[test]
fn a_default_that_is_half_there_hurts_nobody_who_does_not_take_it() {
    let service = Start::new().serve();
    let body = with(batch(&[]), "resource", json!({}));
    let item = with(
        user("olga"),
        "resource",
        json!({ "type": "call", "id": "c1" }),
    );
    let body = with(body, "evaluations", json!([item, user("olga")]));
    assert_eq!(decisions(&service, &body), [true, false]);
}

#[test]
fn the_semantics_stop_at_the_first_and_tell_it() {
    let service = Start::new().serve();
    let users = ["olga", "piotr", "olga", "nobody"];
    for (semantic, users, expected) in [
        ("execute_all", &users[..], &[true, false, true, false][..]),
        ("deny_on_first_deny", &users, &[true, false]),
        ("permit_on_first_permit", &users, &[true]),
        ("permit_on_first_permit", &users[1..], &[false, true]),
        ("deny_on_first_deny", &["olga", "olga"], &[true, true]),
        ("permit_on_first_permit", &["ewa", "piotr"], &[false, false]),
    ] {
        let options = json!({ "evaluations_semantic": semantic, "of the future": 1 });
        let body = with(batch(users), "options", options);
        assert_eq!(decisions(&service, &body), expected, "{semantic} {users:?}");
    }
    // An item's error is its deny.
    let options = json!({ "evaluations_semantic": "deny_on_first_deny" });
    let mut body = with(batch(&["olga", "x", "olga"]), "options", options);
    body["evaluations"][1] = json!({ "subject": 7 });
    assert_eq!(decisions(&service, &body), [true, false]);
    let options = json!({ "evaluations_semantic": null });
    let body = with(batch(&users), "options", options);
    assert_eq!(decisions(&service, &body).len(), 4);
}

#[test]
fn an_item_that_is_wrong_is_that_items_deny() {
    let service = Start::new().serve();
    for (item, status, says) in [
        (json!({ "subject": 7 }), 400, "`subject` must be an object"),
        (json!({}), 400, "`subject` is missing"),
        (
            json!({ "subject": { "type": "user", "id": "" } }),
            400,
            "`subject.id` is empty",
        ),
        (with(user("olga"), "context", json!([])), 400, "`context`"),
        (
            with(
                user("olga"),
                "context",
                json!({ "callgate": { "sektion": true } }),
            ),
            400,
            "`context.callgate.sektion`",
        ),
        (
            with(
                user("olga"),
                "context",
                json!({ "callgate": { "min_generation": 9 } }),
            ),
            503,
            "min_generation",
        ),
    ] {
        let body = with(batch(&["olga"]), "evaluations", json!([item, user("olga")]));
        let answer = ask(&service, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["evaluations"][0]["decision"], json!(false));
        let error = &answer["evaluations"][0]["context"]["error"];
        assert_eq!(error["status"], json!(status), "{answer}");
        assert!(
            error["message"].as_str().unwrap().contains(says),
            "{answer}"
        );
        assert_eq!(answer["evaluations"][1], json!({ "decision": true }));
    }
}

#[test]
fn a_batch_that_is_wrong_is_400() {
    let service = Start::new().serve();
    let good = batch(&["olga", "piotr"]);
    let set = |member: &str, value: Value| with(good.clone(), member, value);
    for (body, code, says) in [
        (
            set("evaluations", json!({})),
            "wrong_type",
            "`evaluations` must be an array",
        ),
        (
            set("evaluations", json!("x")),
            "wrong_type",
            "`evaluations`",
        ),
        (
            set("evaluations", json!([{}, 7])),
            "wrong_type",
            "`evaluations[1]`",
        ),
        (
            set("evaluations", json!([null])),
            "wrong_type",
            "`evaluations[0]`",
        ),
        (set("options", json!([])), "wrong_type", "`options`"),
        (
            set("options", json!({ "evaluations_semantic": 1 })),
            "wrong_type",
            "`options.evaluations_semantic`",
        ),
        (
            set("options", json!({ "evaluations_semantic": "any" })),
            "unknown_semantic",
            "permit_on_first_permit",
        ),
        (set("action", json!("listen")), "wrong_type", "`action`"),
        (set("subject", json!([])), "wrong_type", "`subject`"),
        (set("resource", json!(1)), "wrong_type", "`resource`"),
        (set("context", json!("x")), "wrong_type", "`context`"),
    ] {
        let answer = ask(&service, &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{body}"
        );
        assert!(answer.body.contains(says), "{answer:?}");
    }
}

#[test]
fn as_many_items_as_are_allowed_and_not_one_more() {
    let service = Start::new().serve();
    let of = |count: usize| batch(&vec!["olga"; count]);
    for count in [1, 300, 1_000] {
        assert_eq!(decisions(&service, &of(count)), vec![true; count]);
    }
    for count in [1_001, 20_000] {
        let answer = ask(&service, &of(count));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "too_many_items")
        );
        assert!(answer.body.contains(&count.to_string()), "{}", answer.body);
        assert!(answer.body.contains("1000"), "{}", answer.body);
    }
    let service = Start::limits(|limits| limits.batch_items_max = 3).serve();
    assert_eq!(decisions(&service, &of(3)).len(), 3);
    assert_eq!(ask(&service, &of(4)).code(), "too_many_items");
}

#[test]
fn items_explain_themselves_where_that_is_asked_for() {
    let service = Start::new().serve();
    let explain = json!({ "callgate": { "explain": true } });
    let all = with(batch(&["olga", "nobody"]), "context", explain.clone());
    let answer = ask(&service, &all).json();
    assert_eq!(
        answer["evaluations"][0]["context"]["reason"],
        json!("granted")
    );
    assert_eq!(
        answer["evaluations"][1]["context"]["reason"],
        json!("unknown_subject")
    );
    let mut one = batch(&["olga", "nobody"]);
    one["evaluations"][1]["context"] = explain;
    let answer = ask(&service, &one).json();
    assert_eq!(answer["evaluations"][0], json!({ "decision": true }));
    assert!(
        answer["evaluations"][1]["context"]["steps"].is_array(),
        "{answer}"
    );
}

#[test]
fn every_decision_of_a_batch_counts() {
    let service = Start::new().serve();
    let mut body = batch(&["olga", "olga", "nobody"]);
    let items = body["evaluations"].as_array_mut().unwrap();
    items.push(json!({ "subject": 1 }));
    ask(&service, &body);
    ask(&service, &batch(&vec!["olga"; 100]));
    let count = |labels: &str| service.metric(&format!("callgate_decisions_total{labels}"));
    let allowed = r#"{api="evaluations",decision="allow",reason="granted"}"#;
    assert_eq!(count(allowed), 102);
    let denied = r#"{api="evaluations",decision="deny",reason="unknown_subject"}"#;
    assert_eq!(count(denied), 1);
    let requests = r#"callgate_requests_total{api="evaluations",code="200"}"#;
    assert_eq!(service.metric(requests), 2);
}

#[test]
fn small_batches_need_no_pool_and_large_ones_do() {
    let start = Start {
        pool_threads: 0,
        ..Start::new()
    };
    let service = start.serve();
    assert_eq!(decisions(&service, &batch(&["olga"; 1_000])), [true; 1_000]);
    let long = "olga".repeat(20);
    let answer = ask(&service, &batch(&[&*long; 1_000]));
    assert_eq!((answer.status, answer.code().as_str()), (503, "pool_full"));
    let explain = json!({ "callgate": { "explain": true } });
    let explained = with(batch(&["olga"]), "context", explain);
    assert_eq!(ask(&service, &explained).code(), "pool_full");
    let padded = with(batch(&["olga"]), "foo", json!("x".repeat(100_000)));
    assert_eq!(ask(&service, &padded).code(), "pool_full");
}

#[test]
fn one_snapshot_answers_a_whole_batch() {
    let service = Start::new().serve();
    let mut client = service.connect();
    let request = post(
        "acme",
        EVALUATIONS,
        &batch(&vec!["olga"; 1_000]).to_string(),
    );
    let asking = std::thread::spawn(move || {
        let answers = (0..60).map(|_| client.ask(&request).json());
        let mut seen = [false; 2];
        for answer in answers {
            let decisions = answer["evaluations"].as_array().unwrap();
            assert!(decisions.iter().all(|decision| *decision == decisions[0]));
            seen[usize::from(decisions[0]["decision"] == json!(true))] = true;
        }
        seen
    });
    let mut allowed = false;
    while !asking.is_finished() {
        service.publish("acme", allowed);
        allowed = !allowed;
    }
    let seen = asking.join().unwrap();
    assert_eq!(seen, [true, true], "both policies were asked");
}

const PARTS: [&str; 4] = ["subject", "action", "resource", "context"];

/// Takes a part away, or puts something else in its place, now and then.
fn spoil(request: &mut Value, rng: &mut Rng) {
    let part = PARTS[rng.usize(0..4)];
    match rng.u32(0..12) {
        0 => request[part] = Value::Null,
        1 => drop(request.as_object_mut().unwrap().remove(part)),
        2 => request[part] = json!([7]),
        3 => request[part]["id"] = json!(7),
        4 => request[part]["properties"] = json!("x"),
        5 => request["context"]["callgate"] = json!({ "explain": rng.bool() }),
        6 => request["context"]["callgate"] = json!({ "explian": true }),
        _ => {}
    }
}

/// What an item asks, with what it leaves out.
fn effective(defaults: &Value, item: &Value) -> Value {
    let mut request = item.clone();
    for part in PARTS {
        if request.get(part).is_none_or(Value::is_null) {
            request[part] = defaults[part].clone();
        }
    }
    request
}

#[test]
fn an_item_is_answered_as_it_would_be_alone() {
    let service = Start::new().serve_nobody();
    service.readiness.all_tried();
    let mut client = service.connect();
    let mut seen = [0; 4];
    for seed in 0..40 {
        let rng = &mut Rng::with_seed(seed ^ 0xba7c);
        let shape = Shape::wild(rng);
        let company = Company::generate(&shape, seed);
        service.publish_files("demo", &company.files());
        for _ in 0..6 {
            let mut defaults = question::wild(&shape, rng);
            for part in PARTS {
                if rng.u32(0..3) == 0 {
                    defaults.as_object_mut().unwrap().remove(part);
                }
            }
            let count = if rng.u32(0..4) == 0 {
                rng.usize(60..120)
            } else {
                rng.usize(1..12)
            };
            let items: Vec<Value> = (0..count)
                .map(|_| {
                    let mut item = question::wild(&shape, rng);
                    for part in PARTS {
                        if rng.bool() {
                            item.as_object_mut().unwrap().remove(part);
                        }
                    }
                    spoil(&mut item, rng);
                    item
                })
                .collect();
            let semantics = [
                "execute_all",
                "deny_on_first_deny",
                "permit_on_first_permit",
            ];
            let semantic = *rng.choice(&semantics).unwrap();
            let mut expected = Vec::new();
            for item in &items {
                let body = effective(&defaults, item).to_string();
                let single = client.ask(post("demo", "/access/v1/evaluation", &body));
                let outcome = match single.status {
                    200 => single.json(),
                    status => {
                        let message = &single.json()["error"]["message"];
                        let error = json!({ "status": status, "message": message });
                        json!({ "decision": false, "context": { "error": error } })
                    }
                };
                let allowed = outcome["decision"] == json!(true);
                seen[usize::from(allowed)] += 1;
                seen[2] += u32::from(single.status == 400);
                seen[3] += u32::from(outcome["context"].get("steps").is_some());
                expected.push(outcome);
                if (semantic == "deny_on_first_deny" && !allowed)
                    || (semantic == "permit_on_first_permit" && allowed)
                {
                    break;
                }
            }
            let mut body = defaults;
            body["evaluations"] = json!(items);
            body["options"] = json!({ "evaluations_semantic": semantic });
            let answer = client.ask(post("demo", EVALUATIONS, &body.to_string()));
            let expected = json!({ "evaluations": expected });
            assert_eq!(answer.json(), expected, "seed {seed}: {body}");
        }
    }
    assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
}
