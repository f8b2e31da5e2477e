//! What the log tells of activations and of the shadow, and who frees what decides no more.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{Running, Tree, settings, users};
use crate::process::Process;
use crate::service::{self, Start};
use crate::travel::{CHECK, ask, listens};

/// A service whose log is a file.
struct Logged {
    process: Process,
    log: tempfile::NamedTempFile,
}

// === impl Logged ===

impl Logged {
    fn start(source: &Path, flags: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command
            .arg("serve")
            .arg(source)
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--log-format", "json", "--workers", "1"])
            .args(flags)
            .env_clear()
            .stderr(log.reopen().unwrap());
        let mut process = Process::spawn(command);
        process.line();
        Self { process, log }
    }

    /// The lines that say this.
    fn lines(&self, says: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.log.path()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &Value| said(line, "message") == says)
            .collect()
    }

    /// The next line that says this after so many.
    fn next(&self, says: &str, after: usize) -> Value {
        self.process.until(says, |_| self.lines(says).len() > after);
        self.lines(says).swap_remove(after)
    }
}

/// A field of a line of the log, wherever the format puts it.
fn said(line: &Value, field: &str) -> Value {
    match &line["fields"][field] {
        Value::Null => line[field].clone(),
        is => is.clone(),
    }
}

#[test]
fn an_activation_says_in_numbers_who_gains_and_who_loses() {
    const SAYS: &str = "what changed with it";
    let tree = Tree::new();
    let logged = Logged::start(tree.path(), &[]);
    assert!(
        logged.lines(SAYS).is_empty(),
        "at first there is nothing to compare"
    );
    let before = logged.process.snapshot("acme")["revision"].clone();
    let numbers = |line: &Value| {
        [
            "users_gain",
            "users_lose",
            "permissions_gained",
            "permissions_lost",
        ]
        .map(|field| said(line, field).as_u64().unwrap())
    };
    let flags = |line: &Value| ["may_gain", "may_lose"].map(|field| said(line, field) == true);
    tree.write("companies/acme/users.csv", &users("listener"));
    let line = logged.next(SAYS, 0);
    assert_eq!(
        (numbers(&line), flags(&line)),
        ([1, 0, 1, 0], [true, false]),
        "{line}"
    );
    let after = logged.process.snapshot("acme")["revision"].clone();
    let said_of = ["company", "replaced", "revision"].map(|field| said(&line, field));
    assert_eq!(said_of, [json!("acme"), before, after]);
    // Two lose what nine others keep: nobody may view any more but olga.
    let all = users("listener").replace(",operator", ",");
    tree.write("companies/acme/users.csv", &all);
    let line = logged.next(SAYS, 1);
    assert_eq!(
        (numbers(&line), flags(&line)),
        ([0, 9, 0, 1], [false, true]),
        "{line}"
    );
    assert!(
        !line.to_string().contains("olga"),
        "nobody is named: {line}"
    );
}

#[test]
fn a_failure_says_whether_anything_decides_for_the_company() {
    let tree = Tree::new();
    tree.write(
        "companies/beta/company.yaml",
        "company: betta\npack: desk\n",
    );
    let logged = Logged::start(tree.path(), &[]);
    tree.write("companies/acme/users.csv", "usr\n");
    logged.process.until("the failure", |process| {
        !process.snapshot("acme")["failure"].is_null()
    });
    let text = fs::read_to_string(logged.log.path()).unwrap();
    let says = |company: &str| {
        let line = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut lines = line.filter(|line: &Value| said(line, "company") == company);
        let line = lines.rfind(|line| said(line, "code") == "policy_errors");
        let message = said(&line.unwrap(), "message");
        message.as_str().unwrap().lines().next().unwrap().to_owned()
    };
    assert_eq!(says("acme"), "not activated, what ran before goes on");
    assert_eq!(
        says("beta"),
        "not activated, and nothing decides for the company"
    );
}

/// The source may have a file of the same name, in which nothing is wrong.
#[test]
fn a_damaged_snapshot_of_the_cache_is_told_as_that() {
    let (tree, cache) = (Tree::new(), tempfile::tempdir().unwrap());
    let flags = ["--cache", cache.path().to_str().unwrap()];
    let kept = cache.path().join("acme.callgate");
    let first = Logged::start(tree.path(), &flags);
    first.process.until("it is kept", |_| kept.exists());
    drop(first);
    let mut bytes = fs::read(&kept).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&kept, &bytes).unwrap();
    let again = Logged::start(tree.path(), &flags);
    let told = || fs::read_to_string(again.log.path()).unwrap();
    again.process.until("what is wrong", |_| {
        told().contains("as the cache has it: `acme.callgate`: section")
    });
}

#[test]
fn the_shadow_logs_a_difference_a_second_and_names_nobody() {
    const SAYS: &str = "the shadow decides otherwise";
    let (tree, candidate) = (Tree::new(), Tree::new());
    candidate.write("companies/acme/users.csv", &users("listener"));
    let logged = Logged::start(
        tree.path(),
        &["--shadow", candidate.path().to_str().unwrap()],
    );
    let process = &logged.process;
    let count = |result: &str| {
        process.metric(&format!(
            r#"callgate_shadow_decisions_total{{result="{result}"}}"#
        ))
    };
    process.until("the shadow", |process| {
        !listens(process) && count("gain") > 0.0
    });
    let began = Instant::now();
    let (logged_before, gained) = (logged.lines(SAYS).len(), count("gain"));
    for _ in 0..40 {
        assert!(!listens(process));
    }
    assert_eq!(count("gain"), gained + 40.0, "each is counted");
    let seconds = began.elapsed().as_secs() as usize + 1;
    std::thread::sleep(Duration::from_millis(1_100));
    let lines = logged.lines(SAYS).len() - logged_before;
    assert!(lines <= seconds, "{lines} lines in {seconds} seconds");
    // What is the same is not logged, and what is otherwise is again.
    ask(process, &CHECK.replace("listen", "view"));
    let before = logged.lines(SAYS).len();
    ask(process, CHECK);
    let line = logged.next(SAYS, before);
    for (field, is) in [
        ("company", "acme"),
        ("action", "listen"),
        ("resource_type", "call"),
        ("decides", "no_grant"),
        ("candidate", "granted"),
    ] {
        assert_eq!(said(&line, field), is, "{line}");
    }
    assert!(said(&line, "candidate_revision").is_string());
    assert!(!line.to_string().contains("olga"), "{line}");
    // Who looks for the request finds it by its id.
    let id = said(&line, "request_id");
    assert!(id.as_str().is_some_and(|id| !id.is_empty()), "{line}");
}

#[test]
fn the_last_who_holds_an_old_snapshot_is_never_a_request() {
    let tree = Tree::new();
    let running = Running::start(tree.path(), settings());
    // As a request holds it, that began before.
    let held = running.companies.load("acme").unwrap();
    let freed = Arc::downgrade(&held);
    tree.write("companies/acme/users.csv", &users("listener"));
    running.until("the change", || running.listens());
    // Whoever put the new one in place may still have the old one in hand.
    running.until("whoever swapped them lets go", || {
        Arc::strong_count(&held) == 2
    });
    running.stays("somebody else holds it, too", || {
        Arc::strong_count(&held) == 2
    });
    drop(held);
    let took = running.until("it is freed", || freed.upgrade().is_none());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn idle_threads_and_idle_connections_let_go_of_an_old_snapshot_within_a_second() {
    let serving = Start::new().serve();
    let mut clients: Vec<_> = (0..6).map(|_| serving.connect()).collect();
    for client in &mut clients {
        assert_eq!(
            client.ask(service::check("acme", CHECK)).body,
            r#"{"decision":true}"#
        );
    }
    let old = Arc::downgrade(&serving.companies.load("acme").unwrap());
    assert!(old.upgrade().is_some());
    serving.publish("acme", false);
    let began = Instant::now();
    while old.upgrade().is_some() {
        assert!(began.elapsed() < Duration::from_secs(1), "it is still held");
        std::thread::sleep(Duration::from_millis(5));
    }
    for client in &mut clients {
        assert_eq!(
            client.ask(service::check("acme", CHECK)).body,
            r#"{"decision":false}"#
        );
    }
}
