//! Does what the plan says: collects, parses, stores, links.

use std::{
    io::{Seek as _, Write as _},
    sync::Arc,
};

use ferrite_api::{Artifact, ConditionType, Reason};
use ferrite_artifact::{ObjectDirectory, Store, StoreError, Stored};
use ferrite_runtime::{Event, Progress, Truth, chain};

use super::{Done, Error, Next, Plan, plan::ALIAS};
use crate::{context::Context, download::Downloaded, helm_index::Index, storage};

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
        Next::Oci => {
            done.oci = true;
            Ok(())
        }
        Next::Keep { artifact, url } => {
            done.artifact = Some(artifact);
            done.url = Some(url);
            Ok(())
        }
        Next::Store { index, directory, file } => {
            let revision = index.digest.to_string();
            let message = format!("new index revision '{revision}'");
            step.say_drift(format_args!("building artifact: {message}"));
            step.mark(ConditionType::ArtifactOutdated, Truth::True, Reason::NewRevision, message);
            let place = directory.clone();
            let stored = context.blocking(move |store| store_index(store, &index, &place, &file)).await;
            let (stored, linked) = stored?;
            match linked {
                Ok(()) => {}
                Err(error) => step.event(Event::trace(Reason::SymlinkUpdateFailed, chain(&error))),
            }
            done.size = Some(stored.size);
            done.url = Some(context.url(&format!("{directory}/{ALIAS}")));
            done.artifact = Some(Artifact {
                url: context.url(&stored.path),
                path: stored.path,
                revision,
                digest: stored.digest.to_string(),
                last_update_time: context.now(),
                size: i64::try_from(stored.size).ok(),
                metadata: std::collections::BTreeMap::new(),
            });
            Ok(())
        }
    }
}

/// Blocking.
fn store_index(
    store: &dyn Store,
    downloaded: &Downloaded,
    directory: &ObjectDirectory,
    file: &str,
) -> Result<(Stored, Result<(), StoreError>), Error> {
    let failed = |error| Error::Store(Arc::new(error));
    let io = |source| StoreError::Io { action: "write", path: file.into(), source };
    let mut source = &downloaded.file;
    source.rewind().map_err(|source| failed(io(source)))?;
    let index = Index::read(source, downloaded.size).map_err(Error::Index)?;
    let mut pending = store.create(directory, file).map_err(failed)?;
    index.write(&mut pending).and_then(|()| pending.flush()).map_err(|source| failed(io(source)))?;
    let stored = pending.commit().map_err(failed)?;
    Ok((stored, store.link(directory, ALIAS, file)))
}
