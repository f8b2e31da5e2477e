//! What each caller is bound to: companies and interfaces.
//!
//! ```toml
//! [callers.crm]
//! companies = ["acme"]
//! interfaces = ["decide", "batch", "filter"]
//! certificates = ["crm.acme.example"]
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde::Deserialize;

use super::files::{Contents, FileError};
use super::tokens::is_name;
use crate::config::is_company;

/// An interface, or a group of them, that a caller may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// One check.
    Decide,
    /// Several checks at once.
    Batch,
    /// Which subjects, resources, actions.
    Search,
    /// Which rows.
    Filter,
    /// Why: with roles, and the lines of policy files.
    Explain,
    /// `/metrics`.
    Metrics,
    /// Snapshots, and reloading them.
    Admin,
}

/// Every caller of a file, by name, and who is known by what.
pub(super) struct Callers {
    pub(super) bounds: BTreeMap<String, Bounds>,
    /// By a certificate's name.
    pub(super) certificates: HashMap<String, String>,
    /// Who comes by a unix socket.
    pub(super) unix: Option<String>,
}

/// What a caller is bound to.
#[derive(Debug)]
pub(super) struct Bounds {
    /// None: all of them.
    companies: Option<BTreeSet<String>>,
    rights: [bool; Right::ALL.len()],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    callers: BTreeMap<String, CallerDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallerDocument {
    companies: Vec<String>,
    interfaces: Vec<String>,
    #[serde(default)]
    certificates: Vec<String>,
    #[serde(default)]
    unix: bool,
}

/// What stands for all companies, or all interfaces.
const ALL: &str = "*";

// === impl Right ===

impl Right {
    /// All of them, in the order of their positions.
    pub const ALL: [Self; 7] = [
        Self::Decide,
        Self::Batch,
        Self::Search,
        Self::Filter,
        Self::Explain,
        Self::Metrics,
        Self::Admin,
    ];

    /// As it stands in a file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Batch => "batch",
            Self::Search => "search",
            Self::Filter => "filter",
            Self::Explain => "explain",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }
}

// === impl Callers ===

impl Callers {
    /// Reads the file.
    pub(super) fn read(path: &Path, contents: &Contents) -> Result<Self, FileError> {
        let wrong = |message: String| FileError::new(path, message);
        let document: Document = toml::from_str(contents.text(path)?)
            .map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        let mut callers = Self {
            bounds: BTreeMap::new(),
            certificates: HashMap::new(),
            unix: None,
        };
        for (name, caller) in document.callers {
            let wrong = |message: String| wrong(format!("caller `{name}`: {message}"));
            if !is_name(&name) {
                let message = "a name is of letters, digits, `.`, `_` and `-`, up to 64";
                return Err(wrong(message.to_owned()));
            }
            for certificate in caller.certificates {
                let held = callers
                    .certificates
                    .insert(normal(&certificate), name.clone());
                if let Some(other) = held.filter(|other| *other != name) {
                    return Err(wrong(format!(
                        "the certificate `{certificate}` is caller `{other}`'s already"
                    )));
                }
            }
            if caller.unix
                && let Some(other) = callers.unix.replace(name.clone())
            {
                return Err(wrong(format!("`unix` is caller `{other}`'s already")));
            }
            let bounds = Bounds::new(&caller.companies, &caller.interfaces).map_err(wrong)?;
            callers.bounds.insert(name, bounds);
        }
        Ok(callers)
    }
}

/// Host names are the same however they are written; all other names have no capitals to speak of.
pub(super) fn normal(certificate: &str) -> String {
    certificate.to_ascii_lowercase()
}

// === impl Bounds ===

impl Bounds {
    fn new(companies: &[String], interfaces: &[String]) -> Result<Self, String> {
        if companies.is_empty() || interfaces.is_empty() {
            let message =
                "`companies` and `interfaces` must each name one at least; [\"*\"] is all";
            return Err(message.to_owned());
        }
        if let Some(bad) = (companies.iter()).find(|name| *name != ALL && !is_company(name)) {
            return Err(format!("`{bad}` is no company's name"));
        }
        let all = companies.iter().any(|name| name == ALL);
        let mut rights = [false; Right::ALL.len()];
        for interface in interfaces {
            let mut known = interface == ALL;
            for (right, held) in Right::ALL.into_iter().zip(&mut rights) {
                let named = interface == right.name() || interface == ALL;
                *held |= named;
                known |= named;
            }
            if !known {
                let names = Right::ALL.map(Right::name).join(", ");
                return Err(format!(
                    "there is no interface `{interface}`: there are {names}"
                ));
            }
        }
        Ok(Self {
            companies: (!all).then(|| companies.iter().cloned().collect()),
            rights,
        })
    }

    pub(super) fn may(&self, right: Right) -> bool {
        self.rights.get(right as usize).copied().unwrap_or(false)
    }

    /// Whether this company is one of the caller's; none is named where none is meant, or where
    /// nobody knows which.
    pub(super) fn reaches(&self, company: Option<&str>) -> bool {
        match (&self.companies, company) {
            (None, _) => true,
            (Some(companies), Some(company)) => companies.contains(company),
            (Some(_), None) => false,
        }
    }
}
