//! Company → the snapshot that now decides for it.
//!
//! Readers take no lock and write nothing that another core reads. Only activation publishes.
//! What is known of a company beside its snapshot (when it was loaded, what failed last) is kept
//! apart, behind a lock that no decision touches.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::snapshot::Snapshot;

/// Every company that this process knows.
#[derive(Default)]
pub struct Companies {
    slots: ArcSwap<BTreeMap<String, Arc<Slot>>>,
}

/// What stands for a company at the moment of asking.
#[derive(Clone, Copy)]
pub enum Current<'a> {
    /// No company bears this name.
    Unknown,
    /// The company is known, but nothing of it was ever activated.
    Inactive,
    /// The snapshot that decides.
    Active(&'a Snapshot),
    /// The snapshot that would decide, and is too old: every check is denied.
    Stale(&'a Snapshot),
}

/// What operators may know of a company.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Where its policy comes from, for people.
    pub source: String,
    /// The publisher's number, or the one a reload gave.
    pub generation: Option<u64>,
    /// When the snapshot that decides was activated.
    pub loaded_at: Option<SystemTime>,
    /// The last look after which what the source holds is what runs.
    pub fresh_at: Option<SystemTime>,
    /// The same by the clock that nobody sets back: what decides must not look young for that.
    pub fresh_since: Option<Instant>,
    /// What went wrong last, until an activation succeeds.
    pub failure: Option<Failure>,
}

/// Why a company's source did not become its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it was seen first.
    pub at: SystemTime,
    /// A stable code (`policy_errors`, `failed_tests`, `too_great_loss`, `unreadable`).
    pub code: &'static str,
    /// For people: everything that is wrong, with file, line and the line underlined.
    pub message: String,
    /// File, line and column of the first error, where it has a place.
    pub place: Option<(String, u32, u32)>,
}

#[derive(Default)]
struct Slot {
    snapshot: ArcSwapOption<Snapshot>,
    /// Every check is denied, since the snapshot is too old.
    denying: AtomicBool,
    status: Mutex<Status>,
}

// === impl Status ===

impl Status {
    /// Notes that what the source holds is what runs.
    pub(crate) fn freshen(&mut self) {
        self.fresh_at = Some(SystemTime::now());
        self.fresh_since = Some(Instant::now());
    }

    /// How long it is since what the source holds was what runs: the longer of what the two clocks
    /// say, of which one may be set, and the other stands while the machine sleeps.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        let fresh_at = self.fresh_at.or(self.loaded_at)?;
        let age = now.duration_since(fresh_at).unwrap_or_default();
        let ticked = self.fresh_since.map(|since| since.elapsed());
        Some(age.max(ticked.unwrap_or_default()))
    }
}

// === impl Companies ===

impl Companies {
    /// Calls `read` with what now stands for the company: one consistent whole for all that it does.
    pub fn with<R>(&self, company: &str, read: impl FnOnce(Current<'_>) -> R) -> R {
        match self.slots.load().get(company) {
            None => read(Current::Unknown),
            Some(slot) => match slot.snapshot.load().as_deref() {
                None => read(Current::Inactive),
                Some(snapshot) if slot.denying.load(Relaxed) => read(Current::Stale(snapshot)),
                Some(snapshot) => read(Current::Active(snapshot)),
            },
        }
    }

    /// As [`Companies::with`], for the only company there is; `Unknown` if there are none or several.
    pub fn with_only<R>(&self, read: impl FnOnce(Current<'_>) -> R) -> R {
        let slots = self.slots.load();
        let mut names = slots.keys();
        match (names.next(), names.next()) {
            (Some(company), None) => self.with(company, read),
            _ => read(Current::Unknown),
        }
    }

    /// The snapshot that now decides for the company, to be kept beyond one call.
    #[must_use]
    pub fn load(&self, company: &str) -> Option<Arc<Snapshot>> {
        self.slots.load().get(company)?.snapshot.load_full()
    }

    /// The names of all companies known.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.slots.load().keys().cloned().collect()
    }

    /// What operators may know of the company.
    #[must_use]
    pub fn status(&self, company: &str) -> Option<Status> {
        self.slots
            .load()
            .get(company)
            .map(|slot| slot.status().clone())
    }

    /// Makes the snapshot the one that decides for its company, and returns the one before.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        self.slot(snapshot.company()).snapshot.swap(Some(snapshot))
    }

    /// Notes what operators may know of the company; a company not known before becomes known.
    pub fn update_status(&self, company: &str, update: impl FnOnce(&mut Status)) {
        update(&mut self.slot(company).status());
    }

    /// Has every check of the company denied, or no more.
    pub fn deny(&self, company: &str, deny: bool) {
        if let Some(slot) = self.slots.load().get(company) {
            slot.denying.store(deny, Relaxed);
        }
    }

    /// Forgets the company, and returns the snapshot that decided for it.
    pub fn remove(&self, company: &str) -> Option<Arc<Snapshot>> {
        let snapshot = self.load(company);
        self.slots.rcu(|slots| {
            let mut slots = BTreeMap::clone(slots);
            slots.remove(company);
            slots
        });
        snapshot
    }

    fn slot(&self, company: &str) -> Arc<Slot> {
        if let Some(slot) = self.slots.load().get(company) {
            return Arc::clone(slot);
        }
        let new = Arc::new(Slot::default());
        self.slots.rcu(|slots| {
            let mut slots = BTreeMap::clone(slots);
            slots
                .entry(company.to_owned())
                .or_insert_with(|| Arc::clone(&new));
            slots
        });
        self.slots.load().get(company).map_or(new, Arc::clone)
    }
}

// === impl Slot ===

impl Slot {
    /// A poisoned status is still a status: each update is a plain assignment.
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_younger() {
        let mut status = Status::default();
        let now = SystemTime::now();
        assert_eq!(status.age(now), None);
        status.freshen();
        let (hour, minute) = (Duration::from_secs(3_600), Duration::from_secs(60));
        assert!(status.age(now).unwrap() < minute);
        assert!(status.age(now + hour).unwrap() >= hour - minute, "it slept");
        status.fresh_since = Instant::now().checked_sub(minute);
        let age = status.age(now - hour).unwrap();
        assert!(age >= minute && age < hour, "{age:?}");
    }
}
