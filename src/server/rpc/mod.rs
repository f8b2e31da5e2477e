//! gRPC, on the port that speaks HTTP: Envoy's external authorization and the standard's health.
//!
//! ```text
//! request ──▶ Call::of ──▶ one message (`frame`) ──▶ protobuf (`wire`) ──▶ `authorization`, `health`
//! ```
//!
//! Calls are answered with one message, so all that gRPC needs beyond HTTP/2 is five bytes before
//! it and a trailer behind it.

mod authorization;
mod body;
mod frame;
mod health;
mod wire;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Method, Version};

pub(super) use body::{AnswerBody, Rpc};

use self::body::End;
use super::respond::Answer;
use super::routes::route;
use super::trail::Trail;
use super::worker::Worker;
use crate::access::Peer;
use crate::telemetry::Api;

/// A call by gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `envoy.service.auth.v3.Authorization/Check`
    Authorize,
    /// `grpc.health.v1.Health/Check`
    Health,
    /// `grpc.health.v1.Health/Watch`
    WatchHealth,
    /// What is not offered here.
    Unknown,
}

// === impl Call ===

impl Call {
    /// The call that a request is, if it is one.
    pub(super) fn of(head: &Parts) -> Option<Self> {
        if head.version != Version::HTTP_2 || head.method != Method::POST || !is_grpc(head) {
            return None;
        }
        Some(match head.uri.path() {
            "/envoy.service.auth.v3.Authorization/Check" => Self::Authorize,
            "/grpc.health.v1.Health/Check" => Self::Health,
            "/grpc.health.v1.Health/Watch" => Self::WatchHealth,
            // A call to the application, which Envoy asks about over HTTP. An answer to it as a call
            // would have status 200, and let it pass.
            path if is_of_proxies(&head.method, path) => return None,
            _ => Self::Unknown,
        })
    }

    /// Answers it.
    pub(super) async fn answer(
        self,
        worker: &Worker,
        peer: &Peer,
        head: &Parts,
        trail: Option<Trail>,
        body: &mut Incoming,
    ) -> (Api, Answer) {
        match self {
            Self::Authorize => {
                let answer = authorization::check(worker, peer, head, trail, body).await;
                (Api::ExtAuthz, answer)
            }
            Self::Health => (Api::GrpcHealth, health::check(worker, body).await),
            Self::WatchHealth => (Api::GrpcHealth, health::watch(worker, body).await),
            Self::Unknown => (Api::Unrouted, Answer::uncalled(End::NoMethod)),
        }
    }
}

/// Whether the path is one of those that proxies ask at.
fn is_of_proxies(method: &Method, path: &str) -> bool {
    route(method, path).is_ok_and(|route| route.api.is_of_proxies())
}

/// Whether the body is said to be messages of protobuf: `application/grpc`, perhaps `+proto`.
fn is_grpc(head: &Parts) -> bool {
    let mut values = head.headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let kind = value.as_bytes().split(|byte| *byte == b';').next();
    let kind = kind.unwrap_or_default().trim_ascii();
    kind == b"application/grpc" || kind == b"application/grpc+proto"
}
