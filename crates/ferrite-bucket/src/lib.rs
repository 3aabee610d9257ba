//! Buckets of object stores, as far as a source needs them: is it there, what is in it, give me this object.
//!
//! ```text
//!              ┌ S3: any store that speaks it; AWS signature 4, region found out, path or host style
//! Bucket ──────┼ Gcs: Google's JSON API, whose entity tags are the ones that revisions are made of
//!  exists      └ Azure: Blob service; shared key, shared access signature, bearer token
//!  list  (pages, bounded)
//!  get   (streamed)              S3 also writes: put, remove
//! ```
//!
//! Use it where objects are read and compared by entity tag. Credentials come from outside, through [`KeySource`] and
//! [`TokenSource`], and are asked for with every request, so that they may expire.
//!
//! ```no_run
//! # async fn example(client: reqwest::Client) -> Result<(), ferrite_bucket::BucketError> {
//! use ferrite_bucket::{AccessKeys, Bucket, S3};
//!
//! let s3 = S3::new(client, "minio.example.org:9000", false, "manifests")?
//!     .with_keys(AccessKeys::new("user", "secret"));
//! let bucket = Bucket::S3(s3);
//! for object in bucket.list("production/", 100_000).await? {
//!     println!("{} {}", object.key, object.etag);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Invariants.** No error shows an address with its query, a key or a token. Every answer that is read whole is
//! bounded; objects are handed on in pieces. Redirects are the caller's client's affair and should be off: a store
//! that answers elsewhere is asked there by its name. It deliberately knows no paths: keys are handed on as they are.

mod azure;
mod bucket;
mod credentials;
mod error;
mod gcs;
mod http;
mod s3;

pub use azure::{Azure, AzureLogin};
pub use bucket::{Bucket, Listed, Object};
pub use credentials::{AccessKeys, KeySource, Secret, TokenSource};
pub use error::BucketError;
pub use gcs::Gcs;
pub use s3::{LdapIdentity, S3};
