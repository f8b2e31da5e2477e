//! What is told of the decision log: where it goes, what stands in it, and what happens when it
//! cannot keep up.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

/// Bytes that wait for the writer, of each thread that decides: about 5,000 decisions.
pub(super) const DEFAULT_QUEUE: usize = 1 << 20;
/// From one time that lines are handed over to the next.
pub(super) const DEFAULT_FLUSH: Duration = Duration::from_millis(100);
/// Bytes of a file before the next is begun.
pub(super) const DEFAULT_ROTATE_SIZE: usize = 100 << 20;
/// Files that are kept besides the one that is written.
pub(super) const DEFAULT_ROTATE_KEEP: usize = 5;
/// Compressed bytes that wait for the collector.
pub(super) const DEFAULT_BUFFER: usize = 16 << 20;
/// How long lines are kept for a collector that does not take them.
pub(super) const DEFAULT_RETRY: Duration = Duration::from_secs(300);

/// A queue holds the longest record at least, or nothing could ever be logged.
const SIZE_MIN: usize = 64 << 10;
/// More than anyone has memory for.
const SIZE_MAX: usize = 1 << 40;
/// Most files kept.
const KEEP_MAX: usize = 1_000;

/// The decision log, as it is told.
#[derive(Clone, Debug)]
pub struct DecisionLog {
    /// Where lines go.
    pub sink: LogSink,
    /// Authorities that the collector's certificate may be of; none: the system's.
    pub authorities: Option<PathBuf>,
    /// Which properties stand in a line.
    pub include: Vec<LogPath>,
    /// What of a line is replaced.
    pub mask: Vec<LogPath>,
    /// The share of allows that are logged, 0 to 1; denies all are.
    pub allows: f64,
    /// What a decision does that finds no room.
    pub when_full: WhenFull,
    /// Bytes that wait for the writer, of each thread that decides.
    pub queue_bytes: usize,
    /// From one time that lines are handed over to the next.
    pub flush: Duration,
    /// Bytes of a file before the next is begun.
    pub rotate_bytes: u64,
    /// Files that are kept besides the one that is written.
    pub rotate_keep: usize,
    /// Compressed bytes that wait for the collector.
    pub buffer_bytes: usize,
    /// How long lines are kept for a collector that does not take them, where a full log drops.
    pub retry: Duration,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSink {
    /// The standard output.
    Stdout,
    /// A file, which is rotated.
    File(PathBuf),
    /// A collector that takes batches by POST.
    Collector(Uri),
}

/// What a decision does that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is given, and its line is lost.
    Drop,
    /// It is not given.
    Deny,
}

/// A place in a line, and what lies below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPath {
    /// Where.
    pub place: LogPlace,
    /// The names below, from the top; none: all of it.
    pub names: Vec<String>,
}

/// A place in a line that can be included or masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPlace {
    /// `caller`
    Caller,
    /// `subject.id`
    SubjectId,
    /// `resource.id`
    ResourceId,
    /// `subject.properties`
    Subject,
    /// `action.properties`
    Action,
    /// `resource.properties`
    Resource,
    /// `context`
    Context,
}

// === impl LogSink ===

impl LogSink {
    /// Whether it is a collector that proves who it is.
    pub(super) fn is_https(&self) -> bool {
        matches!(self, Self::Collector(url) if url.scheme_str() == Some("https"))
    }
}

// === reading texts ===

/// What [`LogPath`]s begin with.
const PLACES: [(&str, LogPlace); 7] = [
    ("caller", LogPlace::Caller),
    ("subject.id", LogPlace::SubjectId),
    ("resource.id", LogPlace::ResourceId),
    ("subject.properties", LogPlace::Subject),
    ("action.properties", LogPlace::Action),
    ("resource.properties", LogPlace::Resource),
    ("context", LogPlace::Context),
];

/// `off`, `stdout`, `file:PATH`, `http://…` or `https://…`.
pub(super) fn sink(text: &str) -> Result<Option<LogSink>, String> {
    let sink = match text {
        "off" => return Ok(None),
        "stdout" => LogSink::Stdout,
        _ => match text.strip_prefix("file:") {
            Some(path) if !path.is_empty() && !path.ends_with('/') => {
                LogSink::File(PathBuf::from(path))
            }
            _ => LogSink::Collector(collector(text)?),
        },
    };
    Ok(Some(sink))
}

fn collector(text: &str) -> Result<Uri, String> {
    let url = text.parse::<Uri>().ok();
    url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some())
        .ok_or_else(|| {
            format!("`{text}` is none of `off`, `stdout`, `file:PATH`, `http://…`, `https://…`")
        })
}

/// A property that may be included: `context`, `resource.properties`, or one name below.
pub(super) fn include(text: &str) -> Result<LogPath, String> {
    let path = path(text)?;
    match path.place {
        LogPlace::Caller | LogPlace::SubjectId | LogPlace::ResourceId => {
            Err(format!("`{text}` stands in every line: leave it out here"))
        }
        _ if path.names.len() > 1 => Err(format!(
            "`{text}`: a property is included whole; mask what is below it"
        )),
        _ => Ok(path),
    }
}

/// What may be masked: any place, and any depth below properties.
pub(super) fn mask(text: &str) -> Result<LogPath, String> {
    path(text)
}

fn path(text: &str) -> Result<LogPath, String> {
    for (beginning, place) in PLACES {
        let Some(rest) = text.strip_prefix(beginning) else {
            continue;
        };
        let names: Vec<String> = match rest.strip_prefix('.') {
            Some(rest) => rest.split('.').map(str::to_owned).collect(),
            None if rest.is_empty() => Vec::new(),
            None => continue,
        };
        let is_leaf = matches!(
            place,
            LogPlace::Caller | LogPlace::SubjectId | LogPlace::ResourceId
        );
        if names.iter().any(String::is_empty) || (is_leaf && !names.is_empty()) {
            break;
        }
        return Ok(LogPath { place, names });
    }
    let known = PLACES.map(|(beginning, _)| beginning).join(", ");
    Err(format!(
        "`{text}` is no place in a line: they begin with {known}"
    ))
}

pub(super) fn when_full(text: &str) -> Result<WhenFull, String> {
    match text {
        "drop" => Ok(WhenFull::Drop),
        "deny" => Ok(WhenFull::Deny),
        _ => Err(format!("`{text}` is neither `drop` nor `deny`")),
    }
}

/// A number of bytes, such as `64KiB` or `100MiB`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let bytes = number.trim_end().parse::<usize>().ok();
    bytes
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| (SIZE_MIN..=SIZE_MAX).contains(bytes))
        .ok_or_else(|| {
            format!(
                "`{text}` is no size from 64KiB to 1024GiB, with KiB, MiB or GiB, such as 100MiB"
            )
        })
}

pub(super) fn keep(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= KEEP_MAX);
    number.ok_or_else(|| format!("`{text}` is no number from 0 to {KEEP_MAX}"))
}
