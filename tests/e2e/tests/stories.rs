//! The stories a user would tell, each on real controllers, a real Git server and a Kubernetes API.

#[path = "stories/artifact_generator.rs"]
mod artifact_generator;
#[path = "stories/bad_input.rs"]
mod bad_input;
#[path = "stories/bucket.rs"]
mod bucket;
#[path = "stories/dependencies.rs"]
mod dependencies;
#[path = "stories/documents.rs"]
mod documents;
#[path = "stories/drift.rs"]
mod drift;
#[path = "stories/helm.rs"]
mod helm;
#[path = "stories/notification.rs"]
mod notification;
#[path = "stories/older_versions.rs"]
mod older_versions;
#[path = "stories/source.rs"]
mod source;
#[path = "stories/sync.rs"]
mod sync;

/// A ConfigMap manifest with one value.
fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: \"{value}\"\n")
}

/// A Deployment manifest with `annotations` (YAML flow map) for the workload stand-in.
fn deployment(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  annotations: {annotations}\nspec:\n  replicas: 1\n  \
         selector:\n    matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      \
         containers:\n      - name: app\n        image: example:1\n"
    )
}
