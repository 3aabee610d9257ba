//! From watches to workers: feeds a [`Queue`] and runs [`Reconcile`] on what it hands out.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use kube::{Api, Resource as _, runtime::watcher};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    key::ObjectKey,
    queue::{Queue, Work},
    reconcile::{Object, Reconcile, facts},
    runtime::Runtime,
    store::{Change, Store, Watchable, follow},
};

/// What a change of a watched object means for an object of the primary kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// Reconcile it; a wait that runs for it goes on.
    Add(ObjectKey),
    /// Reconcile it, and end the wait that runs for it: what it waits for is out of date.
    Supersede(ObjectKey),
}

/// The objects of a kind and the queue of its reconciles; cheap to clone, so that a reconciler can hold one.
#[derive(Debug)]
pub struct Handle<K> {
    /// The watched objects of the kind.
    pub store: Store<K>,
    /// What waits to be reconciled.
    pub queue: Arc<Queue<ObjectKey>>,
}

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), queue: Arc::clone(&self.queue) }
    }
}

impl<K: Object> Handle<K> {
    /// An empty handle with the backoff of `runtime`.
    #[must_use]
    pub fn new(runtime: &Runtime) -> Self {
        Self { store: Store::default(), queue: Arc::new(Queue::new(runtime.backoff)) }
    }

    /// Acts on a trigger. Unknown objects are ignored, so a mapping need not check what it found.
    pub fn trigger(&self, trigger: Trigger) {
        match trigger {
            Trigger::Add(key) => self.queue.add(key),
            Trigger::Supersede(key) => self.queue.supersede(key),
        }
    }
}

/// What a change of the primary kind itself means for other objects of it.
pub(crate) type Reaction<K> = Arc<dyn Fn(&Change<K>, &Store<K>) -> Vec<Trigger> + Send + Sync>;

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One kind's controller: built, given its watches, then run.
///
/// ```no_run
/// # use ferrite_runtime::{Controller, Handle, Reconcile, Runtime, Trigger, ObjectKey};
/// # async fn example<R: Reconcile>(runtime: Runtime, reconciler: R) {
/// let handle = Handle::new(&runtime);
/// let mut controller = Controller::new(&runtime, handle, reconciler).concurrent(4);
/// let config_maps = controller.watch(
///     runtime.api::<k8s_openapi::api::core::v1::ConfigMap>(),
///     kube::runtime::watcher::Config::default(),
///     |change, _objects| vec![Trigger::Add(ObjectKey::of(change.object().as_ref()))],
/// );
/// controller.run().await;
/// # }
/// ```
pub struct Controller<R: Reconcile> {
    driver: Driver<R>,
    concurrent: usize,
    watches: Vec<BoxFuture>,
    listed: Vec<BoxFuture>,
}

/// What the workers of a controller share.
pub(crate) struct Driver<R: Reconcile> {
    pub(crate) runtime: Runtime,
    pub(crate) handle: Handle<R::Object>,
    pub(crate) reconciler: R,
    reactions: Vec<Reaction<R::Object>>,
}

impl<R: Reconcile> fmt::Debug for Controller<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Controller").field("handle", &self.driver.handle).finish_non_exhaustive()
    }
}

impl<R: Reconcile> Controller<R> {
    /// A controller of four workers without further watches.
    #[must_use]
    pub fn new(runtime: &Runtime, handle: Handle<R::Object>, reconciler: R) -> Self {
        Self {
            driver: Driver { runtime: runtime.clone(), handle, reconciler, reactions: Vec::new() },
            concurrent: 4,
            watches: Vec::new(),
            listed: Vec::new(),
        }
    }

    /// How many objects are worked on at once (`--concurrent`); waiting ones do not count. At least 1.
    #[must_use]
    pub fn concurrent(mut self, workers: usize) -> Self {
        self.concurrent = workers.max(1);
        self
    }

    /// Watches another kind; `map` says what a change means for the primary kind. Reconciles start once it is listed.
    pub fn watch<W: Watchable>(
        &mut self,
        api: Api<W>,
        config: watcher::Config,
        map: impl Fn(&Change<W>, &Store<R::Object>) -> Vec<Trigger> + Send + Sync + 'static,
    ) -> Store<W> {
        let store = Store::default();
        let follow = self.following(api, config, store.clone(), map);
        self.watches.push(Box::pin(follow));
        let listed = store.clone();
        self.listed.push(Box::pin(async move { listed.listed().await }));
        store
    }

    /// As [`Controller::watch`], from when `begin` resolves; reconciles start without it.
    pub fn watch_once<W: Watchable>(
        &mut self,
        begin: impl Future<Output = ()> + Send + 'static,
        api: Api<W>,
        config: watcher::Config,
        map: impl Fn(&Change<W>, &Store<R::Object>) -> Vec<Trigger> + Send + Sync + 'static,
    ) -> Store<W> {
        let store = Store::default();
        let follow = self.following(api, config, store.clone(), map);
        let shutdown = self.driver.runtime.shutdown.clone();
        self.watches.push(Box::pin(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = begin => follow.await,
            }
        }));
        store
    }

    fn following<W: Watchable>(
        &self,
        api: Api<W>,
        config: watcher::Config,
        store: Store<W>,
        map: impl Fn(&Change<W>, &Store<R::Object>) -> Vec<Trigger> + Send + Sync + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (handle, shutdown) = (self.driver.handle.clone(), self.driver.runtime.shutdown.clone());
        let on_change = move |change: &Change<W>| {
            for trigger in map(change, &handle.store) {
                handle.trigger(trigger);
            }
        };
        follow(api, config, store, shutdown, on_change)
    }

    /// Calls `map` for each change of the primary kind itself, status included; it says what the change means for
    /// other objects of the kind, such as those that depend on this one. Changes that a reconcile of this process
    /// writes arrive at once, those of others with the watch.
    pub fn react(
        &mut self,
        map: impl Fn(&Change<R::Object>, &Store<R::Object>) -> Vec<Trigger> + Send + Sync + 'static,
    ) {
        self.driver.reactions.push(Arc::new(map));
    }

    /// Reconciles until the runtime's shutdown token is cancelled, and returns when every worker has ended.
    pub async fn run(self) {
        let Self { driver, concurrent, watches, listed } = self;
        let shutdown = driver.runtime.shutdown.clone();
        let tasks = TaskTracker::new();
        for watch in watches {
            tasks.spawn(watch);
        }
        tasks.spawn(driver.follow_primary());
        let (store, workers) = (driver.handle.store.clone(), Arc::new(Semaphore::new(concurrent)));
        let name = R::Object::kind(&()).to_lowercase();
        driver.runtime.metrics.watch_queue(&name, concurrent, &driver.handle.queue);
        let driver = Arc::new(driver);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = async { store.listed().await; futures::future::join_all(listed).await; } => {
                tracing::info!(controller = %name, objects = store.len(), "controller started");
                driver.dispatch(&tasks, &workers).await;
            }
        }
        tasks.close();
        tasks.wait().await;
    }
}

impl<R: Reconcile> Driver<R> {
    async fn dispatch(self: &Arc<Self>, tasks: &TaskTracker, workers: &Arc<Semaphore>) {
        let shutdown = &self.runtime.shutdown;
        loop {
            let taken = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                taken = next(workers, &self.handle.queue) => taken,
            };
            let Some((slot, work)) = taken else { return };
            let (driver, workers) = (Arc::clone(self), Arc::clone(workers));
            tasks.spawn(async move {
                let finish = driver.process(&work, slot, workers).await;
                driver.handle.queue.finish(&work.key, finish);
            });
        }
    }

    /// Tells the reactions of a change and acts on what they say.
    pub(crate) fn react(&self, change: &Change<R::Object>) {
        react(&self.reactions, &self.handle, change);
    }

    fn follow_primary(&self) -> impl Future<Output = ()> + Send + use<R> {
        let handle = self.handle.clone();
        let reactions = self.reactions.clone();
        let runtime = &self.runtime;
        let on_change = move |change: &Change<R::Object>| {
            let key = ObjectKey::of(change.object().as_ref());
            match change {
                // The worker finds the object gone and forgets the key.
                Change::Deleted(_) => handle.queue.supersede(key),
                Change::Applied { old: None, .. } => handle.queue.add(key),
                Change::Applied { old: Some(old), new } if must_reconcile(old.as_ref(), new.as_ref()) => {
                    handle.queue.supersede(key);
                }
                Change::Applied { .. } => {}
            }
            react(&reactions, &handle, change);
        };
        follow(
            runtime.api(),
            runtime.watch_config(),
            self.handle.store.clone(),
            runtime.shutdown.clone(),
            on_change,
        )
    }
}

fn react<K: Object>(reactions: &[Reaction<K>], handle: &Handle<K>, change: &Change<K>) {
    for reaction in reactions {
        for trigger in reaction(change, &handle.store) {
            handle.trigger(trigger);
        }
    }
}

/// Work first, then a worker, and only then is the work taken: no worker is held while there is nothing to do, so
/// that those who wait can have theirs back, and a key stays open to newer triggers until somebody starts on it.
async fn next(
    workers: &Arc<Semaphore>,
    queue: &Queue<ObjectKey>,
) -> Option<(tokio::sync::OwnedSemaphorePermit, Work<ObjectKey>)> {
    loop {
        queue.ready().await;
        let slot = Arc::clone(workers).acquire_owned().await.ok()?;
        if let Some(work) = queue.try_pop() {
            return Some((slot, work));
        }
    }
}

/// Flux's predicate: the generation, the request annotation, or that it is being deleted. Not status, not labels.
pub(crate) fn must_reconcile<K: kube::Resource>(old: &K, new: &K) -> bool {
    let (before, now) = (old.meta(), new.meta());
    let asked = facts::requested_at(new);
    before.uid != now.uid
        || before.generation != now.generation
        || before.deletion_timestamp.is_none() && now.deletion_timestamp.is_some()
        || asked.is_some() && asked != facts::requested_at(old)
}
