//! Policy → [`Snapshot`]: all that is needed to decide for one company, compiled and immutable.
//!
//! A snapshot is a heap of texts and some thirty tables of fixed-size rows that point at each other
//! by number (`tables`). It is made from a policy (`compile`) or read from a file (`file`); either
//! way the same bytes, and so the same revision, stand for the same policy.

pub mod compare;
mod compile;
mod delta;
mod envelope;
mod file;
mod keys;
mod lawful;
mod lists;
mod names;
pub(crate) mod origins;
mod pairs;
mod reader;
mod roles;
mod shortcuts;
mod sound;
mod strings;
mod suppose;
pub(crate) mod tables;
mod walls;
pub(crate) mod words;

use std::sync::Arc;

pub use compare::Loss;
pub use delta::{Delta, DeltaError};
pub use envelope::{Envelope, GENERATION_MAX, OpenError, SealError, Statement, Trust};
pub use file::{FileMap, FormatError, ReadError, Section, VERSION};
pub use keys::{KeyError, PrivateKey, PublicKey, Signature};

pub(crate) use lawful::{OwnRoles, Refused};
pub(crate) use names::Kind;
use origins::Origins;
pub(crate) use shortcuts::{Shortcuts, Told};
pub(crate) use strings::StrId;
use suppose::Supposed;
pub(crate) use suppose::{Change, Supposition};
use tables::{
    ConditionalRow, DepartmentRow, MetaRow, ObjectRow, PermissionRow, RoleRow, Tables, TypeRow,
    UserRow,
};
pub(crate) use walls::{ANY_CLASSES, Classes, NO_CLASSES, Outline};

/// All that is needed to decide for one company.
pub struct Snapshot {
    heap: Arc<str>,
    pub(crate) tables: Tables,
    /// Where in the files it stands; nothing that decides.
    pub(crate) origins: Origins,
    meta: MetaRow,
    shortcuts: Arc<Shortcuts>,
    digest: String,
    file_digest: String,
    /// What is otherwise, if this is a supposition.
    supposed: Option<Box<Supposed>>,
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
    fn new(heap: Arc<str>, tables: Tables, origins: Origins) -> Option<Self> {
        let digests = file::digested(&heap, &tables, &origins);
        Self::assemble(heap, tables, origins, digests.content, digests.whole)
    }

    /// As [`Snapshot::new`], where the digests are known.
    fn assemble(
        heap: Arc<str>,
        tables: Tables,
        origins: Origins,
        content: blake3::Hash,
        whole: blake3::Hash,
    ) -> Option<Self> {
        Some(Self {
            shortcuts: Arc::new(Shortcuts::new(&heap, &tables)),
            meta: *tables.meta.first()?,
            heap,
            tables,
            origins,
            digest: content.to_hex().to_string(),
            file_digest: whole.to_hex().to_string(),
            supposed: None,
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

    /// The BLAKE3 digest of all that the snapshot's file says, 64 hexadecimal digits. With the same
    /// content it may still differ: by where in the policy's files things stand.
    #[must_use]
    pub fn file_digest(&self) -> &str {
        &self.file_digest
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
        let mut add = |_, _: &str, _, table: &[u8]| bytes += table.len();
        self.tables.for_each(&mut add);
        self.origins.for_each(&mut add);
        bytes
    }

    // What follows is how a decision reads the tables: every look-up is total.

    #[inline]
    pub(crate) fn meta(&self) -> &MetaRow {
        &self.meta
    }

    #[inline]
    pub(crate) fn shortcuts(&self) -> &Shortcuts {
        &self.shortcuts
    }

    #[inline]
    pub(crate) fn text(&self, id: u32) -> &str {
        strings::text(&self.heap, StrId(id))
    }

    /// Whether the text at `id` is this one.
    #[inline]
    pub(crate) fn text_is(&self, id: u32, text: &str) -> bool {
        strings::is(&self.heap, StrId(id), text)
    }

    #[inline]
    pub(crate) fn list(&self, id: u32) -> &[u32] {
        match lists::find(&self.tables.lists, id) {
            Some(list) => list,
            None => self.supposed_list(id),
        }
    }

    #[inline]
    pub(crate) fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        Some(self.find_classed(kind, name)?.0)
    }

    /// As [`Snapshot::find`]; of an object with the classes of its projects.
    #[inline]
    pub(crate) fn find_classed(&self, kind: Kind, name: &str) -> Option<(u32, Classes)> {
        match names::find(&self.tables.names, &self.heap, kind, name) {
            None => Some((self.supposed_name(kind, name)?, ANY_CLASSES)),
            Some(slot) => Some((slot.value, slot.classes())),
        }
    }

    /// All names of a kind: where their texts lie, and the numbers that they mean.
    pub(crate) fn names_of(&self, kind: Kind) -> impl Iterator<Item = (u32, u32)> {
        names::of_kind(&self.tables.names, kind)
    }

    #[inline]
    pub(crate) fn user(&self, id: u32) -> Option<&UserRow> {
        match &self.supposed {
            None => self.tables.users.get(id as usize),
            Some(supposed) => supposed.user(id).or(self.tables.users.get(id as usize)),
        }
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
        match &self.supposed {
            None => self.tables.objects.get(id as usize),
            Some(supposed) => supposed.object(id).or(self.tables.objects.get(id as usize)),
        }
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

    /// What a role grants or denies under conditions, of a permission.
    #[inline]
    pub(crate) fn conditional(&self, role: u32, permission: u32) -> &[ConditionalRow] {
        let at = role as usize * self.meta.permissions as usize + permission as usize;
        self.shortcuts.conditional(at).of(&self.tables.conditional)
    }

    #[inline]
    fn cell(&self, cells: &[u8], row: u32, permission: u32) -> u8 {
        let at = row as usize * self.meta.permissions as usize + permission as usize;
        cells.get(at).copied().unwrap_or(0)
    }
}
