//! Publishing, and services that read what was published.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::{Tree, users};
use crate::process::Process;
use crate::travel::{callgate, done, fails, listens, serve};

/// Publishes, and returns the generation of `acme`.
pub(crate) fn publish(tree: &Path, destination: &str, flags: &[&str]) -> u64 {
    let json = "--format=json";
    let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> =
        vec![&"publish", &tree, &destination, &json];
    arguments.extend(flags.iter().map(|flag| flag as &dyn AsRef<std::ffi::OsStr>));
    let told: Value = serde_json::from_str(&done(&callgate(&arguments))).unwrap();
    told["companies"][0]["generation"].as_u64().unwrap()
}

#[test]
fn a_web_server_that_dates_by_the_second_sees_each_publication() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let mut seen = Vec::new();
    for count in 1..5 {
        tree.write(
            "companies/acme/objects.csv",
            &format!("type,id\nqueue,q{count}\n"),
        );
        publish(tree.path(), place.path().to_str().unwrap(), &[]);
        let index = fs::metadata(place.path().join("index.json")).unwrap();
        let date = index
            .modified()
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        seen.push((date.as_secs(), index.len()));
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "{seen:?}");
}

fn generation(process: &Process) -> u64 {
    process.snapshot("acme")["generation"].as_u64().unwrap_or(0)
}

#[test]
fn each_publication_is_one_above_the_last_and_the_same_one_is_none() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let to = place.path().to_str().unwrap();
    assert_eq!(publish(tree.path(), to, &[]), 1);
    assert_eq!(publish(tree.path(), to, &[]), 1);
    tree.write("companies/acme/users.csv", &users("listener"));
    assert_eq!(publish(tree.path(), to, &[]), 2);
    // What is published can be read back, by every command that reads a source.
    let asked = callgate(&[
        &"decide",
        &to,
        &"--subject",
        &"olga",
        &"--action",
        &"listen",
        &"--resource",
        &"call:c1",
    ]);
    assert_eq!(done(&asked), "allow: granted\n");
    let same = callgate(&[&"diff", &tree.path(), &to, &"--fail-on", &"any"]);
    done(&same);
    for count in 3..30 {
        let role = if count % 2 == 0 {
            "listener"
        } else {
            "operator"
        };
        tree.write("companies/acme/users.csv", &users(role));
        tree.write(
            "companies/acme/objects.csv",
            &format!("type,id\nqueue,q{count}\n"),
        );
        assert_eq!(publish(tree.path(), to, &[]), count);
    }
    let files = |folder: &str| {
        fs::read_dir(place.path().join("acme").join(folder))
            .unwrap()
            .count()
    };
    assert_eq!(
        (files("bodies"), files("deltas")),
        (2, 8),
        "what is old is removed"
    );
}

#[test]
fn publishers_at_once_give_each_generation_once() {
    let place = tempfile::tempdir().unwrap();
    let to = place.path().to_str().unwrap();
    let trees: Vec<Tree> = (0..4)
        .map(|number| {
            let tree = Tree::new();
            tree.write(
                "companies/acme/objects.csv",
                &format!("type,id\nqueue,q{number}\n"),
            );
            tree
        })
        .collect();
    let mut given: Vec<u64> = std::thread::scope(|scope| {
        let publish = |tree: &Tree| {
            let path = tree.path().to_owned();
            scope.spawn(move || publish(&path, to, &[]))
        };
        let publishing: Vec<_> = trees.iter().map(publish).collect();
        publishing
            .into_iter()
            .map(|given| given.join().unwrap())
            .collect()
    });
    given.sort_unstable();
    assert_eq!(given, [1, 2, 3, 4]);
    let index = fs::read_to_string(place.path().join("index.json")).unwrap();
    assert!(index.contains(r#""generation":4"#), "{index}");
}

#[test]
fn nothing_that_fails_its_tests_is_published_and_no_web_server_is_published_to() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let failing = "tests:\n  - { name: listens, user: olga, action: listen, resource: { type: call, id: c1 }, expect: allow }\n";
    tree.write("companies/acme/tests.yaml", failing);
    fails(
        &callgate(&[&"publish", &tree.path(), &place.path()]),
        1,
        "listens",
    );
    assert!(!place.path().join("index.json").exists());
    let to = "http://127.0.0.1:9";
    fails(
        &callgate(&[&"publish", &tree.path(), &to]),
        4,
        "the folder that it serves",
    );
}

/// Signing what came over a way that anybody may have changed would say of it that it is right.
#[test]
fn nothing_that_came_over_an_open_way_is_signed() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    done(&callgate(&[&"keygen", &"-o", &path("key")]));
    for open in ["http://192.0.2.1/fleet", "nats://192.0.2.1:4222/fleet"] {
        let to = path("to");
        let refused = callgate(&[&"publish", &open, &to, &"--key", &path("key")]);
        fails(&refused, 2, "what is signed here must come unchanged");
        assert!(!to.exists(), "nothing is asked for, and nothing written");
    }
    // Of this machine, it is asked for; there is nothing.
    let closed = "http://127.0.0.1:9/fleet";
    let asked = callgate(&[&"publish", &closed, &path("to"), &"--key", &path("key")]);
    fails(&asked, 4, "127.0.0.1:9");
}

#[test]
fn a_service_follows_what_is_published_and_two_end_in_the_same_revision() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let to = place.path().to_str().unwrap();
    publish(tree.path(), to, &[]);
    let mut services = [serve(place.path(), &[]), serve(place.path(), &[])];
    for service in &mut services {
        service.line();
        assert_eq!(generation(service), 1);
    }
    for count in 2..6 {
        let role = if count % 2 == 0 {
            "listener"
        } else {
            "operator"
        };
        tree.write("companies/acme/users.csv", &users(role));
        publish(tree.path(), to, &[]);
        for service in &services {
            service.until("the next generation", |service| {
                generation(service) == count
            });
            assert_eq!(listens(service), count % 2 == 0);
        }
        let [one, other] = services.each_ref().map(|service| service.snapshot("acme"));
        assert_eq!(one["revision"], other["revision"]);
    }
}

#[test]
fn a_body_that_was_lost_is_put_again() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let to = place.path().to_str().unwrap();
    publish(tree.path(), to, &[]);
    fs::remove_dir_all(place.path().join("acme/bodies")).unwrap();
    let service = serve(place.path(), &[]);
    service.until("it lacks the body", |service| {
        service.snapshot("acme")["failure"]["code"] == "unreadable"
    });
    assert_eq!(publish(tree.path(), to, &[]), 1, "it is what it was");
    service.until("it has it", |service| generation(service) == 1);
}

#[test]
fn a_service_that_was_there_first_finds_what_is_published_and_is_told_of_the_next() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let to = place.path().join("published");
    let first = serve(&to, &[]);
    first.until("it looks in vain", |service| {
        service.admin("GET", "/readyz", "").status == 503
    });
    publish(tree.path(), to.to_str().unwrap(), &[]);
    first.until("the first generation", |service| generation(service) == 1);
    // It hardly looks by itself.
    let mut second = serve(&to, &["--poll-interval", "1h"]);
    second.line();
    tree.write("companies/acme/users.csv", &users("listener"));
    publish(tree.path(), to.to_str().unwrap(), &[]);
    for service in [&first, &second] {
        service.until("the second", |service| generation(service) == 2);
    }
}

#[test]
fn a_start_without_the_source_serves_what_ran_last_and_remembers_its_generation() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let cache = tempfile::tempdir().unwrap();
    let to = place.path().join("published");
    let away = place.path().join("away");
    tree.write("companies/acme/users.csv", &users("listener"));
    publish(tree.path(), to.to_str().unwrap(), &[]);
    tree.write("companies/acme/objects.csv", "type,id\nqueue,q1\n");
    publish(tree.path(), to.to_str().unwrap(), &[]);
    let flags = ["--cache", cache.path().to_str().unwrap()];
    let mut first = serve(&to, &flags);
    first.line();
    let revision = first.snapshot("acme")["revision"].clone();
    drop(first);
    // Dead at once: an address at which nobody listens.
    let began = Instant::now();
    let mut second = serve(Path::new("http://127.0.0.1:9/"), &flags);
    assert!(second.line().starts_with("ready: acme"));
    let took = began.elapsed();
    println!("ready after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(listens(&second));
    second.until("the failure", |second| {
        second.snapshot("acme")["failure"]["code"] == "unreadable"
    });
    let told = second.snapshot("acme");
    assert_eq!(
        (&told["revision"], &told["generation"]),
        (&revision, &Value::from(2))
    );
    let age = told["age_seconds"].as_f64().unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(second.snapshot("acme")["age_seconds"].as_f64().unwrap() > age + 1.0);
    drop(second);
    // A place that begins anew is older than what ran.
    fs::rename(&to, &away).unwrap();
    publish(tree.path(), to.to_str().unwrap(), &[]);
    let mut third = serve(&to, &flags);
    third.line();
    third.until("the rollback", |third| {
        third.snapshot("acme")["failure"]["code"] == "rollback"
    });
    assert!(listens(&third));
    drop(third);
    let mut told = serve(&to, &[&flags[..], &["--accept-rollback"]].concat());
    told.line();
    told.until("generation 1", |told| generation(told) == 1);
}

#[test]
fn what_is_cut_short_or_changed_on_the_way_is_refused_and_what_ran_goes_on() {
    let (tree, place) = (Tree::new(), tempfile::tempdir().unwrap());
    let to = place.path().to_str().unwrap();
    publish(tree.path(), to, &[]);
    let mut service = serve(place.path(), &[]);
    service.line();
    tree.write("companies/acme/users.csv", &users("listener"));
    // It arrives: deltas and bodies first, the head and the index last.
    let staged = tempfile::tempdir().unwrap();
    let mut copy = std::process::Command::new("cp");
    copy.arg("-r")
        .arg(place.path().join("."))
        .arg(staged.path());
    assert!(copy.status().unwrap().success());
    publish(tree.path(), staged.path().to_str().unwrap(), &[]);
    for part in ["bodies", "deltas"] {
        let to = place.path().join("acme").join(part);
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(staged.path().join("acme").join(part))
            .unwrap()
            .map(Result::unwrap)
        {
            let mut bytes = fs::read(entry.path()).unwrap();
            let half = bytes.len() / 2;
            bytes[half] ^= 1;
            let path = to.join(entry.file_name());
            if !path.exists() {
                fs::write(path, bytes).unwrap();
            }
        }
    }
    for file in ["acme/head.json", "index.json"] {
        fs::copy(staged.path().join(file), place.path().join(file)).unwrap();
    }
    service.until("the refusal", |service| {
        service.snapshot("acme")["failure"]["code"] == "bad_snapshot"
    });
    assert!(!listens(&service));
    for part in ["bodies", "deltas"] {
        for entry in fs::read_dir(staged.path().join("acme").join(part))
            .unwrap()
            .map(Result::unwrap)
        {
            fs::copy(
                entry.path(),
                place.path().join("acme").join(part).join(entry.file_name()),
            )
            .unwrap();
        }
    }
    assert_eq!(service.admin("POST", "/v1/reload", "").status, 200);
    assert!(listens(&service));
}

#[test]
fn a_delta_makes_the_same_bytes_whatever_changed_and_lies_in_one_are_refused() {
    use callgate::snapshot::{Delta, Snapshot};
    use std::io::Read as _;
    let folder = tempfile::tempdir().unwrap();
    let compiled = |number: usize, users: &str| {
        let (tree, out) = (Tree::new(), folder.path().join(number.to_string()));
        tree.write("companies/acme/users.csv", users);
        done(&callgate(&[&"compile", &tree.path(), &"-o", &out]));
        Snapshot::from_bytes(&fs::read(out.join("acme.callgate")).unwrap()).unwrap()
    };
    let many = |skip: usize, role: &str| {
        let rows = (0..600).filter(|number| *number != skip);
        let rows = rows.map(|number| match number {
            300 => format!("user{number:03},{role}\n"),
            _ => format!("user{number:03},operator\n"),
        });
        format!("user,roles\n{}", rows.collect::<String>())
    };
    let texts = [
        many(999, "operator"),
        many(999, "listener"),
        many(7, "operator;listener"),
        users("operator"),
        many(0, "listener").replace("user0", "somebody-else-0"),
    ];
    let snapshots: Vec<Snapshot> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| compiled(number, text))
        .collect();
    for old in &snapshots {
        for new in &snapshots {
            let bytes = old.delta_to(new).to_bytes();
            let delta = Delta::from_bytes(&bytes, 1 << 20).unwrap();
            let mut made = Vec::new();
            delta.apply(old).unwrap().read_to_end(&mut made).unwrap();
            assert!(made == new.to_bytes());
        }
    }
    let (old, new) = (&snapshots[0], &snapshots[1]);
    let bytes = old.delta_to(new).to_bytes();
    println!("{} bytes of {}", bytes.len(), new.to_bytes().len());
    assert!(bytes.len() < new.to_bytes().len() / 10);
    assert!(
        Delta::from_bytes(&bytes, 1 << 20)
            .unwrap()
            .apply(new)
            .is_err()
    );
    let whole = new.to_bytes();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut lie = bytes.clone();
            lie[at] ^= 1 << bit;
            let Ok(delta) = Delta::from_bytes(&lie, 1 << 20) else {
                continue;
            };
            let Ok(mut made) = delta.apply(old) else {
                continue;
            };
            // Refused, or by chance the same.
            if let Ok(snapshot) = Snapshot::read(&mut made, delta.length()) {
                assert!(snapshot.to_bytes() == whole, "bit {bit} of {at}");
            }
        }
    }
}
