//! `grpc.health.v1.Health`: whether to send calls here. Whoever reaches it may ask, as with
//! `/readyz`.

use std::convert::Infallible;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Bytes, Frame, Incoming};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::body::{End, Rpc};
use super::frame;
use super::wire::{HealthCheckRequest, HealthCheckResponse};
use crate::server::body::collect;
use crate::server::pace::Pace;
use crate::server::respond::Answer;
use crate::server::worker::Worker;

/// How often whoever watches is looked after.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// The longest name of a service (bytes) that is read.
const REQUEST_BYTES_MAX: usize = 1 << 10;

/// What is said of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// Tells of a service's health whenever it changes.
pub(in crate::server) struct Watch {
    worker: Rc<Worker>,
    /// While this watches, its connection is not idle.
    pace: Rc<Pace>,
    known: bool,
    told: Option<Health>,
    ticks: Interval,
    ended: bool,
}

/// Tells of a service's health now.
pub(super) async fn check(worker: &Worker, body: &mut Incoming) -> Answer {
    match service(worker, body).await {
        Some(true) => Answer::message(&health(worker)),
        Some(false) => Answer::uncalled(End::NoService),
        None => Answer::uncalled(End::NoRequest),
    }
}

/// Tells of a service's health now, and whenever it changes.
pub(super) async fn watch(worker: &Worker, body: &mut Incoming) -> Answer {
    match service(worker, body).await {
        Some(known) => Answer::by_rpc(Bytes::new(), Rpc::Watch(known)),
        None => Answer::uncalled(End::NoRequest),
    }
}

/// Whether the service that is asked about is one of ours; the empty name is the whole server's.
async fn service(worker: &Worker, body: &mut Incoming) -> Option<bool> {
    let time = worker.desk().limits().body_timeout;
    let body = collect(body, REQUEST_BYTES_MAX, time, worker.bodies()).await;
    let request: HealthCheckRequest = frame::read(body.ok()?).ok()?;
    let known: [&[u8]; 3] = [
        b"",
        b"envoy.service.auth.v3.Authorization",
        b"grpc.health.v1.Health",
    ];
    Some(known.contains(&request.service.as_ref()))
}

fn health(worker: &Worker) -> HealthCheckResponse {
    Health::of(worker).into()
}

// === impl Health ===

impl Health {
    fn of(worker: &Worker) -> Self {
        if worker.is_ready() {
            Self::Serving
        } else {
            Self::NotServing
        }
    }
}

impl From<Health> for HealthCheckResponse {
    fn from(health: Health) -> Self {
        Self {
            status: health as i32,
        }
    }
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(worker: Rc<Worker>, pace: Rc<Pace>, known: bool) -> Self {
        pace.watch_began();
        let mut ticks = interval(WATCH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            worker,
            pace,
            known,
            told: None,
            ticks,
            ended: false,
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            // The first tick comes at once.
            ready!(self.ticks.poll_tick(cx));
            let now = if self.known {
                Health::of(&self.worker)
            } else {
                Health::ServiceUnknown
            };
            if self.told != Some(now) {
                self.told = Some(now);
                let message = frame::write(&HealthCheckResponse::from(now));
                return Poll::Ready(Some(Ok(Frame::data(message))));
            }
            if self.worker.is_draining() || self.pace.finishes() {
                self.ended = true;
                let trailers = End::Stopping.trailers();
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.pace.watch_ended();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
