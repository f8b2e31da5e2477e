//! A server of tonic that decides nothing: it reads Envoy's message whole, and answers what callgate
//! answers.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc::Status as RpcStatus;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The bench itself is the server, when it is started with this.
pub(crate) const COMMAND: &str = "bare";

struct Bare;

fn set(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            ..HeaderValue::default()
        }),
        append_action: 2,
        keep_empty_value: true,
        ..HeaderValueOption::default()
    }
}

fn text(value: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(value.to_owned())),
    }
}

#[tonic::async_trait]
impl Authorization for Bare {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let fields = HashMap::from([
            ("reason".to_owned(), text("granted")),
            (
                "revision".to_owned(),
                text("0123456789abcdef0123456789abcdef"),
            ),
        ]);
        Ok(Response::new(CheckResponse {
            status: Some(RpcStatus::default()),
            dynamic_metadata: Some(Struct { fields }),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
                headers: vec![
                    set("x-callgate-user", "ewa"),
                    set("x-callgate-roles", "supervisor"),
                    set("x-callgate-company", "demo"),
                ],
                ..OkHttpResponse::default()
            })),
        }))
    }
}

/// Serves on a port of its own, on one thread, until it is killed.
pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        println!("listening on http://{address}\nready:");
        let service = AuthorizationServer::new(Bare);
        let server = Server::builder().add_service(service);
        let incoming = incoming.with_nodelay(Some(true));
        server.serve_with_incoming(incoming).await.unwrap();
    });
}
