//! Black-box tests: one crate, so that the library is linked once.

#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

/// Valid JSON that no one in their senses sends.
mod absurd;
/// Who may ask: tokens, certificates, what callers are bound to.
mod access;
/// What may stop an activation, and what is said of it.
mod activation;
/// The admin listener.
mod admin;
/// The engine and the reference evaluator, on random companies.
mod agreement;
/// Requests that are none, each row of the contract's table.
mod bad_input;
/// Several checks in one request.
mod batch;
/// What is kept for a start without the source.
mod cache;
/// Worked cases of the decision model.
mod cases;
/// The subcommands, as processes.
mod cli;
/// What `serve` is told, over the binary.
mod config;
/// The standard's conformance scenario.
mod conformance;
/// Ten thousand connections that say nothing.
mod crowd;
/// Differences between sources.
mod diff;
/// Requests that are answered before hyper sees them.
mod direct;
/// Where callers find the interfaces.
mod discovery;
/// Explanations against checks, and what they suggest against the reference evaluator.
mod explain;
/// Explanations over HTTP, and the pool that gives them.
mod explain_http;
/// Explanations of one small company, read as they are.
mod explained;
/// Filters against checks.
mod filter;
/// A policy tree on disk, and a watcher over it.
mod fixture;
#[path = "../generate/mod.rs"]
mod generate;
/// Who the end user is, by what a proxy passes on.
mod identity;
/// The decision log: what stands in it, and what becomes of it.
mod journal;
/// The decision log, to a collector behind TLS.
mod journal_tls;
/// Suggestions that can be written: made to the files, and compiled anew.
mod lawful;
/// Limits, and clients that run into them beside one that does not.
mod limits;
/// Heads of HTTP/2 that do not come, and idle clients of it.
mod limits_http2;
/// The OpenAPI file against the code.
mod openapi;
/// Who operates what, in a diff.
mod operators;
/// Where lines stand, beside what decides.
mod origins;
/// More than can be answered.
mod overload;
/// What ships: packs, companies, and the pages that lead to them.
mod packs;
/// Policy files that are right: read as they are meant.
mod policy;
/// Policy files that are wrong: what is said of them.
mod policy_errors;
/// The examples of the model's page.
mod policy_examples;
/// `callgate serve` as a process.
mod process;
/// What is said of proxies beside the table of attacks: logs, ages, settings.
mod proxied;
/// What reverse proxies are answered.
mod proxy;
/// Publishing, and what reads what was published.
mod publish;
/// One process that takes over from another.
mod replacement;
/// Routes: HTTP requests as checks.
mod routes;
/// Calls by gRPC: Envoy's external authorization, health.
mod rpc;
/// Searches against checks.
mod search;
/// `callgate search`, as a process, and what roles say.
mod search_cli;
/// Searches over HTTP, page by page.
mod search_http;
/// The whole of `serve`, as a process over a policy tree.
mod serve;
/// The decision listener.
mod server;
/// A service to test, and a client that sees every byte.
mod service;
/// Failing cases, cut down.
mod shrink;
/// The snapshot file: damage, lies, and writers that die.
mod snapshot_file;
/// Spans of requests, in a build that sends them.
#[cfg(feature = "otlp")]
mod spans;
/// Changes made in every way, and that they are live.
mod swap;
/// Targets of requests, and the attacks that they can be.
mod targets;
/// Rules of the house.
mod tidy;
/// TLS, and callers known by certificates.
mod tls;
/// What the log tells of activations and of the shadow.
mod told;
/// Snapshots that travel: envelopes, generations, ages, the shadow.
mod travel;
/// Web servers as sources: what a change costs, and servers that are wrong.
mod web;
