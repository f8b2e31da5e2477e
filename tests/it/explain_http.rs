use std::time::Duration;

use serde_json::{Value, json};

use crate::service::{CHECK, Client, Start, check, post};

const EXPLAIN: &str = "/v1/explain";

/// The check with `explain` asked, and so much after it that reading takes a while.
fn heavy() -> String {
    let numbers = "0,".repeat(400_000);
    CHECK.replacen('{', &format!(r#"{{"foo":[{numbers}0],"#), 1)
}

#[test]
fn an_explanation_has_its_decision_with_the_steps() {
    let service = Start::new().serve();
    for (user, decision, reason) in [
        ("olga", true, "granted"),
        ("nobody", false, "unknown_subject"),
    ] {
        let body = CHECK.replace("olga", user);
        let answer = service.post(EXPLAIN, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let explained = answer.json();
        assert_eq!(explained["decision"], json!(decision));
        assert_eq!(explained["context"]["reason"], json!(reason));
        let revision = json!(answer.header("callgate-revision"));
        assert_eq!(explained["context"]["revision"], revision);
        assert!(explained["context"]["steps"].is_array(), "{explained}");
    }
}

#[test]
fn an_explanation_is_the_same_wherever_it_is_asked() {
    let service = Start::new().serve();
    let explained = service.post(EXPLAIN, CHECK);
    let mut body: Value = serde_json::from_str(CHECK).unwrap();
    body["context"] = json!({ "callgate": { "explain": true } });
    assert_eq!(service.check(&body.to_string()).body, explained.body);
    // Saying no to it does not make it a plain decision.
    body["context"] = json!({ "callgate": { "explain": false } });
    assert_eq!(
        service.post(EXPLAIN, &body.to_string()).body,
        explained.body
    );
}

#[test]
fn what_is_no_evaluation_is_not_explained() {
    let service = Start::new().serve();
    for (body, code) in [
        ("", "empty_body"),
        ("[]", "wrong_type"),
        ("{}", "missing_member"),
        (&CHECK.replace("\"olga\"", "7"), "wrong_type"),
    ] {
        let answer = service.post(EXPLAIN, body);
        assert_eq!((answer.status, answer.code().as_str()), (400, code));
    }
    let body = CHECK.replacen('{', r#"{"context":{"callgate":{"min_generation":1}},"#, 1);
    assert_eq!(
        service.post(EXPLAIN, &body).code(),
        "generation_not_reached"
    );
    let nobody = service.ask(post("nobody", EXPLAIN, CHECK));
    assert_eq!(
        (nobody.status, nobody.code().as_str()),
        (404, "unknown_company")
    );
}

#[test]
fn an_explanation_counts_as_the_decision_that_it_is() {
    let service = Start::new().serve();
    service.post(EXPLAIN, CHECK);
    let granted = r#"{api="explain",decision="allow",reason="granted"}"#;
    assert_eq!(
        service.metric(&format!("callgate_decisions_total{granted}")),
        1
    );
    let answered = r#"callgate_requests_total{api="explain",code="200"}"#;
    assert_eq!(service.metric(answered), 1);
}

#[test]
fn more_than_the_pool_has_room_for_is_503_and_checks_go_on() {
    let start = Start::limits(|limits| {
        limits.pool_queue_max = 1;
        // However busy the machine is: it is for want of room that they are refused.
        limits.pool_time = Duration::from_secs(600);
    });
    let service = start.serve();
    let body = heavy();
    let mut clients: Vec<_> = (0..12)
        .map(|_| {
            let mut client = service.connect();
            client.send(post("acme", EXPLAIN, &body));
            client
        })
        .collect();
    assert_eq!(service.ask(check("acme", CHECK)).status, 200);
    let answers: Vec<_> = clients.iter_mut().map(Client::answer).collect();
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 503)
        .collect();
    assert!(!refused.is_empty() && refused.len() < 12, "{answers:?}");
    for answer in &refused {
        assert_eq!(
            (answer.code().as_str(), answer.header("retry-after")),
            ("pool_full", "1")
        );
    }
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 200 | 503))
    );
    let counted = service.metric("callgate_pool_refused_total");
    assert_eq!(counted, refused.len() as u64);
    assert_eq!(service.metric("callgate_pool_queue_length"), 0);
    // And then there is room again.
    assert_eq!(clients[0].ask(post("acme", EXPLAIN, CHECK)).status, 200);
}

#[test]
fn the_end_waits_for_what_the_pool_has_begun() {
    let mut service = Start::new().serve();
    let mut client = service.connect();
    client.send(post("acme", EXPLAIN, &heavy()));
    std::thread::sleep(Duration::from_millis(20));
    service.begin_to_stop();
    assert_eq!(client.answer().status, 200);
    service.join();
}
