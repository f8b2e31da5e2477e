//! Joins of formulas, kept simple: sets of one field are one, what others say already goes, and what
//! differs in one part is united.

use std::collections::BTreeMap;

use super::atom::Atom;
use super::formula::{Formula, Joint};
use super::set::{Set, Singles};
use super::tree::Field;

/// What holds where a part of a join matters: in `all`, what the other parts ask; in `any`, that
/// none of the others passes.
pub(super) struct Known<'k, 'a> {
    joint: Joint,
    pub(super) ranges: &'k BTreeMap<Field<'a>, Set<'a>>,
    others: &'k [Formula<'a>],
    /// Which of the others is the part itself.
    itself: usize,
}

/// Up to so many parts are compared each with each.
const SIFTED_MAX: usize = 200;

// === impl Joint ===

impl Joint {
    const fn dual(self) -> Self {
        match self {
            Self::All => Self::Any,
            Self::Any => Self::All,
        }
    }

    /// What one part makes of the whole.
    const fn absorbing<'a>(self) -> Formula<'a> {
        match self {
            Self::All => Formula::Never,
            Self::Any => Formula::Always,
        }
    }

    const fn neutral<'a>(self) -> Formula<'a> {
        match self {
            Self::All => Formula::Always,
            Self::Any => Formula::Never,
        }
    }

    /// Whether a part of `a` is needless beside `b`.
    fn absorbs(self, a: &Formula<'_>, b: &Formula<'_>) -> bool {
        match self {
            Self::All => b.implies(a),
            Self::Any => a.implies(b),
        }
    }

    pub(super) fn join<'a>(self, parts: impl IntoIterator<Item = Formula<'a>>) -> Formula<'a> {
        let mut flat = Vec::new();
        for part in parts {
            self.push(&mut flat, part);
        }
        loop {
            let Some((sets, others)) = self.gather(flat) else {
                return self.absorbing();
            };
            let ranges = sets.clone().into_iter().map(|(field, set)| {
                let range = match self {
                    Self::All => set,
                    Self::Any => set.complement(&field),
                };
                (field, range)
            });
            let ranges: BTreeMap<_, _> = ranges.collect();
            let mut changed = false;
            flat = sets.into_iter().map(|(f, s)| Formula::In(f, s)).collect();
            for (itself, part) in others.iter().enumerate() {
                let simpler = part.clone().where_it_matters(&Known {
                    joint: self,
                    ranges: &ranges,
                    others: &others,
                    itself,
                });
                changed |= simpler != *part;
                self.push(&mut flat, simpler);
            }
            if !changed && !self.sift(&mut flat) {
                break;
            }
        }
        flat.sort();
        match flat.len() {
            0 => self.neutral(),
            1 => flat.pop().unwrap_or(Formula::Never),
            _ => Formula::Join(self, flat),
        }
    }

    fn push<'a>(self, flat: &mut Vec<Formula<'a>>, part: Formula<'a>) {
        match part {
            Formula::Join(joint, parts) if joint == self => flat.extend(parts),
            part if part == self.neutral() => {}
            part => flat.push(part),
        }
    }

    /// The sets, one a field, and all else, each once; `None` where one part decides alone.
    fn gather<'a>(
        self,
        parts: Vec<Formula<'a>>,
    ) -> Option<(BTreeMap<Field<'a>, Set<'a>>, Vec<Formula<'a>>)> {
        let mut sets = BTreeMap::<Field<'a>, Set<'a>>::new();
        let mut others = Vec::new();
        for part in parts {
            match part {
                part if part == self.absorbing() => return None,
                Formula::In(field, set) => {
                    let set = set.within_domain(&field);
                    let set = match (sets.remove(&field), self) {
                        (None, _) => set,
                        (Some(before), Self::All) => before.intersection(set),
                        (Some(before), Self::Any) => before.union(set),
                    };
                    sets.insert(field, set);
                }
                other => others.push(other),
            }
        }
        others.sort();
        others.dedup();
        let atoms = || others.iter().filter_map(Formula::atom);
        if self == Self::All && atoms().any(|a| atoms().any(|b| a.excludes(b))) {
            return None;
        }
        for (field, set) in &mut sets {
            for atom in atoms().filter(|atom| atom.leaf.field == *field) {
                if self == Self::All {
                    *set = set.clone().intersection(atom.hull());
                }
                // What an atom says of a value, the set need not say again.
                let told = Some(self == Self::Any);
                let (Singles::Few(few) | Singles::AllBut(few)) = &mut set.singles;
                few.retain(|value| atom.passes(value) != told);
            }
        }
        for (field, set) in &sets {
            let absorbing = match self {
                Self::All => set.is_empty(),
                Self::Any => *set == Set::domain(field),
            };
            if absorbing {
                return None;
            }
        }
        sets.retain(|field, set| match self {
            Self::All => *set != Set::domain(field),
            Self::Any => !set.is_empty(),
        });
        Some((sets, others))
    }

    /// Takes out what others make needless, and unites parts that differ in one part of theirs.
    /// Whether there was any to unite.
    fn sift(self, parts: &mut Vec<Formula<'_>>) -> bool {
        if parts.len() > SIFTED_MAX {
            return false;
        }
        let mut at = 0;
        while let Some(part) = parts.get(at) {
            let mut others = parts.iter().enumerate().filter(|(n, _)| *n != at);
            if others.any(|(_, other)| self.absorbs(part, other)) {
                parts.remove(at);
            } else {
                at += 1;
            }
        }
        for a in 0..parts.len() {
            for b in a + 1..parts.len() {
                if let Some(united) = self.unite(parts.get(a), parts.get(b)) {
                    parts.remove(b);
                    parts.remove(a);
                    self.push(parts, united);
                    return true;
                }
            }
        }
        false
    }

    /// `any` of `all` A B and `all` A C is `all` of A and `any` of B C; and the other way round.
    fn unite<'a>(self, a: Option<&Formula<'a>>, b: Option<&Formula<'a>>) -> Option<Formula<'a>> {
        let (Some(Formula::Join(_, a)), Some(Formula::Join(_, b))) = (a, b) else {
            return None;
        };
        let (mut only_a, mut only_b) = (
            a.iter().filter(|part| !b.contains(part)),
            b.iter().filter(|part| !a.contains(part)),
        );
        let differ = self.join([only_a.next()?.clone(), only_b.next()?.clone()]);
        if only_a.next().is_some() || only_b.next().is_some() {
            return None;
        }
        let common = a.iter().filter(|part| b.contains(part)).cloned();
        Some(self.dual().join(common.chain([differ])))
    }
}

// === impl Known ===

impl<'a> Known<'_, 'a> {
    pub(super) fn of_atom(&self, atom: &Atom<'a>) -> Option<Formula<'a>> {
        for (_, other) in (self.others.iter().enumerate()).filter(|(n, _)| *n != self.itself) {
            match (self.joint, other.atom()) {
                (Joint::All, Some(other)) if other.implies(atom) => return Some(Formula::Always),
                (Joint::All, Some(other)) if other.excludes(atom) => return Some(Formula::Never),
                (Joint::Any, Some(other)) if atom.implies(other) => return Some(Formula::Never),
                _ => {}
            }
        }
        let range = self.ranges.get(&atom.leaf.field)?;
        if !range.meets(&atom.hull()) {
            return Some(Formula::Never);
        }
        let mut passes = range.few()?.iter().map(|value| atom.passes(value));
        let first = passes.next()??;
        passes
            .all(|passes| passes == Some(first))
            .then_some(first.into())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::formula::{all, any};
    use super::super::tree::{Constant, Number, Operand, Term, Test};
    use super::*;

    fn words(words: &[&'static str], wanted: bool) -> Singles<'static> {
        let words = words
            .iter()
            .map(|&word| Constant::Text(Cow::Borrowed(word)));
        Singles::of(words, wanted)
    }

    fn owner(words_: &[&'static str]) -> Formula<'static> {
        Formula::single(Field::Owner, words(words_, true))
    }

    fn no_owner() -> Formula<'static> {
        Formula::set(Field::Owner, Set::ABSENT)
    }

    fn group(words_: &[&'static str]) -> Formula<'static> {
        Formula::single(Field::Group, words(words_, true))
    }

    fn amount() -> Field<'static> {
        Field::Property(Cow::Borrowed("amount"))
    }

    fn number(number: f64) -> Constant<'static> {
        Constant::Number(Number::new(number))
    }

    fn bound(test: Test, limit: f64) -> Formula<'static> {
        let limit = Operand::One(Term::Constant(number(limit)));
        Formula::test(amount(), test, limit)
    }

    fn numbers(numbers: &[f64]) -> Formula<'static> {
        let numbers = numbers.iter().map(|&value| number(value));
        Formula::single(amount(), Singles::of(numbers, true))
    }

    #[test]
    fn one_field_is_asked_once() {
        assert_eq!(any([owner(&["a"]), owner(&["b"])]), owner(&["a", "b"]));
        assert_eq!(all([owner(&["a", "b"]), owner(&["b", "c"])]), owner(&["b"]));
        assert_eq!(all([owner(&["a"]), owner(&["b"])]), Formula::Never);
        let others = Formula::single(Field::Owner, words(&["a"], false));
        assert_eq!(
            any([owner(&["a"]), others.clone(), no_owner()]),
            Formula::Always
        );
        assert_ne!(any([owner(&["a"]), others]), Formula::Always);
    }

    #[test]
    fn what_the_rest_says_goes() {
        let either = any([owner(&["a"]), group(&["g"])]);
        assert_eq!(all([owner(&["a"]), either.clone()]), owner(&["a"]));
        assert_eq!(
            all([owner(&["b"]), either.clone()]),
            all([owner(&["b"]), group(&["g"])])
        );
        let both = all([owner(&["a"]), group(&["g"])]);
        assert_eq!(any([owner(&["a"]), both]), owner(&["a"]));
        // An owner that is given is not absent.
        let derived = any([owner(&["a"]), all([no_owner(), group(&["g"])])]);
        assert_eq!(all([owner(&["a", "b"]), derived]), owner(&["a"]));
    }

    #[test]
    fn what_differs_in_one_part_is_united() {
        let of = |name| all([no_owner(), group(&[name])]);
        assert_eq!(
            any([of("g"), of("h")]),
            all([no_owner(), group(&["g", "h"])])
        );
    }

    #[test]
    fn numbers_are_compared() {
        let (three, five) = (bound(Test::AtLeast, 3.0), bound(Test::AtLeast, 5.0));
        assert_eq!(any([three.clone(), five.clone()]), three);
        assert_eq!(all([three.clone(), five.clone()]), five);
        assert_eq!(all([five, bound(Test::AtMost, 3.0)]), Formula::Never);
        assert_eq!(all([three.clone(), numbers(&[1.0, 4.0])]), numbers(&[4.0]));
        assert_eq!(
            any([three.clone(), numbers(&[1.0, 4.0])]),
            any([three.clone(), numbers(&[1.0])])
        );
        let word = Formula::single(amount(), words(&["x"], true));
        assert_eq!(all([three.clone(), word]), Formula::Never);
        assert_eq!(
            all([three.clone(), Formula::set(amount(), Set::PRESENT)]),
            three
        );
        assert_eq!(
            all([three, Formula::set(amount(), Set::ABSENT)]),
            Formula::Never
        );
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(numbers(&[0.0]), numbers(&[-0.0]));
    }
}
