//! JSON is YAML, but for two things that readers of YAML mind: tabs, and characters beyond the
//! first 65,536 written as two escapes.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// A pair of escapes, `\ud83d\ude00`, and the one that YAML has for it, `\U0001f600`.
const PAIR: usize = 12;
const SINGLE: u32 = 10;

/// JSON as YAML reads it, and how its columns differ.
pub(super) struct Json {
    pub(super) text: String,
    /// Line and column behind each escape that became shorter; in order.
    shortened: Vec<(u32, u32)>,
}

// === impl Json ===

impl Json {
    /// The file as YAML, if it is JSON that YAML would not read alike.
    pub(super) fn read(text: &str) -> Option<Self> {
        let odd = text.contains('\t') || text.contains("\\u");
        let json = odd && text.trim_start().starts_with(['{', '[']);
        if !json || serde_json::from_str::<IgnoredAny>(text).is_err() {
            return None;
        }
        let mut read = Self {
            text: String::with_capacity(text.len()),
            shortened: Vec::new(),
        };
        let (mut line, mut column) = (1, 1);
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let mut width = letter.len_utf8();
            column += 1;
            match letter {
                '\n' => {
                    line += 1;
                    column = 1;
                    read.text.push(letter);
                }
                // In JSON a tab is white space, for in a text it is escaped.
                '\t' => read.text.push(' '),
                '\\' => match pair(rest) {
                    Some(one) => {
                        read.text.push_str(&format!("\\U{:08x}", u32::from(one)));
                        column += SINGLE - 1;
                        read.shortened.push((line, column));
                        width = PAIR;
                    }
                    None => {
                        // The escaped character goes along: it may be a backslash itself.
                        width = rest.char_indices().nth(2).map_or(rest.len(), |(at, _)| at);
                        let escape = rest.get(..width).unwrap_or_default();
                        read.text.push_str(escape);
                        column += 1;
                    }
                },
                _ => read.text.push(letter),
            }
            rest = rest.get(width..).unwrap_or_default();
        }
        Some(read)
    }

    /// The column in the file of a column in the text.
    pub(super) fn column(&self, line: u32, column: u32) -> u32 {
        let until = self
            .shortened
            .partition_point(|place| *place <= (line, column));
        let from = self.shortened.partition_point(|place| *place < (line, 0));
        let shorter = u32::try_from(until.saturating_sub(from)).unwrap_or(0);
        column.saturating_add(shorter * (PAIR as u32 - SINGLE))
    }
}

/// The character that two escapes at the beginning of `text` write together.
fn pair(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let units = [unit(0)?, unit(6)?];
    let one = char::decode_utf16(units).next()?.ok()?;
    (u32::from(one) > 0xffff).then_some(one)
}

/// The text, whatever it borrowed from.
pub(super) fn owned<'f>(text: Cow<'_, str>) -> Cow<'f, str> {
    Cow::Owned(text.into_owned())
}
