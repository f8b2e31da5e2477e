//! AuthZEN evaluation, plain and explained: a request's way from its body to its answer.

use std::time::SystemTime;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};

use super::body::{self, BodyError};
use super::desk::{Desk, not_reached};
use super::evaluation::EvaluationRequest;
use super::respond::{Answer, Refusal, RefusalCode};
use super::worker::Worker;
use crate::decide;
use crate::model::Timestamp;
use crate::telemetry::{Api, Code};

/// A request's body, read and said to be JSON, or why it is not taken.
type Said = Result<Bytes, Refusal>;

/// Answers an evaluation for the company that the path names, or for the one there is.
pub(super) async fn evaluation(
    worker: &Worker,
    company: Option<&str>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    let said = match read(worker, headers, body).await {
        Ok(said) => said,
        Err(answer) => return answer,
    };
    let desk = worker.desk();
    // From here on nothing waits; so a bug can be caught here, and its request alone pays for it.
    let mut explain = false;
    let answer = desk.caught(|| evaluate(desk, company, &said, &mut explain));
    if explain {
        return explained_on_pool(worker, Api::Evaluation, company, said).await;
    }
    answer
}

/// Answers an evaluation with the steps that led to the decision.
pub(super) async fn explain(
    worker: &Worker,
    company: Option<&str>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    match read(worker, headers, body).await {
        Ok(said) => explained_on_pool(worker, Api::Explain, company, said).await,
        Err(answer) => answer,
    }
}

/// The request's one look at its company's snapshot, and all that is done with it. If it asks for
/// an explanation, that is noted and nothing is decided.
fn evaluate(desk: &Desk, company: Option<&str>, said: &Said, explain: &mut bool) -> Answer {
    let request = said.as_deref().map_err(Clone::clone);
    let request = request.and_then(EvaluationRequest::read);
    let now = Timestamp::from(SystemTime::now());
    let check = request.as_ref().map_err(Clone::clone);
    let check = check.and_then(|request| request.check(now));
    let reached = match &check {
        Ok(check) if check.explain => {
            *explain = true;
            return Answer::decision(false); // nobody sees it
        }
        Ok(check) => desk.has_reached(company, check.min_generation),
        Err(_) => true,
    };
    desk.answer(company, |snapshot| {
        let check = check?;
        if !reached {
            return Err(not_reached());
        }
        let reason = desk.decide(Api::Evaluation, snapshot, check.query());
        Ok(Answer::decision(reason.allows()))
    })
}

async fn explained_on_pool(worker: &Worker, api: Api, company: Option<&str>, said: Said) -> Answer {
    let company = company.map(str::to_owned);
    let question = move |desk: &Desk| explain_evaluation(desk, api, company.as_deref(), &said);
    worker.pool().ask(question).await
}

/// As [`evaluate`], with steps.
fn explain_evaluation(desk: &Desk, api: Api, company: Option<&str>, said: &Said) -> Answer {
    let request = said.as_deref().map_err(Clone::clone);
    let request = request.and_then(EvaluationRequest::read);
    let now = Timestamp::from(SystemTime::now());
    let check = request.as_ref().map_err(Clone::clone);
    let check = check.and_then(|request| request.check(now));
    let least = check.as_ref().map_or(None, |check| check.min_generation);
    let reached = desk.has_reached(company, least);
    desk.answer(company, |snapshot| {
        let check = check?;
        if !reached {
            return Err(not_reached());
        }
        let reason = desk.decide(api, snapshot, check.query());
        let explanation = decide::explain(snapshot, check.query());
        let revision = snapshot.revision();
        Ok(Answer::explained(reason.allows(), &explanation, revision))
    })
}

/// Reads the body whole; what it should have been said to be is left to be told after the company.
pub(super) async fn read(
    worker: &Worker,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Said, Answer> {
    let body = body::collect(body, worker.desk().limits().body_timeout).await;
    let body = body.map_err(unread)?;
    Ok(is_json(headers).map(|()| body))
}

/// Whether the body is said to be JSON; parameters of the media type do not matter.
fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    const MEDIA_TYPE: &[u8] = b"application/json";
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    if let (Some(value), None) = (values.next(), values.next()) {
        let media_type = value.as_bytes().split(|byte| *byte == b';').next();
        if media_type.is_some_and(|is| is.trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE)) {
            return Ok(());
        }
    }
    let message = "the header Content-Type must be application/json";
    Err(Refusal::bad(RefusalCode::WrongContentType, message))
}

// === why there is no decision ===

#[cold]
fn unread(error: BodyError) -> Answer {
    let (status, code, message) = match error {
        BodyError::TooLarge => (
            Code::TooLarge,
            RefusalCode::BodyTooLarge,
            format!("the body is larger than {} bytes", body::BODY_BYTES_MAX),
        ),
        BodyError::TooSlow => (
            Code::RequestTimeout,
            RefusalCode::BodyTooSlow,
            "the body did not come in time".to_owned(),
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
        BodyError::TooSlow | BodyError::Broken => answer.closing(),
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
