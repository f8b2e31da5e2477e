//! The pool: threads beside the workers, for questions whose answers take long.
//!
//! Searches, explanations and large batches take up to thousands of times as long as a check. On a
//! worker every check behind them would wait; so they are answered here, by threads that give way
//! to the workers wherever both want a core. Their queue is bounded: when it is full, the answer is
//! status 503, at once.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::Shared;
use super::desk::Desk;
use super::respond::{Answer, Refusal, RefusalCode};
use crate::telemetry::{Code, Metrics};

/// How far the pool's threads give way: as far as there is.
const NICE: i32 = 19;

/// The way into the pool; the threads end when all copies of it are gone.
#[derive(Clone)]
pub(super) struct Pool {
    jobs: SyncSender<Job>,
    metrics: Arc<Metrics>,
}

/// What finds an answer; it must find one.
type Question = Box<dyn FnOnce(&Desk) -> Option<Answer> + Send>;

/// A question, and where its answer is awaited.
struct Job {
    question: Question,
    reply: oneshot::Sender<Option<Answer>>,
    since: Instant,
}

/// The one end of the queue that all threads take from.
type Jobs = Arc<Mutex<Receiver<Job>>>;

// === impl Pool ===

impl Pool {
    /// Starts as many threads as the metrics have shards for the pool.
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (sender, jobs) = sync_channel(shared.limits.pool_queue_max);
        let jobs = Arc::new(Mutex::new(jobs));
        for (number, shard) in shared.metrics.pool_shards().iter().enumerate() {
            let desk = (Arc::clone(shared), Arc::clone(shard));
            let jobs = Arc::clone(&jobs);
            let thread = std::thread::Builder::new().name(format!("callgate-pool-{number}"));
            thread.spawn(move || work(&Desk::new(desk.0, desk.1, number), &jobs))?;
        }
        Ok(Self {
            jobs: sender,
            metrics: Arc::clone(&shared.metrics),
        })
    }

    /// The answer that `question` gives on one of the threads. It must give one.
    pub(super) async fn ask(
        &self,
        question: impl FnOnce(&Desk) -> Option<Answer> + Send + 'static,
    ) -> Answer {
        let (reply, answer) = oneshot::channel();
        let question = Box::new(question);
        // Counted before, so that the thread that takes it cannot be faster.
        self.metrics.pool_waiting.fetch_add(1, Relaxed);
        if self
            .jobs
            .try_send(Job {
                question,
                reply,
                since: Instant::now(),
            })
            .is_err()
        {
            self.metrics.pool_waiting.fetch_sub(1, Relaxed);
            self.metrics.pool_refused.fetch_add(1, Relaxed);
            return full().into();
        }
        answer.await.ok().flatten().unwrap_or_else(|| none().into())
    }
}

/// Answers one question after the other, until nobody can ask any more.
fn work(desk: &Desk, jobs: &Jobs) {
    // On Linux this is of the calling thread alone.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::warn!(%error, "a thread of the pool cannot give way to the workers");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job {
            question,
            reply,
            since,
        }) = job
        else {
            return;
        };
        desk.all_metrics().pool_waiting.fetch_sub(1, Relaxed);
        // Whoever has left needs no answer.
        if since.elapsed() > desk.limits().pool_time {
            // Its client will hardly wait any longer: what is left of it goes to those behind.
            desk.all_metrics().pool_refused.fetch_add(1, Relaxed);
            let _ = reply.send(Some(too_slow().into()));
        } else if !reply.is_closed() {
            let _ = reply.send(desk.caught(|| question(desk)));
        }
    }
}

/// A thread has ended, or a question has no answer.
#[cold]
fn none() -> Refusal {
    let message = "this is a bug in callgate: the pool gives no answer";
    Refusal::new(Code::Internal, RefusalCode::Internal, message)
}

#[cold]
fn too_slow() -> Refusal {
    let message = "it has waited too long behind other searches, explanations and large batches";
    Refusal::new(Code::Unavailable, RefusalCode::PoolTooSlow, message)
}

#[cold]
fn full() -> Refusal {
    let message = "too many searches, explanations and large batches are waiting";
    Refusal::new(Code::Unavailable, RefusalCode::PoolFull, message)
}
