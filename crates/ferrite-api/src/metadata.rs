//! Annotations, labels and finalizers that Flux's kinds share.

/// A change of its value asks for a reconcile at once.
pub const RECONCILE_REQUEST: &str = "reconcile.fluxcd.io/requestedAt";
/// With the value of [`RECONCILE_REQUEST`]: install or upgrade a Helm release once though nothing changed.
pub const FORCE_REQUEST: &str = "reconcile.fluxcd.io/forceAt";
/// With the value of [`RECONCILE_REQUEST`]: forget a Helm release's failures.
pub const RESET_REQUEST: &str = "reconcile.fluxcd.io/resetAt";
/// Label `Enabled` on a ConfigMap or Secret: a change reaches whoever refers to it at once.
pub const WATCH_LABEL: &str = "reconcile.fluxcd.io/watch";
/// Prefix of annotations that become metadata of every event of the object.
pub const EVENT_PREFIX: &str = "event.toolkit.fluxcd.io/";
/// The label for sharding by `--watch-label-selector`.
pub const SHARD_LABEL: &str = "sharding.fluxcd.io/key";
/// The finalizer of sources, Kustomizations and Helm releases.
pub const FINALIZER: &str = "finalizers.fluxcd.io";
/// The finalizer of artifact generators.
pub const GENERATOR_FINALIZER: &str = "source.extensions.fluxcd.io/finalizer";
