//! callgate beside a server that decides nothing: what a request costs, from socket to socket.
//!
//! `cargo bench --bench http` (with `wrk` and `h2load`, Debian's `wrk` and `nghttp2-client`)
//!
//! The floor is a server of the same hyper on the same runtime that reads the body and answers a
//! constant. It and `callgate serve` run as processes on one core, the load on the other; rounds
//! of both follow each other, and each figure is the median of its rounds' ratios. The requests
//! are seeded, from the one generator. The table is printed, and written to
//! `target/bench/http.md`.
//!
//! `CALLGATE_ROUNDS` and `CALLGATE_MILLIS` set how many rounds there are and how long each takes;
//! an argument runs only what has it in its name.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

mod calls;
mod cerbos;
mod floor;
#[path = "../../tests/generate/mod.rs"]
mod generate;
mod inside;
mod load;
#[path = "../proxies/message.rs"]
mod message;
mod server;
mod table;

use std::path::Path;
use std::time::Duration;

use callgate::decide;
use callgate::model::Timestamp;
use callgate::policy::{self, Policy};
use callgate::snapshot::Snapshot;
use fastrand::Rng;
use generate::{Company, Question, Shape, question};
use inside::Inside;
use load::{Load, Measured, Steady};
use serde_json::Value;
use server::Server;
use table::Table;

const SEED: u64 = 1;
/// Requests that the load goes through again and again.
const REQUESTS: usize = 4_096;

const RELOADING: &str =
    "M at 1,000 a second, 101 companies changing each second / files that nobody looks at";
/// Words that no row at one size has in its name.
const ELSEWHERE: [&str; 2] = ["compan", "Cerbos"];

/// What a run goes through.
struct Bench {
    rounds: usize,
    length: Duration,
    only: Option<String>,
    table: Table,
    scratch: tempfile::TempDir,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let first = arguments.next();
    if first.as_deref() == Some(floor::COMMAND) {
        return floor::run(&arguments.next().unwrap());
    }
    server::move_to_the_asking_core();
    let mut bench = Bench {
        rounds: number("CALLGATE_ROUNDS", 5) as usize,
        length: Duration::from_millis(number("CALLGATE_MILLIS", 2_000)),
        only: first,
        table: Table::default(),
        scratch: tempfile::tempdir().unwrap(),
    };
    bench.at_size("M", &Shape::M, true);
    bench.at_size("S", &Shape::S, false);
    bench.at_size("L", &Shape::L, false);
    bench.reloading();
    bench.beside_cerbos();
    bench.calls_beside_cerbos();
    bench.table.finish();
}

/// Evaluation requests, half of which are allowed.
fn requests(shape: &Shape, company: &Company) -> Vec<Value> {
    let snapshot = Snapshot::compile(&read(company)).unwrap();
    let rng = &mut Rng::with_seed(SEED);
    let allows = |question: &Question| {
        let mut query = question.query();
        query.now = now();
        decide::check(&snapshot, &query).allows()
    };
    (0..REQUESTS)
        .map(|n| match n % 2 {
            0 => question::usual(shape, rng),
            _ => question::allowed(shape, rng, allows),
        })
        .collect()
}

fn bodies(requests: &[Value]) -> Vec<String> {
    requests.iter().map(Value::to_string).collect()
}

/// Bodies of batches of so many, each with all its entities.
fn batches(bodies: &[String], size: usize) -> Vec<String> {
    let chunks = bodies.chunks_exact(size).take(64);
    chunks
        .map(|items| format!(r#"{{"evaluations":[{}]}}"#, items.join(",")))
        .collect()
}

/// Bodies of batches of so many about what one user may do: what all items share is said once.
fn screens(shape: &Shape, size: usize) -> Vec<String> {
    let rng = &mut Rng::with_seed(SEED);
    let screen = |_| {
        let mut screen = question::usual(shape, rng);
        let items: Vec<_> = (0..size)
            .map(|_| {
                let mut item = question::usual(shape, rng);
                let members = item.as_object_mut().unwrap();
                members.retain(|name, _| name == "action" || name == "resource");
                item
            })
            .collect();
        screen["evaluations"] = items.into();
        screen.to_string()
    };
    (0..64).map(screen).collect()
}

// === impl Bench ===

impl Bench {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only))
    }

    fn at_size(&mut self, size: &str, shape: &Shape, whole: bool) {
        let only = self.only.iter();
        if only
            .flat_map(|only| ELSEWHERE.map(|word| only.contains(word)))
            .any(|is| is)
        {
            return;
        }
        let company = Company::generate(shape, SEED);
        let tree = self.scratch.path().join(size);
        write(&tree, &company, "demo");
        let unix = self.scratch.path().join("callgate.sock");
        let callgate = Server::callgate(&tree, &unix);
        let floor = Server::floor(self.scratch.path());
        let requests = requests(shape, &company);
        let bodies = bodies(&requests);
        check(&company, &callgate, &requests);
        let both = [&floor, &callgate];
        let path = "/demo/access/v1/evaluation";
        self.pair(
            &format!("{size} HTTP/1.1, 16 connections"),
            both,
            |server| load::wrk(server, path, &bodies, 16),
        );
        if whole {
            for connections in [1, 64] {
                let name = format!("{size} HTTP/1.1, {connections} connections");
                self.pair(&name, both, |server| {
                    load::wrk(server, path, &bodies, connections)
                });
            }
            self.pair(&format!("{size} HTTP/2, 16 connections"), both, |server| {
                load::h2load(server, path, &bodies[0], 16)
            });
            for (name, unix) in [("TCP", false), ("unix socket", true)] {
                self.pair(&format!("{size} {name}, 1 client"), both, |server| {
                    load::one_client(server, path, &bodies, unix)
                });
            }
            for size in [1, 10, 100, 1_000] {
                let name = format!("M batch of {size}");
                let batches = batches(&bodies, size);
                self.pair(&name, both, |server| {
                    let path = "/demo/access/v1/evaluations";
                    load::wrk(server, path, &batches, 4).items(size)
                });
            }
            let screens = screens(shape, 100);
            self.pair("M batch of 100, one user and context", both, |server| {
                let path = "/demo/access/v1/evaluations";
                load::wrk(server, path, &screens, 4).items(100)
            });
            self.steady(&format!("{size} at 1,000 a second"), both, |_| {
                (path, &bodies)
            });
        }
        self.table.memory(&format!("{size} callgate"), &callgate);
        self.table.memory(&format!("{size} floor"), &floor);
    }

    /// Rounds of Cerbos and callgate, at M; their answers are the same.
    fn beside_cerbos(&mut self) {
        let name = |what: &str| format!("M {what}, Cerbos for the floor");
        let names = ["16 connections", "at 1,000 a second"].map(name);
        if !names.iter().any(|name| self.wants(name)) {
            return;
        }
        let shape = &Shape::M;
        let company = Company::generate(shape, SEED);
        let tree = self.scratch.path().join("cerbos-company");
        write(&tree, &company, "demo");
        let policy = read(&company);
        let callgate = Server::callgate(&tree, &self.scratch.path().join("beside.sock"));
        let cerbos = Server::cerbos(&policy, self.scratch.path());
        let path = "/demo/access/v1/evaluation";
        let requests = requests(shape, &company);
        let bodies = bodies(&requests);
        let theirs: Vec<String> = requests
            .iter()
            .map(|request| {
                let question = Question::new(request);
                let mut query = question.query();
                query.now = now();
                cerbos::request(&policy, &query)
            })
            .collect();
        let (mut ours, mut other) = (
            load::Client::connect(&callgate),
            load::Client::connect(&cerbos),
        );
        let mut allowed = 0;
        for (body, their) in bodies.iter().zip(&theirs).take(1_000) {
            let own = ours.ask(path, body) == r#"{"decision":true}"#;
            let answer = other.ask(cerbos::CHECK, their);
            assert_eq!(cerbos::allows(&answer), own, "{body}\n{their}\n{answer}");
            allowed += u32::from(own);
        }
        println!("1,000 answers agree, {allowed} allow");
        let both = [&cerbos, &callgate];
        let of = |server: &Server| match std::ptr::eq(server, &cerbos) {
            true => (cerbos::CHECK, &theirs),
            false => (path, &bodies),
        };
        self.pair(&names[0], both, |server| {
            let (path, bodies) = of(server);
            load::wrk(server, path, bodies, 16)
        });
        self.steady(&names[1], both, |server| of(server));
        self.table.memory("M Cerbos", &cerbos);
    }

    /// Pairs at a fixed rate: while a company of size M and a hundred small ones change every second,
    /// and while the same is done to files that nobody looks at.
    fn reloading(&mut self) {
        if !self.wants(RELOADING) {
            return;
        }
        let company = Company::generate(&Shape::M, SEED);
        let small = Company::generate(&Shape::S, SEED);
        let mut all = vec!["demo".to_owned()];
        all.extend((0..100).map(|n| format!("other-{n}")));
        let trees = ["unseen", "changing"].map(|name| self.scratch.path().join(name));
        for tree in &trees {
            write(tree, &company, "demo");
            for other in all.iter().skip(1) {
                write(tree, &small, other);
            }
        }
        let server = Server::callgate(&trees[1], &self.scratch.path().join("changing.sock"));
        let path = "/demo/access/v1/evaluation";
        let bodies = bodies(&requests(&Shape::M, &company));
        let seconds = self.length.as_secs().max(3);
        let users = |tree: &Path, of: &str| tree.join(format!("companies/{of}/users.csv"));
        let texts: Vec<_> = all
            .iter()
            .map(|of| std::fs::read(users(&trees[0], of)).unwrap())
            .collect();
        let mut reloads = 0;
        // What is changed is written before, so that changing it takes little.
        let mut prepare = |n: usize| -> Vec<_> {
            reloads += 1;
            let files = all.iter().zip(&texts).map(|(of, text)| {
                let mut text = text.clone();
                text.extend(format!("new{reloads},,,,,,,\n").bytes());
                let file = self.scratch.path().join(format!("{of}-{reloads}"));
                std::fs::write(&file, text).unwrap();
                std::fs::File::open(&file).unwrap().sync_all().unwrap();
                (file, users(&trees[n], of))
            });
            files.collect()
        };
        let mut rounds = Vec::new();
        let mut inside = [Inside::default(); 2];
        for round in 0..self.rounds.max(9) {
            let mut pair = [0, 1].map(|_| Steady::new(&server, path, &bodies));
            for _ in 0..seconds {
                for n in [round % 2, 1 - round % 2] {
                    let files = prepare(n);
                    let before = Inside::of(&server);
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            server::give_way();
                            for (file, to) in &files {
                                std::fs::rename(file, to).unwrap();
                            }
                            if n == 1 {
                                load::reload(&server);
                            }
                        });
                        for _ in 0..load::TURNS_A_SECOND {
                            pair[n].turn();
                        }
                    });
                    inside[n].add(&before, &Inside::of(&server));
                }
            }
            rounds.push(pair.map(Steady::measured));
        }
        for (inside, when) in inside.iter().zip(["unseen files", "all companies"]) {
            println!("while {when} changed each second: {inside}");
        }
        self.table.add(RELOADING, &rounds);
        self.table
            .memory("M and 100 small companies, after reloads", &server);
    }

    /// Rounds of both, one after the other.
    fn pair(&mut self, name: &str, both: [&Server; 2], load: impl Fn(&Server) -> Load) {
        if !self.wants(name) {
            return;
        }
        let mut rounds = Vec::new();
        for round in 0..self.rounds {
            let mut measured = [Measured::default(); 2];
            // Which of them goes first changes, so that neither always meets the warmer machine.
            for n in [round % 2, 1 - round % 2] {
                measured[n] = load(both[n]).run(both[n], self.length);
            }
            rounds.push(measured);
        }
        self.table.add(name, &rounds);
    }

    /// Pairs at a fixed rate, each request timed from the moment at which it was due.
    fn steady<'b>(
        &mut self,
        name: &str,
        both: [&Server; 2],
        load: impl Fn(&Server) -> (&'b str, &'b Vec<String>),
    ) {
        if !self.wants(name) {
            return;
        }
        let turns = self.length.as_secs_f64() * f64::from(load::TURNS_A_SECOND);
        let mut rounds = Vec::new();
        for round in 0..self.rounds.max(9) {
            let mut pair = both.map(|server| {
                let (path, bodies) = load(server);
                Steady::new(server, path, bodies)
            });
            for _ in 0..turns.ceil() as usize {
                for n in [round % 2, 1 - round % 2] {
                    pair[n].turn();
                }
            }
            rounds.push(pair.map(Steady::measured));
        }
        self.table.add(name, &rounds);
    }
}

/// The company's files, in a tree, under this name.
fn write(tree: &Path, company: &Company, name: &str) {
    for (path, text) in company.texts(true) {
        let path = tree.join(path.replace("companies/demo", &format!("companies/{name}")));
        let mut text = String::from_utf8(text).unwrap();
        if path.ends_with("company.yaml") {
            text = text.replace(r#""company":"demo""#, &format!(r#""company":"{name}""#));
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn read(company: &Company) -> Policy {
    let reading = policy::read_company(&company.csv_files(), "demo");
    reading.unwrap_or_else(|errors| panic!("{errors}")).policy
}

fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}

/// A thousand answers of the service are those of the library.
fn check(company: &Company, server: &Server, requests: &[Value]) {
    let snapshot = Snapshot::compile(&read(company)).unwrap();
    let mut client = load::Client::connect(server);
    for request in requests.iter().take(1_000) {
        let question = Question::new(request);
        let mut query = question.query();
        query.now = now();
        let expected = decide::check(&snapshot, &query).allows();
        let answer = client.ask("/demo/access/v1/evaluation", &request.to_string());
        assert_eq!(answer, format!(r#"{{"decision":{expected}}}"#), "{request}");
    }
}

/// Where results are kept.
fn results() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench"))
}
