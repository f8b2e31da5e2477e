//! What a request leaves behind besides its answer: whose line in the decision log it is, and of
//! which trace.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::telemetry::TraceParent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// By what a request is found again. There is none where nothing is logged.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    pub(super) request_id: HeaderValue,
    pub(super) trace_id: Option<[u8; 16]>,
    /// Who asks, where that had to be proven.
    pub(super) caller: Option<Box<str>>,
}

/// What the header `traceparent` says, if it stands there once and says it rightly.
pub(super) fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => TraceParent::read(value.as_bytes()),
        _ => None,
    }
}
