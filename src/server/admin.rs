//! The admin listener: `/livez`, `/readyz`, `/metrics`, `/v1/snapshots`, `POST /v1/reload`.
//!
//! It runs beside the workers, on the control runtime: whatever is asked here, decisions go on.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, EXPECT, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;

use super::bodies::Bodies;
use super::company_metrics;
use super::connection::{self, http};
use super::door::{self, Refused};
use super::freshness::stale;
use super::listener::Listener;
use super::pace::{Pace, Paces, TICK};
use super::readiness::is_active;
use super::reload::{ReloadHandle, ReloadOptions};
use super::respond::{json, status};
use super::room::Room;
use super::rpc::AnswerBody;
use super::snapshots::snapshots;
use super::turns::Turns;
use super::{Shared, body};
use crate::access::{Peer, Right, TlsFor};
use crate::config::WhenStale;
use crate::telemetry::Limit;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The Prometheus text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the admin listener's requests share.
pub(super) struct Admin {
    shared: Arc<Shared>,
    reload: ReloadHandle,
    paces: Paces,
    /// Of TLS handshakes.
    turns: Turns,
    room: Room,
    bodies: Bodies,
}

/// An interface of the admin listener.
#[derive(Clone, Copy, Debug)]
pub struct AdminInterface {
    /// Its path.
    pub path: &'static str,
    /// Its methods, as in the header `Allow`.
    pub methods: &'static str,
    /// The status codes that it may answer to these methods.
    pub codes: &'static [u16],
}

/// Every interface of the admin listener.
pub static ADMIN_INTERFACES: [AdminInterface; 5] = [
    read("/livez", &[200]),
    read("/readyz", &[200, 401, 403, 503]),
    read("/metrics", &[200, 401, 403, 500]),
    read("/v1/snapshots", &[200, 401, 403]),
    AdminInterface {
        path: "/v1/reload",
        methods: "POST",
        codes: &[200, 400, 401, 403, 413, 502],
    },
];

const fn read(path: &'static str, codes: &'static [u16]) -> AdminInterface {
    AdminInterface {
        path,
        methods: "GET, HEAD",
        codes,
    }
}

/// What is answered.
struct Page {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    allow: Option<&'static str>,
    challenge: Option<&'static str>,
}

/// The body of `POST /v1/reload`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReloadBody {
    accept_failed_tests: bool,
    accept_loss: bool,
    accept_rollback: bool,
}

// === impl Admin ===

impl Admin {
    pub(super) fn new(shared: Arc<Shared>, reload: ReloadHandle) -> Rc<Self> {
        Rc::new(Self {
            paces: Paces::new(&shared.limits),
            turns: Turns::new(shared.limits.handshakes_max, 1),
            room: Room::new(shared.limits.admin_connections_max),
            bodies: Bodies::new(&shared.limits, shared.metrics.shards().len()),
            shared,
            reload,
        })
    }

    /// Serves until `stopped` is set: after the last worker has gone.
    pub(super) async fn run(
        self: Rc<Self>,
        listener: Listener,
        mut stopped: watch::Receiver<bool>,
    ) {
        let http = Rc::new(http(&self.shared.limits));
        let mut tick = tokio::time::interval(TICK);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = tick.tick() => {
                    self.tick();
                    continue;
                }
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            let stream = match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!(%error, "no admin connection can be accepted");
                    tokio::time::sleep(TICK).await;
                    continue;
                }
            };
            if self.paces.count() >= self.shared.limits.admin_connections_max {
                self.shared.metrics.limit_reached(Limit::AdminConnections);
                continue;
            }
            let (admin, http, pace) = (Rc::clone(&self), Rc::clone(&http), self.paces.add());
            tokio::task::spawn_local(async move {
                let (access, metrics) = (admin.shared.access.as_deref(), &admin.shared.metrics);
                let entered = door::enter(
                    access,
                    metrics,
                    stream,
                    TlsFor::Operators,
                    &admin.turns,
                    &pace,
                );
                if let Some((stream, peer)) = entered.await {
                    let peer = Rc::new(peer);
                    let service = hyper::service::service_fn(|request| {
                        Rc::clone(&admin).answer(Rc::clone(&pace), Rc::clone(&peer), request)
                    });
                    connection::serve(&http, stream, None, &pace, service).await;
                }
                if pace.gave_way() {
                    admin.room.unclaim(1);
                }
            });
        }
    }

    fn tick(&self) {
        self.paces.tick();
        // Or who says nothing would keep probes out.
        let open = self.paces.count() as u64;
        let claimed = self.room.claim(open, 1);
        let gone = self
            .paces
            .make_room(usize::try_from(claimed).unwrap_or(usize::MAX));
        self.room.unclaim(claimed - gone);
        let metrics = &self.shared.metrics;
        metrics.limits_reached(Limit::AdminConnections, gone);
    }

    async fn answer(
        self: Rc<Self>,
        pace: Rc<Pace>,
        peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        pace.request_began();
        let (head, mut body) = request.into_parts();
        let page = self.page(&peer, &head, &mut body).await;
        pace.request_ended();
        if !body.is_end_stream() {
            let awaits_continue = head.headers.contains_key(EXPECT);
            let time = self.shared.limits.body_timeout;
            body::leave(body, &pace, awaits_continue, time);
        }
        Ok(page.into_response())
    }

    async fn page(&self, peer: &Peer, head: &Parts, body: &mut Incoming) -> Page {
        let path = head.uri.path();
        if let Err(refused) = self.admit(peer, head) {
            return Page::refused(refused);
        }
        let Some(interface) = ADMIN_INTERFACES.iter().find(|is| is.path == path) else {
            let message = "there is nothing here";
            return Page::error(StatusCode::NOT_FOUND, "unknown_path", message);
        };
        let mut methods = interface.methods.split(", ");
        if !methods.any(|method| method == head.method.as_str()) {
            return Page::wrong_method(interface.methods);
        }
        let page = match path {
            "/readyz" => self.readyz(head.uri.query().unwrap_or("")),
            "/metrics" => self.metrics(),
            "/v1/snapshots" => self.snapshots(StatusCode::OK, None),
            "/v1/reload" => self.reload(body).await,
            _ => Page::text(StatusCode::OK, "ok\n"),
        };
        debug_assert!(
            interface.codes.contains(&page.status.as_u16()),
            "{path}: {}",
            page.status
        );
        page
    }

    /// Whether whoever asks may. Probes prove nothing, and learn nothing but whether it is well.
    fn admit(&self, peer: &Peer, head: &Parts) -> Result<(), Refused> {
        let Some(access) = (self.shared.access.as_ref()).filter(|access| access.demands_proof())
        else {
            return Ok(());
        };
        let right = match head.uri.path() {
            "/livez" => return Ok(()),
            "/readyz" if head.uri.query().is_none() => return Ok(()),
            "/readyz" | "/metrics" => Some(Right::Metrics),
            "/v1/snapshots" | "/v1/reload" => Some(Right::Admin),
            _ => None,
        };
        door::admit_operator(access, &self.shared.metrics, peer, &head.headers, right)
    }

    /// `?company=NAME`: whether that one is active; `?verbose`: each company.
    fn readyz(&self, query: &str) -> Page {
        let companies = &self.shared.companies;
        let readiness = &self.shared.readiness;
        let pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (mut company, mut verbose) = (None, false);
        for (name, value) in pairs {
            match name {
                "company" => company = Some(value),
                "verbose" => verbose = true,
                _ => {}
            }
        }
        let freshness = self.shared.freshness;
        let stale = match freshness.when_stale {
            WhenStale::Unready => stale(companies, freshness, SystemTime::now()),
            WhenStale::Serve | WhenStale::Deny => BTreeSet::new(),
        };
        let ready = match company {
            None => readiness.is_ready(companies) && stale.is_empty(),
            Some(company) => {
                let active = is_active(companies, company) && !readiness.is_stopping();
                active && !stale.contains(company)
            }
        };
        let mut text = String::new();
        if verbose {
            let tried = if readiness.is_starting() { '-' } else { '+' };
            let _ = writeln!(text, "[{tried}] every company tried");
            for name in companies.names() {
                let active = if is_active(companies, &name) {
                    '+'
                } else {
                    '-'
                };
                let _ = writeln!(text, "[{active}] {name}");
            }
            for name in &stale {
                let _ = writeln!(text, "[-] {name} is too old");
            }
            if readiness.is_stopping() {
                text.push_str("[-] stopping\n");
            }
        }
        text.push_str(if ready { "ready\n" } else { "not ready\n" });
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        Page::text(status, text)
    }

    fn metrics(&self) -> Page {
        let now = SystemTime::now();
        let mut more = company_metrics::families(&self.shared.companies, now);
        if let Some(journal) = &self.shared.journal {
            more.extend(journal.families());
        }
        if let Some(shadow) = &self.shared.shadow {
            more.push(shadow.family());
        }
        if let Some(spans) = &self.shared.spans {
            more.extend(spans.families());
        }
        match self.shared.metrics.text(more) {
            Ok(text) => Page {
                kind: METRICS,
                ..Page::text(StatusCode::OK, text)
            },
            Err(error) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Page::error(status, "internal", &error.to_string())
            }
        }
    }

    fn snapshots(&self, status: StatusCode, error: Option<&str>) -> Page {
        let body = snapshots(&self.shared.companies, SystemTime::now(), error);
        Page {
            status,
            kind: JSON,
            body: json(&body),
            allow: None,
            challenge: None,
        }
    }

    async fn reload(&self, body: &mut Incoming) -> Page {
        let bad = |message: &str| Page::error(StatusCode::BAD_REQUEST, "invalid_body", message);
        let (most, time) = (
            self.shared.limits.body_bytes_max,
            self.shared.limits.body_timeout,
        );
        let body = match body::collect(body, most, time, &self.bodies).await {
            Ok(body) => body,
            Err(body::BodyError::TooLarge) => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return Page::error(status, "body_too_large", "the body is too large");
            }
            Err(_) => return bad("the body did not come whole"),
        };
        let options = match reload_body(&body) {
            Ok(options) => options,
            Err(error) => return bad(&format!("the body does not say what to accept: {error}")),
        };
        let options = ReloadOptions {
            accept_failed_tests: options.accept_failed_tests,
            accept_loss: options.accept_loss,
            accept_rollback: options.accept_rollback,
        };
        match self.reload.call(options).await {
            Ok(()) => self.snapshots(StatusCode::OK, None),
            Err(error) => self.snapshots(StatusCode::BAD_GATEWAY, Some(&error)),
        }
    }
}

/// An object, or nothing; a list is no struct here, as it would be to serde alone.
fn reload_body(body: &[u8]) -> serde_json::Result<ReloadBody> {
    if body.is_empty() {
        return Ok(ReloadBody::default());
    }
    let members: serde_json::Map<_, _> = serde_json::from_slice(body)?;
    serde_json::from_value(serde_json::Value::Object(members))
}

// === impl Page ===

impl Page {
    fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self {
            status,
            kind: TEXT,
            body: text.into(),
            allow: None,
            challenge: None,
        }
    }

    fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let error = serde_json::json!({ "error": { "code": code, "message": message } });
        Self {
            status,
            kind: JSON,
            body: json(&error),
            allow: None,
            challenge: None,
        }
    }

    fn refused(refused: Refused) -> Self {
        let page = Self::error(
            status(refused.status),
            refused.code.name(),
            &refused.message,
        );
        Self {
            challenge: refused.challenge,
            ..page
        }
    }

    fn wrong_method(allow: &'static str) -> Self {
        let message = format!("this path takes {allow}");
        let page = Self::error(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            &message,
        );
        Self {
            allow: Some(allow),
            ..page
        }
    }

    fn into_response(self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
