//! The system's word that something in the folder changed.
//!
//! It is a reason to look at once, nothing more: it may be missed (a link swapped, an overflow, a
//! network file system), and polling finds the change all the same.

use std::path::Path;

use notify::{EventKind, RecursiveMode, Watcher};

/// Calls back for as long as it lives.
pub(crate) struct Hints {
    _watcher: notify::RecommendedWatcher,
}

impl Hints {
    /// Calls `changed`, on a thread of the watcher, whenever something below `root` may have changed.
    ///
    /// # Errors
    /// The system offers no watching here, or no more of it.
    pub(crate) fn watch(
        root: &Path,
        mut changed: impl FnMut() + Send + 'static,
    ) -> Result<Self, notify::Error> {
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Our own reading opens files too: an access is no change.
                match event {
                    Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
                    _ => changed(),
                }
            })?;
        watcher.watch(root, RecursiveMode::Recursive)?;
        Ok(Self { _watcher: watcher })
    }
}
