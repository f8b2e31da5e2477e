//! Records → lines: what a line holds, in which order, and what of it is masked.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::record::{Noted, Record};
use crate::config::{DecisionLog, LogPath, LogPlace};

/// What stands where something is masked.
const MASKED: &str = "***";

/// How records become lines.
pub(super) struct Format {
    caller_masked: bool,
    subject_masked: bool,
    resource_masked: bool,
    /// Below the properties of subject, action, resource and the context.
    masks: [Vec<Vec<String>>; 4],
    clock: Clock,
}

/// Writes moments; the last second is kept, since mostly it is the next one too.
#[derive(Default)]
struct Clock {
    second: Option<i64>,
    /// `2026-03-03T09:00:00.000000Z`
    text: String,
}

/// A line, its members in their order.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<u32>,
    api: &'a str,
    company: &'a str,
    revision: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    subject: Entity<'a>,
    action: Action<'a>,
    resource: Entity<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Cow<'a, RawValue>>,
    #[serde(skip_serializing_if = "is_false")]
    section: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    cut: bool,
}

#[derive(Serialize)]
struct Entity<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Cow<'a, RawValue>>,
}

#[derive(Serialize)]
struct Action<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Cow<'a, RawValue>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

// === impl Format ===

impl Format {
    pub(super) fn new(told: &DecisionLog) -> Self {
        let masked = |place| told.mask.iter().any(|path| path.place == place);
        let below = |place| {
            let paths = told.mask.iter().filter(|path| path.place == place);
            paths.map(|LogPath { names, .. }| names.clone()).collect()
        };
        Self {
            caller_masked: masked(LogPlace::Caller),
            subject_masked: masked(LogPlace::SubjectId),
            resource_masked: masked(LogPlace::ResourceId),
            masks: [
                LogPlace::Subject,
                LogPlace::Action,
                LogPlace::Resource,
                LogPlace::Context,
            ]
            .map(below),
            clock: Clock::default(),
        }
    }

    /// Appends the line of a record, with its end.
    pub(super) fn write(&mut self, record: &Record<'_>, lines: &mut Vec<u8>) {
        let masked = |is_masked: bool, text| match (is_masked, text) {
            (true, "") | (false, _) => text,
            (true, _) => MASKED,
        };
        let [subject, action, resource, context] = &self.masks;
        let [of_subject, of_action, of_resource, of_context] = record.properties;
        let (decision, reason, duration_ns) = match record.outcome {
            Noted::Decided {
                allowed,
                reason,
                nanos,
            } => {
                let decision = if allowed { "allow" } else { "deny" };
                (Some(decision), Some(reason), Some(nanos))
            }
            Noted::Found(_) | Noted::Filtered(_) => (None, None, None),
        };
        let line = Line {
            time: self.clock.text(record.time),
            id: record.id,
            item: record.item,
            api: record.api,
            company: record.company,
            revision: record.revision,
            caller: record
                .caller
                .map(|caller| masked(self.caller_masked, caller)),
            subject: Entity {
                kind: record.subject[0],
                id: masked(self.subject_masked, record.subject[1]),
                properties: properties(of_subject, subject),
            },
            action: Action {
                name: record.action,
                properties: properties(of_action, action),
            },
            resource: Entity {
                kind: record.resource[0],
                id: masked(self.resource_masked, record.resource[1]),
                properties: properties(of_resource, resource),
            },
            context: properties(of_context, context),
            section: record.section,
            test_role: record.test_role,
            decision,
            reason,
            results: match record.outcome {
                Noted::Found(results) => Some(results),
                Noted::Decided { .. } | Noted::Filtered(_) => None,
            },
            filter: match record.outcome {
                Noted::Filtered(filter) => Some(filter),
                Noted::Decided { .. } | Noted::Found(_) => None,
            },
            duration_ns,
            trace_id: record.trace_id.map(|id| hex(&id)),
            cut: record.cut,
        };
        // Structs of text and numbers can always be written.
        let _ = serde_json::to_writer(&mut *lines, &line);
        lines.push(b'\n');
    }
}

// === impl Clock ===

impl Clock {
    /// RFC 3339 in UTC with microseconds, always of the same length.
    fn text(&mut self, micros: i64) -> &str {
        let second = micros.div_euclid(1_000_000);
        if self.second != Some(second) {
            let time = jiff::Timestamp::from_second(second).unwrap_or_default();
            (self.second, self.text) = (Some(second), format!("{time:.6}"));
        }
        let fraction = self.text.len().saturating_sub("000000Z".len());
        self.text.truncate(fraction);
        let mut rest = micros.rem_euclid(1_000_000);
        for unit in [100_000, 10_000, 1_000, 100, 10, 1] {
            let digit = u32::try_from(rest / unit).unwrap_or(0);
            self.text.push(char::from_digit(digit, 10).unwrap_or('0'));
            rest %= unit;
        }
        self.text.push('Z');
        &self.text
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let digits = digits.map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'));
    digits.collect()
}

/// Properties as they were noted, with what is masked replaced.
fn properties<'a>(json: Option<&'a str>, masks: &[Vec<String>]) -> Option<Cow<'a, RawValue>> {
    let json = json?;
    if masks.is_empty() {
        return serde_json::from_str::<&RawValue>(json)
            .ok()
            .map(Cow::Borrowed);
    }
    let mut value: Value = serde_json::from_str(json).ok()?;
    for path in masks {
        mask(&mut value, path);
    }
    serde_json::value::to_raw_value(&value).ok().map(Cow::Owned)
}

/// Replaces what stands at the path; of lists, in each item.
fn mask(value: &mut Value, path: &[String]) {
    match (path.split_first(), value) {
        (_, Value::Array(items)) if !path.is_empty() => {
            items.iter_mut().for_each(|item| mask(item, path));
        }
        (None, value) => *value = Value::from(MASKED),
        (Some((name, rest)), Value::Object(members)) => {
            if let Some(value) = members.get_mut(name) {
                mask(value, rest);
            }
        }
        (Some(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn moments_are_written_to_the_microsecond() {
        let mut clock = Clock::default();
        for (micros, text) in [
            (1_772_528_400_123_456, "2026-03-03T09:00:00.123456Z"),
            (1_772_528_400_000_007, "2026-03-03T09:00:00.000007Z"),
            (1_772_528_401_999_999, "2026-03-03T09:00:01.999999Z"),
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(clock.text(micros), text);
        }
    }
}
