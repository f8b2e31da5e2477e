//! Several numbers for each of many things.

/// For each thing, by its number, a list of numbers.
pub(super) struct Lookup {
    /// Where each thing's numbers begin; one more at the end.
    starts: Vec<u32>,
    items: Vec<u32>,
}

// === impl Lookup ===

impl Lookup {
    /// The lists of `count` things; `pairs` tells a thing and a number of its, and what is told
    /// first stands first. It is asked twice, so that no list is made for each thing.
    pub(super) fn new<I>(count: usize, pairs: impl Fn() -> I) -> Self
    where
        I: Iterator<Item = (usize, u32)>,
    {
        let mut starts = vec![0; count + 1];
        for (thing, _) in pairs() {
            starts[thing + 1] += 1;
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut items = vec![0; starts[count] as usize];
        for (thing, number) in pairs() {
            items[next[thing] as usize] = number;
            next[thing] += 1;
        }
        Self { starts, items }
    }

    /// The numbers of a thing.
    pub(super) fn of(&self, thing: usize) -> &[u32] {
        &self.items[self.starts[thing] as usize..self.starts[thing + 1] as usize]
    }
}
