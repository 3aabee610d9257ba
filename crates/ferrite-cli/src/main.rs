//! `ferrite`: the command line.
//!
//! ```text
//! ferrite get, reconcile, suspend, resume, events, logs, tree, trace, stats, export   as in `flux`
//! ferrite why              the chain from an object that is not ready to what is wrong
//! ferrite create, delete   objects from flags
//! ferrite push, pull, list, tag   manifests as artifacts of a registry
//! ferrite install, bootstrap, uninstall, migrate, check, version   the components
//! ferrite build, diff, debug   what would be applied, what would change, with which values
//! ferrite dev              an API server, the controllers and a repository in one process
//! ferrite kustomize build  what `kustomize build` prints
//! ferrite helm template    what `helm template` prints
//! ```
//!
//! Exit codes: 0 done, 1 error, 2 wrong usage, 3 not ready, 4 something differs.

mod age;
mod args;
mod artifact;
mod bootstrap;
mod build;
mod charts;
mod check;
mod columns;
mod completion;
mod create;
mod debug;
mod delete;
mod dev;
mod diff;
mod docgen;
mod envsubst;
mod events;
mod export;
mod get;
mod helm;
mod install;
mod installed;
mod inventory;
mod kinds;
mod kustomize;
mod logs;
mod manifests;
mod migrate;
mod objects;
mod of_kind;
mod output;
mod readiness;
mod reconcile;
mod remote;
mod resources;
mod say;
mod session;
mod stats;
mod suspend;
mod table;
mod throttle;
mod trace;
mod tree;
mod uninstall;
mod version;
mod why;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ferrite_runtime::flags::{LogEncoding, LogLevel};

use args::{
    Args, BuildCommand, Command, KustomizeCommand, ListCommand, PullCommand, PushCommand, TagCommand,
};
use readiness::NotReady;
use session::{Global, Session};

/// The exit code for a difference.
const DIFFERENCE: u8 = 4;

fn main() -> ExitCode {
    // Whoever embeds this cannot have installed another: this is the program.
    drop(rustls::crypto::ring::default_provider().install_default());
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("✗ {}", ferrite_runtime::chain(error.as_ref()));
            ExitCode::from(if error.is::<NotReady>() { 3 } else { 1 })
        }
    }
}

fn run(args: Args) -> Result<ExitCode> {
    if args.global.verbose {
        ferrite_runtime::logging::init(LogLevel::Debug, LogEncoding::Console);
    }
    match args.command {
        Command::Dev(options) => dev::run(options)?,
        Command::Kustomize { command: KustomizeCommand::Build(options) } => kustomize::build(&options)?,
        Command::Helm { args } => return helm::run(&args),
        Command::Envsubst(options) => envsubst::run(&options)?,
        Command::Completion(options) => completion::run(&options)?,
        Command::Docgen(options) => docgen::run(&options)?,
        Command::Build { command: BuildCommand::Artifact(options) } => artifact::build(&options)?,
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return runtime.block_on(in_cluster(&args.global, command));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Commands that talk to a cluster; some only if they are told so.
async fn in_cluster(global: &Global, command: Command) -> Result<ExitCode> {
    match command {
        Command::Version(options) => version::run(global, &options).await?,
        Command::Create(options) => create::run(global, &options).await?,
        Command::Migrate(options) => migrate::run(global, &options).await?,
        Command::Push { command: PushCommand::Artifact(options) } => artifact::push(global, &options).await?,
        Command::Pull { command: PullCommand::Artifact(options) } => artifact::pull(global, &options).await?,
        Command::List { command: ListCommand::Artifacts(options) } => {
            artifact::list(global, &options).await?
        }
        Command::Tag { command: TagCommand::Artifact(options) } => artifact::tag(global, &options).await?,
        Command::Diff { command: diff::Command::Artifact(options) } => {
            return Ok(difference(artifact::diff(global, &options).await?));
        }
        Command::Install(options) => install::run(global, &options).await?,
        Command::Build { command: BuildCommand::Kustomization(options) } => {
            build::run(global, &options).await?
        }
        command => return with_session(&global.session().await?, command).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn with_session(session: &Session, command: Command) -> Result<ExitCode> {
    match command {
        Command::Check(options) => check::run(session, &options).await?,
        Command::Get(verb) => get::run(session, &verb).await?,
        Command::Reconcile(verb) => reconcile::run(session, &verb).await?,
        Command::Suspend(verb) => suspend::suspend(session, &verb).await?,
        Command::Resume(verb) => suspend::resume(session, &verb).await?,
        Command::Events(options) => events::run(session, &options).await?,
        Command::Logs(options) => logs::run(session, &options).await?,
        Command::Tree(verb) => tree::run(session, &verb).await?,
        Command::Trace(options) => trace::run(session, &options).await?,
        Command::Why(options) => why::run(session, &options).await?,
        Command::Stats(options) => stats::run(session, &options).await?,
        Command::Export(verb) => export::run(session, &verb).await?,
        Command::Delete(verb) => delete::run(session, &verb).await?,
        Command::Bootstrap { command } => bootstrap::run(session, &command).await?,
        Command::Uninstall(options) => uninstall::run(session, &options).await?,
        Command::Debug { command } => debug::run(session, &command).await?,
        Command::Diff { command: diff::Command::Kustomization(options) } => {
            return Ok(difference(diff::kustomization(session, &options).await?));
        }
        Command::Diff { command: diff::Command::Helmrelease(options) } => {
            return Ok(difference(diff::release(session, &options).await?));
        }
        // Those without a session were run before.
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn difference(differs: bool) -> ExitCode {
    ExitCode::from(if differs { DIFFERENCE } else { 0 })
}
