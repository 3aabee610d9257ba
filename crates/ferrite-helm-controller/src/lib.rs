//! helm-controller: releases Helm charts as HelmReleases say, and keeps the releases as they are.
//!
//! ```text
//!  charts ──┐                  ┌ values ─ chart ─ dependencies ┐
//!  HelmReleases ─▶ queue ─▶ observe ──────────────────────────▶ plan ─▶ act ────────────────────▶ report
//!  dependencies ─┘                                                       │ HelmChart of the spec,   status, events,
//!                                                                        │ or: judge, next action   when to come back
//!                                                                        └ (until nothing is left)
//! ```
//!
//! A program of its own, or a part of another process: give [`run`] a [`Runtime`] and a [`Config`].
//!
//! ```no_run
//! # async fn example(client: kube::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use ferrite_helm_controller::{Config, run};
//! use ferrite_runtime::{CancellationToken, Runtime};
//!
//! let runtime = Runtime::new("helm-controller", client, CancellationToken::new());
//! run(runtime, Config::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Invariants.** Before an object is touched, a record of the pending release is stored, so that an interrupted action
//! is seen and unlocked. Records are Helm's, so `helm` reads them and Flux can take over. A wait for health holds no
//! worker. What to do next is decided by [`ferrite_helm::next_step`].

mod args;
mod chart;
mod config;
mod context;
mod decide;
mod digest;
mod error;
mod helm_release;
mod history;
mod index;
mod journal;
mod names;
mod object;
pub mod preview;
mod release;
mod render;
mod storage;
mod values;

use std::sync::Arc;

use ferrite_api::helm::HelmRelease;
use ferrite_apply::{SourceKind, Sources};
use ferrite_runtime::{Change, Controller, Handle, ObjectKey, Runtime, Trigger};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{core::PartialObjectMeta, runtime::watcher};

pub use args::{Args, FEATURE_GATES};
pub use config::Config;
pub use digest::Algorithm;

use context::Context;
use helm_release::HelmReleases;
use index::{Index, Referent};

/// The name on the wire: of the process, of its lease, of its events and of its fields.
pub const NAME: &str = "helm-controller";
/// The field manager of status patches; Flux has no other one for status.
pub const STATUS_MANAGER: &str = "helm-controller";

/// Why the controller cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client for artifacts.
    #[error("cannot prepare to fetch artifacts")]
    Fetcher(#[from] ferrite_artifact::FetchError),
}

/// Reconciles HelmReleases until the runtime's shutdown token is cancelled.
///
/// # Errors
///
/// [`Error`] when it cannot start; what happens to single HelmReleases is told in their status.
pub async fn run(mut runtime: Runtime, config: Config) -> Result<(), Error> {
    STATUS_MANAGER.clone_into(&mut runtime.field_manager);
    runtime.grace = config.graceful_shutdown_timeout;
    let handle: Handle<HelmRelease> = Handle::new(&runtime);
    let sources = Sources::new(runtime.client.clone());
    let context = Context::new(&runtime, &config, handle.clone(), Arc::clone(&sources))?;
    let index = Arc::new(Index::default());
    let mut controller =
        Controller::new(&runtime, handle, HelmReleases::new(context)).concurrent(config.concurrent);
    watch_self(&mut controller, Arc::clone(&index));
    let referrers = Arc::clone(&index);
    let kinds = [SourceKind::HelmChart, SourceKind::OciRepository, SourceKind::ExternalArtifact];
    sources
        .watch(&mut controller, &runtime, &kinds, move |news, _| {
            let keys = if news.moved_on() {
                referrers.referrers(&Referent::Source(news.id.clone()))
            } else {
                Vec::new()
            };
            keys.into_iter().map(Trigger::Add).collect()
        })
        .await;
    if let Some(selector) = &config.watch_configs {
        watch_configs(&mut controller, &runtime, selector, &index);
    }
    controller.run().await;
    Ok(())
}

/// Keeps the index, and wakes who waits for a HelmRelease that became ready.
fn watch_self(controller: &mut Controller<HelmReleases>, index: Arc<Index>) {
    controller.react(move |change, objects| {
        index.update(change);
        let Change::Applied { old, new } = change else { return Vec::new() };
        if old.as_ref().is_some_and(|old| old.status == new.status) || !helm_release::is_ready_now(new) {
            return Vec::new();
        }
        let referrers = index.referrers(&Referent::Release(ObjectKey::of(new.as_ref())));
        let waiting =
            referrers.into_iter().filter(|key| objects.get(key).is_some_and(|o| !helm_release::is_ready(&o)));
        waiting.map(Trigger::Add).collect()
    });
}

fn watch_configs(
    controller: &mut Controller<HelmReleases>,
    runtime: &Runtime,
    selector: &str,
    index: &Arc<Index>,
) {
    let config = watcher::Config::default().labels(selector);
    let (maps, secrets) = (Arc::clone(index), Arc::clone(index));
    let add = |keys: Vec<ObjectKey>| keys.into_iter().map(Trigger::Add).collect();
    controller.watch(runtime.api::<PartialObjectMeta<ConfigMap>>(), config.clone(), move |change, _| {
        add(maps.referrers(&Referent::ConfigMap(ObjectKey::of(change.object().as_ref()))))
    });
    controller.watch(runtime.api::<PartialObjectMeta<Secret>>(), config, move |change, _| {
        add(secrets.referrers(&Referent::Secret(ObjectKey::of(change.object().as_ref()))))
    });
}
