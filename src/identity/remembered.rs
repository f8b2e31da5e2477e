//! Tokens that were found good before, for as long as they are: their signatures need not be
//! checked again.
//!
//! Each thread remembers its own, so that no two threads wait for each other; in how many threads
//! a token is checked once does not matter. What is kept is a digest of the token and the user's
//! id. Half of what is remembered is forgotten at once when there is too much of it: what was used
//! since comes back from the other half.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::SystemTime;

use foldhash::fast::RandomState;

use super::token::Proven;

/// The most tokens that a thread remembers; each takes about 150 bytes.
const TOKENS_MAX: usize = 8_192;

/// Under which circumstances a token was found good: with other keys or settings it was not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Circumstance {
    /// Which settings: no other settings of this process have the number.
    pub(super) settings: u64,
    /// Which key set.
    pub(super) keys: u64,
    pub(super) digest: [u8; blake3::OUT_LEN],
}

#[derive(Default)]
struct Remembered {
    young: HashMap<Circumstance, Proven, RandomState>,
    old: HashMap<Circumstance, Proven, RandomState>,
}

thread_local! {
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

/// What was found of this token before, if it still holds.
pub(super) fn recall(circumstance: &Circumstance, now: SystemTime) -> Option<Proven> {
    REMEMBERED.with_borrow_mut(|remembered| {
        let proven = remembered.find(circumstance)?;
        (proven.from <= now && now < proven.until).then_some(proven)
    })
}

/// Remembers what was found of a token.
pub(super) fn remember(circumstance: Circumstance, proven: Proven) {
    REMEMBERED.with_borrow_mut(|remembered| remembered.insert(circumstance, proven));
}

// === impl Remembered ===

impl Remembered {
    fn find(&mut self, circumstance: &Circumstance) -> Option<Proven> {
        if let Some(proven) = self.young.get(circumstance) {
            return Some(proven.clone());
        }
        let proven = self.old.remove(circumstance)?;
        self.insert(*circumstance, proven.clone());
        Some(proven)
    }

    fn insert(&mut self, circumstance: Circumstance, proven: Proven) {
        if self.young.len() >= TOKENS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(circumstance, proven);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::Who;

    fn circumstance(number: u64) -> Circumstance {
        Circumstance {
            settings: 1,
            keys: 1,
            digest: *blake3::hash(&number.to_le_bytes()).as_bytes(),
        }
    }

    fn proven() -> Proven {
        Proven {
            who: Who::read(b"olga").unwrap(),
            from: SystemTime::UNIX_EPOCH + Duration::from_secs(10),
            until: SystemTime::UNIX_EPOCH + Duration::from_secs(20),
        }
    }

    #[test]
    fn there_are_never_more_than_the_most_and_what_is_used_stays() {
        let mut remembered = Remembered::default();
        for number in 0..100_000 {
            remembered.insert(circumstance(number), proven());
            assert!(remembered.find(&circumstance(0)).is_some(), "{number}");
            assert!(remembered.young.len() + remembered.old.len() <= TOKENS_MAX);
        }
        assert!(remembered.find(&circumstance(1)).is_none());
        assert!(remembered.find(&circumstance(99_999)).is_some());
    }

    #[test]
    fn what_holds_no_longer_or_not_yet_is_not_recalled() {
        remember(circumstance(1), proven());
        let recalled = |seconds| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            recall(&circumstance(1), now).is_some()
        };
        assert_eq!([9, 10, 19, 20].map(recalled), [false, true, true, false]);
    }
}
