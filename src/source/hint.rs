//! The system's word that something in the folder changed.
//!
//! It is a reason to look at once, nothing more: it may be missed (a link swapped, an overflow, a
//! network file system), and polling finds the change all the same.

use std::path::Path;

use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Calls back for as long as it lives.
pub(crate) struct Hints {
    _watcher: RecommendedWatcher,
}

impl Hints {
    /// Calls `changed`, on a thread of the watcher, whenever something in `root` may have changed;
    /// `all`: or deeper.
    ///
    /// # Errors
    /// The system offers no watching here, or no more of it.
    pub(crate) fn watch(
        root: &Path,
        all: bool,
        mut changed: impl FnMut() + Send + 'static,
    ) -> Result<Self, notify::Error> {
        // Links are not followed: one may lead anywhere, and walking there may take for ever. What
        // lies behind them is found by polling.
        let config = Config::default().with_follow_symlinks(false);
        let event = move |event: notify::Result<Event>| {
            // Our own reading opens files too: an access is no change.
            match event {
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
                _ => changed(),
            }
        };
        let mut watcher = RecommendedWatcher::new(event, config)?;
        let root = root.canonicalize().map_err(notify::Error::io)?;
        let mode = match all {
            true => RecursiveMode::Recursive,
            false => RecursiveMode::NonRecursive,
        };
        watcher.watch(&root, mode)?;
        Ok(Self { _watcher: watcher })
    }
}
