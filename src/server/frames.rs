//! Where the frames of HTTP/2 begin and end, as far as it takes to see that a head does not come.
//!
//! hyper tells of a head when it has come whole, and not before. A client that sends one byte at a
//! time would be given as long as an idle one. So the lengths of frames are followed here, and
//! nothing else of them: what they say is for hyper to judge. It tells neither of requests that it
//! refuses because too many are under way, or because their heads are too large; so they are counted
//! here, too.

/// What a client of HTTP/2 says first: RFC 9113, section 3.4.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length, type, flags and stream stand before each frame: RFC 9113, section 4.1.
const HEAD_BYTES: usize = 9;

/// Types and a flag of frames: RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The bit before a stream's number.
const RESERVED: u32 = 1 << 31;

/// How far a client of HTTP/2 has come with what it sends.
#[derive(Clone, Copy)]
pub(super) struct Frames {
    /// What has come of the current frame's own head.
    head: [u8; HEAD_BYTES],
    head_read: usize,
    /// Bytes of the current frame that are still to come, once its head is there.
    left: usize,
    /// Whether a request's head has begun and not ended; it may take several frames.
    in_request_head: bool,
    /// The last request's stream: that of the next is higher (RFC 9113, section 5.1.1).
    stream: u32,
    /// Bytes of that head, as its frames announce them.
    announced: usize,
    /// The most that these may be.
    head_max: usize,
    /// Frames that have begun so far, modulo 2^32.
    pub(super) begun: u32,
    /// Requests that have begun so far, modulo 2^32.
    pub(super) requests: u32,
    /// Those with a head that is too large, compressed as it is.
    pub(super) too_large: u32,
}

/// How much a client has sent, to be asked after each read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing is half said, or no more than a body, which has a time of its own.
    Whole,
    /// Something is half said, and was not before these bytes.
    Begun,
    /// Something is half said that was so before.
    Unfinished,
}

// === impl Frames ===

impl Frames {
    /// Where no request's head may be larger than this (bytes).
    pub(super) const fn new(head_max: usize) -> Self {
        Self {
            head: [0; HEAD_BYTES],
            head_read: 0,
            left: 0,
            in_request_head: false,
            stream: 0,
            announced: 0,
            head_max,
            begun: 0,
            requests: 0,
            too_large: 0,
        }
    }

    /// Follows these bytes, the next of the connection behind the preface.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Progress {
        let mut was_unfinished = self.is_unfinished();
        loop {
            bytes = self.step(bytes);
            if bytes.is_empty() {
                break;
            }
            was_unfinished &= self.is_unfinished();
        }
        match (self.is_unfinished(), was_unfinished) {
            (false, _) => Progress::Whole,
            (true, false) => Progress::Begun,
            (true, true) => Progress::Unfinished,
        }
    }

    /// Follows the rest of a frame's head, or of what it holds; returns what comes after it.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.head_read == HEAD_BYTES {
            let (_, after) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= bytes.len() - after.len();
            if self.left == 0 {
                self.ends();
            }
            return after;
        }
        let space = self.head.iter_mut().skip(self.head_read);
        let mut read = 0;
        for (place, byte) in space.zip(bytes) {
            *place = *byte;
            read += 1;
        }
        self.head_read += read;
        if self.head_read == HEAD_BYTES {
            self.begins();
        }
        bytes.get(read..).unwrap_or_default()
    }

    fn begins(&mut self) {
        let [a, b, c, kind, _, stream @ ..] = self.head;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.in_request_head |= kind == HEADERS;
        self.begun = self.begun.wrapping_add(1);
        let stream = u32::from_be_bytes(stream) & !RESERVED;
        if kind == HEADERS && stream > self.stream {
            self.stream = stream;
            self.requests = self.requests.wrapping_add(1);
            self.announced = 0;
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            let was_too_large = self.announced > self.head_max;
            self.announced = self.announced.saturating_add(self.left);
            let is_too_large = self.announced > self.head_max;
            let more = u32::from(is_too_large && !was_too_large);
            self.too_large = self.too_large.wrapping_add(more);
        }
        if self.left == 0 {
            self.ends();
        }
    }

    fn ends(&mut self) {
        let [_, _, _, kind, flags, ..] = self.head;
        if matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0 {
            self.in_request_head = false;
        }
        self.head_read = 0;
    }

    fn is_unfinished(&self) -> bool {
        let [_, _, _, kind, ..] = self.head;
        let is_body = self.head_read == HEAD_BYTES && kind == DATA;
        self.in_request_head || (self.head_read > 0 && !is_body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u8, kind: u8, flags: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        bytes.extend(vec![b'x'; length.into()]);
        bytes
    }

    #[test]
    fn whole_frames_leave_nothing_unfinished_however_they_are_cut() {
        let all = [
            frame(0, 4, 0),
            frame(20, HEADERS, 0),
            frame(7, CONTINUATION, END_HEADERS),
            frame(200, DATA, 1),
            frame(8, 6, 0),
        ]
        .concat();
        for size in 1..all.len() {
            let mut frames = Frames::new(100);
            let last = all.chunks(size).map(|bytes| frames.read(bytes)).last();
            assert_eq!(last, Some(Progress::Whole), "{size}");
        }
    }

    #[test]
    fn a_head_is_unfinished_until_its_last_frame_ends() {
        let mut frames = Frames::new(100);
        let head = frame(5, HEADERS, 0);
        assert_eq!(frames.read(&head[..1]), Progress::Begun);
        assert_eq!(frames.read(&head[1..]), Progress::Unfinished);
        let more = frame(1, CONTINUATION, 0);
        assert_eq!(frames.read(&more), Progress::Unfinished);
        let last = frame(1, CONTINUATION, END_HEADERS);
        assert_eq!(frames.read(&last[..9]), Progress::Unfinished);
        assert_eq!(frames.read(&last[9..]), Progress::Whole);
    }

    #[test]
    fn what_is_half_said_anew_has_its_own_time() {
        let mut frames = Frames::new(100);
        let head = frame(5, HEADERS, END_HEADERS);
        assert_eq!(frames.read(&head[..7]), Progress::Begun);
        let next = [&head[7..], &head[..7]].concat();
        assert_eq!(frames.read(&next), Progress::Begun);
    }

    #[test]
    fn requests_are_told_from_what_follows_their_bodies() {
        let mut frames = Frames::new(100);
        let head = frame(1, HEADERS, END_HEADERS);
        frames.read(&[&head[..], &frame(3, DATA, 0), &head].concat());
        assert_eq!(frames.requests, 1);
        let mut next = head;
        next[8] = 3;
        frames.read(&next);
        assert_eq!(frames.requests, 2);
    }

    #[test]
    fn heads_that_are_too_large_are_counted_once() {
        let mut frames = Frames::new(20);
        let more = [
            frame(10, CONTINUATION, 0),
            frame(10, CONTINUATION, END_HEADERS),
        ]
        .concat();
        frames.read(&[&frame(10, HEADERS, 0)[..], &more].concat());
        assert_eq!(frames.too_large, 1);
        let mut next = frame(20, HEADERS, END_HEADERS);
        next[8] = 3;
        frames.read(&next);
        assert_eq!(frames.too_large, 1, "it is just as large as it may be");
    }

    #[test]
    fn a_body_that_comes_slowly_is_no_head() {
        let mut frames = Frames::new(100);
        assert_eq!(frames.read(&frame(50, DATA, 0)[..20]), Progress::Whole);
    }
}
