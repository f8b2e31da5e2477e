//! Spans: one a request, as others see it, sent to a collector by OTLP.
//!
//! A worker puts a few plain words about each request into a queue of its own, without a lock; where
//! that is full, the span is dropped and counted. What sends them is a thread of its own (`otlp`),
//! which only a build with the feature of that name has. A span tells nothing of who asked for what.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use prometheus::proto::MetricFamily;
use rtrb::{Consumer, Producer, RingBuffer};

use super::family::counter;
use super::labels::{Api, Code};
use super::trace::TraceParent;

/// Spans that wait, of each worker.
const QUEUE: usize = 4_096;

/// The spans of a process.
pub struct Spans {
    /// One for each worker, until it takes it.
    tracers: Mutex<Vec<Tracer>>,
    counts: Arc<Counts>,
    done: Mutex<Receiver<()>>,
}

/// What is counted of spans.
#[derive(Default)]
pub(super) struct Counts {
    /// Spans that the collector took.
    pub(super) sent: AtomicU64,
    /// Spans for which there was no room, or that the collector did not take.
    pub(super) dropped: AtomicU64,
}

/// Notes the spans of one worker.
pub struct Tracer {
    queue: Producer<Span>,
    counts: Arc<Counts>,
    share: f64,
    rng: Rng,
}

/// A request whose span is recorded, and that is not answered yet.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "otlp"),
    expect(dead_code, reason = "what reads them is not built")
)]
pub struct Begun {
    /// The trace that the span belongs to.
    pub trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) parent_id: Option<[u8; 8]>,
    pub(super) began: SystemTime,
}

/// An answered request.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "otlp"),
    expect(dead_code, reason = "what reads them is not built")
)]
pub(super) struct Span {
    pub(super) begun: Begun,
    pub(super) ended: SystemTime,
    pub(super) api: Api,
    pub(super) code: Code,
}

// === impl Spans ===

impl Spans {
    /// Sends spans to the collector at this URL, in full, for this many workers: those that a
    /// caller records, and this share of those that belong to no caller's trace.
    ///
    /// # Errors
    /// The thread cannot be started, or this build sends no spans.
    pub fn start(url: &str, share: f64, workers: usize) -> io::Result<Self> {
        let counts = Arc::<Counts>::default();
        let (producers, queues): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| RingBuffer::new(QUEUE)).unzip();
        let done = send(url, queues, &counts)?;
        let tracers = producers.into_iter().map(|queue| Tracer {
            queue,
            counts: Arc::clone(&counts),
            share,
            rng: Rng::new(),
        });
        Ok(Self {
            tracers: Mutex::new(tracers.collect()),
            counts,
            done: Mutex::new(done),
        })
    }

    /// A tracer for one worker; `None` if as many were taken as there are workers.
    #[must_use]
    pub fn tracer(&self) -> Option<Tracer> {
        self.tracers().pop()
    }

    /// Has everything sent, and waits for that, at most so long. To be called when the workers are
    /// gone.
    pub fn finish(&self, most: Duration) {
        self.tracers().clear();
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not sent by then is lost, and nobody decides by it.
        let _ = done.recv_timeout(most);
    }

    /// What is counted, for Prometheus.
    #[must_use]
    pub fn families(&self) -> Vec<MetricFamily> {
        let one =
            |name, help, count: &AtomicU64| counter(name, help, [(vec![], count.load(Relaxed))]);
        vec![
            one(
                "callgate_spans_sent_total",
                "Spans that the collector took.",
                &self.counts.sent,
            ),
            one(
                "callgate_spans_dropped_total",
                "Spans that were lost: no room, or not taken by the collector.",
                &self.counts.dropped,
            ),
        ]
    }

    fn tracers(&self) -> std::sync::MutexGuard<'_, Vec<Tracer>> {
        self.tracers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "otlp")]
fn send(url: &str, queues: Vec<Consumer<Span>>, counts: &Arc<Counts>) -> io::Result<Receiver<()>> {
    super::otlp::start(url, queues, Arc::clone(counts))
}

#[cfg(not(feature = "otlp"))]
fn send(_: &str, _: Vec<Consumer<Span>>, _: &Arc<Counts>) -> io::Result<Receiver<()>> {
    let message = "this build sends no spans: it was built without the feature `otlp`";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

// === impl Tracer ===

impl Tracer {
    /// Begins the span of a request, if it is to have one: as its caller decided, or else by share.
    pub fn begin(&mut self, parent: Option<TraceParent>) -> Option<Begun> {
        let sampled = match parent {
            Some(parent) => parent.sampled,
            None => self.share >= 1.0 || self.rng.f64() < self.share,
        };
        sampled.then(|| Begun {
            trace_id: match parent {
                Some(parent) => parent.trace_id,
                None => self.rng.u128(1..).to_be_bytes(),
            },
            span_id: self.rng.u64(1..).to_be_bytes(),
            parent_id: parent.map(|parent| parent.parent_id),
            began: SystemTime::now(),
        })
    }

    /// The request was answered.
    pub fn end(&mut self, begun: Begun, api: Api, code: Code) {
        let span = Span {
            begun,
            ended: SystemTime::now(),
            api,
            code,
        };
        if self.queue.push(span).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }
}
