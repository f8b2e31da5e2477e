//! What reverse proxies cost callgate: a subrequest beside an evaluation of the same check, and Envoy's
//! call beside a bare server of tonic that answers the same messages.
//!
//! `cargo bench --bench proxies` (with `wrk` and `h2load`, Debian's `wrk` and `nghttp2-client`)
//!
//! Servers run as processes on one core, the load on the other; rounds of both follow each other, the
//! first changing, and each figure is the median of its rounds' ratios, with the least and the
//! greatest. What counts is the time that the server's threads had of the core for a request. tonic's
//! server runs on one thread, decodes the whole message and answers a constant.
//!
//! `CALLGATE_ROUNDS` and `CALLGATE_SECONDS` set how many rounds there are and how long each takes; an
//! argument runs only what has it in its name.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

mod bare;
mod load;
mod message;
#[path = "../../tests/it/identity/signer.rs"]
#[expect(dead_code, reason = "the tests sign in more ways")]
mod signer;

use std::path::Path;
use std::time::SystemTime;

use load::{Load, Server};
use serde_json::json;
use signer::Signer;

/// The check of everything that is measured here: the demo's ewa looks at a queue.
const EVALUATION: &str = r#"{"subject":{"type":"user","id":"ewa"},"action":{"name":"view"},"resource":{"type":"queue","id":"bank-in"}}"#;
const PATH: &str = "/queues/bank-in";
const TARGET: &str = "https://demo.example/queues/bank-in";

/// callgate with users known in both ways: the company `demo` by a token, all others by a header.
const SETTINGS: &str = r#"
[proxy]
trusted_peers = ["127.0.0.1"]
identity = { header = "X-Auth-User" }
[proxy.companies.demo]
identity = { jwt = { jwks = "JWKS", issuer = "https://id.example", audience = "crm", algorithms = ["ES256"], claim = "sub", from = ["authorization"] } }
"#;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let only = arguments.next();
    if only.as_deref() == Some(bare::COMMAND) {
        return bare::run();
    }
    let scratch = tempfile::tempdir().unwrap();
    let signer = Signer::ec();
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let keys = json!({"keys": [signer.jwk("k", &json!({}))]});
    std::fs::write(path("keys.json"), keys.to_string()).unwrap();
    let with_token = SETTINGS.replace("JWKS", &path("keys.json"));
    std::fs::write(path("token.toml"), with_token).unwrap();
    let header = SETTINGS.split("[proxy.companies.demo]").next().unwrap();
    std::fs::write(path("header.toml"), header).unwrap();
    let claims = json!({
        "iss": "https://id.example", "aud": "crm", "sub": "ewa", "jti": "0f2b7c5e-6d0a-4c0e-9c55-7b1f8a3f9d2e",
        "iat": signer::seconds(SystemTime::now()), "exp": signer::seconds(SystemTime::now()) + 86_400,
        "email": "ewa@demo.example", "scope": "openid profile email", "sid": "a7d0c6e0-5f35-4f0c-8a4a-0d2f9a6a7b11",
    });
    let bearer = format!("Bearer {}", signer.token("k", &claims));
    let by_token = Server::callgate(Path::new(&path("token.toml")));
    let by_header = Server::callgate(Path::new(&path("header.toml")));
    let bare = Server::bare();

    let run = Run { only };
    run.pair(
        "subrequest, user by header / evaluation",
        [
            evaluation(&by_header),
            subrequest(&by_header, ("X-Auth-User", "ewa")),
        ],
    );
    run.pair(
        "subrequest, token seen before / evaluation",
        [
            evaluation(&by_token),
            subrequest(&by_token, ("Authorization", &bearer)),
        ],
    );
    let by_name = message::check(PATH, "x-auth-user", "ewa");
    run.pair(
        "ext_authz, user by header / bare tonic",
        [
            load::h2load(&bare, &by_name),
            load::h2load(&by_header, &by_name),
        ],
    );
    let by_bearer = message::check(PATH, "authorization", &bearer);
    run.pair(
        "ext_authz, token seen before / bare tonic",
        [
            load::h2load(&bare, &by_bearer),
            load::h2load(&by_token, &by_bearer),
        ],
    );
    println!(
        "signatures checked: {}",
        by_token.metric(r#"callgate_token_checks_total{result="good"}"#)
    );
}

fn evaluation(server: &Server) -> Load<'_> {
    let headers = [("Content-Type", "application/json")];
    load::wrk(
        server,
        "POST",
        "/demo/access/v1/evaluation",
        &headers,
        EVALUATION,
    )
}

fn subrequest<'s>(server: &'s Server, user: (&str, &str)) -> Load<'s> {
    let headers = [
        ("X-Original-Method", "GET"),
        ("X-Original-URL", TARGET),
        user,
    ];
    load::wrk(server, "GET", "/demo/proxy/auth", &headers, "")
}

struct Run {
    only: Option<String>,
}

impl Run {
    /// Rounds of both, one after the other: the second's share of the first's core.
    fn pair(&self, name: &str, loads: [Load<'_>; 2]) {
        if self
            .only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            return;
        }
        let rounds = number("CALLGATE_ROUNDS", 5) as usize;
        let mut ratios = Vec::new();
        let mut costs = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            let mut measured = [0.0; 2];
            for n in [round % 2, 1 - round % 2] {
                measured[n] = loads[n].run(number("CALLGATE_SECONDS", 3));
                costs[n].push(measured[n] * 1e6);
            }
            ratios.push(measured[1] / measured[0]);
        }
        let [first, second] = costs.map(median);
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        let ratio = median(ratios);
        println!("{name}: {ratio:.3} ({least:.3} to {most:.3}), {second:.2} µs / {first:.2} µs");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
