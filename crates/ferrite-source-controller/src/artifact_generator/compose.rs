//! Puts the files of an artifact together from those of its sources. Pure.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use ferrite_api::source::{CopyOperation, CopyStrategy};
use ferrite_artifact::{Limits, unpack};
use ferrite_tree::MemoryTree;

use super::{
    glob::{is_glob, literal_prefix, matches_deep, matches_parts},
    merge,
};

/// Bytes and files of one artifact.
const LIMITS: (usize, usize) = (512 << 20, 250_000);
/// Patterns times files; more would take minutes of one core.
const MATCHES_LIMIT: usize = 20_000_000;

/// Why an artifact cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// A copy operation is none.
    #[error("cannot copy from '{from}' to '{to}': {problem}")]
    Operation {
        /// Where from.
        from: String,
        /// Where to.
        to: String,
        /// What is wrong.
        problem: String,
    },
    /// The artifact would be too large.
    #[error("the artifact has more than {limit} {what}")]
    TooLarge {
        /// What is too much.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
}

/// A file of the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) executable: bool,
}

/// The files of an artifact by path.
#[derive(Debug, Default)]
pub(super) struct Staged<'a> {
    pub(super) files: BTreeMap<String, File<'a>>,
    bytes: usize,
}

/// Runs the operations in order over the trees of the sources, by alias.
pub(super) fn compose<'a>(
    operations: &[CopyOperation],
    trees: &'a HashMap<String, MemoryTree>,
) -> Result<Staged<'a>, ComposeError> {
    let mut staged = Staged::default();
    for operation in operations {
        let fail = |problem: String| ComposeError::Operation {
            from: operation.from.clone(),
            to: operation.to.clone(),
            problem,
        };
        let (alias, from) =
            split(&operation.from).ok_or_else(|| fail("expected '@alias/path'".to_owned()))?;
        let tree = trees.get(alias).ok_or_else(|| fail(format!("source alias '{alias}' not found")))?;
        let to = operation
            .to
            .strip_prefix("@artifact/")
            .ok_or_else(|| fail("expected '@artifact/path'".to_owned()))?;
        let into_directory = to.is_empty() || to.ends_with('/');
        let copying = Copying {
            from: clean(from).map_err(fail)?,
            to: clean(to).map_err(fail)?,
            into_directory,
            exclude: &operation.exclude,
            strategy: operation.strategy.unwrap_or_default(),
        };
        let (files, _) = tree.totals();
        if files.saturating_mul(operation.exclude.len() + 1) > MATCHES_LIMIT {
            return Err(ComposeError::TooLarge { what: "files times patterns", limit: MATCHES_LIMIT });
        }
        copying.run(tree, &mut staged).map_err(|problem| match problem {
            Problem::Text(text) => fail(text),
            Problem::TooLarge(what, limit) => ComposeError::TooLarge { what, limit },
        })?;
    }
    Ok(staged)
}

/// `@alias/rest`.
pub(super) fn split(reference: &str) -> Option<(&str, &str)> {
    reference.strip_prefix('@')?.split_once('/')
}

/// Without empty parts and dots; never out of the root.
fn clean(path: &str) -> Result<String, String> {
    if path.contains(['\\', '\0']) {
        return Err(format!("'{path}' cannot be a path"));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(format!("'{path}' would leave its root"));
    }
    Ok(parts.join("/"))
}

enum Problem {
    Text(String),
    TooLarge(&'static str, usize),
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

struct Copying<'o> {
    from: String,
    to: String,
    into_directory: bool,
    exclude: &'o [String],
    strategy: CopyStrategy,
}

impl Copying<'_> {
    fn run<'a>(&self, tree: &'a MemoryTree, staged: &mut Staged<'a>) -> Result<(), Problem> {
        if is_glob(&self.from) { self.glob(tree, staged) } else { self.direct(tree, staged) }
    }

    /// A path without stars: a file, or a directory that keeps its name.
    fn direct<'a>(&self, tree: &'a MemoryTree, staged: &mut Staged<'a>) -> Result<(), Problem> {
        let file = tree.files().find(|(path, ..)| *path == self.from);
        if let Some((path, bytes, executable)) = file {
            if self.excludes(path, "") {
                return Err(self.nothing_left());
            }
            if self.strategy == CopyStrategy::Extract {
                if !is_tarball(path) {
                    return Err(format!("'{path}' is no tarball, expected .tar.gz or .tgz").into());
                }
                return self.extract(path, bytes, staged);
            }
            let base = path.rsplit('/').next().unwrap_or(path);
            let below = format!("{}/", self.to);
            let is_directory = self.into_directory
                || staged
                    .files
                    .range(below.clone()..)
                    .next()
                    .is_some_and(|(have, _)| have.starts_with(&below));
            let target = if is_directory { join(&self.to, base) } else { self.to.clone() };
            return self.put(target, File { bytes: bytes.into(), executable }, true, staged);
        }
        let prefix = if self.from.is_empty() { String::new() } else { format!("{}/", self.from) };
        let inside: Vec<_> = tree.files().filter(|(path, ..)| path.starts_with(&prefix)).collect();
        if inside.is_empty() {
            return Err(format!("no files match pattern '{}'", self.from).into());
        }
        if self.strategy == CopyStrategy::Extract {
            return Err(format!("'{}' is a directory, expected a tarball", self.from).into());
        }
        let name = self.from.rsplit('/').next().unwrap_or_default();
        let target = join(&self.to, name);
        let mut copied = 0;
        for (path, bytes, executable) in inside {
            if self.excludes(path, &self.from) {
                continue;
            }
            copied += 1;
            let rest = path.strip_prefix(&prefix).unwrap_or(path);
            self.put(join(&target, rest), File { bytes: bytes.into(), executable }, false, staged)?;
        }
        if copied == 0 { Err(self.nothing_left()) } else { Ok(()) }
    }

    fn glob<'a>(&self, tree: &'a MemoryTree, staged: &mut Staged<'a>) -> Result<(), Problem> {
        let prefix = literal_prefix(&self.from);
        // `prefix/**` stands for what is in a directory; other patterns keep the whole path.
        let strip =
            if self.from == "**" || self.from == format!("{prefix}/**") { prefix.as_str() } else { "" };
        let (mut matched, mut copied) = (0, 0);
        for (path, bytes, executable) in tree.files() {
            let individually = match self.strategy {
                CopyStrategy::Extract if !matches_deep(&self.from, path) => continue,
                CopyStrategy::Extract => true,
                CopyStrategy::Overwrite | CopyStrategy::Merge => match self.matches(path) {
                    Some(individually) => individually,
                    None => continue,
                },
            };
            matched += 1;
            if self.excludes(path, &prefix) {
                continue;
            }
            if self.strategy == CopyStrategy::Extract {
                if is_tarball(path) {
                    copied += 1;
                    self.extract(path, bytes, staged)?;
                }
                continue;
            }
            copied += 1;
            let rest = path.strip_prefix(strip).unwrap_or(path).trim_start_matches('/');
            self.put(join(&self.to, rest), File { bytes: bytes.into(), executable }, individually, staged)?;
        }
        if matched == 0 {
            return Err(format!("no files match pattern '{}'", self.from).into());
        }
        if copied == 0 { Err(self.nothing_left()) } else { Ok(()) }
    }

    /// Whether the pattern matches the path, or a directory above it: those are copied with all that is in them.
    fn matches(&self, path: &str) -> Option<bool> {
        if matches_parts(&self.from, path) {
            return Some(true);
        }
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        above.into_iter().any(|above| matches_parts(&self.from, above)).then_some(false)
    }

    /// Whether a pattern excludes the path or a directory above it, seen from the root or from `base`.
    fn excludes(&self, path: &str, base: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).chain(std::iter::once(path.len()));
        ends.filter_map(|end| path.get(..end)).any(|part| {
            let below = part.strip_prefix(base).map(|rest| rest.trim_start_matches('/'));
            let below = below.filter(|below| !below.is_empty() && below.len() < part.len());
            self.exclude.iter().any(|pattern| {
                // A name without slash is meant at any depth.
                let anywhere = !pattern.contains('/')
                    && part.rsplit('/').next().is_some_and(|name| matches_deep(pattern, name));
                anywhere
                    || matches_deep(pattern, part)
                    || below.is_some_and(|below| matches_deep(pattern, below))
            })
        })
    }

    fn nothing_left(&self) -> Problem {
        Problem::Text(format!("all files that match pattern '{}' are excluded", self.from))
    }

    fn extract(&self, path: &str, bytes: &[u8], staged: &mut Staged<'_>) -> Result<(), Problem> {
        let tree =
            unpack(bytes, &Limits::default()).map_err(|error| format!("cannot extract '{path}': {error}"))?;
        for (inside, bytes, executable) in tree.files() {
            let file = File { bytes: Cow::Owned(bytes.to_vec()), executable };
            staged.insert(join(&self.to, inside), file)?;
        }
        Ok(())
    }

    fn put<'a>(
        &self,
        path: String,
        mut file: File<'a>,
        individually: bool,
        staged: &mut Staged<'a>,
    ) -> Result<(), Problem> {
        if self.strategy == CopyStrategy::Merge
            && individually
            && let Some(there) = staged.files.get(&path)
        {
            let merged = merge::merge(&there.bytes, &file.bytes);
            let merged = merged.map_err(|problem| format!("cannot merge into '{path}': {problem}"))?;
            file = File { bytes: Cow::Owned(merged.into_bytes()), executable: false };
        }
        staged.insert(path, file)
    }
}

impl<'a> Staged<'a> {
    fn insert(&mut self, path: String, file: File<'a>) -> Result<(), Problem> {
        if path.is_empty() {
            return Err("a file needs a name".to_owned().into());
        }
        let above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        if let Some(file) = above.into_iter().find(|above| self.files.contains_key(*above)) {
            return Err(format!("'{path}' would lie below the file '{file}'").into());
        }
        let below = format!("{path}/");
        if self.files.range(below.clone()..).next().is_some_and(|(have, _)| have.starts_with(&below)) {
            return Err(format!("'{path}' is a directory of the artifact already").into());
        }
        self.bytes += file.bytes.len();
        if let Some(before) = self.files.insert(path, file) {
            self.bytes -= before.bytes.len();
        }
        if self.bytes > LIMITS.0 {
            return Err(Problem::TooLarge("bytes", LIMITS.0));
        }
        if self.files.len() > LIMITS.1 { Err(Problem::TooLarge("files", LIMITS.1)) } else { Ok(()) }
    }
}

fn is_tarball(path: &str) -> bool {
    path.ends_with(".tar.gz") || path.ends_with(".tgz")
}

fn join(directory: &str, path: &str) -> String {
    match (directory, path) {
        ("", path) => path.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, path) => format!("{directory}/{path}"),
    }
}

#[cfg(test)]
mod tests;
