//! Direct answers: plain requests are answered where their bytes are read, before hyper.
//!
//! Nearly all that is ever asked is an evaluation, a few at once, or a proxy's question about headers, in one
//! piece: a path in plain letters, a few headers, a body of known length, and nothing behind it. It is
//! decided by the same code, and answered in the same bytes, as on the way through hyper, which
//! prepares for all that HTTP can be, and so costs more than deciding.
//!
//! Whatever else comes is hyper's, byte for byte: it answers, waits, closes, reads chunks, refuses.
//! To know whether what comes next begins a request, this follows what hyper was given, as long as
//! that is beyond doubt: requests of a plain length, each answered before the next. After the first
//! that is not, the connection is hyper's to its end. So what hyper holds for a part of one
//! request is never taken for another here.

mod head;

use std::mem;
use std::rc::Rc;

pub(super) use self::head::Head;
use self::head::Read;
use super::pace::Pace;
use super::worker::Worker;
use crate::access::Peer;

/// In how many pieces a head may come for this to follow it. The first request of a connection
/// always comes in two: hyper looks at the first bytes for a client of HTTP/2.
const PIECES: u8 = 4;

/// Room for answers that a connection keeps from one to the next (bytes): most are shorter.
const ROOM_KEPT: usize = 4 << 10;

/// What answers directly on one connection.
pub(super) struct Direct {
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    held: Held,
    /// Answers, and how much of them has gone out.
    answers: Vec<u8>,
    sent: usize,
    /// Which of the worker's answers was the last one here.
    last: u64,
    /// Whether the one before was here, too.
    alone: bool,
}

/// What hyper has of the client's bytes.
enum Held {
    /// Requests that are answered: the next byte begins another.
    Nothing,
    /// The beginning of a head, or of the connection, in so many pieces.
    Beginning(Vec<u8>, u8),
    /// A request of which so many bytes are still to come, and how far its answer has.
    Request(usize, Answering),
    /// It alone knows.
    Anything,
}

/// How far hyper has come with an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answering {
    NotYet,
    Writing,
    Written,
}

// === impl Direct ===

impl Direct {
    pub(super) const fn new(worker: Rc<Worker>, peer: Rc<Peer>) -> Self {
        Self {
            worker,
            peer,
            // The first bytes are hyper's: by them it finds out which version of HTTP this is, and it
            // would take later ones for the first if these were kept from it.
            held: Held::Beginning(Vec::new(), 0),
            answers: Vec::new(),
            sent: 0,
            last: 0,
            alone: false,
        }
    }

    /// Answers what was read, if it is a plain request. Else hyper is to have it.
    pub(super) fn answers(&mut self, pace: &Pace, read: &[u8]) -> bool {
        self.held = match mem::replace(&mut self.held, Held::Anything) {
            Held::Nothing => return self.begins(pace, read),
            Held::Request(0, Answering::Written) if pace.is_between_requests() => {
                return self.begins(pace, read);
            }
            Held::Request(missing, answering) => Held::request(missing, read.len(), answering),
            Held::Beginning(mut beginning, pieces) if pieces < PIECES => {
                beginning.extend_from_slice(read);
                Held::beginning(beginning, pieces + 1)
            }
            Held::Beginning(..) | Held::Anything => Held::Anything,
        };
        false
    }

    /// Answers what begins a request, if it is a plain one.
    fn begins(&mut self, pace: &Pace, read: &[u8]) -> bool {
        let mut room = head::room();
        self.held = match Head::read(read, &mut room) {
            Read::Plain(head) => {
                let body = read.get(head.len..).unwrap_or_default();
                let answers = &mut self.answers;
                if body.len() == head.body
                    && (self.worker).answer_directly(pace, &self.peer, &head, body, answers)
                {
                    self.held = Held::Nothing;
                    let answers = self.worker.answers();
                    self.alone = answers == self.last + 1;
                    self.last = answers;
                    return true;
                }
                Held::request(head.len + head.body, read.len(), Answering::NotYet)
            }
            Read::Unfinished => Held::Beginning(read.to_vec(), 1),
            Read::Other => Held::Anything,
        };
        false
    }

    /// What is to go out before anything else is read: where this is empty, the connection is to
    /// be flushed.
    pub(super) fn unsent(&self) -> Option<&[u8]> {
        (!self.answers.is_empty()).then(|| self.answers.get(self.sent..).unwrap_or_default())
    }

    /// So much of it has gone out.
    pub(super) const fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// All of it has.
    pub(super) fn all_sent(&mut self) {
        self.answers.clear();
        self.answers.shrink_to(ROOM_KEPT);
        self.sent = 0;
    }

    /// Whether the worker's last two answers were both here.
    pub(super) const fn is_alone(&self) -> bool {
        self.alone
    }

    /// hyper writes.
    pub(super) const fn hyper_writes(&mut self) {
        if let Held::Request(_, answering) = &mut self.held {
            *answering = Answering::Writing;
        }
    }

    /// All that hyper has written has gone out.
    pub(super) fn hyper_wrote(&mut self) {
        if let Held::Request(_, answering @ Answering::Writing) = &mut self.held {
            *answering = Answering::Written;
        }
    }
}

// === impl Held ===

impl Held {
    /// What was read since hyper held nothing, in so many pieces.
    fn beginning(read: Vec<u8>, pieces: u8) -> Self {
        match Head::read(&read, &mut head::room()) {
            Read::Plain(head) => Self::request(head.len + head.body, read.len(), Answering::NotYet),
            Read::Unfinished => Self::Beginning(read, pieces),
            Read::Other => Self::Anything,
        }
    }

    /// A request of which so many bytes were missing before so many were read.
    fn request(missing: usize, read: usize, answering: Answering) -> Self {
        // What is more than that belongs to the next one, and hyper has it now.
        match missing.checked_sub(read) {
            Some(missing) => Self::Request(missing, answering),
            None => Self::Anything,
        }
    }
}
