//! The user's certificate, as Envoy passes it on: in the header `x-forwarded-client-cert`, or in
//! `source.certificate` of ext_authz. Envoy has checked it; here it is read.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::who::{NotKnown, Who};
use super::{Passed, Sent};
use crate::config::CertificateField;

/// Where Envoy tells of the certificate of whoever is connected to it.
const FORWARDED: &str = "x-forwarded-client-cert";

/// The longest certificate (bytes), in percent-encoding.
const CERTIFICATE_BYTES_MAX: usize = 32 << 10;

/// What one proxy says of one certificate.
#[derive(Default)]
struct Element<'a> {
    /// As PEM in percent-encoding.
    certificate: Option<Cow<'a, str>>,
    uris: Vec<Cow<'a, str>>,
    hosts: Vec<Cow<'a, str>>,
}

/// Whose certificate it is, by this field of it.
pub(super) fn who(
    field: CertificateField,
    passed: &impl Passed,
    now: SystemTime,
) -> Result<Option<Who>, NotKnown> {
    if let Some(encoded) = passed.certificate().filter(|encoded| !encoded.is_empty()) {
        return holder(field, encoded, now).map(Some);
    }
    let text = match passed.header(FORWARDED) {
        Sent::Nothing | Sent::Once(b"") => return Ok(None),
        Sent::Once(value) => str::from_utf8(value).map_err(|_| NotKnown::BadCertificate)?,
        Sent::Several => return Err(NotKnown::Several),
    };
    let element = Element::read(text)?;
    let only = |names: &[Cow<'_, str>]| match names {
        [name] => Who::read(name.as_bytes()).map_err(|_| NotKnown::BadCertificate),
        _ => Err(NotKnown::BadCertificate),
    };
    let who = match (&element.certificate, field) {
        (Some(encoded), _) => holder(field, encoded, now),
        (None, CertificateField::SanUri) => only(&element.uris),
        (None, CertificateField::SanDns) => only(&element.hosts),
        // The header has no member for mail addresses, and a subject has many ways to be written:
        // the certificate itself is needed for these (`set_current_client_cert_details: cert`).
        (None, CertificateField::SanEmail | CertificateField::SubjectCn) => {
            Err(NotKnown::BadCertificate)
        }
    };
    who.map(Some)
}

/// The one value of the field in a certificate that has not ended.
fn holder(field: CertificateField, encoded: &str, now: SystemTime) -> Result<Who, NotKnown> {
    if encoded.len() > CERTIFICATE_BYTES_MAX {
        return Err(NotKnown::TooLong);
    }
    let pem: Vec<u8> = percent_decode_str(encoded).collect();
    let mut certificates = CertificateDer::pem_slice_iter(&pem);
    let (Some(Ok(der)), None) = (certificates.next(), certificates.next()) else {
        return Err(NotKnown::BadCertificate);
    };
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| NotKnown::BadCertificate)?;
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let validity = certificate.validity();
    let holds = i64::try_from(seconds).is_ok_and(|now| {
        (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now)
    });
    let values = if holds {
        values(field, &certificate)
    } else {
        Vec::new()
    };
    match values.as_slice() {
        [value] => Who::read(value.as_bytes()).map_err(|_| NotKnown::BadCertificate),
        _ => Err(NotKnown::BadCertificate),
    }
}

/// All values of the field: there should be one.
fn values<'c>(field: CertificateField, certificate: &'c X509Certificate<'_>) -> Vec<&'c str> {
    if field == CertificateField::SubjectCn {
        let names = certificate.subject().iter_common_name();
        return names.filter_map(|name| name.as_str().ok()).collect();
    }
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative = alternative.map_or(&[][..], |names| &names.value.general_names);
    let wanted = |name: &'c GeneralName<'_>| match (field, name) {
        (CertificateField::SanEmail, GeneralName::RFC822Name(name))
        | (CertificateField::SanUri, GeneralName::URI(name))
        | (CertificateField::SanDns, GeneralName::DNSName(name)) => Some(*name),
        _ => None,
    };
    alternative.iter().filter_map(wanted).collect()
}

// === impl Element ===

impl<'a> Element<'a> {
    /// Reads the header, which must tell of one certificate: where there are several, a proxy has
    /// appended to what it was sent, and what it was sent is anybody's.
    fn read(text: &'a str) -> Result<Self, NotKnown> {
        let mut element = Self::default();
        let mut rest = text;
        loop {
            let (name, after) = rest.split_once('=').ok_or(NotKnown::BadCertificate)?;
            let (value, after) = value(after)?;
            match name.trim().to_ascii_lowercase().as_str() {
                "cert" if element.certificate.is_some() => return Err(NotKnown::Several),
                "cert" => element.certificate = Some(value),
                "uri" => element.uris.push(value),
                "dns" => element.hosts.push(value),
                _ => {}
            }
            rest = match after.chars().next() {
                None => return Ok(element),
                Some(';') => after.get(1..).unwrap_or_default(),
                Some(_) => return Err(NotKnown::Several),
            };
        }
    }
}

/// The value at the beginning, out of its quotes, and what comes after it.
fn value(text: &str) -> Result<(Cow<'_, str>, &str), NotKnown> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end).ok_or(NotKnown::BadCertificate)?;
        return Ok((Cow::Borrowed(value), after));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, is)) = chars.next() {
        match is {
            '"' => {
                let after = quoted.get(at + 1..).unwrap_or_default();
                return Ok((Cow::Owned(value), after));
            }
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            is => value.push(is),
        }
    }
    Err(NotKnown::BadCertificate)
}
