//! A policy tree in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The files of a policy tree: path within the tree → content.
///
/// Paths use `/` and start at the tree's root (`companies/demo/users.csv`). This module never
/// touches the file system; whoever reads a tree brings all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Arc<[u8]>>);

// === impl Files ===

impl Files {
    /// A tree of these files; of two with one path the later counts.
    pub fn new<P, C>(files: impl IntoIterator<Item = (P, C)>) -> Self
    where
        P: Into<String>,
        C: Into<Arc<[u8]>>,
    {
        let owned = |(path, content): (P, C)| (path.into(), content.into());
        Self(files.into_iter().map(owned).collect())
    }

    /// The content of the file at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Arc<[u8]>> {
        self.0.get(path)
    }

    /// All files, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.0
            .iter()
            .map(|(path, content)| (path.as_str(), content))
    }

    /// The companies: the folders in `companies/` that hold a file, by name.
    pub fn companies(&self) -> impl Iterator<Item = &str> {
        self.folders("companies/")
    }

    /// The packs: the folders in `packs/` that hold a file, by name.
    pub fn packs(&self) -> impl Iterator<Item = &str> {
        self.folders("packs/")
    }

    /// The files below a folder (`companies/demo/`), as paths within it.
    pub(super) fn below<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<[u8]>)> {
        self.0
            .range::<str, _>((
                std::ops::Bound::Included(folder),
                std::ops::Bound::Unbounded,
            ))
            .map_while(move |(path, content)| Some((path.strip_prefix(folder)?, content)))
    }

    fn folders<'a>(&'a self, above: &'a str) -> impl Iterator<Item = &'a str> {
        let mut last = None;
        self.below(above)
            .filter_map(|(path, _)| path.split_once('/').map(|(folder, _)| folder))
            .filter(|folder| !folder.starts_with('.'))
            .filter(move |folder| last.replace(*folder) != Some(*folder))
    }
}

impl<P: Into<String>, C: Into<Arc<[u8]>>> FromIterator<(P, C)> for Files {
    fn from_iter<I: IntoIterator<Item = (P, C)>>(files: I) -> Self {
        Self::new(files)
    }
}
