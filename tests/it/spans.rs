//! Spans of requests: what a collector gets of them, and that nobody waits for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::journal::{Process, lines_of, log_path};
use crate::service::{CHECK, check, request};

const PATH: &str = "/acme/access/v1/evaluation";
const JSON: &str = "Content-Type: application/json";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that keeps the messages it got; if it stalls, it never answers.
fn collector(stalls: bool) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let got = Arc::<Mutex<Vec<u8>>>::default();
    let into = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if stalls {
                std::mem::forget(stream);
                continue;
            }
            let into = Arc::clone(&into);
            std::thread::spawn(move || while take(&stream, &into).is_some() {});
        }
    });
    (url, got)
}

fn take(mut stream: &TcpStream, into: &Mutex<Vec<u8>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    into.lock().unwrap().extend(body);
    let answer =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).ok()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16));
    pairs.map(Result::unwrap).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|is| is == part)
}

#[test]
fn a_request_has_a_span_in_its_callers_trace() {
    let (url, got) = collector(false);
    let process = Process::start(&["--otlp-endpoint", &url]);
    let parent = format!("Traceparent: 00-{TRACE}-{PARENT}-01");
    let mut client = process.connect();
    client.ask(request("POST", PATH, &[JSON, &parent], CHECK));
    let sent = |process: &Process| process.metric("callgate_spans_sent_total");
    process.until("the span", |process| sent(process) == 1);
    let message = got.lock().unwrap().clone();
    for part in [
        &bytes(TRACE)[..],
        &bytes(PARENT),
        b"evaluation",
        b"callgate",
    ] {
        assert!(contains(&message, part), "{part:?} in {message:?}");
    }
    for secret in ["olga", "acme", "c1"] {
        assert!(!contains(&message, secret.as_bytes()), "{secret}");
    }
    // Its caller does not record this one.
    let parent = format!("Traceparent: 00-{TRACE}-{PARENT}-00");
    client.ask(request("POST", PATH, &[JSON, &parent], CHECK));
    client.ask(check("acme", CHECK));
    process.until("the next span", |process| sent(process) == 2);
}

#[test]
fn a_trace_that_begins_here_stands_in_the_decision_log() {
    let (_folder, path) = log_path();
    let (url, got) = collector(false);
    let process = Process::into_file(&path, &["--otlp-endpoint", &url]);
    process.connect().ask(check("acme", CHECK));
    process.until("the span", |process| {
        process.metric("callgate_spans_sent_total") == 1
    });
    let line = &lines_of(&path)[0];
    let trace = bytes(line["trace_id"].as_str().unwrap());
    assert!(contains(&got.lock().unwrap(), &trace));
}

#[test]
fn a_share_of_none_records_what_callers_record_alone() {
    let (url, _) = collector(false);
    let process = Process::start(&["--otlp-endpoint", &url, "--otlp-share", "0"]);
    let mut client = process.connect();
    for _ in 0..20 {
        client.ask(check("acme", CHECK));
    }
    let parent = format!("Traceparent: 00-{TRACE}-{PARENT}-01");
    client.ask(request("POST", PATH, &[JSON, &parent], CHECK));
    process.until("the span", |process| {
        process.metric("callgate_spans_sent_total") == 1
    });
}

#[test]
fn a_collector_that_stalls_costs_spans_and_no_answer() {
    let (url, _) = collector(true);
    let process = Process::start(&["--otlp-endpoint", &url]);
    let mut client = process.connect();
    let began = Instant::now();
    let mut asked = 0;
    while process.metric("callgate_spans_dropped_total") == 0 {
        assert!(began.elapsed().as_secs() < 60);
        for _ in 0..500 {
            assert_eq!(client.ask(check("acme", CHECK)).status, 200);
        }
        asked += 500;
    }
    assert!(asked > 0);
}
