//! Black-box tests: one crate, so that the library is linked once.

/// The engine and the reference evaluator, on random companies.
mod agreement;
/// Worked cases of the decision model.
mod cases;
#[path = "../generate/mod.rs"]
mod generate;
