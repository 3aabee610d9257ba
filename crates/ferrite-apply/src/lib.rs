//! The doing half of server-side apply: dry run, apply, wait, prune and watch for drift, over a `kube::Client`.
//!
//! ```text
//!  Cluster (one identity on one API server: client, kinds, what is known of its objects)
//!     │
//!   Applier::apply(objects, &mut Done) ── per stage: look (GET, dry run, takeover) ─▶ write ─▶ wait until Current
//!                │
//!   wait(…) / wait_gone(…)  by watches      prune(…)  in reverse order      Tracker  ─▶ Drift { owner, entry }
//! ```
//!
//! Every decision is `ferrite-resource`'s; this crate asks the API server and does what was decided. Use it from a
//! controller, or from a command line that applies what a controller would.
//!
//! What happened is noted in [`Done`] as it happens, so that objects that were created are known even when the next
//! write fails or the future is dropped. An object whose desired state and whose live state (but for its status) are
//! those of the last apply is not dry-run again ([`ApplyOptions::audit_after`]), and not even read while a watch for drift
//! sees it ([`ApplyOptions::audit_watched_after`]).
//!
//! ```no_run
//! # async fn example(client: kube::Client, objects: Vec<serde_json::Value>) -> Result<(), Box<dyn std::error::Error>> {
//! use ferrite_apply::{Applier, ApplyOptions, Cluster, Done, WaitOptions, prune, wait};
//! use ferrite_resource::{Inventory, Owner};
//!
//! let cluster = Cluster::new(client);
//! let mut done = Done::default();
//! Applier::new(&cluster, ApplyOptions::default()).apply(objects, &mut done).await?;
//! let inventory: Inventory = done.entries().cloned().collect();
//! let stale = Inventory::default().stale(&inventory);
//! prune(&cluster, &stale, &Owner::new("app", "default"), &mut done).await?;
//! wait(&cluster, inventory.entries().to_vec(), &WaitOptions::default(), std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Invariants.** Objects are written one after another, in apply order, and only after every object of their stage
//! passed a dry run. Nothing is deleted that does not carry the owner's labels. No error shows a value of a Secret.
//! Nothing polls, except where an identity may not watch. A cache of this crate holds digests, never objects.

mod applier;
mod cluster;
mod digest;
mod done;
mod error;
mod expressions;
mod fetch;
mod ledger;
mod look;
mod mapper;
mod preview;
mod prune;
mod sources;
mod target;
mod tracker;
mod wait;
mod watch;

pub use applier::{Applier, ApplyOptions};
pub use cluster::Cluster;
pub use done::Done;
pub use error::{ApiError, ApplyError, ObjectError, PruneError, Step};
pub use expressions::{ExpressionError, Expressions, HealthExpressions, custom_health, group_of};
pub use mapper::{Mapper, Mapping};
pub use preview::Preview;
pub use prune::prune;
pub use sources::{FoundSource, SourceId, SourceKind, SourceNews, SourceStatus, Sources};
pub use target::{Destination, TargetError, TargetOptions, Targets};
pub use tracker::{Drift, DriftSink, Tracker, TrackerOptions};
pub use wait::{CustomHealth, Unready, UnreadyObject, WaitError, WaitOptions, WaitTarget, wait, wait_gone};

#[cfg(test)]
mod tests {
    use super::*;

    /// A controller spawns them.
    #[test]
    fn futures_may_move_between_threads() {
        fn check<T: Send>(
            _: impl Fn(&'static Cluster, &'static WaitOptions<'static>, &'static mut Done) -> T,
        ) {
        }
        check(|cluster, _, done| async move {
            let applier = Applier::new(cluster, ApplyOptions::default());
            let (applied, previewed) =
                (applier.apply(Vec::new(), done).await, applier.preview(Vec::new()).await);
            let pruned = prune(cluster, &[], &ferrite_resource::Owner::new("a", "b"), done).await;
            (applied, previewed, pruned)
        });
        check(|cluster, options, _| wait(cluster, Vec::<WaitTarget>::new(), options, std::future::pending()));
        check(|cluster, options, _| {
            wait_gone(cluster, Vec::<WaitTarget>::new(), options, std::future::pending())
        });
    }
}
