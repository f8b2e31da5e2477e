//! The wire form of a check: AuthZEN 1.0, and what is callgate's own in `context.callgate`.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::expect::{self, NO_PROPERTIES, optional, properties, required, text, whole};
use super::json::{self, Bool, Member, Number, Shape, Text, put, shorten};
use super::respond::{Refusal, RefusalCode};
use crate::model::{Action, Entity, Properties, Query, Timestamp};

/// A check as it came, with whatever is wrong or missing in it.
#[derive(Debug, Default)]
pub(super) struct EvaluationRequest<'a> {
    subject: Member<EntityBody<'a>>,
    action: Member<ActionBody<'a>>,
    resource: Member<EntityBody<'a>>,
    context: Member<ContextBody<'a>>,
}

/// A check's parts, as they came or were taken over.
#[derive(Clone, Copy)]
pub(super) struct Parts<'r, 'a> {
    pub(super) subject: &'r Member<EntityBody<'a>>,
    pub(super) action: &'r Member<ActionBody<'a>>,
    pub(super) resource: &'r Member<EntityBody<'a>>,
    pub(super) context: &'r Member<ContextBody<'a>>,
}

/// What a search seeks, and its request need not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    Subject,
    Resource,
    Action,
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

#[derive(Debug, Default)]
pub(super) struct EntityBody<'a> {
    kind: Member<Cow<'a, str>>,
    id: Member<Cow<'a, str>>,
    properties: Member<Properties<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct ActionBody<'a> {
    name: Member<Cow<'a, str>>,
    properties: Member<Properties<'a>>,
}

#[derive(Debug)]
pub(super) struct ContextBody<'a> {
    members: Properties<'a>,
    /// Mostly absent, and large: a batch is moved about with less.
    callgate: Member<Box<OptionsBody<'a>>>,
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
        expect::body::<Self>(body)
    }

    /// Reads a check's parts, and whatever else `take` takes: it returns whether it did.
    pub(super) fn fill<A: MapAccess<'a>>(
        &mut self,
        members: A,
        levels: u8,
        mut take: impl FnMut(&str, &mut A) -> Result<bool, A::Error>,
    ) -> Result<(), A::Error> {
        let mut came = [false; 4];
        let [subject, action, resource, context] = &mut came;
        let others = json::each(members, levels, |name, of| match name {
            "subject" => put::<EntityBody<'_>, A>(&mut self.subject, subject, name, of, levels),
            "action" => put::<ActionBody<'_>, A>(&mut self.action, action, name, of, levels),
            "resource" => put::<EntityBody<'_>, A>(&mut self.resource, resource, name, of, levels),
            "context" => put::<ContextBody<'_>, A>(&mut self.context, context, name, of, levels),
            other => take(other, of),
        });
        others.map(drop)
    }

    /// The parts of the check.
    pub(super) const fn parts(&self) -> Parts<'_, 'a> {
        Parts {
            subject: &self.subject,
            action: &self.action,
            resource: &self.resource,
            context: &self.context,
        }
    }

    /// The parts of the check; those that are absent are taken whole from `defaults`.
    pub(super) const fn parts_over<'r>(&'r self, defaults: &'r Self) -> Parts<'r, 'a> {
        Parts {
            subject: self.subject.or(&defaults.subject),
            action: self.action.or(&defaults.action),
            resource: self.resource.or(&defaults.resource),
            context: self.context.or(&defaults.context),
        }
    }

    /// Whether each part is an object, or absent.
    pub(super) fn are_objects(&self) -> Result<(), Refusal> {
        optional(&self.subject, "`subject`", "an object")?;
        optional(&self.action, "`action`", "an object")?;
        optional(&self.resource, "`resource`", "an object")?;
        optional(&self.context, "`context`", "an object").map(drop)
    }
}

// === impl Parts ===

impl<'r> Parts<'r, '_> {
    /// What is asked of callgate itself, as far as it can be told.
    fn options(self) -> Option<&'r OptionsBody<'r>> {
        match self.context {
            Member::Is(ContextBody {
                callgate: Member::Is(options),
                ..
            }) => Some(options),
            _ => None,
        }
    }

    /// The check, if nothing is wrong or missing in it.
    pub(super) fn check(self, now: Timestamp) -> Result<Evaluation<'r>, Refusal> {
        self.check_but(None, now)
    }

    /// The check, but for what is sought: its id is not looked at, nor is an action that is sought.
    pub(super) fn check_but(
        self,
        sought: Option<Sought>,
        now: Timestamp,
    ) -> Result<Evaluation<'r>, Refusal> {
        let subject = required(self.subject, "`subject`", "an object")?;
        let action = match sought {
            Some(Sought::Action) => Action {
                name: "",
                properties: &NO_PROPERTIES,
            },
            _ => required(self.action, "`action`", "an object")?.check()?,
        };
        let resource = required(self.resource, "`resource`", "an object")?;
        let context = optional(self.context, "`context`", "an object")?;
        let options = match context {
            None => Options::default(),
            Some(context) => context.options()?,
        };
        let subject_id = match sought {
            Some(Sought::Subject) => "",
            _ => text(&subject.id, "`subject.id`")?,
        };
        let resource_id = match sought {
            Some(Sought::Resource) => "",
            // A section has no id; one that is sent is not looked at, but for its type.
            _ if options.section => {
                optional(&resource.id, "`resource.id`", "a string")?.map_or("", |id| id)
            }
            _ => text(&resource.id, "`resource.id`")?,
        };
        let query = Query {
            subject: Entity {
                kind: text(&subject.kind, "`subject.type`")?,
                id: subject_id,
                properties: properties(&subject.properties, "`subject.properties`")?,
            },
            action,
            resource: Entity {
                kind: text(&resource.kind, "`resource.type`")?,
                id: resource_id,
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

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        // It is filled where it stays, since it is large and a batch has many.
        *place = Member::Is(Self::default());
        match place {
            Member::Is(request) => request.fill(members, levels, |_, _| Ok(false)),
            Member::Absent | Member::Wrong(_) => Ok(()),
        }
    }
}

/// Whether the answer is to tell the steps.
pub(super) fn asks_to_explain(parts: Parts<'_, '_>) -> bool {
    let mut options = parts.options().into_iter();
    options.any(|options| options.explain == Member::Is(true))
}

/// Whether a generation is named that must be reached, whatever stands there.
pub(super) fn names_generation(parts: Parts<'_, '_>) -> bool {
    let mut options = parts.options().into_iter();
    options.any(|options| options.min_generation != Member::Absent)
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

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut body = Self::default();
        let mut came = [false; 3];
        let [kind, id, properties] = &mut came;
        json::each(members, levels, |name, of| match name {
            "type" => put::<Text, A>(&mut body.kind, kind, name, of, levels),
            "id" => put::<Text, A>(&mut body.id, id, name, of, levels),
            "properties" => {
                let place = &mut body.properties;
                put::<Properties<'_>, A>(place, properties, name, of, levels)
            }
            _ => Ok(false),
        })?;
        *place = Member::Is(body);
        Ok(())
    }
}

impl ActionBody<'_> {
    fn check(&self) -> Result<Action<'_>, Refusal> {
        Ok(Action {
            name: text(&self.name, "`action.name`")?,
            properties: properties(&self.properties, "`action.properties`")?,
        })
    }
}

impl<'de> Shape<'de> for ActionBody<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut body = Self::default();
        let mut came = [false; 2];
        let [action, properties] = &mut came;
        json::each(members, levels, |name, of| match name {
            "name" => put::<Text, A>(&mut body.name, action, name, of, levels),
            "properties" => {
                let place = &mut body.properties;
                put::<Properties<'_>, A>(place, properties, name, of, levels)
            }
            _ => Ok(false),
        })?;
        *place = Member::Is(body);
        Ok(())
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
            // 0 is what a caller has that was told of no generation yet: any will do, and none.
            min_generation: whole(
                &options.min_generation,
                "`context.callgate.min_generation`",
                "a whole number",
            )?
            .filter(|least| *least > 0),
        })
    }
}

impl<'de> Shape<'de> for ContextBody<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let (mut callgate, mut came) = (Member::Absent, false);
        let members = json::properties_but(members, levels, "callgate", |name, members| {
            put::<Box<OptionsBody<'_>>, A>(&mut callgate, &mut came, name, members, levels)
                .map(drop)
        })?;
        *place = Member::Is(Self { members, callgate });
        Ok(())
    }
}

// === impl OptionsBody ===

impl<'de> Shape<'de> for Box<OptionsBody<'de>> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut body = OptionsBody::default();
        let mut came = [false; 4];
        let [explain, section, role, generation] = &mut came;
        let unknown = json::each(members, levels, |name, of| match name {
            "explain" => put::<Bool, A>(&mut body.explain, explain, name, of, levels),
            "section" => put::<Bool, A>(&mut body.section, section, name, of, levels),
            "test_role" => put::<Text, A>(&mut body.test_role, role, name, of, levels),
            "min_generation" => {
                put::<Number, A>(&mut body.min_generation, generation, name, of, levels)
            }
            _ => Ok(false),
        })?;
        body.unknown = unknown.as_deref().map(shorten);
        *place = Member::Is(Self::new(body));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
