//! JSON at the edge: values that borrow from the body, and members that may be missing or wrong.
//!
//! What no reader of JSON should let pass is refused here, wherever it stands, in members that
//! nobody asks for too: nesting beyond a limit, a name that stands twice in one object, numbers
//! beyond a double, lone surrogates (the latter two by `serde_json`).
//! A member of a wrong type is no such error: it is noted as [`Member::Wrong`], and whoever needs
//! the member says so with its path.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::model::{Properties, Value};

/// The most arrays and objects that may stand in one another; the body itself is the first.
pub const NESTING_MAX: u8 = 64;

/// Characters of a name that an error message repeats.
const NAME_CHARS_MAX: usize = 64;

/// A member of an object, as it was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Member<T> {
    /// It is not there, or null.
    #[default]
    Absent,
    /// It is there, but it is this.
    Wrong(&'static str),
    /// It is there.
    Is(T),
}

/// What a member should be. Whatever a shape does not take up is read, checked, and wrong.
///
/// What is read is put where it belongs at once: handed up step by step, it would be moved at each.
pub(super) trait Shape<'de>: Sized {
    /// What is made of it.
    type Out;

    /// From `true` or `false`.
    fn bool(_: bool) -> Option<Self::Out> {
        None
    }

    /// From a number.
    fn number(_: f64) -> Option<Self::Out> {
        None
    }

    /// From text.
    fn text(_: Cow<'de, str>) -> Option<Self::Out> {
        None
    }

    /// From an array; `levels` more may stand in it.
    fn array<A: SeqAccess<'de>>(
        items: A,
        levels: u8,
        place: &mut Member<Self::Out>,
    ) -> Result<(), A::Error> {
        skip_items(items, levels)?;
        *place = Member::Wrong("an array");
        Ok(())
    }

    /// From an object; `levels` more may stand in it.
    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self::Out>,
    ) -> Result<(), A::Error> {
        each(members, levels, |_, _| Ok(false))?;
        *place = Member::Wrong("an object");
        Ok(())
    }
}

/// Text.
pub(super) struct Text;
/// `true` or `false`.
pub(super) struct Bool;
/// A number.
pub(super) struct Number;

/// Reads one member of the shape `S`, in which `levels` of nesting are left, to its place.
pub(super) struct Read<'p, 'de, S: Shape<'de>> {
    levels: u8,
    place: &'p mut Member<S::Out>,
}

/// Reads a name; borrowed if it has no escapes.
struct Name;

/// Reads any value, in which `levels` of nesting are left.
struct Any {
    levels: u8,
}

/// Names of one object that nobody asks for: they may be anything, but not the same.
#[derive(Default)]
struct Names<'de>(Vec<Cow<'de, str>>);

// === shapes ===

impl<'de> Shape<'de> for Text {
    type Out = Cow<'de, str>;

    fn text(text: Cow<'de, str>) -> Option<Self::Out> {
        Some(text)
    }
}

impl Shape<'_> for Bool {
    type Out = bool;

    fn bool(value: bool) -> Option<Self::Out> {
        Some(value)
    }
}

impl Shape<'_> for Number {
    type Out = f64;

    fn number(value: f64) -> Option<Self::Out> {
        Some(value)
    }
}

impl<'de> Shape<'de> for Properties<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        *place = Member::Is(properties(members, levels)?);
        Ok(())
    }
}

fn properties<'de, A: MapAccess<'de>>(
    mut members: A,
    levels: u8,
) -> Result<Properties<'de>, A::Error> {
    let mut next = members.next_key_seed(Name)?;
    let mut read = room(&next);
    while let Some(name) = next {
        read.push((name, members.next_value_seed(Any { levels })?));
        next = members.next_key_seed(Name)?;
    }
    sorted(read)
}

/// Reads properties, but for the one member that `but` names: that is left to `take`.
pub(super) fn properties_but<'de, A: MapAccess<'de>>(
    mut members: A,
    levels: u8,
    but: &str,
    mut take: impl FnMut(&str, &mut A) -> Result<(), A::Error>,
) -> Result<Properties<'de>, A::Error> {
    let mut next = members.next_key_seed(Name)?;
    let mut read = room(&next);
    while let Some(name) = next {
        if name == but {
            take(&name, &mut members)?;
        } else {
            read.push((name, members.next_value_seed(Any { levels })?));
        }
        next = members.next_key_seed(Name)?;
    }
    sorted(read)
}

/// Room for members, if there is a first one: mostly they are few.
fn room<'de>(first: &Option<Cow<'de, str>>) -> Vec<(Cow<'de, str>, Value<'de>)> {
    const FEW: usize = 4;
    Vec::with_capacity(if first.is_some() { FEW } else { 0 })
}

fn sorted<'de, E: Error>(members: Vec<(Cow<'de, str>, Value<'de>)>) -> Result<Properties<'de>, E> {
    Properties::new(members).map_err(|error| duplicate(&error.duplicate))
}

// === impl Read ===

impl<'p, 'de, S: Shape<'de>> Read<'p, 'de, S> {
    /// The outermost value.
    pub(super) const fn outermost(place: &'p mut Member<S::Out>) -> Self {
        Self::within(NESTING_MAX, place)
    }

    /// A member of an object in which `levels` of nesting are left.
    pub(super) const fn within(levels: u8, place: &'p mut Member<S::Out>) -> Self {
        Self { levels, place }
    }

    fn number<E>(self, number: f64) -> Result<(), E> {
        *self.place = Member::of(S::number(number), "a number");
        Ok(())
    }
}

impl<'de, S: Shape<'de>> DeserializeSeed<'de> for Read<'_, 'de, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, S: Shape<'de>> Visitor<'de> for Read<'_, 'de, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        *self.place = Member::Absent;
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        *self.place = Member::of(S::bool(value), "a boolean");
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles here")]
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.number(value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles here")]
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.number(value)
    }

    #[inline]
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        *self.place = Member::of(S::text(Cow::Borrowed(text)), "a string");
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        *self.place = Member::of(S::text(Cow::Owned(text.to_owned())), "a string");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        S::array(items, deeper(self.levels)?, self.place)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        S::object(members, deeper(self.levels)?, self.place)
    }
}

// === impl Member ===

impl<T> Member<T> {
    fn of(value: Option<T>, found: &'static str) -> Self {
        value.map_or(Self::Wrong(found), Self::Is)
    }

    /// This member, or if it is absent the other.
    pub(super) const fn or<'m>(&'m self, other: &'m Self) -> &'m Self {
        match self {
            Self::Absent => other,
            Self::Wrong(_) | Self::Is(_) => self,
        }
    }
}

// === impl Name ===

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

// === impl Any ===

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles here")]
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles here")]
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let levels = deeper(self.levels)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Any { levels })? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        let levels = deeper(self.levels)?;
        properties(members, levels).map(Value::Object)
    }
}

// === impl Names ===

impl<'de> Names<'de> {
    /// Reads over a member that nobody asks for.
    fn skip<A: MapAccess<'de>>(
        &mut self,
        name: Cow<'de, str>,
        members: &mut A,
        levels: u8,
    ) -> Result<(), A::Error> {
        self.0.push(name);
        members.next_value_seed(Any { levels }).map(drop)
    }

    /// To be called at the object's end.
    fn finish<E: Error>(mut self) -> Result<(), E> {
        self.0.sort_unstable();
        match self.0.array_windows().find(|[one, next]| one == next) {
            Some([name, _]) => Err(duplicate(name)),
            None => Ok(()),
        }
    }
}

/// Reads the members of an object. `take` reads those that it knows, and returns whether it did; the
/// others are read over. Returns the name of the first of these.
pub(super) fn each<'de, A: MapAccess<'de>>(
    mut members: A,
    levels: u8,
    mut take: impl FnMut(&str, &mut A) -> Result<bool, A::Error>,
) -> Result<Option<Cow<'de, str>>, A::Error> {
    let mut others = Names::default();
    while let Some(name) = members.next_key_seed(Name)? {
        if !take(&name, &mut members)? {
            others.skip(name, &mut members, levels)?;
        }
    }
    let first = others.0.first().cloned();
    others.finish()?;
    Ok(first)
}

/// Reads a member to where it belongs, unless one of its name came before. It returns `true`, for
/// [`each`].
pub(super) fn put<'de, S: Shape<'de>, A: MapAccess<'de>>(
    place: &mut Member<S::Out>,
    came: &mut bool,
    name: &str,
    members: &mut A,
    levels: u8,
) -> Result<bool, A::Error> {
    if std::mem::replace(came, true) {
        return Err(duplicate(name));
    }
    let read = members.next_value_seed(Read::<S>::within(levels, place));
    read.map(|()| true)
}

#[cold]
fn duplicate<E: Error>(name: &str) -> E {
    E::custom(format_args!(
        "`{}` stands twice in one object",
        shorten(name)
    ))
}

/// A name for an error message: its beginning, if it is long.
pub(super) fn shorten(name: &str) -> String {
    let mut chars = name.chars();
    let mut short: String = chars.by_ref().take(NAME_CHARS_MAX).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

fn deeper<E: Error>(levels: u8) -> Result<u8, E> {
    levels.checked_sub(1).ok_or_else(|| {
        E::custom(format_args!(
            "more than {NESTING_MAX} arrays and objects in one another"
        ))
    })
}

/// Reads over the rest of an array, and returns how many items that were.
pub(super) fn skip_items<'de, A: SeqAccess<'de>>(
    mut items: A,
    levels: u8,
) -> Result<usize, A::Error> {
    let mut count = 0;
    while items.next_element_seed(Any { levels })?.is_some() {
        count += 1;
    }
    Ok(count)
}
