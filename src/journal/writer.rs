//! The writer: one thread that empties all queues, makes lines of what was in them, and hands them
//! over.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rtrb::Consumer;

use super::Orders;
use super::collector::Collector;
use super::counts::Counts;
use super::file::Stream;
use super::line::Format;
use super::record::Record;

/// How far the writer gives way to the threads that decide. Not as far as the pool, which may wait:
/// what the writer gets must do for what they note, or the queues fill while all cores are busy.
const NICE: i32 = 5;

/// How long the writer waits before it tries again where lines cannot be handed over.
const RETRY: Duration = Duration::from_millis(250);

/// The writer's end of a queue.
pub(super) struct Queue(Consumer<u8>);

/// Where lines go.
pub(super) enum Sink {
    Stream(Stream),
    Collector(Collector),
}

/// The thread's state.
pub(super) struct Writer {
    queues: Vec<Queue>,
    sink: Sink,
    format: Format,
    flush: Duration,
    counts: Arc<Counts>,
    orders: Arc<Orders>,
    /// Records as they came from a queue.
    records: Vec<u8>,
    /// Lines, and how many, that were not handed over yet.
    lines: Vec<u8>,
    count: u64,
    /// Whether the last attempt to hand over failed, and was told of.
    failing: bool,
}

// === impl Queue ===

impl Queue {
    pub(super) const fn new(consumer: Consumer<u8>) -> Self {
        Self(consumer)
    }

    /// Takes all there is; a record is never cut, since each is put in whole.
    fn take(&mut self, records: &mut Vec<u8>) -> bool {
        records.clear();
        let bytes = self.0.slots();
        records.resize(bytes, 0);
        bytes > 0 && self.0.pop_entire_slice(records).is_ok()
    }
}

// === impl Writer ===

impl Writer {
    pub(super) const fn new(
        queues: Vec<Queue>,
        sink: Sink,
        format: Format,
        flush: Duration,
        counts: Arc<Counts>,
        orders: Arc<Orders>,
    ) -> Self {
        Self {
            queues,
            sink,
            format,
            flush,
            counts,
            orders,
            records: Vec::new(),
            lines: Vec::new(),
            count: 0,
            failing: false,
        }
    }

    /// Writes until it is told to finish, and nothing is left.
    pub(super) fn run(mut self) {
        // On Linux this is of the calling thread alone.
        if let Err(error) = rustix::process::nice(NICE) {
            tracing::warn!(%error, "the decision log's writer cannot give way to the workers");
        }
        let mut next = Instant::now();
        loop {
            let finishing = self.orders.finish.load(Relaxed);
            if self.orders.reopen.swap(false, Relaxed)
                && let Sink::Stream(stream) = &mut self.sink
            {
                stream.look_again();
            }
            let wrote = self.round();
            if finishing && !wrote && self.lines.is_empty() && self.all_left() {
                break;
            }
            next += self.flush;
            let now = Instant::now();
            if next < now {
                next = now + self.flush;
            }
            let wait = if self.lines.is_empty() {
                next - now
            } else {
                RETRY
            };
            // While it finishes it waits for threads that are about to end.
            let most = if finishing {
                Duration::from_millis(5)
            } else {
                wait
            };
            std::thread::park_timeout(wait.min(most));
        }
        if let Sink::Collector(collector) = self.sink {
            collector.finish();
        }
    }

    /// Whether no thread can note anything any more.
    fn all_left(&self) -> bool {
        self.queues.iter().all(|Queue(queue)| queue.is_abandoned())
    }

    /// Empties each queue once and hands over what was in it; stops where that fails, so that what
    /// is in memory stays bounded. Returns whether there was anything.
    fn round(&mut self) -> bool {
        let mut any = !self.lines.is_empty();
        for at in 0..self.queues.len() {
            // What is left from before goes first, or nothing does.
            if !self.hand_over() {
                return any;
            }
            let Some(queue) = self.queues.get_mut(at) else {
                break;
            };
            if queue.take(&mut self.records) {
                any = true;
                self.make_lines();
            }
        }
        self.hand_over();
        if let Sink::Collector(collector) = &mut self.sink {
            collector.flush();
        }
        any
    }

    fn make_lines(&mut self) {
        let mut rest = self.records.as_slice();
        while !rest.is_empty() {
            match postcard::take_from_bytes::<Record<'_>>(rest) {
                Ok((record, after)) => {
                    self.format.write(&record, &mut self.lines);
                    self.count += 1;
                    rest = after;
                }
                Err(error) => {
                    tracing::error!(%error, "this is a bug in callgate: a record cannot be read");
                    self.counts.given_up.fetch_add(1, Relaxed);
                    break;
                }
            }
        }
    }

    /// Hands over what was made; whether nothing is left.
    fn hand_over(&mut self) -> bool {
        let handed = match &mut self.sink {
            Sink::Stream(stream) => stream.write(&mut self.lines),
            Sink::Collector(collector) => return collector.take(&mut self.lines, &mut self.count),
        };
        match handed {
            Ok(()) => {
                self.counts.written.fetch_add(self.count, Relaxed);
                self.count = 0;
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the decision log is written again");
                }
                true
            }
            Err(error) => {
                self.counts.failures.fetch_add(1, Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the decision log cannot be written");
                }
                false
            }
        }
    }
}
