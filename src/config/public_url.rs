//! The URL under which callers see the service.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

/// An https URL with neither query nor fragment nor a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https://pdp.example.com`
    origin: String,
    /// Empty, or a slash and what follows it.
    path: String,
}

// === impl PublicUrl ===

impl PublicUrl {
    /// The path: empty, or a slash and what follows it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is no public URL: {why}");
        if text.contains('#') {
            return Err(wrong("it must have no fragment"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|error| wrong(&format!("{error}, such as https://pdp.example.com")))?;
        let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("it must begin with https://"));
        };
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(wrong("it must name a host, and no user"));
        }
        if uri.query().is_some() {
            return Err(wrong("it must have no query"));
        }
        Ok(Self {
            origin: format!("https://{authority}"),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_is_written_without_a_slash_at_its_end() {
        for (text, url, path) in [
            ("https://pdp.example.com", "https://pdp.example.com", ""),
            ("https://pdp.example.com/", "https://pdp.example.com", ""),
            ("https://[::1]:8443/a/b/", "https://[::1]:8443/a/b", "/a/b"),
        ] {
            let read: PublicUrl = text.parse().unwrap();
            assert_eq!((read.to_string().as_str(), read.path()), (url, path));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "pdp.example.com",
            "http://pdp.example.com",
            "https://",
            "https://user@pdp.example.com",
            "https://pdp.example.com/?a=b",
            "https://pdp.example.com/#a",
            "https://pdp example.com",
        ] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }
}
