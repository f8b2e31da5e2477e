//! Black-box tests: one crate, one module a topic.

mod cases;
