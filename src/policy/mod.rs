//! What people write, read into a [`Policy`] in which every name is resolved.

mod cases;
mod chains;
mod code;
mod columns;
mod company;
mod conditions;
mod csv;
mod declare;
mod diagnostics;
mod fields;
mod files;
mod json;
mod load;
mod names;
mod objects;
mod projects;
mod properties;
mod read;
mod render;
mod resolve;
mod resolved;
mod roles;
mod routes;
mod scalar;
mod sink;

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
