//! The load: wrk and h2load for closed loops, and clients of our own where they cannot be had.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::server::Server;

/// What a round came to. Latencies are in seconds, from when a request was sent or due.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// Decisions a second.
    pub(crate) rate: f64,
    /// Seconds of the server's core for a decision.
    pub(crate) cpu: f64,
    /// Half of the requests, all but one in 100, all but one in 1,000 took at most this.
    pub(crate) latencies: [f64; 3],
}

/// A load, ready to run.
pub(crate) struct Load {
    run: Box<dyn Fn(Duration) -> (u64, Duration, [f64; 3])>,
    items: u64,
}

/// A client with one connection.
pub(crate) struct Client {
    reader: BufReader<Box<dyn Stream>>,
    line: String,
}

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A socket whose reader does not sleep, so that what is measured has no waking of the asking core
/// in it, which takes longer than an answer.
struct Awake<S>(S);

// === impl Load ===

impl Load {
    /// The same, where each request asks for so many decisions.
    pub(crate) fn items(self, items: usize) -> Self {
        let items = items as u64;
        Self { items, ..self }
    }

    pub(crate) fn run(&self, server: &Server, length: Duration) -> Measured {
        let before = server.cpu();
        let (requests, took, latencies) = (self.run)(length);
        let cpu = server.cpu() - before;
        let decisions = (requests * self.items) as f64;
        Measured {
            rate: decisions / took.as_secs_f64(),
            cpu: cpu.as_secs_f64() / decisions,
            latencies,
        }
    }
}

/// What wrk tells when it is done: requests, microseconds, errors, and latencies in microseconds.
const TELL: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.status + e.timeout
  print("TOLD", summary.requests, summary.duration, errors, latency:percentile(50),
    latency:percentile(99), latency:percentile(99.9))
end
"#;

/// Keeps so many connections busy over HTTP/1.1.
pub(crate) fn wrk(server: &Server, path: &str, bodies: &[String], connections: usize) -> Load {
    let scratch = tempfile::tempdir().unwrap();
    let lua = scratch.path().join("load.lua");
    let file = scratch.path().join("bodies");
    std::fs::write(&file, bodies.join("\n")).unwrap();
    let read = format!(
        "local all, n = {{}}, 0\n\
         wrk.method = 'POST'\n\
         wrk.headers['Content-Type'] = 'application/json'\n\
         function init(args)\n  for line in io.lines('{}') do\n    \
         all[#all + 1] = wrk.format(nil, '{path}', nil, line)\n  end\nend\n\
         function request()\n  n = n % #all + 1\n  return all[n]\nend\n",
        file.display()
    );
    std::fs::write(&lua, read + TELL).unwrap();
    let url = format!("http://{}{path}", server.address);
    let run = move |length: Duration| {
        let _keep = &scratch;
        let told = told(
            Command::new("wrk")
                .args(["-t1", "--latency", "-s"])
                .arg(&lua)
                .arg(format!("-c{connections}"))
                .arg(format!("-d{}s", length.as_secs().max(1)))
                .arg(&url),
        );
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix("TOLD"))
            .unwrap();
        let told: Vec<f64> = line
            .split_whitespace()
            .map(|text| text.parse().unwrap())
            .collect();
        let [requests, micros, errors, latencies @ ..] = &*told else {
            panic!("wrk told {line}");
        };
        assert_eq!(*errors, 0.0, "{line}");
        let latencies = [0, 1, 2].map(|n| latencies[n] / 1e6);
        (
            *requests as u64,
            Duration::from_secs_f64(micros / 1e6),
            latencies,
        )
    };
    Load {
        run: Box::new(run),
        items: 1,
    }
}

/// Keeps so many connections busy over HTTP/2, ten streams each.
pub(crate) fn h2load(server: &Server, path: &str, body: &str, connections: usize) -> Load {
    let headers = ["content-type: application/json"];
    over_http2(
        &server.address,
        path,
        &headers,
        body.as_bytes(),
        connections,
    )
}

/// The same with one call of gRPC.
pub(crate) fn calls(address: &str, path: &str, framed: &[u8], connections: usize) -> Load {
    let headers = ["content-type: application/grpc", "te: trailers"];
    over_http2(address, path, &headers, framed, connections)
}

fn over_http2(
    address: &str,
    path: &str,
    headers: &[&'static str],
    body: &[u8],
    connections: usize,
) -> Load {
    let headers: Vec<&str> = headers.iter().flat_map(|header| ["-H", *header]).collect();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("body");
    std::fs::write(&file, body).unwrap();
    let url = format!("http://{address}{path}");
    let run = move |length: Duration| {
        let _keep = &scratch;
        let started = Instant::now();
        let told = told(
            Command::new("h2load")
                .args(["-t1", "-m10"])
                .args(&headers)
                .arg("-d")
                .arg(&file)
                .arg(format!("-c{connections}"))
                .arg(format!("-D{}", length.as_secs().max(1)))
                .arg(&url),
        );
        let took = started.elapsed();
        let word = |line: &str, n: usize| {
            let line = told.lines().find(|told| told.starts_with(line)).unwrap();
            line.split_whitespace().nth(n).unwrap().to_owned()
        };
        let requests: u64 = word("status codes:", 2).parse().unwrap();
        let failed: u64 = word("requests:", 9).parse().unwrap();
        assert_eq!(failed, 0, "{told}");
        // h2load tells no percentiles of a timed run: the mean is told for all.
        let mean = seconds(&word("time for request:", 5));
        (requests, took.min(length), [mean; 3])
    };
    Load {
        run: Box::new(run),
        items: 1,
    }
}

/// One connection, one request after the other, from a client that waits awake: asleep, the waking
/// of its core takes as long as an answer, and which socket was asked is hardly seen.
pub(crate) fn one_client(server: &Server, path: &str, bodies: &[String], unix: bool) -> Load {
    let requests: Vec<Vec<u8>> = bodies.iter().map(|body| request(path, body)).collect();
    let client = std::cell::RefCell::new(Client::awake(server, unix));
    let run = move |length: Duration| {
        let mut client = client.borrow_mut();
        let began = Instant::now();
        let mut took = Vec::new();
        for request in requests.iter().cycle() {
            let sent = Instant::now();
            if sent - began > length {
                break;
            }
            client.send(request);
            took.push(sent.elapsed());
        }
        (took.len() as u64, began.elapsed(), latencies(&mut took))
    };
    Load {
        run: Box::new(run),
        items: 1,
    }
}

/// A load of [`RATE`] requests a second, in turns of [`TURN`]: what it is compared with has the turns
/// between, so that what disturbs the machine disturbs both.
pub(crate) struct Steady<'s> {
    server: &'s Server,
    requests: std::iter::Cycle<std::vec::IntoIter<Vec<u8>>>,
    client: Client,
    cpu: Duration,
    spent: Duration,
    took: Vec<Duration>,
}

const RATE: u32 = 1_000;
/// Requests of a turn, which takes a tenth of a second.
const TURN: u32 = RATE / TURNS_A_SECOND;
pub(crate) const TURNS_A_SECOND: u32 = 10;

impl<'s> Steady<'s> {
    pub(crate) fn new(server: &'s Server, path: &str, bodies: &[String]) -> Self {
        let requests: Vec<_> = bodies.iter().map(|body| request(path, body)).collect();
        Self {
            server,
            requests: requests.into_iter().cycle(),
            client: Client::awake(server, false),
            cpu: Duration::ZERO,
            spent: Duration::ZERO,
            took: Vec::new(),
        }
    }

    /// Each request is timed from the moment at which it was due, so that no stall is hidden.
    pub(crate) fn turn(&mut self) {
        let apart = Duration::from_secs(1) / RATE;
        let before = self.server.cpu();
        let began = Instant::now();
        for (request, n) in self.requests.by_ref().zip(0..TURN) {
            let due = began + apart * n;
            wait_awake(due);
            self.client.send(&request);
            self.took.push(due.elapsed());
        }
        wait_awake(began + apart * TURN);
        self.spent += began.elapsed();
        // A thread that has ended since took its share along.
        self.cpu += self.server.cpu().saturating_sub(before);
    }

    pub(crate) fn measured(mut self) -> Measured {
        let requests = self.took.len() as f64;
        Measured {
            rate: requests / self.spent.as_secs_f64(),
            cpu: self.cpu.as_secs_f64() / requests,
            latencies: latencies(&mut self.took),
        }
    }
}

/// Waits for a moment. Sleeping is late by more than what is measured: the last stretch is waited
/// out awake.
fn wait_awake(due: Instant) {
    if let Some(early) = due.checked_duration_since(Instant::now() + Duration::from_micros(200)) {
        std::thread::sleep(early);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}

/// Has the service look at its files, and waits until it has.
pub(crate) fn reload(server: &Server) {
    admin(server, "POST /v1/reload");
}

/// Asks the listener for operators.
pub(crate) fn admin(server: &Server, what: &str) -> String {
    let mut stream = TcpStream::connect(server.admin.as_ref().unwrap()).unwrap();
    let request =
        format!("{what} HTTP/1.1\r\nHost: pdp\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

fn latencies(took: &mut [Duration]) -> [f64; 3] {
    took.sort_unstable();
    [500, 990, 999].map(|of| took[(took.len() - 1) * of / 1_000].as_secs_f64())
}

fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: pdp\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
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

/// `1.23ms` in seconds.
fn seconds(text: &str) -> f64 {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap());
    let unit = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        _ => 1.0,
    };
    number.parse::<f64>().unwrap() * unit
}

// === impl Awake ===

impl<S: Read> Read for Awake<S> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                read => return read,
            }
        }
    }
}

impl<S: Write> Write for Awake<S> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn over_tcp(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

// === impl Client ===

impl Client {
    pub(crate) fn connect(server: &Server) -> Self {
        Self::new(over_tcp(server))
    }

    /// One that does not sleep until its answer comes.
    fn awake(server: &Server, unix: bool) -> Self {
        if unix {
            let stream = UnixStream::connect(&server.unix).unwrap();
            stream.set_nonblocking(true).unwrap();
            Self::new(Awake(stream))
        } else {
            let stream = over_tcp(server);
            stream.set_nonblocking(true).unwrap();
            Self::new(Awake(stream))
        }
    }

    fn new(stream: impl Stream + 'static) -> Self {
        Self {
            reader: BufReader::new(Box::new(stream)),
            line: String::new(),
        }
    }

    /// The body of the answer, which must be a decision.
    pub(crate) fn ask(&mut self, path: &str, body: &str) -> String {
        self.send(&request(path, body))
    }

    fn send(&mut self, request: &[u8]) -> String {
        self.reader.get_mut().write_all(request).unwrap();
        let mut length = 0;
        let mut first = true;
        loop {
            self.line.clear();
            self.reader.read_line(&mut self.line).unwrap();
            let line = self.line.trim_end();
            if first {
                assert_eq!(line, "HTTP/1.1 200 OK");
            } else if let Some((name, text)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = text.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
            first = false;
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }
}
