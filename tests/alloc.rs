//! A decision allocates nothing. A binary of its own, since the counting allocator is global.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and benches fail by panicking"
)]

#[path = "generate/mod.rs"]
mod generate;

use callgate::model::HttpRequest;
use callgate::{decide, policy, snapshot::Snapshot};
use fastrand::Rng;
use generate::{Company, Question, Shape, question};

fn snapshot(company: &Company) -> Snapshot {
    let reading = policy::read_company(&company.files(), "demo");
    let reading = reading.unwrap_or_else(|errors| panic!("{errors}"));
    Snapshot::compile(&reading.policy).unwrap_or_else(|error| panic!("{error}"))
}

fn allocations(snapshot: &Snapshot, questions: &[Question]) -> u64 {
    let queries: Vec<_> = questions.iter().map(Question::query).collect();
    let mut allowed = 0_usize;
    let counted = allocation_counter::measure(|| {
        for query in &queries {
            allowed += usize::from(decide::check(snapshot, query).allows());
        }
    });
    assert!(
        allowed > 0 && allowed < queries.len(),
        "{allowed} of {} allowed",
        queries.len()
    );
    counted.count_total
}

#[test]
fn a_usual_decision_allocates_nothing() {
    let snapshot = snapshot(&Company::generate(&Shape::S, 7));
    let rng = &mut Rng::with_seed(7);
    let questions: Vec<Question> = (0..5_000)
        .map(|_| Question::new(&question::usual(&Shape::S, rng)))
        .collect();
    assert_eq!(allocations(&snapshot, &questions), 0);
}

#[test]
fn finding_a_usual_route_allocates_nothing() {
    let texts = [
        (
            "packs/desk/catalogue.yaml",
            "catalogue: desk\nresources: { call: { actions: { view: {} } } }\n",
        ),
        ("companies/demo/company.yaml", "company: demo\npack: desk\n"),
        ("companies/demo/users.csv", "user\nolga\n"),
        (
            "companies/demo/routes.yaml",
            r#"routes:
  - { path: "/public/{*rest}", allow: public }
  - { host: a.example, path: "/calls/{id}", check: { type: call, action: view, id: "{id}" } }
  - { path: "/calls/{id}/{*rest}", check: { type: call, action: view, id: "{rest}" } }
"#,
        ),
    ];
    let owned = texts.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let reading = policy::read_company(&policy::Files::new(owned), "demo");
    let snapshot = Snapshot::compile(&reading.unwrap().policy).unwrap();
    for (path, finds) in [
        ("/public/a/b", true),
        ("/calls/7", true),
        ("/calls/7/a/b", true),
        ("/x", false),
    ] {
        let request = HttpRequest {
            method: "GET",
            host: Some("a.example"),
            path,
        };
        let mut found = false;
        let counted = allocation_counter::measure(|| {
            found = decide::route(&snapshot, &request)
                .place(&snapshot)
                .is_some();
        });
        assert_eq!((counted.count_total, found), (0, finds), "{path}");
    }
}

#[test]
fn no_decision_of_any_kind_allocates() {
    for seed in 0..40 {
        let rng = &mut Rng::with_seed(seed);
        let shape = Shape::wild(rng);
        let snapshot = snapshot(&Company::generate(&shape, seed));
        let questions: Vec<Question> = (0..200)
            .map(|_| Question::new(&question::wild(&shape, rng)))
            .collect();
        let queries: Vec<_> = questions.iter().map(Question::query).collect();
        let counted = allocation_counter::measure(|| {
            for query in &queries {
                std::hint::black_box(decide::check(&snapshot, query));
            }
        });
        assert_eq!(counted.count_total, 0, "seed {seed}");
    }
}

#[test]
fn reading_a_file_takes_no_memory_beyond_what_is_there() {
    let bytes = snapshot(&Company::generate(&Shape::S, 7)).to_bytes();
    let peak = |bytes: &[u8]| {
        let counted = allocation_counter::measure(|| drop(Snapshot::from_bytes(bytes)));
        usize::try_from(counted.bytes_max).unwrap()
    };
    // The texts are held twice for a moment.
    assert!(
        peak(&bytes) < 2 * bytes.len(),
        "{} of {}",
        peak(&bytes),
        bytes.len()
    );
    let count = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    for section in 0..count {
        for lie in [1 << 31, 1 << 40, u64::MAX >> 1] {
            let mut lying = bytes.clone();
            let at = 80 + 56 * section + 16;
            lying[at..at + 8].copy_from_slice(&u64::to_le_bytes(lie));
            let whole = blake3::hash(&lying[80..80 + 56 * count]);
            lying[48..80].copy_from_slice(whole.as_bytes());
            assert!(
                peak(&lying) < bytes.len(),
                "section {section}: {}",
                peak(&lying)
            );
        }
    }
    let mut many = bytes;
    many[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(peak(&many) < many.len());
}
