//! Turns for what costs much and anybody can ask for: TLS handshakes.
//!
//! A handshake takes a worker as long as hundreds of checks. However many clients want one, they
//! come one after the other, so far apart that what is asked on open connections is answered in
//! between; and whoever would have to wait for long is turned away at once. Half of those that wait
//! may be of one address, so that it alone does not keep the others out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// How long a turn may be waited for.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The part of an IPv6 address that whoever has one can choose freely: RFC 4291, section 2.5.1.
const INTERFACE_BITS: u128 = u64::MAX as u128;

/// The turns of one thread.
pub(super) struct Turns {
    /// From one turn to the next.
    apart: Duration,
    /// When the next one is free.
    next: Cell<Instant>,
    /// How many wait, by address. There are no more than turns in [`WAIT_MAX`].
    waiting: RefCell<HashMap<Option<IpAddr>, u32>>,
    of_one_max: u32,
}

/// A turn that was taken; its address has one less waiting when this is gone.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    address: Option<IpAddr>,
    pub(super) at: Instant,
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
            waiting: RefCell::default(),
            of_one_max: (turns / threads / 2).max(1),
        }
    }

    /// The next turn; none: it would be too far away, or too many of this address wait for theirs.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Option<Turn<'_>> {
        let now = Instant::now();
        let at = self.next.get().max(now);
        let address = address.map(whose);
        let mut waiting = self.waiting.borrow_mut();
        let of_one = waiting.get(&address).copied().unwrap_or_default();
        if at.duration_since(now) > WAIT_MAX || of_one >= self.of_one_max {
            return None;
        }
        waiting.insert(address, of_one + 1);
        self.next.set(at + self.apart);
        Some(Turn {
            turns: self,
            address,
            at,
        })
    }
}

/// Addresses that are the same client's are one.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !INTERFACE_BITS)),
        address @ IpAddr::V4(_) => address,
    }
}

// === impl Turn ===

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.turns.waiting.borrow_mut();
        if let Some(count) = waiting.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_millis(200);

    fn taken<'t>(turns: &'t Turns, address: &str) -> Vec<Turn<'t>> {
        let address = address.parse().unwrap();
        std::iter::from_fn(|| turns.take(Some(address))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_one_after_the_other_and_no_later_than_in_a_second() {
        let turns = Turns::new(10, 2);
        let now = Instant::now();
        let all: Vec<_> = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
            .iter()
            .flat_map(|address| taken(&turns, address))
            .collect();
        let at: Vec<_> = all.iter().map(|turn| turn.at).collect();
        assert_eq!(at, (0..6).map(|turn| now + TURN * turn).collect::<Vec<_>>());
        assert!(turns.take(None).is_none());
        tokio::time::advance(TURN).await;
        assert_eq!(turns.take(None).map(|turn| turn.at), Some(now + TURN * 6));
        tokio::time::advance(TURN * 100).await;
        let next = turns.take(None).map(|turn| turn.at);
        assert_eq!(next, Some(Instant::now()), "what was not taken is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_half_of_those_that_wait() {
        let turns = Turns::new(10, 1);
        let mut first = taken(&turns, "2001:db8::1");
        assert_eq!(first.len(), 5);
        assert!(
            taken(&turns, "2001:db8::2:3").is_empty(),
            "the same network"
        );
        assert_eq!(taken(&turns, "2001:db8:0:1::1").len(), 5);
        assert_eq!(taken(&turns, "10.0.0.1").len(), 1, "a second is over");
        first.truncate(4);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(taken(&turns, "2001:db8::1").len(), 1);
    }
}
