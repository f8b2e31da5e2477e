//! What whoever reads the tables relies on, and cannot check at each step: that stored values and
//! routes end, and that cells lie in as many columns as there are permissions, which loops and memory go by.

use super::tables::{NODE_LIST, NODE_OBJECT, Tables, some};

/// Levels of a value, at most: a policy's are nested no deeper.
const DEEP_MAX: u8 = 64;

// === impl Tables ===

impl Tables {
    /// Whether there is a column for each permission, and a row of cells for each role and role set.
    pub(super) fn columns_fit(&self) -> bool {
        let columns = self.permissions.len();
        let told = self.meta.first().map(|meta| meta.permissions as usize);
        told == Some(columns)
            && self.roles.len().checked_mul(columns) == Some(self.role_cells.len())
            && self.role_sets.len().checked_mul(columns) == Some(self.role_set_cells.len())
    }

    /// Whether each stored value lies behind all that it holds, is held by one other at most, and is
    /// nested no deeper than a policy can say. Then reading any takes less than the table has rows.
    pub(super) fn values_end(&self) -> bool {
        let mut values = Values {
            depths: Vec::with_capacity(self.nodes.len()),
            held: vec![false; self.nodes.len()],
        };
        let mut taken = vec![false; self.members_of_nodes.len()];
        self.nodes.iter().all(|node| {
            let end = node.a.saturating_add(node.b);
            let within = match node.tag {
                NODE_LIST => values.hold(node.a..end),
                NODE_OBJECT => {
                    let stretch = node.a as usize..end as usize;
                    let (rows, taken) = (
                        self.members_of_nodes.get(stretch.clone()),
                        taken.get_mut(stretch),
                    );
                    let (Some(rows), Some(taken)) = (rows, taken) else {
                        return false;
                    };
                    let first = !taken.contains(&true);
                    taken.fill(true);
                    match first {
                        true => values.hold(rows.iter().map(|row| row.node)),
                        false => None,
                    }
                }
                _ => Some(0),
            };
            let depth = within.map_or(u8::MAX, |within| within + 1);
            values.depths.push(depth);
            depth <= DEEP_MAX
        })
    }

    /// Whether one way at most leads to each node of the routes. Then no request and nobody else
    /// who follows them comes to more nodes than there are, though there may be two ways on from each.
    pub(super) fn routes_end(&self) -> bool {
        let mut reached = vec![false; self.route_nodes.len()];
        let mut reach = |node: u32| match reached.get_mut(node as usize) {
            Some(reached) => !std::mem::replace(reached, true),
            None => false,
        };
        self.route_hosts.iter().all(|row| reach(row.node))
            && self.route_nodes.iter().all(|row| {
                let edges = row.literals.of(&self.route_edges).iter();
                let others = [row.capture, row.rest].into_iter().filter_map(some);
                edges.map(|edge| edge.node).chain(others).all(&mut reach)
            })
    }
}

/// The values before the one that is looked at.
struct Values {
    depths: Vec<u8>,
    held: Vec<bool>,
}

impl Values {
    /// The greatest depth of these, if all of them lie before and are held by no other.
    fn hold(&mut self, nodes: impl Iterator<Item = u32>) -> Option<u8> {
        let mut deepest = 0;
        for node in nodes {
            deepest = deepest.max(*self.depths.get(node as usize)?);
            let held = self.held.get_mut(node as usize)?;
            if std::mem::replace(held, true) {
                return None;
            }
        }
        Some(deepest)
    }
}
