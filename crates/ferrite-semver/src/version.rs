//! Versions: parsing and order.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::Error;

/// Longest text that is looked at; a longer one is not a version anybody wrote.
const MAX_BYTES: usize = 256;

/// A semantic version. Equality and order ignore build metadata (semver.org §10).
#[derive(Debug, Clone)]
pub struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) pre: String,
    build: String,
    original: String,
    parts: u8,
}

impl Version {
    /// Reads a version leniently: a leading `v` is dropped, missing minor and patch are 0, leading zeros are accepted.
    ///
    /// # Errors
    /// [`Error::Version`] or [`Error::Part`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Version(text.chars().take(64).collect());
        if text.len() > MAX_BYTES {
            return Err(wrong());
        }
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (rest, build) = bare.split_once('+').map_or((bare, None), |(rest, build)| (rest, Some(build)));
        let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(numbers, pre)| (numbers, Some(pre)));
        let mut segments = [0_u64; 3];
        let mut parts = 0_u8;
        for number in numbers.split('.') {
            let slot = segments.get_mut(usize::from(parts)).ok_or_else(wrong)?;
            if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
                return Err(wrong());
            }
            *slot = number.parse().map_err(|_| Error::Part {
                version: text.to_owned(),
                problem: "a number does not fit 64 bits",
            })?;
            parts += 1;
        }
        for extra in [pre, build].into_iter().flatten() {
            if !extra.split('.').all(is_identifier) {
                return Err(wrong());
            }
        }
        let pre = pre.unwrap_or_default();
        if pre.split('.').any(|part| part.len() > 1 && part.starts_with('0') && is_number(part)) {
            let problem = "a numeric part of the prerelease starts with 0";
            return Err(Error::Part { version: text.to_owned(), problem });
        }
        let [major, minor, patch] = segments;
        let build = build.unwrap_or_default().to_owned();
        Ok(Self { major, minor, patch, pre: pre.to_owned(), build, original: text.to_owned(), parts })
    }

    /// Reads a version that names major, minor and patch, as Flux demands of Git and OCI tags
    /// (`fluxcd/pkg/version.ParseVersion`); a leading `v` is still dropped.
    ///
    /// # Errors
    /// As [`Version::parse`], and [`Error::Part`] when a number is missing.
    pub fn parse_full(text: &str) -> Result<Self, Error> {
        let version = Self::parse(text)?;
        if version.parts != 3 {
            return Err(Error::Part {
                version: text.to_owned(),
                problem: "expected three numbers, as in 1.2.3",
            });
        }
        Ok(version)
    }

    /// The major number.
    #[must_use]
    pub const fn major(&self) -> u64 {
        self.major
    }

    /// The minor number, 0 when not given.
    #[must_use]
    pub const fn minor(&self) -> u64 {
        self.minor
    }

    /// The patch number, 0 when not given.
    #[must_use]
    pub const fn patch(&self) -> u64 {
        self.patch
    }

    /// The prerelease part without its hyphen; empty for a release.
    #[must_use]
    pub fn prerelease(&self) -> &str {
        &self.pre
    }

    /// The build metadata without its plus sign; empty when there is none.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.build
    }

    /// The text this version was read from.
    #[must_use]
    pub fn original(&self) -> &str {
        &self.original
    }

    const fn numbers(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }
}

/// The canonical form: three numbers, no `v`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers().cmp(&other.numbers()).then_with(|| compare_prerelease(&self.pre, &other.pre))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.numbers().hash(state);
        self.pre.hash(state);
    }
}

pub(crate) fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (is_number(a), is_number(b)) {
                // Without leading zeros the longer number is the larger one, whatever its size.
                (true, true) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
}

pub(crate) fn is_identifier(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
