//! A plain request that comes in one piece is answered before hyper sees it; in two pieces it goes
//! hyper's way. Whichever way it goes, the answer is the same, and belongs to its request.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use callgate::config::AccessFiles;
use fastrand::Rng;

use crate::proxy::{start_with, trusted};
use crate::service::{CHECK, Service, Start, check, post, request};

const JSON: &str = "Content-Type: application/json";
const PATH: &str = "/acme/access/v1/evaluation";

/// Long enough for the service to have read what was sent.
const MOMENT: Duration = Duration::from_millis(10);

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection on which every byte of an answer counts.
struct Wire {
    stream: TcpStream,
    /// What was read and belongs to no answer so far.
    read: Vec<u8>,
}

impl Wire {
    /// A connection on which one request was answered: the first always comes in pieces.
    fn warm(service: &Service) -> Self {
        let mut wire = Self::cold(service);
        wire.send(check("acme", CHECK));
        assert!(wire.answer().unwrap().starts_with("HTTP/1.1 200"));
        wire
    }

    fn cold(service: &Service) -> Self {
        let stream = TcpStream::connect(&service.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let read = Vec::new();
        Self { stream, read }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// The next answer, but for what is another in each; none: the connection is closed.
    fn answer(&mut self) -> Option<String> {
        let end = b"\r\n\r\n";
        let head = self.read_until(|read| {
            let found = read.windows(end.len()).position(|bytes| bytes == end)?;
            Some(found + end.len())
        })?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = |line: &str| line.strip_prefix("content-length: ")?.parse().ok();
        let length = head.lines().find_map(length).unwrap_or(0);
        let body = self.read_until(|read| (read.len() >= length).then_some(length))?;
        let masked = head.lines().map(|line| match line.split_once(": ") {
            Some(("date", date)) if date.ends_with(" GMT") => "date: now".to_owned(),
            Some(("x-request-id", id)) if id.len() == 28 && id.as_bytes()[8] == b'-' => {
                "x-request-id: made".to_owned()
            }
            _ => line.to_owned(),
        });
        let head = masked.collect::<Vec<_>>().join("\r\n");
        Some(head + &String::from_utf8_lossy(&body))
    }

    /// Reads on until `whole` tells how much belongs together.
    fn read_until(&mut self, whole: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
        loop {
            if let Some(bytes) = whole(&self.read) {
                let rest = self.read.split_off(bytes);
                return Some(std::mem::replace(&mut self.read, rest));
            }
            let mut space = [0; 64 << 10];
            match self.stream.read(&mut space) {
                Ok(0) => return None,
                Ok(read) => self.read.extend_from_slice(&space[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What is answered, and then to one more check.
    fn and_after(&mut self) -> (Option<String>, Option<String>) {
        let answer = self.answer();
        self.send(check("acme", CHECK));
        (answer, self.answer())
    }
}

/// What comes of a request in one piece, and in two: the answers, and whether the connection goes
/// on.
fn alike(service: &Service, asked: &[u8]) {
    let mut whole = Wire::warm(service);
    whole.send(asked);
    let whole = whole.and_after();
    for cut in [1, asked.len() / 3, asked.len() - 1] {
        let mut pieces = Wire::warm(service);
        pieces.send(&asked[..cut]);
        std::thread::sleep(MOMENT);
        pieces.send(&asked[cut..]);
        let asked = String::from_utf8_lossy(asked);
        assert_eq!(whole, pieces.and_after(), "cut at {cut}: {asked}");
    }
    assert!(whole.0.is_some(), "{}", String::from_utf8_lossy(asked));
}

/// A check with these headers besides.
fn with(headers: &[&str]) -> Vec<u8> {
    let headers = [&[JSON], headers].concat();
    request("POST", PATH, &headers, CHECK).into_bytes()
}

/// Requests that end where they say, of all kinds.
fn requests() -> Vec<Vec<u8>> {
    let explained = CHECK.replace(
        "\"resource\"",
        r#""context":{"callgate":{"explain":true}},"resource""#,
    );
    let bodies = [
        CHECK.to_owned(),
        CHECK.replace("olga", "nobody"),
        CHECK.replace("olga", "ol\\u0067a"),
        CHECK.replace("olga", "ól"),
        CHECK.replace("olga", ""),
        CHECK.replace("\"olga\"", "7"),
        CHECK.replace("\"action\"", "\"other\""),
        CHECK.replace("\"action\"", "\"subject\""),
        CHECK
            .replace("explain", "min_generation")
            .replace("true", "1"),
        format!(" \n{CHECK}\t "),
        format!("{CHECK}x"),
        format!("{CHECK}{CHECK}"),
        explained.clone(),
        explained.replace("\"explain\":true", "\"min_generation\":0"),
        explained.replace("\"explain\":true", "\"test_role\":\"listener\""),
        explained.replace("\"explain\":true", "\"section\":true"),
        explained.replace("\"explain\":true", "\"nothing\":true"),
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{".to_owned(),
        String::new(),
        "[".repeat(100),
        format!("{{\"x\":\"{}\"}}", check("acme", "")),
    ];
    let mut requests: Vec<Vec<u8>> = bodies
        .iter()
        .map(|body| check("acme", body).into())
        .collect();
    requests.push(
        with(&[])
            .iter()
            .map(|byte| if *byte == b'o' { 0xff } else { *byte })
            .collect(),
    );
    for path in [
        "/access/v1/evaluation",
        "/nobody/access/v1/evaluation",
        "/acme/access/v1/evaluation/",
        "/acme/access/v1/evaluation?x=1",
        "/acme/access/v1/evaluatio%6e",
        "//access/v1/evaluation",
        "/acme/access/v1/evaluations",
        "/acme/access/v1/search/action",
        "/acme/v1/explain",
        "/acme/nothing",
        "/proxy/auth",
        "http://pdp/acme/access/v1/evaluation",
        "*",
    ] {
        requests.push(request("POST", path, &[JSON], CHECK).into());
    }
    for body in ["{}", "[]", r#"{"evaluations":[]}"#] {
        requests.push(post("acme", "/access/v1/evaluations", body).into());
    }
    for options in ["explain\":true", "min_generation\":1", "nothing\":1"] {
        let items = r#"{"resource":{"type":"call","id":"c1"}},{"resource":{"type":"call"}}"#;
        let context = format!(r#","context":{{"callgate":{{"{options}}}}}"#);
        let body = CHECK.replacen(
            "{\"sub",
            &format!(r#"{{"evaluations":[{items}]{context},"sub"#),
            1,
        );
        requests.push(post("acme", "/access/v1/evaluations", &body).into());
    }
    for method in ["GET", "PUT", "OPTIONS", "post", "POSTS"] {
        requests.push(request(method, PATH, &[JSON], CHECK).into());
    }
    for headers in [
        &["X-Request-Id: mine"][..],
        &["x-request-id:"],
        &["x-request-id:  a b\t"],
        &["X-REQUEST-ID: one", "X-Request-Id: two"],
        &["X-Request-Id: \u{e9}t\u{e9}"],
        &["Authorization: Bearer nobody"],
        &["Connection: keep-alive"],
        &["Connection: Keep-Alive"],
        &["Connection: close"],
        &["Connection: keep-alive, close"],
        &["Connection: x-request-id"],
        &["Connection:"],
        &["Upgrade: h2c"],
        &["Upgrade: websocket", "Connection: upgrade"],
        &["TE: trailers"],
        &["Trailer: x"],
        &["Expect: nothing"],
        &["Content-Type: application/json"],
        &["Content-Encoding: gzip"],
        &["traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
        &["X: y"; 31],
        &["X: y"; 60],
    ] {
        requests.push(with(headers));
    }
    for kind in [
        "text/plain",
        "Application/JSON; charset=utf-8",
        "application/jsonp",
        "",
    ] {
        let kind = format!("Content-Type: {kind}");
        requests.push(request("POST", PATH, &[&kind], CHECK).into());
    }
    requests.push(request("POST", PATH, &[], CHECK).into());
    let plain = check("acme", CHECK);
    let length = format!("Content-Length: {}", CHECK.len());
    for (from, to) in [
        (length.as_str(), format!("{length} ")),
        (&length, format!("Content-Length: 0{}", CHECK.len())),
        (&length, format!("Content-Length: +{}", CHECK.len())),
        (&length, format!("Content-Length: 0x{}", CHECK.len())),
        (&length, format!("{length}, {}", CHECK.len())),
        (&length, format!("{length}\r\n{length}")),
        (&length, format!("{length}\r\nContent-Length: 5")),
        (&length, format!("Content-Length: 5\r\n{length}")),
        (
            &length,
            "Content-Length: 99999999999999999999999".to_owned(),
        ),
        (&length, "Content-Length : 5".to_owned()),
        (&length, format!(" {length}")),
        (&length, format!("{length}\r\n folded: 1")),
        ("HTTP/1.1", "HTTP/1.0".to_owned()),
        ("HTTP/1.1", "HTTP/1.2".to_owned()),
        ("POST /", "POST  /".to_owned()),
        ("POST /", "\r\n\r\nPOST /".to_owned()),
        ("Host: pdp\r\n", String::new()),
        ("Host: pdp\r\n", "Host: pdp\n".to_owned()),
        ("Host: pdp", "Host: pdp\0".to_owned()),
    ] {
        assert!(plain.contains(from));
        requests.push(plain.replace(from, &to).into());
    }
    requests.push(chunked(CHECK, ""));
    requests
}

/// A check that comes in chunks, of which the last is another request.
fn chunked(body: &str, more: &str) -> Vec<u8> {
    let mut request = format!("POST {PATH} HTTP/1.1\r\nHost: pdp\r\n{JSON}\r\n");
    request += "Transfer-Encoding: chunked\r\n\r\n";
    for chunk in [body, more].into_iter().filter(|chunk| !chunk.is_empty()) {
        request += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    (request + "0\r\n\r\n").into()
}

#[test]
fn an_answer_does_not_depend_on_how_its_request_is_cut() {
    let service = Start::new().serve();
    for asked in requests() {
        alike(&service, &asked);
    }
}

#[test]
fn nor_does_it_where_callers_prove_who_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (tokens, callers) = (folder.path().join("tokens"), folder.path().join("callers"));
    fs::write(
        &tokens,
        "crm crm-0123456789abcdef\nbi bi-0123456789abcdef\n",
    )
    .unwrap();
    let bound = "companies = [\"acme\"]\ninterfaces =";
    let bounds =
        format!("[callers.crm]\n{bound} [\"decide\"]\n[callers.bi]\n{bound} [\"search\"]\n");
    fs::write(&callers, bounds).unwrap();
    let access = AccessFiles {
        tokens: Some(tokens),
        callers: Some(callers),
        ..AccessFiles::default()
    };
    let start = Start {
        access,
        ..Start::new()
    };
    let service = start.serve();
    service.publish("other", true);
    let explained = CHECK.replace(
        "\"resource\"",
        r#""context":{"callgate":{"explain":true}},"resource""#,
    );
    let token = "Authorization: Bearer crm-0123456789abcdef";
    let answers = |path: &str, body: &str, headers: &[&str]| {
        let headers = [&[JSON], headers].concat();
        let asked = request("POST", path, &headers, body);
        let wire = |cut: usize| {
            let mut wire = Wire::cold(&service);
            wire.send(request("POST", PATH, &[JSON, token], CHECK));
            assert!(wire.answer().unwrap().starts_with("HTTP/1.1 200"));
            wire.send(&asked[..cut]);
            std::thread::sleep(MOMENT);
            wire.send(&asked[cut..]);
            wire.answer().unwrap()
        };
        let whole = wire(0);
        assert_eq!(whole, wire(20), "{asked}");
        whole[..12].to_owned()
    };
    for (path, body, headers, status) in [
        (PATH, CHECK, &[token][..], 200),
        (PATH, CHECK, &[], 401),
        (
            PATH,
            CHECK,
            &["Authorization: Bearer crm-0123456789abcdeF"],
            401,
        ),
        (
            PATH,
            CHECK,
            &["Authorization: Bearer bi-0123456789abcdef"],
            403,
        ),
        (PATH, CHECK, &[token, token], 401),
        (PATH, &explained, &[token], 403),
        (PATH, "{", &[token], 400),
        ("/access/v1/evaluation", CHECK, &[token], 403),
        ("/other/access/v1/evaluation", CHECK, &[token], 403),
    ] {
        let answer = answers(path, body, headers);
        assert_eq!(answer, format!("HTTP/1.1 {status}"), "{path} {headers:?}");
    }
}

#[test]
fn nor_where_proxies_ask() {
    let service = start_with(trusted());
    let target = ["X-Original-Method: GET", "X-Original-URI: /calls/c1"];
    let user = "X-Auth-User: olga";
    for headers in [
        &[target[0], target[1], user][..],
        &[target[0], "X-Original-URI: /public/x"],
        &[target[0], "X-Original-URI: /calls/../c1", user],
        &[target[0], target[1], user, user],
        &[
            target[0],
            target[1],
            "X-Auth-User: piotr",
            "Cookie: a=b",
            "Cookie: c=d",
        ],
        &[target[0], target[1], "X-Auth-User: \u{142}ucja"],
        &[target[0], target[1]],
        &[user],
        &[target[0], target[1], user, "Connection: close"],
        &[target[0], target[1], user, "Upgrade: websocket"],
        &[target[0], target[1], user, "X-Request-Id: mine"],
        &[target[0], target[1], user, "Content-Type: application/json"],
    ] {
        for (method, path, body) in [
            ("GET", "/acme/proxy/auth", ""),
            ("POST", "/proxy/auth", CHECK),
            ("BREW", "/acme/proxy/auth", ""),
            ("GET", "/nobody/proxy/auth", ""),
            ("GET", "/acme/proxy/auth?x", ""),
            ("GET", "/acme/proxy/auth/", ""),
        ] {
            alike(&service, request(method, path, headers, body).as_bytes());
        }
    }
    let allowed = request("GET", "/acme/proxy/auth", &[target[0], target[1], user], "");
    let mut wire = Wire::warm(&service);
    wire.send(allowed);
    assert!(wire.answer().unwrap().starts_with("HTTP/1.1 200"));
}

/// Whatever is put together of requests that end where they say, and however that is cut: each gets
/// its own answer, in their order, and nothing in a body is taken for a request.
#[test]
fn each_request_of_a_connection_gets_its_own_answer() {
    let service = Start::new().serve();
    let denied = CHECK.replace("olga", "nobody");
    let smuggled = check("acme", CHECK);
    let quoted = smuggled.replace('"', "'").replace("\r\n", "  ");
    let within = denied.replace("c1", &quoted);
    let kinds: Vec<Vec<u8>> = vec![
        check("acme", CHECK).into(),
        check("acme", &denied).into(),
        check("acme", &within).into(),
        check("acme", "{").into(),
        check("acme", &smuggled).into(),
        post("acme", "/access/v1/evaluations", &denied).into(),
        post("acme", "/access/v1/search/action", &denied).into(),
        request("GET", "/acme/nothing", &[], &smuggled).into(),
        request("PUT", PATH, &[JSON], CHECK).into(),
        chunked(CHECK, ""),
        chunked(&denied, &" ".repeat(40)),
        chunked(&denied, &smuggled),
        request("GET", "/proxy/auth", &[], "").into(),
    ];
    let expected: Vec<String> = kinds
        .iter()
        .map(|kind| {
            let mut wire = Wire::cold(&service);
            wire.send(kind);
            wire.answer().unwrap()
        })
        .collect();
    let mut rng = Rng::with_seed(7);
    for round in 0..150 {
        let chosen: Vec<usize> = (0..6).map(|_| rng.usize(..kinds.len())).collect();
        let bytes: Vec<u8> = chosen
            .iter()
            .flat_map(|kind| kinds[*kind].clone())
            .collect();
        // At the ends of requests, where heads end, and anywhere.
        let mut cuts: Vec<usize> = (chosen.iter())
            .scan(0, |end, kind| {
                *end += kinds[*kind].len();
                Some(*end)
            })
            .collect();
        cuts.extend(bytes.windows(4).enumerate().filter_map(|(at, four)| {
            (four == b"\r\n\r\n" || four == b"POST").then_some(if four == b"POST" {
                at
            } else {
                at + 4
            })
        }));
        cuts.retain(|_| rng.u8(..4) > 0);
        cuts.extend((0..rng.usize(..3)).map(|_| rng.usize(1..bytes.len())));
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut wire = Wire::warm(&service);
        let (mut from, mut answers) = (0, Vec::new());
        for cut in cuts {
            wire.send(&bytes[from..cut]);
            from = cut;
            std::thread::sleep(MOMENT / 5);
        }
        answers.extend((0..chosen.len()).map(|_| wire.answer().unwrap_or_default()));
        let wanted: Vec<&String> = chosen.iter().map(|kind| &expected[*kind]).collect();
        assert_eq!(
            answers.iter().collect::<Vec<_>>(),
            wanted,
            "round {round}: {chosen:?}"
        );
        wire.send(check("acme", CHECK));
        assert_eq!(
            wire.answer().as_ref(),
            Some(&expected[0]),
            "round {round}: {chosen:?}"
        );
    }
}

/// What comes as a piece of its own is no request where it is a part of one.
#[test]
fn what_belongs_to_one_request_is_not_taken_for_another() {
    let service = Start::new().serve();
    let plain = check("acme", CHECK);
    let carrier = check("acme", &plain);
    let (head, _) = carrier.split_once("\r\n\r\n").unwrap();
    let head = format!("{head}\r\n\r\n");
    let chunked = String::from_utf8(chunked(&plain, "")).unwrap();
    let (before, after) = chunked.split_once(&plain).unwrap();
    let (chunked_head, size) = before.split_once("\r\n\r\n").unwrap();
    let chunked_head = format!("{chunked_head}\r\n\r\n");
    let expecting = carrier.replace("Host:", "Expect: nothing\r\nHost:");
    let (expecting, _) = expecting.split_once("\r\n\r\n").unwrap();
    let expecting = format!("{expecting}\r\n\r\n");
    let both = format!("{plain}{head}");
    for (pieces, statuses) in [
        (&[&*head, &plain][..], &[400][..]),
        (&[&head[..10], &head[10..], &plain], &[400]),
        (&[&chunked_head, size, &plain, after], &[400]),
        (&[before, &plain, after], &[400]),
        (&[&both, &plain], &[200, 400]),
        (&[&plain, &both, &plain], &[200, 200, 400]),
        (
            &[
                &head[..5],
                &head[5..9],
                &head[9..20],
                &head[20..30],
                &head[30..],
                &plain,
            ],
            &[400],
        ),
        (&[&expecting, &plain], &[400]),
        (
            &[
                &plain[..plain.len() - 1],
                &both.replacen("POST", "}POST", 1),
                &plain,
            ],
            &[200, 200, 400],
        ),
    ] {
        let mut wire = Wire::warm(&service);
        for piece in pieces {
            wire.send(piece);
            std::thread::sleep(MOMENT);
        }
        wire.send(&plain);
        for status in statuses.iter().chain(&[200]) {
            let answer = wire.answer().unwrap_or_default();
            assert_eq!(&answer[..12], format!("HTTP/1.1 {status}"), "{pieces:#?}");
        }
    }
}

/// An answer that hyper has begun is not interrupted.
#[test]
fn a_direct_answer_waits_for_those_before_it() {
    const REQUESTS: usize = 2_000;
    let service = Start::new().serve();
    let mut wire = Wire::warm(&service);
    let mut sender = wire.stream.try_clone().unwrap();
    // So many that their answers fill what the kernel keeps for a client that does not read.
    let sending = std::thread::spawn(move || {
        let long = "-".repeat(6_000);
        for number in 0..REQUESTS {
            let id = format!("X-Request-Id: {number:06}{long}");
            let missed = request("GET", "/acme/nothing", &[&id], "");
            sender.write_all(missed.as_bytes()).unwrap();
            std::thread::sleep(MOMENT / 20);
            sender.write_all(check("acme", CHECK).as_bytes()).unwrap();
            std::thread::sleep(MOMENT / 20);
        }
    });
    std::thread::sleep(MOMENT * 100);
    for number in 0..REQUESTS {
        let (missed, checked) = (wire.answer().unwrap(), wire.answer().unwrap());
        let line = format!("x-request-id: {number:06}-");
        assert!(missed.contains(&line), "{number}: {missed}");
        assert!(
            checked.ends_with("{\"decision\":true}"),
            "{number}: {checked}"
        );
    }
    sending.join().unwrap();
}

/// Who does not read its answers gets them all the same, once it does, and in their order.
#[test]
fn answers_that_nobody_reads_wait() {
    const REQUESTS: usize = 1_000;
    let service = Start::new().serve();
    let mut wire = Wire::warm(&service);
    let id = |number: usize| format!("X-Request-Id: {number:06}{}", "-".repeat(6_000));
    for number in 0..REQUESTS {
        wire.send(with(&[&id(number)]));
        std::thread::sleep(Duration::from_micros(500));
    }
    for number in 0..REQUESTS {
        let line = format!("x-request-id: {number:06}-");
        let answer = wire
            .answer()
            .unwrap_or_else(|| panic!("no answer {number}"));
        assert!(answer.contains(&line), "{number}: {answer}");
    }
    assert_eq!(service.metric("callgate_requests_in_flight"), 0);
}

/// The shortest request of all is as long as what clients of HTTP/2 begin with. It is the first thing
/// said on its connection all the same, and what comes behind it is no second beginning: what is kept
/// of a connection's pace would be of the wrong protocol.
#[test]
fn a_connection_begins_once() {
    let service = Start::new().serve();
    let mut wire = Wire::cold(&service);
    let shortest = b"G /proxy/auth HTTP/1.1\n\n";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert_eq!(shortest.len(), preface.len());
    wire.send(shortest);
    assert!(wire.answer().unwrap().starts_with("HTTP/1.1 403"));
    wire.send([&preface[..], b"\0\0\0\x04\0\0\0\0\0"].concat());
    assert_eq!(wire.answer(), None, "it goes on in HTTP/2");
    assert_eq!(wire.read, b"");
}

#[test]
fn it_is_counted_as_any_other() {
    let service = Start::new().serve();
    let mut wire = Wire::warm(&service);
    for body in [CHECK, CHECK, "{"] {
        wire.send(check("acme", body));
        wire.answer().unwrap();
    }
    let counted = |code: &str| {
        service.metric(&format!(
            "callgate_requests_total{{api=\"evaluation\",code=\"{code}\"}}"
        ))
    };
    assert_eq!((counted("200"), counted("400")), (3, 1));
}
