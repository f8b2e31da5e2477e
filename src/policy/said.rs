//! What a role says of a permission: which of its lines decide, and what comes by `extends`.

use std::fmt;

use super::resolved::{
    Comparison, Condition, DenyLine, GrantLine, Operand, Operands, Path, Pattern, Place, Policy,
    Role, Root,
};
use crate::model::{ActionId, RoleId, ScopeSet, TypeId};

/// One thing that a role says of a permission.
#[derive(Clone, Debug)]
pub struct Said<'p> {
    /// The scopes granted, those alone that the action offers; empty: a deny.
    pub scopes: ScopeSet,
    /// The condition under which it holds.
    pub when: Option<&'p Condition>,
    /// What the line speaks of.
    pub pattern: &'p Pattern,
    /// Where the line stands.
    pub place: Place,
    /// The roles by way of which it came, from the one that the role extends to the one that has
    /// the line; none: the line is the role's own.
    pub through: Vec<RoleId>,
}

// === impl Policy ===

impl Policy {
    /// The permission of this name, `type.action`.
    #[must_use]
    pub fn permission(&self, name: &str) -> Option<(TypeId, ActionId)> {
        let (kind, action) = name.split_once('.')?;
        let mut types = self.catalogue.types.iter().zip(0..);
        let (kind, id) = types.find(|(of, _)| of.name == kind)?;
        let mut actions = kind.actions.iter().zip(0..);
        let (_, action) = actions.find(|(of, _)| of.name == action)?;
        Some((TypeId(id), ActionId(action)))
    }

    /// All that a role says of a permission, `extends` followed. What comes by two ways is told
    /// once.
    #[must_use]
    pub fn says(&self, role: RoleId, permission: (TypeId, ActionId)) -> Vec<Said<'_>> {
        let mut said = Vec::new();
        self.gather(role, permission, &[], true, &mut said);
        said
    }

    fn gather<'p>(
        &'p self,
        id: RoleId,
        at: (TypeId, ActionId),
        through: &[RoleId],
        grants: bool,
        said: &mut Vec<Said<'p>>,
    ) {
        let kind = self.catalogue.types.get(at.0.index());
        let action = kind.and_then(|kind| kind.actions.get(at.1.index()));
        let (Some(role), Some(action)) = (self.roles.get(id.index()), action) else {
            return;
        };
        let mut push = |scopes, when: &'p Option<Condition>, pattern, place| {
            let when = when.as_ref();
            let same =
                |other: &Said<'_>| (other.place, other.scopes, other.when) == (place, scopes, when);
            if !said.iter().any(same) {
                said.push(Said {
                    scopes,
                    when,
                    pattern,
                    place,
                    through: through.to_vec(),
                });
            }
        };
        let line = role.deciding_line(at, &action.name);
        for grant in line.iter().filter(|_| grants).flat_map(|line| &line.grants) {
            let scopes = grant.scopes.intersection(action.scopes);
            if let (Some(line), false) = (line, scopes.is_empty()) {
                push(scopes, &grant.when, &line.pattern, line.place);
            }
        }
        let denies = |deny: &&DenyLine| deny.pattern.covers(at, &action.name);
        for deny in role.denies.iter().filter(denies) {
            push(ScopeSet::EMPTY, &deny.when, &deny.pattern, deny.place);
        }
        // `none` keeps the grants of other roles out, never their denies.
        let grants = grants && line.is_none_or(|line| !line.grants.is_empty());
        for &base in &role.extends {
            let through = [through, &[base]].concat();
            self.gather(base, at, &through, grants, said);
        }
    }

    /// The pattern as people write it in a list of denies.
    #[must_use]
    pub fn pattern_text(&self, pattern: &Pattern) -> String {
        let kind = |id: TypeId| self.catalogue.types.get(id.index());
        let name = |id| kind(id).map_or("?", |kind| kind.name.as_str());
        match pattern {
            Pattern::Permission(of, action) => {
                let action = kind(*of).and_then(|kind| kind.actions.get(action.index()));
                format!(
                    "{}.{}",
                    name(*of),
                    action.map_or("?", |action| &action.name)
                )
            }
            Pattern::Type(of) => format!("{}.*", name(*of)),
            Pattern::Action(action) => format!("*.{action}"),
            Pattern::Everything => "*".to_owned(),
        }
    }
}

// === impl Role ===

impl Role {
    /// The most specific of the role's lines that speak of the permission, whose action is called
    /// `name`: it decides alone.
    #[must_use]
    pub fn deciding_line(&self, at: (TypeId, ActionId), name: &str) -> Option<&GrantLine> {
        let specific = |pattern: &Pattern| match pattern {
            Pattern::Permission(..) => 3,
            Pattern::Type(_) => 2,
            Pattern::Action(_) => 1,
            Pattern::Everything => 0,
        };
        let lines = self.grants.iter();
        let lines = lines.filter(|line| line.pattern.covers(at, name));
        lines.max_by_key(|line| specific(&line.pattern))
    }
}

// === impl Pattern ===

impl Pattern {
    /// Whether it speaks of the permission, whose action is called `name`.
    #[must_use]
    pub fn covers(&self, (kind, action): (TypeId, ActionId), name: &str) -> bool {
        match self {
            Self::Permission(of, named) => *of == kind && *named == action,
            Self::Type(of) => *of == kind,
            Self::Action(named) => named == name,
            Self::Everything => true,
        }
    }
}

// === how conditions are written ===

impl fmt::Display for Condition {
    /// `resource.status is "open", resource.amount at_most 5000`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (path, comparison)) in self.tests.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            write!(f, "{comma}{path} {comparison}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = match self.root {
            Root::Subject => "subject",
            Root::Resource => "resource",
            Root::Action => "action",
            Root::Context => "context",
        };
        write!(f, "{root}.{}", self.segments.join("."))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(operand) => write!(f, "is {operand}"),
            Self::Not(operand) => write!(f, "not {operand}"),
            Self::In(operands) => write!(f, "in {operands}"),
            Self::NotIn(operands) => write!(f, "not_in {operands}"),
            Self::AtLeast(operand) => write!(f, "at_least {operand}"),
            Self::AtMost(operand) => write!(f, "at_most {operand}"),
            Self::InNetwork(blocks) => write!(f, "in_network {}", Blocks(blocks)),
            Self::NotInNetwork(blocks) => write!(f, "not_in_network {}", Blocks(blocks)),
            Self::Contains(operand) => write!(f, "contains {operand}"),
            Self::Present(present) => write!(f, "present {present}"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Number(number) => write!(f, "{number}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Path(path) => write!(f, "{path}"),
        }
    }
}

impl fmt::Display for Operands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(list) => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", list.join(", "))
            }
            Self::Path(path) => write!(f, "{path}"),
        }
    }
}

/// CIDR blocks, which need no quotes.
struct Blocks<'a>(&'a Operands);

impl fmt::Display for Blocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operands::List(list) = self.0 else {
            return self.0.fmt(f);
        };
        let block = |operand: &Operand| match operand {
            Operand::String(block) => block.clone(),
            operand => operand.to_string(),
        };
        let list: Vec<String> = list.iter().map(block).collect();
        write!(f, "[{}]", list.join(", "))
    }
}
