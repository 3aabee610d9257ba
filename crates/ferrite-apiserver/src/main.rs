//! `ferrite-apiserver`: the embedded API server as a program.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use ferrite_apiserver::ApiServer;
use tokio::signal::unix::{SignalKind, signal};

/// A Kubernetes API server for laptops, tests and CI: one process, no cluster.
#[derive(Debug, Parser)]
#[command(name = "ferrite-apiserver", version)]
struct Args {
    /// Where to write the administrator's kubeconfig once the server serves.
    #[arg(long, value_name = "FILE")]
    kubeconfig_out: PathBuf,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Keep objects here instead of in memory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write the status of workloads as if their controllers and nodes were there.
    #[arg(long)]
    workloads: bool,
    /// Directory of CRDs (*.yaml, *.yml, *.json) to install; may be given more than once.
    #[arg(long, value_name = "DIR")]
    crds: Vec<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().json().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let args = Args::parse();
    let mut crds = Vec::new();
    for dir in &args.crds {
        let mut files: Vec<PathBuf> =
            fs_err::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
        files.retain(|f| matches!(f.extension().and_then(|e| e.to_str()), Some("yaml" | "yml" | "json")));
        files.sort();
        for file in files {
            crds.push(fs_err::read_to_string(&file)?);
        }
    }
    let server =
        ApiServer::builder().port(args.port).data_dir(args.data_dir).crds(crds).workloads(args.workloads);
    let running = server.start().await?;
    running.write_kubeconfig(&args.kubeconfig_out)?;
    tracing::info!(url = running.url(), kubeconfig = %args.kubeconfig_out.display(), "serving");
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.context("cannot wait for an interrupt")?,
    }
    running.shutdown().await;
    Ok(())
}
