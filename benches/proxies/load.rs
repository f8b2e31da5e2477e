//! Servers on one core, and the load on the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The core that serves, and the one that asks.
const SERVES: &str = "0";
const ASKS: &str = "1";

/// A running server; it is killed when this is gone.
pub(crate) struct Server {
    process: Child,
    address: String,
    admin: String,
}

/// A load, ready to run: how many requests it made in so many seconds.
pub(crate) struct Load<'s> {
    server: &'s Server,
    run: Box<dyn Fn(u64) -> u64 + 's>,
}

// === impl Server ===

impl Server {
    /// `callgate serve` over the demo's policies, with one worker and these settings.
    pub(crate) fn callgate(settings: &Path) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", SERVES, env!("CARGO_BIN_EXE_callgate"), "serve"]);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/policies"));
        command.arg("--config").arg(settings);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.args(["--workers", "1", "--log-level", "off"]);
        Self::start(command)
    }

    pub(crate) fn bare() -> Self {
        let mut command = Command::new("taskset");
        command
            .args(["-c", SERVES])
            .arg(std::env::current_exe().unwrap());
        command.arg(super::bare::COMMAND);
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut address, mut admin) = (String::new(), String::new());
        for line in lines.map(Result::unwrap) {
            if let Some(bound) = line.strip_prefix("listening on http://") {
                address = bound.to_owned();
            } else if let Some(bound) = line.strip_prefix("admin on http://") {
                admin = bound.to_owned();
            } else if line.starts_with("ready:") {
                break;
            }
        }
        assert!(!address.is_empty(), "the server did not start");
        Self {
            process,
            address,
            admin,
        }
    }

    /// The time that the process has had of a core so far, its threads' summed.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let nanos = tasks.map(|task| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
            let text = text.unwrap_or_default();
            text.split(' ').next().unwrap().parse().unwrap_or(0)
        });
        Duration::from_nanos(nanos.sum())
    }

    pub(crate) fn metric(&self, name: &str) -> String {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Load ===

impl Load<'_> {
    /// Seconds of the server's core for a request.
    pub(crate) fn run(&self, seconds: u64) -> f64 {
        let before = self.server.cpu();
        let requests = (self.run)(seconds);
        (self.server.cpu() - before).as_secs_f64() / requests as f64
    }
}

/// Keeps 16 connections busy over HTTP/1.1; every answer must be 200.
pub(crate) fn wrk<'s>(
    server: &'s Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Load<'s> {
    let mut script = format!("wrk.method = '{method}'\nwrk.body = '{body}'\n");
    for (name, value) in headers {
        script.push_str(&format!("wrk.headers['{name}'] = '{value}'\n"));
    }
    script.push_str(
        "done = function(summary)\n  local e = summary.errors\n  \
         print('TOLD', summary.requests, e.connect + e.read + e.write + e.status)\nend\n",
    );
    let scratch = tempfile::tempdir().unwrap();
    let lua = scratch.path().join("load.lua");
    std::fs::write(&lua, script).unwrap();
    let url = format!("http://{}{path}", server.address);
    let run = move |seconds: u64| {
        let _keep = &scratch;
        let told = told(
            Command::new("taskset")
                .args([
                    "-c",
                    ASKS,
                    "wrk",
                    "-t1",
                    "-c16",
                    &format!("-d{seconds}s"),
                    "-s",
                ])
                .arg(&lua)
                .arg(&url),
        );
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix("TOLD"))
            .unwrap();
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(numbers[1], 0, "{told}");
        numbers[0]
    };
    Load {
        server,
        run: Box::new(run),
    }
}

/// Keeps 4 connections of 10 streams each busy with this call of Envoy's, which must succeed.
pub(crate) fn h2load<'s>(server: &'s Server, message: &[u8]) -> Load<'s> {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("message");
    std::fs::write(&file, message).unwrap();
    let path = "/envoy.service.auth.v3.Authorization/Check";
    let url = format!("http://{}{path}", server.address);
    let run = move |seconds: u64| {
        let _keep = &scratch;
        let told = told(
            Command::new("taskset")
                .args([
                    "-c",
                    ASKS,
                    "h2load",
                    "-t1",
                    "-c4",
                    "-m10",
                    &format!("-D{seconds}"),
                ])
                .args([
                    "-H",
                    "content-type: application/grpc",
                    "-H",
                    "te: trailers",
                    "-d",
                ])
                .arg(&file)
                .arg(&url),
        );
        let word = |line: &str, n: usize| {
            let line = told.lines().find(|told| told.starts_with(line)).unwrap();
            line.split_whitespace()
                .nth(n)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        assert_eq!(word("requests:", 9), 0, "{told}");
        word("status codes:", 2)
    };
    Load {
        server,
        run: Box::new(run),
    }
}

fn told(command: &mut Command) -> String {
    let output = command.output().expect("wrk and h2load must be installed");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}
