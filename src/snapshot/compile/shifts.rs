//! Shifts, and the rules of the company's time zone.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::super::tables::{OffsetRow, ShiftRow, Span, TurnRow};
use super::Builder;

/// Offsets are compiled for moments up to the start of this year; after it the last one holds.
const OFFSETS_UNTIL_YEAR: i16 = 2200;
const DAY_MINUTES: u32 = 24 * 60;

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn shifts(&mut self) {
        let mut turns = Vec::new();
        let mut days_off = Vec::new();
        let mut rows = Vec::with_capacity(self.policy.shifts.len());
        for shift in &self.policy.shifts {
            let (turns_start, off_start) = (turns.len() as u32, days_off.len() as u32);
            turns.extend(shift.weekly.iter().map(|turn| {
                let (from, to) = (u32::from(turn.from), u32::from(turn.to));
                let to = if to > from { to } else { to + DAY_MINUTES };
                TurnRow {
                    days: u32::from(turn.days),
                    from,
                    to,
                }
            }));
            days_off.extend(shift.off.iter().map(|day| day.0));
            rows.push(ShiftRow {
                turns: Span {
                    start: turns_start,
                    length: turns.len() as u32 - turns_start,
                },
                off: Span {
                    start: off_start,
                    length: days_off.len() as u32 - off_start,
                },
            });
        }
        self.tables.shifts = rows.into();
        self.tables.turns = turns.into();
        self.tables.days_off = days_off.into();
        if !self.policy.shifts.is_empty() {
            self.tables.offsets = offsets(&self.policy.time_zone);
        }
    }
}

/// The offsets of a time zone through time, from the database that is built in: the machine's own
/// would make the same policy differ from machine to machine. UTC for a zone that is not there,
/// which the reader refuses.
fn offsets(name: &str) -> Arc<[OffsetRow]> {
    let zone = TimeZoneDatabase::bundled()
        .get(name)
        .unwrap_or(TimeZone::UTC);
    let row = |at: i64, offset: jiff::tz::Offset| OffsetRow {
        at,
        offset: i64::from(offset.seconds()),
    };
    let mut rows = vec![row(i64::MIN, zone.to_offset(Timestamp::MIN))];
    let end = jiff::civil::date(OFFSETS_UNTIL_YEAR, 1, 1).to_zoned(TimeZone::UTC);
    let end = end.map_or(Timestamp::MAX, |end| end.timestamp());
    for transition in zone
        .following(Timestamp::MIN)
        .take_while(|next| next.timestamp() < end)
    {
        rows.push(row(transition.timestamp().as_second(), transition.offset()));
    }
    rows.dedup_by_key(|row| row.offset);
    rows.into()
}
