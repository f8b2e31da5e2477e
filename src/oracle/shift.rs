//! Whether a user is on shift.

use jiff::ToSpan as _;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::model::{Timestamp, UserId};
use crate::policy::{Date, Policy, ShiftPlan, Turn};

/// Whether a turn of the user's shift, or else of its group's, runs now. Without a shift: never.
///
/// Choice: a moment beyond the years that the calendar knows (-9999 to 9999) is in no turn.
pub(super) fn on_shift(policy: &Policy, user: UserId, now: Timestamp) -> bool {
    let user = &policy.users[user.index()];
    let of_group = || policy.groups[user.group?.index()].shift.as_ref();
    let Some(plan) = user.shift.as_ref().or_else(of_group) else {
        return false;
    };
    let Ok(now) = jiff::Timestamp::from_microsecond(now.0) else {
        return false;
    };
    let zone = TimeZone::get(&policy.time_zone).expect("the reader of policies knows the zone");
    let today = now.to_zoned(zone.clone()).date();
    // A turn ends on the day after its start at the latest, and no change of the clock is longer than a day.
    (-3..=2)
        .filter_map(|days: i64| today.checked_add(days.days()).ok())
        .any(|day| {
            turns_starting(policy, plan, day)
                .iter()
                .any(|turn| runs(turn, day, &zone, now))
        })
}

/// The turns that start on the day: the plan's first shift's before the change, then the new one's.
fn turns_starting<'p>(policy: &'p Policy, plan: &ShiftPlan, day: civil::Date) -> Vec<&'p Turn> {
    let shift = match plan.next {
        Some((next, from)) if day >= date(from) => next,
        _ => plan.shift,
    };
    let shift = &policy.shifts[shift.index()];
    if shift.off.iter().any(|&off| date(off) == day) {
        return Vec::new();
    }
    let weekday = day.weekday().to_monday_zero_offset();
    shift
        .weekly
        .iter()
        .filter(|turn| turn.days >> weekday & 1 == 1)
        .collect()
}

/// Whether the turn that starts on the day runs now: from the moment at which the company's clock
/// shows its start until the moment at which it shows its end. Where a clock skips a time or shows
/// it twice, jiff's "compatible" rule tells the moment, as calendars do.
fn runs(turn: &Turn, day: civil::Date, zone: &TimeZone, now: jiff::Timestamp) -> bool {
    let overnight = if turn.to > turn.from { 0 } else { 1440 };
    let moment = |minutes: i64| {
        let clock = day
            .to_datetime(civil::Time::midnight())
            .checked_add(minutes.minutes())
            .ok()?;
        Some(clock.to_zoned(zone.clone()).ok()?.timestamp())
    };
    match (
        moment(turn.from.into()),
        moment(i64::from(turn.to) + overnight),
    ) {
        (Some(from), Some(to)) => from <= now && now < to,
        _ => false,
    }
}

fn date(date: Date) -> civil::Date {
    civil::date(1970, 1, 1)
        .checked_add(i64::from(date.0).days())
        .expect("the reader of policies takes days of the calendar alone")
}
