//! Ranges: groups joined by `||`, of comparisons joined by spaces or commas.

use std::fmt;

use crate::version::compare_prerelease;
use crate::{Error, Version};

/// Longest text that is looked at.
const MAX_BYTES: usize = 1024;

/// A version range, such as `>=1.0.0 <2.0.0 || ^3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    groups: Vec<Group>,
    original: String,
}

/// Comparisons that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    comparisons: Vec<Comparison>,
    /// Some comparison of the group names a prerelease, so prereleases count in all of it.
    prereleases: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    version: Version,
    precision: Precision,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

/// How much of the version was written out; the rest is a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Any,
    Major,
    Minor,
    Full,
}

impl Constraint {
    /// Reads a range.
    ///
    /// # Errors
    /// [`Error::Constraint`] with the group that does not parse, or the error of the version in it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            return Err(Error::Constraint(text.chars().take(64).collect()));
        }
        let groups = text.split("||").map(Group::parse).collect::<Result<_, _>>()?;
        Ok(Self { groups, original: text.to_owned() })
    }

    /// Whether `version` lies in the range.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            (version.pre.is_empty() || group.prereleases)
                && group.comparisons.iter().all(|c| c.holds(version))
        })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

impl std::str::FromStr for Constraint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Group {
    fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Constraint(text.trim().to_owned());
        let mut comparisons = Vec::new();
        let mut rest = text.trim_start();
        loop {
            let (operator, after) = Operator::take(rest);
            let (operand, after) = take_operand(after.trim_start()).ok_or_else(wrong)?;
            if let Some((upper, after)) = take_hyphen(after) {
                // `a - b`; a comparison operator before it makes no sense.
                if operator.is_some() {
                    return Err(wrong());
                }
                comparisons.push(Comparison::new(Operator::GreaterOrEqual, operand)?);
                comparisons.push(Comparison::new(Operator::LessOrEqual, upper)?);
                rest = after;
            } else {
                comparisons.push(Comparison::new(operator.unwrap_or(Operator::Equal), operand)?);
                rest = after;
            }
            let next = rest.trim_start();
            if next.is_empty() {
                break;
            }
            rest = match next.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if next.len() < rest.len() => next,
                None => return Err(wrong()),
            };
        }
        let prereleases = comparisons.iter().any(|c| !c.version.pre.is_empty());
        Ok(Self { comparisons, prereleases })
    }
}

impl Operator {
    fn take(text: &str) -> (Option<Self>, &str) {
        const SPELLINGS: [(&str, Operator); 11] = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("=>", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("=<", Operator::LessOrEqual),
            ("~>", Operator::Tilde),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("~", Operator::Tilde),
            ("^", Operator::Caret),
        ];
        SPELLINGS
            .iter()
            .find_map(|(spelling, operator)| Some((Some(*operator), text.strip_prefix(spelling)?)))
            .unwrap_or((None, text))
    }
}

/// Splits a version, possibly with wildcards, off the front of `text`.
fn take_operand(text: &str) -> Option<(&str, &str)> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '*' | '-' | '+');
    let end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    let (operand, rest) = text.split_at_checked(end)?;
    (!operand.is_empty()).then_some((operand, rest))
}

/// Recognises ` - 1.2.3`: a hyphen with space on both sides, and a version.
fn take_hyphen(text: &str) -> Option<(&str, &str)> {
    let after = text.trim_start();
    if after.len() == text.len() {
        return None;
    }
    let after = after.strip_prefix('-')?;
    let upper = after.trim_start();
    if upper.len() == after.len() {
        return None;
    }
    take_operand(upper)
}

impl Comparison {
    fn new(operator: Operator, operand: &str) -> Result<Self, Error> {
        let bare = operand.strip_prefix('v').unwrap_or(operand);
        let end = bare.find(['-', '+']).unwrap_or(bare.len());
        let (numbers, suffix) = bare.split_at_checked(end).unwrap_or((bare, ""));
        let pre = suffix.split('+').next().unwrap_or_default();
        let mut precision = Precision::Full;
        let mut written = Vec::new();
        let segments: Vec<&str> = numbers.split('.').collect();
        for index in 0..3 {
            match segments.get(index) {
                Some(number) if !matches!(*number, "x" | "X" | "*") => written.push(*number),
                // What follows a wildcard is dropped: `1.x.3` is `1.x`.
                _ => {
                    precision = [Precision::Any, Precision::Major, Precision::Minor][index];
                    break;
                }
            }
        }
        let after = segments.iter().skip(written.len() + 1);
        if segments.len() > 3
            || after.into_iter().any(|s| !s.bytes().all(|b| b.is_ascii_digit() || b"xX*".contains(&b)))
        {
            return Err(Error::Constraint(operand.to_owned()));
        }
        written.resize(3, "0");
        let version = Version::parse(&format!("{}{pre}", written.join(".")))
            .map_err(|_| Error::Constraint(operand.to_owned()))?;
        Ok(Self { operator, version, precision })
    }

    /// Whether the comparison holds; that prereleases count at all was decided by the group.
    fn holds(&self, v: &Version) -> bool {
        let c = &self.version;
        match self.operator {
            Operator::Equal if self.precision == Precision::Full => v == c,
            Operator::Equal | Operator::Tilde => self.tilde(v),
            Operator::NotEqual => match self.precision {
                Precision::Full | Precision::Any => v != c,
                Precision::Major => v.major != c.major,
                Precision::Minor => {
                    (v.major, v.minor) != (c.major, c.minor) || compare_prerelease(&v.pre, &c.pre).is_ne()
                }
            },
            Operator::Greater => match self.precision {
                Precision::Full | Precision::Any => v > c,
                Precision::Major => v.major > c.major,
                Precision::Minor => (v.major, v.minor) > (c.major, c.minor),
            },
            Operator::GreaterOrEqual => v >= c,
            Operator::Less => v < c,
            Operator::LessOrEqual => match self.precision {
                Precision::Full => v <= c,
                Precision::Major => v.major <= c.major,
                Precision::Minor | Precision::Any => (v.major, v.minor) <= (c.major, c.minor),
            },
            Operator::Caret => self.caret(v),
        }
    }

    fn tilde(&self, v: &Version) -> bool {
        let c = &self.version;
        if v < c {
            return false;
        }
        // `~0.0.0` and `*` take every version; Masterminds reads `~0.0.0` as a wildcard.
        let zero = (c.major, c.minor, c.patch) == (0, 0, 0);
        if zero && matches!(self.precision, Precision::Any | Precision::Full) {
            return true;
        }
        v.major == c.major && (v.minor == c.minor || self.precision == Precision::Major)
    }

    fn caret(&self, v: &Version) -> bool {
        let c = &self.version;
        if v < c || v.major != c.major {
            return false;
        }
        if c.major > 0 || self.precision == Precision::Major {
            return true;
        }
        if v.minor != c.minor {
            return false;
        }
        c.minor > 0 || self.precision == Precision::Minor || v.patch == c.patch
    }
}
