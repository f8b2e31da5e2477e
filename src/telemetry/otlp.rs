//! Spans → OTLP over HTTP, as the OpenTelemetry libraries write it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use rtrb::Consumer;
use tokio::runtime::Builder;

use super::spans::{Counts, Span};

/// From one look at the queues to the next: spans are looked at later anyway.
const INTERVAL: Duration = Duration::from_millis(500);
/// Spans of one message.
const BATCH: usize = 512;
/// How long the collector may take over a message.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How far the thread gives way: as far as there is, since spans may be lost.
const NICE: i32 = 19;

/// The thread's state.
struct Sender {
    exporter: SpanExporter,
    queues: Vec<Consumer<Span>>,
    counts: Arc<Counts>,
    scope: InstrumentationScope,
    failing: bool,
}

/// Starts the thread that sends what is in the queues. It ends when all are abandoned and empty, and
/// says so.
pub(super) fn start(
    url: &str,
    queues: Vec<Consumer<Span>>,
    counts: Arc<Counts>,
) -> io::Result<Receiver<()>> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(HyperClient::with_default_connector(ANSWER_TIME, None))
        .with_endpoint(url)
        .with_timeout(ANSWER_TIME);
    let mut exporter = exporter.build().map_err(io::Error::other)?;
    let service = Resource::builder().with_service_name(env!("CARGO_PKG_NAME"));
    exporter.set_resource(&service.build());
    let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"));
    let sender = Sender {
        exporter,
        queues,
        counts,
        scope: scope.with_version(env!("CARGO_PKG_VERSION")).build(),
        failing: false,
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (said_done, done) = sync_channel(1);
    let thread = std::thread::Builder::new().name("callgate-spans".to_owned());
    thread.spawn(move || {
        // On Linux this is of the calling thread alone.
        let _ = rustix::process::nice(NICE);
        runtime.block_on(sender.run());
        let _ = said_done.send(());
    })?;
    Ok(done)
}

// === impl Sender ===

impl Sender {
    async fn run(mut self) {
        loop {
            let over = self.queues.iter().all(Consumer::is_abandoned);
            while let Some(batch) = self.take() {
                self.send(batch).await;
            }
            if over {
                return;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn take(&mut self) -> Option<Vec<SpanData>> {
        let mut batch = Vec::new();
        for queue in &mut self.queues {
            while batch.len() < BATCH
                && let Ok(span) = queue.pop()
            {
                batch.push(data(&span, &self.scope));
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Sends once: what the collector does not take is lost.
    async fn send(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        match self.exporter.export(batch).await {
            Ok(()) => {
                self.counts.sent.fetch_add(spans, Relaxed);
                self.failing = false;
            }
            Err(error) => {
                self.counts.dropped.fetch_add(spans, Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the collector does not take spans");
                }
            }
        }
    }
}

fn data(span: &Span, scope: &InstrumentationScope) -> SpanData {
    let begun = &span.begun;
    let code = span.code.number();
    let parent = begun.parent_id;
    SpanData {
        span_context: SpanContext::new(
            TraceId::from_bytes(begun.trace_id),
            SpanId::from_bytes(begun.span_id),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: parent.is_some(),
        span_kind: SpanKind::Server,
        name: span.api.name().into(),
        start_time: begun.began,
        end_time: span.ended,
        attributes: vec![KeyValue::new("http.response.status_code", i64::from(code))],
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: if code >= 500 {
            Status::error("")
        } else {
            Status::Unset
        },
        instrumentation_scope: scope.clone(),
    }
}
