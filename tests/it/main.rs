//! Black-box tests: one crate, so that the library is linked once.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

/// The engine and the reference evaluator, on random companies.
mod agreement;
/// Worked cases of the decision model.
mod cases;
#[path = "../generate/mod.rs"]
mod generate;
/// Policy files that are right: read as they are meant.
mod policy;
/// Policy files that are wrong: what is said of them.
mod policy_errors;
/// The examples of the model's page.
mod policy_examples;
/// Searches against checks.
mod search;
/// Rules of the house.
mod tidy;
