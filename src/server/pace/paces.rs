//! All connections of a worker: which of them are too slow, idle for too long, or in the way.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use super::{Pace, Phase, TICK, Terms, Verdict};
use crate::config::Limits;

/// How long a client that was told to go may take over it.
const LINGER: Duration = Duration::from_secs(2);

/// How long a client that has just connected may take to say something, when all is to end: it
/// connected in good faith, and must not find the connection closed under its first request.
const GREETING: Duration = Duration::from_secs(1);

/// For how many ticks a connection must have been silent before it gives way to others.
const SILENT_TICKS: u32 = 4;

/// What ran into a limit since the tick before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct Ticked {
    /// Connections that were too long over a head.
    pub(in crate::server) heads: u64,
    /// Connections that were idle for too long.
    pub(in crate::server) idle: u64,
    /// Requests too many on a connection of HTTP/2.
    pub(in crate::server) streams: u64,
    /// Heads over HTTP/2 that were too large before anybody saw them.
    pub(in crate::server) heads_too_large: u64,
}

/// All connections of a worker.
pub(in crate::server) struct Paces {
    paces: RefCell<Vec<Rc<Pace>>>,
    terms: Rc<Terms>,
    header: u32,
    idle: u32,
    linger: u32,
    greeting: u32,
    finishing: Cell<bool>,
}

// === impl Paces ===

impl Paces {
    pub(in crate::server) fn new(limits: &Limits) -> Self {
        let ticks = |time: Duration| {
            u32::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
        };
        Self {
            paces: RefCell::default(),
            terms: Rc::new(Terms {
                streams_max: limits.streams_max,
                head_max: limits.header_bytes_max,
                ..Terms::default()
            }),
            header: ticks(limits.header_timeout),
            idle: ticks(limits.idle_timeout),
            linger: ticks(LINGER),
            greeting: ticks(GREETING),
            finishing: Cell::new(false),
        }
    }

    /// Takes a new connection in.
    pub(in crate::server) fn add(&self) -> Rc<Pace> {
        let pace = Rc::new(Pace {
            terms: Rc::clone(&self.terms),
            since: Cell::new(self.terms.now()),
            ..Pace::default()
        });
        self.paces.borrow_mut().push(Rc::clone(&pace));
        pace
    }

    /// How many connections there are, at the last tick.
    pub(in crate::server) fn count(&self) -> usize {
        self.forget_gone();
        self.paces.borrow().len()
    }

    /// Sends so many connections away that have nothing under way, those first that have been
    /// silent the longest, and after all of these those that only watch. Returns how many that
    /// were.
    pub(in crate::server) fn make_room(&self, wanted: usize) -> u64 {
        let paces = self.paces.borrow();
        let silent = |pace: &&Rc<Pace>| {
            let waits = matches!(pace.phase.get(), Phase::Head | Phase::Idle);
            let spent = self.terms.since(pace.since.get());
            let only_watches = pace.open.get() == pace.watches.get();
            let speaks = pace.reading.get() || pace.half_said.get().is_some();
            waits && only_watches && !speaks && spent >= SILENT_TICKS
        };
        let mut silent: Vec<&Rc<Pace>> = paces.iter().filter(silent).collect();
        silent.sort_by_key(|pace| {
            let spent = self.terms.since(pace.since.get());
            (pace.watches.get() > 0, Reverse(spent))
        });
        silent.truncate(wanted);
        for pace in &silent {
            pace.gave_way.set(true);
            pace.finish();
        }
        silent.len() as u64
    }

    /// To be called every [`TICK`]: sends those away whose time is up.
    pub(in crate::server) fn tick(&self) -> Ticked {
        let (mut heads, mut idle) = (0, 0);
        self.terms.ticks.set(self.terms.now().wrapping_add(1));
        self.forget_gone();
        let head = match self.finishing.get() {
            true => self.greeting.min(self.header),
            false => self.header,
        };
        for pace in self.paces.borrow().iter() {
            let spent = self.terms.since(pace.since.get());
            let is_late = pace.half_said_for().is_some_and(|spent| spent > head);
            match pace.phase.get() {
                Phase::Lingering if spent > self.linger => pace.pass(Verdict::Drop),
                // What has not gone though it has nothing under way does not read its answers.
                Phase::Finishing
                    if pace.open.get() == 0 && (is_late || spent > self.leave(pace)) =>
                {
                    pace.pass(Verdict::Drop);
                }
                Phase::Head | Phase::Idle if is_late => {
                    heads += 1;
                    pace.finish();
                    // To be led elsewhere a client would have to finish what it says.
                    if pace.open.get() == 0 {
                        pace.pass(Verdict::Drop);
                    }
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
        Ticked {
            heads,
            idle,
            streams: self.terms.streams_refused.take(),
            heads_too_large: self.terms.heads_too_large.take(),
        }
    }

    /// How long a connection may take to go that was told to finish: others wait for the place of
    /// one that gave way.
    fn leave(&self, pace: &Pace) -> u32 {
        if pace.gave_way() {
            self.linger.min(self.header)
        } else {
            self.header
        }
    }

    /// Lets every connection of HTTP/2 finish what runs, and tells its client to go elsewhere.
    pub(in crate::server) fn finish_http2(&self) {
        for pace in self.paces.borrow().iter().filter(|pace| pace.is_http2()) {
            pace.finish();
        }
    }

    /// Lets every connection finish what runs, and close; one on which nothing was said so far
    /// may have its first request on the way, and is waited for a moment.
    pub(in crate::server) fn finish_all(&self) {
        self.finishing.set(true);
        for pace in self.paces.borrow().iter() {
            if pace.begun.get() {
                pace.finish();
            } else {
                pace.since.set(self.terms.now());
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
