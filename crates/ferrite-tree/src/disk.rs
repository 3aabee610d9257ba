//! A directory of the host's disk.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::{Entry, Error, Kind, Tree, TreePath};

/// The bound on one file's size unless [`DiskTree::with_limit`] says otherwise: 64 MiB.
const DEFAULT_LIMIT: u64 = 64 << 20;

/// A directory on disk. Links are followed, but only within the root.
///
/// The check is made on the resolved path before opening it; a process that swaps links between the two can
/// defeat it, so a tree that strangers can write to while it is read must be copied first.
#[derive(Debug, Clone)]
pub struct DiskTree {
    root: PathBuf,
    limit: u64,
}

impl DiskTree {
    /// Opens the directory `root`.
    ///
    /// # Errors
    /// [`Error::NotADirectory`] or [`Error::Io`] when it is no readable directory.
    pub fn new(root: impl AsRef<Path>) -> Result<Self, Error> {
        let shown = || root.as_ref().display().to_string();
        let root =
            fs_err::canonicalize(root.as_ref()).map_err(|source| Error::Io { path: shown(), source })?;
        if !root.is_dir() {
            return Err(Error::NotADirectory { path: root.display().to_string() });
        }
        Ok(Self { root, limit: DEFAULT_LIMIT })
    }

    /// Bounds the size of a file that [`Tree::read`] accepts, in bytes.
    #[must_use]
    pub fn with_limit(mut self, limit_bytes: u64) -> Self {
        self.limit = limit_bytes;
        self
    }

    /// The directory, with links resolved.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn resolve(&self, path: &TreePath) -> Result<Option<PathBuf>, Error> {
        let joined = self.root.join(path.as_str());
        match fs_err::canonicalize(&joined) {
            Ok(real) if real.starts_with(&self.root) => Ok(Some(real)),
            Ok(_) => Err(Error::Escapes { path: self.display(path) }),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(Error::Io { path: self.display(path), source }),
        }
    }

    fn require(&self, path: &TreePath) -> Result<PathBuf, Error> {
        self.resolve(path)?.ok_or_else(|| Error::NotFound { path: self.display(path) })
    }

    fn io(&self, path: &TreePath) -> impl FnOnce(std::io::Error) -> Error {
        let path = self.display(path);
        move |source| Error::Io { path, source }
    }
}

impl Tree for DiskTree {
    fn stat(&self, path: &TreePath) -> Result<Option<Kind>, Error> {
        Ok(self.resolve(path)?.map(|real| if real.is_dir() { Kind::Directory } else { Kind::File }))
    }

    fn read(&self, path: &TreePath) -> Result<Cow<'_, [u8]>, Error> {
        let real = self.require(path)?;
        let file = fs_err::File::open(&real).map_err(self.io(path))?;
        let meta = file.metadata().map_err(self.io(path))?;
        if !meta.is_file() {
            return Err(Error::NotAFile { path: self.display(path) });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(self.limit)).unwrap_or(0) + 1);
        // One byte more than allowed tells a file that is too large, also when it grows while being read.
        file.take(self.limit.saturating_add(1)).read_to_end(&mut bytes).map_err(self.io(path))?;
        if bytes.len() as u64 > self.limit {
            let size = meta.len().max(bytes.len() as u64);
            return Err(Error::TooLarge { path: self.display(path), size, limit: self.limit });
        }
        Ok(Cow::Owned(bytes))
    }

    fn list(&self, path: &TreePath) -> Result<Vec<Entry>, Error> {
        let real = self.require(path)?;
        if !real.is_dir() {
            return Err(Error::NotADirectory { path: self.display(path) });
        }
        let mut entries = Vec::new();
        for entry in fs_err::read_dir(&real).map_err(self.io(path))? {
            let entry = entry.map_err(self.io(path))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A link is followed only to tell its kind; one that dangles or leaves the root is not listed.
            let Ok(meta) = fs_err::metadata(entry.path()) else { continue };
            if entry.file_type().map_err(self.io(path))?.is_symlink()
                && !matches!(fs_err::canonicalize(entry.path()), Ok(to) if to.starts_with(&self.root))
            {
                continue;
            }
            let kind = if meta.is_dir() { Kind::Directory } else { Kind::File };
            entries.push(Entry { name, kind, executable: kind == Kind::File && executable(&meta) });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn canonical(&self, path: &TreePath) -> Result<TreePath, Error> {
        let real = self.require(path)?;
        real.strip_prefix(&self.root)
            .ok()
            .and_then(|inside| inside.to_str())
            .map_or_else(|| Err(Error::Unusable { path: self.display(path) }), TreePath::new)
    }

    fn display(&self, path: &TreePath) -> String {
        if path.is_root() {
            return self.root.display().to_string();
        }
        self.root.join(path.as_str()).display().to_string()
    }

    fn locate(&self, absolute: &str) -> Option<TreePath> {
        let inside = Path::new(absolute).strip_prefix(&self.root).ok()?;
        TreePath::new(inside.to_str()?).ok()
    }
}

#[cfg(unix)]
fn executable(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn executable(_: &std::fs::Metadata) -> bool {
    false
}
