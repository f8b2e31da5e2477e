//! Causes in the making: what happens to many alike is one.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::matters::Matters;
use super::numbering::{Pair, Side};
use super::{Cause, Change, Event, Limits, May};

/// What makes two changes one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key<'s> {
    cause: Cause,
    name: Cow<'s, str>,
    event: Event,
    old: Option<Cow<'s, str>>,
    new: Option<Cow<'s, str>>,
}

/// Whoever is told what was changed: [`Changes`] keeps all of it, a tally keeps numbers.
pub(super) trait Notes<'s> {
    /// What is kept of users.
    type Users: Users;

    /// Something happened, to this user or object or in itself; to many alike it is one change.
    fn keep(&mut self, key: Key<'s>, of: Option<u32>);

    /// A change that is whole already, but for the users whom it reaches.
    fn push(&mut self, change: Change<'s>, users: Self::Users);

    /// A thing that came or went, or that some users or objects now have or have no more.
    fn note(&mut self, cause: Cause, event: Event, name: impl Into<Cow<'s, str>>, of: Option<u32>) {
        let key = Key {
            cause,
            event,
            name: name.into(),
            old: None,
            new: None,
        };
        self.keep(key, of);
    }

    /// Something that is another, of some user or object or in itself.
    fn turn(
        &mut self,
        cause: Cause,
        name: impl Into<Cow<'s, str>>,
        old: Option<Cow<'s, str>>,
        new: Option<Cow<'s, str>>,
        of: Option<u32>,
    ) {
        let key = Key {
            cause,
            event: Event::Changed,
            name: name.into(),
            old,
            new,
        };
        self.keep(key, of);
    }
}

/// Users, by common number, as far as they are kept.
pub(super) trait Users: Default {
    fn add(&mut self, user: u32);

    /// Adds these, none of whom is there.
    fn join(&mut self, others: &Self);

    fn is_empty(&self) -> bool;
}

/// Changes in the making.
pub(super) struct Changes<'c, 's> {
    pair: &'c Pair<'s>,
    /// With users or objects, by common number.
    alike: HashMap<Key<'s>, Vec<u32>, FixedState>,
    /// Those that are whole already.
    whole: Vec<Change<'s>>,
}

// === impl Users ===

impl Users for Vec<u32> {
    fn add(&mut self, user: u32) {
        self.push(user);
    }

    fn join(&mut self, others: &Self) {
        self.extend(others);
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

// === impl Changes ===

impl<'s> Notes<'s> for Changes<'_, 's> {
    type Users = Vec<u32>;

    fn keep(&mut self, key: Key<'s>, of: Option<u32>) {
        self.alike.entry(key).or_default().extend(of);
    }

    fn push(&mut self, mut change: Change<'s>, users: Vec<u32>) {
        change.users = user_names(self.pair, &users);
        self.whole.push(change);
    }
}

impl<'c, 's> Changes<'c, 's> {
    pub(super) fn new(pair: &'c Pair<'s>) -> Self {
        Self {
            pair,
            alike: HashMap::default(),
            whole: Vec::new(),
        }
    }

    /// All of them, sorted, with those that were finished elsewhere.
    pub(super) fn finish(self, matters: &Matters<'_>, others: Vec<Change<'s>>) -> Vec<Change<'s>> {
        let (pair, mut changes) = (self.pair, self.whole);
        for (key, of) in self.alike {
            let may = key.may(matters);
            let Key {
                cause,
                name,
                event,
                old,
                new,
            } = key;
            let mut change = Change {
                old,
                new,
                may,
                ..Change::new(cause, event, name)
            };
            match cause.of_objects() {
                true => {
                    change.objects = of.iter().map(|&of| pair.object_name(of)).collect();
                    change.objects.sort_unstable();
                }
                false => change.users = user_names(pair, &of),
            }
            changes.push(change);
        }
        changes.extend(others);
        sorted(changes)
    }
}

/// The changes in their order. They are large and may be many: each is moved but twice.
fn sorted(changes: Vec<Change<'_>>) -> Vec<Change<'_>> {
    let mut places: Vec<usize> = (0..changes.len()).collect();
    let order = |place: &usize| changes.get(*place).map(order);
    places.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut changes: Vec<Option<Change<'_>>> = changes.into_iter().map(Some).collect();
    let places = places.into_iter();
    let taken = places.filter_map(|place| changes.get_mut(place)?.take());
    taken.collect()
}

fn order<'c>(change: &'c Change<'_>) -> impl Ord + use<'c> {
    let Change {
        cause,
        name,
        event,
        old,
        new,
        limits,
        ..
    } = change;
    let limits: Option<&'c Limits<'c>> = limits.as_ref();
    (*cause, name.as_ref(), *event, old, new, limits)
}

/// The names of these users, sorted.
pub(super) fn user_names<'s>(pair: &Pair<'s>, users: &[u32]) -> Vec<&'s str> {
    let mut users = Cow::from(users);
    if !users.is_sorted() {
        users.to_mut().sort_unstable();
    }
    let mut names: Vec<&str> = users.iter().map(|&user| pair.user_name(user)).collect();
    // Numbers are in the order of names, but for users who are in the older snapshot alone.
    let last = users.last();
    if last.is_some_and(|&last| pair.users.at(Side::New, last).is_none()) {
        names.sort_unstable();
    }
    names
}

// === impl Key ===

impl Key<'_> {
    /// What may come of it beyond what roles give and take.
    pub(super) fn may(&self, matters: &Matters<'_>) -> Option<May> {
        let more = match self.event {
            Event::Added => May::Gain,
            Event::Removed => May::Loss,
            Event::Changed => May::Either,
        };
        // What conditions read may turn them either way.
        let unless = |read: bool| Some(if read { May::Either } else { more });
        match self.cause {
            // These are there or are not; what users have by them is told apart.
            Cause::Group
            | Cause::Department
            | Cause::Project
            | Cause::Role
            | Cause::ImplicitRole
            | Cause::UserActive
            | Cause::UserAlias
            | Cause::Assignment
            | Cause::Object => None,
            Cause::User => (self.event == Event::Changed).then_some(May::Either),
            Cause::ResourceType | Cause::Action => match (self.event, &self.old, &self.new) {
                (Event::Changed, old, new) => Some(facet(old.as_deref(), new.as_deref())),
                (Event::Added | Event::Removed, ..) => None,
            },
            Cause::Security => Some(match self.new.as_deref() {
                Some("simple") => May::Gain,
                _ => May::Loss,
            }),
            Cause::Clocks
            | Cause::Mark
            | Cause::DepartmentParent
            | Cause::UserProperty
            | Cause::UserShift
            | Cause::ObjectOwner
            | Cause::ObjectGroup
            | Cause::ObjectDepartment
            | Cause::RoleProject
            | Cause::ObjectProperty
            | Cause::Route => Some(May::Either),
            Cause::SubjectType
            | Cause::LedGroup
            | Cause::LedDepartment
            | Cause::UserTeam
            | Cause::OperatorUser
            | Cause::OperatorTeam
            | Cause::OperatorGroup
            | Cause::OperatorDepartment => Some(more),
            Cause::UserGroup => match (&self.old, &self.new) {
                _ if matters.reads_groups => Some(May::Either),
                (None, _) => Some(May::Gain),
                (_, None) => Some(May::Loss),
                _ => Some(May::Either),
            },
            Cause::UserDepartment => unless(matters.reads_departments),
            Cause::UserProject | Cause::ObjectProject => unless(matters.reads_projects),
        }
    }
}

/// What may come of a changed facet of the catalogue.
fn facet(old: Option<&str>, new: Option<&str>) -> May {
    let says = |text: Option<&str>, start: &str| text.is_some_and(|text| text.starts_with(start));
    match (old, new) {
        (None, _) if says(new, "requires ") => May::Loss,
        (_, None) if says(old, "requires ") => May::Gain,
        (None, _) if says(new, "via ") => May::Gain,
        (_, None) if says(old, "via ") => May::Loss,
        (None, Some("walled")) => May::Loss,
        (Some("walled"), None) => May::Gain,
        _ => May::Either,
    }
}

// === impl Change ===

impl<'s> Change<'s> {
    pub(super) const fn new(cause: Cause, event: Event, name: Cow<'s, str>) -> Self {
        Self {
            cause,
            event,
            name,
            old: None,
            new: None,
            limits: None,
            lost: Vec::new(),
            gained: Vec::new(),
            may: None,
            aliases: Vec::new(),
            users: Vec::new(),
            objects: Vec::new(),
        }
    }
}

// === impl Cause ===

impl Cause {
    /// Whether it reaches objects; else users, or nobody.
    #[must_use]
    pub const fn of_objects(self) -> bool {
        matches!(
            self,
            Self::Object
                | Self::ObjectOwner
                | Self::ObjectGroup
                | Self::ObjectDepartment
                | Self::ObjectProject
                | Self::OperatorUser
                | Self::OperatorTeam
                | Self::OperatorGroup
                | Self::OperatorDepartment
                | Self::ObjectProperty
        )
    }
}
