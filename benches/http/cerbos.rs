//! Cerbos with the same policy, translated.
//!
//! Cerbos knows no departments, projects or registered objects: with each request its client tells
//! the roles that are in force, which scopes reach the resource, and whether the project wall
//! stands. All that is worked out before the load begins and costs Cerbos nothing; what is left to
//! it is what roles grant and deny, and under which conditions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use callgate::model::{ActionId, Query, RoleId, Scope, ScopeSet, TypeId, Value as Property};
use callgate::oracle;
use callgate::policy::{Comparison, Condition, Operand, Path as At, Policy, Root, Said};
use serde_json::{Value, json};

/// What conditions of the generator look at, of users and of resources.
const LOOKED_AT: [&[&str]; 2] = [&["level"], &["status"]];

/// A role for who has none: a request to Cerbos must name one.
const NOBODY: &str = "nobody";

/// The policies, a file a type.
fn translated(policy: &Policy) -> Vec<(String, Value)> {
    let types = policy.catalogue.types.iter().zip(0..);
    let file = |(kind, id): (&callgate::policy::ResourceType, u32)| {
        let mut rules = Vec::new();
        for (action, action_id) in kind.actions.iter().zip(0..) {
            for (role, role_id) in policy.roles.iter().zip(0..) {
                let at = (TypeId(id), ActionId(action_id));
                let said = policy.says(RoleId(role_id), at);
                rules.extend(said.iter().map(|said| rule(&action.name, &role.name, said)));
            }
        }
        let resource = json!({ "resource": kind.name, "version": "default", "rules": rules });
        let document = json!({ "apiVersion": "api.cerbos.dev/v1", "resourcePolicy": resource });
        (format!("{}.json", kind.name), document)
    };
    types.map(file).collect()
}

fn rule(action: &str, role: &str, said: &Said<'_>) -> Value {
    let denies = said.scopes.is_empty();
    let mut tests = Vec::new();
    if !denies {
        tests.push("!R.attr.walled_off".to_owned());
        let scopes: Vec<String> = said
            .scopes
            .iter()
            .map(|scope| format!("{:?}", scope.name()))
            .collect();
        tests.push(format!(
            "R.attr.reach.exists(s, s in [{}])",
            scopes.join(", ")
        ));
    }
    tests.extend(said.when.map(|when| condition(when, denies)));
    if denies {
        // To Cerbos a deny counts for its own role alone, and another role may still allow.
        tests.push(format!("{role:?} in P.roles"));
    }
    let mut rule = json!({
        "actions": [action],
        "roles": [if denies { "*" } else { role }],
        "effect": if denies { "EFFECT_DENY" } else { "EFFECT_ALLOW" },
    });
    if !tests.is_empty() {
        let of: Vec<Value> = tests
            .into_iter()
            .map(|test| json!({ "expr": test }))
            .collect();
        rule["condition"] = json!({ "match": { "all": { "of": of } } });
    }
    rule
}

/// A condition that is unknown grants nothing, and denies.
fn condition(condition: &Condition, denies: bool) -> String {
    let tests = condition.tests.iter().map(|(path, comparison)| {
        let path = attribute(path);
        let test = match comparison {
            Comparison::Is(operand) => format!("{path} == {}", constant(operand)),
            Comparison::AtLeast(operand) => format!("{path} >= {}", constant(operand)),
            other => panic!("the generator's companies do not say {other:?}"),
        };
        if denies {
            format!("(!has({path}) || {test})")
        } else {
            format!("(has({path}) && {test})")
        }
    });
    tests.collect::<Vec<_>>().join(" && ")
}

fn attribute(path: &At) -> String {
    let root = match path.root {
        Root::Subject => "P.attr",
        Root::Resource => "R.attr",
        Root::Action | Root::Context => panic!("the generator's companies do not look there"),
    };
    format!("{root}.{}", path.segments.join("."))
}

fn constant(operand: &Operand) -> String {
    match operand {
        Operand::String(text) => format!("{text:?}"),
        Operand::Number(number) => format!("{number:?}"),
        other => panic!("the generator's companies do not compare with {other:?}"),
    }
}

/// The request's body.
pub(crate) fn request(policy: &Policy, query: &Query<'_>) -> String {
    let bearing = oracle::bearing(policy, query, LOOKED_AT);
    let mut roles = bearing.roles;
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        roles.push(NOBODY.to_owned());
    }
    let scopes = |reach: ScopeSet| reach.iter().map(Scope::name).collect::<Vec<_>>();
    let [mut of_user, mut of_resource] = bearing.properties.map(|properties| {
        let properties = properties.into_iter();
        properties
            .map(|(name, value)| (name, plain(&value)))
            .collect::<serde_json::Map<_, _>>()
    });
    of_user.insert("active".to_owned(), json!(true));
    of_resource.insert("reach".to_owned(), json!(scopes(bearing.reach)));
    of_resource.insert("walled_off".to_owned(), json!(bearing.walled_off));
    json!({
        "requestId": "bench",
        "principal": { "id": query.subject.id, "roles": roles, "attr": of_user },
        "resources": [{
            "resource": { "kind": query.resource.kind, "id": query.resource.id, "attr": of_resource },
            "actions": [query.action.name],
        }],
    })
    .to_string()
}

fn plain(value: &Property<'_>) -> Value {
    match value {
        Property::Bool(value) => json!(value),
        Property::Number(value) => json!(value),
        Property::String(text) => json!(text),
        other => panic!("the generator's companies do not store {other:?}"),
    }
}

/// Whether the answer allows the one action asked.
pub(crate) fn allows(answer: &str) -> bool {
    answer.contains("EFFECT_ALLOW")
}

/// Where the path of a check begins.
pub(crate) const CHECK: &str = "/api/check/resources";

/// Starts Cerbos over the translated policy, at these addresses for HTTP and gRPC, and waits until
/// it answers.
pub(crate) fn start(
    policy: &Policy,
    scratch: &Path,
    mut command: Command,
    [address, grpc]: [&str; 2],
) -> Child {
    let policies: PathBuf = scratch.join("cerbos");
    std::fs::create_dir_all(&policies).unwrap();
    for (name, document) in translated(policy) {
        std::fs::write(policies.join(name), document.to_string()).unwrap();
    }
    let settings = json!({
        "server": { "httpListenAddr": address, "grpcListenAddr": grpc, "requestLimits": { "maxResourcesPerRequest": 500 } },
        "storage": { "driver": "disk", "disk": { "directory": policies, "watchForChanges": false } },
        "telemetry": { "disabled": true },
    });
    let file = scratch.join("cerbos.json");
    std::fs::write(&file, settings.to_string()).unwrap();
    command
        .args(["server", "--log-level=error", "--config"])
        .arg(&file);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn();
    let mut child = child.expect("cerbos must be installed: `benches/http/install`");
    let began = Instant::now();
    while !is_healthy(address) {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("cerbos does not start");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    child
}

fn is_healthy(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    let request = "GET /_cerbos/health HTTP/1.1\r\nHost: cerbos\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let asked = stream.write_all(request.as_bytes());
    asked.is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
