//! The law: what is read here, `serde_json` reads, and the same.

use fastrand::Rng;

use super::*;
use crate::model::Properties;

/// What `serde_json` makes of a body.
fn any(body: &str) -> Option<Member<Properties<'_>>> {
    let mut read = Member::Absent;
    let mut reader = serde_json::Deserializer::from_str(body);
    let came = Read::<Properties<'_>>::outermost(&mut read).deserialize(&mut reader);
    came.and_then(|()| reader.end()).ok().map(|()| read)
}

fn plain(body: &str) -> Option<Member<Properties<'_>>> {
    let mut place = Member::Absent;
    read::<Properties<'_>>(body, &mut place).then_some(place)
}

/// How the reader did with some bodies.
#[derive(Default)]
struct Tally {
    plain: usize,
    other: usize,
    wrong: usize,
}

impl Tally {
    fn holds(&mut self, body: &str) {
        match (plain(body), any(body)) {
            (None, None) => self.wrong += 1,
            (None, Some(_)) => self.other += 1,
            (read, expected) => {
                assert_eq!(read, expected, "{body:?}");
                self.plain += 1;
            }
        }
    }
}

/// Texts as they stand in a body: plain, escaped, and such as may not stand there.
const TEXTS: [&str; 24] = [
    "",
    "a",
    "b",
    "id",
    "owner",
    "queue-7",
    "12345678",
    "1234567",
    "123456789",
    "sixteen bytes ..",
    "żółw 🐢",
    "ends in é",
    "\u{7f}",
    "a\\\"b",
    "\\\\",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\x",
    "\n",
    "eight by\t",
    "\u{1f}1234567",
    "12345678\\n",
    "\"",
];

const WORDS: [&str; 34] = [
    "0",
    "-0",
    "1",
    "-1",
    "01",
    "1.5",
    "1.",
    ".5",
    "-",
    "+1",
    "1e5",
    "1E+5",
    "1e400",
    "-1e-400",
    "10",
    "00",
    "999999999999999",
    "9999999999999999",
    "12e1",
    "1-",
    "9007199254740993",
    "18446744073709551616",
    "0.1000000000000000055511151231257827",
    "1-2",
    "true",
    "false",
    "null",
    "True",
    "nul",
    "truer",
    "NaN",
    "Infinity",
    "",
    "'a'",
];

/// What stands between: mostly nothing or a space.
const SPACES: [&str; 8] = ["", "", "", " ", "\n", "\t\r", "\u{b}", "\u{a0}"];

fn space(rng: &mut Rng) -> &'static str {
    let usual = rng.u8(..) < 250;
    SPACES[rng.usize(..if usual { 6 } else { 8 })]
}

fn text(rng: &mut Rng, plain: f64) -> &'static str {
    let plain = rng.f64() < plain;
    TEXTS[rng.usize(..if plain { 13 } else { TEXTS.len() })]
}

fn value(rng: &mut Rng, depth: usize) -> String {
    match rng.usize(..if depth == 0 { 4 } else { 6 }) {
        0 => WORDS[rng.usize(..WORDS.len())].to_owned(),
        1..4 => format!("\"{}\"", text(rng, 0.7)),
        4 => {
            let items = (0..rng.usize(..4)).map(|_| value(rng, depth - 1));
            let items = items.collect::<Vec<_>>().join(&format!("{},", space(rng)));
            format!("[{}{items}{}]", space(rng), space(rng))
        }
        _ => object(rng, depth - 1),
    }
}

fn object(rng: &mut Rng, depth: usize) -> String {
    let mut member = |_| {
        let name = text(rng, 0.95);
        let (one, two, value) = (space(rng), space(rng), value(rng, depth));
        format!("\"{name}\"{one}:{two}{value}")
    };
    let members: Vec<_> = (0..4).map(&mut member).collect();
    let members = members[..rng.usize(..5)].join(&format!("{},{}", space(rng), space(rng)));
    format!("{}{{{members}{}}}{}", space(rng), space(rng), space(rng))
}

/// The same with a byte changed, left out or put in, if it is still text.
fn broken(rng: &mut Rng, body: &str) -> Option<String> {
    const BYTES: &[u8] = b"\"\\{}[],: \n0e-t\x00\x1f!";
    let mut bytes = body.as_bytes().to_vec();
    let (at, byte) = (rng.usize(..bytes.len()), BYTES[rng.usize(..BYTES.len())]);
    match rng.usize(..4) {
        0 => bytes[at] = byte,
        1 => drop(bytes.remove(at)),
        2 => bytes.insert(at, byte),
        _ => bytes.truncate(at),
    }
    String::from_utf8(bytes).ok()
}

#[test]
fn what_is_read_here_serde_json_reads_and_the_same() {
    let mut tally = Tally::default();
    for seed in 0..20_000 {
        let mut rng = Rng::with_seed(seed);
        let body = object(&mut rng, 3);
        tally.holds(&body);
        if let Some(broken) = broken(&mut rng, &body) {
            tally.holds(&broken);
        }
    }
    let Tally {
        plain,
        other,
        wrong,
    } = tally;
    assert!(
        plain.min(other).min(wrong) > 1_000,
        "{plain}, {other}, {wrong}"
    );
}

#[test]
fn every_byte_ends_a_text_or_does_not_wherever_it_stands() {
    for byte in 0..0x80_u8 {
        for (before, after) in (0..20).flat_map(|before| (0..10).map(move |after| (before, after)))
        {
            let (before, after) = ("x".repeat(before), "y".repeat(after));
            let body = format!("{{\"a\":\"{before}{}{after}\"}}", char::from(byte));
            let is_plain = byte >= b' ' && byte != b'"' && byte != b'\\';
            assert_eq!(plain(&body).is_some(), is_plain, "{body:?}");
            Tally::default().holds(&body);
        }
    }
}

#[test]
fn a_check_is_plain() {
    let body = r#"{"subject": {"type": "user", "id": "żaneta"}, "n": [1, -2.5e3, true, null, {}]}"#;
    assert!(plain(body).is_some());
}

#[test]
fn what_is_nested_too_deeply_is_not_read_here() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(plain(&nested(63)).is_some());
    assert!(plain(&nested(64)).is_none());
    assert!(plain(&nested(1 << 20)).is_none());
}
