//! AuthZEN evaluation: a request's way from its body to its answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Instant, SystemTime};

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};

use super::body::{self, BodyError};
use super::evaluation::EvaluationRequest;
use super::respond::{Answer, Refusal, RefusalCode};
use super::worker::Worker;
use crate::companies::Current;
use crate::decide;
use crate::model::{Query, Reason, Timestamp};
use crate::snapshot::Snapshot;
use crate::telemetry::{Api, Code, Shard};

/// Answers an evaluation for the company that the path names, or for the one there is.
pub(super) async fn evaluation(
    worker: &Worker,
    company: Option<&str>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    let body = match body::collect(body, worker.limits().body_timeout).await {
        Ok(body) => body,
        Err(error) => return unread(error),
    };
    // From here on nothing waits; so a bug can be caught here, and its request alone pays for it.
    caught(worker.metrics(), || {
        evaluate(worker, company, headers, &body)
    })
}

/// The answer, or status 500 if making it meets a bug: nothing that is shared is left half changed
/// by that, since an answer changes nothing but counts.
fn caught(metrics: &Shard, answer: impl FnOnce() -> Answer) -> Answer {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
        metrics.panicked();
        let message = "this is a bug in callgate; its log has more";
        Refusal::new(Code::Internal, RefusalCode::Internal, message).into()
    })
}

/// The request's one look at its company's snapshot, and all that is done with it.
fn evaluate(worker: &Worker, company: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Answer {
    let request = is_json(headers).and_then(|()| EvaluationRequest::read(body));
    let now = Timestamp::from(SystemTime::now());
    let check = request.as_ref().map_err(Clone::clone);
    let check = check.and_then(|request| request.check(now));
    // Before the snapshot is looked at: so it is not older than the generation promised here.
    let reached = match &check {
        Ok(check) => worker.has_reached(company, check.min_generation),
        Err(_) => true,
    };
    worker.with_company(company, |current| {
        let snapshot = match current {
            Current::Active(snapshot) => snapshot,
            Current::Inactive => return no_snapshot().into(),
            Current::Unknown if worker.readiness().is_starting() => return no_snapshot().into(),
            Current::Unknown => return unknown(company).into(),
        };
        let answer = match check {
            Err(refusal) => refusal.into(),
            Ok(_) if !reached => not_reached().into(),
            Ok(check) => {
                let reason = decide_counted(worker, snapshot, check.query());
                if check.explain {
                    let explanation = decide::explain(snapshot, check.query());
                    Answer::explained(reason.allows(), &explanation, snapshot.revision())
                } else {
                    Answer::decision(reason.allows())
                }
            }
        };
        answer.of_revision(worker.headers().revision(snapshot.revision()))
    })
}

/// Decides, counts it, and takes the time of a few.
fn decide_counted<'s>(worker: &Worker, snapshot: &'s Snapshot, query: &Query<'_>) -> Reason<'s> {
    let metrics = worker.metrics();
    let reason = if metrics.samples_next() {
        let began = Instant::now();
        let reason = decide::check(snapshot, query);
        metrics.decision_took(began.elapsed());
        reason
    } else {
        decide::check(snapshot, query)
    };
    metrics.decided(Api::Evaluation, &reason);
    reason
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

#[cold]
fn unknown(company: Option<&str>) -> Refusal {
    let message = match company {
        Some(_) => "there is no company of this name",
        None => "there is not exactly one company: name it, as in /COMPANY/access/v1/evaluation",
    };
    Refusal::new(Code::NotFound, RefusalCode::UnknownCompany, message)
}

#[cold]
fn no_snapshot() -> Refusal {
    let message = "nothing of this company's policy was ever activated";
    Refusal::new(Code::Unavailable, RefusalCode::NoActiveSnapshot, message)
}

#[cold]
fn not_reached() -> Refusal {
    let message = "what decides is older than `context.callgate.min_generation`";
    Refusal::new(
        Code::Unavailable,
        RefusalCode::GenerationNotReached,
        message,
    )
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
    fn a_bug_costs_its_own_request_alone() {
        let shard = Shard::default();
        let answer = caught(&shard, || panic!("a bug, on purpose"));
        assert_eq!((answer.code, shard.panics()), (Code::Internal, 1));
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
