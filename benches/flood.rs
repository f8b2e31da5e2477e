//! Checks beside a flood of searches: how much longer the slowest of a hundred checks takes.
//!
//! `cargo bench --bench flood`
//!
//! `callgate serve` runs as a process over a company of size M. One client asks 1,000 checks a
//! second, each timed from the moment it was due, so that a stall is seen in all that it delays.
//! Rounds without and with four clients that search without pause follow each other; the ratio of
//! each pair is told, and their median.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

#[path = "../tests/generate/mod.rs"]
mod generate;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use generate::{Company, Shape, question};

const SEED: u64 = 1;
const PAIRS: usize = 9;
const ROUND: usize = 2_000;
const APART: Duration = Duration::from_millis(1);
const SEARCHERS: usize = 4;

struct Service(Child, String);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(tree: &std::path::Path) -> Service {
    let mut child = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("serve")
        .arg(tree)
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--log-level", "off"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let address = first
        .strip_prefix("listening on http://")
        .unwrap()
        .to_owned();
    lines
        .map(Result::unwrap)
        .find(|line| line.starts_with("ready:"))
        .expect("the service is not ready");
    Service(child, address)
}

fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /demo{path} HTTP/1.1\r\nHost: pdp\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Asks and reads the whole answer; its status.
fn ask(stream: &mut BufReader<TcpStream>, request: &[u8]) -> u16 {
    stream.get_mut().write_all(request).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let header = line.trim_end().to_ascii_lowercase();
        if let Some(told) = header.strip_prefix("content-length: ") {
            length = told.parse().unwrap();
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    status
}

fn connect(address: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

/// The slowest of a hundred of a round of checks.
fn checks(address: &str, requests: &[Vec<u8>]) -> Duration {
    let mut stream = connect(address);
    let started = Instant::now();
    let mut times: Vec<Duration> = (0..ROUND)
        .map(|n| {
            let due = started + APART * n as u32;
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                std::thread::sleep(early);
            }
            assert_eq!(ask(&mut stream, &requests[n % requests.len()]), 200);
            due.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

fn main() {
    let shape = Shape::M;
    let tree = tempfile::tempdir().unwrap();
    for (path, text) in Company::generate(&shape, SEED).texts(true) {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let service = serve(tree.path());
    let rng = &mut Rng::with_seed(SEED);
    let questions: Vec<_> = (0..ROUND).map(|_| question::usual(&shape, rng)).collect();
    let evaluations: Vec<_> = questions
        .iter()
        .map(|question| post("/access/v1/evaluation", &question.to_string()))
        .collect();
    let searches: Vec<_> = questions
        .iter()
        .map(|question| post("/access/v1/search/subject", &question.to_string()))
        .collect();
    checks(&service.1, &evaluations);
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let quiet = checks(&service.1, &evaluations);
        let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let beside = std::thread::scope(|scope| {
            for n in 0..SEARCHERS {
                let (stop, answered, searches) = (&stop, &answered, &searches);
                let address = &service.1;
                scope.spawn(move || {
                    let mut stream = connect(address);
                    for search in searches.iter().cycle().skip(n * 7) {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let status = ask(&mut stream, search);
                        assert!(matches!(status, 200 | 503), "{status}");
                        answered.fetch_add(usize::from(status == 200), Ordering::Relaxed);
                    }
                });
            }
            let beside = checks(&service.1, &evaluations);
            stop.store(true, Ordering::Relaxed);
            beside
        });
        let ratio = beside.as_secs_f64() / quiet.as_secs_f64();
        let answered = answered.load(Ordering::Relaxed);
        println!("p99 {quiet:.2?} alone, {beside:.2?} beside {answered} searches: {ratio:.2}");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "median {:.2}, from {:.2} to {:.2}",
        ratios[PAIRS / 2],
        ratios[0],
        ratios[PAIRS - 1]
    );
}
