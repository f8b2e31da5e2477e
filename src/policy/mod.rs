//! What people write, read into a [`Policy`] in which every name is resolved.

mod code;
mod diagnostics;
mod files;
mod read;
mod render;
mod resolved;

pub use code::Code;
pub use diagnostics::{Diagnostic, Diagnostics, Location, Note, NoteKind, PRINTED_MAX, Severity};
pub use files::Files;
pub use read::{Reading, company_files, read_company, read_pack};
pub use resolved::*;
