//! What a bare word of YAML is, and where readers of YAML disagree about it.

/// What a bare (unquoted) scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    Null,
    Bool(bool),
    /// As JSON writes numbers.
    Number,
    Text,
    /// A boolean to readers of YAML 1.1, a text to others.
    Word(bool),
    /// A number to some readers of YAML: `007`, `1_000`, `0x1f`, `22:00`, `.inf`.
    Digits,
}

/// A number that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberError {
    NotFinite,
    Inexact,
}

/// What the bare scalar `text` is.
pub(super) fn bare(text: &str) -> Bare {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Bare::Null,
        "true" | "True" | "TRUE" => return Bare::Bool(true),
        "false" | "False" | "FALSE" => return Bare::Bool(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Bare::Word(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Bare::Word(false),
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        Bare::Text
    } else if is_json_number(text) {
        Bare::Number
    } else if is_digits(text) {
        Bare::Digits
    } else {
        Bare::Text
    }
}

/// Whether `text` is a number as JSON writes it.
pub(super) fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    all_digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && exponent.is_none_or(all_digits)
}

/// The number that JSON writes as `text`, or why a double cannot keep it.
pub(super) fn number(text: &str) -> Result<f64, NumberError> {
    let value: f64 = text.parse().map_err(|_| NumberError::NotFinite)?;
    if !value.is_finite() {
        return Err(NumberError::NotFinite);
    }
    let integer = !text.contains(['.', 'e', 'E']);
    // Above 2^53 doubles leave integers out: exact is what prints as it was written.
    if integer && value.abs() >= 9_007_199_254_740_992.0 && format!("{value:.0}") != text {
        return Err(NumberError::Inexact);
    }
    // Minus zero equals zero, so that one of them is enough.
    Ok(if value == 0.0 { 0.0 } else { value })
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether some reader of YAML takes `text` for a number.
fn is_digits(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return true;
    }
    let plain = unsigned.replace('_', "");
    let based = |prefix: &str, radix: u32| {
        let digits = plain.strip_prefix(prefix);
        digits.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|one| one.is_digit(radix)))
    };
    if based("0x", 16) || based("0o", 8) || based("0b", 2) {
        return true;
    }
    if plain.contains(':') {
        return plain.split(':').all(all_digits);
    }
    let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (plain.as_str(), None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    let digits = mantissa.replacen('.', "", 1);
    all_digits(&digits) && exponent.is_none_or(all_digits)
}
