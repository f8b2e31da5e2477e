//! Targets of requests: the table of attacks, and that what is read can be read in one way only.

use callgate::server::proxy::target;
use callgate::telemetry::ProxyRefused;
use fastrand::Rng;
use serde_json::Value;

const ROUNDS: u64 = 200_000;

/// `tests/proxies/targets.yaml`
pub(crate) fn table() -> Value {
    let text = include_str!("../proxies/targets.yaml");
    serde_saphyr::from_str(text).unwrap()
}

fn lines<'t>(table: &'t Value, part: &str) -> impl Iterator<Item = &'t Value> {
    table[part].as_array().unwrap().iter()
}

#[test]
fn the_table_of_attacks_is_refused_and_the_rest_is_read() {
    let table = table();
    for line in lines(&table, "read") {
        let read = target::path(line["target"].as_str().unwrap().as_bytes());
        assert_eq!(read.unwrap(), line["path"].as_str().unwrap(), "{line}");
    }
    for line in lines(&table, "refused") {
        let read = target::path(line["target"].as_str().unwrap().as_bytes());
        let reason = read.expect_err(&line.to_string()).name();
        assert_eq!(reason, line["reason"].as_str().unwrap(), "{line}");
    }
    for line in lines(&table, "hosts") {
        let read = target::host(line["host"].as_str().unwrap().as_bytes());
        let read = read.map_err(ProxyRefused::name);
        let expected = line["is"]
            .as_str()
            .ok_or_else(|| line["reason"].as_str().unwrap());
        assert_eq!(read.as_deref().map_err(|why| *why), expected, "{line}");
    }
}

#[test]
fn a_url_is_a_host_and_a_path() {
    let read = |url: &str| {
        let read = target::url(url.as_bytes());
        let read = read.map(|(host, path)| (host.into_owned(), path.into_owned()));
        read.map_err(ProxyRefused::name)
    };
    let is = |host: &str, path: &str| Ok((host.to_owned(), path.to_owned()));
    assert_eq!(
        read("https://Demo.example:443/a?b"),
        is("demo.example", "/a")
    );
    assert_eq!(read("http://demo.example/"), is("demo.example", "/"));
    for (url, reason) in [
        // What a client puts into `Host` must not become a path.
        ("https://demo.example?x=/admin", "bad_host"),
        ("https://demo.example#/admin", "bad_host"),
        ("https://evil@demo.example/a", "userinfo"),
        ("https:///admin", "bad_host"),
        ("https://demo.example", "not_a_path"),
        ("https://demo.example//a", "empty_segment"),
        ("ftp://demo.example/a", "not_a_path"),
        ("/a", "not_a_path"),
        ("", "not_a_path"),
    ] {
        assert_eq!(read(url), Err(reason), "{url}");
    }
}

#[test]
fn a_method_is_a_token_without_small_letters_and_of_a_path() {
    for method in ["GET", "DELETE", "M-SEARCH", "X1"] {
        assert_eq!(target::method(method.as_bytes()), Ok(method));
    }
    for method in ["", "get", "Get", "G T", "GET\n", "GÉT", "GET/", "CONNECT"] {
        assert!(target::method(method.as_bytes()).is_err(), "{method}");
    }
}

// === what applications do with a path ===

fn decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| byte == b'%');
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let value = text.and_then(|text| u8::from_str_radix(text, 16).ok());
        // `from_str_radix` reads `+1`, and some applications do.
        decoded.push(value.unwrap_or(byte));
        rest = if value.is_some() {
            &behind[2..]
        } else {
            behind
        };
    }
    decoded
}

fn backslashes(path: &[u8]) -> Vec<u8> {
    path.iter()
        .map(|&byte| if byte == b'\\' { b'/' } else { byte })
        .collect()
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|a, b| *a == b'/' && *b == b'/');
    merged
}

fn resolve_dots(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment.trim_ascii() {
            b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    segments.join(&b'/')
}

/// What stands behind these letters is cut: parameters, fragments, queries, what C does not see.
fn cut(path: &[u8], at: &[u8]) -> Vec<u8> {
    let end = path.iter().position(|byte| at.contains(byte));
    path[..end.unwrap_or(path.len())].to_vec()
}

fn trimmed(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let segments: Vec<_> = segments.map(<[u8]>::trim_ascii).collect();
    segments.join(&b'/')
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let segments: Vec<_> = segments.map(|segment| cut(segment, b";")).collect();
    segments.join(&b'/')
}

/// As an application might, in any order, twice.
fn folded(path: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut path = path.to_vec();
    for _ in 0..8 {
        path = match rng.u32(0..8) {
            0 => decode(&path),
            1 => backslashes(&path),
            2 => merge_slashes(&path),
            3 => resolve_dots(&path),
            4 => cut(&path, b"?#"),
            5 => cut(&path, b"\0\r\n"),
            6 => trimmed(&path),
            _ => without_parameters(&path),
        };
    }
    path
}

#[test]
fn what_is_read_is_the_same_for_every_application() {
    const PIECES: [&str; 34] = [
        "/", "/", "/", "a", "admin", "public", ".", "..", "...", "%2e", "%2E", "%2f", "%5c", "\\",
        "%25", "%252f", ";", "%3b", "#", "%23", "?", "%3f", "%00", "%", "%6", "%61", "%41", "%20",
        "%c5%82", "%c0%af", "+", "@", "%0a", ":",
    ];
    let mut read = 0;
    for seed in 0..ROUNDS {
        let rng = &mut Rng::with_seed(seed);
        let pieces = rng.usize(0..7);
        let mut raw = "/".to_owned();
        raw.extend((0..pieces).map(|_| PIECES[rng.usize(0..PIECES.len())]));
        let Ok(path) = target::path(raw.as_bytes()) else {
            continue;
        };
        read += 1;
        // What an application is sent is the raw path, which it decodes; or the decoded one.
        for start in [path.as_bytes().to_vec(), decode(&cut(raw.as_bytes(), b"?"))] {
            let folded = folded(&start, rng);
            assert_eq!(
                String::from_utf8_lossy(&folded),
                path,
                "seed {seed}: {raw} is also read otherwise"
            );
        }
    }
    assert!(read > ROUNDS / 50, "only {read} were read at all");
}
