//! Clean relative paths.

use std::fmt;

use crate::Error;

const MAX_PATH_BYTES: usize = 4096;

/// A clean path relative to the root of a tree: no `.`, no `..`, no empty segment, no leading or trailing slash.
///
/// The root itself is the empty path and is shown as `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(String);

impl TreePath {
    /// The root of a tree.
    #[must_use]
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Cleans `path`.
    ///
    /// # Errors
    /// [`Error::Absolute`] for a leading slash, [`Error::Escapes`] when `..` climbs above the root,
    /// [`Error::Unusable`] for a NUL or more than 4096 bytes.
    pub fn new(path: &str) -> Result<Self, Error> {
        Self::root().join(path)
    }

    /// Appends a relative path, resolving `.` and `..` by their text.
    ///
    /// # Errors
    /// As [`TreePath::new`].
    pub fn join(&self, relative: &str) -> Result<Self, Error> {
        if relative.len() > MAX_PATH_BYTES || relative.contains('\0') {
            return Err(Error::Unusable { path: relative.chars().take(64).collect() });
        }
        if relative.starts_with('/') {
            return Err(Error::Absolute { path: relative.to_owned() });
        }
        let mut joined = self.0.clone();
        for segment in relative.split('/') {
            match segment {
                "" | "." => {}
                ".." if joined.is_empty() => {
                    return Err(Error::Escapes { path: relative.to_owned() });
                }
                ".." => joined.truncate(joined.rfind('/').unwrap_or(0)),
                name => {
                    if !joined.is_empty() {
                        joined.push('/');
                    }
                    joined.push_str(name);
                }
            }
        }
        if joined.len() > MAX_PATH_BYTES {
            return Err(Error::Unusable { path: relative.chars().take(64).collect() });
        }
        Ok(Self(joined))
    }

    /// The path's text; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for the root of the tree.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory that holds this path; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(self.0.rsplit_once('/').map_or_else(Self::root, |(parent, _)| Self(parent.to_owned())))
    }

    /// The last segment; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// True when `self` is `directory` or lies below it.
    #[must_use]
    pub fn is_within(&self, directory: &Self) -> bool {
        directory.0.is_empty()
            || self.0.strip_prefix(&directory.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// `self` as seen from `directory`, with `..` where needed; `.` when they are equal.
    #[must_use]
    pub fn relative_to(&self, directory: &Self) -> String {
        let mine: Vec<&str> = self.segments().collect();
        let theirs: Vec<&str> = directory.segments().collect();
        let shared = mine.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        let mut parts = vec![".."; theirs.len() - shared];
        parts.extend(mine.iter().skip(shared));
        if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
    }

    /// The segments from the root down.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::TreePath;

    #[track_caller]
    fn check(base: &str, relative: &str, expect: &str) {
        let joined = TreePath::new(base).unwrap().join(relative);
        let shown = joined.map_or_else(|error| error.to_string(), |path| path.to_string());
        assert!(shown.starts_with(expect), "{base} + {relative}: {shown}");
    }

    #[test]
    fn paths_are_cleaned_and_stay_inside() {
        check("", ".", ".");
        check("a/b", "../c//./d/", "a/c/d");
        check("a", "..", ".");
        check("a", "../..", "'../..' leads out of the root");
        check("a", "/etc", "'/etc' is absolute");
        check("a", "b\0c", "'b\0c' is not a usable path");
    }

    #[test]
    fn relations_between_paths() {
        let path = |text: &str| TreePath::new(text).unwrap();
        assert!(path("a/b").is_within(&path("a")));
        assert!(!path("ab").is_within(&path("a")));
        assert!(path("x").is_within(&TreePath::root()));
        assert_eq!(path("a/b/c").relative_to(&path("a/d")), "../b/c");
        assert_eq!(path("a").relative_to(&path("a")), ".");
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(TreePath::root()));
        assert_eq!(TreePath::root().parent(), None);
        assert_eq!(path("a/b").file_name(), "b");
    }
}
