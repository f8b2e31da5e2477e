//! Black-box tests: one binary, one module for each part of the house.

mod cases;
mod policy;
mod policy_examples;
