//! Text, each once, in one heap.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::CompileError;
use crate::model::same;

/// A text's place in the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StrId(pub(crate) u32);

/// The length before each text takes this many bytes of 7 bits, least first. Being ASCII, they
/// keep the heap as a whole UTF-8, so that it is checked once, when it is read.
const PREFIX_BYTES: usize = 3;
const TEXT_BYTES_MAX: usize = 1 << (7 * PREFIX_BYTES);

/// The text at `id`; empty where there is none.
#[inline]
pub(crate) fn text(heap: &str, id: StrId) -> &str {
    let start = id.0 as usize;
    let Some(&[a, b, c]) = heap.as_bytes().get(start..start + PREFIX_BYTES) else {
        return "";
    };
    let length = usize::from(a) | usize::from(b) << 7 | usize::from(c) << 14;
    let start = start + PREFIX_BYTES;
    heap.get(start..start + length).unwrap_or("")
}

/// Whether the text at `id` is this one. By bytes: no need to see where characters begin.
#[inline]
pub(crate) fn is(heap: &str, id: StrId, name: &str) -> bool {
    let start = id.0 as usize;
    let Some(&[a, b, c]) = heap.as_bytes().get(start..start + PREFIX_BYTES) else {
        return false;
    };
    let length = usize::from(a) | usize::from(b) << 7 | usize::from(c) << 14;
    let start = start + PREFIX_BYTES;
    length == name.len()
        && (heap.as_bytes().get(start..start + length))
            .is_some_and(|text| same(text, name.as_bytes()))
}

/// Gathers texts into a heap; equal texts share a place.
#[derive(Default)]
pub(super) struct Interner<'p> {
    heap: String,
    places: HashMap<&'p str, StrId, FixedState>,
    too_large: Option<CompileError>,
}

// === impl Interner ===

impl<'p> Interner<'p> {
    /// The place of `text`.
    pub(super) fn intern(&mut self, text: &'p str) -> StrId {
        if let Some(&id) = self.places.get(text) {
            return id;
        }
        let id = self.append(text);
        self.places.insert(text, id);
        id
    }

    /// The place of a text that is in no other place: an id, of which there is one.
    pub(super) fn place(&mut self, text: &str) -> StrId {
        self.append(text)
    }

    /// The heap, unless it or a text of it was too large.
    pub(super) fn finish(self) -> Result<Arc<str>, CompileError> {
        match self.too_large {
            Some(error) => Err(error),
            None => Ok(self.heap.into()),
        }
    }

    fn append(&mut self, text: &str) -> StrId {
        let (start, length) = (self.heap.len(), text.len());
        if length >= TEXT_BYTES_MAX {
            self.refuse("bytes in one text", length, TEXT_BYTES_MAX - 1);
        }
        let Ok(id) = u32::try_from(start) else {
            self.refuse("bytes of text", start, u32::MAX as usize);
            return StrId(0);
        };
        for shift in [0, 7, 14] {
            self.heap.push(char::from((length >> shift) as u8 & 0x7f));
        }
        self.heap.push_str(text);
        StrId(id)
    }

    fn refuse(&mut self, what: &'static str, actual: usize, limit: usize) {
        self.too_large.get_or_insert(CompileError {
            what,
            actual,
            limit,
        });
    }
}
