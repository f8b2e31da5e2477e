//! The catalogue with the names of its parts: what all other files speak of.

use super::Code;
use super::facts::{DEFAULT_FACTS, Fact};
use super::names::{Names, Sort, meant, name_fault, unknown};
use super::resolved::{Action, Catalogue, Registry, ResourceType};
use super::sink::{Finding, Sink};
use super::word::Word;
use crate::model::{ActionId, Scope, TypeId};

/// The catalogue with the names of its parts.
pub(super) struct Vocabulary<'t> {
    pub(super) catalogue: Catalogue,
    pub(super) types: Names<'t>,
    /// By type.
    pub(super) actions: Vec<Names<'t>>,
    /// By type: an object is in one project at most.
    pub(super) exclusive: Vec<bool>,
}

// === impl Vocabulary ===

impl<'t> Vocabulary<'t> {
    /// The type of this number.
    pub(super) fn kind(&self, id: TypeId) -> Option<&ResourceType> {
        self.catalogue.types.get(id.index())
    }

    /// The action of this number.
    pub(super) fn action(&self, kind: TypeId, id: ActionId) -> Option<&Action> {
        self.kind(kind)?.actions.get(id.index())
    }

    /// The type that `word` names; reported if there is none.
    pub(super) fn find_type(&self, sink: &Sink<'_>, word: Word<'_>) -> Option<TypeId> {
        self.types.find(sink, word).map(TypeId)
    }

    /// The action of a type that `word` names; reported if there is none.
    pub(super) fn find_action(
        &self,
        sink: &Sink<'_>,
        kind: TypeId,
        word: Word<'_>,
    ) -> Option<ActionId> {
        let names = self.actions.get(kind.index())?;
        let whose = self.kind(kind).map_or("", |kind| kind.name.as_str());
        find_action(sink, names, whose, word).map(ActionId)
    }

    /// Whether a type has an action of this name.
    pub(super) fn is_action(&self, kind: TypeId, name: &str) -> bool {
        let names = self.actions.get(kind.index());
        names.is_some_and(|names| names.get(name).is_some())
    }

    /// Types that have an action of this name; reported if there is none.
    pub(super) fn find_everywhere(&self, sink: &Sink<'_>, word: Word<'_>) -> Option<Vec<TypeId>> {
        let having = |(_, names): &(u32, &Names<'t>)| names.get(word.text).is_some();
        let types: Vec<TypeId> = (0..)
            .zip(&self.actions)
            .filter(having)
            .map(|(number, _)| TypeId(number))
            .collect();
        let complete = self.types.complete && self.actions.iter().all(|names| names.complete);
        if types.is_empty() && complete {
            let mut all: Vec<&str> = self.actions.iter().flat_map(Names::iter).collect();
            all.sort_unstable();
            all.dedup();
            unknown(sink, Sort::ACTION, word, " of any type", all.into_iter());
        }
        Some(types).filter(|types| !types.is_empty())
    }

    /// The type of this name, of which a company may register objects.
    pub(super) fn registered(&self, sink: &Sink<'_>, word: Word<'_>) -> Option<TypeId> {
        let id = self.find_type(sink, word)?;
        let kind = self.kind(id)?;
        if !by_nature(kind.registry) {
            return Some(id);
        }
        let message = format!("resources of type `{}` are registered by nature", kind.name);
        Finding::error(Code::RegisteredByNature, word.span(), message)
            .help("users, projects and roles stand in files of their own")
            .report(sink);
        None
    }

    /// The fact that requests about this type give under `name`.
    pub(super) fn fact(&self, kind: TypeId, name: &str) -> Option<Fact> {
        Fact::named(&self.kind(kind)?.fact_names, name)
    }

    /// Whether no stored property of this type may be called so.
    pub(super) fn is_reserved(&self, kind: TypeId, name: &str) -> bool {
        DEFAULT_FACTS.contains(&name) || self.fact(kind, name).is_some()
    }
}

/// The action among `names`, those of a type, that `word` names; reported if there is none.
pub(super) fn find_action(
    sink: &Sink<'_>,
    names: &Names<'_>,
    kind: &str,
    word: Word<'_>,
) -> Option<u32> {
    let found = names.get(word.text);
    if found.is_none() && names.complete {
        let own = word.text.strip_prefix(kind);
        let own = own.and_then(|text| text.strip_prefix('.'));
        if let Some(action) = own.filter(|action| names.get(action).is_some()) {
            let message = format!("unknown action `{}` of `{kind}`", word.text);
            Finding::error(Code::UnknownAction, word.span(), message)
                .help(format!("write `{action}`: the type is said already"))
                .report(sink);
            return None;
        }
        let all: Vec<&str> = names.iter().collect();
        unknown(
            sink,
            Sort::ACTION,
            word,
            &format!(" of `{kind}`"),
            all.into_iter(),
        );
    }
    found
}

/// A scope by its name.
pub(super) fn scope(sink: &Sink<'_>, word: Word<'_>) -> Option<Scope> {
    let found = Scope::from_name(word.text);
    if found.is_none() {
        let names = Scope::ALL.map(Scope::name);
        let help = meant(sink, word.text, names.into_iter());
        let help = help.unwrap_or_else(|| {
            format!(
                "scopes are {}",
                names.map(|name| format!("`{name}`")).join(", ")
            )
        });
        Finding::error(
            Code::UnknownScope,
            word.span(),
            format!("unknown scope `{}`", word.text),
        )
        .help(help)
        .report(sink);
    }
    found
}

/// Whether `text` could be a name, known or not.
pub(super) fn is_name(text: &str) -> bool {
    name_fault(text).is_none()
}

/// Whether resources are registered without standing among the objects.
pub(super) const fn by_nature(registry: Registry) -> bool {
    matches!(
        registry,
        Registry::Users | Registry::Projects | Registry::Roles
    )
}
