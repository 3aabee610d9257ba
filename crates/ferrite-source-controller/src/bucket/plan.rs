//! Decides: keep the artifact, fetch another, or tell what is wrong.

use std::{sync::Arc, time::Duration};

use ferrite_api::{Artifact, source::Bucket};
use ferrite_artifact::{Algorithm, Bounds, Health, ObjectDirectory};

use super::{
    Error, Found, Observed,
    index::{Index, Placed},
    observe::artifact_of,
};
use crate::storage::{self, Before};

/// The link to the newest artifact.
pub(super) const ALIAS: &str = "latest.tar.gz";

/// What one reconcile of a Bucket will do.
#[derive(Debug)]
pub struct Plan {
    /// What is done about the storage first.
    pub before: Before,
    /// What comes after that.
    pub next: Next,
}

/// The heart of a [`Plan`].
#[derive(Debug)]
pub enum Next {
    /// Nothing moved.
    Keep {
        /// The artifact at the address where it is served now.
        artifact: Artifact,
        /// The address that does not change with the revision.
        url: String,
        /// How many objects it is made of.
        objects: usize,
    },
    /// Fetch and store.
    Fetch(Box<Fetch>),
    /// Nothing can be done.
    Fail(Error),
}

/// How an artifact is made.
#[derive(Debug)]
pub struct Fetch {
    /// The name of the bucket.
    pub(crate) bucket: String,
    /// Whom to ask.
    pub(crate) store: Arc<ferrite_bucket::Bucket>,
    /// The objects as they were listed.
    pub(crate) index: Index,
    /// Where each goes.
    pub(crate) places: Vec<Placed>,
    /// The ignore rules, which are part of the artifact.
    pub(crate) ignore_file: Option<Vec<u8>>,
    /// The deadline of all downloads together.
    pub(crate) timeout: Duration,
    /// Bytes of all objects together.
    pub(crate) limit: u64,
    /// Where the artifact goes.
    pub(crate) directory: ObjectDirectory,
    /// The stored artifact, if there is one, which is then of another revision.
    pub(crate) outdated: Option<Artifact>,
}

pub(super) fn plan(bucket: &Bucket, observed: &Observed) -> Plan {
    let directory = storage::directory(bucket);
    let artifact = artifact_of(bucket);
    let before = storage::before(directory.as_ref().ok(), artifact, observed.stored);
    let next = match (&observed.found, directory) {
        (Err(error), _) => Next::Fail(error.clone()),
        (Ok(_), Err(error)) => Next::Fail(Error::Store(Arc::new(error))),
        (Ok(found), Ok(directory)) => {
            let stored = artifact.filter(|_| observed.stored == Some(Health::Good));
            match stored.filter(|stored| found.index.is(&stored.revision)) {
                Some(stored) => Next::Keep {
                    artifact: Artifact {
                        url: format!("{}{}", observed.url_of, stored.path),
                        ..stored.clone()
                    },
                    url: format!("{}{directory}/{ALIAS}", observed.url_of),
                    objects: found.index.len(),
                },
                None => fetch(bucket, found, directory, stored),
            }
        }
    };
    Plan { before, next }
}

fn fetch(bucket: &Bucket, found: &Found, directory: ObjectDirectory, stored: Option<&Artifact>) -> Next {
    let (name, limit) = (bucket.spec.bucket_name.clone(), Bounds::default().unpacked_bytes);
    if found.index.bytes() > limit {
        return Next::Fail(Error::TooLarge { bucket: name, limit });
    }
    let places = match found.index.places() {
        Ok(places) => places,
        Err(error) => return Next::Fail(error),
    };
    Next::Fetch(Box::new(Fetch {
        bucket: name,
        store: Arc::clone(&found.store),
        index: found.index.clone(),
        places,
        ignore_file: found.ignore_file.clone(),
        timeout: bucket.timeout().to_std(),
        limit,
        directory,
        outdated: stored.cloned(),
    }))
}

/// The revision of an index in the algorithm that all revisions are made with.
pub(super) fn revision(index: &Index) -> ferrite_artifact::Digest {
    index.digest(Algorithm::Sha256)
}
