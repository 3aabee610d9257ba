//! Git without the git binary: read a remote's refs, fetch one commit, walk its files; and serve repositories.
//!
//! ```text
//! Remote ─▶ Client ── ls_refs ──▶ [Ref]
//!             │ └──── resolve ──▶ Head (name, commit, revision string)
//!             └────── fetch(Head) ▶ Snapshot ── files ──▶ (path, kind, bytes), no work tree
//!                                      └───── signed_commit, signed_tag ──▶ signature::verify
//!
//! Snapshot + changes ── Client::push ──▶ a branch of the remote
//! Repository (init, commit, tag) ─▶ serve::Repositories ─▶ smart HTTP, protocol v0 and v2
//! ```
//!
//! Use this crate to follow somebody's repository cheaply: a poll is two small requests, a fetch is one commit deep.
//! To turn a snapshot into an artifact, use `ferrite-artifact`.
//!
//! ```no_run
//! # async fn example() -> Result<(), ferrite_git::Error> {
//! use ferrite_git::{Client, Reference, Remote};
//!
//! let client = Client::new(Remote::parse("https://example.com/app.git")?)?;
//! let head = client.resolve(&Reference::branch("main")).await?;
//! println!("{}", head.revision()); // main@sha1:…
//! let snapshot = client.fetch(&head).await?;
//! for file in snapshot.files() {
//!     println!("{}", file?.path);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Invariants.** No process is spawned and no configuration of the user or the system is read. Every read from a
//! peer is bounded, in bytes and by the remote's deadline. Secrets are [`Redacted`] and reach no error, and neither
//! does the user part of a URL. It deliberately knows no LFS and no work trees.

mod client;
mod connection;
mod error;
mod http;
mod local;
mod objects;
mod pktline;
mod protocol;
mod push;
mod redacted;
mod reference;
mod remote;
mod repository;
pub mod serve;
pub mod signature;
mod snapshot;
mod ssh;
mod submodules;

pub use client::Client;
pub use error::Error;
pub use gix::ObjectId;
pub use push::Push;
pub use redacted::Redacted;
pub use reference::{Head, Ref, Reference};
pub use remote::{Auth, Identity, Limits, Location, Proxy, Remote, SshAddress, SshAlgorithms, SshAuth};
pub use repository::{Change, Repository};
pub use snapshot::{Commit, Entry, EntryKind, File, Files, Person, Snapshot, Tag, Walk};
