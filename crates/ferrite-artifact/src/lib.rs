//! Artifacts: what a source becomes, from the files of a repository to the files a consumer works on.
//!
//! ```text
//!  files ──▶ archive (ignore rules, tar.gz) ──▶ Store ──▶ serve ──HTTP──▶ Fetcher ──▶ unpack ──▶ MemoryTree
//!                                               digest, retention         digest, bounds, cache
//! ```
//!
//! A source-controller uses [`archive`], [`Store`] and [`serve`]; its consumers use [`Fetcher`] alone. Use
//! [`unpack()`] for archives that come another way, such as layers of an OCI artifact.
//!
//! ```
//! use ferrite_artifact::{Bounds, Item, ItemKind, Limits, Rules, archive, unpack};
//!
//! let file = |path: &str| Item { path: path.into(), kind: ItemKind::File { executable: false }, content: "v: 1" };
//! let items = vec![file("deploy/app.yaml"), file("docs/logo.png"), file(".github/workflow.yaml")];
//! let rules = Rules::load(&items, None, |content| Ok::<_, std::io::Error>(content.as_bytes().to_vec()))?;
//! let mut tar_gz = Vec::new();
//! archive(items, &rules, Bounds::default(), |text| Ok::<_, std::io::Error>(text.as_bytes().to_vec()), &mut tar_gz)?;
//!
//! let tree = unpack(tar_gz.as_slice(), &Limits::default())?;
//! assert_eq!(tree.files().map(|(path, ..)| path).collect::<Vec<_>>(), ["deploy/app.yaml"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Invariants.** Equal files and rules give equal bytes. A file in the store is whole or absent. Nothing is used
//! before its digest is right. Every read from a peer or an archive is bounded, and no path leaves its root. The
//! crate knows no Kubernetes and no Git. It deliberately signs nothing, lists no directories and follows no links.

mod archive;
mod digest;
mod fetch;
mod ignore;
mod serve;
mod store;
mod unpack;

pub use archive::{ArchiveError, Bounds, Item, ItemKind, Summary, archive, archive_streams};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use fetch::{FetchError, FetchOptions, Fetcher, Hosts};
pub use ignore::{IgnoreError, Rules, matches_name};
pub use serve::serve;
pub use store::{DiskStore, Health, ObjectDirectory, Pending, Retention, Store, StoreError, Stored};
pub use unpack::{Limits, UnpackError, unpack};
