//! `make bench`: the figures of the product, one line each.
//!
//! ```text
//! programs of target/release ──▶ processes of their own, on port 0
//! this program ──▶ Git server, Kubernetes client, stopwatch, /proc
//! ```
//!
//! Absolute times differ between machines; compare lines of one run, or runs on one quiet machine.

mod kustomize;
mod programs;
mod sync;

use anyhow::Result;
use clap::Parser;
use regex::Regex;

#[derive(Parser)]
#[command(about = "Print the product's figures, one line each")]
struct Args {
    /// Only benchmarks whose name matches this regular expression.
    #[arg(long = "match", default_value = ".*")]
    matching: Regex,
    /// Directory with the programs to measure.
    #[arg(long)]
    programs: Option<std::path::PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let wanted = |name: &str| args.matching.is_match(name);
    if wanted("kustomize-4000-documents") {
        kustomize::four_thousand_documents()?;
    }
    if !["sync", "drift", "commit", "rss"].into_iter().any(wanted) {
        return Ok(());
    }
    let directory = match args.programs {
        Some(directory) => directory,
        None => programs::beside_this_one()?,
    };
    drop(rustls::crypto::ring::default_provider().install_default());
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(sync::run(&directory))
}

/// Prints one line of figures: name, then `key=value` pairs.
#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
fn figure(name: &str, values: &[(&str, String)]) {
    let values: Vec<String> = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
    println!("{name:32} {}", values.join(" "));
}
