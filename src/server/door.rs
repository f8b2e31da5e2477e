//! The door: TLS handshakes, and whether whoever asks may.
//!
//! A service that demands no proof of its callers never comes here with a request.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::desk::Desk;
use super::discovery;
use super::pace::{Pace, Verdict};
use super::respond::{Answer, Refusal, RefusalCode};
use super::routes::Route;
use super::stream::Stream;
use super::turns::Turns;
use crate::access::{Access, Admitted, NotAdmitted, Peer, Right, TlsFor, Token, Wanted};
use crate::telemetry::{Api, CallerRefused, Code, Handshake, Limit, Metrics};

/// Where a proxy's own token stands.
pub(super) static PROXY_TOKEN: HeaderName = HeaderName::from_static("callgate-token");

/// A request that may come in.
pub(super) struct Entry {
    /// The company that is meant, where the caller is bound and the path leaves it out: what comes
    /// after must not look for it again, and find another.
    pub(super) company: Option<String>,
    /// Whether an explanation may be given, where one is asked for on another interface.
    pub(super) may_explain: bool,
    /// Who asks, where that had to be proven.
    pub(super) caller: Option<Box<str>>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum NoHandshake {
    #[error("{0}")]
    Failed(#[from] io::Error),
    #[error("it did not come in time")]
    TooSlow,
    #[error("too many wait for theirs")]
    TooMany,
}

/// A request that may not come in.
pub(super) struct Refused {
    pub(super) status: Code,
    pub(super) code: RefusalCode,
    pub(super) message: String,
    /// For `WWW-Authenticate`.
    pub(super) challenge: Option<&'static str>,
}

// === connections ===

/// Makes a connection of what was accepted: by a TLS handshake, where there is TLS. None: that
/// failed, or there are too many, or the pace allows it no longer.
pub(super) async fn enter(
    access: Option<&Access>,
    metrics: &Metrics,
    stream: Stream,
    listener: TlsFor,
    turns: &Turns,
    pace: &Pace,
) -> Option<(Stream, Peer)> {
    let address = match &stream {
        Stream::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip()),
        Stream::Unix(_) | Stream::Tls(_) => None,
    };
    let (stream, access) = match (stream, access) {
        (Stream::Tcp(stream), Some(access)) if access.has_tls() => (stream, access),
        (stream @ Stream::Unix(_), _) => return Some((stream, Peer::unix())),
        (stream, _) => return Some((stream, Peer::default().from_address(address))),
    };
    let mut handshake = pin!(shake(access, stream, listener, turns));
    let shaken = poll_fn(|cx| match pace.verdict(cx.waker()) {
        Verdict::Serve => handshake.as_mut().poll(cx),
        Verdict::Finish | Verdict::Drop => Poll::Ready(Err(NoHandshake::TooSlow)),
    });
    match shaken.await {
        Ok((stream, generation)) => {
            metrics.handshake(Handshake::Done);
            let peer = Peer::tls(stream.get_ref().1.peer_certificates(), generation);
            Some((Stream::Tls(Box::new(stream)), peer.from_address(address)))
        }
        Err(error) => {
            metrics.handshake(match error {
                NoHandshake::Failed(_) => Handshake::Failed,
                NoHandshake::TooSlow => Handshake::TooSlow,
                NoHandshake::TooMany => Handshake::TooMany,
            });
            if matches!(error, NoHandshake::TooMany) {
                metrics.limit_reached(Limit::Handshakes);
            }
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
    }
}

/// A handshake, when its turn has come; and which authorities counted by then.
async fn shake(
    access: &Access,
    stream: TcpStream,
    listener: TlsFor,
    turns: &Turns,
) -> Result<(TlsStream<TcpStream>, u64), NoHandshake> {
    // Who says nothing takes no turn.
    stream.readable().await?;
    let address = stream.peer_addr().ok().map(|address| address.ip());
    let turn = turns.take(address).ok_or(NoHandshake::TooMany)?;
    tokio::time::sleep_until(turn.at).await;
    drop(turn);
    let generation = access.generation();
    let config = access.tls(listener);
    let config = config.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    Ok((stream, generation))
}

// === requests ===

/// Whether the caller may use the route for the company that it names; where there is no route,
/// whether it is a caller at all.
pub(super) fn admit(
    access: &Access,
    desk: &Desk,
    peer: &Peer,
    headers: &HeaderMap,
    route: Option<&Route<'_>>,
) -> Result<Entry, Refused> {
    let metrics = desk.all_metrics();
    let header = credential_header(route.map_or(Api::Unrouted, |route| route.api));
    let Some(route) = route else {
        let admitted = ask(access, metrics, peer, header, headers, Wanted::Nothing)?;
        return Ok(Entry::new(admitted, None));
    };
    let named = match route.api {
        Api::Metadata => discovery::company(desk, route.rest),
        _ => route.company,
    };
    // Metadata that leaves the company out tells nothing of any company.
    let left_out = named.is_none() && route.api != Api::Metadata;
    let company = if left_out { desk.meant() } else { None };
    let wanted = match (route.api, named) {
        (Api::Metadata, None) => Wanted::Nothing,
        _ => Wanted::Of(named.or(company.as_deref()), right(route.api)),
    };
    let admitted = ask(access, metrics, peer, header, headers, wanted)?;
    Ok(Entry::new(admitted, company))
}

/// Whether the caller may operate.
pub(super) fn admit_operator(
    access: &Access,
    metrics: &Metrics,
    peer: &Peer,
    headers: &HeaderMap,
    right: Option<Right>,
) -> Result<(), Refused> {
    let wanted = right.map_or(Wanted::Nothing, Wanted::Operating);
    ask(access, metrics, peer, &AUTHORIZATION, headers, wanted).map(drop)
}

fn ask(
    access: &Access,
    metrics: &Metrics,
    peer: &Peer,
    header: &HeaderName,
    headers: &HeaderMap,
    wanted: Wanted<'_>,
) -> Result<Admitted, Refused> {
    let admitted = access.admit(peer, token(headers, header), wanted);
    admitted.map_err(|why| Refused::new(access, metrics, &why))
}

/// Where the caller's own token stands. A proxy has a header of its own for it: `Authorization` is
/// the end user's there.
fn credential_header(api: Api) -> &'static HeaderName {
    match api {
        Api::ProxyAuth | Api::ProxyEnvoy | Api::ExtAuthz => &PROXY_TOKEN,
        Api::Evaluation
        | Api::Evaluations
        | Api::SearchSubject
        | Api::SearchResource
        | Api::SearchAction
        | Api::Explain
        | Api::Filter
        | Api::Metadata
        | Api::GrpcHealth
        | Api::Unrouted => &AUTHORIZATION,
    }
}

const fn right(api: Api) -> Option<Right> {
    match api {
        Api::Evaluation | Api::ProxyAuth | Api::ProxyEnvoy | Api::ExtAuthz => Some(Right::Decide),
        Api::Evaluations => Some(Right::Batch),
        Api::SearchSubject | Api::SearchResource | Api::SearchAction => Some(Right::Search),
        Api::Explain => Some(Right::Explain),
        Api::Filter => Some(Right::Filter),
        Api::Metadata | Api::GrpcHealth | Api::Unrouted => None,
    }
}

/// A bearer token. Another scheme says nothing to us, and is as good as none. A proxy's token stands
/// alone.
fn token<'r>(headers: &'r HeaderMap, header: &HeaderName) -> Token<'r> {
    const SCHEME: &[u8] = b"bearer ";
    let mut values = headers.get_all(header).iter();
    let (value, None) = (values.next(), values.next()) else {
        return Token::Several;
    };
    let value = value.map_or(&[][..], hyper::header::HeaderValue::as_bytes);
    if *header == PROXY_TOKEN {
        return match value.trim_ascii() {
            b"" => Token::None,
            token => Token::One(token),
        };
    }
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => {
            Token::One(token.trim_ascii())
        }
        _ => Token::None,
    }
}

// === impl Entry ===

impl Entry {
    /// Where nobody is asked for proof, everybody may.
    pub(super) const OPEN: Self = Self {
        company: None,
        may_explain: true,
        caller: None,
    };

    fn new(admitted: Admitted, company: Option<String>) -> Self {
        Self {
            company,
            may_explain: admitted.may_explain,
            caller: Some(admitted.name),
        }
    }
}

// === impl Refused ===

impl Refused {
    #[cold]
    fn new(access: &Access, metrics: &Metrics, why: &NotAdmitted) -> Self {
        let (counted, message) = match why {
            NotAdmitted::NoCredentials => {
                (CallerRefused::NoCredentials, access.remedy().to_owned())
            }
            NotAdmitted::BadToken => (
                CallerRefused::BadCredentials,
                "the token is none that this service knows".to_owned(),
            ),
            NotAdmitted::BadCertificate => (
                CallerRefused::BadCredentials,
                "the certificate is no single caller's, or no longer trusted".to_owned(),
            ),
            NotAdmitted::Interface(name, right) => (
                CallerRefused::Interface,
                format!(
                    "caller `{name}` may not use `{}`: it is not among the `interfaces` of this \
                     caller in the file --callers",
                    right.name()
                ),
            ),
            NotAdmitted::Company(name) => (
                CallerRefused::Company,
                format!(
                    "caller `{name}` is not bound to this company: it is not among the \
                     `companies` of this caller in the file --callers"
                ),
            ),
        };
        metrics.caller_refused(counted);
        let (status, code, challenge) = match counted {
            CallerRefused::NoCredentials => (
                Code::Unauthorized,
                RefusalCode::NoCredentials,
                Some(access.challenge(false)),
            ),
            CallerRefused::BadCredentials => (
                Code::Unauthorized,
                RefusalCode::BadCredentials,
                Some(access.challenge(true)),
            ),
            CallerRefused::Interface | CallerRefused::Company => {
                (Code::Forbidden, RefusalCode::NotAllowed, None)
            }
        };
        Self {
            status,
            code,
            message,
            challenge,
        }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let refusal = Refusal::new(refused.status, refused.code, refused.message);
        Self::from(refusal).challenging(refused.challenge)
    }
}

/// An explanation is asked for, and the caller may have none.
#[cold]
pub(super) fn no_explanation(desk: &Desk) -> Refusal {
    desk.all_metrics().caller_refused(CallerRefused::Interface);
    let message = "the caller may not use `explain`: leave `context.callgate.explain` out";
    Refusal::new(Code::Forbidden, RefusalCode::NotAllowed, message)
}
