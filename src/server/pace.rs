//! How long a connection may take: for a request's head, with nothing to say, to be gone.
//!
//! No request sets a timer. A connection notes what it does in plain cells; once a tick its worker
//! looks at all of its connections and wakes the few whose time is up.

mod paces;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

pub(super) use paces::Paces;

use super::frames::{Frames, PREFACE, Progress};

/// How often a worker looks at its connections; times are kept to this.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// How many frames of HTTP/2 a connection may send before others have their turn. More may come at
/// once, since what was read must be looked at; hyper itself would go on as long as more comes, and
/// frames that ask nothing cost their client next to nothing.
const FRAMES_OF_A_TURN: u32 = 64;

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
    /// Over HTTP/2, frames that were read since its turn began.
    frames: Cell<u32>,
    /// Over HTTP/2, requests that have begun to come and are not among `open`.
    coming: Cell<u32>,
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
    terms: Rc<Terms>,
}

/// What holds for all connections of a worker, and what is counted of them.
#[derive(Default)]
struct Terms {
    ticks: Cell<u32>,
    /// How many requests may be under way at once on one of HTTP/2.
    streams_max: u32,
    /// Those that were more than that.
    streams_refused: Cell<u64>,
    /// How large a request's head may be (bytes).
    head_max: usize,
    /// Those over HTTP/2 that were larger.
    heads_too_large: Cell<u64>,
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

    /// The connection's turn begins: others have had theirs.
    pub(super) fn turn_begins(&self) {
        self.frames.set(0);
    }

    /// Whether so much was read that it is others' turn.
    pub(super) fn turn_is_over(&self) -> bool {
        self.frames.get() >= FRAMES_OF_A_TURN
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
            self.follow(Frames::new(self.terms.head_max), rest);
        }
    }

    fn follow(&self, mut frames: Frames, bytes: &[u8]) {
        let (before, too_large, begun) = (frames.requests, frames.too_large, frames.begun);
        match frames.read(bytes) {
            Progress::Whole => self.half_said.set(None),
            Progress::Begun => self.half_said.set(Some(self.terms.now())),
            Progress::Unfinished => {}
        }
        self.frames
            .set(self.frames.get() + frames.begun.wrapping_sub(begun));
        self.requests_come(frames.requests.wrapping_sub(before));
        let too_large = frames.too_large.wrapping_sub(too_large);
        add(&self.terms.heads_too_large, too_large);
        self.protocol.set(Protocol::Http2(frames));
    }

    /// So many begin to come over HTTP/2; those that are too many are refused without our doing.
    fn requests_come(&self, requests: u32) {
        let coming = self.coming.get().saturating_add(requests);
        let room = self.terms.streams_max.saturating_sub(self.open.get());
        let refused = coming.saturating_sub(room);
        self.coming.set(coming - refused);
        add(&self.terms.streams_refused, refused);
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

    /// Whether every request was answered whose head was read, and its body read to its end.
    pub(super) fn is_between_requests(&self) -> bool {
        self.open.get() == 0 && !self.unread.get()
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
        self.since.set(self.terms.now());
    }

    /// Whether the client is known to speak HTTP/1.1.
    pub(super) fn is_http1(&self) -> bool {
        matches!(self.protocol.get(), Protocol::Http1)
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
            self.since.set(self.terms.now());
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
        Some(self.terms.since(since))
    }

    fn is_http2(&self) -> bool {
        matches!(self.protocol.get(), Protocol::Http2(_))
    }

    /// To be closed once what runs is done.
    fn finish(&self) {
        if self.verdict.get() == Verdict::Serve {
            if self.phase.get() != Phase::Lingering {
                self.phase.set(Phase::Finishing);
                self.since.set(self.terms.now());
            }
            self.pass(Verdict::Finish);
        }
    }
}

fn add(count: &Cell<u64>, more: u32) {
    count.set(count.get() + u64::from(more));
}

// === impl Terms ===

impl Terms {
    fn now(&self) -> u32 {
        self.ticks.get()
    }

    /// Ticks since this one.
    fn since(&self, tick: u32) -> u32 {
        self.now().wrapping_sub(tick)
    }
}

// === impl Protocol ===

impl Default for Protocol {
    fn default() -> Self {
        Self::Unknown(0)
    }
}

#[cfg(test)]
mod tests;
