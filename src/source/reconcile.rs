//! One look at the source, company by company: what is as it runs, what must be activated, what
//! fails, what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blake3::Hash;

use crate::companies::Companies;

use super::SourceError;
use super::activate::{Activator, LoadObserver, Outcome};
use super::candidate::{Candidate, Refusal};
use super::folder::{Files, Folder, ReadError, State};
use super::listing::Unit;
use super::notes::Notes;
use super::settings::{Kind, ReloadOptions, Settings};

/// The source on one side, what runs on the other, and what is known of their difference.
pub(crate) struct Reconciler {
    folder: Folder,
    settings: Settings,
    activator: Activator,
    notes: Notes,
    tracked: BTreeMap<String, Tracked>,
    /// The source's own failure, logged once.
    failure: Option<String>,
    stop: Arc<AtomicBool>,
}

/// How a look is to be done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    /// Read every file, whatever its stamp.
    pub(crate) full: bool,
    /// A reload: what was refused is tried again, and this is accepted of it.
    pub(crate) reload: Option<ReloadOptions>,
    /// How many reloads were asked for so far: what was refused is tried again once for each.
    pub(crate) asked: u64,
}

/// What is known of a company beside its snapshot.
#[derive(Default)]
struct Tracked {
    /// What runs was made of this.
    running: Option<Basis>,
    /// This was refused: it is not tried again until it changes, or a reload asks.
    refused: Option<(Basis, Refusal)>,
    /// How many reloads were asked for when it was refused.
    asked: u64,
    /// Since when its folder is gone while everything else reads.
    gone: Option<Instant>,
}

/// What a snapshot was made of, or would have been.
struct Basis {
    /// Packs that take part; `None`: all.
    packs: Option<BTreeSet<String>>,
    digest: Hash,
}

/// The units of a source, as a look found them.
type Units = BTreeMap<Unit, State>;

/// Why a company cannot be activated now.
enum Blocked {
    /// Something of it is in motion, for so long already: look again soon.
    Restless(Duration),
    /// It fails.
    Refused(Refusal),
}

// === impl Reconciler ===

impl Reconciler {
    pub(crate) fn new(
        root: PathBuf,
        settings: Settings,
        companies: Arc<Companies>,
        observer: Arc<dyn LoadObserver>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            notes: Notes::new(Arc::clone(&companies), observer, root.clone()),
            folder: Folder::new(root, settings.settle),
            activator: Activator::new(companies, settings.failed_tests, settings.max_loss),
            settings,
            tracked: BTreeMap::new(),
            failure: None,
            stop,
        }
    }

    /// Looks once and does what is to be done. Whether something is in motion: look again soon.
    pub(crate) fn round(&mut self, round: Round) -> bool {
        self.activator.free_retired();
        match self.folder.look(round.full) {
            Ok(units) => {
                self.notes.kind = self.folder.kind();
                if self.failure.take().is_some() {
                    tracing::info!(source = %self.folder.root().display(), "the source reads again");
                }
                self.reconcile(&units, round)
            }
            Err(error) => {
                self.source_failed(&error);
                false
            }
        }
    }

    /// Why the source as a whole gives nothing.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn reconcile(&mut self, units: &Units, round: Round) -> bool {
        let mut restless = false;
        let mut unreadable = false;
        for unit in units.keys() {
            let Unit::Company(company) = unit else {
                continue;
            };
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            if !self.settings.only.is_empty() && !self.settings.only.contains(company) {
                continue;
            }
            match self.bring_up(company, units, round) {
                Ok(()) => {}
                Err(Blocked::Restless(since)) => {
                    restless = true;
                    unreadable = true;
                    if since > self.settings.restless_max {
                        let message = "its files are changed again and again".to_owned();
                        self.notes
                            .failed(company, &Refusal::new(Outcome::Changing, message));
                    }
                }
                Err(Blocked::Refused(refusal)) => {
                    unreadable |= refusal.outcome == Outcome::Unreadable;
                    self.notes.failed(company, &refusal);
                }
            }
        }
        let packs_read = units.iter().all(|(unit, state)| {
            matches!((unit, state), (Unit::Company(_), _) | (_, State::Still(_)))
        });
        self.let_go(units, packs_read && !unreadable);
        restless
    }

    /// Makes what the source holds of the company what runs, if it is not so already.
    fn bring_up(&mut self, company: &str, units: &Units, round: Round) -> Result<(), Blocked> {
        let unit = Unit::Company(company.to_owned());
        let tracked = self.tracked.entry(company.to_owned()).or_default();
        tracked.gone = None;
        still(units, &unit)?;
        let same = |basis: &Basis| digest(units, &unit, basis.packs.as_ref()) == basis.digest;
        if tracked.running.as_ref().is_some_and(same) {
            tracked.refused = None;
            self.notes.fresh(company);
            return Ok(());
        }
        if let Some((basis, refusal)) = &tracked.refused
            && tracked.asked == round.asked
            && same(basis)
        {
            // Said again, for something else may have been said meanwhile.
            return Err(Blocked::Refused(refusal.clone()));
        }
        let packs = tracked
            .running
            .as_ref()
            .and_then(|basis| basis.packs.clone());
        let candidate = self.candidate(&unit, packs.as_ref(), units)?;

        let started = Instant::now();
        let options = round.reload.unwrap_or_default();
        let done = self.activator.activate(company, candidate, options);
        let took = started.elapsed();
        let basis = |packs: Option<BTreeSet<String>>| Basis {
            digest: digest(units, &unit, packs.as_ref()),
            packs,
        };
        let tracked = self.tracked.entry(company.to_owned()).or_default();
        match done {
            Ok(activation) => {
                tracked.running = Some(basis(Some(activation.packs)));
                tracked.refused = None;
                self.notes.activated(company, activation.outcome, took);
                Ok(())
            }
            Err(refusal) => {
                self.notes.refused(company, &refusal, took);
                let refusal = Refusal {
                    diagnostics: None,
                    ..refusal
                };
                // What is wrong may be right once any pack changes: it may be the pack that is missing.
                tracked.refused = Some((basis(None), refusal.clone()));
                tracked.asked = round.asked;
                Err(Blocked::Refused(refusal))
            }
        }
    }

    /// The bytes that the company would be compiled from: its own, and those of all packs that
    /// can be read. Which pack it wants stands in these bytes; a pack known to be wanted must read.
    fn candidate(
        &self,
        unit: &Unit,
        wanted: Option<&BTreeSet<String>>,
        units: &Units,
    ) -> Result<Candidate, Blocked> {
        let must = |name: &String| wanted.is_none_or(|wanted| wanted.contains(name));
        for (pack, _) in packs(units).filter(|(_, name)| must(name)) {
            still(units, pack)?;
        }
        let mut files = self.read(unit)?;
        if self.folder.kind() == Some(Kind::Snapshots) {
            let bytes = files.pop_first().map(|(_, bytes)| bytes);
            return Ok(Candidate::Snapshot(bytes.unwrap_or_else(|| [].into())));
        }
        for (pack, name) in packs(units) {
            match still(units, pack).and_then(|()| self.read(pack)) {
                Ok(pack) => files.extend(pack),
                Err(blocked) if must(name) => return Err(blocked),
                Err(_) => {}
            }
        }
        Ok(Candidate::Policies(files.into_iter().collect()))
    }

    fn read(&self, unit: &Unit) -> Result<Files, Blocked> {
        self.folder.read(unit).map_err(|error| match error {
            ReadError::Changed => Blocked::Restless(Duration::ZERO),
            ReadError::Unreadable(message) => {
                Blocked::Refused(Refusal::new(Outcome::Unreadable, message))
            }
        })
    }

    /// Lets companies go whose folder is gone, once that held for long enough.
    fn let_go(&mut self, units: &Units, all_read: bool) {
        let grace = self.settings.removal_grace;
        let mut missing = Vec::new();
        for (company, tracked) in &mut self.tracked {
            if units.contains_key(&Unit::Company(company.clone())) {
                continue;
            }
            if !all_read {
                tracked.gone = None;
            }
            let since = match all_read {
                true => tracked.gone.get_or_insert_with(Instant::now).elapsed(),
                false => Duration::ZERO,
            };
            missing.push((company.clone(), since));
        }
        for (company, since) in missing {
            if all_read && since >= grace {
                self.tracked.remove(&company);
                self.activator.remove(&company);
                continue;
            }
            let message = format!(
                "it is gone from the source; when that holds for {grace:?} while the rest reads, the company goes"
            );
            self.notes
                .failed(&company, &Refusal::new(Outcome::Gone, message));
        }
    }

    /// The source as a whole cannot be read: a failure of every company, a removal of none.
    fn source_failed(&mut self, error: &SourceError) {
        let message = error.to_string();
        if self.failure.as_ref() != Some(&message) {
            tracing::error!("the source gives nothing: {message}");
        }
        for tracked in self.tracked.values_mut() {
            tracked.gone = None;
        }
        for company in self.tracked.keys() {
            self.notes
                .failed(company, &Refusal::new(Outcome::Unreadable, message.clone()));
        }
        self.failure = Some(message);
    }
}

fn packs(units: &Units) -> impl Iterator<Item = (&Unit, &String)> {
    units.keys().filter_map(|unit| match unit {
        Unit::Pack(name) => Some((unit, name)),
        Unit::Company(_) => None,
    })
}

/// Whether the unit may be read now.
fn still(units: &Units, unit: &Unit) -> Result<(), Blocked> {
    match units.get(unit) {
        Some(State::Still(_)) => Ok(()),
        Some(State::Restless(since)) => Err(Blocked::Restless(*since)),
        Some(State::Unreadable(message)) => Err(Blocked::Refused(Refusal::new(
            Outcome::Unreadable,
            message.clone(),
        ))),
        None => Err(Blocked::Restless(Duration::ZERO)),
    }
}

/// The digest of a company and the packs that take part.
fn digest(units: &Units, company: &Unit, wanted: Option<&BTreeSet<String>>) -> Hash {
    let mut hasher = blake3::Hasher::new();
    let own = std::iter::once(company);
    let packs = packs(units)
        .filter(|(_, name)| wanted.is_none_or(|wanted| wanted.contains(*name)))
        .map(|(pack, _)| pack);
    for unit in own.chain(packs) {
        hasher.update(unit.to_string().as_bytes()).update(&[0]);
        match units.get(unit) {
            Some(State::Still(digest)) => hasher.update(digest.as_bytes()),
            // Whatever it was made of then, it is not that now.
            _ => hasher.update(b"in motion"),
        };
    }
    hasher.finalize()
}
