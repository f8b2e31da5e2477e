//! Tokens over the service: two companies, each with an issuer of its own, and one key set.

use std::time::SystemTime;

use callgate::config::{Identity, Proxy};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;

use super::signer::{Signer, seconds};
use super::tokens::jwt;
use crate::proxy::{start_with, trusted};
use crate::rpc::exchange;
use crate::service::{Answer, Service, request};

struct House {
    service: Service,
    signer: Signer,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let signer = Signer::ec();
        let set = json!({"keys": [signer.jwk("k", &json!({}))]});
        std::fs::write(&path, set.to_string()).unwrap();
        let of = |company: &str| {
            let issuer = format!("https://id.{company}.example");
            Identity::Jwt(jwt(&path, &issuer, &["crm"], &["sub"]))
        };
        let companies = ["acme", "globex"].map(|company| (company.to_owned(), of(company)));
        let service = start_with(Proxy {
            companies: companies.into(),
            ..trusted()
        });
        Self {
            service,
            signer,
            _folder: folder,
        }
    }

    fn token(&self, company: &str, user: &str) -> String {
        let issuer = format!("https://id.{company}.example");
        let exp = seconds(SystemTime::now()) + 60;
        let claims = json!({"iss": issuer, "aud": "crm", "sub": user, "exp": exp});
        self.signer.token("k", &claims)
    }

    fn ask(&self, headers: &[&str]) -> Answer {
        let mut all = vec!["X-Original-Method: GET", "X-Original-URI: /me"];
        all.extend(headers);
        self.service
            .ask(request("GET", "/acme/proxy/auth", &all, ""))
    }

    fn checks(&self) -> u64 {
        self.service
            .metric(r#"callgate_token_checks_total{result="good"}"#)
    }
}

#[test]
fn a_companys_token_is_its_users_and_another_companys_is_no_token() {
    let house = House::new();
    let own = format!("Authorization: Bearer {}", house.token("acme", "olga"));
    let answer = house.ask(&[&own]);
    assert_eq!(
        (answer.status, answer.header("x-callgate-user")),
        (200, "olga")
    );
    for other in ["globex", "demo"] {
        let other = format!("Authorization: Bearer {}", house.token(other, "olga"));
        let answer = house.ask(&[&other]);
        assert_eq!(answer.status, 401, "{other}");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
    // The way of all others is none of acme's.
    assert_eq!(house.ask(&["X-Auth-User: olga"]).status, 401);
    assert_eq!(house.ask(&[]).status, 401);
    // Where everybody may pass, what is no token makes nobody of its user, and keeps nobody out.
    let headers = [
        "X-Original-Method: GET",
        "X-Original-URI: /public/x",
        "Authorization: Bearer x.y.z",
    ];
    let open = house
        .service
        .ask(request("GET", "/acme/proxy/auth", &headers, ""));
    assert_eq!((open.status, open.header("x-callgate-user")), (200, ""));
    // A user whom the company does not know is known, and may do nothing.
    let stranger = format!("Authorization: Bearer {}", house.token("acme", "nobody"));
    assert_eq!(house.ask(&[&stranger]).status, 403);
}

#[test]
fn a_token_is_checked_once_by_each_worker_however_often_it_comes() {
    let house = House::new();
    let cookie = format!("Cookie: a=b; session={}", house.token("acme", "olga"));
    for _ in 0..100 {
        assert_eq!(house.ask(&[&cookie]).status, 200);
    }
    let checks = house.checks();
    assert!((1..=2).contains(&checks), "{checks} checks by two workers");
}

/// Over HTTP/2 a proxy may send `Cookie` in pieces (RFC 9113, section 8.2.3), as Go's client does:
/// they are one header, in which two cookies of the name are still one too many.
#[test]
fn a_cookie_in_pieces_is_one_header_over_http2_alone() {
    let house = House::new();
    let own = format!("session={}", house.token("acme", "olga"));
    let other = "session=a.b.c";
    let ask = |cookies: &[&str]| {
        let url = format!("http://{}/acme/proxy/auth", house.service.address);
        let request = hyper::Request::get(url)
            .header("x-original-method", "GET")
            .header("x-original-uri", "/me");
        let with = |request: hyper::http::request::Builder, cookie: &&str| {
            request.header("cookie", *cookie)
        };
        let request = cookies
            .iter()
            .fold(request, with)
            .body(Full::<Bytes>::default())
            .unwrap();
        exchange(&house.service, request).status
    };
    assert_eq!(ask(&[&own]), 200);
    assert_eq!(ask(&["a=b", &own, "c=d"]), 200);
    assert_eq!(ask(&["a=b", "c=d"]), 401);
    assert_eq!(ask(&[&own, other]), 401);
    assert_eq!(ask(&[other, &own]), 401);
    let own = format!("Cookie: {own}");
    assert_eq!(house.ask(&[&own]).status, 200);
    assert_eq!(house.ask(&[&own, "Cookie: a=b"]).status, 401);
}
