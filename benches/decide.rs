//! Decisions in one thread: strings in, decision out.
//!
//! `cargo bench --bench decide`
//!
//! A service has just read the request that it decides, and meets the tables as the last requests
//! left them. So each round takes questions at random from many, reads their texts once, which is
//! not timed, and then times the decisions. Beside them stands a floor: a table made by hand that
//! looks up the same names and answers by fewer rules.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

#[path = "../tests/generate/mod.rs"]
mod generate;
#[path = "decide/hand_made.rs"]
mod hand_made;

use std::hint::black_box;
use std::time::{Duration, Instant};

use callgate::model::Query;
use callgate::{decide, policy, snapshot::Snapshot};
use criterion::{Criterion, criterion_group};
use fastrand::Rng;
use generate::question::{self, Question};
use generate::{Company, Shape};
use hand_made::HandMade;

const SEED: u64 = 1;
/// Far more than a core's nearest memory holds.
const QUESTIONS: usize = 65_536;
/// Questions that a round reads and then asks.
const ROUND: usize = 64;

fn compile(policy: &policy::Policy) -> Snapshot {
    Snapshot::compile(policy).unwrap_or_else(|error| panic!("{error}"))
}

fn read(company: &Company) -> policy::Policy {
    let reading = policy::read_company(&company.csv_files(), "demo");
    reading.unwrap_or_else(|errors| panic!("{errors}")).policy
}

fn questions(shape: &Shape) -> Vec<Question> {
    let rng = &mut Rng::with_seed(SEED);
    (0..QUESTIONS)
        .map(|_| Question::new(&question::usual(shape, rng)))
        .collect()
}

/// Questions that are allowed: fewer, since most of what is usual is denied. None is about tickets,
/// which everybody may see, by a role without conditions.
fn allowed(shape: &Shape, snapshot: &Snapshot) -> Vec<Question> {
    let rng = &mut Rng::with_seed(SEED);
    let allows = |question: &Question| {
        let query = question.query();
        query.resource.kind != "ticket" && decide::check(snapshot, &query).allows()
    };
    (0..QUESTIONS / 4)
        .map(|_| Question::new(&question::allowed(shape, rng, allows)))
        .collect()
}

/// Times `decide` on questions that were read just before.
fn bench<T>(
    c: &mut Criterion,
    name: &str,
    queries: &[Query<'_>],
    decide: impl Fn(&Query<'_>) -> T,
) {
    let mut rounds = queries.chunks_exact(ROUND).cycle();
    c.bench_function(name, |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            let mut left = times;
            while left > 0 {
                let round = rounds.next().unwrap();
                let round = &round[..round.len().min(left as usize)];
                black_box(round.iter().map(question::bytes).sum::<usize>());
                let start = Instant::now();
                for query in round {
                    black_box(decide(black_box(query)));
                }
                spent += start.elapsed();
                left -= round.len() as u64;
            }
            spent
        });
    });
}

fn decisions(c: &mut Criterion) {
    for (name, shape) in [("S", Shape::S), ("M", Shape::M), ("L", Shape::L)] {
        let plain = Shape {
            conditional: 0,
            denies: 0,
            ..shape
        };
        let questions = questions(&shape);
        let queries = question::packed(&questions);
        let policy = read(&Company::generate(&plain, SEED));
        let by_hand = HandMade::new(&policy);
        bench(c, &format!("decide/{name}/by hand"), &queries, |query| {
            by_hand.check(query)
        });
        let hot = format!("decide/{name}/by hand, 256 hot");
        bench(c, &hot, &queries[..256], |query| by_hand.check(query));
        let snapshot = compile(&policy);
        let without = format!("decide/{name}/without conditions");
        bench(c, &without, &queries, |query| {
            decide::check(&snapshot, query)
        });
        let queries_allowed = question::packed(&allowed(&shape, &snapshot));
        let without = format!("decide/{name}/without conditions, allowed");
        bench(c, &without, &queries_allowed, |query| {
            decide::check(&snapshot, query)
        });
        // Every grant has a condition on two properties, or stands beside one that has.
        let strict = Shape {
            conditional: 100,
            ..plain
        };
        let snapshot = compile(&read(&Company::generate(&strict, SEED)));
        let queries_allowed = question::packed(&allowed(&strict, &snapshot));
        let under = format!("decide/{name}/under conditions, allowed");
        bench(c, &under, &queries_allowed, |query| {
            decide::check(&snapshot, query)
        });
        let snapshot = compile(&read(&Company::generate(&shape, SEED)));
        bench(c, &format!("decide/{name}"), &queries, |query| {
            decide::check(&snapshot, query)
        });
        let hot = format!("decide/{name}/256 hot");
        bench(c, &hot, &queries[..256], |query| {
            decide::check(&snapshot, query)
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = decisions
}

/// One decision, by a name under which instructions can be counted.
#[inline(never)]
fn counted(snapshot: &Snapshot, query: &Query<'_>) -> bool {
    decide::check(snapshot, query).allows()
}

/// Decides so many questions at M, for whoever counts instructions from outside.
fn count(times: usize) {
    let snapshot = compile(&read(&Company::generate(&Shape::M, SEED)));
    let questions = questions(&Shape::M);
    let queries = question::packed(&questions[..times]);
    let allowed = queries.iter().filter(|query| counted(&snapshot, query));
    println!("{} of {times} allowed", allowed.count());
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, times] = &*arguments
        && command == "count"
    {
        return count(times.parse().unwrap());
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
