//! Outcomes → HTTP: the one place that knows status codes, headers and the form of an error.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;

use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::explanation;
use super::proxy::decision::{Allowed, Denied};
pub(super) use super::refusal::{Refusal, RefusalCode};
use super::rpc::{AnswerBody, Rpc};
use crate::config::UpstreamHeaders;
use crate::decide::Explanation;
use crate::telemetry::{Code, Limit};

const REVISION: HeaderName = HeaderName::from_static("callgate-revision");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CACHEABLE: HeaderValue = HeaderValue::from_static("max-age=3600");
const NOT_CACHEABLE: HeaderValue = HeaderValue::from_static("no-store");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

// Proxies compare these byte by byte.
const ALLOWED: &[u8] = br#"{"decision":true}"#;
const DENIED: &[u8] = br#"{"decision":false}"#;

/// How many digits the number in a request's id has.
const NUMBER_DIGITS: usize = 16;

/// When to try again, in seconds: what is full empties in milliseconds, and a company's first
/// snapshot is compiled in seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: Code,
    body: Bytes,
    revision: Option<HeaderValue>,
    advice: Option<Advice>,
    /// The limit that stood in the way, for its count.
    pub(super) limit: Option<Limit>,
    close: bool,
    caching: Caching,
    /// What a proxy is to tell its application: user, roles, company.
    told: Option<Box<[(HeaderName, HeaderValue); 3]>>,
    /// Whether it goes out by gRPC, and what it is then.
    rpc: Option<Rpc>,
}

/// What would help, in the header of that name.
#[derive(Clone, Copy, Debug)]
enum Advice {
    /// The methods that are allowed.
    Allow(&'static str),
    /// How to prove who asks.
    Challenge(&'static str),
}

/// What is said of keeping an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caching {
    Unsaid,
    /// It stays as it is for a while.
    Allowed,
    /// It is of this request alone.
    Forbidden,
}

/// Makes the ids of requests that bring none, and keeps the header of the last revision.
pub(super) struct Headers {
    /// The last id: which process and worker made it, and a number.
    request_id: RefCell<Vec<u8>>,
    revision: RefCell<HeaderValue>,
}

#[derive(Serialize)]
struct Explained {
    decision: bool,
    context: serde_json::Value,
}

#[derive(Serialize)]
struct Found<'a, R> {
    page: FoundPage<'a>,
    results: Vec<R>,
}

#[derive(Serialize)]
struct FoundPage<'a> {
    next_token: &'a str,
    count: usize,
}

#[derive(Serialize)]
struct FoundEntity<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
}

#[derive(Serialize)]
struct FoundAction<'a> {
    name: &'a str,
}

/// Decisions of a batch, as they are made.
pub(super) struct Decisions(Vec<u8>);

#[derive(Serialize)]
struct ItemError<'a> {
    decision: bool,
    context: ItemErrorContext<'a>,
}

#[derive(Serialize)]
struct ItemErrorContext<'a> {
    error: ItemErrorMembers<'a>,
}

#[derive(Serialize)]
struct ItemErrorMembers<'a> {
    status: u16,
    message: &'a str,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorMembers<'a>,
}

#[derive(Serialize)]
struct ErrorMembers<'a> {
    code: &'a str,
    message: &'a str,
}

// === impl Answer ===

impl Answer {
    /// A decision, and nothing else.
    pub(super) const fn decision(allow: bool) -> Self {
        Self::ok(Bytes::from_static(if allow { ALLOWED } else { DENIED }))
    }

    /// A decision with its reason and steps.
    pub(super) fn explained(allow: bool, explanation: &Explanation, revision: &str) -> Self {
        Self::ok(json(&Explained::new(allow, explanation, revision)))
    }

    /// A page of what a search found: ids of this type, or names of actions.
    pub(super) fn found(kind: Option<&str>, results: &[&str], next_token: &str) -> Self {
        let count = results.len();
        let page = FoundPage { next_token, count };
        Self::ok(match kind {
            Some(kind) => {
                let results = results.iter().map(|id| FoundEntity { kind, id });
                let results = results.collect();
                json(&Found { page, results })
            }
            None => {
                let results = results.iter().map(|name| FoundAction { name }).collect();
                json(&Found { page, results })
            }
        })
    }

    /// Which rows may be listed.
    pub(super) fn filtered(document: &serde_json::Value) -> Self {
        Self::ok(json(document))
    }

    /// What stays as it is until somebody sets it otherwise.
    pub(super) const fn cacheable(body: Bytes) -> Self {
        let mut answer = Self::ok(body);
        answer.caching = Caching::Allowed;
        answer
    }

    /// A proxy's request may pass, and its application is told whose it is.
    pub(super) fn passed(names: &UpstreamHeaders, allowed: Allowed) -> Self {
        let mut answer = Self::ok(Bytes::new());
        answer.caching = Caching::Forbidden;
        answer.revision = Some(allowed.revision);
        answer.told = Some(Box::new([
            (names.user.clone(), allowed.user),
            (names.roles.clone(), allowed.roles),
            (names.company.clone(), allowed.company),
        ]));
        answer
    }

    /// A proxy's request may not pass. Why is the operator's affair: many proxies show the answer
    /// to their client.
    pub(super) fn stopped(denied: Denied) -> Self {
        let mut answer = Self::ok(Bytes::new());
        answer.code = match denied.challenge {
            Some(_) => Code::Unauthorized,
            None => Code::Forbidden,
        };
        answer.caching = Caching::Forbidden;
        answer.revision = denied.revision;
        answer.advice = denied.challenge.map(Advice::Challenge);
        answer
    }

    /// The decisions of a batch.
    pub(super) fn batch(decisions: Decisions) -> Self {
        Self::ok(decisions.finish())
    }

    /// No decision.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self {
            code: refusal.status,
            body: json(&ErrorBody {
                error: ErrorMembers {
                    code: refusal.code.name(),
                    message: &refusal.message,
                },
            }),
            revision: None,
            advice: None,
            limit: refusal.code.limit(),
            close: false,
            caching: Caching::Unsaid,
            told: None,
            rpc: None,
        }
    }

    /// The same, from the snapshot of this revision.
    pub(super) fn of_revision(mut self, revision: HeaderValue) -> Self {
        self.revision = Some(revision);
        self
    }

    /// The same, naming the one method allowed.
    pub(super) const fn allowing(mut self, method: &'static str) -> Self {
        self.advice = Some(Advice::Allow(method));
        self
    }

    /// The same, telling how to prove who asks.
    pub(super) fn challenging(mut self, challenge: Option<&'static str>) -> Self {
        self.advice = challenge.map(Advice::Challenge);
        self
    }

    /// The same, after which the connection is closed.
    pub(super) const fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    const fn ok(body: Bytes) -> Self {
        Self {
            code: Code::Ok,
            body,
            revision: None,
            advice: None,
            limit: None,
            close: false,
            caching: Caching::Unsaid,
            told: None,
            rpc: None,
        }
    }

    /// An answer that goes out by gRPC.
    pub(super) fn by_rpc(body: Bytes, rpc: Rpc) -> Self {
        let mut answer = Self::ok(body);
        answer.rpc = Some(rpc);
        answer
    }

    /// Whether it goes out by gRPC, and what it is then; and its body.
    pub(super) fn rpc(&self) -> Option<(Rpc, Bytes)> {
        self.rpc.map(|rpc| (rpc, self.body.clone()))
    }

    /// The body alone.
    pub(super) fn into_body(self) -> Bytes {
        self.body
    }

    /// The answer as HTTP.
    pub(super) fn into_response(mut self, request_id: HeaderValue) -> Response<AnswerBody> {
        let mut headers = HeaderMap::with_capacity(if self.told.is_some() { 8 } else { 4 });
        self.each_header(request_id, |name, value| {
            headers.insert(name, value);
        });
        let mut response = Response::new(AnswerBody::from(self.body));
        *response.status_mut() = status(self.code);
        *response.headers_mut() = headers;
        response
    }

    /// The answer as HTTP/1.1 writes it, in hyper's words; `date` is the value of `Date`.
    pub(super) fn write(mut self, request_id: HeaderValue, date: &[u8], into: &mut Vec<u8>) {
        let status = status(self.code);
        for part in ["HTTP/1.1 ", status.as_str(), " "] {
            into.extend_from_slice(part.as_bytes());
        }
        let reason = status.canonical_reason().unwrap_or_default();
        into.extend_from_slice(reason.as_bytes());
        into.extend_from_slice(b"\r\n");
        self.each_header(request_id, |name, value| {
            into.extend_from_slice(name.as_str().as_bytes());
            into.extend_from_slice(b": ");
            into.extend_from_slice(value.as_bytes());
            into.extend_from_slice(b"\r\n");
        });
        // Writing into memory does not fail.
        let _ = write!(into, "content-length: {}", self.body.len());
        into.extend_from_slice(b"\r\ndate: ");
        into.extend_from_slice(date);
        into.extend_from_slice(b"\r\n\r\n");
        into.extend_from_slice(&self.body);
    }

    /// Its headers, but those of HTTP itself.
    fn each_header(
        &mut self,
        request_id: HeaderValue,
        mut put: impl FnMut(HeaderName, HeaderValue),
    ) {
        if !self.body.is_empty() {
            put(CONTENT_TYPE, JSON);
        }
        put(REQUEST_ID, request_id);
        if let Some(revision) = self.revision.take() {
            put(REVISION, revision);
        }
        if let Some(advice) = self.advice {
            let (name, value) = match advice {
                Advice::Allow(methods) => (ALLOW, methods),
                Advice::Challenge(challenge) => (WWW_AUTHENTICATE, challenge),
            };
            put(name, HeaderValue::from_static(value));
        }
        if self.code == Code::Unavailable {
            put(RETRY_AFTER, RETRY_SECONDS);
        }
        match self.caching {
            Caching::Unsaid => {}
            Caching::Allowed => put(CACHE_CONTROL, CACHEABLE),
            Caching::Forbidden => put(CACHE_CONTROL, NOT_CACHEABLE),
        }
        for (name, value) in self.told.take().into_iter().flat_map(|told| *told) {
            put(name, value);
        }
        if self.close {
            put(CONNECTION, CLOSE);
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::refused(&refusal)
    }
}

// === impl Explained ===

impl Explained {
    fn new(decision: bool, explained: &Explanation, revision: &str) -> Self {
        let context = explanation::context(explained, revision);
        Self { decision, context }
    }
}

// === impl Decisions ===

impl Decisions {
    /// Room for this many.
    pub(super) fn with_capacity(items: usize) -> Self {
        let mut body = Vec::with_capacity((DENIED.len() + 1) * items + 32);
        body.extend_from_slice(br#"{"evaluations":["#);
        Self(body)
    }

    /// A decision, and nothing else.
    pub(super) fn decision(&mut self, allow: bool) {
        self.0
            .extend_from_slice(if allow { ALLOWED } else { DENIED });
        self.0.push(b',');
    }

    /// A decision with its reason and steps.
    pub(super) fn explained(&mut self, allow: bool, explanation: &Explanation, revision: &str) {
        let explained = json(&Explained::new(allow, explanation, revision));
        self.0.extend_from_slice(&explained);
        self.0.push(b',');
    }

    /// No decision, and so a deny.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        let error = ItemErrorMembers {
            status: refusal.status.number(),
            message: &refusal.message,
        };
        let context = ItemErrorContext { error };
        let decision = false;
        self.0
            .extend_from_slice(&json(&ItemError { decision, context }));
        self.0.push(b',');
    }

    fn finish(mut self) -> Bytes {
        self.0.pop_if(|last| *last == b',');
        self.0.extend_from_slice(b"]}");
        self.0.into()
    }
}

// === impl Headers ===

impl Headers {
    /// For the worker of this number.
    pub(super) fn new(worker: usize) -> Self {
        // The seed of a hasher is random in each process, which is all that is needed here.
        let process = RandomState::new().hash_one(std::process::id()) >> 32;
        Self {
            request_id: RefCell::new(
                format!("{process:08x}-{worker:02x}-{:0NUMBER_DIGITS$x}", 0).into_bytes(),
            ),
            revision: RefCell::new(HeaderValue::from_static("")),
        }
    }

    /// An id that no other request has.
    pub(super) fn request_id(&self) -> HeaderValue {
        let mut id = self.request_id.borrow_mut();
        // The last digit, and with each that begins anew the one before it.
        for digit in id.iter_mut().rev().take(NUMBER_DIGITS) {
            *digit = next(*digit);
            if *digit != b'0' {
                break;
            }
        }
        HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static(""))
    }

    /// The header's value for a revision. The last one is kept: mostly it is the next one too.
    pub(super) fn revision(&self, revision: &str) -> HeaderValue {
        let mut last = self.revision.borrow_mut();
        if last.as_bytes() != revision.as_bytes() {
            *last = HeaderValue::from_str(revision).unwrap_or(HeaderValue::from_static(""));
        }
        last.clone()
    }
}

/// The next hexadecimal digit; after the last comes the first.
const fn next(digit: u8) -> u8 {
    match digit {
        b'9' => b'a',
        b'f' => b'0',
        digit => digit + 1,
    }
}

pub(super) const fn status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::BadRequest => StatusCode::BAD_REQUEST,
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Code::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Bodies of ours are structs of text and numbers: they can always be written.
pub(super) fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_request_gets_an_id_of_its_own() {
        let headers = Headers::new(3);
        let ids: Vec<_> = (0..5_000).map(|_| headers.request_id()).collect();
        let different: BTreeSet<_> = ids.iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(different.len(), ids.len());
        let last = ids.last().unwrap().to_str().unwrap();
        assert_eq!(last.len(), 28);
        assert!(last.contains("-03-") && last.ends_with("1388"), "{last}");
        assert_ne!(Headers::new(3).request_id(), ids[0], "another process");
    }

    #[test]
    fn the_revision_is_the_snapshots_even_when_it_changes() {
        let headers = Headers::new(0);
        for revision in ["aa", "aa", "bb", "aa"] {
            assert_eq!(headers.revision(revision), revision);
        }
    }
}
