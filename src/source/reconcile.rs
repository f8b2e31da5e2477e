//! One look at the source, company by company: what is as it runs, what must be activated, what
//! fails, what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blake3::Hash;

use crate::companies::Companies;
use crate::snapshot::Envelope;

use super::SourceError;
use super::activate::{Activator, LoadObserver, Outcome};
use super::aside::Hurry;
use super::cache::Cache;
use super::candidate::{Built, Candidate, Refusal};
use super::folder::{Files, Folder, ReadError, State};
use super::listing::Unit;
use super::notes::Notes;
use super::remote::{self, Fetched, Remote};
use super::settings::{Kind, ReloadOptions, Settings};

/// The source on one side, what runs on the other, and what is known of their difference.
pub(crate) struct Reconciler {
    origin: Origin,
    cache: Option<Cache>,
    settings: Settings,
    companies: Arc<Companies>,
    activator: Activator,
    notes: Notes,
    tracked: BTreeMap<String, Tracked>,
    /// The source's own failure, logged once.
    failure: Option<String>,
    stop: Arc<AtomicBool>,
    hurry: Hurry,
}

/// Where it comes from.
enum Origin {
    Folder(Folder),
    Remote(Box<Remote>),
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
    /// The last look found that what the source holds is what runs.
    fresh: bool,
    /// What runs bears a number of its publisher.
    numbered: bool,
}

/// What a snapshot was made of, or would have been.
struct Basis {
    /// Packs that take part; `None`: all.
    packs: Option<BTreeSet<String>>,
    digest: Hash,
}

/// The units of a source, as a look found them.
type Units = BTreeMap<Unit, State>;

/// What would decide for a company.
enum Proposal {
    Candidate(Candidate),
    Built(Box<Built>),
    /// It is what runs, in this envelope.
    Same(Envelope),
}

/// Why a company cannot be activated now.
enum Blocked {
    /// Something of it is in motion, for so long already: look again soon.
    Restless(Duration),
    /// It fails.
    Refused(Refusal),
}

// === impl Origin ===

impl Origin {
    fn of(root: PathBuf, settings: &Settings, hurry: &Hurry) -> Self {
        if !remote::is_remote(&root) {
            let folder = Folder::new(root, settings.settle);
            return Self::Folder(folder.heeding(hurry.clone()));
        }
        let (authorities, only) = (settings.source_ca.clone(), settings.only.clone());
        Self::Remote(Box::new(Remote::new(root, authorities, only)))
    }

    /// A folder that held nothing so far may have been published to meanwhile.
    fn look_what_it_is(&mut self, settings: &Settings, hurry: &Hurry) {
        if let Self::Folder(folder) = self
            && folder.kind().is_none()
        {
            *self = Self::of(folder.root().to_owned(), settings, hurry);
        }
    }

    /// The place, for people.
    fn shown(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.root(),
            Self::Remote(remote) => remote.shown(),
        }
    }
}

// === impl Reconciler ===

impl Reconciler {
    pub(crate) fn new(
        root: PathBuf,
        settings: Settings,
        companies: Arc<Companies>,
        observer: Arc<dyn LoadObserver>,
        stop: Arc<AtomicBool>,
        hurry: Hurry,
    ) -> Self {
        let origin = Origin::of(root, &settings, &hurry);
        let shown = origin.shown().to_owned();
        Self {
            notes: Notes::new(Arc::clone(&companies), observer, shown),
            origin,
            cache: settings.cache.clone().map(Cache::open),
            companies: Arc::clone(&companies),
            activator: Activator::new(companies, settings.clone(), hurry.clone()),
            settings,
            tracked: BTreeMap::new(),
            failure: None,
            stop,
            hurry,
        }
    }

    /// Looks once and does what is to be done. Whether something is in motion: look again soon. When
    /// it had to hurry, it may have done a part of it, and is to be called again.
    pub(crate) fn round(&mut self, round: Round) -> bool {
        self.origin.look_what_it_is(&self.settings, &self.hurry);
        let looked = match &mut self.origin {
            Origin::Folder(folder) => folder.look(round.full).inspect(|_| {
                self.notes.kind = folder.kind();
            }),
            Origin::Remote(remote) => remote.look(round.reload.is_some()),
        };
        if self.hurry.is_set() {
            return true;
        }
        let restless = match looked {
            Ok(units) => {
                if self.failure.take().is_some() {
                    let source = self.origin.shown();
                    tracing::info!(source = %source.display(), "the source reads again");
                }
                self.reconcile(&units, round)
            }
            Err(error) => {
                self.source_failed(&error);
                false
            }
        };
        if let Some(cache) = &mut self.cache {
            cache.tick();
        }
        restless
    }

    /// Activates what ran last, as the cache kept it; whether there was anything.
    pub(crate) fn restore(&mut self) -> bool {
        let Some(cache) = &self.cache else {
            return false;
        };
        let only = &self.settings.only;
        let served = |company: &str| only.is_empty() || only.contains(company);
        let kept = cache.companies().filter(|(company, _)| served(company));
        let kept: Vec<_> = kept
            .map(|(company, kept)| (company.to_owned(), kept.clone(), cache.path(company)))
            .collect();
        let mut restored = false;
        for (company, kept, path) in kept {
            if let Some((generation, digest)) = kept.highest.clone() {
                self.activator.remember(&company, generation, digest);
            }
            if kept.gone {
                continue;
            }
            let started = Instant::now();
            // It ran before: whatever was accepted then is accepted now.
            let options = ReloadOptions {
                accept_failed_tests: true,
                accept_loss: true,
                accept_rollback: false,
            };
            let candidate = Candidate::File(path.clone());
            let done = self.activator.activate(&company, candidate, options);
            let took = started.elapsed();
            let tracked = self.tracked.entry(company.clone()).or_default();
            match done {
                Ok((activation, _)) => {
                    restored = true;
                    tracked.numbered = activation.generation.is_some();
                    let (generation, at) = (activation.generation, kept.fresh_at());
                    self.notes.restored(&company, &path, generation, at, took);
                }
                Err(refusal) => {
                    // The source may have a file of the same name.
                    let message = format!("as the cache has it: {}", refusal.message);
                    let refusal = Refusal { message, ..refusal };
                    self.notes.refused(&company, &refusal, took);
                }
            }
        }
        restored
    }

    /// Has `changed` called when the source itself says that something changed, if it can; whether
    /// that is settled.
    pub(crate) fn on_change(&mut self, changed: impl Fn() + Send + Sync + 'static) -> bool {
        match &mut self.origin {
            Origin::Folder(_) => true,
            Origin::Remote(remote) if remote.is_linked() => {
                remote.on_change(changed);
                true
            }
            Origin::Remote(_) => false,
        }
    }

    /// Whether the source is not a folder that the system watches.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.origin, Origin::Remote(_))
    }

    /// Whether nobody here is told when it changes, but whoever keeps it may tell.
    pub(crate) fn is_url(&self) -> bool {
        matches!(&self.origin, Origin::Remote(remote) if remote.is_url())
    }

    /// Gives this number to whatever has none of its publisher and was found fresh: a reload's.
    pub(crate) fn number(&self, generation: u64) {
        let fresh = |tracked: &Tracked| tracked.fresh && !tracked.numbered;
        for (company, _) in self.tracked.iter().filter(|(_, tracked)| fresh(tracked)) {
            self.notes.number(company, generation);
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
            if self.hurry.is_set() {
                return true;
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
        tracked.fresh = false;
        still(units, &unit)?;
        let same = |basis: &Basis| digest(units, &unit, basis.packs.as_ref()) == basis.digest;
        if tracked.running.as_ref().is_some_and(same) {
            tracked.refused = None;
            tracked.fresh = true;
            self.notes.fresh(company);
            if let Some(cache) = &mut self.cache {
                cache.fresh(company, || self.companies.load(company));
            }
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
        let options = round.reload.unwrap_or_default();
        let started = Instant::now();
        let done = match self.proposal(company, &unit, packs.as_ref(), units)? {
            Proposal::Candidate(candidate) => self.activator.activate(company, candidate, options),
            Proposal::Built(built) => {
                let activator = &mut self.activator;
                activator.activate_built(company, *built, options, started)
            }
            Proposal::Same(envelope) => {
                let done = self.activator.confirm(company, &envelope, options);
                done.map(|activation| (activation, Some(envelope)))
            }
        };
        let took = started.elapsed();
        let basis = |packs: Option<BTreeSet<String>>| Basis {
            digest: digest(units, &unit, packs.as_ref()),
            packs,
        };
        let tracked = self.tracked.entry(company.to_owned()).or_default();
        match done {
            Ok((activation, envelope)) => {
                tracked.running = Some(basis(Some(activation.packs)));
                tracked.refused = None;
                tracked.fresh = true;
                tracked.numbered = activation.generation.is_some();
                let generation = activation.generation;
                self.notes
                    .activated(company, activation.outcome, generation, took);
                if let (Some(cache), Some(snapshot)) =
                    (&mut self.cache, self.companies.load(company))
                {
                    cache.keep(company, &snapshot, envelope.as_ref());
                }
                Ok(())
            }
            // It may be for that alone.
            Err(_) if self.hurry.is_set() => Err(Blocked::Restless(Duration::ZERO)),
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

    /// What would decide for the company, had from a folder, or from elsewhere.
    fn proposal(
        &self,
        company: &str,
        unit: &Unit,
        wanted: Option<&BTreeSet<String>>,
        units: &Units,
    ) -> Result<Proposal, Blocked> {
        match &self.origin {
            Origin::Folder(folder) => {
                let candidate = self.candidate(folder, unit, wanted, units);
                candidate.map(Proposal::Candidate)
            }
            Origin::Remote(remote) => {
                let running = self.companies.load(company);
                let fetched = remote.fetch(company, running.as_deref(), &self.settings.trust);
                match fetched.map_err(Blocked::Refused)? {
                    Fetched::Same(envelope) => Ok(Proposal::Same(envelope)),
                    Fetched::Built(built) => Ok(Proposal::Built(built)),
                }
            }
        }
    }

    /// The bytes that the company would be compiled from: its own, and those of all packs that
    /// can be read. Which pack it wants stands in these bytes; a pack known to be wanted must read.
    fn candidate(
        &self,
        folder: &Folder,
        unit: &Unit,
        wanted: Option<&BTreeSet<String>>,
        units: &Units,
    ) -> Result<Candidate, Blocked> {
        let must = |name: &String| wanted.is_none_or(|wanted| wanted.contains(name));
        for (pack, _) in packs(units).filter(|(_, name)| must(name)) {
            still(units, pack)?;
        }
        if folder.kind() == Some(Kind::Snapshots) {
            // Checked by its own digests when it is read, so that it need not be held beside.
            let path = folder.path(unit);
            return path
                .map(Candidate::File)
                .ok_or(Blocked::Restless(Duration::ZERO));
        }
        let mut files = read(folder, unit)?;
        for (pack, name) in packs(units) {
            match still(units, pack).and_then(|()| read(folder, pack)) {
                Ok(pack) => files.extend(pack),
                Err(blocked) if must(name) => return Err(blocked),
                Err(_) => {}
            }
        }
        Ok(Candidate::Policies(files.into_iter().collect()))
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
                if let Some(cache) = &mut self.cache {
                    cache.remove(&company);
                }
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

fn read(folder: &Folder, unit: &Unit) -> Result<Files, Blocked> {
    folder.read(unit).map_err(|error| match error {
        ReadError::Changed => Blocked::Restless(Duration::ZERO),
        ReadError::Unreadable(message) => {
            Blocked::Refused(Refusal::new(Outcome::Unreadable, message))
        }
    })
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
