//! Pens: with which a thread that decides notes its decisions.

use std::sync::Arc;
use std::thread::Thread;

use fastrand::Rng;
use rtrb::Producer;

use super::counts::ThreadCounts;
use super::record::{Choice, Entry, RECORD_BYTES_MAX};
use crate::config::{DecisionLog, WhenFull};

/// Notes decisions in the queue of one thread: without a lock, and without waiting.
pub struct Pen {
    queue: Producer<u8>,
    counts: Arc<ThreadCounts>,
    choice: Arc<Choice>,
    writer: Thread,
    /// Bytes left in the queue below which the writer is woken before its time.
    half: usize,
    allows: f64,
    when_full: WhenFull,
    rng: Rng,
    buffer: Box<[u8]>,
}

/// There is no room for the record, so there must be no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

// === impl Pen ===

impl Pen {
    pub(super) fn new(
        queue: Producer<u8>,
        counts: Arc<ThreadCounts>,
        choice: Arc<Choice>,
        writer: Thread,
        told: &DecisionLog,
    ) -> Self {
        Self {
            queue,
            counts,
            choice,
            writer,
            half: told.queue_bytes / 2,
            allows: told.allows,
            when_full: told.when_full,
            rng: Rng::new(),
            buffer: vec![0; RECORD_BYTES_MAX].into_boxed_slice(),
        }
    }

    /// Notes a decision, if it is one of those that are logged.
    ///
    /// # Errors
    /// There is no room, and without its line the decision must not be given.
    pub fn note(&mut self, entry: &Entry<'_>) -> Result<(), Full> {
        if self.allows < 1.0 && entry.allows() && self.rng.f64() >= self.allows {
            self.counts.passed_over.raise();
            return Ok(());
        }
        // A record is bounded: if its buffer is too small that is a bug, and it counts as lost.
        let record = entry.write(&self.choice, &mut self.buffer);
        let before = self.queue.slots();
        if let Ok(record) = record
            && self.queue.push_entire_slice(record).is_ok()
        {
            self.counts.noted.raise();
            // Once on the way up, so that a busy thread does not wake the writer at each turn.
            let after = before.saturating_sub(record.len());
            if before >= self.half && after < self.half {
                self.writer.unpark();
            }
            return Ok(());
        }
        match self.when_full {
            WhenFull::Drop => {
                self.counts.dropped.raise();
                Ok(())
            }
            WhenFull::Deny => {
                self.counts.denied.raise();
                Err(Full)
            }
        }
    }
}
