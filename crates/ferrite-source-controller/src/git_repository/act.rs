//! Does what the plan says: collects, fetches, archives, stores.

use std::{sync::Arc, time::SystemTime};

use ferrite_api::{Artifact, ConditionType, Reason, source::GitRepository};
use ferrite_artifact::ObjectDirectory;
use ferrite_runtime::{Event, Progress, Truth};
use kube::ResourceExt as _;

use super::{Build, Done, Error, Next, Plan, Why, archive};
use crate::context::Context;

pub(super) async fn act(
    context: &Context,
    plan: Plan,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    let Plan { lost, previous_digest, collect, next } = plan;
    done.lost = lost;
    done.previous_digest = previous_digest;
    if let Some((directory, current)) = collect {
        done.collected = collect_old(context, directory, current).await;
    }
    match next {
        Next::Fail(error) => Err(error),
        Next::Keep { artifact, included } => {
            done.artifact = Some(artifact);
            done.included = included;
            Ok(())
        }
        Next::Build(build) => make(context, *build, done, step).await,
    }
}

/// Old files that cannot be removed now are tried again with the next reconcile.
async fn collect_old(context: &Context, directory: ObjectDirectory, current: String) -> usize {
    let (retention, now) = (context.retention, SystemTime::from(context.clock.now()));
    match context.blocking(move |store| store.collect(&directory, &current, retention, now)).await {
        Ok(removed) => removed.len(),
        Err(error) => {
            tracing::warn!(error = %ferrite_runtime::chain(&error), "old artifacts were not removed");
            0
        }
    }
}

async fn make(context: &Context, build: Build, done: &mut Done, step: &Progress) -> Result<(), Error> {
    let revision = build.head.revision();
    announce(step, build.why, &revision);
    let snapshot = build.client.fetch(&build.head).await?;
    done.summary = Some(snapshot.commit().summary().to_owned());
    let included: Vec<Artifact> = build.included.iter().map(|one| one.artifact.clone()).collect();
    let stored = context.blocking(move |store| archive::store(store, &build, &snapshot)).await?;
    done.artifact = Some(Artifact {
        url: context.url(&stored.path),
        path: stored.path,
        revision,
        digest: stored.digest.to_string(),
        last_update_time: context.now(),
        size: i64::try_from(stored.size).ok(),
        metadata: std::collections::BTreeMap::new(),
    });
    done.included = included;
    Ok(())
}

/// Shows what is under way before it is done.
fn announce(step: &Progress, why: Why, revision: &str) {
    let outdated = |reason: Reason, message: String| {
        step.say_drift(format_args!("building artifact: {message}"));
        step.mark(ConditionType::ArtifactOutdated, Truth::True, reason, message);
    };
    match why {
        Why::NoArtifact | Why::NewRevision => {
            outdated(Reason::NewRevision, format!("new upstream revision '{revision}'"));
        }
        Why::IncludeChange => {
            let message = "included artifacts differ from last observed includes".to_owned();
            outdated(Reason::IncludeChange, message);
        }
        Why::Configuration => step.say_drift(format_args!("building artifact: configuration changed")),
    }
}

/// Removes everything stored for an object that is being deleted.
pub(super) async fn teardown(context: &Context, repository: &GitRepository) -> Result<Vec<Event>, Error> {
    let failed = |error| Error::Collect(Arc::new(error));
    let namespace = repository.namespace().unwrap_or_default();
    let directory =
        ObjectDirectory::new("GitRepository", &namespace, &repository.name_any()).map_err(failed)?;
    let removed = context.blocking(move |store| store.remove(&directory)).await.map_err(failed)?;
    let message = "garbage collected artifacts for deleted resource";
    Ok(if removed { vec![Event::trace(Reason::GarbageCollectionSucceeded, message)] } else { Vec::new() })
}
