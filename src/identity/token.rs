//! A signed token (RFC 7519), checked: whose it is, and for how long.
//!
//! The crate `jsonwebtoken` reads it and checks its signature, algorithm, issuer and audience. What
//! it leaves to its users is done here: the time is given, a token says in one way alone what it
//! says, and what it demands to be understood is refused (RFC 8725).

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Header, Validation, decode, decode_header};

use super::claims::Claims;
use super::keys::KeySet;
use super::who::{NotKnown, Who};
use crate::config::{Algorithm, Jwt};

/// The longest token (bytes): those with a user's every group in them are a few thousand.
pub(super) const TOKEN_BYTES_MAX: usize = 16 << 10;

/// How tokens of one issuer for one audience are checked.
pub(super) struct Checks {
    jwt: Jwt,
    /// What is checked for each algorithm: signature, issuer and audience.
    validations: Vec<(Algorithm, Validation)>,
}

/// What a good token says.
#[derive(Clone, Debug)]
pub(super) struct Proven {
    pub(super) who: Who,
    /// From when on it counts, and until when; the clocks may differ a little, which is in them.
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
}

// === impl Checks ===

impl Checks {
    pub(super) fn new(jwt: Jwt) -> Self {
        let validations = jwt.algorithms.iter().map(|algorithm| {
            let mut validation = Validation::new(theirs(*algorithm));
            validation.set_issuer(&[&jwt.issuer]);
            validation.set_audience(&jwt.audience);
            validation.set_required_spec_claims(&["exp", "iss", "aud"]);
            // Its clock is the system's; ours is given.
            validation.validate_exp = false;
            (*algorithm, validation)
        });
        Self {
            validations: validations.collect(),
            jwt,
        }
    }

    pub(super) const fn settings(&self) -> &Jwt {
        &self.jwt
    }

    /// Checks a token with these keys.
    pub(super) fn check(
        &self,
        keys: &KeySet,
        token: &[u8],
        now: SystemTime,
    ) -> Result<Proven, NotKnown> {
        let header = decode_header(token).map_err(|error| unread_header(&error))?;
        let (algorithm, validation) = (self.validations.iter())
            .find(|(algorithm, _)| theirs(*algorithm) == header.alg)
            .ok_or(NotKnown::Algorithm)?;
        if !says_each_name_once(token) {
            return Err(NotKnown::Malformed);
        }
        admits(&header)?;
        let key = keys.find(header.kid.as_deref(), *algorithm);
        let key = key.ok_or(NotKnown::Key)?;
        let decoded = decode::<Claims>(token, key, validation);
        let claims = decoded.map_err(|error| refused(&error))?.claims;
        self.proven(&claims, now)
    }

    fn proven(&self, claims: &Claims, now: SystemTime) -> Result<Proven, NotKnown> {
        // The library takes a list of issuers, too, which no standard knows.
        if !claims.is_from(&self.jwt.issuer) {
            return Err(NotKnown::Issuer);
        }
        if !claims.is_for(&self.jwt.audience) {
            return Err(NotKnown::Audience);
        }
        let skew = self.jwt.clock_skew;
        let until = claims.time("exp").ok().flatten().and_then(time);
        let until = until.and_then(|until| until.checked_add(skew));
        let until = until
            .filter(|until| now < *until)
            .ok_or(NotKnown::Expired)?;
        let from = match claims.time("nbf") {
            Ok(None) => SystemTime::UNIX_EPOCH,
            Ok(Some(from)) => time(from).ok_or(NotKnown::NotYet)?,
            Err(()) => return Err(NotKnown::NotYet),
        };
        let from = from.checked_sub(skew).unwrap_or(SystemTime::UNIX_EPOCH);
        if now < from {
            return Err(NotKnown::NotYet);
        }
        let claim = &self.jwt.claim;
        if claim == &["email"] && claims.mail_is_unproven() {
            return Err(NotKnown::Claim);
        }
        let text = claims.text(claim).ok_or(NotKnown::Claim)?;
        let who = Who::read(text.as_bytes()).map_err(|_| NotKnown::Claim)?;
        Ok(Proven { who, from, until })
    }
}

/// Whether the header is an object in which no name stands twice: of names that it does not know,
/// the library takes the last.
fn says_each_name_once(token: &[u8]) -> bool {
    let header = token.split(|byte| *byte == b'.').next();
    let header = URL_SAFE_NO_PAD.decode(header.unwrap_or_default());
    header.is_ok_and(|header| serde_json::from_slice::<Claims>(&header).is_ok())
}

/// Whether the header asks for nothing that is not done here.
fn admits(header: &Header) -> Result<(), NotKnown> {
    // Nothing that can be critical is understood (RFC 7515, section 4.1.11); nor is encryption or
    // compression.
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(NotKnown::Critical);
    }
    // A token that says of itself that it is for something else is no proof of who asks (RFC 8725,
    // section 3.11): a logout token, an event, a proof of possession.
    let kind = header.typ.as_deref().map(str::to_ascii_lowercase);
    let kind = kind.as_deref().map(|kind| {
        let short = kind.strip_prefix("application/");
        short.unwrap_or(kind)
    });
    match kind {
        None | Some("jwt" | "at+jwt") => Ok(()),
        Some(_) => Err(NotKnown::Critical),
    }
}

/// A time that is not before 1970, and that clocks can tell.
fn time(seconds: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// An algorithm that the library does not know is told apart from a header that is none: `none`
/// is such a one.
fn unread_header(error: &Error) -> NotKnown {
    match error.kind() {
        ErrorKind::Json(error) if error.to_string().contains("unknown variant") => {
            NotKnown::Algorithm
        }
        _ => NotKnown::Malformed,
    }
}

fn refused(error: &Error) -> NotKnown {
    match error.kind() {
        ErrorKind::InvalidAlgorithm
        | ErrorKind::MissingAlgorithm
        | ErrorKind::UnsupportedAlgorithm => NotKnown::Algorithm,
        ErrorKind::InvalidSignature => NotKnown::Signature,
        ErrorKind::InvalidKeyFormat => NotKnown::Key,
        ErrorKind::InvalidIssuer => NotKnown::Issuer,
        ErrorKind::InvalidAudience => NotKnown::Audience,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "iss" => NotKnown::Issuer,
            "aud" => NotKnown::Audience,
            _ => NotKnown::Expired,
        },
        _ => NotKnown::Malformed,
    }
}

const fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}
