//! `ferrite stats`: how many objects there are of each kind, and how they are.

use anyhow::Result;
use futures::future::join_all;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::kinds::{
    ALERT, BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_RELEASE, HELM_REPOSITORY, IMAGE_POLICY, IMAGE_REPOSITORY,
    IMAGE_UPDATE, KUSTOMIZATION, Kind, OCI_REPOSITORY, PROVIDER, RECEIVER,
};
use crate::objects::{self, Absent, condition, suspended, text};
use crate::output::{self, Encoding};
use crate::session::Session;
use crate::table::table;

/// The kinds, in `flux`'s order.
const ROWS: &[&Kind] = &[
    &GIT_REPOSITORY,
    &OCI_REPOSITORY,
    &HELM_REPOSITORY,
    &HELM_CHART,
    &BUCKET,
    &KUSTOMIZATION,
    &HELM_RELEASE,
    &ALERT,
    &PROVIDER,
    &RECEIVER,
    &IMAGE_UPDATE,
    &IMAGE_POLICY,
    &IMAGE_REPOSITORY,
];

/// Options of `ferrite stats`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Objects of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Print as JSON or YAML instead of a table.
    #[arg(short, long)]
    output: Option<Encoding>,
}

/// Counts and prints.
///
/// # Errors
///
/// What the API server says; a kind that is not installed counts as none.
pub(crate) async fn run(session: &Session, options: &Options) -> Result<()> {
    let namespace = (!options.all_namespaces).then_some(session.namespace.as_str());
    let lists = ROWS.iter().map(|kind| async move {
        match objects::list(session, kind, namespace, &ListParams::default()).await {
            Err(error) if error.is::<Absent>() => Ok(Vec::new()),
            listed => listed,
        }
    });
    let lists: Result<Vec<_>> = join_all(lists).await.into_iter().collect();
    let counts: Vec<(&Kind, Counts)> =
        ROWS.iter().copied().zip(lists?.iter().map(|list| Counts::of(list))).collect();
    if let Some(encoding) = options.output {
        let all: Vec<Value> = counts.iter().map(|(kind, counts)| counts.to_json(kind)).collect();
        return output::print(&encoding.text(&all.into()));
    }
    let rows: Vec<Vec<String>> = counts.iter().map(|(kind, counts)| counts.row(kind)).collect();
    output::print(&table(&["Reconcilers", "Running", "Failing", "Suspended", "Storage"], &rows))
}

/// What is counted of one kind.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    total: usize,
    suspended: usize,
    failing: usize,
    /// Bytes of the artifacts.
    storage: u64,
}

impl Counts {
    fn of(objects: &[Value]) -> Self {
        let failing = |object: &&Value| {
            condition(object, "Ready").is_some_and(|ready| text(ready, "/status") == "False")
        };
        let size =
            |object: &Value| object.pointer("/status/artifact/size").and_then(Value::as_u64).unwrap_or(0);
        Self {
            total: objects.len(),
            suspended: objects.iter().filter(|object| suspended(object)).count(),
            failing: objects.iter().filter(failing).count(),
            storage: objects.iter().map(size).fold(0, u64::saturating_add),
        }
    }

    fn running(&self) -> usize {
        self.total.saturating_sub(self.suspended)
    }

    fn row(&self, kind: &Kind) -> Vec<String> {
        vec![
            kind.kind.to_owned(),
            self.running().to_string(),
            self.failing.to_string(),
            self.suspended.to_string(),
            size(self.storage),
        ]
    }

    fn to_json(&self, kind: &Kind) -> Value {
        json!({
            "kind": kind.kind, "running": self.running(), "failing": self.failing,
            "suspended": self.suspended, "storageBytes": self.storage,
        })
    }
}

/// Bytes for people: `-`, `512 B`, `1.5 KiB`.
fn size(bytes: u64) -> String {
    if bytes == 0 {
        return "-".to_owned();
    }
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut divisor, mut unit) = (1024u64, 0);
    while bytes / divisor >= 1024 && unit + 1 < units.len() {
        divisor *= 1024;
        unit += 1;
    }
    // Tenths, by whole numbers: no rounding surprises.
    let tenths = (u128::from(bytes) * 10 + u128::from(divisor) / 2) / u128::from(divisor);
    format!("{}.{} {}", tenths / 10, tenths % 10, units.get(unit).copied().unwrap_or("EiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, expect) in [
            (0, "-"),
            (512, "512 B"),
            (1536, "1.5 KiB"),
            (12_345_678, "11.8 MiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), expect);
        }
    }

    #[test]
    fn suspended_objects_do_not_run_and_may_fail() {
        let objects = [
            json!({"spec": {"suspend": true}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}),
            json!({"status": {"artifact": {"size": 10}, "conditions": [{"type": "Ready", "status": "True"}]}}),
            json!({}),
        ];
        assert_eq!(Counts::of(&objects), Counts { total: 3, suspended: 1, failing: 1, storage: 10 });
    }
}
