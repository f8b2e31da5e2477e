use std::net::TcpListener;
use std::sync::atomic::AtomicU16;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::journal::{Process, id, numbered, take_batch};
use crate::service::CHECK;
use crate::tls::{Authority, Safe, authority};

/// A collector that proves to be localhost, by a certificate of this authority; where it is, and
/// what it took.
fn collector(safe: &Safe, authority: &Authority) -> (String, Arc<Mutex<Vec<Value>>>) {
    safe.issue("collector", &["localhost"], "collector", authority);
    let chain = CertificateDer::pem_file_iter(safe.path("collector.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(safe.path("collector.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}/logs",
        listener.local_addr().unwrap().port()
    );
    let taken = Arc::<Mutex<Vec<Value>>>::default();
    let into = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, into) = (Arc::clone(&config), Arc::clone(&into));
            std::thread::spawn(move || {
                let connection = ServerConnection::new(config).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                while take_batch(&mut stream, &AtomicU16::new(200), &into).is_some() {}
            });
        }
    });
    (url, taken)
}

fn log_to(url: &str, safe: &Safe) -> Process {
    let authorities = safe.text("authorities.pem");
    Process::start(&[
        "--decision-log",
        url,
        "--decision-log-ca",
        &authorities,
        "--decision-log-flush",
        "10ms",
    ])
}

fn ids(taken: &Mutex<Vec<Value>>) -> Vec<String> {
    let taken = taken.lock().unwrap();
    taken.iter().map(|line| id(line).to_owned()).collect()
}

#[test]
fn a_collector_behind_tls_gets_every_line() {
    let safe = Safe::new();
    let root = authority("root");
    safe.trust("authorities.pem", &root);
    let (url, taken) = collector(&safe, &root);
    let mut process = log_to(&url, &safe);
    let mut client = process.connect();
    for number in 0..100 {
        assert_eq!(client.ask(numbered(number, CHECK)).status, 200);
    }
    process.terminate();
    let all: Vec<_> = (0..100).map(|number| format!("n{number}")).collect();
    assert_eq!(ids(&taken), all);
}

#[test]
fn a_collector_that_is_not_trusted_gets_nothing_until_it_is() {
    let safe = Safe::new();
    safe.trust("authorities.pem", &authority("another"));
    let root = authority("root");
    let (url, taken) = collector(&safe, &root);
    let process = log_to(&url, &safe);
    assert_eq!(process.connect().ask(numbered(0, CHECK)).status, 200);
    process.until("two failures", |process| {
        process.metric("callgate_decision_log_failures_total") >= 2
    });
    assert!(taken.lock().unwrap().is_empty());
    // Its authority is added to the file, and nothing is started anew.
    safe.trust("authorities.pem", &root);
    process.until("the line", |process| {
        process.metric("callgate_decision_log_written_total") == 1
    });
    assert_eq!(ids(&taken), ["n0"]);
}

#[test]
fn authorities_that_cannot_be_read_end_the_start() {
    let told = std::process::Command::new(env!("CARGO_BIN_EXE_callgate"))
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--decision-log", "https://localhost:1/logs"])
        .args(["--decision-log-ca", "/nowhere/ca.pem"])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(told.status.code(), Some(4));
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(
        told.contains("/nowhere/ca.pem: it cannot be opened"),
        "{told}"
    );
}
