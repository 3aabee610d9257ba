//! Semantic versions and the version ranges that Flux and Helm accept.
//!
//! ```text
//! "v1.2" ──▶ Version ──┐
//!                      ├─▶ matches? newest?
//! ">=1.0 <2" ─▶ Constraint
//! ```
//!
//! The rules are those of `Masterminds/semver` v3.4, which Flux and Helm use; the crates `semver` and `node-semver`
//! differ from it in prerelease handling, `!=`, `=>` and `||`.
//!
//! ```
//! use ferrite_semver::{Constraint, Version};
//!
//! let range = Constraint::parse("^1.2 || ~3.4.x")?;
//! assert!(range.matches(&Version::parse("v1.9.0")?));
//! assert!(!range.matches(&Version::parse("1.9.0-rc.1")?), "a prerelease only counts where the range names one");
//! # Ok::<(), ferrite_semver::Error>(())
//! ```
//!
//! **Invariants.** Pure and total: no input panics. Ordering ignores build metadata, as the specification says.

mod constraint;
#[cfg(test)]
mod tests;
mod version;

pub use constraint::Constraint;
pub use version::Version;

/// Why a text is not a version or not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a version at all.
    #[error("`{0}` is not a semantic version, expected something like 1.2.3, v1.2.3 or 1.2.3-rc.1")]
    Version(String),
    /// A number, prerelease or build part breaks the rules.
    #[error("`{version}` is not a semantic version: {problem}")]
    Part {
        /// The text given.
        version: String,
        /// Which rule it breaks.
        problem: &'static str,
    },
    /// Not a range.
    #[error(
        "`{0}` is not a version range, expected something like `>=1.0.0 <2.0.0`, `^1.2`, `~1.2.3`, `1.x` or `1.0 - 2.0`"
    )]
    Constraint(String),
}
