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
    /// Numbers of lists, found by what the lists hold, each with its hash: a list itself, which
    /// lies somewhere in memory, is looked at only if it is most likely the one.
    places: HashTable<(u32, u32)>,
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
        let hash = hasher.hash_one(members) as u32;
        let is = |&(other, id): &(u32, u32)| other == hash && list(starts, items, id) == members;
        if let Some(&(_, id)) = places.find(spread(hash), is) {
            return id;
        }
        let id = starts.len() as u32 - 1;
        items.extend_from_slice(members);
        starts.push(items.len() as u32);
        places.insert_unique(spread(hash), (hash, id), |&(hash, _)| spread(hash));
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

/// Half a hash as a whole one: the table takes the place from its low bits, a tag from its high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
