//! Lists of numbers, each once: users who share departments share the list.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// The list at `id`: a length and so many members. They lie together, so that a list is one fetch.
/// `None`: no list lies there.
#[inline]
pub(crate) fn find(lists: &[u32], id: u32) -> Option<&[u32]> {
    let (length, rest) = lists.get(id as usize..)?.split_first()?;
    rest.get(..*length as usize)
}

/// As [`find`]; empty where there is no such list.
#[inline]
pub(crate) fn list(lists: &[u32], id: u32) -> &[u32] {
    find(lists, id).unwrap_or(&[])
}

/// Gathers lists; list 0 is the empty one.
pub(super) struct Lists {
    lists: Vec<u32>,
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
            lists: vec![0],
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
            lists,
            places,
            hasher,
        } = self;
        let hash = hasher.hash_one(members) as u32;
        let is = |&(other, id): &(u32, u32)| other == hash && list(lists, id) == members;
        if let Some(&(_, id)) = places.find(spread(hash), is) {
            return id;
        }
        let id = lists.len() as u32;
        lists.push(members.len() as u32);
        lists.extend_from_slice(members);
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
        list(&self.lists, id)
    }

    pub(super) fn finish(self) -> Arc<[u32]> {
        self.lists.into()
    }
}

/// Half a hash as a whole one: the table takes the place from its low bits, a tag from its high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
