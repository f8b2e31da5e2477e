//! One connection: HTTP/1.1 or HTTP/2, whichever the client speaks.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;

use super::direct::Direct;
use super::hush::Hush;
use super::pace::{Pace, Verdict};
use super::rpc::AnswerBody;
use super::stream::{Paced, Stream};
use crate::config::Limits;

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
pub(super) fn http(limits: &Limits) -> Http {
    let head = limits.header_bytes_max;
    let mut http = auto::Builder::new(Local);
    http.http1()
        .header_read_timeout(None)
        // Answers are small: to copy head and body into one buffer is cheaper than to send two.
        .writev(false)
        // A head that outgrows this before it is complete is answered 431; one that is complete
        // by then may be longer by one read, and is answered so by `worker`.
        .max_buf_size(head);
    http.http2()
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams_max);
    http
}

/// Serves the connection to its end, plain requests directly where that is wanted. Returns whether it ended at a head that outgrew its limit
/// before it was complete.
pub(super) async fn serve<S>(
    http: &Http,
    stream: Stream,
    direct: Option<Direct>,
    pace: &Rc<Pace>,
    service: S,
) -> bool
where
    S: Service<Request<Incoming>, Response = Response<AnswerBody>, Error = Infallible>,
    S::Future: 'static,
{
    let stream = TokioIo::new(Paced::new(stream, Rc::clone(pace), direct));
    let mut connection = pin!(http.serve_connection(stream, service));
    let mut finishing = false;
    let mut hush = Hush::default();
    poll_fn(|cx| {
        pace.turn_begins();
        let mut cx = Context::from_waker(match pace.is_http1() {
            true => hush.waker(cx.waker()),
            false => cx.waker(),
        });
        match pace.verdict(cx.waker()) {
            Verdict::Serve => {}
            Verdict::Finish if finishing => {}
            Verdict::Finish => {
                finishing = true;
                // What has come by now is still answered.
                if let Poll::Ready(served) = connection.as_mut().poll(&mut cx) {
                    return Poll::Ready(served.is_err_and(|error| is_head_too_large(&*error)));
                }
                connection.as_mut().graceful_shutdown();
            }
            Verdict::Drop => return Poll::Ready(false),
        }
        // How a connection breaks is its client's affair, and no news to anyone else.
        let polled = connection.as_mut().poll(&mut cx);
        polled.map(|served| served.is_err_and(|error| is_head_too_large(&*error)))
    })
    .await
}

fn is_head_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<hyper::Error>();
    error.is_some_and(hyper::Error::is_parse_too_large)
}
