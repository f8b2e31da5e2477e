//! From the files of a company or pack to its resolved policy.

use super::{Diagnostics, Files, Policy};

/// A policy that was read, and what its author should look at.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What the files say.
    pub policy: Policy,
    /// Things that are allowed, but hardly meant.
    pub warnings: Diagnostics,
}

/// Reads a company: its folder and its pack's.
///
/// # Errors
/// Everything that is wrong in any of its files, at once.
pub fn read_company(files: &Files, company: &str) -> Result<Reading, Diagnostics> {
    let _ = (files, company);
    todo!()
}

/// Reads a pack: catalogue and roles, with the small company that its `tests.yaml` describes.
///
/// # Errors
/// Everything that is wrong in any of its files, at once.
pub fn read_pack(files: &Files, pack: &str) -> Result<Reading, Diagnostics> {
    let _ = (files, pack);
    todo!()
}

/// The files that a company is made of: its folder's and its pack's.
///
/// What is read from equal files is equal: a company whose files did not change need not be read again.
#[must_use]
pub fn company_files(files: &Files, company: &str) -> Files {
    let _ = (files, company);
    todo!()
}
