//! Decides: nothing to do, build everything, or tell what is wrong.

use std::collections::BTreeMap;

use ferrite_api::source::{ArtifactGenerator, ArtifactGeneratorSpec, ExternalArtifact, GeneratedArtifact};
use ferrite_artifact::Health;
use kube::ResourceExt as _;

use super::{Error, Observed, Source, observe::sources_digest};

/// What one reconcile of an ArtifactGenerator will do.
#[derive(Debug)]
pub struct Plan {
    /// All of it.
    pub next: Next,
}

/// The heart of a [`Plan`].
#[derive(Debug)]
pub enum Next {
    /// The generator is at rest.
    Rest,
    /// Nothing has changed.
    Keep,
    /// Build all artifacts.
    Build(Box<Build>),
    /// Nothing can be done.
    Fail(Error),
}

/// How artifacts are made.
#[derive(Debug)]
pub struct Build {
    /// Why: the first difference that was found.
    pub(crate) drift: &'static str,
    /// The generator.
    pub(crate) name: String,
    /// Its namespace, which is that of its ExternalArtifacts.
    pub(crate) namespace: String,
    /// Its UID.
    pub(crate) uid: String,
    /// What to make.
    pub(crate) spec: ArtifactGeneratorSpec,
    /// Of what.
    pub(crate) sources: Vec<Source>,
    /// Digest of the state of the sources.
    pub(crate) sources_digest: String,
    /// What was made last.
    pub(crate) inventory: Vec<GeneratedArtifact>,
    /// The ExternalArtifacts there are.
    pub(crate) existing: BTreeMap<String, ExternalArtifact>,
}

pub(super) fn plan(generator: &ArtifactGenerator, observed: &Observed) -> Plan {
    if observed.disabled {
        return Plan { next: Next::Rest };
    }
    let sources = match &observed.sources {
        Ok(sources) => sources,
        Err(error) => return Plan { next: Next::Fail(error.clone()) },
    };
    let sources_digest = sources_digest(sources);
    let Some(drift) = drift(generator, observed, &sources_digest) else { return Plan { next: Next::Keep } };
    Plan {
        next: Next::Build(Box::new(Build {
            drift,
            name: generator.name_any(),
            namespace: generator.namespace().unwrap_or_default(),
            uid: generator.uid().unwrap_or_default(),
            spec: generator.spec.clone(),
            sources: sources.clone(),
            sources_digest,
            inventory: generator.status.clone().unwrap_or_default().inventory,
            existing: observed.existing.clone(),
        })),
    }
}

/// The first difference to what was made last.
fn drift(generator: &ArtifactGenerator, observed: &Observed, sources_digest: &str) -> Option<&'static str> {
    let status = generator.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let inventory: BTreeMap<&str, &str> =
        status.inventory.iter().map(|one| (one.name.as_str(), one.digest.as_str())).collect();
    if ready.is_none_or(|ready| ready.status != "True") {
        return Some("NotReady");
    }
    if ready.and_then(|ready| ready.observed_generation) != generator.metadata.generation {
        return Some("GenerationChanged");
    }
    if status.observed_sources_digest.as_deref() != Some(sources_digest) {
        return Some("SourcesChanged");
    }
    if generator.spec.path_pattern.is_none() && inventory.len() != generator.spec.artifacts.len() {
        return Some("ArtifactsChanged");
    }
    match observed.stored {
        Health::Good => {}
        Health::Missing => return Some("ArtifactMissing"),
        Health::Corrupt => return Some("ArtifactCorrupted"),
    }
    if inventory.keys().any(|name| !observed.existing.contains_key(*name)) {
        return Some("ExternalArtifactsNotFound");
    }
    let same = |(name, object): (&String, &ExternalArtifact)| {
        let artifact = object.status.as_ref().and_then(|status| status.artifact.as_ref());
        let digest = artifact.map(|artifact| artifact.digest.as_str());
        digest.is_some() && digest == inventory.get(name.as_str()).copied()
    };
    (!observed.existing.iter().all(same)).then_some("ExternalArtifactsChanged")
}
