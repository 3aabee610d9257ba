//! `ferrite dev`: a cluster, the controllers and a repository in one process.
//!
//! ```text
//! repository ──commit──▶ source-controller ──artifact──▶ kustomize-controller ──▶ embedded API server
//!      └── a new commit asks for a reconcile at once, as a webhook would
//! ```

mod cluster;
mod follow;
mod objects;
mod repository;
mod terminal;
mod view;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args;

/// Runs until interrupted.
///
/// # Errors
///
/// When a part cannot start (port taken, directory not writable, no such repository) or dies.
pub(crate) fn run(options: args::Dev) -> Result<()> {
    drop(rustls::crypto::ring::default_provider().install_default());
    if let Some(level) = options.log_level {
        ferrite_runtime::logging::init(level, ferrite_runtime::flags::LogEncoding::Json);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(dev(options))
}

async fn dev(options: args::Dev) -> Result<()> {
    let repository = repository::open(&options)?;
    let cluster = cluster::start(&options).await?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (failed, mut failure) = tokio::sync::mpsc::channel::<anyhow::Error>(1);

    let source = repository.serve(&tasks, &stop).await?;
    let webhooks = cluster::start_controllers(&cluster, &tasks, &stop, &failed).await?;
    objects::declare(&cluster.client, &source, &options.interval).await?;
    source.follow(&cluster.client, &tasks, &stop)?;

    let header = header(&cluster, &source, webhooks);
    let shown = tokio::select! {
        result = terminal::show(&header, options.plain, follow::changes(&cluster.client)) => result,
        Some(error) = failure.recv() => Err(error),
        result = tokio::signal::ctrl_c() => result.context("cannot wait for an interrupt"),
    };
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    cluster.shutdown().await;
    shown
}

fn header(cluster: &cluster::Cluster, source: &repository::Source, webhooks: SocketAddr) -> String {
    let mut text = format!("cluster     export KUBECONFIG={}\n", cluster.kubeconfig.display());
    text.push_str(&format!("repository  {}\n", source.describe()));
    text.push_str(&format!("webhooks    http://{webhooks}<status.webhookPath of a Receiver>\n"));
    if let Some(hint) = source.hint() {
        text.push_str(&format!("try         {hint}\n"));
    }
    text.push_str("stop        Ctrl-C\n");
    text
}
