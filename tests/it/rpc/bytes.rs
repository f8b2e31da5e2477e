//! Calls as bytes: what no library would send.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::{Body, Bytes, Frame};
use prost::Message;

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;

use super::{Exchanged, Told, exchange, verdict};
use crate::proxy::{start_with, trusted};
use crate::service::{Service, Start, request};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

fn send(service: &Service, path: &str, kind: &str, body: impl Into<Bytes>) -> Exchanged {
    let request = Request::post(format!("http://{}{path}", service.address))
        .header("content-type", kind)
        .header("te", "trailers")
        .body(Full::new(body.into()))
        .unwrap();
    exchange(service, request)
}

fn framed(flag: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let mut body = vec![flag];
    body.extend((length as u32).to_be_bytes());
    body.extend(message);
    body
}

/// What is said of a body to Envoy: the call has succeeded, whatever it is.
fn reason(service: &Service, body: Vec<u8>) -> String {
    let answer = send(service, CHECK, "application/grpc", body);
    assert_eq!((answer.status, answer.rpc.as_deref()), (200, Some("0")));
    let (prefix, message) = answer.body.split_at(5);
    assert_eq!(prefix[0], 0);
    let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
    assert_eq!(length as usize, message.len());
    let (code, reason) = verdict(&CheckResponse::decode(message).unwrap());
    assert_eq!(code == 0, reason == "authenticated", "{reason}");
    reason
}

/// A body of which nothing comes.
struct Stuck;

impl Body for Stuck {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[test]
fn a_message_that_does_not_come_is_denied_and_no_error() {
    let mut start = Start::limits(|limits| limits.body_timeout = Duration::from_millis(300));
    start.proxy = trusted();
    let service = start.serve();
    let request = Request::post(format!("http://{}{CHECK}", service.address))
        .header("content-type", "application/grpc")
        .body(Stuck)
        .unwrap();
    let answer = exchange(&service, request);
    assert_eq!((answer.status, answer.rpc.as_deref()), (200, Some("0")));
    let message = CheckResponse::decode(answer.body.slice(5..)).unwrap();
    assert_eq!(verdict(&message), (7, "message_too_slow".to_owned()));
}

/// Envoy, asking over HTTP/2 about a call to the application: an answer to that call, which always has
/// status 200, would let it pass.
#[test]
fn a_proxys_question_about_a_call_is_none() {
    let service = start_with(trusted());
    for path in [
        "/proxy/envoy/me",
        "/acme/proxy/envoy/me",
        "/acme/proxy/auth",
    ] {
        for kind in ["application/grpc", "application/grpc+proto"] {
            let answer = send(&service, path, kind, framed(0, 0, b""));
            let expected = if path.ends_with("auth") { 403 } else { 401 };
            assert_eq!((answer.status, answer.rpc), (expected, None), "{path}");
        }
    }
}

#[test]
fn a_body_that_is_not_one_message_is_denied_and_no_error() {
    let service = start_with(trusted());
    let message = Told::get("/me").by("olga").message().encode_to_vec();
    let length = message.len();
    let whole = framed(0, length, &message);
    assert_eq!(reason(&service, whole.clone()), "authenticated");
    for (what, body, expected) in [
        ("nothing", vec![], "bad_message"),
        ("half a prefix", vec![0, 0], "bad_message"),
        ("cut", whole[..whole.len() - 1].to_vec(), "bad_message"),
        ("too short", framed(0, length - 1, &message), "bad_message"),
        (
            "giant",
            framed(0, u32::MAX as usize, &message),
            "bad_message",
        ),
        (
            "two",
            [whole.clone(), whole.clone()].concat(),
            "bad_message",
        ),
        (
            "more behind",
            [whole.clone(), vec![0]].concat(),
            "bad_message",
        ),
        (
            "compressed",
            framed(1, length, &message),
            "compressed_message",
        ),
        ("unknown flag", framed(2, length, &message), "bad_message"),
        (
            "no protobuf",
            framed(0, 4, b"\xff\xff\xff\xff"),
            "bad_message",
        ),
        ("wrong type", framed(0, 2, &[0x08, 0x01]), "bad_message"),
        ("empty", framed(0, 0, b""), "target_missing"),
    ] {
        assert_eq!(reason(&service, body), expected, "{what}");
    }
}

#[test]
fn every_message_cut_or_changed_anywhere_is_answered_by_a_decision() {
    let service = start_with(trusted());
    let message = Told::get("/me").by("olga").message().encode_to_vec();
    for end in 0..message.len() {
        reason(&service, framed(0, end, &message[..end]));
    }
    for at in 0..message.len() {
        let changed = |(is, byte): (usize, &u8)| if is == at { !byte } else { *byte };
        let changed: Vec<_> = message.iter().enumerate().map(changed).collect();
        reason(&service, framed(0, changed.len(), &changed));
    }
}

/// CVE-2023-27488: a header that is not UTF-8 broke the message, and a proxy that lets requests
/// pass where the call fails let it pass.
#[test]
fn bytes_that_are_no_text_spoil_nothing_but_what_they_are_in() {
    let service = start_with(trusted());
    let replaced = |told: &Told, from: &str, to: &[u8]| {
        let message = told.message().encode_to_vec();
        let at = message
            .windows(from.len())
            .position(|is| is == from.as_bytes())
            .unwrap();
        let mut changed = message;
        changed[at..at + from.len()].copy_from_slice(to);
        reason(&service, framed(0, changed.len(), &changed))
    };
    let told = Told::get("/me").by("olga").with("x-other", "abcd");
    assert_eq!(
        replaced(&told, "abcd", b"\xff\xfe\x80\x81"),
        "authenticated"
    );
    assert_eq!(
        replaced(&told, "olga", b"\xff\xfe\x80\x81"),
        "malformed_identity"
    );
    assert_eq!(replaced(&told, "/me", b"/\xffe"), "raw_byte");
    assert_eq!(replaced(&told, "x-other", b"x-\xffther"), "aliased_header");
    assert_eq!(replaced(&told, "acme.", b"\xffcme."), "bad_host");
}

#[test]
fn other_methods_and_types_are_no_calls() {
    let service = start_with(trusted());
    let body = framed(0, 0, b"");
    for path in [
        "/envoy.service.auth.v2.Authorization/Check",
        "/envoy.service.auth.v3.Authorization/check",
        "/envoy.service.auth.v3.Authorization/Check/",
        "/acme/access/v1/evaluation",
    ] {
        let answer = send(&service, path, "application/grpc", body.clone());
        assert_eq!(
            (answer.status, answer.rpc.as_deref()),
            (200, Some("12")),
            "{path}"
        );
    }
    for kind in [
        "application/grpc+json",
        "application/grpc-web",
        "application/json",
    ] {
        let answer = send(&service, CHECK, kind, body.clone());
        assert_eq!((answer.status, answer.rpc), (404, None), "{kind}");
    }
    // gRPC is of HTTP/2 alone.
    let kind = "Content-Type: application/grpc";
    assert_eq!(service.ask(request("POST", CHECK, &[kind], "")).status, 404);
    let kind = "application/grpc+proto;x=y";
    let answer = send(&service, CHECK, kind, body);
    assert_eq!((answer.status, answer.rpc.as_deref()), (200, Some("0")));
}
