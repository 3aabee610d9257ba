//! A Git server, and reconciles of GitRepositories in the surroundings that all kinds share.

use std::path::PathBuf;

use ferrite_api::{
    Artifact,
    source::{GitRepository, GitRepositoryStatus},
};
use ferrite_runtime::{Event, Progress, Reconcile as _, Requeue};
use ferrite_testkit::GitServer;
use serde_json::{Value, json};

use crate::{
    git_repository::{Done, GitRepositories},
    world,
};

pub(super) struct World {
    pub(super) git: GitServer,
    shared: world::World,
    reconciler: GitRepositories,
}

/// An object after a reconcile.
pub(super) struct After {
    pub(super) object: GitRepository,
    pub(super) status: GitRepositoryStatus,
    pub(super) events: Vec<Event>,
    pub(super) requeue: Requeue,
    pub(super) progress: Progress,
    told: Vec<String>,
}

impl After {
    pub(super) fn artifact(&self) -> &Artifact {
        let ready = || condition(&self.status, "Ready");
        self.status.artifact.as_ref().unwrap_or_else(|| panic!("no artifact: {}", ready()))
    }

    pub(super) fn revision(&self) -> &str {
        &self.artifact().revision
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.told.clone()
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let shared = world::World::new();
        let reconciler = GitRepositories::new(shared.context("http://storage.test"));
        Self { git: GitServer::start().await.unwrap(), shared, reconciler }
    }

    /// As [`World::new`], with a Git server that serves over SSH.
    pub(super) async fn ssh() -> Self {
        Self { git: GitServer::start_ssh().await.unwrap(), ..Self::new().await }
    }

    /// Forgets everything but the storage.
    pub(super) fn restart(&mut self, advertised: &str) {
        self.reconciler = GitRepositories::new(self.shared.context(advertised));
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.shared.pass(seconds);
    }

    /// A GitRepository of the served repository `app`, with `spec` over the defaults.
    pub(super) fn repository(&self, served: &str, spec: &Value) -> GitRepository {
        self.named(served, served, spec)
    }

    pub(super) fn named(&self, name: &str, served: &str, spec: &Value) -> GitRepository {
        let mut object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "default", "generation": 1},
            "spec": {"url": format!("{}/{served}", self.git.base_url()), "interval": "1h", "timeout": "10s",
                "ref": {"branch": "main"}},
            "status": {"observedGeneration": -1},
        });
        world::merge(&mut object["spec"], spec);
        serde_json::from_value(object).unwrap()
    }

    pub(super) fn changed(&self, object: &GitRepository, spec: &Value) -> GitRepository {
        world::changed(object, spec)
    }

    pub(super) fn asked(&self, object: &GitRepository) -> GitRepository {
        world::asked(object)
    }

    pub(super) fn put(&self, path: &str, object: Value) {
        self.shared.put(path, object);
    }

    pub(super) fn secret(&self, data: &[(&str, &str)]) {
        self.shared.secret("git", data);
    }

    pub(super) async fn reconcile(&self, object: &GitRepository) -> After {
        let after = world::reconcile(&self.reconciler, &self.reconciler.context, object).await;
        let told = after.events();
        let world::After { object, report, progress } = after;
        After {
            object,
            status: report.status,
            events: report.events,
            requeue: report.requeue,
            progress,
            told,
        }
    }

    pub(super) async fn teardown(&self, object: &GitRepository) -> Vec<String> {
        let events = self.reconciler.teardown(object, &mut Done::default(), &Progress::detached()).await;
        events.unwrap().into_iter().map(|event| event.message).collect()
    }

    pub(super) fn place(&self, artifact: &Artifact) -> PathBuf {
        self.shared.place(artifact)
    }

    pub(super) fn files(&self, artifact: &Artifact) -> Vec<String> {
        self.shared.files(artifact)
    }

    /// The files that are stored for the object `name`, without locks.
    pub(super) fn stored(&self, name: &str) -> Vec<String> {
        self.shared.stored(&format!("gitrepository/default/{name}"))
    }
}

pub(super) fn condition(status: &GitRepositoryStatus, kind: &str) -> String {
    world::condition(&status.conditions, kind)
}
