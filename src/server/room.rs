//! Room for new connections: how many must give way for that, counted over all workers.
//!
//! A connection that was told to go is open for a while longer: its client may have to close it
//! first. It is counted as leaving meanwhile, so that no other goes in its stead.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How many connections may be open before the silent ones among them give way.
pub(super) struct Room {
    most: u64,
    /// Connections that were told to give way, and are open.
    leaving: AtomicU64,
}

// === impl Room ===

impl Room {
    /// The last twentieth of all connections is kept free for who has something to ask.
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            most: (connections_max - connections_max / 20) as u64,
            leaving: AtomicU64::new(0),
        }
    }

    /// How many of its connections a worker is to send away, of so many that all of them have
    /// open; they count as leaving now.
    pub(super) fn claim(&self, open: u64, workers: usize) -> u64 {
        let share = |leaving: u64| {
            let wanted = open.saturating_sub(self.most.saturating_add(leaving));
            wanted.div_ceil(workers.max(1) as u64)
        };
        let claimed = (self.leaving).fetch_update(Relaxed, Relaxed, |leaving| {
            Some(share(leaving))
                .filter(|share| *share > 0)
                .map(|share| leaving + share)
        });
        claimed.map_or(0, share)
    }

    /// So many that were claimed are gone, or never went.
    pub(super) fn unclaim(&self, connections: u64) {
        self.leaving.fetch_sub(connections, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_sent_away_than_must_be() {
        let room = Room::new(100);
        assert_eq!(room.claim(95, 2), 0);
        assert_eq!(
            room.claim(100, 2),
            3,
            "half of what is too many, and no less"
        );
        assert_eq!(room.claim(100, 2), 1, "three are leaving");
        assert_eq!(room.claim(100, 2), 1);
        assert_eq!(room.claim(100, 2), 0);
        room.unclaim(2);
        assert_eq!(
            room.claim(98, 2),
            0,
            "three are leaving, and three are too many"
        );
        assert_eq!(room.claim(99, 1), 1);
    }
}
