//! Turns for what costs much and anybody can ask for: TLS handshakes.
//!
//! A handshake takes a worker as long as hundreds of checks. However many clients want one, they
//! come one after the other, so far apart that what is asked on open connections is answered in
//! between; and whoever would have to wait for long is turned away at once.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// How long a turn may be waited for.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The turns of one thread.
pub(super) struct Turns {
    /// From one turn to the next.
    apart: Duration,
    /// When the next one is free.
    next: Cell<Instant>,
}

// === impl Turns ===

impl Turns {
    /// So many turns a second, shared by this many threads.
    pub(super) fn new(a_second: usize, threads: usize) -> Self {
        let threads = u32::try_from(threads.max(1)).unwrap_or(u32::MAX);
        let turns = u32::try_from(a_second.max(1)).unwrap_or(u32::MAX);
        Self {
            apart: Duration::from_secs(1) * threads / turns,
            next: Cell::new(Instant::now()),
        }
    }

    /// When the next turn is, which is then taken; none: it would be too far away.
    pub(super) fn take(&self) -> Option<Instant> {
        let now = Instant::now();
        let turn = self.next.get().max(now);
        if turn.duration_since(now) > WAIT_MAX {
            return None;
        }
        self.next.set(turn + self.apart);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_one_after_the_other_and_no_later_than_in_a_second() {
        let turns = Turns::new(10, 2);
        let now = Instant::now();
        let taken: Vec<_> = std::iter::from_fn(|| turns.take()).collect();
        let after = |tick: u32| now + Duration::from_millis(200) * tick;
        assert_eq!(taken, (0..=5).map(after).collect::<Vec<_>>());
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(turns.take(), Some(after(6)));
        assert_eq!(turns.take(), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(
            turns.take(),
            Some(Instant::now()),
            "what was not taken is gone"
        );
    }
}
