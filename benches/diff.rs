//! What differs between two companies of size L, by their compiled tables.
//!
//! `cargo bench --bench diff`

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

use callgate::policy;
use callgate::snapshot::Snapshot;
use generate::{Company, Shape};
use serde_json::{Value, json};

fn compile(company: &Company) -> Snapshot {
    let reading = policy::read_company(&company.csv_files(), "demo");
    let reading = reading.unwrap_or_else(|errors| panic!("{errors}"));
    Snapshot::compile(&reading.policy).unwrap_or_else(|error| panic!("{error}"))
}

fn measure(name: &str, old: &Snapshot, new: &Snapshot) {
    let mut times = Vec::new();
    let mut found = String::new();
    for _ in 0..3 {
        let started = Instant::now();
        let diff = old.diff(new);
        times.push(format!("{:.0?}", started.elapsed()));
        let effects = diff.gains.len() + diff.losses.len();
        found = format!("{effects} effects, {} changes", diff.changes.len());
    }
    let started = Instant::now();
    let impact = old.impact(new);
    let took = started.elapsed();
    println!("{name}: {}; {found}", times.join(", "));
    println!("  in numbers alone: {took:.0?}; {impact:?}");
}

fn main() {
    let company = Company::generate(&Shape::L, 1);
    let old = compile(&company);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut company = company.clone();
        change(&mut company.0);
        compile(&company)
    };
    // Half of the grants of a role that everybody has.
    let new = changed(&|company| {
        company["roles"]["roles"]
            .as_array_mut()
            .unwrap()
            .last_mut()
            .unwrap()["grants"]["report"] = json!("any");
    });
    measure("one role of everybody", &old, &new);
    let new = changed(&|company| {
        for n in (0..200_000).step_by(200) {
            company["users"]["users"][n]["roles"] = json!(["admin", "r7"]);
            company["users"]["users"][n]["departments"] = json!(["d1"]);
        }
        for n in (0..100_000).step_by(200) {
            company["objects"]["objects"][n]["owner"] = json!("u5");
        }
    });
    measure("1,000 users and 500 objects", &old, &new);
    let new = changed(&|company| company["company"]["security"] = json!("simple"));
    measure("security alone", &old, &new);
    let new = changed(&|company| {
        company["users"]["users"]
            .as_array_mut()
            .unwrap()
            .remove(100_000);
    });
    measure("one user less", &old, &new);
    let new = compile(&Company::generate(&Shape::L, 2));
    measure("another company altogether", &old, &new);
}
