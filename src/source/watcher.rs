//! When to look at the source: a thread of its own, woken by polling, hints and reloads.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::companies::Companies;

use super::SourceError;
use super::activate::LoadObserver;
use super::aside::{Aside, Hurry, STACK_BYTES};
use super::hint::Hints;
use super::reconcile::{Reconciler, Round};
use super::settings::{ReloadOptions, Settings};

/// The thread that watches a source and activates what changes.
pub struct Watcher {
    handle: Handle,
    thread: JoinHandle<()>,
}

/// What the rest of the process may ask of the watcher.
#[derive(Clone)]
pub struct Handle {
    messages: Sender<Message>,
    stop: Arc<AtomicBool>,
    progress: watch::Receiver<Progress>,
}

/// The watcher has stopped and looks no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source is watched no more")]
pub struct Stopped;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Progress {
    tried: bool,
    failure: Option<String>,
}

enum Message {
    Hint,
    Reload(ReloadOptions, oneshot::Sender<()>),
    Stop,
}

/// The loop's own state.
struct Loop {
    reconciler: Reconciler,
    aside: Aside,
    settings: Settings,
    root: PathBuf,
    messages: Receiver<Message>,
    sender: Sender<Message>,
    hinted: Arc<AtomicBool>,
    hints: Option<(Hints, Identity)>,
    progress: watch::Sender<Progress>,
    /// Reloads that wait for the answer, and what they accept together.
    reloads: Vec<oneshot::Sender<()>>,
    options: Option<ReloadOptions>,
    /// How many reloads were asked for.
    asked: u64,
    /// A reload was asked for since the last look.
    urgent: bool,
    /// Whether the last look found something in motion.
    restless: bool,
    /// Since when somebody waits for a look to come to rest; at first, for the first one.
    waiting: Option<Instant>,
    full_at: Instant,
}

/// Which folder a path led to: a link swapped leads to another, and hints of the old one are none.
type Identity = (u64, u64);

// === impl Watcher ===

impl Watcher {
    /// Starts to watch the folder `root`. The first look begins at once.
    ///
    /// # Errors
    /// The source is no folder's path, or the system gives no thread.
    pub fn spawn(
        root: PathBuf,
        settings: Settings,
        companies: Arc<Companies>,
        observer: Arc<dyn LoadObserver>,
    ) -> Result<Self, SourceError> {
        let (sender, messages) = mpsc::channel();
        let (progress, observed) = watch::channel(Progress::default());
        let stop = Arc::new(AtomicBool::new(false));
        let handle = Handle {
            messages: sender.clone(),
            stop: Arc::clone(&stop),
            progress: observed,
        };
        let name = settings.name;
        let hurry = Hurry::default();
        let aside = Aside::new(hurry.clone());
        let reconciler = Reconciler::new(
            root.clone(),
            settings.clone(),
            companies,
            observer,
            stop,
            hurry,
        );
        let mut watched = Loop {
            reconciler,
            aside,
            settings,
            root,
            messages,
            sender,
            hinted: Arc::default(),
            hints: None,
            progress,
            reloads: Vec::new(),
            options: None,
            asked: 0,
            urgent: false,
            restless: false,
            waiting: Some(Instant::now()),
            full_at: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name(format!("callgate-{name}"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let name = watched.settings.name;
                // What the log says of the shadow must not be taken for what decides.
                let shadow = (name == "shadow").then(|| tracing::error_span!("shadow").entered());
                watched.run();
                drop(shadow);
            })
            .map_err(SourceError::Thread)?;
        Ok(Self { handle, thread })
    }

    /// What the rest of the process may ask; it may be cloned freely.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops after the company in hand, and waits for that.
    pub fn shutdown(self) {
        self.handle.shutdown();
        // A thread that panicked has stopped too, and has said why.
        let _ = self.thread.join();
    }
}

// === impl Handle ===

impl Handle {
    /// Looks now, reads every file, tries again what was refused, and answers when all is done.
    /// What each company then has stands in [`Companies::status`].
    ///
    /// # Errors
    /// The watcher has stopped.
    pub async fn reload(&self, options: ReloadOptions) -> Result<(), Stopped> {
        let (reply, answer) = oneshot::channel();
        self.messages
            .send(Message::Reload(options, reply))
            .map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Whether every company was tried once since the start.
    #[must_use]
    pub fn tried(&self) -> bool {
        self.progress.borrow().tried
    }

    /// Waits until every company was tried once.
    ///
    /// # Errors
    /// The watcher stopped before.
    pub async fn wait_tried(&self) -> Result<(), Stopped> {
        let mut progress = self.progress.clone();
        let tried = progress.wait_for(|progress| progress.tried).await;
        tried.map(drop).map_err(|_| Stopped)
    }

    /// Why the source as a whole gives nothing, if so: it is empty or cannot be read.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.progress.borrow().failure.clone()
    }

    /// Asks the watcher to stop after the company in hand. Snapshots stay as they are.
    pub fn shutdown(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // No receiver: it has stopped already.
        let _ = self.messages.send(Message::Stop);
    }
}

// === impl Loop ===

impl Loop {
    fn run(&mut self) {
        if self.reconciler.restore() {
            // It decides, and need not wait for a source that may be far or gone.
            self.progress.send_modify(|progress| progress.tried = true);
        }
        loop {
            self.watch_root();
            self.look();
            if self.reconciler.is_url() {
                // The first look is what connects; until then nothing can be watched.
                self.watch_root();
            }
            let looked = Instant::now();
            let pause = match self.restless {
                true => self.settings.settle,
                // Thousands that were started together must not ask together for ever.
                false if self.reconciler.is_remote() => self
                    .settings
                    .poll_interval
                    .mul_f64(0.8 + 0.4 * fastrand::f64()),
                false => self.settings.poll_interval,
            };
            if !self.sleep(pause) {
                return;
            }
            // Hints come in swarms; one look a settling time is enough for all of them.
            while !self.urgent && looked.elapsed() < self.settings.settle {
                if !self.sleep(self.settings.settle.saturating_sub(looked.elapsed())) {
                    return;
                }
            }
        }
    }

    fn look(&mut self) {
        self.urgent = false;
        let full = self.full_at <= Instant::now();
        let round = Round {
            full,
            reload: self.options,
            asked: self.asked,
        };
        let reconciler = &mut self.reconciler;
        let mut look = || catch_unwind(AssertUnwindSafe(|| reconciler.round(round)));
        let tried = self.progress.borrow().tried;
        let restless = match tried {
            true => self.aside.run(look),
            // As long as nobody is answered there is nobody to give way to.
            false => look(),
        };
        let restless = restless.unwrap_or_else(|_| {
            tracing::error!(
                "a look at the source failed, which is a bug in callgate; looking again"
            );
            false
        });
        if full {
            self.full_at = Instant::now() + self.settings.full_read_interval;
        }
        self.restless = restless;
        let patient = self
            .waiting
            .is_some_and(|since| since.elapsed() < self.settings.restless_max);
        if !restless || !patient {
            self.at_rest();
        }
    }

    /// All that could be done is done: say so.
    fn at_rest(&mut self) {
        self.options = None;
        let failure = self.reconciler.failure().map(str::to_owned);
        // A source that comes late is waited for like one that was there at the start.
        let to_come = failure.is_some() && !self.progress.borrow().tried;
        self.waiting = to_come.then(Instant::now);
        self.progress.send_if_modified(|progress| {
            let now = Progress {
                tried: progress.tried || failure.is_none(),
                failure,
            };
            let changed = *progress != now;
            *progress = now;
            changed
        });
        if !self.reloads.is_empty() {
            self.reconciler.number(self.asked);
        }
        for reply in self.reloads.drain(..) {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    /// Waits for a message, at most so long; false: stop.
    fn sleep(&mut self, pause: Duration) -> bool {
        match self.messages.recv_timeout(pause) {
            Ok(message) => {
                if !self.take(message) {
                    return false;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        // All that came meanwhile is answered by the one look that follows.
        while let Ok(message) = self.messages.try_recv() {
            if !self.take(message) {
                return false;
            }
        }
        true
    }

    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Hint => self.hinted.store(false, Ordering::Relaxed),
            Message::Reload(options, reply) => {
                self.options = Some(options.or(self.options.unwrap_or_default()));
                self.asked += 1;
                self.urgent = true;
                self.waiting.get_or_insert_with(Instant::now);
                self.full_at = Instant::now();
                self.reloads.push(reply);
            }
            Message::Stop => return false,
        }
        true
    }

    /// Asks the system for hints, again if the path now leads to another folder.
    fn watch_root(&mut self) {
        if !self.settings.hints {
            return;
        }
        if self.reconciler.is_url() {
            let (hinted, sender) = (Arc::clone(&self.hinted), self.sender.clone());
            let settled = self.reconciler.on_change(move || hint(&hinted, &sender));
            self.settings.hints = !settled;
            return;
        }
        let identity = identity(&self.root);
        if self.hints.as_ref().map(|(_, watched)| *watched) == identity {
            return;
        }
        self.hints = None;
        let Some(identity) = identity else {
            return;
        };
        let (hinted, sender) = (Arc::clone(&self.hinted), self.sender.clone());
        // Of what is published the index tells, which lies at the root.
        let all = !self.reconciler.is_remote();
        let hints = Hints::watch(&self.root, all, move || {
            hint(&hinted, &sender);
        });
        match hints {
            Ok(hints) => self.hints = Some((hints, identity)),
            Err(error) => {
                tracing::warn!("changes are found by polling alone: {error}");
                self.settings.hints = false;
            }
        }
    }
}

/// Wakes the watcher, once for a swarm of hints.
fn hint(hinted: &AtomicBool, sender: &Sender<Message>) {
    if !hinted.swap(true, Ordering::Relaxed) {
        // No receiver: the watcher has stopped.
        let _ = sender.send(Message::Hint);
    }
}

fn identity(root: &Path) -> Option<Identity> {
    let metadata = fs::metadata(root).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
