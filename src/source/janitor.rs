//! The janitor: threads that free snapshots which decide no more, tell what their going changed, and
//! have the memory given back that making the new ones took.
//!
//! Freeing a large snapshot takes longer than many decisions, and so no request must be the last
//! to hold one. Comparing two of them takes longer than activating the newer: nobody waits for it,
//! and it is done while no thread that decides wants the core.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::aside;
use crate::snapshot::Snapshot;

/// How often it looks whether the last request has let go.
const LOOK: Duration = Duration::from_millis(100);

/// How often it has memory given back after a job, and for how long: the allocator keeps what is
/// free for a second, and gives it back when the next large block goes.
const SWEEP: Duration = Duration::from_millis(1_500);
const SWEEPS: Duration = Duration::from_secs(10);

/// A block that the allocator does not keep among its small ones.
const LARGE: usize = 1 << 20;

/// What is not told after so long is not told any more: what waits for it holds memory.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// The way to the janitor's threads, who go when this is gone.
pub(crate) struct Janitor {
    /// None: the system gave no thread.
    old: Option<Sender<Arc<Snapshot>>>,
    changes: Option<Sender<Change>>,
    /// When the comparison in hand began, in milliseconds since the start; 0: there is none.
    telling: Arc<AtomicU64>,
    started: Instant,
}

/// What there may be to tell after an activation or a removal.
struct Change {
    /// The snapshot that decides no more, and the one that does instead.
    both: Option<(Arc<Snapshot>, Arc<Snapshot>)>,
    since: Instant,
}

// === impl Janitor ===

impl Janitor {
    pub(crate) fn start() -> Self {
        let (old, given) = mpsc::channel();
        let thread = thread::Builder::new().name("callgate-janitor".to_owned());
        let freeing = thread.spawn(move || free(&given));
        if let Err(error) = &freeing {
            tracing::warn!(%error, "no thread frees old snapshots: whoever holds one last does");
        }
        let (changes, made) = mpsc::channel();
        let (telling, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let begun = Arc::clone(&telling);
        let thread = thread::Builder::new().name("callgate-tell".to_owned());
        let told = thread.spawn(move || tell_all(&made, &begun, started));
        if let Err(error) = &told {
            tracing::warn!(%error, "no thread tells what changes with a snapshot");
        }
        Self {
            old: freeing.is_ok().then_some(old),
            changes: told.is_ok().then_some(changes),
            telling,
            started,
        }
    }

    /// Frees the snapshot once no request holds it.
    pub(crate) fn free(&self, old: Option<Arc<Snapshot>>) {
        self.give(old, None);
    }

    /// Tells what is otherwise with the new one, and frees the old one once no request holds it.
    pub(crate) fn tell_and_free(&self, old: Option<Arc<Snapshot>>, new: Arc<Snapshot>) {
        let both = old.as_ref().map(|old| (Arc::clone(old), new));
        self.give(old, both);
    }

    fn give(&self, old: Option<Arc<Snapshot>>, both: Option<(Arc<Snapshot>, Arc<Snapshot>)>) {
        // Its threads end only after us.
        if let Some(changes) = &self.changes {
            let begun = Duration::from_millis(self.telling.load(Relaxed));
            let since = Instant::now();
            let gets_on = begun.is_zero() || since < self.started + begun + TOLD_WITHIN;
            let both = both.filter(|(_, new)| gets_on || not_told(new));
            let _ = changes.send(Change { both, since });
        }
        if let (Some(jobs), Some(old)) = (&self.old, old) {
            let _ = jobs.send(old);
        }
    }
}

fn free(given: &Receiver<Arc<Snapshot>>) {
    let mut held: Vec<Arc<Snapshot>> = Vec::new();
    loop {
        let old = match held.is_empty() {
            false => given.recv_timeout(LOOK),
            true => given.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match old {
            Ok(old) => held.push(old),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Nobody can take hold of what only this list holds.
        held.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}

fn tell_all(made: &Receiver<Change>, telling: &AtomicU64, started: Instant) {
    aside::give_way();
    let mut last: Option<Instant> = None;
    loop {
        let change = match last {
            Some(_) => made.recv_timeout(SWEEP),
            None => made.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match change {
            Ok(Change { both, since }) => {
                if let Some((old, new)) = both {
                    let now = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                    telling.store(now.max(1), Relaxed);
                    if since.elapsed() < TOLD_WITHIN {
                        // What is told is worth less than that the next one is.
                        let _ = catch_unwind(AssertUnwindSafe(|| tell(&old, &new)));
                    } else {
                        not_told(&new);
                    }
                    telling.store(0, Relaxed);
                }
                last = Some(Instant::now());
            }
            Err(RecvTimeoutError::Timeout) => {
                drop(black_box(Vec::<u8>::with_capacity(LARGE)));
                last = last.filter(|last| last.elapsed() < SWEEPS);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Says so; false.
fn not_told(new: &Snapshot) -> bool {
    let (company, revision) = (new.company(), new.revision());
    tracing::info!(company, revision, "no time to tell what changed with it");
    false
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
