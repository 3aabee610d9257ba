//! Where artifacts are kept until nobody needs them.
//!
//! ```text
//! <root>/<kind>/<namespace>/<name>/<file>        whole files only, mode 0600, directories 0700
//!                                 /<file>.lock   held while the file is written
//!                                 /latest.tar.gz a link to the current file, for kinds that have one
//! ```

mod disk;

use std::{
    fmt,
    io::{Read, Write},
    path::PathBuf,
    time::{Duration, SystemTime},
};

pub use disk::DiskStore;

use crate::Digest;

/// A place for artifacts. All calls block.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Starts writing a file; nobody sees it before [`Pending::commit`].
    ///
    /// # Errors
    /// [`StoreError::Name`], [`StoreError::Locked`] or [`StoreError::Io`].
    fn create(&self, directory: &ObjectDirectory, file: &str) -> Result<Box<dyn Pending>, StoreError>;

    /// Whether the artifact at `path` is there and has the digest it should have. A file with another digest is
    /// removed. What was hashed once is not read again until it changes.
    ///
    /// # Errors
    /// [`StoreError::Name`] or [`StoreError::Io`].
    fn check(&self, path: &str, digest: &str) -> Result<Health, StoreError>;

    /// Opens the artifact at `path` for reading; `None` when it is not there.
    ///
    /// # Errors
    /// [`StoreError::Name`] or [`StoreError::Io`].
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + Send>>, StoreError>;

    /// Points `alias` at `file`, both in `directory`, in one step.
    ///
    /// # Errors
    /// [`StoreError::Name`] or [`StoreError::Io`].
    fn link(&self, directory: &ObjectDirectory, alias: &str, file: &str) -> Result<(), StoreError>;

    /// Removes the files of `directory` that `retention` no longer keeps, never `current`; returns their names.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn collect(
        &self,
        directory: &ObjectDirectory,
        current: &str,
        retention: Retention,
        now: SystemTime,
    ) -> Result<Vec<String>, StoreError>;

    /// Removes a directory with everything in it; returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn remove(&self, directory: &ObjectDirectory) -> Result<bool, StoreError>;
}

/// A file being written. Dropping it leaves no trace.
pub trait Pending: Write + Send {
    /// Makes the file durable and visible under its name, replacing what was there.
    ///
    /// # Errors
    /// [`StoreError::Io`]; nothing is visible then.
    fn commit(self: Box<Self>) -> Result<Stored, StoreError>;
}

/// A file that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its path below the root, with slashes: `<kind>/<namespace>/<name>/<file>`.
    pub path: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What became of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// There and right.
    Good,
    /// Not there.
    Missing,
    /// It was there with other bytes, and has been removed.
    Corrupt,
}

/// Which files besides the current one are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Older files go.
    pub ttl: Duration,
    /// No more than this many stay, the current one included.
    pub records: usize,
}

impl Default for Retention {
    /// Flux's: one minute, two files.
    fn default() -> Self {
        Self { ttl: Duration::from_mins(1), records: 2 }
    }
}

/// The directory of one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectDirectory {
    kind: String,
    namespace: String,
    name: String,
}

impl ObjectDirectory {
    /// The directory of an object; `kind` as in a manifest (`GitRepository`).
    ///
    /// # Errors
    /// [`StoreError::Name`] when a part cannot be the name of a directory.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Result<Self, StoreError> {
        for part in [kind, namespace, name] {
            check_name(part)?;
        }
        Ok(Self { kind: kind.to_lowercase(), namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// Its path below the root.
    #[must_use]
    pub fn path(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for ObjectDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not the name of a file or directory here.
    #[error("'{name}' cannot be the name of a file in the artifact storage")]
    Name {
        /// The name given, cut to 256 characters.
        name: String,
    },
    /// Somebody else writes this file.
    #[error("'{path}' is locked by another writer")]
    Locked {
        /// The file's path.
        path: PathBuf,
    },
    /// There is no directory to keep artifacts in.
    #[error("the storage path '{path}' is not a directory; create it or mount a volume there")]
    NoDirectory {
        /// The path given.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("cannot {action} '{path}'")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A single path segment that hides nothing.
fn check_name(name: &str) -> Result<(), StoreError> {
    let bad = name.is_empty()
        || name.len() > 255
        || name.starts_with('.')
        || name.chars().any(|letter| matches!(letter, '/' | '\\') || letter.is_control());
    if bad { Err(StoreError::Name { name: name.chars().take(256).collect() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
