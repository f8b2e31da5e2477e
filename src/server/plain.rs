//! Plain JSON: a reader that is quick with what nearly all bodies are, and reads nothing else.
//!
//! It knows objects, arrays, literals, small whole numbers, and strings in which nothing is escaped;
//! other numbers it hands to `serde_json`. Whatever else it meets, a wrong body too, it gives up, and
//! `serde_json` reads the body from its beginning: what is accepted, what is refused and what is said
//! of it is decided there. So there is one law, which tests hold: what this reads, `serde_json` reads,
//! and the same.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::json::{Member, Read, Shape};

/// Reads a whole body to this place, and returns whether it is plain. If it is not, anything may
/// stand there.
pub(super) fn read<'a, S: Shape<'a>>(body: &'a str, place: &mut Member<S::Out>) -> bool {
    let mut reader = Reader { body, at: 0 };
    let read = Read::<S>::outermost(place).deserialize(&mut reader);
    // Nothing may follow.
    read.is_ok() && reader.peek().is_none()
}

/// What is read, and how far.
struct Reader<'a> {
    body: &'a str,
    at: usize,
}

/// The items of an array, or the members of an object.
struct Items<'r, 'a> {
    reader: &'r mut Reader<'a>,
    first: bool,
}

/// What is not plain, or wrong.
#[derive(Debug)]
struct NotPlain;

// === impl Reader ===

impl<'a> Reader<'a> {
    /// The next byte that is no space.
    #[inline(always)] // so are all steps that each name and text takes: calling them costs as much
    fn peek(&mut self) -> Option<u8> {
        match *self.body.as_bytes().get(self.at)? {
            ..=b' ' => self.peek_behind_spaces(),
            byte => Some(byte),
        }
    }

    fn peek_behind_spaces(&mut self) -> Option<u8> {
        loop {
            let byte = *self.body.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Goes past this byte, which must be the next.
    #[inline(always)]
    fn pass(&mut self, byte: u8) -> Result<(), NotPlain> {
        if self.peek() != Some(byte) {
            return Err(NotPlain);
        }
        self.at += 1;
        Ok(())
    }

    /// Goes past this word, which must be the next.
    fn pass_word(&mut self, word: &str) -> Result<(), NotPlain> {
        let rest = self.body.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(NotPlain);
        }
        self.at += word.len();
        Ok(())
    }

    /// A string's text; its quote is the next.
    #[inline(always)]
    fn text(&mut self) -> Result<&'a str, NotPlain> {
        let begin = self.at + 1;
        let mut end = begin;
        let mut rest = self.body.as_bytes().get(begin..).unwrap_or_default();
        let last = loop {
            let word = match rest.first_chunk() {
                Some(word) => u64::from_le_bytes(*word),
                None => self.last_bytes(rest.len()),
            };
            let ends = ends(word);
            if ends != 0 {
                let bits = ends.trailing_zeros() & !7;
                end += bits as usize / 8;
                break (word >> bits) as u8;
            }
            end += 8;
            rest = rest.get(8..).unwrap_or_default();
        };
        if last != b'"' {
            return Err(NotPlain);
        }
        self.at = end + 1;
        self.body.get(begin..end).ok_or(NotPlain)
    }

    /// The body's last bytes, fewer than eight, as a word; what there is not is 0, which ends a
    /// string. A body that makes no whole word is not worth the while.
    fn last_bytes(&self, bytes: usize) -> u64 {
        let word = self.body.as_bytes().last_chunk();
        let word = word.map_or(0, |word| u64::from_le_bytes(*word));
        let there_are_not = 64 - 8 * bytes as u32;
        word.checked_shr(there_are_not).unwrap_or(0)
    }

    /// The bytes of a number, and whatever else looks like some.
    fn number(&mut self) -> Result<&'a str, NotPlain> {
        let rest = self.body.get(self.at..).ok_or(NotPlain)?;
        let is_other = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let bytes = rest.bytes().position(|byte| is_other(&byte));
        let number = rest.get(..bytes.unwrap_or(rest.len())).ok_or(NotPlain)?;
        self.at += number.len();
        Ok(number)
    }

    /// What is no text, array or object. Apart from these, since few values are, and the way of
    /// most requests should be short.
    #[cold]
    fn word<V: Visitor<'a>>(&mut self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.peek() {
            Some(b'n') => {
                self.pass_word("null")?;
                visitor.visit_unit()
            }
            Some(b't') => {
                self.pass_word("true")?;
                visitor.visit_bool(true)
            }
            Some(b'f') => {
                self.pass_word("false")?;
                visitor.visit_bool(false)
            }
            _ => {
                let number = self.number()?;
                if let Some(number) = small(number) {
                    return visitor.visit_u64(number);
                }
                let mut number = serde_json::Deserializer::from_str(number);
                let read = number.deserialize_any(visitor);
                let read = read.and_then(|read| number.end().map(|()| read));
                read.map_err(|_| NotPlain)
            }
        }
    }

    fn items(&mut self) -> Items<'_, 'a> {
        self.at += 1;
        Items {
            reader: self,
            first: true,
        }
    }
}

/// A whole number of a few digits: a body may hold a great many.
fn small(number: &str) -> Option<u64> {
    let digits = number.as_bytes();
    let is_plain = matches!(digits, [b'0'] | [b'1'..=b'9', ..]) && digits.len() <= 15;
    let mut digits = digits.iter().filter(|_| is_plain);
    let first = u64::from(digits.next()?.wrapping_sub(b'0'));
    digits.try_fold(first, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(number * 10 + u64::from(digit))
    })
}

/// A word with a bit set in the lowest byte that is a quote, a backslash or a control character,
/// and with none set below: eight bytes are looked at in one, of which the first is the lowest.
const fn ends(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // This makes the quote a neighbour of the control characters, and the space none.
    let controls_and_quotes = (word ^ (EACH * 2)).wrapping_sub(EACH * 0x21);
    let backslashes = (word ^ (EACH * b'\\' as u64)).wrapping_sub(EACH);
    (controls_and_quotes | backslashes) & !word & (EACH << 7)
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        let next = self.peek().ok_or(NotPlain)?;
        if next == b'"' {
            return visitor.visit_borrowed_str(self.text()?);
        }
        match next {
            b'{' => {
                let read = visitor.visit_map(self.items())?;
                self.pass(b'}').map(|()| read)
            }
            b'[' => {
                let read = visitor.visit_seq(self.items())?;
                self.pass(b']').map(|()| read)
            }
            _ => self.word(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

// === impl Items ===

impl Items<'_, '_> {
    /// The first byte of the next one; `None`: `end` comes first.
    #[inline(always)]
    fn next(&mut self, end: u8) -> Result<Option<u8>, NotPlain> {
        let next = self.reader.peek().ok_or(NotPlain)?;
        if next == end {
            return Ok(None);
        }
        if std::mem::replace(&mut self.first, false) {
            return Ok(Some(next));
        }
        if next != b',' {
            return Err(NotPlain);
        }
        self.reader.at += 1;
        self.reader.peek().map(Some).ok_or(NotPlain)
    }
}

impl<'a> SeqAccess<'a> for Items<'_, 'a> {
    type Error = NotPlain;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, NotPlain> {
        match self.next(b']')? {
            Some(_) => seed.deserialize(&mut *self.reader).map(Some),
            None => Ok(None),
        }
    }
}

impl<'a> MapAccess<'a> for Items<'_, 'a> {
    type Error = NotPlain;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, NotPlain> {
        match self.next(b'}')? {
            None => Ok(None),
            Some(b'"') => {
                let name = BorrowedStrDeserializer::new(self.reader.text()?);
                seed.deserialize(name).map(Some)
            }
            Some(_) => Err(NotPlain),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<T::Value, NotPlain> {
        self.reader.pass(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

// === impl NotPlain ===

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not plain JSON")
    }
}

impl std::error::Error for NotPlain {}

impl Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
