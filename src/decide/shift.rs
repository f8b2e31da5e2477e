//! Whether a user is on shift.
//!
//! A turn is the time from the moment at which the company's clocks show its `from` to the moment
//! at which they show its `to`. Where clocks jump over that minute, the moment is as much later as
//! they jump; where they show it twice, it is the first time.

use crate::model::Timestamp;
use crate::snapshot::Snapshot;
use crate::snapshot::tables::{OffsetRow, ShiftPlanRow, TurnRow, some};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// 1970-01-01 was a Thursday; bit 0 of a turn's days is Monday.
const EPOCH_WEEKDAY: i64 = 3;
/// A turn that holds now may have begun two days ago where a zone leaves out a day.
const DAYS_BACK: i64 = 2;

/// Whether a turn of the shift that counts holds `now`. Without a plan one is never on shift.
pub(super) fn on_shift(snapshot: &Snapshot, plan: u32, now: Timestamp) -> bool {
    let Some(plan) = snapshot.tables.shift_plans.get(plan as usize) else {
        return false;
    };
    let now = now.seconds();
    let offsets = &snapshot.tables.offsets;
    let today = now
        .saturating_add(offset_at(offsets, now))
        .div_euclid(DAY_SECONDS);
    (today - DAYS_BACK..=today + 1).any(|day| turn_holds(snapshot, plan, day, now))
}

/// Whether a turn that starts on `day` holds `now`.
fn turn_holds(snapshot: &Snapshot, plan: &ShiftPlanRow, day: i64, now: i64) -> bool {
    let shift = match some(plan.next) {
        Some(next) if day >= i64::from(plan.next_from) => next,
        _ => plan.shift,
    };
    let Some(shift) = snapshot.tables.shifts.get(shift as usize) else {
        return false;
    };
    if shift
        .off
        .of(&snapshot.tables.days_off)
        .iter()
        .any(|&off| i64::from(off) == day)
    {
        return false;
    }
    let weekday = (day + EPOCH_WEEKDAY).rem_euclid(7);
    let moment = |minute: u32| {
        moment(
            &snapshot.tables.offsets,
            day * DAY_SECONDS + i64::from(minute) * 60,
        )
    };
    let holds = |turn: &TurnRow| {
        turn.days & 1 << weekday != 0 && moment(turn.from) <= now && now < moment(turn.to)
    };
    shift.turns.of(&snapshot.tables.turns).iter().any(holds)
}

/// No clock is further from UTC; a bound for what a file may say.
const OFFSET_MAX: i64 = 2 * DAY_SECONDS;

/// Seconds east of UTC at a moment.
fn offset_at(offsets: &[OffsetRow], moment: i64) -> i64 {
    let after = offsets.partition_point(|row| row.at <= moment);
    after
        .checked_sub(1)
        .and_then(|at| offsets.get(at))
        .map_or(0, |row| row.offset.clamp(-OFFSET_MAX, OFFSET_MAX))
}

/// The moment at which clocks show `local`, in seconds as if it were UTC.
fn moment(offsets: &[OffsetRow], local: i64) -> i64 {
    // The offsets a day before and a day after: at most one change lies between.
    let before = offset_at(offsets, local - DAY_SECONDS);
    let after = offset_at(offsets, local + DAY_SECONDS);
    let early = local - before;
    let late = local - after;
    if offset_at(offsets, early) == before {
        // Shown by the clocks as they were before: the first of two times, or the only one.
        early
    } else if offset_at(offsets, late) == after {
        late
    } else {
        // Jumped over: reckoned with the clocks of before, it lies as much later as they jump.
        early
    }
}
