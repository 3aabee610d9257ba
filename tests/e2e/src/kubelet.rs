//! What a kubelet would report, for clusters that have a control plane and no nodes.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::json;

/// Whether the cluster has no node, so that nobody would ever run a pod.
pub(crate) async fn is_needed(client: &Client) -> kube::Result<bool> {
    let nodes: Api<Node> = Api::all(client.clone());
    Ok(nodes.list_metadata(&ListParams::default().limit(1)).await?.items.is_empty())
}

/// Reports every pod of a test namespace as running and ready, except those of a Deployment that is to hang or fail.
pub(crate) async fn run(client: Client) {
    let pods: Api<Pod> = Api::all(client.clone());
    let mut stream = watcher(pods, watcher::Config::default()).default_backoff().applied_objects().boxed();
    loop {
        match stream.try_next().await {
            Ok(Some(pod)) => {
                if let Err(error) = report(&client, &pod).await {
                    eprintln!("cannot report the state of pod {}: {error}", pod.name_any());
                }
            }
            Ok(None) => return,
            Err(_) => {} // the watcher reconnects with backoff
        }
    }
}

async fn report(client: &Client, pod: &Pod) -> kube::Result<()> {
    let namespace = pod.namespace().unwrap_or_default();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if !namespace.starts_with("e2e-") || phase == Some("Running") || pod.metadata.deletion_timestamp.is_some()
    {
        return Ok(());
    }
    let annotations = deployment_annotations(client, &namespace, pod).await?;
    if annotations.contains_key("ferrite.dev/hang") || annotations.contains_key("ferrite.dev/fail") {
        return Ok(());
    }
    let now = k8s_openapi::jiff::Timestamp::now();
    let conditions: Vec<_> = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .iter()
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": now.to_string()}))
        .collect();
    let status =
        json!({"status": {"phase": "Running", "startTime": now.to_string(), "conditions": conditions}});
    let api: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    match api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Strategic(&status)).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

/// The annotations of the Deployment that owns the ReplicaSet that owns `pod`; none when there is no such chain.
async fn deployment_annotations(
    client: &Client,
    namespace: &str,
    pod: &Pod,
) -> kube::Result<std::collections::BTreeMap<String, String>> {
    let owner = |references: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference],
                 kind: &str| {
        references.iter().find(|reference| reference.kind == kind).map(|reference| reference.name.clone())
    };
    let Some(name) = owner(pod.owner_references(), "ReplicaSet") else { return Ok(Default::default()) };
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), namespace);
    let Some(set) = sets.get_opt(&name).await? else { return Ok(Default::default()) };
    let Some(name) = owner(set.owner_references(), "Deployment") else { return Ok(Default::default()) };
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    Ok(deployments.get_opt(&name).await?.map(|found| found.annotations().clone()).unwrap_or_default())
}
