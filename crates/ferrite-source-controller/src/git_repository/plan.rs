//! Decides: keep the artifact, build a new one, or tell what is wrong.

use std::fmt;

use ferrite_api::{Artifact, ConditionType, source::GitRepository};
use ferrite_artifact::{Health, ObjectDirectory};
use ferrite_git::{Client, Head};

use super::{Error, Included, Observed, observe::artifact_of, verify::Verification};
use crate::storage::{self, Before};

/// What one reconcile of a GitRepository will do.
#[derive(Debug)]
pub struct Plan {
    /// What is done about the storage first.
    pub before: Before,
    /// What comes after that.
    pub next: Next,
}

/// The heart of a [`Plan`].
#[derive(Debug)]
pub enum Next {
    /// Nothing moved: the artifact stays, at the address where it is served now.
    Keep {
        /// The artifact.
        artifact: Artifact,
        /// The artifacts that are copied into it.
        included: Vec<Artifact>,
    },
    /// Fetch a commit and store it.
    Build(Box<Build>),
    /// Nothing can be done.
    Fail(Error),
}

/// How an artifact is made.
#[derive(Debug)]
pub struct Build {
    /// Whom to ask.
    pub(crate) client: Client,
    /// The commit.
    pub(crate) head: Head,
    /// Why a new artifact is needed.
    pub(crate) why: Why,
    /// Where it goes.
    pub(crate) directory: ObjectDirectory,
    /// The name of its file.
    pub(crate) file: String,
    /// Further ignore patterns; `spec.ignore`.
    pub(crate) ignore: Option<String>,
    /// Directories to take; all when empty.
    pub(crate) sparse: Vec<String>,
    /// What is copied into it, in order.
    pub(crate) included: Vec<Included>,
    /// Which signatures have to be there.
    pub(crate) verify: Option<Verification>,
    /// Whether submodules have to be fetched.
    pub(crate) submodules: bool,
}

/// Why an artifact is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is none, or it was lost.
    NoArtifact,
    /// The reference means another commit than the artifact's.
    NewRevision,
    /// The included artifacts are others.
    IncludeChange,
    /// The commit or its tag has not been verified as asked.
    Verification,
    /// Ignore patterns, includes, sparse checkout or submodules were configured otherwise.
    Configuration,
}

pub(super) fn plan(repository: &GitRepository, observed: &Observed) -> Plan {
    let artifact = artifact_of(repository);
    let directory = storage::directory(repository);
    let before = storage::before(directory.as_ref().ok(), artifact, observed.stored);
    let next = match (&observed.source, &observed.included, directory) {
        (Err(error), _, _) | (Ok(_), Err(error), _) => Next::Fail(error.clone()),
        (Ok(_), Ok(_), Err(error)) => Next::Fail(Error::Store(std::sync::Arc::new(error))),
        (Ok((client, head)), Ok(included), Ok(directory)) => {
            let stored = artifact.filter(|_| observed.stored == Some(Health::Good));
            match up_to_date(repository, stored, head, included) {
                Ok(stored) => keep(stored, included, &observed.url_of),
                Err(why) => Next::Build(Box::new(build(repository, client, head, why, directory, included))),
            }
        }
    };
    Plan { before, next }
}

fn keep(stored: &Artifact, included: &[Included], url_of: &str) -> Next {
    let artifact = Artifact { url: format!("{url_of}{}", stored.path), ..stored.clone() };
    Next::Keep { artifact, included: included.iter().map(|one| one.artifact.clone()).collect() }
}

fn build(
    repository: &GitRepository,
    client: &Client,
    head: &Head,
    why: Why,
    directory: ObjectDirectory,
    included: &[Included],
) -> Build {
    let spec = &repository.spec;
    Build {
        client: client.clone(),
        head: head.clone(),
        why,
        directory,
        file: format!("{}.tar.gz", head.commit),
        ignore: spec.ignore.clone(),
        sparse: spec.sparse_checkout.clone(),
        included: included.to_vec(),
        verify: Verification::of(repository),
        submodules: spec.recurse_submodules,
    }
}

/// The stored artifact when it is that of the revision and of the spec, else why a new one is needed.
fn up_to_date<'a>(
    repository: &GitRepository,
    stored: Option<&'a Artifact>,
    head: &Head,
    included: &[Included],
) -> Result<&'a Artifact, Why> {
    let (stored, status) = stored.zip(repository.status.as_ref()).ok_or(Why::NoArtifact)?;
    if normalised(&stored.revision) != head.revision() {
        return Err(Why::NewRevision);
    }
    let same = |have: &Artifact, new: &Artifact| have.revision == new.revision && have.digest == new.digest;
    let includes_stay = status.included_artifacts.len() == included.len()
        && status.included_artifacts.iter().zip(included).all(|(have, new)| same(have, &new.artifact));
    if !includes_stay {
        return Err(Why::IncludeChange);
    }
    if !is_verified(repository) {
        return Err(Why::Verification);
    }
    let spec = &repository.spec;
    let configured = spec.ignore == status.observed_ignore
        && spec.recurse_submodules == status.observed_recurse_submodules
        && spec.include == status.observed_include
        && spec.sparse_checkout == status.observed_sparse_checkout;
    if configured { Ok(stored) } else { Err(Why::Configuration) }
}

/// Whether the artifact was verified as this generation of the spec asks.
fn is_verified(repository: &GitRepository) -> bool {
    let Some(asked) = Verification::of(repository) else { return true };
    let Some(status) = &repository.status else { return false };
    let condition = status.conditions.iter().find(|c| c.type_ == ConditionType::SourceVerified.as_str());
    let stands = condition
        .is_some_and(|c| c.status == "True" && c.observed_generation == repository.metadata.generation);
    stands && asked.is_covered_by(status.source_verification_mode)
}

/// A revision in today's form; before Flux v2.0 it was `main/<hash>`.
fn normalised(revision: &str) -> String {
    let is_hash = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match revision.rsplit_once('/') {
        Some((name, hash)) if is_hash(hash) && !revision.contains(':') => format!("{name}@sha1:{hash}"),
        _ => revision.to_owned(),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.next {
            Next::Keep { artifact, .. } => write!(f, "keep {} at {}", artifact.revision, artifact.url),
            Next::Build(build) => {
                write!(f, "build {} ({:?}) into {}/{}", build.head, build.why, build.directory, build.file)?;
                if let Some(ignore) = &build.ignore {
                    write!(f, ", ignoring {ignore:?}")?;
                }
                if !build.sparse.is_empty() {
                    write!(f, ", only {}", build.sparse.join(" "))?;
                }
                if let Some(verify) = &build.verify {
                    write!(f, ", verifying {} with {}", verify.mode, verify.keys)?;
                }
                build.included.iter().try_for_each(|one| write!(f, ", with {}", one.include.repository.name))
            }
            Next::Fail(error) => write!(f, "fail: {}", ferrite_runtime::chain(error)),
        }
    }
}
