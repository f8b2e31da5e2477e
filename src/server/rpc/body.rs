//! Bodies of answers: whole, as HTTP has them, or messages with what gRPC says behind them.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use prost::Message;

use super::frame;
use super::health::Watch;
use crate::server::pace::Pace;
use crate::server::respond::{Answer, REQUEST_ID};
use crate::server::worker::Worker;
use crate::telemetry::Code;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum End {
    /// Well.
    Done,
    /// The request is none of its method's.
    NoRequest,
    /// The service that is asked about is none of ours.
    NoService,
    /// The method is none of ours.
    NoMethod,
    /// There is no more to come: the process stops.
    Stopping,
}

/// What an answer is that goes out by gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Rpc {
    /// Its body is a message.
    Message,
    /// There is no message, and this is why.
    Failed(End),
    /// Messages come as they arise, about a service that is known or not.
    Watch(bool),
}

/// What an answer's body is.
pub(in crate::server) enum AnswerBody {
    Whole(Full<Bytes>),
    /// A message, and whether the call's end is still to be told.
    Message(Option<Bytes>, bool),
    Watch(Box<Watch>),
}

// === impl End ===

impl End {
    /// The codes are those of `google.rpc.Code`.
    const fn status(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Done => "0",
            Self::NoRequest => "3",
            Self::NoService => "5",
            Self::NoMethod => "12",
            Self::Stopping => "14",
        })
    }

    const fn message(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Done => "",
            Self::NoRequest => "this is no request of this method",
            Self::NoService => "there is no such service here",
            Self::NoMethod => "there is no such method here",
            Self::Stopping => "this process stops",
        })
    }

    /// What is said behind the last message.
    pub(super) fn trailers(self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(STATUS, self.status());
        trailers
    }
}

// === impl Rpc ===

impl Rpc {
    /// The answer as HTTP/2 has it: always with status 200. It is of this worker's, on a connection
    /// of this pace.
    pub(in crate::server) fn response(
        self,
        worker: &Rc<Worker>,
        pace: &Rc<Pace>,
        body: Bytes,
        request_id: HeaderValue,
    ) -> Response<AnswerBody> {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, GRPC);
        headers.insert(REQUEST_ID, request_id);
        let body = match self {
            Self::Message => AnswerBody::Message(Some(body), true),
            Self::Failed(end) => {
                headers.insert(STATUS, end.status());
                headers.insert(MESSAGE, end.message());
                AnswerBody::Message(None, false)
            }
            Self::Watch(known) => {
                let watch = Watch::new(Rc::clone(worker), Rc::clone(pace), known);
                AnswerBody::Watch(Box::new(watch))
            }
        };
        let mut response = Response::new(body);
        *response.headers_mut() = headers;
        response
    }
}

impl Answer {
    /// The one message that answers a call.
    pub(super) fn message(message: &impl Message) -> Self {
        Self::by_rpc(frame::write(message), Rpc::Message)
    }

    /// The same, counted as this: a call that succeeds may say that something else does not.
    pub(super) fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// A call that gets no message.
    pub(super) fn uncalled(end: End) -> Self {
        Self::by_rpc(Bytes::new(), Rpc::Failed(end))
    }
}

// === impl AnswerBody ===

impl From<Bytes> for AnswerBody {
    fn from(body: Bytes) -> Self {
        Self::Whole(Full::new(body))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match self.get_mut() {
            Self::Whole(whole) => return Pin::new(whole).poll_frame(cx),
            Self::Watch(watch) => return watch.poll_frame(cx),
            Self::Message(message, open) => match message.take() {
                Some(message) => Some(Frame::data(message)),
                None if *open => {
                    *open = false;
                    Some(Frame::trailers(End::Done.trailers()))
                }
                None => None,
            },
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Message(message, open) => message.is_none() && !open,
            Self::Watch(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Message(..) | Self::Watch(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerBody")
    }
}
