//! A tree held in memory, as an unpacked artifact is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::Arc;

use crate::{Entry, Error, Kind, Tree, TreePath};

/// Files in memory. Cloning costs one reference count; all contents share one allocation.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    nodes: BTreeMap<Box<str>, Node>,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Node {
    File { range: Range<usize>, executable: bool },
    Directory,
}

/// Collects the files of a [`MemoryTree`].
#[derive(Debug, Default)]
pub struct MemoryTreeBuilder(Inner);

impl MemoryTreeBuilder {
    /// Adds the file `path`, or replaces it.
    ///
    /// # Errors
    /// When `path` is not a clean relative path, or is a directory already.
    pub fn insert(&mut self, path: &str, bytes: &[u8], executable: bool) -> Result<(), Error> {
        let path = TreePath::new(path)?;
        self.directories_above(&path)?;
        if path.is_root() || matches!(self.0.nodes.get(path.as_str()), Some(Node::Directory)) {
            return Err(Error::Conflict { path: path.to_string() });
        }
        let start = self.0.bytes.len();
        self.0.bytes.extend_from_slice(bytes);
        let node = Node::File { range: start..self.0.bytes.len(), executable };
        self.0.nodes.insert(path.as_str().into(), node);
        Ok(())
    }

    /// Adds an empty directory and those above it.
    ///
    /// # Errors
    /// When `path` is not a clean relative path, or a file is in the way.
    pub fn insert_directory(&mut self, path: &str) -> Result<(), Error> {
        let path = TreePath::new(path)?;
        self.directories_above(&path)?;
        self.directory(&path)
    }

    /// Sum of the sizes of the files added so far, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.bytes.len()
    }

    /// Finishes the tree.
    #[must_use]
    pub fn build(mut self) -> MemoryTree {
        self.0.bytes.shrink_to_fit();
        MemoryTree(Arc::new(self.0))
    }

    fn directories_above(&mut self, path: &TreePath) -> Result<(), Error> {
        let mut above = path.parent();
        while let Some(directory) = above {
            if matches!(self.0.nodes.get(directory.as_str()), Some(Node::Directory)) {
                break;
            }
            self.directory(&directory)?;
            above = directory.parent();
        }
        Ok(())
    }

    fn directory(&mut self, path: &TreePath) -> Result<(), Error> {
        if path.is_root() {
            return Ok(());
        }
        match self.0.nodes.insert(path.as_str().into(), Node::Directory) {
            Some(Node::File { .. }) => Err(Error::Conflict { path: path.to_string() }),
            Some(Node::Directory) | None => Ok(()),
        }
    }
}

impl MemoryTree {
    /// Starts an empty tree.
    #[must_use]
    pub fn builder() -> MemoryTreeBuilder {
        MemoryTreeBuilder::default()
    }

    /// Every file with its bytes and executable flag, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8], bool)> {
        self.0.nodes.iter().filter_map(|(path, node)| match node {
            Node::File { range, executable } => {
                self.0.bytes.get(range.clone()).map(|bytes| (&**path, bytes, *executable))
            }
            Node::Directory => None,
        })
    }

    /// Number of files and sum of their sizes in bytes.
    #[must_use]
    pub fn totals(&self) -> (usize, usize) {
        (self.files().count(), self.0.bytes.len())
    }
}

impl Tree for MemoryTree {
    fn stat(&self, path: &TreePath) -> Result<Option<Kind>, Error> {
        if path.is_root() {
            return Ok(Some(Kind::Directory));
        }
        Ok(self.0.nodes.get(path.as_str()).map(|node| match node {
            Node::File { .. } => Kind::File,
            Node::Directory => Kind::Directory,
        }))
    }

    fn read(&self, path: &TreePath) -> Result<Cow<'_, [u8]>, Error> {
        match self.0.nodes.get(path.as_str()) {
            Some(Node::File { range, .. }) => {
                Ok(Cow::Borrowed(self.0.bytes.get(range.clone()).unwrap_or_default()))
            }
            Some(Node::Directory) => Err(Error::NotAFile { path: path.to_string() }),
            None if path.is_root() => Err(Error::NotAFile { path: path.to_string() }),
            None => Err(Error::NotFound { path: path.to_string() }),
        }
    }

    fn list(&self, path: &TreePath) -> Result<Vec<Entry>, Error> {
        match self.stat(path)? {
            None => return Err(Error::NotFound { path: path.to_string() }),
            Some(Kind::File) => return Err(Error::NotADirectory { path: path.to_string() }),
            Some(Kind::Directory) => {}
        }
        let prefix = if path.is_root() { String::new() } else { format!("{path}/") };
        let mut entries = Vec::new();
        let mut from = Bound::Included(prefix.clone());
        // Each step jumps over the whole subtree of the entry just seen ('0' is the character after '/').
        while let Some((name, node)) =
            self.0.nodes.range::<str, _>((from.as_ref().map(String::as_str), Bound::Unbounded)).next()
        {
            let Some(rest) = name.strip_prefix(&prefix) else { break };
            let (first, nested) = rest.split_once('/').map_or((rest, false), |(first, _)| (first, true));
            if nested {
                // `a-b` sorts between `a` and `a/…`: the directory itself was listed already.
                from = Bound::Included(format!("{prefix}{first}0"));
                continue;
            }
            let (kind, executable) = match node {
                Node::File { executable, .. } => (Kind::File, *executable),
                Node::Directory => (Kind::Directory, false),
            };
            entries.push(Entry { name: first.to_owned(), kind, executable });
            from = Bound::Excluded(format!("{prefix}{first}"));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}
