//! What every action needs.

use std::{sync::Arc, time::Duration};

use ferrite_api::{
    Reason,
    helm::{DeletionPropagation, HelmRelease},
};
use ferrite_apply::{Cluster, Expressions, custom_health};
use ferrite_helm::{Release, Status};
use ferrite_resource::Health;
use ferrite_runtime::{Clock, Progress, Truth};
use kube::api::PropagationPolicy;
use serde_json::Value;

use crate::{
    context::{Context, Settings},
    release::{Options, Releaser},
    storage::Storage,
};

type Judge = Box<dyn Fn(&Value) -> Option<Health> + Send + Sync>;

/// One HelmRelease at work.
pub(crate) struct Worker<'a> {
    pub(crate) object: &'a HelmRelease,
    pub(crate) cluster: &'a Cluster,
    pub(crate) settings: &'a Settings,
    pub(crate) step: &'a Progress,
    pub(crate) clock: &'a Clock,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) storage_namespace: String,
    custom: Judge,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        context: &'a Context,
        object: &'a HelmRelease,
        cluster: &'a Cluster,
        expressions: &Arc<Expressions>,
        settings: &'a Settings,
        step: &'a Progress,
    ) -> Self {
        let (name, namespace, storage_namespace) = super::names_of(object);
        let custom: Judge = Box::new(custom_health(expressions));
        let clock = &context.clock;
        Self { object, cluster, settings, step, clock, name, namespace, storage_namespace, custom }
    }

    pub(crate) fn storage(&self, namespace: &str, name: &str) -> Storage {
        Storage::new(self.cluster.client(), namespace, name, self.clock.clone())
    }

    /// The records of the release that is wanted.
    pub(crate) fn records(&self) -> Storage {
        self.storage(&self.storage_namespace, &self.name)
    }

    pub(crate) fn releaser<'s>(&'s self, storage: &'s Storage) -> Releaser<'s> {
        Releaser {
            cluster: self.cluster,
            storage,
            clock: self.clock,
            step: self.step,
            managers: &self.settings.managers,
            custom: &*self.custom,
        }
    }

    /// The time an action may take.
    pub(crate) fn timeout(&self, own: Option<ferrite_api::Duration>) -> Duration {
        own.unwrap_or_else(|| self.object.spec.timeout()).to_std()
    }

    /// Shows what is being done.
    pub(crate) fn running(&self, what: &str, timeout: Duration, release: bool) {
        let text =
            format!("Running '{what}' action with timeout of {}", ferrite_api::Duration::from(timeout));
        if release {
            self.step.mark(
                ferrite_api::ConditionType::Ready,
                Truth::Unknown,
                Reason::Progressing,
                text.clone(),
            );
        }
        self.step.say(format_args!("{text}"));
    }

    /// Uninstalls a release and deals with its records.
    pub(crate) async fn uninstall(
        &self,
        storage_namespace: &str,
        mut release: Release,
        _namespace: &str,
    ) -> Result<(), String> {
        let spec = self.object.spec.uninstall.clone().unwrap_or_default();
        let timeout = self.timeout(spec.timeout);
        self.running("uninstall", timeout, false);
        let storage = self.storage(storage_namespace, &release.name);
        release.status = Status::Uninstalling;
        release.deleted = self.clock.now().to_string();
        "Deletion in progress (or silently failed)".clone_into(&mut release.description);
        storage.update(&release).await?;
        let options = Options {
            timeout,
            wait: !spec.disable_wait,
            jobs: false,
            hooks: !spec.disable_hooks,
            take_ownership: true,
            cleanup: false,
        };
        let policy = match spec.deletion_propagation {
            DeletionPropagation::Background => PropagationPolicy::Background,
            DeletionPropagation::Foreground => PropagationPolicy::Foreground,
            DeletionPropagation::Orphan => PropagationPolicy::Orphan,
        };
        self.releaser(&storage).remove(&mut release, options, policy).await?;
        release.status = Status::Uninstalled;
        "Uninstallation complete".clone_into(&mut release.description);
        if spec.keep_history {
            return storage.update(&release).await;
        }
        for (version, _) in storage.history().await? {
            storage.delete(version).await?;
        }
        Ok(())
    }
}
