//! Key sets as they stand now, and the thread that looks after them.
//!
//! A file is looked at as often as other files are. A URL is asked every few minutes, and soon
//! where a token names a key that is not in the set: that token is refused, the next one may not
//! be. What is broken changes nothing: the keys before it stay.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::fetch::{self, Fetcher};
use super::keys::KeySet;
use crate::config::Jwks;
use crate::telemetry::Metrics;

/// From one look at a URL that a token brought about to the next one: whoever makes up names of
/// keys brings about no more.
const ASKED_PAUSE: Duration = Duration::from_secs(10);
/// From a look that failed to the next, at first; twice as long after each that fails again.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// For how long a file must have kept still: half a key set is none.
const SETTLE_TIME: Duration = Duration::from_millis(50);

/// Where a key set is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) jwks: Jwks,
    pub(super) authorities: Option<PathBuf>,
    pub(super) refresh: Duration,
}

/// A key set that is kept fresh.
pub(super) struct Source {
    pub(super) place: Place,
    set: ArcSwapOption<KeySet>,
    /// What was read last, whether or not it could be used.
    tried: Mutex<Result<Vec<u8>, String>>,
    asked: Notify,
    metrics: Arc<Metrics>,
}

/// Looks after key sets for as long as it lives.
pub(super) struct Watch {
    /// The thread ends when this is gone.
    _stop: oneshot::Sender<()>,
}

// === impl Source ===

impl Source {
    /// Reads what is in a file; what is behind a URL comes later, and tokens are refused until
    /// then.
    pub(super) fn new(place: Place, metrics: Arc<Metrics>) -> Result<Self, String> {
        let source = Self {
            set: ArcSwapOption::empty(),
            tried: Mutex::new(Ok(Vec::new())),
            asked: Notify::new(),
            metrics,
            place,
        };
        if let Jwks::File(path) = &source.place.jwks {
            let wrong = |message: String| format!("{}: {message}", path.display());
            let text = fetch::file(path).map_err(wrong)?;
            let set = KeySet::read(&text).map_err(wrong)?;
            source.set.store(Some(Arc::new(set)));
            source.has_tried(Ok(text));
        }
        Ok(source)
    }

    /// The keys that count now; none were ever read.
    ///
    /// Not to be held for long: no count is raised that other threads raise, too.
    pub(super) fn keys(&self) -> Guard<Option<Arc<KeySet>>> {
        self.set.load()
    }

    /// Says that a key was not in the set.
    pub(super) fn lacks_a_key(&self) {
        self.asked.notify_one();
    }

    /// Looks after it, without end.
    async fn keep(&self, poll: Duration) {
        match &self.place.jwks {
            Jwks::File(path) => self.keep_file(path, poll).await,
            Jwks::Url(url) => match Fetcher::new(url, self.place.authorities.as_deref()) {
                Ok(fetcher) => self.keep_url(&fetcher).await,
                // It was made once before, to see whether it can be.
                Err(error) => tracing::error!(%error, "a key set cannot be looked after"),
            },
        }
    }

    async fn keep_file(&self, path: &Path, poll: Duration) {
        loop {
            sleep(poll).await;
            let read = fetch::file(path);
            if self.is_new(&read) {
                sleep(SETTLE_TIME).await;
                if fetch::file(path) == read {
                    self.take(read);
                }
            }
        }
    }

    async fn keep_url(&self, fetcher: &Fetcher) {
        let mut failed_pause = FAILED_PAUSE;
        let mut may_be_asked = Instant::now();
        loop {
            let pause = if self.take(fetcher.get().await) {
                failed_pause = FAILED_PAUSE;
                self.place.refresh
            } else {
                failed_pause = (failed_pause * 2).min(self.place.refresh);
                failed_pause
            };
            let next = Instant::now() + pause;
            if timeout_at(next, self.asked.notified()).await.is_ok() {
                sleep_until(may_be_asked.min(next)).await;
                may_be_asked = Instant::now() + ASKED_PAUSE;
            }
        }
    }

    /// Uses what was read, if it is new and right. Returns whether what was read is in use.
    fn take(&self, read: Result<Vec<u8>, String>) -> bool {
        if !self.is_new(&read) {
            return read.is_ok_and(|_| self.set.load().is_some());
        }
        let set = read.as_deref().map_err(Clone::clone);
        let set = set.and_then(KeySet::read);
        self.metrics.keys_loaded(set.is_ok());
        let place = self.place.name();
        let used = set.is_ok();
        match set {
            Ok(set) => {
                tracing::info!(place, keys = set.len(), "a new key set is in use");
                self.set.store(Some(Arc::new(set)));
            }
            Err(error) => tracing::error!(
                place,
                %error,
                "a key set cannot be used; the keys before it stay"
            ),
        }
        self.has_tried(read);
        used
    }

    fn is_new(&self, read: &Result<Vec<u8>, String>) -> bool {
        *read != *self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_tried(&self, read: Result<Vec<u8>, String>) {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = read;
    }
}

// === impl Place ===

impl Place {
    /// Whether it can be looked at: its URL can be asked.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.jwks {
            Jwks::File(_) => Ok(()),
            Jwks::Url(url) => Fetcher::new(url, self.authorities.as_deref()).map(drop),
        }
    }

    fn name(&self) -> String {
        match &self.jwks {
            Jwks::File(path) => path.display().to_string(),
            Jwks::Url(url) => url.clone(),
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Starts a thread that looks after these, at files this often.
    pub(super) fn spawn(sources: Vec<Arc<Source>>, poll: Duration) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("callgate-keys".to_owned());
        thread.spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return tracing::error!(%error, "key sets are not looked after"),
            };
            runtime.block_on(async move {
                for source in sources {
                    tokio::task::spawn_local(async move { source.keep(poll).await });
                }
                let _ = stopped.await;
            });
        })?;
        Ok(Self { _stop: stop })
    }
}
