//! Where snapshots come from, and how one comes to decide.
//!
//! A source is a folder, with a policy tree (`companies/`, `packs/`) or compiled snapshots
//! (`*.callgate`), or a place where snapshots are published (`remote`). [`Watcher`] looks at it on a thread of its own, compiles what changed, and
//! publishes to [`Companies`](crate::companies::Companies); [`Tree`] reads it once, for the
//! command line.
//!
//! - `listing`: what the folder holds, by name and stamp. `folder`: what of it changed, and its
//!   bytes once it holds still. `candidate`: bytes → snapshot.
//! - `remote`: what was published elsewhere, and publishing. `cache`: what ran last, for a start
//!   without the source.
//! - `activate`: a candidate's way to `Companies::publish`, with all that may stop it.
//! - `reconcile`: one look, company by company; `notes`: what operators are told. `janitor`:
//!   who frees what decides no more. `watcher`: when to look. `hint`: a reason to look
//!   at once. `aside`: work that gives way to those that decide.
//!
//! Invariants, stated as absences: nothing here runs on a thread that decides; no snapshot is
//! freed there either; no failure removes or replaces what runs; a hint is never believed, only
//! followed by a look.

mod activate;
mod aside;
mod cache;
mod candidate;
mod error;
mod folder;
mod hint;
mod janitor;
mod listing;
mod notes;
mod reconcile;
mod remote;
mod settings;
mod stamp;
mod tree;
mod watcher;
mod whole;

pub use activate::{LoadObserver, Outcome};
pub use candidate::{
    Built, Candidate, FilePlace, Refusal, build, failed_tests_message, file_place, test_place,
};
pub use error::SourceError;
pub use remote::{Published, Publisher};
pub use settings::{FailedTests, Kind, ReloadOptions, Settings};
pub use tree::Tree;
pub use watcher::{Handle, Stopped, Watcher};
pub use whole::write_whole;
