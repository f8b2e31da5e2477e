//! `callgate serve` as a process.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::Tree;
use crate::service::{Answer, Client, request};

/// `callgate serve` as a process over a policy tree.
pub(crate) struct Process {
    pub(crate) child: Child,
    said: Lines<BufReader<ChildStdout>>,
    pub(crate) address: String,
    pub(crate) admin: String,
}

impl Process {
    /// On free ports, with two workers.
    pub(crate) fn start(tree: &Tree) -> Self {
        Self::start_with(tree, &["--workers", "2"])
    }

    /// On free ports, with these flags.
    pub(crate) fn start_with(tree: &Tree, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command
            .arg("serve")
            .arg(tree.path())
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--log-level", "off"])
            .args(flags)
            .env_clear();
        Self::spawn(command)
    }

    /// What this command starts.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |beginning: &str| {
            let mut lines = said.by_ref().map(Result::unwrap);
            let found = lines.find_map(|line| line.strip_prefix(beginning).map(str::to_owned));
            found.unwrap_or_else(|| panic!("it never said `{beginning}`"))
        };
        let (address, admin) = (address("listening on http://"), address("admin on http://"));
        Self {
            child,
            said,
            address,
            admin,
        }
    }

    pub(crate) fn line(&mut self) -> String {
        self.said.next().unwrap().unwrap()
    }

    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> Answer {
        Client::connect(&self.admin).ask(request(method, path, &[], body))
    }

    /// What `/v1/snapshots` says of a company.
    pub(crate) fn snapshot(&self, company: &str) -> Value {
        let told = self.admin("GET", "/v1/snapshots", "").body;
        let told: Value = serde_json::from_str(&told).unwrap();
        let companies = told["companies"].as_array().unwrap().iter();
        let mut companies = companies.filter(|told| told["company"] == company);
        companies.next().cloned().unwrap_or_default()
    }

    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition(self) {
            assert!(Instant::now() < deadline, "{what} did not come about");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Process {
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Where it decides.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.metric("process_resident_memory_bytes") as u64
    }

    /// The value of a metric, by its line without the value.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.admin("GET", "/metrics", "").body;
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(is, _)| *is == name);
        let (_, value) = found.unwrap_or_else(|| panic!("no `{name}` in:\n{text}"));
        value.parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
