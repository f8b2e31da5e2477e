//! The smallest changes that would turn an answer.
//!
//! What an obstacle suggests is tried by asking the rule of a supposition. What does not turn the
//! answer but brings another obstacle is gone on with, up to a few changes together. What the policy
//! would refuse is tried with what it would accept instead. Of what turns the answer nothing can be
//! left out: every part of it that would be accepted is tried too.

use std::borrow::Cow;

use super::super::check::{decide, is_user};
use super::observe::{Observer, Obstacle};
use super::offer::{Edit, Offer, Offers, Property};
use super::{Suggestion, text};
use crate::model::{Properties, Query, Reason, Value};
use crate::snapshot::tables::{ROOT_ACTION, ROOT_CONTEXT, ROOT_RESOURCE, ROOT_SUBJECT};
use crate::snapshot::{Change, Kind, Refused, Snapshot, Supposition};

/// Suggestions that are given.
const SUGGESTIONS_MAX: usize = 10;
/// Changes that are made together.
const EDITS_MAX: usize = 4;
/// How often one goes on with what has not turned the answer yet.
const ROUNDS_MAX: usize = 3;
/// With how many of these one goes on.
const KEPT_MAX: usize = 5;
/// Suppositions that are asked, whatever there is to try.
const ASKED_MAX: usize = 400;

/// What a supposition answers.
struct Answer {
    allows: bool,
    reason: String,
    obstacles: Vec<Obstacle>,
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query<'a>,
    user_id: u32,
    /// Whether the answer that is to be turned is allow.
    allowed: bool,
    asked: usize,
    found: Vec<Offer>,
}

/// What would turn this answer to the query.
pub(super) fn suggestions(
    snapshot: &Snapshot,
    query: &Query<'_>,
    reason: Reason<'_>,
) -> Vec<Suggestion> {
    let user = is_user(snapshot, query).then(|| snapshot.find(Kind::USER, query.subject.id));
    let Some(user_id) = user.flatten() else {
        return Vec::new();
    };
    let mut search = Search {
        snapshot,
        query,
        user_id,
        allowed: reason.allows(),
        asked: 0,
        found: Vec::new(),
    };
    let Some(start) = search.ask(&Vec::new()) else {
        return Vec::new();
    };
    // A snapshot that does not say where roles come from (a strange file) answers otherwise here.
    if start.reason != reason.to_string() {
        return Vec::new();
    }
    search.run(start);
    let found = search.found.iter();
    let suggestions = found.map(|offer| text::suggestion(snapshot, user_id, offer));
    suggestions.take(SUGGESTIONS_MAX).collect()
}

// === impl Search ===

impl Search<'_> {
    fn run(&mut self, start: Answer) {
        let mut kept = vec![(Offer::new(), start)];
        for _ in 0..ROUNDS_MAX {
            let mut next = Vec::new();
            for (made, answer) in &kept {
                if self.go_on(made, answer, &mut next).is_none() {
                    break;
                }
            }
            if !self.found.is_empty() {
                return;
            }
            // What came further in the steps first: a change of the reason is a step taken.
            next.truncate(KEPT_MAX);
            kept = next;
        }
    }

    /// Tries all that the obstacles of an answer suggest; `None`: enough has been asked.
    fn go_on(
        &mut self,
        made: &Offer,
        answer: &Answer,
        next: &mut Vec<(Offer, Answer)>,
    ) -> Option<()> {
        let user = self.snapshot.user(self.user_id)?;
        let offers = Offers {
            snapshot: self.snapshot,
            user_id: self.user_id,
            user,
            resource: self.query.resource.id,
        };
        let mut further = Vec::new();
        let allowed = self.allowed;
        let obstacles = answer.obstacles.iter();
        let obstacles = obstacles.filter(|one| matches!(one, Obstacle::Held { .. }) == allowed);
        for kind in obstacles.flat_map(|obstacle| offers.of(obstacle)) {
            for offer in kind {
                let edits = with(made, offer);
                if edits.len() == made.len() || edits.len() > EDITS_MAX {
                    continue;
                }
                let then = self.ask(&edits)?;
                if then.allows != self.allowed {
                    let kept = match self.refused(&edits) {
                        None => {
                            self.keep_smallest(&edits);
                            true
                        }
                        Some(refused) => {
                            let tried = offers.accepted(&edits, &refused);
                            self.keep_first(tried, answer, &mut further)?
                        }
                    };
                    if kept {
                        break;
                    }
                } else if then.obstacles != answer.obstacles {
                    further.push((edits, then));
                }
            }
        }
        further.sort_by_key(|(_, then)| then.reason == answer.reason);
        next.extend(further);
        Some(())
    }

    /// Keeps the first of these edits that the policy would accept and that turn the answer;
    /// whether there is one.
    fn keep_first(
        &mut self,
        tried: Vec<Offer>,
        answer: &Answer,
        further: &mut Vec<(Offer, Answer)>,
    ) -> Option<bool> {
        for edits in tried {
            if edits.len() > EDITS_MAX || self.refused(&edits).is_some() {
                continue;
            }
            let then = self.ask(&edits)?;
            if then.allows != self.allowed {
                self.keep_smallest(&edits);
                return Some(true);
            }
            if then.obstacles != answer.obstacles {
                further.push((edits, then));
            }
        }
        Some(false)
    }

    fn refused(&self, edits: &Offer) -> Option<Refused> {
        self.snapshot.refuses(self.user_id, &policy_changes(edits))
    }

    /// Keeps the smallest part of these edits that turns the answer.
    fn keep_smallest(&mut self, edits: &Offer) {
        let mut parts: Vec<u32> = (1..1_u32 << edits.len()).collect();
        parts.sort_by_key(|part| part.count_ones());
        for part in parts {
            let chosen = edits.iter().enumerate();
            let chosen = chosen.filter(|(n, _)| part & 1 << n != 0);
            let chosen: Offer = chosen.map(|(_, edit)| edit.clone()).collect();
            if chosen.len() < edits.len() {
                if self.refused(&chosen).is_some() {
                    continue;
                }
                match self.ask(&chosen) {
                    None => return,
                    Some(answer) if answer.allows == self.allowed => continue,
                    Some(_) => {}
                }
            }
            let known = |other: &Offer| {
                let within =
                    |small: &Offer, large: &Offer| small.iter().all(|edit| large.contains(edit));
                within(other, &chosen) || within(&chosen, other)
            };
            if !self.found.iter().any(known) {
                self.found.push(chosen);
            }
            return;
        }
    }

    /// The answer if these edits were made; `None`: enough has been asked.
    fn ask(&mut self, edits: &Offer) -> Option<Answer> {
        if self.asked == ASKED_MAX {
            return None;
        }
        self.asked += 1;
        let changes = policy_changes(edits);
        let supposed = Supposition::new(self.snapshot, self.user_id, &changes)?;
        let sent = edits.iter().filter_map(|edit| match edit {
            Edit::Property(property) => Some(property),
            Edit::Policy(_) => None,
        });
        let sent: Vec<&Property> = sent.collect();
        let mut query = *self.query;
        let [subject, action, resource, context] = [
            (ROOT_SUBJECT, query.subject.properties),
            (ROOT_ACTION, query.action.properties),
            (ROOT_RESOURCE, query.resource.properties),
            (ROOT_CONTEXT, query.context),
        ]
        .map(|(root, properties)| setting(properties, root, &sent));
        query.subject.properties = subject.as_ref().unwrap_or(query.subject.properties);
        query.action.properties = action.as_ref().unwrap_or(query.action.properties);
        query.resource.properties = resource.as_ref().unwrap_or(query.resource.properties);
        query.context = context.as_ref().unwrap_or(query.context);
        let observer = Observer::new(supposed.snapshot());
        let reason = decide(supposed.snapshot(), &query, &observer);
        let (allows, reason) = (reason.allows(), reason.to_string());
        Some(Answer {
            allows,
            reason,
            obstacles: observer.finish(),
        })
    }
}

/// Those of the edits that are changes to the policy.
fn policy_changes(edits: &Offer) -> Vec<Change> {
    let changes = edits.iter().filter_map(|edit| match edit {
        Edit::Policy(change) => Some(change.clone()),
        Edit::Property(_) => None,
    });
    changes.collect()
}

/// Both, each edit once; of two values for one property the later.
fn with(made: &Offer, offer: Offer) -> Offer {
    let mut all = made.clone();
    for edit in offer {
        if let Edit::Property(new) = &edit {
            all.retain(|other| match other {
                Edit::Property(old) => (old.root, &old.name) != (new.root, &new.name),
                Edit::Policy(_) => true,
            });
        }
        if !all.contains(&edit) {
            all.push(edit);
        }
    }
    all
}

/// The properties with those of this root that are sent instead; `None` if none are.
fn setting<'a>(
    properties: &Properties<'a>,
    root: u32,
    sent: &[&Property],
) -> Option<Properties<'a>> {
    let new = || sent.iter().filter(|new| new.root == root);
    new().next()?;
    let mut members: Vec<(Cow<'a, str>, Value<'a>)> = properties
        .iter()
        .filter(|(name, _)| !new().any(|new| new.name == *name))
        .map(|(name, value)| (Cow::Owned(name.to_owned()), value.clone()))
        .collect();
    members.extend(new().map(|new| (Cow::Owned(new.name.clone()), new.value.clone())));
    Properties::new(members).ok()
}
