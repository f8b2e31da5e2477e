//! The first page of searches, a filter and an explanation at size L.
//!
//! `cargo bench --bench search`
//!
//! Each question is one of many at random; told are the median, the slowest of a hundred but one,
//! and the slowest.

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
use std::time::{Duration, Instant};

use callgate::decide::search::{self, Window};
use callgate::decide::{self, filter};
use callgate::model::Query;
use callgate::policy;
use callgate::snapshot::Snapshot;
use fastrand::Rng;
use generate::question::{self, Question};
use generate::{Company, Shape};

const SEED: u64 = 1;
const QUESTIONS: usize = 300;
const PAGE: usize = 100;

fn compile(company: &Company) -> Snapshot {
    let reading = policy::read_company(&company.csv_files(), "demo");
    let reading = reading.unwrap_or_else(|errors| panic!("{errors}"));
    Snapshot::compile(&reading.policy).unwrap_or_else(|error| panic!("{error}"))
}

fn measure(name: &str, questions: &[Question], found: impl Fn(&Query<'_>) -> usize) {
    let mut times: Vec<(Duration, usize)> = Vec::new();
    for question in questions {
        let started = Instant::now();
        let found = black_box(found(&question.query()));
        times.push((started.elapsed(), found));
    }
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].0;
    let found = times.iter().map(|(_, found)| found).sum::<usize>() / times.len();
    println!(
        "{name}: median {:.2?}, p99 {:.2?}, at most {:.2?}; {found} found on average",
        at(50),
        at(99),
        at(100)
    );
}

fn main() {
    let shape = Shape::L;
    let snapshot = compile(&Company::generate(&shape, SEED));
    let rng = &mut Rng::with_seed(SEED);
    let questions: Vec<_> = (0..QUESTIONS)
        .map(|_| Question::new(&question::usual(&shape, rng)))
        .collect();
    let window = Window {
        after: None,
        limit: PAGE,
    };
    measure("subjects", &questions, |query| {
        search::subjects(&snapshot, query, window).results.len()
    });
    measure("resources", &questions, |query| {
        search::resources(&snapshot, query, window).results.len()
    });
    measure("actions", &questions, |query| {
        search::actions(&snapshot, query, window).results.len()
    });
    measure("filter", &questions, |query| {
        filter::filter(&snapshot, query).map_or(0, |filter| filter.objects.allow.len())
    });
    measure("explain", &questions, |query| {
        decide::explain(&snapshot, query).suggestions.len()
    });
}
