//! Dates, moments, times of the day, and time zones.

use jiff::civil;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::Code;
use super::names::meant;
use super::resolved::Date;
use super::sink::{Finding, Sink};
use super::word::Word;
use crate::model::Timestamp;

/// The time zone of this name, from the rules that callgate brings: never the machine's own, which
/// may differ from another machine's.
pub(super) fn zone(sink: &Sink<'_>, word: Word<'_>) -> Option<TimeZone> {
    let bundled = TimeZoneDatabase::bundled();
    let found = bundled.get(word.text).ok();
    // The database does not mind case; a name that is written in two ways is not one name.
    let found = found.filter(|zone| zone.iana_name() == Some(word.text));
    if found.is_none() {
        let names: Vec<String> = bundled
            .available()
            .map(|name| name.as_str().to_owned())
            .collect();
        let message = format!("unknown time zone `{}`", word.text);
        let help = meant(sink, word.text, names.iter().map(String::as_str));
        let help = help
            .unwrap_or_else(|| "write a name of the IANA database: `Europe/Warsaw`, `UTC`".into());
        Finding::error(Code::UnknownTimeZone, word.span(), message)
            .help(help)
            .report(sink);
    }
    found
}

/// A moment: RFC 3339, or a date alone for its midnight in the company's time.
pub(super) fn moment(sink: &Sink<'_>, word: Word<'_>, zone: &TimeZone) -> Option<Timestamp> {
    let text = word.text;
    if is_date(text) {
        let day = civil(sink, word)?;
        let moment = day.to_zoned(zone.clone()).ok();
        if moment.is_none() {
            bad(
                sink,
                word,
                "is too far away",
                "write a year from 0001 to 9999",
            );
        }
        return moment.map(|moment| Timestamp(moment.timestamp().as_microsecond()));
    }
    if !is_rfc3339(text) {
        let local = is_rfc3339(&format!("{text}Z"));
        let help = if local {
            "tell the offset from UTC: `2026-02-01T00:00:00Z`, `2026-02-01T00:00:00+01:00`"
        } else {
            "write `2026-02-01`, or `2026-02-01T08:30:00+01:00`"
        };
        bad(sink, word, "is neither a date nor a moment", help);
        return None;
    }
    let moment: Option<jiff::Timestamp> = text.parse().ok();
    if moment.is_none() {
        bad(
            sink,
            word,
            "is no moment that there is",
            "write `2026-02-01T08:30:00+01:00`",
        );
    }
    moment.map(|moment| Timestamp(moment.as_microsecond()))
}

/// A day: `YYYY-MM-DD`.
pub(super) fn date(sink: &Sink<'_>, word: Word<'_>) -> Option<Date> {
    if !is_date(word.text) {
        bad(sink, word, "is no date", "write `2026-02-01`");
        return None;
    }
    let day = civil(sink, word)?;
    let midnight = day.to_zoned(TimeZone::UTC).ok()?;
    i32::try_from(midnight.timestamp().as_second().div_euclid(86_400))
        .ok()
        .map(Date)
}

/// A time of the day in minutes: `HH:MM`; `24:00` where a day may end.
pub(super) fn minutes(sink: &Sink<'_>, word: Word<'_>, day_ends: bool) -> Option<u16> {
    let parts = word
        .text
        .split_once(':')
        .filter(|_| shaped(word.text, "00:00"));
    let number = |text: &str| text.parse::<u16>().ok();
    let parts = parts.and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?)));
    match parts {
        Some((24, 0)) if day_ends => Some(1440),
        Some((hours @ 0..=23, minutes @ 0..=59)) => Some(hours * 60 + minutes),
        _ => {
            let help = if day_ends {
                "write `\"06:00\"`, up to `\"24:00\"`"
            } else {
                "write `\"22:00\"`, up to `\"23:59\"`"
            };
            bad(sink, word, "is no time of the day", help);
            None
        }
    }
}

fn civil(sink: &Sink<'_>, word: Word<'_>) -> Option<civil::Date> {
    let day: Option<civil::Date> = word.text.parse().ok();
    if day.is_none() {
        bad(
            sink,
            word,
            "is no day of the calendar",
            "write `2026-02-01`",
        );
    }
    day
}

#[cold]
fn bad(sink: &Sink<'_>, word: Word<'_>, fault: &str, help: &str) {
    Finding::error(
        Code::BadTime,
        word.span(),
        format!("`{}` {fault}", word.text),
    )
    .help(help)
    .report(sink);
}

fn is_date(text: &str) -> bool {
    shaped(text, "0000-00-00")
}

/// Date, `T`, time with seconds, perhaps a fraction, and the offset.
fn is_rfc3339(text: &str) -> bool {
    let Some((time, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let fraction = rest.strip_prefix('.').map_or(rest, |rest| {
        rest.trim_start_matches(|one: char| one.is_ascii_digit())
    });
    let sound = rest.len() != fraction.len() + 1;
    sound
        && shaped(time, "0000-00-00T00:00:00")
        && (fraction == "Z" || shaped(fraction, "+00:00") || shaped(fraction, "-00:00"))
}

/// Whether `text` looks like `shape`, in which `0` stands for any digit.
fn shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(one, form)| {
            if form == b'0' {
                one.is_ascii_digit()
            } else {
                one == form
            }
        })
}
