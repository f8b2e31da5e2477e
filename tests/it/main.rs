//! Black-box tests: one crate, so that the library is linked once.

/// The engine and the reference evaluator, on random companies.
mod agreement;
#[path = "../generate/mod.rs"]
mod generate;
