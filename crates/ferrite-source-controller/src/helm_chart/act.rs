//! Does what the plan says: collects, downloads, checks, stores, links.

use std::{
    io::{self, Seek as _},
    sync::Arc,
};

use ferrite_api::{Artifact, ConditionType, Reason};
use ferrite_artifact::{Limits, ObjectDirectory, Store, StoreError, Stored, unpack};
use ferrite_runtime::{Event, Progress, Truth, chain};

use super::{Done, Error, Next, Plan, observe::Found, plan::ALIAS};
use crate::{context::Context, download::Downloaded, storage};

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
        Next::Keep { artifact, url, found } => {
            done.artifact = Some(artifact);
            done.url = Some(url);
            note(done, found);
            Ok(())
        }
        Next::Pull { found, directory, file } => pull(context, found, directory, file, done, step).await,
    }
}

fn note(done: &mut Done, found: Found) {
    done.chart = Some(found.name);
    done.source_revision = Some(found.source_revision);
}

async fn pull(
    context: &Context,
    found: Found,
    directory: ObjectDirectory,
    file: String,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    let message = format!("new '{}' chart with version '{}'", found.name, found.version);
    step.say_drift(format_args!("building artifact: {message}"));
    step.mark(ConditionType::ArtifactOutdated, Truth::True, Reason::NewChart, message);
    let limits = Limits {
        archive_bytes: context.helm.chart_bytes,
        file_bytes: context.helm.chart_file_bytes,
        ..Limits::default()
    };
    let downloaded = found.access.download(&found.url, limits.archive_bytes).await.map_err(Error::Pull)?;
    let (place, name) = (directory.clone(), found.name.clone());
    let kept = context.blocking(move |store| keep(store, &downloaded, &limits, &name, &place, &file));
    let (stored, linked) = kept.await?;
    if let Err(error) = linked {
        step.event(Event::trace(Reason::SymlinkUpdateFailed, chain(&error)));
    }
    done.url = Some(context.url(&format!("{directory}/{ALIAS}")));
    done.artifact = Some(Artifact {
        url: context.url(&stored.path),
        path: stored.path,
        revision: found.version.clone(),
        digest: stored.digest.to_string(),
        last_update_time: context.now(),
        size: i64::try_from(stored.size).ok(),
        metadata: std::collections::BTreeMap::new(),
    });
    note(done, found);
    Ok(())
}

/// Checks that the archive is that of the chart, and stores its bytes as they are. Blocking.
fn keep(
    store: &dyn Store,
    downloaded: &Downloaded,
    limits: &Limits,
    chart: &str,
    directory: &ObjectDirectory,
    file: &str,
) -> Result<(Stored, Result<(), StoreError>), Error> {
    let failed = |error| Error::Store(Arc::new(error));
    let io = |source| failed(StoreError::Io { action: "write", path: file.into(), source });
    let mut source = &downloaded.file;
    source.rewind().map_err(io)?;
    let tree = unpack(source, limits).map_err(Error::Archive)?;
    let wanted = format!("{chart}/Chart.yaml");
    if !tree.files().any(|(path, ..)| path == wanted) {
        return Err(Error::OtherChart { chart: chart.to_owned() });
    }
    source.rewind().map_err(io)?;
    let mut pending = store.create(directory, file).map_err(failed)?;
    io::copy(&mut source, &mut pending).map_err(io)?;
    let stored = pending.commit().map_err(failed)?;
    Ok((stored, store.link(directory, ALIAS, file)))
}
