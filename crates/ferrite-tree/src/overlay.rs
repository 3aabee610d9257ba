//! A tree with a few files put on top of another.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{Entry, Error, Kind, Tree, TreePath};

/// Another tree with a few files added or replaced.
pub struct OverlayTree<'a> {
    base: &'a dyn Tree,
    files: BTreeMap<TreePath, Vec<u8>>,
}

impl<'a> OverlayTree<'a> {
    /// Starts with nothing changed.
    #[must_use]
    pub const fn new(base: &'a dyn Tree) -> Self {
        Self { base, files: BTreeMap::new() }
    }

    /// Puts `bytes` at `path`, hiding what the base has there.
    pub fn insert(&mut self, path: TreePath, bytes: Vec<u8>) {
        self.files.insert(path, bytes);
    }

    fn is_added_directory(&self, path: &TreePath) -> bool {
        self.files.keys().any(|file| file != path && file.is_within(path))
    }
}

impl Tree for OverlayTree<'_> {
    fn stat(&self, path: &TreePath) -> Result<Option<Kind>, Error> {
        if self.files.contains_key(path) {
            return Ok(Some(Kind::File));
        }
        if self.is_added_directory(path) {
            return Ok(Some(Kind::Directory));
        }
        self.base.stat(path)
    }

    fn read(&self, path: &TreePath) -> Result<Cow<'_, [u8]>, Error> {
        match self.files.get(path) {
            Some(bytes) => Ok(Cow::Borrowed(bytes)),
            None => self.base.read(path),
        }
    }

    fn list(&self, path: &TreePath) -> Result<Vec<Entry>, Error> {
        let mut entries: BTreeMap<String, Entry> = match self.base.list(path) {
            Ok(entries) => entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect(),
            Err(Error::NotFound { .. }) if self.is_added_directory(path) => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        for file in self.files.keys().filter(|file| *file != path && file.is_within(path)) {
            let depth = path.segments().count();
            let mut below = file.segments().skip(depth);
            if let Some(name) = below.next() {
                let kind = if below.next().is_some() { Kind::Directory } else { Kind::File };
                entries.insert(name.to_owned(), Entry { name: name.to_owned(), kind, executable: false });
            }
        }
        Ok(entries.into_values().collect())
    }

    fn canonical(&self, path: &TreePath) -> Result<TreePath, Error> {
        if self.files.contains_key(path) {
            return Ok(path.clone());
        }
        self.base.canonical(path)
    }

    fn display(&self, path: &TreePath) -> String {
        self.base.display(path)
    }

    fn locate(&self, absolute: &str) -> Option<TreePath> {
        self.base.locate(absolute)
    }
}
