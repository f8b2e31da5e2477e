//! One connection: HTTP/1.1 or HTTP/2, whichever the client speaks.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;

use super::pace::{Pace, Verdict};
use super::respond::AnswerBody;
use super::stream::{Paced, Stream};

/// The largest head of a request; beyond it the answer is 431.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

/// Requests that one connection of HTTP/2 may have under way.
const HTTP2_STREAMS_MAX: u32 = 256;

/// How connections are served.
pub(super) type Http = auto::Builder<Local>;

/// Runs the parts of a connection on the thread that has it.
#[derive(Clone, Copy)]
pub(super) struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// The limits of the protocols themselves; times are kept by [`Pace`].
pub(super) fn http() -> Http {
    let mut http = auto::Builder::new(Local);
    http.http1()
        .header_read_timeout(None)
        // Answers are small: to copy head and body into one buffer is cheaper than to send two.
        .writev(false)
        // A head that outgrows this before it is complete is answered 431; one that is complete
        // by then may be longer by one read, and is answered so by `worker`.
        .max_buf_size(HEADER_BYTES_MAX);
    http.http2()
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .max_concurrent_streams(HTTP2_STREAMS_MAX);
    http
}

/// Serves the connection to its end.
pub(super) async fn serve<S>(http: &Http, stream: Stream, pace: &Rc<Pace>, service: S)
where
    S: Service<Request<Incoming>, Response = Response<AnswerBody>, Error = Infallible>,
    S::Future: 'static,
{
    let stream = TokioIo::new(Paced::new(stream, Rc::clone(pace)));
    let mut connection = pin!(http.serve_connection(stream, service));
    let mut finishing = false;
    poll_fn(|cx| {
        match pace.verdict(cx.waker()) {
            Verdict::Serve => {}
            Verdict::Finish if finishing => {}
            Verdict::Finish => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            Verdict::Drop => return Poll::Ready(()),
        }
        // How a connection breaks is its client's affair, and no news to anyone else.
        connection.as_mut().poll(cx).map(drop)
    })
    .await;
}
