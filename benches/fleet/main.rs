//! A fleet in one process: what a change costs the server, and how long until the last sidecar has it.
//!
//! `cargo bench --bench fleet [-- PART]`; `tests/run` installs the servers that it takes.
//!
//! A thousand companies are published to a real nginx, and to a real NATS. Watchers of the library,
//! each with its own connection, cache of heads and snapshots as in a process of its own, follow
//! them; then a company a second changes, and the servers themselves are asked what they sent. Each
//! run is a line of the table and of target/bench/fleet.jsonl; an argument runs only those that
//! have it in their name. What is told for a thousand sidecars is what was measured, divided by
//! their number. Nothing is encrypted, and all of it shares the machine's cores.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

mod servers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use callgate::companies::Companies;
use callgate::policy::{self, Files};
use callgate::snapshot::Snapshot;
use callgate::source::{LoadObserver, Outcome, Publisher, Settings, Watcher};
use serde_json::json;

use servers::{Nats, Nginx, Sent, Server};

const COMPANIES: usize = 1_000;
const USERS: usize = 200;
/// Companies that change, one after the other. Those who serve one serve one of these, so that a
/// change concerns as many of them as in a fleet of ten thousand.
const CHANGING: usize = 100;
/// Who serve one company each, and who serve all.
const ONE_EACH: usize = 1_000;
const ALL_EACH: usize = 10;
/// As `serve` does by default.
const POLL: Duration = Duration::from_secs(5);
/// How long the servers are watched without and with changes.
const IDLE: u64 = 15;
const CHANGES: usize = 40;
/// Until the fleet has read everything, and until the last change has come.
const START: Duration = Duration::from_secs(600);
const LAST: Duration = Duration::from_secs(20);

/// When each company was activated, by whoever did.
#[derive(Default)]
struct Seen(Mutex<HashMap<String, Vec<Instant>>>);

impl LoadObserver for Seen {
    fn loaded(&self, company: &str, outcome: Outcome, _: Duration) {
        if outcome == Outcome::Activated {
            let mut seen = self.0.lock().unwrap();
            seen.entry(company.to_owned())
                .or_default()
                .push(Instant::now());
        }
    }
}

impl Seen {
    fn all(&self) -> usize {
        self.0.lock().unwrap().values().map(Vec::len).sum()
    }

    /// When this company was activated after that moment, and how often.
    fn after(&self, company: &str, moment: Instant) -> Vec<Duration> {
        let seen = self.0.lock().unwrap();
        let times = seen.get(company).into_iter().flatten();
        times
            .filter_map(|at| at.checked_duration_since(moment))
            .collect()
    }
}

fn main() {
    let only = std::env::args().skip(1).find(|arg| arg != "--bench");
    servers::raise_open_files();
    println!(
        "| who, over what | sidecars | idle, for 1,000 | a change a second, for 1,000 | of it by path | first, median, last sidecar |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let folder = tempfile::tempdir().unwrap();
    let names = ["one, nginx", "all, nginx", "one, NATS", "all, NATS"];
    let wanted = |over: &str| {
        let named = names.iter().filter(|name| name.ends_with(over));
        let named = named.filter(|name| only.as_ref().is_none_or(|only| name.contains(&**only)));
        named.copied().collect::<Vec<_>>()
    };
    for over in ["nginx", "NATS"] {
        let names = wanted(over);
        if names.is_empty() {
            continue;
        }
        let mut server: Box<dyn Server> = match over {
            "nginx" => Box::new(Nginx::start(folder.path())),
            _ => Box::new(Nats::start(folder.path())),
        };
        let place = server.destination();
        let publisher = Publisher::connect(Path::new(&place), None, None, "bench".to_owned());
        let publisher = publisher.unwrap();
        let companies: Vec<String> = (0..COMPANIES).map(name).collect();
        for company in &companies {
            publisher.publish(&snapshot(company, 0)).unwrap();
        }
        publisher.list(&companies).unwrap();
        for (round, which) in (0..).zip(names) {
            run(which, round, &mut *server, &publisher);
        }
    }
}

fn name(number: usize) -> String {
    format!("company-{number:04}")
}

/// A company in which one user's role is another each time.
fn snapshot(company: &str, version: usize) -> Snapshot {
    let mut users = "user,title,roles\n".to_owned();
    for user in 0..USERS {
        let role = match user {
            7 => ["operator", "listener", "lead"][version % 3],
            _ => ["operator", "operator;listener", "lead"][user % 3],
        };
        users.push_str(&format!("user-{user:03},User {user} of {company},{role}\n"));
    }
    let files = [
        (
            "packs/desk/catalogue.yaml".to_owned(),
            servers::CATALOGUE.to_owned(),
        ),
        (
            "packs/desk/roles.yaml".to_owned(),
            servers::ROLES.to_owned(),
        ),
        (
            format!("companies/{company}/company.yaml"),
            format!("company: {company}\npack: desk\n"),
        ),
        (format!("companies/{company}/users.csv"), users),
    ];
    let files = files.map(|(path, text)| (path, text.into_bytes()));
    let reading = policy::read_company(&Files::new(files), company);
    let policy = reading.map_err(|errors| errors.to_string()).unwrap().policy;
    Snapshot::compile(&policy).unwrap()
}

/// Starts a fleet, watches the server without and with changes, and tells a line of the table.
fn run(which: &str, round: usize, server: &mut dyn Server, publisher: &Publisher) {
    let one_each = which.starts_with("one");
    let sidecars = if one_each { ONE_EACH } else { ALL_EACH };
    let seen = Arc::new(Seen::default());
    let fleet: Vec<Watcher> = (0..sidecars)
        .map(|number| {
            let only = one_each
                .then(|| name(number % CHANGING))
                .into_iter()
                .collect();
            let settings = Settings {
                only,
                poll_interval: POLL,
                ..Settings::default()
            };
            let observer: Arc<dyn LoadObserver> = Arc::<Seen>::clone(&seen);
            let companies = Arc::new(Companies::default());
            Watcher::spawn(server.source().into(), settings, companies, observer).unwrap()
        })
        .collect();
    let began = Instant::now();
    let expected = sidecars * if one_each { 1 } else { COMPANIES };
    while seen.all() < expected {
        assert!(
            began.elapsed() < START,
            "{} of {expected} were read",
            seen.all()
        );
        sleep(Duration::from_millis(100));
    }
    eprintln!(
        "{which}: {sidecars} sidecars are ready after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    // The looks that began together drift apart.
    sleep(POLL * 2);
    let before = server.sent();
    sleep(Duration::from_secs(IDLE));
    let idle = server.sent().since(&before);
    let before = server.sent();
    let mut published = Vec::new();
    let began = Instant::now();
    for change in 0..CHANGES {
        let company = name(change);
        let snapshot = snapshot(&company, round + 1);
        let due = began + Duration::from_secs(change as u64);
        sleep(due.saturating_duration_since(Instant::now()));
        let at = Instant::now();
        publisher.publish(&snapshot).unwrap();
        publisher.list(std::slice::from_ref(&company)).unwrap();
        published.push((company, at));
    }
    let concerned = if one_each {
        sidecars / CHANGING
    } else {
        sidecars
    };
    let ended = Instant::now();
    let mut delays: Vec<Vec<Duration>> = Vec::new();
    for (company, at) in &published {
        while seen.after(company, *at).len() < concerned {
            assert!(ended.elapsed() < LAST, "not all have {company}");
            sleep(Duration::from_millis(20));
        }
        let came = seen.after(company, *at);
        if came.iter().max() > Some(&(POLL * 2)) {
            eprintln!("{which}: {company} came late: {came:?}");
        }
        delays.push(came);
    }
    // Of the time in which a company a second changed, and of no more.
    let seconds = began.elapsed().as_secs_f64();
    let changing = server.sent().since(&before);
    tell(which, sidecars, &idle, &changing, seconds, &delays);
    for watcher in &fleet {
        watcher.handle().shutdown();
    }
    fleet.into_iter().for_each(Watcher::shutdown);
}

fn tell(
    which: &str,
    sidecars: usize,
    idle: &Sent,
    changing: &Sent,
    seconds: f64,
    delays: &[Vec<Duration>],
) {
    let thousand = 1_000.0 / sidecars as f64;
    let rate = |sent: &Sent, seconds: f64| {
        let (messages, bytes) = (sent.messages as f64, sent.bytes as f64);
        (
            messages / seconds * thousand,
            bytes / seconds * thousand / 1e3,
        )
    };
    let (idle_messages, idle_kb) = rate(idle, IDLE as f64);
    let (messages, kb) = rate(changing, seconds);
    let mut all: Vec<f64> = delays.iter().flatten().map(Duration::as_secs_f64).collect();
    all.sort_by(f64::total_cmp);
    let (first, median, last) = (all[0], all[all.len() / 2], all[all.len() - 1]);
    let kinds: Vec<String> = changing
        .kinds
        .iter()
        .map(|(kind, (count, bytes))| {
            let (count, bytes) = (*count as f64, *bytes as f64);
            format!(
                "{kind} {:.0}/s {:.1} KB/s",
                count / seconds * thousand,
                bytes / seconds * thousand / 1e3
            )
        })
        .collect();
    let kinds = kinds.join(", ");
    println!(
        "| {which} | {sidecars} | {idle_messages:.0}/s, {idle_kb:.1} KB/s | {messages:.0}/s, {kb:.1} KB/s | {kinds} | {first:.2} s, {median:.2} s, {last:.2} s |"
    );
    let line = json!({
        "which": which, "sidecars": sidecars, "idle_messages": idle.messages, "idle_bytes": idle.bytes,
        "idle_seconds": IDLE, "messages": changing.messages, "bytes": changing.bytes, "seconds": seconds,
        "changes": delays.len(), "delay_first": first, "delay_median": median, "delay_last": last,
        "server": changing.more,
    });
    servers::keep(&line);
}
