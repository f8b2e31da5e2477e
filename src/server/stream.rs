//! A connection's bytes, and what they tell of its client's pace.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::direct::Direct;
use super::pace::Pace;

/// Bytes read and thrown away, at most, from a client that still sends when its connection closes.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// How many requests are answered directly before others have their turn: as many as hyper answers.
const ANSWERS_OF_A_TURN: u32 = 16;

/// How often a unix socket is looked at again for the next request before its worker may fall asleep,
/// where that was there in time the last time: a client that waits awake sends it within a few
/// microseconds, and to fall asleep and be woken takes longer than all that an answer takes.
const LOOKS: u32 = 12;

/// Of so many answers, after one it is tried whether looking again finds something.
const ANSWERS_A_TRIAL: u32 = 64;

/// A connection as the operating system gave it, or in TLS.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that belongs to no runtime, on its way from the acceptor to a worker.
pub(super) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A connection whose reads are noted, on which plain requests may be answered before whoever reads
/// sees them, and which is closed so that the client reads the last answer.
pub(super) struct Paced {
    stream: Stream,
    pace: Rc<Pace>,
    direct: Option<Direct>,
    looks: Looks,
    closing: Closing,
}

/// Looks for a next request that are left, and answers until they are tried anew.
#[derive(Default)]
struct Looks {
    left: u32,
    untried: u32,
}

/// How far the closing of a connection has come.
enum Closing {
    NotYet,
    /// The client was told that nothing more comes; this many bytes of it were thrown away.
    Lingering(usize),
    Done,
}

// === impl Stream ===

impl Stream {
    /// Takes the connection off this thread's runtime.
    pub(super) fn detach(self) -> io::Result<Detached> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(Detached::Tcp),
            Self::Unix(stream) => stream.into_std().map(Detached::Unix),
            // It is made where it stays.
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(super) fn either(&mut self) -> Pin<&mut dyn Either> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Unix(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(stream),
        }
    }
}

/// What all kinds of connection are.
pub(super) trait Either: AsyncRead + AsyncWrite + Unpin {}
impl Either for TcpStream {}
impl Either for UnixStream {}
impl Either for Box<TlsStream<TcpStream>> {}

// === impl Detached ===

impl Detached {
    /// Puts the connection on this thread's runtime.
    pub(super) fn attach(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Stream::Tcp),
            Self::Unix(stream) => UnixStream::from_std(stream).map(Stream::Unix),
        }
    }
}

// === impl Looks ===

impl Looks {
    /// A request was answered; `alone`: so was the one before, and nobody else's between.
    const fn answered(&mut self, alone: bool) {
        match self.untried.checked_sub(1) {
            // Others have their turn meanwhile.
            _ if !alone => self.left = 0,
            // What was not found by looking is not looked for.
            Some(untried) if self.left == 0 => self.untried = untried,
            _ => {
                *self = Self {
                    left: LOOKS,
                    untried: ANSWERS_A_TRIAL,
                }
            }
        }
    }

    /// Whether to look again.
    const fn again(&mut self) -> bool {
        let again = self.left > 0;
        self.left = self.left.saturating_sub(1);
        again
    }
}

// === impl Paced ===

impl Paced {
    pub(super) fn new(stream: Stream, pace: Rc<Pace>, direct: Option<Direct>) -> Self {
        Self {
            stream,
            pace,
            direct,
            looks: Looks::default(),
            closing: Closing::NotYet,
        }
    }

    /// Sends what was answered directly.
    fn poll_direct(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(direct) = &mut self.direct else {
            return Poll::Ready(Ok(()));
        };
        while let Some(unsent) = direct.unsent() {
            if unsent.is_empty() {
                ready!(self.stream.either().poll_flush(cx))?;
                direct.all_sent();
                break;
            }
            let sent = ready!(self.stream.either().poll_write(cx, unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            direct.sent(sent);
        }
        Poll::Ready(Ok(()))
    }
}

/// Not now, but again once all others have had their turn that are ready for it, or whom the
/// operating system says to be.
fn after_others<T>(cx: &mut Context<'_>) -> Poll<T> {
    // To be woken from here would bring us back before anybody asks the operating system.
    let woken = std::pin::pin!(tokio::task::yield_now()).poll(cx);
    if woken.is_ready() {
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pace.turn_is_over() {
            return after_others(cx);
        }
        let before = buf.filled().len();
        for _ in 0..ANSWERS_OF_A_TURN {
            ready!(self.poll_direct(cx))?;
            let polled = self.stream.either().poll_read(cx, buf);
            let Some(read) = buf.filled().get(before..).filter(|read| !read.is_empty()) else {
                return match polled {
                    Poll::Pending if self.looks.again() => after_others(cx),
                    polled => polled,
                };
            };
            let Self {
                pace,
                direct,
                looks,
                stream,
                ..
            } = &mut *self;
            pace.read(read);
            let Some(direct) = direct else {
                return polled;
            };
            if !direct.answers(pace, read) {
                return polled;
            }
            if matches!(stream, Stream::Unix(_)) {
                looks.answered(direct.is_alone());
            }
            buf.set_filled(before);
        }
        ready!(self.poll_direct(cx))?;
        after_others(cx)
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(direct) = &mut self.direct {
            direct.hyper_writes();
        }
        self.stream.either().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(direct) = &mut self.direct {
            direct.hyper_writes();
        }
        self.stream.either().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.either().poll_flush(cx))?;
        if let Some(direct) = &mut self.direct {
            direct.hyper_wrote();
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the connection. Where the client is still sending what nobody will read (its head
    /// or body was refused), that is read and thrown away for a while: the kernel would answer
    /// it with a reset, and that would destroy the answer on its way.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.closing, Closing::NotYet) {
            ready!(self.poll_direct(cx))?;
            ready!(self.stream.either().poll_shutdown(cx))?;
            self.closing = if self.pace.has_unread() {
                self.pace.lingers();
                Closing::Lingering(0)
            } else {
                Closing::Done
            };
        }
        let mut space = [0; 8 * 1024];
        while let Closing::Lingering(thrown) = self.closing {
            let mut buf = ReadBuf::new(&mut space);
            let read = ready!(self.stream.either().poll_read(cx, &mut buf));
            let thrown = thrown + buf.filled().len();
            let over = read.is_err() || buf.filled().is_empty() || thrown > LINGER_BYTES_MAX;
            self.closing = if over {
                Closing::Done
            } else {
                Closing::Lingering(thrown)
            };
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_by_looking_is_looked_for_again() {
        let mut looks = Looks::default();
        looks.answered(true);
        assert!((0..LOOKS).all(|_| looks.again()));
        assert!(!looks.again(), "they end");
        for _ in 0..ANSWERS_A_TRIAL {
            looks.answered(true);
            assert!(!looks.again(), "nothing was found");
        }
        looks.answered(true);
        for _ in 0..3 * ANSWERS_A_TRIAL {
            assert!(looks.again(), "found each time");
            looks.answered(true);
        }
        looks.answered(false);
        assert!(!looks.again(), "others want their turn");
    }
}
