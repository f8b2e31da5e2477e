//! The decision log: a line of JSON for each decision, to a file, the standard output or a
//! collector.
//!
//! A thread that decides never formats, waits or takes a lock for it. It has a [`Pen`], which writes
//! a compact record into a bounded queue of its own (`record`, `pen`); one thread of this module
//! empties all queues, makes lines (`line`) and hands them over (`writer`, to `file` or
//! `collector`). What does not fit into a queue is dropped or denied, as is told, and counted.
//!
//! ```text
//! decision ──▶ Pen ──▶ queue of bytes ──▶ writer ──▶ line ──▶ file, stdout
//!                                                        └──▶ batch, gzip ──▶ sender ──▶ collector
//! ```

mod collector;
mod counts;
mod file;
mod line;
mod pen;
mod record;
mod writer;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use prometheus::proto::MetricFamily;
use rtrb::RingBuffer;

pub use pen::{Full, Pen};
pub use record::{Entry, Outcome};

use self::counts::Counts;
use self::record::Choice;
use self::writer::{Queue, Sink, Writer};
use crate::config::{DecisionLog, LogSink};

/// The decision log of a process.
pub struct Journal {
    /// One for each thread that decides, until it takes it.
    pens: Mutex<Vec<Pen>>,
    counts: Arc<Counts>,
    orders: Arc<Orders>,
    writer: Thread,
    done: Mutex<Receiver<()>>,
}

/// What the writer is told.
#[derive(Default)]
struct Orders {
    finish: AtomicBool,
    reopen: AtomicBool,
}

// === impl Journal ===

impl Journal {
    /// Opens the log, and starts its writer, for this many threads that decide.
    ///
    /// # Errors
    /// The file cannot be opened, or a thread not be started.
    pub fn start(told: &DecisionLog, threads: usize) -> io::Result<Self> {
        let counts = Arc::new(Counts::new(threads));
        let orders = Arc::new(Orders::default());
        let sink = match &told.sink {
            LogSink::Stdout => Sink::Stream(file::Stream::stdout()?),
            LogSink::File(path) => Sink::Stream(file::Stream::open(
                path,
                told.rotate_bytes,
                told.rotate_keep,
            )?),
            LogSink::Collector(url) => {
                Sink::Collector(collector::Collector::start(url, told, &counts)?)
            }
        };
        let (producers, queues): (Vec<_>, Vec<_>) = (0..threads)
            .map(|_| RingBuffer::new(told.queue_bytes))
            .map(|(producer, consumer)| (producer, Queue::new(consumer)))
            .unzip();
        let (said_done, done) = sync_channel(1);
        let writer = Writer::new(
            queues,
            sink,
            line::Format::new(told),
            told.flush,
            Arc::clone(&counts),
            Arc::clone(&orders),
        );
        let thread = std::thread::Builder::new().name("callgate-log".to_owned());
        let thread = thread.spawn(move || {
            writer.run();
            let _ = said_done.send(());
        })?;
        let writer = thread.thread().clone();
        let choice = Arc::new(Choice::new(&told.include));
        let pens = producers.into_iter().zip(counts.threads());
        let pens = pens.map(|(producer, count)| {
            let (choice, count) = (Arc::clone(&choice), Arc::clone(count));
            Pen::new(producer, count, choice, writer.clone(), told)
        });
        Ok(Self {
            pens: Mutex::new(pens.collect()),
            counts,
            orders,
            writer,
            done: Mutex::new(done),
        })
    }

    /// A pen for one thread; `None` if as many were taken as there are threads.
    #[must_use]
    pub fn pen(&self) -> Option<Pen> {
        let mut pens = self.pens.lock().unwrap_or_else(PoisonError::into_inner);
        pens.pop()
    }

    /// Has the file opened anew, since it was moved.
    pub fn reopen(&self) {
        self.orders.reopen.store(true, Relaxed);
        self.writer.unpark();
    }

    /// Has everything written that was noted, and waits for that, at most so long. To be called
    /// when nobody decides any more.
    pub fn finish(&self, most: Duration) {
        // Pens that no thread took would keep the writer waiting for theirs.
        let pens = std::mem::take(&mut *self.pens.lock().unwrap_or_else(PoisonError::into_inner));
        drop(pens);
        self.orders.finish.store(true, Relaxed);
        self.writer.unpark();
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(most).is_err() {
            let lines = self.counts.waiting();
            tracing::error!(lines, "the decision log is cut off: its lines are lost");
        }
    }

    /// What the log counts, for Prometheus.
    #[must_use]
    pub fn families(&self) -> Vec<MetricFamily> {
        self.counts.families()
    }
}
