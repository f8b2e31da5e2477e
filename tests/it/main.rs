//! Black-box tests: one crate, since each would link the library again.

mod activation; // what may stop an activation, and what is said of it
mod cli; // the subcommands, as processes
mod fixture; // a policy tree on disk, and a watcher over it
mod swap; // changes made in every way, and that they are live
