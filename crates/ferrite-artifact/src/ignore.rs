//! Which files of a source stay out of its artifact.
//!
//! Patterns are those of `.gitignore`, matched the way go-git v5 (`plumbing/format/gitignore`) does, which is what
//! source-controller uses; it differs from git itself in that a file below an excluded directory can be re-included.

mod glob;

use crate::{Item, ItemKind, archive::component_order};

/// Bytes of one file of patterns.
const FILE_LIMIT: usize = 1 << 20;
/// Patterns of one source.
const PATTERN_LIMIT: usize = 10_000;

/// Version control's own files; always excluded unless re-included by name.
const VCS: &[&str] = &[".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// What is excluded when a source brings no pattern of its own.
const DEFAULTS: &[&str] = &[
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// Whether `pattern` matches all of one `name` of a path, as Go's `path.Match`; `None` when the pattern is malformed.
#[must_use]
pub fn matches_name(pattern: &str, name: &str) -> Option<bool> {
    glob::matches(pattern, name)
}

/// Ignore rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IgnoreError {
    /// A `.sourceignore` could not be read.
    #[error("cannot read '{path}'")]
    Read {
        /// Its path.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A `.sourceignore` is too large.
    #[error("'{path}' has {size} bytes of ignore patterns, at most {limit} are allowed")]
    TooLarge {
        /// Its path.
        path: String,
        /// Its size in bytes.
        size: usize,
        /// The bound in bytes.
        limit: usize,
    },
    /// There are too many patterns.
    #[error("the source has more than {limit} ignore patterns")]
    TooMany {
        /// The bound.
        limit: usize,
    },
}

/// The ignore rules of one source; the last pattern that matches decides.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    patterns: Vec<Pattern>,
}

impl Rules {
    /// The name of the files that hold patterns.
    pub const FILE_NAME: &str = ".sourceignore";

    /// Excludes nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These patterns and no others: not even version control's files are excluded by themselves.
    ///
    /// # Errors
    /// [`IgnoreError::TooLarge`] and [`IgnoreError::TooMany`].
    pub fn only<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, IgnoreError> {
        let mut patterns = Vec::new();
        for text in texts {
            let (size, limit) = (text.len(), FILE_LIMIT);
            if size > limit {
                return Err(IgnoreError::TooLarge { path: Self::FILE_NAME.to_owned(), size, limit });
            }
            add_lines(&mut patterns, "", text)?;
        }
        Ok(Self { patterns })
    }

    /// The rules of a source that brings no `.sourceignore`: version control's files, and `spec_ignore` or else the
    /// default patterns.
    ///
    /// # Errors
    /// [`IgnoreError::TooMany`].
    pub fn new(spec_ignore: Option<&str>) -> Result<Self, IgnoreError> {
        let mut own = Vec::new();
        add_lines(&mut own, "", spec_ignore.unwrap_or_default())?;
        Ok(Self::over_defaults(own))
    }

    /// The rules of a source: every `.sourceignore` in `items`, each for its directory, then `spec_ignore`.
    ///
    /// As soon as there is one pattern of the source's own, the default patterns no longer apply; version control's
    /// files are excluded in any case.
    ///
    /// # Errors
    /// When a file of patterns cannot be read or is too large, or when there are more than 10 000 patterns.
    pub fn load<S, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        items: &[Item<S>],
        spec_ignore: Option<&str>,
        mut read: impl FnMut(&S) -> Result<Vec<u8>, E>,
    ) -> Result<Self, IgnoreError> {
        let mut files: Vec<(&str, &Item<S>)> = items
            .iter()
            .filter(|item| matches!(item.kind, ItemKind::File { .. }))
            .filter_map(|item| match item.path.rsplit_once('/') {
                Some((directory, Self::FILE_NAME)) => Some((directory, item)),
                None if item.path == Self::FILE_NAME => Some(("", item)),
                _ => None,
            })
            .filter(|(directory, _)| directory.split('/').all(|name| name != ".git"))
            .collect();
        files.sort_by(|(left, _), (right, _)| component_order(left, right));
        let mut own = Vec::new();
        for (directory, item) in files {
            let path = || item.path.clone();
            let bytes = read(&item.content)
                .map_err(|error| IgnoreError::Read { path: path(), source: error.into() })?;
            if bytes.len() > FILE_LIMIT {
                return Err(IgnoreError::TooLarge { path: path(), size: bytes.len(), limit: FILE_LIMIT });
            }
            add_lines(&mut own, directory, &String::from_utf8_lossy(&bytes))?;
        }
        add_lines(&mut own, "", spec_ignore.unwrap_or_default())?;
        Ok(Self::over_defaults(own))
    }

    fn over_defaults(own: Vec<Pattern>) -> Self {
        let mut patterns: Vec<Pattern> = VCS.iter().map(|line| Pattern::parse(line, "")).collect();
        if own.is_empty() {
            patterns.extend(DEFAULTS.iter().map(|line| Pattern::parse(line, "")));
        }
        patterns.extend(own);
        Self { patterns }
    }

    /// Whether `path`, relative to the root of the source, stays out.
    #[must_use]
    pub fn excludes(&self, path: &str, is_directory: bool) -> bool {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let decided = self.patterns.iter().rev().find(|pattern| pattern.matches(&names, is_directory));
        decided.is_some_and(|pattern| !pattern.includes)
    }

    /// How many patterns there are.
    pub(crate) fn len(&self) -> usize {
        self.patterns.len()
    }
}

fn add_lines(patterns: &mut Vec<Pattern>, directory: &str, text: &str) -> Result<(), IgnoreError> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    for line in lines {
        if patterns.len() >= PATTERN_LIMIT {
            return Err(IgnoreError::TooMany { limit: PATTERN_LIMIT });
        }
        patterns.push(Pattern::parse(line, directory));
    }
    Ok(())
}

/// One line of ignore patterns.
#[derive(Debug, Clone)]
struct Pattern {
    /// The directory it is for, by name.
    domain: Vec<String>,
    /// Its segments; one segment matches a name anywhere.
    segments: Vec<String>,
    includes: bool,
    only_directories: bool,
}

impl Pattern {
    fn parse(line: &str, directory: &str) -> Self {
        let (includes, mut text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if !text.ends_with("\\ ") {
            text = text.trim_end_matches(' ');
        }
        let only_directories = text.ends_with('/');
        text = text.strip_suffix('/').unwrap_or(text);
        Self {
            domain: directory.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            segments: text.split('/').map(str::to_owned).collect(),
            includes,
            only_directories,
        }
    }

    fn matches(&self, path: &[&str], is_directory: bool) -> bool {
        let Some((domain, path)) = path.split_at_checked(self.domain.len()) else { return false };
        if path.is_empty() || domain.iter().ne(self.domain.iter()) {
            return false;
        }
        match self.segments.as_slice() {
            [name] => self.matches_name(name, path, is_directory),
            segments => self.matches_path(segments, path, is_directory),
        }
    }

    /// A pattern without inner slash: the first part of the path it fits decides.
    fn matches_name(&self, pattern: &str, path: &[&str], is_directory: bool) -> bool {
        for (index, name) in path.iter().enumerate() {
            match glob::matches(pattern, name) {
                None => return false,
                Some(false) => {}
                Some(true) => return !self.only_directories || is_directory || index + 1 < path.len(),
            }
        }
        false
    }

    /// A pattern with a slash: from the domain's root down, `**` standing for any number of directories.
    fn matches_path(&self, segments: &[String], path: &[&str], is_directory: bool) -> bool {
        let last = segments.len() - 1;
        let (mut rest, mut matched, mut skips) = (path, false, false);
        for (index, segment) in segments.iter().enumerate() {
            match segment.as_str() {
                "" => {
                    skips = false;
                    continue;
                }
                "**" if index == last => break,
                "**" => {
                    skips = true;
                    continue;
                }
                other if other.contains("**") => return false,
                _ => {}
            }
            loop {
                let Some((name, below)) = rest.split_first() else { return false };
                rest = below;
                match glob::matches(segment, name) {
                    None => return false,
                    Some(true) => break matched = true,
                    Some(false) if skips && !rest.is_empty() => {}
                    Some(false) => return false,
                }
            }
            // What is left of the pattern needs something below.
            if rest.is_empty() && index < last && !skips {
                matched = false;
            }
            skips = false;
        }
        matched && !(self.only_directories && !is_directory && rest.is_empty())
    }
}

#[cfg(test)]
mod tests;
