//! What becomes of connections that are slow, silent or in the way.

use super::paces::Ticked;
use super::*;
use crate::config::Limits;

fn paces() -> Paces {
    Paces::new(&Limits {
        header_timeout: TICK * 4,
        idle_timeout: TICK * 20,
        body_timeout: TICK,
        drain_timeout: TICK,
        streams_max: 3,
        ..Limits::default()
    })
}

/// A ping, and a request's head, as frames of HTTP/2.
const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const HEADERS: [u8; 12] = [0, 0, 3, 1, 4, 0, 0, 0, 1, 0x82, 0x84, 0x86];

fn after(paces: &Paces, ticks: u32, pace: &Pace) -> bool {
    for _ in 0..ticks {
        paces.tick();
    }
    pace.verdict.get() == Verdict::Serve
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let paces = paces();
    let pace = paces.add();
    pace.read(b"POST /");
    assert!(after(&paces, 4, &pace));
    pace.read(b"x");
    assert!(!after(&paces, 1, &pace));
}

#[test]
fn an_idle_connection_may_stay_longer() {
    let paces = paces();
    let pace = paces.add();
    pace.read(b"POST");
    pace.request_began();
    assert!(after(&paces, 100, &pace), "a request takes its own time");
    pace.request_ended();
    assert!(after(&paces, 20, &pace));
    assert!(!after(&paces, 1, &pace));
}

#[test]
fn the_next_head_is_timed_from_its_first_byte() {
    let paces = paces();
    let pace = paces.add();
    pace.read(b"POST");
    pace.request_began();
    pace.request_ended();
    assert!(after(&paces, 10, &pace));
    pace.read(b"P");
    assert!(after(&paces, 4, &pace));
    assert!(!after(&paces, 1, &pace));
}

#[test]
fn signs_of_life_over_http2_are_no_heads() {
    let paces = paces();
    let pace = paces.add();
    pace.read(PREFACE);
    pace.read(&HEADERS);
    pace.request_began();
    pace.request_ended();
    for _ in 0..10 {
        pace.read(&PING);
        assert!(after(&paces, 2, &pace));
    }
    assert!(!after(&paces, 1, &pace), "nor are they requests");
}

#[test]
fn a_head_of_http2_that_does_not_come_ends_the_connection() {
    for whole in [0, HEADERS.len()] {
        let paces = paces();
        let pace = paces.add();
        pace.read(PREFACE);
        pace.read(&HEADERS[..whole]);
        assert!(after(&paces, 10, &pace), "nothing is half said");
        for byte in &HEADERS[..4] {
            pace.read(&[*byte]);
            assert!(after(&paces, 1, &pace));
        }
        pace.read(&HEADERS[4..5]);
        assert!(!after(&paces, 1, &pace));
        assert!(
            pace.verdict.get() == Verdict::Drop,
            "there is nothing to wait for"
        );
    }
}

#[test]
fn a_head_that_does_not_come_beside_requests_lets_these_end() {
    let paces = paces();
    let pace = paces.add();
    pace.read(PREFACE);
    pace.read(&HEADERS);
    pace.request_began();
    pace.read(&HEADERS[..5]);
    assert!(!after(&paces, 5, &pace));
    assert!(pace.verdict.get() == Verdict::Finish);
    assert_eq!(paces.tick(), Ticked::default(), "it is counted once");
    assert!(pace.verdict.get() == Verdict::Finish);
    pace.request_ended();
    paces.tick();
    assert!(pace.verdict.get() == Verdict::Drop);
}

#[test]
fn a_preface_may_come_in_pieces_but_not_for_ever() {
    let paces = paces();
    let (slow, whole) = (paces.add(), paces.add());
    for byte in PREFACE {
        whole.read(&[*byte]);
    }
    slow.read(&PREFACE[..4]);
    assert!(after(&paces, 4, &slow) && after(&paces, 0, &whole));
    assert!(!after(&paces, 1, &slow) && after(&paces, 10, &whole));
}

#[test]
fn who_watches_gives_way_after_who_is_silent() {
    let paces = paces();
    let [watches, silent] = [0, 1].map(|_| paces.add());
    watches.read(PREFACE);
    watches.watch_began();
    paces.tick();
    silent.read(b"POST");
    silent.request_began();
    silent.request_ended();
    assert!(after(&paces, 30, &watches), "it is not idle");
    let silent = paces.add();
    after(&paces, 4, &silent);
    let serves = |pace: &Pace| pace.verdict.get() == Verdict::Serve;
    assert_eq!(paces.make_room(1), 1);
    assert!(serves(&watches) && !serves(&silent));
    assert_eq!(paces.make_room(1), 1);
    assert!(!serves(&watches) && watches.gave_way());
    assert_eq!(paces.make_room(1), 0, "none gives way twice");
    watches.watch_ended();
    assert_eq!(watches.open.get(), 0);
}

#[test]
fn requests_too_many_on_a_connection_are_counted() {
    let paces = paces();
    let pace = paces.add();
    pace.read(PREFACE);
    let heads = |streams: std::ops::Range<u8>| {
        let head = |number| {
            let mut head = HEADERS;
            head[8] = 1 + 2 * number;
            head
        };
        streams.flat_map(head).collect::<Vec<_>>()
    };
    pace.read(&heads(0..2));
    assert_eq!(paces.tick().streams, 0);
    pace.request_began();
    pace.read(&heads(2..5));
    assert_eq!(paces.tick().streams, 2);
    pace.request_began();
    pace.request_began();
    pace.request_ended();
    pace.read(&heads(5..7));
    assert_eq!(paces.tick().streams, 1);
}

#[test]
fn who_has_been_silent_the_longest_gives_way() {
    let paces = paces();
    let [old, busy, young] = [0, 1, 2].map(|_| {
        let pace = paces.add();
        paces.tick();
        pace
    });
    busy.read(b"POST");
    busy.request_began();
    assert_eq!(paces.make_room(3), 0, "none has been silent for long");
    paces.tick();
    assert_eq!(paces.make_room(1), 1);
    let serves = |pace: &Pace| pace.verdict.get() == Verdict::Serve;
    assert!(!serves(&old) && serves(&busy) && serves(&young));
    paces.tick();
    paces.tick();
    assert_eq!(paces.make_room(3), 1);
    assert!(serves(&busy) && !serves(&young));
}

#[test]
fn connections_that_are_gone_are_forgotten() {
    let paces = paces();
    let pace = paces.add();
    assert_eq!(paces.count(), 1);
    drop(pace);
    assert_eq!(paces.count(), 0);
}
