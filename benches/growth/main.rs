//! How time and size grow with a company: decision, search, filter, compile, load, snapshot.
//!
//! `benches/growth/draw` runs it, and draws docs/growth.svg.
//!
//! One thing grows at a time, from a company of size M: its users (and with them its objects, groups
//! and departments), its roles, its projects, or the part of its grants that has a condition. Each
//! point is a line of JSON. An argument runs only the series that has it in its name.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

#[path = "../../tests/generate/mod.rs"]
mod generate;

use std::hint::black_box;
use std::time::{Duration, Instant};

use callgate::decide::filter;
use callgate::decide::search::{self, Window};
use callgate::model::Query;
use callgate::snapshot::Snapshot;
use callgate::{decide, policy};
use fastrand::Rng;
use generate::question::{self, Question};
use generate::{Company, Shape};
use serde_json::json;

const SEED: u64 = 1;
const QUESTIONS: usize = 16_384;
/// Questions that a round reads and then asks.
const ROUND: usize = 64;
/// Heavy questions that are timed one by one.
const HEAVY: usize = 101;

/// What grows, how large, and the company for each.
type Series = (&'static str, &'static [usize], fn(usize) -> Shape);

fn main() {
    let only = std::env::args().skip(1).find(|arg| arg != "--bench");
    let series: [Series; 4] = [
        ("users", &[100, 1_000, 10_000, 100_000, 1_000_000], users),
        ("roles", &[8, 50, 200, 800], |roles| Shape {
            roles,
            ..Shape::M
        }),
        ("projects", &[20, 200, 2_000, 20_000], |projects| Shape {
            projects,
            ..Shape::M
        }),
        ("conditional grants in 100", &[0, 10, 30, 100], |part| {
            Shape {
                conditional: u32::try_from(part).unwrap(),
                ..Shape::M
            }
        }),
    ];
    for (name, sizes, shape) in series {
        if only.as_ref().is_none_or(|only| name.contains(&**only)) {
            for &size in sizes {
                println!("{}", point(name, size, &shape(size)));
            }
        }
    }
}

fn users(users: usize) -> Shape {
    Shape {
        users,
        objects: users / 2,
        departments: (users / 200).clamp(6, 400),
        groups: (users / 100).clamp(5, 1_000),
        teams: (users / 200).clamp(4, 300),
        ..Shape::M
    }
}

fn point(series: &str, size: usize, shape: &Shape) -> serde_json::Value {
    let files = Company::generate(shape, SEED).csv_files();
    let started = Instant::now();
    let reading = policy::read_company(&files, "demo").unwrap_or_else(|errors| panic!("{errors}"));
    let snapshot = Snapshot::compile(&reading.policy).unwrap_or_else(|error| panic!("{error}"));
    let compile = started.elapsed();
    drop((files, reading));
    let mut file = Vec::new();
    snapshot.write_to(&mut file).unwrap();
    let load = median((0..5).map(|_| {
        let started = Instant::now();
        let read = Snapshot::read(&mut &*file, file.len() as u64).unwrap();
        let took = started.elapsed();
        assert_eq!(read.digest(), snapshot.digest());
        took
    }));
    let rng = &mut Rng::with_seed(SEED);
    let questions: Vec<_> = (0..QUESTIONS)
        .map(|_| Question::new(&question::usual(shape, rng)))
        .collect();
    let queries = question::packed(&questions);
    let decision = median(queries.chunks_exact(ROUND).map(|round| {
        black_box(round.iter().map(question::bytes).sum::<usize>());
        let started = Instant::now();
        for query in round {
            black_box(decide::check(&snapshot, black_box(query)));
        }
        started.elapsed() / ROUND as u32
    }));
    let heavy = |ask: &dyn Fn(&Query<'_>) -> usize| {
        median(queries.iter().take(HEAVY).map(|query| {
            let started = Instant::now();
            black_box(ask(query));
            started.elapsed()
        }))
    };
    let window = Window {
        after: None,
        limit: 100,
    };
    let subjects = heavy(&|query| search::subjects(&snapshot, query, window).results.len());
    let filter =
        heavy(&|query| filter::filter(&snapshot, query).map_or(0, |f| f.objects.allow.len()));
    json!({
        "series": series, "size": size, "users": snapshot.users(), "role_sets": snapshot.role_sets(),
        "decision_ns": decision.as_nanos() as u64,
        "search_us": micros(subjects), "filter_us": micros(filter),
        "compile_ms": micros(compile) / 1e3, "load_ms": micros(load) / 1e3,
        "snapshot_bytes": file.len(),
    })
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}
