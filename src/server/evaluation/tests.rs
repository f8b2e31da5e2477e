//! Bodies that are checks, and bodies that are none.

use super::*;
use crate::model::Value;

const CHECK: &str = r#"{"subject":{"type":"user","id":"olga"},"action":{"name":"listen"},"resource":{"type":"call","id":"c1"}}"#;

/// What reading and checking a body comes to: `Ok`, or the code and message.
fn outcome(body: &str) -> Result<(), (RefusalCode, String)> {
    let read = EvaluationRequest::read(body.as_bytes());
    let checked = read.and_then(|request| request.parts().check(Timestamp(0)).map(drop));
    checked.map_err(|refusal| (refusal.code, refusal.message.into_owned()))
}

/// The check with members put before the others.
fn with(members: &str) -> String {
    CHECK.replacen('{', &format!("{{{members},"), 1)
}

#[test]
fn strings_are_borrowed_from_the_body() {
    let request = EvaluationRequest::read(CHECK.as_bytes()).unwrap();
    let query = *request.parts().check(Timestamp(7)).unwrap().query();
    assert!(
        CHECK
            .as_bytes()
            .as_ptr_range()
            .contains(&query.subject.id.as_ptr())
    );
    assert_eq!((query.subject.kind, query.subject.id), ("user", "olga"));
    assert_eq!((query.resource.kind, query.resource.id), ("call", "c1"));
    assert_eq!((query.action.name, query.now), ("listen", Timestamp(7)));
}

#[test]
fn escapes_are_undone() {
    let body = CHECK
        .replace("olga", r"ol\u0067a")
        .replace("\"id\"", r#""i\u0064""#);
    let request = EvaluationRequest::read(body.as_bytes()).unwrap();
    assert_eq!(
        request
            .parts()
            .check(Timestamp(0))
            .unwrap()
            .query()
            .subject
            .id,
        "olga"
    );
}

#[test]
fn options_are_no_part_of_the_context() {
    let body = with(r#""context":{"ip":"::1","callgate":{"explain":true,"min_generation":3}}"#);
    let request = EvaluationRequest::read(body.as_bytes()).unwrap();
    let check = request.parts().check(Timestamp(0)).unwrap();
    assert!(check.explain);
    assert_eq!(check.min_generation, Some(3));
    assert_eq!(check.query().context.get("callgate"), None);
    assert_eq!(check.query().context.get("ip"), Some(&Value::from("::1")));
}

#[test]
fn members_nobody_asks_for_are_passed_over() {
    assert_eq!(
        outcome(&with(r#""foo":[1,{"a":null}],"options":{}"#)),
        Ok(())
    );
}

#[test]
fn null_is_absent() {
    assert_eq!(outcome(&with(r#""context":null"#)), Ok(()));
    assert_eq!(outcome(&with(r#""context":{"callgate":null}"#)), Ok(()));
    let body = CHECK.replace("\"olga\"", "null");
    assert_eq!(outcome(&body).unwrap_err().0, RefusalCode::MissingMember);
}

#[test]
fn a_section_needs_no_id() {
    let body = with(r#""context":{"callgate":{"section":true}}"#);
    assert_eq!(outcome(&body.replace(r#","id":"c1""#, "")), Ok(()));
    assert_eq!(outcome(&body.replace(r#""c1""#, r#""""#)), Ok(()));
    assert_eq!(
        outcome(&body.replace(r#""c1""#, "7")).unwrap_err().0,
        RefusalCode::WrongType
    );
}

#[test]
fn nesting_is_allowed_up_to_its_limit_wherever_it_stands() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for place in ["foo", "context"] {
        let member = |levels| match place {
            "foo" => with(&format!(r#""foo":{}"#, nested(levels))),
            _ => with(&format!(r#""context":{{"a":{}}}"#, nested(levels - 1))),
        };
        assert_eq!(outcome(&member(63)), Ok(()), "{place}");
        let (code, message) = outcome(&member(64)).unwrap_err();
        assert_eq!(code, RefusalCode::InvalidJson);
        assert!(message.contains("more than 64"), "{message}");
    }
}

#[test]
fn a_name_stands_once_in_an_object_however_it_is_written() {
    for twice in [
        r#""subject":null"#,
        r#""foo":1,"foo":2"#,
        r#""foo":{"a":1,"\u0061":2}"#,
        r#""context":{"a":1,"b":2,"a":1}"#,
        r#""context":{"callgate":{},"callgate":{}}"#,
        r#""context":{"callgate":{"explain":true,"explain":true}}"#,
    ] {
        let (code, message) = outcome(&with(twice)).unwrap_err();
        assert_eq!(code, RefusalCode::InvalidJson, "{twice}");
        assert!(message.contains("stands twice"), "{message}");
    }
}

#[test]
fn numbers_are_doubles() {
    let body = with(r#""context":{"a":0.1,"b":12345678901234567890123,"c":-0.0}"#);
    let request = EvaluationRequest::read(body.as_bytes()).unwrap();
    let check = request.parts().check(Timestamp(0)).unwrap();
    let number = |name| check.query().context.get(name).cloned();
    assert_eq!(number("a"), Some(Value::Number(0.1)));
    assert_eq!(
        number("b"),
        Some(Value::Number(12_345_678_901_234_567_890_123.0))
    );
    assert_eq!(
        outcome(&with(r#""foo":1e999"#)).unwrap_err().0,
        RefusalCode::InvalidJson
    );
}

/// A policy's numbers are read by the standard library: the same digits must be the same number.
#[test]
fn numbers_are_read_to_the_last_bit() {
    let rng = &mut fastrand::Rng::with_seed(1);
    for _ in 0..1_000 {
        let number = f64::from_bits(rng.u64(..));
        if !number.is_finite() {
            continue;
        }
        let body = with(&format!(r#""context":{{"a":{number:e}}}"#));
        let request = EvaluationRequest::read(body.as_bytes()).unwrap();
        let check = request.parts().check(Timestamp(0)).unwrap();
        assert_eq!(check.query().context.get("a"), Some(&Value::Number(number)));
    }
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    for (from, to, code, path) in [
        (r#""olga""#, "7", RefusalCode::WrongType, "`subject.id`"),
        (
            r#""olga""#,
            r#""""#,
            RefusalCode::EmptyMember,
            "`subject.id`",
        ),
        (
            r#"{"name":"listen"}"#,
            "{}",
            RefusalCode::MissingMember,
            "`action.name`",
        ),
        (
            r#"{"name":"listen"}"#,
            r#""listen""#,
            RefusalCode::WrongType,
            "`action`",
        ),
        (
            r#""call","#,
            r#"[],"#,
            RefusalCode::WrongType,
            "`resource.type`",
        ),
        (
            r#""c1""#,
            r#""c1","properties":[]"#,
            RefusalCode::WrongType,
            "`resource.properties`",
        ),
    ] {
        let (is, message) = outcome(&CHECK.replace(from, to)).unwrap_err();
        assert_eq!(is, code, "{message}");
        assert!(message.contains(path), "{message}");
    }
}

#[test]
fn options_are_known_and_of_their_type() {
    for (options, path) in [
        ("true", "`context.callgate`"),
        (r#"{"explain":1}"#, "`context.callgate.explain`"),
        (r#"{"section":"true"}"#, "`context.callgate.section`"),
        (r#"{"test_role":["a"]}"#, "`context.callgate.test_role`"),
        (r#"{"test_role":""}"#, "`context.callgate.test_role`"),
        (
            r#"{"min_generation":1.5}"#,
            "`context.callgate.min_generation`",
        ),
        (
            r#"{"min_generation":-1}"#,
            "`context.callgate.min_generation`",
        ),
        (
            r#"{"min_generation":9007199254740993}"#,
            "`context.callgate.min_generation`",
        ),
        (r#"{"sektion":true}"#, "`context.callgate.sektion`"),
    ] {
        let body = with(&format!(r#""context":{{"callgate":{options}}}"#));
        let (_, message) = outcome(&body).unwrap_err();
        assert!(message.contains(path), "{message}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    for (body, code) in [
        ("", RefusalCode::EmptyBody),
        ("  ", RefusalCode::InvalidJson),
        ("{", RefusalCode::InvalidJson),
        ("{}{}", RefusalCode::InvalidJson),
        ("[]", RefusalCode::WrongType),
        ("null", RefusalCode::WrongType),
        (r#"{"subject":"\ud800"}"#, RefusalCode::InvalidJson),
        ("{}", RefusalCode::MissingMember),
    ] {
        assert_eq!(outcome(body).unwrap_err().0, code, "{body}");
    }
}
