//! The order of the output.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::kustomization::{LegacySort, SortOptions};
use crate::resource::Resource;

/// How the objects of a build are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reorder {
    /// As they were met: depth first, in listed order. What Flux does.
    #[default]
    None,
    /// By kind, then by name: `--reorder=legacy`, the default of `kustomize build`.
    Legacy,
}

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Orders `list` by the root's `sortOptions` or, without them, as `reorder` says.
pub(crate) fn order(list: &mut [Resource], options: Option<&SortOptions>, reorder: Reorder) -> Result<()> {
    match options {
        None if reorder == Reorder::None => Ok(()),
        None => {
            legacy(list, None);
            Ok(())
        }
        Some(options) => match (options.order.as_str(), &options.legacy) {
            ("fifo", None) => Ok(()),
            ("legacy", lists) => {
                legacy(list, lists.as_ref());
                Ok(())
            }
            ("fifo", Some(_)) => Err(Error::invalid(
                "the field 'sortOptions.legacySortOptions' is set but the selected sort order is not 'legacy'",
            )),
            (other, _) => Err(Error::invalid(format!(
                "the field 'sortOptions.order' must be one of 'fifo' or 'legacy', found '{other}'"
            ))),
        },
    }
}

/// Place of a kind in the legacy order: negative before, positive after the unlisted ones.
fn rank(kind: &str, lists: Option<&LegacySort>) -> isize {
    let (first, last, count) = match lists {
        Some(lists) => (
            lists.order_first.iter().position(|known| known == kind),
            lists.order_last.iter().position(|known| known == kind),
            lists.order_first.len(),
        ),
        None => (
            FIRST.iter().position(|known| *known == kind),
            LAST.iter().position(|known| *known == kind),
            FIRST.len(),
        ),
    };
    match (first, last) {
        (_, Some(at)) => isize::try_from(at + 1).unwrap_or(isize::MAX),
        (Some(at), None) => isize::try_from(at).unwrap_or(0) - isize::try_from(count).unwrap_or(0),
        (None, None) => 0,
    }
}

/// What types are ordered by.
pub(crate) fn sort_key(group: &str, version: &str, kind: &str) -> (isize, String) {
    (rank(kind, None), sort_text(group, version, kind))
}

fn legacy(list: &mut [Resource], lists: Option<&LegacySort>) {
    list.sort_by_cached_key(|resource| Key {
        rank: rank(&resource.gvk.kind, lists),
        gvk: sort_text(&resource.gvk.group, &resource.gvk.version, &resource.gvk.kind),
        id: format!(
            "{}|{}|{}",
            resource.gvk.legacy(),
            or(resource.namespace(), "~X"),
            or(resource.name(), "~N")
        ),
        core_namespace: resource.gvk.kind == "Namespace" && resource.gvk.group.is_empty(),
        namespace: resource.gvk.kind == "Namespace",
    });
}

fn or<'a>(text: &'a str, none: &'a str) -> &'a str {
    if text.is_empty() { none } else { text }
}

fn sort_text(group: &str, version: &str, kind: &str) -> String {
    format!("{}_{}_{}", or(group, "~G"), or(version, "~V"), or(kind, "~K"))
}

#[derive(PartialEq, Eq)]
struct Key {
    rank: isize,
    gvk: String,
    id: String,
    core_namespace: bool,
    namespace: bool,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_type = if self.namespace && other.namespace && (self.core_namespace || other.core_namespace) {
            other.gvk.cmp(&self.gvk)
        } else {
            self.gvk.cmp(&other.gvk)
        };
        self.rank.cmp(&other.rank).then(by_type).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
