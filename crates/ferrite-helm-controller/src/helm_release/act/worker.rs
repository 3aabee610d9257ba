//! What every action needs.

use std::{sync::Arc, time::Duration};

use ferrite_api::{
    ConditionType, Reason, ResourceRef,
    helm::{GROUP, HelmRelease, HelmReleaseStatus, Snapshot, SnapshotAction, WaitStrategyName},
};
use ferrite_apply::{Cluster, Expressions, custom_health};
use ferrite_helm::Release;
use ferrite_resource::{Entry, Health};
use ferrite_runtime::{Clock, Event, Progress, Truth};
use serde_json::{Value, json};

use super::{Done, done::Mark};
use crate::{
    context::{Context, Settings},
    decide,
    helm_release::plan::Work,
    history,
    journal::Journal,
    release::{Releaser, Wait},
    storage::Storage,
};

type Judge = Box<dyn Fn(&Value) -> Option<Health> + Send + Sync>;

/// One HelmRelease at work.
pub(crate) struct Worker<'a> {
    pub(crate) object: &'a HelmRelease,
    pub(crate) cluster: Cluster,
    pub(crate) settings: &'a Settings,
    pub(crate) step: &'a Progress,
    pub(crate) clock: &'a Clock,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) storage_namespace: String,
    pub(crate) journal: Journal,
    custom: Judge,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        context: &'a Context,
        object: &'a HelmRelease,
        cluster: Cluster,
        expressions: &Arc<Expressions>,
        step: &'a Progress,
    ) -> Self {
        let (name, namespace, storage_namespace) = super::names_of(object);
        let custom: Judge = Box::new(custom_health(expressions));
        let (clock, settings) = (&context.clock, &context.settings);
        let journal = Journal::new(clock.clone());
        // Without a persistent client nothing is remembered of the kinds that are served.
        let cluster = if object.spec.persistent_client == Some(false) {
            Cluster::new(cluster.client().clone())
        } else {
            cluster
        };
        Self { object, cluster, settings, step, clock, name, namespace, storage_namespace, journal, custom }
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
            cluster: &self.cluster,
            storage,
            clock: self.clock,
            step: self.step,
            custom: &*self.custom,
            journal: &self.journal,
            overtaken: self.settings.cancel_on_new,
        }
    }

    /// The time an action may take.
    pub(crate) fn timeout(&self, own: Option<ferrite_api::Duration>) -> Duration {
        own.unwrap_or_else(|| self.object.spec.timeout()).to_std()
    }

    /// What an action waits for.
    pub(crate) fn wait(&self, disabled: bool) -> Wait {
        match self.object.spec.wait_strategy.as_ref().map(|strategy| strategy.name) {
            _ if disabled => Wait::Hooks,
            Some(WaitStrategyName::Poller) => Wait::Poller,
            Some(WaitStrategyName::Legacy) => Wait::Legacy,
            None if self.settings.helm3_defaults => Wait::Legacy,
            None => Wait::Poller,
        }
    }

    /// After how long a failure of the last action is tried again, where that is how failures are dealt with.
    pub(crate) fn retry(&self, status: &HelmReleaseStatus) -> Option<Duration> {
        let action = status.last_attempted_release_action?;
        decide::retry(&self.object.spec, action, self.settings.default_to_retry)
    }

    /// Shows what is being done.
    pub(crate) fn running(&self, what: &str, timeout: Duration, release: bool, done: &mut Done) {
        let text =
            format!("Running '{what}' action with timeout of {}", ferrite_api::Duration::from(timeout));
        let progressing = (Truth::True, Reason::Progressing);
        done.unmark(ConditionType::Stalled);
        done.mark(ConditionType::Reconciling, progressing.0, progressing.1, &text);
        if release {
            self.step.mark(ConditionType::Ready, Truth::Unknown, Reason::Progressing, text.clone());
            done.mark(ConditionType::Ready, Truth::Unknown, Reason::Progressing, &text);
        }
        self.step.say(format_args!("{text}"));
    }

    /// `Ready` from what happened to the release, and what it was rendered with.
    pub(crate) fn summarize(&self, done: &mut Done) {
        let spec = &self.object.spec;
        let mut order = vec![ConditionType::Remediated, ConditionType::Released];
        if decide::tests(spec) && !decide::ignores_tests(spec) {
            order.insert(1, ConditionType::TestSuccess);
        }
        if !decide::tests(spec) {
            done.unmark(ConditionType::TestSuccess);
        }
        done.marks.push(Mark::Summary(order));
        let algorithm = self.settings.algorithm;
        let (renderers, metadata) = (&spec.post_renderers, &spec.common_metadata);
        let status = done.status();
        status.observed_post_renderers_digest =
            decide::part_digest(renderers, renderers.is_empty(), algorithm);
        status.observed_common_metadata_digest = decide::part_digest(metadata, metadata.is_none(), algorithm);
    }

    /// Takes a record into status.
    pub(crate) fn remember(
        &self,
        release: &Release,
        action: Option<SnapshotAction>,
        oci_digest: Option<String>,
        done: &mut Done,
    ) {
        history::remember(&mut done.status().history, release, action, oci_digest, self.settings.algorithm);
        self.step.field("history", json!(done.status().history));
        self.step.field("storageNamespace", json!(done.status().storage_namespace));
    }

    /// Takes a record into status if its revision is known there.
    pub(crate) fn refresh(&self, release: &Release, action: Option<SnapshotAction>, done: &mut Done) {
        let known = |snapshot: &Snapshot| {
            i64::from(snapshot.version) == release.version
                && snapshot.name == release.name
                && snapshot.namespace == release.namespace
        };
        if done.status().history.iter().any(known) {
            self.remember(release, action, None, done);
        }
    }

    /// Tells an event about a snapshot.
    pub(crate) fn tell(&self, event: Event, about: &Snapshot) {
        let facts = Facts {
            revision: &about.chart_version,
            token: &about.config_digest,
            app_version: about.app_version.as_deref(),
            oci_digest: about.oci_digest.as_deref(),
        };
        self.step.event(facts.on(event));
    }

    /// Tells an event about a release that was not made.
    pub(crate) fn tell_attempt(&self, event: Event, work: &Work) {
        let facts = Facts {
            revision: &work.wanted.chart_version,
            token: &work.wanted.config_digest,
            app_version: Some(work.released.chart.metadata.app_version.as_str()),
            oci_digest: work.released.oci_digest.as_deref(),
        };
        self.step.event(facts.on(event));
    }

    /// Notes the objects of a release: those of its manifest, then the definitions of its chart.
    pub(crate) fn inventory(&self, entries: Vec<Entry>, crds: &[Entry], done: &mut Done) {
        let all = entries.into_iter().chain(crds.iter().cloned());
        let entries =
            all.map(|entry| ResourceRef { id: entry.id.inventory_id(), version: entry.version }).collect();
        done.status().inventory = Some(ferrite_api::Inventory { entries });
    }
}

/// What an event says of a release, besides its message.
pub(crate) struct Facts<'f> {
    pub(crate) revision: &'f str,
    pub(crate) token: &'f str,
    pub(crate) app_version: Option<&'f str>,
    pub(crate) oci_digest: Option<&'f str>,
}

impl Facts<'_> {
    pub(crate) fn on(&self, event: Event) -> Event {
        let pairs = [
            ("revision", Some(self.revision)),
            ("token", Some(self.token)),
            ("app-version", self.app_version),
            ("oci-digest", self.oci_digest),
        ];
        let given =
            pairs.into_iter().filter_map(|(key, value)| Some((key, value.filter(|v| !v.is_empty())?)));
        given.fold(event, |event, (key, value)| event.with(format!("{GROUP}/{key}"), value))
    }
}
