//! How the end user is known whose request a proxy asks about.
//!
//! ```toml
//! identity = { header = "X-Auth-User" }
//! identity = { certificate = { field = "san-email" } }
//! identity = { jwt = { jwks = "keys.json", issuer = "https://id.acme.example", audience = "crm",
//!                      algorithms = ["ES256"], claim = "sub", from = ["authorization"] } }
//! ```

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderName;
use toml::Spanned;
use toml::de::DeValue;

use super::raw::{Mistake, Origin};
use super::table::Table;
use super::texts::duration;

/// How much the clocks of who issues tokens and who checks them may differ.
pub const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(30);
/// The most that may be set: what has ended must not count for long.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);
/// From one look at a key set behind a URL to the next.
pub const DEFAULT_JWKS_REFRESH: Duration = Duration::from_secs(300);

/// How the end user is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By a header that the proxy sets; its name, in lower case.
    Header(String),
    /// By a signed token.
    Jwt(Jwt),
    /// By the client certificate that Envoy passes on.
    Certificate(CertificateField),
}

/// Which tokens count, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Where the keys are that tokens are signed with.
    pub jwks: Jwks,
    /// The authorities of the key set's server, as PEM; none: those of the system.
    pub jwks_ca: Option<PathBuf>,
    /// From one look at a key set behind a URL to the next.
    pub jwks_refresh: Duration,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must hold one of.
    pub audience: Vec<String>,
    /// What tokens may be signed by.
    pub algorithms: Vec<Algorithm>,
    /// The claim that is the user's id: a name, and names within what that holds.
    pub claim: Vec<String>,
    /// Where tokens stand.
    pub from: Vec<TokenPlace>,
    /// How much the clocks may differ.
    pub clock_skew: Duration,
}

/// Where a key set (RFC 7517) is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Jwks {
    /// In a file.
    File(PathBuf),
    /// Behind an https URL.
    Url(String),
}

/// How a token may be signed (RFC 7518, RFC 8037): by the issuer's own key, which nobody else
/// has. What shares a secret (`HS256`) or signs nothing (`none`) is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the standard")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// Where a token stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// In `Authorization`, after `Bearer`.
    Authorization,
    /// In the cookie of this name.
    Cookie(String),
}

/// What of a certificate is the user's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateField {
    /// The one mail address among its alternative names.
    SanEmail,
    /// The one URI.
    SanUri,
    /// The one host name.
    SanDns,
    /// The common name of its subject.
    SubjectCn,
}

// === impl Identity ===

impl Identity {
    /// The keys of its table, of which one stands there.
    const KINDS: [&str; 3] = ["header", "jwt", "certificate"];

    /// The users are known by this header.
    pub(super) fn header(text: &str) -> Result<Self, String> {
        header_name(text).map(Self::Header)
    }

    /// Reads `identity = …`. What is wrong is added to the mistakes; `places` tells where in the
    /// file a position is.
    pub(super) fn read(
        value: &Spanned<DeValue<'_>>,
        places: &dyn Fn(usize) -> Origin,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Self> {
        let mut table = Table::open(value, "`identity`", &Self::KINDS, places, mistakes)?;
        let kinds = table.keys().filter(|key| Self::KINDS.contains(key)).count();
        if kinds != 1 {
            table.wrong("`identity` takes one of `header`, `jwt` and `certificate`");
        }
        let header = table.text("header");
        let header = table.read(header, header_name).map(Self::Header);
        let certificate = table.table("certificate", "`certificate`", &["field"]);
        let certificate = certificate.and_then(|mut table| {
            let field = table.needed("field", r#"field = "san-email""#);
            table.read(field, field_of).map(Self::Certificate)
        });
        let jwt = table.table("jwt", "`jwt`", &Jwt::KEYS);
        let jwt = jwt.and_then(Jwt::read).map(Self::Jwt);
        header.or(certificate).or(jwt).filter(|_| kinds == 1)
    }
}

// === impl Jwt ===

impl Jwt {
    const KEYS: [&str; 9] = [
        "jwks",
        "jwks_ca",
        "jwks_refresh",
        "issuer",
        "audience",
        "algorithms",
        "claim",
        "from",
        "clock_skew",
    ];

    fn read(mut table: Table<'_, '_>) -> Option<Self> {
        let jwks = table.needed("jwks", r#"jwks = "keys.json", or an https URL"#);
        let jwks = table.read(jwks, jwks_of);
        let ca = table.text("jwks_ca");
        if let (Some((_, at)), Some(Jwks::File(_))) = (&ca, &jwks) {
            table.wrong_at(
                at,
                "`jwks_ca` is for a key set behind a URL, and `jwks` is a file",
            );
        }
        let refresh = table.text("jwks_refresh");
        if let (Some((_, at)), Some(Jwks::File(_))) = (&refresh, &jwks) {
            let message = "`jwks_refresh` is for a key set behind a URL: a file is watched";
            table.wrong_at(at, message);
        }
        let refresh = refresh.map_or(Some(DEFAULT_JWKS_REFRESH), |text| {
            table.read(Some(text), refresh_of)
        });
        let issuer = table.needed("issuer", r#"issuer = "https://id.acme.example""#);
        let issuer = table.read(issuer, |text| not_empty("issuer", text));
        let audience = each(&mut table, "audience", r#"audience = "crm""#, |text| {
            not_empty("audience", text)
        });
        let example = r#"algorithms = ["RS256"]"#;
        let algorithms = each(&mut table, "algorithms", example, Algorithm::read);
        let example = r#"claim = "sub", or a path such as ["user", "id"]"#;
        let claim = each(&mut table, "claim", example, |text| {
            not_empty("claim", text)
        });
        let example = r#"from = ["authorization", "cookie:session"]"#;
        let from = each(&mut table, "from", example, TokenPlace::read);
        let skew = table.text("clock_skew");
        let skew = skew.map_or(Some(DEFAULT_CLOCK_SKEW), |text| {
            table.read(Some(text), skew_of)
        });
        Some(Self {
            jwks: jwks?,
            jwks_ca: ca.map(|(path, _)| PathBuf::from(path)),
            jwks_refresh: refresh?,
            issuer: issuer?,
            audience: audience?,
            algorithms: algorithms?,
            claim: claim?,
            from: from?,
            clock_skew: skew?,
        })
    }
}

/// Reads each of the texts; `None` if one is wrong, or there is none.
fn each<T>(
    table: &mut Table<'_, '_>,
    key: &str,
    example: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let texts = table.several(key, example).into_iter();
    let read: Vec<_> = texts.map(|text| table.read(Some(text), &parse)).collect();
    let read: Option<Vec<_>> = read.into_iter().collect();
    read.filter(|read| !read.is_empty())
}

// === impl Algorithm ===

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As it stands in tokens and keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            let why = match text {
                "none" | "None" | "NONE" => ": who leaves the signature out could be anybody",
                "HS256" | "HS384" | "HS512" => ": who can check a token could make one, too",
                _ => "",
            };
            format!("`{text}` is no algorithm that tokens may be signed by{why}; there are {names}")
        })
    }
}

// === impl TokenPlace ===

impl TokenPlace {
    fn read(text: &str) -> Result<Self, String> {
        if text == "authorization" {
            return Ok(Self::Authorization);
        }
        let name = text.strip_prefix("cookie:").filter(|name| is_token(name));
        name.map(|name| Self::Cookie(name.to_owned()))
            .ok_or_else(|| format!("`{text}` is neither `authorization` nor `cookie:NAME`"))
    }
}

// === reading texts ===

/// RFC 9110, section 5.6.2: what a cookie's name is of.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && (text.bytes())
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn header_name(text: &str) -> Result<String, String> {
    /// What says other things, and is the client's own.
    const TAKEN: [&str; 6] = [
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "host",
        "transfer-encoding",
    ];
    let name = HeaderName::try_from(text);
    let name = name.map_err(|_| format!("`{text}` is no header's name, such as X-Auth-User"))?;
    if TAKEN.contains(&name.as_str()) {
        return Err(format!(
            "`{text}` does not name a user: have the proxy set a header of its own, such as \
             X-Auth-User, or use `jwt`"
        ));
    }
    Ok(name.as_str().to_owned())
}

fn field_of(text: &str) -> Result<CertificateField, String> {
    match text {
        "san-email" => Ok(CertificateField::SanEmail),
        "san-uri" => Ok(CertificateField::SanUri),
        "san-dns" => Ok(CertificateField::SanDns),
        "subject-cn" => Ok(CertificateField::SubjectCn),
        _ => Err(format!(
            "`{text}` is no field of a certificate; there are san-email, san-uri, san-dns, subject-cn"
        )),
    }
}

fn jwks_of(text: &str) -> Result<Jwks, String> {
    if !text.contains("://") {
        let text = not_empty("jwks", text)?;
        return Ok(Jwks::File(PathBuf::from(text)));
    }
    let url = text.parse::<Uri>().ok();
    let is_https = url.is_some_and(|url| {
        url.scheme_str() == Some("https")
            && url.host().is_some_and(|host| !host.is_empty())
            && url.authority().is_some_and(|is| !is.as_str().contains('@'))
    });
    if is_https {
        Ok(Jwks::Url(text.to_owned()))
    } else {
        Err(format!(
            "`{text}` is neither a file nor an https URL: keys that come without TLS could be \
             anybody's"
        ))
    }
}

fn not_empty(key: &str, text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err(format!("`{key}` must not be empty"))
    } else {
        Ok(text.to_owned())
    }
}

fn skew_of(text: &str) -> Result<Duration, String> {
    let skew = match text {
        "0" | "0s" => Duration::ZERO,
        _ => duration(text)?,
    };
    if skew <= CLOCK_SKEW_MAX {
        Ok(skew)
    } else {
        Err(format!(
            "`{text}` is more than the 5m that clocks may differ at most"
        ))
    }
}

fn refresh_of(text: &str) -> Result<Duration, String> {
    let refresh = duration(text)?;
    if refresh >= Duration::from_secs(1) {
        Ok(refresh)
    } else {
        Err(format!(
            "`{text}` is less than the 1s that must be between two looks"
        ))
    }
}

#[cfg(test)]
mod tests;
