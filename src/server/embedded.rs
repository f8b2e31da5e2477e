//! The service without its connections: for programs that answer where they are asked, and for
//! whoever measures what reading, deciding, counting and answering take.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Bytes;

use super::authzen::{self, Explain};
use super::desk::Desk;
use super::respond::status;
use super::{Readiness, Shared, page, proxy};
use crate::companies::Companies;
use crate::config::{Freshness, Limits, Proxy};
use crate::identity::Identities;
use crate::telemetry::{Api, Metrics};

/// Answers for one thread, as a worker does once a request's body has come.
pub struct Embedded(Desk);

// === impl Embedded ===

impl Embedded {
    /// One for each of so many threads; they share nothing that they write.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn for_threads(companies: Arc<Companies>, threads: usize) -> io::Result<Vec<Self>> {
        let readiness = Arc::new(Readiness::default());
        readiness.all_tried();
        let shared = Arc::new(Shared {
            companies,
            default_company: None,
            access: None,
            public_url: None,
            gate: proxy::gate::Gate::new(Proxy::default(), Arc::new(Identities::default())),
            page_key: page::Key::random()?,
            journal: None,
            spans: None,
            metrics: Arc::new(Metrics::new(threads, 0, [])),
            readiness,
            freshness: Freshness::default(),
            shadow: None,
            limits: Limits::default(),
        });
        let shards = shared.metrics.shards().iter().zip(0..);
        let desk = |(shard, number)| Desk::new(Arc::clone(&shared), Arc::clone(shard), number);
        Ok(shards.map(desk).map(Self).collect())
    }

    /// Status and body of the answer to an AuthZEN evaluation of this company with this body; it
    /// is counted as the service counts it.
    pub fn evaluate(&self, company: &str, body: Bytes) -> (u16, Bytes) {
        let Self(desk) = self;
        desk.metrics().request_began();
        let began = Instant::now();
        let (api, said) = (Api::Evaluation, Ok(body));
        let answer = desk
            .caught(|| authzen::evaluate(desk, api, None, Some(company), &said, Explain::IfAsked));
        // Only what is to be answered elsewhere has no answer here.
        let Some(answer) = answer else {
            desk.metrics().request_left();
            return (500, Bytes::new());
        };
        let code = answer.code;
        desk.metrics().request_answered(api, code, began.elapsed());
        (status(code).as_u16(), answer.into_body())
    }
}
