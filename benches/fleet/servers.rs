//! The servers, and what they say that they sent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) const CATALOGUE: &str = "\
catalogue: desk
resources:
  call:
    actions: { view: {}, listen: { requires: [view] }, export: {} }
";
pub(crate) const ROLES: &str = "\
roles:
  - role: operator
    grants: { call: { view: any } }
  - role: listener
    grants: { call: { view: any, listen: any } }
  - role: lead
    grants: { call: { view: any, listen: any, export: any } }
";

/// A server that snapshots are published to.
pub(crate) trait Server {
    fn source(&self) -> String;
    fn destination(&self) -> String;
    /// What it sent to sidecars until now.
    fn sent(&mut self) -> Sent;
}

/// Answers and other messages, and their bytes as the server counts them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Of what kind, where the server tells.
    pub(crate) kinds: BTreeMap<String, (u64, u64)>,
    /// What else the server says of itself.
    pub(crate) more: Value,
}

impl Sent {
    pub(crate) fn since(&self, before: &Self) -> Self {
        let kinds = self.kinds.iter().map(|(kind, (count, bytes))| {
            let (count_before, bytes_before) = before.kinds.get(kind).copied().unwrap_or_default();
            (kind.clone(), (count - count_before, bytes - bytes_before))
        });
        Self {
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
            kinds: kinds.collect(),
            more: self.more.clone(),
        }
    }
}

/// A process that ends with the bench.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tool(name: &str) -> PathBuf {
    let tools = std::env::var("CALLGATE_TOOLS");
    let tools = tools.unwrap_or_else(|_| format!("{}/target/tools", env!("CARGO_MANIFEST_DIR")));
    let tool = Path::new(&tools).join("debian/usr/sbin").join(name);
    assert!(
        tool.exists(),
        "no {}: tests/run installs it",
        tool.display()
    );
    tool
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn start(mut command: Command, port: u16) -> Process {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = Process(child.unwrap());
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{command:?} does not start"
        );
        sleep(Duration::from_millis(20));
    }
    process
}

// === nginx ===

/// A static web server, whose log tells each answer.
pub(crate) struct Nginx {
    _process: Process,
    port: u16,
    folder: PathBuf,
    sent: Sent,
    read: usize,
}

impl Nginx {
    pub(crate) fn start(folder: &Path) -> Self {
        let (port, folder) = (free_port(), folder.to_owned());
        let root = folder.join("published");
        fs::create_dir_all(&root).unwrap();
        // Its worker is somebody else.
        let open = |path: &Path| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(path, mode).unwrap();
        };
        open(&folder);
        let here = folder.display();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = paths.map(|name| format!("{name}_temp_path {here}/{name};"));
        let conf = folder.join("nginx.conf");
        let text = format!(
            "daemon off; pid {here}/nginx.pid; error_log {here}/nginx.error.log; worker_processes 1;\n\
             worker_rlimit_nofile 16384; events {{ worker_connections 8192; }}\n\
             http {{\n{}\nlog_format sent '$bytes_sent $status $uri'; access_log {here}/sent.log sent;\n\
             keepalive_requests 1000000; keepalive_timeout 600s; types {{ application/json json; }}\n\
             server {{ listen 127.0.0.1:{port} backlog=4096; root {here}/published; }}\n}}\n",
            paths.join("\n")
        );
        fs::write(&conf, text).unwrap();
        let mut command = Command::new(tool("nginx"));
        command.arg("-p").arg(&folder).arg("-c").arg(&conf);
        command.arg("-e").arg(folder.join("nginx.error.log"));
        Self {
            _process: start(command, port),
            port,
            folder,
            sent: Sent::default(),
            read: 0,
        }
    }
}

impl Server for Nginx {
    fn source(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn destination(&self) -> String {
        self.folder.join("published").display().to_string()
    }

    fn sent(&mut self) -> Sent {
        let text = fs::read_to_string(self.folder.join("sent.log")).unwrap();
        let news = text.get(self.read..).unwrap();
        let whole = news.rfind('\n').map_or(0, |end| end + 1);
        for line in news.get(..whole).unwrap().lines() {
            let mut words = line.split(' ');
            let bytes: u64 = words.next().unwrap().parse().unwrap();
            let status = words.next().unwrap();
            let path = words.next().unwrap_or_default();
            let what = match path {
                "/index.json" => "notices",
                path if path.starts_with("/_index/") => "indexes",
                path if path.ends_with("/head.json") => "heads",
                path if path.contains("/deltas/") => "deltas",
                _ => "bodies",
            };
            let kind = if status == "304" {
                format!("{what} unchanged")
            } else {
                what.to_owned()
            };
            let of = self.sent.kinds.entry(kind).or_default();
            *of = (of.0 + 1, of.1 + bytes);
            self.sent.messages += 1;
            self.sent.bytes += bytes;
        }
        self.read += whole;
        self.sent.clone()
    }
}

// === NATS ===

/// NATS with JetStream, which counts what it sends.
pub(crate) struct Nats {
    _process: Process,
    port: u16,
    monitor: u16,
}

impl Nats {
    pub(crate) fn start(folder: &Path) -> Self {
        let (port, monitor) = (free_port(), free_port());
        let mut command = Command::new(tool("nats-server"));
        command.args([
            "-a",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-m",
            &monitor.to_string(),
        ]);
        command.arg("-js").arg("-sd").arg(folder.join("jetstream"));
        Self {
            _process: start(command, port),
            port,
            monitor,
        }
    }

    fn ask(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.monitor)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Server for Nats {
    fn source(&self) -> String {
        self.destination()
    }

    fn destination(&self) -> String {
        format!("nats://127.0.0.1:{}/fleet", self.port)
    }

    fn sent(&mut self) -> Sent {
        let all = self.ask("/varz");
        // The publisher came first, and is no sidecar.
        let publisher = &self.ask("/connz?sort=cid&limit=1")["connections"][0];
        let count = |of: &Value, name: &str| of[name].as_u64().unwrap_or(0);
        let sent = |name: &str| count(&all, name) - count(publisher, name);
        Sent {
            messages: sent("out_msgs"),
            bytes: sent("out_bytes"),
            kinds: BTreeMap::new(),
            more: serde_json::json!({
                "connections": all["connections"], "subscriptions": all["subscriptions"],
                "memory_bytes": all["mem"], "cpu_percent": all["cpu"], "version": all["version"],
            }),
        }
    }
}

/// As many open files as the system gives: a sidecar takes several.
pub(crate) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// Adds a line to what is kept of the bench.
pub(crate) fn keep(line: &Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder).unwrap();
    let file = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("fleet.jsonl"));
    writeln!(file.unwrap(), "{line}").unwrap();
}
