//! What is counted of a request while it is under way.

use std::time::Instant;

use super::desk::Desk;
use super::pace::Pace;
use crate::telemetry::{Api, Code};

/// Counts a request from its head to its answer, or to its client's leaving.
pub(super) struct Underway<'w> {
    desk: &'w Desk,
    pace: &'w Pace,
    began: Instant,
    /// What was asked, and what was answered.
    pub(super) answered: Option<(Api, Code)>,
}

// === impl Underway ===

impl<'w> Underway<'w> {
    pub(super) fn begin(desk: &'w Desk, pace: &'w Pace) -> Self {
        desk.metrics().request_began();
        pace.request_began();
        Self {
            desk,
            pace,
            began: Instant::now(),
            answered: None,
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        match self.answered {
            Some((api, code)) => {
                let duration = self.began.elapsed();
                self.desk.metrics().request_answered(api, code, duration);
            }
            None => self.desk.metrics().request_left(),
        }
        self.pace.request_ended();
    }
}
