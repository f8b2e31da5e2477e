//! Which companies there are, and what changed lately.
//!
//! `index.json` is small, and another one with each publication. It names the whole index, which
//! lies by its digest and never changes, and tells what changed lately: whoever has an index that
//! one of these changes began with makes the whole of it, and sees by the digest that it is that.
//! So a change costs each reader what changed, and not what there is.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::layout::{INDEX, is_digest, known, short};

/// The version of a whole index. It was all of `index.json` once, and is read there still.
const WHOLE: u32 = 1;
/// The version of a notice.
const NOTICE: u32 = 2;

/// Companies, at most, of whose changes a notice tells: as many as change between two looks of a
/// fleet in which one does each second, and some more.
const TOLD_MAX: usize = 12;
/// Whole indexes that are kept: the newest, and some for whoever is about to read one.
const INDEXES_MAX: usize = 4;

/// Every company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    format: u32,
    #[serde(deserialize_with = "each_once")]
    pub(super) companies: Listing,
}

/// Company → what is there of it.
pub(super) type Listing = BTreeMap<String, Listed>;

/// What the index says of a company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) generation: u64,
    /// The head's BLAKE3 digest: who has this head need not ask for it.
    pub(super) head: String,
}

/// Which index holds, and what led to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Notice {
    format: u32,
    /// The whole index's BLAKE3 digest.
    pub(super) index: String,
    pub(super) bytes: u64,
    /// The oldest first.
    changes: Vec<Change>,
    /// Digests of all whole indexes that are there, the oldest first.
    indexes: Vec<String>,
}

/// What of an index is otherwise in the next.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Change {
    /// The beginning of the digest of the index before.
    from: String,
    #[serde(deserialize_with = "each_once")]
    companies: Listing,
}

/// What `index.json` holds.
pub(super) enum Root {
    Whole(Index),
    Notice(Notice),
}

/// Of anything that has a version, the version.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

// === impl Root ===

impl Root {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let version: Versioned = json(bytes)?;
        if version.format == WHOLE {
            return Index::read(bytes).map(Self::Whole);
        }
        known(version.format, NOTICE, INDEX)?;
        let notice: Notice = json(bytes)?;
        // They become parts of names.
        if is_digest(&notice.index) && notice.indexes.iter().all(|digest| is_digest(digest)) {
            return Ok(Self::Notice(notice));
        }
        Err(format!("`{INDEX}` names no digest"))
    }
}

// === impl Index ===

impl Index {
    pub(super) const fn empty() -> Self {
        Self {
            format: WHOLE,
            companies: BTreeMap::new(),
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let index: Self = json(bytes)?;
        known(index.format, WHOLE, INDEX)?;
        Ok(index)
    }

    /// The same bytes for the same companies, wherever they were learned of.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The digest that an index, or anything, lies by.
pub(super) fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

// === impl Notice ===

impl Notice {
    /// The notice of an index, if nothing is known of one before.
    pub(super) fn first(index: &[u8]) -> Self {
        let digest = digest(index);
        Self {
            format: NOTICE,
            index: digest.clone(),
            bytes: index.len() as u64,
            changes: Vec::new(),
            indexes: vec![digest],
        }
    }

    /// The notice of the index that follows this one's by a change; and which indexes nobody needs
    /// any more.
    pub(super) fn next(&self, index: &[u8], companies: Listing) -> (Self, Vec<String>) {
        let digest = digest(index);
        let from = short(&self.index).to_owned();
        let mut changes = self.changes.clone();
        changes.push(Change { from, companies });
        let told =
            |changes: &[Change]| changes.iter().map(|one| one.companies.len()).sum::<usize>();
        while told(&changes) > TOLD_MAX {
            changes.remove(0);
        }
        let mut indexes = self.indexes.clone();
        indexes.push(digest.clone());
        let many = indexes.len().saturating_sub(INDEXES_MAX);
        let old = indexes.drain(..many).collect();
        let next = Self {
            format: NOTICE,
            index: digest,
            bytes: index.len() as u64,
            changes,
            indexes,
        };
        (next, old)
    }

    /// Whether the whole index of this digest is still there.
    pub(super) fn keeps(&self, digest: &str) -> bool {
        self.indexes.iter().any(|kept| kept == digest)
    }

    /// The whole index out of an older one of this digest, if what changed since is told.
    pub(super) fn follow(&self, mut index: Index, digest_before: &str) -> Option<Index> {
        let begins = |change: &Change| change.from == short(digest_before);
        let first = self.changes.iter().position(begins)?;
        for change in self.changes.get(first..)? {
            index.companies.extend(change.companies.clone());
        }
        (digest(&index.to_bytes()) == self.index).then_some(index)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("`{INDEX}` cannot be read: {error}"))
}

/// A company that is listed twice is a mistake, and which of the two holds would be a guess.
fn each_once<'de, D: Deserializer<'de>>(from: D) -> Result<Listing, D::Error> {
    struct EachOnce;
    impl<'de> Visitor<'de> for EachOnce {
        type Value = Listing;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("companies, each once")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listing, A::Error> {
            let mut listing = Listing::new();
            while let Some((company, listed)) = map.next_entry::<String, Listed>()? {
                if listing.insert(company.clone(), listed).is_some() {
                    let message = format!("`{company}` is listed twice");
                    return Err(A::Error::custom(message));
                }
            }
            Ok(listing)
        }
    }
    from.deserialize_map(EachOnce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(generation: u64) -> Listed {
        let head = digest(&generation.to_le_bytes());
        Listed { generation, head }
    }

    /// Publications of these companies, one after the other: each index, and the notice of it.
    fn publications(companies: &[&str]) -> Vec<(Index, Notice)> {
        let mut all: Vec<(Index, Notice)> = Vec::new();
        for (generation, company) in (1..).zip(companies) {
            let change = Listing::from([((*company).to_owned(), listed(generation))]);
            let before = all.last();
            let mut index = before.map_or(Index::empty(), |(index, _)| index.clone());
            index.companies.extend(change.clone());
            let bytes = index.to_bytes();
            let notice = match before {
                Some((_, before)) => before.next(&bytes, change).0,
                None => Notice::first(&bytes),
            };
            all.push((index, notice));
        }
        all
    }

    #[test]
    fn an_index_follows_what_is_told_and_no_further() {
        let companies: Vec<String> = (0..40).map(|number| format!("c{}", number % 7)).collect();
        let companies: Vec<&str> = companies.iter().map(String::as_str).collect();
        let all = publications(&companies);
        for (at, (index, notice)) in all.iter().enumerate() {
            for (old_at, (old, before)) in all.iter().enumerate() {
                let followed = notice.follow(old.clone(), &before.index);
                let told = old_at < at && at - old_at <= TOLD_MAX;
                assert_eq!(followed.is_some(), told, "from {old_at} to {at}");
                assert!(followed.is_none_or(|followed| followed == *index));
            }
            assert!(
                notice.to_bytes().len() < 2_700,
                "{}",
                notice.to_bytes().len()
            );
        }
    }

    #[test]
    fn an_index_that_only_looks_like_the_one_before_is_not_followed() {
        let all = publications(&["acme", "bolt"]);
        let ((_, before), (_, notice)) = (&all[0], &all[1]);
        let mut other = Index::empty();
        other.companies.insert("acme".to_owned(), listed(9));
        assert!(notice.follow(other, &before.index).is_none());
    }

    #[test]
    fn a_change_of_more_than_is_told_is_not_told() {
        let index = publications(&["acme"]).swap_remove(0);
        let many = (0..=TOLD_MAX as u64).map(|number| (format!("c{number}"), listed(number)));
        let (notice, _) = index.1.next(b"{}", many.collect());
        assert!(notice.changes.is_empty());
    }

    #[test]
    fn a_few_whole_indexes_are_kept_and_the_others_named_once() {
        let mut notice = Notice::first(b"0");
        let mut gone = Vec::new();
        for number in 1..20_u8 {
            let (next, old) = notice.next(&[number], Listing::new());
            gone.extend(old);
            notice = next;
            assert!(notice.keeps(&notice.index) && notice.indexes.len() <= INDEXES_MAX);
        }
        gone.dedup();
        assert_eq!(gone.len(), 20 - INDEXES_MAX);
        assert!(gone.iter().all(|digest| !notice.keeps(digest)));
    }

    #[test]
    fn lies_are_refused() {
        let index = Index::empty().to_bytes();
        let notice = String::from_utf8(Notice::first(&index).to_bytes()).unwrap();
        assert!(Root::read(notice.as_bytes()).is_ok() && Root::read(&index).is_ok());
        let twice = r#"{"format":1,"companies":{"a":{"generation":1,"head":"x"},"a":{"generation":2,"head":"y"}}}"#;
        let forms = [
            (notice.replace(r#""format":2"#, r#""format":3"#), "format 3"),
            (
                notice.replace(r#""index":""#, r#""index":"../"#),
                "no digest",
            ),
            (notice.replace(['}', ']'], ""), "cannot be read"),
            (twice.to_owned(), "listed twice"),
            (String::new(), "cannot be read"),
        ];
        for (text, says) in forms {
            let error = Root::read(text.as_bytes()).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
