//! Settings as they were given: text, and where it stands.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::identity::Identity;
use super::is_company;

/// A setting of `serve`. Its flag is `--name`, its variable `CALLGATE_NAME`, its key in the file
/// `name`, with `_` for `-` in the latter two; of what begins with `proxy-`, the key stands without
/// that in the table `[proxy]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name.
    pub name: &'static str,
    /// Whether it may be given several times: in a variable separated by commas, in the file as an
    /// array.
    pub repeatable: bool,
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    one("source"),
    many("listen"),
    one("admin"),
    many("company"),
    one("default-company"),
    one("public-url"),
    one("workers"),
    one("pool-threads"),
    one("pool-queue"),
    one("pool-time"),
    one("tls-cert"),
    one("tls-key"),
    one("tls-client-ca"),
    one("token-file"),
    one("callers"),
    one("socket-mode"),
    one("socket-owner"),
    one("socket-group"),
    one("insecure"),
    one("failed-tests"),
    one("max-loss"),
    one("poll-interval"),
    many("trust-key"),
    one("accept-rollback"),
    one("cache"),
    one("source-ca"),
    one("max-staleness"),
    one("when-stale"),
    one("generation-timeout"),
    one("shadow"),
    one("max-connections"),
    one("max-admin-connections"),
    one("max-handshakes"),
    one("max-requests"),
    one("max-bodies"),
    one("max-body-memory"),
    one("max-header"),
    one("max-body"),
    one("max-streams"),
    one("max-batch"),
    one("max-page"),
    one("header-timeout"),
    one("body-timeout"),
    one("idle-timeout"),
    one("start-timeout"),
    one("drain-delay"),
    one("drain-timeout"),
    one("decision-log"),
    one("decision-log-ca"),
    many("decision-log-include"),
    many("decision-log-mask"),
    one("decision-log-allows"),
    one("decision-log-when-full"),
    one("decision-log-queue"),
    one("decision-log-flush"),
    one("decision-log-rotate-size"),
    one("decision-log-rotate-keep"),
    one("decision-log-buffer"),
    one("decision-log-retry"),
    one("otlp-endpoint"),
    one("otlp-share"),
    many("proxy-trusted-peers"),
    one("proxy-target"),
    one("proxy-identity-header"),
    one("proxy-user-header"),
    one("proxy-roles-header"),
    one("proxy-company-header"),
    one("log-format"),
    one("log-level"),
];

/// What variables begin with.
const PREFIX: &str = "CALLGATE_";

/// The variable that names the file, which no file can.
const CONFIG_VARIABLE: &str = "CALLGATE_CONFIG";

/// The file's table of settings, and that of those about proxies.
const TABLE: &str = "serve";
const PROXY_TABLE: &str = "proxy";

/// What the names of settings about proxies begin with.
const PROXY: &str = "proxy-";
/// Of these, those that stand in a table of their own, and the keys in it.
const UPSTREAM: (&str, [(&str, &str); 3]) = (
    "upstream_headers",
    [
        ("user", "proxy-user-header"),
        ("roles", "proxy-roles-header"),
        ("company", "proxy-company-header"),
    ],
);
/// What else stands in that table.
const IDENTITY: &str = "identity";
const COMPANIES: &str = "companies";

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By this flag.
    Flag(&'static str),
    /// By the argument without a flag.
    Argument,
    /// By this variable.
    Variable(String),
    /// In this file, at this line from 1.
    File(String, usize),
}

/// Something that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

/// Settings as they were given.
#[derive(Debug, Default)]
pub struct RawConfig {
    flags: Vec<Given>,
    variables: Vec<Given>,
    file: Vec<Given>,
    /// What the file says of users behind proxies: of all companies, and of some.
    identity: Option<Identity>,
    identities: BTreeMap<String, Identity>,
    mistakes: Vec<Mistake>,
}

type Value = (String, Origin);

/// A setting's values in one layer.
#[derive(Debug)]
struct Given {
    name: &'static str,
    values: Vec<Value>,
}

const fn one(name: &'static str) -> Setting {
    Setting {
        name,
        repeatable: false,
    }
}

const fn many(name: &'static str) -> Setting {
    Setting {
        name,
        repeatable: true,
    }
}

// === impl RawConfig ===

impl RawConfig {
    /// Takes in a flag's values; none: it was not given.
    pub fn flag(&mut self, name: &'static str, values: impl IntoIterator<Item = String>) {
        let origin = if name == "source" {
            Origin::Argument
        } else {
            Origin::Flag(name)
        };
        let values: Vec<_> = values
            .into_iter()
            .map(|text| (text, origin.clone()))
            .collect();
        if !values.is_empty() {
            self.flags.push(Given { name, values });
        }
    }

    /// Takes in the variables of an environment. Those that are none of ours are passed over: a
    /// cluster sets some of its own for a service named callgate. One that is nearly ours is a
    /// mistake. Empty is as good as absent.
    pub fn variables(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (variable, text) in variables {
            let ours = variable.starts_with(PREFIX) && variable != CONFIG_VARIABLE;
            if !ours || text.is_empty() {
                continue;
            }
            let known = SETTINGS.iter().find(|known| known.variable() == variable);
            let Some(setting) = known else {
                let near = SETTINGS.iter().map(Setting::variable);
                if let Some(near) = nearest(&variable, near) {
                    self.mistakes.push(Mistake(format!(
                        "{variable}: unknown variable; did you mean {near}?"
                    )));
                }
                continue;
            };
            let texts: Vec<_> = match setting.repeatable {
                true => text.split(',').map(|text| text.trim().to_owned()).collect(),
                false => vec![text],
            };
            let origin = Origin::Variable(variable);
            let values = texts.into_iter().map(|text| (text, origin.clone()));
            self.variables.push(Given {
                name: setting.name,
                values: values.collect(),
            });
        }
    }

    /// Takes in a file's text.
    pub fn file(&mut self, path: &str, text: &str) {
        let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let origin = |at: usize| Origin::File(path.to_owned(), line(at));
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.mistakes
                .push(Mistake::new(&origin(at), error.message()));
        }
        for (name, value) in table.get_ref() {
            let at = origin(name.span().start);
            match (value.get_ref().as_table(), name.get_ref().as_ref()) {
                (Some(table), TABLE) => self.table(table, &origin),
                (Some(table), PROXY_TABLE) => self.proxy_table(table, &origin),
                (None, TABLE | PROXY_TABLE) => {
                    let message = format!("`{name}` must be a table: [{name}]");
                    self.mistakes.push(Mistake::new(&at, &message));
                }
                _ => {
                    let message = format!(
                        "`{name}` is unknown here: settings stand in the tables [{TABLE}] and \
                         [{PROXY_TABLE}]"
                    );
                    self.mistakes.push(Mistake::new(&at, &message));
                }
            }
        }
    }

    /// Notes a file that cannot be read.
    pub fn unreadable_file(&mut self, path: &str, error: &std::io::Error) {
        self.mistakes
            .push(Mistake(format!("--config {path}: {error}")));
    }

    /// The variable that names the file, if the flag does not.
    #[must_use]
    pub fn config_variable() -> Option<String> {
        std::env::var(CONFIG_VARIABLE)
            .ok()
            .filter(|path| !path.is_empty())
    }

    /// The values of a setting: by flags, by variables, in the file.
    pub(super) fn layers(&self, name: &str) -> [&[Value]; 3] {
        [&self.flags, &self.variables, &self.file].map(|layer| {
            let given = layer.iter().find(|given| given.name == name);
            given.map_or(&[][..], |given| &given.values)
        })
    }

    /// How the file says that users behind proxies are known.
    pub(super) const fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// As [`identity`](Self::identity), of some companies alone.
    pub(super) const fn identities(&self) -> &BTreeMap<String, Identity> {
        &self.identities
    }

    /// What was wrong already when it was gathered.
    pub(super) fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    fn table(&mut self, table: &DeTable<'_>, origin: &impl Fn(usize) -> Origin) {
        for (key, value) in table {
            let at = origin(key.span().start);
            let here = || {
                SETTINGS
                    .iter()
                    .filter(|known| !known.name.starts_with(PROXY))
            };
            let known = here().find(|known| known.key() == *key.get_ref());
            let Some(setting) = known else {
                self.unknown(key.get_ref(), &at, here().map(Setting::key));
                continue;
            };
            self.setting(setting, key.get_ref(), value, origin);
        }
    }

    fn unknown(&mut self, key: &str, at: &Origin, known: impl Iterator<Item = String>) {
        let near = nearest(key, known);
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let message = format!("unknown setting `{key}`{near}");
        self.mistakes.push(Mistake::new(at, &message));
    }

    /// The table of what is about proxies.
    fn proxy_table(&mut self, table: &DeTable<'_>, origin: &impl Fn(usize) -> Origin) {
        const PLAIN: [&str; 2] = ["proxy-trusted-peers", "proxy-target"];
        for (key, value) in table {
            let at = origin(key.span().start);
            let known = |setting: &&Setting| {
                PLAIN.contains(&setting.name) && setting.key() == format!("proxy_{}", key.get_ref())
            };
            if let Some(setting) = SETTINGS.iter().find(known) {
                self.setting(setting, key.get_ref(), value, origin);
                continue;
            }
            match (key.get_ref().as_ref(), value.get_ref().as_table()) {
                (IDENTITY, _) => {
                    self.identity = Identity::read(value, origin, &mut self.mistakes);
                }
                (name, Some(table)) if name == UPSTREAM.0 => self.upstream(table, origin),
                (COMPANIES, Some(table)) => self.companies(table, origin),
                (name, None) if name == UPSTREAM.0 || name == COMPANIES => {
                    let message = format!("`{name}` must be a table");
                    self.mistakes.push(Mistake::new(&at, &message));
                }
                (name, _) => {
                    let plain = PLAIN.map(|name| name.replacen(PROXY, "", 1).replace('-', "_"));
                    let tables = [IDENTITY, COMPANIES, UPSTREAM.0].map(str::to_owned);
                    self.unknown(name, &at, plain.into_iter().chain(tables));
                }
            }
        }
    }

    fn upstream(&mut self, table: &DeTable<'_>, origin: &impl Fn(usize) -> Origin) {
        for (key, value) in table {
            let known = UPSTREAM.1.iter().find(|(known, _)| known == key.get_ref());
            let setting = known.and_then(|(_, name)| SETTINGS.iter().find(|is| is.name == *name));
            match setting {
                Some(setting) => self.setting(setting, key.get_ref(), value, origin),
                None => {
                    let known = UPSTREAM.1.map(|(known, _)| known.to_owned());
                    let at = origin(key.span().start);
                    self.unknown(key.get_ref(), &at, known.into_iter());
                }
            }
        }
    }

    /// The ways of single companies: `[proxy.companies.NAME]`.
    fn companies(&mut self, table: &DeTable<'_>, origin: &impl Fn(usize) -> Origin) {
        for (name, value) in table {
            let at = origin(name.span().start);
            if !is_company(name.get_ref()) {
                let message = format!("`{name}` is no company's name");
                self.mistakes.push(Mistake::new(&at, &message));
            }
            let entries = value.get_ref().as_table();
            let identity = entries.and_then(|entries| entries.get(IDENTITY));
            let others = entries.into_iter().flatten();
            for (key, _) in others.filter(|(key, _)| key.get_ref() != IDENTITY) {
                let at = origin(key.span().start);
                let known = std::iter::once(IDENTITY.to_owned());
                self.unknown(key.get_ref(), &at, known);
            }
            let Some(value) = identity else {
                let message = format!("company `{name}` lacks `{IDENTITY}`");
                self.mistakes.push(Mistake::new(&at, &message));
                continue;
            };
            if let Some(identity) = Identity::read(value, origin, &mut self.mistakes) {
                self.identities.insert(name.get_ref().to_string(), identity);
            }
        }
    }

    /// One setting of the file.
    fn setting(
        &mut self,
        setting: &Setting,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        origin: &impl Fn(usize) -> Origin,
    ) {
        let values = match value.get_ref() {
            DeValue::Array(items) if setting.repeatable => items.iter().collect(),
            _ => vec![value],
        };
        let mut texts = Vec::new();
        for value in values {
            let at = origin(value.span().start);
            match text_of(value) {
                Some(text) => texts.push((text, at)),
                None => {
                    let found = value.get_ref().type_str();
                    let message = format!("`{key}` cannot be of type {found}");
                    self.mistakes.push(Mistake::new(&at, &message));
                }
            }
        }
        self.file.push(Given {
            name: setting.name,
            values: texts,
        });
    }
}

/// A single value as text: all settings are read from text, wherever they stand.
fn text_of(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let near = known.map(|known| (strsim::damerau_levenshtein(name, &known), known));
    let (distance, known) = near.min()?;
    (distance <= 2).then_some(known)
}

// === impl Setting ===

impl Setting {
    /// The variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key().to_uppercase())
    }

    /// The key in the file.
    #[must_use]
    pub fn key(&self) -> String {
        self.name.replace('-', "_")
    }
}

// === impl Mistake ===

impl Mistake {
    pub(super) fn new(origin: &Origin, message: &str) -> Self {
        Self(format!("{origin}: {message}"))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Argument => f.write_str("SOURCE"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{path}:{line}"),
        }
    }
}
