//! A tree that remembers what was read.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::{Entry, Error, Kind, Tree, TreePath};

/// Passes everything on to another tree and notes each file that was read.
pub struct RecordingTree<'a> {
    base: &'a dyn Tree,
    read: Mutex<BTreeSet<TreePath>>,
}

impl<'a> RecordingTree<'a> {
    /// Starts with nothing read.
    #[must_use]
    pub const fn new(base: &'a dyn Tree) -> Self {
        Self { base, read: Mutex::new(BTreeSet::new()) }
    }

    /// The files read so far, sorted.
    pub fn files_read(&self) -> Vec<TreePath> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Tree for RecordingTree<'_> {
    fn stat(&self, path: &TreePath) -> Result<Option<Kind>, Error> {
        self.base.stat(path)
    }

    fn read(&self, path: &TreePath) -> Result<Cow<'_, [u8]>, Error> {
        let bytes = self.base.read(path)?;
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        Ok(bytes)
    }

    fn list(&self, path: &TreePath) -> Result<Vec<Entry>, Error> {
        self.base.list(path)
    }

    fn canonical(&self, path: &TreePath) -> Result<TreePath, Error> {
        self.base.canonical(path)
    }

    fn display(&self, path: &TreePath) -> String {
        self.base.display(path)
    }

    fn locate(&self, absolute: &str) -> Option<TreePath> {
        self.base.locate(absolute)
    }
}
