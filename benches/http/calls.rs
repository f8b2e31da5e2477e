//! Calls by gRPC: Envoy's question to callgate, and the same question to Cerbos in its own words.
//!
//! What is asked is about registered objects alone, since a path tells no more of a resource than
//! its type and id. Cerbos is told what it is told over HTTP: all that it does not know is worked
//! out before.

use std::cell::Cell;
use std::collections::HashMap;

use callgate::policy::Policy;
use callgate::snapshot::Snapshot;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::google::protobuf::Value as Wire;
use envoy_types::pb::google::protobuf::value::Kind;
use fastrand::Rng;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::{Value, json};

use super::generate::{Question, Shape, question};
use super::server::Server;
use super::{Bench, Company, SEED, cerbos, load, message, now, read, write};

/// Envoy's method, and that of Cerbos.
const AUTHORIZE: &str = "/envoy.service.auth.v3.Authorization/Check";
const CHECK: &str = "/cerbos.svc.v1.CerbosService/CheckResources";

/// The types of registered objects.
const REGISTERED: [&str; 3] = ["queue", "list", "deal"];
const ACTIONS: [&str; 4] = ["view", "edit", "export", "manage"];
/// What a line of routes says of each object.
const STATUS: &str = r#"{"status":"open"}"#;

/// How many questions are compared before the load begins.
const COMPARED: usize = 500;

// === the messages of Cerbos, as far as they are written or read here ===

#[derive(Clone, PartialEq, Message)]
struct CheckResourcesRequest {
    #[prost(string, tag = "1")]
    request_id: String,
    #[prost(message, optional, tag = "3")]
    principal: Option<Principal>,
    #[prost(message, repeated, tag = "4")]
    resources: Vec<ResourceEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct Principal {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, repeated, tag = "3")]
    roles: Vec<String>,
    #[prost(map = "string, message", tag = "4")]
    attr: HashMap<String, Wire>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceEntry {
    #[prost(string, repeated, tag = "1")]
    actions: Vec<String>,
    #[prost(message, optional, tag = "2")]
    resource: Option<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    id: String,
    #[prost(map = "string, message", tag = "4")]
    attr: HashMap<String, Wire>,
}

#[derive(Clone, PartialEq, Message)]
struct CheckResourcesResponse {
    #[prost(message, repeated, tag = "2")]
    results: Vec<ResultEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct ResultEntry {
    #[prost(map = "string, int32", tag = "2")]
    actions: HashMap<String, i32>,
}

/// `EFFECT_ALLOW`
const ALLOW: i32 = 1;

/// A question in both forms, framed.
struct Asked {
    ours: Vec<u8>,
    theirs: Vec<u8>,
}

/// One call on a connection of its own: the message of the answer.
fn call(address: &str, path: &str, framed: &[u8]) -> Bytes {
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::copy_from_slice(framed)))
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let head = answer.headers().clone();
        let body = answer.into_body().collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = trailers
            .get("grpc-status")
            .or_else(|| head.get("grpc-status"));
        assert_eq!(
            status.map(hyper::header::HeaderValue::as_bytes),
            Some(&b"0"[..]),
            "{trailers:?} {head:?}"
        );
        body.to_bytes().slice(5..)
    })
}

/// A line of routes for each action on each type.
fn routes() -> String {
    let lines = REGISTERED.iter().flat_map(|kind| {
        ACTIONS.map(|action| {
            format!(
                "  - {{ path: \"/{kind}/{{id}}/{action}\", check: \
                 {{ type: {kind}, action: {action}, id: \"{{id}}\", properties: {STATUS} }} }}\n"
            )
        })
    });
    format!("routes:\n{}", lines.collect::<String>())
}

/// Questions about registered objects, of which half and a few are allowed.
fn questions(policy: &Policy, shape: &Shape) -> Vec<Asked> {
    let snapshot = Snapshot::compile(policy).unwrap();
    let allows = |question: &Question| {
        let mut query = question.query();
        query.now = now();
        callgate::decide::check(&snapshot, &query).allows()
    };
    let rng = &mut Rng::with_seed(SEED);
    let mut asked = Vec::new();
    while asked.len() < COMPARED {
        let mut usual = match asked.len() % 2 {
            0 => question::usual(shape, rng),
            _ => question::allowed(shape, rng, allows),
        };
        let kind = usual["resource"]["type"].as_str().unwrap().to_owned();
        if !REGISTERED.contains(&&*kind) {
            continue;
        }
        // A path tells nothing of where a request comes from.
        usual["context"] = json!({});
        let text = |pointer: &str| usual.pointer(pointer).unwrap().as_str().unwrap();
        let (id, action) = (text("/resource/id"), text("/action/name"));
        let path = format!("/{kind}/{id}/{action}");
        let ours = message::check(&path, "x-auth-user", text("/subject/id"));
        let question = Question::new(&usual);
        let mut query = question.query();
        query.now = now();
        let theirs = serde_json::from_str(&cerbos::request(policy, &query)).unwrap();
        let theirs = message::framed(&of_cerbos(&theirs).encode_to_vec());
        asked.push(Asked { ours, theirs });
    }
    asked
}

/// A request of Cerbos' HTTP as a message.
fn of_cerbos(request: &Value) -> CheckResourcesRequest {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let texts = |value: &Value| value.as_array().unwrap().iter().map(text).collect();
    let attributes = |value: &Value| {
        let members = value.as_object().unwrap().iter();
        members
            .map(|(name, value)| (name.clone(), wire(value)))
            .collect()
    };
    let (principal, entry) = (&request["principal"], &request["resources"][0]);
    CheckResourcesRequest {
        request_id: text(&request["requestId"]),
        principal: Some(Principal {
            id: text(&principal["id"]),
            roles: texts(&principal["roles"]),
            attr: attributes(&principal["attr"]),
        }),
        resources: vec![ResourceEntry {
            actions: texts(&entry["actions"]),
            resource: Some(Resource {
                kind: text(&entry["resource"]["kind"]),
                id: text(&entry["resource"]["id"]),
                attr: attributes(&entry["resource"]["attr"]),
            }),
        }],
    }
}

fn wire(value: &Value) -> Wire {
    let kind = match value {
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => {
            let values = items.iter().map(wire).collect();
            Kind::ListValue(envoy_types::pb::google::protobuf::ListValue { values })
        }
        other => panic!("the generator's companies do not say {other}"),
    };
    Wire { kind: Some(kind) }
}

impl Bench {
    /// Rounds of Cerbos and callgate by gRPC, at M; their answers are the same. Each round asks
    /// both another question, of those that are allowed. (When a round's time is over, calls are
    /// cut off: Cerbos logs these few as errors.)
    pub(super) fn calls_beside_cerbos(&mut self) {
        let name = "M gRPC, 16 connections, Cerbos for the floor";
        if !self.wants(name) {
            return;
        }
        let shape = &Shape::M;
        let company = Company::generate(shape, SEED);
        let policy = read(&company);
        let tree = self.scratch.path().join("calls-company");
        write(&tree, &company, "demo");
        std::fs::write(tree.join("companies/demo/routes.yaml"), routes()).unwrap();
        let unix = self.scratch.path().join("calls.sock");
        let proxies = ["--proxy-trusted-peers", "127.0.0.1"];
        let users = ["--proxy-identity-header", "X-Auth-User"];
        let callgate = Server::callgate_with(&tree, &unix, &[proxies, users].concat());
        let cerbos = Server::cerbos(&policy, self.scratch.path());
        let grpc = cerbos.grpc.clone().unwrap();
        let asked = questions(&policy, shape);
        let allowed = asked.iter().filter(|asked| {
            let ours = call(&callgate.address, AUTHORIZE, &asked.ours);
            let ours = CheckResponse::decode(ours).unwrap().status.unwrap().code == 0;
            let theirs = CheckResourcesResponse::decode(call(&grpc, CHECK, &asked.theirs)).unwrap();
            let mut effects = theirs
                .results
                .iter()
                .flat_map(|result| result.actions.values());
            assert_eq!(effects.any(|effect| *effect == ALLOW), ours, "{theirs:?}");
            ours
        });
        let allowed: Vec<&Asked> = allowed.collect();
        println!("{COMPARED} answers agree, {} allow", allowed.len());
        let both = [&cerbos, &callgate];
        let turn = Cell::new(0);
        self.pair(name, both, |server| {
            let asked = allowed[turn.replace(turn.get() + 1) / 2 % allowed.len()];
            if std::ptr::eq(server, &cerbos) {
                load::calls(&grpc, CHECK, &asked.theirs, 16)
            } else {
                load::calls(&server.address, AUTHORIZE, &asked.ours, 16)
            }
        });
        self.table.memory("M Cerbos, gRPC", &cerbos);
    }
}
