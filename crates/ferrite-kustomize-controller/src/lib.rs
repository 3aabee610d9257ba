//! kustomize-controller: builds what a source holds, applies it to a cluster, and keeps it as it is.
//!
//! ```text
//!  sources ─┐                    ┌ fetch ─ build ─ substitute ┐
//!  Kustomizations ─▶ queue ─▶ observe ────────────────────────▶ plan ─▶ act ──────────────▶ report
//!  dependencies ─┘                                                       │ apply, prune,     status, events,
//!  applied objects (drift) ◀────────── watched by ferrite-apply ◀────────┘ wait for health   when to come back
//! ```
//!
//! A program of its own, or a part of another process: give [`run`] a [`Runtime`] and a [`Config`].
//!
//! ```no_run
//! # async fn example(client: kube::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use ferrite_kustomize_controller::{Config, run};
//! use ferrite_runtime::{CancellationToken, Runtime};
//!
//! let runtime = Runtime::new("kustomize-controller", client, CancellationToken::new());
//! run(runtime, Config::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Invariants.** What was applied is in the inventory, whatever failed afterwards. Nothing is pruned that does not
//! carry the labels of its Kustomization. A wait holds no worker and polls nothing. What is encrypted is
//! decrypted in memory or refused, never applied as it is. It deliberately writes no sources.

mod args;
mod build;
mod builds;
mod config;
mod context;
mod decrypt;
mod error;
mod fights;
mod index;
mod kustomization;
pub mod preview;
pub mod remote;
mod substitute;
mod variables;

use std::{sync::Arc, time::Duration};

use ferrite_api::kustomize::Kustomization;
use ferrite_apply::{DriftSink, SourceKind, Sources, TrackerOptions};
use ferrite_runtime::{Change, Controller, Handle, ObjectKey, Runtime, Trigger};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{core::PartialObjectMeta, runtime::watcher};

pub use args::{Args, FEATURE_GATES};
pub use config::Config;

use context::Context;
use fights::Fights;
use index::{Index, Referent};
use kustomization::Kustomizations;

/// The name on the wire: of the process, of its lease and of its events.
pub const NAME: &str = "kustomize-controller";
/// The field manager of status patches; objects are applied as `kustomize-controller`.
pub const STATUS_MANAGER: &str = "gotk-kustomize-controller";

/// How long a change of an applied object is left alone, so that own writes and their echoes are told apart.
const DRIFT_DEBOUNCE: Duration = Duration::from_millis(20);
/// The least time between two words about one object that keeps changing; `fights` decides how often it is repaired.
const DRIFT_PAUSE: Duration = Duration::from_millis(250);

/// Why the controller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client for artifacts.
    #[error("cannot prepare to fetch artifacts")]
    Fetcher(#[from] ferrite_artifact::FetchError),
    /// No HTTP client for key services.
    #[error("cannot prepare to ask key services")]
    Http(#[source] reqwest::Error),
    /// A default service account without the feature gate that it is for.
    #[error("invalid configuration: {0} needs --feature-gates=ObjectLevelWorkloadIdentity=true")]
    GateOff(&'static str),
}

/// Reconciles Kustomizations until the runtime's shutdown token is cancelled.
///
/// # Errors
///
/// [`Error`] when it cannot start; what happens to single Kustomizations is told in their status.
pub async fn run(mut runtime: Runtime, config: Config) -> Result<(), Error> {
    STATUS_MANAGER.clone_into(&mut runtime.field_manager);
    if !config.object_level_workload_identity {
        for (flag, account) in [
            ("--default-decryption-service-account", &config.default_decryption_service_account),
            ("--default-kubeconfig-service-account", &config.default_kubeconfig_service_account),
        ] {
            if account.is_some() {
                return Err(Error::GateOff(flag));
            }
        }
    }
    let handle: Handle<Kustomization> = Handle::new(&runtime);
    let drift = TrackerOptions { debounce: DRIFT_DEBOUNCE, longest_quiet: DRIFT_PAUSE };
    let sources = Sources::new(runtime.client.clone());
    let sink = drift_sink(handle.clone());
    let context = Context::new(&runtime, &config, handle.clone(), Arc::clone(&sources), (drift, sink))?;
    let index = Arc::new(Index::default());
    let mut controller =
        Controller::new(&runtime, handle, Kustomizations::new(context)).concurrent(config.concurrent);
    watch_self(&mut controller, Arc::clone(&index));
    let referrers = Arc::clone(&index);
    let kinds = [
        SourceKind::GitRepository,
        SourceKind::OciRepository,
        SourceKind::Bucket,
        SourceKind::ExternalArtifact,
    ];
    sources
        .watch(&mut controller, &runtime, &kinds, move |news, objects| {
            let Some(artifact) = news.new_artifact() else { return Vec::new() };
            let referrers = referrers.referrers(&Referent::Source(news.id.clone()));
            let outdated = referrers.into_iter().filter(|key| {
                objects
                    .get(key)
                    .is_some_and(|object| !kustomization::is_settled_on(&object, &artifact.revision))
            });
            outdated.map(Trigger::Supersede).collect()
        })
        .await;
    if let Some(selector) = &config.watch_configs {
        watch_configs(&mut controller, &runtime, selector, &index);
    }
    controller.run().await;
    Ok(())
}

fn drift_sink(handle: Handle<Kustomization>) -> DriftSink {
    let fights = Fights::default();
    Arc::new(move |drift| {
        let key = ObjectKey::new(&drift.owner.namespace, &drift.owner.name);
        if handle.store.get(&key).is_some() {
            tracing::info!(
                namespace = %key.namespace, name = %key.name, object = %drift.entry.id, deleted = drift.deleted,
                "an applied object was changed by somebody else"
            );
            match fights.pause(&drift.entry.id, tokio::time::Instant::now()) {
                None => handle.trigger(Trigger::Add(key)),
                Some(pause) => handle.queue.add_after(key, pause),
            }
        }
    })
}

/// Keeps the index, and wakes who waits for a Kustomization that became ready.
fn watch_self(controller: &mut Controller<Kustomizations>, index: Arc<Index>) {
    controller.react(move |change, objects| {
        index.update(change);
        let Change::Applied { old, new } = change else { return Vec::new() };
        let before = old.as_ref().and_then(|old| kustomization::readiness(old));
        let now = kustomization::readiness(new);
        let status_changed = old.as_ref().is_none_or(|old| old.status != new.status);
        if !status_changed {
            return Vec::new();
        }
        let key = ObjectKey::of(new.as_ref());
        let became_ready = now.is_some() && before != now;
        let waits_for_an_expression = |referrer: &ObjectKey| {
            objects.get(referrer).is_some_and(|object| kustomization::asks_expression_of(&object, &key))
        };
        let referrers = index.referrers(&Referent::Kustomization(key.clone()));
        let woken =
            referrers.into_iter().filter(|referrer| became_ready || waits_for_an_expression(referrer));
        woken.map(Trigger::Add).collect()
    });
}

fn watch_configs(
    controller: &mut Controller<Kustomizations>,
    runtime: &Runtime,
    selector: &str,
    index: &Arc<Index>,
) {
    let config = watcher::Config::default().labels(selector);
    let (maps, secrets) = (Arc::clone(index), Arc::clone(index));
    let add = |keys: Vec<ObjectKey>| keys.into_iter().map(Trigger::Add).collect();
    // The first list tells nothing new: whoever refers to these is reconciled at the start anyway.
    controller.watch(runtime.api::<PartialObjectMeta<ConfigMap>>(), config.clone(), move |change, _| {
        add(maps.referrers(&Referent::ConfigMap(ObjectKey::of(change.object().as_ref()))))
    });
    controller.watch(runtime.api::<PartialObjectMeta<Secret>>(), config, move |change, _| {
        add(secrets.referrers(&Referent::Secret(ObjectKey::of(change.object().as_ref()))))
    });
}
