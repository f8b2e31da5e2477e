//! Rules for names and ids, names that are looked up, and guesses at what was meant.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rapidhash::v3::rapidhash_v3;
use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::Code;
use super::sink::{Finding, Sink, Span};
use super::word::Word;

const NAME_MAX: usize = 64;
const ID_MAX: usize = 256;

/// A hash map of texts that is fast and the same on every run.
pub(super) type TextMap<K, V> = HashMap<K, V, BuildHasherDefault<TextHasher>>;

/// Hashes texts with rapidhash.
#[derive(Default)]
pub(super) struct TextHasher(u64);

/// A sort of named things.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sort {
    /// One of them (`role`).
    pub(super) noun: &'static str,
    /// What to say of one that is not there.
    pub(super) unknown: Code,
}

/// The names of one sort of things, each with its number in order and its place.
#[derive(Debug)]
pub(super) struct Names<'t> {
    sort: Sort,
    known: TextMap<&'t str, (u32, Span)>,
    /// Whether all names are known: after errors in a file what is missing is not reported.
    pub(super) complete: bool,
}

// === impl Sort ===

impl Sort {
    pub(super) const TYPE: Self = Self::new("resource type", Code::UnknownType);
    pub(super) const ACTION: Self = Self::new("action", Code::UnknownAction);
    pub(super) const ROLE: Self = Self::new("role", Code::UnknownRole);
    pub(super) const DEPARTMENT: Self = Self::new("department", Code::UnknownDepartment);
    pub(super) const GROUP: Self = Self::new("group", Code::UnknownGroup);
    pub(super) const TEAM: Self = Self::new("team", Code::UnknownTeam);
    pub(super) const SHIFT: Self = Self::new("shift", Code::UnknownShift);
    pub(super) const PROJECT: Self = Self::new("project", Code::UnknownProject);

    const fn new(noun: &'static str, unknown: Code) -> Self {
        Self { noun, unknown }
    }
}

// === impl Names ===

impl<'t> Names<'t> {
    /// No names yet.
    pub(super) fn new(sort: Sort) -> Self {
        Self {
            sort,
            known: TextMap::default(),
            complete: true,
        }
    }

    /// Numbers these names in order; of two that are equal the first counts.
    pub(super) fn number(sort: Sort, names: impl Iterator<Item = (&'t str, Span)>) -> Self {
        let mut all = Self::new(sort);
        for (number, (name, span)) in (0..).zip(names) {
            all.known.entry(name).or_insert((number, span));
        }
        all
    }

    /// The number of a name.
    pub(super) fn get(&self, name: &str) -> Option<u32> {
        self.known.get(name).map(|(number, _)| *number)
    }

    /// Where a name was given.
    pub(super) fn span(&self, name: &str) -> Option<Span> {
        self.known.get(name).map(|(_, span)| *span)
    }

    /// All names, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'t str> {
        self.known.keys().copied()
    }

    /// The number of what `word` names; a name that is not there is reported.
    pub(super) fn find(&self, sink: &Sink<'_>, word: Word<'_>) -> Option<u32> {
        let found = self.get(word.text);
        if found.is_none() && self.complete {
            unknown(sink, self.sort, word, "", self.known.keys().copied());
        }
        found
    }
}

/// Reports a name that is not there; `whose` tells where it was looked for (` of \`call\``).
#[cold]
pub(super) fn unknown<'n>(
    sink: &Sink<'_>,
    sort: Sort,
    word: Word<'_>,
    whose: &str,
    names: impl ExactSizeIterator<Item = &'n str>,
) {
    let message = format!("unknown {} `{}`{whose}", sort.noun, word.text);
    let parted = || {
        let parted = word.is_in_cell() && word.text.contains([',', '|']);
        parted.then(|| "in a field of CSV `;` parts the items of a list".to_owned())
    };
    Finding::error(sort.unknown, word.span(), message)
        .help_if(meant(sink, word.text, names).or_else(parted))
        .report(sink);
}

/// "did you mean …?", where a name is near.
#[cold]
pub(super) fn meant<'n>(
    sink: &Sink<'_>,
    text: &str,
    names: impl ExactSizeIterator<Item = &'n str>,
) -> Option<String> {
    if !sink.may_guess(names.len()) {
        return None;
    }
    // A short name differs from too many others by one letter.
    let far = match text.chars().count() {
        0..=2 => 0,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    let lower = text.to_lowercase();
    let near = |name: &'n str| {
        if name.len().abs_diff(text.len()) > far + 8 {
            return None;
        }
        let distance = strsim::osa_distance(&lower, &name.to_lowercase());
        (distance <= far && name != text).then_some((distance, name))
    };
    let (_, name) = names.filter_map(near).min()?;
    Some(format!("did you mean `{name}`?"))
}

/// What keeps `text` from being a name, if something does.
pub(super) fn name_fault(text: &str) -> Option<String> {
    let letter = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let rest = |one: char| one.is_ascii_alphanumeric() || one == '_' || one == '-';
    if text.is_empty() {
        Some("it is empty".into())
    } else if text.len() > NAME_MAX {
        Some(format!(
            "it has {} bytes, at most {NAME_MAX} are allowed",
            text.len()
        ))
    } else if !letter {
        Some("it must begin with a letter from a to z".into())
    } else {
        let strange = text.chars().find(|one| !rest(*one))?;
        Some(format!(
            "{} is neither a letter from a to z, a digit, `_` nor `-`",
            shown(strange)
        ))
    }
}

/// What keeps `text` from being an id or alias, if something does.
pub(super) fn id_fault(text: &str) -> Option<String> {
    if text.len() > ID_MAX {
        return Some(format!(
            "it has {} bytes, at most {ID_MAX} are allowed",
            text.len()
        ));
    }
    match text {
        "" => return Some("it is empty".into()),
        "*" => return Some("`*` is never an id".into()),
        _ if text.bytes().all(|byte| byte.is_ascii_graphic()) => return None,
        _ => {}
    }
    let strange = |one: &char| one.is_whitespace() || invisible(*one);
    if let Some(strange) = text.chars().find(strange) {
        let sort = if strange.is_whitespace() {
            "white space"
        } else {
            "invisible"
        };
        return Some(format!("{} is {sort}", shown(strange)));
    }
    not_nfc(text)
}

/// What keeps `text` from being a property's name, if something does.
pub(super) fn property_fault(text: &str) -> Option<String> {
    if text.is_empty() {
        Some("it is empty".into())
    } else if text.len() > ID_MAX {
        Some(format!(
            "it has {} bytes, at most {ID_MAX} are allowed",
            text.len()
        ))
    } else if text.contains('.') {
        Some("no path leads to a name with a dot".into())
    } else if let Some(strange) = text.chars().find(|one| invisible(*one)) {
        Some(format!("{} is invisible", shown(strange)))
    } else {
        not_nfc(text)
    }
}

fn not_nfc(text: &str) -> Option<String> {
    let composed = || text.nfc().collect::<String>();
    (!is_nfc(text)).then(|| format!("it is not in Unicode's form NFC: write `{}`", composed()))
}

fn invisible(letter: char) -> bool {
    letter.is_control() || get_general_category(letter) == GeneralCategory::Format
}

/// A character for people, its number where it cannot be seen.
fn shown(letter: char) -> String {
    if letter.is_whitespace() || invisible(letter) {
        format!("U+{:04X}", u32::from(letter))
    } else {
        format!("`{letter}`")
    }
}

// === impl TextHasher ===

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = (self.0 ^ rapidhash_v3(bytes)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
