//! The canonical form of a request's target: what every application that reads it takes it for.
//!
//! What some would read in one way and some in another is refused, and never put right: a dot
//! segment is not resolved, slashes are not merged. What is left is decoded once; then no decoding,
//! folding or splitting that applications are known for makes another path of it.

use std::borrow::Cow;

use crate::telemetry::ProxyRefused;

/// Bytes of a host's name, as DNS has it.
const HOST_BYTES_MAX: usize = 253;

/// The path of an origin-form target (`/calls/7?from=1`), decoded.
///
/// # Errors
/// It can be read in more than one way, or is no such target.
pub fn path(target: &[u8]) -> Result<Cow<'_, str>, ProxyRefused> {
    if target.first() != Some(&b'/') {
        return Err(no_path(target));
    }
    let question = target.iter().position(|byte| *byte == b'?');
    let (raw, query) = match question.and_then(|at| target.split_at_checked(at)) {
        Some((raw, query)) => (raw, query),
        None => (target, &[][..]),
    };
    check_query(query)?;
    let path = decoded(raw)?;
    check_segments(&path)?;
    // White space as such is refused by then; encoded it needs a path of its own.
    if let Cow::Owned(path) = &path {
        check_ends(path)?;
    }
    Ok(path)
}

/// Host and path of an absolute-form target (`https://host/calls/7`).
///
/// # Errors
/// It can be read in more than one way, or is no such target.
pub fn url(target: &[u8]) -> Result<(Cow<'_, str>, Cow<'_, str>), ProxyRefused> {
    let mut schemes = [&b"https://"[..], b"http://"].into_iter();
    let rest = schemes.find_map(|scheme| target.strip_prefix(scheme));
    let rest = rest.ok_or(ProxyRefused::NotAPath)?;
    // Whatever stands before the first slash must be a host, question marks and all.
    let slash = rest.iter().position(|byte| *byte == b'/');
    let split = slash.and_then(|at| rest.split_at_checked(at));
    let (authority, target) = split.ok_or(ProxyRefused::NotAPath)?;
    Ok((host(authority)?, path(target)?))
}

/// A host in small letters, without port and without a dot at its end.
///
/// # Errors
/// It is no host.
pub fn host(authority: &[u8]) -> Result<Cow<'_, str>, ProxyRefused> {
    if authority.contains(&b'@') {
        return Err(ProxyRefused::Userinfo);
    }
    let authority = str::from_utf8(authority).map_err(|_| ProxyRefused::BadHost)?;
    let at = |byte: u8| authority.bytes().position(|is| is == byte);
    let end = if authority.starts_with('[') {
        at(b']').map_or(0, |at| at + 1)
    } else {
        at(b':').unwrap_or(authority.len())
    };
    let (name, port) = authority.split_at_checked(end).unwrap_or(("", ""));
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.len() <= 5;
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Err(ProxyRefused::BadHost);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_host = match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            name.len() <= HOST_BYTES_MAX
                && name.as_bytes().split(|byte| *byte == b'.').all(is_label)
        }
    };
    if !is_host {
        return Err(ProxyRefused::BadHost);
    }
    Ok(if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    })
}

/// A method: a token (RFC 9110, section 9.1) without small letters, since some applications take
/// `delete` for `DELETE` and some do not. `CONNECT` asks for a host and has no path (section 9.3.6):
/// what a proxy tells as its path is made up.
///
/// # Errors
/// It is none, or of no path.
pub fn method(method: &[u8]) -> Result<&str, ProxyRefused> {
    let is_of_token = |byte: &u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(byte)
    };
    let text = str::from_utf8(method).ok();
    text.filter(|text| !text.is_empty() && *text != "CONNECT")
        .filter(|_| method.iter().all(is_of_token))
        .ok_or(ProxyRefused::BadMethod)
}

fn is_label(label: &[u8]) -> bool {
    let is_of_label = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !label.is_empty() && label.iter().all(is_of_label)
}

/// Why something that does not begin with a slash is no target.
#[cold]
fn no_path(target: &[u8]) -> ProxyRefused {
    let slash = target
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let scheme = target.windows(3).position(|bytes| bytes == b"://");
    match (scheme, slash) {
        (Some(scheme), Some(slash)) if scheme < slash => {
            let mut authority = target
                .iter()
                .skip(scheme + 3)
                .take_while(|byte| **byte != b'/');
            if authority.any(|byte| *byte == b'@') {
                ProxyRefused::Userinfo
            } else {
                ProxyRefused::AbsoluteTarget
            }
        }
        _ => ProxyRefused::NotAPath,
    }
}

/// Whether a byte of a path stands for itself, and for nothing that anyone would treat specially.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&'..=b':' | b'<'..=b'>' | b'@'..=b'[' | b']'..=b'~' | b'"')
}

/// Decodes a path once.
fn decoded(raw: &[u8]) -> Result<Cow<'_, str>, ProxyRefused> {
    if raw.iter().all(|byte| is_plain(*byte)) {
        return str::from_utf8(raw)
            .map(Cow::Borrowed)
            .map_err(|_| ProxyRefused::NotUtf8);
    }
    let mut path = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte == b'%' {
            let digits = behind.split_first_chunk::<2>();
            let (digits, behind) = digits.ok_or(ProxyRefused::BadEscape)?;
            path.push(escaped(*digits)?);
            rest = behind;
        } else if is_plain(byte) {
            path.push(byte);
        } else {
            return Err(match byte {
                b'#' => ProxyRefused::Fragment,
                b';' => ProxyRefused::Semicolon,
                b'\\' => ProxyRefused::Backslash,
                0 => ProxyRefused::Nul,
                0x80.. => ProxyRefused::RawByte,
                _ => ProxyRefused::Control,
            });
        }
    }
    let path = String::from_utf8(path).map_err(|_| ProxyRefused::NotUtf8)?;
    if path.chars().any(char::is_control) {
        return Err(ProxyRefused::Control);
    }
    Ok(path.into())
}

/// What two hexadecimal digits stand for, if it may be encoded at all.
fn escaped([high, low]: [u8; 2]) -> Result<u8, ProxyRefused> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (Some(high), Some(low)) = (digit(high), digit(low)) else {
        return Err(ProxyRefused::BadEscape);
    };
    let byte = (high * 16 + low) as u8;
    Err(match byte {
        b'/' => ProxyRefused::EncodedSlash,
        b'\\' => ProxyRefused::EncodedBackslash,
        b'.' => ProxyRefused::EncodedDot,
        b'%' => ProxyRefused::DoubleEncoding,
        b';' => ProxyRefused::Semicolon,
        b'#' => ProxyRefused::Fragment,
        b'?' => ProxyRefused::EncodedQuery,
        0 => ProxyRefused::Nul,
        0x01..=0x1f | 0x7f => ProxyRefused::Control,
        _ => return Ok(byte),
    })
}

/// No segment is empty, but the last, or only dots; white space around them is not seen by some.
fn check_segments(path: &str) -> Result<(), ProxyRefused> {
    let bytes = path.as_bytes();
    if bytes.array_windows().any(|pair| pair == b"//") {
        return Err(ProxyRefused::EmptySegment);
    }
    let dots = |segment: &str| matches!(segment.trim(), "." | "..");
    // Most paths have no dot at all.
    if bytes.contains(&b'.') && path.split('/').any(dots) {
        return Err(ProxyRefused::DotSegment);
    }
    Ok(())
}

/// No segment begins or ends with white space, which some cut off: the path of a file, a number.
fn check_ends(path: &str) -> Result<(), ProxyRefused> {
    let is_cut = |segment: &str| segment.trim().len() < segment.len();
    if path.split('/').any(is_cut) {
        return Err(ProxyRefused::Control);
    }
    Ok(())
}

/// The query never takes part in a decision; but it must be one, and not name another method.
fn check_query(query: &[u8]) -> Result<(), ProxyRefused> {
    for byte in query {
        match byte {
            b'#' => return Err(ProxyRefused::Fragment),
            0 => return Err(ProxyRefused::Nul),
            0x01..=b' ' | 0x7f => return Err(ProxyRefused::Control),
            _ => {}
        }
    }
    let mut parameters = query.split(|byte| matches!(byte, b'?' | b'&' | b';'));
    if parameters.any(is_method_override) {
        return Err(ProxyRefused::MethodOverride);
    }
    Ok(())
}

/// Whether the parameter is `_method`, however it is spelled.
fn is_method_override(parameter: &[u8]) -> bool {
    let mut rest = parameter;
    for expected in b"_method" {
        let byte = match rest {
            [b'%', high, low, behind @ ..] => {
                rest = behind;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                digit(*high)
                    .zip(digit(*low))
                    .map(|(high, low)| (high * 16 + low) as u8)
            }
            [byte, behind @ ..] => {
                rest = behind;
                Some(*byte)
            }
            [] => None,
        };
        if !byte.is_some_and(|byte| byte.eq_ignore_ascii_case(expected)) {
            return false;
        }
    }
    true
}
