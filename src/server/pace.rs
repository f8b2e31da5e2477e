//! How long a connection may take: for a request's head, with nothing to say, to be gone.
//!
//! No request sets a timer. A connection notes what it does in plain cells; once a tick its worker
//! looks at all of its connections and wakes the few whose time is up.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use crate::config::Limits;

/// How often a worker looks at its connections; times are kept to this.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// How long a client that was told to go may take over it.
const LINGER: Duration = Duration::from_secs(2);

/// How long a client that has just connected may take to say something, when all is to end: it
/// connected in good faith, and must not find the connection closed under its first request.
const GREETING: Duration = Duration::from_secs(1);

/// For how many ticks a connection must have been silent before it gives way to others.
const SILENT_TICKS: u32 = 4;

/// What an HTTP/2 client says first.
const HTTP2_PREFACE_START: &[u8] = b"PRI ";

/// What a worker knows of one of its connections.
#[derive(Default)]
pub(super) struct Pace {
    /// Requests between head and answer.
    open: Cell<u32>,
    phase: Cell<Phase>,
    /// The tick at which the phase began.
    since: Cell<u32>,
    http2: Cell<bool>,
    /// Whether anything was ever read.
    begun: Cell<bool>,
    /// Whether bytes were read that belong to no request so far.
    reading: Cell<bool>,
    /// Whether a request was answered whose body was not read.
    unread: Cell<bool>,
    verdict: Cell<Verdict>,
    waker: RefCell<Option<Waker>>,
    ticks: Rc<Cell<u32>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// A head is awaited, and the client has begun to send.
    #[default]
    Head,
    /// Nothing is under way.
    Idle,
    /// The connection was told to finish.
    Finishing,
    /// The connection is closed but for what the client still sends.
    Lingering,
}

/// What the worker wants of a connection.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    #[default]
    Serve,
    /// Finish what runs, then close.
    Finish,
    /// Close now.
    Drop,
}

/// All connections of a worker.
pub(super) struct Paces {
    paces: RefCell<Vec<Rc<Pace>>>,
    ticks: Rc<Cell<u32>>,
    header: u32,
    idle: u32,
    linger: u32,
    greeting: u32,
    finishing: Cell<bool>,
}

// === impl Pace ===

impl Pace {
    /// These bytes came.
    pub(super) fn read(&self, bytes: &[u8]) {
        self.begun.set(true);
        if self.reading.replace(true) || self.open.get() > 0 {
            return;
        }
        if bytes.starts_with(HTTP2_PREFACE_START) {
            self.http2.set(true);
        }
        // A client of HTTP/2 may say that it is alive, and that is no head.
        let http2 = self.http2.get();
        self.enter(if http2 { Phase::Idle } else { Phase::Head });
    }

    /// A request's head was read.
    pub(super) fn request_began(&self) {
        self.open.set(self.open.get() + 1);
        self.reading.set(false);
    }

    /// A request was answered, or its client left.
    pub(super) fn request_ended(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.reading.set(false);
        if self.open.get() == 0 {
            self.enter(Phase::Idle);
        }
    }

    /// A request was answered whose body was not read to its end.
    pub(super) fn left_unread(&self) {
        self.unread.set(true);
    }

    /// That body was read to its end after all.
    pub(super) fn all_read(&self) {
        self.unread.set(false);
        self.reading.set(false);
        self.enter(Phase::Idle);
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn has_unread(&self) -> bool {
        self.reading.get() || self.unread.get()
    }

    /// The connection is closed but for what the client still sends.
    pub(super) fn lingers(&self) {
        self.phase.set(Phase::Lingering);
        self.since.set(self.ticks.get());
    }

    /// What the worker wants, to be asked at each poll with the task's waker.
    pub(super) fn verdict(&self, waker: &Waker) -> Verdict {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
        self.verdict.get()
    }

    fn enter(&self, phase: Phase) {
        if matches!(self.phase.get(), Phase::Head | Phase::Idle) {
            self.phase.set(phase);
            self.since.set(self.ticks.get());
        }
    }

    fn pass(&self, verdict: Verdict) {
        self.verdict.set(verdict);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// To be closed once what runs is done.
    fn finish(&self) {
        if self.verdict.get() == Verdict::Serve {
            if self.phase.get() != Phase::Lingering {
                self.phase.set(Phase::Finishing);
                self.since.set(self.ticks.get());
            }
            self.pass(Verdict::Finish);
        }
    }
}

// === impl Paces ===

impl Paces {
    pub(super) fn new(limits: &Limits) -> Self {
        let ticks = |time: Duration| {
            u32::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
        };
        Self {
            paces: RefCell::default(),
            ticks: Rc::default(),
            header: ticks(limits.header_timeout),
            idle: ticks(limits.idle_timeout),
            linger: ticks(LINGER),
            greeting: ticks(GREETING),
            finishing: Cell::new(false),
        }
    }

    /// Takes a new connection in.
    pub(super) fn add(&self) -> Rc<Pace> {
        let pace = Rc::new(Pace {
            ticks: Rc::clone(&self.ticks),
            since: Cell::new(self.ticks.get()),
            ..Pace::default()
        });
        self.paces.borrow_mut().push(Rc::clone(&pace));
        pace
    }

    /// How many connections there are, at the last tick.
    pub(super) fn count(&self) -> usize {
        self.forget_gone();
        self.paces.borrow().len()
    }

    /// Sends so many connections away that have nothing under way, those first that have been
    /// silent the longest. Returns how many that were.
    pub(super) fn make_room(&self, wanted: usize) -> u64 {
        let paces = self.paces.borrow();
        let silent = |pace: &&Rc<Pace>| {
            let waits = matches!(pace.phase.get(), Phase::Head | Phase::Idle);
            let spent = self.ticks.get().wrapping_sub(pace.since.get());
            waits && pace.open.get() == 0 && !pace.reading.get() && spent >= SILENT_TICKS
        };
        let mut silent: Vec<&Rc<Pace>> = paces.iter().filter(silent).collect();
        silent.sort_by_key(|pace| Reverse(self.ticks.get().wrapping_sub(pace.since.get())));
        silent.truncate(wanted);
        silent.iter().for_each(|pace| pace.finish());
        silent.len() as u64
    }

    /// To be called every [`TICK`]: sends those away whose time is up. Returns how many were too
    /// long over a head, and how many idle.
    pub(super) fn tick(&self) -> (u64, u64) {
        let (mut heads, mut idle) = (0, 0);
        self.ticks.set(self.ticks.get().wrapping_add(1));
        self.forget_gone();
        let head = match self.finishing.get() {
            true => self.greeting.min(self.header),
            false => self.header,
        };
        for pace in self.paces.borrow().iter() {
            let spent = self.ticks.get().wrapping_sub(pace.since.get());
            match pace.phase.get() {
                Phase::Lingering if spent > self.linger => pace.pass(Verdict::Drop),
                // What has not gone though it has nothing under way does not read its answers.
                Phase::Finishing if pace.open.get() == 0 && spent > self.header => {
                    pace.pass(Verdict::Drop);
                }
                Phase::Head if pace.open.get() == 0 && spent > head => {
                    heads += 1;
                    pace.finish();
                }
                Phase::Idle if pace.open.get() == 0 && spent > self.idle => {
                    idle += 1;
                    pace.finish();
                }
                _ => {}
            }
        }
        (heads, idle)
    }

    /// Lets every connection of HTTP/2 finish what runs, and tells its client to go elsewhere.
    pub(super) fn finish_http2(&self) {
        for pace in self.paces.borrow().iter().filter(|pace| pace.http2.get()) {
            pace.finish();
        }
    }

    /// Lets every connection finish what runs, and close; one on which nothing was said so far
    /// may have its first request on the way, and is waited for a moment.
    pub(super) fn finish_all(&self) {
        self.finishing.set(true);
        for pace in self.paces.borrow().iter() {
            if pace.begun.get() {
                pace.finish();
            } else {
                pace.since.set(self.ticks.get());
            }
        }
    }

    /// A connection is gone when nobody but this list knows it.
    fn forget_gone(&self) {
        self.paces
            .borrow_mut()
            .retain(|pace| Rc::strong_count(pace) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paces() -> Paces {
        Paces::new(&Limits {
            header_timeout: TICK * 4,
            idle_timeout: TICK * 20,
            body_timeout: TICK,
            drain_timeout: TICK,
            ..Limits::default()
        })
    }

    fn after(paces: &Paces, ticks: u32, pace: &Pace) -> bool {
        for _ in 0..ticks {
            paces.tick();
        }
        pace.verdict.get() == Verdict::Serve
    }

    #[test]
    fn a_head_that_does_not_come_ends_the_connection() {
        let paces = paces();
        let pace = paces.add();
        pace.read(b"POST /");
        assert!(after(&paces, 4, &pace));
        pace.read(b"x");
        assert!(!after(&paces, 1, &pace));
    }

    #[test]
    fn an_idle_connection_may_stay_longer() {
        let paces = paces();
        let pace = paces.add();
        pace.read(b"POST");
        pace.request_began();
        assert!(after(&paces, 100, &pace), "a request takes its own time");
        pace.request_ended();
        assert!(after(&paces, 20, &pace));
        assert!(!after(&paces, 1, &pace));
    }

    #[test]
    fn the_next_head_is_timed_from_its_first_byte() {
        let paces = paces();
        let pace = paces.add();
        pace.read(b"POST");
        pace.request_began();
        pace.request_ended();
        assert!(after(&paces, 10, &pace));
        pace.read(b"P");
        assert!(after(&paces, 4, &pace));
        assert!(!after(&paces, 1, &pace));
    }

    #[test]
    fn signs_of_life_over_http2_are_no_heads() {
        let paces = paces();
        let pace = paces.add();
        pace.read(b"PRI * HTTP/2.0");
        pace.request_began();
        pace.request_ended();
        pace.read(b"ping");
        assert!(after(&paces, 20, &pace));
    }

    #[test]
    fn who_has_been_silent_the_longest_gives_way() {
        let paces = paces();
        let [old, busy, young] = [0, 1, 2].map(|_| {
            let pace = paces.add();
            paces.tick();
            pace
        });
        busy.read(b"POST");
        busy.request_began();
        assert_eq!(paces.make_room(3), 0, "none has been silent for long");
        paces.tick();
        assert_eq!(paces.make_room(1), 1);
        let serves = |pace: &Pace| pace.verdict.get() == Verdict::Serve;
        assert!(!serves(&old) && serves(&busy) && serves(&young));
        paces.tick();
        paces.tick();
        assert_eq!(paces.make_room(3), 1);
        assert!(serves(&busy) && !serves(&young));
    }

    #[test]
    fn connections_that_are_gone_are_forgotten() {
        let paces = paces();
        let pace = paces.add();
        assert_eq!(paces.count(), 1);
        drop(pace);
        assert_eq!(paces.count(), 0);
    }
}
