//! Finding what moved: rows beside those that they were.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{Moves, Part, Piece, moved};

/// Bytes of a block by which old bytes are found again.
const BLOCK: usize = 32;
/// Rows that are looked at ahead, where rows came or went.
const AHEAD: usize = 12;
/// How many rows may have come and gone together, to be found out; more are told whole.
const REACH: usize = 24;
/// Amounts by which numbers of one column are known to move; the oldest is forgotten.
const KNOWN: usize = 12;
/// How often rows may be put side by side anew, of so many rows, before a table counts as another
/// one: then a delta would be large, and takes long to find.
const SURPRISES: (usize, usize) = (64, 4_000);
const ROWS_A_SURPRISE: usize = 16;
/// So many numbers of a column that are told one by one are a reason to look whether its moves
/// depend on another column, and so many different numbers such a column may have.
const FIXES_MANY: usize = 64;
const KINDS_MAX: usize = 64;
/// Pieces of a column's moves must hold for so many numbers, or these are told one by one.
const PIECE_NUMBERS: usize = 3;

/// How to make `new` out of `old`.
pub(super) fn part(row_bytes: usize, old: &[u8], new: &[u8]) -> Part {
    if old == new {
        return Part::Same;
    }
    if row_bytes.is_multiple_of(4) && row_bytes > 0 {
        rows(row_bytes / 4, old, new)
    } else {
        bytes(old, new)
    }
}

// === bytes ===

fn bytes(old: &[u8], new: &[u8]) -> Part {
    let mut blocks: HashMap<&[u8], usize, FixedState> = HashMap::default();
    for (number, block) in old.chunks_exact(BLOCK).enumerate() {
        blocks.entry(block).or_insert(number * BLOCK);
    }
    let (mut pieces, mut fresh) = (Vec::new(), Vec::new());
    let (mut done, mut at) = (0, 0);
    // What lay behind the last stretch most likely goes on behind it.
    let mut follows = 0;
    while at < new.len() {
        let rest = new.get(at..).unwrap_or_default();
        let here = old.get(follows..).unwrap_or_default();
        let found = if common(here, rest) >= BLOCK.min(rest.len()) && !here.is_empty() {
            Some(follows)
        } else {
            rest.get(..BLOCK)
                .and_then(|block| blocks.get(block).copied())
        };
        let Some(found) = found else {
            at += 1;
            follows += 1;
            continue;
        };
        let length = common(old.get(found..).unwrap_or_default(), rest);
        fresh.extend_from_slice(new.get(done..at).unwrap_or_default());
        pieces.push(Piece {
            fresh: (at - done) as u32,
            at: found as u32,
            length: length as u32,
        });
        at += length;
        done = at;
        follows = found + length;
    }
    if done < new.len() {
        fresh.extend_from_slice(new.get(done..).unwrap_or_default());
        pieces.push(Piece {
            fresh: (new.len() - done) as u32,
            at: 0,
            length: 0,
        });
    }
    Part::Bytes { pieces, fresh }
}

/// How far two stretches are the same.
fn common(one: &[u8], other: &[u8]) -> usize {
    const STEP: usize = 64;
    let steps = one.chunks_exact(STEP).zip(other.chunks_exact(STEP));
    let same = steps.take_while(|(one, other)| one == other).count() * STEP;
    let rest = one.iter().skip(same).zip(other.iter().skip(same));
    same + rest.take_while(|(one, other)| one == other).count()
}

// === rows ===

/// A table as numbers.
struct Words {
    words: Vec<u32>,
    width: usize,
}

impl Words {
    fn new(width: usize, bytes: &[u8]) -> Self {
        let words = bytes.chunks_exact(4).filter_map(|word| word.first_chunk());
        Self {
            words: words.map(|word| u32::from_le_bytes(*word)).collect(),
            width,
        }
    }

    fn rows(&self) -> usize {
        self.words.len() / self.width
    }

    fn row(&self, at: usize) -> &[u32] {
        let start = at * self.width;
        self.words
            .get(start..start + self.width)
            .unwrap_or_default()
    }
}

/// Puts rows side by side.
struct Aligner<'w> {
    old: &'w Words,
    new: &'w Words,
    /// Of each column, by how much its numbers are known to move.
    known: Vec<Vec<u32>>,
    surprises: usize,
}

fn rows(width: usize, old: &[u8], new: &[u8]) -> Part {
    let (old, words) = (Words::new(width, old), Words::new(width, new));
    let mut aligner = Aligner {
        old: &old,
        new: &words,
        known: vec![vec![0]; width],
        surprises: 0,
    };
    let Some(steps) = aligner.steps() else {
        return Part::Rows {
            steps: vec![(words.rows() as u32, 0, 0)],
            fresh: new.to_vec(),
            moves: (0..width).map(|_| Moves::default()).collect(),
            fixes: Vec::new(),
        };
    };
    let (mut pairs, mut fresh) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    for &(came, went, kept) in &steps {
        let literal = (j..j + came as usize).flat_map(|at| words.row(at));
        fresh.extend(literal.flat_map(|word| word.to_le_bytes()));
        i += went as usize;
        j += came as usize;
        pairs.extend((0..kept as usize).map(|row| (i + row, j + row)));
        i += kept as usize;
        j += kept as usize;
    }
    let kinds: Vec<usize> = (0..width).filter(|&of| has_few(&old, of)).collect();
    let moves = (0..width).map(|column| best_moves(&old, &words, &pairs, column, &kinds));
    let moves: Vec<Moves> = moves.collect();
    let mut fixes = Vec::new();
    let mut last = 0;
    for (i, j) in pairs {
        let columns = old.row(i).iter().zip(words.row(j)).zip(&moves);
        for (column, ((was, is), moves)) in columns.enumerate() {
            if moves.of_word(old.row(i), *was) != *is {
                let at = j * width + column;
                fixes.push(((at - last) as u32, *is));
                last = at;
            }
        }
    }
    Part::Rows {
        steps,
        fresh,
        moves,
        fixes,
    }
}

/// Whether a column has few different numbers.
fn has_few(words: &Words, column: usize) -> bool {
    let mut met = Vec::new();
    for row in 0..words.rows() {
        if let Some(word) = words.row(row).get(column)
            && !met.contains(word)
        {
            met.push(*word);
            if met.len() > KINDS_MAX {
                return false;
            }
        }
    }
    met.len() > 1
}

/// How a column's numbers move, alone or with each number of one of the columns `kinds`: with
/// whichever the fewest must be told one by one.
fn best_moves(
    old: &Words,
    new: &Words,
    rows: &[(usize, usize)],
    column: usize,
    kinds: &[usize],
) -> Moves {
    let mut best: Option<(usize, Moves)> = None;
    let alone = std::iter::once(None);
    for by in alone.chain(kinds.iter().filter(|by| **by != column).map(Some)) {
        let mut groups: std::collections::BTreeMap<u32, Vec<(u32, u32)>> = Default::default();
        for (i, j) in rows {
            let (was, is) = (old.row(*i), new.row(*j));
            let kind = by.and_then(|by| was.get(*by).copied()).unwrap_or(0);
            if let (Some(was), Some(is)) = (was.get(column), is.get(column)) {
                groups.entry(kind).or_default().push((*was, *is));
            }
        }
        let mut fixes = 0;
        let mut of = Vec::with_capacity(groups.len());
        for (kind, pairs) in groups {
            let moves = moves(pairs.clone());
            let wrong = |(was, is): &&(u32, u32)| moved(&moves, *was) != *is;
            fixes += pairs.iter().filter(wrong).count();
            of.push((kind, moves));
        }
        if best.as_ref().is_none_or(|(least, _)| fixes < *least) {
            let by = by.map_or(0, |by| *by as u32);
            best = Some((fixes, Moves { by, of }));
        }
        if best.as_ref().is_some_and(|(least, _)| *least < FIXES_MANY) {
            break;
        }
    }
    best.map(|(_, moves)| moves).unwrap_or_default()
}

impl Aligner<'_> {
    /// Stretches of rows that came, went, and stayed; `None`: it is another table.
    fn steps(&mut self) -> Option<Vec<(u32, u32, u32)>> {
        let most = SURPRISES.0 + self.new.rows() / ROWS_A_SURPRISE;
        let most = most.min(SURPRISES.1);
        let (mut i, mut j) = (0, 0);
        let mut steps: Vec<(u32, u32, u32)> = vec![(0, 0, 0)];
        while i < self.old.rows() && j < self.new.rows() {
            let (mut went, mut came) = (0, 0);
            if !self.is_expected(i, j) {
                self.surprises += 1;
                if self.surprises > most {
                    return None;
                }
                (went, came) = self.best(i, j);
            }
            if (went, came) != (0, 0) {
                steps.push((came as u32, went as u32, 0));
                i += went;
                j += came;
            }
            if i < self.old.rows() && j < self.new.rows() {
                self.learn(i, j);
                if let Some((.., kept)) = steps.last_mut() {
                    *kept += 1;
                }
                i += 1;
                j += 1;
            }
        }
        let (came, went) = (self.new.rows() - j, self.old.rows() - i);
        steps.push((came as u32, went as u32, 0));
        Some(steps)
    }

    /// Whether every number of the row moved by a known amount.
    fn is_expected(&self, i: usize, j: usize) -> bool {
        let columns = self.old.row(i).iter().zip(self.new.row(j));
        let mut columns = columns.zip(&self.known);
        columns.all(|((was, is), known)| known.contains(&is.wrapping_sub(*was)))
    }

    fn learn(&mut self, i: usize, j: usize) {
        let columns = self.old.row(i).iter().zip(self.new.row(j));
        for ((was, is), known) in columns.zip(&mut self.known) {
            let by = is.wrapping_sub(*was);
            if !known.contains(&by) {
                if known.len() == KNOWN {
                    known.remove(1);
                }
                known.push(by);
            }
        }
    }

    /// How many rows went and came, most likely: with which the next rows move most alike.
    fn best(&self, i: usize, j: usize) -> (usize, usize) {
        let mut best = (usize::MAX, (0, 0));
        for distance in 0..=REACH {
            for went in 0..=distance {
                let came = distance - went;
                let strange = self.strangeness(i + went, j + came) + distance;
                if strange < best.0 {
                    best = (strange, (went, came));
                }
            }
        }
        best.1
    }

    /// How many unknown amounts the next rows move by.
    fn strangeness(&self, i: usize, j: usize) -> usize {
        let ahead = AHEAD * if self.new.width == 1 { 4 } else { 1 };
        let mut strange = 0;
        let mut met: Vec<Vec<u32>> = vec![Vec::new(); self.new.width];
        for row in 0..ahead {
            let (was, is) = (self.old.row(i + row), self.new.row(j + row));
            if was.is_empty() != is.is_empty() {
                strange += self.new.width;
                continue;
            }
            let columns = was.iter().zip(is).zip(&self.known);
            for (((was, is), known), met) in columns.zip(&mut met) {
                let by = is.wrapping_sub(*was);
                if !known.contains(&by) && !met.contains(&by) {
                    met.push(by);
                    strange += 1;
                }
            }
        }
        strange
    }
}

/// By how much a column's numbers moved, from which number on.
fn moves(mut pairs: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    pairs.sort_unstable();
    pairs.dedup();
    let mut moves: Vec<(u32, u32)> = Vec::new();
    let (mut by, mut next) = (0_u32, (0_u32, 0_u32, 0_usize));
    for (was, is) in pairs {
        let this = is.wrapping_sub(was);
        if this == by {
            next.2 = 0;
            continue;
        }
        next = match next {
            (from, of, count) if of == this && count > 0 => (from, of, count + 1),
            _ => (was, this, 1),
        };
        if next.2 == PIECE_NUMBERS {
            by = this;
            moves.push((next.0, by));
            next.2 = 0;
        }
    }
    moves
}
