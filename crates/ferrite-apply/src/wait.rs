//! Waiting until objects are healthy, or gone: by watches.

mod engine;
mod sources;
mod target;

use std::{
    fmt::{self, Write as _},
    future::Future,
    time::Duration,
};

use ferrite_resource::{Entry, Health, ObjectId, Owner, Status, health::removes_itself};
use serde_json::Value;

use crate::cluster::Cluster;

/// At most this many objects are told of.
const MAX_OBJECTS: usize = 200;

/// Decides the health of objects in place of the rules of their kind; `None`: the rules of the kind hold. Whether it is
/// `None` may depend on `apiVersion` and `kind` only.
pub type CustomHealth<'a> = dyn Fn(&Value) -> Option<Health> + Send + Sync + 'a;

/// How to wait.
#[derive(Clone, Copy)]
pub struct WaitOptions<'a> {
    /// For how long at most.
    pub timeout: Duration,
    /// End as soon as one object is Failed, instead of when all others are Current.
    pub fail_fast: bool,
    /// `spec.healthCheckExprs`.
    pub custom: Option<&'a CustomHealth<'a>>,
    /// All objects carry the labels of this owner: watches can be narrowed to them.
    pub owner: Option<&'a Owner>,
}

impl Default for WaitOptions<'_> {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(300), fail_fast: true, custom: None, owner: None }
    }
}

impl fmt::Debug for WaitOptions<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WaitOptions")
            .field("timeout", &self.timeout)
            .field("fail_fast", &self.fail_fast)
            .field("custom", &self.custom.is_some())
            .field("owner", &self.owner)
            .finish()
    }
}

/// An object to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitTarget {
    /// The object.
    pub entry: Entry,
    /// It is a Job that removes itself when it finished: when it is not there it is Current.
    pub finished_when_gone: bool,
    /// When waiting for it to go: an object with another uid is another one.
    pub uid: Option<String>,
}

impl From<Entry> for WaitTarget {
    fn from(entry: Entry) -> Self {
        Self { entry, finished_when_gone: false, uid: None }
    }
}

impl WaitTarget {
    /// The target of an object that was applied as `desired`.
    #[must_use]
    pub fn applied(entry: Entry, desired: &Value) -> Self {
        Self { entry, finished_when_gone: removes_itself(desired), uid: None }
    }
}

/// An object that did not get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadyObject {
    /// The object.
    pub id: ObjectId,
    /// Its status; `None` when it could never be read.
    pub status: Option<Status>,
    /// Why its status could not be told.
    pub error: Option<String>,
    /// What explains its status: the pod, the container and its message, or a condition.
    pub evidence: Option<String>,
}

/// The objects that did not get there, in apply order.
///
/// Displayed as Flux does; with `{:#}` the evidence follows each status, as an error does in Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// At least one.
    pub objects: Vec<UnreadyObject>,
    /// How long was waited.
    pub elapsed: Duration,
}

impl fmt::Display for Unready {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char('[')?;
        for (index, object) in self.objects.iter().take(MAX_OBJECTS).enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            let Some(status) = object.status else {
                write!(formatter, "can't determine status for {}", object.id)?;
                continue;
            };
            write!(formatter, "{} status: '{status}'", object.id)?;
            let why = if formatter.alternate() {
                object.error.as_ref().or(object.evidence.as_ref())
            } else {
                object.error.as_ref()
            };
            if let Some(why) = why {
                write!(formatter, ": {why}")?;
            }
        }
        if self.objects.len() > MAX_OBJECTS {
            write!(formatter, ", and {} more", self.objects.len() - MAX_OBJECTS)?;
        }
        formatter.write_char(']')
    }
}

/// Waiting ended before all objects were there.
///
/// Displayed as Flux does, without what a controller puts before it (`health check failed after <duration>: `).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitError {
    /// The time ran out.
    Timeout(Unready),
    /// Objects failed, and will not recover by themselves.
    Failed(Unready),
    /// The caller asked to stop.
    Cancelled,
}

impl std::error::Error for WaitError {}

impl fmt::Display for WaitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unready = match self {
            Self::Timeout(unready) => {
                formatter.write_str("timeout waiting for: ")?;
                unready
            }
            Self::Failed(unready) => {
                formatter.write_str("failed early due to stalled resources: ")?;
                unready
            }
            Self::Cancelled => return formatter.write_str("the wait was canceled"),
        };
        unready.fmt(formatter)
    }
}

impl WaitError {
    /// The objects that did not get there; `None` when the wait was canceled.
    #[must_use]
    pub fn unready(&self) -> Option<&Unready> {
        match self {
            Self::Timeout(unready) | Self::Failed(unready) => Some(unready),
            Self::Cancelled => None,
        }
    }
}

/// Waits until every object is Current, watching those that are not.
///
/// Ends early when all are Current or Failed, or any is Failed if that is wanted. Objects are read as the identity of
/// the cluster; where it may not list or watch them they are read one by one, every 5 s. Memory is that of one object
/// at a time and of the reduced state of workloads that are not ready.
///
/// # Errors
///
/// [`WaitError`]: which objects are not there, and why; or that `cancel` was ready first.
pub async fn wait<T: Into<WaitTarget>>(
    cluster: &Cluster,
    targets: Vec<T>,
    options: &WaitOptions<'_>,
    cancel: impl Future<Output = ()>,
) -> Result<(), WaitError> {
    let targets = targets.into_iter().map(Into::into).collect();
    engine::run(cluster, targets, options, target::Goal::Current, cancel).await
}

/// Waits until every object is gone.
///
/// # Errors
///
/// [`WaitError`]: which objects are still there; or that `cancel` was ready first.
pub async fn wait_gone<T: Into<WaitTarget>>(
    cluster: &Cluster,
    targets: Vec<T>,
    options: &WaitOptions<'_>,
    cancel: impl Future<Output = ()>,
) -> Result<(), WaitError> {
    let targets = targets.into_iter().map(Into::into).collect();
    engine::run(cluster, targets, options, target::Goal::Gone, cancel).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_in_the_words_of_flux() {
        let object = |name: &str, status, error: Option<&str>, evidence: Option<&str>| UnreadyObject {
            id: ObjectId::new("apps", "Deployment", "shop", name),
            status,
            error: error.map(str::to_owned),
            evidence: evidence.map(str::to_owned),
        };
        let objects = vec![
            object("a", Some(Status::InProgress), None, Some("pod a-1: container c waits: ErrImagePull")),
            object("b", Some(Status::Unknown), Some("no such key: x"), None),
            object("c", None, None, None),
        ];
        let unready = Unready { objects, elapsed: Duration::from_secs(5) };
        assert_eq!(
            WaitError::Timeout(unready.clone()).to_string(),
            "timeout waiting for: [Deployment/shop/a status: 'InProgress', \
             Deployment/shop/b status: 'Unknown': no such key: x, can't determine status for Deployment/shop/c]"
        );
        let mut failed = unready;
        failed.objects.truncate(1);
        assert_eq!(
            format!("{:#}", WaitError::Failed(failed)),
            "failed early due to stalled resources: [Deployment/shop/a status: 'InProgress': \
             pod a-1: container c waits: ErrImagePull]"
        );
    }
}
