//! Lines → batches → a collector: compressed, by POST, again until it takes them.
//!
//! The writer fills batches and compresses them; a thread of its own sends one after the other, so
//! that a collector that is slow does not stop the writer before the buffer is full.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::mpsc;

use super::counts::Counts;
use crate::config::{DecisionLog, WhenFull};
use crate::outbound;

/// Bytes of lines in a batch, before they are compressed.
const BATCH_BYTES: usize = 512 << 10;
/// How long the collector may take over a batch.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The first wait before another attempt; each further one is twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest wait before another attempt.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// The writer's side: what fills batches.
pub(super) struct Collector {
    batches: mpsc::UnboundedSender<Batch>,
    /// Compressed bytes that were not acknowledged; the queue of batches is bounded by it.
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    lines: Vec<u8>,
    count: u64,
    numbers: u64,
    process: u64,
    sender: JoinHandle<()>,
}

type Poster = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

struct Batch {
    body: Bytes,
    lines: u64,
    /// The same at each attempt, for a collector that wants to know what it has already.
    key: String,
}

/// The other thread's side.
struct Sender {
    client: Poster,
    url: Uri,
    authorities: Option<PathBuf>,
    /// How long a batch is tried; none: without end.
    retry: Option<Duration>,
    counts: Arc<Counts>,
    waiting: Arc<AtomicUsize>,
    failing: bool,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{}", outbound::with_sources(.0))]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("no answer within {} s", ANSWER_TIME.as_secs())]
    TooSlow,
    #[error("it answers with status {0}")]
    Status(StatusCode),
}

// === impl Collector ===

impl Collector {
    pub(super) fn start(url: &Uri, told: &DecisionLog, counts: &Arc<Counts>) -> io::Result<Self> {
        let (batches, queue) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        // Before the runtime, which must not be dropped where another one runs us.
        let client = poster(url, told.authorities.as_deref()).map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let sender = Sender {
            client,
            url: url.clone(),
            authorities: told.authorities.clone(),
            // What must not be lost is not given up.
            retry: (told.when_full == WhenFull::Drop).then_some(told.retry),
            counts: Arc::clone(counts),
            waiting: Arc::clone(&waiting),
            failing: false,
        };
        let thread = std::thread::Builder::new().name("callgate-send".to_owned());
        let sender = thread.spawn(move || runtime.block_on(sender.run(queue)))?;
        Ok(Self {
            batches,
            waiting,
            waiting_max: told.buffer_bytes,
            lines: Vec::new(),
            count: 0,
            numbers: 0,
            process: fastrand::u64(..),
            sender,
        })
    }

    /// Takes the lines over, if there is room; whether it did.
    pub(super) fn take(&mut self, lines: &mut Vec<u8>, count: &mut u64) -> bool {
        if lines.is_empty() {
            return true;
        }
        if self.waiting.load(Relaxed) >= self.waiting_max {
            return false;
        }
        self.lines.append(lines);
        self.count += std::mem::take(count);
        if self.lines.len() >= BATCH_BYTES {
            self.flush();
        }
        true
    }

    /// Sends what was taken, as one batch.
    pub(super) fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        // Writing into memory does not fail.
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let body = gzip.write_all(&self.lines).and_then(|()| gzip.finish());
        self.lines.clear();
        let body = Bytes::from(body.unwrap_or_default());
        self.waiting.fetch_add(body.len(), Relaxed);
        self.numbers += 1;
        let batch = Batch {
            body,
            lines: std::mem::take(&mut self.count),
            key: format!("\"{:016x}-{}\"", self.process, self.numbers),
        };
        // It ends after this side alone.
        let _ = self.batches.send(batch);
    }

    /// Waits until all is sent or given up.
    pub(super) fn finish(mut self) {
        self.flush();
        drop(self.batches);
        let _ = self.sender.join();
    }
}

// === impl Sender ===

impl Sender {
    async fn run(mut self, mut batches: mpsc::UnboundedReceiver<Batch>) {
        while let Some(batch) = batches.recv().await {
            let count = if self.deliver(&batch).await {
                &self.counts.written
            } else {
                &self.counts.given_up
            };
            count.fetch_add(batch.lines, Relaxed);
            self.waiting.fetch_sub(batch.body.len(), Relaxed);
        }
    }

    /// Sends a batch until it is taken; whether it was, before it was given up.
    async fn deliver(&mut self, batch: &Batch) -> bool {
        let began = Instant::now();
        let mut wait = BACKOFF_MIN;
        loop {
            let error = match self.send(batch).await {
                Ok(()) => {
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("the decision log's collector takes batches again");
                    }
                    return true;
                }
                Err(error) => error,
            };
            self.counts.failures.fetch_add(1, Relaxed);
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(%error, "the decision log's collector does not take a batch");
            }
            let spent = began.elapsed();
            let is_over = |retry: Duration| error.is_final() || spent + wait > retry;
            if self.retry.is_some_and(is_over) {
                let lines = batch.lines;
                tracing::error!(%error, lines, "a batch of the decision log is given up");
                return false;
            }
            self.look_at_authorities(&error);
            // Several processes that lost the same collector do not come back at once.
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(BACKOFF_MAX);
        }
    }

    /// The collector may have another certificate now, and the file other authorities for it.
    fn look_at_authorities(&mut self, error: &SendError) {
        if matches!(error, SendError::Unreachable(_)) && self.authorities.is_some() {
            match poster(&self.url, self.authorities.as_deref()) {
                Ok(client) => self.client = client,
                Err(error) => tracing::debug!(%error, "--decision-log-ca cannot be used"),
            }
        }
    }

    async fn send(&self, batch: &Batch) -> Result<(), SendError> {
        let mut request = Request::new(Full::new(batch.body.clone()));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, value("application/x-ndjson"));
        headers.insert(CONTENT_ENCODING, value("gzip"));
        headers.insert(
            USER_AGENT,
            value(concat!("callgate/", env!("CARGO_PKG_VERSION"))),
        );
        if let Ok(key) = batch.key.parse() {
            headers.insert("idempotency-key", key);
        }
        let answer = tokio::time::timeout(ANSWER_TIME, self.client.request(request)).await;
        let status = answer.map_err(|_| SendError::TooSlow)??.status();
        match status.is_success() {
            true => Ok(()),
            false => Err(SendError::Status(status)),
        }
    }
}

/// What sends batches to this URL.
fn poster(url: &Uri, authorities: Option<&Path>) -> Result<Poster, String> {
    let connector = match url.scheme_str() {
        Some("https") => outbound::https(authorities, "--decision-log-ca")?,
        _ => outbound::http()?,
    };
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector);
    Ok(client)
}

const fn value(text: &'static str) -> hyper::header::HeaderValue {
    hyper::header::HeaderValue::from_static(text)
}

// === impl SendError ===

impl SendError {
    /// Whether the same batch would be refused again.
    fn is_final(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TooSlow => false,
            Self::Status(status) => {
                status.is_client_error()
                    && !matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    )
            }
        }
    }
}
