//! Who the end user is whose request a proxy asks about, from what the proxy passes on of it.
//!
//! ```text
//! what is passed on ──▶ the company's own way, or the one for all ──▶ a user's id, or why there is none
//! ```
//!
//! Whether the proxy is to be trusted is not asked here: by then it was.

mod who;

pub use who::{NotKnown, Who};

use std::collections::BTreeMap;
use std::time::SystemTime;

use hyper::HeaderMap;

use crate::config::Identity;

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

/// How the users of each company are known.
pub struct Identities {
    every: Option<Identity>,
    own: BTreeMap<String, Identity>,
}

// === impl Identities ===

impl Identities {
    /// The way for all companies, where there is one, and the ways of those that have their own.
    #[must_use]
    pub const fn new(every: Option<Identity>, own: BTreeMap<String, Identity>) -> Self {
        Self { every, own }
    }

    /// Whose request it is that was sent to this company. `None`: nothing says so.
    ///
    /// # Errors
    /// What says so cannot be believed, or says more than one thing.
    pub fn who(
        &self,
        company: &str,
        passed: &impl Passed,
        _now: SystemTime,
    ) -> Result<Option<Who>, NotKnown> {
        match self.own.get(company).or(self.every.as_ref()) {
            None => Ok(None),
            Some(Identity::Header(name)) => match passed.header(name) {
                Sent::Nothing | Sent::Once(b"") => Ok(None),
                Sent::Once(value) => Who::read(value).map(Some),
                Sent::Several => Err(NotKnown::Several),
            },
            Some(Identity::Jwt(_)) => Err(NotKnown::NoKeys),
            Some(Identity::Certificate(_)) => Err(NotKnown::BadCertificate),
        }
    }
}

// === impl HeaderMap ===

impl Passed for HeaderMap {
    fn header(&self, name: &str) -> Sent<'_> {
        let mut values = self.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Sent::Nothing,
            (Some(value), None) => Sent::Once(value.as_bytes()),
            (Some(_), Some(_)) => Sent::Several,
        }
    }
}
