//! Manifests of older guides, as people paste them.

use ferrite_e2e::with_namespace;
use serde_json::json;

use crate::deployment;

#[test]
fn objects_of_dropped_versions_are_accepted_and_reconciled() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("production/web.yaml", &deployment("my-app", "{}"))]).await;
        env.apply(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1beta2",
            "kind": "GitRepository",
            "metadata": {"name": "my-app"},
            "spec": {"interval": "1m", "ref": {"branch": "main"}, "url": git.url(), "gitImplementation": "go-git"},
        }))
        .await;
        env.apply(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2",
            "kind": "Kustomization",
            "metadata": {"name": "my-app"},
            "spec": {
                "interval": "10m", "path": "./production", "prune": true, "validation": "client",
                "targetNamespace": env.namespace,
                "sourceRef": {"kind": "GitRepository", "name": "my-app"},
                "healthChecks": [
                    {"apiVersion": "apps/v1", "kind": "Deployment", "name": "my-app", "namespace": env.namespace},
                ],
            },
        }))
        .await;

        env.ready("Kustomization/my-app").await;

        env.get("Deployment/my-app").await;
    });
}
