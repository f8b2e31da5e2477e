//! routes.yaml: HTTP requests as checks.

use super::Code;
use super::company::choice;
use super::declare::{Section, set};
use super::fields::Fields;
use super::properties::Rules;
use super::resolved::{Route, RouteRule, Segment};
use super::sink::{Finding, Sink, Span};
use super::word::Word;
use super::world::World;
use super::yaml::Node;

const ROUTE: &[&str] = &[
    "path",
    "title",
    "description",
    "methods",
    "host",
    "allow",
    "check",
];
/// Segments of a route's path.
const SEGMENTS_MAX: usize = 64;
const CHECK: &[&str] = &["type", "action", "id", "section", "properties"];

impl<'t> World<'t> {
    /// Routes as written.
    pub(super) fn read_routes(&self, section: Section<'t>) -> Vec<Route> {
        let (nodes, _) = section.list(self.sink, "a list of routes");
        let read = |node: &'t Node<'t>| self.route(node.fields(self.sink, "a route", ROUTE)?);
        let found: Vec<(Route, Span)> = nodes.iter().filter_map(read).collect();
        duplicates(self.sink, &found);
        found.into_iter().map(|(route, _)| route).collect()
    }

    fn route(&self, fields: Fields<'t>) -> Option<(Route, Span)> {
        fields.title();
        let written = fields
            .need("path")
            .and_then(|node| node.text(self.sink, "a path"));
        let path = written.and_then(|word| path(self.sink, word));
        let methods = fields.get("methods").map(|node| {
            let items = node
                .some(self.sink, "a list of methods")
                .unwrap_or_default();
            let words = super::fields::words(self.sink, items, "a method");
            self.methods(words)
        });
        let host = fields
            .text("host", "a host")
            .and_then(|word| host(self.sink, word));
        let rule = match (fields.entry("allow"), fields.entry("check")) {
            (Some(allow), Some(check)) => {
                Finding::error(
                    Code::ConflictingKeys,
                    check.key_span,
                    "route with both `allow` and `check`",
                )
                .also(allow.key_span, "`allow` is here")
                .help("keep the one that is meant")
                .report(self.sink);
                None
            }
            (Some(allow), None) => self.allowed(&allow.value),
            (None, Some(check)) => self.check(&check.value, path.as_deref()),
            (None, None) => {
                self.sink.error(
                    Code::MissingKey,
                    fields.head(),
                    "a route lacks the key `allow` or `check`",
                );
                None
            }
        };
        let span = written.map_or(fields.head(), Word::span);
        let route = Route {
            methods: methods.unwrap_or_default(),
            host,
            path: path?,
            rule: rule?,
            place: fields.head().place(),
        };
        Some((route, span))
    }

    fn methods(&self, words: Vec<Word<'t>>) -> Vec<String> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let sound = |word: &Word<'t>| {
            let sound = !word.text.is_empty() && word.text != "*" && word.text.bytes().all(token);
            if !sound {
                Finding::error(
                    Code::BadMethod,
                    word.span(),
                    format!("`{}` is no method", word.text),
                )
                .help("write methods such as `GET`; leave `methods` out for all")
                .report(self.sink);
            }
            sound
        };
        let upper: Vec<(String, Word<'t>)> = words
            .into_iter()
            .filter(sound)
            .map(|word| (word.text.to_ascii_uppercase(), word))
            .collect();
        let mut names: Vec<&String> = upper.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        let find = |word: Word<'t>| names.binary_search(&&word.text.to_ascii_uppercase()).ok();
        set(self.sink, upper.iter().map(|(_, word)| *word), find);
        names.into_iter().cloned().collect()
    }

    fn allowed(&self, node: &'t Node<'t>) -> Option<RouteRule> {
        let word = node.text(self.sink, "`public` or `authenticated`")?;
        match choice(self.sink, word, &["public", "authenticated"])? {
            "public" => Some(RouteRule::Public),
            _ => Some(RouteRule::Authenticated),
        }
    }

    fn check(&self, node: &'t Node<'t>, path: Option<&[Segment]>) -> Option<RouteRule> {
        let fields = node.fields(self.sink, "a check", CHECK)?;
        let kind = fields
            .need("type")
            .and_then(|node| node.text(self.sink, "the name of a resource type"));
        let kind = kind.and_then(|word| self.vocabulary.find_type(self.sink, word));
        let action = fields
            .need("action")
            .and_then(|node| node.text(self.sink, "the name of an action"));
        let action = kind
            .zip(action)
            .and_then(|(kind, word)| self.vocabulary.find_action(self.sink, kind, word));
        let section = fields.flag("section");
        let id = match (section, fields.entry("id")) {
            (true, Some(entry)) => {
                Finding::error(
                    Code::ConflictingKeys,
                    entry.key_span,
                    "section check with an id",
                )
                .help("a section check looks at no resource: leave out `id`, or `section`")
                .report(self.sink);
                None
            }
            (true, None) => None,
            (false, _) => {
                let word = fields
                    .need("id")
                    .and_then(|node| node.text(self.sink, "an id"));
                word.and_then(|word| template(self.sink, word, path))
            }
        };
        let properties = Rules::CONSTANT.read(self.sink, fields.get("properties").or(None));
        if !section && id.is_none() {
            return None;
        }
        Some(RouteRule::Check {
            kind: kind?,
            action: action?,
            id,
            section,
            properties,
        })
    }
}

/// Segments of a path: literals, `{name}`, and `{*name}` at the end; braces in a literal are doubled.
fn path(sink: &Sink<'_>, word: Word<'_>) -> Option<Vec<Segment>> {
    let bad = |message: &str, help: &str| {
        Finding::error(
            Code::BadRoutePath,
            word.span(),
            format!("path `{}` {message}", word.text),
        )
        .help(help)
        .report(sink);
    };
    let Some(rest) = word.text.strip_prefix('/') else {
        bad(
            "does not begin with `/`",
            "write the path from its first slash: `/calls/{id}`",
        );
        return None;
    };
    let mut segments: Vec<Segment> = Vec::new();
    // One slash at the end says nothing: many applications take a path for the same with it.
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Some(segments);
    }
    let count = rest.split('/').count();
    if count > SEGMENTS_MAX {
        bad(
            "has more than 64 segments",
            "end it earlier with `{*rest}`, which takes all that follows",
        );
        return None;
    }
    for (position, text) in rest.split('/').enumerate() {
        let last = position + 1 == count;
        let segment = match segment(text, last) {
            Ok(segment) => segment,
            Err((message, help)) => {
                bad(message, help);
                return None;
            }
        };
        let name = segment.capture();
        if name.is_some() && segments.iter().any(|other| other.capture() == name) {
            bad(
                "gives two captures one name",
                "give each capture a name of its own",
            );
            return None;
        }
        segments.push(segment);
    }
    Some(segments)
}

/// One segment, or what is wrong with it and what to do.
fn segment(text: &str, last: bool) -> Result<Segment, (&'static str, &'static str)> {
    if text.is_empty() {
        return Err(("has an empty segment", "write one slash between segments"));
    }
    if matches!(text, "." | "..") {
        return Err((
            "has a dot segment",
            "write the path that is meant: requests with dot segments are refused",
        ));
    }
    if let Some(strange) = text
        .chars()
        .find(|one| one.is_whitespace() || one.is_control() || "?#%\\;".contains(*one))
    {
        return Err(match strange {
            '?' | '#' => (
                "has a query or fragment",
                "only the path is looked at: leave out `?` and `#`",
            ),
            '%' => ("is percent-encoded", "write the character itself"),
            ';' => (
                "has a semicolon",
                "requests with one in their path are refused: leave out `;`",
            ),
            _ => (
                "holds a character that no path holds",
                "leave out white space, controls and backslashes",
            ),
        });
    }
    let literal = text.replace("{{", "").replace("}}", "");
    if !literal.contains(['{', '}']) {
        return Ok(Segment::Literal(text.replace("{{", "{").replace("}}", "}")));
    }
    let whole = "a capture is a whole segment: `{name}`, or `{*name}` for all that follows; braces of a literal are doubled";
    let name = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let Some(name) = name else {
        return Err(("has braces that are no capture", whole));
    };
    let (rest, name) = match name.strip_prefix('*') {
        Some(name) => (true, name),
        None => (false, name),
    };
    let letters = |one: char| one.is_ascii_alphanumeric() || one == '_';
    if name.is_empty() || !name.chars().all(letters) {
        return Err((
            "has a capture whose name is not of letters, digits and `_`",
            whole,
        ));
    }
    match (rest, last) {
        (true, false) => Err((
            "goes on behind `{*…}`",
            "`{*name}` takes all that follows, and stands last",
        )),
        (true, true) => Ok(Segment::Rest(name.to_owned())),
        (false, _) => Ok(Segment::Capture(name.to_owned())),
    }
}

impl Segment {
    /// The name of what it captures.
    pub(crate) fn capture(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Capture(name) | Self::Rest(name) => Some(name),
        }
    }
}

/// An id in which `{name}` stands for a capture of the path.
fn template(sink: &Sink<'_>, word: Word<'_>, path: Option<&[Segment]>) -> Option<String> {
    let bad = |code, message: String, help: &str| {
        Finding::error(code, word.span(), message)
            .help(help)
            .report(sink);
        None
    };
    let mut rest = word.text;
    let mut constant = String::new();
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        constant.push_str(before);
        if let Some(behind) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            constant.push('x');
            rest = behind;
            continue;
        }
        let Some((name, behind)) = from.strip_prefix('{').and_then(|from| from.split_once('}'))
        else {
            return bad(
                Code::BadId,
                format!("`{}` has a brace that is not closed", word.text),
                "write `{name}` for a capture of the path; double a brace that is meant as such",
            );
        };
        let captured =
            path.is_none_or(|path| path.iter().any(|segment| segment.capture() == Some(name)));
        if !captured {
            return bad(
                Code::UnknownCapture,
                format!("the path has no capture `{name}`"),
                "the id is filled from the path alone",
            );
        }
        constant.push('x');
        rest = behind;
    }
    constant.push_str(rest);
    word.part(word.text);
    if let Some(fault) = super::names::id_fault(&constant) {
        return bad(
            Code::BadId,
            format!("`{}` cannot be the id of a resource: {fault}", word.text),
            "write an id, or `{name}` for a capture of the path",
        );
    }
    Some(word.text.to_owned())
}

/// A host in lower case, without port.
fn host(sink: &Sink<'_>, word: Word<'_>) -> Option<String> {
    let lower = word.text.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if lower.split('.').all(label) && lower.len() <= 253 {
        return Some(lower);
    }
    let help = if word.text.contains("://") || word.text.contains('/') {
        "write the host alone, without scheme and path"
    } else if word.text.contains(':') {
        "write the host without its port"
    } else if word.text.contains('*') {
        "leave `host` out for all hosts"
    } else if !word.text.is_ascii() {
        "write the host as requests bear it: `xn--…`"
    } else {
        "write a name such as `reports.demo.example`, without a dot at the end"
    };
    Finding::error(
        Code::BadHost,
        word.span(),
        format!("`{}` is no host", word.text),
    )
    .help(help)
    .report(sink);
    None
}

/// Reports routes that are equal in host, path and method; captures are equal whatever their names.
fn duplicates(sink: &Sink<'_>, routes: &[(Route, Span)]) {
    type Shape<'a> = (Option<&'a str>, Vec<(u8, &'a str)>, Option<&'a str>);
    let shape = |segment: &'_ Segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Capture(_) => 1,
        Segment::Rest(_) => 2,
    };
    let mut all: Vec<(Shape<'_>, Span)> = Vec::new();
    for (route, span) in routes {
        let path = route.path.iter().map(|segment| match segment {
            Segment::Literal(text) => (0, text.as_str()),
            other => (shape(other), ""),
        });
        let path: Vec<(u8, &str)> = path.collect();
        let host = route.host.as_deref();
        if route.methods.is_empty() {
            all.push(((host, path.clone(), None), *span));
        }
        all.extend(
            route
                .methods
                .iter()
                .map(|method| ((host, path.clone(), Some(method.as_str())), *span)),
        );
    }
    all.sort();
    for pair in all.windows(2) {
        if let [(one, first), (other, second)] = pair
            && one == other
        {
            let methods = one
                .2
                .map_or("all methods".to_owned(), |method| format!("`{method}`"));
            Finding::error(
                Code::DuplicateRoute,
                *second,
                format!("second route for this host and path and {methods}"),
            )
            .also(*first, "the first is here")
            .report(sink);
        }
    }
}
