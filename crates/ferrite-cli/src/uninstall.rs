//! `ferrite uninstall`: the components, definitions and namespace out of a cluster; what they applied stays.

use std::io::IsTerminal as _;

use anyhow::{Result, bail};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::installed::{PART_OF, definitions, installation};
use crate::kinds::ALL;
use crate::objects::{self, Absent, dynamic, plain};
use crate::say;
use crate::session::Session;

/// Options of `ferrite uninstall`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Leave the namespace.
    #[arg(long)]
    keep_namespace: bool,
    /// Only show what would be deleted.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    silent: bool,
}

/// What is deleted, in this order: the controllers first, so that nobody acts on what follows.
const PARTS: &[(&str, &str, &str, &str, bool)] = &[
    ("apps", "v1", "Deployment", "deployments", true),
    ("", "v1", "Service", "services", true),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true),
    ("", "v1", "ServiceAccount", "serviceaccounts", true),
    ("", "v1", "ResourceQuota", "resourcequotas", true),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
];

/// Deletes.
///
/// # Errors
///
/// When it was not confirmed, or something could not be deleted.
pub(crate) async fn run(session: &Session, options: &Options) -> Result<()> {
    if !options.dry_run && !options.silent {
        let manager = installation(session).await?.map(|found| found.managed_by).unwrap_or_default();
        let question = if matches!(manager.as_str(), "" | "flux") {
            "Are you sure you want to delete Flux and its custom resource definitions".to_owned()
        } else {
            format!("Flux is managed by {manager}! Are you sure you want to delete Flux and its CRDs")
        };
        if !confirm(&question)? {
            bail!("aborting");
        }
    }
    let mut work = Uninstall { session, dry_run: options.dry_run, failed: 0 };
    say::action(format!("deleting components in {} namespace", session.namespace));
    work.components().await?;
    say::action("deleting toolkit.fluxcd.io finalizers in all namespaces");
    work.finalizers().await?;
    say::action("deleting toolkit.fluxcd.io custom resource definitions");
    work.delete((
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ))
    .await?;
    if !options.keep_namespace {
        work.namespace().await;
    }
    if work.failed > 0 {
        bail!("{} deletions failed", work.failed);
    }
    say::success("uninstall finished");
    Ok(())
}

/// Asks on the terminal; without one nothing is confirmed.
///
/// # Errors
///
/// When there is no terminal to ask on.
pub(crate) fn confirm(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("{question}? There is no terminal to ask on; say so with --silent");
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

struct Uninstall<'a> {
    session: &'a Session,
    dry_run: bool,
    failed: usize,
}

impl Uninstall<'_> {
    fn told(&mut self, what: &str, done: &str, outcome: Result<(), anyhow::Error>) {
        let dry = if self.dry_run { " (dry run)" } else { "" };
        match outcome {
            Ok(()) => say::success(format!("{what} {done}{dry}")),
            Err(error) => {
                self.failed += 1;
                say::failure(format!("{what} deletion failed: {}", ferrite_runtime::chain(error.as_ref())));
            }
        }
    }

    async fn components(&mut self) -> Result<()> {
        for part in PARTS {
            self.delete(*part).await?;
        }
        Ok(())
    }

    /// Deletes all objects of a kind that are part of the installation.
    async fn delete(&mut self, part: (&str, &str, &str, &str, bool)) -> Result<()> {
        let (group, version, kind, plural, namespaced) = part;
        let namespace = namespaced.then_some(self.session.namespace.as_str());
        let api = if kind == "CustomResourceDefinition" {
            definitions(self.session)
        } else {
            dynamic(self.session, (group, version, kind, plural), namespace)
        };
        for object in api.list(&ListParams::default().labels(PART_OF)).await.map_err(plain)? {
            let name = object.name_any();
            let shown =
                namespace.map_or(format!("{kind}/{name}"), |namespace| format!("{kind}/{namespace}/{name}"));
            let params = DeleteParams { dry_run: self.dry_run, ..DeleteParams::foreground() };
            let outcome = api.delete(&name, &params).await.map(drop).map_err(plain);
            self.told(&shown, "deleted", outcome);
        }
        Ok(())
    }

    /// Nobody is left to carry out what the finalizers of our kinds ask for.
    async fn finalizers(&mut self) -> Result<()> {
        for kind in ALL {
            let objects = match objects::list(self.session, kind, None, &ListParams::default()).await {
                Err(error) if error.is::<Absent>() => continue,
                listed => listed?,
            };
            for object in objects.iter().filter(|object| object.pointer("/metadata/finalizers/0").is_some()) {
                let (namespace, name) = (objects::namespace(object), objects::name(object));
                let api = self.session.api(kind, Some(namespace));
                let patch = Patch::Merge(json!({"metadata": {"finalizers": []}}));
                let params = PatchParams { dry_run: self.dry_run, ..PatchParams::default() };
                let outcome = api.patch(name, &params, &patch).await.map(drop).map_err(plain);
                self.told(&format!("{}/{namespace}/{name}", kind.kind), "finalizers deleted", outcome);
            }
        }
        Ok(())
    }

    async fn namespace(&mut self) {
        let name = self.session.namespace.clone();
        let api = dynamic(self.session, ("", "v1", "Namespace", "namespaces"), None);
        let params = DeleteParams { dry_run: self.dry_run, ..DeleteParams::default() };
        let outcome = match api.delete(&name, &params).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return,
            outcome => outcome.map(drop).map_err(plain),
        };
        self.told(&format!("Namespace/{name}"), "deleted", outcome);
    }
}
