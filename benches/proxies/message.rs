//! A question of Envoy's, with what a browser sends and Envoy adds.

use std::collections::HashMap;

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::Message;

const HEADERS: [(&str, &str); 14] = [
    (":authority", "demo.example"),
    (":method", "GET"),
    (":scheme", "https"),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "pl,en;q=0.7"),
    ("cookie", "theme=dark; region=north"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    ("x-envoy-internal", "true"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "2f1b1c60-9d53-4f77-8f1d-6f0a54e5f1d3"),
];

/// The question about this path, framed, with one more header.
pub(crate) fn check(path: &str, name: &str, value: &str) -> Vec<u8> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut headers: HashMap<String, String> = HEADERS.map(own).into();
    headers.extend([own((":path", path)), own((name, value))]);
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(HttpRequest {
                    id: "5577006791947779410".to_owned(),
                    method: "GET".to_owned(),
                    headers,
                    path: path.to_owned(),
                    host: "demo.example".to_owned(),
                    scheme: "https".to_owned(),
                    protocol: "HTTP/1.1".to_owned(),
                    ..HttpRequest::default()
                }),
                ..Request::default()
            }),
            context_extensions: [own(("company", "demo"))].into(),
            ..AttributeContext::default()
        }),
    };
    framed(&request.encode_to_vec())
}

/// A message as gRPC frames it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed
}
