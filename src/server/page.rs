//! Pages of a search, and the tokens that lead from one to the next.
//!
//! A token says after which result to go on, and is sealed together with the question that it
//! belongs to. So it can be neither made up nor used for another question, and there is nothing to
//! remember. It opens nothing: each result is decided anew. It is not bound to a snapshot: the next
//! page comes from whatever decides then.
//!
//! The key is made at the start of the process, and known to no other.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::expect::{optional, whole};
use super::json::{self, Member, Number, Shape, Text, put};
use super::respond::{Refusal, RefusalCode};
use crate::decide::search::Window;
use crate::model::{Entity, Properties, Query, Value};
use crate::telemetry::Api;

/// Results on a page where the request does not say.
pub const PAGE_RESULTS: usize = 100;

const SEAL_BYTES: usize = 32;
const LIMIT_BYTES: usize = 4;

/// What a request says of the page that it wants.
#[derive(Debug, Default)]
pub(super) struct PageBody<'a> {
    token: Member<Cow<'a, str>>,
    limit: Member<f64>,
}

/// [`PageBody`] in which nothing is wrong so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PageAsked<'r> {
    token: Option<&'r str>,
    limit: Option<usize>,
    most: usize,
    /// Whether more were wanted than a page may have.
    pub(super) is_cut: bool,
}

/// Which results are wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    after: Option<String>,
    limit: usize,
}

/// What tokens are sealed with.
#[derive(Clone)]
pub(super) struct Key([u8; 32]);

/// Seals the tokens of one question.
pub(super) struct Sealer {
    question: blake3::Hash,
    key: Key,
}

// === impl PageBody ===

impl PageBody<'_> {
    pub(super) fn asked(page: &Member<Self>, most: usize) -> Result<PageAsked<'_>, Refusal> {
        let Some(page) = optional(page, "`page`", "an object")? else {
            return Ok(PageAsked {
                most,
                ..PageAsked::default()
            });
        };
        let token = optional(&page.token, "`page.token`", "a string")?;
        let limit = whole(&page.limit, "`page.limit`", "a whole number")?;
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(PageAsked {
            // What the last page says of the next.
            token: token.map(Cow::as_ref).filter(|token| !token.is_empty()),
            limit: limit.map(|limit| limit.min(most)),
            most,
            is_cut: limit.is_some_and(|limit| limit > most),
        })
    }
}

impl<'de> Shape<'de> for PageBody<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut body = Self::default();
        let mut came = [false; 2];
        let [token, limit] = &mut came;
        json::each(members, levels, |name, of| match name {
            "token" => put::<Text, A>(&mut body.token, token, name, of, levels),
            "limit" => put::<Number, A>(&mut body.limit, limit, name, of, levels),
            _ => Ok(false),
        })?;
        *place = Member::Is(body);
        Ok(())
    }
}

// === impl Place ===

impl Place {
    pub(super) fn window(&self) -> Window<'_> {
        Window {
            after: self.after.as_deref(),
            limit: self.limit,
        }
    }

    /// Where the next page begins: after the last result of this one.
    pub(super) fn next(&self, last: Option<&str>) -> Self {
        Self {
            after: last.map(str::to_owned).or_else(|| self.after.clone()),
            limit: self.limit,
        }
    }
}

// === impl Key ===

impl Key {
    /// A key that nobody else has.
    pub(super) fn random() -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        Ok(Self(key))
    }
}

// === impl Sealer ===

impl Sealer {
    /// For this question of this company.
    pub(super) fn new(key: &Key, api: Api, company: &str, query: &Query<'_>) -> Self {
        Self {
            question: question(api, company, query),
            key: key.clone(),
        }
    }

    /// Which results are wanted, if the token is one of ours and belongs to the question.
    pub(super) fn open(&self, asked: PageAsked<'_>) -> Result<Place, Refusal> {
        let Some(token) = asked.token else {
            return Ok(Place {
                after: None,
                limit: asked.limit.unwrap_or(PAGE_RESULTS.min(asked.most)),
            });
        };
        let place = self.place(token).ok_or_else(|| {
            bad("`page.token` is none of this service, or belongs to another request: all but the page must stay as it was")
        })?;
        match asked.limit {
            Some(limit) if limit != place.limit => Err(bad(
                "`page.limit` is not what it was on the page before: leave it out or keep it",
            )),
            _ => Ok(place),
        }
    }

    /// The token for this place: seal, limit and last result, in hexadecimal digits.
    pub(super) fn token(&self, place: &Place) -> String {
        let limit = u32::try_from(place.limit).unwrap_or(u32::MAX);
        let mut token = vec![0; SEAL_BYTES];
        token.extend_from_slice(&limit.to_le_bytes());
        token.extend_from_slice(place.after.as_deref().unwrap_or("").as_bytes());
        let (seal, said) = token.split_at_mut(SEAL_BYTES);
        seal.copy_from_slice(self.seal(said).as_bytes());
        token.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn place(&self, token: &str) -> Option<Place> {
        let bytes = from_hex(token)?;
        let (seal, said) = bytes.split_first_chunk::<SEAL_BYTES>()?;
        // Hashes are compared in constant time.
        if self.seal(said) != blake3::Hash::from_bytes(*seal) {
            return None;
        }
        let (limit, after) = said.split_first_chunk::<LIMIT_BYTES>()?;
        let after = std::str::from_utf8(after).ok()?;
        Some(Place {
            after: (!after.is_empty()).then(|| after.to_owned()),
            limit: u32::from_le_bytes(*limit) as usize,
        })
    }

    fn seal(&self, said: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key.0);
        hasher.update(self.question.as_bytes()).update(said);
        hasher.finalize()
    }
}

#[cold]
fn bad(message: &'static str) -> Refusal {
    Refusal::bad(RefusalCode::InvalidPageToken, message)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| {
        let byte = digit(*high)? << 4 | digit(*low)?;
        u8::try_from(byte).ok()
    });
    rest.is_empty().then_some(())?;
    bytes.collect()
}

// === the question ===

/// All that the results depend on, but for the snapshot and the time. Each value says of what kind
/// and how long it is, so that no two questions come to the same bytes.
fn question(api: Api, company: &str, query: &Query<'_>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    text(&mut hasher, api.name());
    text(&mut hasher, company);
    entity(&mut hasher, &query.subject);
    text(&mut hasher, query.action.name);
    properties(&mut hasher, query.action.properties);
    entity(&mut hasher, &query.resource);
    properties(&mut hasher, query.context);
    hasher.update(&[u8::from(query.section)]);
    match query.test_role {
        None => drop(hasher.update(&[0])),
        Some(role) => {
            hasher.update(&[1]);
            text(&mut hasher, role);
        }
    }
    hasher.finalize()
}

fn entity(hasher: &mut blake3::Hasher, entity: &Entity<'_>) {
    text(hasher, entity.kind);
    text(hasher, entity.id);
    properties(hasher, entity.properties);
}

fn text(hasher: &mut blake3::Hasher, text: &str) {
    length(hasher, text.len());
    hasher.update(text.as_bytes());
}

fn length(hasher: &mut blake3::Hasher, length: usize) {
    hasher.update(&(length as u64).to_le_bytes());
}

fn properties(hasher: &mut blake3::Hasher, properties: &Properties<'_>) {
    length(hasher, properties.iter().count());
    for (name, of) in properties.iter() {
        text(hasher, name);
        value(hasher, of);
    }
}

fn value(hasher: &mut blake3::Hasher, value_is: &Value<'_>) {
    match value_is {
        Value::Null => drop(hasher.update(&[0])),
        Value::Bool(is) => drop(hasher.update(&[1, u8::from(*is)])),
        Value::Number(number) => {
            hasher.update(&[2]).update(&number.to_bits().to_le_bytes());
        }
        Value::String(is) => {
            hasher.update(&[3]);
            text(hasher, is);
        }
        Value::List(items) => {
            hasher.update(&[4]);
            length(hasher, items.len());
            for item in items {
                value(hasher, item);
            }
        }
        Value::Object(members) => {
            hasher.update(&[5]);
            properties(hasher, members);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(question: &str) -> Sealer {
        Sealer {
            question: blake3::hash(question.as_bytes()),
            key: Key([7; 32]),
        }
    }

    fn asked(token: &str) -> PageAsked<'_> {
        PageAsked {
            most: 1_000,
            token: Some(token),
            ..PageAsked::default()
        }
    }

    #[test]
    fn a_token_leads_to_its_place() {
        for after in [None, Some("łódź\u{0}".to_owned())] {
            let place = Place { after, limit: 17 };
            let token = sealer("q").token(&place);
            assert_eq!(sealer("q").open(asked(&token)), Ok(place));
        }
    }

    #[test]
    fn a_token_that_was_changed_or_is_of_another_question_leads_nowhere() {
        let after = Some("olga".to_owned());
        let token = sealer("q").token(&Place { after, limit: 17 });
        assert!(sealer("r").open(asked(&token)).is_err());
        let other_key = Sealer {
            key: Key([8; 32]),
            ..sealer("q")
        };
        assert!(other_key.open(asked(&token)).is_err());
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(sealer("q").open(asked(&changed)).is_err(), "{at}");
            assert!(sealer("q").open(asked(token.split_at(at).0)).is_err());
        }
        for token in ["x", "zz", "ł", "00"] {
            assert!(sealer("q").open(asked(token)).is_err());
        }
    }
}
