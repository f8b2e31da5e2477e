//! Property values, as in JSON.

use std::borrow::Cow;

/// A value of a property, as in JSON. Strings borrow from the request where they can.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Null, which everywhere counts as absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite double; integers are numbers too.
    Number(f64),
    /// Text.
    String(Cow<'a, str>),
    /// Several values in order.
    List(Vec<Value<'a>>),
    /// Named values.
    Object(Properties<'a>),
}

/// Named values, sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Two members of one object bear this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesError {
    /// The name that stands twice.
    pub duplicate: String,
}

/// Objects of so many members are looked through one by one.
pub(crate) const SCANNED_MAX: usize = 16;

/// Whether two texts are the same, told by whole words: most names are so short that calling the
/// comparison of memory would cost more than comparing.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    fn ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
    }
    a.len() == b.len()
        && match a.len() {
            2 | 3 => ends::<2>(a, b),
            4..8 => ends::<4>(a, b),
            8..16 => ends::<8>(a, b),
            16..=32 => ends::<16>(a, b),
            _ => a == b,
        }
}

/// A bit that stands for a name's length and first byte: where two names differ in it, they are not
/// the same.
#[inline]
pub(crate) fn outline(name: &str) -> u64 {
    let first = name.as_bytes().first().copied().unwrap_or(0);
    1 << ((usize::from(first) + 5 * name.len()) & 63)
}

// === impl Value ===

impl<'a> Value<'a> {
    /// The text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the value is null, which counts as absent.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A copy that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(value) => Value::Number(value),
            Self::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Self::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
            Self::Object(members) => Value::Object(members.into_owned()),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

// === impl Properties ===

impl<'a> Properties<'a> {
    /// Properties that hold nothing.
    pub const EMPTY: Properties<'static> = Properties(Vec::new());

    /// Properties from members in any order.
    ///
    /// # Errors
    /// A name that stands twice.
    pub fn new(mut members: Vec<(Cow<'a, str>, Value<'a>)>) -> Result<Self, PropertiesError> {
        let in_order = |members: &[(Cow<'a, str>, Value<'a>)]| {
            let mut neighbours = members.array_windows();
            neighbours.all(|[(a, _), (b, _)]| a < b)
        };
        // As they mostly come.
        if in_order(&members) {
            return Ok(Self(members));
        }
        members.sort_by(|a, b| a.0.cmp(&b.0));
        let mut neighbours = members.array_windows();
        match neighbours.find(|[(a, _), (b, _)]| a == b) {
            Some([(twice, _), _]) => Err(PropertiesError {
                duplicate: twice.clone().into_owned(),
            }),
            None => Ok(Self(members)),
        }
    }

    /// The value of this name; null is absent.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let value = if self.0.len() <= SCANNED_MAX {
            let is = |key: &str| same(key.as_bytes(), name.as_bytes());
            let found = self.0.iter().find(|(key, _)| is(key));
            found.map(|(_, value)| value)
        } else {
            self.0.get(self.find(name)?).map(|(_, value)| value)
        };
        value.filter(|value| !value.is_null())
    }

    fn find(&self, name: &str) -> Option<usize> {
        let find = |(key, _): &(Cow<'a, str>, _)| key.as_ref().cmp(name);
        self.0.binary_search_by(find).ok()
    }

    /// The outlines of all names, null members' too.
    #[inline]
    pub(crate) fn outlines(&self) -> u64 {
        self.0.iter().fold(0, |all, (name, _)| all | outline(name))
    }

    /// The members, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Whether there is no member.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the member of this name out, null too.
    pub fn remove(&mut self, name: &str) -> Option<Value<'a>> {
        Some(self.0.remove(self.find(name)?).1)
    }

    /// A copy that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Properties<'static> {
        let owned = |(name, value): (Cow<'a, str>, Value<'a>)| {
            (Cow::Owned(name.into_owned()), value.into_owned())
        };
        Properties(self.0.into_iter().map(owned).collect())
    }
}
