//! How long a connection may take: for a request's head, with nothing to say, to be gone.
//!
//! No request sets a timer. A connection notes what it does in plain cells; once a tick its worker
//! looks at all of its connections and wakes the few whose time is up.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::frames::{Frames, PREFACE, Progress};
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

/// What a worker knows of one of its connections.
#[derive(Default)]
pub(super) struct Pace {
    /// Requests between head and answer, and who watches.
    open: Cell<u32>,
    /// Of these, who watches: they are told what changes as long as they like.
    watches: Cell<u32>,
    phase: Cell<Phase>,
    /// The tick at which the phase began.
    since: Cell<u32>,
    protocol: Cell<Protocol>,
    /// Over HTTP/2, the tick at which something was begun that is not whole.
    half_said: Cell<Option<u32>>,
    /// Over HTTP/2, requests that have begun to come and are not among `open`.
    coming: Cell<u32>,
    /// How many requests may be under way at once.
    streams_max: u32,
    /// Of all connections, the requests that were more than that.
    streams_refused: Rc<Cell<u64>>,
    /// Whether it was sent away for others to have its place.
    gave_way: Cell<bool>,
    /// Whether anything was ever read.
    begun: Cell<bool>,
    /// Whether bytes were read that belong to no request so far; over HTTP/2 `half_said` tells.
    reading: Cell<bool>,
    /// Whether a request was answered whose body was not read.
    unread: Cell<bool>,
    verdict: Cell<Verdict>,
    waker: RefCell<Option<Waker>>,
    ticks: Rc<Cell<u32>>,
}

/// What a client speaks.
#[derive(Clone, Copy)]
enum Protocol {
    /// So far it has said so much of what clients of HTTP/2 begin with.
    Unknown(usize),
    Http1,
    Http2(Frames),
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

/// What ran into a limit since the tick before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ticked {
    /// Connections that were too long over a head.
    pub(super) heads: u64,
    /// Connections that were idle for too long.
    pub(super) idle: u64,
    /// Requests too many on a connection of HTTP/2.
    pub(super) streams: u64,
}

/// All connections of a worker.
pub(super) struct Paces {
    paces: RefCell<Vec<Rc<Pace>>>,
    ticks: Rc<Cell<u32>>,
    streams_max: u32,
    streams_refused: Rc<Cell<u64>>,
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
        match self.protocol.get() {
            Protocol::Unknown(said) => self.find_protocol(said, bytes),
            Protocol::Http1 => {
                if !self.reading.replace(true) && self.open.get() == 0 {
                    self.enter(Phase::Head);
                }
            }
            // Its client may say that it is alive, and that is no head.
            Protocol::Http2(frames) => self.follow(frames, bytes),
        }
    }

    /// What a connection begins with is part of its first head, whatever the protocol.
    fn find_protocol(&self, said: usize, bytes: &[u8]) {
        if said == 0 {
            self.reading.set(true);
            self.enter(Phase::Head);
        }
        let preface = PREFACE.get(said..).unwrap_or_default();
        let (start, rest) = bytes.split_at(preface.len().min(bytes.len()));
        if !preface.starts_with(start) {
            self.protocol.set(Protocol::Http1);
        } else if start.len() < preface.len() {
            self.protocol.set(Protocol::Unknown(said + start.len()));
        } else {
            self.reading.set(false);
            self.enter(Phase::Idle);
            self.follow(Frames::default(), rest);
        }
    }

    fn follow(&self, mut frames: Frames, bytes: &[u8]) {
        let before = frames.requests;
        match frames.read(bytes) {
            Progress::Whole => self.half_said.set(None),
            Progress::Begun => self.half_said.set(Some(self.ticks.get())),
            Progress::Unfinished => {}
        }
        self.requests_come(frames.requests.wrapping_sub(before));
        self.protocol.set(Protocol::Http2(frames));
    }

    /// So many begin to come over HTTP/2; those that are too many are refused without our doing.
    fn requests_come(&self, requests: u32) {
        let coming = self.coming.get().saturating_add(requests);
        let room = self.streams_max.saturating_sub(self.open.get());
        let refused = coming.saturating_sub(room);
        self.coming.set(coming - refused);
        let count = &self.streams_refused;
        count.set(count.get() + u64::from(refused));
    }

    /// A request's head was read.
    pub(super) fn request_began(&self) {
        self.open.set(self.open.get() + 1);
        self.coming.set(self.coming.get().saturating_sub(1));
        self.reading.set(false);
    }

    /// A request was answered, or its client left.
    pub(super) fn request_ended(&self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.reading.set(false);
        if self.open.get() == 0 {
            // What was no request after all is not awaited for ever.
            self.coming.set(0);
            self.enter(Phase::Idle);
        }
    }

    /// A request was answered, and goes on telling what changes.
    pub(super) fn watch_began(&self) {
        self.open.set(self.open.get() + 1);
        self.watches.set(self.watches.get() + 1);
    }

    /// It does so no longer.
    pub(super) fn watch_ended(&self) {
        self.watches.set(self.watches.get().saturating_sub(1));
        self.request_ended();
    }

    /// Whether the connection is to end, once what runs is done.
    pub(super) fn finishes(&self) -> bool {
        self.verdict.get() != Verdict::Serve
    }

    /// Whether it was sent away for others to have its place.
    pub(super) const fn gave_way(&self) -> bool {
        self.gave_way.get()
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

    /// Whether the client may still be sending what nobody will read; over HTTP/2 it always may.
    pub(super) fn has_unread(&self) -> bool {
        self.reading.get() || self.unread.get() || self.is_http2()
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

    /// Ticks since something was begun over HTTP/2 that is not whole.
    fn half_said_for(&self) -> Option<u32> {
        let since = self.half_said.get()?;
        Some(self.ticks.get().wrapping_sub(since))
    }

    fn is_http2(&self) -> bool {
        matches!(self.protocol.get(), Protocol::Http2(_))
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

// === impl Protocol ===

impl Default for Protocol {
    fn default() -> Self {
        Self::Unknown(0)
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
            streams_max: limits.streams_max,
            streams_refused: Rc::default(),
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
            streams_max: self.streams_max,
            streams_refused: Rc::clone(&self.streams_refused),
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
    /// silent the longest, and after all of these those that only watch. Returns how many that
    /// were.
    pub(super) fn make_room(&self, wanted: usize) -> u64 {
        let paces = self.paces.borrow();
        let silent = |pace: &&Rc<Pace>| {
            let waits = matches!(pace.phase.get(), Phase::Head | Phase::Idle);
            let spent = self.ticks.get().wrapping_sub(pace.since.get());
            let only_watches = pace.open.get() == pace.watches.get();
            let speaks = pace.reading.get() || pace.half_said.get().is_some();
            waits && only_watches && !speaks && spent >= SILENT_TICKS
        };
        let mut silent: Vec<&Rc<Pace>> = paces.iter().filter(silent).collect();
        silent.sort_by_key(|pace| {
            let spent = self.ticks.get().wrapping_sub(pace.since.get());
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
    pub(super) fn tick(&self) -> Ticked {
        let (mut heads, mut idle) = (0, 0);
        self.ticks.set(self.ticks.get().wrapping_add(1));
        self.forget_gone();
        let head = match self.finishing.get() {
            true => self.greeting.min(self.header),
            false => self.header,
        };
        for pace in self.paces.borrow().iter() {
            let spent = self.ticks.get().wrapping_sub(pace.since.get());
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
            streams: self.streams_refused.take(),
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
    pub(super) fn finish_http2(&self) {
        for pace in self.paces.borrow().iter().filter(|pace| pace.is_http2()) {
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
mod tests;
