use serde_json::json;

use crate::service::{Answer, Service, Start, request};

const PATH: &str = "/.well-known/authzen-configuration";

fn start(public_url: Option<&str>) -> Start {
    Start {
        public_url: public_url.map(str::to_owned),
        ..Start::new()
    }
}

fn get(service: &Service, path: &str) -> Answer {
    service.ask(request(
        "GET",
        path,
        &["X-Forwarded-Host: evil.example"],
        "",
    ))
}

#[test]
fn a_company_has_metadata_of_its_own() {
    let service = start(Some("https://pdp.example.com/")).serve();
    let answer = get(&service, &format!("{PATH}/acme"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let base = "https://pdp.example.com/acme";
    let expected = json!({
        "policy_decision_point": base,
        "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
        "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
        "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
        "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
        "search_action_endpoint": format!("{base}/access/v1/search/action"),
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("cache-control"), "max-age=3600");
    assert_eq!(answer.header("content-type"), "application/json");
    // And what they name is there: 400 is said by nobody else.
    for (member, url) in expected.as_object().unwrap() {
        let path = url
            .as_str()
            .unwrap()
            .strip_prefix("https://pdp.example.com");
        if member != "policy_decision_point" {
            let there = service.ask(request("POST", path.unwrap(), &[], "{}"));
            assert_eq!(there.status, 400, "{member}");
        }
    }
}

#[test]
fn the_host_of_the_request_says_nothing() {
    let service = start(Some("https://pdp.example.com")).serve();
    let honest = get(&service, PATH);
    assert_eq!(
        honest.json()["policy_decision_point"],
        json!("https://pdp.example.com")
    );
    let evil = request("GET", PATH, &[], "").replace("Host: pdp", "Host: evil.example");
    assert_eq!(service.ask(evil).body, honest.body);
}

#[test]
fn a_path_of_the_public_url_stands_before_the_company() {
    let service = start(Some("https://example.com/pdp")).serve();
    let of = |path: &str| get(&service, path);
    let found = of(&format!("{PATH}/pdp/acme")).json();
    assert_eq!(
        found["policy_decision_point"],
        json!("https://example.com/pdp/acme")
    );
    let found = of(&format!("{PATH}/pdp")).json();
    assert_eq!(
        found["policy_decision_point"],
        json!("https://example.com/pdp")
    );
    for path in ["", "/acme", "/pdpacme", "/pdp/", "/pdp/acme/"] {
        assert_eq!(of(&format!("{PATH}{path}")).status, 404, "{path}");
    }
}

#[test]
fn without_a_public_url_there_is_none() {
    let service = start(None).serve();
    for path in [PATH.to_owned(), format!("{PATH}/acme")] {
        let answer = get(&service, &path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "no_public_url")
        );
        assert!(answer.body.contains("--public-url"));
        assert_eq!(answer.header("cache-control"), "");
    }
}

#[test]
fn a_company_that_nobody_knows_has_none() {
    let service = start(Some("https://pdp.example.com")).serve_nobody();
    let starting = get(&service, &format!("{PATH}/acme"));
    assert_eq!(
        (starting.status, starting.header("retry-after")),
        (503, "1")
    );
    service.readiness.all_tried();
    service.publish("acme", true);
    service.publish("other", true);
    for path in ["", "/nobody", "/acme/", "/"] {
        let answer = get(&service, &format!("{PATH}{path}"));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "unknown_company"),
            "{path}"
        );
    }
    assert_eq!(get(&service, &format!("{PATH}/acme")).status, 200);
    // One without a snapshot has its interfaces too.
    service.companies.update_status("third", |_| {});
    assert_eq!(get(&service, &format!("{PATH}/third")).status, 200);
}

#[test]
fn it_is_read_and_not_posted() {
    let service = start(Some("https://pdp.example.com")).serve();
    let mut client = service.connect();
    let answer = client.ask(request("POST", PATH, &[], "{}"));
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    client.send(request("HEAD", PATH, &[], ""));
    client.send(request("GET", PATH, &[], ""));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(client.byte()));
    }
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("max-age"),
        "{head}"
    );
    assert_eq!(client.answer().status, 200);
}
