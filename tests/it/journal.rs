//! The decision log over a running service: what stands in it, and what becomes of it when
//! something goes wrong.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{Tree, users};
use crate::service::{Answer, CHECK, Client, check, post, request};

const JSON: &str = "Content-Type: application/json";
const PATH: &str = "/acme/access/v1/evaluation";

/// `callgate serve` with a decision log.
pub(crate) struct Process {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    address: String,
    admin: String,
    _tree: Tree,
}

impl Process {
    /// With one worker and one thread in the pool, and these flags.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let tree = Tree::new();
        tree.write("companies/acme/users.csv", &users("listener"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .arg("serve")
            .arg(tree.path())
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args([
                "--workers",
                "1",
                "--pool-threads",
                "1",
                "--log-level",
                "off",
            ])
            .args(flags)
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = |beginning: &str| {
            let line = said.next().unwrap().unwrap();
            line.strip_prefix(beginning).unwrap().to_owned()
        };
        let (address, admin) = (line("listening on http://"), line("admin on http://"));
        line("ready: acme");
        Self {
            child,
            said,
            address,
            admin,
            _tree: tree,
        }
    }

    /// That logs into this file, at once.
    pub(crate) fn into_file(path: &Path, flags: &[&str]) -> Self {
        let sink = format!("file:{}", path.display());
        let mut all = vec!["--decision-log", &sink];
        if !flags.iter().any(|flag| flag.contains("flush")) {
            all.push("--decision-log-flush=10ms");
        }
        Self::start(&[&all, flags].concat())
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = Client::connect(&self.admin).ask(request("GET", "/metrics", &[], ""));
        let line = text.body.lines().find(|line| line.starts_with(name));
        let (_, value) = line.unwrap().rsplit_once(' ').unwrap();
        value.parse().unwrap()
    }

    pub(crate) fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition(self) {
            assert!(Instant::now() < deadline, "{what} did not come about");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn written(&self, lines: u64) {
        let what = format!("{lines} lines");
        self.until(&what, |process| {
            process.metric("callgate_decision_log_written_total") == lines
        });
        assert_eq!(self.metric("callgate_decision_log_queue_length"), 0);
    }

    pub(crate) fn terminate(&mut self) {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(killed.unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn log_path() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.log");
    (folder, path)
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

pub(crate) fn lines_of(path: &Path) -> Vec<Value> {
    lines(&fs::read_to_string(path).unwrap())
}

pub(crate) fn id(line: &Value) -> &str {
    line["id"].as_str().unwrap()
}

/// A check with an id of its own.
pub(crate) fn numbered(number: usize, body: &str) -> String {
    let id = format!("X-Request-ID: n{number}");
    request("POST", PATH, &[JSON, &id], body)
}

/// A batch of so many items that allow, of a request of this id.
fn batch(id: &str, items: usize) -> String {
    let body = json!({
        "subject": { "type": "user", "id": "olga" },
        "action": { "name": "listen" },
        "evaluations": (0..items)
            .map(|at| json!({ "resource": { "type": "call", "id": format!("{id}-{at}") } }))
            .collect::<Value>(),
    });
    let id = format!("X-Request-ID: {id}");
    let path = "/acme/access/v1/evaluations";
    request("POST", path, &[JSON, &id], &body.to_string())
}

fn denied() -> String {
    CHECK.replace("olga", "piotr")
}

/// A collector that answers with one status, or not at all, and keeps what it took.
struct Collector {
    url: String,
    status: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    /// With this status; 0: it never answers.
    fn start(status: u16) -> Self {
        Self::over(TcpListener::bind("127.0.0.1:0").unwrap(), status)
    }

    fn over(listener: TcpListener, status: u16) -> Self {
        let url = format!("http://{}/logs", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(status));
        let taken = Arc::<Mutex<Vec<Value>>>::default();
        let (now, into) = (Arc::clone(&status), Arc::clone(&taken));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (now, into) = (Arc::clone(&now), Arc::clone(&into));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    while take_batch(&mut stream, &now, &into).is_some() {}
                });
            }
        });
        Self { url, status, taken }
    }

    fn ids(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|line| id(line).to_owned()).collect()
    }
}

/// Reads a request of the log's, and answers it; none: the connection is over.
pub(crate) fn take_batch(
    mut stream: impl Read + Write,
    status: &AtomicU16,
    into: &Mutex<Vec<Value>>,
) -> Option<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_lowercase());
    }
    assert_eq!(head[0], "post /logs http/1.1");
    assert!(
        head.contains(&"content-encoding: gzip".to_owned()),
        "{head:?}"
    );
    assert!(head.contains(&"content-type: application/x-ndjson".to_owned()));
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    let mut text = String::new();
    let mut gzip = flate2::read::GzDecoder::new(body.as_slice());
    gzip.read_to_string(&mut text).unwrap();
    while status.load(Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = status.load(Relaxed);
    if status == 200 {
        into.lock().unwrap().extend(lines(&text));
    }
    let answer = format!("HTTP/1.1 {status} so\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).ok()
}

#[test]
fn lines_agree_with_answers() {
    let (_folder, path) = log_path();
    let process = Process::into_file(&path, &[]);
    let mut client = process.connect();
    let mut revision = String::new();
    for (body, allowed, reason) in [
        (CHECK.to_owned(), true, "granted"),
        (denied(), false, "no_grant"),
        (CHECK.replace("olga", "nobody"), false, "unknown_subject"),
        (CHECK.replace("listen", "sing"), false, "unknown_action"),
        (CHECK.replace("listen", "export"), false, "no_grant"),
    ] {
        let answer = client.ask(check("acme", &body));
        assert_eq!(answer.body, json!({ "decision": allowed }).to_string());
        let before = lines_before(&process, &path);
        let line = before.last().unwrap();
        assert_eq!(line["decision"], if allowed { "allow" } else { "deny" });
        assert_eq!(line["reason"], reason, "{line}");
        assert_eq!(line["id"], answer.header("x-request-id"));
        assert_eq!(line["revision"], answer.header("callgate-revision"));
        let asked: Value = serde_json::from_str(&body).unwrap();
        for part in ["subject", "action", "resource"] {
            assert_eq!(line[part], asked[part], "{line}");
        }
        assert_eq!(
            (&line["company"], &line["api"]),
            (&json!("acme"), &json!("evaluation"))
        );
        assert!(line["duration_ns"].as_u64().is_some(), "{line}");
        let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
        assert!(time.duration_until(jiff::Timestamp::now()).as_secs() < 60);
        assert_eq!(line.get("trace_id"), None);
        revision = answer.header("callgate-revision").to_owned();
    }
    let explained = client.ask(post("acme", "/v1/explain", &denied()));
    let told: Value = serde_json::from_str(&explained.body).unwrap();
    let before = lines_before(&process, &path);
    let line = before.last().unwrap();
    assert_eq!(line["api"], "explain");
    assert_eq!(line["reason"], told["context"]["reason"]);
    assert_eq!(line["revision"], revision);
    assert_eq!(before.len(), 6, "a line a decision");
}

/// The lines there are, once all that was decided is written.
fn lines_before(process: &Process, path: &Path) -> Vec<Value> {
    process.until("everything written", |process| {
        process.metric("callgate_decision_log_queue_length") == 0
    });
    lines_of(path)
}

#[test]
fn each_item_of_a_batch_has_its_line_on_a_worker_and_on_the_pool() {
    let (_folder, path) = log_path();
    let process = Process::into_file(&path, &[]);
    let mut client = process.connect();
    for (id, items) in [("small", 3), ("large", 200)] {
        assert_eq!(client.ask(batch(id, items)).status, 200);
    }
    process.written(203);
    let lines = lines_of(&path);
    for (name, items) in [("small", 3), ("large", 200)] {
        let of = lines.iter().filter(|line| id(line) == name);
        for (at, line) in of.clone().enumerate() {
            assert_eq!(line["item"], json!(at));
            assert_eq!(line["resource"]["id"], json!(format!("{name}-{at}")));
            assert_eq!(line["api"], "evaluations");
        }
        assert_eq!(of.count(), items);
    }
}

#[test]
fn searches_and_filters_have_a_line_without_a_decision() {
    let (_folder, path) = log_path();
    let process = Process::into_file(&path, &[]);
    let mut client = process.connect();
    let search = r#"{"subject":{"type":"user"},"action":{"name":"listen"},"resource":{"type":"call","id":"c1"}}"#;
    let found = client.ask(post("acme", "/access/v1/search/subject", search));
    assert!(found.body.contains("olga"), "{found:?}");
    let filter = r#"{"subject":{"type":"user","id":"olga"},"action":{"name":"listen"},"resource":{"type":"call"}}"#;
    let filter = client.ask(post("acme", "/v1/filter", filter));
    assert!(filter.body.contains(r#""filter":"always""#), "{filter:?}");
    process.written(2);
    let lines = lines_of(&path);
    assert_eq!(lines[0]["api"], "search_subject");
    assert_eq!(lines[0]["results"], 1);
    assert_eq!(lines[0]["subject"], json!({ "type": "user" }));
    assert_eq!(
        (&lines[1]["api"], &lines[1]["filter"]),
        (&json!("filter"), &json!("always"))
    );
    assert!(lines.iter().all(|line| line.get("decision").is_none()));
}

#[test]
fn malformed_requests_are_no_decisions() {
    let (_folder, path) = log_path();
    let process = Process::into_file(&path, &[]);
    let mut client = process.connect();
    assert_eq!(client.ask(check("acme", "{")).status, 400);
    assert_eq!(client.ask(check("nobody", CHECK)).status, 404);
    assert_eq!(client.ask(check("acme", CHECK)).status, 200);
    process.written(1);
}

const RICH: &str = r#"{
    "subject":{"type":"user","id":"olga","properties":{"phone":"1","team":"a"}},
    "action":{"name":"listen","properties":{"how":"loud"}},
    "resource":{"type":"call","id":"c1","properties":{"queue":"bank-in","parties":[{"phone":"+48 1","n":1},{"phone":"+48 2"}],"size":1.5,"whole":7}},
    "context":{"ip":"10.0.0.1","callgate":{"explain":false}}
}"#;

#[test]
fn properties_stand_there_only_where_told() {
    let (_folder, path) = log_path();
    let process = Process::into_file(&path, &[]);
    process.connect().ask(check("acme", RICH));
    process.written(1);
    let text = fs::read_to_string(&path).unwrap();
    for secret in ["phone", "loud", "bank-in", "10.0.0.1"] {
        assert!(!text.contains(secret), "{text}");
    }
    let (_folder, path) = log_path();
    let flags = [
        "--decision-log-include",
        "subject.properties.team",
        "--decision-log-include",
        "resource.properties",
        "--decision-log-include",
        "context.ip",
    ];
    let process = Process::into_file(&path, &flags);
    process.connect().ask(check("acme", RICH));
    process.connect().ask(check("acme", CHECK));
    process.written(2);
    let lines = lines_of(&path);
    let asked: Value = serde_json::from_str(RICH).unwrap();
    assert_eq!(lines[0]["subject"]["properties"], json!({ "team": "a" }));
    assert_eq!(lines[0]["resource"], asked["resource"]);
    assert_eq!(lines[0]["context"], json!({ "ip": "10.0.0.1" }));
    assert_eq!(lines[0]["action"].get("properties"), None);
    assert_eq!(lines[1]["resource"].get("properties"), None);
}

#[test]
fn what_is_masked_is_nowhere_in_the_file() {
    let (_folder, path) = log_path();
    let flags = [
        "--decision-log-include=resource.properties",
        "--decision-log-include=context",
        "--decision-log-mask=subject.id",
        "--decision-log-mask=resource.properties.parties.phone",
        "--decision-log-mask=context",
    ];
    let process = Process::into_file(&path, &flags);
    process.connect().ask(check("acme", RICH));
    process.written(1);
    let text = fs::read_to_string(&path).unwrap();
    for secret in ["olga", "+48", "10.0.0.1"] {
        assert!(!text.contains(secret), "{text}");
    }
    let line = &lines(&text)[0];
    assert_eq!(line["subject"]["id"], "***");
    assert_eq!(line["resource"]["id"], "c1");
    assert_eq!(line["resource"]["properties"]["queue"], "bank-in");
    let parties = json!([{ "phone": "***", "n": 1 }, { "phone": "***" }]);
    assert_eq!(line["resource"]["properties"]["parties"], parties);
    assert_eq!(line["context"], "***");
}

#[test]
fn what_is_too_long_is_cut_and_said_to_be() {
    let (_folder, path) = log_path();
    let process = Process::into_file(&path, &["--decision-log-include=resource.properties"]);
    let mut body: Value = serde_json::from_str(CHECK).unwrap();
    body["subject"]["id"] = json!("ż".repeat(100_000));
    body["resource"]["properties"] = json!({ "note": "x".repeat(100_000) });
    let answer = process.connect().ask(check("acme", &body.to_string()));
    assert_eq!(answer.status, 200);
    let long = CHECK.replace("c1", &"c".repeat(2_000));
    process.connect().ask(check("acme", &long));
    process.connect().ask(check("acme", CHECK));
    process.written(3);
    let lines = lines_of(&path);
    assert_eq!(
        (&lines[1]["cut"], &lines[2]["cut"]),
        (&json!(true), &Value::Null)
    );
    let line = &lines[0];
    assert_eq!(line["subject"]["id"], json!("ż".repeat(512)));
    assert_eq!(line["resource"].get("properties"), None);
    assert_eq!(
        (&line["cut"], &line["decision"]),
        (&json!(true), &json!("deny"))
    );
}

#[test]
fn of_allows_a_share_is_logged_and_of_denies_all() {
    let (_folder, path) = log_path();
    let process = Process::into_file(&path, &["--decision-log-allows", "0.5"]);
    let mut client = process.connect();
    for _ in 0..10 {
        client.ask(batch("allowed", 50));
    }
    for _ in 0..50 {
        client.ask(check("acme", &denied()));
    }
    let lines = lines_before(&process, &path);
    let denies = lines
        .iter()
        .filter(|line| line["decision"] == "deny")
        .count();
    assert_eq!(denies, 50);
    let allows = lines.len() - denies;
    // Nine standard deviations to either side.
    assert!((150..350).contains(&allows), "{allows} of 500");
    let passed_over = process.metric("callgate_decision_log_passed_over_total");
    assert_eq!(passed_over, 500 - allows as u64);
}

/// Flags for a collector, with as little room as there can be.
fn tight<'f>(collector: &'f Collector, when_full: &'f str) -> [&'f str; 10] {
    [
        "--decision-log",
        &collector.url,
        "--decision-log-when-full",
        when_full,
        "--decision-log-queue",
        "64KiB",
        "--decision-log-buffer",
        "64KiB",
        "--decision-log-flush",
        "10ms",
    ]
}

/// Asks until the condition holds, and returns the answers' statuses.
fn ask_until(process: &Process, condition: impl Fn(&[Answer]) -> bool) -> Vec<Answer> {
    let mut client = process.connect();
    let mut answers = Vec::new();
    let began = Instant::now();
    while !condition(&answers) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{}",
            answers.len()
        );
        // Ids that do not compress well.
        let id = format!("{:x}{:x}", fastrand::u128(..), answers.len());
        answers.push(client.ask(batch(&id, 60)));
    }
    answers
}

#[test]
fn a_full_log_that_drops_counts_and_all_are_answered() {
    let collector = Collector::start(0);
    let process = Process::start(&tight(&collector, "drop"));
    let dropped = |process: &Process| process.metric("callgate_decision_log_dropped_total");
    let answers = ask_until(&process, |_| dropped(&process) > 0);
    assert!(answers.iter().all(|answer| answer.status == 200));
    let all_allow = |answer: &Answer| !answer.body.contains("false");
    assert!(answers.iter().all(all_allow));
    let single = process.connect().ask(check("acme", CHECK));
    assert_eq!(single.body, r#"{"decision":true}"#);
    assert_eq!(process.metric("callgate_decision_log_denied_total"), 0);

    collector.status.store(200, Relaxed);
    process.until("an empty queue", |process| {
        process.metric("callgate_decision_log_queue_length") == 0
    });
    let decided = answers.len() as u64 * 60 + 1;
    let taken = collector.ids().len() as u64;
    assert_eq!(
        taken + dropped(&process),
        decided,
        "each is taken or counted"
    );
}

#[test]
fn a_full_log_that_denies_gives_no_decision_without_its_line() {
    let collector = Collector::start(0);
    let process = Process::start(&tight(&collector, "deny"));
    let counted = |process: &Process| process.metric("callgate_decision_log_denied_total");
    let answers = ask_until(&process, |_| counted(&process) > 0);
    let given: usize = answers
        .iter()
        .map(|answer| answer.body.matches(r#"{"decision":true}"#).count())
        .sum();
    let last = &answers.last().unwrap().body;
    assert!(
        last.contains(r#""decision":false,"context":{"error":{"status":503"#),
        "{last}"
    );
    let mut client = process.connect();
    let mut singles = 0;
    let refused = loop {
        let answer = client.ask(check("acme", CHECK));
        if answer.status != 200 {
            break answer;
        }
        singles += 1;
    };
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.code(), "log_full");
    assert_eq!(process.metric("callgate_decision_log_dropped_total"), 0);

    collector.status.store(200, Relaxed);
    process.until("decisions", |process| {
        process.connect().ask(check("acme", &denied())).status == 200
    });
    process.until("an empty queue", |process| {
        process.metric("callgate_decision_log_queue_length") == 0
    });
    let taken = collector.taken.lock().unwrap();
    let allows = taken.iter().filter(|line| line["decision"] == "allow");
    assert_eq!(
        allows.count(),
        given + singles,
        "as many lines as allows given"
    );
}

#[test]
fn a_collector_gets_every_line_after_errors_and_an_outage() {
    // Nobody listens there yet.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/logs");
    let mut process = Process::start(&["--decision-log", &url, "--decision-log-flush", "10ms"]);
    let mut client = process.connect();
    let mut ask = |range: std::ops::Range<usize>| {
        for number in range {
            assert_eq!(client.ask(numbered(number, CHECK)).status, 200);
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    let failures = |process: &Process| process.metric("callgate_decision_log_failures_total");
    ask(0..100);
    process.until("a failure", |process| failures(process) > 0);
    let collector = Collector::over(TcpListener::bind(address).unwrap(), 503);
    let before = failures(&process);
    process.until("failures", |process| failures(process) > before);
    ask(100..200);
    assert!(collector.ids().is_empty());
    collector.status.store(200, Relaxed);
    ask(200..300);
    // What is left is sent before the end.
    process.terminate();
    let ids = collector.ids();
    let once: BTreeSet<_> = ids.iter().cloned().collect();
    let all: BTreeSet<_> = (0..300).map(|number| format!("n{number}")).collect();
    assert_eq!((once, ids.len()), (all, 300));
}

#[test]
fn a_collector_that_never_takes_lines_loses_them_in_time_and_they_are_counted() {
    let collector = Collector::start(503);
    let flags = [
        "--decision-log-retry",
        "300ms",
        "--decision-log-flush",
        "10ms",
    ];
    let process =
        Process::start(&[&["--decision-log", collector.url.as_str()], &flags[..]].concat());
    process.connect().ask(check("acme", CHECK));
    process.until("the loss", |process| {
        process.metric("callgate_decision_log_dropped_total") == 1
    });
    assert!(process.metric("callgate_decision_log_failures_total") >= 2);
    // What is wrong with the batch itself is not tried again.
    collector.status.store(400, Relaxed);
    let before = process.metric("callgate_decision_log_failures_total");
    process.connect().ask(check("acme", CHECK));
    process.until("the loss", |process| {
        process.metric("callgate_decision_log_dropped_total") == 2
    });
    assert_eq!(
        process.metric("callgate_decision_log_failures_total"),
        before + 1
    );
}

/// `path`, `path.1` and so on, as far as they are there.
fn rotated(path: &Path) -> Vec<PathBuf> {
    let numbered = (1..).map(|number| PathBuf::from(format!("{}.{number}", path.display())));
    let there = numbered.take_while(|path| path.exists());
    std::iter::once(path.to_owned()).chain(there).collect()
}

#[test]
fn rotation_loses_nothing() {
    let (_folder, path) = log_path();
    let flags = [
        "--decision-log-rotate-size=64KiB",
        "--decision-log-rotate-keep=900",
    ];
    let process = Process::into_file(&path, &flags);
    let mut client = process.connect();
    for number in 0..40 {
        client.ask(batch(&format!("b{number}"), 60));
    }
    process.written(2_400);
    let files = rotated(&path);
    assert!(files.len() > 5, "{files:?}");
    let mut seen = BTreeSet::new();
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 64 << 10);
        for line in lines_of(file) {
            seen.insert(line["resource"]["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen.len(), 2_400);
}

#[test]
fn no_more_files_are_kept_than_told() {
    let (_folder, path) = log_path();
    let flags = [
        "--decision-log-rotate-size=64KiB",
        "--decision-log-rotate-keep=2",
    ];
    let process = Process::into_file(&path, &flags);
    let mut client = process.connect();
    for number in 0..30 {
        client.ask(batch(&format!("b{number}"), 60));
    }
    process.written(1_800);
    assert_eq!(rotated(&path).len(), 3);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 3);
}

#[test]
fn a_file_that_was_moved_is_begun_anew() {
    for says_so in [true, false] {
        let (folder, path) = log_path();
        let process = Process::into_file(&path, &[]);
        let mut client = process.connect();
        client.ask(numbered(0, CHECK));
        process.written(1);
        let moved = folder.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        if says_so {
            let pid = process.child.id().to_string();
            let told = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
            assert!(told.success());
        }
        let mut asked = 1;
        process.until("a new file", |_| {
            client.ask(numbered(asked, CHECK));
            asked += 1;
            path.exists()
        });
        process.written(asked as u64);
        let both = [lines_of(&moved), lines_of(&path)].concat();
        let ids: Vec<_> = both.iter().map(id).collect();
        let all: Vec<_> = (0..asked).map(|number| format!("n{number}")).collect();
        assert_eq!(ids, all);
    }
}

#[test]
fn an_end_in_order_writes_everything_whatever_the_interval() {
    let (_folder, path) = log_path();
    let mut process = Process::into_file(&path, &["--decision-log-flush=1h"]);
    let mut client = process.connect();
    for number in 0..20 {
        client.ask(numbered(number, CHECK));
    }
    client.ask(batch("large", 100));
    process.terminate();
    assert_eq!(lines_of(&path).len(), 120);
}

#[test]
fn a_kill_loses_at_most_the_last_interval() {
    const FLUSH: Duration = Duration::from_millis(200);
    // What a machine that does much else takes to run the writer when its time has come.
    const SLACK: Duration = Duration::from_millis(800);
    let (_folder, path) = log_path();
    let sink = format!("file:{}", path.display());
    let mut process = Process::start(&["--decision-log", &sink, "--decision-log-flush", "200ms"]);
    let mut client = process.connect();
    let mut answered = Vec::new();
    let early = |answered: &[Instant], now: Instant| {
        let early = |at: &&Instant| now.duration_since(**at) > FLUSH + SLACK;
        answered.iter().filter(early).count()
    };
    while early(&answered, Instant::now()) < 100 {
        client.ask(numbered(answered.len(), CHECK));
        answered.push(Instant::now());
    }
    let killed = Instant::now();
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let whole = text.rsplit_once('\n').unwrap().0;
    let ids: BTreeSet<_> = lines(whole)
        .iter()
        .map(|line| id(line).to_owned())
        .collect();
    let must = early(&answered, killed);
    for number in 0..must {
        assert!(
            ids.contains(&format!("n{number}")),
            "{number} of {must} is lost"
        );
    }
}

#[test]
fn a_trace_id_is_in_the_line_if_it_is_valid() {
    let (_folder, path) = log_path();
    let process = Process::into_file(&path, &[]);
    let mut client = process.connect();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let valid = format!("Traceparent: 00-{trace}-00f067aa0ba902b7-01");
    let zeros = format!("Traceparent: 00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    for (at, headers) in [
        vec![valid.as_str()],
        vec![],
        vec![zeros.as_str()],
        vec![&valid, &valid],
    ]
    .into_iter()
    .enumerate()
    {
        let headers = [vec![JSON], headers].concat();
        assert_eq!(
            client.ask(request("POST", PATH, &headers, CHECK)).status,
            200
        );
        let lines = lines_before(&process, &path);
        let expected = (at == 0).then(|| json!(trace));
        assert_eq!(lines[at].get("trace_id").cloned(), expected, "{headers:?}");
    }
}

#[test]
fn the_standard_output_does_as_well_and_may_stall() {
    let mut process = Process::start(&[
        "--decision-log",
        "stdout",
        "--decision-log-queue",
        "64KiB",
        "--decision-log-flush",
        "10ms",
    ]);
    let mut client = process.connect();
    client.ask(numbered(7, CHECK));
    let line = process.said.next().unwrap().unwrap();
    assert_eq!(lines(&line)[0]["id"], "n7");
    // Nobody reads on: the pipe is full, then the queue.
    let answers = ask_until(&process, |_| {
        process.metric("callgate_decision_log_dropped_total") > 0
    });
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(
        client.ask(check("acme", CHECK)).body,
        r#"{"decision":true}"#
    );
}

#[test]
fn a_file_that_cannot_be_opened_ends_in_4() {
    let tree = Tree::new();
    let output = Command::new(env!("CARGO_BIN_EXE_callgate"))
        .arg("serve")
        .arg(tree.path())
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--decision-log", "file:/nowhere/at/all.log"])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("cannot open the decision log /nowhere/at/all.log"),
        "{told}"
    );
}

#[test]
fn a_caller_who_is_proven_stands_in_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let (tokens, path) = (folder.path().join("tokens"), folder.path().join("log"));
    fs::write(&tokens, "crm 0123456789abcdef\n").unwrap();
    let tokens = format!("--token-file={}", tokens.display());
    let mut process = Process::into_file(&path, &[&tokens]);
    let headers = [JSON, "Authorization: Bearer 0123456789abcdef"];
    let answer = process
        .connect()
        .ask(request("POST", PATH, &headers, CHECK));
    assert_eq!(answer.status, 200, "{answer:?}");
    process.terminate();
    let text = fs::read_to_string(&path).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["caller"], "crm");
}
