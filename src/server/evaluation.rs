//! The wire form of a check: AuthZEN 1.0, and what is callgate's own in `context.callgate`.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, MapAccess};

use super::json::{self, Bool, Member, Name, Names, Number, Read, Shape, Text, put, shorten};
use super::respond::{Refusal, RefusalCode};
use crate::model::{Action, Entity, Properties, Query, Timestamp};

static NO_PROPERTIES: Properties<'static> = Properties::EMPTY;

/// A check as it came, with whatever is wrong or missing in it.
#[derive(Debug, Default)]
pub(super) struct EvaluationRequest<'a> {
    subject: Member<EntityBody<'a>>,
    action: Member<ActionBody<'a>>,
    resource: Member<EntityBody<'a>>,
    context: Member<ContextBody<'a>>,
}

/// A check in which nothing is wrong or missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evaluation<'r> {
    query: Query<'r>,
    /// `context.callgate.explain`
    pub(super) explain: bool,
    /// `context.callgate.min_generation`
    pub(super) min_generation: Option<u64>,
}

#[derive(Debug)]
struct EntityBody<'a> {
    kind: Member<Cow<'a, str>>,
    id: Member<Cow<'a, str>>,
    properties: Member<Properties<'a>>,
}

#[derive(Debug)]
struct ActionBody<'a> {
    name: Member<Cow<'a, str>>,
    properties: Member<Properties<'a>>,
}

#[derive(Debug)]
struct ContextBody<'a> {
    members: Properties<'a>,
    callgate: Member<OptionsBody<'a>>,
}

#[derive(Debug, Default)]
struct OptionsBody<'a> {
    explain: Member<bool>,
    section: Member<bool>,
    test_role: Member<Cow<'a, str>>,
    min_generation: Member<f64>,
    unknown: Option<String>,
}

/// [`OptionsBody`] in which nothing is wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Options<'r> {
    explain: bool,
    section: bool,
    test_role: Option<&'r str>,
    min_generation: Option<u64>,
}

// === impl EvaluationRequest ===

impl<'a> EvaluationRequest<'a> {
    /// Reads a body.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            let message = "the body is empty: it must be a JSON object";
            return Err(Refusal::bad(RefusalCode::EmptyBody, message));
        }
        // Once for all, and with the validator of the standard library: the fastest way.
        let text = std::str::from_utf8(body)
            .map_err(|error| not_json(format!("the body is not UTF-8: {error}")))?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Read::<Self>::outermost().deserialize(&mut reader);
        let read = read.and_then(|read| reader.end().map(|()| read));
        match read.map_err(|error| not_json(format!("the body is no valid JSON: {error}")))? {
            Member::Is(request) => Ok(request),
            Member::Absent => Err(wrong("the body", "an object", "null")),
            Member::Wrong(found) => Err(wrong("the body", "an object", found)),
        }
    }

    /// The check, if nothing is wrong or missing in it.
    pub(super) fn check(&self, now: Timestamp) -> Result<Evaluation<'_>, Refusal> {
        let subject = required(&self.subject, "`subject`", "an object")?;
        let action = required(&self.action, "`action`", "an object")?;
        let resource = required(&self.resource, "`resource`", "an object")?;
        let context = optional(&self.context, "`context`", "an object")?;
        let options = match context {
            None => Options::default(),
            Some(context) => context.options()?,
        };
        let id = if options.section {
            // A section has no id; one that is sent is not looked at, but for its type.
            optional(&resource.id, "`resource.id`", "a string")?.map_or("", |id| id)
        } else {
            text(&resource.id, "`resource.id`")?
        };
        let query = Query {
            subject: Entity {
                kind: text(&subject.kind, "`subject.type`")?,
                id: text(&subject.id, "`subject.id`")?,
                properties: properties(&subject.properties, "`subject.properties`")?,
            },
            action: Action {
                name: text(&action.name, "`action.name`")?,
                properties: properties(&action.properties, "`action.properties`")?,
            },
            resource: Entity {
                kind: text(&resource.kind, "`resource.type`")?,
                id,
                properties: properties(&resource.properties, "`resource.properties`")?,
            },
            context: context.map_or(&NO_PROPERTIES, |context| &context.members),
            section: options.section,
            test_role: options.test_role,
            now,
        };
        Ok(Evaluation {
            query,
            explain: options.explain,
            min_generation: options.min_generation,
        })
    }
}

impl<'de> Shape<'de> for EvaluationRequest<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(mut members: A, levels: u8) -> Result<Option<Self>, A::Error> {
        let (mut subject, mut action, mut resource, mut context) = (None, None, None, None);
        let mut others = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            match &*name {
                "subject" => put::<EntityBody<'_>, A>(&mut subject, &name, &mut members, levels)?,
                "action" => put::<ActionBody<'_>, A>(&mut action, &name, &mut members, levels)?,
                "resource" => put::<EntityBody<'_>, A>(&mut resource, &name, &mut members, levels)?,
                "context" => put::<ContextBody<'_>, A>(&mut context, &name, &mut members, levels)?,
                _ => others.skip(name, &mut members, levels)?,
            }
        }
        others.finish()?;
        Ok(Some(Self {
            subject: subject.unwrap_or_default(),
            action: action.unwrap_or_default(),
            resource: resource.unwrap_or_default(),
            context: context.unwrap_or_default(),
        }))
    }
}

// === impl Evaluation ===

impl<'r> Evaluation<'r> {
    /// The question.
    pub(super) const fn query(&self) -> &Query<'r> {
        &self.query
    }
}

// === impl EntityBody, ActionBody ===

impl<'de> Shape<'de> for EntityBody<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(mut members: A, levels: u8) -> Result<Option<Self>, A::Error> {
        let (mut kind, mut id, mut properties) = (None, None, None);
        let mut others = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            match &*name {
                "type" => put::<Text, A>(&mut kind, &name, &mut members, levels)?,
                "id" => put::<Text, A>(&mut id, &name, &mut members, levels)?,
                "properties" => {
                    put::<Properties<'_>, A>(&mut properties, &name, &mut members, levels)?;
                }
                _ => others.skip(name, &mut members, levels)?,
            }
        }
        others.finish()?;
        Ok(Some(Self {
            kind: kind.unwrap_or_default(),
            id: id.unwrap_or_default(),
            properties: properties.unwrap_or_default(),
        }))
    }
}

impl<'de> Shape<'de> for ActionBody<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(mut members: A, levels: u8) -> Result<Option<Self>, A::Error> {
        let (mut action, mut properties) = (None, None);
        let mut others = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            match &*name {
                "name" => put::<Text, A>(&mut action, &name, &mut members, levels)?,
                "properties" => {
                    put::<Properties<'_>, A>(&mut properties, &name, &mut members, levels)?;
                }
                _ => others.skip(name, &mut members, levels)?,
            }
        }
        others.finish()?;
        Ok(Some(Self {
            name: action.unwrap_or_default(),
            properties: properties.unwrap_or_default(),
        }))
    }
}

// === impl ContextBody ===

impl<'a> ContextBody<'a> {
    fn options(&self) -> Result<Options<'_>, Refusal> {
        let Some(options) = optional(&self.callgate, "`context.callgate`", "an object")? else {
            return Ok(Options::default());
        };
        if let Some(name) = &options.unknown {
            let known = "explain, section, test_role, min_generation";
            return Err(Refusal::bad(
                RefusalCode::UnknownMember,
                format!("`context.callgate.{name}` is unknown: there are {known}"),
            ));
        }
        let explain = optional(&options.explain, "`context.callgate.explain`", "a boolean")?;
        let section = optional(&options.section, "`context.callgate.section`", "a boolean")?;
        let test_role = match &options.test_role {
            Member::Absent => None,
            role => Some(text(role, "`context.callgate.test_role`")?),
        };
        Ok(Options {
            explain: explain.copied().unwrap_or(false),
            section: section.copied().unwrap_or(false),
            test_role,
            min_generation: options.generation()?,
        })
    }
}

impl<'de> Shape<'de> for ContextBody<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(members: A, levels: u8) -> Result<Option<Self>, A::Error> {
        let mut callgate = None;
        let members = json::properties_but(members, levels, "callgate", |name, members| {
            put::<OptionsBody<'_>, A>(&mut callgate, name, members, levels)
        })?;
        Ok(Some(Self {
            members,
            callgate: callgate.unwrap_or_default(),
        }))
    }
}

// === impl OptionsBody ===

impl OptionsBody<'_> {
    fn generation(&self) -> Result<Option<u64>, Refusal> {
        /// Whole numbers beyond it have gaps, as doubles.
        const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
        let (path, expected) = ("`context.callgate.min_generation`", "a whole number");
        match optional(&self.min_generation, path, expected)? {
            None => Ok(None),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole, and in the range of both"
            )]
            Some(number) if number.fract() == 0.0 && (0.0..=WHOLE_MAX).contains(number) => {
                Ok(Some(*number as u64))
            }
            Some(_) => Err(wrong(path, expected, "another number")),
        }
    }
}

impl<'de> Shape<'de> for OptionsBody<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(mut members: A, levels: u8) -> Result<Option<Self>, A::Error> {
        let (mut explain, mut section, mut role, mut generation) = (None, None, None, None);
        let mut others = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            match &*name {
                "explain" => put::<Bool, A>(&mut explain, &name, &mut members, levels)?,
                "section" => put::<Bool, A>(&mut section, &name, &mut members, levels)?,
                "test_role" => put::<Text, A>(&mut role, &name, &mut members, levels)?,
                "min_generation" => put::<Number, A>(&mut generation, &name, &mut members, levels)?,
                _ => others.skip(name, &mut members, levels)?,
            }
        }
        let unknown = others.first().map(shorten);
        others.finish()?;
        Ok(Some(Self {
            explain: explain.unwrap_or_default(),
            section: section.unwrap_or_default(),
            test_role: role.unwrap_or_default(),
            min_generation: generation.unwrap_or_default(),
            unknown,
        }))
    }
}

// === what is wrong ===

fn optional<'m, T>(
    member: &'m Member<T>,
    path: &str,
    expected: &str,
) -> Result<Option<&'m T>, Refusal> {
    match member {
        Member::Is(value) => Ok(Some(value)),
        Member::Absent => Ok(None),
        Member::Wrong(found) => Err(wrong(path, expected, found)),
    }
}

fn required<'m, T>(member: &'m Member<T>, path: &str, expected: &str) -> Result<&'m T, Refusal> {
    optional(member, path, expected)?.ok_or_else(|| {
        Refusal::bad(
            RefusalCode::MissingMember,
            format!("{path} is missing: it must be {expected}"),
        )
    })
}

fn text<'m>(member: &'m Member<Cow<'_, str>>, path: &str) -> Result<&'m str, Refusal> {
    match required(member, path, "a string")?.as_ref() {
        "" => Err(Refusal::bad(
            RefusalCode::EmptyMember,
            format!("{path} is empty"),
        )),
        text => Ok(text),
    }
}

fn properties<'m, 'a>(
    member: &'m Member<Properties<'a>>,
    path: &str,
) -> Result<&'m Properties<'a>, Refusal> {
    Ok(optional(member, path, "an object")?.unwrap_or(&NO_PROPERTIES))
}

#[cold]
fn wrong(path: &str, expected: &str, found: &str) -> Refusal {
    Refusal::bad(
        RefusalCode::WrongType,
        format!("{path} must be {expected}, and is {found}"),
    )
}

#[cold]
fn not_json(message: String) -> Refusal {
    Refusal::bad(RefusalCode::InvalidJson, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    const CHECK: &str = r#"{"subject":{"type":"user","id":"olga"},"action":{"name":"listen"},"resource":{"type":"call","id":"c1"}}"#;

    /// What reading and checking a body comes to: `Ok`, or the code and message.
    fn outcome(body: &str) -> Result<(), (RefusalCode, String)> {
        let read = EvaluationRequest::read(body.as_bytes());
        let checked = read.and_then(|request| request.check(Timestamp(0)).map(drop));
        checked.map_err(|refusal| (refusal.code, refusal.message.into_owned()))
    }

    /// The check with members put before the others.
    fn with(members: &str) -> String {
        CHECK.replacen('{', &format!("{{{members},"), 1)
    }

    #[test]
    fn strings_are_borrowed_from_the_body() {
        let request = EvaluationRequest::read(CHECK.as_bytes()).unwrap();
        let query = *request.check(Timestamp(7)).unwrap().query();
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
            request.check(Timestamp(0)).unwrap().query().subject.id,
            "olga"
        );
    }

    #[test]
    fn options_are_no_part_of_the_context() {
        let body = with(r#""context":{"ip":"::1","callgate":{"explain":true,"min_generation":3}}"#);
        let request = EvaluationRequest::read(body.as_bytes()).unwrap();
        let check = request.check(Timestamp(0)).unwrap();
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
        let check = request.check(Timestamp(0)).unwrap();
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
            let check = request.check(Timestamp(0)).unwrap();
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
}
