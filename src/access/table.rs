//! Who may ask what: the one look that decides on a request's caller.

use std::sync::Arc;

use super::callers::{Bounds, Callers, Right};
use super::certificate::Peer;
use super::tokens::{TokenKey, Tokens};

/// Tokens and bounds, as they stand together.
pub(super) struct Table {
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) callers: Option<Arc<Callers>>,
}

/// The token that a request brings.
#[derive(Clone, Copy, Debug)]
pub enum Token<'r> {
    /// It brings none.
    None,
    /// It brings one.
    One(&'r [u8]),
    /// It brings several, and nobody knows which counts.
    Several,
}

/// What a request is about, as far as callers are bound to it.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'r> {
    /// What every known caller may have.
    Nothing,
    /// Something about a company; none where the one meant is not known.
    Of(Option<&'r str>, Option<Right>),
    /// Something of the operators'.
    Operating(Right),
}

/// A caller who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The caller's name.
    pub name: Box<str>,
    /// Whether explanations may be given too.
    pub may_explain: bool,
}

/// Why a caller may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Nothing tells who it is.
    NoCredentials,
    /// The token is none that is known, or there are several.
    BadToken,
    /// The certificate's names are no caller's, or those of several; or it is no longer trusted.
    BadCertificate,
    /// This caller may not use this interface.
    Interface(Box<str>, Right),
    /// This caller is not bound to this company.
    Company(Box<str>),
}

// === impl Table ===

impl Table {
    /// Logs what is surely not meant.
    pub(super) fn warn(&self) {
        let (Some(tokens), Some(callers)) = (&self.tokens, &self.callers) else {
            return;
        };
        for (name, _) in &tokens.0 {
            if !callers.bounds.contains_key(name) {
                tracing::warn!(caller = name, "a caller has a token and may do nothing");
            }
        }
    }

    /// Finds out who asks, and whether that one may.
    pub(super) fn admit(
        &self,
        key: &TokenKey,
        peer: &Peer,
        certificate: Option<&[String]>,
        token: Token<'_>,
        wanted: Wanted<'_>,
    ) -> Result<Admitted, NotAdmitted> {
        let name = self.identify(key, peer, certificate, token)?;
        let Some(callers) = &self.callers else {
            return match wanted {
                Wanted::Operating(right) => Err(NotAdmitted::Interface(name, right)),
                Wanted::Nothing | Wanted::Of(..) => Ok(Admitted {
                    name,
                    may_explain: true,
                }),
            };
        };
        // Who is not named there may do nothing.
        let bounds = callers.bounds.get(&*name);
        let may = |right| bounds.is_some_and(|bounds| bounds.may(right));
        match wanted {
            Wanted::Nothing => {}
            Wanted::Of(company, right) => {
                if let Some(right) = right.filter(|right| !may(*right)) {
                    return Err(NotAdmitted::Interface(name, right));
                }
                if !bounds.is_some_and(|bounds: &Bounds| bounds.reaches(company)) {
                    return Err(NotAdmitted::Company(name));
                }
            }
            Wanted::Operating(right) if may(right) => {}
            Wanted::Operating(right) => return Err(NotAdmitted::Interface(name, right)),
        }
        Ok(Admitted {
            name,
            may_explain: may(Right::Explain),
        })
    }

    /// A token weighs most: whoever sends one means to be that caller. Then the certificate, then
    /// the socket.
    fn identify(
        &self,
        key: &TokenKey,
        peer: &Peer,
        certificate: Option<&[String]>,
        token: Token<'_>,
    ) -> Result<Box<str>, NotAdmitted> {
        match (&self.tokens, token) {
            (Some(_), Token::Several) => return Err(NotAdmitted::BadToken),
            (Some(tokens), Token::One(token)) => {
                return tokens.owner(key, token).ok_or(NotAdmitted::BadToken);
            }
            (None, _) | (_, Token::None) => {}
        }
        if peer.has_certificate() {
            let names = certificate.unwrap_or_default();
            return self.holder(names).ok_or(NotAdmitted::BadCertificate);
        }
        let unix = self
            .callers
            .as_ref()
            .and_then(|callers| callers.unix.as_ref());
        match unix.filter(|_| peer.is_unix()) {
            Some(name) => Ok(name.as_str().into()),
            None => Err(NotAdmitted::NoCredentials),
        }
    }

    /// Whose certificate it is: of the one caller who has one of its names; where nobody is bound
    /// to anything, of the first.
    fn holder(&self, names: &[String]) -> Option<Box<str>> {
        let Some(callers) = &self.callers else {
            return names.first().map(|name| name.as_str().into());
        };
        let mut holders = names
            .iter()
            .filter_map(|name| callers.certificates.get(name));
        let holder = holders.next()?;
        let alone = holders.all(|other| other == holder);
        alone.then(|| holder.as_str().into())
    }
}

// === impl Tokens ===

impl Tokens {
    /// Whose token it is. All are compared, each in the same time whatever it is.
    fn owner(&self, key: &TokenKey, token: &[u8]) -> Option<Box<str>> {
        let digest = key.digest(token);
        let mut owner = None;
        for (name, known) in &self.0 {
            // This compares in constant time: blake3's documentation promises it.
            if *known == digest {
                owner = Some(name);
            }
        }
        owner.map(|name| name.as_str().into())
    }
}
