//! Key sets behind https URLs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use callgate::config::{Algorithm, Identity, Jwks, Jwt, TokenPlace};
use callgate::identity::Identities;
use callgate::telemetry::Metrics;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::Request;
use super::signer::{Signer, seconds};
use super::tokens::{count, told};

/// A server of key sets, with a certificate for localhost of an authority of its own.
struct Issuer {
    folder: tempfile::TempDir,
    port: u16,
    /// The answer, as it is sent.
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicU64>,
}

impl Issuer {
    fn new(keys: &Value) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let issuer = Self {
            folder,
            port,
            answer: Arc::default(),
            asked: Arc::default(),
        };
        issuer.tell(&keys.to_string());
        let (answer, asked) = (Arc::clone(&issuer.answer), Arc::clone(&issuer.asked));
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                if line.is_empty() {
                    continue; // whoever does not trust us has left
                }
                asked.fetch_add(1, SeqCst);
                let answer = answer.lock().unwrap().clone();
                let _ = stream.get_mut().write_all(&answer);
                stream.get_mut().conn.send_close_notify();
                let _ = stream.get_mut().flush();
            }
        });
        issuer
    }

    fn says(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
        *self.answer.lock().unwrap() = (head + body).into_bytes();
    }

    fn tell(&self, body: &str) {
        self.says("200 OK", "Content-Type: application/jwk-set+json\r\n", body);
    }

    fn asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    fn jwt(&self, refresh: Duration) -> Jwt {
        Jwt {
            jwks: Jwks::Url(format!("https://localhost:{}/keys", self.port)),
            jwks_ca: Some(self.folder.path().join("ca.pem")),
            jwks_refresh: refresh,
            issuer: "https://id.demo.example".to_owned(),
            audience: vec!["crm".to_owned()],
            algorithms: vec![Algorithm::Es256],
            claim: vec!["sub".to_owned()],
            from: vec![TokenPlace::Authorization],
            clock_skew: Duration::from_secs(30),
        }
    }
}

struct House {
    identities: Arc<Identities>,
    metrics: Arc<Metrics>,
}

impl House {
    fn new(jwt: Jwt) -> Self {
        let metrics = Arc::new(Metrics::new(1, 1, []));
        let poll = Duration::from_secs(1);
        let every = Some(Identity::Jwt(jwt));
        let identities = Identities::start(every, [].into(), &metrics, poll).unwrap();
        Self {
            identities,
            metrics,
        }
    }

    fn who(&self, token: &str) -> String {
        let value = format!("Bearer {token}");
        let request = Request::with(&[("authorization", value.as_bytes())]);
        told(&self.identities, "demo", &request, SystemTime::now())
    }

    /// Waits until the token is found to be so; returns how long that took.
    fn until(&self, token: &str, expected: &str) -> Duration {
        let began = Instant::now();
        while self.who(token) != expected {
            let found = self.who(token);
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "never `{expected}`: {found}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        began.elapsed()
    }

    fn failed(&self) -> u64 {
        count(
            &self.metrics,
            r#"callgate_key_set_loads_total{result="failed"}"#,
        )
    }
}

fn set(keys: &[(&str, &Signer)]) -> Value {
    let keys = keys.iter().map(|(id, key)| key.jwk(id, &json!({})));
    json!({"keys": keys.collect::<Vec<_>>()})
}

fn token(id: &str, key: &Signer) -> String {
    let exp = seconds(SystemTime::now()) + 300;
    let claims = json!({"iss": "https://id.demo.example", "aud": "crm", "sub": "olga", "exp": exp});
    key.token(id, &claims)
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_key_that_is_new_is_looked_for_at_once_and_made_up_ones_no_oftener_than_that() {
    let (old, new, stranger) = (Signer::ec(), Signer::ec(), Signer::ec());
    let issuer = Issuer::new(&set(&[("old", &old)]));
    let house = House::new(issuer.jwt(HOUR));
    house.until(&token("old", &old), "olga");
    assert_eq!(issuer.asked(), 1);
    // The issuer changes its key. The first token with it is refused, and sends for the new set.
    issuer.tell(&set(&[("new", &new)]).to_string());
    assert_eq!(house.who(&token("new", &new)), "token_key");
    let took = house.until(&token("new", &new), "olga");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(house.who(&token("old", &old)), "token_key");
    // Whoever makes up keys cannot have us ask the issuer for each.
    for number in 0..500 {
        let made_up = token(&format!("made-up-{number}"), &stranger);
        assert_eq!(house.who(&made_up), "token_key");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(issuer.asked() <= 3, "{}", issuer.asked());
    assert_eq!(house.who(&token("new", &new)), "olga");
}

#[test]
fn keys_change_with_time_and_what_is_broken_changes_nothing() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let issuer = Issuer::new(&set(&[("old", &old)]));
    let house = House::new(issuer.jwt(Duration::from_secs(1)));
    let good = token("old", &old);
    house.until(&good, "olga");
    let large = format!(r#"{{"keys":[],"more":"{}"}}"#, "x".repeat(2 << 20));
    let moved = "Location: https://localhost/elsewhere\r\n";
    let broken = [
        ("500 Internal Server Error", "", "{}"),
        ("302 Found", moved, ""),
        ("200 OK", "", "<html>"),
        ("200 OK", "", r#"{"keys":[]}"#),
        ("200 OK", "", &large),
    ];
    for (before, (status, headers, body)) in broken.into_iter().enumerate() {
        issuer.says(status, headers, body);
        let began = Instant::now();
        while house.failed() <= before as u64 {
            assert!(began.elapsed() < Duration::from_secs(60), "{status}");
            assert_eq!(house.who(&good), "olga", "{status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    issuer.tell(&set(&[("new", &new)]).to_string());
    house.until(&good, "token_key");
    assert_eq!(house.who(&token("new", &new)), "olga");
}

#[test]
fn until_there_are_keys_it_is_our_trouble_and_a_server_that_nobody_vouches_for_has_none() {
    let key = Signer::ec();
    let (issuer, other) = (Issuer::new(&set(&[("k", &key)])), Issuer::new(&json!({})));
    let mut jwt = issuer.jwt(HOUR);
    jwt.jwks_ca = other.jwt(HOUR).jwks_ca;
    let house = House::new(jwt);
    let began = Instant::now();
    while house.failed() == 0 {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(house.who(&token("k", &key)), "no_keys");
    assert_eq!(issuer.asked(), 0);
}

#[test]
fn authorities_that_cannot_be_read_are_said_at_the_start() {
    let issuer = Issuer::new(&json!({}));
    let mut jwt = issuer.jwt(HOUR);
    jwt.jwks_ca = Some(PathBuf::from("/nowhere/ca.pem"));
    let metrics = Arc::new(Metrics::new(1, 1, []));
    let every = Some(Identity::Jwt(jwt));
    let error = Identities::start(every, [].into(), &metrics, HOUR)
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.starts_with("identity: /nowhere/ca.pem: it cannot be opened"),
        "{text}"
    );
}
