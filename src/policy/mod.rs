//! What people write, read into a [`Policy`] in which every name is resolved.
//!
//! Two stages. Bytes become trees of values or tables of cells, each with its place (`text`, `yaml`,
//! `csv`); these are interpreted and never stop at the first error (`fields` takes them apart, `sink`
//! gathers what is wrong). First all names are gathered and numbered in order (`declare`, `names`),
//! then everything that refers to them is read, one module for each kind of file, straight into the
//! types of `resolved`. `read` and `resolve` hold the parts together.
//!
//! Reading is a function of the files' content alone: no clock, no file system, no time zones but
//! those that callgate brings.

mod cases;
mod catalogue;
mod chains;
mod code;
mod columns;
mod company;
mod conditions;
mod csv;
mod declare;
mod diagnostics;
mod facts;
mod fields;
mod files;
mod grants;
mod json;
mod load;
mod marked;
mod names;
mod objects;
mod order;
mod projects;
mod properties;
mod read;
mod render;
mod resolve;
mod resolved;
mod roles;
mod routes;
mod said;
mod scalar;
mod sink;

mod syntax;
mod text;
mod time;
mod users;
mod vocabulary;
mod word;
mod world;
mod yaml;

pub use code::Code;
pub use diagnostics::{Diagnostic, Diagnostics, Location, Note, NoteKind, PRINTED_MAX, Severity};
pub use files::Files;
pub use read::{Reading, company_files, read_company, read_pack};
pub use resolved::*;
pub use said::Said;

/// Whether a user or an object may have this id.
#[must_use]
pub fn is_id(text: &str) -> bool {
    names::id_fault(text).is_none()
}
