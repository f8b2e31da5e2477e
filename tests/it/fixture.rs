//! A policy tree on disk, and a watcher over it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use callgate::companies::{Companies, Current, Failure};
use callgate::decide;
use callgate::model::{Action, Entity, Properties, Query};
use callgate::source::{LoadObserver, Outcome, ReloadOptions, Settings, Watcher};
use tempfile::TempDir;

/// The pack of these trees.
pub(crate) const CATALOGUE: &str = "\
catalogue: desk
resources:
  call:
    actions:
      view: {}
      listen: { requires: [view] }
      export: {}
  queue:
    registered: true
    actions: { view: {} }
";

/// Its roles.
pub(crate) const ROLES: &str = "\
roles:
  - role: operator
    grants: { call: { view: any } }
  - role: listener
    grants: { call: { view: any, listen: any } }
";

/// Everybody in these trees; `olga` comes first.
pub(crate) const USERS: [&str; 10] = [
    "olga", "piotr", "ewa", "anna", "jan", "marta", "adam", "zofia", "igor", "lena",
];

/// A policy tree in a folder of its own.
pub(crate) struct Tree {
    folder: TempDir,
}

// === impl Tree ===

impl Tree {
    /// A tree with the pack `desk` and one company, `acme`.
    pub(crate) fn new() -> Self {
        let tree = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        tree.write("packs/desk/catalogue.yaml", CATALOGUE);
        tree.write("packs/desk/roles.yaml", ROLES);
        tree.company("acme");
        tree
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// Writes a file in place.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a file beside and renames it over.
    pub(crate) fn rename_over(&self, path: &str, text: &str) {
        let beside = self.join(path).with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.join(path)).unwrap();
    }

    /// A company in which all are operators.
    pub(crate) fn company(&self, name: &str) {
        self.write(&format!("companies/{name}/company.yaml"), &company(name));
        self.write(&format!("companies/{name}/users.csv"), &users("operator"));
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_dir_all(self.join(path)).unwrap();
    }
}

/// A company's own file.
pub(crate) fn company(name: &str) -> String {
    format!("company: {name}\npack: desk\ntime_zone: Europe/Warsaw\n")
}

/// All users as CSV, `olga` with this role, the others operators.
pub(crate) fn users(olga: &str) -> String {
    let mut text = "user,roles\n".to_owned();
    for user in USERS {
        let role = if user == "olga" { olga } else { "operator" };
        text.push_str(&format!("{user},{role}\n"));
    }
    text
}

/// What the watcher told its observer.
#[derive(Default)]
pub(crate) struct Record(Mutex<Vec<(String, Outcome)>>);

impl LoadObserver for Record {
    fn loaded(&self, company: &str, outcome: Outcome, _: Duration) {
        self.0.lock().unwrap().push((company.to_owned(), outcome));
    }
}

/// A watcher, and what it publishes to.
pub(crate) struct Running {
    pub(crate) companies: Arc<Companies>,
    pub(crate) record: Arc<Record>,
    watcher: Option<Watcher>,
}

/// As by default, but with a short grace.
pub(crate) fn settings() -> Settings {
    Settings {
        removal_grace: Duration::from_millis(800),
        ..Settings::default()
    }
}

// === impl Running ===

impl Running {
    /// Watches the folder, and returns once every company was tried.
    pub(crate) fn start(folder: &Path, settings: Settings) -> Self {
        let running = Self::start_early(folder, settings);
        running.until("tried", || running.watcher().tried());
        running
    }

    pub(crate) fn start_early(folder: &Path, settings: Settings) -> Self {
        let companies = Arc::new(Companies::default());
        let record = Arc::new(Record::default());
        let observer: Arc<dyn LoadObserver> = Arc::<Record>::clone(&record);
        let watcher = Watcher::spawn(
            folder.to_owned(),
            settings,
            Arc::clone(&companies),
            observer,
        );
        Self {
            companies,
            record,
            watcher: Some(watcher.unwrap()),
        }
    }

    pub(crate) fn watcher(&self) -> callgate::source::Handle {
        self.watcher.as_ref().unwrap().handle()
    }

    /// The reason of a check about a call; `None` while no snapshot decides.
    pub(crate) fn ask(&self, company: &str, user: &str, action: &str) -> Option<String> {
        self.companies.with(company, |current| match current {
            Current::Active(snapshot) => {
                let none = &Properties::EMPTY;
                let entity = |kind, id| Entity {
                    kind,
                    id,
                    properties: none,
                };
                let query = Query {
                    subject: entity("user", user),
                    action: Action {
                        name: action,
                        properties: none,
                    },
                    resource: entity("call", "c1"),
                    context: none,
                    section: false,
                    test_role: None,
                    now: SystemTime::now().into(),
                };
                Some(decide::check(snapshot, &query).to_string())
            }
            Current::Stale(_) | Current::Inactive | Current::Unknown => None,
        })
    }

    /// Whether olga of `acme` may listen: what these tests change.
    pub(crate) fn listens(&self) -> bool {
        self.ask("acme", "olga", "listen").as_deref() == Some("granted")
    }

    pub(crate) fn failure(&self, company: &str) -> Option<Failure> {
        self.companies.status(company)?.failure
    }

    /// The company's failure with this code, once it is there.
    pub(crate) fn fails(&self, company: &str, code: &str) -> Failure {
        self.until(code, || {
            self.failure(company)
                .is_some_and(|failure| failure.code == code)
        });
        self.failure(company).unwrap()
    }

    /// Forgets what was recorded, and returns it.
    pub(crate) fn recorded(&self) -> Vec<(String, Outcome)> {
        std::mem::take(&mut *self.record.0.lock().unwrap())
    }

    pub(crate) fn reload(&self, options: ReloadOptions) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        runtime.block_on(self.watcher().reload(options)).unwrap();
    }

    /// Waits for what must come, and returns how long that took.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) -> Duration {
        let started = Instant::now();
        while !holds() {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "waited for: {what}; {:?}",
                self.recorded()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        started.elapsed()
    }

    /// Whatever must not come would have come by now.
    #[track_caller]
    pub(crate) fn stays(&self, what: &str, holds: impl Fn() -> bool) {
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(1_300) {
            assert!(holds(), "{what}; {:?}", self.recorded());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.shutdown();
        }
    }
}
