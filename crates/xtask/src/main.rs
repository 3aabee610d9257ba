//! Repository tasks: `cargo xtask tidy` checks the house rules, `cargo xtask gen` writes generated files,
//! `cargo xtask images` makes container images.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

mod generate;
mod images;
mod tidy;

#[derive(Parser)]
#[command(name = "xtask", about = "Repository tasks")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check layers, lints, dependency declarations and file sizes.
    Tidy,
    /// Write generated files: crds/, docs/api/ and docs/api-versions.md.
    Gen {
        /// Write nothing; fail when a file is stale.
        #[arg(long)]
        check: bool,
    },
    /// Make OCI image archives of the programs, without a container engine.
    Images(images::Options),
    /// Print what the CustomResourceDefinitions below a folder say, for tests/corpus/crds.
    Facts {
        /// The folder.
        folder: PathBuf,
        /// Leave out versions that are stored today.
        #[arg(long)]
        former: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().task {
        Task::Tidy => tidy::run(),
        Task::Gen { check } => generate::run(check),
        Task::Images(options) => images::run(&PathBuf::from("."), &options),
        Task::Facts { folder, former } => generate::facts(&folder, former),
    }
}
