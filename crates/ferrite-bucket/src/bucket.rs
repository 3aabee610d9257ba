//! One bucket, whatever its store speaks.

use bytes::Bytes;

use crate::{Azure, BucketError, Gcs, S3, http};

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, as the store has it.
    pub key: String,
    /// Its entity tag, in the spelling that Flux makes revisions of: S3 without quotes, Azure with, Google's own.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// Which of its versions this is, for stores that count them.
    pub(crate) generation: Option<String>,
}

impl Listed {
    /// An object of which nothing is known but its name.
    pub fn named(key: impl Into<String>) -> Self {
        Self { key: key.into(), etag: String::new(), size: 0, generation: None }
    }
}

/// An object on its way.
#[derive(Debug)]
pub struct Object {
    /// The entity tag of what is being sent, spelled as in [`Listed`].
    pub etag: String,
    pub(crate) response: reqwest::Response,
}

impl Object {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`BucketError::Connection`] when the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BucketError> {
        let host = self.response.url().host_str().unwrap_or_default().to_owned();
        self.response.chunk().await.map_err(|error| http::broken(&host, error))
    }
}

/// A bucket that can be read.
#[derive(Debug)]
pub enum Bucket {
    /// S3 and what speaks like it.
    S3(S3),
    /// Google Cloud Storage.
    Gcs(Gcs),
    /// A container of Azure's Blob service.
    Azure(Azure),
}

impl Bucket {
    /// Whether it is there.
    ///
    /// # Errors
    /// [`BucketError`] when the store refuses to say.
    pub async fn exists(&self) -> Result<bool, BucketError> {
        match self {
            Self::S3(s3) => s3.exists().await,
            Self::Gcs(gcs) => gcs.exists().await,
            Self::Azure(azure) => azure.exists().await,
        }
    }

    /// All objects whose keys begin with `prefix`, at most `limit`, in the store's order.
    ///
    /// # Errors
    /// [`BucketError::TooMany`], and what the store and the connection say.
    pub async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<Listed>, BucketError> {
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let page = match self {
                Self::S3(s3) => s3.page(prefix, next.as_deref()).await?,
                Self::Gcs(gcs) => gcs.page(prefix, next.as_deref()).await?,
                Self::Azure(azure) => azure.page(prefix, next.as_deref()).await?,
            };
            let nothing_new = page.objects.is_empty() && page.next == next;
            all.extend(page.objects);
            if all.len() > limit {
                return Err(BucketError::TooMany { limit });
            }
            // A store that repeats itself would be asked forever.
            match page.next.filter(|_| !nothing_new) {
                Some(token) => next = Some(token),
                None => return Ok(all),
            }
        }
    }

    /// The object, in the version that was listed where the store can tell, or a newer one; `None` when it is gone.
    ///
    /// # Errors
    /// [`BucketError`] when the store refuses or the connection breaks.
    pub async fn get(&self, object: &Listed) -> Result<Option<Object>, BucketError> {
        match self {
            Self::S3(s3) => s3.get(&object.key).await,
            Self::Gcs(gcs) => gcs.get(object).await,
            Self::Azure(azure) => azure.get(&object.key).await,
        }
    }
}

/// A part of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Listed>,
    /// What to ask for next; `None` at the end.
    pub(crate) next: Option<String>,
}
