use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::runtime::Builder;

use crate::service::{Answer, CHECK, Client, Service, Start, check, post, request, wait_until};

const BATCH: &str = "/access/v1/evaluations";
const SEARCH: &str = "/access/v1/search/subject";

pub(crate) fn one_worker(start: Start) -> Service {
    Start {
        workers: 1,
        ..start
    }
    .serve()
}

/// Whether a limit was reached this often.
pub(crate) fn reached(service: &Service, limit: &str) -> u64 {
    service.metric(&format!(
        r#"callgate_limit_reached_total{{limit="{limit}"}}"#
    ))
}

fn verdict(answer: &Answer) -> (u16, &str, String) {
    (answer.status, answer.header("retry-after"), answer.code())
}

/// Requests whose bodies have not come.
fn half(service: &Service, count: usize) -> Vec<Client> {
    let before = service.metric("callgate_requests_in_flight");
    let head = check("acme", CHECK).replace(CHECK, "");
    let clients = (0..count).map(|_| {
        let mut client = service.connect();
        client.send(&head);
        client
    });
    let clients: Vec<_> = clients.collect();
    wait_until("the heads", || {
        service.metric("callgate_requests_in_flight") == before + count as u64
    });
    clients
}

/// A batch that is explained, and keeps the pool busy for a while.
fn heavy(items: usize) -> String {
    let item = CHECK.replacen('{', r#"{"context":{"callgate":{"explain":true}},"#, 1);
    let items = vec![item.as_str(); items].join(",");
    post("acme", BATCH, &format!(r#"{{"evaluations":[{items}]}}"#))
}

#[test]
fn bodies_that_do_not_come_take_no_place_of_those_that_do() {
    let service = one_worker(Start::limits(|limits| {
        limits.requests_max = 1;
        limits.bodies_max = 3;
    }));
    let mut slow = half(&service, 3);
    for _ in 0..10 {
        assert_eq!(service.check(CHECK).status, 200);
    }
    assert_eq!(reached(&service, "bodies"), 0);
    for client in &mut slow {
        assert_eq!(client.ask(CHECK).status, 200);
    }
}

#[test]
fn a_body_too_many_gives_way_or_makes_the_oldest_give_way() {
    let service = one_worker(Start::limits(|limits| limits.bodies_max = 2));
    let mut slow = half(&service, 2);
    let early = half_request(&service);
    let told = (503, "1", "too_many_bodies".to_owned());
    assert_eq!(verdict(&early), told, "none has waited for a second yet");
    assert_eq!(early.header("connection"), "close");
    std::thread::sleep(Duration::from_millis(1_100));
    let mut late = service.connect();
    late.send(check("acme", CHECK).replace(CHECK, ""));
    assert_eq!(verdict(&slow[0].answer()), told);
    assert_eq!(late.ask(CHECK).status, 200);
    assert_eq!(slow[1].ask(CHECK).status, 200);
    assert_eq!(reached(&service, "bodies"), 2);
}

/// The answer to a request of which only the head is sent.
fn half_request(service: &Service) -> Answer {
    service.ask(check("acme", CHECK).replace(CHECK, ""))
}

#[test]
fn what_unfinished_bodies_hold_is_bounded() {
    let service = one_worker(Start::limits(|limits| limits.body_memory_max = 200 << 10));
    let padding = " ".repeat(160 << 10);
    let mut large = service.connect();
    let whole = check("acme", &format!("{CHECK}{padding}"));
    let (most, rest) = whole.split_at(whole.len() - 10);
    large.send(most);
    wait_until("it", || service.metric("callgate_requests_in_flight") == 1);
    std::thread::sleep(Duration::from_millis(100));
    let mut second = service.connect();
    second.send(most);
    let told = (503, "1", "body_memory_full".to_owned());
    assert_eq!(verdict(&second.answer()), told);
    let mut small = half(&service, 1);
    assert_eq!(
        small[0].ask(CHECK).status,
        200,
        "small ones are not counted"
    );
    assert_eq!(large.ask(rest).status, 200);
    assert_eq!(service.ask(&whole).status, 200, "it is free again");
    assert_eq!(reached(&service, "body_memory"), 1);
}

#[test]
fn a_request_too_many_is_told_so_and_its_connection_goes_on() {
    let service = one_worker(Start::limits(|limits| limits.requests_max = 1));
    let mut busy = service.connect();
    busy.send(heavy(100));
    let mut client = service.connect();
    let mut answers = Vec::new();
    let refused = loop {
        let answer = client.ask(check("acme", CHECK));
        if answer.status == 503 {
            break answer;
        }
        answers.push(answer.status);
        assert!(answers.len() < 10_000, "it is never refused");
    };
    assert_eq!(
        verdict(&refused),
        (503, "1", "too_many_requests".to_owned())
    );
    assert_eq!(busy.answer().status, 200);
    assert_eq!(client.ask(check("acme", CHECK)).status, 200);
    assert!(reached(&service, "requests") > 0);
}

#[test]
fn sizes_are_as_they_are_set() {
    let service = Start::limits(|limits| {
        limits.header_bytes_max = 8 << 10;
        limits.body_bytes_max = 2_000;
        limits.page_results_max = 3;
        limits.batch_items_max = 2;
    })
    .serve();
    let body = |bytes: usize| service.check(&format!("{CHECK:bytes$}"));
    assert_eq!([body(2_000).status, body(2_001).status], [200, 413]);
    assert!(body(2_001).body.contains("2000 bytes"));
    let chunked = "POST /acme/access/v1/evaluation HTTP/1.1\r\nHost: pdp\r\n\
        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{chunked}7d1\r\n{CHECK:2001}\r\n0\r\n\r\n");
    assert_eq!(service.ask(chunk).status, 413);
    let head = |bytes: usize| {
        let field = format!("X-Long: {}", "x".repeat(bytes));
        let headers = ["Content-Type: application/json", &field];
        service.ask(request(
            "POST",
            "/acme/access/v1/evaluation",
            &headers,
            CHECK,
        ))
    };
    assert_eq!([head(7_000).status, head(9_000).status], [200, 431]);
    let batch = |items: usize| {
        let items = vec![CHECK; items].join(",");
        service.post(BATCH, &format!(r#"{{"evaluations":[{items}]}}"#))
    };
    assert_eq!([batch(2).status, batch(3).status], [200, 400]);
    for page in ["", r#","page":{"limit":100}"#] {
        let body = r#"{"subject":{"type":"user"},"action":{"name":"view"},"resource":{"type":"call","id":"c1"}}"#;
        let found = service.post(SEARCH, &body.replacen("}}", &format!("}}{page}}}"), 1));
        assert_eq!(found.status, 200, "{found:?}");
        assert_eq!(found.json()["results"].as_array().unwrap().len(), 3);
    }
    let counted = ["body_bytes", "header_bytes", "batch_items", "page_results"];
    assert_eq!(
        counted.map(|limit| reached(&service, limit)),
        [3, 1, 1, 1],
        "who wants no certain number of results wants no more than there are"
    );
}

#[test]
fn times_that_run_out_are_counted() {
    let service = Start::limits(|limits| {
        limits.header_timeout = Duration::from_millis(250);
        limits.body_timeout = Duration::from_millis(250);
        limits.idle_timeout = Duration::from_millis(250);
    })
    .serve();
    let mut idle = service.connect();
    assert_eq!(idle.ask(check("acme", CHECK)).status, 200);
    let mut silent = service.connect();
    assert_eq!(half_request(&service).status, 408);
    assert!(silent.is_closed() && idle.is_closed());
    let times = ["header_time", "body_time", "idle_time"];
    assert_eq!(times.map(|limit| reached(&service, limit)), [1; 3]);
}

#[test]
fn a_connection_of_http2_has_as_many_requests_under_way_as_are_set() {
    let service = one_worker(Start::limits(|limits| limits.streams_max = 3));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(&service.address)
            .await
            .unwrap();
        let io = TokioIo::new(stream);
        let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let mut ask = |body: &'static str| {
            let request = Request::post("/acme/access/v1/evaluation")
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from_static(body.as_bytes())));
            client.send_request(request.unwrap())
        };
        assert_eq!(ask(CHECK).await.unwrap().status().as_u16(), 200);
        let answers: Vec<_> = (0..20).map(|_| ask(CHECK)).collect();
        for answer in answers {
            assert_eq!(answer.await.unwrap().status().as_u16(), 200);
        }
    });
    assert_eq!(reached(&service, "streams"), 0, "it waits");
    // What the service tells its clients when they begin: SETTINGS_MAX_CONCURRENT_STREAMS.
    let mut client = service.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let told: Vec<u8> = (0..9 + 6 * 3).map(|_| client.byte()).collect();
    assert!(
        told.windows(6).any(|is| is == [0, 3, 0, 0, 0, 3]),
        "{told:?}"
    );
}

// === who is beside them ===

/// Tests that compare times do so one after the other, and so do those that open very many files.
pub(crate) fn undisturbed() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the slowest but one in a hundred of these checks takes.
pub(crate) fn p99(client: &mut Client, checks: usize) -> Duration {
    quantile(client, checks, 0.99)
}

/// How long this share of these checks takes at most.
pub(crate) fn quantile(client: &mut Client, checks: usize, share: f64) -> Duration {
    let mut times: Vec<_> = (0..checks)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(client.ask(check("acme", CHECK)).status, 200);
            began.elapsed()
        })
        .collect();
    times.sort();
    times[(checks as f64 * share) as usize]
}

/// Whether the clients that `disturb` starts slow a healthy one down: the best of a few tries
/// counts, since this machine has other things to do too.
fn beside<T>(service: &Service, disturb: impl FnOnce() -> T) {
    let _undisturbed = undisturbed();
    let mut client = service.connect();
    p99(&mut client, 500);
    let alone = (0..5).map(|_| p99(&mut client, 500)).min().unwrap();
    let disturbing = disturb();
    let mut beside = Duration::MAX;
    for _ in 0..40 {
        beside = beside.min(p99(&mut client, 500));
        if beside <= alone * 2 {
            break;
        }
    }
    drop(disturbing);
    assert!(
        beside <= alone * 2,
        "alone {alone:?}, beside them {beside:?}"
    );
}

fn patient() -> Service {
    Start::limits(|limits| {
        limits.connections_max = 5_000;
        limits.bodies_max = 5_000;
        // Who disturbs must not be gone before the last try.
        limits.header_timeout = Duration::from_secs(600);
        limits.body_timeout = Duration::from_secs(600);
    })
    .serve()
}

#[test]
fn a_healthy_client_is_as_quick_beside_idle_connections() {
    let service = patient();
    let address = &service.address;
    beside(&service, || -> Vec<_> {
        let connect = |_| TcpStream::connect(address).unwrap();
        let idle = (0..400).map(connect).collect();
        wait_until("the connections", || {
            service.metric("callgate_connections_open") >= 400
        });
        idle
    });
}

#[test]
fn a_healthy_client_is_as_quick_beside_half_requests() {
    let service = patient();
    beside(&service, || half(&service, 300));
}

/// Clients that send a byte a second each, until this is gone.
struct Drips {
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Drips {
    fn start(mut clients: Vec<Client>, byte: &'static str) -> Self {
        let (stop, stopped) = mpsc::channel();
        let pause = Duration::from_secs(1) / u32::try_from(clients.len()).unwrap();
        let thread = std::thread::spawn(move || {
            for client in (0..clients.len()).cycle() {
                clients[client].send(byte);
                if stopped.recv_timeout(pause) != Err(mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Drips {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_healthy_client_is_as_quick_beside_slow_heads_and_bodies() {
    let service = patient();
    beside(&service, || {
        let heads = (0..100).map(|_| {
            let mut client = service.connect();
            client.send("POST /acme/access/v1/evaluation HTTP/1.1\r\nX-Slow: ");
            client
        });
        let heads = Drips::start(heads.collect(), "x");
        let bodies = Drips::start(half(&service, 100), " ");
        (heads, bodies)
    });
}

#[test]
fn idle_connections_keep_nobody_out() {
    let service = one_worker(Start::limits(|limits| limits.connections_max = 20));
    let mut idle: Vec<Client> = (0..20).map(|_| service.connect()).collect();
    for client in &mut idle {
        assert_eq!(client.ask(check("acme", CHECK)).status, 200);
    }
    // All places are taken; the one that has been silent the longest gives way.
    wait_until("a place", || {
        service.metric("callgate_connections_open") < 20
    });
    assert_eq!(service.ask(check("acme", CHECK)).status, 200);
    assert_eq!(reached(&service, "connections"), 1);
    let last = idle.last_mut().unwrap();
    assert_eq!(last.ask(check("acme", CHECK)).status, 200);
}
