//! Who the end user is, by what a proxy passes on.

mod certificate;
mod header;
mod service;
pub(crate) mod signer;
mod tokens;
mod url;

use std::collections::HashMap;

use callgate::identity::{Passed, Sent};

/// A request as a proxy passes it on.
#[derive(Default)]
struct Request {
    headers: HashMap<String, Vec<Vec<u8>>>,
    certificate: Option<String>,
}

impl Request {
    /// One with these headers, each of which may stand there several times.
    fn with(headers: &[(&str, &[u8])]) -> Self {
        let mut request = Self::default();
        for (name, value) in headers {
            let values = request.headers.entry((*name).to_owned()).or_default();
            values.push((*value).to_owned());
        }
        request
    }
}

impl Passed for Request {
    fn header(&self, name: &str) -> Sent<'_> {
        match self.headers.get(name).map_or(&[][..], Vec::as_slice) {
            [] => Sent::Nothing,
            [value] => Sent::Once(value),
            _ => Sent::Several,
        }
    }

    fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }
}
