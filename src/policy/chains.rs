//! Chains of things that refer to each other: no cycles, none too long.

use super::Code;
use super::sink::{Finding, Sink, Span};

/// Things in the longest chain, both ends counted.
pub(super) const CHAIN_MAX: usize = 32;

/// What refers to what.
pub(super) struct Chains<'a> {
    /// How many things there are.
    pub(super) count: usize,
    /// The nth thing that a thing refers to.
    pub(super) next: &'a dyn Fn(usize, usize) -> Option<usize>,
    /// A thing's name.
    pub(super) name: &'a dyn Fn(usize) -> String,
    /// Where a thing refers to others.
    pub(super) span: &'a dyn Fn(usize) -> Span,
    /// What a reference says (`requires`).
    pub(super) verb: &'static str,
}

/// A thing on the way down, and how many of its references were followed.
struct Step {
    thing: usize,
    followed: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    OnTheWay,
    /// With the length of the longest chain that begins here.
    Done(usize),
}

// === impl Chains ===

impl Chains<'_> {
    /// Reports cycles and chains that are too long.
    pub(super) fn check(&self, sink: &Sink<'_>) {
        let mut seen = vec![Seen::Never; self.count];
        for start in 0..self.count {
            if seen.get(start) == Some(&Seen::Never) {
                self.walk(sink, start, &mut seen);
            }
        }
    }

    /// Follows all chains from `start`; without recursion, for a chain of parents may be long.
    fn walk(&self, sink: &Sink<'_>, start: usize, seen: &mut [Seen]) {
        let mut way = Vec::new();
        let enter = |thing: usize, way: &mut Vec<Step>, seen: &mut [Seen]| {
            if let Some(state) = seen.get_mut(thing) {
                *state = Seen::OnTheWay;
                way.push(Step { thing, followed: 0 });
            }
        };
        enter(start, &mut way, seen);
        while let Some(step) = way.last_mut() {
            let thing = step.thing;
            let next = (self.next)(thing, step.followed);
            step.followed += 1;
            match next.map(|next| (next, seen.get(next).copied())) {
                Some((next, Some(Seen::Never))) => enter(next, &mut way, seen),
                Some((next, Some(Seen::OnTheWay))) => self.cycle(sink, &way, next),
                Some(_) => {}
                None => {
                    let length = 1 + self.longest(thing, seen);
                    if length == CHAIN_MAX + 1 {
                        self.too_deep(sink, thing);
                    }
                    if let Some(state) = seen.get_mut(thing) {
                        *state = Seen::Done(length);
                    }
                    way.pop();
                }
            }
        }
    }

    fn longest(&self, thing: usize, seen: &[Seen]) -> usize {
        (0..)
            .map_while(|nth| (self.next)(thing, nth))
            .filter_map(|next| match seen.get(next) {
                Some(Seen::Done(length)) => Some(*length),
                _ => None,
            })
            .max()
            .unwrap_or(0)
    }

    fn cycle(&self, sink: &Sink<'_>, way: &[Step], back: usize) {
        let from = way.iter().position(|step| step.thing == back).unwrap_or(0);
        let round = way.get(from..).unwrap_or_default();
        let mut names: Vec<String> = round.iter().map(|step| (self.name)(step.thing)).collect();
        // The round begins at its first name, so that it reads alike however it was found.
        let first = names.iter().enumerate().min_by_key(|(_, name)| *name);
        let first = first.map_or(0, |(at, _)| at);
        names.rotate_left(first);
        names.extend(names.first().cloned());
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let thing = round.get(first).map_or(back, |step| step.thing);
        let verb = format!(" {} ", self.verb);
        let message = if names.len() > CHAIN_MAX {
            format!("a cycle of {}", names.len() - 1)
        } else {
            names.join(&verb)
        };
        sink.error(Code::Cycle, (self.span)(thing), format!("cycle: {message}"));
    }

    fn too_deep(&self, sink: &Sink<'_>, thing: usize) {
        let message = format!(
            "`{}` begins a chain (it {} another, and so on) that is longer than {CHAIN_MAX}",
            (self.name)(thing),
            self.verb
        );
        Finding::error(Code::TooDeep, (self.span)(thing), message).report(sink);
    }
}
