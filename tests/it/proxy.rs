//! What reverse proxies are answered, as bytes over a socket.

use std::collections::BTreeMap;

use callgate::config::{AccessFiles, Identity, Proxy, TargetHeaders, TrustedPeer};
use callgate::policy::Files;
use serde_json::Value;

use crate::fixture;
use crate::service::{Answer, Client, Service, Start, request};
use crate::targets;

const AUTH: &str = "/acme/proxy/auth";
const GET: &str = "X-Original-Method: GET";

const ROUTES: &str = r#"routes:
  - { path: "/", allow: public }
  - { path: "/public/{*rest}", allow: public }
  - { path: "/me", allow: authenticated }
  - { methods: [GET, HEAD], path: "/calls/{id}", check: { type: call, action: listen, id: "{id}" } }
  - { methods: [DELETE], path: "/calls/{id}", check: { type: call, action: export, id: "{id}" } }
  - { path: "/queues/{id}", check: { type: queue, action: view, id: "{id}" } }
  - { path: "/section", check: { type: call, action: view, section: true } }
"#;

const USERS: &str = "\
user,aliases,active,roles
olga,olga@acme.example;sip:101,,listener
piotr,,,operator
jan,,false,listener
\u{142}ucja,,,operator;listener@2020-01-01T00:00:00Z/2020-02-01T00:00:00Z
";

fn files(routes: &str) -> Files {
    let texts = [
        ("packs/desk/catalogue.yaml", fixture::CATALOGUE.to_owned()),
        ("packs/desk/roles.yaml", fixture::ROLES.to_owned()),
        ("companies/acme/company.yaml", fixture::company("acme")),
        ("companies/acme/users.csv", USERS.to_owned()),
        ("companies/acme/routes.yaml", routes.to_owned()),
    ];
    Files::new(texts.map(|(path, text)| (path.to_owned(), text.into_bytes())))
}

/// A proxy on this machine, that tells the user in `X-Auth-User`.
pub(crate) fn trusted() -> Proxy {
    Proxy {
        trusted: vec!["127.0.0.1/32".parse().unwrap()],
        identity: Some(Identity::Header("x-auth-user".to_owned())),
        ..Proxy::default()
    }
}

pub(crate) fn start_with(proxy: Proxy) -> Service {
    let service = Start {
        proxy,
        ..Start::new()
    }
    .serve();
    service.publish_files("acme", &files(ROUTES));
    service
}

fn start() -> Service {
    start_with(trusted())
}

/// What comes of `GET target` by this user.
fn ask(service: &Service, target: &str, user: &str, more: &[&str]) -> Answer {
    let (uri, user) = (
        format!("X-Original-URI: {target}"),
        format!("X-Auth-User: {user}"),
    );
    let mut headers = vec![GET, &uri];
    if user != "X-Auth-User: " {
        headers.push(&user);
    }
    headers.extend(more);
    service.ask(request("GET", AUTH, &headers, ""))
}

pub(crate) fn refused(service: &Service, reason: &str) -> u64 {
    service.metric(&format!(
        "callgate_proxy_refused_total{{reason=\"{reason}\"}}"
    ))
}

/// Whether the answer is a bare deny, counted once by this reason.
#[track_caller]
fn is_refused(service: &Service, reason: &str, ask: impl FnOnce() -> Answer) {
    let before = refused(service, reason);
    let answer = ask();
    assert_eq!((answer.status, answer.body.as_str()), (403, ""), "{reason}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(
        answer
            .headers
            .keys()
            .all(|name| !name.starts_with("x-callgate"))
    );
    assert_eq!(refused(service, reason), before + 1, "{reason}");
}

#[test]
fn a_request_passes_or_is_denied_or_its_user_is_asked_for() {
    let service = start();
    for (method, target, user, status) in [
        ("GET", "/", "", 200),
        ("GET", "/public/a/b?c", "", 200),
        ("GET", "/me", "", 401),
        ("GET", "/me", "olga", 200),
        ("GET", "/me", "nobody", 403),
        ("GET", "/me", "jan", 403),
        ("GET", "/calls/7", "", 401),
        ("GET", "/calls/7", "olga", 200),
        ("HEAD", "/calls/7?x=1", "olga@acme.example", 200),
        ("GET", "/calls/7", "piotr", 403),
        ("DELETE", "/calls/7", "olga", 403),
        ("PUT", "/calls/7", "olga", 403),
        ("GET", "/queues/none", "olga", 403),
        ("GET", "/section", "piotr", 200),
        ("GET", "/elsewhere", "olga", 403),
        ("GET", "/elsewhere", "", 403),
    ] {
        let uri = format!("X-Original-URI: {target}");
        let told = [
            format!("X-Original-Method: {method}"),
            format!("X-Auth-User: {user}"),
        ];
        let headers = match user {
            "" => vec![told[0].as_str(), &uri],
            _ => vec![told[0].as_str(), &uri, &told[1]],
        };
        let answer = service.ask(request("GET", AUTH, &headers, ""));
        let what = format!("{method} {target} by `{user}`");
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.body, "", "{what}");
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
        assert_eq!(
            answer.header("www-authenticate").is_empty(),
            status != 401,
            "{what}"
        );
        assert!(!answer.header("callgate-revision").is_empty(), "{what}");
    }
    for (reason, decision, count) in [
        ("public", "allow", 2),
        ("authenticated", "allow", 1),
        ("granted", "allow", 2),
        ("section", "allow", 1),
        ("no_route", "deny", 2),
        ("method_not_allowed", "deny", 1),
        ("unknown_subject", "deny", 1),
        ("inactive_subject", "deny", 1),
        ("unknown_resource", "deny", 1),
        ("no_grant", "deny", 2),
    ] {
        let labels = format!("{{api=\"proxy_auth\",decision=\"{decision}\",reason=\"{reason}\"}}");
        assert_eq!(
            service.metric(&format!("callgate_decisions_total{labels}")),
            count,
            "{reason}"
        );
    }
    assert_eq!(
        service.metric("callgate_requests_total{api=\"proxy_auth\",code=\"401\"}"),
        2
    );
}

#[test]
fn every_allow_tells_user_roles_and_company_empty_where_there_is_nobody() {
    let service = start();
    let told = |answer: &Answer| {
        assert_eq!(answer.status, 200);
        ["user", "roles", "company"].map(|what| {
            let name = format!("x-callgate-{what}");
            answer.headers.get(&name).cloned()
        })
    };
    let is = |user: &str, roles: &str| [user, roles, "acme"].map(|text| Some(text.to_owned()));
    let as_known = |user: &str| told(&ask(&service, "/public/x", user, &[]));
    // An alias is told as the id that it stands for.
    assert_eq!(as_known("sip:101"), is("olga", "listener"));
    assert_eq!(as_known("piotr"), is("piotr", "operator"));
    // What is not in force is not told; what is not ASCII is encoded.
    assert_eq!(as_known("\u{142}ucja"), is("%C5%82ucja", "operator"));
    for nobody in ["", "nobody", "jan", "not an id"] {
        assert_eq!(as_known(nobody), is("", ""), "{nobody}");
    }
}

#[test]
fn the_clients_own_claims_come_to_nothing() {
    let service = start();
    let spoofed = [
        "X-Callgate-User: ewa",
        "X-Callgate-Roles: admin",
        "X-Forwarded-Host: other",
    ];
    let answer = ask(&service, "/me", "piotr", &spoofed);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-callgate-user"), "piotr");
    assert_eq!(answer.header("x-callgate-roles"), "operator");
    // Nothing in a query or a header can ask for a section, or test a role.
    for target in [
        "/calls/7?section=true",
        "/calls/7?context.callgate.test_role=listener",
    ] {
        let more = ["Callgate-Test-Role: listener", "Callgate-Section: true"];
        assert_eq!(
            ask(&service, target, "piotr", &more).status,
            403,
            "{target}"
        );
    }
}

#[test]
fn the_subrequests_own_method_path_and_body_say_nothing() {
    let service = start();
    for method in [
        "GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND", "get",
    ] {
        for path in [AUTH, "/acme/proxy/auth?path=/elsewhere", "/proxy/auth"] {
            let headers = [GET, "X-Original-URI: /calls/7", "X-Auth-User: olga"];
            let answer = service.ask(request(method, path, &headers, ""));
            assert_eq!(answer.status, 200, "{method} {path}");
            let headers = ["X-Auth-User: olga"];
            let answer = service.ask(request(method, path, &headers, ""));
            assert_eq!(answer.status, 403, "{method} {path}");
        }
    }
    let mut client = service.connect();
    let body = r#"{"context":{"callgate":{"section":true}}}"#;
    let headers = [GET, "X-Original-URI: /calls/7", "X-Auth-User: piotr"];
    for _ in 0..2 {
        // The next request on the connection is where it should be.
        assert_eq!(
            client.ask(request("POST", AUTH, &headers, body)).status,
            403
        );
    }
    let headers = [GET, "X-Original-URI: /calls/7", "X-Auth-User: olga"];
    assert_eq!(
        client.ask(request("POST", AUTH, &headers, body)).status,
        200
    );
}

#[test]
fn the_table_of_attacks_is_refused_each_by_its_reason() {
    let service = start();
    let table = targets::table();
    for line in table["refused"].as_array().unwrap() {
        let (target, reason) = (
            line["target"].as_str().unwrap(),
            line["reason"].as_str().unwrap(),
        );
        if target.is_empty() || target.ends_with('\t') {
            continue; // HTTP takes white space off a header's ends
        }
        is_refused(&service, reason, || ask(&service, target, "olga", &[]));
        let url = format!("X-Original-URL: https://demo.example{target}");
        if target.starts_with('/') {
            is_refused(&service, reason, || {
                service.ask(request("GET", AUTH, &[GET, &url, "X-Auth-User: olga"], ""))
            });
        }
    }
    for line in table["read"].as_array().unwrap() {
        let target = line["target"].as_str().unwrap();
        assert_ne!(
            ask(&service, target, "olga", &[]).header("callgate-revision"),
            "",
            "{target}"
        );
    }
}

#[test]
fn what_is_told_twice_or_otherwise_is_refused() {
    let service = start();
    let olga = "X-Auth-User: olga";
    let uri = "X-Original-URI: /calls/7";
    for (reason, headers) in [
        ("target_missing", vec![olga]),
        ("target_missing", vec![GET, olga]),
        ("target_missing", vec![uri, olga]),
        (
            "other_target",
            vec!["X-Forwarded-Method: GET", "X-Forwarded-Uri: /calls/7", olga],
        ),
        (
            "other_target",
            vec![GET, uri, olga, "X-Forwarded-Uri: /public/"],
        ),
        (
            "other_target",
            vec![GET, uri, olga, "X-Forwarded-Method: GET"],
        ),
        (
            "other_target",
            vec![GET, uri, olga, "X-Original-URL: http://a/public/"],
        ),
        (
            "other_target",
            vec![
                GET,
                olga,
                "X-Original-URL: http://a/calls/7",
                "X-Original-Host: a",
            ],
        ),
        ("doubled_header", vec![GET, uri, uri, olga]),
        ("doubled_header", vec![GET, GET, uri, olga]),
        ("doubled_header", vec![GET, uri, olga, "X-Auth-User: piotr"]),
        (
            "doubled_header",
            vec![GET, uri, olga, "Authorization: a", "Authorization: b"],
        ),
        (
            "doubled_header",
            vec![GET, uri, olga, "X-Original-Host: a", "X-Original-Host: a"],
        ),
        (
            "aliased_header",
            vec![GET, uri, olga, "X_Original_URI: /public/"],
        ),
        (
            "aliased_header",
            vec![GET, uri, olga, "X.Original.Method: GET"],
        ),
        (
            "aliased_header",
            vec![GET, uri, olga, "X_Forwarded_Uri: /public/"],
        ),
        (
            "aliased_header",
            vec![GET, uri, olga, "X-Forwarded_Proto: https"],
        ),
        ("aliased_header", vec![GET, uri, olga, "x_auth_user: ewa"]),
        (
            "aliased_header",
            vec![GET, uri, olga, "X_Callgate_User: ewa"],
        ),
        (
            "aliased_header",
            vec![GET, uri, olga, "X.Callgate-Roles: admin"],
        ),
        ("aliased_header", vec![GET, uri, olga, "Callgate_Token: x"]),
        (
            "aliased_header",
            vec![GET, uri, olga, "X~Callgate!User: ewa"],
        ),
        (
            "aliased_header",
            vec![GET, uri, olga, "SCRIPT_NAME: /calls"],
        ),
        ("aliased_header", vec![GET, uri, olga, "PATH_INFO: /public"]),
        (
            "aliased_header",
            vec![GET, uri, olga, "X_Forwarded_Client_Cert: x"],
        ),
        (
            "method_override",
            vec![GET, uri, olga, "X-HTTP-Method-Override: DELETE"],
        ),
        (
            "method_override",
            vec![GET, uri, olga, "X-HTTP-Method: DELETE"],
        ),
        (
            "method_override",
            vec![GET, uri, olga, "X-Method-Override: DELETE"],
        ),
        (
            "aliased_header",
            vec![GET, uri, olga, "X_HTTP_Method_Override: DELETE"],
        ),
        (
            "target_override",
            vec![GET, uri, olga, "X-Rewrite-URL: /admin"],
        ),
        (
            "target_override",
            vec![GET, uri, olga, "X-Script-Name: /calls"],
        ),
        (
            "target_override",
            vec![GET, uri, olga, "Script-Name: /calls"],
        ),
        (
            "target_override",
            vec![GET, uri, olga, "Path-Info: /public"],
        ),
        (
            "target_override",
            vec![GET, uri, olga, "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"],
        ),
        ("bad_method", vec!["X-Original-Method: delete", uri, olga]),
        (
            "bad_method",
            vec!["X-Original-Method: GET, DELETE", uri, olga],
        ),
        ("bad_host", vec![GET, uri, olga, "X-Original-Host: a/b"]),
        ("userinfo", vec![GET, uri, olga, "X-Original-Host: a@b"]),
    ] {
        let ask = || service.ask(request("GET", AUTH, &headers, ""));
        is_refused(&service, reason, ask);
    }
    // What is neither read nor set may be named as it likes.
    let harmless = [
        "X_Forwarded_For: 1.2.3.4",
        "x_y.z: 1",
        "X-Forwarded-Proto: https",
    ];
    assert_eq!(ask(&service, "/calls/7", "olga", &harmless).status, 200);
}

#[test]
fn forwarded_headers_are_read_where_that_is_set() {
    let service = start_with(Proxy {
        target: TargetHeaders::Forwarded,
        ..trusted()
    });
    let olga = "X-Auth-User: olga";
    let forwarded = |method: &str, uri: &str| {
        let (method, uri) = (
            format!("X-Forwarded-Method: {method}"),
            format!("X-Forwarded-Uri: {uri}"),
        );
        let rest = [
            "X-Forwarded-Host: demo.example",
            "X-Forwarded-Proto: https",
            olga,
        ];
        service.ask(request(
            "GET",
            AUTH,
            &[&[method.as_str(), &uri], &rest[..]].concat(),
            "",
        ))
    };
    assert_eq!(forwarded("GET", "/calls/7?a=b").status, 200);
    assert_eq!(forwarded("DELETE", "/calls/7").status, 403);
    is_refused(&service, "dot_segment", || {
        forwarded("GET", "/public/../calls/7")
    });
    is_refused(&service, "other_target", || {
        service.ask(request(
            "GET",
            AUTH,
            &[GET, "X-Original-URI: /calls/7", olga],
            "",
        ))
    });
    let headers = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /calls/7", olga];
    for more in [
        "X-Original-URI: /",
        "X-Original-URL: http://a/",
        "X-Original-Method: GET",
    ] {
        let headers = [&headers[..], &[more]].concat();
        is_refused(&service, "other_target", || {
            service.ask(request("GET", AUTH, &headers, ""))
        });
    }
}

/// The headers that Traefik's forwardAuth sends, as it is documented; it was not to be had here. The
/// client's own, without those of the connection, and what it says of the request.
#[test]
fn traefik_is_answered_by_contract() {
    let service = start_with(Proxy {
        target: TargetHeaders::Forwarded,
        ..trusted()
    });
    let traefik = |method: &str, uri: &str, own: &[&str]| {
        let told = [
            format!("X-Forwarded-Method: {method}"),
            format!("X-Forwarded-Uri: {uri}"),
        ];
        let rest = [
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: demo.example",
            "X-Forwarded-For: 192.0.2.1",
            "User-Agent: curl/8",
            "Accept-Encoding: gzip",
        ];
        let headers = [&[told[0].as_str(), &told[1]], &rest[..], own].concat();
        service.ask(request("GET", AUTH, &headers, ""))
    };
    let olga = "X-Auth-User: olga";
    assert_eq!(traefik("GET", "/calls/7?x=1", &[olga]).status, 200);
    assert_eq!(traefik("DELETE", "/calls/7", &[olga]).status, 403);
    let nobody = traefik("GET", "/me", &[]);
    assert_eq!(nobody.status, 401);
    assert!(!nobody.header("www-authenticate").is_empty());
    // `authResponseHeaders` are replaced where the answer has them: also an empty one must be there.
    let public = traefik("GET", "/public/", &["X-Callgate-User: ewa"]);
    for name in ["x-callgate-user", "x-callgate-roles", "x-callgate-company"] {
        assert!(public.headers.contains_key(name), "{name}");
    }
    assert_eq!(public.header("x-callgate-user"), "");
    // What Traefik has let through before: GHSA-6384-m2mw-rf54, GHSA-5m6w-wvh7-57vm.
    for own in ["X-Forwarded-Prefix: /public", "X-Replaced-Path: /public"] {
        assert_eq!(traefik("GET", "/calls/7", &[own]).status, 401, "{own}");
    }
    for own in [
        "X_Forwarded_Uri: /public/",
        "X_Forwarded_Proto: http",
        "X-Original-Uri: /public/",
    ] {
        assert_eq!(
            traefik("GET", "/calls/7", &[olga, own]).status,
            403,
            "{own}"
        );
    }
}

/// The headers that ingress-nginx sends with `auth-url`, as it is documented; it was not run here.
#[test]
fn ingress_nginx_is_answered_by_contract() {
    let service = start();
    let ingress = |method: &str, target: &str, own: &[&str]| {
        let told = [
            format!("X-Original-Method: {method}"),
            format!("X-Original-URL: https://Demo.example:443{target}"),
            format!("X-Auth-Request-Redirect: {target}"),
        ];
        let rest = [
            "X-Sent-From: nginx-ingress-controller",
            "X-Real-IP: 192.0.2.1",
            "X-Forwarded-For: 192.0.2.1",
        ];
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        let headers = [&told[..], &rest[..], own].concat();
        service.ask(request("GET", AUTH, &headers, ""))
    };
    let olga = "X-Auth-User: olga";
    assert_eq!(ingress("GET", "/calls/7?x=1", &[olga]).status, 200);
    assert_eq!(ingress("DELETE", "/calls/7", &[olga]).status, 403);
    assert_eq!(ingress("GET", "/me", &[]).status, 401);
    // A client's own headers come along (ingress-nginx 8644: the raw target reaches both).
    for own in [
        "X-Original-URI: /public/",
        "X-Forwarded-Uri: /public/",
        "X-Original-Host: other",
    ] {
        assert_eq!(
            ingress("GET", "/calls/7", &[olga, own]).status,
            403,
            "{own}"
        );
    }
    assert_eq!(ingress("GET", "/public/..%2fcalls/7", &[olga]).status, 403);
}

#[test]
fn routes_of_one_host_need_the_host() {
    let service = start();
    let routes = "routes:\n  - { path: \"/{*rest}\", allow: public }\n  \
                  - { host: admin.example, path: \"/{*rest}\", allow: authenticated }\n";
    service.publish_files("acme", &files(routes));
    let status = |headers: &[&str]| {
        let headers = [&[GET], headers].concat();
        service.ask(request("GET", AUTH, &headers, "")).status
    };
    let uri = "X-Original-URI: /x";
    is_refused(&service, "host_unknown", || ask(&service, "/x", "", &[]));
    assert_eq!(status(&[uri, "X-Original-Host: www.example"]), 200);
    for host in ["admin.example", "ADMIN.example.", "Admin.Example:8443"] {
        assert_eq!(
            status(&[uri, &format!("X-Original-Host: {host}")]),
            401,
            "{host}"
        );
        assert_eq!(
            status(&[&format!("X-Original-URL: https://{host}/x")]),
            401,
            "{host}"
        );
    }
}

#[test]
fn nobody_is_trusted_who_is_not_named() {
    let ask = |service: &Service| ask(service, "/public/x", "", &[]);
    // By default nobody is.
    let service = start_with(Proxy {
        trusted: Vec::new(),
        ..trusted()
    });
    is_refused(&service, "untrusted_peer", || ask(&service));
    for (peer, status) in [
        ("10.0.0.0/8", 403),
        ("unix", 403),
        ("caller:edge", 403),
        ("127.0.0.0/8", 200),
        ("127.0.0.1", 200),
    ] {
        let trusted = Proxy {
            trusted: vec![peer.parse().unwrap()],
            ..trusted()
        };
        assert_eq!(ask(&start_with(trusted)).status, status, "{peer}");
    }
}

#[test]
fn a_unix_socket_is_trusted_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callgate.sock");
    let start = Start {
        unix: Some(path.clone()),
        proxy: Proxy {
            trusted: vec![TrustedPeer::Unix],
            ..trusted()
        },
        ..Start::new()
    };
    let service = start.serve();
    service.publish_files("acme", &files(ROUTES));
    let asked = request("GET", AUTH, &[GET, "X-Original-URI: /public/x"], "");
    let mut client = Client::over(std::os::unix::net::UnixStream::connect(path).unwrap());
    assert_eq!(client.ask(&asked).status, 200);
    assert_eq!(service.ask(&asked).status, 403);
}

#[test]
fn a_proxys_token_stands_in_a_header_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::write(
        &tokens,
        "edge edge-0123456789abcdef\ncrm crm-0123456789abcdef\n",
    )
    .unwrap();
    let start = Start {
        access: AccessFiles {
            tokens: Some(tokens),
            ..AccessFiles::default()
        },
        proxy: Proxy {
            trusted: vec!["caller:edge".parse().unwrap()],
            ..trusted()
        },
        ..Start::new()
    };
    let service = start.serve();
    service.publish_files("acme", &files(ROUTES));
    let with = |more: &[&str]| ask(&service, "/me", "olga", more);
    assert_eq!(with(&["Callgate-Token: edge-0123456789abcdef"]).status, 200);
    // The end user's own credentials are none of the proxy's, and need not be known.
    let both = [
        "Callgate-Token: edge-0123456789abcdef",
        "Authorization: Bearer whatever",
    ];
    assert_eq!(with(&both).status, 200);
    is_refused(&service, "caller", || with(&[]));
    is_refused(&service, "caller", || {
        with(&["Authorization: Bearer edge-0123456789abcdef"])
    });
    is_refused(&service, "caller", || with(&["Callgate-Token: wrong"]));
    is_refused(&service, "untrusted_peer", || {
        with(&["Callgate-Token: crm-0123456789abcdef"])
    });
}

#[test]
fn what_cannot_be_decided_is_denied() {
    let service = start();
    let asked = |path: &str, more: &[&str]| {
        let headers = [&[GET, "X-Original-URI: /public/x"], more].concat();
        service.ask(request("GET", path, &headers, ""))
    };
    is_refused(&service, "unknown_company", || {
        asked("/nobody/proxy/auth", &[])
    });
    service.companies.update_status("late", |_| {});
    is_refused(&service, "no_snapshot", || asked("/late/proxy/auth", &[]));
    is_refused(&service, "unknown_company", || asked("/proxy/auth", &[]));
    let long = format!("X-Long: {}", "x".repeat(60 << 10));
    let more = format!("X-More: {}", "x".repeat(6 << 10));
    let answer = asked(AUTH, &[&long, &more]);
    assert!(matches!(answer.status, 403 | 431), "{answer:?}");

    let starting = Start {
        proxy: trusted(),
        ..Start::new()
    }
    .serve_nobody();
    let answer = starting.ask(request("GET", AUTH, &[GET, "X-Original-URI: /"], ""));
    assert_eq!((answer.status, refused(&starting, "no_snapshot")), (403, 1));

    let mut full = Start::limits(|limits| limits.requests_max = 0);
    full.proxy = trusted();
    let full = full.serve();
    let answer = full.ask(request("GET", AUTH, &[GET, "X-Original-URI: /"], ""));
    assert_eq!((answer.status, refused(&full, "overload")), (403, 1));
    assert_eq!(
        full.metric("callgate_limit_reached_total{limit=\"requests\"}"),
        1
    );
}

#[test]
fn envoy_sends_the_request_itself_below_a_path() {
    let service = start();
    let envoy = |method: &str, target: &str, more: &[&str]| {
        let path = format!("/acme/proxy/envoy{target}");
        service.ask(request(
            method,
            &path,
            &[&["X-Auth-User: olga"], more].concat(),
            "",
        ))
    };
    assert_eq!(envoy("GET", "/calls/7?a=b", &[]).status, 200);
    assert_eq!(envoy("DELETE", "/calls/7", &[]).status, 403);
    assert_eq!(envoy("GET", "/", &[]).status, 200);
    assert_eq!(envoy("GET", "/me", &[]).header("x-callgate-user"), "olga");
    // It needs no headers of either kind, and so takes none.
    for more in [GET, "X-Original-URL: http://a/", "X-Forwarded-Uri: /"] {
        is_refused(&service, "other_target", || {
            envoy("GET", "/public/", &[more])
        });
    }
    is_refused(&service, "not_a_path", || envoy("GET", "", &[]));
    is_refused(&service, "not_a_path", || envoy("GET", "x", &[]));
    let raw = |head: &str| service.ask(format!("{head}X-Auth-User: olga\r\n\r\n"));
    is_refused(&service, "absolute_target", || {
        raw("GET http://pdp/acme/proxy/envoy/me HTTP/1.1\r\nHost: pdp\r\n")
    });
    is_refused(&service, "doubled_header", || {
        raw("GET /acme/proxy/envoy/me HTTP/1.1\r\nHost: a\r\nHost: b\r\n")
    });
    let table = targets::table();
    for line in table["refused"].as_array().unwrap() {
        let (target, reason) = (
            line["target"].as_str().unwrap(),
            line["reason"].as_str().unwrap(),
        );
        // Of what is no request line nobody is asked, and a fragment ends one.
        let is_line = target.starts_with('/') && !target.contains([' ', '\t', '#', '%']);
        if is_line || target.starts_with('/') && target.contains('%') && reason != "fragment" {
            let answer = envoy("GET", target, &[]);
            assert!(matches!(answer.status, 403 | 400), "{target}: {answer:?}");
        }
    }
}

#[test]
fn each_company_may_know_its_users_in_its_own_way() {
    let own = Identity::Header("x-acme-user".to_owned());
    let service = start_with(Proxy {
        companies: BTreeMap::from([("acme".to_owned(), own)]),
        ..trusted()
    });
    assert_eq!(ask(&service, "/me", "olga", &[]).status, 401);
    assert_eq!(ask(&service, "/me", "", &["X-Acme-User: olga"]).status, 200);
    is_refused(&service, "aliased_header", || {
        ask(&service, "/me", "", &["X_Acme_User: olga"])
    });
}

#[test]
fn the_log_tells_what_was_decided() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions");
    let tree = fixture::Tree::new();
    tree.write("companies/acme/routes.yaml", ROUTES);
    tree.write("companies/acme/users.csv", USERS);
    let log = format!("file:{}", path.display());
    let flags = [
        "--workers=1",
        "--decision-log",
        &log,
        "--decision-log-flush=10ms",
    ];
    let trust = [
        "--proxy-trusted-peers",
        "127.0.0.1",
        "--proxy-identity-header",
        "X-Auth-User",
    ];
    let mut process = crate::process::Process::start_with(&tree, &[flags, trust].concat());
    process.line();
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let ask = |target: &str| {
        let uri = format!("X-Original-URI: {target}");
        let headers = [GET, &uri, "X-Auth-User: olga", "X-Request-ID: r1"];
        Client::connect(process.address()).ask(request("GET", AUTH, &headers, ""))
    };
    assert_eq!(ask("/calls/7").status, 200);
    assert_eq!(ask("/nowhere?secret=1").status, 403);
    process.until("both lines", |_| lines().len() == 2);
    let told: Vec<_> = lines()
        .iter()
        .map(|line| {
            let text = |pointer: &str| {
                line.pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .to_owned()
            };
            [
                "/id",
                "/api",
                "/subject/id",
                "/action/name",
                "/resource/type",
                "/resource/id",
                "/reason",
            ]
            .map(text)
        })
        .collect();
    assert_eq!(
        told[0],
        ["r1", "proxy_auth", "olga", "listen", "call", "7", "granted"]
    );
    assert_eq!(
        told[1],
        [
            "r1",
            "proxy_auth",
            "olga",
            "GET",
            "route",
            "/nowhere",
            "no_route"
        ]
    );
}
