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
/// The decision listener.
mod server;
mod service;
