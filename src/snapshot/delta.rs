//! What must travel to make one snapshot out of another: little, where little changed.
//!
//! One changed user moves numbers all over the tables: where a text or a list comes or goes, all
//! that stand behind it move up. So rows are put side by side with those that they were (`make`),
//! and of each column is told by how much its numbers moved, and from which number on; what that
//! does not tell is told one by one. Texts and cells are told as stretches of the old ones.
//!
//! A delta is trusted in nothing: it is applied within bounds, and what comes of it is checked
//! like any snapshot file, against the digests of its sections and of its envelope.

mod make;

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use super::Snapshot;
use super::file::head_of;

/// How to make one snapshot out of another.
#[derive(Debug, Serialize, Deserialize)]
pub struct Delta {
    /// The file digest of the one that is there.
    from: [u8; 32],
    /// The header and the table of sections of the one to be made.
    head: Vec<u8>,
    /// How to make each section.
    parts: Vec<Part>,
}

/// How to make a section out of the one of the same number.
#[derive(Debug, Serialize, Deserialize)]
enum Part {
    Same,
    /// Bytes: stretches of the old ones, and new ones before each.
    Bytes {
        pieces: Vec<Piece>,
        fresh: Vec<u8>,
    },
    /// Rows of numbers.
    Rows {
        steps: Vec<Stretch>,
        fresh: Vec<u8>,
        /// How the numbers of each column move.
        moves: Vec<Moves>,
        /// What is otherwise: words after the last such word, and the number there.
        fixes: Vec<(u32, u32)>,
    },
}

/// A stretch of rows: how many new ones, how many old ones to skip, how many to keep.
type Stretch = (u32, u32, u32);

/// How the numbers of a column move.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Moves {
    /// The column whose number says which of those below counts, if there are several.
    by: u32,
    /// For each such number: from this number on, numbers move by so much.
    of: Vec<(u32, Vec<(u32, u32)>)>,
}

/// New bytes, and then a stretch of old ones.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Piece {
    fresh: u32,
    at: u32,
    length: u32,
}

/// A delta cannot be read, or does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// It is malformed, or was made by another version.
    #[error("the delta cannot be read")]
    Malformed,
    /// It was made for another snapshot than the one that is there.
    #[error("the delta is for another snapshot than the one that runs")]
    OtherSnapshot,
}

/// A delta makes no snapshot file of more bytes.
const MADE_BYTES_MAX: u64 = 1 << 30;

// === impl Delta ===

impl Delta {
    /// The delta as it travels.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let plain = postcard::to_allocvec(self).unwrap_or_default();
        let mut bytes = DeflateEncoder::new(Vec::new(), Compression::best());
        // Memory takes whatever is written.
        let _ = bytes.write_all(&plain);
        bytes.finish().unwrap_or_default()
    }

    /// Reads a delta, which may say at most so many bytes.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_bytes(bytes: &[u8], most: u64) -> Result<Self, DeltaError> {
        let mut plain = Vec::new();
        let inflated = DeflateDecoder::new(bytes).take(most);
        let mut inflated = inflated;
        inflated
            .read_to_end(&mut plain)
            .map_err(|_| DeltaError::Malformed)?;
        postcard::from_bytes(&plain).map_err(|_| DeltaError::Malformed)
    }

    /// The bytes of the snapshot file that it makes out of `old`, section by section.
    ///
    /// # Errors
    /// It was made for another snapshot.
    pub fn apply<'d>(&'d self, old: &'d Snapshot) -> Result<impl Read + 'd, DeltaError> {
        let from = blake3::Hash::from_bytes(self.from).to_hex();
        if from.as_str() != old.file_digest() {
            return Err(DeltaError::OtherSnapshot);
        }
        if self.length() > MADE_BYTES_MAX {
            return Err(DeltaError::Malformed);
        }
        Ok(Applied {
            delta: self,
            old,
            next: 0,
            at: 0,
            section: self.head.clone(),
        })
    }

    /// Bytes of the snapshot file that it makes, if its sections are as its head says.
    #[must_use]
    pub fn length(&self) -> u64 {
        super::file::length_of(&self.head).unwrap_or(0)
    }
}

/// Makes one section after the other.
struct Applied<'d> {
    delta: &'d Delta,
    old: &'d Snapshot,
    next: usize,
    at: usize,
    section: Vec<u8>,
}

impl Read for Applied<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.section.len() {
            let Some(part) = self.delta.parts.get(self.next) else {
                return Ok(0);
            };
            let made = self.old.with_section(self.next, |row_bytes, old| {
                // No section is larger than the whole, whatever its line says.
                let most = super::file::section_length(&self.delta.head, self.next);
                let most = most.filter(|most| *most <= self.delta.length())?;
                part.apply(row_bytes, old, most)
            });
            let Some(Some(made)) = made else {
                return Err(io::Error::other(DeltaError::Malformed));
            };
            (self.section, self.at) = (made, 0);
            self.next += 1;
        }
        let rest = self.section.get(self.at..).unwrap_or_default();
        let count = rest.len().min(into.len());
        for (to, from) in into.iter_mut().zip(rest) {
            *to = *from;
        }
        self.at += count;
        Ok(count)
    }
}

// === impl Part ===

impl Part {
    /// The section, of `most` bytes exactly; `None`: the delta does not fit.
    fn apply(&self, row_bytes: usize, old: &[u8], most: u64) -> Option<Vec<u8>> {
        let most = usize::try_from(most).ok()?;
        // What is told may be a lie; what is there bounds it.
        let told = self.made(row_bytes)?;
        if told != most && !matches!(self, Self::Same) {
            return None;
        }
        match self {
            Self::Same => (old.len() == most).then(|| old.to_vec()),
            Self::Bytes { pieces, fresh } => {
                let (mut made, mut fresh) = (Vec::with_capacity(most), fresh.as_slice());
                for piece in pieces {
                    let (new, rest) = fresh.split_at_checked(piece.fresh as usize)?;
                    made.extend_from_slice(new);
                    fresh = rest;
                    let at = piece.at as usize;
                    let end = at.checked_add(piece.length as usize)?;
                    made.extend_from_slice(old.get(at..end)?);
                }
                Some(made)
            }
            Self::Rows {
                steps,
                fresh,
                moves,
                fixes,
            } => {
                let made = Self::rows(row_bytes, old, most, (steps, fresh, moves))?;
                fixed(made, fixes)
            }
        }
    }

    fn rows(
        row_bytes: usize,
        old: &[u8],
        most: usize,
        (steps, fresh, moves): (&[Stretch], &[u8], &[Moves]),
    ) -> Option<Vec<u8>> {
        if row_bytes == 0 || !row_bytes.is_multiple_of(4) || moves.len() != row_bytes / 4 {
            return None;
        }
        let (mut made, mut fresh, mut old) = (Vec::with_capacity(most), fresh, old);
        for &(new, skip, keep) in steps {
            let bytes = |rows: u32| (rows as usize).checked_mul(row_bytes);
            let (literal, rest) = fresh.split_at_checked(bytes(new)?)?;
            made.extend_from_slice(literal);
            fresh = rest;
            let (kept, rest) = old.get(bytes(skip)?..)?.split_at_checked(bytes(keep)?)?;
            old = rest;
            let mut words = vec![0_u32; row_bytes / 4];
            for row in kept.chunks_exact(row_bytes) {
                for (to, word) in words.iter_mut().zip(row.chunks_exact(4)) {
                    *to = u32::from_le_bytes(*word.first_chunk()?);
                }
                for (word, moves) in words.iter().zip(moves) {
                    made.extend_from_slice(&moves.of_word(&words, *word).to_le_bytes());
                }
            }
        }
        Some(made)
    }

    /// How many bytes it makes; `None`: too many to count.
    fn made(&self, row_bytes: usize) -> Option<usize> {
        let mut sum = 0_usize;
        match self {
            Self::Same => {}
            Self::Bytes { pieces, .. } => {
                for piece in pieces {
                    sum = sum.checked_add(piece.fresh as usize + piece.length as usize)?;
                }
            }
            Self::Rows { steps, .. } => {
                for (new, _, keep) in steps {
                    let rows = *new as usize + *keep as usize;
                    sum = sum.checked_add(rows.checked_mul(row_bytes)?)?;
                }
            }
        }
        Some(sum)
    }
}

// === impl Moves ===

impl Moves {
    /// Where a number of such a row moves.
    fn of_word(&self, row: &[u32], word: u32) -> u32 {
        let one = match self.of.as_slice() {
            [] => return word,
            [(_, one)] => Some(one),
            several => {
                let which = row.get(self.by as usize);
                let found = which.and_then(|which| {
                    several
                        .binary_search_by_key(which, |(which, _)| *which)
                        .ok()
                });
                found.and_then(|at| several.get(at)).map(|(_, one)| one)
            }
        };
        one.map_or(word, |one| moved(one, word))
    }
}

/// Where a number moves.
fn moved(moves: &[(u32, u32)], number: u32) -> u32 {
    let after = moves.partition_point(|(from, _)| *from <= number);
    let by = after.checked_sub(1).and_then(|at| moves.get(at));
    by.map_or(number, |(_, by)| number.wrapping_add(*by))
}

/// Puts in what the moves do not tell.
fn fixed(mut made: Vec<u8>, fixes: &[(u32, u32)]) -> Option<Vec<u8>> {
    let mut at = 0_usize;
    for (gap, number) in fixes {
        at = at.checked_add(*gap as usize)?;
        let word = made.get_mut(at.checked_mul(4)?..)?.first_chunk_mut::<4>()?;
        *word = number.to_le_bytes();
    }
    Some(made)
}

// === impl Snapshot ===

impl Snapshot {
    /// What must travel to whoever has this snapshot, for `newer` to be there.
    #[must_use]
    pub fn delta_to(&self, newer: &Self) -> Delta {
        let from = blake3::Hash::from_hex(self.file_digest());
        let mut parts = Vec::new();
        newer.for_each_section(|at, row_bytes, new| {
            let part = self.with_section(at, |_, old| make::part(row_bytes, old, new));
            parts.push(part.unwrap_or(Part::Same));
        });
        Delta {
            from: from.map_or([0; 32], |from| *from.as_bytes()),
            head: head_of(newer),
            parts,
        }
    }
}
