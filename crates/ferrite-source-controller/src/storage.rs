//! What every source does about its stored artifact before it looks at the remote.

use std::time::SystemTime;

use ferrite_api::{Artifact, ConditionType, Reason};
use ferrite_artifact::{Health, ObjectDirectory, StoreError};
use ferrite_runtime::{Event, Progress};
use kube::ResourceExt as _;
use serde_json::Value;

use crate::context::Context;

/// The storage as a reconcile finds it, and what is to be done about it first.
#[derive(Debug, Default)]
pub struct Before {
    /// The status names an artifact that is not stored.
    pub(crate) lost: bool,
    /// The digest of the artifact that the status names.
    pub(crate) previous_digest: Option<String>,
    /// Remove old files from this directory, but not the one of the current artifact.
    pub(crate) collect: Option<(ObjectDirectory, String)>,
}

/// What was done about it.
#[derive(Debug, Default)]
pub(crate) struct Started {
    pub(crate) lost: bool,
    pub(crate) previous_digest: Option<String>,
    /// How many old artifacts were removed.
    pub(crate) collected: usize,
}

/// The directory of an object.
pub(crate) fn directory<K: kube::Resource<DynamicType = ()>>(
    object: &K,
) -> Result<ObjectDirectory, StoreError> {
    ObjectDirectory::new(&K::kind(&()), &object.namespace().unwrap_or_default(), &object.name_any())
}

/// Whether the artifact lies where this object's artifacts do; a status that says otherwise is not believed.
pub(crate) fn is_own<K: kube::Resource<DynamicType = ()>>(artifact: &Artifact, object: &K) -> bool {
    let inside = |place: ObjectDirectory| {
        artifact.path.strip_prefix(&place.path()).is_some_and(|rest| rest.starts_with('/'))
    };
    directory(object).is_ok_and(inside)
}

/// What became of the artifact that the status names; `None` when it names none.
///
/// A lost artifact leaves the status at once: nobody should try to download it while it is built anew.
pub(crate) async fn look<K: kube::Resource<DynamicType = ()>>(
    context: &Context,
    object: &K,
    artifact: Option<&Artifact>,
    step: &Progress,
) -> Result<Option<Health>, StoreError> {
    let Some(artifact) = artifact else {
        step.say_drift(format_args!("building artifact"));
        return Ok(None);
    };
    let health = if is_own(artifact, object) { context.check(artifact).await? } else { Health::Missing };
    match health {
        Health::Good => return Ok(Some(health)),
        Health::Missing => {}
        Health::Corrupt => {
            let problem = format!(
                "failed to verify integrity of artifact: the stored file of '{}' does not have the digest '{}'; it was removed",
                artifact.revision, artifact.digest
            );
            step.event(Event::error("ArtifactVerificationFailed", problem));
        }
    }
    step.field("artifact", Value::Null);
    step.unmark(ConditionType::ArtifactInStorage);
    step.say_drift(format_args!("building artifact: disappeared from storage"));
    Ok(Some(health))
}

/// What is to be done first, for the artifact that the status names.
pub(crate) fn before(
    directory: Option<&ObjectDirectory>,
    artifact: Option<&Artifact>,
    stored: Option<Health>,
) -> Before {
    let current =
        artifact.and_then(|artifact| artifact.path.rsplit_once('/')).map(|(_, file)| file.to_owned());
    Before {
        lost: stored.is_some_and(|health| health != Health::Good),
        previous_digest: artifact.map(|artifact| artifact.digest.clone()),
        collect: directory.cloned().zip(current),
    }
}

/// Does it. Old files that cannot be removed now are tried again with the next reconcile.
pub(crate) async fn begin(context: &Context, before: Before) -> Started {
    let Before { lost, previous_digest, collect } = before;
    let mut started = Started { lost, previous_digest, collected: 0 };
    if let Some((directory, current)) = collect {
        let (retention, now) = (context.retention, SystemTime::from(context.clock.now()));
        match context.blocking(move |store| store.collect(&directory, &current, retention, now)).await {
            Ok(removed) => started.collected = removed.len(),
            Err(error) => {
                tracing::warn!(error = %ferrite_runtime::chain(&error), "old artifacts were not removed");
            }
        }
    }
    started
}

impl Started {
    /// The event about removed files, if there were any.
    pub(crate) fn event(&self) -> Option<Event> {
        let message = || format!("garbage collected {} artifacts", self.collected);
        (self.collected > 0).then(|| Event::trace(Reason::GarbageCollectionSucceeded, message()))
    }
}

/// Removes everything stored for an object that is being deleted.
pub(crate) async fn teardown<K: kube::Resource<DynamicType = ()>>(
    context: &Context,
    object: &K,
) -> Result<Vec<Event>, StoreError> {
    let directory = directory(object)?;
    let removed = context.blocking(move |store| store.remove(&directory)).await?;
    let message = "garbage collected artifacts for deleted resource";
    Ok(if removed { vec![Event::trace(Reason::GarbageCollectionSucceeded, message)] } else { Vec::new() })
}
