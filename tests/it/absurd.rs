//! Valid JSON that no one in their senses sends, to every interface that reads JSON: it gets an
//! answer or a refusal that names the fault, never trouble, and no memory stays with it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::{Tree, users};
use crate::process::Process;
use crate::service::{CHECK, Client, check, post};

const INTERFACES: [&str; 7] = [
    "/access/v1/evaluation",
    "/access/v1/evaluations",
    "/access/v1/search/subject",
    "/access/v1/search/resource",
    "/access/v1/search/action",
    "/v1/explain",
    "/v1/filter",
];

/// Bodies by what is absurd about them, each with members in the place of `HERE`.
fn bodies() -> Vec<(&'static str, String)> {
    let many = |count: usize, member: &dyn Fn(usize) -> String| {
        let members: Vec<String> = (0..count).map(member).collect();
        members.join(",")
    };
    let properties = |members: String| {
        CHECK.replace(
            r#""id":"c1""#,
            &format!(r#""id":"c1","properties":{{{members}}}"#),
        )
    };
    let context = |members: String| {
        let mut body = CHECK.trim_end_matches('}').to_owned() + "}}";
        body.truncate(CHECK.len() - 1);
        write!(body, r#","context":{{{members}}}}}"#).unwrap();
        body
    };
    let deep = |depth: usize| format!(r#""a":{}1{}"#, "[".repeat(depth), "]".repeat(depth));
    let deep_objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let long = "x".repeat((1 << 20) - 400);
    let over = "x".repeat(1 << 20);
    vec![
        ("lists in lists", properties(deep(10_000))),
        ("lists in lists that never end", "[".repeat(100_000)),
        ("objects in objects", deep_objects(10_000)),
        ("as deep as may be", context(deep(60))),
        (
            "as many members as fit",
            properties(many(60_000, &|n| format!(r#""a{n}":1"#))),
        ),
        (
            "a million members",
            context(many(1_000_000, &|n| format!(r#""a{n}":1"#))),
        ),
        (
            "a million items",
            properties(format!(r#""a":[{}]"#, many(1_000_000, &|_| "1".to_owned()))),
        ),
        (
            "as many items as fit",
            properties(format!(r#""a":[{}]"#, many(400_000, &|_| "1".to_owned()))),
        ),
        (
            "the same member again and again",
            context(many(50_000, &|_| r#""a":1"#.to_owned())),
        ),
        (
            "the subject twice",
            CHECK.replacen('{', r#"{"subject":{},"#, 1),
        ),
        ("half a character", CHECK.replace("olga", r"\ud800")),
        (
            "the other half of one",
            properties(r#""a":"\udc00""#.to_owned()),
        ),
        (
            "half a character as a name",
            context(r#""\ud800x":1"#.to_owned()),
        ),
        (
            "numbers beyond doubles",
            properties(r#""a":1e999"#.to_owned()),
        ),
        (
            "a number of a hundred thousand digits",
            context(format!(r#""a":{}"#, "9".repeat(100_000))),
        ),
        (
            "a number too small",
            properties(r#""a":1e-99999"#.to_owned()),
        ),
        ("an id of a mebibyte", CHECK.replace("olga", &long)),
        ("a type of a mebibyte", CHECK.replace("call", &long)),
        ("an action of a mebibyte", CHECK.replace("listen", &long)),
        (
            "a property of a mebibyte",
            properties(format!(r#""a":"{long}""#)),
        ),
        ("a name of a mebibyte", context(format!(r#""{long}":1"#))),
        ("an id of more than a mebibyte", CHECK.replace("c1", &over)),
        (
            "escapes alone",
            CHECK.replace("c1", &r"\u0041".repeat(100_000)),
        ),
        ("a null character", CHECK.replace("olga", r"ol\u0000ga")),
        (
            "spaces",
            format!("{}{CHECK}{}", " ".repeat(400_000), "\n".repeat(400_000)),
        ),
        (
            "a hundred thousand evaluations",
            format!(
                r#"{},"evaluations":[{}]}}"#,
                CHECK.trim_end_matches('}').to_owned() + "}",
                many(100_000, &|_| "{}".to_owned())
            ),
        ),
        (
            "a page of a number beyond all numbers",
            CHECK.replacen('{', r#"{"page":{"limit":1e300,"token":"x"},"#, 1),
        ),
        (
            "a token of a mebibyte",
            CHECK.replacen('{', &format!(r#"{{"page":{{"token":"{long}"}},"#), 1),
        ),
    ]
}

#[test]
fn absurd_json_gets_an_answer_or_400_or_413_and_the_service_goes_on() {
    let (_tree, process) = process();
    for (what, body) in bodies() {
        for path in INTERFACES {
            let mut client = Client::connect(process.address());
            let answer = client.ask(post("acme", path, &body));
            assert!(
                matches!(answer.status, 200 | 400 | 413),
                "{what} to {path}: {} {}",
                answer.status,
                answer.body
            );
            let told: Value = serde_json::from_str(&answer.body)
                .unwrap_or_else(|error| panic!("{what} to {path}: {error}"));
            if answer.status != 200 {
                let message = told["error"]["message"].as_str().unwrap_or_default();
                assert!(!message.is_empty(), "{what} to {path}: {}", answer.body);
            }
            // An absurd text is not thrown back whole.
            let limit = if answer.status == 200 { 4 << 20 } else { 4_096 };
            assert!(
                answer.body.len() <= limit,
                "{what} to {path}: {} bytes",
                answer.body.len()
            );
            if answer.header("connection") == "close" {
                client = Client::connect(process.address());
            }
            let next = client.ask(check("acme", CHECK));
            assert_eq!(next.body, r#"{"decision":true}"#, "after {what} to {path}");
        }
    }
}

#[test]
fn absurd_json_leaves_no_memory_behind() {
    let (_tree, process) = process();
    let bodies = bodies();
    let round = || {
        for (_, body) in &bodies {
            for path in INTERFACES {
                let _ = Client::connect(process.address()).ask(post("acme", path, body));
            }
        }
    };
    // What the allocator keeps for the next request of the kind is kept once.
    round();
    round();
    let before = process.resident_bytes();
    for _ in 0..4 {
        round();
    }
    // A few of the largest bodies may lie in what the allocator keeps of a thread that is idle now,
    // for a while.
    let limit = before + (16 << 20);
    let deadline = Instant::now() + Duration::from_secs(10);
    while process.resident_bytes() >= limit && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    let after = process.resident_bytes();
    let bodies: usize = bodies.iter().map(|(_, body)| body.len()).sum();
    assert!(
        after < limit,
        "{before} bytes before, {after} after 4 times {} bytes of requests",
        bodies * INTERFACES.len()
    );
}

/// A service with one company in which olga may listen.
fn process() -> (Tree, Process) {
    let tree = Tree::new();
    tree.write("companies/acme/users.csv", &users("listener"));
    let mut process = Process::start(&tree);
    assert_eq!(process.line(), "ready: acme");
    (tree, process)
}
