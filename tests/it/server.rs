use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::fixture::Tree;
use crate::process::Process;
use crate::service::{Answer, CHECK, Client, Service, Start, check, request, wait_until};

const JSON: &str = "Content-Type: application/json";
const PATH: &str = "/acme/access/v1/evaluation";

fn allows(answer: &Answer) -> bool {
    assert_eq!(answer.status, 200, "{answer:?}");
    match answer.body.as_str() {
        r#"{"decision":true}"# => true,
        r#"{"decision":false}"# => false,
        body => panic!("no decision alone: {body}"),
    }
}

#[test]
fn a_decision_is_answered_alone_with_its_revision() {
    let service = Start::new().serve();
    let answer = service.check(CHECK);
    assert!(allows(&answer));
    assert_eq!(answer.header("content-type"), "application/json");
    let revision = service
        .companies
        .load("acme")
        .unwrap()
        .revision()
        .to_owned();
    assert_eq!(answer.header("callgate-revision"), revision);
    assert!(!allows(&service.check(&CHECK.replace("olga", "nobody"))));
}

#[test]
fn the_answer_changes_with_the_policy_on_a_connection_that_stays() {
    let service = Start::new().serve();
    let mut client = service.connect();
    let before = client.ask(check("acme", CHECK));
    let revision = service.publish("acme", false);
    let after = client.ask(check("acme", CHECK));
    assert!(allows(&before) && !allows(&after));
    assert_eq!(after.header("callgate-revision"), revision);
    assert_ne!(before.header("callgate-revision"), revision);
}

#[test]
fn the_same_question_gets_the_same_answer() {
    let service = Start::new().serve();
    let mut client = service.connect();
    for _ in 0..20 {
        assert!(allows(&client.ask(check("acme", CHECK))));
    }
}

#[test]
fn a_request_id_is_given_back_also_with_an_error_or_made() {
    let service = Start::new().serve();
    let mut client = service.connect();
    let id = "X-Request-ID: b0f1 ~ whatever/7";
    for (body, status) in [(CHECK, 200), ("{", 400)] {
        let answer = client.ask(request("POST", PATH, &[JSON, id], body));
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-request-id"), "b0f1 ~ whatever/7");
    }
    let made = [(); 2].map(|()| {
        client
            .ask(check("acme", CHECK))
            .header("x-request-id")
            .to_owned()
    });
    assert!(!made[0].is_empty() && made[0] != made[1], "{made:?}");
    let nowhere = client.ask(request("GET", "/nowhere", &[id], ""));
    assert_eq!(
        (nowhere.status, nowhere.header("x-request-id")),
        (404, "b0f1 ~ whatever/7")
    );
}

#[test]
fn an_explanation_is_given_when_asked_for() {
    let service = Start::new().serve();
    let mut body: Value = serde_json::from_str(CHECK).unwrap();
    body["context"] = json!({ "callgate": { "explain": true } });
    let answer = service.check(&body.to_string());
    let explained: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(explained["decision"], json!(true));
    assert_eq!(explained["context"]["reason"], json!("granted"));
    assert_eq!(
        explained["context"]["revision"],
        json!(answer.header("callgate-revision"))
    );
    assert!(!explained["context"]["steps"].as_array().unwrap().is_empty());
    body["subject"]["id"] = json!("nobody");
    let explained: Value = serde_json::from_str(&service.check(&body.to_string()).body).unwrap();
    assert_eq!(explained["decision"], json!(false));
    assert_eq!(explained["context"]["reason"], json!("unknown_subject"));
}

#[test]
fn a_section_needs_no_id() {
    let service = Start::new().serve();
    let section = r#"{"subject":{"type":"user","id":"olga"},"action":{"name":"listen"},"resource":{"type":"call"},"context":{"callgate":{"section":true}}}"#;
    assert!(allows(&service.check(section)));
}

#[test]
fn a_generation_not_reached_is_503() {
    let patience = Duration::from_secs(2);
    let service = Start::limits(|limits| limits.generation_timeout = patience).serve();
    let asking = |least: u64| {
        CHECK.replacen(
            '{',
            &format!(r#"{{"context":{{"callgate":{{"min_generation":{least}}}}},"#),
            1,
        )
    };
    let began = Instant::now();
    assert!(allows(&service.check(&asking(0))));
    assert!(began.elapsed() < patience, "there is nothing to wait for");
    assert_eq!(service.check(&asking(1)).code(), "generation_not_reached");
    service
        .companies
        .update_status("acme", |status| status.generation = Some(3));
    assert!(allows(&service.check(&asking(3))));
    let answer = service.check(&asking(4));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
}

#[test]
fn a_path_may_leave_the_only_company_out() {
    let service = Start::new().serve();
    let short = request("POST", "/access/v1/evaluation", &[JSON], CHECK);
    assert!(allows(&service.ask(&short)));
    service.publish("other", true);
    let answer = service.ask(&short);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "unknown_company")
    );
}

#[test]
fn a_path_may_leave_the_default_company_out() {
    let service = Start {
        default_company: Some("other".to_owned()),
        ..Start::new()
    };
    let service = service.serve();
    service.publish("other", false);
    assert!(!allows(&service.ask(request(
        "POST",
        "/access/v1/evaluation",
        &[JSON],
        CHECK
    ))));
}

#[test]
fn a_company_without_a_snapshot_is_503_and_one_that_nobody_knows_404() {
    let service = Start::new().serve_nobody();
    let early = service.check(CHECK);
    assert_eq!((early.status, early.header("retry-after")), (503, "1"));
    service.readiness.all_tried();
    assert_eq!(service.check(CHECK).status, 404);
    service.companies.update_status("acme", |_| {});
    let inactive = service.check(CHECK);
    assert_eq!(
        (inactive.status, inactive.code().as_str()),
        (503, "no_active_snapshot")
    );
    assert_eq!(inactive.header("retry-after"), "1");
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let service = Start::new().serve();
    let mut client = service.connect();
    let denied = CHECK.replace("olga", "nobody");
    let requests = [CHECK, &denied, "{", CHECK].map(|body| check("acme", body));
    client.send(requests.concat());
    let answers = [(); 4].map(|()| client.answer());
    assert_eq!(
        answers.clone().map(|answer| answer.status),
        [200, 200, 400, 200]
    );
    assert!(allows(&answers[0]) && !allows(&answers[1]) && allows(&answers[3]));
}

#[test]
fn a_chunked_body_is_read_however_it_is_cut() {
    let service = Start::new().serve();
    let mut client = service.connect();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: pdp\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for size in [1, 7, 1_000] {
        let chunks = CHECK.as_bytes().chunks(size);
        let chunks = chunks.map(|chunk| {
            let text = std::str::from_utf8(chunk).unwrap();
            format!("{:x}\r\n{text}\r\n", chunk.len())
        });
        let parts: Vec<String> = [head.clone()]
            .into_iter()
            .chain(chunks)
            .chain(["0\r\n\r\n".to_owned()])
            .collect();
        // All at once, nothing that comes later wakes whoever forgot to wake the connection.
        client.send(parts.concat());
        assert!(allows(&client.answer()), "{size}, at once");
        for part in parts {
            client.send(part);
        }
        assert!(allows(&client.answer()), "{size}, one after the other");
    }
}

#[test]
fn a_body_that_comes_in_pieces_is_put_together() {
    let service = Start::new().serve();
    let mut client = service.connect();
    let whole = check("acme", CHECK);
    for piece in whole.as_bytes().chunks(40) {
        client.send(piece);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(allows(&client.answer()));
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let service = Start::new().serve();
    let mut client = service.connect();
    let whole = request("POST", PATH, &[JSON, "Expect: 100-continue"], CHECK);
    let (head, body) = whole.split_at(whole.len() - CHECK.len());
    assert_eq!(client.ask(head).status, 100);
    assert!(allows(&client.ask(body)));
}

#[test]
fn curl_speaks_http2_without_tls() {
    let service = Start::new().serve();
    let url = format!("http://{}{PATH}", service.address);
    let curl = Command::new("curl")
        .args([
            "--silent",
            "--http2-prior-knowledge",
            "-H",
            JSON,
            "-d",
            CHECK,
        ])
        .args(["-w", " %{http_version}", &url])
        .output();
    let told = String::from_utf8(curl.unwrap().stdout).unwrap();
    assert_eq!(told, r#"{"decision":true} 2"#);
}

#[test]
fn http2_requests_share_a_connection_which_ends_with_goaway() {
    let mut service = Start::new().serve();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(&service.address)
            .await
            .unwrap();
        let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let mut ask = |body: String| {
            let request = Request::post(PATH)
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body)));
            client.send_request(request.unwrap())
        };
        let bodies = (0..100).map(|n| {
            if n % 2 == 0 {
                CHECK.to_owned()
            } else {
                "{".to_owned()
            }
        });
        let answers: Vec<_> = bodies.map(&mut ask).collect();
        for (n, answer) in answers.into_iter().enumerate() {
            let status = answer.await.unwrap().status().as_u16();
            assert_eq!(status, if n % 2 == 0 { 200 } else { 400 });
        }
        let too_large = ask(" ".repeat(2_000_000)).await.unwrap();
        assert_eq!(too_large.status().as_u16(), 413);
        assert_eq!(ask(CHECK.to_owned()).await.unwrap().status().as_u16(), 200);
        service.begin_to_stop();
        connection.await.unwrap().unwrap();
    });
    service.join();
}

#[test]
fn a_unix_socket_does_as_well_and_goes_with_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decide.sock");
    let mut service = Start {
        unix: Some(path.clone()),
        ..Start::new()
    }
    .serve();
    let mut client = Client::over(UnixStream::connect(&path).unwrap());
    assert!(allows(&client.ask(check("acme", CHECK))));
    drop(client);
    service.join();
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_is_looked_at_again_but_not_for_ever() {
    let tree = Tree::new();
    let path = tree.join("decide.sock");
    let unix = format!("unix:{}", path.display());
    let mut service = Process::start_with(&tree, &["--workers", "1", "--listen", &unix]);
    assert_eq!(service.line(), "ready: acme");
    let mut clients = [0; 2].map(|_| Client::over(UnixStream::connect(&path).unwrap()));
    // Of both in turns, and then one after the other of one.
    for n in 0..600 {
        let client = &mut clients[if n < 200 { n % 2 } else { 0 }];
        assert_eq!(client.ask(check("acme", CHECK)).status, 200, "{n}");
    }
    let cpu = || service.metric("process_cpu_seconds_total");
    let before = cpu();
    std::thread::sleep(Duration::from_secs(1));
    let spent = cpu() - before;
    assert!(
        spent < 0.5,
        "it does not sleep: {spent} s of CPU in a second"
    );
}

#[test]
fn connections_spread_evenly_over_the_workers() {
    let service = Start {
        workers: 4,
        ..Start::new()
    }
    .serve();
    // Requests without their bodies stay where they are.
    let head = check("acme", CHECK).replace(CHECK, "");
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = service.connect();
            client.send(&head);
            client
        })
        .collect();
    let spread = || -> Vec<u64> {
        let shards = service.metrics.shards().iter();
        shards.map(|shard| shard.in_flight()).collect()
    };
    wait_until("the connections", || spread().iter().sum::<u64>() == 20);
    assert_eq!(spread(), [5; 4]);
    for mut client in clients {
        assert!(allows(&client.ask(CHECK)));
    }
    wait_until("their ends", || spread() == [0; 4]);
}

#[test]
fn requests_of_clients_that_leave_are_not_in_flight() {
    let service = Start::new().serve();
    let mut client = service.connect();
    client.send(check("acme", CHECK).replace(CHECK, ""));
    let in_flight = || -> u64 {
        let shards = service.metrics.shards().iter();
        shards.map(|shard| shard.in_flight()).sum()
    };
    wait_until("the request", || in_flight() == 1);
    drop(client);
    wait_until("its end", || in_flight() == 0);
}

#[test]
fn what_runs_is_finished_before_the_end() {
    let mut service = Start::new().serve();
    let mut idle = service.connect();
    assert!(allows(&idle.ask(check("acme", CHECK))));
    let mut running = service.connect();
    let whole = check("acme", CHECK);
    let (head, tail) = whole.split_at(whole.len() - 5);
    running.send(head);
    std::thread::sleep(Duration::from_millis(100));
    service.begin_to_stop();

    assert!(
        idle.is_closed(),
        "a connection with nothing under way is closed"
    );
    let not_ready = service.admin("GET", "/readyz?verbose", "");
    assert_eq!(not_ready.status, 503);
    assert!(
        not_ready.body.contains("[-] stopping"),
        "{}",
        not_ready.body
    );
    wait_until("a closed door", || {
        TcpStream::connect(&service.address).is_err()
    });
    let answer = running.ask(tail);
    assert!(allows(&answer));
    assert_eq!(answer.header("connection"), "close");
    assert!(running.is_closed());
    service.join();
}

#[test]
fn the_end_does_not_wait_beyond_its_deadline() {
    let mut service =
        Start::limits(|limits| limits.drain_timeout = Duration::from_millis(300)).serve();
    let mut running = service.connect();
    running.send(check("acme", CHECK).replace(CHECK, ""));
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    service.join();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(running.try_answer().is_err());
}

#[test]
fn a_connection_too_many_is_told_so_and_others_go_on() {
    let service = Start::limits(|limits| limits.connections_max = 2).serve();
    let mut clients = [service.connect(), service.connect()];
    for client in &mut clients {
        assert!(allows(&client.ask(check("acme", CHECK))));
    }
    let mut third = service.connect();
    let refused = third.ask(check("acme", CHECK));
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.code(), "too_many_connections");
    assert_eq!(refused.header("content-type"), "application/json");
    assert!(third.is_closed());
    let [first, mut second] = clients;
    assert!(allows(&second.ask(check("acme", CHECK))));
    drop(first);
    wait_until("the answers", || {
        service
            .connect()
            .try_ask()
            .is_some_and(|answer| answer.status == 200)
    });
    let metrics = service.admin("GET", "/metrics", "").body;
    assert!(
        !metrics.contains("callgate_connections_refused_total 0"),
        "{metrics}"
    );
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let service =
        Start::limits(|limits| limits.header_timeout = Duration::from_millis(250)).serve();
    let mut silent = service.connect();
    let mut slow = service.connect();
    slow.send("POST /acme/acc");
    let mut idle = service.connect();
    assert!(allows(&idle.ask(check("acme", CHECK))));
    assert!(silent.is_closed());
    assert!(slow.try_answer().is_err());
    assert!(allows(&idle.ask(check("acme", CHECK))), "idle is not slow");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let service = Start::limits(|limits| limits.body_timeout = Duration::from_millis(200)).serve();
    let mut client = service.connect();
    let whole = check("acme", CHECK);
    let answer = client.ask(&whole.as_bytes()[..whole.len() - 3]);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (408, "body_too_slow")
    );
    assert_eq!(answer.header("connection"), "close");
    assert!(client.is_closed());
}

#[test]
fn an_idle_connection_is_closed_in_the_end() {
    let service = Start::limits(|limits| limits.idle_timeout = Duration::from_millis(250)).serve();
    let mut client = service.connect();
    assert!(allows(&client.ask(check("acme", CHECK))));
    assert!(client.is_closed());
}

#[test]
fn bytes_that_are_no_http_break_nothing() {
    let service = Start::new().serve();
    for bytes in [
        &b"\0\0\0\0"[..],
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"GET\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&service.address).unwrap();
        stream.write_all(bytes).unwrap();
        drop(stream);
    }
    assert!(allows(&service.check(CHECK)));
}

#[test]
fn requests_and_decisions_are_counted() {
    let service: Service = Start::new().serve();
    let mut client = service.connect();
    for _ in 0..3 {
        client.ask(check("acme", CHECK));
    }
    client.ask(check("acme", "{"));
    client.ask(request("GET", PATH, &[], ""));
    client.ask(request("GET", "/", &[], ""));
    let metrics = service.admin("GET", "/metrics", "").body;
    for line in [
        r#"callgate_decisions_total{api="evaluation",decision="allow",reason="granted"} 3"#,
        r#"callgate_decisions_total{api="evaluation",decision="deny",reason="no_grant"} 0"#,
        r#"callgate_requests_total{api="evaluation",code="200"} 3"#,
        r#"callgate_requests_total{api="evaluation",code="400"} 1"#,
        r#"callgate_requests_total{api="evaluation",code="405"} 1"#,
        r#"callgate_requests_total{api="none",code="404"} 1"#,
        "callgate_requests_in_flight 0",
        "callgate_connections_open 1",
        "callgate_decision_duration_seconds_count 1",
    ] {
        assert!(
            metrics.lines().any(|is| is == line),
            "no `{line}` in:\n{metrics}"
        );
    }
}

impl Client {
    fn try_ask(&mut self) -> Option<Answer> {
        self.send(check("acme", CHECK));
        self.try_answer().ok()
    }
}
