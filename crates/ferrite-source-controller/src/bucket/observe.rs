//! Reads: the storage, Secrets, the bucket's ignore rules and what it holds now.

use std::sync::Arc;

use ferrite_api::{Artifact, source::Bucket};
use ferrite_artifact::{Bounds, Health, Rules};
use ferrite_bucket::Listed;
use ferrite_runtime::Progress;

use super::{Error, index::Index, login};
use crate::{context::Context, storage};

/// Bytes of the ignore rules.
const IGNORE_LIMIT: usize = 1 << 20;

/// Everything that decides what is to be done.
#[derive(Debug)]
pub struct Observed {
    /// What became of the artifact that the status names; `None` when it names none.
    pub(crate) stored: Option<Health>,
    /// The beginning of artifact addresses.
    pub(crate) url_of: String,
    /// What the bucket holds now.
    pub(crate) found: Result<Found, Error>,
}

/// A bucket as it is now.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whom to ask for its objects.
    pub(crate) store: Arc<ferrite_bucket::Bucket>,
    /// The objects.
    pub(crate) index: Index,
    /// The ignore rules, which are part of the artifact.
    pub(crate) ignore_file: Option<Vec<u8>>,
}

pub(super) async fn observe(context: &Context, bucket: &Bucket, step: &Progress) -> Result<Observed, Error> {
    let stored = storage::look(context, bucket, artifact_of(bucket), step).await;
    let stored = stored.map_err(|error| Error::Stat(Arc::new(error)))?;
    // A store that does not answer must not keep a worker from the others.
    let found = step.wait(find(context, bucket)).await?;
    Ok(Observed { stored, url_of: context.url(""), found })
}

pub(super) fn artifact_of(bucket: &Bucket) -> Option<&Artifact> {
    bucket.status.as_ref()?.artifact.as_ref()
}

async fn find(context: &Context, bucket: &Bucket) -> Result<Found, Error> {
    let store = Arc::new(login::connect(context, bucket).await?);
    let (name, timeout) = (bucket.spec.bucket_name.clone(), bucket.timeout().to_std());
    let listed = tokio::time::timeout(timeout, list(bucket, &store)).await;
    let (index, ignore_file) =
        listed.map_err(|_| Error::Timeout { what: "listing", bucket: name, timeout })??;
    Ok(Found { store, index, ignore_file })
}

async fn list(object: &Bucket, store: &ferrite_bucket::Bucket) -> Result<(Index, Option<Vec<u8>>), Error> {
    let spec = &object.spec;
    let bucket = || spec.bucket_name.clone();
    match store.exists().await {
        Ok(true) => {}
        Ok(false) => return Err(Error::NotFound(bucket())),
        Err(source) => return Err(Error::Confirm { bucket: bucket(), source: Box::new(source) }),
    }
    let ignore_file = ignore_file(store).await?;
    let rules = {
        let of_bucket = ignore_file.as_deref().map(String::from_utf8_lossy);
        let texts = of_bucket.as_deref().into_iter().chain(spec.ignore.as_deref());
        Rules::only(texts).map_err(|error| Error::Ignore(Arc::new(error)))?
    };
    let prefix = spec.prefix.as_deref().unwrap_or_default();
    let listed = store.list(prefix, Bounds::default().entries).await;
    let listed = listed.map_err(|source| Error::Index { bucket: bucket(), source: Box::new(source) })?;
    Ok((Index::of(listed, &rules), ignore_file))
}

async fn ignore_file(store: &ferrite_bucket::Bucket) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source| Error::IgnoreFile(Box::new(source));
    let found = store.get(&Listed::named(Rules::FILE_NAME)).await.map_err(failed)?;
    let Some(mut object) = found else { return Ok(None) };
    let mut bytes = Vec::new();
    while let Some(chunk) = object.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > IGNORE_LIMIT {
            let problem = format!("it holds more than {IGNORE_LIMIT} bytes of ignore rules");
            return Err(Error::Key { key: Rules::FILE_NAME.to_owned(), problem });
        }
    }
    Ok(Some(bytes))
}
