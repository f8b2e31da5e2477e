//! Black-box tests: one crate, so that the library is linked once.

/// The admin listener.
mod admin;
/// The engine and the reference evaluator, on random companies.
mod agreement;
/// Requests that are none, each row of the contract's table.
mod bad_input;
/// Worked cases of the decision model.
mod cases;
/// What `serve` is told, over the binary.
mod config;
#[path = "../generate/mod.rs"]
mod generate;
/// Policy files that are right: read as they are meant.
mod policy;
/// Policy files that are wrong: what is said of them.
mod policy_errors;
/// The examples of the model's page.
mod policy_examples;
/// The decision listener.
mod server;
/// A service to test, and a client that sees every byte.
mod service;
/// Rules of the house.
mod tidy;
