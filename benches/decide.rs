//! Decisions in one thread: strings in, decision out.
//!
//! `cargo bench --bench decide`

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

#[path = "../tests/generate/mod.rs"]
mod generate;

use std::hint::black_box;

use callgate::{decide, policy, snapshot::Snapshot};
use criterion::{Criterion, criterion_group, criterion_main};
use fastrand::Rng;
use generate::question::{self, Question};
use generate::{Company, Shape};

const SEED: u64 = 1;
/// As many different users and objects as M has, and few enough that the questions themselves stay
/// near the core, as those of requests that were just read do.
const QUESTIONS: usize = 4_096;

fn compile(company: &Company) -> Snapshot {
    let reading = policy::read_company(&company.csv_files(), "demo");
    let reading = reading.unwrap_or_else(|errors| panic!("{errors}"));
    Snapshot::compile(&reading.policy).unwrap_or_else(|error| panic!("{error}"))
}

fn questions(shape: &Shape, count: usize) -> Vec<Question> {
    let rng = &mut Rng::with_seed(SEED);
    (0..count)
        .map(|_| Question::new(&question::usual(shape, rng)))
        .collect()
}

fn bench(c: &mut Criterion, name: &str, snapshot: &Snapshot, questions: &[Question]) {
    let queries = question::packed(questions);
    let mut next = 0;
    c.bench_function(name, |b| {
        b.iter(|| {
            next = (next + 1) % queries.len();
            black_box(decide::check(snapshot, black_box(&queries[next])))
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
        let snapshot = compile(&Company::generate(&plain, SEED));
        bench(
            c,
            &format!("decide/{name}/without conditions"),
            &snapshot,
            &questions(&shape, QUESTIONS),
        );
        let snapshot = compile(&Company::generate(&shape, SEED));
        bench(
            c,
            &format!("decide/{name}"),
            &snapshot,
            &questions(&shape, QUESTIONS),
        );
        bench(
            c,
            &format!("decide/{name}/256 hot"),
            &snapshot,
            &questions(&shape, 256),
        );
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = decisions
}
criterion_main!(benches);
