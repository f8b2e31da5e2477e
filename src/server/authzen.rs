//! AuthZEN evaluation, plain and explained: a request's way from its body to its answer.

use std::time::SystemTime;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};

use super::body::{self, BodyError};
use super::desk::{Asked, Desk, reach, too_old};
use super::door::{Entry, no_explanation};
use super::evaluation::{EvaluationRequest, Parts, asks_to_explain, names_generation};
use super::respond::{Answer, Refusal, RefusalCode};
use super::trail::Trail;
use super::wait;
use super::worker::{Place, Worker};
use crate::decide::{self, Explanation};
use crate::model::Timestamp;
use crate::telemetry::{Api, Code};

/// A request's body, read and said to be JSON, or why it is not taken.
pub(super) type Said = Result<Bytes, Refusal>;

/// Whether an answer tells its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Explain {
    /// Where the request asks for it, it is not answered here: a worker has no time for that.
    Elsewhere,
    /// Where the request asks for it.
    IfAsked,
    /// Always.
    Always,
}

/// Decides checks of one request: with one snapshot, at one time.
pub(super) struct Asker<'s> {
    pub(super) desk: &'s Desk,
    pub(super) asked: Asked<'s, 's>,
    /// The snapshot's generation, or an older one.
    pub(super) generation: Option<u64>,
    pub(super) explain: Explain,
    pub(super) now: Timestamp,
}

/// What comes of a check.
pub(super) struct Outcome {
    pub(super) allowed: bool,
    pub(super) explanation: Option<Explanation>,
}

// === impl Asker ===

impl Asker<'_> {
    /// Decides one check: alone or as an item of a batch, it is the same.
    pub(super) fn decide(
        &self,
        parts: Parts<'_, '_>,
        item: Option<u32>,
    ) -> Result<Outcome, Refusal> {
        let check = parts.check(self.now)?;
        reach(self.generation, check.min_generation)?;
        let explained = check.explain || self.explain == Explain::Always;
        if explained && self.asked.stale {
            return Err(too_old());
        }
        let reason = self.desk.decide(&self.asked, item, check.query())?;
        let explanation = explained.then(|| decide::explain(self.asked.snapshot, check.query()));
        Ok(Outcome {
            allowed: reason.allows(),
            explanation,
        })
    }

    /// Decides one check, and answers.
    pub(super) fn answer(&self, parts: Parts<'_, '_>) -> Result<Answer, Refusal> {
        let outcome = self.decide(parts, None)?;
        Ok(match &outcome.explanation {
            None => Answer::decision(outcome.allowed),
            Some(explanation) => {
                Answer::explained(outcome.allowed, explanation, self.asked.snapshot.revision())
            }
        })
    }
}

/// Answers an evaluation for the company that the path names, or for the one there is.
pub(super) async fn evaluation(
    worker: &Worker,
    trail: Option<Trail>,
    company: Option<&str>,
    entry: &Entry,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    let (said, _place) = match read(worker, company, headers, body).await {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let (desk, api) = (worker.desk(), Api::Evaluation);
    match at_once(desk, trail.as_ref(), company, said.as_deref()) {
        Some(answer) => answer,
        None if !entry.may_explain => no_explanation(desk).into(),
        None => on_pool(worker, api, trail, company, said, Explain::IfAsked).await,
    }
}

/// Answers an evaluation that has come whole. `None`: a worker has no time for what it asks for.
pub(super) fn at_once(
    desk: &Desk,
    trail: Option<&Trail>,
    company: Option<&str>,
    said: Result<&[u8], &Refusal>,
) -> Option<Answer> {
    let (api, explain) = (Api::Evaluation, Explain::Elsewhere);
    // Nothing waits here; so a bug can be caught here, and its request alone pays for it.
    desk.caught(|| evaluate(desk, api, trail, company, said, explain))
}

/// Answers an evaluation with the steps that led to the decision.
pub(super) async fn explain(
    worker: &Worker,
    trail: Option<Trail>,
    company: Option<&str>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    match read(worker, company, headers, body).await {
        Ok((said, _place)) => {
            on_pool(worker, Api::Explain, trail, company, said, Explain::Always).await
        }
        Err(answer) => answer,
    }
}

async fn on_pool(
    worker: &Worker,
    api: Api,
    trail: Option<Trail>,
    company: Option<&str>,
    said: Said,
    explain: Explain,
) -> Answer {
    let company = company.map(str::to_owned);
    let question = move |desk: &Desk| {
        let (company, said) = (company.as_deref(), said.as_deref());
        evaluate(desk, api, trail.as_ref(), company, said, explain)
    };
    worker.pool().ask(question).await
}

/// The request's one look at its company's snapshot, and all that is done with it. `None`: it is
/// to be answered elsewhere.
pub(super) fn evaluate(
    desk: &Desk,
    api: Api,
    trail: Option<&Trail>,
    company: Option<&str>,
    said: Result<&[u8], &Refusal>,
    explain: Explain,
) -> Option<Answer> {
    let request = said.map_err(Clone::clone);
    let request = request.and_then(EvaluationRequest::read);
    let parts = request.as_ref().map(EvaluationRequest::parts);
    let is = |what: fn(Parts<'_, '_>) -> bool| parts.as_ref().is_ok_and(|parts| what(*parts));
    if explain == Explain::Elsewhere && is(asks_to_explain) {
        return None;
    }
    let awaits = is(names_generation);
    let generation = awaits.then(|| desk.generation(company)).flatten();
    let now = Timestamp::from(SystemTime::now());
    Some(desk.answer_stale(company, |snapshot, stale| {
        let asker = Asker {
            desk,
            asked: Asked {
                api,
                trail,
                snapshot,
                stale,
            },
            generation,
            explain,
            now,
        };
        asker.answer(parts.map_err(Clone::clone)?)
    }))
}

/// Reads the body whole, takes a place among the requests that are answered, and waits for the
/// generation that it names; what it should have been said to be is left to be told after the company.
pub(super) async fn read<'w>(
    worker: &'w Worker,
    company: Option<&str>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<(Said, Place<'w>), Answer> {
    let limits = worker.desk().limits();
    let (most, time) = (limits.body_bytes_max, limits.body_timeout);
    let body = body::collect(body, most, time, worker.bodies()).await;
    let body = body.map_err(|error| unread(error, most))?;
    let place = worker.take_place()?;
    wait::for_generation(worker, company, &body).await;
    Ok((is_json(headers).map(|()| body), place))
}

/// Whether the body is said to be JSON, once.
fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    if let (Some(value), None) = (values.next(), values.next())
        && is_json_type(value.as_bytes())
    {
        return Ok(());
    }
    let message = "the header Content-Type must be application/json";
    Err(Refusal::bad(RefusalCode::WrongContentType, message))
}

/// Whether a media type is that of JSON; its parameters do not matter.
pub(super) fn is_json_type(media_type: &[u8]) -> bool {
    const JSON: &[u8] = b"application/json";
    let bare = media_type.split(|byte| *byte == b';').next();
    // Mostly it is said in these very bytes.
    media_type == JSON || bare.is_some_and(|bare| bare.trim_ascii().eq_ignore_ascii_case(JSON))
}

// === why there is no decision ===

#[cold]
fn unread(error: BodyError, most: usize) -> Answer {
    let (status, code, message) = match error {
        BodyError::TooLarge => (
            Code::TooLarge,
            RefusalCode::BodyTooLarge,
            format!("the body is larger than {most} bytes"),
        ),
        BodyError::TooSlow => (
            Code::RequestTimeout,
            RefusalCode::BodyTooSlow,
            "the body did not come in time".to_owned(),
        ),
        BodyError::TooMany => (
            Code::Unavailable,
            RefusalCode::TooManyBodies,
            "too many bodies have not come whole".to_owned(),
        ),
        BodyError::NoMemory => (
            Code::Unavailable,
            RefusalCode::BodyMemoryFull,
            "too much is held of bodies that have not come whole".to_owned(),
        ),
        BodyError::Broken => (
            Code::BadRequest,
            RefusalCode::BrokenBody,
            "the body ended too early, or its framing is wrong".to_owned(),
        ),
    };
    let answer = Answer::from(Refusal::new(status, code, message));
    match error {
        BodyError::TooLarge => answer,
        // What comes next on the connection is not known to be a request.
        BodyError::TooSlow | BodyError::Broken | BodyError::TooMany | BodyError::NoMemory => {
            answer.closing()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media_types(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_TYPE, hyper::header::HeaderValue::from_static(value));
        }
        is_json(&headers).is_ok()
    }

    #[test]
    fn json_is_json_whatever_its_parameters() {
        assert!(media_types(&["application/json"]));
        assert!(media_types(&["application/json; charset=utf-8"]));
        assert!(media_types(&["Application/JSON ;charset=UTF-8"]));
    }

    #[test]
    fn all_else_is_not() {
        assert!(!media_types(&[]));
        assert!(!media_types(&["text/plain"]));
        assert!(!media_types(&["application/jsonp"]));
        assert!(!media_types(&["application/problem+json"]));
        assert!(!media_types(&["application/json", "text/plain"]));
    }
}
