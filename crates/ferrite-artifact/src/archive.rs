//! From files to a `.tar.gz` whose bytes depend on nothing but the files.
//!
//! Rules are those of source-controller (`internal/controller/storage.go`, fluxcd/pkg `artifact/storage`): entries in
//! the order of a directory walk, the root first as `./`; regular files and directories only; owner 0, time 0, mode
//! 0750 for directories, 0600 for files, 0700 for executable ones; gzip at its default level, with no name and time.

mod header;

use std::{
    cmp::Ordering,
    error::Error,
    io::{Cursor, Read, Write},
};

use ferrite_tree::TreePath;
use flate2::{Compression, GzBuilder};

use crate::Rules;

/// Patterns times entries; more would take minutes of one core.
const MATCHES_LIMIT: usize = 400_000_000;

/// One entry of a source.
#[derive(Debug, Clone)]
pub struct Item<S> {
    /// A clean relative path with slashes.
    pub path: String,
    /// What it is.
    pub kind: ItemKind,
    /// Whatever its bytes can be read from, later.
    pub content: S,
}

/// What an [`Item`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// A regular file.
    File {
        /// Whether anybody may execute it.
        executable: bool,
    },
    /// A directory. Those above other items need not be listed.
    Directory,
    /// A link or a device: not archived, though the directories above it are.
    Other,
}

/// How large an archive may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries before any rule is applied.
    pub entries: usize,
    /// Bytes of all archived files together.
    pub unpacked_bytes: u64,
}

impl Default for Bounds {
    /// One million entries, 2 GiB.
    fn default() -> Self {
        Self { entries: 1_000_000, unpacked_bytes: 2 << 30 }
    }
}

/// What went into an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Files.
    pub files: usize,
    /// Sum of their sizes in bytes.
    pub bytes: u64,
}

/// Why an archive could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A bound was exceeded.
    #[error("the source has more than {limit} {what}; exclude files with spec.ignore or a .sourceignore")]
    TooLarge {
        /// What is too much.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// A path that cannot be archived.
    #[error("cannot archive '{path}': {problem}")]
    Path {
        /// The path.
        path: String,
        /// Why not.
        problem: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read '{path}' of the source")]
    Read {
        /// The path.
        path: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The archive could not be written.
    #[error("cannot write the archive")]
    Write(#[source] std::io::Error),
}

/// Writes `items` as a `.tar.gz` into `out`, without those `rules` exclude; reads one file at a time, whole.
///
/// # Errors
/// [`ArchiveError::TooLarge`] past `bounds`, [`ArchiveError::Path`] for paths that are not clean, are listed twice or
/// are a file and a directory, and what reading and writing say.
pub fn archive<S, E: Into<Box<dyn Error + Send + Sync>>>(
    items: Vec<Item<S>>,
    rules: &Rules,
    bounds: Bounds,
    mut read: impl FnMut(&S) -> Result<Vec<u8>, E>,
    out: impl Write,
) -> Result<Summary, ArchiveError> {
    let open = |content: &S| read(content).map(|bytes| (bytes.len() as u64, Cursor::new(bytes)));
    archive_streams(items, rules, bounds, open, out)
}

/// As [`archive`], for files that are too large to be held: `open` says how many bytes a file has, and they are copied
/// in pieces.
///
/// # Errors
/// Those of [`archive`], and [`ArchiveError::Read`] when a file has fewer bytes than said.
pub fn archive_streams<S, E: Into<Box<dyn Error + Send + Sync>>, R: Read>(
    mut items: Vec<Item<S>>,
    rules: &Rules,
    bounds: Bounds,
    mut open: impl FnMut(&S) -> Result<(u64, R), E>,
    out: impl Write,
) -> Result<Summary, ArchiveError> {
    if items.len() > bounds.entries {
        return Err(ArchiveError::TooLarge { what: "entries", limit: bounds.entries as u64 });
    }
    if items.len().saturating_mul(rules.len()) > MATCHES_LIMIT {
        return Err(ArchiveError::TooLarge {
            what: "ignore patterns times entries",
            limit: MATCHES_LIMIT as u64,
        });
    }
    items.sort_by(|left, right| component_order(&left.path, &right.path));
    check_paths(&items)?;
    let gzip = GzBuilder::new().operating_system(255).write(out, Compression::default());
    let mut tar = header::Writer::new(gzip);
    tar.directory("./").map_err(ArchiveError::Write)?;
    let mut summary = Summary::default();
    let mut above = "";
    for item in &items {
        let directory = match item.kind {
            ItemKind::Directory => item.path.as_str(),
            ItemKind::File { .. } | ItemKind::Other => parent(&item.path),
        };
        for new in new_directories(above, directory) {
            if !rules.excludes(new, true) {
                tar.directory(&format!("{new}/")).map_err(ArchiveError::Write)?;
            }
        }
        above = directory;
        let ItemKind::File { executable } = item.kind else { continue };
        if rules.excludes(&item.path, false) {
            continue;
        }
        let unread = |error: Box<dyn Error + Send + Sync>| ArchiveError::Read {
            path: item.path.clone(),
            source: error,
        };
        let (size, bytes) = open(&item.content).map_err(|error| unread(error.into()))?;
        summary.files += 1;
        summary.bytes = summary.bytes.saturating_add(size);
        if summary.bytes > bounds.unpacked_bytes {
            return Err(ArchiveError::TooLarge { what: "bytes", limit: bounds.unpacked_bytes });
        }
        tar.file(&item.path, executable, size, bytes).map_err(|failure| match failure {
            header::Failure::Read(source) => unread(Box::new(source)),
            header::Failure::Write(source) => ArchiveError::Write(source),
        })?;
    }
    let gzip = tar.finish().map_err(ArchiveError::Write)?;
    gzip.finish().and_then(|mut out| out.flush()).map_err(ArchiveError::Write)?;
    Ok(summary)
}

/// The order of a walk: names within their directory bytewise, what is below a directory right after it.
pub(crate) fn component_order(left: &str, right: &str) -> Ordering {
    left.split('/').cmp(right.split('/'))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The directories on the way to `directory` that are not on the way to `above`, from the root down.
fn new_directories<'a>(above: &str, directory: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
    let ends = directory.match_indices('/').map(|(at, _)| at).chain(std::iter::once(directory.len()));
    let known = |path: &str| {
        path.is_empty()
            || above.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let new: Vec<&'a str> = ends.filter_map(|end| directory.get(..end)).filter(|path| !known(path)).collect();
    new.into_iter()
}

/// `items` are sorted, so that twins are neighbours and what is below a file follows it.
fn check_paths<S>(items: &[Item<S>]) -> Result<(), ArchiveError> {
    let refuse = |path: &str, problem| Err(ArchiveError::Path { path: path.to_owned(), problem });
    for item in items {
        match TreePath::new(&item.path) {
            Ok(clean) if clean.as_str() == item.path && !clean.is_root() => {}
            _ => return refuse(&item.path, "it is not a clean path inside the source"),
        }
    }
    // The last item that is no directory: whatever lies below it is a contradiction.
    let mut leaf: Option<&str> = None;
    for (at, item) in items.iter().enumerate() {
        if at > 0 && items.get(at - 1).is_some_and(|before| before.path == item.path) {
            return refuse(&item.path, "it is listed twice");
        }
        if leaf.and_then(|leaf| item.path.strip_prefix(leaf)).is_some_and(|rest| rest.starts_with('/')) {
            return refuse(&item.path, "it lies below something that is not a directory");
        }
        if item.kind != ItemKind::Directory {
            leaf = Some(&item.path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
