//! `envoy.service.auth.v3.Authorization/Check`: may this request pass?
//!
//! Whatever becomes of a question, its answer says `deny` or `allow`, and the call succeeds: a
//! proxy may be set to let requests pass where the call fails (`failure_mode_allow`).

use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;

use super::frame::{self, FrameError};
use super::wire::{
    Attributes, BoolValue, CheckRequest, CheckResponse, DeniedHttpResponse, Field,
    HeaderValue as WireHeader, HeaderValueOption, HttpRequest, HttpStatus, OkHttpResponse,
    RpcStatus, Struct, Value,
};
use crate::access::Peer;
use crate::config::UpstreamHeaders;
use crate::identity::{Passed, Sent};
use crate::server::body::{BodyError, collect};
use crate::server::door::{self, Entry};
use crate::server::proxy::decision::{About, Allowed, Denied, Question, Verdict, decide};
use crate::server::proxy::request::Headers;
use crate::server::respond::Answer;
use crate::server::routes::Route;
use crate::server::trail::Trail;
use crate::server::worker::Worker;
use crate::telemetry::{Api, Code, ProxyRefused, TraceParent};

/// In Envoy's configuration of a route, what names the company.
const COMPANY: &[u8] = b"company";

/// `HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`
const OVERWRITE: i32 = 2;

// Codes of `google.rpc.Code`.
const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;

/// What Envoy tells of a request.
struct Told<'m> {
    http: &'m HttpRequest,
    certificate: Option<&'m str>,
}

/// Answers whether a request may pass.
pub(super) async fn check(
    worker: &Worker,
    peer: &Peer,
    head: &Parts,
    trail: Option<Trail>,
    body: &mut Incoming,
) -> Answer {
    let asked = match read(worker, head, body).await {
        Ok(asked) => asked,
        Err(why) => return refused(worker, why),
    };
    let Ok(_place) = worker.take_place() else {
        return refused(worker, ProxyRefused::Overload);
    };
    let answered = answer(
        worker,
        peer,
        head,
        trail,
        &asked.attributes.unwrap_or_default(),
    );
    answered.unwrap_or_else(|why| refused(worker, why))
}

async fn read(
    worker: &Worker,
    head: &Parts,
    body: &mut Incoming,
) -> Result<CheckRequest, ProxyRefused> {
    let limits = worker.desk().limits();
    if worker.is_head_too_large(head) {
        return Err(ProxyRefused::HeadTooLarge);
    }
    let (most, time) = (limits.body_bytes_max, limits.body_timeout);
    let body = collect(body, most, time, worker.bodies()).await;
    let body = body.map_err(|error| match error {
        BodyError::TooLarge => ProxyRefused::MessageTooLarge,
        BodyError::TooSlow => ProxyRefused::MessageTooSlow,
        BodyError::TooMany | BodyError::NoMemory => ProxyRefused::Overload,
        BodyError::Broken => ProxyRefused::BadMessage,
    })?;
    frame::read(body).map_err(|error| match error {
        FrameError::Compressed => ProxyRefused::CompressedMessage,
        FrameError::Malformed => ProxyRefused::BadMessage,
    })
}

fn answer(
    worker: &Worker,
    peer: &Peer,
    head: &Parts,
    mut trail: Option<Trail>,
    attributes: &Attributes,
) -> Result<Answer, ProxyRefused> {
    let company = company(attributes)?;
    let entry = admit(worker, peer, head, company)?;
    let http = attributes
        .request
        .as_ref()
        .and_then(|asked| asked.http.as_ref());
    let http = http.ok_or(ProxyRefused::TargetMissing)?;
    let told = Told::new(http, attributes)?;
    if let Some(trail) = &mut trail {
        trail.caller.clone_from(&entry.caller);
        told.leave(trail);
    }
    let gate = worker.gate();
    let host = Some(http.host.as_ref()).filter(|host| !host.is_empty());
    let question = Question {
        api: Api::ExtAuthz,
        trail: trail.as_ref(),
        peer,
        caller: entry.caller.as_deref(),
        company: entry.company.as_deref().or(company),
        about: About::Itself(&http.method, host, &http.path),
        headers: &told,
    };
    Ok(match decide(worker.desk(), gate, &question) {
        Verdict::Allow(allowed) => passed(&gate.upstream, &allowed),
        Verdict::Deny(denied) => stopped(&denied),
    })
}

/// The company that is named, once at most.
fn company(attributes: &Attributes) -> Result<Option<&str>, ProxyRefused> {
    let extensions = attributes.context_extensions.iter();
    let mut named = extensions.filter(|pair| pair.key == COMPANY);
    match (named.next(), named.next()) {
        (None, _) => Ok(None),
        (Some(pair), None) => {
            let name = str::from_utf8(&pair.value).map_err(|_| ProxyRefused::UnknownCompany)?;
            Ok(Some(name))
        }
        (Some(_), Some(_)) => Err(ProxyRefused::BadMessage),
    }
}

fn admit(
    worker: &Worker,
    peer: &Peer,
    head: &Parts,
    company: Option<&str>,
) -> Result<Entry, ProxyRefused> {
    let Some(access) = worker.guard() else {
        return Ok(Entry::OPEN);
    };
    let route = Route {
        api: Api::ExtAuthz,
        company,
        rest: "",
    };
    let admitted = door::admit(access, worker.desk(), peer, &head.headers, Some(&route));
    admitted.map_err(|refused| {
        tracing::debug!(refused.message, "a proxy may not ask");
        ProxyRefused::Caller
    })
}

/// Denies what was not decided.
#[cold]
fn refused(worker: &Worker, why: ProxyRefused) -> Answer {
    worker.desk().all_metrics().proxy_refused(why);
    stopped(&Denied::undecided(why))
}

// === answers ===

fn passed(names: &UpstreamHeaders, allowed: &Allowed) -> Answer {
    let told = [
        (&names.user, &allowed.user),
        (&names.roles, &allowed.roles),
        (&names.company, &allowed.company),
    ];
    let response = CheckResponse {
        status: Some(RpcStatus { code: OK }),
        denied_response: None,
        ok_response: Some(OkHttpResponse {
            headers: told.map(|(name, value)| set(name, value)).into(),
            headers_to_remove: Vec::new(),
        }),
        dynamic_metadata: Some(metadata(allowed.reason, Some(&allowed.revision))),
    };
    Answer::message(&response).with_code(Code::Ok)
}

fn stopped(denied: &Denied) -> Answer {
    let (code, rpc) = match denied.challenge {
        Some(_) => (Code::Unauthorized, UNAUTHENTICATED),
        None => (Code::Forbidden, PERMISSION_DENIED),
    };
    let challenge = denied.challenge.map(|challenge| {
        let name = hyper::header::WWW_AUTHENTICATE;
        set(&name, &HeaderValue::from_static(challenge))
    });
    let status = HttpStatus {
        code: i32::from(code.number()),
    };
    let response = CheckResponse {
        status: Some(RpcStatus { code: rpc }),
        denied_response: Some(DeniedHttpResponse {
            status: Some(status),
            headers: challenge.into_iter().collect(),
        }),
        ok_response: None,
        dynamic_metadata: Some(metadata(denied.reason, denied.revision.as_ref())),
    };
    Answer::message(&response).with_code(code)
}

/// A header that takes the place of whatever bears its name, also where it is empty.
fn set(name: &HeaderName, value: &HeaderValue) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(WireHeader {
            key: Bytes::copy_from_slice(name.as_str().as_bytes()),
            value: Bytes::copy_from_slice(value.as_bytes()),
            raw_value: Bytes::new(),
        }),
        append: Some(BoolValue { value: false }),
        append_action: OVERWRITE,
        keep_empty_value: true,
    }
}

/// What Envoy's own log can tell of the decision, under `envoy.filters.http.ext_authz`.
fn metadata(reason: &'static str, revision: Option<&HeaderValue>) -> Struct {
    let field = |key: &'static str, value: Bytes| Field {
        key: Bytes::from_static(key.as_bytes()),
        value: Some(Value {
            string_value: value,
        }),
    };
    let mut fields = vec![field("reason", Bytes::from_static(reason.as_bytes()))];
    fields.extend(revision.map(|revision| {
        let revision = Bytes::copy_from_slice(revision.as_bytes());
        field("revision", revision)
    }));
    Struct { fields }
}

// === impl Told ===

impl<'m> Told<'m> {
    fn new(http: &'m HttpRequest, attributes: &'m Attributes) -> Result<Self, ProxyRefused> {
        let source = attributes.source.as_ref();
        let certificate = source.map(|source| source.certificate.as_ref());
        let certificate = certificate
            .filter(|pem| !pem.is_empty())
            .map(str::from_utf8);
        let certificate = certificate
            .transpose()
            .map_err(|_| ProxyRefused::BadCertificate)?;
        Ok(Self { http, certificate })
    }

    /// All headers, in whichever form they are told.
    fn each(&self) -> impl Iterator<Item = (&'m [u8], &'m [u8])> {
        let http = self.http;
        let raw = http.header_map.iter().flat_map(|map| &map.headers);
        let raw = raw.map(|header| {
            let value = match header.raw_value.is_empty() {
                true => &header.value,
                false => &header.raw_value,
            };
            (header.key.as_ref(), value.as_ref())
        });
        let joined = http.headers.iter();
        joined
            .map(|pair| (pair.key.as_ref(), pair.value.as_ref()))
            .chain(raw)
    }

    /// The original request is the one whose line the decision log gets.
    fn leave(&self, trail: &mut Trail) {
        if let Ok(id) = HeaderValue::from_bytes(&self.http.id)
            && !id.is_empty()
        {
            trail.request_id = id;
        }
        if let (None, Sent::Once(parent)) = (trail.trace_id, self.header("traceparent")) {
            trail.trace_id = TraceParent::read(parent).map(|parent| parent.trace_id);
        }
    }
}

impl Passed for Told<'_> {
    fn header(&self, name: &str) -> Sent<'_> {
        let is_named = |key: &[u8]| key.eq_ignore_ascii_case(name.as_bytes());
        let mut values = self.each().filter(|(key, _)| is_named(key));
        match (values.next(), values.next()) {
            (None, _) => Sent::Nothing,
            (Some((_, value)), None) if is_joined(name, value) => Sent::Several,
            (Some((_, value)), None) => Sent::Once(value),
            (Some(_), Some(_)) => Sent::Several,
        }
    }

    fn certificate(&self) -> Option<&str> {
        self.certificate
    }
}

impl Headers for Told<'_> {
    fn any_name(&self, mut test: impl FnMut(&str) -> bool) -> bool {
        self.each().any(|(key, _)| match str::from_utf8(key) {
            Ok(key) if key.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                test(&key.to_ascii_lowercase())
            }
            Ok(key) => test(key),
            // No header's name: whatever it is taken for, it is not by us.
            Err(_) => true,
        })
    }
}

/// Whether Envoy has joined what several headers of the name said: no user's header, token or
/// target that comes alone holds a comma.
fn is_joined(name: &str, value: &[u8]) -> bool {
    match name {
        // Their parts are joined otherwise, or are told apart where they are read.
        "cookie" | "x-forwarded-client-cert" => false,
        // A scheme other than `Bearer` may have commas of its own.
        "authorization" => {
            let mut parts = value.split(|byte| *byte == b',').skip(1);
            parts.any(|part| {
                let scheme = part.trim_ascii_start().get(..6);
                scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"))
            })
        }
        _ => value.contains(&b','),
    }
}
