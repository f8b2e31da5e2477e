//! A request's body: read whole, in bounds of size and time, or left so that the connection is in
//! no doubt.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};

use super::bodies::Bodies;
use super::hush;
use super::pace::Pace;

/// How much of a body that nobody wants is read and thrown away, so that the connection can go on.
const UNWANTED_BYTES_MAX: usize = 8 << 20;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is larger than bodies may be.
    TooLarge,
    /// Too many bodies have not come whole, and this one has waited, or is the last.
    TooMany,
    /// Too much of such bodies is held.
    NoMemory,
    /// It did not come in time.
    TooSlow,
    /// The connection broke, or its framing is wrong.
    Broken,
}

/// Reads the body whole; in one piece, as it mostly comes, it is not copied. Only a body that is
/// not there yet takes a place among those that wait.
pub(super) async fn collect(
    body: &mut Incoming,
    most: usize,
    time: Duration,
    bodies: &Bodies,
) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > most as u64 {
        return Err(BodyError::TooLarge);
    }
    let mut read = pin!(read_to_end(body, most, bodies));
    if let Some(whole) = in_two_polls(read.as_mut()).await {
        return whole;
    }
    let mut waiting = bodies.enter().ok_or(BodyError::TooMany)?;
    tokio::select! {
        whole = tokio::time::timeout(time, read) => whole.unwrap_or(Err(BodyError::TooSlow)),
        _ = &mut waiting.gives_way => Err(BodyError::TooMany),
    }
}

async fn read_to_end(
    body: &mut Incoming,
    most: usize,
    bodies: &Bodies,
) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    let mut held = bodies.hold();
    while !body.is_end_stream() {
        let Some(frame) = poll_fn(|cx| take_frame(body, cx)).await else {
            break;
        };
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue; // trailers, which say nothing to us
        };
        let bytes = first.len().max(rest.len()) + data.len();
        if bytes > most {
            return Err(BodyError::TooLarge);
        }
        if !held.grow_to(bytes) {
            return Err(BodyError::NoMemory);
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

/// Takes the next frame, if it is there. Its connection is not woken when nothing more is to come.
fn take_frame(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let (polled, is_held_back) = hush::taking(|| Pin::new(&mut *body).poll_frame(cx));
    if is_held_back && !body.is_end_stream() {
        cx.waker().wake_by_ref();
    }
    polled
}

/// Leaves a body that will not be read, after its answer: what comes of it is thrown away, within
/// bounds, so that the next request on the connection begins where it should. Returns whether the
/// connection can go on after that; else the answer must say that it closes.
pub(super) fn leave(
    mut body: Incoming,
    pace: &Rc<Pace>,
    awaits_continue: bool,
    time: Duration,
) -> bool {
    if body.is_end_stream() {
        return true;
    }
    pace.left_unread();
    if awaits_continue {
        // To read would be to ask for it; and whether the client sends it nonetheless, nobody knows.
        return false;
    }
    let goes_on = body.size_hint().lower() <= UNWANTED_BYTES_MAX as u64;
    let pace = Rc::clone(pace);
    tokio::task::spawn_local(tokio::time::timeout(time, async move {
        let mut thrown = 0;
        while let Some(Ok(frame)) = body.frame().await {
            thrown += frame.data_ref().map_or(0, Bytes::len);
            if thrown > UNWANTED_BYTES_MAX {
                return;
            }
        }
        pace.all_read();
    }));
    goes_on
}

/// The future's output, if it is ready when it is first asked, or after its connection's turn: so
/// nearly every body is, and needs no timer.
async fn in_two_polls<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut again = false;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if again => Poll::Ready(None),
        Poll::Pending => {
            again = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}
