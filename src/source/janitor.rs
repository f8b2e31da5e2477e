//! The janitor: a thread that frees snapshots which decide no more, tells what their going
//! changed, and has the memory given back that making the new ones took.
//!
//! Freeing a large snapshot takes longer than many decisions, and so no request must be the last
//! to hold one. Comparing two of them takes longer than activating the newer: nobody waits for it.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::snapshot::Snapshot;

/// How often it looks whether the last request has let go.
const LOOK: Duration = Duration::from_millis(100);

/// How often it has memory given back after a job, and for how long: the allocator keeps what is
/// free for a second, and gives it back when the next large block goes.
const SWEEP: Duration = Duration::from_millis(1_500);
const SWEEPS: Duration = Duration::from_secs(10);

/// A block that the allocator does not keep among its small ones.
const LARGE: usize = 1 << 20;

/// The way to the janitor, who goes when this is gone.
pub(crate) struct Janitor {
    /// None: the system gave no thread.
    jobs: Option<Sender<Job>>,
}

/// What is left to do after an activation or a removal.
struct Job {
    /// The snapshot that decides no more, if there was one.
    old: Option<Arc<Snapshot>>,
    /// The one that does instead.
    new: Option<Arc<Snapshot>>,
}

// === impl Janitor ===

impl Janitor {
    pub(crate) fn start() -> Self {
        let (jobs, given) = mpsc::channel();
        let thread = thread::Builder::new().name("callgate-janitor".to_owned());
        let started = thread.spawn(move || work(&given));
        if let Err(error) = &started {
            tracing::warn!(%error, "no thread frees old snapshots: whoever holds one last does");
        }
        Self {
            jobs: started.is_ok().then_some(jobs),
        }
    }

    /// Frees the snapshot once no request holds it.
    pub(crate) fn free(&self, old: Option<Arc<Snapshot>>) {
        self.give(Job { old, new: None });
    }

    /// Tells what is otherwise with the new one, and frees the old one once no request holds it.
    pub(crate) fn tell_and_free(&self, old: Option<Arc<Snapshot>>, new: Arc<Snapshot>) {
        let new = Some(new);
        self.give(Job { old, new });
    }

    fn give(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // It ends only after us.
            let _ = jobs.send(job);
        }
    }
}

fn work(jobs: &Receiver<Job>) {
    let mut held: Vec<Arc<Snapshot>> = Vec::new();
    let mut last_job: Option<Instant> = None;
    loop {
        let job = match (held.is_empty(), last_job) {
            (false, _) => jobs.recv_timeout(LOOK),
            (true, Some(_)) => jobs.recv_timeout(SWEEP),
            (true, None) => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match job {
            Ok(Job { old, new }) => {
                if let (Some(old), Some(new)) = (&old, &new) {
                    // What is told is worth less than that snapshots are freed.
                    let _ = catch_unwind(AssertUnwindSafe(|| tell(old, new)));
                }
                held.extend(old);
                last_job = Some(Instant::now());
            }
            Err(RecvTimeoutError::Timeout) if held.is_empty() => {
                drop(black_box(Vec::<u8>::with_capacity(LARGE)));
                last_job = last_job.filter(|last| last.elapsed() < SWEEPS);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Nobody can take hold of what only this list holds.
        held.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}

/// The line that says who gains and who loses, in numbers.
fn tell(old: &Snapshot, new: &Snapshot) {
    let impact = old.impact(new);
    tracing::info!(
        company = new.company(),
        revision = new.revision(),
        replaced = old.revision(),
        users_gain = impact.users_gain,
        users_lose = impact.users_lose,
        permissions_gained = impact.permissions_gained,
        permissions_lost = impact.permissions_lost,
        changes = impact.changes,
        may_gain = impact.may_gain,
        may_lose = impact.may_lose,
        "what changed with it"
    );
}
