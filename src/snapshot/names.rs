//! Names → numbers, by one hash table over names of every kind.
//!
//! Open addressing with linear probing, three quarters of the slots taken. A slot holds a short
//! name itself, as two words, so that most names are found by one fetch and told by four
//! comparisons, whatever their length. Keys come from policy files alone, so that no request can
//! make a probe long.

use rapidhash::v3::{DEFAULT_RAPID_SECRETS, rapidhash_v3_nano_inline};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::strings::{self, StrId};

/// What a name is a name of. It is part of the key: a group and a role may share a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind(u32);

/// One name, or nothing. Two slots make a cache line.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(32))]
pub(crate) struct Slot {
    /// See [`Key`].
    words: [u64; 2],
    length: u32,
    /// The kind; [`Kind::NOTHING`] in an empty slot.
    kind: u32,
    name: u32,
    value: u32,
}

/// A name as slots hold it. With the length, the words of a name of at most [`SHORT_MAX`] bytes
/// say all of it: its first and its last bytes, which meet or overlap. Those of a longer one are
/// its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    words: [u64; 2],
    length: u32,
}

/// Longer names are looked at where they lie.
const SHORT_MAX: usize = 16;

// === impl Kind ===

impl Kind {
    const NOTHING: u32 = u32::MAX;
    pub(crate) const USER: Self = Self(0);
    pub(crate) const TYPE: Self = Self(1);
    pub(crate) const ROLE: Self = Self(2);
    pub(crate) const GROUP: Self = Self(3);
    pub(crate) const DEPARTMENT: Self = Self(4);
    pub(crate) const PROJECT: Self = Self(5);

    /// Actions of a resource type, whose number a strange file may make any.
    #[inline]
    pub(crate) const fn action_of(kind: u32) -> Self {
        Self(kind.wrapping_mul(2).wrapping_add(6))
    }

    /// Objects of a resource type.
    #[inline]
    pub(crate) const fn object_of(kind: u32) -> Self {
        Self(kind.wrapping_mul(2).wrapping_add(7))
    }
}

// === impl Key ===

impl Key {
    #[inline(always)]
    fn new(name: &str) -> Self {
        let bytes = name.as_bytes();
        let words = match bytes.len() {
            8..=SHORT_MAX => [
                u64::from_le_bytes(first(bytes)),
                u64::from_le_bytes(last(bytes)),
            ],
            4..8 => [
                u32::from_le_bytes(first(bytes)).into(),
                u32::from_le_bytes(last(bytes)).into(),
            ],
            2 | 3 => [
                u16::from_le_bytes(first(bytes)).into(),
                u16::from_le_bytes(last(bytes)).into(),
            ],
            0 | 1 => [u64::from(bytes.first().copied().unwrap_or(0)), 0],
            _ => [
                rapidhash_v3_nano_inline::<true, false>(bytes, &DEFAULT_RAPID_SECRETS),
                0,
            ],
        };
        // What is too long for a length is no name, and a text's bound is far below.
        let length = bytes.len() as u32;
        Self { words, length }
    }

    /// The key of a short name, which says all of it.
    #[inline(always)]
    pub(super) fn short(name: &str) -> Option<Self> {
        (name.len() <= SHORT_MAX).then(|| Self::new(name))
    }

    /// A hash of two names.
    #[inline]
    pub(super) fn mixed(self, other: Self) -> u64 {
        let [a, b] = [self, other].map(|key| key.words[0] ^ key.words[1].rotate_left(29));
        folded(a ^ 0xff51_afd7_ed55_8ccd, b ^ 0xffc4_ceb9_fe1a_85ec)
    }

    /// Where to look first among so many slots.
    #[inline]
    fn place(self, kind: Kind, slots: usize) -> usize {
        // Text never holds the byte 0xff, so that of a short name neither factor can be 0.
        let [a, b] = self.words;
        let mixed = folded(a ^ 0xff51_afd7_ed55_8ccd, b ^ 0xffc4_ceb9_fe1a_85ec);
        let of = u64::from(kind.0) << 32 | u64::from(self.length);
        let hash = folded(mixed ^ of, 0x9e37_79b9_7f4a_7c15);
        ((u128::from(hash) * slots as u128) >> 64) as usize
    }
}

/// The first bytes; zeros where there are not so many.
#[inline(always)]
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// The last bytes, likewise.
#[inline(always)]
fn last<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.last_chunk().copied().unwrap_or([0; N])
}

/// The halves of a product, each bit of which depends on most bits of both factors.
#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The number of this name, if it is one of this kind.
#[inline]
pub(crate) fn find(slots: &[Slot], heap: &str, kind: Kind, name: &str) -> Option<u32> {
    if name.len() > SHORT_MAX {
        return find_long(slots, heap, kind, name);
    }
    search(slots, kind, Key::new(name), |_| true)
}

/// As [`find`]; the text itself is looked at, too.
#[inline(never)]
fn find_long(slots: &[Slot], heap: &str, kind: Kind, name: &str) -> Option<u32> {
    let is = |slot: &Slot| strings::is(heap, StrId(slot.name), name);
    search(slots, kind, Key::new(name), is)
}

/// The number in the first slot of this kind and key for which `is` holds.
#[inline(always)]
fn search(slots: &[Slot], kind: Kind, key: Key, is: impl Fn(&Slot) -> bool) -> Option<u32> {
    let mut at = key.place(kind, slots.len());
    // A table always has an empty slot; the bound holds should a file say otherwise.
    for _ in 0..slots.len() {
        let slot = slots.get(at)?;
        let [a, b] = key.words;
        let [c, d] = slot.words;
        let of = (slot.length ^ key.length) | (slot.kind ^ kind.0);
        if (a ^ c) | (b ^ d) | u64::from(of) == 0 {
            if is(slot) {
                return Some(slot.value);
            }
        } else if slot.kind == Kind::NOTHING {
            return None;
        }
        at = if at + 1 == slots.len() { 0 } else { at + 1 };
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
    reason = "every index is below the table's size"
)]
pub(super) fn table(entries: &[(Kind, &str, StrId, u32)]) -> Box<[Slot]> {
    let size = entries.len() * 4 / 3 + 1;
    let empty = Slot {
        words: [0; 2],
        length: 0,
        kind: Kind::NOTHING,
        name: 0,
        value: 0,
    };
    let mut slots = vec![empty; size].into_boxed_slice();
    for &(kind, text, name, value) in entries {
        let key = Key::new(text);
        let mut at = key.place(kind, size);
        while slots[at].kind != Kind::NOTHING {
            at = if at + 1 == size { 0 } else { at + 1 };
        }
        slots[at] = Slot {
            words: key.words,
            length: key.length,
            kind: kind.0,
            name: name.0,
            value,
        };
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_told_by_their_words() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut name = || -> String {
            let length = rng.usize(0..=SHORT_MAX);
            (0..length)
                .map(|_| rng.choice(['a', 'b']).unwrap())
                .collect()
        };
        for _ in 0..200_000 {
            let (a, b) = (name(), name());
            assert_eq!(Key::new(&a) == Key::new(&b), a == b, "{a} {b}");
        }
    }

    #[test]
    fn names_of_all_lengths_are_found_and_no_others() {
        let texts: Vec<String> = (0..20_000)
            .map(|n| format!("{n}").repeat(1 + n % 5))
            .collect();
        let mut heap = String::new();
        let mut entries = Vec::new();
        for (text, n) in texts.iter().zip(0..) {
            let at = StrId(heap.len() as u32);
            heap.extend([0, 7, 14].map(|shift| char::from((text.len() >> shift) as u8 & 0x7f)));
            heap.push_str(text);
            entries.push((Kind(n % 3), text.as_str(), at, n));
        }
        let slots = table(&entries);
        for &(kind, text, _, value) in &entries {
            assert_eq!(find(&slots, &heap, kind, text), Some(value));
            assert_eq!(find(&slots, &heap, Kind(kind.0 + 3), text), None);
            assert_eq!(find(&slots, &heap, kind, &format!("{text}x")), None);
        }
        let way = |entry: &(Kind, &str, StrId, u32)| {
            let place = Key::new(entry.1).place(entry.0, slots.len());
            let mut all = slots.iter().cycle().skip(place);
            all.position(|slot| slot.value == entry.3).unwrap()
        };
        let ways: usize = entries.iter().map(way).sum();
        assert!(
            ways < entries.len() * 2,
            "{ways} steps for {} names",
            entries.len()
        );
    }
}
