//! Files → policy → snapshot at size L, from CSV: time and memory.
//!
//! `cargo bench --bench compile`

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

#[path = "../tests/generate/mod.rs"]
mod generate;

use std::time::Instant;

use callgate::{policy, snapshot::Snapshot};
use generate::{Company, Shape};

fn main() {
    for (name, shape) in [("S", Shape::S), ("M", Shape::M), ("L", Shape::L)] {
        let files = Company::generate(&shape, 1).csv_files();
        for _ in 0..3 {
            let started = Instant::now();
            let reading =
                policy::read_company(&files, "demo").unwrap_or_else(|errors| panic!("{errors}"));
            let read = started.elapsed();
            let snapshot =
                Snapshot::compile(&reading.policy).unwrap_or_else(|error| panic!("{error}"));
            let all = started.elapsed();
            println!(
                "{name}: read {read:.2?}, compile {:.2?}, together {all:.2?}; {} users, {} role sets, {:.1} MB, {}",
                all - read,
                snapshot.users(),
                snapshot.role_sets(),
                snapshot.size_bytes() as f64 / 1e6,
                snapshot.revision(),
            );
        }
        if std::env::args().any(|arg| arg == "--tables") {
            let reading =
                policy::read_company(&files, "demo").unwrap_or_else(|errors| panic!("{errors}"));
            let snapshot =
                Snapshot::compile(&reading.policy).unwrap_or_else(|error| panic!("{error}"));
            for section in snapshot.sections() {
                println!("{} {} bytes", section.name, section.bytes);
            }
        }
    }
}
