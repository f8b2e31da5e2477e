//! A desk: what answering takes, for one thread, a worker or one of the pool.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use hyper::header::{HeaderMap, HeaderValue};

use super::page::Key;
use super::respond::{Answer, Headers, Refusal, RefusalCode};
use super::trail::{Trail, trace_parent};
use super::{Readiness, Shared};
use crate::companies::Current;
use crate::config::{Limits, PublicUrl};
use crate::decide;
use crate::journal::{Entry, Full, Outcome, Pen};
use crate::model::{Query, Reason};
use crate::snapshot::Snapshot;
use crate::telemetry::{Api, Code, Metrics, Shard};

/// What answers for one thread. Nothing of it is written by another.
pub(super) struct Desk {
    shared: Arc<Shared>,
    metrics: Arc<Shard>,
    headers: Headers,
    /// With which decisions are logged, where they are.
    pen: Option<RefCell<Pen>>,
}

/// Of which request a question is, and which snapshot it is asked of.
#[derive(Clone, Copy)]
pub(super) struct Asked<'r, 's> {
    pub(super) api: Api,
    pub(super) trail: Option<&'r Trail>,
    pub(super) snapshot: &'s Snapshot,
    /// It is too old, and every check is denied.
    pub(super) stale: bool,
}

// === impl Desk ===

impl Desk {
    /// For the thread of this number, which counts in `metrics`.
    pub(super) fn new(shared: Arc<Shared>, metrics: Arc<Shard>, number: usize) -> Self {
        let pen = shared.journal.as_ref().and_then(|journal| journal.pen());
        Self {
            shared,
            metrics,
            headers: Headers::new(number),
            pen: pen.map(RefCell::new),
        }
    }

    /// The answer, or status 500 if making it meets a bug: nothing that is shared is left half
    /// changed by that, since an answer changes nothing but counts.
    pub(super) fn caught<A: From<Answer>>(&self, answer: impl FnOnce() -> A) -> A {
        catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
            self.metrics.panicked();
            let message = "this is a bug in callgate; its log has more";
            let refusal = Refusal::new(Code::Internal, RefusalCode::Internal, message);
            Answer::from(refusal).into()
        })
    }

    /// A request's one look at its company's snapshot, and the answer made of it; or why there is
    /// none.
    pub(super) fn answer(
        &self,
        company: Option<&str>,
        make: impl FnOnce(&Snapshot) -> Result<Answer, Refusal>,
    ) -> Answer {
        self.answer_stale(company, |snapshot, stale| match stale {
            false => make(snapshot),
            true => Err(too_old()),
        })
    }

    /// As [`Desk::answer`], for what is answered even where the snapshot is too old: `make` is told.
    pub(super) fn answer_stale(
        &self,
        company: Option<&str>,
        make: impl FnOnce(&Snapshot, bool) -> Result<Answer, Refusal>,
    ) -> Answer {
        self.with_company(company, |current| {
            let (snapshot, stale) = match current {
                Current::Active(snapshot) => (snapshot, false),
                Current::Stale(snapshot) => (snapshot, true),
                Current::Inactive => return no_snapshot().into(),
                Current::Unknown if self.readiness().is_starting() => return no_snapshot().into(),
                Current::Unknown => return unknown(company).into(),
            };
            make(snapshot, stale)
                .unwrap_or_else(Answer::from)
                .of_revision(self.headers.revision(snapshot.revision()))
        })
    }

    /// Decides, logs and counts it; takes the time of a few, and of all that are logged.
    pub(super) fn decide<'s>(
        &self,
        asked: &Asked<'_, 's>,
        item: Option<u32>,
        query: &Query<'_>,
    ) -> Result<Reason<'s>, Refusal> {
        let sampled = self.metrics.samples_next();
        let began = (sampled || asked.trail.is_some()).then(Instant::now);
        let reason = match asked.stale {
            false => decide::check(asked.snapshot, query),
            true => Reason::PolicyTooOld,
        };
        if let Some(shadow) = &self.shared.shadow {
            shadow.compare(asked, query, &reason);
        }
        if let Some(took) = began.map(|began| began.elapsed()) {
            if sampled {
                self.metrics.decision_took(took);
            }
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.note(asked, item, query, Outcome::Decided(&reason, nanos))?;
        }
        self.metrics.decided(asked.api, &reason);
        Ok(reason)
    }

    /// Logs what came of a question, where that is done. What cannot be logged and must be is
    /// refused.
    pub(super) fn note(
        &self,
        asked: &Asked<'_, '_>,
        item: Option<u32>,
        query: &Query<'_>,
        outcome: Outcome<'_>,
    ) -> Result<(), Refusal> {
        let (Some(pen), Some(trail)) = (&self.pen, asked.trail) else {
            return Ok(());
        };
        let entry = Entry {
            api: asked.api.name(),
            request_id: trail.request_id.as_bytes(),
            item,
            company: asked.snapshot.company(),
            revision: asked.snapshot.revision(),
            caller: trail.caller.as_deref(),
            trace_id: trail.trace_id,
            query,
            outcome,
        };
        pen.borrow_mut().note(&entry).map_err(log_full)
    }

    /// What is needed to log the request's decisions, or how a shadow's differ; `None` where none
    /// are. `traced` is the trace that the request was put into, if it brought none.
    pub(super) fn trail(
        &self,
        headers: &HeaderMap,
        request_id: &HeaderValue,
        traced: Option<[u8; 16]>,
    ) -> Option<Trail> {
        self.leaves_trails().then(|| Trail {
            request_id: request_id.clone(),
            trace_id: traced.or_else(|| trace_parent(headers).map(|parent| parent.trace_id)),
            caller: None,
        })
    }

    /// Whether requests leave more behind than their answer.
    pub(super) fn leaves_trails(&self) -> bool {
        self.pen.is_some() || self.shared.shadow.is_some()
    }

    /// Calls `read` with what stands for the company that is named, for the default one, or for
    /// the only one.
    pub(super) fn with_company<R>(
        &self,
        company: Option<&str>,
        read: impl FnOnce(Current<'_>) -> R,
    ) -> R {
        match company.or(self.shared.default_company.as_deref()) {
            Some(company) => self.shared.companies.with(company, read),
            None => self.shared.companies.with_only(read),
        }
    }

    /// The company that a path means which names none: the default one, or the only one there is.
    pub(super) fn meant(&self) -> Option<String> {
        if let Some(company) = &self.shared.default_company {
            return Some(company.clone());
        }
        let mut names = self.shared.companies.names().into_iter();
        let only = names.next()?;
        names.next().is_none().then_some(only)
    }

    /// The generation of what decides for the company, if it has one. To be asked before the
    /// snapshot is looked at: so that one is not older than what is promised here.
    pub(super) fn generation(&self, company: Option<&str>) -> Option<u64> {
        let companies = &self.shared.companies;
        let company = match company.or(self.shared.default_company.as_deref()) {
            Some(company) => company.to_owned(),
            None => companies.names().into_iter().next().unwrap_or_default(),
        };
        companies.status(&company)?.generation
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    pub(super) fn public_url(&self) -> Option<&PublicUrl> {
        self.shared.public_url.as_ref()
    }

    pub(super) fn page_key(&self) -> &Key {
        &self.shared.page_key
    }

    pub(super) fn metrics(&self) -> &Shard {
        &self.metrics
    }

    pub(super) fn all_metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(super) const fn headers(&self) -> &Headers {
        &self.headers
    }

    pub(super) fn readiness(&self) -> &Readiness {
        &self.shared.readiness
    }
}

// === why there is no decision ===

#[cold]
pub(super) fn unknown(company: Option<&str>) -> Refusal {
    let message = match company {
        Some(_) => "there is no company of this name",
        None => "there is not exactly one company: name it, as in /COMPANY/access/v1/evaluation",
    };
    Refusal::new(Code::NotFound, RefusalCode::UnknownCompany, message)
}

#[cold]
pub(super) fn no_snapshot() -> Refusal {
    let message = "nothing of this company's policy was ever activated";
    Refusal::new(Code::Unavailable, RefusalCode::NoActiveSnapshot, message)
}

#[cold]
pub(super) fn too_old() -> Refusal {
    let message = "what decides is older than it may be (`--max-staleness`)";
    Refusal::new(Code::Unavailable, RefusalCode::PolicyTooOld, message)
}

/// Whether what decides has reached the generation that is asked for.
pub(super) fn reach(reached: Option<u64>, least: Option<u64>) -> Result<(), Refusal> {
    match least {
        Some(_) if reached < least => Err(not_reached()),
        _ => Ok(()),
    }
}

#[cold]
fn log_full(_: Full) -> Refusal {
    let message = "the decision log has no room, and no decision is given without its line";
    Refusal::new(Code::Unavailable, RefusalCode::LogFull, message)
}

#[cold]
fn not_reached() -> Refusal {
    let message = "what decides is older than `context.callgate.min_generation`";
    let code = RefusalCode::GenerationNotReached;
    Refusal::new(Code::Unavailable, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_costs_its_own_request_alone() {
        let shared = Arc::new(Shared::embedded(Arc::default(), 1).unwrap());
        let desk = Desk::new(shared, Arc::default(), 0);
        let answer: Answer = desk.caught(|| panic!("a bug, on purpose"));
        assert_eq!((answer.code, desk.metrics().panics()), (Code::Internal, 1));
    }
}
