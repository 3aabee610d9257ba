//! Short spellings of the objects that tests apply.

use serde_json::{Value, json};

/// A GitRepository `name` of `url`, branch main, with an interval no test waits for.
pub fn git_repository(name: &str, url: &str) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name},
        "spec": {"url": url, "interval": "1h", "timeout": "20s", "ref": {"branch": "main"}},
    })
}

/// A Kustomization `name` that applies `path` of the GitRepository `source`, pruning, with `wait` as in `spec`.
///
/// `spec` is merged over the defaults, field by field.
pub fn kustomization(name: &str, source: &str, path: &str, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name},
        "spec": {
            "interval": "1h",
            "retryInterval": "1h",
            "timeout": "30s",
            "prune": true,
            "path": path,
            "sourceRef": {"kind": "GitRepository", "name": source},
        },
    });
    if let (Some(target), Value::Object(fields)) = (object["spec"].as_object_mut(), spec) {
        target.extend(fields);
    }
    object
}
