//! What the decision log costs: the server's processor time a check with the log to a file, beside
//! the same without.
//!
//! `cargo bench --bench log`
//!
//! Two processes of `callgate serve` over the company `demo`, one worker each, one of them with
//! `--decision-log file:…`. The same number of checks goes to one after the other, over and over; a
//! round counts all time that the process had of any core, the log's writer included, until its
//! last line is written. The ratio of each pair is told, and their median.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PAIRS: usize = 15;
/// Checks of a round.
const CHECKS: usize = 50_000;
const CONNECTIONS: usize = 8;
/// What the documentation promises.
const RATIO_MAX: f64 = 1.25;

const CHECK: &str = r#"{"subject":{"type":"user","id":"olga"},"action":{"name":"listen"},"resource":{"type":"call","id":"c1","properties":{"queue":"bank-in"}}}"#;
const ALLOWED: &str = r#"{"decision":true}"#;

/// A process that serves; it is killed when this is gone.
struct Service {
    process: Child,
    clients: Vec<TcpStream>,
    admin: String,
}

// === impl Service ===

impl Service {
    fn start(flags: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["serve", concat!(env!("CARGO_MANIFEST_DIR"), "/policies")])
            .args(["--company", "demo", "--workers", "1", "--pool-threads", "1"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--log-level", "off"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut after = |beginning: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(beginning).unwrap().to_owned()
        };
        let address = after("listening on http://");
        let admin = after("admin on http://");
        assert_eq!(after("ready: "), "demo");
        let connect = |_| {
            let stream = TcpStream::connect(&address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        };
        Self {
            process,
            clients: (0..CONNECTIONS).map(connect).collect(),
            admin,
        }
    }

    /// The processor time of a check, over a round of them.
    fn round(&mut self) -> Duration {
        let (before, written) = (self.cpu(None), self.written());
        self.ask();
        while written.is_some_and(|lines| self.written() < Some(lines + CHECKS as u64)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        (self.cpu(None) - before) / CHECKS as u32
    }

    /// Checks on all connections at once, each waiting for its answer.
    fn ask(&mut self) {
        let request = format!(
            "POST /demo/access/v1/evaluation HTTP/1.1\r\nHost: pdp\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{CHECK}",
            CHECK.len()
        );
        let mut answer = [0; 1024];
        for _ in 0..CHECKS / CONNECTIONS {
            for client in &mut self.clients {
                client.write_all(request.as_bytes()).unwrap();
            }
            for client in &mut self.clients {
                let read = client.read(&mut answer).unwrap();
                assert!(answer[..read].ends_with(ALLOWED.as_bytes()));
            }
        }
    }

    /// Lines that the log has written; none: there is no log. One that is lost, on a machine too busy
    /// for the writer, ends the bench: then less was done than is counted.
    fn written(&self) -> Option<u64> {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: pdp\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let lines = |what: &str| {
            let name = format!("callgate_decision_log_{what}_total ");
            let value = text.lines().find_map(|line| line.strip_prefix(&name))?;
            Some(value.parse::<u64>().unwrap())
        };
        assert!(
            lines("dropped").is_none_or(|lost| lost == 0),
            "lines are lost: this machine is too busy to measure on"
        );
        lines("written")
    }

    /// The time that the process has had of a core so far; or the one thread of this name.
    fn cpu(&self, thread: Option<&str>) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let nanos = tasks.map(|task| {
            let task = task.unwrap().path();
            let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
            if thread.is_some_and(|thread| thread != name.trim_end()) {
                return 0;
            }
            let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            text.split(' ').next().unwrap().parse().unwrap_or(0)
        });
        Duration::from_nanos(nanos.sum())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("file:{}", folder.path().join("decisions.log").display());
    let mut quiet = Service::start(&[]);
    let mut logging = Service::start(&["--decision-log", &sink]);
    quiet.round();
    logging.round();
    let began = logging.cpu(Some("callgate-log"));
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let (without, with) = (quiet.round(), logging.round());
        let ratio = with.as_secs_f64() / without.as_secs_f64();
        println!("a check {without:.2?}, with the log {with:.2?}: {ratio:.3}");
        ratios.push(ratio);
    }
    let writer = logging.cpu(Some("callgate-log")) - began;
    println!(
        "the writer: {:.2?} a check",
        writer / (PAIRS * CHECKS) as u32
    );
    ratios.sort_by(f64::total_cmp);
    let median = ratios[PAIRS / 2];
    let (least, most) = (ratios[0], ratios[PAIRS - 1]);
    println!("median {median:.3}, from {least:.3} to {most:.3}");
    assert!(median <= RATIO_MAX, "it may be {RATIO_MAX} at most");
}
