//! tests.yaml: what the policy must decide.

use super::Code;
use super::company::choice;
use super::declare::Section;
use super::fields::Fields;
use super::names::{TextMap, meant};
use super::properties::Rules;
use super::resolved::Test;
use super::sink::{Finding, Sink, Span};
use super::time::moment;
use super::vocabulary::is_name;
use super::word::Word;
use super::world::World;
use super::yaml::{Node, Value};
use crate::model::{Decision, Properties, Reason};

const TEST: &[&str] = &[
    "name",
    "title",
    "description",
    "user",
    "action",
    "resource",
    "context",
    "section",
    "test_role",
    "at",
    "expect",
    "reason",
];

/// Someone or something that a test names.
struct Named<'t> {
    kind: Option<&'t str>,
    id: &'t str,
    properties: Properties<'static>,
}

impl<'t> World<'t> {
    /// Tests as written; `subject_type` is the type of a user that is named by id alone.
    pub(super) fn read_tests(&self, section: Section<'t>, subject_type: &str) -> Vec<Test> {
        let (nodes, _) = section.list(self.sink, "a list of tests");
        let mut names: TextMap<&str, Span> = TextMap::default();
        let mut read = |node: &'t Node<'t>| {
            let fields = node.fields(self.sink, "a test", TEST)?;
            let name = fields
                .need("name")
                .and_then(|node| node.text(self.sink, "what the test shows"));
            if let Some(name) = name {
                if let Some(first) = names.get(name.text) {
                    Finding::error(
                        Code::DuplicateName,
                        name.span(),
                        format!("test `{}` stands twice", name.text),
                    )
                    .also(*first, "it stands here already")
                    .report(self.sink);
                }
                names.entry(name.text).or_insert(name.span());
            }
            self.test(&fields, name, subject_type)
        };
        nodes.iter().filter_map(&mut read).collect()
    }

    fn test(
        &self,
        fields: &Fields<'t>,
        name: Option<Word<'t>>,
        subject_type: &str,
    ) -> Option<Test> {
        let sink = self.sink;
        fields.title();
        let user = fields.need("user").and_then(|node| self.user_named(node));
        let action = fields
            .need("action")
            .and_then(|node| self.action_named(node));
        let (context, own) = self.context(fields.get("context"));
        let section = self.own(fields, own, "section");
        let section = section.and_then(|node| node.flag(sink)).unwrap_or(false);
        let resource = fields
            .need("resource")
            .and_then(|node| self.resource_named(node, section));
        let test_role = self.own(fields, own, "test_role");
        let test_role = test_role.and_then(|node| node.text(sink, "the name of a role"));
        let at = fields
            .text("at", "a date or a moment")
            .map(|word| moment(sink, word, &self.zone));
        let expect = fields
            .need("expect")
            .and_then(|node| node.text(sink, "`allow` or `deny`"));
        let expect = expect.and_then(|word| choice(sink, word, &["allow", "deny"]));
        let expect = expect.map(|word| {
            if word == "allow" {
                Decision::Allow
            } else {
                Decision::Deny
            }
        });
        let reason = fields.text("reason", "a reason");
        if let Some(reason) = reason {
            check_reason(sink, reason, expect);
        }
        let (name, user, action, resource) = (name?, user?, action?, resource?);
        Some(Test {
            name: name.text.to_owned(),
            subject_type: user.kind.unwrap_or(subject_type).to_owned(),
            subject: user.id.to_owned(),
            subject_properties: user.properties,
            action: action.id.to_owned(),
            action_properties: action.properties,
            resource_type: resource.kind.unwrap_or_default().to_owned(),
            resource: resource.id.to_owned(),
            resource_properties: resource.properties,
            context,
            section,
            test_role: test_role.map(|word| word.text.to_owned()),
            at: at.flatten(),
            expect: expect?,
            reason: reason.map(|word| word.text.to_owned()),
            place: name.span().place(),
        })
    }

    fn user_named(&self, node: &'t Node<'t>) -> Option<Named<'t>> {
        const WHAT: &str = "the name of a user, or a table with `type`, `id` and `properties`";
        if !matches!(node.value, Value::Table(_)) {
            let word = node.text(self.sink, WHAT)?;
            return Some(Named {
                kind: None,
                id: word.text,
                properties: Properties::EMPTY,
            });
        }
        let fields = node.fields(self.sink, "a test's user", &["type", "id", "properties"])?;
        let properties = Rules::SENT.read(self.sink, fields.get("properties"));
        let kind = fields.text("type", "a subject type").map(|word| word.text);
        let id = fields.need("id")?.text(self.sink, "the name of a user")?;
        Some(Named {
            kind,
            id: id.text,
            properties,
        })
    }

    fn action_named(&self, node: &'t Node<'t>) -> Option<Named<'t>> {
        const WHAT: &str = "the name of an action, or a table with `name` and `properties`";
        if !matches!(node.value, Value::Table(_)) {
            let word = node.text(self.sink, WHAT)?;
            return Some(Named {
                kind: None,
                id: word.text,
                properties: Properties::EMPTY,
            });
        }
        let fields = node.fields(self.sink, "a test's action", &["name", "properties"])?;
        let properties = Rules::SENT.read(self.sink, fields.get("properties"));
        let id = fields
            .need("name")?
            .text(self.sink, "the name of an action")?;
        Some(Named {
            kind: None,
            id: id.text,
            properties,
        })
    }

    fn resource_named(&self, node: &'t Node<'t>, section: bool) -> Option<Named<'t>> {
        let fields = node.fields(
            self.sink,
            "a test's resource",
            &["type", "id", "properties"],
        )?;
        let properties = Rules::SENT.read(self.sink, fields.get("properties"));
        let kind = fields
            .need("type")
            .and_then(|node| node.text(self.sink, "the name of a resource type"));
        let id = match fields.get("id") {
            Some(node) => node
                .text(self.sink, "the id of a resource")
                .map(|word| word.text),
            None if section => Some(""),
            None => {
                Finding::error(
                    Code::MissingKey,
                    fields.head(),
                    "a test's resource lacks the key `id`",
                )
                .help("only a test with `section: true` may leave it out")
                .report(self.sink);
                None
            }
        };
        Some(Named {
            kind: Some(kind?.text),
            id: id?,
            properties,
        })
    }

    /// The circumstances, and what of callgate's own stands in them as in a request.
    fn context(&self, node: Option<&'t Node<'t>>) -> (Properties<'static>, Option<Fields<'t>>) {
        let mut context = Rules::SENT.read(self.sink, node);
        context.remove("callgate");
        let own = node.and_then(|node| match &node.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == "callgate"),
            _ => None,
        });
        let own = own.and_then(|own| {
            own.value.fields(
                self.sink,
                "context.callgate of a test",
                &["section", "test_role"],
            )
        });
        (context, own)
    }

    /// What a test says beside its context, or in it as a request does.
    fn own(&self, fields: &Fields<'t>, own: Option<Fields<'t>>, key: &str) -> Option<&'t Node<'t>> {
        let inner = own.and_then(|own| own.entry(key));
        if let (Some(outer), Some(inner)) = (fields.entry(key), inner) {
            Finding::error(
                Code::ConflictingKeys,
                inner.key_span,
                format!("`{key}` stands in the context and beside it"),
            )
            .also(outer.key_span, "it stands here too")
            .report(self.sink);
        }
        fields.get(key).or(inner.map(|inner| &inner.value))
    }
}

/// Refuses a reason that no decision gives, or none of the expected kind.
fn check_reason(sink: &Sink<'_>, word: Word<'_>, expect: Option<Decision>) {
    let (code, tail) = match word.text.split_once(':') {
        Some((code, tail)) => (code, Some(tail)),
        None => (word.text, None),
    };
    if !Reason::CODES.contains(&code) {
        let help = meant(sink, code, Reason::CODES.into_iter());
        let help = help.unwrap_or_else(|| {
            format!(
                "reasons are {}",
                Reason::CODES.map(|code| format!("`{code}`")).join(", ")
            )
        });
        Finding::error(
            Code::UnknownReason,
            word.span(),
            format!("unknown reason `{}`", word.text),
        )
        .help(help)
        .report(sink);
        return;
    }
    let (sound, form) = match (code, tail) {
        ("via", tail) => {
            let parts = tail.and_then(|tail| tail.split_once('.'));
            (
                parts.is_some_and(|(kind, action)| is_name(kind) && is_name(action)),
                "`via:deal.view`",
            )
        }
        ("requires", tail) => (tail.is_some_and(is_name), "`requires:view`"),
        (_, tail) => (tail.is_none(), "the code alone"),
    };
    if !sound {
        Finding::error(
            Code::UnknownReason,
            word.span(),
            format!("`{}` is not how this reason is written", word.text),
        )
        .help(format!("write {form}"))
        .report(sink);
        return;
    }
    let gives = if matches!(code, "granted" | "via" | "section") {
        Decision::Allow
    } else {
        Decision::Deny
    };
    if let Some(expect) = expect.filter(|expect| *expect != gives) {
        Finding::error(
            Code::ReasonContradicts,
            word.span(),
            format!("reason `{code}` comes with {gives}, and the test expects {expect}"),
        )
        .report(sink);
    }
}
