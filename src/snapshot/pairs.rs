//! Permissions by two names at once, type and action: one look into a small table, which stays in
//! the nearest cache, instead of two into that of all names.

use super::names::Key;

/// A table that knows the permissions both of whose names are short.
#[derive(Default)]
pub(super) struct Pairs {
    /// A power of two, at least a quarter of them empty; or none at all.
    slots: Box<[Option<Pair>]>,
}

#[derive(Clone, Copy)]
struct Pair {
    kind: Key,
    action: Key,
    permission: u32,
}

// === impl Pairs ===

impl Pairs {
    /// The table of these types, actions and permissions.
    pub(super) fn new<'t>(pairs: impl Iterator<Item = (&'t str, &'t str, u32)>) -> Self {
        let short = |(kind, action, permission)| {
            let (kind, action) = (Key::short(kind)?, Key::short(action)?);
            Some(Pair {
                kind,
                action,
                permission,
            })
        };
        let pairs: Vec<Pair> = pairs.filter_map(short).collect();
        let size = (pairs.len() * 4 / 3 + 1).next_power_of_two();
        let mut slots = vec![None; size].into_boxed_slice();
        for pair in pairs {
            let mut free = ways(pair.kind, pair.action, size);
            let free = free.find(|&at| matches!(slots.get(at), Some(None)));
            if let Some(slot) = free.and_then(|at| slots.get_mut(at)) {
                *slot = Some(pair);
            }
        }
        Self { slots }
    }

    /// The permission of these names; `None`: there is none here.
    #[inline]
    pub(super) fn find(&self, kind: &str, action: &str) -> Option<u32> {
        let (kind, action) = (Key::short(kind)?, Key::short(action)?);
        for at in ways(kind, action, self.slots.len()) {
            match self.slots.get(at)? {
                Some(pair) if pair.kind == kind && pair.action == action => {
                    return Some(pair.permission);
                }
                Some(_) => {}
                None => return None,
            }
        }
        None
    }
}

/// Where to look, one slot after the other.
#[inline]
fn ways(kind: Key, action: Key, size: usize) -> impl Iterator<Item = usize> {
    let first = kind.mixed(action) as usize;
    (0..size).map(move |step| first.wrapping_add(step) & size.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_short_pairs_are_found_and_no_others() {
        let names: Vec<String> = (0..40)
            .map(|n| "ab".repeat(n % 10) + &n.to_string())
            .collect();
        let pairs = || names.iter().flat_map(|a| names.iter().map(move |b| (a, b)));
        let known = pairs().zip(0..).filter(|(_, n)| n % 3 > 0);
        let table = Pairs::new(known.map(|((kind, action), n)| (&**kind, &**action, n)));
        for ((kind, action), n) in pairs().zip(0..) {
            let short = kind.len() <= 16 && action.len() <= 16;
            let expected = (n % 3 > 0 && short).then_some(n);
            assert_eq!(table.find(kind, action), expected, "{kind}.{action}");
        }
        assert_eq!(Pairs::default().find("call", "view"), None);
    }
}
