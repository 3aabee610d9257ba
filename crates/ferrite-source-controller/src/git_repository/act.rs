//! Does what the plan says: collects, fetches, archives, stores.

use ferrite_api::{Artifact, ConditionType, Reason};
use ferrite_runtime::{Progress, Truth};

use super::{Build, Done, Error, Next, Plan, Why, archive};
use crate::{context::Context, storage};

pub(super) async fn act(
    context: &Context,
    plan: Plan,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    let Plan { before, next } = plan;
    done.started = storage::begin(context, before).await;
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

async fn make(context: &Context, build: Build, done: &mut Done, step: &Progress) -> Result<(), Error> {
    let revision = build.head.revision();
    announce(step, build.why, &revision);
    let mut snapshot = build.client.fetch(&build.head).await?;
    if let Some(verify) = &build.verify {
        let (same, verified) = verify.run(context, snapshot).await?;
        (snapshot, done.verified) = (same, Some(verified));
    }
    if build.submodules {
        snapshot = build.client.fetch_submodules(snapshot).await?;
    }
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
        Why::Verification => step.say_drift(format_args!("verifying revision '{revision}'")),
        Why::Configuration => step.say_drift(format_args!("building artifact: configuration changed")),
    }
}
