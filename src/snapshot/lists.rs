//! Lists of numbers, each once: users who share departments share the list.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Lists end to end: list `n` is `items[starts[n]..starts[n + 1]]`.
#[inline]
pub(crate) fn list<'t>(starts: &[u32], items: &'t [u32], id: u32) -> &'t [u32] {
    let id = id as usize;
    match (starts.get(id), starts.get(id + 1)) {
        (Some(&start), Some(&end)) => items.get(start as usize..end as usize).unwrap_or(&[]),
        _ => &[],
    }
}

/// Gathers lists; list 0 is the empty one.
pub(super) struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
    places: HashMap<Box<[u32]>, u32, FixedState>,
}

// === impl Lists ===

impl Lists {
    pub(super) const EMPTY: u32 = 0;

    pub(super) fn new() -> Self {
        let places = [(Box::default(), Self::EMPTY)].into_iter().collect();
        Self {
            starts: vec![0, 0],
            items: Vec::new(),
            places,
        }
    }

    /// The number of this list.
    pub(super) fn intern(&mut self, list: &[u32]) -> u32 {
        if let Some(&id) = self.places.get(list) {
            return id;
        }
        let id = self.starts.len() as u32 - 1;
        self.items.extend_from_slice(list);
        self.starts.push(self.items.len() as u32);
        self.places.insert(list.into(), id);
        id
    }

    /// The number of the list that holds these, sorted and each once.
    pub(super) fn intern_set(&mut self, members: &mut Vec<u32>) -> u32 {
        members.sort_unstable();
        members.dedup();
        self.intern(members)
    }

    pub(super) fn get(&self, id: u32) -> &[u32] {
        list(&self.starts, &self.items, id)
    }

    pub(super) fn finish(self) -> (Box<[u32]>, Box<[u32]>) {
        (
            self.starts.into_boxed_slice(),
            self.items.into_boxed_slice(),
        )
    }
}
