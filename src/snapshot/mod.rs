//! Policy → [`Snapshot`]: all that is needed to decide for one company, compiled and immutable.
//!
//! A snapshot is a heap of texts and some thirty tables of fixed-size rows that point at each other
//! by number (`tables`). It is made from a policy (`compile`) or read from a file (`file`); either
//! way the same bytes, and so the same revision, stand for the same policy.

pub mod compare;
mod compile;
mod file;
mod lists;
mod names;
mod roles;
mod strings;
pub(crate) mod tables;
mod words;

use std::fmt::Write as _;

pub use compare::Loss;
pub use file::FormatError;

pub(crate) use names::Kind;
pub(crate) use strings::StrId;
use tables::{DepartmentRow, MetaRow, ObjectRow, PermissionRow, RoleRow, Tables, TypeRow, UserRow};

/// All that is needed to decide for one company.
pub struct Snapshot {
    heap: Box<str>,
    pub(crate) tables: Tables,
    meta: MetaRow,
    digest: String,
}

/// The policy is too large for the tables.
#[derive(Debug, thiserror::Error)]
#[error("too much for a snapshot: {actual} {what}, at most {limit}")]
pub struct CompileError {
    /// What there is too much of.
    pub what: &'static str,
    /// How many there are.
    pub actual: usize,
    /// How many there may be.
    pub limit: usize,
}

/// Hexadecimal digits of the digest that make the revision.
const REVISION_DIGITS: usize = 32;

// === impl Snapshot ===

impl Snapshot {
    fn new(heap: Box<str>, tables: Tables) -> Option<Self> {
        let meta = *tables.meta.first()?;
        let digest = file::content_digest(&heap, &tables).to_hex().to_string();
        Some(Self {
            heap,
            tables,
            meta,
            digest,
        })
    }

    /// The company's name.
    #[must_use]
    pub fn company(&self) -> &str {
        self.text(self.meta.company)
    }

    /// The revision: 32 hexadecimal digits of the content's BLAKE3 digest.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.digest.get(..REVISION_DIGITS).unwrap_or(&self.digest)
    }

    /// The whole BLAKE3 digest of the content, 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Users in it.
    #[must_use]
    pub fn users(&self) -> usize {
        self.tables.users.len()
    }

    /// Registered objects in it.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.tables.objects.len()
    }

    /// Policy tests that it carries.
    #[must_use]
    pub fn tests(&self) -> usize {
        self.tables.expectations.len()
    }

    /// Distinct sets of roles that its users hold.
    #[must_use]
    pub fn role_sets(&self) -> usize {
        self.tables.role_sets.len()
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let mut bytes = self.heap.len();
        self.tables.for_each(|_, _, _, table| bytes += table.len());
        bytes
    }

    /// Tables by name, with rows and bytes: what takes the memory.
    #[must_use]
    pub fn sizes(&self) -> String {
        let mut text = format!("texts {} bytes\n", self.heap.len());
        self.tables.for_each(|_, name, row, bytes| {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{name} {} rows, {} bytes",
                bytes.len() / row,
                bytes.len()
            );
        });
        text
    }

    // What follows is how a decision reads the tables: every look-up is total.

    #[inline]
    pub(crate) fn meta(&self) -> &MetaRow {
        &self.meta
    }

    #[inline]
    pub(crate) fn text(&self, id: u32) -> &str {
        strings::text(&self.heap, StrId(id))
    }

    #[inline]
    pub(crate) fn list(&self, id: u32) -> &[u32] {
        lists::list(&self.tables.list_starts, &self.tables.list_items, id)
    }

    #[inline]
    pub(crate) fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        names::find(&self.tables.names, &self.heap, kind, name)
    }

    /// All names of a kind: where their texts lie, and the numbers that they mean.
    pub(crate) fn names_of(&self, kind: Kind) -> impl Iterator<Item = (u32, u32)> {
        names::of_kind(&self.tables.names, kind)
    }

    #[inline]
    pub(crate) fn user(&self, id: u32) -> Option<&UserRow> {
        self.tables.users.get(id as usize)
    }

    #[inline]
    pub(crate) fn kind(&self, id: u32) -> Option<&TypeRow> {
        self.tables.types.get(id as usize)
    }

    #[inline]
    pub(crate) fn permission(&self, id: u32) -> Option<&PermissionRow> {
        self.tables.permissions.get(id as usize)
    }

    #[inline]
    pub(crate) fn role(&self, id: u32) -> Option<&RoleRow> {
        self.tables.roles.get(id as usize)
    }

    #[inline]
    pub(crate) fn object(&self, id: u32) -> Option<&ObjectRow> {
        self.tables.objects.get(id as usize)
    }

    #[inline]
    pub(crate) fn department(&self, id: u32) -> Option<&DepartmentRow> {
        self.tables.departments.get(id as usize)
    }

    /// The registered objects of a type, by id.
    pub(crate) fn objects_of(&self, kind: u32) -> &[ObjectRow] {
        let objects = &self.tables.objects;
        let first = objects.partition_point(|object| object.kind < kind);
        let end = objects.partition_point(|object| object.kind <= kind);
        objects.get(first..end).unwrap_or(&[])
    }

    /// What a role has for a permission; nothing where there is no such cell.
    #[inline]
    pub(crate) fn role_cell(&self, role: u32, permission: u32) -> u8 {
        self.cell(&self.tables.role_cells, role, permission)
    }

    /// What a role set has for a permission.
    #[inline]
    pub(crate) fn role_set_cell(&self, role_set: u32, permission: u32) -> u8 {
        self.cell(&self.tables.role_set_cells, role_set, permission)
    }

    #[inline]
    fn cell(&self, cells: &[u8], row: u32, permission: u32) -> u8 {
        let at = row as usize * self.meta.permissions as usize + permission as usize;
        cells.get(at).copied().unwrap_or(0)
    }
}
