//! From an archive to a bounded tree in memory, refusing everything that is not plain files below one root.

mod header;

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read};

use ferrite_tree::{MemoryTree, MemoryTreeBuilder};
use flate2::bufread::MultiGzDecoder;

use header::{Entry, EntryKind, Reader};

/// Zero bytes that may follow the end of an archive; tar writers fill up to a record.
const PADDING_LIMIT: u64 = 1 << 20;
/// Directories within each other.
const DEPTH_LIMIT: usize = 128;
/// What a node of the tree costs beside its name and content, in bytes.
const NODE_COST: u64 = 64;

/// Bounds of what is downloaded and unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive as downloaded.
    pub archive_bytes: u64,
    /// Bytes of everything in it, names and headers included.
    pub unpacked_bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Entries.
    pub entries: usize,
}

impl Default for Limits {
    /// 256 MiB compressed, 512 MiB unpacked, 128 MiB a file, 250 000 entries.
    fn default() -> Self {
        Self { archive_bytes: 256 << 20, unpacked_bytes: 512 << 20, file_bytes: 128 << 20, entries: 250_000 }
    }
}

/// Why an archive was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// A bound was exceeded.
    #[error("the archive has more than {limit} {what}")]
    TooLarge {
        /// What is too much.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// An entry that must not be unpacked.
    #[error("refused the entry '{path}' of the archive: {problem}")]
    Entry {
        /// Its path, cut to 256 characters.
        path: String,
        /// Why.
        problem: String,
    },
    /// Not a `.tar.gz`, or one that is damaged.
    #[error("the archive is damaged: {problem}")]
    Damaged {
        /// What is wrong.
        problem: String,
    },
}

/// Unpacks a `.tar.gz` into memory.
///
/// Regular files and directories only. Links that stay inside are skipped, as fluxcd/pkg `tar` does for artifacts.
///
/// # Errors
/// [`UnpackError::TooLarge`] past `limits`, checked while reading; [`UnpackError::Entry`] for paths and links that
/// leave the root, hard links, devices, sparse files and files listed twice; [`UnpackError::Damaged`] for anything
/// truncated, appended or not an archive.
pub fn unpack(archive: impl Read, limits: &Limits) -> Result<MemoryTree, UnpackError> {
    let decoder = MultiGzDecoder::new(io::BufReader::with_capacity(64 << 10, archive));
    let mut reader = Reader::new(Bounded { inner: decoder, left: limits.unpacked_bytes, exceeded: false });
    let mut unpacking = Unpacking::new(limits);
    let mut entries = 0;
    loop {
        let entry = match reader.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => return Err(explain(error, reader.source(), limits)),
        };
        entries += 1;
        if entries > limits.entries {
            return Err(UnpackError::TooLarge { what: "entries", limit: limits.entries as u64 });
        }
        if let Err(error) = unpacking.take(&entry, &mut reader) {
            return Err(explain(error, reader.source(), limits));
        }
    }
    end(reader.into_source(), limits)?;
    Ok(unpacking.builder.build())
}

/// Only zeros may follow the end of the archive; reading to the end also checks gzip's own sums.
fn end<R: Read>(mut source: Bounded<R>, limits: &Limits) -> Result<(), UnpackError> {
    let (mut buffer, mut seen) = ([0; 8192], 0);
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) => return Err(explain(Failure::Io(error), &source, limits)),
        };
        seen += read as u64;
        if seen > PADDING_LIMIT || buffer.iter().take(read).any(|byte| *byte != 0) {
            return Err(UnpackError::Damaged {
                problem: "something follows the end of the archive".to_owned(),
            });
        }
    }
}

struct Unpacking<'a> {
    limits: &'a Limits,
    builder: MemoryTreeBuilder,
    /// What names and nodes cost so far, in bytes.
    charged: u64,
    /// The directory of the entry before.
    parent: String,
    /// Keyed hashes of the files' paths, a fraction of the paths' own size.
    seen: HashSet<u64>,
    keys: RandomState,
}

impl<'a> Unpacking<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            builder: MemoryTree::builder(),
            charged: 0,
            parent: String::new(),
            seen: HashSet::new(),
            keys: RandomState::new(),
        }
    }

    fn take<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<(), Failure> {
        let path = clean(&entry.path).map_err(|problem| refuse(&entry.path, problem))?;
        match &entry.kind {
            EntryKind::Directory if path.is_empty() => Ok(()),
            EntryKind::Directory => {
                self.charge(&path)?;
                self.builder.insert_directory(&path).map_err(|error| refuse(&path, error.to_string()))
            }
            EntryKind::Symlink { target } => {
                if leaves_root(&path, target) {
                    return Err(refuse(&path, "it is a link that leaves the root of the archive"));
                }
                Ok(())
            }
            EntryKind::File { executable } => {
                if entry.size > self.limits.file_bytes {
                    return Err(too_large("bytes in one file", self.limits.file_bytes));
                }
                self.charge(&path)?;
                if !self.seen.insert(self.keys.hash_one(&path)) {
                    return Err(refuse(&path, "it is in the archive twice"));
                }
                let bytes = reader.content(entry.size)?;
                self.builder
                    .insert(&path, &bytes, *executable)
                    .map_err(|error| refuse(&path, error.to_string()))
            }
        }
    }

    /// Counts names against the bound on bytes: deep paths of empty files would otherwise cost memory for free.
    fn charge(&mut self, path: &str) -> Result<(), Failure> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let mut cost = path.len() as u64 + NODE_COST;
        if parent != self.parent {
            let shared = parent.bytes().zip(self.parent.bytes()).take_while(|(a, b)| a == b).count();
            let new = parent.bytes().enumerate().filter(|(at, byte)| *byte == b'/' && *at >= shared);
            cost += new.map(|(at, _)| at as u64 + NODE_COST).sum::<u64>() + parent.len() as u64 + NODE_COST;
            parent.clone_into(&mut self.parent);
        }
        self.charged += cost;
        if self.charged + self.builder.size() as u64 > self.limits.unpacked_bytes {
            return Err(too_large("bytes", self.limits.unpacked_bytes));
        }
        Ok(())
    }
}

/// What went wrong, before it is known whether a bound is behind it.
#[derive(Debug)]
enum Failure {
    Refused(UnpackError),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn refuse(path: &str, problem: impl Into<String>) -> Failure {
    Failure::Refused(UnpackError::Entry { path: path.chars().take(256).collect(), problem: problem.into() })
}

fn damaged(problem: &str) -> Failure {
    Failure::Refused(UnpackError::Damaged { problem: problem.to_owned() })
}

const fn too_large(what: &'static str, limit: u64) -> Failure {
    Failure::Refused(UnpackError::TooLarge { what, limit })
}

fn explain<R>(failure: Failure, source: &Bounded<R>, limits: &Limits) -> UnpackError {
    match failure {
        Failure::Refused(error) => error,
        Failure::Io(_) if source.exceeded => {
            UnpackError::TooLarge { what: "bytes", limit: limits.unpacked_bytes }
        }
        Failure::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            UnpackError::Damaged { problem: "it is cut off".to_owned() }
        }
        Failure::Io(error) => UnpackError::Damaged { problem: error.to_string() },
    }
}

/// The path an entry is put at: without `./` and slashes at its end; empty for the root.
fn clean(path: &str) -> Result<String, &'static str> {
    if path.contains('\0') {
        return Err("its name holds a NUL");
    }
    if path.contains('\\') {
        return Err("its name holds a backslash");
    }
    if path.starts_with('/') {
        return Err("its path is absolute");
    }
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if names.contains(&"..") {
        return Err("its path climbs out of a directory");
    }
    if names.len() > DEPTH_LIMIT {
        return Err("it lies too deep, at most 128 directories are allowed");
    }
    let path = names.join("/");
    if path.len() > 4096 { Err("its path is longer than 4096 bytes") } else { Ok(path) }
}

fn leaves_root(link: &str, target: &str) -> bool {
    if target.starts_with('/') || target.contains('\0') {
        return true;
    }
    let mut depth = link.split('/').count() - 1;
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// Reads no more than it may.
#[derive(Debug)]
struct Bounded<R> {
    inner: R,
    left: u64,
    exceeded: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                self.exceeded = true;
                return Err(io::Error::other("the bound on unpacked bytes is exceeded"));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
