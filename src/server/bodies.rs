//! Bodies that have not come whole: how many there may be, and how much of them is held.
//!
//! A body that comes with its head waits for nothing and takes no place here. So however many
//! clients send slowly, whoever sends at once is answered.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::config::Limits;

/// For how long a body may wait before it gives way to a new one, when there is no place left:
/// longer than a network takes between a head and its body.
const GIVE_WAY_TIME: Duration = Duration::from_secs(1);

/// What each body may hold without counting: most are not longer.
const FREE_BYTES: usize = 16 << 10;

/// The bodies of one thread that have not come whole.
pub(super) struct Bodies {
    most: usize,
    memory: usize,
    held: Cell<usize>,
    next: Cell<u64>,
    /// In the order in which they came.
    waiting: RefCell<BTreeMap<u64, Place>>,
}

struct Place {
    since: Instant,
    give_way: oneshot::Sender<()>,
}

/// A body that waits; its place is free again when this is gone.
pub(super) struct Waiting<'b> {
    bodies: &'b Bodies,
    number: u64,
    /// Ready when the body must give way.
    pub(super) gives_way: oneshot::Receiver<()>,
}

/// What a body holds; it holds nothing any more when this is gone.
pub(super) struct Held<'b> {
    bodies: &'b Bodies,
    bytes: usize,
}

// === impl Bodies ===

impl Bodies {
    /// For one of this many threads.
    pub(super) fn new(limits: &Limits, threads: usize) -> Self {
        let threads = threads.max(1);
        Self {
            most: limits.bodies_max.div_ceil(threads),
            memory: limits.body_memory_max.div_ceil(threads),
            held: Cell::new(0),
            next: Cell::new(0),
            waiting: RefCell::default(),
        }
    }

    /// A place for one more, if there is one, or if the one that has waited longest gives way.
    pub(super) fn enter(&self) -> Option<Waiting<'_>> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.most {
            let oldest = waiting.first_entry()?;
            if oldest.get().since.elapsed() < GIVE_WAY_TIME {
                return None;
            }
            let _ = oldest.remove().give_way.send(());
        }
        let (give_way, gives_way) = oneshot::channel();
        let number = self.next.replace(self.next.get().wrapping_add(1));
        let since = Instant::now();
        waiting.insert(number, Place { since, give_way });
        Some(Waiting {
            bodies: self,
            number,
            gives_way,
        })
    }

    /// Nothing so far.
    pub(super) const fn hold(&self) -> Held<'_> {
        Held {
            bodies: self,
            bytes: 0,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.bodies.waiting.borrow_mut().remove(&self.number);
    }
}

// === impl Held ===

impl Held<'_> {
    /// Whether the body may hold this much.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let counted = bytes.saturating_sub(FREE_BYTES);
        let others = self.bodies.held.get().saturating_sub(self.bytes);
        let held = others.saturating_add(counted);
        if counted > self.bytes && held > self.bodies.memory {
            return false;
        }
        self.bodies.held.set(held);
        self.bytes = counted;
        true
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let held = &self.bodies.held;
        held.set(held.get().saturating_sub(self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(most: usize, memory: usize) -> Bodies {
        let limits = Limits {
            bodies_max: most,
            body_memory_max: memory,
            ..Limits::default()
        };
        Bodies::new(&limits, 1)
    }

    #[test]
    fn there_are_no_more_places_than_are_set() {
        let bodies = bodies(2, 0);
        let first = bodies.enter().unwrap();
        let _second = bodies.enter().unwrap();
        assert!(bodies.enter().is_none(), "none has waited long enough");
        drop(first);
        assert!(bodies.enter().is_some());
    }

    #[test]
    fn who_has_waited_longest_gives_way() {
        let bodies = bodies(2, 0);
        let mut first = bodies.enter().unwrap();
        let mut second = bodies.enter().unwrap();
        std::thread::sleep(GIVE_WAY_TIME);
        let _third = bodies.enter().unwrap();
        assert_eq!(first.gives_way.try_recv(), Ok(()));
        assert!(second.gives_way.try_recv().is_err());
        drop(first);
        assert_eq!(bodies.waiting.borrow().len(), 2);
    }

    #[test]
    fn what_is_held_is_bounded_but_for_small_bodies() {
        let bodies = bodies(2, 1_000);
        let (mut large, mut small) = (bodies.hold(), bodies.hold());
        assert!(large.grow_to(FREE_BYTES + 600));
        assert!(large.grow_to(FREE_BYTES + 1_000));
        assert!(!large.grow_to(FREE_BYTES + 1_001));
        assert!(small.grow_to(FREE_BYTES));
        assert!(!small.grow_to(FREE_BYTES + 1));
        drop(large);
        assert!(small.grow_to(FREE_BYTES + 1));
        drop(small);
        assert_eq!(bodies.held.get(), 0);
    }
}
