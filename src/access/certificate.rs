//! Who is at the other end of a connection, and the names in a certificate.

use std::cell::Cell;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::callers::normal;

/// Who is at the other end of a connection, as far as the connection tells.
#[derive(Default)]
pub struct Peer {
    unix: bool,
    address: Option<IpAddr>,
    certificate: Option<Certificate>,
}

/// A certificate that was checked.
struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    names: Vec<String>,
    /// With which authorities it was checked last.
    checked: Cell<u64>,
}

// === impl Peer ===

impl Peer {
    /// Somebody who comes by a unix socket.
    #[must_use]
    pub const fn unix() -> Self {
        Self {
            unix: true,
            address: None,
            certificate: None,
        }
    }

    /// The same, who comes from this address. An IPv4 address that is written as one of IPv6 is
    /// meant as such.
    #[must_use]
    pub fn from_address(self, address: Option<IpAddr>) -> Self {
        let address = address.map(|address| address.to_canonical());
        Self { address, ..self }
    }

    /// From which address it comes; a unix socket has none.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Somebody whose certificates, if there are any, were checked with the authorities of this
    /// generation.
    #[must_use]
    pub fn tls(chain: Option<&[CertificateDer<'_>]>, generation: u64) -> Self {
        let chain: Vec<_> = chain.unwrap_or_default().to_vec();
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::into_owned).collect();
        let certificate = chain.first().map(|first| Certificate {
            names: names(first),
            checked: Cell::new(generation),
            chain: chain.clone(),
        });
        Self {
            unix: false,
            address: None,
            certificate,
        }
    }

    /// Whether it comes by a unix socket.
    #[must_use]
    pub const fn is_unix(&self) -> bool {
        self.unix
    }

    /// Whether it has shown a certificate.
    pub(super) const fn has_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    /// The names in the certificate; if the authorities have changed since it was checked, only if
    /// `check` finds it good with those of this generation too.
    pub(super) fn certificate_if(
        &self,
        generation: u64,
        check: impl FnOnce(&[CertificateDer<'static>]) -> Option<()>,
    ) -> Option<&[String]> {
        let certificate = self.certificate.as_ref()?;
        if certificate.checked.get() != generation {
            check(&certificate.chain)?;
            certificate.checked.set(generation);
        }
        Some(&certificate.names)
    }
}

/// The names that a certificate was issued for: its alternative names (host, URI, mail), or where
/// it has none of these, its common name.
fn names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative = alternative.map_or(&[][..], |names| &names.value.general_names);
    let names: Vec<_> = alternative
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
                Some(normal(name))
            }
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return names;
    }
    let common = certificate.subject().iter_common_name();
    let common = common.filter_map(|name| name.as_str().ok());
    common.map(normal).take(1).collect()
}
