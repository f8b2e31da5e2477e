//! Where tokens stand in a request: one of them, or none.

use super::who::NotKnown;
use super::{Passed, Sent};
use crate::config::TokenPlace;

/// The token of a request, if it has one in any of these places; whether it can be one is not
/// looked at.
///
/// Two are too many, unless they are the same: whoever is behind the proxy could believe the other.
pub(super) fn find<'p>(
    places: &[TokenPlace],
    passed: &'p impl Passed,
) -> Result<Option<&'p [u8]>, NotKnown> {
    let mut found = None;
    for place in places {
        let token = match place {
            TokenPlace::Authorization => bearer(passed.header("authorization"))?,
            TokenPlace::Cookie(name) => cookie(passed.header("cookie"), name)?,
        };
        match (found, token) {
            (_, None) => {}
            (None, Some(_)) => found = token,
            (Some(before), Some(token)) if before == token => {}
            (Some(_), Some(_)) => return Err(NotKnown::Several),
        }
    }
    Ok(found)
}

/// RFC 6750, section 2.1. Another scheme is not for us.
fn bearer(sent: Sent<'_>) -> Result<Option<&[u8]>, NotKnown> {
    const SCHEME: &[u8] = b"bearer";
    let value = match sent {
        Sent::Nothing => return Ok(None),
        Sent::Once(value) => value,
        Sent::Several => return Err(NotKnown::Several),
    };
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => {
            let token = rest.trim_ascii();
            // `Bearer` alone, and `Bearer: x`, mean to be a token and are none.
            let is_apart = rest.first().is_some_and(u8::is_ascii_whitespace);
            if is_apart {
                Ok(Some(token))
            } else {
                Err(NotKnown::Malformed)
            }
        }
        _ => Ok(None),
    }
}

/// RFC 6265, section 4.2.1. Two cookies of the name are one too many, also if they differ in
/// capitals: applications differ in which they take, and in whether capitals matter.
fn cookie<'p>(sent: Sent<'p>, name: &str) -> Result<Option<&'p [u8]>, NotKnown> {
    let value = match sent {
        Sent::Nothing => return Ok(None),
        Sent::Once(value) => value,
        Sent::Several => return Err(NotKnown::Several),
    };
    let mut found = None;
    for pair in value.split(|byte| *byte == b';') {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let is = halves.next().unwrap_or_default().trim_ascii();
        if !is.eq_ignore_ascii_case(name.as_bytes()) {
            continue;
        }
        if found.is_some() {
            return Err(NotKnown::Several);
        }
        let token = halves.next().unwrap_or_default().trim_ascii();
        found = Some((is, token));
    }
    match found {
        // A cookie that was emptied, as on leaving.
        None | Some((_, b"")) => Ok(None),
        Some((is, token)) if is == name.as_bytes() => Ok(Some(token)),
        Some(_) => Err(NotKnown::Malformed),
    }
}

/// Whether it is of the letters of a token, which is three pieces of base64url with dots between
/// (RFC 7515, section 3.1). Anything else is not looked at further.
pub(super) fn is_token(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && text.iter().filter(|byte| **byte == b'.').count() == 2
}
