//! `ferrite`: the command line.
//!
//! ```text
//! ferrite dev              an API server, the controllers and a repository in one process
//! ferrite kustomize build  what `kustomize build` prints
//! ferrite helm template    what `helm template` prints
//! ```
//!
//! Exit codes: 0 done, 1 error, 2 wrong usage.

mod args;
mod charts;
mod dev;
mod helm;
mod kustomize;
mod remote;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, KustomizeCommand};

fn main() -> ExitCode {
    // Whoever embeds this cannot have installed another: this is the program.
    drop(rustls::crypto::ring::default_provider().install_default());
    let result = match Args::parse().command {
        Command::Dev(options) => dev::run(options),
        Command::Kustomize { command: KustomizeCommand::Build(options) } => kustomize::build(&options),
        Command::Helm { args } => match helm::run(&args) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("✗ {}", ferrite_runtime::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
