//! ferrite-semver.
