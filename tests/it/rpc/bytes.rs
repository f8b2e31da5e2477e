//! Calls as bytes: what no library would send.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;

use super::{Told, run, verdict};
use crate::proxy::{start_with, trusted};
use crate::service::{Service, request};

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// An answer: status, body, and what stands for `grpc-status` in head or trailers.
struct Answer {
    status: u16,
    body: Bytes,
    rpc: Option<String>,
}

fn send(service: &Service, path: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into());
    let request = Request::post(format!("http://{}{path}", service.address))
        .header("content-type", kind)
        .header("te", "trailers")
        .body(body)
        .unwrap();
    run(async {
        let stream = tokio::net::TcpStream::connect(&service.address)
            .await
            .unwrap();
        let stream = TokioIo::new(stream);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        let answer: Response<_> = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = answer.into_body().collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let rpc = trailers
            .get("grpc-status")
            .or_else(|| headers.get("grpc-status"));
        let rpc = rpc.map(|status| status.to_str().unwrap().to_owned());
        Answer {
            status,
            body: body.to_bytes(),
            rpc,
        }
    })
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
