//! One decision for all proxies, whatever they speak.

use std::fmt::Write as _;
use std::time::SystemTime;

use hyper::header::HeaderValue;

use super::gate::Gate;
use super::request::{Headers, Original, Understood};
use crate::access::Peer;
use crate::companies::Current;
use crate::decide::{self, Rule, User};
use crate::identity::Who;
use crate::journal::Outcome;
use crate::model::{Action, Entity, HttpRequest, Query, Reason, Timestamp};
use crate::server::desk::{Asked, Desk};
use crate::server::expect::NO_PROPERTIES;
use crate::server::respond::{Answer, Refusal, RefusalCode};
use crate::server::trail::Trail;
use crate::snapshot::Snapshot;
use crate::telemetry::{Api, ProxyRefused};

/// What a proxy asks.
pub(in crate::server) struct Question<'r, H> {
    pub(in crate::server) api: Api,
    pub(in crate::server) trail: Option<&'r Trail>,
    /// Who asks.
    pub(in crate::server) peer: &'r Peer,
    /// Who has proven to be who asks.
    pub(in crate::server) caller: Option<&'r str>,
    /// The company that is named, if one is.
    pub(in crate::server) company: Option<&'r str>,
    /// The request that it asks about.
    pub(in crate::server) about: About<'r>,
    /// What it passes on of that request's headers.
    pub(in crate::server) headers: &'r H,
}

/// Where the original request is told.
#[derive(Clone, Copy)]
pub(in crate::server) enum About<'r> {
    /// In the headers that are set.
    Headers,
    /// By the protocol itself: method, host, and target with its query.
    Itself(&'r [u8], Option<&'r [u8]>, &'r [u8]),
}

/// Whether a request may pass.
pub(in crate::server) enum Verdict {
    Allow(Allowed),
    Deny(Denied),
}

/// A request that may pass, and what its application is told.
pub(in crate::server) struct Allowed {
    /// Empty: nobody in particular.
    pub(in crate::server) user: HeaderValue,
    /// The names of the roles in force, with commas between.
    pub(in crate::server) roles: HeaderValue,
    pub(in crate::server) company: HeaderValue,
    pub(in crate::server) revision: HeaderValue,
    /// The reason's code.
    pub(in crate::server) reason: &'static str,
}

/// A request that may not.
pub(in crate::server) struct Denied {
    /// For `WWW-Authenticate`, where nobody knows whose request it is: then status 401, else 403.
    pub(in crate::server) challenge: Option<&'static str>,
    pub(in crate::server) revision: Option<HeaderValue>,
    /// The reason's code, or why there was no decision.
    pub(in crate::server) reason: &'static str,
}

const CHALLENGE: &str = r#"Bearer realm="callgate""#;
const CHALLENGE_AGAIN: &str = r#"Bearer realm="callgate", error="invalid_token""#;

/// Whose request it is not, where nobody is known.
const UNAUTHENTICATED: &str = "unauthenticated";

/// Where no route is a check, a request is its own resource.
const ROUTE: &str = "route";

/// Decides: may the request pass that the proxy asks about?
pub(in crate::server) fn decide(
    desk: &Desk,
    gate: &Gate,
    question: &Question<'_, impl Headers>,
) -> Verdict {
    let verdict = desk.caught(|| decided(desk, gate, question));
    verdict.unwrap_or_else(|why| {
        desk.all_metrics().proxy_refused(why);
        tracing::debug!(reason = why.name(), "a proxy's question was refused");
        Verdict::Deny(Denied::undecided(why))
    })
}

/// What a bug leaves: a deny.
impl From<Answer> for Result<Verdict, ProxyRefused> {
    fn from(_: Answer) -> Self {
        Err(ProxyRefused::Internal)
    }
}

fn decided(
    desk: &Desk,
    gate: &Gate,
    question: &Question<'_, impl Headers>,
) -> Result<Verdict, ProxyRefused> {
    gate.trusts(question.peer, question.caller)?;
    gate.guarded.check(question.headers)?;
    let original = match question.about {
        About::Headers => Original::told(question.headers, gate.way),
        About::Itself(method, host, target) => {
            Original::itself(question.headers, method, host, target)
        }
    };
    let request = original?.understood()?;
    desk.with_company(question.company, |current| match current {
        Current::Active(snapshot) => {
            let asked = Asked {
                api: question.api,
                trail: question.trail,
                snapshot,
                stale: false,
            };
            pass(desk, gate, &asked, question.headers, &request)
        }
        // Where what is too old denies, it denies what routes would let pass, too.
        Current::Inactive | Current::Stale(_) => Err(ProxyRefused::NoSnapshot),
        Current::Unknown if desk.readiness().is_starting() => Err(ProxyRefused::NoSnapshot),
        Current::Unknown => Err(ProxyRefused::UnknownCompany),
    })
}

/// The request's one look at its company's snapshot.
fn pass(
    desk: &Desk,
    gate: &Gate,
    asked: &Asked<'_, '_>,
    headers: &impl Headers,
    request: &Understood<'_>,
) -> Result<Verdict, ProxyRefused> {
    let snapshot = asked.snapshot;
    let now = SystemTime::now();
    let request = HttpRequest {
        method: request.method,
        host: request.host.as_deref(),
        path: &request.path,
    };
    let rule = decide::route(snapshot, &request).rule;
    if matches!(rule, Rule::HostUnknown) {
        return Err(ProxyRefused::HostUnknown);
    }
    let who = gate.identities.who(snapshot.company(), headers, now);
    let now = Timestamp::from(now);
    let revision = desk.headers().revision(snapshot.revision());
    let who = match (&rule, who) {
        // Who cannot be known is nobody in particular here.
        (Rule::Everybody | Rule::Nobody(_) | Rule::HostUnknown, who) => who.ok().flatten(),
        (Rule::Users | Rule::Check(_), Ok(Some(who))) => Some(who),
        (Rule::Users | Rule::Check(_), Ok(None)) => {
            return Ok(Verdict::unauthenticated(
                CHALLENGE,
                UNAUTHENTICATED,
                revision,
            ));
        }
        (Rule::Users | Rule::Check(_), Err(why)) => {
            let counted = ProxyRefused::named(why.code()).unwrap_or(ProxyRefused::Internal);
            if why.is_ours() {
                return Err(counted);
            }
            desk.all_metrics().proxy_refused(counted);
            return Ok(Verdict::unauthenticated(
                CHALLENGE_AGAIN,
                why.code(),
                revision,
            ));
        }
    };
    let user = who.as_ref().map(|who| User::find(snapshot, who.as_str()));
    let (kind, id) = (request.method, request.path);
    let asking = Asking {
        desk,
        asked,
        subject: who.as_ref().map_or("", Who::as_str),
        now,
    };
    let reason = match (&rule, &user) {
        (Rule::Check(check), _) => {
            let resource = Entity {
                kind: check.kind,
                id: &check.id,
                properties: &check.properties,
            };
            asking.check(check.action, resource, check.section)
        }
        (Rule::Everybody, _) => asking.note(kind, id, Reason::Public),
        (Rule::Users, Some(Ok(_))) => asking.note(kind, id, Reason::Authenticated),
        (Rule::Users, Some(Err(why))) | (Rule::Nobody(why), _) => asking.note(kind, id, *why),
        (Rule::Users, None) | (Rule::HostUnknown, _) => asking.note(kind, id, Reason::NoRoute),
    };
    let reason = reason.map_err(|refusal| match refusal.code {
        RefusalCode::LogFull => ProxyRefused::LogFull,
        _ => ProxyRefused::Internal,
    })?;
    Ok(if reason.allows() {
        let user = user.and_then(Result::ok);
        Verdict::Allow(Allowed::new(snapshot, user, now, revision, reason.code()))
    } else {
        Verdict::Deny(Denied {
            challenge: None,
            revision: Some(revision),
            reason: reason.code(),
        })
    })
}

/// Somebody who asks, now.
struct Asking<'r, 's> {
    desk: &'r Desk,
    asked: &'r Asked<'r, 's>,
    subject: &'r str,
    now: Timestamp,
}

impl<'s> Asking<'_, 's> {
    /// Decides, logs and counts a check. Nothing of it is the client's but the id.
    fn check(
        &self,
        action: &str,
        resource: Entity<'_>,
        section: bool,
    ) -> Result<Reason<'s>, Refusal> {
        let query = self.query(action, resource, section);
        self.desk.decide(self.asked, None, &query)
    }

    /// Logs and counts what was decided without a check, about the request itself.
    fn note(&self, method: &str, path: &str, reason: Reason<'s>) -> Result<Reason<'s>, Refusal> {
        let resource = Entity {
            kind: ROUTE,
            id: path,
            properties: &NO_PROPERTIES,
        };
        let query = self.query(method, resource, false);
        let outcome = Outcome::Decided(&reason, 0);
        self.desk.note(self.asked, None, &query, outcome)?;
        self.desk.metrics().decided(self.asked.api, &reason);
        Ok(reason)
    }

    fn query<'q>(&self, action: &'q str, resource: Entity<'q>, section: bool) -> Query<'q>
    where
        Self: 'q,
    {
        Query {
            subject: Entity {
                kind: decide::user_type(self.asked.snapshot),
                id: self.subject,
                properties: &NO_PROPERTIES,
            },
            action: Action {
                name: action,
                properties: &NO_PROPERTIES,
            },
            resource,
            context: &NO_PROPERTIES,
            section,
            test_role: None,
            now: self.now,
        }
    }
}

// === impl Verdict ===

impl Verdict {
    fn unauthenticated(
        challenge: &'static str,
        reason: &'static str,
        revision: HeaderValue,
    ) -> Self {
        Self::Deny(Denied {
            challenge: Some(challenge),
            revision: Some(revision),
            reason,
        })
    }
}

// === impl Denied ===

impl Denied {
    /// What cannot be decided is denied.
    #[cold]
    pub(in crate::server) const fn undecided(why: ProxyRefused) -> Self {
        Self {
            challenge: None,
            revision: None,
            reason: why.name(),
        }
    }
}

// === impl Allowed ===

impl Allowed {
    fn new(
        snapshot: &Snapshot,
        user: Option<User<'_>>,
        now: Timestamp,
        revision: HeaderValue,
        reason: &'static str,
    ) -> Self {
        let mut roles = String::with_capacity(64);
        if let Some(user) = user {
            user.roles(now, |role| {
                if !roles.is_empty() {
                    roles.push(',');
                }
                roles.push_str(role);
            });
        }
        Self {
            user: value(user.map_or("", User::id)),
            roles: value(&roles),
            company: value(snapshot.company()),
            revision,
            reason,
        }
    }
}

/// The text as a header's value: what is not visible ASCII, and `%`, is percent-encoded.
fn value(text: &str) -> HeaderValue {
    let empty = HeaderValue::from_static("");
    if text.is_empty() {
        return empty;
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    if text.bytes().all(is_plain) {
        return HeaderValue::from_str(text).unwrap_or(empty);
    }
    let mut encoded = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(encoded).unwrap_or(empty)
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn what_is_not_visible_ascii_and_the_percent_sign_are_encoded() {
        for (text, expected) in [
            ("", ""),
            ("olga@demo.example", "olga@demo.example"),
            ("50%41", "50%2541"),
            ("a b\r\nx: y", "a%20b%0D%0Ax:%20y"),
            ("\u{142}\0\u{7f}", "%C5%82%00%7F"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }
}
