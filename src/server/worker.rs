//! Workers: threads that read requests, decide and answer, each with a runtime of its own.
//!
//! A connection belongs to one worker from beginning to end. Nothing that a request touches on its
//! way is written by another worker; so two workers do twice the work of one.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use httpdate::fmt_http_date;
use hyper::body::{Body, Incoming};
use hyper::header::{EXPECT, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, Version};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;

use super::bodies::Bodies;
use super::connection::{self, http};
use super::desk::Desk;
use super::direct::{Direct, Head};
use super::door::Entry;
use super::evaluation::Sought;
use super::pace::{Pace, Paces, TICK};
use super::pool::Pool;
use super::proxy::gate::Gate;
use super::respond::{Answer, REQUEST_ID, Refusal, RefusalCode};
use super::routes::{Route, is_foreseen, route};
use super::rpc::{AnswerBody, Call};
use super::stream::Detached;
use super::trail::{Trail, trace_parent};
use super::turns::Turns;
use super::underway::Underway;
use super::{
    Shared, Stage, authzen, away, batch, body, discovery, door, filter, proxy, search, wait,
};
use crate::access::{Access, Peer, TlsFor};
use crate::telemetry::{Api, Begun, Code, Limit, ProxyRefused, Tracer};

/// Connections on their way to a worker.
const HANDOVER: usize = 1024;

/// How often a worker that stops looks whether its last connection is gone.
const GONE_POLL: Duration = Duration::from_millis(5);

/// What the requests of one worker share.
pub(super) struct Worker {
    shared: Arc<Shared>,
    desk: Desk,
    pool: Pool,
    paces: Paces,
    /// Of TLS handshakes.
    turns: Turns,
    /// Whom to ask who may; none: nobody is asked for proof.
    guard: Option<Arc<Access>>,
    bodies: Bodies,
    requests_max: usize,
    /// Requests that have come whole and are not answered.
    requests: Cell<usize>,
    /// Requests that were answered directly, so far.
    answers: Cell<u64>,
    /// Whether clients are led elsewhere.
    draining: Cell<bool>,
    /// With which spans are noted, where they are.
    tracer: Option<RefCell<Tracer>>,
    /// For the header `Date`, as of the last tick.
    date: RefCell<String>,
}

/// A place among the requests that have come whole; it is free again when this is gone.
pub(super) struct Place<'w>(&'w Cell<usize>);

/// Starts the worker of this number on a thread of its own, and returns the way to it.
///
/// It ends after `stopping` is set and its last connection is gone, or the drain timeout has passed;
/// then, or if a bug ends it, `running` is dropped.
pub(super) fn start(
    number: usize,
    shared: Arc<Shared>,
    pool: Pool,
    stopping: watch::Receiver<Stage>,
    running: mpsc::Sender<Infallible>,
) -> io::Result<mpsc::Sender<Detached>> {
    let (connections, incoming) = mpsc::channel(HANDOVER);
    let thread = std::thread::Builder::new().name(format!("callgate-{number}"));
    thread.spawn(move || {
        let mut runtime = Builder::new_current_thread();
        if let Some(shard) = shared.metrics.shards().get(number) {
            away::watch(&mut runtime, Arc::clone(shard));
        }
        let runtime = runtime.enable_all().build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                runtime.block_on(Worker::new(number, shared, pool).run(incoming, stopping));
            }
            Err(error) => tracing::error!(%error, number, "a worker cannot start"),
        }
        drop(running);
    })?;
    Ok(connections)
}

// === impl Worker ===

impl Worker {
    fn new(number: usize, shared: Arc<Shared>, pool: Pool) -> Rc<Self> {
        let shards = shared.metrics.shards();
        let workers = shards.len().max(1);
        let shard = shards.get(number).map_or_else(Arc::default, Arc::clone);
        let tracer = shared.spans.as_ref().and_then(|spans| spans.tracer());
        Rc::new(Self {
            desk: Desk::new(Arc::clone(&shared), shard, number),
            pool,
            paces: Paces::new(&shared.limits),
            turns: Turns::new(shared.limits.handshakes_max, workers),
            guard: (shared.access.clone()).filter(|access| access.demands_proof()),
            requests_max: shared.limits.requests_max.div_ceil(workers),
            bodies: Bodies::new(&shared.limits, workers),
            requests: Cell::new(0),
            answers: Cell::new(0),
            draining: Cell::new(false),
            tracer: tracer.map(RefCell::new),
            date: RefCell::new(fmt_http_date(SystemTime::now())),
            shared,
        })
    }

    async fn run(
        self: Rc<Self>,
        mut incoming: mpsc::Receiver<Detached>,
        mut stopping: watch::Receiver<Stage>,
    ) {
        let http = Rc::new(http(&self.shared.limits));
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                connection = incoming.recv() => match connection {
                    Some(connection) => self.serve(&http, connection),
                    None => break, // no acceptor is left
                },
                _ = tick.tick() => self.tick(),
                _ = stopping.wait_for(|stage| *stage > Stage::Serving), if !self.draining.get() => {
                    self.draining.set(true);
                    self.paces.finish_http2();
                }
            }
        }
        let _ = stopping.wait_for(|stage| *stage == Stage::Stopping).await;
        self.draining.set(true);
        self.paces.finish_all();
        let gone = async {
            while self.paces.count() > 0 {
                tokio::select! {
                    () = tokio::time::sleep(GONE_POLL) => {}
                    _ = tick.tick() => self.tick(),
                }
            }
        };
        let deadline = self.shared.limits.drain_timeout;
        if tokio::time::timeout(deadline, gone).await.is_err() {
            let open = self.paces.count();
            tracing::warn!(open, "connections were cut off at the drain deadline");
        }
    }

    fn tick(&self) {
        *self.date.borrow_mut() = fmt_http_date(SystemTime::now());
        let (ticked, metrics) = (self.paces.tick(), &self.shared.metrics);
        metrics.limits_reached(Limit::HeaderTime, ticked.heads);
        metrics.limits_reached(Limit::IdleTime, ticked.idle);
        metrics.limits_reached(Limit::Streams, ticked.streams);
        metrics.limits_reached(Limit::HeaderBytes, ticked.heads_too_large);
        self.make_room();
    }

    /// Sends silent connections away where few places are left.
    fn make_room(&self) {
        let (room, metrics) = (&self.shared.room, &self.shared.metrics);
        let claimed = room.claim(metrics.connections_open(), metrics.shards().len());
        if claimed > 0 {
            let wanted = usize::try_from(claimed).unwrap_or(usize::MAX);
            let gone = self.paces.make_room(wanted);
            room.unclaim(claimed - gone);
            metrics.limits_reached(Limit::Connections, gone);
        }
    }

    fn serve(self: &Rc<Self>, http: &Rc<connection::Http>, connection: Detached) {
        let stream = match connection.attach() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was lost");
                return self.shared.metrics.connection_closed();
            }
        };
        let (worker, http, pace) = (Rc::clone(self), Rc::clone(http), self.paces.add());
        spawn_local(async move {
            let (access, metrics) = (worker.shared.access.as_deref(), &worker.shared.metrics);
            let entered = door::enter(
                access,
                metrics,
                stream,
                TlsFor::Decisions,
                &worker.turns,
                &pace,
            )
            .await;
            if let Some((stream, peer)) = entered {
                let peer = Rc::new(peer);
                let service = hyper::service::service_fn(|request| {
                    let (pace, peer) = (Rc::clone(&pace), Rc::clone(&peer));
                    worker.clone().answer(pace, peer, request)
                });
                let direct = Some(Direct::new(Rc::clone(&worker), Rc::clone(&peer)));
                if connection::serve(&http, stream, direct, &pace, service).await {
                    metrics.limit_reached(Limit::HeaderBytes);
                }
            }
            worker.shared.metrics.connection_closed();
            // After that: or another would be sent away in its stead.
            if pace.gave_way() {
                worker.shared.room.unclaim(1);
            }
        });
    }

    /// Answers a request that has come whole, in HTTP/1.1 and at the end of `answers`. Returns whether
    /// it did: evaluations, batches and proxies' questions about headers are answered so, unless they are
    /// to wait or to close their connection. Those go the way of all others.
    pub(super) fn answer_directly(
        &self,
        pace: &Pace,
        peer: &Peer,
        head: &Head<'_, '_>,
        body: &[u8],
        answers: &mut Vec<u8>,
    ) -> bool {
        let limits = self.desk.limits();
        let is_served = head.has_plain_path()
            && head.len <= limits.header_bytes_max
            && body.len() <= limits.body_bytes_max;
        if !is_served || self.draining.get() || pace.finishes() {
            return false;
        }
        let Some((answer, request_id)) = self.decide_directly(pace, peer, head, body) else {
            return false;
        };
        answer.write(request_id, self.date.borrow().as_bytes(), answers);
        self.answers.set(self.answers.get() + 1);
        true
    }

    /// How many requests were answered directly so far.
    pub(super) const fn answers(&self) -> u64 {
        self.answers.get()
    }

    fn decide_directly(
        &self,
        pace: &Pace,
        peer: &Peer,
        head: &Head<'_, '_>,
        body: &[u8],
    ) -> Option<(Answer, HeaderValue)> {
        let method = Method::from_bytes(head.method.as_bytes()).ok()?;
        let route = route(&method, head.target).ok()?;
        let is_plain = match route.api {
            Api::Evaluation | Api::Evaluations => {
                head.media_type.is_some_and(authzen::is_json_type)
                    && !wait::may_name_generation(body)
            }
            // An answer to HEAD has another form.
            Api::ProxyAuth => method != Method::HEAD,
            _ => false,
        };
        if !is_plain {
            return None;
        }
        let request_id = match head.request_id {
            Some(id) if !id.is_empty() => HeaderValue::from_bytes(id).ok()?,
            _ => self.desk.headers().request_id(),
        };
        let (mut parts, ()) = Request::new(()).into_parts();
        let leaves_trails = self.tracer.is_some() || self.desk.leaves_trails();
        if route.api == Api::ProxyAuth || self.guard.is_some() || leaves_trails {
            parts.headers = head.headers()?;
        }
        let headers = &parts.headers;
        let underway = Underway::begin(&self.desk, pace);
        let span = self.begin_span(headers);
        let traced = span.map(|span| span.trace_id);
        let mut trail = self.desk.trail(headers, &request_id, traced);
        let answer = match self.enter(peer, headers, route.api, Some(&route)) {
            Err(refused) => refused,
            Ok(entry) => {
                if let Some(trail) = &mut trail {
                    trail.caller.clone_from(&entry.caller);
                }
                let company = entry.company.as_deref().or(route.company);
                let trail = trail.as_ref();
                if route.api == Api::ProxyAuth {
                    let caller = entry.caller.as_deref();
                    proxy::http::answer(self, trail, peer, caller, company, &route, &parts)
                } else {
                    let at_once = match route.api {
                        Api::Evaluations => batch::at_once,
                        _ => authzen::at_once,
                    };
                    match self.take_place() {
                        Err(too_many) => too_many,
                        Ok(_place) => at_once(&self.desk, trail, company, Ok(body))?,
                    }
                }
            }
        };
        self.answered(underway, span, route.api, &answer);
        Some((answer, request_id))
    }

    /// Answers one request.
    async fn answer(
        self: Rc<Self>,
        pace: Rc<Pace>,
        peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let underway = Underway::begin(&self.desk, &pace);
        let (head, mut body) = request.into_parts();
        let request_id = match head.headers.get(REQUEST_ID) {
            Some(id) if !id.is_empty() => id.clone(),
            _ => self.desk.headers().request_id(),
        };
        let span = self.begin_span(&head.headers);
        let traced = span.map(|span| span.trace_id);
        let trail = self.desk.trail(&head.headers, &request_id, traced);
        let (api, mut answer) = match Call::of(&head) {
            Some(call) => call.answer(&self, &peer, &head, trail, &mut body).await,
            None => self.decide(&peer, &head, trail, &mut body).await,
        };
        self.answered(underway, span, api, &answer);
        if !body.is_end_stream() {
            let awaits_continue = head.headers.contains_key(EXPECT);
            let goes_on = body::leave(
                body,
                &pace,
                awaits_continue,
                self.desk.limits().body_timeout,
            );
            if !goes_on && head.version < Version::HTTP_2 {
                answer = answer.closing();
            }
        }
        if self.draining.get() && head.version < Version::HTTP_2 {
            answer = answer.closing();
        }
        Ok(match answer.rpc() {
            Some((rpc, body)) => rpc.response(&self, &pace, body, request_id),
            None => answer.into_response(request_id),
        })
    }

    fn begin_span(&self, headers: &HeaderMap) -> Option<Begun> {
        let mut tracer = self.tracer.as_ref()?.borrow_mut();
        tracer.begin(trace_parent(headers))
    }

    /// Counts what was answered.
    fn answered(&self, mut underway: Underway<'_>, span: Option<Begun>, api: Api, answer: &Answer) {
        debug_assert!(is_foreseen(api, answer.code), "{api:?}: {:?}", answer.code);
        underway.answered = Some((api, answer.code));
        if let Some(limit) = answer.limit {
            self.shared.metrics.limit_reached(limit);
        }
        drop(underway);
        if let (Some(tracer), Some(span)) = (&self.tracer, span) {
            tracer.borrow_mut().end(span, api, answer.code);
        }
    }

    /// Lets a request in, where it is asked who may.
    fn enter(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        api: Api,
        found: Option<&Route<'_>>,
    ) -> Result<Entry, Answer> {
        let Some(access) = &self.guard else {
            return Ok(Entry::OPEN);
        };
        door::admit(access, &self.desk, peer, headers, found).map_err(|refused| {
            if api.is_of_proxies() {
                tracing::debug!(refused.message, "a proxy may not ask");
                return proxy::http::refused(self, ProxyRefused::Caller);
            }
            refused.into()
        })
    }

    async fn decide(
        &self,
        peer: &Peer,
        head: &Parts,
        mut trail: Option<Trail>,
        body: &mut Incoming,
    ) -> (Api, Answer) {
        let route = route(&head.method, head.uri.path());
        // To a proxy everything that is no allow is a deny, and an error of ours might be none.
        let proxied = route.as_ref().ok().map(|route| route.api);
        let proxied = proxied.filter(|api| api.is_of_proxies());
        if self.is_head_too_large(head) {
            if let Some(api) = proxied {
                return (api, proxy::http::refused(self, ProxyRefused::HeadTooLarge));
            }
            let most = self.shared.limits.header_bytes_max;
            let message = format!("the head is larger than {most} bytes");
            let (status, code) = (Code::HeadTooLarge, RefusalCode::HeadTooLarge);
            return (Api::Unrouted, Refusal::new(status, code, message).into());
        }
        let found = route.as_ref();
        let api = found.map_or_else(|(api, _)| *api, |route| route.api);
        let entry = match self.enter(peer, &head.headers, api, found.ok()) {
            Ok(entry) => entry,
            Err(refused) => return (api, refused),
        };
        let route = match route {
            Ok(route) => route,
            Err(missed) => return missed,
        };
        if let Some(trail) = &mut trail {
            trail.caller.clone_from(&entry.caller);
        }
        let (company, headers) = (entry.company.as_deref().or(route.company), &head.headers);
        let answer = match route.api {
            Api::Evaluations => {
                batch::evaluations(self, trail, company, &entry, headers, body).await
            }
            Api::SearchSubject => {
                search::search(self, trail, Sought::Subject, company, headers, body).await
            }
            Api::SearchResource => {
                search::search(self, trail, Sought::Resource, company, headers, body).await
            }
            Api::SearchAction => {
                search::search(self, trail, Sought::Action, company, headers, body).await
            }
            Api::ProxyAuth | Api::ProxyEnvoy => {
                let (trail, caller) = (trail.as_ref(), entry.caller.as_deref());
                proxy::http::answer(self, trail, peer, caller, company, &route, head)
            }
            Api::Metadata => discovery::metadata(&self.desk, route.rest),
            Api::Explain => authzen::explain(self, trail, company, headers, body).await,
            Api::Filter => filter::filtered(self, trail, company, headers, body).await,
            // The last three are no routes.
            Api::Evaluation | Api::ExtAuthz | Api::GrpcHealth | Api::Unrouted => {
                authzen::evaluation(self, trail, company, &entry, headers, body).await
            }
        };
        (route.api, answer)
    }

    /// A place for a request that has come whole, if there is one.
    pub(super) fn take_place(&self) -> Result<Place<'_>, Answer> {
        let taken = self.requests.get();
        if taken >= self.requests_max {
            let message = "too many requests are being answered";
            let code = RefusalCode::TooManyRequests;
            return Err(Refusal::new(Code::Unavailable, code, message).into());
        }
        self.requests.set(taken + 1);
        Ok(Place(&self.requests))
    }

    /// Whether a head outgrows its limit, although it came whole.
    pub(super) fn is_head_too_large(&self, head: &Parts) -> bool {
        head_bytes(head) > self.shared.limits.header_bytes_max
    }

    /// Whom to ask who may; none: nobody is asked for proof.
    pub(super) fn guard(&self) -> Option<&Access> {
        self.guard.as_deref()
    }

    /// Whether to send requests here.
    pub(super) fn is_ready(&self) -> bool {
        self.shared.readiness.is_ready(&self.shared.companies) && !self.draining.get()
    }

    /// Whether clients are led elsewhere.
    pub(super) const fn is_draining(&self) -> bool {
        self.draining.get()
    }

    pub(super) const fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    pub(super) const fn desk(&self) -> &Desk {
        &self.desk
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    pub(super) const fn pool(&self) -> &Pool {
        &self.pool
    }
}

/// The size of a head as HTTP/1.1 writes it, about.
fn head_bytes(head: &Parts) -> usize {
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    head.uri.path().len() + head.uri.query().map_or(0, str::len) + fields.sum::<usize>()
}

// === impl Place ===

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
