//! Work that is done while no thread that decides wants the core.
//!
//! A nice thread has a small share of a core, but keeps the core for some time once it has it: a
//! worker that wakes may wait for the scheduler's next tick, a few milliseconds. A thread of the idle
//! class leaves at once; but where no core is ever idle it comes to no end, and what changed must come
//! to decide all the same. So whoever has work done aside looks whether it gets on, and if it does
//! not, has it stop and does it anew.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::gettid;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Stack of a thread for such work: the depth of what is read is limited, but not to a few frames.
pub(super) const STACK_BYTES: usize = 8 << 20;

/// How nice a thread is where the system has no idle class for it: as nice as there is.
const NICE: i32 = 19;

/// How often it is asked whether work gets on.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// Work does not get on that wants a core for so long at a stretch, and has it for less than one part
/// in so many of that.
const PATIENCE: Duration = Duration::from_millis(150);
const SHARE: u32 = 4;

/// How long after that it is done by a thread that takes its share.
const AGAIN: Duration = Duration::from_secs(30);

/// Has work done, aside where that gets on.
pub(super) struct Aside {
    hurry: Hurry,
    /// Until then no core is believed to be idle.
    ordinary_until: Option<Instant>,
}

/// What work that is done aside must heed: when it is set, the work stops where it is next asked, and
/// is done anew.
#[derive(Clone, Default)]
pub(super) struct Hurry(Arc<State>);

#[derive(Default)]
struct State {
    is_set: AtomicBool,
    /// The thread whose getting on is the work's.
    task: AtomicI32,
    /// How often that was said: each time the work has come further.
    steps: AtomicUsize,
    /// Threads that were started for the work and have not ended.
    threads: AtomicUsize,
}

/// One of these threads.
pub(super) struct Counted(Arc<State>);

/// What a thread does.
struct Doing {
    /// The time that it has had of a core so far.
    ran: Duration,
    /// It runs, or waits for a core; not for a disk.
    runnable: bool,
}

/// How a thread has got on since the last look.
struct Progress {
    steps: usize,
    ran: Duration,
    looked: Instant,
    kept_waiting: Duration,
}

/// Has the calling thread run only while nobody else wants its core.
pub(super) fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let done = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    if done.is_err() {
        // On Linux this is of the calling thread alone. It may do its work without, too.
        let _ = rustix::process::nice(NICE);
    }
}

// === impl Aside ===

impl Aside {
    pub(super) fn new(hurry: Hurry) -> Self {
        Self {
            hurry,
            ordinary_until: None,
        }
    }

    /// Does the work aside; if that does not get on, anew on the calling thread.
    pub(super) fn run<R: Send>(&mut self, mut work: impl FnMut() -> R + Send) -> R {
        let busy = self
            .ordinary_until
            .is_some_and(|until| Instant::now() < until);
        // What was left behind holds memory: there must not be more and more of it.
        if !busy && self.hurry.0.threads.load(Relaxed) == 0 {
            match self.try_run(&mut work) {
                Some(done) if !self.hurry.is_set() => return done,
                _ => {}
            }
            tracing::info!("no core is idle: for a while changes are read with an ordinary share");
            self.ordinary_until = Some(Instant::now() + AGAIN);
        }
        self.hurry.0.is_set.store(false, Relaxed);
        work()
    }

    /// What came of the work; none, or anything at all, if it had to stop.
    fn try_run<R: Send>(&self, work: &mut (impl FnMut() -> R + Send)) -> Option<R> {
        let hurry = &self.hurry;
        thread::scope(|scope| {
            let (sender, done) = mpsc::channel();
            let (name, span) = ("callgate-look".to_owned(), tracing::Span::current());
            let thread = thread::Builder::new().name(name).stack_size(STACK_BYTES);
            let started = thread.spawn_scoped(scope, move || {
                give_way();
                hurry.watch_me();
                let done = span.in_scope(work);
                // Whoever started it waits.
                let _ = sender.send(done);
            });
            started.ok()?;
            let mut progress = Progress::begin();
            loop {
                match done.recv_timeout(LOOK) {
                    Ok(done) => return Some(done),
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                let (task, steps) = (hurry.0.task.load(Relaxed), hurry.0.steps.load(Relaxed));
                if progress.is_kept_waiting(steps, Doing::of(task)) {
                    hurry.0.is_set.store(true, Relaxed);
                }
            }
        })
    }
}

// === impl Hurry ===

impl Hurry {
    /// Whether to stop.
    pub(super) fn is_set(&self) -> bool {
        self.0.is_set.load(Relaxed)
    }

    /// From now on the work gets on as the calling thread does.
    pub(super) fn watch_me(&self) {
        self.0.task.store(gettid().as_raw_nonzero().get(), Relaxed);
        self.0.steps.fetch_add(1, Relaxed);
    }

    /// Counts a thread of the work until what is returned is gone.
    pub(super) fn count(&self) -> Counted {
        self.0.threads.fetch_add(1, Relaxed);
        Counted(Arc::clone(&self.0))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, Relaxed);
    }
}

// === impl Progress ===

impl Progress {
    fn begin() -> Self {
        Self {
            steps: 0,
            ran: Duration::ZERO,
            looked: Instant::now(),
            kept_waiting: Duration::ZERO,
        }
    }

    /// Looks again; whether the thread has been kept waiting for too long. Where the system does not
    /// tell, nobody knows, and it has.
    fn is_kept_waiting(&mut self, steps: usize, doing: Option<Doing>) -> bool {
        let passed = self.looked.elapsed();
        self.looked += passed;
        let ran = doing.as_ref().map_or(Duration::ZERO, |doing| doing.ran);
        let gets_on = steps != self.steps || (ran.saturating_sub(self.ran)) * SHARE >= passed;
        (self.steps, self.ran) = (steps, ran);
        let waits = !gets_on && doing.is_none_or(|doing| doing.runnable);
        self.kept_waiting = match waits {
            true => self.kept_waiting + passed,
            false => Duration::ZERO,
        };
        self.kept_waiting >= PATIENCE
    }
}

// === impl Doing ===

impl Doing {
    /// What this thread of the process does, if the system tells.
    fn of(task: i32) -> Option<Self> {
        let read = |file| fs::read_to_string(format!("/proc/self/task/{task}/{file}")).ok();
        Self::told(&read("schedstat")?, &read("stat")?)
    }

    fn told(schedstat: &str, stat: &str) -> Option<Self> {
        let ran = schedstat.split(' ').next()?.parse().ok()?;
        // After the name, which may hold anything.
        let (_, state) = stat.rsplit_once(") ")?;
        Some(Self {
            ran: Duration::from_nanos(ran),
            runnable: state.starts_with('R'),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps every core busy while `during` runs.
    fn with_busy_cores(during: impl FnOnce()) {
        let done = AtomicBool::new(false);
        let cores = rustix::thread::sched_getaffinity(None).unwrap().count();
        thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            during();
            done.store(true, Relaxed);
        });
    }

    #[test]
    fn what_a_thread_does_is_read_of_what_the_system_tells() {
        let doing = |stat| Doing::told("1500 7 3\n", stat).unwrap();
        assert_eq!(doing("7 (a) R 1").ran, Duration::from_nanos(1_500));
        assert!(doing("7 (a) ) R 1").runnable);
        assert!(!doing("7 (R) D 1").runnable);
        assert!(Doing::told("", "7 (a) R 1").is_none());
        let own = Doing::of(gettid().as_raw_nonzero().get()).expect("Linux tells");
        assert!(own.runnable);
    }

    #[test]
    fn work_that_waits_for_a_core_too_long_does_not_get_on() {
        let doing = |ran, runnable| {
            let ran = Duration::from_millis(ran);
            Some(Doing { ran, runnable })
        };
        let look = |progress: &mut Progress, steps, doing| {
            progress.looked = Instant::now().checked_sub(LOOK).unwrap();
            progress.is_kept_waiting(steps, doing)
        };
        let looks = |next: &dyn Fn(u64) -> (usize, Option<Doing>)| {
            let mut progress = Progress::begin();
            let first = (0..10).find(|n| {
                let (steps, doing) = next(*n);
                look(&mut progress, steps, doing)
            });
            first.map(|n| n + 1)
        };
        assert_eq!(looks(&|n| (0, doing(n, true))), Some(3), "it has little");
        assert_eq!(looks(&|_| (0, None)), Some(3), "nobody knows");
        assert_eq!(
            looks(&|n| (0, doing(20 * n + 20, true))),
            None,
            "it has enough"
        );
        assert_eq!(
            looks(&|_| (0, doing(0, false))),
            None,
            "it waits for a disk"
        );
        assert_eq!(
            looks(&|n| (n as usize + 1, doing(0, true))),
            None,
            "it has come further"
        );
    }

    #[test]
    fn work_is_done_aside_once_and_what_comes_of_it_is_told() {
        let mut aside = Aside::new(Hurry::default());
        let here = thread::current().id();
        // The cores may be busy with other tests.
        let done_once_elsewhere = |aside: &mut Aside| {
            let mut times = 0;
            aside.ordinary_until = None;
            let there = aside.run(|| {
                times += 1;
                thread::current().id()
            });
            there != here && times == 1
        };
        assert!((0..200).any(|_| done_once_elsewhere(&mut aside)));
        aside.ordinary_until = None;
        let left_behind = aside.hurry.count();
        assert_eq!(aside.run(|| thread::current().id()), here);
        drop(left_behind);
        assert!((0..200).any(|_| done_once_elsewhere(&mut aside)));
    }

    #[test]
    fn where_no_core_is_idle_work_is_done_all_the_same() {
        let hurry = Hurry::default();
        let mut aside = Aside::new(hurry.clone());
        let here = thread::current().id();
        let mut threads = Vec::new();
        with_busy_cores(|| {
            aside.run(|| {
                threads.push(thread::current().id());
                let began = Instant::now();
                while began.elapsed() < Duration::from_secs(20)
                    && thread::current().id() != here
                    && !hurry.is_set()
                {}
            });
        });
        assert_eq!(threads.len(), 2, "it was done aside, and then anew");
        assert_eq!(threads.last(), Some(&here));
        let again = aside.run(|| thread::current().id());
        assert_eq!(again, here, "for a while no core is believed to be idle");
    }
}
