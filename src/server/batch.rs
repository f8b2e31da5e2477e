//! AuthZEN evaluations: several checks in one request, all answered from one snapshot.

use std::borrow::Cow;
use std::time::SystemTime;

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde::de::{MapAccess, SeqAccess};

use super::authzen::{self, Asker, Explain};
use super::desk::{self, Desk};
use super::door::{Entry, no_explanation};
use super::evaluation::{EvaluationRequest, Parts, asks_to_explain, names_generation};
use super::expect::{self, optional, wrong};
use super::json::{self, Member, Read, Shape, Text, put, shorten, skip_items};
use super::respond::{Answer, Decisions, Refusal, RefusalCode};
use super::trail::Trail;
use super::worker::Worker;
use crate::config::BATCH_ITEMS_MAX;
use crate::model::Timestamp;
use crate::telemetry::Api;

/// Bytes of a batch that a worker answers; larger ones go to the pool. A thousand short items come
/// to less, and took 0.4 ms.
const WORKER_BYTES_MAX: usize = 64 << 10;

/// A batch as it came.
#[derive(Debug, Default)]
struct BatchRequest<'a> {
    /// What items leave out; and the one check, if there are none.
    defaults: EvaluationRequest<'a>,
    evaluations: Member<Items<'a>>,
    options: Member<OptionsBody<'a>>,
}

/// The items of a batch.
#[derive(Debug, Default)]
struct Items<'a> {
    /// The first of them, up to [`BATCH_ITEMS_MAX`].
    list: Vec<Member<EvaluationRequest<'a>>>,
    count: usize,
}

#[derive(Debug, Default)]
struct OptionsBody<'a> {
    semantic: Member<Cow<'a, str>>,
}

/// When a batch is answered before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// A batch in which nothing but single items may be wrong.
struct Batch<'r, 'a> {
    defaults: &'r EvaluationRequest<'a>,
    items: Vec<&'r EvaluationRequest<'a>>,
    semantic: Semantic,
}

/// What a request to this interface comes to.
enum Asked<'r, 'a> {
    /// No items: a check.
    One(&'r EvaluationRequest<'a>),
    Several(Batch<'r, 'a>),
}

/// Answers a batch for the company that the path names, or for the one there is.
pub(super) async fn evaluations(
    worker: &Worker,
    trail: Option<Trail>,
    company: Option<&str>,
    entry: &Entry,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    let (said, _place) = match authzen::read(worker, company, headers, body).await {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    if let Some(answer) = at_once(worker.desk(), trail.as_ref(), company, said.as_deref()) {
        return answer;
    }
    let company = company.map(str::to_owned);
    let may_explain = entry.may_explain;
    let question = move |desk: &Desk| {
        let (trail, company, said) = (trail.as_ref(), company.as_deref(), said.as_deref());
        if may_explain {
            return answer(desk, trail, company, said, Explain::IfAsked);
        }
        let answered = answer(desk, trail, company, said, Explain::Elsewhere);
        Some(answered.unwrap_or_else(|| no_explanation(desk).into()))
    };
    worker.pool().ask(question).await
}

/// Answers a batch that has come whole. `None`: a worker has no time for it.
pub(super) fn at_once(
    desk: &Desk,
    trail: Option<&Trail>,
    company: Option<&str>,
    said: Result<&[u8], &Refusal>,
) -> Option<Answer> {
    if said.is_ok_and(|body| body.len() > WORKER_BYTES_MAX) {
        return None;
    }
    desk.caught(|| answer(desk, trail, company, said, Explain::Elsewhere))
}

/// The request's one look at its company's snapshot, and all that is done with it. `None`: it is
/// to be answered elsewhere.
fn answer(
    desk: &Desk,
    trail: Option<&Trail>,
    company: Option<&str>,
    said: Result<&[u8], &Refusal>,
    explain: Explain,
) -> Option<Answer> {
    let request = said.map_err(Clone::clone);
    let request = request.and_then(expect::body::<BatchRequest<'_>>);
    let asked = request.as_ref().map_err(Clone::clone);
    let asked = asked.and_then(|request| request.asked(desk.limits().batch_items_max));
    let any = |is: fn(Parts<'_, '_>) -> bool| asked.as_ref().is_ok_and(|asked| asked.any(is));
    if explain == Explain::Elsewhere && any(asks_to_explain) {
        return None;
    }
    let awaits = any(names_generation);
    let generation = awaits.then(|| desk.generation(company)).flatten();
    let now = Timestamp::from(SystemTime::now());
    Some(desk.answer_stale(company, |snapshot, stale| {
        let asker = Asker {
            desk,
            asked: desk::Asked {
                api: Api::Evaluations,
                trail,
                snapshot,
                stale,
            },
            generation,
            explain,
            now,
        };
        match asked? {
            Asked::One(request) => asker.answer(request.parts()),
            Asked::Several(batch) => Ok(Answer::batch(batch.decide(&asker))),
        }
    }))
}

// === impl Batch ===

impl Batch<'_, '_> {
    /// Decides the items in their order, up to the one that stops the batch.
    fn decide(&self, asker: &Asker<'_>) -> Decisions {
        let mut decisions = Decisions::with_capacity(self.items.len());
        for (at, item) in (0..).zip(&self.items) {
            let outcome = asker.decide(item.parts_over(self.defaults), Some(at));
            match &outcome {
                Err(refusal) => decisions.refused(refusal),
                Ok(outcome) => match &outcome.explanation {
                    None => decisions.decision(outcome.allowed),
                    Some(explanation) => {
                        let revision = asker.asked.snapshot.revision();
                        decisions.explained(outcome.allowed, explanation, revision);
                    }
                },
            }
            let allowed = outcome.is_ok_and(|outcome| outcome.allowed);
            if self.semantic.stops_at(allowed) {
                break;
            }
        }
        decisions
    }
}

// === impl BatchRequest ===

impl<'a> BatchRequest<'a> {
    fn asked(&self, items_max: usize) -> Result<Asked<'_, 'a>, Refusal> {
        let items = optional(&self.evaluations, "`evaluations`", "an array")?;
        let Some(items) = items.filter(|items| items.count > 0) else {
            return Ok(Asked::One(&self.defaults));
        };
        let semantic = match optional(&self.options, "`options`", "an object")? {
            None => Semantic::ExecuteAll,
            Some(options) => options.semantic()?,
        };
        if items.count > items_max {
            let count = items.count;
            let message = format!("`evaluations` has {count} items, at most {items_max}");
            return Err(Refusal::bad(RefusalCode::TooManyItems, message));
        }
        self.defaults.are_objects()?;
        let objects = items.list.iter().enumerate();
        let objects = objects.map(|(at, item)| match item {
            Member::Is(item) => Ok(item),
            Member::Absent => Err(wrong(&path(at), "an object", "null")),
            Member::Wrong(found) => Err(wrong(&path(at), "an object", found)),
        });
        Ok(Asked::Several(Batch {
            defaults: &self.defaults,
            items: objects.collect::<Result<_, _>>()?,
            semantic,
        }))
    }
}

fn path(at: usize) -> String {
    format!("`evaluations[{at}]`")
}

impl<'de> Shape<'de> for BatchRequest<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut batch = Self::default();
        let Self {
            defaults,
            evaluations,
            options,
        } = &mut batch;
        let mut came = [false; 2];
        let [items, others] = &mut came;
        defaults.fill(members, levels, |name, of| match name {
            "evaluations" => put::<Items<'_>, A>(evaluations, items, name, of, levels),
            "options" => put::<OptionsBody<'_>, A>(options, others, name, of, levels),
            _ => Ok(false),
        })?;
        *place = Member::Is(batch);
        Ok(())
    }
}

// === impl Items ===

impl<'de> Shape<'de> for Items<'de> {
    type Out = Self;

    fn array<A: SeqAccess<'de>>(
        mut items: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut list = Vec::new();
        let mut count = 0;
        while list.len() < BATCH_ITEMS_MAX {
            let mut item = Member::Absent;
            let read = Read::<EvaluationRequest<'_>>::within(levels, &mut item);
            if items.next_element_seed(read)?.is_none() {
                break;
            }
            list.push(item);
        }
        if list.len() == BATCH_ITEMS_MAX {
            count = skip_items(items, levels)?;
        }
        count += list.len();
        *place = Member::Is(Self { list, count });
        Ok(())
    }
}

// === impl OptionsBody ===

impl OptionsBody<'_> {
    fn semantic(&self) -> Result<Semantic, Refusal> {
        let path = "`options.evaluations_semantic`";
        match optional(&self.semantic, path, "a string")?.map(Cow::as_ref) {
            None | Some("execute_all") => Ok(Semantic::ExecuteAll),
            Some("deny_on_first_deny") => Ok(Semantic::DenyOnFirstDeny),
            Some("permit_on_first_permit") => Ok(Semantic::PermitOnFirstPermit),
            Some(other) => {
                let known = "execute_all, deny_on_first_deny, permit_on_first_permit";
                let message = format!("{path} is `{}`: there are {known}", shorten(other));
                Err(Refusal::bad(RefusalCode::UnknownSemantic, message))
            }
        }
    }
}

impl<'de> Shape<'de> for OptionsBody<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut body = Self::default();
        let mut came = false;
        json::each(members, levels, |name, of| match name {
            "evaluations_semantic" => {
                put::<Text, A>(&mut body.semantic, &mut came, name, of, levels)
            }
            _ => Ok(false),
        })?;
        *place = Member::Is(body);
        Ok(())
    }
}

// === impl Asked, Semantic ===

impl Asked<'_, '_> {
    /// Whether some check is so.
    fn any(&self, is: fn(Parts<'_, '_>) -> bool) -> bool {
        match self {
            Self::One(request) => is(request.parts()),
            Self::Several(batch) => {
                let mut items = batch.items.iter();
                items.any(|item| is(item.parts_over(batch.defaults)))
            }
        }
    }
}

impl Semantic {
    const fn stops_at(self, allowed: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !allowed,
            Self::PermitOnFirstPermit => allowed,
        }
    }
}
