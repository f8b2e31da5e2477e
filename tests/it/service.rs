//! A service of this process on ports of its own, a client that sees every byte, and a policy
//! small enough to know by heart.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use callgate::access::{Access, AccessWatch};
use callgate::companies::Companies;
use callgate::config::{AccessFiles, Address, Limits, Proxy, SocketRights};
use callgate::identity::Identities;
use callgate::policy::{Files, Policy};
use callgate::server::{Listener, Readiness, ReloadHandle, ReloadOptions, Server};
use callgate::snapshot::Snapshot;
use callgate::telemetry::Metrics;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;

use crate::fixture;

/// How long a test waits for what should come at once: on a busy machine that may take a while.
const PATIENCE: Duration = Duration::from_secs(20);

/// From one look at the credentials to the next.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// A check that the policy of [`policy`] allows.
pub(crate) const CHECK: &str = r#"{"subject":{"type":"user","id":"olga"},"action":{"name":"listen"},"resource":{"type":"call","id":"c1"}}"#;

/// Waits for what must come.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) companies: Arc<Companies>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) address: String,
    pub(crate) admin: String,
    pub(crate) reloads: mpsc::Receiver<ReloadOptions>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _watch: Option<AccessWatch>,
}

/// How a service is started.
pub(crate) struct Start {
    pub(crate) workers: usize,
    pub(crate) pool_threads: usize,
    pub(crate) limits: Limits,
    pub(crate) default_company: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) unix: Option<PathBuf>,
    pub(crate) socket: SocketRights,
    pub(crate) access: AccessFiles,
    pub(crate) proxy: Proxy,
}

/// A connection on which bytes are sent and answers read.
pub(crate) struct Client<S = TcpStream> {
    stream: BufReader<S>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

// === impl Service ===

impl Start {
    /// Two workers, the default limits, and no patience at the end.
    pub(crate) fn new() -> Self {
        Self {
            workers: 2,
            pool_threads: 1,
            limits: Limits {
                connections_max: 1_000,
                requests_max: 1_000,
                header_timeout: Duration::from_secs(10),
                body_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(60),
                drain_timeout: Duration::from_secs(5),
                ..Limits::default()
            },
            default_company: None,
            public_url: None,
            unix: None,
            socket: SocketRights::default(),
            access: AccessFiles::default(),
            proxy: Proxy::default(),
        }
    }

    pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Self {
        let mut start = Self::new();
        change(&mut start.limits);
        start
    }

    /// Starts it with the company `acme`, for which everything is ready.
    pub(crate) fn serve(self) -> Service {
        let service = self.serve_nobody();
        service.publish("acme", true);
        service.readiness.all_tried();
        service
    }

    /// Starts it without any company.
    pub(crate) fn serve_nobody(self) -> Service {
        let companies = Arc::new(Companies::default());
        let readiness = Arc::new(Readiness::default());
        let metrics = Arc::new(Metrics::new(self.workers, self.pool_threads, ["activated"]));
        let asks = self.access.proves_callers() || self.access.tls.is_some();
        let access = asks.then(|| Access::load(self.access, Arc::clone(&metrics)).unwrap());
        let watch = access.clone();
        let watch = watch.map(|access| AccessWatch::spawn(access, WATCH_INTERVAL).unwrap());
        let (stop, stopping) = oneshot::channel();
        let (reloaded, reloads) = mpsc::channel();
        let server = Server {
            companies: Arc::clone(&companies),
            default_company: self.default_company,
            access,
            public_url: self.public_url.map(|url| url.parse().unwrap()),
            identities: Identities::start(
                self.proxy.identity.clone(),
                self.proxy.companies.clone(),
                &metrics,
                WATCH_INTERVAL,
            )
            .unwrap(),
            proxy: self.proxy,
            journal: None,
            spans: None,
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            reload: ReloadHandle::new(move |options| {
                let told = reloaded.send(options);
                async move { told.map_err(|_| "nobody listens".to_owned()) }
            }),
            freshness: callgate::config::Freshness::default(),
            shadow: None,
            limits: self.limits,
        };
        let (told, bound) = mpsc::channel();
        let (unix, socket) = (self.unix, self.socket);
        let thread = std::thread::spawn(move || {
            let mut control = Builder::new_current_thread();
            let control = control.enable_all().build_local(LocalOptions::default());
            control.unwrap().block_on(async {
                let any: Address = "127.0.0.1:0".parse().unwrap();
                let mut listeners = vec![Listener::bind(&any, SocketRights::default()).unwrap()];
                listeners
                    .extend(unix.map(|path| Listener::bind(&Address::Unix(path), socket).unwrap()));
                let admin = Listener::bind(&any, SocketRights::default()).unwrap();
                told.send([listeners[0].to_string(), admin.to_string()])
                    .unwrap();
                let stop = async { drop(stopping.await) };
                server.run(listeners, admin, stop).await.unwrap();
            });
        });
        let bound = bound.recv_timeout(PATIENCE).unwrap();
        let [address, admin] = bound.map(|url| url.strip_prefix("http://").unwrap().to_owned());
        Service {
            companies,
            readiness,
            metrics,
            address,
            admin,
            reloads,
            stop: Some(stop),
            thread: Some(thread),
            _watch: watch,
        }
    }
}

impl Service {
    /// Makes a policy decide in which olga may listen, or may not.
    pub(crate) fn publish(&self, company: &str, allowed: bool) -> String {
        let snapshot = Snapshot::compile(&policy(company, allowed)).unwrap();
        let revision = snapshot.revision().to_owned();
        self.companies.publish(Arc::new(snapshot));
        revision
    }

    /// Makes the policy of these files decide.
    pub(crate) fn publish_files(&self, company: &str, files: &Files) {
        let reading = callgate::policy::read_company(files, company);
        let policy = reading.map_err(|errors| errors.to_string()).unwrap().policy;
        let snapshot = Snapshot::compile(&policy).unwrap();
        self.companies.publish(Arc::new(snapshot));
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    /// One request on a connection of its own, that has had another: the first of a connection is
    /// never answered directly.
    pub(crate) fn ask(&self, asked: impl AsRef<[u8]>) -> Answer {
        let mut client = self.connect();
        client.ask(request("GET", "/nothing/there", &[], ""));
        client.ask(asked)
    }

    /// One check of the company `acme`.
    pub(crate) fn check(&self, body: &str) -> Answer {
        self.ask(check("acme", body))
    }

    /// One request of the company `acme` with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.ask(post("acme", path, body))
    }

    /// The value of a metric, by its line without the value.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.text(Vec::new()).unwrap();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(is, _)| *is == name);
        let (_, value) = found.unwrap_or_else(|| panic!("no `{name}` in:\n{text}"));
        value.parse().unwrap()
    }

    /// One look at the admin listener.
    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut client = Client::connect(&self.admin);
        client.ask(request(method, path, &[], body))
    }

    /// Tells it to stop; does not wait.
    pub(crate) fn begin_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for its end.
    pub(crate) fn join(&mut self) {
        self.begin_to_stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.begin_to_stop();
    }
}

// === impl Client ===

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::over(stream)
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends; whether the other side still reads shows in what it answers.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.get_mut().write_all(bytes.as_ref());
    }

    /// Sends, if the connection is still there.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.answer()
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// The next byte, unless the other side has closed or says nothing.
    pub(crate) fn try_byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).ok().map(|()| byte[0])
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// Whether the other side has closed, without a reset.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    pub(crate) fn try_answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status in `{line}`")))?;
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim_start().to_owned());
        }
        let length = headers.get("content-length").map_or("0", String::as_str);
        let mut body = vec![0; length.parse().map_err(io::Error::other)?];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The code of an error's body.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A request of HTTP/1.1.
pub(crate) fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: pdp\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

/// A check of a company.
pub(crate) fn check(company: &str, body: &str) -> String {
    post(company, "/access/v1/evaluation", body)
}

/// A request of a company with a JSON body.
pub(crate) fn post(company: &str, path: &str, body: &str) -> String {
    let path = format!("/{company}{path}");
    request("POST", &path, &["Content-Type: application/json"], body)
}

/// A policy in which olga may listen to calls, or may not.
fn policy(company: &str, allowed: bool) -> Policy {
    let role = if allowed { "listener" } else { "operator" };
    let files = [
        ("packs/desk/catalogue.yaml", fixture::CATALOGUE.to_owned()),
        ("packs/desk/roles.yaml", fixture::ROLES.to_owned()),
        (
            &format!("companies/{company}/company.yaml"),
            fixture::company(company),
        ),
        (
            &format!("companies/{company}/users.csv"),
            fixture::users(role),
        ),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.into_bytes()));
    let files = Files::new(files);
    let reading = callgate::policy::read_company(&files, company);
    reading.map_err(|errors| errors.to_string()).unwrap().policy
}
