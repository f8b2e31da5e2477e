//! Tables of the file that are no lists of settings: read key by key, with the place of each
//! mistake.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw::{Mistake, Origin, nearest};

/// A table that is being read, and what is wrong with it.
pub(super) struct Table<'t, 'r> {
    entries: &'t DeTable<'t>,
    /// Where the table itself stands.
    at: Origin,
    places: &'r dyn Fn(usize) -> Origin,
    mistakes: &'r mut Vec<Mistake>,
}

/// A value, and where it stands.
pub(super) type Placed<T> = (T, Origin);

// === impl Table ===

impl<'t, 'r> Table<'t, 'r> {
    /// Reads a value that must be a table of these keys; `what` names it. `places` tells where in
    /// the file a position is.
    pub(super) fn open(
        value: &'t Spanned<DeValue<'t>>,
        what: &str,
        keys: &[&str],
        places: &'r dyn Fn(usize) -> Origin,
        mistakes: &'r mut Vec<Mistake>,
    ) -> Option<Self> {
        let at = places(value.span().start);
        let Some(entries) = value.get_ref().as_table() else {
            let found = value.get_ref().type_str();
            let message = format!("{what} must be a table, and not of type {found}");
            mistakes.push(Mistake::new(&at, &message));
            return None;
        };
        for (key, _) in entries {
            if keys.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let near = nearest(key.get_ref(), keys.iter().map(ToString::to_string));
            let remedy = near.map_or_else(
                || format!("there are {}", keys.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("`{key}` is unknown in {what}; {remedy}");
            mistakes.push(Mistake::new(&places(key.span().start), &message));
        }
        Some(Self {
            entries,
            at,
            places,
            mistakes,
        })
    }

    /// Notes what is wrong with the table as a whole.
    pub(super) fn wrong(&mut self, message: &str) {
        self.mistakes.push(Mistake::new(&self.at, message));
    }

    /// Notes what is wrong at a place in it.
    pub(super) fn wrong_at(&mut self, at: &Origin, message: &str) {
        self.mistakes.push(Mistake::new(at, message));
    }

    /// The keys that are there.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(|key| key.get_ref().as_ref())
    }

    /// A table within it.
    pub(super) fn table(&mut self, key: &str, what: &str, keys: &[&str]) -> Option<Table<'t, '_>> {
        let value = self.entries.get(key)?;
        Table::open(value, what, keys, self.places, self.mistakes)
    }

    /// A text, if there is one.
    pub(super) fn text(&mut self, key: &str) -> Option<Placed<&'t str>> {
        let value = self.entries.get(key)?;
        self.one(key, value)
    }

    /// A text that must be there.
    pub(super) fn needed(&mut self, key: &str, example: &str) -> Option<Placed<&'t str>> {
        if !self.entries.contains_key(key) {
            self.lacks(key, example);
        }
        self.text(key)
    }

    /// One text or several, of which there must be one at least.
    pub(super) fn several(&mut self, key: &str, example: &str) -> Vec<Placed<&'t str>> {
        let Some(value) = self.entries.get(key) else {
            self.lacks(key, example);
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            return self.one(key, value).into_iter().collect();
        };
        if items.is_empty() {
            let at = (self.places)(value.span().start);
            self.wrong_at(
                &at,
                &format!("`{key}` is empty: name one at least, as in {example}"),
            );
        }
        items
            .iter()
            .filter_map(|item| self.one(key, item))
            .collect()
    }

    /// Reads what a text means; what it cannot mean is noted.
    pub(super) fn read<T>(
        &mut self,
        text: Option<Placed<&str>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (text, at) = text?;
        parse(text)
            .map_err(|message| self.wrong_at(&at, &message))
            .ok()
    }

    fn one(&mut self, key: &str, value: &'t Spanned<DeValue<'t>>) -> Option<Placed<&'t str>> {
        let at = (self.places)(value.span().start);
        let text = value.get_ref().as_str();
        if text.is_none() {
            let found = value.get_ref().type_str();
            self.wrong_at(
                &at,
                &format!("`{key}` must be a text, and not of type {found}"),
            );
        }
        Some((text?, at))
    }

    fn lacks(&mut self, key: &str, example: &str) {
        self.wrong(&format!("`{key}` is missing, as in {example}"));
    }
}
