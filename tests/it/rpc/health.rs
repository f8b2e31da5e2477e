//! `grpc.health.v1.Health`, by the library's own client.

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{channel, run};
use crate::service::Start;

fn asking(service: &str) -> HealthCheckRequest {
    let service = service.to_owned();
    HealthCheckRequest { service }
}

#[test]
fn it_serves_once_a_company_is_active_and_not_before() {
    let service = Start::new().serve_nobody();
    run(async {
        let mut client = HealthClient::new(channel(&service).await);
        for name in ["", "envoy.service.auth.v3.Authorization"] {
            let said = client.check(asking(name)).await.unwrap().into_inner();
            assert_eq!(said.status(), ServingStatus::NotServing, "{name}");
        }
        service.publish("acme", true);
        service.readiness.all_tried();
        for name in ["", "envoy.service.auth.v3.Authorization"] {
            let said = client.check(asking(name)).await.unwrap().into_inner();
            assert_eq!(said.status(), ServingStatus::Serving, "{name}");
        }
        let unknown = client.check(asking("elsewhere")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    });
}

#[test]
fn who_watches_is_told_of_each_change_and_of_the_end() {
    let service = Start::new().serve_nobody();
    run(async {
        let mut client = HealthClient::new(channel(&service).await);
        let mut watch = client.watch(asking("")).await.unwrap().into_inner();
        let mut unknown = client
            .watch(asking("elsewhere"))
            .await
            .unwrap()
            .into_inner();
        let first = watch.message().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::NotServing);
        let said = unknown.message().await.unwrap().unwrap();
        assert_eq!(said.status(), ServingStatus::ServiceUnknown);
        service.publish("acme", true);
        service.readiness.all_tried();
        let second = watch.message().await.unwrap().unwrap();
        assert_eq!(second.status(), ServingStatus::Serving);
        // It goes down: whoever watches does not keep it from that.
        let began = std::time::Instant::now();
        let stopped = std::thread::spawn(move || drop(service));
        let third = watch.message().await.unwrap().unwrap();
        assert_eq!(third.status(), ServingStatus::NotServing);
        let end = watch.message().await.unwrap_err();
        assert_eq!(end.code(), Code::Unavailable);
        stopped.join().unwrap();
        assert!(
            began.elapsed() < std::time::Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
    });
}
