//! Does what the plan says: collects, downloads, archives, stores, links.

use std::{
    io::{Cursor, Read, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ferrite_api::{Artifact, ConditionType, Reason};
use ferrite_artifact::{
    ArchiveError, Bounds, Item, ItemKind, Rules, Store, StoreError, Stored, archive_streams,
};
use ferrite_bucket::BucketError;
use ferrite_runtime::{Event, Progress, Truth, chain};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Done, Error, Next, Plan,
    index::Placed,
    plan::{ALIAS, Fetch, revision},
};
use crate::{context::Context, storage};

/// Downloads at once of one bucket.
const PARALLEL: usize = 32;
/// Tries of one object whose download breaks in the middle.
const TRIES: u32 = 3;

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
        Next::Keep { artifact, url, objects } => {
            done.artifact = Some(artifact);
            done.url = Some(url);
            done.objects = objects;
            Ok(())
        }
        Next::Fetch(plan) => fetch(context, *plan, done, step).await,
    }
}

async fn fetch(context: &Context, mut plan: Fetch, done: &mut Done, step: &Progress) -> Result<(), Error> {
    let message = format!("new upstream revision '{}'", revision(&plan.index));
    if plan.outdated.is_some() {
        step.mark(ConditionType::ArtifactOutdated, Truth::True, Reason::NewRevision, message.clone());
    }
    step.say_drift(format_args!("building artifact: {message}"));
    let workspace = tempfile::tempdir().map_err(|error| Error::Disk(Arc::new(error)))?;
    let (timeout, bucket) = (plan.timeout, plan.bucket.clone());
    let downloads = tokio::time::timeout(timeout, download_all(&plan, workspace.path()));
    // A large bucket must not keep a worker from the others.
    let downloaded = step.wait(downloads).await?;
    let downloaded = downloaded.map_err(|_| Error::Timeout { what: "fetching", bucket, timeout })??;
    let mut files = Vec::with_capacity(downloaded.len());
    for Downloaded { placed, file } in downloaded {
        plan.index.correct(&placed.object.key, file.as_ref().map(|(_, etag)| etag.clone()));
        files.extend(file.map(|(path, _)| (placed.path, path)));
    }
    done.objects = plan.index.len();
    if let Some(same) = plan.outdated.take().filter(|stored| plan.index.is(&stored.revision)) {
        // What was listed changed back before it was downloaded.
        done.url = Some(context.url(&format!("{}/{ALIAS}", plan.directory)));
        done.artifact = Some(Artifact { url: context.url(&same.path), ..same });
        return Ok(());
    }
    let (directory, revision) = (plan.directory.clone(), revision(&plan.index));
    let name = format!("{}.tar.gz", revision.hex());
    let kept = context.blocking(move |store| keep(store, &plan, files, &name)).await;
    let (stored, linked) = kept?;
    drop(workspace);
    if let Err(error) = linked {
        step.event(Event::trace(Reason::SymlinkUpdateFailed, chain(&error)));
    }
    done.url = Some(context.url(&format!("{directory}/{ALIAS}")));
    done.artifact = Some(Artifact {
        url: context.url(&stored.path),
        path: stored.path,
        revision: revision.to_string(),
        digest: stored.digest.to_string(),
        last_update_time: context.now(),
        size: i64::try_from(stored.size).ok(),
        metadata: Default::default(),
    });
    Ok(())
}

/// What became of one object: its file and the entity tag of what is in it, or nothing when it is gone.
struct Downloaded {
    placed: Placed,
    file: Option<(PathBuf, String)>,
}

async fn download_all(plan: &Fetch, workspace: &Path) -> Result<Vec<Downloaded>, Error> {
    let total = AtomicU64::new(0);
    let one = |(number, placed): (usize, Placed)| {
        let total = &total;
        async move {
            let path = workspace.join(number.to_string());
            let etag = download(plan, &placed, &path, total).await?;
            Ok(Downloaded { placed, file: etag.map(|etag| (path, etag)) })
        }
    };
    let places = plan.places.clone().into_iter().enumerate();
    stream::iter(places).map(one).buffer_unordered(PARALLEL).try_collect().await
}

async fn download(
    plan: &Fetch,
    placed: &Placed,
    path: &Path,
    total: &AtomicU64,
) -> Result<Option<String>, Error> {
    let failed = |source: BucketError| Error::Fetch {
        bucket: plan.bucket.clone(),
        key: placed.object.key.clone(),
        source: Box::new(source),
    };
    for tried in 1.. {
        match download_once(plan, placed, path, total).await {
            Err(Broken::Store(BucketError::Connection { .. })) if tried < TRIES => {}
            Err(Broken::Store(error)) => return Err(failed(error)),
            Err(Broken::Other(error)) => return Err(error),
            Ok(etag) => return Ok(etag),
        }
    }
    Ok(None)
}

enum Broken {
    Store(BucketError),
    Other(Error),
}

async fn download_once(
    plan: &Fetch,
    placed: &Placed,
    path: &Path,
    total: &AtomicU64,
) -> Result<Option<String>, Broken> {
    let disk = |error| Broken::Other(Error::Disk(Arc::new(error)));
    let Some(mut object) = plan.store.get(&placed.object).await.map_err(Broken::Store)? else {
        return Ok(None);
    };
    let mut file = fs_err::File::create(path).map_err(disk)?;
    while let Some(chunk) = object.chunk().await.map_err(Broken::Store)? {
        let sum = total.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
        if sum > plan.limit {
            return Err(Broken::Other(Error::TooLarge { bucket: plan.bucket.clone(), limit: plan.limit }));
        }
        // A page cache write: short, and no larger than what arrived at once.
        file.write_all(&chunk).map_err(disk)?;
    }
    Ok(Some(object.etag))
}

/// Where the bytes of an item are.
enum Content {
    File(PathBuf),
    Memory(Vec<u8>),
}

/// Archives the files and stores the archive. Blocking.
fn keep(
    store: &dyn Store,
    plan: &Fetch,
    files: Vec<(String, PathBuf)>,
    name: &str,
) -> Result<(Stored, Result<(), StoreError>), Error> {
    let kind = ItemKind::File { executable: false };
    let mut items: Vec<Item<Content>> =
        files.into_iter().map(|(path, file)| Item { path, kind, content: Content::File(file) }).collect();
    if let Some(rules) = &plan.ignore_file {
        let path = Rules::FILE_NAME.to_owned();
        items.push(Item { path, kind, content: Content::Memory(rules.clone()) });
    }
    let open = |content: &Content| -> std::io::Result<(u64, Box<dyn Read>)> {
        Ok(match content {
            Content::Memory(bytes) => (bytes.len() as u64, Box::new(Cursor::new(bytes.clone()))),
            Content::File(path) => {
                let file = fs_err::File::open(path)?;
                (file.metadata()?.len(), Box::new(file))
            }
        })
    };
    let failed = |error| Error::Store(Arc::new(error));
    let mut pending = store.create(&plan.directory, name).map_err(failed)?;
    archive_streams(items, &Rules::none(), Bounds::default(), open, &mut pending).map_err(
        |error| match error {
            ArchiveError::Write(source) => {
                failed(StoreError::Io { action: "write", path: plan.directory.path().into(), source })
            }
            other => Error::Archive(Arc::new(other)),
        },
    )?;
    let stored = pending.commit().map_err(failed)?;
    Ok((stored, store.link(&plan.directory, ALIAS, name)))
}
