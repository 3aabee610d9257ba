//! Bounded trees of files: what every pure engine reads from, and the only thing it reads from.
//!
//! ```text
//!   DiskTree ─┐
//! MemoryTree ─┼─▶ dyn Tree ─▶ ferrite-kustomize, ferrite-helm, …
//! OverlayTree ┘        ▲
//!                      └ RecordingTree notes which files were read
//! ```
//!
//! A [`TreePath`] is a clean, relative, slash-separated path; it cannot express a place outside the tree.
//! A [`DiskTree`] follows symbolic links, but never out of its root, and bounds the size of a file it reads.
//!
//! ```
//! use ferrite_tree::{MemoryTree, Tree, TreePath};
//!
//! let mut files = MemoryTree::builder();
//! files.insert("apps/web.yaml", b"kind: Deployment", false)?;
//! let tree = files.build();
//! let apps = TreePath::new("./apps/")?;
//! assert_eq!(tree.list(&apps)?[0].name, "web.yaml");
//! assert_eq!(&*tree.read(&apps.join("web.yaml")?)?, b"kind: Deployment");
//! assert!(apps.join("../../etc/passwd").is_err());
//! # Ok::<(), ferrite_tree::Error>(())
//! ```
//!
//! **Invariants.** Nothing here writes. No path leaves its tree, by `..` or by a link. Listings are sorted by name.
//! It deliberately does not watch, cache or glob.

mod disk;
mod memory;
mod overlay;
mod path;
mod recording;

use std::borrow::Cow;
use std::sync::Arc;

pub use disk::DiskTree;
pub use memory::{MemoryTree, MemoryTreeBuilder};
pub use overlay::OverlayTree;
pub use path::TreePath;
pub use recording::RecordingTree;

/// What is found at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file (or a link that leads to one).
    File,
    /// A directory (or a link that leads to one).
    Directory,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name within the directory, without slashes.
    pub name: String,
    /// File or directory.
    pub kind: Kind,
    /// Whether a file is executable; false for directories.
    pub executable: bool,
}

/// A read-only tree of files.
pub trait Tree: Send + Sync {
    /// What is at `path`, or `None` when nothing is there.
    ///
    /// # Errors
    /// [`Error::Escapes`] when a link leads out of the tree, [`Error::Io`] when the disk refuses.
    fn stat(&self, path: &TreePath) -> Result<Option<Kind>, Error>;

    /// The bytes of the file at `path`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAFile`], [`Error::TooLarge`], [`Error::Escapes`] or [`Error::Io`].
    fn read(&self, path: &TreePath) -> Result<Cow<'_, [u8]>, Error>;

    /// The entries of the directory at `path`, sorted by name bytewise.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`], [`Error::Escapes`] or [`Error::Io`].
    fn list(&self, path: &TreePath) -> Result<Vec<Entry>, Error>;

    /// `path` with every symbolic link resolved; trees without links return it unchanged.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Escapes`] or [`Error::Io`].
    fn canonical(&self, path: &TreePath) -> Result<TreePath, Error> {
        Ok(path.clone())
    }

    /// How to show `path` to a person.
    fn display(&self, path: &TreePath) -> String {
        path.to_string()
    }

    /// Where an absolute path of the host lies within this tree; `None` when it does not.
    fn locate(&self, absolute: &str) -> Option<TreePath> {
        let _ = absolute;
        None
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: Tree + ?Sized> Tree for $pointer {
            fn stat(&self, path: &TreePath) -> Result<Option<Kind>, Error> { (**self).stat(path) }
            fn read(&self, path: &TreePath) -> Result<Cow<'_, [u8]>, Error> { (**self).read(path) }
            fn list(&self, path: &TreePath) -> Result<Vec<Entry>, Error> { (**self).list(path) }
            fn canonical(&self, path: &TreePath) -> Result<TreePath, Error> { (**self).canonical(path) }
            fn display(&self, path: &TreePath) -> String { (**self).display(path) }
            fn locate(&self, absolute: &str) -> Option<TreePath> { (**self).locate(absolute) }
        }
    )*};
}
forward!(&T, Arc<T>, Box<T>);

/// Why a tree could not answer. Every variant names the path.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is at the path.
    #[error("no such file or directory: '{path}'")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// A file was expected.
    #[error("'{path}' is a directory, expected a file")]
    NotAFile {
        /// The path asked for.
        path: String,
    },
    /// A directory was expected.
    #[error("'{path}' is a file, expected a directory")]
    NotADirectory {
        /// The path asked for.
        path: String,
    },
    /// The path, or a link on it, leads out of the tree.
    #[error("'{path}' leads out of the root of the file tree; use a path inside it")]
    Escapes {
        /// The path asked for.
        path: String,
    },
    /// The path starts with a slash where a relative one is needed.
    #[error("'{path}' is absolute, expected a path relative to the file tree")]
    Absolute {
        /// The path asked for.
        path: String,
    },
    /// The path holds a NUL or is longer than 4096 bytes.
    #[error("'{path}' is not a usable path (longer than 4096 bytes, or with a NUL)")]
    Unusable {
        /// The start of the path asked for.
        path: String,
    },
    /// The file exceeds the tree's bound.
    #[error("'{path}' has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The path asked for.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// A path is a file in one place and a directory in another.
    #[error("'{path}' is used both as a file and as a directory")]
    Conflict {
        /// The path in question.
        path: String,
    },
    /// The disk refused.
    #[error("cannot access '{path}'")]
    Io {
        /// The path asked for.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}
