//! Web servers as sources: what a change costs them, and servers that are wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::fixture::{Tree, users};
use crate::process::Process;
use crate::publish::publish;
use crate::travel::{listens, serve};

/// What is wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// Everything bears the same tag.
    SameTag,
    /// Nothing bears a tag.
    NoTag,
    /// Everything is compressed, though nobody asked for that.
    Compressed,
    /// Everything is elsewhere.
    Moved(String),
    /// Half of each answer comes, and then the end.
    Half,
    /// A byte comes, and another one some time later.
    Drips,
}

/// A web server over a folder, until the test ends.
struct Web {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    fault: Mutex<Fault>,
    asked: Mutex<Vec<Asked>>,
}

/// A request that was answered.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    status: u16,
    bytes: usize,
}

// === impl Web ===

impl Web {
    fn over(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            fault: Mutex::new(Fault::None),
            asked: Mutex::default(),
        });
        let given = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&given);
                // Whoever asked may have gone.
                std::thread::spawn(move || shared.answer_all(stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    fn source(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(&self, flags: &[&str]) -> Process {
        let flags = [&["--poll-interval", "100ms"], flags].concat();
        let mut service = serve(Path::new(&self.source()), &flags);
        service.line();
        service
    }

    fn is(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = fault;
    }

    /// What was asked for since, but for what was as it had been.
    fn asked(&self) -> Vec<Asked> {
        let mut asked = std::mem::take(&mut *self.shared.asked.lock().unwrap());
        asked.retain(|asked| asked.status != 304);
        asked
    }
}

impl Shared {
    fn answer_all(&self, stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                match lines.read_line(&mut line) {
                    Ok(count) if count > 0 => {}
                    _ => return,
                }
                match line.trim_end() {
                    "" => break,
                    line => head.push(line.to_owned()),
                }
            }
            if self.answer(&head, &mut stream).is_err() {
                return;
            }
        }
    }

    fn answer(&self, head: &[String], stream: &mut TcpStream) -> std::io::Result<()> {
        let path = head[0].split(' ').nth(1).unwrap();
        let fields = head[1..].iter().filter_map(|line| line.split_once(": "));
        let fields: BTreeMap<String, &str> = fields
            .map(|(name, value)| (name.to_lowercase(), value))
            .collect();
        let fault = self.fault.lock().unwrap().clone();
        let found = fs::read(self.folder.join(path.trim_start_matches('/'))).ok();
        let tag = match &fault {
            Fault::SameTag => "\"same\"".to_owned(),
            Fault::NoTag => String::new(),
            _ => format!("\"{}\"", blake3::hash(found.as_deref().unwrap_or_default())),
        };
        let mut more = String::new();
        let (mut status, mut body) = (404, Vec::new());
        if let Fault::Moved(to) = &fault {
            status = 302;
            more.push_str(&format!("Location: {to}{path}\r\n"));
        } else if let Some(found) = found {
            let asks = fields.get("if-none-match");
            (status, body) = match fields.get("range") {
                _ if asks.is_some_and(|is| *is == tag) => (304, Vec::new()),
                None => (200, found),
                Some(range) => {
                    let range = range.strip_prefix("bytes=").unwrap();
                    let (first, last) = range.split_once('-').unwrap();
                    let (first, last): (usize, usize) =
                        (first.parse().unwrap(), last.parse().unwrap());
                    let last = last.min(found.len() - 1);
                    more.push_str(&format!(
                        "Content-Range: bytes {first}-{last}/{}\r\n",
                        found.len()
                    ));
                    (206, found[first..=last].to_vec())
                }
            };
        }
        if !tag.is_empty() {
            more.push_str(&format!("ETag: {tag}\r\n"));
        }
        if fault == Fault::Compressed && !body.is_empty() {
            more.push_str("Content-Encoding: gzip\r\n");
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(&body)?;
            body = gzip.finish()?;
        }
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Word\r\nContent-Length: {length}\r\n\
             Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT\r\n{more}\r\n"
        );
        self.asked.lock().unwrap().push(Asked {
            path: path.to_owned(),
            status,
            bytes: answer.len() + length,
        });
        stream.write_all(answer.as_bytes())?;
        match fault {
            Fault::Half if length > 1 => {
                stream.write_all(&body[..length / 2])?;
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            Fault::Drips if length > 1 => {
                for byte in body {
                    stream.write_all(&[byte])?;
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
            _ => stream.write_all(&body)?,
        }
        stream.flush()
    }
}

/// Where so many companies are published, and which tree they are of.
fn published(companies: usize) -> (Tree, tempfile::TempDir) {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    for number in 1..companies {
        tree.company(&format!("company-{number:03}"));
    }
    write(&tree, "operator");
    publish(tree.path(), place.path().to_str().unwrap(), &[]);
    (tree, place)
}

/// Enough people that a delta is worth more than the snapshot.
fn write(tree: &Tree, role: &str) {
    let more = (0..400).map(|number| format!("user{number:03},operator\n"));
    let text = users(role) + &more.collect::<String>();
    tree.write("companies/acme/users.csv", &text);
}

fn change(tree: &Tree, place: &tempfile::TempDir, listens: bool) {
    write(tree, if listens { "listener" } else { "operator" });
    let one = ["--company", "acme"];
    publish(tree.path(), place.path().to_str().unwrap(), &one);
}

#[test]
fn a_change_costs_what_changed_and_not_what_there_is() {
    let (tree, place) = published(60);
    let web = Web::over(place.path());
    let service = web.serve(&[]);
    let start = web.asked();
    assert_eq!(
        start.len(),
        2 + 2 * 60,
        "the notice, the index, heads, bodies"
    );
    let mut whole = start.iter();
    let whole = whole.find(|asked| asked.path.starts_with("/_index/"));
    let whole = whole.unwrap().bytes;
    assert!(whole > 60 * 100);
    for listening in [true, false, true] {
        change(&tree, &place, listening);
        service.until("the change", |service| listens(service) == listening);
        let asked = web.asked();
        let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
        assert_eq!(paths[..2], ["/index.json", "/acme/head.json"]);
        assert!(
            paths[2].starts_with("/acme/deltas/") && paths.len() == 3,
            "{paths:?}"
        );
        // It tells of the last twelve changes at most, be there few companies or many.
        assert!(asked[0].bytes < whole / 2, "{asked:?}");
    }
    // Whoever was away for long reads the whole index again, once.
    web.is(Fault::Half);
    for number in 0..15 {
        change(&tree, &place, number % 2 == 1);
    }
    web.asked();
    web.is(Fault::None);
    service.until("all changes", |service| {
        !listens(service) || web.asked().len() > 3
    });
    change(&tree, &place, true);
    service.until("the last change", listens);
}

#[test]
fn who_serves_one_company_asks_for_nothing_of_others() {
    let (tree, place) = published(3);
    let web = Web::over(place.path());
    let service = web.serve(&["--company", "acme"]);
    change(&tree, &place, true);
    service.until("the change", listens);
    let asked = web.asked();
    assert!(
        asked.iter().all(|asked| asked.path.starts_with("/acme/")),
        "{asked:?}"
    );
    assert_eq!(asked.len(), 4, "two heads, a body and a delta: {asked:?}");
}

#[test]
fn a_company_that_is_not_there_is_told_from_a_place_where_nothing_is() {
    let (tree, place) = published(2);
    let web = Web::over(place.path());
    let mut service = serve(Path::new(&web.source()), &["--company", "later"]);
    assert!(service.line().starts_with("not ready"));
    tree.company("later");
    publish(tree.path(), place.path().to_str().unwrap(), &[]);
    service.until("the company", |service| {
        service.snapshot("later")["active"] == true
    });
}

#[test]
fn a_tag_that_lies_hides_nothing_from_a_reload_and_none_is_needed() {
    let (tree, place) = published(1);
    let web = Web::over(place.path());
    web.is(Fault::SameTag);
    let service = web.serve(&[]);
    change(&tree, &place, true);
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        !listens(&service),
        "what the server says is believed for a while"
    );
    assert_eq!(service.admin("POST", "/v1/reload", "").status, 200);
    assert!(listens(&service));
    web.is(Fault::NoTag);
    change(&tree, &place, false);
    service.until("the change", |service| !listens(service));
}

#[test]
fn a_server_that_is_wrong_changes_nothing_and_is_followed_again_once_it_is_right() {
    let (tree, place) = published(2);
    let web = Web::over(place.path());
    let other = Web::over(tempfile::tempdir().unwrap().path());
    let service = web.serve(&[]);
    let mut listening = false;
    let faults = [
        Fault::Compressed,
        Fault::Half,
        Fault::Moved(other.source()),
        Fault::Moved("ftp://127.0.0.1:9".to_owned()),
    ];
    for fault in faults {
        web.is(fault.clone());
        change(&tree, &place, !listening);
        service.until(&format!("{fault:?} to be told"), |service| {
            service.snapshot("acme")["failure"]["code"] == "unreadable"
        });
        assert_eq!(listens(&service), listening, "{fault:?}");
        web.is(Fault::None);
        listening = !listening;
        service.until("the change", |service| listens(service) == listening);
        service.until("no failure", |service| {
            service.snapshot("acme")["failure"].is_null()
        });
    }
    // Moved to where it is, it is found.
    web.is(Fault::None);
    let moved = Web::over(place.path());
    moved.is(Fault::Moved(web.source()));
    let service = moved.serve(&[]);
    assert_eq!(listens(&service), listening);
}

#[test]
fn a_server_that_drips_keeps_no_check_waiting() {
    let (tree, place) = published(1);
    let web = Web::over(place.path());
    let service = web.serve(&[]);
    web.is(Fault::Drips);
    change(&tree, &place, true);
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        let asked = std::time::Instant::now();
        assert!(!listens(&service));
        assert!(asked.elapsed() < Duration::from_secs(1));
    }
    let age = service.snapshot("acme")["age_seconds"].as_f64().unwrap();
    assert!(age > 1.0, "{age}");
}

#[test]
fn a_url_that_ends_with_slashes_and_has_spaces_means_the_same_place() {
    let place = tempfile::tempdir().unwrap();
    let within = place.path().join("a place/within");
    let tree = Tree::new();
    publish(tree.path(), &format!("{}//", within.display()), &[]);
    // What the server is asked for are names of the folder, as they are written in a URL.
    std::os::unix::fs::symlink(place.path().join("a place"), place.path().join("a%20place"))
        .unwrap();
    let web = Web::over(place.path());
    for end in [
        "/a%20place/within",
        "/a%20place/within//",
        "/a place/within/",
    ] {
        let source = format!("{}{end}", web.source());
        let mut service = serve(Path::new(&source), &[]);
        assert_eq!(service.line(), "ready: acme", "{end}");
        let asked = web.asked();
        let right = |asked: &Asked| {
            asked.path.starts_with("/a%20place/within/") && !asked.path.contains("//")
        };
        assert!(asked.iter().all(right), "{asked:?}");
    }
}

#[test]
fn an_index_that_lies_is_refused_whole() {
    let (tree, place) = published(2);
    let web = Web::over(place.path());
    let service = web.serve(&[]);
    let index = place.path().join("index.json");
    let right = fs::read_to_string(&index).unwrap();
    let old = r#"{"format":1,"companies":{"acme":{"generation":1,"head":"00"},"acme":{"generation":2,"head":"00"}}}"#;
    let digest = serde_json::from_str::<serde_json::Value>(&right).unwrap()["index"].clone();
    let other = blake3::hash(b"other").to_hex();
    for (lie, says) in [
        (right.replace([']', '}'], ""), "cannot be read"),
        (String::new(), "cannot be read"),
        (old.to_owned(), "listed twice"),
        (right.replace("\"format\":2", "\"format\":9"), "format 9"),
        (right.replace(digest.as_str().unwrap(), &other), "_index/"),
        (
            right
                .replace(digest.as_str().unwrap(), &other)
                .replace("\"bytes\":", "\"bytes\":9999999999"),
            "more than",
        ),
    ] {
        fs::write(&index, &lie).unwrap();
        service.until(says, |service| {
            let failure = service.snapshot("acme")["failure"]["message"].clone();
            failure
                .as_str()
                .is_some_and(|message| message.contains(says))
        });
        let companies = service.admin("GET", "/v1/snapshots", "").body;
        assert_eq!(companies.matches("\"active\":true").count(), 2);
        fs::write(&index, &right).unwrap();
        service.until("no failure", |service| {
            service.snapshot("acme")["failure"].is_null()
        });
    }
    change(&tree, &place, true);
    service.until("the change", listens);
}

#[test]
fn a_place_of_the_version_before_is_read_and_published_to() {
    let (tree, place) = published(2);
    // As it was published before there were notices: the whole index lies in their place.
    let index = place.path().join("index.json");
    let notice: serde_json::Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let whole = place
        .path()
        .join("_index")
        .join(notice["index"].as_str().unwrap());
    fs::rename(whole, &index).unwrap();
    let web = Web::over(place.path());
    let service = web.serve(&[]);
    assert!(!listens(&service));
    change(&tree, &place, true);
    service.until("the change", listens);
    assert_eq!(
        fs::read_dir(place.path().join("_index")).unwrap().count(),
        1
    );
    for number in 0..10 {
        change(&tree, &place, number % 2 == 1);
    }
    assert_eq!(
        fs::read_dir(place.path().join("_index")).unwrap().count(),
        4,
        "what is old is removed"
    );
}
