use crate::service::{Answer, CHECK, Client, Service, Start, check, request};

const JSON: &str = "Content-Type: application/json";
const PATH: &str = "/acme/access/v1/evaluation";

/// Asks, and then sees that the connection is in no doubt: the next request on it is answered.
fn refused(client: &mut Client, request: impl AsRef<[u8]>) -> Answer {
    let answer = client.ask(request);
    let next = client.ask(check("acme", CHECK));
    assert_eq!(
        (next.status, next.body.as_str()),
        (200, r#"{"decision":true}"#),
        "after {answer:?}"
    );
    answer
}

fn service() -> (Service, Client) {
    let service = Start::new().serve();
    let client = service.connect();
    (service, client)
}

#[test]
fn a_body_that_is_no_check_is_400_and_says_which_member() {
    let (_service, mut client) = service();
    let replaced = |from: &str, to: &str| CHECK.replace(from, to);
    let with = |members: &str| CHECK.replacen('{', &format!("{{{members},"), 1);
    let deep = "[".repeat(64) + &"]".repeat(64);
    let cases = [
        ("{}".to_owned(), "missing_member", "`subject`"),
        (
            replaced(r#""subject""#, r#""object""#),
            "missing_member",
            "`subject`",
        ),
        (
            replaced(r#""type":"user","#, ""),
            "missing_member",
            "`subject.type`",
        ),
        (
            replaced(r#","id":"olga""#, ""),
            "missing_member",
            "`subject.id`",
        ),
        (
            replaced(r#"{"name":"listen"}"#, "{}"),
            "missing_member",
            "`action.name`",
        ),
        (
            replaced(r#","id":"c1""#, ""),
            "missing_member",
            "`resource.id`",
        ),
        (
            replaced(r#""call""#, "null"),
            "missing_member",
            "`resource.type`",
        ),
        (
            replaced(r#""olga""#, r#""""#),
            "empty_member",
            "`subject.id`",
        ),
        (
            replaced(r#""listen""#, r#""""#),
            "empty_member",
            "`action.name`",
        ),
        (replaced(r#""olga""#, "7"), "wrong_type", "`subject.id`"),
        (replaced(r#""c1""#, "[]"), "wrong_type", "`resource.id`"),
        (
            replaced(r#"{"name":"listen"}"#, r#""listen""#),
            "wrong_type",
            "`action`",
        ),
        (with(r#""context":[]"#), "wrong_type", "`context`"),
        (
            with(r#""context":{"callgate":1}"#),
            "wrong_type",
            "`context.callgate`",
        ),
        (
            with(r#""context":{"callgate":{"explain":"yes"}}"#),
            "wrong_type",
            "`context.callgate.explain`",
        ),
        (
            with(r#""context":{"callgate":{"sektion":true}}"#),
            "unknown_member",
            "`context.callgate.sektion`",
        ),
        ("[]".to_owned(), "wrong_type", "the body must be an object"),
        (
            "null".to_owned(),
            "wrong_type",
            "the body must be an object",
        ),
        (String::new(), "empty_body", "empty"),
        ("hello".to_owned(), "invalid_json", "line 1"),
        (format!("{CHECK}x"), "invalid_json", "trailing"),
        (replaced("}}", ""), "invalid_json", "EOF"),
        (with(r#""a":1,"a":2"#), "invalid_json", "`a` stands twice"),
        (
            with(r#""subject":{}"#),
            "invalid_json",
            "`subject` stands twice",
        ),
        (with(r#""a":"\ud800""#), "invalid_json", "hex escape"),
        (with(r#""a":1e400"#), "invalid_json", "out of range"),
        (
            with(&format!(r#""a":{deep}"#)),
            "invalid_json",
            "more than 64",
        ),
        (
            with(&format!(r#""a":{}"#, "[".repeat(500_000))),
            "invalid_json",
            "more than 64",
        ),
    ];
    for (body, code, says) in cases {
        let answer = refused(&mut client, check("acme", &body));
        let shown: String = body.chars().take(200).collect();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{shown}"
        );
        assert!(answer.body.contains(says), "{shown}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[test]
fn bytes_that_are_no_text_are_400() {
    let (_service, mut client) = service();
    let mut body = check("acme", CHECK).into_bytes();
    let at = body.len() - 4;
    body[at] = 0xff;
    let answer = refused(&mut client, body);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "invalid_json")
    );
}

#[test]
fn a_body_that_is_not_said_to_be_json_is_400() {
    let (_service, mut client) = service();
    for headers in [
        &[][..],
        &["Content-Type: text/plain"],
        &["Content-Type: application/xml"],
        &[JSON, JSON],
    ] {
        let answer = refused(&mut client, request("POST", PATH, headers, CHECK));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "wrong_content_type")
        );
    }
    for headers in [
        ["Content-Type: application/json; charset=utf-8"],
        ["content-type: APPLICATION/JSON"],
    ] {
        let answer = client.ask(request("POST", PATH, &headers, CHECK));
        assert_eq!(answer.status, 200, "{headers:?}");
    }
}

#[test]
fn members_nobody_knows_are_passed_over() {
    let (_service, mut client) = service();
    let body = CHECK
        .replace(r#""id":"olga""#, r#""id":"olga","nickname":["o"]"#)
        .replacen('{', r#"{"options":{"x":1},"context":{"zone":null},"#, 1);
    assert_eq!(
        client.ask(check("acme", &body)).body,
        r#"{"decision":true}"#
    );
}

#[test]
fn a_body_of_a_mebibyte_is_read_and_one_byte_more_is_413() {
    let (_service, mut client) = service();
    let padded = |length: usize| format!("{CHECK}{}", " ".repeat(length - CHECK.len()));
    let answer = client.ask(check("acme", &padded(1 << 20)));
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = refused(&mut client, check("acme", &padded((1 << 20) + 1)));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "body_too_large")
    );
}

#[test]
fn a_chunked_body_too_large_is_413() {
    let (_service, mut client) = service();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: pdp\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let body = format!("{head}{}0\r\n\r\n", chunk.repeat(17));
    let answer = refused(&mut client, body);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "body_too_large")
    );
}

#[test]
fn a_body_far_too_large_is_413_and_the_connection_closes_without_a_reset() {
    let (_service, mut client) = service();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: pdp\r\n{JSON}\r\nContent-Length: 99999999999\r\n\r\n"
    );
    client.send(head);
    client.send(vec![b' '; 300_000]);
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (413, "close"));
}

#[test]
fn a_body_too_large_is_not_asked_for() {
    let (_service, mut client) = service();
    let headers = [JSON, "Expect: 100-continue"];
    let head =
        request("POST", PATH, &headers, "").replace("Content-Length: 0", "Content-Length: 2000000");
    let answer = client.ask(head);
    assert_eq!((answer.status, answer.header("connection")), (413, "close"));
    assert!(client.is_closed());
}

#[test]
fn a_head_too_large_is_431() {
    let (service, _) = service();
    for size in [60_000, 66_000, 100_000, 500_000] {
        let mut client = service.connect();
        let padding = format!("X-Padding: {}", "x".repeat(size));
        let answer = client.ask(request("POST", PATH, &[JSON, &padding], CHECK));
        let status = if size < 65_536 { 200 } else { 431 };
        assert_eq!(answer.status, status, "{size}");
    }
    let mut client = service.connect();
    let many: Vec<String> = (0..3_000)
        .map(|n| format!("X-{n}: {}", "x".repeat(20)))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(client.ask(request("POST", PATH, &many, CHECK)).status, 431);
}

#[test]
fn paths_and_methods_that_are_not_there_are_404_and_405() {
    let (_service, mut client) = service();
    for path in [
        "/",
        "/acme",
        "/acme/access/v1",
        "/acme/access/v1/evaluation/",
        "/acme//access/v1/evaluation",
    ] {
        let answer = refused(&mut client, request("POST", path, &[JSON], CHECK));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "unknown_path"),
            "{path}"
        );
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let answer = refused(&mut client, request(method, PATH, &[JSON], CHECK));
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "POST"),
            "{method}"
        );
    }
}

#[test]
fn a_company_that_nobody_knows_is_404_whatever_the_body() {
    let (_service, mut client) = service();
    for (company, body) in [
        ("nobody", CHECK),
        ("nobody", "{"),
        ("ACME", CHECK),
        ("ac%6de", CHECK),
    ] {
        let answer = refused(&mut client, check(company, body));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "unknown_company"),
            "{company}"
        );
    }
}

#[test]
fn errors_of_a_known_company_bear_its_revision() {
    let (service, mut client) = service();
    let revision = service
        .companies
        .load("acme")
        .unwrap()
        .revision()
        .to_owned();
    assert_eq!(
        client.ask(check("acme", "{}")).header("callgate-revision"),
        revision
    );
}

#[test]
fn a_framing_that_is_wrong_is_400_and_ends_the_connection() {
    let (service, _) = service();
    for head in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: x",
        "Transfer-Encoding: gzip",
    ] {
        let mut client = service.connect();
        let answer = client.ask(format!(
            "POST {PATH} HTTP/1.1\r\nHost: pdp\r\n{JSON}\r\n{head}\r\n\r\n{CHECK}"
        ));
        assert_eq!(answer.status, 400, "{head}");
        assert!(client.is_closed(), "{head}");
    }
    let mut client = service.connect();
    let chunked = format!(
        "POST {PATH} HTTP/1.1\r\nHost: pdp\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    );
    let answer = client.ask(chunked);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "broken_body")
    );
    assert_eq!(answer.header("connection"), "close");
}

#[test]
fn an_authorization_that_nobody_asked_for_is_passed_over() {
    let (_service, mut client) = service();
    let answer = client.ask(request(
        "POST",
        PATH,
        &[JSON, "Authorization: undefined"],
        CHECK,
    ));
    assert_eq!(answer.status, 200);
}
