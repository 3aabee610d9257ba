//! From an accepted event to the providers of every alert it concerns.
//!
//! ```text
//! event ─▶ alerts that match ─▶ lane of (provider, object) ─▶ gate ─▶ Secrets ─▶ requests ─▶ sender
//!                                bounded, in order                                   └ failed: event on the Alert
//! ```
//!
//! Events about one object reach a provider in order; a provider that is slow or away holds up nobody else.

mod error;
mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use ferrite_api::notification::{Alert, Provider};
use ferrite_cloud::{Cloud, Environment};
use ferrite_runtime::workload_identity::WorkloadIdentity;
use ferrite_runtime::{ObjectKey, Runtime, Store};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::{Resource as _, ResourceExt as _};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::Config;
use crate::credentials::{self, SecretData, Secrets};
use crate::event::Event;
use crate::git_host::{self, AppTokens, Session};
use crate::matching::{self, Filters, Gate, SourceMatch};
use crate::nats;
use crate::providers::{self, ProviderError};
use crate::recovery::{Recoveries, Verdict};
use crate::sender::Sender;
use crate::smtp;
use crate::template;
use error::DispatchError;

/// Events that may wait for one lane; more are dropped, counted and told on the alert.
const LANE_EVENTS: usize = 1024;
/// Lanes of one provider: objects are spread over them, so that one provider is written to this often at once.
const LANES: u64 = 4;
/// A lane without work ends after this time.
const LANE_IDLE: Duration = Duration::from_secs(60);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// Takes events and sees to it that everybody who asked for them is told.
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    alerts: Store<Alert>,
    providers: Store<Provider>,
    filters: Mutex<HashMap<ObjectKey, Compiled>>,
    lanes: Mutex<HashMap<Lane, mpsc::Sender<Job>>>,
    sender: Sender,
    recoveries: Recoveries,
    apps: AppTokens,
    identity: WorkloadIdentity,
    object_identity: bool,
    environment: Environment,
    no_cross_namespace_refs: bool,
}

/// The filters of an alert, and the generation they were compiled from.
type Compiled = (Option<i64>, Arc<Filters>);

/// A provider, and one of its lanes.
type Lane = (ObjectKey, u64);

/// What becomes of an event at one alert.
enum Concern {
    /// Nothing.
    None,
    /// It is told.
    Told,
    /// It is told because what failed works again.
    Recovered,
}

/// One event for one alert.
struct Job {
    alert: Arc<Alert>,
    event: Arc<Event>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Dispatcher").field("alerts", &self.0.alerts).finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// A dispatcher over the watched alerts and providers.
    #[must_use]
    pub fn new(runtime: &Runtime, alerts: Store<Alert>, providers: Store<Provider>, config: &Config) -> Self {
        let environment = config.environment.clone();
        let cloud = Cloud::new(environment.clone(), config.token_cache);
        let account = config.default_service_account.clone();
        let identity = WorkloadIdentity::new(runtime.client.clone(), cloud, config.object_identity, account);
        Self(Arc::new(Inner {
            runtime: runtime.clone(),
            alerts,
            providers,
            filters: Mutex::default(),
            lanes: Mutex::default(),
            sender: Sender::default(),
            recoveries: Recoveries::default(),
            apps: AppTokens::default(),
            identity,
            object_identity: config.object_identity,
            environment,
            no_cross_namespace_refs: config.no_cross_namespace_refs,
        }))
    }

    /// Queues the event for every alert it concerns and returns how many those are; sends nothing itself.
    ///
    /// The event's metadata must have been cleaned.
    pub async fn dispatch(&self, mut event: Event) -> usize {
        event.metadata.remove(&format!("{}token", event.group_prefix()));
        let event = Arc::new(event);
        let mut matched = 0;
        let mut labels = None;
        for alert in self.0.alerts.list() {
            let event = match self.0.concerns(&alert, &event, &mut labels).await {
                Concern::None => continue,
                Concern::Told => Arc::clone(&event),
                Concern::Recovered => Arc::new(event.without_update()),
            };
            matched += 1;
            self.enqueue(Job { alert, event });
        }
        if matched == 0 {
            tracing::debug!(
                object = event.object_path(),
                "discarding event, no alerts found for the involved object"
            );
        }
        matched
    }

    fn enqueue(&self, job: Job) {
        let namespace = job.alert.namespace().unwrap_or_default();
        let provider = ObjectKey::new(&namespace, &job.alert.spec.provider_ref.name);
        let mut hasher = DefaultHasher::new();
        job.event.object_path().hash(&mut hasher);
        let lane = (provider, hasher.finish() % LANES);
        let mut lanes = self.0.lanes.lock();
        let job = match lanes.get(&lane) {
            None => job,
            Some(sender) => match sender.try_send(job) {
                Ok(()) => return,
                // The lane ended for want of work.
                Err(mpsc::error::TrySendError::Closed(job)) => job,
                Err(mpsc::error::TrySendError::Full(job)) => {
                    self.0.failed(&job, "dispatch", &DispatchError::Full(lane.0.to_string()));
                    return;
                }
            },
        };
        self.open(&mut lanes, lane, job);
    }

    fn open(&self, lanes: &mut HashMap<Lane, mpsc::Sender<Job>>, lane: Lane, job: Job) {
        let (sender, receiver) = mpsc::channel(LANE_EVENTS);
        // The channel is empty, so there is room.
        let _sent = sender.try_send(job).is_ok();
        lanes.insert(lane.clone(), sender);
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move { inner.work(lane, receiver).await });
    }
}

impl Inner {
    /// What the alert is told of the event; `labels` keeps what was read of the object for the next alert.
    async fn concerns(
        &self,
        alert: &Alert,
        event: &Event,
        labels: &mut Option<Result<BTreeMap<String, String>, String>>,
    ) -> Concern {
        let spec = &alert.spec;
        let severe = matching::wants_severity(spec, event);
        if spec.suspend || !severe && spec.recovery.is_none() || !self.named(alert, event, labels).await {
            return Concern::None;
        }
        let filters = self.filters(alert);
        let passes = severe && filters.pass(&event.message);
        let Some(recovery) = &spec.recovery else {
            return if passes { Concern::Told } else { Concern::None };
        };
        // A failure that the filters hold back was not told, so its end is none of the alert's business.
        if event.is_error() && !passes {
            return Concern::None;
        }
        let cooldown = recovery.cooldown.as_ref().map_or(Duration::ZERO, |cooldown| cooldown.to_std());
        match self.recoveries.judge(&ObjectKey::of(alert), cooldown, event, Instant::now()) {
            Verdict::Recovered if !filters.excludes(&event.message) => Concern::Recovered,
            Verdict::AsAsked if passes => Concern::Told,
            Verdict::Recovered | Verdict::AsAsked => Concern::None,
            Verdict::Repeated => {
                self.count(&spec.provider_ref.name, "held back");
                Concern::None
            }
        }
    }

    /// Whether one of the alert's sources names the event's object.
    async fn named(
        &self,
        alert: &Alert,
        event: &Event,
        labels: &mut Option<Result<BTreeMap<String, String>, String>>,
    ) -> bool {
        let spec = &alert.spec;
        let namespace = alert.namespace().unwrap_or_default();
        let mut named = false;
        for source in &spec.event_sources {
            match matching::source_match(source, &namespace, event, !self.no_cross_namespace_refs) {
                SourceMatch::No => {}
                SourceMatch::Yes => named = true,
                SourceMatch::IfLabels(wanted) => {
                    if labels.is_none() {
                        *labels = Some(self.labels(event).await);
                    }
                    match labels {
                        Some(Ok(have)) => {
                            named |= wanted.iter().all(|(key, value)| have.get(key) == Some(value))
                        }
                        Some(Err(problem)) => {
                            let message = format!("error getting source object {}", event.object_path());
                            tracing::error!(alert = %ObjectKey::of(alert), error = %problem, "{message}");
                            self.warn(alert, "SourceFetchFailed", message, BTreeMap::new());
                        }
                        None => {}
                    }
                }
            }
            if named {
                break;
            }
        }
        named
    }

    async fn labels(&self, event: &Event) -> Result<BTreeMap<String, String>, String> {
        let object = &event.involved_object;
        let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &object.kind));
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.runtime.client.clone(), &object.namespace, &resource);
        let found = api.get_metadata(&object.name).await.map_err(|error| ferrite_runtime::chain(&error))?;
        Ok(found.metadata.labels.unwrap_or_default())
    }

    /// The alert's filters, compiled once per generation.
    fn filters(&self, alert: &Alert) -> Arc<Filters> {
        let key = ObjectKey::of(alert);
        let generation = alert.meta().generation;
        if let Some((known, filters)) = self.filters.lock().get(&key)
            && *known == generation
        {
            return Arc::clone(filters);
        }
        let spec = &alert.spec;
        let filters = Arc::new(Filters::compile(&spec.inclusion_list, &spec.exclusion_list));
        for problem in &filters.problems {
            self.warn(alert, "InvalidConfig", problem.clone(), BTreeMap::new());
        }
        let mut all = self.filters.lock();
        all.retain(|key, _| self.alerts.get(key).is_some());
        all.insert(key, (generation, Arc::clone(&filters)));
        filters
    }

    /// Works on one lane until nothing has come for a while.
    async fn work(self: Arc<Self>, lane: Lane, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let job = tokio::select! {
                () = self.runtime.shutdown.cancelled() => return,
                job = tokio::time::timeout(LANE_IDLE, jobs.recv()) => job,
            };
            let job = match job {
                Ok(Some(job)) => job,
                Ok(None) => return,
                Err(_) => {
                    // Under the lock nothing can be added, so an empty lane can be closed without losing an event.
                    let mut lanes = self.lanes.lock();
                    match jobs.try_recv() {
                        Ok(job) => job,
                        Err(_) => {
                            lanes.remove(&lane);
                            return;
                        }
                    }
                }
            };
            self.tell(&job).await;
        }
    }

    async fn tell(&self, job: &Job) {
        match self.send(job).await {
            Ok(()) => {}
            // What only shows while the message is written counts as sending, as in Flux.
            Err(
                error @ (DispatchError::Send(_)
                | DispatchError::Provider(
                    ProviderError::Revision(_) | ProviderError::ChangeRequest(_),
                )),
            ) => self.failed(job, "send", &error),
            Err(error) => self.failed(job, "dispatch", &error),
        }
    }

    async fn send(&self, job: &Job) -> Result<(), DispatchError> {
        let Job { alert, event } = job;
        let namespace = alert.namespace().unwrap_or_default();
        if self.no_cross_namespace_refs && event.involved_object.namespace != namespace {
            return Err(DispatchError::CrossNamespace {
                alert: ObjectKey::of(alert.as_ref()).to_string(),
                object: event.object_path(),
            });
        }
        let key = ObjectKey::new(&namespace, &alert.spec.provider_ref.name);
        let provider = self.providers.get(&key).ok_or_else(|| DispatchError::NoProvider(key.name.clone()))?;
        let kind = provider.spec.kind.as_str();
        match matching::gate(kind, provider.spec.suspend, event) {
            Gate::Open => {}
            Gate::Skip => return Ok(()),
            Gate::NoCommit | Gate::NoChangeRequest => {
                tracing::debug!(alert = %ObjectKey::of(alert.as_ref()), provider = %key, "the event names no commit or pull request");
                return Ok(());
            }
        }
        let (mut target, connection) = self.resolve(&provider, &namespace).await?;
        self.enter_cloud(&provider, &namespace, &mut target, &connection).await?;
        let (merged, conflicts) =
            event.merged(&alert.spec.event_metadata, alert.spec.summary.as_deref().unwrap_or_default());
        if !conflicts.is_empty() {
            // Alerts are filtered by these words, so they are Flux's.
            let message = "metadata key conflicts detected (please refer to the Alert API docs and Flux RFC 0008 for more information)".to_owned();
            self.warn(alert, "MetadataAppendFailed", message, conflicts);
        }
        let merged = self.worded(alert, merged);
        let timeout = provider.spec.timeout.as_ref().map_or(DEFAULT_TIMEOUT, |timeout| timeout.to_std());
        let now = self.runtime.clock.now();
        let login =
            git_host::log_in(&self.apps, &self.sender, &connection, &mut target, timeout, now).await?;
        let session = Session::new(&self.sender, &connection, &target, timeout);
        if matching::COMMIT_STATUS.contains(&kind) {
            session.set_status(&provider, alert, &merged).await?;
        } else if matching::COMMENTS.contains(&kind) {
            session.comment(&merged, login.as_deref()).await?;
        } else if kind == "otel" {
            if let Some(request) = providers::otel::plan(&target, &merged, alert, now)? {
                self.sender.send(&connection, &target, &request, timeout).await?;
            }
        } else if kind == "nats" {
            nats::plan(&target, &connection, &merged)?.send(timeout).await?;
        } else if kind == "smtp" {
            smtp::plan(&target, &connection, &merged, now)?.send(timeout).await?;
        } else {
            for request in providers::requests(&target, &merged, now)? {
                self.sender.send(&connection, &target, &request, timeout).await?;
            }
        }
        self.count(kind, "sent");
        Ok(())
    }

    /// The event in the words of the alert; in those of its controller when the alert's make no sense.
    fn worded(&self, alert: &Alert, event: Event) -> Event {
        let text = alert.spec.message_template.as_deref().filter(|text| !text.is_empty());
        match text.map(|text| template::render(text, &event)) {
            None => event,
            Some(Ok(message)) => Event { message, ..event },
            Some(Err(error)) => {
                let message = format!("failed to render spec.messageTemplate: {error}");
                self.warn(alert, "InvalidConfig", message, BTreeMap::new());
                event
            }
        }
    }

    async fn resolve(
        &self,
        provider: &Provider,
        namespace: &str,
    ) -> Result<(providers::Target, credentials::Connection), DispatchError> {
        let spec = &provider.spec;
        let name = |reference: &Option<ferrite_api::LocalObjectReference>| {
            reference.as_ref().map(|r| r.name.clone())
        };
        let names = [name(&spec.secret_ref), name(&spec.cert_secret_ref), name(&spec.proxy_secret_ref)];
        let mut read: Vec<Option<(String, SecretData)>> = Vec::new();
        for name in names {
            read.push(match name {
                Some(name) => Some((name.clone(), self.secret(namespace, name).await?)),
                None => None,
            });
        }
        let at =
            |index: usize| read.get(index).and_then(|r| r.as_ref()).map(|(name, data)| (name.as_str(), data));
        let secrets = Secrets { main: at(0), certificate: at(1), proxy: at(2) };
        let uid = provider.uid().unwrap_or_default();
        Ok(credentials::resolve(spec, &uid, &secrets)?)
    }

    async fn secret(&self, namespace: &str, name: String) -> Result<SecretData, DispatchError> {
        let api: Api<Secret> = self.runtime.api_in(namespace);
        match api.get_opt(&name).await {
            Ok(Some(secret)) => {
                Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
            }
            Ok(None) => Err(DispatchError::NoSecret { namespace: namespace.to_owned(), name }),
            Err(source) => Err(DispatchError::Secret { name: format!("{namespace}/{name}"), source }),
        }
    }

    fn failed(&self, job: &Job, step: &str, error: &DispatchError) {
        let Job { alert, event } = job;
        let message = format!(
            "failed to {step} notification for {}: {}",
            event.object_path(),
            ferrite_runtime::chain(error)
        );
        tracing::error!(alert = %ObjectKey::of(alert.as_ref()), error = %message, "notification failed");
        self.count(&alert.spec.provider_ref.name, "failed");
        self.warn(alert, "NotificationDispatchFailed", message, BTreeMap::new());
    }

    fn warn(&self, alert: &Alert, reason: &str, message: String, metadata: BTreeMap<String, String>) {
        let mut event = ferrite_runtime::Event::error(reason, message);
        event.metadata = metadata;
        self.runtime.recorder.emit(alert, event);
    }

    fn count(&self, provider: &str, result: &str) {
        let help = "Notifications by provider and result";
        let labels = [("provider", provider), ("result", result)];
        self.runtime.metrics.count("ferrite_notifications_total", help, &labels, 1.0);
    }
}
