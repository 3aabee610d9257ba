//! source-controller: fetches what objects name as their source, and serves it as artifacts.
//!
//! ```text
//! GitRepository ─▶ observe: storage, secrets, one poll per remote ─▶ plan ─▶ act: fetch, archive, store ─▶ report
//!                                                                              │
//!                  consumers ◀── HTTP ── artifact server ◀── storage directory ┘
//! ```
//!
//! Run it beside the consumers, kustomize-controller first of all, in place of Flux's controller of the same name.
//!
//! ```no_run
//! # async fn example(runtime: ferrite_runtime::Runtime) -> Result<(), ferrite_source_controller::Error> {
//! use ferrite_source_controller::{Config, run};
//!
//! let mut config = Config::new("/data");
//! config.storage_addr = "127.0.0.1:0".to_owned(); // a free port, which the artifact URLs then carry
//! run(runtime, config).await
//! # }
//! ```
//!
//! **Invariants.** An artifact is visible whole or not at all. Nothing is fetched when neither the remote nor the spec
//! moved, and nothing is fetched again after a restart that kept the storage. A spec that asks for what is not
//! supported yet stalls with a condition that says so; it is never fetched differently than asked.

mod args;
pub mod artifact_generator;
pub mod bucket;
mod config;
mod context;
mod credentials;
mod download;
pub mod git_repository;
pub mod helm_chart;
mod helm_index;
mod helm_index_cache;
pub mod helm_repository;
mod oci;
pub mod oci_repository;
mod outcome;
mod polls;
mod storage;
pub mod watcher;
#[cfg(test)]
mod world;

use std::sync::Arc;

use ferrite_artifact::{Algorithm, DiskStore};
use ferrite_runtime::{Controller, Handle, Runtime, serve};
use tokio::task::JoinHandle;

pub use args::{Args, FEATURE_GATES};
use bucket::Buckets;
pub use config::{CloudConfig, Config, HelmLimits, IndexCacheLimits};
use context::Context;
use git_repository::GitRepositories;
use helm_chart::HelmCharts;
use helm_repository::HelmRepositories;
use oci_repository::OciRepositories;

/// The controller's name on the wire: reporting component, field manager, lease.
pub const NAME: &str = "source-controller";

/// Why a source-controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--artifact-digest-algo` names none.
    #[error("cannot use --artifact-digest-algo")]
    Algorithm(#[source] ferrite_artifact::DigestError),
    /// `--storage-path` cannot be used.
    #[error("cannot use --storage-path")]
    Storage(#[source] ferrite_artifact::StoreError),
    /// `--storage-addr` cannot be bound.
    #[error("cannot serve artifacts; check --storage-addr")]
    Listen(#[source] std::io::Error),
    /// The client for artifacts cannot be set up.
    #[error("cannot prepare to fetch artifacts")]
    Fetcher(#[source] ferrite_artifact::FetchError),
    /// `--default-service-account` without the gate that makes it mean something.
    #[error(
        "invalid configuration: --default-service-account needs --feature-gates=ObjectLevelWorkloadIdentity=true"
    )]
    DefaultServiceAccount,
    /// A blocking task was cancelled.
    #[error("interrupted while opening the storage")]
    Interrupted,
}

/// Reconciles and serves until `runtime.shutdown` is cancelled.
///
/// The artifact listener is bound first, so that port 0 works and the advertised address is right.
///
/// # Errors
/// See [`Error`]: only what is wrong at the start. Later failures are conditions on objects.
pub async fn run(runtime: Runtime, config: Config) -> Result<(), Error> {
    if config.cloud.default_service_account.is_some() && !config.cloud.object_level {
        return Err(Error::DefaultServiceAccount);
    }
    let (context, server) = open(&runtime, &config).await?;
    let context = Arc::new(context);
    let purge = helm_index_cache::purge(Arc::clone(&context), config.index_cache.purge_interval);
    let purge = tokio::spawn(runtime.shutdown.clone().run_until_cancelled_owned(purge));
    let git = Controller::new(&runtime, Handle::new(&runtime), GitRepositories::new(Arc::clone(&context)));
    let helm = Controller::new(&runtime, Handle::new(&runtime), HelmRepositories::new(Arc::clone(&context)));
    let mut charts = Controller::new(&runtime, Handle::new(&runtime), HelmCharts::new(Arc::clone(&context)));
    helm_chart::watch_sources(&mut charts, &runtime);
    let oci = Controller::new(&runtime, Handle::new(&runtime), OciRepositories::new(Arc::clone(&context)));
    let buckets = Controller::new(&runtime, Handle::new(&runtime), Buckets::new(context));
    let workers = config.concurrent;
    tokio::join!(
        git.concurrent(workers).run(),
        helm.concurrent(workers).run(),
        charts.concurrent(workers).run(),
        oci.concurrent(workers).run(),
        buckets.concurrent(workers).run()
    );
    // It ends with the shutdown.
    purge.await.map_err(|_| Error::Interrupted)?;
    server.await.map_err(|_| Error::Interrupted)
}

/// Opens the storage and serves it.
async fn open(runtime: &Runtime, config: &Config) -> Result<(Context, JoinHandle<()>), Error> {
    let algorithm: Algorithm = config.digest_algorithm.parse().map_err(Error::Algorithm)?;
    let path = config.storage_path.clone();
    let opened = tokio::task::spawn_blocking(move || DiskStore::open(path, algorithm)).await;
    let store = opened.map_err(|_| Error::Interrupted)?.map_err(Error::Storage)?;
    let listener = serve::listen(&config.storage_addr).await.map_err(Error::Listen)?;
    let advertised = config.advertised(listener.local_addr().map_err(Error::Listen)?);
    tracing::info!(%advertised, path = %store.root().display(), "serving artifacts");
    let shutdown = runtime.shutdown.clone();
    let server =
        tokio::spawn(ferrite_artifact::serve(
            listener,
            store.clone(),
            async move { shutdown.cancelled().await },
        ));
    Ok((Context::new(runtime, config, Arc::new(store), advertised), server))
}
