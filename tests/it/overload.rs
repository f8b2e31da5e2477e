use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use crate::fixture::{Tree, users};
use crate::process::Process;
use crate::service::{CHECK, Client, check, post};

/// An answer: when, how long it took, its status.
type Answered = (Instant, Duration, u16);

/// An explained batch: work for the pool, of some milliseconds.
fn heavy() -> String {
    let item = CHECK.replacen('{', r#"{"context":{"callgate":{"explain":true}},"#, 1);
    let items = [item.as_str(); 10].join(",");
    post(
        "acme",
        "/access/v1/evaluations",
        &format!(r#"{{"evaluations":[{items}]}}"#),
    )
}

/// Clients that ask again as soon as they are answered, or a little later: if they were turned away,
/// or always.
fn flood(
    address: &str,
    clients: usize,
    request: &str,
    stop: &Arc<AtomicBool>,
    pause_always: bool,
) -> Vec<JoinHandle<Vec<Answered>>> {
    let client = |_| {
        let (address, request, stop) = (address.to_owned(), request.to_owned(), Arc::clone(stop));
        spawn(move || {
            let mut client = Client::connect(&address);
            let mut answered = Vec::new();
            while !stop.load(Relaxed) {
                let began = Instant::now();
                let answer = client.ask(&request);
                if answer.status == 503 {
                    assert_eq!(answer.header("retry-after"), "1", "{answer:?}");
                }
                answered.push((Instant::now(), began.elapsed(), answer.status));
                if answer.status == 503 {
                    std::thread::sleep(Duration::from_millis(100));
                } else if pause_always {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            answered
        })
    };
    (0..clients).map(client).collect()
}

fn gather(clients: Vec<JoinHandle<Vec<Answered>>>) -> Vec<Answered> {
    clients
        .into_iter()
        .flat_map(|client| client.join().unwrap())
        .collect()
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

/// What came of a flood of what the pool answers, beside a client that asks checks.
#[derive(Debug)]
struct Flooded {
    /// Answers a second, and the time of one, of a single client before.
    rate: usize,
    once: Duration,
    /// Answers in each second of the flood.
    rates: Vec<usize>,
    served: Duration,
    refused: usize,
    refused_in: Duration,
    checks: usize,
    checked_in: Duration,
    /// Bytes, between the first second and the third.
    grown: f64,
    /// The time of the first request after.
    recovered: Duration,
}

fn flooded() -> Flooded {
    let tree = Tree::new();
    tree.write("companies/acme/users.csv", &users("listener"));
    let flags = ["--workers", "1", "--pool-threads", "1", "--pool-queue", "4"];
    let mut process = Process::start_with(&tree, &flags);
    process.line();
    let heavy = heavy();
    let mut client = Client::connect(&process.address);
    let (began, mut alone) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(1) {
        let asked = Instant::now();
        assert_eq!(client.ask(&heavy).status, 200);
        alone.push(asked.elapsed());
    }

    let stop = Arc::new(AtomicBool::new(false));
    let flooding = Instant::now();
    let clients = flood(&process.address, 16, &heavy, &stop, false);
    let checks = flood(&process.address, 1, &check("acme", CHECK), &stop, true);
    std::thread::sleep(Duration::from_secs(1));
    let memory = process.metric("process_resident_memory_bytes");
    std::thread::sleep(Duration::from_secs(2));
    let grown = process.metric("process_resident_memory_bytes") - memory;
    stop.store(true, Relaxed);
    let (answers, checks) = (gather(clients), gather(checks));
    let after = Instant::now();
    assert_eq!(client.ask(&heavy).status, 200, "it is over");
    let recovered = after.elapsed();

    assert!(checks.iter().all(|(_, _, status)| *status == 200));
    assert!(
        answers
            .iter()
            .all(|(_, _, status)| matches!(status, 200 | 503))
    );
    let of = |status: u16| answers.iter().filter(move |(_, _, is)| *is == status);
    let served = |from: u64| {
        let window = Duration::from_secs(from)..Duration::from_secs(from + 1);
        of(200)
            .filter(|(at, ..)| window.contains(&at.duration_since(flooding)))
            .count()
    };
    let took = |status: u16| median(of(status).map(|(_, took, _)| *took));
    Flooded {
        rate: alone.len(),
        once: median(alone.into_iter()),
        rates: (0..3).map(served).collect(),
        served: took(200),
        refused: of(503).count(),
        refused_in: took(503),
        checks: checks.len(),
        checked_in: median(checks.iter().map(|(_, took, _)| *took)),
        grown,
        recovered,
    }
}

/// Beyond what the pool can do: what is accepted is served at the rate of before, the rest is told
/// at once, checks go on, memory stays, and when it is over it is over. The machine has other things
/// to do, and the pool gives way to them: so the best of three tries counts.
#[test]
fn what_is_too_much_is_shed_and_what_is_accepted_is_served() {
    let well = |is: &Flooded| {
        is.rates.iter().all(|rate| *rate * 3 >= is.rate)
            && is.refused > 20
            && is.refused_in * 2 < is.served
            // One that is being answered, four that wait, and itself.
            && is.served < is.once * 20
            && is.checks > 50
            && is.checked_in * 2 < is.once
            && is.grown < f64::from(4 << 20)
            && is.recovered < is.once * 4
    };
    let mut tries = Vec::new();
    while tries.len() < 3 {
        let flooded = flooded();
        println!("{flooded:?}");
        if well(&flooded) {
            return;
        }
        tries.push(flooded);
    }
    panic!("{tries:#?}");
}

#[test]
fn who_has_waited_too_long_for_the_pool_is_told_so() {
    let tree = Tree::new();
    let flags = [
        "--workers",
        "1",
        "--pool-threads",
        "1",
        "--pool-time",
        "1ms",
    ];
    let mut process = Process::start_with(&tree, &flags);
    process.line();
    // On a busy machine nobody may be answered within so short a time, or everybody, for a while.
    let (mut served, mut refused) = (0, 0);
    for _ in 0..20 {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = flood(&process.address, 8, &heavy(), &stop, false);
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Relaxed);
        let answers = gather(clients);
        let count = |status: u16| answers.iter().filter(|(_, _, is)| *is == status).count();
        (served, refused) = (served + count(200), refused + count(503));
        if served > 0 && refused > 0 {
            break;
        }
    }
    assert!(served > 0 && refused > 0, "{served} {refused}");
    assert!(process.metric(r#"callgate_limit_reached_total{limit="pool_time"}"#) > 0.0);
}
