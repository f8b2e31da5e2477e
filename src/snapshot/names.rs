//! Names → numbers, by one hash table over names of every kind.
//!
//! Open addressing with linear probing over a power of two of slots, at most three quarters of them
//! taken. Keys come from policy files alone, so that no request can make a probe long.

use rapidhash::v3::{DEFAULT_RAPID_SECRETS, rapidhash_v3_nano_inline};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::strings::{self, StrId};

/// What a name is a name of. It is part of the key: a group and a role may share a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind(u32);

/// One name, or nothing.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Slot {
    /// High half of the hash: most slots that are not meant differ here already.
    tag: u32,
    /// The kind; [`Kind::NOTHING`] in an empty slot.
    kind: u32,
    name: u32,
    value: u32,
}

// === impl Kind ===

impl Kind {
    const NOTHING: u32 = u32::MAX;
    pub(crate) const USER: Self = Self(0);
    pub(crate) const TYPE: Self = Self(1);
    pub(crate) const ROLE: Self = Self(2);
    pub(crate) const GROUP: Self = Self(3);
    pub(crate) const DEPARTMENT: Self = Self(4);
    pub(crate) const PROJECT: Self = Self(5);

    /// Actions of a resource type.
    #[inline]
    pub(crate) const fn action_of(kind: u32) -> Self {
        Self(6 + 2 * kind)
    }

    /// Objects of a resource type.
    #[inline]
    pub(crate) const fn object_of(kind: u32) -> Self {
        Self(7 + 2 * kind)
    }
}

/// The kind's number times this is spread over all bits (the golden ratio's).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn hash(kind: Kind, name: &str) -> u64 {
    let of_name = rapidhash_v3_nano_inline::<true, false>(name.as_bytes(), &DEFAULT_RAPID_SECRETS);
    of_name ^ u64::from(kind.0).wrapping_mul(SPREAD)
}

/// The number of this name, if it is one of this kind.
#[inline]
pub(crate) fn find(slots: &[Slot], heap: &str, kind: Kind, name: &str) -> Option<u32> {
    let mask = slots.len().checked_sub(1)?;
    let hash = hash(kind, name);
    let tag = (hash >> 32) as u32;
    let mut at = hash as usize & mask;
    // A table always has an empty slot; the bound holds should a file say otherwise.
    for _ in 0..slots.len() {
        let slot = slots.get(at)?;
        if slot.kind == Kind::NOTHING {
            return None;
        }
        if slot.tag == tag && slot.kind == kind.0 && strings::is(heap, StrId(slot.name), name) {
            return Some(slot.value);
        }
        at = (at + 1) & mask;
    }
    None
}

/// All names of a kind: where their texts lie, and the numbers that they mean.
pub(crate) fn of_kind(slots: &[Slot], kind: Kind) -> impl Iterator<Item = (u32, u32)> {
    let slots = slots.iter().filter(move |slot| slot.kind == kind.0);
    slots.map(|slot| (slot.name, slot.value))
}

/// Makes the table. The same entries in the same order make the same table.
#[expect(
    clippy::indexing_slicing,
    reason = "every index is masked by the table's size less one"
)]
pub(super) fn table(entries: &[(Kind, &str, StrId, u32)]) -> Box<[Slot]> {
    let size = (entries.len() * 4 / 3 + 1).next_power_of_two();
    let empty = Slot {
        tag: 0,
        kind: Kind::NOTHING,
        name: 0,
        value: 0,
    };
    let mut slots = vec![empty; size].into_boxed_slice();
    let mask = size - 1;
    for &(kind, text, name, value) in entries {
        let hash = hash(kind, text);
        let mut at = hash as usize & mask;
        while slots[at].kind != Kind::NOTHING {
            at = (at + 1) & mask;
        }
        slots[at] = Slot {
            tag: (hash >> 32) as u32,
            kind: kind.0,
            name: name.0,
            value,
        };
    }
    slots
}
