//! A snapshot file that lies elsewhere, read in stretches; sections that the running snapshot has
//! are not fetched.

use std::io::{self, Read};
use std::time::Duration;

use tokio::runtime::Handle;

use super::store::Store;
use crate::snapshot::{FileMap, Snapshot};

/// Bytes that are fetched at once.
const STRETCH: u64 = 4 << 20;
/// How often a stretch is asked for again that did not come.
const TRIES: u32 = 3;
/// How long after the first time; after the second twice that.
const PAUSE: Duration = Duration::from_millis(200);

/// A snapshot file, read from its beginning to its end.
pub(super) struct Body<'r> {
    store: &'r Store,
    handle: &'r Handle,
    key: String,
    bytes: u64,
    running: Option<&'r Snapshot>,
    /// What the file's own table says, once it is read.
    map: Option<FileMap>,
    at: u64,
    stretch: Vec<u8>,
    taken: usize,
}

// === impl Body ===

impl<'r> Body<'r> {
    pub(super) fn new(
        store: &'r Store,
        handle: &'r Handle,
        key: String,
        bytes: u64,
        running: Option<&'r Snapshot>,
    ) -> Self {
        Self {
            store,
            handle,
            key,
            bytes,
            running,
            map: None,
            at: 0,
            stretch: Vec::new(),
            taken: 0,
        }
    }

    /// The next bytes: of the running snapshot as far as it has them, or fetched.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let Some(running) = self.running else {
            return self.fetch(self.bytes);
        };
        let Some(map) = &self.map else {
            // The table says which sections are lacking.
            let head = self.fetch(FileMap::head_bytes(running))?;
            self.map = FileMap::read(&head);
            if self.map.is_none() {
                self.running = None;
            }
            return Ok(head);
        };
        match map.shared(running, self.at) {
            Ok(bytes) => Ok(bytes),
            Err(lacking_to) => self.fetch(lacking_to.min(self.bytes)),
        }
    }

    fn fetch(&self, to: u64) -> io::Result<Vec<u8>> {
        let end = to.min(self.at.saturating_add(STRETCH)).min(self.bytes);
        if end <= self.at {
            return Ok(Vec::new());
        }
        let mut pause = PAUSE;
        for attempt in 1.. {
            let got = self.store.get_range(&self.key, self.at..end);
            match self.handle.block_on(got) {
                Ok(bytes) => return Ok(bytes),
                Err(error) if attempt >= TRIES => return Err(io::Error::other(error)),
                Err(_) => std::thread::sleep(pause.mul_f64(0.5 + fastrand::f64())),
            }
            pause *= 2;
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.stretch.len() && self.at < self.bytes {
            self.stretch = self.next()?;
            self.at += self.stretch.len() as u64;
            self.taken = 0;
        }
        let rest = self.stretch.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(into.len());
        let (to, _) = into.split_at_mut(count);
        to.copy_from_slice(rest.get(..count).unwrap_or_default());
        self.taken += count;
        Ok(count)
    }
}
