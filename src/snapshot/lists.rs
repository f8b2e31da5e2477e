//! Lists of numbers, each once: users who share departments share the list.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Lists end to end: list `n` is `items[starts[n]..starts[n + 1]]`. `None`: no list has the number.
#[inline]
pub(crate) fn find<'t>(starts: &[u32], items: &'t [u32], id: u32) -> Option<&'t [u32]> {
    let id = id as usize;
    match (starts.get(id), starts.get(id + 1)) {
        (Some(&start), Some(&end)) => items.get(start as usize..end as usize).or(Some(&[])),
        _ => None,
    }
}

/// As [`find`]; empty where there is no such list.
#[inline]
pub(crate) fn list<'t>(starts: &[u32], items: &'t [u32], id: u32) -> &'t [u32] {
    find(starts, items, id).unwrap_or(&[])
}

/// Gathers lists; list 0 is the empty one.
pub(super) struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
    /// Numbers of lists, found by what the lists hold.
    places: HashTable<u32>,
    hasher: FixedState,
}

// === impl Lists ===

impl Lists {
    const EMPTY: u32 = 0;

    pub(super) fn new() -> Self {
        Self {
            starts: vec![0, 0],
            items: Vec::new(),
            places: HashTable::new(),
            hasher: FixedState::default(),
        }
    }

    /// The number of this list.
    pub(super) fn intern(&mut self, members: &[u32]) -> u32 {
        if members.is_empty() {
            return Self::EMPTY;
        }
        let Self {
            starts,
            items,
            places,
            hasher,
        } = self;
        let hash = hasher.hash_one(members);
        if let Some(&id) = places.find(hash, |&id| list(starts, items, id) == members) {
            return id;
        }
        let id = starts.len() as u32 - 1;
        items.extend_from_slice(members);
        starts.push(items.len() as u32);
        places.insert_unique(hash, id, |&id| hasher.hash_one(list(starts, items, id)));
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

    pub(super) fn finish(self) -> (Arc<[u32]>, Arc<[u32]>) {
        (self.starts.into(), self.items.into())
    }
}
