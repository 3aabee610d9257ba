//! Does what the plan says: collects, downloads or packages, checks, stores, links.

use std::{
    io::{self, Read as _, Seek as _, Write as _},
    sync::Arc,
};

use ferrite_api::{Artifact, ConditionType, Reason};
use ferrite_artifact::{Limits, Store, StoreError, Stored, unpack};
use ferrite_helm::Chart;
use ferrite_runtime::{Event, Progress, Truth, chain};
use ferrite_tree::{Tree as _, TreePath};
use ferrite_verify::notation::Verdict;

use super::{
    Done, Error, Next, Plan, dependencies,
    observe::{Found, Loaded, Place},
    package,
    plan::{ALIAS, Build},
};
use crate::{context::Context, download::Downloaded, oci::Wanted, storage};

/// The layer of a chart in a registry.
pub(super) const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

pub(super) async fn act(
    context: &Context,
    plan: Plan,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    let Plan { before, verify, next } = plan;
    done.started = storage::begin(context, before).await;
    let found = match &next {
        Next::Keep { found, .. } => Some(found),
        Next::Build(build) => Some(&build.found),
        Next::Fail(_) => None,
    };
    if let (Some(wanted), Some(found)) = (verify, found) {
        done.verified = Some(check(context, &wanted, found).await?);
    }
    match next {
        Next::Fail(error) => Err(error),
        Next::Keep { artifact, url, found, values_files } => {
            done.artifact = Some(*artifact);
            done.url = Some(url);
            done.values_files = values_files;
            note(done, &found);
            Ok(())
        }
        Next::Build(build) => make(context, *build, done, step).await,
    }
}

/// Whether a good signature was found; else the trust policy does not ask for one.
async fn check(context: &Context, wanted: &Wanted, found: &Found) -> Result<bool, Error> {
    // Nothing else has signatures, which the look at the source told.
    let Place::Registry(registry, digest) = &found.place else { return Ok(false) };
    let verdict = wanted.verify(context, registry, digest).await;
    let place = &registry.repository;
    let reference = format!("{}/{}@{digest}", place.host, place.path);
    Ok(verdict.map_err(|source| Error::Verification { reference, source })? == Verdict::Verified)
}

fn note(done: &mut Done, found: &Found) {
    done.chart = Some(found.name.clone());
    done.source_revision = Some(found.source_revision.clone());
}

async fn make(context: &Context, mut build: Build, done: &mut Done, step: &Progress) -> Result<(), Error> {
    let message = format!("new '{}' chart with version '{}'", build.found.name, build.version);
    step.say_drift(format_args!("building artifact: {message}"));
    step.mark(ConditionType::ArtifactOutdated, Truth::True, Reason::NewChart, message);
    let limits = Limits {
        archive_bytes: context.helm.chart_bytes,
        file_bytes: context.helm.chart_file_bytes,
        ..Limits::default()
    };
    let downloaded = download(&build.found, limits.archive_bytes).await?;
    if let Place::Source(loaded) = &build.found.place {
        let (chart, added) = dependencies::build(context, &build.namespace, &loaded.chart, &limits).await?;
        if added > 0 {
            let message = format!("resolved {added} chart dependencies");
            step.event(Event::trace(Reason::ResolvedDependencies, message));
            build.found.place = Place::Source(Arc::new(Loaded { chart, tree: loaded.tree.clone() }));
        }
    }
    note(done, &build.found);
    let (directory, version) = (build.directory.clone(), build.version.clone());
    let made = context.blocking(move |store| keep(store, &build, downloaded.as_ref(), &limits)).await?;
    if let Err(error) = made.linked {
        step.event(Event::trace(Reason::SymlinkUpdateFailed, chain(&error)));
    }
    done.values_files = made.values_files;
    done.url = Some(context.url(&format!("{directory}/{ALIAS}")));
    done.artifact = Some(Artifact {
        url: context.url(&made.stored.path),
        path: made.stored.path,
        revision: version,
        digest: made.stored.digest.to_string(),
        last_update_time: context.now(),
        size: i64::try_from(made.stored.size).ok(),
        metadata: std::collections::BTreeMap::new(),
    });
    Ok(())
}

/// The chart's archive; `None` when its files are here already.
async fn download(found: &Found, limit: u64) -> Result<Option<Downloaded>, Error> {
    match &found.place {
        Place::Source(_) => Ok(None),
        Place::Address(url, access) => access.download(url, limit).await.map(Some).map_err(Error::Pull),
        Place::Registry(registry, digest) => {
            let manifest = registry.manifest(digest).await.map_err(Error::Registry)?;
            let layer = manifest.layers.iter().find(|layer| layer.media_type == CHART_LAYER);
            let layer = layer.ok_or_else(|| Error::OtherChart { chart: found.name.clone() })?;
            registry.layer(layer, limit).await.map(Some).map_err(Error::Registry)
        }
    }
}

/// What was stored.
struct Made {
    stored: Stored,
    linked: Result<(), StoreError>,
    values_files: Vec<String>,
}

/// Stores the archive: as it was downloaded, or packaged anew. Blocking.
fn keep(
    store: &dyn Store,
    build: &Build,
    downloaded: Option<&Downloaded>,
    limits: &Limits,
) -> Result<Made, Error> {
    let failed = |error| Error::Store(Arc::new(error));
    let io = |source| failed(StoreError::Io { action: "write", path: build.file.as_str().into(), source });
    let (bytes, values_files) = match (downloaded, &build.found.place) {
        (Some(downloaded), _) => from_archive(build, downloaded, limits)?,
        (None, Place::Source(loaded)) => {
            let read = |name: &str| {
                let path = TreePath::new(name.trim_start_matches('/')).map_err(|error| error.to_string())?;
                match loaded.tree.read(&path) {
                    Ok(bytes) => Ok(Some(bytes.into_owned())),
                    Err(ferrite_tree::Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(error.to_string()),
                }
            };
            repackaged(build, &loaded.chart, read)?
        }
        (None, _) => return Err(Error::OtherChart { chart: build.found.name.clone() }),
    };
    let mut pending = store.create(&build.directory, &build.file).map_err(failed)?;
    pending.write_all(&bytes).map_err(io)?;
    let stored = pending.commit().map_err(failed)?;
    Ok(Made { stored, linked: store.link(&build.directory, ALIAS, &build.file), values_files })
}

/// Checks that the archive is that of the chart; its bytes stay as they are unless values are merged into it.
fn from_archive(
    build: &Build,
    downloaded: &Downloaded,
    limits: &Limits,
) -> Result<(Vec<u8>, Vec<String>), Error> {
    let io = |source: io::Error| Error::Package(source.to_string());
    let mut source = &downloaded.file;
    source.rewind().map_err(io)?;
    let tree = unpack(source, limits).map_err(Error::Archive)?;
    let wanted = format!("{}/Chart.yaml", build.found.name);
    if !tree.files().any(|(path, ..)| path == wanted) {
        return Err(Error::OtherChart { chart: build.found.name.clone() });
    }
    source.rewind().map_err(io)?;
    let mut bytes = Vec::with_capacity(usize::try_from(downloaded.size).unwrap_or(0));
    source.take(limits.archive_bytes).read_to_end(&mut bytes).map_err(io)?;
    if build.values_files.is_empty() {
        return Ok((bytes, Vec::new()));
    }
    let chart = Chart::from_archive(&bytes).map_err(|error| Error::Package(error.to_string()))?;
    repackaged(build, &chart, |name| Ok(chart.raw_file(name).map(|file| file.data.to_vec())))
}

fn repackaged(
    build: &Build,
    chart: &Chart,
    read: impl FnMut(&str) -> Result<Option<Vec<u8>>, String>,
) -> Result<(Vec<u8>, Vec<String>), Error> {
    if build.values_files.is_empty() {
        return Ok((package::package(chart, &build.version, None)?, Vec::new()));
    }
    let (values, found) = package::merged_values(&build.values_files, build.ignore_missing, read)?;
    Ok((package::package(chart, &build.version, Some(&values))?, found))
}
