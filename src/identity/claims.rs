//! What a token says, as JSON in which no name stands twice.
//!
//! Readers differ in which of two members of one name they take; so a token that has any is
//! refused, at whatever depth.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The claims of a token, or what its header says.
pub(super) struct Claims(Map<String, Value>);

/// A value in which no name stands twice.
struct Unique(Value);

struct UniqueVisitor;

// === impl Claims ===

impl Claims {
    /// Whether the token is this issuer's (RFC 7519, section 4.1.1).
    pub(super) fn is_from(&self, issuer: &str) -> bool {
        self.0.get("iss").and_then(Value::as_str) == Some(issuer)
    }

    /// Whether it is for one of these (section 4.1.3).
    pub(super) fn is_for(&self, audience: &[String]) -> bool {
        let meant = |value: &Value| {
            let value = value.as_str();
            value.is_some_and(|value| audience.iter().any(|is| is == value))
        };
        match self.0.get("aud") {
            Some(Value::Array(several)) => several.iter().any(meant),
            Some(one) => meant(one),
            None => false,
        }
    }

    /// A time, in seconds since 1970 (section 2, `NumericDate`): `Ok(None)` if it is not there.
    pub(super) fn time(&self, name: &str) -> Result<Option<f64>, ()> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(()),
        }
    }

    /// The text, or the whole number as text, at this path.
    pub(super) fn text(&self, path: &[String]) -> Option<String> {
        let (first, rest) = path.split_first()?;
        let mut value = self.0.get(first)?;
        for name in rest {
            value = value.as_object()?.get(name)?;
        }
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            _ => None,
        }
    }

    /// Whether the issuer says that the mail address is not proven to be the user's (OpenID
    /// Connect Core, section 5.1): then anybody could have typed it in.
    pub(super) fn mail_is_unproven(&self) -> bool {
        match self.0.get("email_verified") {
            None | Some(Value::Bool(true)) => false,
            Some(Value::String(text)) => text != "true",
            Some(_) => true,
        }
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Unique::deserialize(deserializer)?.0 {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(D::Error::custom("claims are an object")),
        }
    }
}

// === impl Unique ===

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON in which no name stands twice")
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
        Ok(Unique(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E>(self, text: &str) -> Result<Unique, E> {
        Ok(Unique(Value::String(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Unique(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Unique(value) = members.next_value()?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Unique(Value::Object(map)))
    }
}
