//! The command line's shape; flags named as in `flux` and `kustomize` where the verb is the same.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::of_kind::OfKind;
use crate::session::Global;
use crate::{
    artifact, bootstrap, build, check, completion, create, debug, delete, diff, docgen, envsubst, events,
    export, get, install, logs, migrate, reconcile, stats, suspend, trace, tree, uninstall, version, why,
};

/// GitOps toolkit for Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "ferrite", version, about, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check whether a cluster can run the components, and whether they run.
    Check(check::Options),
    /// List objects and how they are.
    #[command(subcommand)]
    Get(OfKind<get::Options>),
    /// Ask for a reconcile now and wait for it.
    #[command(subcommand)]
    Reconcile(OfKind<reconcile::Options>),
    /// Put objects to rest.
    #[command(subcommand)]
    Suspend(OfKind<suspend::Suspend>),
    /// Let suspended objects go on.
    #[command(subcommand)]
    Resume(OfKind<suspend::Resume>),
    /// Show what the controllers told about objects.
    Events(events::Options),
    /// Show the controllers' logs.
    Logs(logs::Options),
    /// Show what an object has brought into the cluster.
    #[command(subcommand)]
    Tree(OfKind<tree::Options>),
    /// Show where an object comes from.
    Trace(trace::Options),
    /// Show why an object is not ready, down to pod, container, event and commit.
    Why(why::Options),
    /// Count the objects of each kind.
    Stats(stats::Options),
    /// Print objects as YAML, without what the cluster added.
    #[command(subcommand)]
    Export(OfKind<export::Options>),
    /// Make an object from flags.
    Create(create::Options),
    /// Delete an object.
    #[command(subcommand)]
    Delete(OfKind<delete::Options>),
    /// Install the components.
    Install(install::Options),
    /// Install the components and keep them, and the cluster, as a Git repository says.
    Bootstrap {
        #[command(subcommand)]
        command: bootstrap::Command,
    },
    /// Push manifests to a registry.
    Push {
        #[command(subcommand)]
        command: PushCommand,
    },
    /// Pull manifests from a registry.
    Pull {
        #[command(subcommand)]
        command: PullCommand,
    },
    /// List the artifacts of a repository.
    List {
        #[command(subcommand)]
        command: ListCommand,
    },
    /// Give an artifact more tags.
    Tag {
        #[command(subcommand)]
        command: TagCommand,
    },
    /// Bring objects or manifests to the versions that are stored today.
    Migrate(migrate::Options),
    /// Write the reference of this command line.
    #[command(hide = true)]
    Docgen(docgen::Options),
    /// Remove the components and their definitions; what they applied stays.
    Uninstall(uninstall::Options),
    /// Show what would be applied.
    Build {
        #[command(subcommand)]
        command: BuildCommand,
    },
    /// Show what an apply would change; exits with 4 when there is a difference.
    Diff {
        #[command(subcommand)]
        command: diff::Command,
    },
    /// Show the final variables or values, status and history of an object.
    Debug {
        #[command(subcommand)]
        command: debug::Command,
    },
    /// Put environment variables into a text, as post-build substitution does.
    Envsubst(envsubst::Options),
    /// Print a completion script for the shell.
    Completion(completion::Options),
    /// Print the versions of this program and of the components.
    Version(version::Options),
    /// Run an embedded API server and all controllers, and sync a Git repository into it.
    ///
    /// Without --url a demo repository is made in .ferrite/demo: edit it, commit, and watch.
    Dev(Dev),
    /// Render kustomizations.
    Kustomize {
        #[command(subcommand)]
        command: KustomizeCommand,
    },
    /// Render charts and read releases as helm does: template, install --dry-run=client, lint, show, dependency list, list,
    /// history, status and get, with helm's flags.
    #[command(disable_help_flag = true)]
    Helm {
        /// As for `helm`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

/// Options of `ferrite dev`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Dev {
    /// Git repository to sync: an http(s) URL or a directory on this machine. Default: a demo repository.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Branch to follow. Default: main, or the branch checked out in a local directory.
    #[arg(long)]
    pub(crate) branch: Option<String>,
    /// Directory in the repository to apply.
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// Where to write the kubeconfig.
    #[arg(long, default_value = ".ferrite/kubeconfig")]
    pub(crate) kubeconfig_out: PathBuf,
    /// Port of the API server; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Keep the cluster's state in this directory. Default: in memory only.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// How often the repository is polled; a commit to a local repository is noticed at once in any case.
    #[arg(long, default_value = "1m")]
    pub(crate) interval: String,
    /// Print one line per change instead of the live view (the default when output is not a terminal).
    #[arg(long)]
    pub(crate) plain: bool,
    /// Also print the controllers' logs (JSON, on standard error) at this level.
    #[arg(long)]
    pub(crate) log_level: Option<ferrite_runtime::flags::LogLevel>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BuildCommand {
    /// A Kustomization from a directory of this machine.
    #[command(visible_alias = "ks")]
    Kustomization(build::Options),
    /// An archive of manifests, as it would be pushed.
    Artifact(artifact::Build),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PushCommand {
    /// An artifact of a directory or file.
    Artifact(artifact::Push),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PullCommand {
    /// An artifact into a directory.
    Artifact(artifact::Pull),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ListCommand {
    /// The artifacts with their tags, digests and origins.
    #[command(alias = "artifact")]
    Artifacts(artifact::List),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TagCommand {
    /// An artifact.
    Artifact(artifact::Tag),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KustomizeCommand {
    /// Build a kustomization target from a directory.
    Build(KustomizeBuild),
}

/// Options of `ferrite kustomize build`: names and defaults of `kustomize build`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KustomizeBuild {
    /// Directory with a kustomization file.
    #[arg(default_value = ".")]
    pub(crate) dir: String,
    /// Write the output to this file, or one file for each object into this directory.
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
    /// Whether files outside the kustomization's directory may be loaded.
    #[arg(long, default_value = "LoadRestrictionsRootOnly")]
    pub(crate) load_restrictor: LoadRestrictor,
    /// Order of the output.
    #[arg(long)]
    pub(crate) reorder: Option<Reorder>,
    /// Add the label app.kubernetes.io/managed-by.
    #[arg(long)]
    pub(crate) enable_managedby_label: bool,
    /// Allow helmCharts; they are rendered in process, no helm program is run.
    #[arg(long)]
    pub(crate) enable_helm: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoadRestrictor {
    /// Only files at or below the kustomization.
    #[value(name = "LoadRestrictionsRootOnly")]
    RootOnly,
    /// Any file.
    #[value(name = "LoadRestrictionsNone")]
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reorder {
    /// Namespaces and CRDs first, webhooks last.
    Legacy,
    /// As listed.
    None,
}
