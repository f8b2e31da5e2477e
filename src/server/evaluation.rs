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
mod tests;
