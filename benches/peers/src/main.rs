//! Checks in one process, from the bytes of a request to a decision: callgate beside what a service
//! would write by hand, and beside an engine of Rego.
//!
//! `cargo run --release --target-dir target/peers --manifest-path benches/peers/Cargo.toml`
//!
//! At size M, with the requests of `tests/generate`, whose policy has no conditions and no denies
//! here: so all three can say the same of it, and a thousand answers are compared before anything
//! is timed. callgate's time has more in it: it refuses what is no request, counts and answers.
//! Rounds of all three follow each other. The last figures are of two threads beside one.

#[path = "../../../tests/generate/mod.rs"]
mod generate;
#[path = "../../decide/hand_made.rs"]
#[allow(dead_code, reason = "a query is not made here")]
mod hand_made;
mod rego;

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use bytes::Bytes;
use callgate::companies::Companies;
use callgate::policy;
use callgate::server::Embedded;
use callgate::snapshot::Snapshot;
use fastrand::Rng;
use generate::{Company, Shape, question};
use hand_made::HandMade;
use serde::Deserialize;

const SEED: u64 = 1;
const REQUESTS: usize = 65_536;
const ROUNDS: usize = 41;
/// Requests of a round, each read once before it begins: as a service has just done.
const ROUND: usize = 512;
const ALLOW: &[u8] = br#"{"decision":true}"#;

/// A request as a service would read it that knows what it will get.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    subject: Entity<'a>,
    action: Action<'a>,
    resource: Entity<'a>,
    #[serde(rename = "context")]
    _context: Context<'a>,
}

#[derive(Deserialize)]
struct Entity<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(borrow, default)]
    properties: Told<'a>,
}

#[derive(Default, Deserialize)]
struct Told<'a> {
    owner: Option<&'a str>,
}

#[derive(Deserialize)]
struct Action<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct Context<'a> {
    #[serde(rename = "ip")]
    _ip: Option<&'a str>,
}

fn by_hand(table: &HandMade, body: &[u8]) -> bool {
    let Ok(request) = sonic_rs::from_slice::<Request<'_>>(body) else {
        return false;
    };
    let (subject, resource) = (&request.subject, &request.resource);
    let owner = || resource.properties.owner;
    let name = request.action.name;
    (table.allows(subject.id, name, resource.kind, resource.id, owner)).unwrap_or(false)
}

fn by_callgate(service: &Embedded, body: &Bytes) -> bool {
    let (status, answer) = service.evaluate("demo", body.clone());
    status == 200 && answer == ALLOW
}

/// What one of them takes for a request, in nanoseconds, and whether it allows.
type Way<'w> = Box<dyn FnMut(&Bytes) -> bool + 'w>;

fn round(way: &mut Way<'_>, bodies: &[Bytes]) -> f64 {
    black_box(bodies.iter().flatten().map(|byte| usize::from(*byte)).sum::<usize>());
    let began = Instant::now();
    for body in bodies {
        black_box(way(black_box(body)));
    }
    began.elapsed().as_nanos() as f64 / bodies.len() as f64
}

fn median(figures: &mut [f64]) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    let last = figures.len() - 1;
    [figures[last / 10], figures[last / 2], figures[last - last / 10]]
}

/// Answers a second of so many threads, each with a part of the bodies.
fn together(companies: &Arc<Companies>, bodies: &[Bytes], threads: usize) -> f64 {
    const LENGTH: Duration = Duration::from_millis(300);
    let services = Embedded::for_threads(Arc::clone(companies), threads).expect("randomness");
    let ready = Barrier::new(threads);
    let parts = bodies.chunks(bodies.len() / threads);
    let answered: u64 = std::thread::scope(|scope| {
        let work = |(service, part): (Embedded, &'_ [Bytes])| {
            // A copy of its own, so that the threads share no count of who holds the bytes.
            let part: Vec<Bytes> = part.iter().map(|body| Bytes::copy_from_slice(body)).collect();
            let ready = &ready;
            scope.spawn(move || {
                ready.wait();
                let began = Instant::now();
                let mut answered = 0;
                for body in part.iter().cycle() {
                    black_box(by_callgate(&service, body));
                    answered += 1;
                    if answered % 256 == 0 && began.elapsed() > LENGTH {
                        break;
                    }
                }
                answered
            })
        };
        let running: Vec<_> = services.into_iter().zip(parts).map(work).collect();
        running.into_iter().map(|thread| thread.join().expect("a thread")).sum()
    });
    answered as f64 / LENGTH.as_secs_f64()
}

fn main() {
    let shape = Shape { conditional: 0, denies: 0, ..Shape::M };
    let company = Company::generate(&shape, SEED);
    let reading = policy::read_company(&company.csv_files(), "demo");
    let policy = reading.unwrap_or_else(|errors| panic!("{errors}")).policy;
    let snapshot = Snapshot::compile(&policy).unwrap_or_else(|error| panic!("{error}"));
    let companies = Arc::new(Companies::default());
    companies.publish(Arc::new(snapshot));
    let service = Embedded::for_threads(Arc::clone(&companies), 1).expect("randomness");
    let service = &service[0];
    let table = HandMade::new(&policy);
    let mut rego = rego::Rego::new(&policy);
    let rng = &mut Rng::with_seed(SEED);
    let bodies: Vec<Bytes> = (0..REQUESTS)
        .map(|_| question::usual(&shape, rng).to_string().into())
        .collect();

    let mut others = [0; 2];
    for body in &bodies[..1_000] {
        let hand = by_hand(&table, body);
        assert_eq!(rego.allows(body), hand, "{body:?}");
        others[usize::from(by_callgate(service, body) == hand)] += 1;
    }
    println!("Rego and the table agree on 1,000 answers; callgate on {}: it knows walls and operators", others[1]);

    let mut ways: [(&str, usize, Way<'_>); 3] = [
        ("sonic-rs and a table made by hand", 1, Box::new(|body| by_hand(&table, body))),
        ("callgate", 1, Box::new(|body| by_callgate(service, body))),
        ("regorus", 32, Box::new(|body| rego.allows(body))),
    ];
    let mut taken = [const { Vec::new() }; 3];
    for n in 0..ROUNDS {
        for ((_, slower, way), taken) in ways.iter_mut().zip(&mut taken) {
            let start = n * ROUND % (REQUESTS - ROUND);
            taken.push(round(way, &bodies[start..start + ROUND / *slower]));
        }
    }
    let ratios = |a: usize, b: usize| {
        median(&mut taken[a].iter().zip(&taken[b]).map(|(a, b)| a / b).collect::<Vec<_>>())
    };
    let told = [("callgate / table made by hand", ratios(1, 0)), ("regorus / callgate", ratios(2, 1))];
    for ((name, ..), taken) in ways.iter().zip(&mut taken) {
        let [low, middle, high] = median(taken);
        println!("{name}: {middle:.0} ns a request ({low:.0} to {high:.0})");
    }
    for (name, [low, middle, high]) in told {
        println!("{name}: {middle:.2} ({low:.2} to {high:.2})");
    }
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let [one, two] = [1, 2].map(|threads| together(&companies, &bodies, threads));
            two / one
        })
        .collect();
    let [low, middle, high] = median(&mut ratios);
    println!("two threads / one, requests a second: {middle:.2} ({low:.2} to {high:.2})");
}
