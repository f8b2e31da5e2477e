//! Names → numbers, by one hash table over names of every kind.
//!
//! Open addressing with linear probing, three quarters of the slots taken. A slot holds a short
//! name itself, as two words, so that most names are found by one fetch and told by three
//! comparisons, whatever their length. Keys come from policy files alone, so that no request can
//! make a probe long.

use rapidhash::v3::{DEFAULT_RAPID_SECRETS, rapidhash_v3_nano_inline};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::strings::{self, StrId};
use super::walls::{self, ANY_CLASSES, Classes};

/// What a name is a name of. It is part of the key: a group and a role may share a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind(u32);

/// One name, or nothing. Two slots make a cache line.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(32))]
pub(crate) struct Slot {
    /// See [`Key`].
    words: [u64; 2],
    /// From the lowest bits: 16 of length, 16 of an object's [`Classes`], 32 of kind, which is
    /// [`Kind::NOTHING`] in an empty slot.
    of: u64,
    name: u32,
    pub(super) value: u32,
}

/// A name as slots hold it. With the length, the words of a name of at most [`SHORT_MAX`] bytes
/// say all of it: its first and its last bytes, which meet or overlap. Those of a longer one are
/// its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    words: [u64; 2],
    length: u16,
}

/// What of a slot's `of` tells classes.
const CLASSES: u64 = 0xffff_0000;

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

    const fn is_of_objects(self) -> bool {
        self.0 >= Self::object_of(0).0 && self.0 % 2 == 1 && self.0 != Self::NOTHING
    }
}

// === impl Slot ===

impl Slot {
    const EMPTY: Self = Self {
        words: [0; 2],
        of: of(Kind(Kind::NOTHING), 0, ANY_CLASSES),
        name: 0,
        value: 0,
    };

    const fn kind(&self) -> u32 {
        (self.of >> 32) as u32
    }

    /// The classes of an object's projects.
    #[inline]
    pub(super) const fn classes(&self) -> Classes {
        ((self.of >> 16) as u16).to_le_bytes()
    }

    fn set_classes(&mut self, classes: Classes) {
        self.of = of(Kind(self.kind()), self.of as u16, classes);
    }
}

/// What a slot says of its name in one word.
const fn of(kind: Kind, length: u16, classes: Classes) -> u64 {
    (kind.0 as u64) << 32 | (u16::from_le_bytes(classes) as u64) << 16 | length as u64
}

// === impl Key ===

impl Key {
    #[inline(always)]
    fn new(name: &str) -> Self {
        Self::short(name).unwrap_or_else(|| Self::long(name))
    }

    /// The key of a name that is not short.
    #[inline(always)]
    fn long(name: &str) -> Self {
        let hash = rapidhash_v3_nano_inline::<true, false>(name.as_bytes(), &DEFAULT_RAPID_SECRETS);
        Self {
            words: [hash, 0],
            length: length(name),
        }
    }

    /// The key of a short name, which says all of it.
    #[inline(always)]
    pub(super) fn short(name: &str) -> Option<Self> {
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
            _ => return None,
        };
        Some(Self {
            words,
            length: length(name),
        })
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
        // Text never holds the byte 0xff, so that of a short name neither factor can be 0, as long as
        // there are not millions of types.
        let [a, b] = self.words;
        let of = of(kind, self.length, [0; 2]);
        let hash = folded(a ^ 0xff51_afd7_ed55_8ccd, b ^ of ^ 0xffc4_ceb9_fe1a_85ec);
        ((u128::from(hash) * slots as u128) >> 64) as usize
    }
}

/// A length as keys hold it. What is too long for it is no name, and a text's bound is far below.
#[inline(always)]
fn length(name: &str) -> u16 {
    name.len().try_into().unwrap_or(u16::MAX)
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

/// The slot of this name, if it is one of this kind.
#[inline]
pub(super) fn find<'s>(slots: &'s [Slot], heap: &str, kind: Kind, name: &str) -> Option<&'s Slot> {
    match Key::short(name) {
        Some(key) => search(slots, kind, key, |_| true),
        None => find_long(slots, heap, kind, name),
    }
}

/// As [`find`]; the text itself is looked at, too.
#[inline(never)]
fn find_long<'s>(slots: &'s [Slot], heap: &str, kind: Kind, name: &str) -> Option<&'s Slot> {
    let is = |slot: &Slot| strings::is(heap, StrId(slot.name), name);
    search(slots, kind, Key::long(name), is)
}

/// The first slot of this kind and key for which `is` holds.
#[inline(always)]
fn search(slots: &[Slot], kind: Kind, key: Key, is: impl Fn(&Slot) -> bool) -> Option<&Slot> {
    let mut at = key.place(kind, slots.len());
    let [a, b] = key.words;
    let of = of(kind, key.length, [0; 2]);
    // A table always has an empty slot; the bound holds should a file say otherwise.
    for _ in 0..slots.len() {
        let slot = slots.get(at)?;
        let [c, d] = slot.words;
        if (a ^ c) | (b ^ d) | ((of ^ slot.of) & !CLASSES) == 0 {
            if is(slot) {
                return Some(slot);
            }
        } else if slot.kind() == Kind::NOTHING {
            return None;
        }
        at = if at + 1 == slots.len() { 0 } else { at + 1 };
    }
    None
}

/// All names of a kind: where their texts lie, and the numbers that they mean.
pub(crate) fn of_kind(slots: &[Slot], kind: Kind) -> impl Iterator<Item = (u32, u32)> {
    let slots = slots.iter().filter(move |slot| slot.kind() == kind.0);
    slots.map(|slot| (slot.name, slot.value))
}

/// Makes the table. The same entries in the same order make the same table.
#[expect(
    clippy::indexing_slicing,
    reason = "every index is below the table's size"
)]
pub(super) fn table(entries: &[(Kind, &str, StrId, u32)]) -> Box<[Slot]> {
    let size = entries.len() * 4 / 3 + 1;
    let mut slots = vec![Slot::EMPTY; size].into_boxed_slice();
    for &(kind, text, name, value) in entries {
        let key = Key::new(text);
        let mut at = key.place(kind, size);
        while slots[at].kind() != Kind::NOTHING {
            at = if at + 1 == size { 0 } else { at + 1 };
        }
        slots[at] = Slot {
            words: key.words,
            of: of(kind, key.length, ANY_CLASSES),
            name: name.0,
            value,
        };
    }
    slots
}

/// Enters the projects of objects, once they are known.
pub(super) fn enter_projects<'p>(slots: &mut [Slot], projects: impl Fn(u32) -> &'p [u32]) {
    for slot in slots {
        if Kind(slot.kind()).is_of_objects() {
            slot.set_classes(walls::classes(projects(slot.value)));
        }
    }
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
            let found = find(&slots, &heap, kind, text);
            assert_eq!(found.map(|slot| slot.value), Some(value));
            assert!(find(&slots, &heap, Kind(kind.0 + 3), text).is_none());
            assert!(find(&slots, &heap, kind, &format!("{text}x")).is_none());
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
