//! The service without its connections: for programs that answer where they are asked, and for
//! whoever measures what reading, deciding, counting and answering take.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Bytes;

use super::Shared;
use super::authzen::{self, Explain};
use super::desk::Desk;
use super::respond::status;
use crate::companies::Companies;
use crate::telemetry::Api;

/// Answers for one thread, as a worker does once a request's body has come.
pub struct Embedded(Desk);

// === impl Embedded ===

impl Embedded {
    /// One for each of so many threads; they share nothing that they write.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn for_threads(companies: Arc<Companies>, threads: usize) -> io::Result<Vec<Self>> {
        let shared = Arc::new(Shared::embedded(companies, threads)?);
        shared.readiness.all_tried();
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
        let (api, said) = (Api::Evaluation, Ok(&*body));
        let answer = desk
            .caught(|| authzen::evaluate(desk, api, None, Some(company), said, Explain::IfAsked));
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
