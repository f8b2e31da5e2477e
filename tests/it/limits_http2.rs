use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::fixture::Tree;
use crate::limits::{one_worker, quantile, reached, undisturbed};
use crate::process::Process;
use crate::service::{Client, Service, Start, wait_until};

/// What a client of HTTP/2 begins with: the preface, and settings that set nothing.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Types and flags of frames.
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(length: usize, kind: u8, flags: u8, stream: u8) -> Vec<u8> {
    let length = u8::try_from(length).unwrap();
    vec![0, 0, length, kind, flags, 0, 0, 0, stream]
}

/// The fields of a request, as HPACK has them without its table.
fn fields(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // `:method: POST` and `:scheme: http` stand in the static table, as does the name `:path`.
    let mut fields = [&[0x83, 0x86, 0x04][..], &text(path)].concat();
    for (name, value) in more {
        fields.extend([&[0][..], &text(name), &text(value)].concat());
    }
    fields
}

fn hello(service: &Service) -> Client {
    let mut client = service.connect();
    client.send(HELLO);
    client
}

/// Whether the connection ends within a few seconds, while these are sent over and over, each a
/// tenth of a second after the one before.
fn ends(client: &mut Client, mut drip: impl FnMut() -> Vec<u8>) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        if client.try_send(drip()).is_err() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

fn hasty() -> Service {
    Start::limits(|limits| limits.header_timeout = Duration::from_millis(500)).serve()
}

#[test]
fn a_head_that_drips_ends_its_connection() {
    let service = hasty();
    // Byte by byte in one frame, and in frames that hold a byte each.
    let mut slow = hello(&service);
    slow.send(frame(200, HEADERS, END_HEADERS, 1));
    assert!(ends(&mut slow, || vec![0x83]));
    assert_eq!(reached(&service, "header_time"), 1);
    let mut slow = hello(&service);
    slow.send([frame(1, HEADERS, 0, 1), vec![0x83]].concat());
    let mut beginning = true;
    assert!(ends(&mut slow, || {
        beginning = !beginning;
        match beginning {
            true => vec![0x86],
            false => frame(1, CONTINUATION, 0, 1),
        }
    }));
    // hyper has a limit of its own for these.
    let before = reached(&service, "header_time");
    let mut slow = hello(&service);
    let mut settings = [frame(60, 4, 0, 0), vec![0; 60]].concat().into_iter();
    assert!(
        ends(&mut slow, || settings.by_ref().take(1).collect()),
        "nor settings"
    );
    assert_eq!(reached(&service, "header_time"), before + 1);
}

#[test]
fn a_head_that_drips_beside_who_watches_ends_its_connection() {
    let service = hasty();
    let mut client = hello(&service);
    let content = [("content-type", "application/grpc"), ("te", "trailers")];
    let watch = fields("/grpc.health.v1.Health/Watch", &content);
    client.send([frame(watch.len(), HEADERS, END_HEADERS, 1), watch].concat());
    client.send([frame(5, 0, END_STREAM, 1), vec![0; 5]].concat());
    wait_until("the watch", || {
        service.metric(r#"callgate_requests_total{api="grpc_health",code="200"}"#) == 1
    });
    client.send(frame(200, HEADERS, END_HEADERS, 3));
    assert!(ends(&mut client, || vec![0x83]));
    assert_eq!(reached(&service, "header_time"), 1);
}

#[test]
fn signs_of_life_are_no_heads() {
    let service = hasty();
    let mut client = hello(&service);
    let ping = [frame(8, PING, 0, 0), vec![0; 8]].concat();
    for _ in 0..20 {
        client.try_send(&ping).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let head = fields("/acme/v1/nothing", &[]);
    let head = [
        frame(head.len(), HEADERS, END_STREAM | END_HEADERS, 1),
        head,
    ]
    .concat();
    client.try_send(head).unwrap();
    wait_until("an answer", || {
        service.metric(r#"callgate_requests_total{api="none",code="404"}"#) == 1
    });
    assert_eq!(reached(&service, "header_time"), 0);
}

#[test]
fn idle_connections_of_http2_give_way_too_and_no_more_than_must() {
    let service = one_worker(Start::limits(|limits| limits.connections_max = 20));
    let idle: Vec<Client> = (0..20).map(|_| hello(&service)).collect();
    wait_until("all of them", || {
        service.metric("callgate_connections_open") == 20
    });
    wait_until("a place", || reached(&service, "connections") == 1);
    // Its client does not close it: it is gone after a while, and no other is sent away meanwhile.
    wait_until("the place", || {
        service.metric("callgate_connections_open") == 19
    });
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(reached(&service, "connections"), 1);
    drop(idle);
}

#[test]
fn requests_too_many_on_a_connection_are_refused_and_counted() {
    let service = one_worker(Start::limits(|limits| limits.streams_max = 2));
    let mut client = hello(&service);
    let json = [("content-type", "application/json")];
    let fields = fields("/acme/access/v1/evaluation", &json);
    // Their bodies do not come, so that all of them are under way.
    for stream in [1, 3, 5, 7] {
        client.send(
            [
                frame(fields.len(), HEADERS, END_HEADERS, stream),
                fields.clone(),
            ]
            .concat(),
        );
    }
    wait_until("the count", || reached(&service, "streams") == 2);
    assert_eq!(service.metric("callgate_requests_in_flight"), 2);
    // RST_STREAM with REFUSED_STREAM, of which the client knows that it may ask again.
    let refused = [&[0, 0, 4, 3, 0, 0, 0, 0, 5][..], &[0, 0, 0, 7]].concat();
    let mut told = Vec::new();
    while !told.ends_with(&refused) {
        told.push(client.byte());
    }
}

#[test]
fn a_head_too_large_is_answered_and_counted() {
    let service = Start::limits(|limits| limits.header_bytes_max = 8 << 10).serve();
    let mut client = hello(&service);
    let value = "x".repeat(100);
    let long: Vec<_> = (0..100).map(|_| ("x-long", value.as_str())).collect();
    let fields = fields("/acme/access/v1/evaluation", &long);
    let mut head = vec![0];
    head.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
    head.extend([HEADERS, END_STREAM | END_HEADERS, 0, 0, 0, 1]);
    client.send([head, fields].concat());
    wait_until("the count", || reached(&service, "header_bytes") == 1);
    // Its status, in Huffman's code or as it is.
    let mut told = Vec::new();
    while !told.ends_with(&[0x83, 0x69, 0x90, 0xff]) && !told.ends_with(b"\x03431") {
        told.push(client.byte());
    }
}

/// Sends this over and over, and throws away what comes, until it is told to stop.
fn flood(address: &str, frames: &[u8], stop: &AtomicBool) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut reads = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || while reads.read(&mut [0; 1 << 16]).is_ok_and(|read| read > 0) {});
        stream.write_all(HELLO).unwrap();
        while !stop.load(Relaxed) {
            stream.write_all(frames).unwrap();
        }
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    });
}

#[test]
fn frames_that_ask_nothing_take_no_more_than_their_turn() {
    let _undisturbed = undisturbed();
    let service = one_worker(Start::new());
    let mut client = service.connect();
    quantile(&mut client, 500, 0.5);
    let median = |client: &mut Client| quantile(client, 300, 0.5);
    let alone = (0..3).map(|_| median(&mut client)).min().unwrap();
    let ping = [frame(8, PING, 0, 0), vec![0; 8]].concat();
    let window_update = [frame(4, 8, 0, 0), vec![0, 0, 0, 1]].concat();
    for flooding in [ping, window_update] {
        let stop = AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            scope.spawn(|| flood(&service.address, &flooding.repeat(500), &stop));
            std::thread::sleep(Duration::from_millis(100));
            let beside = (0..3).map(|_| median(&mut client)).min();
            stop.store(true, Relaxed);
            beside.unwrap()
        });
        // A turn of a debug build is long. Without turns it was hundreds of times as long.
        assert!(beside < alone * 30, "alone {alone:?}, beside it {beside:?}");
    }
}

#[test]
fn clients_that_do_what_they_should_not_fill_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let tree = Tree::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command
        .arg("serve")
        .arg(tree.path())
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .env_clear()
        .stderr(Stdio::from(std::fs::File::create(&path).unwrap()));
    let mut process = Process::spawn(command);
    assert_eq!(process.line(), "ready: acme");
    // Requests that are taken back at once, as in CVE-2023-44487.
    let fields = fields("/acme/access/v1/evaluation", &[]);
    let mut client = Client::connect(&process.address);
    client.send(HELLO);
    let taken_back = (1..=99).step_by(2).flat_map(|stream| {
        let head = frame(fields.len(), HEADERS, END_STREAM | END_HEADERS, stream);
        [
            head,
            fields.clone(),
            frame(4, 3, 0, stream),
            vec![0, 0, 0, 8],
        ]
        .concat()
    });
    client.send(taken_back.collect::<Vec<_>>());
    while client.try_byte().is_some() {}
    let log = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = log.lines().filter(|line| !line.contains("INFO")).collect();
    assert!(lines.is_empty(), "{lines:#?}");
}
