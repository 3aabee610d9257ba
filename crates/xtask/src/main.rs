//! Repository tasks: `cargo xtask tidy` checks the house rules, `cargo xtask gen` writes generated files.

use clap::{Parser, Subcommand};

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
}

fn main() -> anyhow::Result<()> {
    match Args::parse().task {
        Task::Tidy => tidy::run(),
    }
}
