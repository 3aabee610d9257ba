//! Does what the plan says: fetches, composes, archives, stores, applies, removes.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use ferrite_api::{
    Artifact, Reason,
    source::{ArtifactGenerator, ExternalArtifact, GeneratedArtifact},
};
use ferrite_artifact::{
    ArchiveError, Bounds, Fetcher, Health, Item, ItemKind, Limits, ObjectDirectory, Rules, Store, StoreError,
    Stored, archive_streams, unpack,
};
use ferrite_runtime::{Event, Progress, chain};
use ferrite_tree::MemoryTree;
use kube::{Api, ResourceExt as _, api::DeleteParams};

use super::{
    Done, Error, Next, Outcome, Plan, Source, apply,
    compose::{Staged, compose, split},
    observe::{ORIGIN, existing},
    pattern::{Output, expand},
    plan::Build,
};
use crate::context::{Context, api_message};

type Trees = HashMap<String, MemoryTree>;

pub(super) async fn act(
    context: &Context,
    fetcher: &Fetcher,
    plan: Plan,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    match plan.next {
        Next::Rest => done.outcome = Outcome::Disabled,
        Next::Keep => done.outcome = Outcome::UpToDate,
        Next::Fail(error) => return Err(error),
        Next::Build(build) => {
            tracing::info!(drift = build.drift, "building artifacts");
            step.say_drift(format_args!("Reconciliation in progress"));
            let trees = step.wait(fetch(context, fetcher, &build.sources)).await??;
            let trees = Arc::new(trees);
            let outputs = outputs(&build, &trees)?;
            for output in &outputs {
                make(context, &build, &trees, output, done).await?;
            }
            remove_others(context, &build, &outputs).await?;
            done.outcome = Outcome::Built { sources_digest: build.sources_digest };
        }
    }
    Ok(())
}

/// Removes all that a generator made.
pub(super) async fn teardown(context: &Context, generator: &ArtifactGenerator) -> Result<Vec<Event>, Error> {
    let namespace = generator.namespace().unwrap_or_default();
    let inventory = generator.status.clone().unwrap_or_default().inventory;
    let existing = existing(context, generator).await?;
    for name in existing.keys() {
        remove_object(context, &namespace, name).await?;
    }
    for name in inventory.into_iter().map(|one| one.name).chain(existing.into_keys()) {
        remove_files(context, &namespace, name).await?;
    }
    let message = "garbage collected artifacts for deleted resource";
    Ok(vec![Event::trace(Reason::GarbageCollectionSucceeded, message)])
}

/// The files of every source, from this storage where they lie in it, else over HTTP.
async fn fetch(context: &Context, fetcher: &Fetcher, sources: &[Source]) -> Result<Trees, Error> {
    let mut trees = Trees::new();
    for source in sources {
        let tree = fetch_one(context, fetcher, source).await.map_err(|problem| Error::Sources {
            problem: format!("source '{}': {problem}", source.alias),
            again: context.requeue_dependency,
        })?;
        trees.insert(source.alias.clone(), tree);
    }
    Ok(trees)
}

async fn fetch_one(context: &Context, fetcher: &Fetcher, source: &Source) -> Result<MemoryTree, String> {
    let artifact = &source.artifact;
    // What a status says of another object's files is not believed: checking removes files that are wrong.
    let inside = |directory: &ObjectDirectory| {
        artifact.path.strip_prefix(&directory.path()).is_some_and(|rest| rest.starts_with('/'))
    };
    if source.directory.as_ref().is_some_and(inside)
        && context.check(artifact).await.map_err(|error| chain(&error))? == Health::Good
    {
        let path = artifact.path.clone();
        let local = context.blocking(move |store| match store.open(&path) {
            Ok(Some(file)) => unpack(file, &Limits::default()).map(Some).map_err(|error| chain(&error)),
            Ok(None) => Ok(None),
            Err(error) => Err(chain(&error)),
        });
        if let Some(tree) = local.await? {
            return Ok(tree);
        }
    }
    let size = artifact.size.and_then(|size| u64::try_from(size).ok());
    fetcher.fetch(&artifact.url, &artifact.digest, size).await.map_err(|error| chain(&error))
}

fn outputs(build: &Build, trees: &Trees) -> Result<Vec<Output>, Error> {
    let Some(pattern) = &build.spec.path_pattern else {
        let plain = |artifact: &ferrite_api::source::OutputArtifact| Output {
            artifact: artifact.clone(),
            labels: Default::default(),
        };
        return Ok(build.spec.artifacts.iter().map(plain).collect());
    };
    let found = split(pattern).and_then(|(alias, pattern)| Some((trees.get(alias)?, pattern)));
    let (tree, pattern) =
        found.ok_or_else(|| Error::Pattern(format!("the source of '{pattern}' is not found")))?;
    expand(pattern, tree, &build.spec.artifacts).map_err(Error::Pattern)
}

async fn make(
    context: &Context,
    build: &Build,
    trees: &Arc<Trees>,
    output: &Output,
    done: &mut Done,
) -> Result<(), Error> {
    let name = output.artifact.name.clone();
    let (stored, trees) = {
        let (output, namespace, trees) = (output.clone(), build.namespace.clone(), Arc::clone(trees));
        let work = move |store: &dyn Store| (self::store(store, &namespace, &output, &trees), trees);
        context.blocking(work).await
    };
    drop(trees);
    let stored = stored?;
    let source = |reference: &Option<String>| {
        let alias = reference.as_deref()?.strip_prefix('@')?;
        build.sources.iter().find(|source| source.alias == alias).map(|source| &source.artifact)
    };
    let revision = source(&output.artifact.revision)
        .map_or_else(|| format!("latest@{}", stored.digest), |artifact| artifact.revision.clone());
    let origin = source(&output.artifact.origin_revision)
        .map(|artifact| artifact.metadata.get(ORIGIN).unwrap_or(&artifact.revision).clone());
    let mut artifact = Artifact {
        url: context.url(&stored.path),
        path: stored.path.clone(),
        revision,
        digest: stored.digest.to_string(),
        last_update_time: context.now(),
        size: i64::try_from(stored.size).ok(),
        metadata: origin.map(|origin| (ORIGIN.to_owned(), origin)).into_iter().collect(),
    };
    let before = build.existing.get(&name).and_then(|object| object.status.as_ref()?.artifact.as_ref());
    if let Some(before) =
        before.filter(|before| before.digest == artifact.digest && before.path == artifact.path)
    {
        artifact.last_update_time = before.last_update_time.clone();
    }
    apply::apply(context, build, &name, &output.labels, &artifact).await?;
    let filename = stored.path.rsplit('/').next().unwrap_or_default().to_owned();
    let known = build.inventory.iter().any(|one| one.name == name && one.digest == artifact.digest);
    if !known {
        done.changed.push(format!("{}/{name} ({})", build.namespace, artifact.digest));
    }
    collect(context, &build.namespace, &name, filename.clone()).await;
    let namespace = build.namespace.clone();
    done.inventory.push(GeneratedArtifact { name, namespace, digest: artifact.digest, filename });
    Ok(())
}

/// Composes, archives and stores one artifact. Blocking.
fn store(store: &dyn Store, namespace: &str, output: &Output, trees: &Trees) -> Result<Stored, Error> {
    let name = &output.artifact.name;
    let failed = |source: StoreError| Error::Store { name: name.clone(), source: Arc::new(source) };
    let staged = compose(&output.artifact.copy, trees)
        .map_err(|source| Error::Compose { name: name.clone(), source })?;
    let rules =
        Rules::new(None).map_err(|source| Error::Rules { name: name.clone(), source: Arc::new(source) })?;
    let directory = ObjectDirectory::new("ExternalArtifact", namespace, name).map_err(failed)?;
    let file = format!("{}.tar.gz", checksum(name, &staged));
    let items: Vec<Item<&[u8]>> = staged
        .files
        .iter()
        .map(|(path, file)| Item {
            path: path.clone(),
            kind: ItemKind::File { executable: file.executable },
            content: file.bytes.as_ref(),
        })
        .collect();
    let mut pending = store.create(&directory, &file).map_err(failed)?;
    let open =
        |bytes: &&[u8]| Ok::<_, std::io::Error>((bytes.len() as u64, std::io::Cursor::new(bytes.to_vec())));
    archive_streams(items, &rules, Bounds::default(), open, &mut pending).map_err(|error| match error {
        ArchiveError::Write(source) => {
            failed(StoreError::Io { action: "write", path: directory.path().into(), source })
        }
        other => Error::Archive { name: name.clone(), source: Arc::new(other) },
    })?;
    pending.commit().map_err(failed)
}

/// Adler-32 over a line for each file: its own sum and its path.
fn checksum(name: &str, staged: &Staged<'_>) -> u32 {
    let line = |(path, file): (&String, &super::compose::File<'_>)| {
        format!("{:08x}  {name}/{path}\n", adler32(&file.bytes))
    };
    let mut lines: Vec<String> = staged.files.iter().map(line).collect();
    lines.sort();
    adler32(lines.concat().as_bytes())
}

/// RFC 1950 §9.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut a, mut b) = (1, 0);
    // The longest run whose sums fit into 32 bits.
    for run in bytes.chunks(5552) {
        for byte in run {
            a += u32::from(*byte);
            b += a;
        }
        a %= MODULUS;
        b %= MODULUS;
    }
    b << 16 | a
}

async fn collect(context: &Context, namespace: &str, name: &str, current: String) {
    let Ok(directory) = ObjectDirectory::new("ExternalArtifact", namespace, name) else { return };
    let (retention, now) = (context.retention, SystemTime::from(context.clock.now()));
    let collected = context.blocking(move |store| store.collect(&directory, &current, retention, now)).await;
    if let Err(error) = collected {
        tracing::warn!(error = %chain(&error), "old artifacts were not removed");
    }
}

/// ExternalArtifacts and files that this build no longer makes.
async fn remove_others(context: &Context, build: &Build, outputs: &[Output]) -> Result<(), Error> {
    let wanted = |name: &str| outputs.iter().any(|output| output.artifact.name == name);
    for name in build.existing.keys().filter(|name| !wanted(name)) {
        remove_object(context, &build.namespace, name).await?;
    }
    let before = build.inventory.iter().map(|one| &one.name).chain(build.existing.keys());
    for name in before.filter(|name| !wanted(name)) {
        remove_files(context, &build.namespace, name.clone()).await?;
    }
    Ok(())
}

async fn remove_object(context: &Context, namespace: &str, name: &str) -> Result<(), Error> {
    let api: Api<ExternalArtifact> = context.api(namespace);
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => {
            Err(Error::Remove { name: format!("ExternalArtifact {name}"), problem: api_message(&error) })
        }
    }
}

async fn remove_files(context: &Context, namespace: &str, name: String) -> Result<(), Error> {
    let Ok(directory) = ObjectDirectory::new("ExternalArtifact", namespace, &name) else { return Ok(()) };
    let removed = context.blocking(move |store| store.remove(&directory)).await;
    removed.map(drop).map_err(|error| Error::Remove { name, problem: chain(&error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_standard() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&[0xff; 6000]), 0xa497_59ea);
    }
}
