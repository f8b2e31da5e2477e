//! Records: what a thread that decides notes of a decision, as few bytes as will do.
//!
//! A record is written and read by the same process, so its form (`postcard`) is nobody else's
//! business. It is bounded: what is longer than anything sensible is cut, and the line says so.

use std::borrow::Cow;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};

use crate::config::{LogPath, LogPlace};
use crate::model::{Properties, Query, Reason, Value};

/// Bytes of one text; longer ones are cut.
pub(super) const TEXT_BYTES_MAX: usize = 1_024;
/// Bytes of the properties of one place as JSON; larger ones are left out.
pub(super) const PROPERTIES_BYTES_MAX: usize = 4_096;
/// Bytes of a record: at most nine texts, four places and some numbers. It must be below the least
/// size of a queue.
pub(super) const RECORD_BYTES_MAX: usize = 32 << 10;

/// A decision, or what stands in for one, as the log is told of it.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// The interface.
    pub api: &'static str,
    /// The request's id, as it came or was made.
    pub request_id: &'a [u8],
    /// Its position in a batch.
    pub item: Option<u32>,
    /// Whose policy was asked.
    pub company: &'a str,
    /// The revision of the snapshot that was asked.
    pub revision: &'a str,
    /// The application that asked, where it is known.
    pub caller: Option<&'a str>,
    /// The trace of the request, if it has one.
    pub trace_id: Option<[u8; 16]>,
    /// What was asked.
    pub query: &'a Query<'a>,
    /// What came of it.
    pub outcome: Outcome<'a>,
}

/// What came of a question.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    /// A decision, and how long it took, in nanoseconds.
    Decided(&'a Reason<'a>, u64),
    /// A page of a search, with so many results.
    Found(usize),
    /// A filter: `always`, `never` or `when`.
    Filtered(&'a str),
}

/// An [`Entry`] as it waits in the queue.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record<'a> {
    /// Microseconds since 1970, UTC.
    pub(super) time: i64,
    pub(super) api: &'a str,
    pub(super) id: &'a str,
    pub(super) item: Option<u32>,
    pub(super) company: &'a str,
    pub(super) revision: &'a str,
    #[serde(borrow)]
    pub(super) caller: Option<&'a str>,
    pub(super) subject: [&'a str; 2],
    pub(super) action: &'a str,
    pub(super) resource: [&'a str; 2],
    pub(super) section: bool,
    #[serde(borrow)]
    pub(super) test_role: Option<&'a str>,
    /// Of subject, action, resource and context, as JSON.
    #[serde(borrow)]
    pub(super) properties: [Option<&'a str>; 4],
    #[serde(borrow)]
    pub(super) outcome: Noted<'a>,
    pub(super) trace_id: Option<[u8; 16]>,
    /// Whether something was too long.
    pub(super) cut: bool,
}

/// An [`Outcome`] as it waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Noted<'a> {
    Decided {
        allowed: bool,
        reason: &'a str,
        nanos: u64,
    },
    Found(u64),
    Filtered(&'a str),
}

/// Which properties are noted.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Of subject, action, resource and context.
    places: [Chosen; 4],
}

#[derive(Clone, Debug, Default)]
struct Chosen {
    all: bool,
    names: Vec<String>,
}

// === impl Entry ===

impl Entry<'_> {
    /// Whether it is an allow.
    pub(super) const fn allows(&self) -> bool {
        matches!(self.outcome, Outcome::Decided(reason, _) if reason.allows())
    }

    /// Writes the record into `buffer`, of [`RECORD_BYTES_MAX`], and returns what was written.
    pub(super) fn write<'b>(
        &self,
        choice: &Choice,
        buffer: &'b mut [u8],
    ) -> postcard::Result<&'b [u8]> {
        let mut cut = false;
        let id = String::from_utf8_lossy(self.request_id);
        let query = self.query;
        let mut text = |text| shorten(text, &mut cut);
        let subject = [text(query.subject.kind), text(query.subject.id)];
        let resource = [text(query.resource.kind), text(query.resource.id)];
        let (id, action) = (text(&id), text(query.action.name));
        let test_role = query.test_role.map(&mut text);
        let caller = self.caller.map(&mut text);
        let reason: Cow<'_, str>;
        let outcome = match self.outcome {
            Outcome::Decided(why, nanos) => {
                reason = match why {
                    Reason::Via { .. } | Reason::Requires { .. } => why.to_string().into(),
                    plain => plain.code().into(),
                };
                Noted::Decided {
                    allowed: why.allows(),
                    reason: text(&reason),
                    nanos,
                }
            }
            Outcome::Found(results) => Noted::Found(results as u64),
            Outcome::Filtered(filter) => Noted::Filtered(filter),
        };
        let properties = choice.of(query, &mut cut);
        let properties = properties.each_ref().map(Option::as_deref);
        let record = Record {
            time: query.now.0,
            api: self.api,
            id,
            item: self.item,
            company: self.company,
            revision: self.revision,
            caller,
            subject,
            action,
            resource,
            section: query.section,
            test_role,
            properties,
            outcome,
            trace_id: self.trace_id,
            cut,
        };
        postcard::to_slice(&record, buffer).map(|written| &*written)
    }
}

/// The text, or as much of it as is logged.
fn shorten<'t>(text: &'t str, cut: &mut bool) -> &'t str {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    *cut = true;
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.get(..end).unwrap_or_default()
}

// === impl Choice ===

impl Choice {
    pub(super) fn new(include: &[LogPath]) -> Self {
        let mut choice = Self::default();
        let [subject, action, resource, context] = &mut choice.places;
        for path in include {
            let chosen = match path.place {
                LogPlace::Subject => &mut *subject,
                LogPlace::Action => &mut *action,
                LogPlace::Resource => &mut *resource,
                LogPlace::Context => &mut *context,
                LogPlace::Caller | LogPlace::SubjectId | LogPlace::ResourceId => continue,
            };
            match path.names.first() {
                None => chosen.all = true,
                Some(name) => chosen.names.push(name.clone()),
            }
        }
        choice
    }

    /// What is chosen of a question, as JSON.
    fn of(&self, query: &Query<'_>, cut: &mut bool) -> [Option<String>; 4] {
        let [subject, action, resource, context] = &self.places;
        [
            subject.of(query.subject.properties, cut),
            action.of(query.action.properties, cut),
            resource.of(query.resource.properties, cut),
            context.of(query.context, cut),
        ]
    }
}

impl Chosen {
    fn of(&self, properties: &Properties<'_>, cut: &mut bool) -> Option<String> {
        if (!self.all && self.names.is_empty()) || properties.is_empty() {
            return None;
        }
        let is_chosen = |name: &str| self.all || self.names.iter().any(|chosen| chosen == name);
        let chosen = properties.iter().filter(|(name, _)| is_chosen(name));
        let chosen: Vec<_> = chosen.collect();
        if chosen.is_empty() {
            return None;
        }
        let json = serde_json::to_string(&Members(&chosen)).ok();
        let json = json.filter(|json| json.len() <= PROPERTIES_BYTES_MAX);
        *cut |= json.is_none();
        json
    }
}

// === values as JSON ===

struct Members<'m, 'v>(&'m [(&'m str, &'m Value<'v>)]);

struct Json<'m, 'v>(&'m Value<'v>);

impl Serialize for Members<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, &Json(value))?;
        }
        map.end()
    }
}

impl Serialize for Json<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => match whole(*number) {
                Some(whole) => serializer.serialize_i64(whole),
                None => serializer.serialize_f64(*number),
            },
            Value::String(text) => serializer.serialize_str(text),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Json(item))?;
                }
                list.end()
            }
            Value::Object(members) => {
                let members: Vec<_> = members.iter().collect();
                Members(&members).serialize(serializer)
            }
        }
    }
}

/// A number without a fraction is written without one, as far as doubles are exact.
fn whole(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number of at most 2^53"
    )]
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}
