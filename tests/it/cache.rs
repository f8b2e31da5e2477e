//! What is kept for a start without the source, and folders that are wrong.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{Tree, users};
use crate::process::Process;
use crate::publish::publish;
use crate::travel::{listens, serve};

/// Where something was published, and a cache of it.
struct Place {
    tree: Tree,
    folder: tempfile::TempDir,
}

// === impl Place ===

impl Place {
    fn new() -> Self {
        let place = Self {
            tree: Tree::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        place.publish("operator");
        place
    }

    fn publish(&self, role: &str) -> u64 {
        self.tree.write("companies/acme/users.csv", &users(role));
        publish(self.tree.path(), self.published().to_str().unwrap(), &[])
    }

    fn published(&self) -> std::path::PathBuf {
        self.folder.path().join("published")
    }

    fn cache(&self) -> std::path::PathBuf {
        self.folder.path().join("cache")
    }

    /// A service that has read what was published.
    fn serve(&self, flags: &[&str]) -> Process {
        let mut service = self.start(&self.published(), flags);
        service.line();
        service
    }

    /// A service whose source is gone, once it has what was kept.
    fn serve_alone(&self) -> Process {
        let mut service = self.start(Path::new("http://127.0.0.1:9/"), &[]);
        service.line();
        service
    }

    /// The same, where what was kept is of no use.
    fn refuses_alone(&self, code: &str) {
        let service = self.start(Path::new("http://127.0.0.1:9/"), &[]);
        let refused = format!(r#"callgate_snapshot_loads_total{{result="{code}"}}"#);
        service.until(code, |service| service.metric(&refused) == 1.0);
        assert_eq!(service.snapshot("acme")["active"], false);
    }

    fn start(&self, source: &Path, flags: &[&str]) -> Process {
        let cache = self.cache();
        let cache = ["--cache", cache.to_str().unwrap()];
        serve(source, &[&cache, flags].concat())
    }

    fn state(&self) -> Value {
        let state = fs::read(self.cache().join("state.json")).unwrap();
        serde_json::from_slice(&state).unwrap()
    }
}

fn failure(service: &Process) -> Value {
    service.snapshot("acme")["failure"]["code"].clone()
}

#[test]
fn a_state_that_was_damaged_costs_no_snapshot() {
    let place = Place::new();
    drop(place.serve(&[]));
    for damage in [Some(""), Some("{\"companies\":{\"ac"), Some("[]"), None] {
        let state = place.cache().join("state.json");
        match damage {
            Some(damage) => fs::write(state, damage).unwrap(),
            None => fs::remove_file(state).unwrap(),
        }
        let service = place.serve_alone();
        let told = service.snapshot("acme");
        assert_eq!(
            (&told["active"], &told["generation"]),
            (&true.into(), &1.into())
        );
        assert!(told["age_seconds"].as_f64().unwrap() < 60.0, "{told}");
    }
}

#[test]
fn a_snapshot_that_was_damaged_is_refused_and_fetched_again() {
    let place = Place::new();
    drop(place.serve(&[]));
    let kept = place.cache().join("acme.callgate");
    let mut bytes = fs::read(&kept).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&kept, &bytes).unwrap();
    place.refuses_alone("bad_snapshot");
    let service = place.serve(&[]);
    service.until("what is published", |service| {
        service.snapshot("acme")["active"] == true
    });
    drop(service);
    assert_eq!(
        place.serve_alone().snapshot("acme")["active"],
        true,
        "it was kept anew"
    );
}

#[test]
fn a_cache_that_cannot_be_written_stops_nothing() {
    let place = Place::new();
    fs::write(place.cache(), "a file, where the folder should be").unwrap();
    let service = place.serve(&[]);
    assert!(!listens(&service));
    place.publish("listener");
    service.until("the change", listens);
}

#[test]
fn what_could_not_be_kept_is_not_taken_for_what_ran_and_is_kept_once_it_can_be() {
    let place = Place::new();
    let service = place.serve(&["--poll-interval", "100ms"]);
    // As if the disk were full: nothing can come to lie here.
    let (kept, away) = (
        place.cache().join("acme.callgate"),
        place.folder.path().join("away"),
    );
    fs::rename(&kept, &away).unwrap();
    fs::create_dir(&kept).unwrap();
    place.publish("listener");
    service.until("the change", listens);
    service.until("the state", |_| {
        place.state()["companies"]["acme"]["highest"][0] == 2
    });
    let fresh = place.state()["companies"]["acme"]["fresh_at"].clone();
    fs::remove_dir(&kept).unwrap();
    fs::copy(&away, &kept).unwrap();
    let before = fs::read(&kept).unwrap();
    service.until("it is kept", |_| fs::read(&kept).unwrap() != before);
    service.until("the age", |_| {
        place.state()["companies"]["acme"]["fresh_at"] != fresh
    });
    drop(service);
    assert!(listens(&place.serve_alone()));
    // Had it not been kept, what lies there would be older than what ran.
    fs::copy(&away, &kept).unwrap();
    place.refuses_alone("rollback");
}

#[test]
fn a_company_that_goes_and_comes_back_is_not_older_than_it_was() {
    let place = Place::new();
    let old = tempfile::tempdir().unwrap();
    let copy = |from: &Path, to: &Path| {
        let mut copy = std::process::Command::new("cp");
        copy.arg("-r").arg(from.join(".")).arg(to);
        assert!(copy.status().unwrap().success());
    };
    copy(&place.published(), old.path());
    place.publish("listener");
    place.tree.company("bolt");
    publish(place.tree.path(), place.published().to_str().unwrap(), &[]);
    let service = place.serve(&["--poll-interval", "100ms"]);
    service.until("the change", listens);
    // Another place, in which it is not.
    let elsewhere = Tree::new();
    elsewhere.company("bolt");
    elsewhere.remove("companies/acme");
    let bolt = tempfile::tempdir().unwrap();
    publish(elsewhere.path(), bolt.path().to_str().unwrap(), &[]);
    let index = |folder: &Path| {
        fs::remove_dir_all(place.published()).unwrap();
        fs::create_dir(place.published()).unwrap();
        copy(folder, &place.published());
    };
    index(bolt.path());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !service.snapshot("acme").is_null() {
        assert!(
            std::time::Instant::now() < deadline,
            "{}",
            service.snapshot("acme")
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    service.until("the state", |_| {
        place.state()["companies"]["acme"]["gone"] == true
    });
    assert!(!place.cache().join("acme.callgate").exists());
    drop(service);
    index(old.path());
    let service = place.serve(&[]);
    service.until("the refusal", |service| failure(service) == "rollback");
    assert_eq!(service.snapshot("acme")["active"], false);
}
