//! callgate answers one question: *may this user do this to that?*
//!
//! # The way through
//!
//! Policy files become answers in four steps, each of which is one folder:
//!
//! ```text
//! written policy ──▶ resolved policy ──▶ snapshot ──▶ decision ──▶ bytes
//!      files       policy::Policy    snapshot::Snapshot  model::Reason
//!
//! a request:  bytes ──▶ EvaluationRequest ──▶ model::Query ──▶ decide::check ──▶ bytes
//! a change:   files ──▶ Policy ──▶ Snapshot ──▶ its tests are replayed ──▶ companies.publish
//! ```
//!
//! # The map
//!
//! | module | what it is | what it never does |
//! | --- | --- | --- |
//! | [`model`] | the words: ids, queries, values, reasons | depend on anything but `std` |
//! | [`policy`] | what people write, read into a policy with every name resolved; the errors they see | touch the file system |
//! | [`snapshot`] | policy → tables; the snapshot file | decide |
//! | [`decide`] | pure functions over a snapshot; the rule stands in `decide/check.rs` | I/O, clocks, locks, allocation |
//! | [`oracle`] | a second, naive reading of the rule, for tests to compare with | run in the service |
//! | [`companies`] | company → the snapshot that now decides | read files, know of HTTP |
//! | [`source`] | where snapshots come from; activation | know of HTTP |
//! | [`access`] | who may ask: TLS, certificates, tokens, what callers are bound to | know of HTTP |
//! | [`identity`] | who the end user is whose request a proxy asks about: headers, tokens and their keys, certificates | know of callgate's server |
//! | [`server`] | listeners, wire types, admin | read policies |
//! | [`journal`] | the decision log: queues, lines, where they go | wait where a decision is made |
//! | [`outbound`] | servers that callgate asks: by which authorities they are known | know what they are asked |
//! | [`telemetry`] | metrics | hold what could name a person |
//! | [`config`] | flags, variables and file → settings | read policies |
//! | [`cli`] | one file a subcommand | decide |
//!
//! An import only points down this list's arrows; `tests/it/tidy.rs` holds it.
//!
//! # Invariants
//!
//! - A decision has no clock (time is part of the question), takes no lock, does no I/O, allocates
//!   nothing and cannot fail.
//! - A request loads its snapshot once, and so does a batch. No answer comes from two snapshots.
//! - Only activation publishes. A bad file never replaces a good snapshot, and a snapshot that
//!   fails one of its own tests never goes live unless an operator says so.
//! - Without a snapshot there is no answer: 503, and to a proxy a deny. Unknown names deny.
//! - A deny is a decision, with HTTP 200. 4xx is malformed input, 5xx is our fault.
//! - The rule stands once: whatever else is asked (explanations, replayed tests) asks
//!   [`decide::check()`]. The only second copy is [`oracle`].
//! - The same files make the same bytes and the same revision, in whatever order they were written
//!   or read, on any machine.

pub mod access;
pub mod cli;
pub mod companies;
pub mod config;
pub mod decide;
pub mod identity;
pub mod journal;
pub mod model;
#[doc(hidden)]
pub mod oracle;
pub mod outbound;
pub mod policy;
pub mod server;
pub mod snapshot;
pub mod source;
pub mod telemetry;
