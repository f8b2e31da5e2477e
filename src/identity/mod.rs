//! Who the end user is whose request a proxy asks about, from what the proxy passes on of it.
//!
//! ```text
//! what is passed on ──▶ the company's own way, or the one for all ──▶ a user's id, or why there is none
//!
//! a header       ─────────────────────────────────────────────────▶ Who
//! a certificate  ──▶ its field ───────────────────────────────────▶ Who
//! a token        ──▶ remembered? ──▶ keys, signature, claims ──────▶ Who
//! ```
//!
//! Whether the proxy is to be trusted is not asked here: by then it was. Nothing here waits for
//! anything: keys are fetched beside, by a thread of their own.

mod certificate;
mod claims;
mod fetch;
mod keys;
mod places;
mod remembered;
mod signature;
mod source;
mod token;
mod who;

pub use who::{NotKnown, Who};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;

use self::remembered::Circumstance;
use self::source::{Place, Source, Watch};
use self::token::Checks;
use crate::config::{CertificateField, Identity, Jwt};
use crate::telemetry::Metrics;

/// What a proxy passes on of the end user's request.
pub trait Passed {
    /// What it says under this name, which is given in lower case.
    fn header(&self, name: &str) -> Sent<'_>;

    /// The user's certificate beside the headers, as PEM in percent-encoding: ext_authz has a
    /// member of its own for it.
    fn certificate(&self) -> Option<&str> {
        None
    }
}

/// What is said under a header's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent<'a> {
    /// It is not there.
    Nothing,
    /// This.
    Once(&'a [u8]),
    /// More than one thing.
    Several,
}

/// How the users of each company are known; by default nobody is.
#[derive(Default)]
pub struct Identities {
    every: Option<Way>,
    own: BTreeMap<String, Way>,
    /// Where there are keys to look after.
    _watch: Option<Watch>,
}

/// Something that is to tell who users are, and cannot.
#[derive(Debug, thiserror::Error)]
#[error("identity{whose}: {message}")]
pub struct IdentityError {
    /// For which company, where it is for one.
    whose: String,
    message: String,
}

/// How users are known.
enum Way {
    Header(String),
    Token(Box<Tokens>),
    Certificate(CertificateField),
}

/// How users are known by tokens.
struct Tokens {
    checks: Checks,
    source: Arc<Source>,
    metrics: Arc<Metrics>,
    /// No other settings of this process have it.
    number: u64,
}

// === impl Identities ===

impl Identities {
    /// The way for all companies, where there is one, and the ways of those that have their own.
    /// Keys in files are looked at this often.
    ///
    /// # Errors
    /// A key set that is in a file and cannot be used, or a URL that cannot be asked: the file of
    /// authorities is not there, say. What is behind a URL is not waited for.
    pub fn start(
        every: Option<Identity>,
        own: BTreeMap<String, Identity>,
        metrics: &Arc<Metrics>,
        poll: Duration,
    ) -> Result<Arc<Self>, IdentityError> {
        signature::install();
        let mut sources = Vec::new();
        let mut way = |whose: String, identity| {
            let made = Way::new(identity, &mut sources, metrics);
            made.map_err(|message| IdentityError { whose, message })
        };
        let every = every.map(|identity| way(String::new(), identity));
        let every = every.transpose()?;
        let own = own.into_iter().map(|(company, identity)| {
            let made = way(format!(" of company `{company}`"), identity)?;
            Ok((company, made))
        });
        let own = own.collect::<Result<_, _>>()?;
        let watch = (!sources.is_empty()).then(|| Watch::spawn(sources, poll));
        let watch = watch.transpose().map_err(|error| IdentityError {
            whose: String::new(),
            message: format!("there is no thread to look after keys: {error}"),
        })?;
        Ok(Arc::new(Self {
            every,
            own,
            _watch: watch,
        }))
    }

    /// Whose request it is that was sent to this company. `None`: nothing says so.
    ///
    /// # Errors
    /// What says so cannot be believed, or says more than one thing.
    pub fn who(
        &self,
        company: &str,
        passed: &impl Passed,
        now: SystemTime,
    ) -> Result<Option<Who>, NotKnown> {
        match self.own.get(company).or(self.every.as_ref()) {
            None => Ok(None),
            Some(Way::Header(name)) => match passed.header(name) {
                Sent::Nothing | Sent::Once(b"") => Ok(None),
                Sent::Once(value) => Who::read(value).map(Some),
                Sent::Several => Err(NotKnown::Several),
            },
            Some(Way::Token(tokens)) => tokens.who(passed, now),
            Some(Way::Certificate(field)) => certificate::who(*field, passed, now),
        }
    }
}

// === impl Way ===

impl Way {
    fn new(
        identity: Identity,
        sources: &mut Vec<Arc<Source>>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        Ok(match identity {
            Identity::Header(name) => Self::Header(name),
            Identity::Certificate(field) => Self::Certificate(field),
            Identity::Jwt(jwt) => Self::Token(Box::new(Tokens::new(jwt, sources, metrics)?)),
        })
    }
}

// === impl Tokens ===

impl Tokens {
    /// Companies whose keys are in one place share them, and are told apart by issuer and audience.
    fn new(
        jwt: Jwt,
        sources: &mut Vec<Arc<Source>>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        static SETTINGS: AtomicU64 = AtomicU64::new(1);
        let place = Place {
            jwks: jwt.jwks.clone(),
            authorities: jwt.jwks_ca.clone(),
            refresh: jwt.jwks_refresh,
        };
        let source = match sources.iter().find(|source| source.place == place) {
            Some(source) => Arc::clone(source),
            None => {
                place.check()?;
                let source = Arc::new(Source::new(place, Arc::clone(metrics))?);
                sources.push(Arc::clone(&source));
                source
            }
        };
        Ok(Self {
            checks: Checks::new(jwt),
            source,
            metrics: Arc::clone(metrics),
            number: SETTINGS.fetch_add(1, Relaxed),
        })
    }

    fn who(&self, passed: &impl Passed, now: SystemTime) -> Result<Option<Who>, NotKnown> {
        let Some(token) = places::find(&self.checks.settings().from, passed)? else {
            return Ok(None);
        };
        if token.len() > token::TOKEN_BYTES_MAX {
            return Err(NotKnown::TooLong);
        }
        let keys = self.source.keys();
        let Some(keys) = keys.as_ref() else {
            return Err(NotKnown::NoKeys);
        };
        let circumstance = Circumstance {
            settings: self.number,
            keys: keys.number,
            digest: *blake3::hash(token).as_bytes(),
        };
        if let Some(proven) = remembered::recall(&circumstance, now) {
            return Ok(Some(proven.who));
        }
        // What was found good before was a token; so this is asked of what is new alone.
        if !places::is_token(token) {
            return Err(NotKnown::Malformed);
        }
        let checked = self.checks.check(keys, token, now);
        if matches!(checked, Err(NotKnown::Key)) {
            self.source.lacks_a_key();
        } else {
            self.metrics.token_checked(checked.is_ok());
        }
        let proven = checked?;
        let who = proven.who.clone();
        remembered::remember(circumstance, proven);
        Ok(Some(who))
    }
}

// === impl HeaderMap ===

impl Passed for HeaderMap {
    /// Most names that are asked for are not there. To compare them with those that are, which are
    /// few, costs less than to hash each; where there are many, it costs no more than reading them.
    fn header(&self, name: &str) -> Sent<'_> {
        let Some(name) = self.keys().find(|is| is.as_str() == name) else {
            return Sent::Nothing;
        };
        let mut values = self.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Sent::Nothing,
            (Some(value), None) => Sent::Once(value.as_bytes()),
            (Some(_), Some(_)) => Sent::Several,
        }
    }
}
