//! Where snapshots come from, and how one comes to decide.
//!
//! A source is a folder: a policy tree (`companies/`, `packs/`) or compiled snapshots
//! (`*.callgate`). [`Watcher`] looks at it on a thread of its own, compiles what changed, and
//! publishes to [`Companies`](crate::companies::Companies); [`Tree`] reads it once, for the
//! command line.
//!
//! - `listing`: what the folder holds, by name and stamp. `folder`: what of it changed, and its
//!   bytes once it holds still. `candidate`: bytes → snapshot.
//! - `activate`: a candidate's way to `Companies::publish`, with all that may stop it.
//! - `reconcile`: one look, company by company; `notes`: what operators are told. `watcher`: when to look. `hint`: a reason to look
//!   at once.
//!
//! Invariants, stated as absences: nothing here runs on a thread that decides; no snapshot is
//! freed there either; no failure removes or replaces what runs; a hint is never believed, only
//! followed by a look.

mod activate;
mod candidate;
mod error;
mod folder;
mod hint;
mod listing;
mod notes;
mod reconcile;
mod settings;
mod stamp;
mod tree;
mod watcher;

pub use activate::{LoadObserver, Outcome};
pub use candidate::{
    Built, Candidate, FilePlace, Refusal, build, failed_tests_message, file_place, test_place,
};
pub use error::SourceError;
pub use settings::{FailedTests, Kind, ReloadOptions, Settings};
pub use tree::Tree;
pub use watcher::{Handle, Stopped, Watcher};
