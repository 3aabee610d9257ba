//! Sources: `source.toolkit.fluxcd.io`.

mod git_repository;

pub use git_repository::{
    GitProvider, GitRepository, GitRepositoryInclude, GitRepositoryReference, GitRepositorySpec,
    GitRepositoryStatus, GitRepositoryVerification, GitVerificationMode,
};

/// The group of the sources.
pub const GROUP: &str = "source.toolkit.fluxcd.io";

/// Time that one operation on a source may take when the object does not say.
pub(crate) const DEFAULT_TIMEOUT: crate::Duration = crate::Duration::from_secs(60);
