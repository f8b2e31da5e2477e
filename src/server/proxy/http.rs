//! `/proxy/auth` and `/proxy/envoy`: questions over HTTP. Allow is exactly 200, everything else is
//! 401 or 403.

use hyper::Version;
use hyper::header::{COOKIE, HOST, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use super::decision::{About, Denied, Question, Verdict, decide};
use super::request::Headers;
use crate::access::Peer;
use crate::identity::{Passed, Sent};
use crate::server::respond::Answer;
use crate::server::routes::Route;
use crate::server::trail::Trail;
use crate::server::worker::Worker;
use crate::telemetry::{Api, Limit, ProxyRefused};

/// What a proxy passes on. Over HTTP/2 a client of its own may have cut `Cookie` into pieces (RFC
/// 9113, section 8.2.3), which are one header all the same.
struct Told<'r> {
    headers: &'r HeaderMap,
    /// The pieces, where there are several.
    cookie: Option<Vec<u8>>,
}

/// Answers a proxy. The request's body says nothing, and is not waited for.
pub(in crate::server) fn answer(
    worker: &Worker,
    trail: Option<&Trail>,
    peer: &Peer,
    caller: Option<&str>,
    company: Option<&str>,
    route: &Route<'_>,
    head: &Parts,
) -> Answer {
    let (desk, gate) = (worker.desk(), worker.gate());
    let Ok(_place) = worker.take_place() else {
        return refused(worker, ProxyRefused::Overload);
    };
    let about = match route.api {
        Api::ProxyEnvoy => match itself(head, route.rest) {
            Ok(about) => about,
            Err(why) => return refused(worker, why),
        },
        _ => About::Headers,
    };
    let verdict = decide(
        desk,
        gate,
        &Question {
            api: route.api,
            trail,
            peer,
            caller,
            company,
            about,
            headers: &Told::new(head),
        },
    );
    match verdict {
        Verdict::Allow(allowed) => {
            tracing::trace!(reason = allowed.reason, "a request may pass");
            Answer::passed(&gate.upstream, allowed)
        }
        Verdict::Deny(denied) => {
            tracing::debug!(reason = denied.reason, "a request may not pass");
            Answer::stopped(denied)
        }
    }
}

/// Denies what was not decided.
#[cold]
pub(in crate::server) fn refused(worker: &Worker, why: ProxyRefused) -> Answer {
    worker.desk().all_metrics().proxy_refused(why);
    let mut answer = Answer::stopped(Denied::undecided(why));
    answer.limit = match why {
        ProxyRefused::Overload => Some(Limit::Requests),
        ProxyRefused::HeadTooLarge => Some(Limit::HeaderBytes),
        _ => None,
    };
    answer
}

/// The request as Envoy sends it: the original, with a path put before its own.
fn itself<'r>(head: &'r Parts, rest: &str) -> Result<About<'r>, ProxyRefused> {
    let whole = head
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let before = head.uri.path().len() - rest.len().min(head.uri.path().len());
    let target = whole.get(before..).unwrap_or("");
    let authority = head.uri.authority().map(Authority::as_str);
    let host = match (authority, head.headers.header(HOST.as_str())) {
        (_, Sent::Several) => return Err(ProxyRefused::DoubledHeader),
        (Some(_), _) if head.version < Version::HTTP_2 => return Err(ProxyRefused::AbsoluteTarget),
        (Some(authority), Sent::Once(host)) if authority.as_bytes() != host => {
            return Err(ProxyRefused::BadHost);
        }
        (Some(authority), _) => Some(authority.as_bytes()),
        (None, Sent::Once(host)) => Some(host),
        (None, Sent::Nothing) => None,
    };
    let method = head.method.as_str().as_bytes();
    Ok(About::Itself(method, host, target.as_bytes()))
}

// === impl Told ===

impl<'r> Told<'r> {
    fn new(head: &'r Parts) -> Self {
        let headers = &head.headers;
        let mut cookie = None;
        if head.version >= Version::HTTP_2 && headers.header(COOKIE.as_str()) == Sent::Several {
            let pieces = headers.get_all(COOKIE).iter();
            let pieces: Vec<&[u8]> = pieces.map(HeaderValue::as_bytes).collect();
            cookie = Some(pieces.join(&b"; "[..]));
        }
        Self { headers, cookie }
    }
}

impl Passed for Told<'_> {
    fn header(&self, name: &str) -> Sent<'_> {
        match &self.cookie {
            Some(cookie) if name == COOKIE.as_str() => Sent::Once(cookie),
            _ => self.headers.header(name),
        }
    }
}

impl Headers for Told<'_> {
    fn any_name(&self, test: impl FnMut(&str) -> bool) -> bool {
        self.headers.any_name(test)
    }
}
