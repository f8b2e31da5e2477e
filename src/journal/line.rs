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
}

/// A line, its members in their order.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
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
        }
    }

    /// Appends the line of a record, with its end.
    pub(super) fn write(&self, record: &Record<'_>, lines: &mut Vec<u8>) {
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
            time: time(record.time),
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

/// RFC 3339 in UTC with microseconds, always of the same length.
fn time(micros: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    format!("{time:.6}")
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
