//! What a request must have: members, of their types; else what is said of it.

use std::borrow::Cow;

use serde::de::DeserializeSeed;

use super::json::{Member, Read, Shape};
use super::plain;
use super::respond::{Refusal, RefusalCode};
use crate::model::Properties;

pub(super) static NO_PROPERTIES: Properties<'static> = Properties::EMPTY;

/// Reads a body that is an object of this shape.
pub(super) fn body<'a, S: Shape<'a>>(body: &'a [u8]) -> Result<S::Out, Refusal> {
    if body.is_empty() {
        let message = "the body is empty: it must be a JSON object";
        return Err(Refusal::bad(RefusalCode::EmptyBody, message));
    }
    // Once for all, and with the validator of the standard library: the fastest way.
    let text = std::str::from_utf8(body)
        .map_err(|error| not_json(format!("the body is not UTF-8: {error}")))?;
    let mut read = Member::Absent;
    if !plain::read::<S>(text, &mut read) {
        any::<S>(text, &mut read)?;
    }
    match read {
        Member::Is(request) => Ok(request),
        Member::Absent => Err(wrong("the body", "an object", "null")),
        Member::Wrong(found) => Err(wrong("the body", "an object", found)),
    }
}

/// Reads any body to this place, and says what is wrong with one that is no JSON.
#[cold]
fn any<'a, S: Shape<'a>>(body: &'a str, place: &mut Member<S::Out>) -> Result<(), Refusal> {
    let mut reader = serde_json::Deserializer::from_str(body);
    let read = Read::<S>::outermost(place).deserialize(&mut reader);
    let read = read.and_then(|()| reader.end());
    read.map_err(|error| not_json(format!("the body is no valid JSON: {error}")))
}

#[inline]
pub(super) fn optional<'m, T>(
    member: &'m Member<T>,
    path: &str,
    expected: &str,
) -> Result<Option<&'m T>, Refusal> {
    match member {
        Member::Is(value) => Ok(Some(value)),
        Member::Absent => Ok(None),
        Member::Wrong(found) => Err(wrong(path, expected, found)),
    }
}

#[inline]
pub(super) fn required<'m, T>(
    member: &'m Member<T>,
    path: &str,
    expected: &str,
) -> Result<&'m T, Refusal> {
    match member {
        Member::Is(value) => Ok(value),
        Member::Absent => Err(missing(path, expected)),
        Member::Wrong(found) => Err(wrong(path, expected, found)),
    }
}

#[inline]
pub(super) fn text<'m>(member: &'m Member<Cow<'_, str>>, path: &str) -> Result<&'m str, Refusal> {
    match required(member, path, "a string")?.as_ref() {
        "" => Err(empty(path)),
        text => Ok(text),
    }
}

pub(super) fn properties<'m, 'a>(
    member: &'m Member<Properties<'a>>,
    path: &str,
) -> Result<&'m Properties<'a>, Refusal> {
    Ok(optional(member, path, "an object")?.unwrap_or(&NO_PROPERTIES))
}

#[cold]
fn missing(path: &str, expected: &str) -> Refusal {
    Refusal::bad(
        RefusalCode::MissingMember,
        format!("{path} is missing: it must be {expected}"),
    )
}

#[cold]
fn empty(path: &str) -> Refusal {
    Refusal::bad(RefusalCode::EmptyMember, format!("{path} is empty"))
}

#[cold]
pub(super) fn wrong(path: &str, expected: &str, found: &str) -> Refusal {
    Refusal::bad(
        RefusalCode::WrongType,
        format!("{path} must be {expected}, and is {found}"),
    )
}

#[cold]
fn not_json(message: String) -> Refusal {
    Refusal::bad(RefusalCode::InvalidJson, message)
}

/// A whole number that is not negative.
pub(super) fn whole(
    member: &Member<f64>,
    path: &str,
    expected: &str,
) -> Result<Option<u64>, Refusal> {
    /// Beyond it two whole numbers may be one double.
    const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;
    match optional(member, path, expected)? {
        None => Ok(None),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, and in the range of both"
        )]
        Some(number) if number.fract() == 0.0 && (0.0..=WHOLE_MAX).contains(number) => {
            Ok(Some(*number as u64))
        }
        Some(_) => Err(wrong(path, expected, "another number")),
    }
}
