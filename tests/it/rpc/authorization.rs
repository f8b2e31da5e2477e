//! `envoy.service.auth.v3.Authorization/Check`.

use callgate::config::{AccessFiles, CertificateField, Identity, Limits, Proxy, TrustedPeer};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use rcgen::{CertificateParams, KeyPair, SanType};
use tonic::metadata::MetadataValue;

use super::{Told, allowed, channel, denied, named, run, verdict};
use crate::proxy::{refused, start_with, trusted};
use crate::service::{Service, Start};

fn start() -> Service {
    start_with(trusted())
}

/// The status for the client, in whose place a proxy is told to answer.
fn status(answer: &CheckResponse) -> i32 {
    denied(answer).status.as_ref().unwrap().code
}

#[test]
fn allow_is_status_0_and_everything_else_a_deny_with_its_status_and_reason() {
    let service = start();
    for (told, code, reason) in [
        (Told::get("/"), 0, "public"),
        (Told::get("/me").by("olga"), 0, "authenticated"),
        (Told::get("/calls/7").by("olga"), 0, "granted"),
        (Told::get("/calls/7?x=..%2f").by("olga"), 0, "granted"),
        (Told::get("/calls/7"), 401, "unauthenticated"),
        (Told::get("/calls/7").by("piotr"), 403, "no_grant"),
        (Told::get("/me").by("nobody"), 403, "unknown_subject"),
        (Told::get("/me").by("jan"), 403, "inactive_subject"),
        (Told::get("/elsewhere").by("olga"), 403, "no_route"),
    ] {
        for raw in [false, true] {
            let told = Told {
                raw,
                ..told.clone()
            };
            let answer = told.ask(&service);
            let (found, why) = verdict(&answer);
            let expected = match code {
                0 => 0,
                401 => 16,
                _ => 7,
            };
            assert_eq!((found, why.as_str()), (expected, reason), "{}", told.path);
            if code == 0 {
                allowed(&answer);
            } else {
                assert_eq!(status(&answer), code, "{}", told.path);
            }
        }
    }
    let challenge = Told::get("/me").ask(&service);
    let challenge = named(&denied(&challenge).headers, "www-authenticate");
    let challenge = challenge.header.as_ref().unwrap();
    assert!(challenge.value.starts_with("Bearer"), "{challenge:?}");
}

#[test]
#[expect(deprecated, reason = "an Envoy of some age reads it")]
fn who_the_user_is_takes_the_place_of_whatever_was_sent_also_where_it_is_nobody() {
    let service = start();
    let headers = |told: &Told| allowed(&told.ask(&service)).headers.clone();
    let forged = Told::get("/me")
        .by("olga@acme.example")
        .with("x-callgate-user", "root")
        .with("x-callgate-roles", "admin");
    let known = headers(&forged);
    let anonymous = headers(&Told::get("/").with("x-callgate-user", "root"));
    for (headers, name, value) in [
        (&known, "x-callgate-user", "olga"),
        (&known, "x-callgate-roles", "listener"),
        (&known, "x-callgate-company", "acme"),
        (&anonymous, "x-callgate-user", ""),
        (&anonymous, "x-callgate-roles", ""),
        (&anonymous, "x-callgate-company", "acme"),
    ] {
        let set = named(headers, name);
        assert_eq!(set.header.as_ref().unwrap().value, value, "{name}");
        // An Envoy of any age overwrites: by the old member, and by the new one.
        assert!(!set.append.as_ref().unwrap().value, "{name}");
        let overwrite = HeaderAppendAction::OverwriteIfExistsOrAdd;
        assert_eq!(set.append_action, overwrite as i32, "{name}");
        assert!(set.keep_empty_value, "{name}");
    }
    assert_eq!((known.len(), anonymous.len()), (3, 3));
}

#[test]
fn what_can_be_read_in_two_ways_is_denied_and_counted() {
    let service = start();
    let olga = |path| Told::get(path).by("olga");
    let raw = |told: Told| Told { raw: true, ..told };
    for (told, reason) in [
        (olga("/public/../calls/7"), "dot_segment"),
        (olga("//calls/7"), "empty_segment"),
        (olga("/public/%2e%2e/calls/7"), "encoded_dot"),
        (olga("/calls%2f7"), "encoded_slash"),
        (olga("/calls\\7"), "backslash"),
        (olga("/calls/7#"), "fragment"),
        (olga("/calls/7;x"), "semicolon"),
        (olga("/calls/%007"), "nul"),
        (olga("/calls/%252e"), "double_encoding"),
        (olga("calls/7"), "not_a_path"),
        (olga(""), "not_a_path"),
        (olga("https://desk.acme.example/calls/7"), "absolute_target"),
        (
            Told {
                method: "get",
                ..olga("/me")
            },
            "bad_method",
        ),
        (
            Told {
                method: "",
                ..olga("/me")
            },
            "bad_method",
        ),
        (
            Told {
                host: "user@desk.acme.example",
                ..olga("/me")
            },
            "userinfo",
        ),
        (olga("/me").with("x-original-uri", "/"), "other_target"),
        (olga("/me").with("x-forwarded-uri", "/"), "other_target"),
        (
            olga("/me").with("x-http-method-override", "DELETE"),
            "method_override",
        ),
        (
            olga("/me").with("x-rewrite-url", "/admin"),
            "target_override",
        ),
        (olga("/me").with("x_auth_user", "root"), "aliased_header"),
        (
            olga("/me").with("x.callgate.user", "root"),
            "aliased_header",
        ),
        (
            raw(olga("/me").with("X_Auth_User", "root")),
            "aliased_header",
        ),
        (olga("/me").by("anna"), "doubled_header"),
        (raw(olga("/me").by("olga")), "doubled_header"),
        (
            raw(olga("/me").with("X-Auth-User", "anna")),
            "doubled_header",
        ),
        (
            Told {
                company: Some("globex"),
                ..olga("/me")
            },
            "unknown_company",
        ),
        (
            Told {
                company: Some(""),
                ..olga("/me")
            },
            "unknown_company",
        ),
    ] {
        let before = refused(&service, reason);
        let answer = told.ask(&service);
        assert_eq!(verdict(&answer), (7, reason.to_owned()), "{}", told.path);
        assert_eq!(status(&answer), 403, "{}", told.path);
        assert_eq!(refused(&service, reason), before + 1, "{}", told.path);
    }
    // There is one company, which need not be named.
    let unnamed = Told {
        company: None,
        ..olga("/me")
    };
    assert_eq!(verdict(&unnamed.ask(&service)).0, 0);
}

#[test]
fn a_message_that_says_nothing_is_denied() {
    let service = start();
    let answer = run(async {
        let mut client = AuthorizationClient::new(channel(&service).await);
        let empty = client.check(CheckRequest::default()).await;
        empty.unwrap().into_inner()
    });
    assert_eq!(verdict(&answer), (7, "target_missing".to_owned()));
}

#[test]
fn a_peer_that_is_not_trusted_is_told_nothing() {
    let service = start_with(Proxy {
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        ..trusted()
    });
    let answer = Told::get("/me").by("olga").ask(&service);
    assert_eq!(verdict(&answer), (7, "untrusted_peer".to_owned()));
}

#[test]
fn the_users_certificate_comes_beside_the_headers() {
    let service = start_with(Proxy {
        identity: Some(Identity::Certificate(CertificateField::SanEmail)),
        ..trusted()
    });
    let mut params = CertificateParams::default();
    let name = "olga@acme.example".try_into().unwrap();
    params.subject_alt_names = vec![SanType::Rfc822Name(name)];
    let pem = params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .pem();
    let certificate = pem
        .replace('%', "%25")
        .replace('\n', "%0A")
        .replace('+', "%2B");
    let told = Told {
        certificate,
        ..Told::get("/me")
    };
    assert_eq!(
        verdict(&told.ask(&service)),
        (0, "authenticated".to_owned())
    );
    let told = Told {
        certificate: "x".to_owned(),
        ..told
    };
    assert_eq!(
        verdict(&told.ask(&service)),
        (16, "bad_certificate".to_owned())
    );
}

#[test]
fn too_much_at_once_and_too_much_at_all_is_denied_and_no_error() {
    let service = Start {
        proxy: trusted(),
        limits: Limits {
            requests_max: 0,
            ..Start::new().limits
        },
        ..Start::new()
    }
    .serve();
    let answer = Told::get("/").ask(&service);
    assert_eq!(verdict(&answer), (7, "overload".to_owned()));
    let service = Start {
        proxy: trusted(),
        limits: Limits {
            body_bytes_max: 1 << 10,
            ..Start::new().limits
        },
        ..Start::new()
    }
    .serve();
    let long = Told::get("/").with("x-long", "x".repeat(2 << 10).leak());
    let answer = long.ask(&service);
    assert_eq!(verdict(&answer), (7, "message_too_large".to_owned()));
    let answer = run(async {
        let mut client = AuthorizationClient::new(channel(&service).await);
        let mut request = tonic::Request::new(Told::get("/").message());
        let long = MetadataValue::try_from("x".repeat(70 << 10)).unwrap();
        request.metadata_mut().insert("x-long", long);
        client.check(request).await
    });
    // What outgrows what HTTP/2 was told is its own affair; what comes here is denied.
    if let Ok(answer) = answer {
        assert_eq!(verdict(&answer.into_inner()).1, "head_too_large");
    }
}

#[test]
fn who_has_to_prove_it_may_ask_does_so_by_a_token_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (tokens, callers) = (folder.path().join("tokens"), folder.path().join("callers"));
    std::fs::write(&tokens, "envoy 0123456789abcdef\nother 0123456789abcdeX\n").unwrap();
    let bounds = "[callers.envoy]\ncompanies = [\"acme\"]\ninterfaces = [\"decide\"]\n\
                  [callers.other]\ncompanies = [\"globex\"]\ninterfaces = [\"decide\"]\n";
    std::fs::write(&callers, bounds).unwrap();
    let service = Start {
        proxy: Proxy {
            trusted: vec![TrustedPeer::Caller("envoy".to_owned())],
            ..trusted()
        },
        access: AccessFiles {
            tokens: Some(tokens),
            callers: Some(callers),
            ..AccessFiles::default()
        },
        ..Start::new()
    }
    .serve();
    let ask = |token: Option<&'static str>| {
        let answer = run(async {
            let mut client = AuthorizationClient::new(channel(&service).await);
            // Its user's own header says nothing of the proxy.
            let told = Told::get("/me")
                .by("olga")
                .with("authorization", "Bearer x");
            let mut request = tonic::Request::new(told.message());
            if let Some(token) = token {
                let token = MetadataValue::from_static(token);
                request.metadata_mut().insert("callgate-token", token);
            }
            client.check(request).await.unwrap().into_inner()
        });
        verdict(&answer).1
    };
    assert_eq!(ask(None), "caller");
    assert_eq!(ask(Some("0123456789abcdeY")), "caller");
    assert_eq!(ask(Some("0123456789abcdeX")), "caller");
    assert_eq!(ask(Some("0123456789abcdef")), "no_route");
}
