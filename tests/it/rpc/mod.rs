//! Calls by gRPC, of a client that others wrote and with the messages as Envoy has them whole.

mod authorization;
mod bytes;
mod health;

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::google::protobuf::value::Kind;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::transport::Channel;

use crate::service::Service;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs what talks to a service, within bounds.
fn run<T>(talk: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let timed = async { tokio::time::timeout(PATIENCE, talk).await };
    runtime.unwrap().block_on(timed).unwrap()
}

/// An answer: status, body, and what stands for `grpc-status` in head or trailers.
pub(crate) struct Exchanged {
    pub(crate) status: u16,
    body: Bytes,
    rpc: Option<String>,
}

/// One request over HTTP/2, as it is.
pub(crate) fn exchange<B>(service: &Service, request: hyper::Request<B>) -> Exchanged
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    run(async {
        let stream = tokio::net::TcpStream::connect(&service.address);
        let stream = TokioIo::new(stream.await.unwrap());
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = answer.into_body().collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let rpc = trailers
            .get("grpc-status")
            .or_else(|| headers.get("grpc-status"));
        let rpc = rpc.map(|status| status.to_str().unwrap().to_owned());
        Exchanged {
            status,
            body: body.to_bytes(),
            rpc,
        }
    })
}

async fn channel(service: &Service) -> Channel {
    let url = format!("http://{}", service.address);
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

/// A request as Envoy tells it.
#[derive(Clone)]
struct Told {
    method: &'static str,
    path: &'static str,
    host: &'static str,
    company: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
    /// Whether headers come as they stand (`encode_raw_headers`), each by itself.
    raw: bool,
    certificate: String,
}

impl Told {
    fn get(path: &'static str) -> Self {
        Self {
            method: "GET",
            path,
            host: "desk.acme.example",
            company: Some("acme"),
            headers: Vec::new(),
            raw: false,
            certificate: String::new(),
        }
    }

    fn by(self, user: &'static str) -> Self {
        self.with("x-auth-user", user)
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn message(&self) -> CheckRequest {
        let mut http = HttpRequest {
            id: "17".to_owned(),
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            host: self.host.to_owned(),
            scheme: "https".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            size: -1,
            ..HttpRequest::default()
        };
        if self.raw {
            let headers = self.headers.iter().map(|(name, value)| HeaderValue {
                key: (*name).to_owned(),
                raw_value: value.as_bytes().to_vec(),
                ..HeaderValue::default()
            });
            http.header_map = Some(HeaderMap {
                headers: headers.collect(),
            });
        } else {
            let mut joined = HashMap::<String, String>::new();
            for (name, value) in &self.headers {
                let said = joined.entry((*name).to_owned()).or_default();
                if !said.is_empty() {
                    said.push(',');
                }
                said.push_str(value);
            }
            http.headers = joined;
        }
        let company = self
            .company
            .map(|company| ("company".to_owned(), company.to_owned()));
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer {
                    certificate: self.certificate.clone(),
                    ..Peer::default()
                }),
                request: Some(Request {
                    http: Some(http),
                    ..Request::default()
                }),
                context_extensions: company.into_iter().collect(),
                ..AttributeContext::default()
            }),
        }
    }

    /// What is answered.
    fn ask(&self, service: &Service) -> CheckResponse {
        run(async {
            let mut client = AuthorizationClient::new(channel(service).await);
            client.check(self.message()).await.unwrap().into_inner()
        })
    }
}

/// The status of `google.rpc.Status`, and the reason in the metadata.
fn verdict(answer: &CheckResponse) -> (i32, String) {
    let fields = &answer.dynamic_metadata.as_ref().unwrap().fields;
    let Some(Kind::StringValue(reason)) = &fields["reason"].kind else {
        panic!("no reason in {fields:?}");
    };
    (answer.status.as_ref().unwrap().code, reason.clone())
}

fn allowed(answer: &CheckResponse) -> &OkHttpResponse {
    match answer.http_response.as_ref().unwrap() {
        HttpResponse::OkResponse(allowed) => allowed,
        other => panic!("{other:?}"),
    }
}

fn denied(answer: &CheckResponse) -> &DeniedHttpResponse {
    match answer.http_response.as_ref().unwrap() {
        HttpResponse::DeniedResponse(denied) => denied,
        other => panic!("{other:?}"),
    }
}

fn named<'a>(headers: &'a [HeaderValueOption], name: &str) -> &'a HeaderValueOption {
    let is_named = |option: &&HeaderValueOption| {
        option
            .header
            .as_ref()
            .is_some_and(|header| header.key == name)
    };
    headers.iter().find(is_named).unwrap()
}
