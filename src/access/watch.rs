//! The thread that looks whether the files have changed.
//!
//! The system's hints are a reason to look at once, nothing more: polling finds everything. The
//! files are few and small, so all of them are read at each look; thus it does not matter how they
//! came to change (edited, renamed over, a folder of links swapped, as Kubernetes does).

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{Access, files};
use crate::telemetry::CredentialFile;

/// How long files must have kept still: a certificate and its key are two files, and change one
/// after the other.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// Looks after the files for as long as it lives.
pub struct AccessWatch {
    /// The thread ends when this is gone.
    _wake: SyncSender<()>,
    _hints: Option<RecommendedWatcher>,
}

// === impl AccessWatch ===

impl AccessWatch {
    /// Starts the thread, which looks at least this often.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn spawn(access: Arc<Access>, poll: Duration) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let hints = hints(&access, wake.clone())
            .inspect_err(|error| {
                tracing::warn!(%error, "the system gives no hints of changed credentials");
            })
            .ok();
        let thread = std::thread::Builder::new().name("callgate-access".to_owned());
        thread.spawn(move || {
            let mut pause = poll;
            loop {
                match woken.recv_timeout(pause) {
                    Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                let settled = access.refresh(|| std::thread::sleep(SETTLE_TIME));
                pause = if settled { poll } else { SETTLE_TIME };
            }
        })?;
        Ok(Self {
            _wake: wake,
            _hints: hints,
        })
    }
}

/// Wakes the thread when something happens in a folder that holds one of the files.
fn hints(access: &Access, wake: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    let kinds = CredentialFile::ALL.into_iter();
    let paths = kinds.flat_map(|kind| files::paths(kind, &access.files));
    let folder = |path: &Path| Some(path.canonicalize().ok()?.parent()?.to_owned());
    // Where the path leads through a link, the link is what changes, and not what it leads to.
    let near = |path: &Path| std::path::absolute(path).ok()?.parent().map(Path::to_owned);
    let folders: BTreeSet<_> = paths
        .flat_map(|path| [folder(path), near(path)])
        .flatten()
        .collect();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Our own reading is no change.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            let _ = wake.try_send(());
        }
    })?;
    for folder in folders {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}
