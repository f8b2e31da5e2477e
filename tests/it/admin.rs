use std::time::{Duration, SystemTime};

use callgate::companies::Failure;
use callgate::server::ReloadOptions;
use serde_json::{Value, json};

use crate::service::{Client, Start, request, wait_until};

#[test]
fn ready_is_a_latch_that_only_stopping_opens() {
    let service = Start::new().serve_nobody();
    let ready = |path: &str| service.admin("GET", path, "").status;
    assert_eq!(service.admin("GET", "/livez", "").status, 200);
    assert_eq!(ready("/readyz"), 503, "nothing was tried");
    service.publish("acme", true);
    assert_eq!(ready("/readyz"), 503, "not every company was tried");
    assert_eq!(ready("/readyz?company=acme"), 200);
    service.companies.update_status("broken", |_| {});
    service.readiness.all_tried();
    assert_eq!(ready("/readyz"), 200, "one at least is active");
    assert_eq!(ready("/readyz?company=broken"), 503);
    assert_eq!(ready("/readyz?company=nobody"), 503);
    service.companies.remove("acme");
    assert_eq!(ready("/readyz"), 200, "what comes later does not change it");
    service.readiness.stop();
    assert_eq!(ready("/readyz"), 503);
    assert_eq!(service.admin("GET", "/livez", "").status, 200);
}

#[test]
fn verbose_readiness_names_each_company() {
    let service = Start::new().serve();
    service.companies.update_status("broken", |_| {});
    let told = service.admin("GET", "/readyz?verbose", "");
    assert_eq!(
        told.body,
        "[+] every company tried\n[+] acme\n[-] broken\nready\n"
    );
}

#[test]
fn snapshots_are_told_with_their_last_failure() {
    let service = Start::new().serve();
    let now = SystemTime::now();
    service.companies.update_status("acme", |status| {
        status.source = "policies/companies/acme".to_owned();
        status.generation = Some(7);
        status.loaded_at = Some(now - Duration::from_secs(100));
        status.fresh_at = Some(now - Duration::from_secs(60));
        status.failure = Some(Failure {
            at: now,
            code: "policy_errors",
            message: "unknown role".to_owned(),
            place: Some(("roles.yaml".to_owned(), 3, 9)),
        });
    });
    let told = service.admin("GET", "/v1/snapshots", "");
    assert_eq!(
        (told.status, told.header("content-type")),
        (200, "application/json")
    );
    let told: Value = serde_json::from_str(&told.body).unwrap();
    let acme = &told["companies"][0];
    let snapshot = service.companies.load("acme").unwrap();
    assert_eq!(acme["company"], "acme");
    assert_eq!(acme["active"], true);
    assert_eq!(acme["revision"], snapshot.revision());
    assert_eq!(acme["digest"], snapshot.digest());
    assert_eq!(acme["generation"], 7);
    assert_eq!(acme["source"], "policies/companies/acme");
    assert_eq!((&acme["users"], &acme["objects"]), (&json!(10), &json!(0)));
    assert_eq!(acme["size_bytes"], snapshot.size_bytes());
    assert!(acme["loaded_at"].as_str().unwrap().ends_with('Z'));
    assert!((60.0..90.0).contains(&acme["age_seconds"].as_f64().unwrap()));
    let failure = &acme["failure"];
    assert_eq!(
        (&failure["code"], &failure["message"]),
        (&json!("policy_errors"), &json!("unknown role"))
    );
    assert_eq!(
        (&failure["file"], &failure["line"], &failure["column"]),
        (&json!("roles.yaml"), &json!(3), &json!(9))
    );
}

#[test]
fn a_reload_is_passed_on_with_what_it_accepts_and_told_when_done() {
    let service = Start::new().serve();
    let cases = [
        ("", ReloadOptions::default()),
        ("{}", ReloadOptions::default()),
        (
            r#"{"accept_loss":true}"#,
            ReloadOptions {
                accept_failed_tests: false,
                accept_loss: true,
                accept_rollback: false,
            },
        ),
        (
            r#"{"accept_failed_tests":true,"accept_loss":false}"#,
            ReloadOptions {
                accept_failed_tests: true,
                accept_loss: false,
                accept_rollback: false,
            },
        ),
    ];
    for (body, options) in cases {
        let told = service.admin("POST", "/v1/reload", body);
        assert_eq!(told.status, 200, "{body}");
        assert!(told.body.contains(r#""company":"acme""#), "{}", told.body);
        assert_eq!(service.reloads.try_recv(), Ok(options));
    }
    for body in [
        "{",
        "[]",
        r#"{"accept_everything":true}"#,
        r#"{"accept_loss":1}"#,
    ] {
        assert_eq!(
            service.admin("POST", "/v1/reload", body).status,
            400,
            "{body}"
        );
        assert!(service.reloads.try_recv().is_err());
    }
}

#[test]
fn paths_and_methods_that_are_not_there_are_404_and_405() {
    let service = Start::new().serve();
    assert_eq!(service.admin("GET", "/nowhere", "").status, 404);
    assert_eq!(
        service
            .admin("POST", "/acme/access/v1/evaluation", "{}")
            .status,
        404
    );
    let wrong = service.admin("GET", "/v1/reload", "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "POST"));
    let wrong = service.admin("POST", "/metrics", "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD"));
}

#[test]
fn metrics_are_prometheus_text() {
    let service = Start::new().serve();
    service.companies.update_status("acme", |status| {
        status.generation = Some(7);
        status.fresh_at = Some(SystemTime::now());
        status.loaded_at = Some(SystemTime::now());
    });
    let told = service.admin("GET", "/metrics", "");
    assert_eq!(
        told.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for name in [
        "callgate_build_info",
        "callgate_decision_duration_seconds_bucket",
        "callgate_decisions_total",
        "callgate_request_duration_seconds_bucket",
        "callgate_requests_in_flight",
        "callgate_requests_total",
        "callgate_snapshot_age_seconds",
        "callgate_snapshot_bytes",
        "callgate_snapshot_generation",
        "callgate_snapshot_last_success_timestamp_seconds",
        "callgate_snapshot_load_duration_seconds_bucket",
        "callgate_snapshot_loads_total",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
    ] {
        let samples = told.body.lines().filter(|line| line.starts_with(name));
        assert_ne!(samples.count(), 0, "no {name}");
        let family = name.trim_end_matches("_bucket");
        assert!(
            told.body.contains(&format!("# HELP {family} ")),
            "no help of {family}"
        );
    }
    assert!(
        told.body
            .contains(r#"callgate_snapshot_generation{company="acme"} 7"#)
    );
}

#[test]
fn connections_that_say_nothing_keep_no_probe_out() {
    let service = Start::limits(|limits| limits.admin_connections_max = 20).serve();
    let mut silent: Vec<_> = (0..20).map(|_| Client::connect(&service.admin)).collect();
    let probe = || {
        let mut client = Client::connect(&service.admin);
        client.send(request("GET", "/livez", &[], ""));
        client.try_answer().map(|answer| answer.status)
    };
    assert!(probe().is_err(), "none has been silent for long");
    let limit = r#"callgate_limit_reached_total{limit="admin_connections"}"#;
    assert_eq!(service.metric(limit), 1);
    wait_until("a place", || probe().is_ok_and(|status| status == 200));
    assert!(
        silent[0].is_closed(),
        "who was silent the longest has given way"
    );
}
