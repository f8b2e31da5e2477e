//! AuthZEN search: which subjects, which resources, which actions. All of it runs on the pool.

use std::time::SystemTime;

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde::de::MapAccess;

use super::authzen::{self, Said};
use super::desk::{Asked, Desk, reach};
use super::evaluation::{EvaluationRequest, Sought, names_generation};
use super::expect;
use super::json::{Member, Shape, put};
use super::page::{PageBody, Sealer};
use super::respond::{Answer, Refusal};
use super::trail::Trail;
use super::worker::Worker;
use crate::decide::search;
use crate::journal::Outcome;
use crate::model::{Query, Timestamp};
use crate::snapshot::Snapshot;
use crate::telemetry::{Api, Limit};

/// A search as it came.
#[derive(Debug, Default)]
struct SearchRequest<'a> {
    question: EvaluationRequest<'a>,
    page: Member<PageBody<'a>>,
}

/// Answers a search for the company that the path names, or for the one there is.
pub(super) async fn search(
    worker: &Worker,
    trail: Option<Trail>,
    sought: Sought,
    company: Option<&str>,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Answer {
    let (said, _place) = match authzen::read(worker, company, headers, body).await {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let company = company.map(str::to_owned);
    let question = move |desk: &Desk| {
        let trail = trail.as_ref();
        Some(answer(desk, trail, sought, company.as_deref(), &said))
    };
    worker.pool().ask(question).await
}

/// The request's one look at its company's snapshot, and all that is done with it.
fn answer(
    desk: &Desk,
    trail: Option<&Trail>,
    sought: Sought,
    company: Option<&str>,
    said: &Said,
) -> Answer {
    let request = said.as_deref().map_err(Clone::clone);
    let request = request.and_then(expect::body::<SearchRequest<'_>>);
    let awaits = (request.as_ref()).is_ok_and(|request| names_generation(request.question.parts()));
    let generation = awaits.then(|| desk.generation(company)).flatten();
    desk.answer(company, |snapshot| {
        let api = sought.api();
        let asked = Asked {
            api,
            trail,
            snapshot,
            stale: false,
        };
        found(
            desk,
            sought,
            &asked,
            generation,
            request.as_ref().map_err(Clone::clone)?,
        )
    })
}

fn found(
    desk: &Desk,
    sought: Sought,
    asked: &Asked<'_, '_>,
    generation: Option<u64>,
    request: &SearchRequest<'_>,
) -> Result<Answer, Refusal> {
    let now = Timestamp::from(SystemTime::now());
    let check = request.question.parts().check_but(Some(sought), now)?;
    let page = PageBody::asked(&request.page, desk.limits().page_results_max)?;
    reach(generation, check.min_generation)?;
    let query = check.query();
    let snapshot = asked.snapshot;
    let sealer = Sealer::new(desk.page_key(), sought.api(), snapshot.company(), query);
    let is_cut = page.is_cut;
    let place = sealer.open(page)?;
    let (find, kind): (Find, _) = match sought {
        Sought::Subject => (search::subjects, Some(query.subject.kind)),
        Sought::Resource => (search::resources, Some(query.resource.kind)),
        Sought::Action => (search::actions, None),
    };
    let page = find(snapshot, query, place.window());
    desk.note(asked, None, query, Outcome::Found(page.results.len()))?;
    let next = page
        .more
        .then(|| sealer.token(&place.next(page.results.last().copied())));
    let mut answer = Answer::found(kind, &page.results, &next.unwrap_or_default());
    answer.limit = is_cut.then_some(Limit::PageResults);
    Ok(answer)
}

type Find = for<'s> fn(&'s Snapshot, &Query<'_>, search::Window<'_>) -> search::Page<'s>;

// === impl Sought ===

impl Sought {
    const fn api(self) -> Api {
        match self {
            Self::Subject => Api::SearchSubject,
            Self::Resource => Api::SearchResource,
            Self::Action => Api::SearchAction,
        }
    }
}

// === impl SearchRequest ===

impl<'de> Shape<'de> for SearchRequest<'de> {
    type Out = Self;

    fn object<A: MapAccess<'de>>(
        members: A,
        levels: u8,
        place: &mut Member<Self>,
    ) -> Result<(), A::Error> {
        let mut request = Self::default();
        let Self { question, page } = &mut request;
        let mut came = false;
        question.fill(members, levels, |name, of| match name {
            "page" => put::<PageBody<'_>, A>(page, &mut came, name, of, levels),
            _ => Ok(false),
        })?;
        *place = Member::Is(request);
        Ok(())
    }
}
