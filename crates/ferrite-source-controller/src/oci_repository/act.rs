//! Does what the plan says: collects, pulls, unpacks, archives, stores, links.

use std::{
    collections::BTreeMap,
    io::{self, Seek as _},
    sync::Arc,
};

use ferrite_api::{Artifact, ConditionType, Reason, source::OciLayerOperation};
use ferrite_artifact::{
    ArchiveError, Bounds, Item, ItemKind, Limits, Rules, Store, StoreError, Stored, archive, unpack,
};
use ferrite_runtime::{Event, Progress, Truth, chain};
use ferrite_verify::notation::Verdict;

use super::{
    Done, Error, Next, Plan, Verified,
    plan::{ALIAS, Pull, Verify},
};
use crate::{context::Context, download::Downloaded, oci::Manifest, storage};

pub(super) async fn act(
    context: &Context,
    plan: Plan,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    let Plan { before, verify, next } = plan;
    done.started = storage::begin(context, before).await;
    if let Some(verify) = verify {
        done.verified = Some(check(context, *verify).await?);
    }
    match next {
        Next::Fail(error) => Err(error),
        Next::Keep { artifact, url } => {
            done.artifact = Some(artifact);
            done.url = Some(url);
            Ok(())
        }
        Next::Pull(plan) => pull(context, *plan, done, step).await,
    }
}

/// Verifies an artifact before anything of it is pulled.
async fn check(context: &Context, verify: Verify) -> Result<Verified, Error> {
    let Verify { found, wanted } = verify;
    let registry = found.remote.connect().await.map_err(Error::Digest)?;
    let verdict = wanted.verify(context, &registry, &found.digest).await;
    let failed = |source| Error::Verification { provider: wanted.label(), source };
    let signed = verdict.map_err(failed)? == Verdict::Verified;
    Ok(Verified { revision: found.revision(), signed })
}

async fn pull(context: &Context, plan: Pull, done: &mut Done, step: &Progress) -> Result<(), Error> {
    let revision = plan.found.revision();
    announce(step, &plan, &revision);
    let failed = |source| Error::Pull { url: plan.url.clone(), source };
    let limits = Limits::default();
    let registry = plan.found.remote.connect().await.map_err(failed)?;
    let manifest = registry.manifest(&plan.found.digest).await.map_err(failed)?;
    let layer = layer(&manifest, plan.layer.media_type.as_deref())?;
    let downloaded = registry.layer(layer, limits.archive_bytes).await.map_err(failed)?;
    let directory = plan.directory.clone();
    let (stored, linked) = context.blocking(move |store| keep(store, &plan, &downloaded, &limits)).await?;
    if let Err(error) = linked {
        step.event(Event::trace(Reason::SymlinkUpdateFailed, chain(&error)));
    }
    done.url = Some(context.url(&format!("{directory}/{ALIAS}")));
    done.artifact = Some(Artifact {
        url: context.url(&stored.path),
        path: stored.path,
        revision,
        digest: stored.digest.to_string(),
        last_update_time: context.now(),
        size: i64::try_from(stored.size).ok(),
        metadata: manifest.annotations.unwrap_or_default(),
    });
    Ok(())
}

/// Shows what is under way before it is done.
fn announce(step: &Progress, plan: &Pull, revision: &str) {
    if !plan.is_new_revision {
        step.say_drift(format_args!("building artifact: configuration changed"));
        return;
    }
    let reference = match &plan.found.tag {
        Some(tag) => format!("{}:{tag}", plan.url),
        None => format!("{}@{}", plan.url, plan.found.digest),
    };
    let message = format!("new revision '{revision}' for '{reference}'");
    step.say_drift(format_args!("building artifact: {message}"));
    step.mark(ConditionType::ArtifactOutdated, Truth::True, Reason::NewRevision, message);
}

/// The first layer, or the first of a media type.
fn layer<'a>(manifest: &'a Manifest, media_type: Option<&str>) -> Result<&'a crate::oci::Layer, Error> {
    let wanted = media_type.filter(|wanted| !wanted.is_empty());
    let fits = |layer: &&crate::oci::Layer| wanted.is_none_or(|wanted| layer.media_type == wanted);
    let wanted = || wanted.map(|wanted| format!(" with media type '{wanted}'")).unwrap_or_default();
    manifest.layers.iter().find(fits).ok_or_else(|| Error::NoLayer { wanted: wanted() })
}

/// Stores the layer, unpacked and archived anew, or as it is. Blocking.
fn keep(
    store: &dyn Store,
    plan: &Pull,
    downloaded: &Downloaded,
    limits: &Limits,
) -> Result<(Stored, Result<(), StoreError>), Error> {
    let failed = |error| Error::Store(Arc::new(error));
    let io = |source| failed(StoreError::Io { action: "write", path: plan.file.as_str().into(), source });
    let mut source = &downloaded.file;
    source.rewind().map_err(io)?;
    let stored = match plan.layer.operation.unwrap_or_default() {
        OciLayerOperation::Copy => {
            let mut pending = store.create(&plan.directory, &plan.file).map_err(failed)?;
            io::copy(&mut source, &mut pending).map_err(io)?;
            pending.commit().map_err(failed)?
        }
        OciLayerOperation::Extract => {
            let tree = unpack(source, limits).map_err(Error::Layer)?;
            let items: Vec<Item<&[u8]>> = tree
                .files()
                .map(|(path, content, executable)| Item {
                    path: path.to_owned(),
                    kind: ItemKind::File { executable },
                    content,
                })
                .collect();
            let read = |content: &&[u8]| Ok::<_, io::Error>(content.to_vec());
            let rules = Rules::load(&items, plan.ignore.as_deref(), read);
            let rules = rules.map_err(|error| Error::Ignore(Arc::new(error)))?;
            let mut pending = store.create(&plan.directory, &plan.file).map_err(failed)?;
            archive(items, &rules, Bounds::default(), read, &mut pending).map_err(|error| match error {
                ArchiveError::Write(source) => io(source),
                other => Error::Archive(Arc::new(other)),
            })?;
            pending.commit().map_err(failed)?
        }
    };
    Ok((stored, store.link(&plan.directory, ALIAS, &plan.file)))
}

/// The annotations that tell where an artifact was made of.
pub(super) fn origin(metadata: &BTreeMap<String, String>) -> Option<String> {
    let source = metadata.get("org.opencontainers.image.source")?;
    let revision = metadata.get("org.opencontainers.image.revision")?;
    Some(format!(", origin source '{source}', origin revision '{revision}'"))
}
